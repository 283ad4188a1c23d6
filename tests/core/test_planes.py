"""Planes: 48 storage orders, one picture."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thighview.core.mask import Region
from thighview.core.planes import VIEWS, Box, Placement, Plane, body_box
from thighview.core.volume import Volume

SIZES = {0: 5, 1: 6, 2: 7}
STEPS = {0: 1.0, 1: 1.5, 2: 4.0}
ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def world_picture() -> np.ndarray:
    """The truth on an LPS grid (x, y, z) = (L, P, S)."""
    return np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)


def stored(order: tuple[int, ...], signs: tuple[int, ...], tilt: float = 0.0) -> Volume:
    """The same anatomy stored with array axis i along world axis order[i], growing by signs[i]."""
    voxels = np.transpose(world_picture(), order)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        if sign < 0:
            voxels = np.flip(voxels, axis)
            affine[world, 3] += STEPS[world] * (SIZES[world] - 1)
        affine[world, axis] = sign * STEPS[world]
    c, s = np.cos(tilt), np.sin(tilt)
    affine[:3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ affine[:3]
    return Volume(np.ascontiguousarray(voxels), affine)


@pytest.mark.parametrize("tilt", [0.0, 0.3])
@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_every_storage_order_gives_one_picture(order, signs, tilt):
    volume = stored(order, signs, tilt)
    truth = world_picture()
    axial, coronal, sagittal = (Plane.of(volume, view) for view in VIEWS)
    up = volume.axes[axial.through] == "S"
    shown = axial.take(volume.voxels, 2 if up else 7 - 1 - 2)
    assert np.array_equal(shown, truth[:, :, 2].T)  # rows to posterior, columns to patient left
    back = volume.axes[coronal.through] == "P"
    assert np.array_equal(coronal.take(volume.voxels, 1 if back else 4), truth[:, 1, ::-1].T)
    left = volume.axes[sagittal.through] == "L"
    assert np.array_equal(sagittal.take(volume.voxels, 3 if left else 1), truth[3, :, ::-1].T)
    assert (axial.letters, coronal.letters, sagittal.letters) == ("ALPR", "HLFR", "HPFA")
    assert axial.spacing_mm == pytest.approx((1.5, 1.0))
    assert coronal.spacing_mm == pytest.approx((4.0, 1.0))
    assert sagittal.spacing_mm == pytest.approx((4.0, 1.5))


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
@pytest.mark.parametrize("view", VIEWS)
def test_neurological_swaps_sides_only(order, signs, view):
    volume = stored(order, signs)
    rad, neuro = Plane.of(volume, view), Plane.of(volume, view, radiological=False)
    a, b = rad.take(volume.voxels, 1), neuro.take(volume.voxels, 1)
    assert np.array_equal(a, b if view == "sagittal" else b[:, ::-1])
    assert neuro.letters == {"axial": "ARPL", "coronal": "HRFL", "sagittal": "HPFA"}[view]


@given(st.sampled_from(ORIENTATIONS), st.sampled_from(VIEWS), st.booleans(), st.data())
def test_boxes_and_points_agree_with_the_shown_slice(orientation, view, radiological, data):
    volume = stored(*orientation)
    plane = Plane.of(volume, view, radiological)
    index = data.draw(st.integers(0, plane.count - 1))
    r0, c0 = data.draw(st.integers(0, plane.rows - 1)), data.draw(st.integers(0, plane.columns - 1))
    box = Box(r0, data.draw(st.integers(r0 + 1, plane.rows)), c0, data.draw(st.integers(c0 + 1, plane.columns)))
    shown = plane.take(volume.voxels, index)
    region = plane.region_of(box, index)
    assert plane.box_of(region) == box
    assert np.array_equal(plane.stored(shown[box.slices]), volume.voxels[region.slices])
    z, y, x = (int(v) for v in plane.to_voxel(r0, c0, index))
    assert volume.voxels[z, y, x] == shown[r0, c0]
    assert plane.to_plane((z, y, x)) == (r0, c0)
    assert plane.slice_region(index).along(plane.through) == range(index, index + 1)


@given(st.floats(0.1, 30), st.floats(-500, 500), st.floats(-500, 500), st.floats(-5, 20), st.floats(-5, 20))
def test_screen_and_back(scale, left, top, row, column):
    plane = Plane.of(stored((2, 1, 0), (1, 1, 1)), "coronal")
    at = Placement(plane, scale, left, top)
    assert at.to_plane(*at.to_screen(row, column)) == pytest.approx((row, column), abs=1e-6)
    assert at.zoomed(1.7, 30.0, 40.0).to_plane(30, 40) == pytest.approx(at.to_plane(30, 40), abs=1e-6)


def test_fit_keeps_proportions_and_centres():
    plane = Plane.of(stored((2, 1, 0), (1, 1, 1)), "coronal")  # 5 x 1 mm wide, 7 x 4 mm high
    at = Placement.fitted(plane, 400, 280)
    assert at.size == pytest.approx((50, 280))
    assert (at.left, at.top) == pytest.approx((175, 0))
    assert at.to_screen(-0.5, -0.5) == pytest.approx((at.left, at.top))
    assert at.box_on_screen(Box(0, 1, 0, 1))[2:] == pytest.approx((10, 40))


def test_moved_is_clipped():
    plane = Plane.of(stored((2, 1, 0), (1, 1, 1)), "axial")
    assert plane.moved((3, 2, 1), 99) == (6, 2, 1)
    assert plane.moved((3, 2, 1), -4) == (0, 2, 1)
    assert plane.slice_region(3) == Region(3, 4, 0, 6, 0, 5)


def test_body_box_frames_what_is_not_air():
    image = np.random.default_rng(0).normal(20, 5, (300, 400))
    image[80:200, 100:300] += 400
    box = body_box(image)
    assert 65 <= box.r0 <= 80
    assert 200 <= box.r1 <= 215
    assert 85 <= box.c0 <= 100
    assert 300 <= box.c1 <= 315
    assert body_box(np.zeros((30, 40))) == Box(0, 30, 0, 40)
    assert body_box(np.full((30, 40), np.nan)) == Box(0, 30, 0, 40)
