"""Patch and Region: a change is exact, tight, small, and never lands on the wrong mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from thighview.core.mask import Patch, Region, changed_slices, painted_values

SHAPE = (3, 5, 6)
maps = arrays(np.uint8, SHAPE, elements=st.integers(0, 255))


@given(maps, maps)
def test_a_patch_turns_before_into_after_and_back(before, after):
    patch = Patch.between(Region.whole(SHAPE), before, after)
    if patch is None:
        assert np.array_equal(before, after)
        return
    labels = before.copy()
    patch.apply(labels)
    assert np.array_equal(labels, after)
    patch.reversed().apply(labels)
    assert np.array_equal(labels, before)
    assert patch.reversed().reversed() == patch


@given(maps, maps)
def test_its_box_is_the_tight_one(before, after):
    patch = Patch.between(Region.whole(SHAPE), before, after)
    where = np.argwhere(before != after)
    if patch is None:
        assert len(where) == 0
        return
    low, high = where.min(axis=0), where.max(axis=0) + 1
    r = patch.region
    assert (r.z0, r.y0, r.x0) == tuple(low) and (r.z1, r.y1, r.x1) == tuple(high)
    for axis in range(3):
        assert list(changed_slices(patch, SHAPE, axis)) == sorted(set(where[:, axis]))


@given(maps, maps, maps)
def test_on_another_state_it_refuses_and_changes_nothing(before, after, other):
    patch = Patch.between(Region.whole(SHAPE), before, after)
    if patch is None or np.array_equal(other[patch.region.slices], before[patch.region.slices]):
        return
    labels = other.copy()
    with pytest.raises(ValueError, match="another state"):
        patch.apply(labels)
    assert np.array_equal(labels, other)


def test_a_box_inside_a_map_keeps_its_place():
    labels = np.zeros((4, 20, 20), np.uint8)
    region = Region(1, 3, 5, 15, 6, 16)
    after = labels[region.slices].copy()
    after[1, 4, 3] = 9
    patch = Patch.between(region, labels[region.slices], after)
    assert patch and patch.region == Region(2, 3, 9, 10, 9, 10)
    patch.apply(labels)
    assert labels[2, 9, 9] == 9 and np.count_nonzero(labels) == 1


def test_a_damaged_patch_is_refused():
    before = np.zeros(SHAPE, np.uint8)
    one, two = (Patch.between(Region.whole(SHAPE), before, np.full(SHAPE, v, np.uint8)) for v in (1, 2))
    assert one and two
    mixed = Patch(one.region, two.diff, one.before_crc, one.after_crc)
    labels = before.copy()
    with pytest.raises(ValueError, match="damaged"):
        mixed.apply(labels)
    assert not labels.any()


def test_a_thousand_brush_strokes_take_less_than_five_megabytes():
    rng = np.random.default_rng(3)
    labels = np.zeros((40, 512, 512), np.uint8)
    y, x = np.mgrid[-25:26, -25:26]
    total = 0
    for _ in range(1000):
        z, at = int(rng.integers(40)), rng.integers(60, 400, 2).astype(float)
        way = rng.normal(0, 1, 2)
        points = [at := np.clip(at + 4 * way + rng.normal(0, 1.5, 2), 30, 480) for _ in range(20)]
        low, high = np.min(points, axis=0).astype(int) - 26, np.max(points, axis=0).astype(int) + 27
        region = Region(z, z + 1, int(low[0]), int(high[0]), int(low[1]), int(high[1]))
        before = labels[region.slices].copy()
        disc = y**2 + x**2 <= int(rng.integers(4, 25)) ** 2
        value = int(rng.integers(0, 6))
        for cy, cx in np.array(points).astype(int):
            labels[z, cy - 25 : cy + 26, cx - 25 : cx + 26][disc] = value
        patch = Patch.between(region, before, labels[region.slices])
        total += patch.size_bytes if patch else 0
    assert total <= 5_000_000


def test_painted_values_are_those_of_the_whole_stack() -> None:
    labels = np.zeros((5, 7, 6), np.uint8)
    assert painted_values(labels).tolist() == [0]
    labels[0], labels[3, 2, 2], labels[4, 6, 5] = 3, 255, 1
    assert painted_values(labels).tolist() == [0, 1, 3, 255]
    assert painted_values(labels[:1]).tolist() == [3]
