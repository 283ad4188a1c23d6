"""Where the voxels of a DICOM series lie: in all 48 orders of the axes, aslant, and as SimpleITK has them."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_files import write_volume

from thighview.core.errors import UserError
from thighview.io.dicom import read_dicom, read_series, scan
from thighview.io.dicom_stack import stack_of

_SHARED = Path(__file__).parents[3] / "shared"
_MIRRORS = tuple(itertools.product((1, -1), repeat=3))
_MOST_BESIDE = 1 << 20
"""Bytes of a file besides its pixels: SimpleITK takes seconds for more, and one such file lies there twice."""
_AXES = "LPS", "RAI"


def rotation(seed: int) -> np.ndarray:
    """A rotation of its own for each seed."""
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return turned * np.sign(np.linalg.det(turned))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_marker_lies_where_it_was_put_in_all_orders_of_the_axes(tmp_path, order):
    for number, signs in enumerate(_MIRRORS):
        axes = np.eye(3)[:, list(order)] * signs
        check(tmp_path / str(number), axes, number)
        across = signs[0] * np.linalg.det(axes[:, ::-1])  # slices follow each other along row x column
        letters = "".join(_AXES[int(sign < 0)][axis] for axis, sign in zip(order, (across, *signs[1:]), strict=True))
        assert read_dicom(tmp_path / str(number)).axes == letters


@pytest.mark.parametrize("seed", range(20))
def test_and_in_oblique_ones(tmp_path, seed):
    check(tmp_path / "a", rotation(seed), seed)


def check(folder: Path, axes: np.ndarray, seed: int) -> None:
    """Write a volume with columns of ``axes`` for z, y, x and one bright voxel, and read it back."""
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes * (4.5, 1.25, 0.75), rng.uniform(-200, 200, 3)
    voxels = rng.integers(0, 99, (4, 5, 6)).astype(np.int16)
    marker = tuple(rng.integers(0, voxels.shape))
    voxels[marker] = 1000
    wanted = affine[:3, :3] @ marker + affine[:3, 3]
    found = read_dicom(write_volume(folder, voxels, affine))
    if np.linalg.det(axes[:, ::-1]) < 0:
        voxels = voxels[::-1]
    assert np.array_equal(found.voxels, voxels) and not found.warnings
    at = np.unravel_index(int(np.argmax(found.voxels)), found.shape)
    assert np.abs(found.to_world(tuple(map(float, at))) - wanted).max() < 1e-3


def series_of_shared() -> list[object]:
    """Folders with DICOM files in them."""
    roots = [_SHARED / "data" / "dicom", _SHARED / "hostile" / "dicom", _SHARED / "hostile" / "derived"]
    folders = [folder for root in roots if root.is_dir() for folder in sorted(root.iterdir()) if folder.is_dir()]
    return [pytest.param(folder, id=folder.name) for folder in folders]


@pytest.mark.parametrize("folder", series_of_shared() or [pytest.param(None, marks=pytest.mark.skip("not here"))])
def test_every_series_there_is_lies_where_simpleitk_has_it(folder):
    """Its first and its last image, one by one: of a whole series SimpleITK drops what makes it slanted."""
    compared = 0
    for series in scan(folder).series:
        try:
            stack, volume = stack_of(series.slices), read_series(folder, series)
        except UserError:
            continue
        if series.slices[0].position is None:
            continue
        for z, s in ((0, stack.slices[0]), (len(stack.slices) - 1, stack.slices[-1])):
            if s.stored.begin > 0 and s.path.stat().st_size > s.stored.size + _MOST_BESIDE:
                continue
            compared += 1
            image = sitk.ReadImage(str(s.path))
            theirs = sitk.GetArrayViewFromImage(image)
            deep = range(theirs.shape[0])
            for k, y, x in itertools.product(deep, (0, theirs.shape[1] - 1), (0, theirs.shape[2] - 1)):
                world = image.TransformIndexToPhysicalPoint((x, y, k))
                if len(deep) > 1:  # frames as SimpleITK puts them, which may be the other way round
                    z = round(float(volume.to_index(world)[0]))
                assert np.abs(volume.to_world((z, y, x)) - world).max() < 1e-3
                assert volume.voxels[z, y, x] == pytest.approx(theirs[k, y, x], rel=1e-6)
            if len(deep) == 1:
                assert np.allclose(volume.voxels[z], theirs[0], rtol=1e-6)
    if folder.name.startswith(("ge_knee", "d095", "d145", "d163", "d101", "d160", "dicom_")):
        assert compared
