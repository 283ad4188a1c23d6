"""Enhanced images: several frames in one file, placed by what each says of itself."""

import random

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, JPEGLSLossless, RLELossless, generate_uid

from thighview.core.errors import SeveralScansError, UserError
from thighview.io.burned_in import burned_in_doubt
from thighview.io.dicom import read_dicom
from thighview.io.dicom_source import images_at
from thighview.io.reading import inspect, read_volume, sha256_of


def item(**values):
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def write_enhanced(path, frames, slopes=None, echoes=None):
    """An axial enhanced image of 4 x 5; ``frames`` are heights, frame ``i`` is filled with ``i + 1``."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, EnhancedMRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = EnhancedMRImageStorage, meta.MediaStorageSOPInstanceUID
    image.SeriesInstanceUID, image.Modality, image.SeriesNumber = generate_uid(), "MR", 7
    image.PatientID, image.Rows, image.Columns, image.NumberOfFrames = "P-9", 4, 5, len(frames)
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PixelData = np.concatenate([np.full((4, 5), i + 1, "<u2") for i in range(len(frames))]).tobytes()
    image.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PixelMeasuresSequence=[item(PixelSpacing=[1.25, 0.75], SliceThickness=3)],
            MREchoSequence=[item(EffectiveEchoTime=11.0)],
        )
    ]
    image.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[-10, -20, height])]) for height in frames
    ]
    for i, own in enumerate(image.PerFrameFunctionalGroupsSequence):
        if slopes:
            own.PixelValueTransformationSequence = [item(RescaleSlope=slopes[i], RescaleIntercept=0)]
        if echoes:
            own.MREchoSequence = [item(EffectiveEchoTime=echoes[i])]
    image.save_as(path, enforce_file_format=True)
    return path


def test_what_a_frame_says_of_itself_changes_neither_the_header_nor_other_frames(tmp_path):
    path = write_enhanced(tmp_path / "one", [0, 4, 8], slopes=[1.0, 2.0, 0.5])
    image = pydicom.dcmread(path)
    image.ImagePositionPatient, image.RescaleSlope, image.RescaleIntercept = [0, 0, 0], 1, 0
    image.ImageType = ["DERIVED", "SECONDARY", "VOLUME", "NONE"]
    for own in image.PerFrameFunctionalGroupsSequence:
        own.MRImageFrameTypeSequence = [item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])]
    image.save_as(path)
    source = images_at(path)
    assert [image.flat.ImagePositionPatient[2] for image in source.images] == [0, 4, 8]
    assert [image.flat.RescaleSlope for image in source.images] == [1.0, 2.0, 0.5]
    for image in source.images:
        assert image.whole.ImageType[0] == "DERIVED" and image.flat.ImageType[0] == "ORIGINAL"
        assert image.whole.RescaleSlope == 1 and list(image.whole.ImagePositionPatient) == [0, 0, 0]
    assert burned_in_doubt(source)


def test_frames_lie_where_each_of_them_says(tmp_path):
    heights = [0.0, 4.0, 8.0, 12.0, 16.0]
    random.Random(2).shuffle(heights)
    path = write_enhanced(tmp_path / "one", heights)
    for given in (path, tmp_path):
        volume = read_volume(given)
        assert volume.shape == (5, 4, 5) and volume.axes == "SPL" and not volume.warnings
        assert volume.spacing_mm == pytest.approx((4, 1.25, 0.75))
        for z in range(5):
            height = volume.to_world((z, 0, 0))[2]
            assert volume.voxels[z, 0, 0] == heights.index(pytest.approx(height)) + 1
    assert volume.details["Echo time"] == "11 ms" and volume.details["Slice thickness"] == "3 mm"


def test_each_frame_has_its_own_scale(tmp_path):
    volume = read_dicom(write_enhanced(tmp_path / "one", [0, 4, 8], slopes=[1.0, 2.0, 0.5]))
    assert volume.voxels[:, 0, 0].tolist() == [1.0, 4.0, 1.5]
    assert any("one by one" in warning for warning in volume.warnings)


def test_echoes_in_one_file_are_not_mixed(tmp_path):
    path = write_enhanced(tmp_path / "one", [0, 4, 8, 0, 4, 8], echoes=[10, 10, 10, 20, 20, 20])
    with pytest.raises(UserError, match="holds 2 series"):
        read_dicom(tmp_path)
    with pytest.raises(UserError, match="holds 2 series"):
        read_dicom(path)
    told = inspect(tmp_path).to_json()
    assert told["shape_zyx"] == [3, 4, 5] and [row["images"] for row in told["series"]] == [3, 3]
    assert "2 series" in told["warnings"][0]


def test_b_values_in_one_file_are_not_mixed(tmp_path):
    path = write_enhanced(tmp_path / "one", [0, 0, 4, 4, 8, 8])
    image = pydicom.dcmread(path)
    for own, b in zip(image.PerFrameFunctionalGroupsSequence, (0, 500, 500, 0, 0, 500), strict=True):
        own.MRDiffusionSequence = [item(DiffusionBValue=b)]
    image.save_as(path)
    with pytest.raises(SeveralScansError, match=r"volume 1 of 2, b 0.*volume 2 of 2, b 500") as caught:
        read_dicom(path)
    found = [read_dicom(*choice.key).voxels[:, 0, 0].tolist() for choice in caught.value.choices]
    assert found == [[1, 4, 5], [2, 3, 6]]
    assert inspect(tmp_path).to_json()["shape_zyx"] == [3, 4, 5]


def test_two_frames_at_one_place_are_no_volume(tmp_path):
    with pytest.raises(UserError, match="3 different images of this series share 2 positions"):
        read_dicom(write_enhanced(tmp_path / "one", [0, 4, 4]))


def test_a_moved_frame_changes_the_hash_and_a_copied_file_does_not(tmp_path):
    first = write_enhanced(tmp_path / "one", [0, 4, 8])
    before = sha256_of(first)
    (tmp_path / "b").mkdir()
    image = pydicom.dcmread(first)
    image.save_as(tmp_path / "b" / "again.dcm")
    assert sha256_of(tmp_path / "b") == before
    image.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient = [-10, -20, 4.001]
    image.save_as(tmp_path / "b" / "again.dcm")
    assert sha256_of(tmp_path / "b") != before


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless], ids=["RLE", "JPEG-LS"])
def test_packed_frames_are_the_same(tmp_path, syntax):
    first = write_enhanced(tmp_path / "one", [0, 4, 8])
    image = pydicom.dcmread(first)
    image.compress(syntax, generate_instance_uid=False)
    (tmp_path / "b").mkdir()
    image.save_as(tmp_path / "b" / "packed")
    a, b = read_dicom(first), read_dicom(tmp_path / "b")
    assert np.array_equal(a.voxels, b.voxels) and np.array_equal(a.affine, b.affine)


@pytest.mark.parametrize("name", ["d095_hyperfine_anatomical_001", "d145_eCT_Supplemental", "d163_T2-interleaved"])
def test_real_ones_are_simpleitk_s(hostile, name):
    (path,) = (hostile / "dicom" / name).iterdir()
    volume, image = read_volume(path), sitk.ReadImage(str(path))
    theirs = sitk.GetArrayFromImage(image)
    rng = np.random.default_rng(0)
    for z, y, x in [(0, 0, 0), *(rng.integers(0, theirs.shape, (20, 3)).tolist())]:
        index = volume.to_index(image.TransformContinuousIndexToPhysicalPoint((x, y, z)))
        assert np.abs(index - np.round(index)).max() < 1e-3
        assert volume.voxels[tuple(np.round(index).astype(int))] == pytest.approx(theirs[z, y, x], rel=1e-6)


def test_damaged_groups_never_end_in_anything_but_a_user_error(tmp_path):
    original = write_enhanced(tmp_path / "one", [0, 4, 8]).read_bytes()
    path = tmp_path / "damaged.dcm"
    rng = random.Random(4)
    for _ in range(150):
        data = bytearray(original)
        for _ in range(3):
            data[rng.randrange(132, len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            read_volume(path)
        except UserError as error:
            assert error.message


def test_time_points_in_one_file_have_names_of_their_own(tmp_path):
    path = write_enhanced(tmp_path / "one", [0, 4, 8, 0, 4, 8])
    image = pydicom.dcmread(path)
    for i, own in enumerate(image.PerFrameFunctionalGroupsSequence):
        own.FrameContentSequence = [item(TemporalPositionIndex=1 + i // 3)]
    image.save_as(path)
    with pytest.raises(SeveralScansError) as caught:
        read_dicom(path)
    assert [choice.title.rpartition(", ")[2] for choice in caught.value.choices] == ["time 1", "time 2"]
