"""Models at work on scans that people have drawn: each draws every case, and what it drew is compared.

Keras is loaded by the functions alone: the device is chosen before it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thighview.core.errors import UserError
from thighview.core.leaks import Ledger, is_told, ledger_of
from thighview.engine.calibrating import Calibrating
from thighview.engine.devices import lower_priority, prepare_device
from thighview.engine.evaluation import GUARD, Evaluation, TestCase, Truth, cases_of, compare, is_seen, readings
from thighview.engine.preprocess import plane_grid
from thighview.io.atomic import write_json_atomic
from thighview.io.case_pictures import write_picture
from thighview.io.model_card import ModelCard
from thighview.io.models import find_model

Report = Callable[[int, int], None]


@dataclass
class _Contestant:
    """A model at work, and what was found of it so far."""

    network: Any
    card: ModelCard
    ledger: Ledger
    chosen_on: Ledger
    found: Evaluation
    guard: Evaluation
    calibrating: Calibrating


def evaluate_models(
    folders: list[Path], cases: list[TestCase], source: Path, device: str, report: Report,
    pictures: Path | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Figures of each model on all cases, as :meth:`Evaluation.to_json` has them.

    Beside them ``calibration``, when it ``began`` and was ``measured``, and whether the model's card tells whom it was
    trained on (``training_told``).
    Those of cases of the part ``GUARD`` are in ``guard``, of the same form, and nowhere else.

    Parameters
    ----------
    folders : list of Path
        Of the models.
    cases : list of TestCase
    source : Path
        Where they are from, for words.
    device : str
        From ``engine.devices.prepare_device``, which must have been called.
    report : callable
        Is told how many of the cases are done.
    pictures : Path, optional
        Folder that takes a picture of each case, where there are two models.

    Raises
    ------
    UserError
        When a model does not fit a scan, or shares no label with the masks.
    """
    from thighview.engine.predict import load_network

    contestants: list[_Contestant] = []
    for folder in folders:
        network, card = load_network(folder)
        trained_on, chosen_on = (ledger_of(card.lineage, card.split, part) for part in ("train", "validation"))
        found, kept = (Evaluation(card.name, card.weights_sha256) for _ in range(2))
        contestants.append(_Contestant(network, card, trained_on, chosen_on, found, kept, Calibrating(card)))
    began = _now()
    report(0, len(cases))
    for done, (case, truth) in enumerate(readings(cases), 1):
        _take(contestants, case, truth, pictures, device != "CPU")
        report(done, len(cases))
    results: list[dict[str, Any]] = []
    for one in contestants:
        result = one.found.to_json()
        if not result["mean"]["labels"] and any(case.part != GUARD for case in cases):
            raise UserError(
                f"The model {one.card.name} and the masks of {source} have no label in common.",
                f"The model draws: {', '.join(label.key for label in one.card.labels)}.",
            )
        told = {"training_told": is_told(one.card.lineage), "began": began, "measured": _now()}
        guarded = {"guard": one.guard.to_json()} if any(case.part == GUARD for case in cases) else {}
        results.append(result | {"calibration": one.calibrating.to_json()} | told | guarded)
    return results


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def measure_people(model: str, project: str, result: str, report: Report) -> dict[str, Any]:
    """One model against everybody of a project, as ``thighview evaluate MODEL PROJECT --json`` tells it.

    For a child process of the window.

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
    lower_priority()
    source = Path(project)
    entry = find_model(model, source)
    found = evaluate_models([entry.folder], cases_of(source), source, prepare_device(), report)[0]
    write_json_atomic(Path(result), found)
    return found


def _take(contestants: list[_Contestant], case: TestCase, truth: Truth, pictures: Path | None, on_gpu: bool) -> None:
    """Let every model draw one case, and keep its figures."""
    from thighview.engine.predict import batch_for, segment_volume

    drawn: list[tuple[Any, Any]] = []
    guarding = case.part == GUARD
    for one in contestants:
        grid = plane_grid(truth.volume, one.card)
        labels = segment_volume(
            truth.volume, one.network, one.card, batch=batch_for(grid, one.card, on_gpu),
            on_logits=None if guarding else one.calibrating.of_case(truth, grid, case.subject, case.part),
        ).labels  # fmt: skip
        seen, chosen = (is_seen(case, truth, ledger) for ledger in (one.ledger, one.chosen_on))
        found = one.guard if guarding else one.found
        found.add(case.subject, case.part, compare(labels, one.card.labels, truth), seen, case.case_id, chosen)
        drawn.append((labels, one.card.labels))
    if pictures and len(drawn) == 2 and not guarding:
        number = len(list(pictures.glob("*.npz"))) if pictures.is_dir() else 0
        write_picture(
            pictures / f"case_{number + 1:03d}.npz", case.subject, case.title, truth.volume,
            (truth.labels, truth.table), drawn[1], drawn[0], truth.reviewed,
        )  # fmt: skip
