"""The guard set: made-up thighs of fixed seeds in every contrast, on which a new model must not have got worse.

They are there in every project, also where nobody is locked away yet. They warn of forgetting and prove nothing about
people: their figures are never mixed with those of people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from thighview.core.comparing import Paired, Scores, compare_models, points, scores_of
from thighview.core.leaks import listed
from thighview.core.phantom_names import CONTRAST_WORDS, CONTRASTS

SEEDS = (920_004, 920_016)
"""Made-up people that no training shows: one with much fat, one lean, both narrow enough for a small picture."""
SLICES = 2
SPACING_MM = (100.0, 1.4)
MATRIX = (152, 272)
MARGIN, CONTRAST_MARGIN = 0.01, 0.02
"""Drop of Dice, over all contrasts and in one of them, from which on something is lost."""


@dataclass(frozen=True)
class GuardVerdict:
    """Two models on the guard set: whether something is ``lost``, in words, and in figures over all and by contrast."""

    lost: bool
    sentence: str
    overall: Paired
    contrasts: tuple[Paired, ...]


def guard_id(contrast: str, seed: int) -> str:
    """Name of one made-up scan."""
    return f"{contrast}-{seed}"


def compare_on_guard(old: Scores, new: Scores) -> GuardVerdict | None:
    """Old against new, each scan by its :func:`guard_id`; None where they have no label in common.

    Both are judged on the same set, so that the difference is a fact about it: there is no interval.
    """
    found = compare_models(old, new)
    change = {scan.subject: (scan.old, scan.new) for scan in found.people}
    if not change:
        return None
    by_contrast = {c: [change[i] for seed in SEEDS if (i := guard_id(c, seed)) in change] for c in CONTRASTS}
    contrasts = tuple(_paired(CONTRAST_WORDS[c], pairs) for c, pairs in by_contrast.items() if pairs)
    overall = _paired("", list(change.values()))
    worst = min(contrasts, key=lambda one: one.difference)
    if found.lost:
        names = listed([name.replace("_", " ") for name in found.lost])
        said = f"No longer draws {names} on made-up thighs; what both draw: {points(overall.difference)} points."
        return GuardVerdict(True, said, overall, contrasts)
    if overall.difference <= -MARGIN:
        where = f", most in {worst.label} ({points(worst.difference)})" if len(contrasts) > 1 else ""
        return GuardVerdict(True, f"Lost {_lost(overall)} on made-up thighs{where}.", overall, contrasts)
    if worst.difference <= -CONTRAST_MARGIN:
        said = f"Lost {_lost(worst)} on made-up thighs in {worst.label}; over all {points(overall.difference)}."
        return GuardVerdict(True, said, overall, contrasts)
    said = f"Nothing lost on made-up thighs: {points(overall.difference)} points."
    if overall.difference < 0:
        said = (
            f"Within the margin on made-up thighs: {points(overall.difference)} points, most in {worst.label} "
            f"({points(worst.difference)}); {100 * MARGIN:g} over all counts as lost."
        )
    return GuardVerdict(False, said, overall, contrasts)


def guard_of(new: Mapping[str, Any], old: Mapping[str, Any]) -> GuardVerdict | None:
    """The same from what ``thighview evaluate --guard --json`` says of both; None where they were not looked at."""
    if "guard" not in new or "guard" not in old:
        return None
    return compare_on_guard(scores_of(old["guard"])[0], scores_of(new["guard"])[0])


def _paired(label: str, pairs: list[tuple[float, float]]) -> Paired:
    old, new = np.array(pairs, np.float64).T
    return Paired(label, len(pairs), float(old.mean()), float(new.mean()), float((new - old).mean()), None)


def _lost(one: Paired) -> str:
    return f"{-100 * one.difference:.1f} points"
