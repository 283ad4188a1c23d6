"""What a pass over slices measured: sums per slice, and every curve derived from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops as keras_ops
from numpy.typing import NDArray

from thighview.core.run import Scores, SliceSums
from thighview.engine.losses import SMOOTH_PX, SliceTerms, class_logits, counted, one_hot

ops: Any = keras_ops
_PLAIN = 2
"""Columns before those that exist per class: cross-entropy sum and pixels."""
_PER_CLASS = ("tp", "fp", "fn", "soft_tp", "soft_p", "soft_y")


class SliceTable(keras.metrics.Metric):
    """One row of sums per slice, scattered by its place in the pass.

    The place ("slot") of each slice travels with the labels (``y = {"labels", "slots", "weights"}``), and
    ``engine.learner.Learner`` hands both to ``update_state`` in Keras' own ``compute_metrics`` hook; so no step is
    bound to a backend, and it does not matter in which order or on which device batches run. A row is overwritten
    by the next pass and never summed into, so ``reset_state`` has nothing to do: ``train_on_batch`` calls it before
    every batch, and a whole epoch must survive that.

    Parameters
    ----------
    slots : int
        Rows of the longest pass; one more row takes the slices that only fill up a batch.
    classes : int
        C, the background among them.
    """

    def __init__(self, slots: int, classes: int) -> None:
        super().__init__(name="slice_table", dtype="float32")
        self.spare = slots
        self.table = self.add_variable(
            shape=(slots + 1, _PLAIN + len(_PER_CLASS) * classes), initializer="zeros", name="table"
        )

    def update_state(self, terms: SliceTerms, labels: Any, logits: Any, slots: Any) -> None:
        """Write the rows of one batch; ``terms`` are its soft sums, the hard ones are counted at the arg-max."""
        z = class_logits(logits)
        classes = z.shape[-1]
        y = one_hot(labels, classes)
        chosen = one_hot(ops.argmax(z, axis=-1), classes) * ops.expand_dims(counted(labels), -1)
        tp = ops.sum(chosen * y, axis=(1, 2))
        fp = ops.sum(chosen, axis=(1, 2)) - tp
        fn = terms.soft_y - tp
        plain = ops.stack([terms.ce_sum, terms.pixels], axis=-1)
        rows = ops.concatenate([plain, tp, fp, fn, terms.soft_tp, terms.soft_p, terms.soft_y], axis=-1)
        self.table.assign(ops.scatter_update(self.table, ops.expand_dims(slots, -1), rows))

    def result(self) -> Any:
        """Share of right pixels in the rows so far (a scalar, because Keras asks for one)."""
        classes = (self.table.shape[1] - _PLAIN) // len(_PER_CLASS)
        right = ops.sum(self.table[: self.spare, _PLAIN : _PLAIN + classes])
        return right / ops.maximum(ops.sum(self.table[: self.spare, 1]), 1.0)

    def reset_state(self) -> None:
        """Nothing: see the class."""

    def rows(self, count: int) -> NDArray[np.float32]:
        """The first rows, float32 (count, 2 + 6 C)."""
        return np.array(ops.convert_to_numpy(self.table[:count]), np.float32)


@dataclass(frozen=True)
class Sums:
    """The sums of one pass: ``ids`` (n,) are slice ids of the run's dataset, ``steps`` (n,) the batch of each.

    ``ce_sum`` and ``pixels`` (n,); ``tp fp fn soft_tp soft_p soft_y`` (n, C), the background first; all float32.
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

    @staticmethod
    def of(rows: NDArray[np.float32], ids: Sequence[int], batch_size: int) -> "Sums":
        """The table of rows read from :class:`SliceTable`, in the order of the pass."""
        classes = (rows.shape[1] - _PLAIN) // len(_PER_CLASS)
        parts = [rows[:, _PLAIN + i * classes : _PLAIN + (i + 1) * classes] for i in range(len(_PER_CLASS))]
        steps = (np.arange(len(rows)) // batch_size).astype(np.int32)
        return Sums(np.asarray(ids, np.int32), steps, rows[:, 0], rows[:, 1], *parts)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Name to array, for ``numpy.savez`` (per-class columns are 2-D)."""
        return {name: getattr(self, name) for name in ("ids", "steps", "ce_sum", "pixels", *_PER_CLASS)}

    def rows_of(self, subjects: Mapping[int, str]) -> list[SliceSums]:
        """The same as values, one per slice."""
        return [
            SliceSums(
                int(i), subjects[int(i)], float(self.ce_sum[k]), int(self.pixels[k]),
                *(tuple(map(float, getattr(self, name)[k])) for name in _PER_CLASS),
            )
            for k, i in enumerate(self.ids)
        ]  # fmt: skip


@dataclass(frozen=True)
class SubjectScores:
    """One person: loss, share of right pixels, and 3-D Dice per label (None where it is in neither mask)."""

    subject: str
    loss: float | None
    accuracy: float | None
    dice: tuple[float | None, ...]

    @property
    def mean_dice(self) -> float | None:
        """Mean over the labels that are in one of the masks; None without any."""
        return _mean([d for d in self.dice if d is not None])


def slice_losses(sums: Sums, kind: str) -> NDArray[np.float64]:
    """Loss of each slice from its sums, float64 (n,): the same definitions as ``engine.losses.slice_loss``."""
    ce = sums.ce_sum.astype(np.float64) / np.maximum(sums.pixels, 1)
    return {"ce": ce, "dice": _dice_losses(sums), "ce_dice": ce + _dice_losses(sums)}[kind]


def subject_scores(sums: Sums, subjects: Mapping[int, str], kind: str) -> list[SubjectScores]:
    """Scores of each person of a pass, sorted by subject.

    Cross-entropy and accuracy are averaged over the person's counted pixels; the Dice part of a loss over the
    person's slices (it is defined per slice); Dice is 3-D: 2 TP / (2 TP + FP + FN) of sums over the person's slices.

    Parameters
    ----------
    sums : Sums
    subjects : mapping of slice id to subject
    kind : {"ce", "dice", "ce_dice"}
    """
    owner = np.array([subjects[int(i)] for i in sums.ids])
    dice_losses = _dice_losses(sums)
    scores: list[SubjectScores] = []
    for subject in sorted(set(owner.tolist())):
        mine = owner == subject
        pixels = float(sums.pixels[mine].sum(dtype=np.float64))
        if pixels == 0:
            scores.append(SubjectScores(subject, None, None, (None,) * (sums.tp.shape[1] - 1)))
            continue
        ce = float(sums.ce_sum[mine].sum(dtype=np.float64)) / pixels
        dice_part = float(dice_losses[mine].mean())
        loss = {"ce": ce, "dice": dice_part, "ce_dice": ce + dice_part}[kind]
        tp, fp, fn = (a[mine].sum(axis=0, dtype=np.float64) for a in (sums.tp, sums.fp, sums.fn))
        per_label = tuple(
            float(2 * tp[c] / (2 * tp[c] + fp[c] + fn[c])) if tp[c] + fp[c] + fn[c] > 0 else None
            for c in range(1, len(tp))
        )
        scores.append(SubjectScores(subject, loss, float(tp.sum()) / pixels, per_label))
    return scores


def mean_scores(sums: Sums, subjects: Mapping[int, str], kind: str) -> Scores:
    """Mean over subjects of each person's own score: the honest aggregate of a pass."""
    each = subject_scores(sums, subjects, kind)
    return Scores(_mean([s.loss for s in each]), _mean([s.accuracy for s in each]), _mean([s.mean_dice for s in each]))


def label_dice(sums: Sums, subjects: Mapping[int, str], kind: str) -> tuple[float | None, ...]:
    """Mean over people of the Dice of each label; None where no one has it."""
    people = subject_scores(sums, subjects, kind)
    return tuple(_mean(row) for row in zip(*(person.dice for person in people), strict=True))


def learning_scores(sums: Sums, subjects: Mapping[int, str], kind: str) -> Scores:
    """What Keras' running average says of a training epoch, each slice as it was when it was learnt from.

    Loss is the mean over slices (batches are equally large, so this is the mean of the batches, as Keras has it);
    accuracy the share of all pixels seen; Dice is pooled per person like the honest curves, so that what differs
    from them is the weights, dropout and augmentation, not the bookkeeping.
    """
    pixels = float(sums.pixels.sum(dtype=np.float64))
    return Scores(
        _mean(list(slice_losses(sums, kind))),
        float(sums.tp.sum(dtype=np.float64)) / pixels if pixels else None,
        mean_scores(sums, subjects, kind).dice,
    )


def _dice_losses(sums: Sums) -> NDArray[np.float64]:
    top = 2.0 * sums.soft_tp.astype(np.float64) + SMOOTH_PX
    dice = top / (sums.soft_p.astype(np.float64) + sums.soft_y + SMOOTH_PX)
    return 1.0 - dice[:, 1:].mean(axis=1)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [float(v) for v in values if v is not None]
    return float(np.mean(known)) if known and np.isfinite(known).all() else None
