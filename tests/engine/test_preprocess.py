"""What the network sees lies where it should, and comes back to where it was."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from thighview.core.errors import UserError
from thighview.core.volume import Volume
from thighview.engine.preprocess import (
    Intensity,
    classes_of,
    crop_or_pad,
    labels_to_grid,
    maps_to_grid,
    masks_for_network,
    plane_grid,
    slices_for_network,
)


@dataclass(frozen=True)
class Settings:
    spacing_mm: float = 0.0
    input_size: int = 32
    levels: int = 3


RAW = Intensity(-1000.0, 1000.0, 0.5, 1 / 2000)
"""Leaves numbers as they are: (v + 1000) / 2000, minus 0.5, times 2000."""


def volume_of(voxels: np.ndarray, spacing: tuple[float, float, float] = (5.0, 1.0, 1.0)) -> Volume:
    """Stored SPL: slices towards the head, rows towards posterior, columns towards left, centred at 0."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing, 1
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(voxels.shape) - 1) / 2)
    return Volume(voxels, affine)


def stored_as(volume: Volume, order: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    """The same scan with other index order and directions."""
    affine = volume.affine[:, [*order, 3]].copy()
    voxels = volume.voxels.transpose(order)
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
            affine[:3, axis] *= -1
            voxels = np.flip(voxels, axis)
    return Volume(np.ascontiguousarray(voxels), affine)


ORDERS = list(itertools.product(itertools.permutations(range(3)), itertools.product((False, True), repeat=3)))


@pytest.mark.parametrize("spacing", [0.0, 0.7, 1.0, 1.5, 2.3])
@pytest.mark.parametrize("shape", [(2, 40, 33), (2, 31, 64)])
def test_a_ramp_keeps_its_place(spacing: float, shape: tuple[int, int, int]) -> None:
    """Numbers equal to millimetres: each pixel of the network must hold the millimetres where it lies."""
    _, y, x = np.indices(shape)
    for axis, ramp in ((1, y), (2, x)):
        volume = volume_of(np.zeros(shape, np.float32), (5.0, 1.2, 0.9))
        world = ramp * volume.spacing_mm[axis] - (shape[axis] - 1) / 2 * volume.spacing_mm[axis]
        grid = plane_grid(volume, Settings(spacing))
        seen = slices_for_network(world.astype(np.float32), grid, RAW)[..., 0]
        margin = 6
        rows = range(grid.offset[0] + margin, grid.offset[0] + grid.content[0] - margin)
        columns = range(grid.offset[1] + margin, grid.offset[1] + grid.content[1] - margin)
        for r, c in itertools.product(rows, columns):
            stored = grid.to_stored(r, c)[axis - 1]
            expected = (stored - (shape[axis] - 1) / 2) * volume.spacing_mm[axis]
            assert abs(seen[0, r, c] - expected) < 2e-3
        back = maps_to_grid(seen[..., None], grid)[..., 0]
        inside = (slice(None), slice(12, -12), slice(12, -12))
        np.testing.assert_allclose(back[inside], world[inside], atol=5e-3)


def test_same_spacing_changes_no_number() -> None:
    voxels = np.random.default_rng(1).integers(-500, 500, (3, 29, 38)).astype(np.int16)
    volume = volume_of(voxels)
    grid = plane_grid(volume, Settings(1.0))
    assert grid.same and grid.size == (32, 40) and grid.content == (29, 38)
    seen = slices_for_network(voxels, grid, RAW)
    np.testing.assert_allclose(maps_to_grid(seen, grid)[..., 0], voxels, atol=1e-2)


@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_any_storage_gives_the_same_mask_in_the_same_place(
    order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    rng = np.random.default_rng(2)
    scan = volume_of(rng.normal(size=(5, 30, 41)).astype(np.float32), (6.0, 1.0, 0.8))
    other = stored_as(scan, order, flips)
    settings = Settings(1.3, 16)
    planes = slices_for_network(scan.voxels, plane_grid(scan, settings), Intensity.of(scan.voxels))
    grid = plane_grid(other, settings)
    turned = slices_for_network(other.voxels, grid, Intensity.of(other.voxels))
    if flips[order.index(0)]:
        turned = turned[::-1]
    np.testing.assert_allclose(turned, planes, atol=1e-5)
    logits = np.concatenate([planes, 0.5 - planes, planes**2 - 1], -1)
    mask = labels_to_grid(logits, plane_grid(scan, settings))
    back = labels_to_grid(logits, grid)
    if flips[order.index(0)]:
        back = back[::-1]
    stored = np.moveaxis(back, 0, grid.axes[0])
    assert stored.shape == other.shape
    expected = stored_as(Volume(mask, scan.affine), order, flips)
    np.testing.assert_array_equal(stored, expected.voxels)
    seen = masks_for_network(stored, grid)
    if flips[order.index(0)]:
        seen = seen[::-1]
    np.testing.assert_array_equal(seen, masks_for_network(mask, plane_grid(scan, settings)))


@pytest.mark.parametrize("spacing", [0.0, 0.6, 1.0, 1.7])
@pytest.mark.parametrize("classes", [1, 2, 5])
def test_mask_is_the_arg_max_of_interpolated_logits(spacing: float, classes: int) -> None:
    volume = volume_of(np.zeros((2, 37, 30), np.float32), (5.0, 0.9, 1.1))
    grid = plane_grid(volume, Settings(spacing))
    logits = np.random.default_rng(3).normal(size=(2, *grid.size, classes)).astype(np.float32)
    straight = maps_to_grid(logits, grid)
    found = labels_to_grid(logits, grid)
    expected = (straight[..., 0] > 0) if classes == 1 else straight.argmax(-1)
    assert (found == expected).mean() > 0.9999
    assert found.dtype == np.uint8 and found.flags.c_contiguous


def test_classes_of() -> None:
    logits = np.random.default_rng(4).normal(size=(3, 8, 9, 7)).astype(np.float32)
    np.testing.assert_array_equal(classes_of(logits), logits.argmax(-1))


def test_intensity() -> None:
    rng = np.random.default_rng(5)
    voxels = rng.integers(0, 1000, (20, 300, 300)).astype(np.int16)
    scale = Intensity.of(voxels)
    assert abs(scale.low - 10) < 2 and abs(scale.high - 990) < 2
    x = scale.apply(voxels)
    assert x.dtype == np.float32 and abs(x.mean()) < 0.01 and abs(x.std() - 1) < 0.01
    np.testing.assert_allclose(x[voxels == 0], scale.of_air, atol=1e-5)
    as_float = voxels.astype(np.float64)
    as_float[0, 0, :3] = np.nan, np.inf, -np.inf
    unit = Intensity.of(voxels, "unit")
    assert (unit.low, unit.high, unit.of_air) == (scale.low, scale.high, 0.0)
    assert unit.apply(voxels).min() == pytest.approx(0) and unit.apply(voxels).max() == pytest.approx(1)
    again = Intensity.of(as_float).apply(as_float)
    assert np.isfinite(again).all()
    np.testing.assert_allclose(again[1], x[1], atol=1e-3)
    flat = np.full((2, 4, 4), 7, np.uint8)
    assert not Intensity.of(flat).apply(flat).any()
    with pytest.raises(UserError, match="finite"):
        Intensity.of(np.full((2, 4, 4), np.nan))


def test_masks_for_training_are_as_the_picture() -> None:
    """A mask pushed to the network's plane covers what the thresholded picture covers there."""
    y, x = np.mgrid[:60, :80]
    disc = ((y - 25) ** 2 + (x - 50) ** 2 < 15**2)[None].repeat(2, 0)
    volume = volume_of(disc.astype(np.float32) * 100, (5.0, 1.0, 1.0))
    grid = plane_grid(volume, Settings(1.6))
    seen = slices_for_network(volume.voxels, grid, RAW)[..., 0] > 50
    mask = masks_for_network(disc.astype(np.uint8), grid)
    centre = [np.argwhere(m[0]).mean(0) for m in (seen, mask)]
    np.testing.assert_allclose(centre[0], centre[1], atol=0.1)
    assert (seen != mask).mean() < 0.02


def test_sizes() -> None:
    assert plane_grid(volume_of(np.zeros((1, 20, 20))), Settings(1.0, 64)).size == (64, 64)
    assert plane_grid(volume_of(np.zeros((1, 101, 20))), Settings(1.0, 64)).size == (104, 64)
    fitted = plane_grid(volume_of(np.zeros((1, 100, 50))), Settings(0.0, 64))
    assert fitted.size == (64, 64) and fitted.content == (64, 32)


def test_crop_or_pad() -> None:
    stack = np.arange(2 * 5 * 9).reshape(2, 5, 9).astype(np.float32)
    out = crop_or_pad(stack, 7, -1.0)
    assert out.shape == (2, 7, 7)
    np.testing.assert_array_equal(out[:, 1:6], stack[:, :, 1:8])
    assert (out[:, 0] == -1).all() and (out[:, 6] == -1).all()


def test_refusals() -> None:
    sagittal = stored_as(volume_of(np.zeros((64, 64, 10)), (0.5, 0.5, 4.5)), (2, 0, 1), (False,) * 3)
    for settings in (Settings(0.0), Settings(1.0)):
        with pytest.raises(UserError, match="axial plane"):
            plane_grid(sagittal, settings)
    with pytest.raises(UserError, match="at most 2048"):
        plane_grid(volume_of(np.zeros((1, 2, 1000)), (5.0, 3.0, 3.0)), Settings(1.0))
