"""MGH and MGZ: the numbers and places of nibabel, frames as parts, damage found."""

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.freesurfer.mghformat import MGHImage
from scipy.spatial.transform import Rotation

from thighview.core.errors import SeveralScansError, UserError
from thighview.io.reading import inspect, read_volume


def write(path: Path, voxels: np.ndarray, affine: np.ndarray, change: tuple[int, str, object] | None = None) -> Path:
    """An MGH file by nibabel of an (i, j, k) array; ``change`` is a place, a layout and a value for its header."""
    MGHImage(voxels, affine).to_filename(path.with_suffix(".mgh"))
    content = bytearray(path.with_suffix(".mgh").read_bytes())
    if change:
        struct.pack_into(change[1], content, change[0], change[2])
    path.write_bytes(gzip.compress(bytes(content), 1) if path.suffix == ".mgz" else bytes(content))
    return path


def oblique(seed: int) -> np.ndarray:
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    return nib.affines.from_matvec(turn * [0.75, 1.25, -5.0], [-12, 33.5, 150])


@pytest.mark.parametrize("ending", [".mgh", ".mgz"])
@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4"])
def test_numbers_and_places_are_nibabel_s(tmp_path: Path, ending: str, kind: str) -> None:
    voxels = np.arange(210).reshape(7, 6, 5).astype(kind)
    for seed in range(5):
        affine = oblique(seed)
        volume = read_volume(write(tmp_path / f"a{ending}", voxels, affine))
        assert np.array_equal(volume.voxels, voxels.T) and volume.voxels.dtype == kind and not volume.warnings
        for at in ((0, 0, 0), (4, 0, 0), (0, 5, 0), (4, 5, 6)):
            wanted = nib.affines.apply_affine(affine, at[::-1]) * [-1, -1, 1]
            assert np.abs(volume.to_world(at) - wanted).max() < 1e-3
        assert volume.kind == "mgh" and volume.name == "a"


def test_frames_are_parts(tmp_path: Path, hostile: Path) -> None:
    voxels = np.random.default_rng(0).normal(size=(7, 6, 5, 3)).astype(np.float32)
    path = write(tmp_path / "a.mgz", voxels, oblique(1))
    with pytest.raises(SeveralScansError, match="3 volumes"):
        read_volume(path)
    for n in range(3):
        assert np.array_equal(read_volume(path, str(n + 1)).voxels, voxels[..., n].T)
    told = inspect(hostile / "other/o077_test/test.mgz").to_json()
    assert told["shape_zyx"] == [5, 4, 3] and len(told["series"]) == 2


def test_what_follows_the_voxels_is_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mgh", np.zeros((7, 6, 5), np.uint8), oblique(1))
    path.write_bytes(path.read_bytes() + b"how it was made " * 9000)
    assert not read_volume(path).warnings


def test_no_position_is_said(tmp_path: Path) -> None:
    voxels = np.zeros((7, 6, 5), np.uint8)
    volume = read_volume(write(tmp_path / "a.mgh", voxels, oblique(1), (28, ">h", 0)))
    assert "left and right" in volume.warnings[0] and volume.details["Position from"] == "nothing"
    volume = read_volume(write(tmp_path / "a.mgh", voxels, oblique(1), (30, ">f", float("nan"))))
    assert "gives no position" in volume.warnings[0] and volume.spacing_mm == (1, 1, 1)


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 99, (20, 20, 20)).astype(np.int16)
    good = write(tmp_path / "a.mgz", voxels, oblique(1)).read_bytes()
    plain = (tmp_path / "a.mgh").read_bytes()
    for name, content, words in (
        ("a.mgh", plain[:5000], "cut short"),
        ("a.mgh", plain[:60], "cut short"),
        ("a.mgh", plain[:4] + struct.pack(">i", 30_000) + plain[8:], "announces"),
        ("a.mgh", plain[:4] + struct.pack(">i", -1) + plain[8:], "not a scan"),
        ("a.mgh", plain[:20] + struct.pack(">i", 6) + plain[24:], "not a scan"),
        ("a.mgz", good[:-20], "cut short"),
        ("a.mgz", good[:-8] + bytes([good[-8] ^ 1]) + good[-7:], "damaged"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=words):
            read_volume(tmp_path / name)
