"""A metric against the number of people it is averaged over, and how many people an interval needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighview.core.student import t_975

DRAWS = 500
_T_OF_MANY = 1.9599


@dataclass(frozen=True)
class SampleSizes:
    """Mean of the metric over ``n`` people and the middle 95 % of it, all of shape (k,) and in the metric's unit."""

    n: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def sizes_up_to(people: int) -> list[int]:
    """1, 2, 3, 5, 8, ... (each the sum of the two before) and the number of people itself."""
    sizes, following = [1], 2
    while following < people:
        sizes.append(following)
        following = sum(sizes[-2:])
    return [*sizes, people] if people > 1 else sizes[:people]


def by_sample_size(values: Sequence[float], draws: int = DRAWS, seed: int = 0) -> SampleSizes:
    """What the mean over n people reads, for n = 1, 2, 3, 5, 8, ... N.

    People are drawn without replacement, ``draws`` times for each n; the subsets of one draw grow by adding people.
    For a mean over people the expectation does not depend on n, so the line is flat; the band closes at n = N, where
    there is only one subset. The band tells of subsets of these very people; ``interval`` of ``core.gap`` tells of
    people not seen.

    Parameters
    ----------
    values : sequence of float
        Each person's own value, any order.
    draws, seed : int
        Subsets for each n; the same seed gives the same subsets.

    Returns
    -------
    SampleSizes
        Empty without people.
    """
    known = np.asarray(values, np.float64)
    sizes = np.array(sizes_up_to(known.size), np.int64)
    if not sizes.size:
        return SampleSizes(sizes, known, known, known)
    rng = np.random.default_rng([0x6E6E, seed])
    drawn = rng.permuted(np.broadcast_to(known, (draws, known.size)), axis=1)
    means = np.cumsum(drawn, axis=1)[:, sizes - 1] / sizes
    means[:, -1] = known.mean()  # all people, in whatever order
    low, high = np.percentile(means, (2.5, 97.5), axis=0)
    return SampleSizes(sizes, means.mean(axis=0), low, high)


def people_needed(values: Sequence[float], half_width: float) -> int | None:
    """People needed for a 95 % interval of ``+- half_width``: the fewest with ``t s / sqrt(n)`` no wider.

    ``t`` is the 97.5 % point of Student's distribution with n - 1 degrees of freedom, as in the intervals themselves;
    ``s`` the standard deviation between the people given (n - 1 in the denominator). None for fewer than two people
    a half-width that is not positive, or values that are no numbers.
    """
    if len(values) < 2 or half_width <= 0:
        return None
    wanted = half_width * (1 + 1e-9)
    spread = float(np.std(np.asarray(values, np.float64), ddof=1))
    if not math.isfinite(spread):
        return None

    def too_wide(n: int) -> bool:
        return t_975(n - 1) * spread / math.sqrt(n) > wanted

    low = 1
    high = max(2, math.ceil((_T_OF_MANY * spread / wanted) ** 2))  # no fewer would do with t of ever so many
    while too_wide(high):
        low, high = high, 2 * high
    while high - low > 1:  # the width falls with every person more
        middle = (low + high) // 2
        low, high = (middle, high) if too_wide(middle) else (low, middle)
    return high
