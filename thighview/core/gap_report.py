"""A measured gap as words and numbers for elsewhere: a paper's methods section, a table, the clipboard."""

import csv
import io
from collections.abc import Mapping

from thighview.core.gap import PER_CENT, TERMS, Gap
from thighview.core.gap_words import TITLES, amount, sentence, told_rows
from thighview.core.student import FEWEST

REASONS: dict[str, str] = {
    "train": "What was written down while the network learnt: averaged over the batches of the epoch, weights still "
    "changing, dropout on, images distorted. Only of the slices measured here: the grey line has all slices of the "
    "set in it and can read differently. Replayed slices are in neither, and no slice counts more than another.",
    "lag": "1 (lag). The same images, measured again with the weights the epoch ended with, instead of those before "
    "each step.",
    "regime": "2 (regime). The same again with dropout off, as for validation.",
    "augmentation": "3 (augmentation). The same slices again without distortion.",
    "ema": "3a (ema). The same slices again with the averaged weights that are validated and kept, instead of those "
    "the network had at that moment.",
    "aggregation": "4 (aggregation). The same predictions, averaged person by person as for validation, instead of "
    "over batches.",
    "difficulty": "5a (difficulty). What separates the two groups of people when each is scored by a network that was "
    "never trained on them: the validation people are harder or easier by themselves.",
    "split": "5 (split). The same measurement on the validation people instead of the training people: the real "
    "difference. The whisker is its 95 % interval over people.",
    "generalisation": "5b (generalisation). What is left of the difference between the people once their own "
    "difficulty is taken off: what it costs to be new to the network. The whisker is the 95 % interval of both "
    "parts together.",
    "selection": "6 (selection). This epoch was kept because its loss was the best on these very people. Each person "
    "judged at the epoch that all the others would have chosen gets a value that differs by this much.",
    "validation": "What is reported for validation at the end of the epoch.",
}
"""What each bar stands for; the numbers are the order, which is part of the definition."""

_SMALL = 5
"""People of a group below which its parts are called a hint."""
_NAMES = {"loss": "loss", "accuracy": "pixel accuracy", "dice": "Dice"}


def methods_text(gap: Gap) -> str:
    """How it was measured, for the methods section of a paper."""
    if gap.made_up:
        spread = "no interval is given, as made-up thighs are no sample of people"
    elif gap.interval is None:
        few = min(gap.train_people, gap.val_people) < FEWEST
        spread = f"no interval is given{f', as there were fewer than {FEWEST} people in a group' if few else ''}"
    else:
        spread = "its 95 % interval is that of the difference of two means over people (Welch)"
    further = ""
    if gap.ema is not None:
        further += " Averaged weights were told apart from the network's own at the same slices."
    if gap.selection is not None:
        further += (
            " What keeping the epoch of the lowest validation loss does is what validation reads at it less what each "
            "person gets at the epoch chosen without them (leave one person out)."
        )
    if gap.difficulty is not None:
        further += f" Difficulty is the same comparison made with {gap.judge}, never trained on whom it scores."
    validation = f"{gap.val_people} validation"
    if gap.made_up:
        validation = f"{_so_many(gap.val_people, 'validation', True)} (phantoms)"
    last = "the made-up thighs" if gap.made_up else "the validation people"
    return (
        f"The difference between the reported training and validation {_NAMES[gap.metric]} was split into parts that "
        "add up exactly, by measuring the training slices again with one condition changed at a time: weights from the "
        f"end of the epoch, dropout off, no augmentation, averaged person by person, and then {last}. "
        f"The last part compares {validation} with {gap.train_people} training people measured alike; {spread}."
        f"{further}"
    )


def as_text(gap: Gap, epoch: int, run: str = "") -> str:
    """Sentence, numbers and methods text, ready to be pasted."""
    of = f" of {gap.label.replace('_', ' ')}" if gap.label else ""
    where = f"{_NAMES[gap.metric].capitalize() if gap.metric != 'dice' else 'Dice'}{of}, epoch {epoch}"
    lines = [f"{where} of {run}" if run else where, sentence(gap), ""]
    digits = 2 if gap.metric in PER_CENT else 4
    (_, train), *parts, (_, validation) = told_rows(gap, digits)
    lines.append(f"{TITLES['train']}: {amount(gap.metric, train, digits=digits)}")
    for name, value in parts:
        lines.append(f"{TITLES[name]} ({name}): {amount(gap.metric, value, True, digits)}")
    if gap.interval is not None and not gap.made_up:
        low, high = (amount(gap.metric, value, True, digits) for value in gap.interval)
        lines.append(f"  95 % interval of the difference between the people: {low} to {high}")
    lines.append(f"{TITLES['validation']}: {amount(gap.metric, validation, digits=digits)}")
    lines.append(f"Left over: {abs(gap.residual):.1g}")
    return "\n".join([*lines, "", methods_text(gap), ""])


def small_set_words(gap: Gap, dropout: float = 0.0, trained_on: int = 0) -> str:
    """One sentence on what a small set makes unsure; empty where nothing does.

    Parameters
    ----------
    gap : Gap
    dropout : float
        Share that is dropped while learning.
    trained_on : int
        Everybody trained on: ``gap.train_people`` may be fewer, for only some are measured.
    """
    sides = ((gap.val_people, "validation"), (gap.train_people, "training"))
    few = [(number, side) for number, side in sides if number < _SMALL]
    subset = gap.train_people < trained_on
    if few:
        who = " and ".join(_so_many(number, side, gap.made_up) for number, side in few)
        drawn = ", and dropout drops something else in each pass" if dropout else ""
        return f"Measured on {who}: one more or less can turn a part round{drawn}; take the parts as a hint."
    if dropout and subset:
        return (
            f"Dropout drops something else in each pass, and {gap.train_people} of {trained_on} training people are "
            f"measured: “{TITLES['lag']}” and “{TITLES['regime']}” differ a little each time."
        )
    return ""


def to_csv(measured: Mapping[int, Mapping[str, Gap]]) -> str:
    """One row per epoch and metric, in the unit of the metric (not in points); empty cells where not measured.

    ``train`` and the parts up to ``selection`` add up to ``validation``; ``difficulty`` is a share of ``split``.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    ends = ["split_low", "split_high", "train_people", "val_people", "leaked", "difficulty", "judge", "label"]
    table.writerow(["epoch", "metric", "train", *TERMS, "ema", "selection", "validation", "residual", *ends])
    for epoch, gaps in sorted(measured.items()):
        for metric, gap in gaps.items():
            parts = (*(getattr(gap, name) for name in TERMS), gap.ema, gap.selection)
            cells = [_cell(v) for v in (gap.train, *parts, gap.validation, gap.residual)]
            people = [gap.train_people, gap.val_people, gap.leaked]
            interval = [_cell(v) for v in gap.interval or (None, None)]
            row = [epoch, metric, *cells, *interval, *people, _cell(gap.difficulty), gap.judge, gap.label]
            table.writerow(row)
    return out.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def _so_many(number: int, side: str, made_up: bool) -> str:
    if made_up and side == "validation":
        return f"{number} made-up thigh{'s' * (number != 1)}"
    return f"{number} {side} {'person' if number == 1 else 'people'}"
