"""Student's t distribution, for intervals of means over few people.

The percentiles of a bootstrap are too narrow there: of 5 people, "95 %" of them hold the truth in 84 of 100 studies.
"""

import math
from collections.abc import Sequence

import numpy as np

FEWEST = 3
"""People in each group from which on two groups, or two models, are compared and something is concluded.

The mean of one group has its exact interval from two people on. That of a difference is not exact: of 2 people beside
14, Welch's "95 %" hold the truth in 89 of 100 studies, of 3 beside 14 in 94.
"""
_T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def t_975(degrees: int) -> float:
    """The 97.5 % point of Student's t distribution.

    From a table up to 9 degrees, then the expansion of Abramowitz and Stegun, 1964, 26.7.5, right to 3 digits.
    """
    if degrees <= len(_T_975):
        return _T_975[degrees - 1]
    z = 1.959964
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3


def t_point(probability: float, degrees: int) -> float:
    """Any point of Student's t distribution, 0 < probability < 1."""
    from scipy.special import stdtrit  # scipy loads slowly, and few ask for this

    return float(stdtrit(degrees, probability))


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the mean over people: ``mean +- t s / sqrt(n)``; None for fewer than two.

    ``t`` is the 97.5 % point of Student's distribution with n - 1 degrees of freedom ("Student" 1908).
    """
    known = np.asarray(values, np.float64)
    if known.size < 2:
        return None
    half = t_975(known.size - 1) * float(known.std(ddof=1)) / math.sqrt(known.size)
    return float(known.mean()) - half, float(known.mean()) + half


def difference_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of mean(second) - mean(first) over two groups; None for fewer than ``FEWEST`` in either.

    People, not slices, are counted: slices of one person are not independent.
    ``t`` times the standard error ``sqrt(s1^2 / n1 + s2^2 / n2)``, with the degrees of freedom of B. L. Welch, 1947,
    The generalization of Student's problem when several different population variances are involved, rounded down.
    """
    groups = [np.asarray(values, np.float64) for values in (first, second)]
    if min(group.size for group in groups) < FEWEST:
        return None
    parts = [float(group.var(ddof=1)) / group.size for group in groups]
    degrees = [group.size - 1 for group in groups]
    return interval_about(float(groups[1].mean() - groups[0].mean()), list(zip(parts, degrees, strict=True)))


_ROUNDING = 1e-9
"""What a whole number of degrees may lose as a float."""


def interval_about(middle: float, parts: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """95 % interval about a value whose squared standard error is a sum of independent parts.

    Each part is a variance and its degrees of freedom, 1 or more; those of the sum are by F. E. Satterthwaite, 1946,
    An approximate distribution of estimates of variance components, rounded down.
    """
    error = sum(part for part, _ in parts)
    if error == 0.0:
        return middle, middle
    degrees = 1 / sum((part / error) ** 2 / free for part, free in parts)  # shares: their squares do not vanish
    half = t_975(max(1, int(degrees + _ROUNDING))) * math.sqrt(error)
    return middle - half, middle + half
