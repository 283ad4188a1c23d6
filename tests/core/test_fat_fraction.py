import numpy as np
import pytest

from thighview.core.fat_fraction import fat_fraction_percent, fat_fractions, fat_sums


def test_both_ways_of_averaging_against_plain_sums() -> None:
    rng = np.random.default_rng(5)
    water, fat = rng.integers(0, 900, (2, 6, 20, 20)).astype(np.float32)
    water[0, :5], fat[0, :5] = 0, 0
    labels = rng.integers(0, 4, water.shape).astype(np.uint8)
    found = fat_fractions(fat_sums(labels, water, fat))
    assert set(found) == {1, 2, 3}
    percent = fat_fraction_percent(water, fat)
    for value, one in found.items():
        lit = (labels == value) & (water + fat > 0)
        assert one.voxels == lit.sum()
        assert one.without_signal == (labels == value).sum() - lit.sum()
        assert one.mean_of_voxels == pytest.approx(percent[lit].mean(), rel=1e-5)
        assert one.of_the_sums == pytest.approx(100 * fat[lit].sum() / (water[lit] + fat[lit]).sum(), rel=1e-5)


def test_the_two_ways_are_equal_only_where_the_signal_is() -> None:
    labels = np.ones((1, 1, 2), np.uint8)
    water, fat = np.array([[[10, 0]]]), np.array([[[0, 90]]])
    one = fat_fractions(fat_sums(labels, water, fat))[1]
    assert (one.mean_of_voxels, one.of_the_sums) == (50.0, 90.0)


def test_negative_and_missing_numbers_are_no_signal() -> None:
    found = fat_fraction_percent(np.array([-5.0, np.nan, 4.0]), np.array([5.0, 3.0, -1.0]))
    assert found.tolist() == [100.0, 100.0, 0.0]
