"""A measured gap as words and numbers for elsewhere: a paper's methods section, a table, the clipboard."""

import csv
import io
from collections.abc import Mapping

from thighview.core.gap import DRAWS, FEWEST, PER_CENT, TERMS, Gap, sentence

TITLES: dict[str, str] = {
    "train": "Training, as reported",
    "lag": "Still learning",
    "regime": "Dropout",
    "augmentation": "Distorted images",
    "aggregation": "Way of averaging",
    "split": "Other people",
    "validation": "Validation, as reported",
}
"""The bars of the waterfall in plain words, in order."""

REASONS: dict[str, str] = {
    "train": "What Keras wrote down while the network learnt: averaged over the batches of the epoch, weights still "
    "changing, dropout on, images distorted.",
    "lag": "1 (lag). The same images, measured again with the weights the epoch ended with, instead of those before "
    "each step.",
    "regime": "2 (regime). The same again with dropout off, as for validation.",
    "augmentation": "3 (augmentation). The same slices again without distortion.",
    "aggregation": "4 (aggregation). The same predictions, averaged person by person as for validation, instead of "
    "over batches.",
    "split": "5 (split). The same measurement on the validation people instead of the training people: the real "
    "difference. The whisker is its 95 % interval over people.",
    "validation": "What is reported for validation at the end of the epoch.",
}
"""What each bar stands for; the numbers are the order, which is part of the definition."""

_NAMES = {"loss": "loss", "accuracy": "pixel accuracy", "dice": "Dice"}


def amount(metric: str, value: float, sign: bool = False, digits: int | None = None, unit: bool = True) -> str:
    """A value or a difference as it is told: points (hundredths) for accuracy and Dice, plain for the loss."""
    points = metric in PER_CENT
    places = digits if digits is not None else 1 if points else 4
    scaled = value * 100.0 if points else value
    said = f"{scaled:{'+' if sign else ''}.{places}f}"
    if not float(said):
        said = f"{0:.{places}f}"
    return f"{said} points" if unit and points else said


def direction(gap: Gap) -> str:
    """``higher``, ``lower`` or ``same``: how validation reads, rounded as it is told."""
    total = gap.validation - gap.train
    if not float(amount(gap.metric, total, unit=False)):
        return "same"
    return "higher" if total > 0 else "lower"


def methods_text(gap: Gap) -> str:
    """How it was measured, for the methods section of a paper."""
    if gap.interval is None:
        spread = f"no interval is given, as there were fewer than {FEWEST} validation people"
    else:
        spread = f"its 95 % interval was found by drawing people with replacement ({DRAWS} draws, percentiles)"
    return (
        f"The difference between the reported training and validation {_NAMES[gap.metric]} was split into parts that "
        "add up exactly, by measuring the training slices again with one condition changed at a time: weights from the "
        "end of the epoch, dropout off, no augmentation, averaged person by person, and then the validation people. "
        f"The last part compares {gap.val_people} validation with {gap.train_people} training people measured "
        f"alike; {spread}."
    )


def as_text(gap: Gap, epoch: int, run: str = "") -> str:
    """Sentence, numbers and methods text, ready to be pasted."""
    where = f"{_NAMES[gap.metric].capitalize() if gap.metric != 'dice' else 'Dice'}, epoch {epoch}"
    lines = [f"{where} of {run}" if run else where, sentence(gap), ""]
    digits = 2 if gap.metric in PER_CENT else 4
    lines.append(f"{TITLES['train']}: {amount(gap.metric, gap.train, digits=digits)}")
    for name, value in gap.terms:
        lines.append(f"{TITLES[name]} ({name}): {amount(gap.metric, value, True, digits)}")
    if gap.interval is not None:
        low, high = (amount(gap.metric, value, True, digits) for value in gap.interval)
        lines.append(f"  95 % interval of {TITLES['split'].lower()}: {low} to {high}")
    lines.append(f"{TITLES['validation']}: {amount(gap.metric, gap.validation, digits=digits)}")
    lines.append(f"Left over: {abs(gap.residual):.1g}")
    return "\n".join([*lines, "", methods_text(gap), ""])


def to_csv(measured: Mapping[int, Mapping[str, Gap]]) -> str:
    """One row per epoch and metric, in the unit of the metric (not in points); no interval, empty cells."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    ends = ["split_low", "split_high", "train_people", "val_people", "leaked"]
    table.writerow(["epoch", "metric", "train", *TERMS, "validation", "residual", *ends])
    for epoch, gaps in sorted(measured.items()):
        for metric, gap in gaps.items():
            cells = [repr(v) for v in (gap.train, *(v for _, v in gap.terms), gap.validation, gap.residual)]
            interval = [repr(v) for v in gap.interval] if gap.interval is not None else ["", ""]
            table.writerow([epoch, metric, *cells, *interval, gap.train_people, gap.val_people, gap.leaked])
    return out.getvalue()
