"""Small things a network gets wrong and nobody wants to mend by hand: stray pieces of a label, and holes in it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap

LEAST_PIECE = 0.1
"""A piece of a label stays when it has this share of the voxels of its largest one: a muscle may be cut in two."""
LARGEST_HOLE_CM2 = 1.0
_SCATTERED = ("muscle", "vasti", "adductors", "intermuscular_fat")
"""Several muscles under one name, and the fat between them, lie in pieces by nature."""
_OPEN = ("intermuscular_fat", "subcutaneous_fat")
"""They go round other things, which are no holes in them."""


def tidy(labels: LabelMap, table: LabelTable, pixel_cm2: float, whole: bool = True) -> list[int]:
    """Take stray pieces of each label away and fill its holes, in place.

    A stray piece gets what lies nearest to it on its slice. A hole is background within one label on one slice.

    Parameters
    ----------
    labels : ndarray of uint8, shape (slices, rows, columns)
        Slice by slice; may be a view.
    table : LabelTable
        Labels that lie in pieces by nature are left alone, by their names in the box.
    pixel_cm2 : float
        Area of a pixel of a slice.
    whole : bool
        Whether these are all slices of the stack; else no piece is taken away, for what is one muscle in the stack may
        lie in pieces on some of its slices.

    Returns
    -------
    list of int
        Slices that are other ones now.
    """
    if labels.size == 0:
        return []
    before = labels.copy()
    boxes: list[Any] = ndimage.find_objects(labels)
    stray = np.zeros(labels.shape, bool)
    for label in table:
        box = boxes[label.value - 1] if label.value <= len(boxes) else None
        if box is None or label.name in _SCATTERED or not whole:
            continue
        found: Any = ndimage.label(labels[box] == label.value)
        pieces, count = found
        if count > 1:
            sizes = np.bincount(pieces.ravel())
            sizes[0] = 0
            small = sizes < LEAST_PIECE * sizes.max()
            small[0] = False
            stray[box] |= small[pieces]
    for index in np.flatnonzero(stray.any((1, 2))):
        _take_nearest(labels[index], stray[index])
    for label in table:
        box = boxes[label.value - 1] if label.value <= len(boxes) else None
        if box is not None and label.name not in _OPEN:
            for plane in labels[box]:
                _fill(plane, label.value, LARGEST_HOLE_CM2 / pixel_cm2)
    return [int(index) for index in np.flatnonzero((labels != before).any((1, 2)))]


def _take_nearest(plane: NDArray[np.uint8], stray: NDArray[np.bool_]) -> None:
    at: Any = ndimage.distance_transform_edt(stray, return_distances=False, return_indices=True)
    plane[...] = plane[tuple(at)]


def _fill(plane: NDArray[np.uint8], value: int, most_pixels: float) -> None:
    """Give the small pieces of background that one label encloses that label."""
    own = plane == value
    filled: Any = ndimage.binary_fill_holes(own)
    inside = filled & (plane == 0)
    if inside.any():
        found: Any = ndimage.label(inside)
        pieces = found[0]
        small = np.bincount(pieces.ravel()) <= most_pixels
        small[0] = False
        plane[small[pieces]] = value
