"""A gesture while it is under way: what it paints, and what was there before."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from thighview.core.mask import LabelMap, Region


class OpenEdit:
    """A gesture under way: writes into one box, then becomes one Edit, or is rolled back whole.

    Parameters
    ----------
    labels : ndarray of uint8, shape (z, y, x)
        The label map of the case, written into.
    region : Region
        The box.
    changed : callable
        Is told each box that was written.
    """

    def __init__(self, labels: LabelMap, region: Region, changed: Callable[[Region], None]) -> None:
        self.region = region
        self.before: LabelMap = labels[region.slices].copy()
        self.is_over = False
        self.afterwards = ""
        """What to say when the gesture has ended; said earlier, its own step would take it away."""
        self._labels = labels
        self._changed = changed

    def paint(self, region: Region, inside: NDArray[np.bool_], value: int) -> None:
        """Give the true voxels of a box inside the gesture's region a label value (0 erases)."""
        if self.is_over:  # another case was opened under the hand
            return
        self._labels[region.slices][inside] = value
        self._changed(region)

    def restore(self) -> None:
        """Put back what was there when the gesture began, and end it."""
        self.is_over = True
        self._labels[self.region.slices] = self.before
        self._changed(self.region)
