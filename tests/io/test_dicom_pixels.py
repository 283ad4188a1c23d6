"""Pixels of DICOM images: every packing that can be read gives the numbers that were packed, or names itself."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_files import write_series
from pydicom.data import get_testdata_file
from pydicom.uid import UID, ExplicitVRBigEndian, JPEGLSLossless, RLELossless

from thighview.core.errors import UserError
from thighview.io import dicom_pixels
from thighview.io.dicom import read_dicom

LOSSLESS = ("JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless", "RLELossless")
FORMS = {
    "12 bits": ("<u2", 12, 0, (0, 4095)),
    "16 bits, signed": ("<i2", 16, 1, (-32768, 32767)),
    "16 bits": ("<u2", 16, 0, (0, 65535)),
    "8 bits": ("<u1", 8, 0, (0, 255)),
}


def write_form(folder: Path, form: str) -> np.ndarray:
    """Two images of 64 x 48 with all a form can hold, and what was written."""
    dtype, bits, signed, ends = FORMS[form]
    rng = np.random.default_rng(5)
    voxels = rng.integers(ends[0], ends[1], (2, 64, 48), endpoint=True).astype(dtype)
    voxels[0, 0, :2] = ends
    write_series(
        folder, [0, 5], Rows=64, Columns=48, BitsAllocated=8 * voxels.itemsize, BitsStored=bits, HighBit=bits - 1,
        PixelRepresentation=signed, PixelData=tuple(plane.tobytes() for plane in voxels),
    )  # fmt: skip
    return voxels


def repack(source: Path, target: Path, syntax: str) -> None:
    """Write all files of a folder in another transfer syntax, by GDCM."""
    import gdcm

    target.mkdir()
    for path in source.iterdir():
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(target / path.name))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_what_was_packed_without_loss_comes_out_as_it_was(tmp_path, form, syntax):
    wanted = write_form(tmp_path / "plain", form)
    repack(tmp_path / "plain", tmp_path / "packed", syntax)
    found = read_dicom(tmp_path / "packed")
    assert np.array_equal(found.voxels, wanted) and found.voxels.dtype == wanted.dtype.newbyteorder("=")
    assert np.array_equal(read_dicom(tmp_path / "plain").voxels, wanted)


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "JPGExtended.dcm", "JPEGLSNearLossless_16.dcm", "693_J2KI.dcm"])
def test_what_was_packed_with_loss_is_simpleitk_s(tmp_path, name):
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip("this pydicom brings no such file")
    image = pydicom.dcmread(path)
    if "SeriesInstanceUID" not in image:
        image.SeriesInstanceUID = "1.2.3"
    image.save_as(tmp_path / "one")
    volume = read_dicom(tmp_path / "one")
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "one")))
    assert np.abs(volume.voxels.astype(float) - theirs).max() <= 1 and volume.voxels.max() > 0


def test_big_endian_is_turned(tmp_path):
    wanted = write_form(tmp_path / "plain", "16 bits, signed")
    (tmp_path / "big").mkdir()
    for path in (tmp_path / "plain").iterdir():
        image = pydicom.dcmread(path)
        image.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        image.PixelData = np.frombuffer(image.PixelData, "<i2").astype(">i2").tobytes()
        target = tmp_path / "big" / path.name
        pydicom.dcmwrite(target, image, implicit_vr=False, little_endian=False, force_encoding=True)
    assert np.array_equal(read_dicom(tmp_path / "big").voxels, wanted)


@pytest.mark.parametrize(("used", "high", "signed"), [(12, 11, 0), (12, 11, 1), (10, 13, 0), (10, 13, 1)])
def test_bits_that_do_not_count_are_masked(tmp_path, used, high, signed):
    """Overlays stood there once."""
    rng = np.random.default_rng(2)
    low, top = (-(1 << used - 1), (1 << used - 1) - 1) if signed else (0, (1 << used) - 1)
    wanted = rng.integers(low, top, (4, 5), endpoint=True)
    junk = rng.integers(0, 1 << 16, (4, 5)) & ~(((1 << used) - 1) << (high + 1 - used))
    stored = ((wanted & ((1 << used) - 1)) << (high + 1 - used)) | junk
    folder = write_series(
        tmp_path / "a", [0], BitsStored=used, HighBit=high, PixelRepresentation=signed,
        PixelData=stored.astype("<u2").tobytes(),
    )  # fmt: skip
    assert np.array_equal(read_dicom(folder).voxels[0], wanted)


def test_dark_and_bright_exchanged_are_turned_round(tmp_path):
    values = (1, 5)
    volume = read_dicom(
        write_series(tmp_path / "a", [0, 5], PhotometricInterpretation="MONOCHROME1", RescaleIntercept=values)
    )
    assert volume.voxels[:, 0, 0].tolist() == [4095 - 0 + 1, 4095 - 1 + 5]
    assert "turned round" in volume.details["Brightness"]
    assert any("dark and bright exchanged" in warning for warning in volume.warnings)
    signed = read_dicom(
        write_series(
            tmp_path / "b", [0], PhotometricInterpretation="MONOCHROME1", PixelRepresentation=1,
            PixelData=np.full((4, 5), -2048, "<i2").tobytes(),
        )
    )  # fmt: skip
    assert signed.voxels.dtype == np.int16 and (signed.voxels == 2047).all()


@pytest.mark.parametrize(
    ("values", "dtype", "wanted"),
    [
        ({}, "u2", [0, 1]),
        ({"RescaleSlope": 1, "RescaleIntercept": -1024}, "i2", [-1024, -1023]),
        ({"RescaleSlope": 3, "RescaleIntercept": 0}, "i2", [0, 3]),
        ({"RescaleSlope": 20, "RescaleIntercept": 0}, "i4", [0, 20]),
        ({"RescaleSlope": -1, "RescaleIntercept": 4095}, "i2", [4095, 4094]),
        ({"RescaleSlope": 1 << 40}, "i8", [0, 1 << 40]),
        ({"RescaleSlope": 1e300}, "f8", [0, 1e300]),
        ({"RescaleSlope": 0.5, "RescaleIntercept": 0.25}, "f4", [0.25, 0.75]),
        ({"PixelRepresentation": (0, 1)}, "i2", [0, 1]),
        ({"BitsStored": (12, 16), "HighBit": (11, 15), "PixelRepresentation": (1, 0)}, "i4", [0, 1]),
    ],
)
def test_whole_numbers_stay_whole_in_the_smallest_type_that_holds_all_that_can_be(tmp_path, values, dtype, wanted):
    volume = read_dicom(write_series(tmp_path / "a", [0, 5], **values))
    assert volume.voxels.dtype == np.dtype(dtype) and volume.voxels[:, 0, 0].tolist() == wanted


def test_a_packing_that_cannot_be_read_is_named(tmp_path):
    folder = write_series(tmp_path / "a", [0])
    image = pydicom.dcmread(folder / "000")
    image.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")
    image.PixelData = pydicom.encaps.encapsulate([bytes(80)])
    image.save_as(folder / "000")
    with pytest.raises(UserError, match=r"cannot be read here \(MPEG-4 AVC/H.264 High Profile") as caught:
        read_dicom(folder)
    assert "dcm2niix or gdcmconv" in caught.value.hint


def test_what_is_cut_short_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    folder = write_series(tmp_path / "a", [0, 5, 10])
    whole = (folder / "002").read_bytes()
    (folder / "002").write_bytes(whole[:-10])
    monkeypatch.setattr(dicom_pixels, "images_of", lambda *_: pytest.fail("nothing is read of it"))
    with pytest.raises(UserError, match=r"^002 is cut short"):
        read_dicom(folder)


def test_frames_in_any_order_are_read_with_one_opening_of_their_file(tmp_path, monkeypatch):
    from test_dicom_frames import write_enhanced

    path = write_enhanced(tmp_path / "one", [0, 8, 16, 4, 12, 20])
    image = pydicom.dcmread(path)
    image.compress(RLELossless, generate_instance_uid=False)
    image.save_as(path)
    opened = []
    read = dicom_pixels.read_dataset
    monkeypatch.setattr(dicom_pixels, "read_dataset", lambda path, *tags: opened.append(path) or read(path, *tags))
    assert read_dicom(path).voxels[:, 0, 0].tolist() == [1, 4, 2, 5, 3, 6] and len(opened) == 1


def test_a_decoder_that_makes_more_than_the_header_allows_is_not_believed(tmp_path):
    wanted = write_form(tmp_path / "plain", "16 bits")
    for path in (tmp_path / "plain").iterdir():
        image = pydicom.dcmread(path)
        image.compress(JPEGLSLossless, generate_instance_uid=False)
        image.BitsStored, image.HighBit = 12, 11
        image.save_as(path)
    assert wanted.max() > 4095
    with pytest.raises(UserError, match=r"damaged|cut short"):
        read_dicom(tmp_path / "plain")
