"""``thighview evaluate``: one model against masks, or two of them against each other on the same people."""

import json
import sys
from argparse import Namespace
from dataclasses import dataclass
from typing import Any

from thighview.cli.evaluation import Evaluation, TestCase, Truth, cases_of, compare, is_seen, readings
from thighview.cli.files import need_path
from thighview.cli.progress import Progress
from thighview.core.comparing import Comparison, compare_models, points, scores_of
from thighview.core.errors import UserError
from thighview.core.leaks import Ledger, ledger_of


@dataclass
class _Contestant:
    """A model at work, and what was found of it so far."""

    network: Any
    card: Any
    ledger: Ledger
    found: Evaluation


def evaluate(args: Namespace) -> int:
    """``thighview evaluate MODEL SOURCE [--part P] [--against OLD] [--json]``."""
    need_path(args.source)
    from thighview.io.models import find_model
    from thighview.io.project import DATABASE

    inside = args.source if (args.source / DATABASE).is_file() else None
    entries = [find_model(name, inside) for name in (args.model, args.against) if name]
    cases = [case for case in cases_of(args.source) if not args.part or case.part == args.part]
    if not cases:
        raise UserError(
            f"Nobody in {args.source} with reviewed slices is in the part {args.part!r}.",
            "Leave --part out, or review slices of such a person.",
        )

    from thighview.engine.devices import prepare_device

    device = prepare_device(args.device)
    from thighview.engine.predict import load_network

    contestants: list[_Contestant] = []
    for entry in entries:
        network, card = load_network(entry.folder)
        ledger = ledger_of(card.lineage, card.split)
        contestants.append(_Contestant(network, card, ledger, Evaluation(card.name, card.weights_sha256)))
    with Progress(f"Segmenting on {device}") as bar:
        for done, (case, truth) in enumerate(readings(cases)):
            bar.report(done, len(cases))
            _tell(args, done, len(cases))
            _take(contestants, case, truth, args, device != "CPU")
    _tell(args, len(cases), len(cases))
    results = [one.found.to_json() for one in contestants]
    for one, result in zip(contestants, results, strict=True):
        if not result["mean"]["labels"]:
            raise UserError(
                f"The model {one.card.name} and the masks of {args.source} have no label in common.",
                f"The model draws: {', '.join(label.key for label in one.card.labels)}.",
            )
    if args.json:
        told = results[0] | ({"against": results[1]} if args.against else {})
        print(json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False))
        return 0
    print_table(results[0])
    if args.against:
        print()
        (new, seen), (old, also) = scores_of(results[0]), scores_of(results[1])
        _print_comparison(compare_models(old, new, seen | also, args.part == "test"), results[1]["model"])
    return 0


def _take(contestants: list[_Contestant], case: TestCase, truth: Truth, args: Namespace, on_gpu: bool) -> None:
    """Let every model draw one case, and keep its figures."""
    from thighview.engine.predict import batch_for, segment_volume
    from thighview.engine.preprocess import plane_grid

    drawn: list[tuple[Any, Any]] = []
    for one in contestants:
        batch = batch_for(plane_grid(truth.volume, one.card), one.card, on_gpu)
        labels = segment_volume(truth.volume, one.network, one.card, batch=batch).labels
        seen = is_seen(case, truth, one.ledger)
        one.found.add(case.subject, case.part, compare(labels, one.card.labels, truth), seen)
        drawn.append((labels, one.card.labels))
    if args.pictures and len(drawn) == 2:
        from thighview.io.case_pictures import write_picture

        number = len(list(args.pictures.glob("*.npz"))) if args.pictures.is_dir() else 0
        write_picture(
            args.pictures / f"case_{number + 1:03d}.npz", case.subject, case.title, truth.volume,
            (truth.labels, truth.table), drawn[1], drawn[0], truth.reviewed,
        )  # fmt: skip


def _tell(args: Namespace, done: int, total: int) -> None:
    """How far it is, for a program that reads it line by line."""
    if args.progress:
        sys.stderr.write(json.dumps({"done": done, "total": total}) + "\n")
        sys.stderr.flush()


def print_table(result: dict[str, Any]) -> None:
    """One line per person and label, and the means."""
    rows = [("person", "part", "label", "Dice", "HD95 mm", "volume error ml")]
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


def _numbers(figures: dict[str, Any]) -> tuple[str, str, str]:
    dice, distance, error = (figures[name] for name in ("dice", "hd95_mm", "volume_error_ml"))
    return (
        "-" if dice is None else f"{dice:.3f}",
        "-" if distance is None else f"{distance:.1f}",
        "-" if error is None else f"{error:+.1f}",
    )
