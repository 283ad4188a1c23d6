"""Segment every case of an evaluation and compare it: for the command, and for the window's child process."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thighview.cli.evaluation import Evaluation, TestCase, cases_of, compare, readings
from thighview.core.errors import UserError
from thighview.io.models import find_model

Report = Callable[[int, int], None]


def evaluate_cases(folder: Path, cases: list[TestCase], source: Path, device: str, report: Report) -> dict[str, Any]:
    """Figures of a model on all cases, as :meth:`Evaluation.to_json` has them, with ``calibration`` and ``measured``.

    Parameters
    ----------
    folder : Path
        Of the model.
    cases : list of TestCase
    source : Path
        Where they are from, for words.
    device : str
        From ``engine.devices.prepare_device``, which must have been called.
    report : callable
        Is told how many of the cases are done.

    Raises
    ------
    UserError
        When the model does not fit a scan, or shares no label with the masks.
    """
    from thighview.cli.calibrating import Calibrating
    from thighview.engine.predict import batch_for, load_network, segment_volume
    from thighview.engine.preprocess import plane_grid

    network, card = load_network(folder)
    found, calibrating = Evaluation(card.name, card.weights_sha256), Calibrating(card)
    report(0, len(cases))
    for done, (case, truth) in enumerate(readings(cases), 1):
        grid = plane_grid(truth.volume, card)
        drawn = segment_volume(
            truth.volume, network, card, batch=batch_for(grid, card, device != "CPU"),
            on_logits=calibrating.of_case(truth, grid, case.subject, case.part),
        )  # fmt: skip
        found.add(case.subject, case.part, compare(drawn.labels, card.labels, truth), case.case_id)
        report(done, len(cases))
    result = found.to_json()
    if not result["mean"]["labels"]:
        raise UserError(
            f"The model {card.name} and the masks of {source} have no label in common.",
            f"The model draws: {', '.join(label.key for label in card.labels)}.",
        )
    measured = datetime.now(UTC).isoformat(timespec="seconds")
    return result | {"calibration": calibrating.to_json(), "measured": measured}


def measure_people(model: str, project: str, result: str, report: Report) -> dict[str, Any]:
    """``thighview evaluate MODEL PROJECT --json`` for a child process of the window.

    Parameters
    ----------
    model : str
        Name or folder.
    project : str
        Folder of the project.
    result : str
        File that takes the result, written whole or not at all.
    report : callable
        Is told how many of the cases are done.
    """
    from thighview.engine.devices import lower_priority, prepare_device
    from thighview.io.atomic import write_json_atomic

    lower_priority()
    source = Path(project)
    entry = find_model(model, source)
    cases = cases_of(source)
    found = evaluate_cases(entry.folder, cases, source, prepare_device(), report)
    write_json_atomic(Path(result), found)
    return found
