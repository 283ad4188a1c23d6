"""A mask carried over to another grid, and segments over each other."""

import numpy as np
import pytest

from thighview.core.labels import Label, LabelTable
from thighview.core.overlaps import flatten, keep_values, overlaps_of
from thighview.core.placing import fit_of
from thighview.core.resampling import grid_change, nearest, share_outside
from thighview.core.volume import Volume


def turned(seed):
    """A grid that lies anyhow, about the middle of the world."""
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    shape = tuple(int(n) for n in rng.integers(3, 9, 3))
    affine = np.eye(4)
    affine[:3, :3] = q * rng.uniform(0.5, 3, 3)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) / 2) + rng.uniform(-1, 1, 3)
    return Volume(np.zeros(shape, np.int16), affine)


@pytest.mark.parametrize("seed", range(12))
def test_every_voxel_of_the_scan_gets_the_label_of_the_mask_s_voxel_it_lies_in(seed):
    grid, scan = turned(seed), turned(seed + 100)
    labels = np.random.default_rng(seed).integers(0, 4, grid.shape).astype(np.uint8)
    found = nearest(labels, grid, scan)
    expected = np.zeros(scan.shape, np.uint8)
    for index in np.ndindex(scan.shape):
        at = np.floor(grid.to_index(scan.to_world(np.array(index, float))) + 0.5).astype(int)
        if (at >= 0).all() and (at < grid.shape).all():
            expected[index] = labels[tuple(at)]
    assert np.array_equal(found, expected) and found.any()
    lost = sum(
        not ((at >= -0.5) & (at < np.array(scan.shape) - 0.5)).all()
        for at in scan.to_index(grid.to_world(np.argwhere(labels).astype(float)))
    )
    assert share_outside([labels], grid, scan) == pytest.approx(lost / np.count_nonzero(labels))


def test_the_same_grid_in_another_order_is_carried_over_unchanged():
    scan = turned(1)
    labels = np.random.default_rng(1).integers(0, 4, scan.shape).astype(np.uint8)
    back = scan.affine.copy()
    back[:3, 3] += back[:3, 0] * (scan.shape[0] - 1)
    back[:3, 0] *= -1
    assert np.array_equal(nearest(labels[::-1], Volume(labels[::-1], back), scan), labels)


def test_a_centre_half_way_between_two_voxels_is_not_left_to_rounding():
    grid = Volume(np.zeros((1, 1, 40), np.uint8), np.diag([1.0, 1, 0.3, 1]))
    affine = np.diag([1.0, 1, 0.3, 1])
    affine[:3, 3] = grid.to_world((0, 0, 0.5))
    scan = Volume(np.zeros((1, 1, 39), np.uint8), affine)
    labels = np.arange(40, dtype=np.uint8).reshape(1, 1, 40)
    assert np.array_equal(nearest(labels, grid, scan)[0, 0], np.arange(1, 40))


def test_volumes_before_and_after_are_those_of_each_label():
    grid = Volume(np.zeros((4, 4, 4), np.uint8), np.diag([2.0, 2, 2, 1]))
    scan = Volume(np.zeros((3, 8, 8), np.uint8), np.diag([2.0, 1, 1, 1]))
    labels = np.zeros(grid.shape, np.uint8)
    labels[0, 1:3, 1:3], labels[3] = 1, 2
    table = LabelTable((Label(1, "a"), Label(2, "b"), Label(3, "never drawn")))
    change = grid_change([labels], [nearest(labels, grid, scan)], table, grid, scan)
    assert [c.before_ml for c in change.changes] == pytest.approx([0.032, 0.128, 0])
    assert [c.after_ml for c in change.changes] == pytest.approx([0.032, 0, 0])
    assert [c.share for c in change.changes] == pytest.approx([0, -1, 0])
    assert change.outside == pytest.approx(16 / 20)
    assert "spacing is 2 x 2 x 2 mm, the scan's 1 x 1 x 2 mm" in change.difference


def test_a_grid_between_the_voxels_of_the_scan_does_not_fit():
    scan = Volume(np.zeros((4, 5, 6), np.uint8), np.diag([3.0, 2, 1, 1]))
    for affine in (scan.affine + np.array([[0, 0, 0, 0.5]] + [[0] * 4] * 3), scan.affine @ np.diag([2.0, 1, 1, 1])):
        assert fit_of(Volume(scan.voxels, affine), scan) is None
    moved = scan.affine + np.array([[0, 0, 0, 3.001]] + [[0] * 4] * 3)  # rounding of a header
    fit = fit_of(Volume(scan.voxels, moved), scan)
    assert fit is not None and fit.start == (1, 0, 0) and not fit.covers(scan.shape)
    assert fit.outside(np.ones(scan.shape, np.uint8), scan.shape) == 30


def test_overlaps_are_counted_pair_by_pair_and_decided_by_order():
    rng = np.random.default_rng(4)
    layers = [np.where(rng.random((3, 4, 5)) < 0.5, value, 0).astype(np.uint8) for value in (7, 3, 200)]
    table = LabelTable((Label(7, "a"), Label(3, "b"), Label(200, "c")))
    found = {(o.first.value, o.second.value): (o.voxels, o.volume_ml) for o in overlaps_of(layers, table, 0.5)}
    assert len(found) == 3
    for one, other in ((0, 1), (0, 2), (1, 2)):
        both = int(((layers[one] > 0) & (layers[other] > 0)).sum())
        key = (layers[one].max(), layers[other].max())
        assert found[key] == (both, both * 0.5)
    for order in ((7, 3, 200), (200, 3, 7), (3, 200, 7)):
        expected = np.zeros((3, 4, 5), np.uint8)
        for value in reversed(order):
            layer = next(one for one in layers if one.max() == value)
            expected[layer > 0] = value
        assert np.array_equal(flatten(layers, order), expected)
    assert set(np.unique(flatten(keep_values(layers, (3,)), (3,)))) == {0, 3}
    assert overlaps_of(layers[:1], table, 1.0) == ()
