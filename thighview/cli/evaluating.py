"""``thighview evaluate``: one model against masks, or two of them against each other on the same people."""

import json
import sys
from argparse import Namespace
from typing import Any

from thighview.cli.files import need_path
from thighview.cli.progress import Progress
from thighview.core.comparing import Comparison, compare_models, paired_scores, points, untold
from thighview.core.errors import UserError
from thighview.core.guard import guard_of
from thighview.io.parent import follow_process


def evaluate(args: Namespace) -> int:
    """``thighview evaluate MODEL SOURCE [--part P] [--against OLD] [--json]``."""
    if args.parent:  # started by a window, by whose end it ends
        follow_process(args.parent)
    need_path(args.source)
    from thighview.engine.evaluating import evaluate_models
    from thighview.engine.evaluation import cases_of, guard_cases
    from thighview.io.models import find_model
    from thighview.io.project import DATABASE

    inside = args.source if (args.source / DATABASE).is_file() else None
    entries = [find_model(name, inside) for name in (args.model, args.against) if name]
    if args.guard and not args.against:
        raise UserError("The guard set compares two models.", "Name the other one with --against.")
    cases = [case for case in cases_of(args.source) if not args.part or case.part == args.part]
    cases += guard_cases(*(entry.card.labels for entry in entries)) if args.guard else []
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
        print(json.dumps(told, indent=1, allow_nan=False))
        return 0
    if results[0]["subjects"]:
        print_table(results[0])
        _print_calibration(results[0]["calibration"])
    if args.against:
        print()
        validation = args.part == "validation"
        old, new, known = paired_scores(*results, chosen=not validation)
        found = compare_models(old, new, known, args.part == "test", untold(*results))
        _print_comparison(found, results[1]["model"])
        if validation and any(row["chosen_on"] for result in results for row in result["subjects"]):
            print("Best epochs were chosen on these people: the scores flatter.")
        if args.guard:
            kept = guard_of(results[0], results[1])
            print(kept.sentence if kept else "Made-up thighs have no label that both models know.")
    return 0


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
    missed = 0
    for key, figures in result["mean"]["labels"].items():
        rows.append(("mean", f"n = {figures['n']}", key, *_numbers(figures)))
        missed += figures["n"] - figures["n_surface"]
    rows.append(("mean", f"n = {result['mean']['n']}", "all labels", *_numbers(result["mean"])))
    _print_columns(rows, 3)
    if missed:
        print(f"HD95 and MSD leave out {missed} of the labels above: missed altogether, or drawn where there is none.")


def _print_comparison(found: Comparison, old: str) -> None:
    rows = [("label", "n", f"Dice {old}", "now", "points", "95 % interval")]
    for one in (*found.labels, *([found.overall] if found.overall else [])):
        between = f"{points(one.interval[0])} to {points(one.interval[1])}" if one.interval else "-"
        name = one.label or "all labels"
        rows.append((name, str(one.people), f"{one.old:.3f}", f"{one.new:.3f}", points(one.difference), between))
    _print_columns(rows, 1)
    if found.left_out:
        print(f"Not counted, for a model was trained or chosen on them: {', '.join(found.left_out)}")
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
