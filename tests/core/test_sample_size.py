import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thighview.core.sample_size import DRAWS, by_sample_size, people_needed, sizes_up_to
from thighview.core.student import mean_interval


@pytest.mark.parametrize(
    ("people", "sizes"),
    [(0, []), (1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (7, [1, 2, 3, 5, 7]), (20, [1, 2, 3, 5, 8, 13, 20])],
)
def test_sizes_grow_each_by_the_one_before_and_end_with_everybody(people: int, sizes: list[int]) -> None:
    assert sizes_up_to(people) == sizes


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["dice", "loss", "accuracy"])
def test_a_mean_over_people_is_flat_within_noise_and_its_band_closes(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    values = {"dice": rng.beta(8, 2, 20), "loss": rng.exponential(0.3, 20), "accuracy": 1 - rng.exponential(0.01, 20)}
    people = values[kind]
    found = by_sample_size(people.tolist())
    noise = people.std() / np.sqrt(found.n) / math.sqrt(DRAWS)
    assert (np.abs(found.mean - people.mean()) <= 4 * noise + 1e-12).all()
    width = found.high - found.low
    assert (np.diff(width) < 0).all()
    assert width[-1] == 0
    assert found.mean[-1] == pytest.approx(people.mean(), abs=1e-15)


def test_the_width_at_n_is_that_of_drawing_without_replacement() -> None:
    people = np.random.default_rng(3).normal(0.8, 0.1, 60)
    found = by_sample_size(people.tolist(), draws=4000)
    n = found.n[:-1]
    expected = people.std(ddof=1) / np.sqrt(n) * np.sqrt(1 - n / 60) * 2 * 1.96
    here = n >= 5
    assert (found.high - found.low)[:-1][here] == pytest.approx(expected[here], rel=0.12)


def test_the_same_people_give_the_same_plot_and_nobody_gives_none() -> None:
    first, again, other = (by_sample_size([0.1, 0.5, 0.9, 0.7], seed=s) for s in (0, 0, 1))
    assert (first.low == again.low).all()
    assert (first.mean == again.mean).all()
    assert (first.mean != other.mean).any()
    assert by_sample_size([]).n.size == 0
    one = by_sample_size([0.4])
    assert (one.n.tolist(), one.low.tolist(), one.high.tolist()) == ([1], [0.4], [0.4])


def test_people_needed_by_hand() -> None:
    values = [0.7, 0.8, 0.9]  # s = 0.1
    assert people_needed(values, 0.05) == 18, "2.110 x 0.1 / sqrt(18) is below 0.05, 2.120 x 0.1 / sqrt(17) is not"
    assert people_needed(values, 4.303 * 0.1 / math.sqrt(3)) == 3, "not one more where it just fits"
    assert people_needed(values, 1.0) == 2, "an interval takes two"
    assert people_needed(values, 0.002) == 9607, "of ever so many, t is 1.96"
    assert people_needed([0.5], 0.1) is None
    assert people_needed(values, 0.0) is None


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.floats(0.5, 2))
def test_the_people_needed_and_the_interval_there_is_agree(values: list[float], share: float) -> None:
    """Who has an interval as narrow as wanted needs no more people, and who has not needs more."""
    low, high = mean_interval(values) or (0.0, 0.0)
    wanted = share * (high - low) / 2
    if wanted > 1e-9:
        needed = people_needed(values, wanted) or 0
        assert needed <= len(values) if share > 1.001 else share > 0.999 or needed > len(values)


def test_ever_so_many_people_are_counted_at_once_and_no_number_is_none() -> None:
    values = [0.0, 20.0, 40.0, 60.0]
    n = people_needed(values, 1e-4)
    assert n is not None and n > 10**11
    assert people_needed([0.5, float("nan"), 0.7], 0.1) is None
    assert people_needed([0.5, 0.5], 0.1) == 2
