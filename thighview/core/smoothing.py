"""Smoothing of a curve that leaves it where it is."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
_REACH = 500.0
"""Widths that are summed at once: exp of more would not fit a float64."""

_LEAST_SPREAD = 1e-9
"""Weighted variance of the places around a point, in widths squared, below which no line is fitted: others are too far
away to weigh anything beside rounding, and the point keeps its value."""


def smooth(x: Values, y: Values, width: float) -> Values:
    """A straight line fitted around each point, read at the point; weights fall with the distance.

    Weights are ``exp(-|x_i - x_j| / width)``. Both sides count, so that nothing is moved along x (a running average
    would come late, a train and a validation line by different amounts). Unevenly spaced points count by where they
    lie. A line, not a mean, is fitted, so that the ends of a falling curve are not lifted (local linear regression,
    Fan and Gijbels 1996, chapter 3). A point with no other within some 25 widths keeps its value.

    Parameters
    ----------
    x : ndarray of float64, shape (n,)
        Places, each greater than the one before.
    y : ndarray of float64, shape (n,)
        Values, finite.
    width : float
        Distance at which the weight has fallen to 1/e, in the unit of x; 0 gives ``y`` back.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    if width <= 0 or len(y) < 3:
        return y.copy()
    place = (x - x[0]) / width

    table = np.stack([np.ones_like(y), place, place * place, y, place * y], axis=1)
    sums = _past(place, table) + _past(-place[::-1], table[::-1])[::-1] - table
    s0, x1, x2, t0, xy = sums.T
    # moments of the distance d = x_j - x_i, from moments of x_j
    s1, t1 = x1 - place * s0, xy - place * t0
    s2 = x2 - 2 * place * x1 + place * place * s0
    spread = s0 * s2 - s1 * s1
    alone = spread <= _LEAST_SPREAD * s0 * s0
    return np.where(alone, t0 / s0, (s2 * t0 - s1 * t1) / np.where(alone, 1.0, spread))


def _past(x: Values, table: Values) -> Values:
    """Sum of each row of a table (n, k) and all before it, weighted by distance along x (n,)."""
    out = np.empty_like(table)
    edges = [0, *(np.flatnonzero(np.diff((x - x[0]) // _REACH)) + 1).tolist(), len(x)]
    for start, end in pairwise(edges):
        here = (x[start:end] - x[start])[:, None]
        out[start:end] = np.cumsum(np.exp(here) * table[start:end], axis=0)
        if start:
            out[start:end] += out[start - 1] * np.exp(x[start - 1] - x[start])
        out[start:end] *= np.exp(-here)
    return out
