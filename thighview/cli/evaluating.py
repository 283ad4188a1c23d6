"""``thighview evaluate``: one model against masks, or two of them against each other on the same people."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thighview.cli.evaluation import (
    GUARD,
    Evaluation,
    TestCase,
    Truth,
    cases_of,
    compare,
    guard_cases,
    is_seen,
    readings,
)
from thighview.cli.files import need_path
from thighview.cli.progress import Progress
from thighview.core.comparing import Comparison, compare_models, points, scores_of
from thighview.core.errors import UserError
from thighview.core.guard import guard_of
from thighview.core.leaks import Ledger, ledger_of

Report = Callable[[int, int], None]


@dataclass
class _Contestant:
    """A model at work, and what was found of it so far."""

    network: Any
    card: Any
    ledger: Ledger
    found: Evaluation
    guard: Evaluation
    calibrating: Any


def evaluate(args: Namespace) -> int:
    """``thighview evaluate MODEL SOURCE [--part P] [--against OLD] [--json]``."""
    need_path(args.source)
    from thighview.io.models import find_model
    from thighview.io.project import DATABASE

    inside = args.source if (args.source / DATABASE).is_file() else None
    entries = [find_model(name, inside) for name in (args.model, args.against) if name]
    if args.guard and not args.against:
        raise UserError("The guard set compares two models.", "Name the other one with --against.")
    cases = [case for case in cases_of(args.source) if not args.part or case.part == args.part]
    cases += guard_cases(entries[0].card.labels) if args.guard else []
    if not cases:
        raise UserError(
            f"Nobody in {args.source} with reviewed slices is in the part {args.part!r}.",
            "Leave --part out, or review slices of such a person.",
        )

    from thighview.engine.devices import prepare_device

    device = prepare_device(args.device)
    with Progress(f"Segmenting on {device}") as bar:

        def report(done: int, total: int) -> None:
            bar.report(done, total)
            _tell(args, done, total)

        results = evaluate_models([e.folder for e in entries], cases, args.source, device, report, args.pictures)
    if args.json:
        told = results[0] | ({"against": results[1]} if args.against else {})
        print(json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False))
        return 0
    if results[0]["subjects"]:
        print_table(results[0])
        _print_calibration(results[0]["calibration"])
    if args.against:
        print()
        (new, seen), (old, also) = scores_of(results[0]), scores_of(results[1])
        _print_comparison(compare_models(old, new, seen | also, args.part == "test"), results[1]["model"])
        if args.guard:
            kept = guard_of(results[0], results[1])
            print(kept.sentence if kept else "Made-up thighs have no label that both models know.")
    return 0


def evaluate_models(
    folders: list[Path], cases: list[TestCase], source: Path, device: str, report: Report,
    pictures: Path | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Figures of each model on all cases, as :meth:`Evaluation.to_json` has them, ``calibration`` and ``measured`` too.

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
    from thighview.cli.calibrating import Calibrating
    from thighview.engine.predict import load_network

    contestants: list[_Contestant] = []
    for folder in folders:
        network, card = load_network(folder)
        ledger = ledger_of(card.lineage, card.split)
        found, kept = (Evaluation(card.name, card.weights_sha256) for _ in range(2))
        contestants.append(_Contestant(network, card, ledger, found, kept, Calibrating(card)))
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
        measured = datetime.now(UTC).isoformat(timespec="seconds")
        guarded = {"guard": one.guard.to_json()} if any(case.part == GUARD for case in cases) else {}
        results.append(result | {"calibration": one.calibrating.to_json(), "measured": measured} | guarded)
    return results


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
    from thighview.io.models import find_model

    lower_priority()
    source = Path(project)
    entry = find_model(model, source)
    found = evaluate_models([entry.folder], cases_of(source), source, prepare_device(), report)[0]
    write_json_atomic(Path(result), found)
    return found


def _take(contestants: list[_Contestant], case: TestCase, truth: Truth, pictures: Path | None, on_gpu: bool) -> None:
    """Let every model draw one case, and keep its figures."""
    from thighview.engine.predict import batch_for, segment_volume
    from thighview.engine.preprocess import plane_grid

    drawn: list[tuple[Any, Any]] = []
    guarding = case.part == GUARD
    for one in contestants:
        grid = plane_grid(truth.volume, one.card)
        labels = segment_volume(
            truth.volume, one.network, one.card, batch=batch_for(grid, one.card, on_gpu),
            on_logits=None if guarding else one.calibrating.of_case(truth, grid, case.subject, case.part),
        ).labels  # fmt: skip
        seen = is_seen(case, truth, one.ledger)
        found = one.guard if guarding else one.found
        found.add(case.subject, case.part, compare(labels, one.card.labels, truth), seen, case.case_id)
        drawn.append((labels, one.card.labels))
    if pictures and len(drawn) == 2 and not guarding:
        from thighview.io.case_pictures import write_picture

        number = len(list(pictures.glob("*.npz"))) if pictures.is_dir() else 0
        write_picture(
            pictures / f"case_{number + 1:03d}.npz", case.subject, case.title, truth.volume,
            (truth.labels, truth.table), drawn[1], drawn[0], truth.reviewed,
        )  # fmt: skip


def _tell(args: Namespace, done: int, total: int) -> None:
    """How far it is, for a program that reads it line by line."""
    if args.progress:
        sys.stderr.write(json.dumps({"done": done, "total": total}) + "\n")
        sys.stderr.flush()


def print_table(result: dict[str, Any]) -> None:
    """One line per person and label, and the means."""
    rows: list[tuple[str, ...]] = [("person", "part", "label", "Dice", "HD95 mm", "MSD mm", "volume error ml")]
    for person in result["subjects"]:
        for key, figures in person["labels"].items():
            part = "trained on" if person["seen_in_training"] else person["part"] or "-"
            rows.append((person["id"], part, key, *_numbers(figures)))
    for key, figures in result["mean"]["labels"].items():
        rows.append(("mean", f"n = {figures['n']}", key, *_numbers(figures)))
    rows.append(("mean", f"n = {result['mean']['n']}", "all labels", *_numbers(result["mean"])))
    _print_columns(rows, 3)


def _print_comparison(found: Comparison, old: str) -> None:
    rows = [("label", "n", f"Dice {old}", "now", "points", "95 % interval")]
    for one in (*found.labels, *([found.overall] if found.overall else [])):
        between = f"{points(one.interval[0])} to {points(one.interval[1])}" if one.interval else "-"
        name = one.label or "all labels"
        rows.append((name, str(one.people), f"{one.old:.3f}", f"{one.new:.3f}", points(one.difference), between))
    _print_columns(rows, 1)
    if found.left_out:
        print(f"Not counted, for a model was trained on them: {', '.join(found.left_out)}")
    print(found.sentence)


def _print_columns(rows: list[tuple[str, ...]], left: int) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        pairs = enumerate(zip(row, widths, strict=True))
        cells = [cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in pairs]
        print("  ".join(cells).rstrip())


def _numbers(figures: dict[str, Any]) -> tuple[str, ...]:
    kinds = (("dice", ".3f"), ("hd95_mm", ".1f"), ("msd_mm", ".2f"), ("volume_error_ml", "+.1f"))
    return tuple("-" if figures[name] is None else format(figures[name], form) for name, form in kinds)


def _print_calibration(found: dict[str, Any]) -> None:
    if found["ece"] is not None:
        whose = f"{found['persons']} {found['part']} person{'s' * (found['persons'] != 1)}".replace("  ", " ")
        print(f"\ncalibration error (ECE) {found['ece']:.3f} on {whose}")
    used = found["in_use"]
    if used["ece"] is not None and used["temperature"] != 1:
        print(f"as it is used, at the temperature {used['temperature']:.2f} of its card: {used['ece']:.3f}")
    told = found["reason"] or f"temperature {found['temperature']:.2f}, with it {found['ece_after_temperature']:.3f}"
    print(told)
