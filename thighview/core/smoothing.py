"""Smoothing of a curve that leaves it where it is."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
_REACH = 500.0
"""Widths that are summed at once: exp of more would not fit a float64."""


def smooth(x: Values, y: Values, width: float) -> Values:
    """Mean of the points around each one, their weight falling with the distance: ``exp(-|x_i - x_j| / width)``.

    Both sides count, so that nothing is moved along x (a running average would come late, a train and a validation
    line by different amounts), and unevenly spaced points count by where they lie.

    Parameters
    ----------
    x : ndarray of float64, shape (n,)
        Places, rising.
    y : ndarray of float64, shape (n,)
        Values, finite.
    width : float
        Distance at which the weight has fallen to 1/e, in the unit of x; 0 gives ``y`` back.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    if width <= 0 or len(y) < 2:
        return y.copy()
    ones = np.ones_like(y)
    total = _past(x, y, width) + _past(-x[::-1], y[::-1], width)[::-1] - y
    weight = _past(x, ones, width) + _past(-x[::-1], ones, width)[::-1] - 1.0
    return total / weight


def _past(x: Values, y: Values, width: float) -> Values:
    """Sum of each value and all before it, weighted by distance."""
    place = (x - x[0]) / width
    block = np.floor(place / _REACH).astype(np.int64)
    out = np.empty_like(y)
    carried, last = 0.0, 0.0
    for start, end in _runs(block):
        here = place[start:end] - place[start]
        first = carried * np.exp(last - place[start]) if start else 0.0
        out[start:end] = (np.cumsum(np.exp(here) * y[start:end]) + first) * np.exp(-here)
        carried, last = float(out[end - 1]), float(place[end - 1])
    return out


def _runs(block: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Start and end of each stretch of equal numbers."""
    edges = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(block)]
    return list(pairwise(edges))
