"""Pairs of .hdr and .img, NIfTI and Analyze 7.5: either half opens both, a missing one is named."""

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from thighview.core.errors import SeveralScansError, UserError
from thighview.io.nifti import read_nifti
from thighview.io.reading import inspect, read_source, read_volume, sha256_of

OBLIQUE = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.2, -0.1, 0.3) * [-1.5, 1.25, 5], [30, -20, 7])
NAMES = [("a.hdr", "a.img"), ("a.hdr.gz", "a.img.gz"), ("a.hdr", "a.img.gz"), ("a.hdr.gz", "a.img"), ("A.HDR", "A.IMG")]


def voxels_of(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).integers(-900, 900, shape).astype(np.int16)


def write_pair(folder: Path, image: nib.Nifti1Pair, names: tuple[str, str]) -> tuple[Path, Path]:
    """Both halves, by nibabel, then under these names."""
    folder.mkdir(exist_ok=True)
    image.to_filename(folder / "made.img")
    header, data = folder / names[0], folder / names[1]
    for made, path in ((folder / "made.hdr", header), (folder / "made.img", data)):
        content = made.read_bytes()
        made.unlink()
        path.write_bytes(gzip.compress(content, 1, mtime=0) if path.name.endswith(".gz") else content)
    return header, data


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
def test_either_half_opens_the_pair(tmp_path: Path, names: tuple[str, str], kind: type) -> None:
    voxels = voxels_of(7, 6, 5)
    header, data = write_pair(tmp_path / "pair", kind(voxels, OBLIQUE), names)
    single = tmp_path / "a.nii"
    nib.Nifti1Image(voxels, OBLIQUE).to_filename(single)
    wanted = read_nifti(single)
    for path in (header, data):
        source = read_source(path)
        assert (source.place, source.files) == (header, {header, data})
        assert np.array_equal(source.volume.voxels, voxels.T) and source.volume.same_grid(wanted, 1e-4)
        assert source.volume.name == names[0][:1] and "pair" in source.volume.details["Format"]
        assert sha256_of(path) == sha256_of(header)
        assert inspect(path).to_json()["shape_zyx"] == [5, 6, 7]


def test_the_hash_is_that_of_both_halves(tmp_path: Path) -> None:
    header, data = write_pair(tmp_path, nib.Nifti1Pair(voxels_of(7, 6, 5), OBLIQUE), ("a.hdr", "a.img"))
    found = {sha256_of(header)}
    for path in (header, data):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        found.add(sha256_of(data))
    assert len(found) == 3


def test_a_pair_has_simpleitk_s_corners(tmp_path: Path) -> None:
    header, _ = write_pair(tmp_path, nib.Nifti1Pair(voxels_of(7, 6, 5), OBLIQUE), ("a.hdr", "a.img"))
    volume, image = read_volume(header), sitk.ReadImage(str(header))
    for z, y, x in [(0, 0, 0), (4, 0, 0), (0, 5, 0), (0, 0, 6), (4, 5, 6)]:
        assert (
            np.abs(volume.to_world((z, y, x)) - image.TransformContinuousIndexToPhysicalPoint((x, y, z))).max() < 1e-3
        )


@pytest.mark.parametrize(
    ("gone", "words"),
    [(1, "b.img with its voxels is not beside it"), (0, "b.hdr, which says what they are, is not beside it")],
)
def test_a_missing_half_is_named(tmp_path: Path, gone: int, words: str) -> None:
    halves = write_pair(tmp_path, nib.Nifti1Pair(voxels_of(7, 6, 5), OBLIQUE), ("b.hdr", "b.img"))
    halves[gone].unlink()
    with pytest.raises(UserError, match=words) as caught:
        read_nifti(halves[1 - gone])
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"b\.img" if gone else r"b\.hdr"):
        read_volume(halves[1 - gone])


def test_a_pair_of_several_volumes(tmp_path: Path) -> None:
    voxels = voxels_of(7, 6, 5, 3)
    header, data = write_pair(tmp_path, nib.Nifti1Pair(voxels, OBLIQUE), ("a.hdr", "a.img.gz"))
    with pytest.raises(SeveralScansError) as caught:
        read_volume(data)
    assert [choice.path for choice in caught.value.choices] == [header] * 3
    for choice in caught.value.choices:
        assert np.array_equal(read_volume(*choice.key).voxels, voxels[..., int(choice.part) - 1].T)


@pytest.mark.parametrize("order", ["<", ">"])
def test_analyze_opens_with_its_sides_unknown(tmp_path: Path, order: str) -> None:
    voxels = voxels_of(7, 6, 5)
    header = nib.AnalyzeImage.header_class(endianness=order)
    header.set_data_dtype(np.int16)
    image = nib.AnalyzeImage(voxels, np.diag([1.5, 1.25, 5, 1]), header)
    head, data = write_pair(tmp_path, image, ("a.hdr", "a.img"))
    content = bytearray(head.read_bytes())
    content[252:348] = b"Doe^Jane".ljust(96, b"\x07")  # where NIfTI has its position, Analyze has words
    struct.pack_into(f"{order}f", content, 112, 0.25)
    head.write_bytes(content)
    for path in (head, data):
        volume = read_volume(path)
        assert np.array_equal(volume.voxels, voxels.T) and volume.spacing_mm == (5, 1.25, 1.5)
        assert volume.details["Format"] == "Analyze 7.5" and volume.details["Position from"] == "nothing"
        assert b"Doe" not in volume.file_geometry
        scaled, sides = volume.warnings
        assert "scale this Analyze file by 0.25" in scaled
        assert "Analyze 7.5 has no place for it" in sides and "left and right, front and back are not known" in sides


def test_a_lone_image_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.img").write_bytes(bytes(5000))
    (tmp_path / "b.img").write_bytes(bytes(5000))
    (tmp_path / "b.hdr").write_text("a letter" * 60)
    for name in ("a.img", "b.img", "b.hdr"):
        with pytest.raises(UserError) as caught:
            read_volume(tmp_path / name)
        assert name in str(caught.value)


def test_damage_in_either_half_is_found(tmp_path: Path) -> None:
    halves = write_pair(tmp_path, nib.Nifti1Pair(voxels_of(20, 20, 20), OBLIQUE), ("a.hdr.gz", "a.img.gz"))
    for path in halves:
        content = path.read_bytes()
        for changed, words in (
            (content[:-9], "cut short"),
            (content[:-8] + bytes([content[-8] ^ 1]) + content[-7:], "damaged"),
        ):
            path.write_bytes(changed)
            with pytest.raises(UserError, match=words):
                read_volume(halves[0])
        path.write_bytes(content)
    assert read_volume(halves[1]).shape == (20, 20, 20)
