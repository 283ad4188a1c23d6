"""MetaImage as ITK reads it; what cannot be is refused in a sentence."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from thighview.core.errors import SeveralScansError, UserError
from thighview.core.known import lengths_known
from thighview.core.volume import Volume
from thighview.io.reading import read_source, read_volume, sha256_of

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
PLAIN = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = 0 0 1 1 0 0 0 1 0
Offset = 10 -20 30
CenterOfRotation = 0 0 0
AnatomicalOrientation = RAI
ElementSpacing = 1.5 1.25 5
DimSize = 5 4 3
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""


def write(path: Path, header: str = PLAIN, data: bytes = VOXELS.tobytes(), crlf: bool = False) -> Path:
    path.write_bytes((header.replace("\n", "\r\n") if crlf else header).encode() + data)
    return path


def same_as_itk(path: Path) -> None:
    image, volume = sitk.ReadImage(str(path)), read_volume(path)
    assert np.array_equal(volume.voxels, sitk.GetArrayFromImage(image))
    for at in ((0, 0, 0), (2, 0, 0), (0, 3, 0), (0, 0, 4)):
        wanted = image.TransformContinuousIndexToPhysicalPoint(at[::-1])
        assert np.abs(volume.to_world(at) - wanted).max() < 1e-3


@pytest.mark.parametrize("crlf", [False, True])
def test_the_matrix_lists_axis_after_axis_and_words_about_anatomy_count_for_nothing(tmp_path: Path, crlf: bool) -> None:
    path = write(tmp_path / "a.mha", crlf=crlf)
    same_as_itk(path)
    volume = read_volume(path)
    assert volume.axes == "PLS" and volume.spacing_mm == (5, 1.25, 1.5) and not volume.warnings
    other = write(tmp_path / "b.mha", PLAIN.replace("RAI", "LPS"))
    assert np.array_equal(read_volume(other).affine, volume.affine)


@pytest.mark.parametrize(
    ("old", "new", "data"),
    [
        ("ByteOrderMSB = False", "ByteOrderMSB = True", VOXELS.astype(">i2").tobytes()),
        ("BinaryDataByteOrderMSB = False", "ElementByteOrderMSB = True", VOXELS.astype(">i2").tobytes()),
        ("CompressedData = False", "CompressedData = True", zlib.compress(VOXELS.tobytes())),
        ("Offset", "Position", VOXELS.tobytes()),
        ("Offset", "Origin", VOXELS.tobytes()),
        ("TransformMatrix", "Rotation", VOXELS.tobytes()),
        ("TransformMatrix", "Orientation", VOXELS.tobytes()),
        ("ObjectType = Image\n", "ObjectType = Image\nComment = = : odd = words\n", VOXELS.tobytes()),
        ("ObjectType = Image\n", "", VOXELS.tobytes()),
    ],
)
def test_other_ways_to_write_the_same(tmp_path: Path, old: str, new: str, data: bytes) -> None:
    path = write(tmp_path / "a.mha", PLAIN.replace(old, new, 1), data)
    assert np.array_equal(read_volume(path).voxels, VOXELS)
    assert np.array_equal(read_volume(path).affine, read_volume(write(tmp_path / "b.mha")).affine)


def test_voxels_in_another_file(tmp_path: Path) -> None:
    header = PLAIN.replace("LOCAL", "a.raw")
    (tmp_path / "a.raw").write_bytes(VOXELS.tobytes())
    path = write(tmp_path / "a.mhd", header, b"")
    same_as_itk(path)
    assert read_source(path).files == {path, tmp_path / "a.raw"}
    before = sha256_of(path)
    (tmp_path / "a.raw").write_bytes(b"words before" + VOXELS.tobytes())
    assert sha256_of(path) != before
    for size in ("12", "-1"):
        same = write(tmp_path / "b.mhd", header.replace("ElementType", f"HeaderSize = {size}\nElementType"), b"")
        same_as_itk(same)
    for name in ("../a.raw", "/etc/hostname"):
        with pytest.raises(UserError, match="should lie in the file"):
            read_volume(write(tmp_path / "c.mhd", PLAIN.replace("LOCAL", name), b""))


def test_several_values_per_voxel_are_parts_and_colours_refused(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-90, 90, (3, 4, 5, 2)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(values, isVector=True), str(tmp_path / "a.mha"))
    with pytest.raises(SeveralScansError, match="2 volumes"):
        read_volume(tmp_path / "a.mha")
    assert np.array_equal(read_volume(tmp_path / "a.mha", "2").voxels, values[..., 1])
    colours = np.zeros((3, 4, 5, 3), np.uint8)
    for ending, words in (("mha", "colour"), ("nii", "vectors")):
        sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(tmp_path / f"c.{ending}"))
        with pytest.raises(UserError, match=words):
            read_volume(tmp_path / f"c.{ending}")


def test_three_floating_numbers_are_a_vector_and_all_others_are_several_scans(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    for count, kind in ((2, np.float32), (4, np.float32), (6, np.float64), (3, np.int16)):
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, count), kind), isVector=True), str(path))
        with pytest.raises(SeveralScansError, match=f"{count} volumes"):
            read_volume(path)
    values = np.random.default_rng(0).random((3, 4, 5, 3)).astype(np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(values, isVector=True), str(path))
    with pytest.raises(UserError, match="holds vectors of 3 numbers"):
        read_volume(path)
    assert np.array_equal(read_volume(path, "2").voxels, values[..., 1]), "as a case that has it was made"
    assert len(sha256_of(path, "2")) == 64


def test_a_unit_that_a_file_names_is_said_and_its_numbers_are_mm_as_for_itk(tmp_path: Path) -> None:
    def of(unit: str) -> Volume:
        return read_volume(write(tmp_path / "a.mha", PLAIN.replace("DimSize", f"DistanceUnits = {unit}\nDimSize")))

    for unit in ("mm", "?"):
        assert of(unit).spacing_mm == (5, 1.25, 1.5) and not of(unit).warnings
    for unit in ("cm", "um", "parsec"):
        volume = of(unit)
        assert volume.spacing_mm == (5, 1.25, 1.5) and f"names {unit!r} as its unit" in volume.warnings[0]
        assert lengths_known(volume), "a case that was made of it can still be worked on"
        same_as_itk(tmp_path / "a.mha")


def test_what_is_not_said_is_told(tmp_path: Path) -> None:
    def said(header: str, data: bytes = VOXELS.tobytes()) -> str:
        return " ".join(read_volume(write(tmp_path / "a.mha", header, data)).warnings)

    assert "no TransformMatrix" in said(PLAIN.replace("TransformMatrix = 0 0 1 1 0 0 0 1 0\n", ""))
    assert "passed over" in said(PLAIN.replace("0 0 1 1 0 0 0 1 0", "0 0 1 0 0 1 0 1 0"))
    assert "lengths are not known" in said(PLAIN.replace("ElementSpacing = 1.5 1.25 5\n", ""))
    assert "negative" in said(PLAIN.replace("1.5 1.25 5", "1.5 -1.25 5"))
    turned = sitk.ReadImage(str(tmp_path / "a.mha"))
    corner = read_volume(tmp_path / "a.mha").to_world((2.0, 3.0, 4.0))
    assert corner == pytest.approx(turned.TransformIndexToPhysicalPoint((4, 3, 2)))
    assert "right angles" in said(PLAIN.replace("0 0 1 1 0 0 0 1 0", "0 0 1 1 0 0.2 0 1 0"))
    flat = (
        PLAIN.replace("NDims = 3", "NDims = 2").replace("0 0 1 1 0 0 0 1 0", "1 0 0 1").replace("10 -20 30", "10 -20")
    )
    flat = flat.replace("1.5 1.25 5", "1.5 1.25").replace("DimSize = 5 4 3", "DimSize = 5 12")
    assert "One slice only" in said(flat) and "lies in a plane" in said(flat)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("DimSize = 5 4 3", "DimSize = 5 4", "proper sizes"),
        ("DimSize = 5 4 3", "DimSize = 5 4 -3", "proper sizes"),
        ("DimSize = 5 4 3", "DimSize = 5 4 x", "cannot be read"),
        ("DimSize = 5 4 3", "DimSize = 500 400 300", "announces"),
        ("NDims = 3", "NDims = 9", "proper sizes"),
        ("ObjectType = Image", "ObjectType = Tube", "holds no image"),
        ("BinaryData = True", "BinaryData = False", "as text"),
        ("MET_SHORT", "MET_SHORT_ARRAY", "of the type"),
        ("LOCAL", "LIST", "several files"),
        ("LOCAL", "a%02d.raw 1 9 1", "several files"),
        ("LOCAL", "nothing.raw", "not there"),
        ("ElementType", "HeaderSize = -7\nElementType", "begin where"),
        ("CompressedData = False", "CompressedData = True", "damaged"),
        ("ElementDataFile = LOCAL\n", "", "does not end"),
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in PLAIN
    with pytest.raises(UserError, match=words) as caught:
        read_volume(write(tmp_path / "a.mha", PLAIN.replace(old, new, 1)))
    assert "\n" not in str(caught.value)


def test_damage_is_found(tmp_path: Path) -> None:
    packed = zlib.compress(np.random.default_rng(1).integers(0, 99, (3, 4, 5)).astype(np.int16).tobytes())
    header = PLAIN.replace("CompressedData = False", "CompressedData = True")
    for data, words in (
        (packed[:-5], "cut short"),
        (packed[:-1] + bytes([packed[-1] ^ 1]), "damaged"),
        (zlib.compress(VOXELS.tobytes()[:-2]), "cut short"),
        (zlib.compress(VOXELS.tobytes() + bytes(70_000)), "more bytes"),
    ):
        with pytest.raises(UserError, match=words):
            read_volume(write(tmp_path / "a.mha", header, data))
    with pytest.raises(UserError, match="cut short"):
        read_volume(write(tmp_path / "a.mha", PLAIN, VOXELS.tobytes()[:-1]))
