"""How much a person corrected, counted from the history of a mask."""

from pathlib import Path

import numpy as np
import pytest

from thighview.core.case import Case
from thighview.core.corrections import contour_pixels, edit_counts, slice_weight
from thighview.core.history import Edit
from thighview.core.mask import Patch, Region
from thighview.core.review import ReviewChange, SliceReview, SliceState
from thighview.core.volume import Volume

SHAPE = (3, 10, 10)
CORRECTED = SliceReview(SliceState.CORRECTED, model_beneath=True)


def _case() -> Case:
    volume = Volume(np.zeros(SHAPE, np.int16), np.eye(4)[[2, 1, 0, 3]], "made")
    return Case.of(volume, Path("/made.nii.gz"))


def _step(case: Case, tool: str, z: int, rows: slice, columns: slice, value: int) -> None:
    """Paint a box of one slice as one edit, as the window does."""
    after = case.labels.copy()
    after[z, rows, columns] = value
    box = Region(z, z + 1, 0, SHAPE[1], 0, SHAPE[2])
    patch = Patch.between(box, case.labels[box.slices], after[box.slices])
    review = case.reviews[z]
    then = review.after_model() if tool == "model" else review.after_edit()
    case.labels[...], case.reviews[z] = after, then
    case.history.push(Edit(tool, tool, (patch,) if patch else (), (ReviewChange(z, review, then),)))


def test_pixels_changed_since_the_model_ran_are_counted() -> None:
    case = _case()
    _step(case, "brush", 0, slice(0, 10), slice(0, 10), 3)  # before the model: its own matter
    _step(case, "model", 0, slice(0, 10), slice(0, 10), 0)
    _step(case, "model", 0, slice(2, 8), slice(2, 8), 1)
    _step(case, "brush", 0, slice(2, 8), slice(8, 9), 1)  # 6 pixels more
    _step(case, "eraser", 0, slice(2, 3), slice(2, 9), 0)  # 7 less, one of them of those 6
    _step(case, "brush", 0, slice(5, 6), slice(5, 6), 2)
    _step(case, "brush", 0, slice(5, 6), slice(5, 6), 1)  # and back
    case.reviews[0] = CORRECTED
    edited, contour = edit_counts(case)[0]
    assert edited == 5 + 6
    assert contour == contour_pixels(case.labels[0]) == 2 * (5 + 7) - 4
    assert edit_counts(case)[1] == (0, 0)


def test_only_corrected_slices_count_and_a_model_run_starts_anew() -> None:
    case = _case()
    for z in range(3):
        _step(case, "model", z, slice(2, 8), slice(2, 8), 1)
        _step(case, "brush", z, slice(2, 4), slice(2, 4), 2)
    case.reviews[0] = CORRECTED
    case.reviews[1] = SliceReview(SliceState.DRAWN)
    assert [edited for edited, _ in edit_counts(case)] == [4, 0, 0]
    rerun = Edit("again", "model", (), (ReviewChange(0, CORRECTED, CORRECTED.after_model()),))
    case.history.push(rerun)  # the model left the slice as it was
    assert edit_counts(case)[0][0] == 0


def test_what_was_undone_does_not_count() -> None:
    case = _case()
    _step(case, "model", 0, slice(2, 8), slice(2, 8), 1)
    _step(case, "brush", 0, slice(0, 2), slice(0, 2), 1)
    back = case.history.undo()
    assert back is not None
    back.patches[0].apply(case.labels)
    case.reviews[0] = CORRECTED
    assert edit_counts(case)[0][0] == 0


@pytest.mark.parametrize("axis", [1, 2])
def test_planes_across_the_slices_count_the_corrected_rows(axis: int) -> None:
    case = _case()
    _step(case, "model", 1, slice(2, 8), slice(2, 8), 1)
    _step(case, "brush", 1, slice(2, 3), slice(2, 8), 2)
    case.reviews[1] = CORRECTED
    counts = [edited for edited, _ in edit_counts(case, axis)]
    assert counts == ([0, 0, 6, 0, 0, 0, 0, 0, 0, 0] if axis == 1 else [0, 0, 1, 1, 1, 1, 1, 1, 0, 0])


def test_contours_and_weights() -> None:
    plane = np.zeros((6, 6), np.uint8)
    assert contour_pixels(plane) == 0
    plane[1:5, 1:5] = 1
    assert contour_pixels(plane) == 12
    plane[1:5, 3:5] = 2
    assert contour_pixels(plane) == 16
    assert contour_pixels(np.ones((6, 6), np.uint8)) == 0
    assert slice_weight(1.0, 0, 40) == 1.0
    assert slice_weight(1.0, 10, 40) == 1.25
    assert slice_weight(2.0, 400, 40) == 3.0
    assert slice_weight(1.0, 5, 0) == 2.0
    assert slice_weight(0.0, 5, 5) == 1.0
