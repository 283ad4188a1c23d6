"""How much of a slice a person has changed since a model drew it, and against what that is measured."""

import numpy as np
from numpy.typing import NDArray

from thighview.core.case import Case
from thighview.core.history import History
from thighview.core.mask import LabelMap
from thighview.core.review import SliceState


def edit_counts(case: Case, axis: int = 0) -> list[tuple[int, int]]:
    """For each plane across an array axis: pixels corrected by hand, and pixels of the contours.

    Only slices in the state ``corrected`` have corrected pixels: those whose label is not the one the last model run
    left there. What was painted and taken back counts nothing. Of a history that does not reach back to the model run
    (its journal was damaged) only what is known counts.

    Parameters
    ----------
    case : Case
        With its history.
    axis : int
        0: the stored slices; else planes across them, in which only rows of corrected slices count.
    """
    labels = case.labels
    corrected = [i for i, review in enumerate(case.reviews) if review.state is SliceState.CORRECTED]
    edited = np.zeros(labels.shape[axis], np.int64)
    if corrected:
        work = hand_work(case.history, (labels.shape[0], labels.shape[1], labels.shape[2]))
        if axis == 0:
            edited[corrected] = [np.count_nonzero(work[i]) for i in corrected]
        else:
            for i in corrected:
                edited += np.count_nonzero(work[i], axis=2 - axis)
    return [(int(n), contour_pixels(plane)) for n, plane in zip(edited, np.moveaxis(labels, axis, 0), strict=True)]


def hand_work(history: History, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """XOR of the label each voxel has and the one it had after the last model run on its slice; 0 where unchanged."""
    work = np.zeros(shape, np.uint8)
    for edit in history.edits[: history.done]:
        for patch in edit.patches:
            if edit.tool == "model":
                work[patch.region.z0 : patch.region.z1] = 0
            else:
                work[patch.region.slices] ^= patch.xor
        if edit.tool == "model":  # a slice it left as it was has no patch
            for change in edit.reviews:
                work[change.slice_index] = 0
    return work


def contour_pixels(plane: LabelMap) -> int:
    """Labelled pixels of a plane (rows, columns) that touch another label, or none, with one of their four sides."""
    border = np.zeros(plane.shape, bool)
    down, right = plane[1:] != plane[:-1], plane[:, 1:] != plane[:, :-1]
    border[1:] |= down
    border[:-1] |= down
    border[:, 1:] |= right
    border[:, :-1] |= right
    return int(np.count_nonzero(border & (plane > 0)))


def slice_weight(edit_weight: float, edited_px: int, contour_px: int) -> float:
    """Weight of a slice in the loss: 1 + edit_weight * min(1, edited pixels / contour pixels)."""
    return 1.0 + edit_weight * min(1.0, edited_px / max(contour_px, 1))
