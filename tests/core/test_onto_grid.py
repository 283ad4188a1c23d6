"""An image on another grid: every number at its place in the patient, as an independent program puts it there."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thighview.core.onto_grid import measured_on, onto_grid, overlap
from thighview.core.volume import Volume
from thighview.io.reading import read_volume


def turned(rng: np.random.Generator) -> np.ndarray:
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return rotation * rng.uniform(0.8, 3.0, 3)


def grid(matrix: np.ndarray, shape: tuple[int, int, int], middle: np.ndarray, kind: type = np.float64) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = middle - matrix @ ((np.array(shape) - 1) / 2)
    return Volume(np.zeros(shape, kind), affine)


@given(st.integers(0, 10_000))
def test_a_linear_field_stays_itself_wherever_the_grids_lie(seed: int) -> None:
    rng = np.random.default_rng(seed)
    large = grid(turned(rng), (30, 32, 34), np.array([5.0, -3, 8]))
    small = grid(turned(rng), (4, 5, 6), np.array([5.0, -3, 8]))
    slope = rng.normal(size=3)
    at = np.stack(np.meshgrid(*(np.arange(n) for n in large.shape), indexing="ij"), -1)
    field = Volume(large.to_world(at) @ slope, large.affine)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in small.shape), indexing="ij"), -1)
    there = field.to_index(small.to_world(index))
    inside = ((there >= 0) & (there <= np.array(field.shape) - 1)).all(axis=-1)
    found = onto_grid(field, small)
    assert found.same_grid(small)
    assert found.voxels[inside] == pytest.approx((small.to_world(index) @ slope)[inside], abs=1e-6)


def test_the_same_voxels_in_another_order_come_back_exactly() -> None:
    rng = np.random.default_rng(3)
    volume = Volume(rng.integers(-500, 500, (4, 6, 8)).astype(np.int16), np.diag([5.0, 1.5, 1.25, 1.0]))
    moved = Volume(
        np.ascontiguousarray(volume.voxels.transpose(2, 0, 1)[:, ::-1]), volume.affine[:, [2, 0, 1, 3]].copy()
    )
    moved.affine[:3, 3] += moved.affine[:3, 1] * 3
    moved.affine[:3, 1] *= -1
    assert np.array_equal(onto_grid(moved, volume).voxels, volume.voxels)


def test_nothing_is_invented_outside() -> None:
    image = Volume(np.full((3, 4, 4), 7, np.int16), np.diag([2.0, 1, 1, 1]))
    wide = Volume(np.zeros((5, 8, 8), np.int16), image.affine.copy())
    wide.affine[:3, 3] = [0, 0, 0]
    found = onto_grid(image, wide).voxels
    assert found[:3, :4, :4].min() == 7
    assert found.sum() == 7 * 48
    assert overlap(image, wide) == pytest.approx(48 / 320)


def test_what_was_measured_leaves_out_what_lies_outside_and_what_is_missing() -> None:
    image = Volume(np.ones((4, 4, 4), np.int16), np.diag([2.0, 1, 1, 1]), missing=(2,))
    there = measured_on(image, image)
    assert there is not None and [bool(plane.all()) for plane in there] == [True, True, False, True]
    fine = Volume(np.zeros((12, 4, 4), np.int16), np.diag([1.0, 1, 1, 1]))
    there = measured_on(image, fine)  # slices at 0 to 11 mm; those of the image at 0, 2, (4) and 6 mm reach to 7
    assert there is not None
    assert [bool(plane.any()) for plane in there] == [True, True, True, False, False, False, True, True, *[False] * 4]
    assert onto_grid(image, fine).missing == ()
    assert measured_on(Volume(np.ones((4, 4, 4)), image.affine), image) is None


@pytest.mark.parametrize(
    ("image_name", "grid_name"),
    [("t2_te16ms", "0007-Dixon_TE_345_cf"), ("0028-dix3d_TR23_448m_fa05_460", "0007-Dixon_TE_345_cf")],
)
def test_simpleitk_puts_it_at_the_same_place(data: Path, image_name: str, grid_name: str) -> None:
    import SimpleITK

    paths = [data / "calf_siemens" / f"{name}.nii.gz" for name in (image_name, grid_name)]
    found = onto_grid(*(read_volume(path) for path in paths)).voxels
    image, grid = (SimpleITK.ReadImage(str(path), SimpleITK.sitkFloat64) for path in paths)
    other = SimpleITK.Resample(image, grid, SimpleITK.Transform(), SimpleITK.sitkLinear, 0.0)
    expected = SimpleITK.GetArrayFromImage(other)
    assert np.abs(found - expected).max() <= 0.5 + 1e-3  # whole numbers are rounded
