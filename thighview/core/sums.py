"""What a pass over slices measured: sums per slice, and every score derived from them. The engine fills them in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.people import mean_of
from thighview.core.run import PersonScores, Scores

PLAIN = 2
"""Columns of a row before those that exist per class: cross-entropy sum and pixels."""
PER_CLASS = ("tp", "fp", "fn", "soft_tp", "soft_p", "soft_y", "label_ce")
SMOOTH_PX = 1.0
"""Added to numerator and denominator of soft Dice, pixels: empty and empty is a perfect 1."""
COMBO_ALPHA, COMBO_BETA = 0.2, 0.4
"""Combo loss: the share of cross-entropy in it, and the weight of a label's pixels in it (background: 1 - beta)."""
TVERSKY_ALPHA, TVERSKY_BETA, TVERSKY_GAMMA = 0.7, 0.3, 4 / 3
"""Focal Tversky loss: weight of false negatives, weight of false positives, and the root that is taken."""
TVERSKY_FLOOR = 1e-7
"""A Tversky index as close as this to 1 counts as 1: the root has no slope there."""


@dataclass(frozen=True)
class Sums:
    """The sums of one pass: ``ids`` (n,) are slice ids of the run's dataset, ``steps`` (n,) the batch of each.

    ``ce_sum`` (nats) and ``pixels`` (n,); ``tp fp fn soft_tp soft_p soft_y label_ce`` (n, C), the background first; all
    float32. ``label_ce`` is the cross-entropy summed over the pixels whose true class it is: its sum is ``ce_sum``.
    """

    ids: NDArray[np.int32]
    steps: NDArray[np.int32]
    ce_sum: NDArray[np.float32]
    pixels: NDArray[np.float32]
    tp: NDArray[np.float32]
    fp: NDArray[np.float32]
    fn: NDArray[np.float32]
    soft_tp: NDArray[np.float32]
    soft_p: NDArray[np.float32]
    soft_y: NDArray[np.float32]
    label_ce: NDArray[np.float32]

    @staticmethod
    def of(rows: NDArray[np.float32], ids: Sequence[int], batch_size: int) -> "Sums":
        """The sums of a table of rows (n, PLAIN + 7 C), as ``engine.metrics.SliceTable`` gives them, in their order."""
        classes = (rows.shape[1] - PLAIN) // len(PER_CLASS)
        parts = [rows[:, PLAIN + i * classes : PLAIN + (i + 1) * classes] for i in range(len(PER_CLASS))]
        steps = (np.arange(len(rows)) // batch_size).astype(np.int32)
        return Sums(np.asarray(ids, np.int32), steps, rows[:, 0], rows[:, 1], *parts)

    @property
    def classes(self) -> int:
        """C, the background among them."""
        return self.tp.shape[1]

    def chosen(self, rows: NDArray[Any]) -> "Sums":
        """The sums of some rows: a boolean mask, or their numbers."""
        return Sums(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def slice_losses(sums: Sums, kind: str) -> NDArray[np.float64]:
    """Loss of each slice from its sums, float64 (n,): the same definitions as ``engine.losses.slice_loss``."""
    return _pixel_sums(sums, kind) / np.maximum(sums.pixels, 1) + _slice_parts(sums, kind)


def person_scores(sums: Sums, subjects: Mapping[int, str], kind: str) -> list[PersonScores]:
    """Scores of each person of a pass, sorted by subject.

    Cross-entropy and accuracy are averaged over the person's counted pixels; the Dice or Tversky part of a loss over
    the person's slices (it is defined per slice). Dice is 3-D: 2 TP / (2 TP + FP + FN) of the person's sums.

    Parameters
    ----------
    sums : Sums
    subjects : mapping of slice id to subject
    kind : {"ce", "dice", "ce_dice", "combo", "focal_tversky"}
    """
    owner = np.array([subjects[int(i)] for i in sums.ids])
    pixel_sums, slice_parts = _pixel_sums(sums, kind), _slice_parts(sums, kind)
    scores: list[PersonScores] = []
    for subject in sorted(set(owner.tolist())):
        mine = owner == subject
        pixels = float(sums.pixels[mine].sum(dtype=np.float64))
        if pixels == 0:
            scores.append(PersonScores(subject, None, None, (None,) * (sums.tp.shape[1] - 1)))
            continue
        loss = float(pixel_sums[mine].sum()) / pixels + float(slice_parts[mine].mean())
        tp, fp, fn = (a[mine].sum(axis=0, dtype=np.float64) for a in (sums.tp, sums.fp, sums.fn))
        ce_of = sums.label_ce[mine].sum(axis=0, dtype=np.float64)
        there = [tp[c] + fp[c] + fn[c] > 0 for c in range(1, len(tp))]
        numbers = range(1, len(tp))
        scores.append(PersonScores(
            subject, loss, float(tp.sum()) / pixels,
            tuple(float(2 * tp[c] / (2 * tp[c] + fp[c] + fn[c])) if known else None
                  for c, known in zip(numbers, there, strict=True)),
            tuple(float(ce_of[c] / (tp[c] + fn[c])) if tp[c] + fn[c] > 0 else None for c in numbers),
            tuple(float(1 - (fp[c] + fn[c]) / pixels) if known else None
                  for c, known in zip(numbers, there, strict=True)),
        ))  # fmt: skip
    return scores


def mean_scores(sums: Sums, subjects: Mapping[int, str], kind: str) -> Scores:
    """Mean over subjects of each person's own score: the honest aggregate of a pass."""
    each = person_scores(sums, subjects, kind)
    return Scores(_mean([s.loss for s in each]), _mean([s.accuracy for s in each]), _mean([s.mean_dice for s in each]))


def label_dice(sums: Sums, subjects: Mapping[int, str], kind: str) -> tuple[float | None, ...]:
    """Mean over people of the Dice of each label; None where no one has it."""
    people = person_scores(sums, subjects, kind)
    return tuple(_mean(row) for row in zip(*(person.dice for person in people), strict=True))


def learning_scores(sums: Sums, subjects: Mapping[int, str], kind: str) -> Scores:
    """The running average of a training epoch, each slice of the set as it was when it was learnt from.

    Loss is the mean over slices, each counted once whatever its weight, without replayed ones. Where nothing is
    replayed or weighted it is what Keras says (batches are equally large, so the mean of the batches is the same).
    Accuracy is the share of all pixels seen; Dice is pooled per person like the honest curves, so that what differs
    from them is the weights, dropout and augmentation, not the bookkeeping.
    """
    pixels = float(sums.pixels.sum(dtype=np.float64))
    return Scores(
        _mean(list(slice_losses(sums, kind))),
        float(sums.tp.sum(dtype=np.float64)) / pixels if pixels else None,
        mean_scores(sums, subjects, kind).dice,
    )


def label_learning_scores(sums: Sums, subjects: Mapping[int, str], kind: str, label: int) -> Scores:
    """:func:`learning_scores` of one label, by its place from 0: as a person's ``label_loss``, ``label_accuracy``.

    Loss and accuracy are of all pixels seen, whosever they are; Dice is pooled per person.
    """
    c = label + 1
    tp, fp, fn, ce, pixels = (
        float(a.sum(dtype=np.float64))
        for a in (sums.tp[:, c], sums.fp[:, c], sums.fn[:, c], sums.label_ce[:, c], sums.pixels)
    )
    return Scores(
        ce / (tp + fn) if tp + fn else None,
        1 - (fp + fn) / pixels if pixels and tp + fp + fn else None,
        mean_of(person_scores(sums, subjects, kind), "dice", label),
    )


def seed_scores(sums: Sums, thresholded: bool = False) -> Scores:
    """The numbers the seed's program printed: what Keras makes of them, batch by batch.

    Loss: binary cross-entropy, mean over slices (a loss is weighted by the size of its batch). Accuracy: share of right
    pixels. Dice: that of each batch as one lump, soft unless ``thresholded``, smooth 1, plainly averaged over batches
    whatever their size, as Keras does with a function that returns one number.
    """
    pixels = float(sums.pixels.sum(dtype=np.float64))
    if not pixels:
        return Scores()
    ce = sums.ce_sum.astype(np.float64) / np.maximum(sums.pixels, 1)
    dice: list[float | None] = []
    for step in np.unique(sums.steps):
        mine = sums.chosen(sums.steps == step)
        if thresholded:
            tp, both = mine.tp[:, 1:], 2 * mine.tp[:, 1:] + mine.fp[:, 1:] + mine.fn[:, 1:]
        else:
            tp, both = mine.soft_tp[:, 1:], mine.soft_p[:, 1:] + mine.soft_y[:, 1:]
        top, bottom = 2 * tp.sum(dtype=np.float64) + SMOOTH_PX, both.sum(dtype=np.float64) + SMOOTH_PX
        dice.append(float(top / bottom))
    return Scores(_mean(list(ce)), float(sums.tp.sum(dtype=np.float64)) / pixels, _mean(dice))


def _pixel_sums(sums: Sums, kind: str) -> NDArray[np.float64]:
    """The part of a loss that is a sum over pixels (to be divided by their number), float64 (n,)."""
    if kind in ("ce", "ce_dice"):
        return sums.ce_sum.astype(np.float64)
    if kind == "combo":
        ce = sums.label_ce.astype(np.float64)
        return COMBO_ALPHA * ((1 - COMBO_BETA) * ce[:, 0] + COMBO_BETA * ce[:, 1:].sum(axis=1))
    return np.zeros(len(sums.ids))


def _slice_parts(sums: Sums, kind: str) -> NDArray[np.float64]:
    """The part of a loss that is a number per slice, float64 (n,)."""
    if kind == "ce":
        return np.zeros(len(sums.ids))
    if kind in ("dice", "ce_dice"):
        return 1.0 - _soft_dice(sums).mean(axis=1)
    if kind == "combo":
        return -(1 - COMBO_ALPHA) * _soft_dice(sums).sum(axis=1)
    if kind == "focal_tversky":
        return _focal_tversky(sums)
    raise ValueError(f"unknown loss {kind!r}")


def _soft_dice(sums: Sums) -> NDArray[np.float64]:
    """Soft Dice of each label on each slice, (n, C - 1)."""
    top = 2.0 * sums.soft_tp.astype(np.float64) + SMOOTH_PX
    return (top / (sums.soft_p.astype(np.float64) + sums.soft_y + SMOOTH_PX))[:, 1:]


def _focal_tversky(sums: Sums) -> NDArray[np.float64]:
    tp, p, y = (a[:, 1:].astype(np.float64) for a in (sums.soft_tp, sums.soft_p, sums.soft_y))
    wrong = TVERSKY_ALPHA * np.maximum(y - tp, 0) + TVERSKY_BETA * np.maximum(p - tp, 0)
    lost = wrong / (tp + wrong + SMOOTH_PX)
    return np.where(lost > TVERSKY_FLOOR, lost ** (1 / TVERSKY_GAMMA), 0.0).mean(axis=1)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [float(v) for v in values if v is not None]
    return float(np.mean(known)) if known and np.isfinite(known).all() else None
