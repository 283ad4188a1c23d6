"""Every format that says where a scan lies: its voxels come to the same places as in SimpleITK."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from scipy.spatial.transform import Rotation

from thighview.io.reading import inspect, read_volume

SHAPE = (3, 4, 5)
MARK = (2, 1, 3)
SPACING = (0.75, 1.25, 5.0)
ORIGIN = (-31.5, 17.25, 204.0)


def axis_orders() -> list[np.ndarray]:
    """All 48 directions of axes along those of the patient, as columns."""
    found: list[np.ndarray] = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[list(order), range(3)] = signs
            found.append(matrix)
    return found


def obliques(count: int = 20) -> list[np.ndarray]:
    """Rotations of any kind, every second one mirrored."""
    turned = Rotation.random(count, rng=np.random.default_rng(11)).as_matrix()
    return [matrix * [1, 1, -1 if n % 2 else 1] for n, matrix in enumerate(turned)]


def corners() -> np.ndarray:
    return np.array(list(itertools.product(*((0, n - 1) for n in SHAPE))), float)


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "nhdr", "mha", "mhd"])
def test_a_marked_voxel_lies_where_simpleitk_puts_it(tmp_path: Path, ending: str) -> None:
    voxels = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    voxels[MARK] = 999
    for n, directions in enumerate([*axis_orders(), *obliques()]):
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing(SPACING)
        image.SetOrigin(ORIGIN)
        image.SetDirection(directions.ravel().tolist())
        path = tmp_path / f"{n}.{ending}"
        sitk.WriteImage(image, str(path), useCompression=n % 2 == 0)
        volume = read_volume(path)
        assert volume.warnings == () and np.array_equal(volume.voxels, voxels) and volume.name == str(n)
        mark = volume.to_world(np.argwhere(volume.voxels == 999)[0])
        assert np.abs(mark - image.TransformIndexToPhysicalPoint(MARK[::-1])).max() < 1e-3
        wanted = [image.TransformContinuousIndexToPhysicalPoint(tuple(at[::-1])) for at in corners()]
        assert np.abs(volume.to_world(corners()) - wanted).max() < 1e-3, directions


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_numbers_are_those_of_simpleitk(tmp_path: Path, ending: str, kind: str) -> None:
    voxels = (np.arange(60).reshape(SHAPE) * 2 - (7 if kind[0] != "u" else 0)).astype(kind)
    path = tmp_path / f"a.{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path), useCompression=True)
    volume = read_volume(path)
    assert np.array_equal(volume.voxels, voxels)
    assert volume.voxels.dtype == {"i8": "i4", "u8": "i4"}.get(kind, kind)


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_volumes_of_a_4d_file_are_parts(tmp_path: Path, ending: str) -> None:
    voxels = np.random.default_rng(2).integers(0, 900, (3, *SHAPE)).astype(np.int16)
    joined = sitk.JoinSeries([sitk.GetImageFromArray(one) for one in voxels])
    path = tmp_path / f"a.{ending}"
    sitk.WriteImage(joined, str(path))
    rows = inspect(path).to_json()["series"]
    assert [row["name"] for row in rows] == ["volume 1 of 3", "volume 2 of 3", "volume 3 of 3"]
    for n, one in enumerate(voxels, 1):
        volume = read_volume(path, str(n))
        assert np.array_equal(volume.voxels, one) and volume.name == f"a, volume {n}"
