"""DICOM series: ordered by position whatever the files are called, complete or refused."""

import random
import shutil
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_files import write_series
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from thighview.core.errors import SeveralScansError, UserError
from thighview.io import dicom
from thighview.io.dicom import read_dicom
from thighview.io.reading import inspect, patient_id, read_volume, sha256_of

KNEE = "dicom/ge_knee_mese_echo1_MIT"


def test_the_knee_has_simpleitk_s_voxels_and_corners(data):
    volume = read_volume(data / KNEE)
    assert volume.shape == (24, 256, 256) and volume.axes == "RIP" and volume.kind == "dicom"
    assert volume.voxels.dtype == np.int16 and volume.voxels.dtype.isnative
    assert volume.spacing_mm == pytest.approx((4, 0.625, 0.625), abs=1e-3)
    reader = sitk.ImageSeriesReader()
    files = [str(s.path) for s in dicom.choose_series(data / KNEE).slices]
    files.sort(key=lambda f: pydicom.dcmread(f, stop_before_pixels=True).ImagePositionPatient[0], reverse=True)
    reader.SetFileNames(files)
    image = reader.Execute()
    assert np.array_equal(sitk.GetArrayFromImage(image), volume.voxels)
    for z, y, x in [(0, 0, 0), (23, 0, 0), (0, 255, 0), (0, 0, 255), (23, 255, 255)]:
        wanted = image.TransformContinuousIndexToPhysicalPoint((x, y, z))
        assert np.abs(volume.to_world((z, y, x)) - wanted).max() < 1e-3


def test_names_do_not_matter(data, tmp_path):
    files = sorted(p for p in (data / KNEE).iterdir() if p.suffix == ".dcm")
    random.Random(5).shuffle(files)
    for i, path in enumerate(files):
        shutil.copy(path, tmp_path / f"{i:02d}")
    (tmp_path / "README.txt").write_text("not an image")
    a, b = read_volume(data / KNEE), read_volume(tmp_path)
    assert np.array_equal(a.voxels, b.voxels) and np.array_equal(a.affine, b.affine)
    assert sha256_of(data / KNEE) == sha256_of(tmp_path) == sha256_of(tmp_path / "07")
    assert np.array_equal(read_volume(tmp_path / "03").voxels, a.voxels)


def test_a_changed_pixel_or_position_changes_the_hash(tmp_path):
    folder = write_series(tmp_path / "a", [0, 5, 10])
    before = sha256_of(folder)
    slice_ = pydicom.dcmread(folder / "001")
    slice_.ImagePositionPatient = [-10, -20, 5.001]
    slice_.save_as(folder / "001")
    moved = sha256_of(folder)
    slice_.PixelData = bytes([9]) + slice_.PixelData[1:]
    slice_.save_as(folder / "001")
    assert len({before, moved, sha256_of(folder)}) == 3


def test_order_place_and_names(tmp_path):
    volume = read_dicom(write_series(tmp_path / "a", [10, 0, 5]))
    assert volume.voxels[:, 0, 0].tolist() == [1, 2, 0] and volume.axes == "SPL"
    assert volume.spacing_mm == (5, 1.25, 0.75) and volume.to_world((0, 0, 0)).tolist() == [-10, -20, 0]
    assert volume.name == "t1_tra" and not volume.warnings
    assert "Doe" not in repr(volume) and "P-17" not in repr(volume)
    assert patient_id(tmp_path / "a") == "P-17"


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ([0, 5, 11, 16, 21], "5 slices of this series do not follow each other evenly: they lie 5.00 to 6.00 mm apart"),
        ([0, 5, 10, 15, 60], "evenly: they lie 5.00 to 45.00 mm apart"),
        ([0, 5, 10, 10, 15], "5 different images of this series share 4 positions"),
        ([0, 0, 0], "share 1 position:"),
    ],
)
def test_stacks_that_do_not_add_up_are_refused(tmp_path, positions, words):
    with pytest.raises(UserError, match=words):
        read_dicom(write_series(tmp_path / "a", positions))


def test_a_missing_slice_leaves_a_gap_and_all_others_in_their_place(tmp_path):
    heights = [0, 5, 10, 25, 30, 40, 45, 50, 55, 60]
    volume = read_dicom(write_series(tmp_path / "a", heights, RescaleSlope=2, RescaleIntercept=-7))
    assert volume.shape == (13, 4, 5) and volume.spacing_mm[0] == pytest.approx(5)
    for i, height in enumerate(heights):
        z = volume.to_index((-10, -20, height))[0]
        assert volume.voxels[round(z), 0, 0] == 2 * i - 7
    assert (volume.voxels[[3, 4, 7]] == -7).all(), "as dark as the darkest"
    assert volume.missing == (3, 4, 7) == read_volume(tmp_path / "a").missing
    two, one = volume.warnings
    assert two.startswith("2 slices are missing between 3 and 4") and "15.00 mm apart, the others 5.00 mm" in two
    assert one.startswith("A slice is missing between 5 and 6")


def test_small_doubts_are_said(tmp_path):
    assert "not quite evenly" in read_dicom(write_series(tmp_path / "a", [0, 5, 10.2, 15.2])).warnings[0]
    one = read_dicom(write_series(tmp_path / "b", [0], SliceThickness=4))
    assert one.spacing_mm[0] == 4 and not one.warnings
    thin = read_dicom(write_series(tmp_path / "d", [0]))
    assert thin.details["Slice thickness"] == "not given, 1 mm taken" and not thin.warnings
    folder = write_series(tmp_path / "c", [0, 5])
    shutil.copy(folder / "000", folder / "copy of 000")
    volume = read_dicom(folder)
    assert volume.shape[0] == 2 and volume.warnings == (
        "1 image is a copy of another and was left out: the same place, the same pixels.",
    )


def test_slices_beside_the_line_are_refused_and_slanted_stacks_said(tmp_path):
    beside = ([-10, -20, 0], [-9, -20, 5], [-10, -20, 10])
    with pytest.raises(UserError, match="straight line"):
        read_dicom(write_series(tmp_path / "a", [0, 5, 10], ImagePositionPatient=tuple(beside)))
    slanted = tuple([-10, -20 + i, 5 * i] for i in range(3))
    volume = read_dicom(write_series(tmp_path / "b", [0, 5, 10], ImagePositionPatient=slanted))
    assert "slant of 11.3 degrees" in volume.warnings[0]
    assert np.allclose(volume.to_world((2, 0, 0)), [-10, -18, 10])


def test_rescale_is_applied(tmp_path):
    volume = read_dicom(write_series(tmp_path / "a", [0, 5], RescaleSlope=2.5, RescaleIntercept=-1))
    assert volume.voxels.dtype == np.float32 and volume.voxels[:, 0, 0].tolist() == [-1, 1.5]
    volume = read_dicom(write_series(tmp_path / "b", [0, 5], RescaleSlope=1, RescaleIntercept=-1000))
    assert volume.voxels.dtype == np.int16 and volume.voxels[:, 0, 0].tolist() == [-1000, -999]
    volume = read_dicom(write_series(tmp_path / "c", [0, 5], RescaleSlope=(1.0, 2.0), RescaleIntercept=0))
    assert volume.voxels[:, 0, 0].tolist() == [0, 2] and "one by one" in volume.warnings[0]


def test_several_series_are_named_and_one_file_chooses(tmp_path):
    write_series(tmp_path / "s" / "a", [0, 5, 10])
    write_series(tmp_path / "s" / "b", [0, 5], EchoTime=9.5, SeriesNumber=4, SeriesDescription="t2_tra")
    with pytest.raises(
        UserError, match=r'2 series.*series 3 "t1_tra".*series 4 "t2_tra", echo 9.5 ms, 2 images of 5 x 4'
    ):
        read_dicom(tmp_path / "s")
    assert read_dicom(tmp_path / "s" / "b" / "001").shape == (2, 4, 5)
    told = inspect(tmp_path / "s").to_json()
    assert told["shape_zyx"] == [3, 4, 5] and len(told["series"]) == 2 and "2 series" in told["warnings"][0]
    assert patient_id(tmp_path / "s" / "a" / "000") == "P-17"


def test_echoes_of_one_series_are_not_mixed(tmp_path):
    uid = generate_uid()
    write_series(tmp_path, [0, 5, 10], SeriesInstanceUID=uid, EchoTime=10)
    write_series(tmp_path, [0, 5, 10], 3, SeriesInstanceUID=uid, EchoTime=20)
    with pytest.raises(UserError, match="2 series"):
        read_dicom(tmp_path)


def test_time_points_of_one_series_are_volumes(tmp_path):
    uid = generate_uid()
    for n, number in enumerate((20, 10, 30)):  # written in another order than measured
        numbers = tuple(number + k for k in range(4))
        write_series(
            tmp_path, [0, 5, 10, 15], 10 * n, SeriesInstanceUID=uid, InstanceNumber=numbers, RescaleIntercept=number
        )
    with pytest.raises(UserError, match=r"holds 3 series, one was expected: .*volume 1 of 3.*volume 3 of 3"):
        read_dicom(tmp_path)
    told = inspect(tmp_path).to_json()
    assert told["shape_zyx"] == [4, 4, 5] and [row["images"] for row in told["series"]] == [4, 4, 4]
    for name, number in (("000", 20), ("013", 10), ("022", 30)):  # a file opens the volume that it belongs to
        volume = read_dicom(tmp_path / name)
        assert volume.voxels[:, 0, 0].tolist() == [number + z for z in range(4)] and not volume.warnings
    assert len({sha256_of(tmp_path / name) for name in ("000", "010", "020")}) == 3
    assert sha256_of(tmp_path / "000") == sha256_of(tmp_path / "003")


@pytest.mark.parametrize(
    ("numbers", "volumes"),
    [
        ([[1, 2, 3], [4, 5, 6]], True),  # volume by volume
        ([[1, 3, 5], [2, 4, 6]], True),  # position by position
        ([[1, 4, 5], [2, 3, 6]], True),  # the same, back and forth
        ([[1, 2, 4], [3, 6, 5]], False),  # nothing says which images belong together
        ([[1, 1, 1], [1, 1, 1]], False),
    ],
)
def test_images_are_parted_into_volumes_only_for_certain(tmp_path, numbers, volumes):
    uid = generate_uid()
    for n, own in enumerate(numbers):
        write_series(tmp_path, [0, 5, 10], 3 * n, SeriesInstanceUID=uid, InstanceNumber=tuple(own), RescaleIntercept=n)
    with pytest.raises(UserError, match="holds 2 series" if volumes else "6 different images .* share 3 positions"):
        read_dicom(tmp_path)


def test_volumes_are_those_of_one_value(tmp_path):
    """Whatever the numbers say."""
    uid = generate_uid()
    values = [(0, 800, 0), (800, 0, 800)]
    for n, own in enumerate(values):
        write_series(
            tmp_path, [0, 5, 10], 3 * n, SeriesInstanceUID=uid, DiffusionBValue=own, InstanceNumber=(1, 2, 3),
            RescaleIntercept=own,
        )  # fmt: skip
    for first, b in (("000", 0), ("001", 800)):
        assert {int(v) // 100 for v in read_dicom(tmp_path / first).voxels[:, 0, 0]} == {b // 100}


def test_each_series_of_a_tree_is_offered_and_opens(tmp_path):
    uid = generate_uid()
    write_series(tmp_path / "s" / "a", [0, 5], SeriesInstanceUID=uid)
    write_series(tmp_path / "s" / "b", [10, 15], SeriesInstanceUID=uid)
    write_series(tmp_path / "s" / "c", [0, 5, 10], SeriesDescription="t2")
    write_series(tmp_path / "s" / "c", [0, 5, 10], 3, SeriesDescription="t2")
    with pytest.raises(SeveralScansError, match="holds 3 series") as caught:
        read_dicom(tmp_path / "s")
    choices = caught.value.choices
    assert [choice.path for choice in choices] == [tmp_path / "s", tmp_path / "s" / "c", tmp_path / "s" / "c"]
    assert [read_dicom(*choice.key).shape[0] for choice in choices] == [4, 3, 3] == [one.images for one in choices]
    titles = [choice.title for choice in choices]
    assert len(set(titles)) == 3 and titles[1].endswith(", from 000") and titles[2].endswith(", from 003")


def test_a_localiser_beside_the_series_is_passed_over(tmp_path):
    uid = generate_uid()
    write_series(tmp_path, [0, 5, 10], SeriesInstanceUID=uid)
    write_series(tmp_path, [0], 3, SeriesInstanceUID=uid, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    assert read_dicom(tmp_path).shape == (3, 4, 5)


def test_what_is_no_classic_image_is_refused_with_the_reason(tmp_path):
    cases = {
        "frames": ({"NumberOfFrames": 2, "PixelData": bytes(80)}, "several frames"),
        "colour": ({"SamplesPerPixel": 3}, "colour"),
        "mosaic": ({"ImageType": ["ORIGINAL", "PRIMARY", "MOSAIC"]}, "mosaic"),
        "elsewhere": ({"ImagePositionPatient": [0, 0, float("inf")]}, "cannot be"),
        "thin": ({"PixelSpacing": [1, 0]}, "whose spacing cannot be"),
        "bits": ({"BitsAllocated": 12}, "12 bits per pixel"),
        "odd bits": ({"BitsStored": 12, "HighBit": 17}, "which cannot be"),
        "fractions": ({"PixelData": ..., "FloatPixelData": bytes(80)}, "fractions"),
        "dark": ({"PixelData": ...}, "without pixels"),
        "SR": ({"Modality": "SR"}, "a report"),
        "large": ({"Rows": 5000}, "5 x 5000, which cannot be"),
        "skewed": ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "cannot be"),
        "short": ({"Rows": None}, "ends too early"),
        "report": ({"Rows": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "no image"),
        "cut": ({"PixelData": bytes(30)}, "cut short"),
    }
    for name, (values, words) in cases.items():
        folder = write_series(tmp_path / name, [0], **values)
        for path in (folder, folder / "000"):
            with pytest.raises(UserError, match=words) as caught:
                read_dicom(path)
            assert "\n" not in str(caught.value)


def test_one_image_in_two_packings_is_one(hostile):
    plain = read_volume(hostile / "dicom" / "d112_MR_small_bigendian")
    packed = read_volume(hostile / "dicom" / "d115_MR_small_jpeg_ls_lossless")
    assert np.array_equal(plain.voxels, packed.voxels) and np.array_equal(plain.affine, packed.affine)


def test_a_deflated_image_opens_and_a_bomb_is_refused(tmp_path):
    plain = write_series(tmp_path / "a", [0, 5, 10])
    (tmp_path / "b").mkdir()
    for path in plain.iterdir():
        slice_ = pydicom.dcmread(path)
        slice_.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        slice_.save_as(tmp_path / "b" / path.name, enforce_file_format=True)
    a, b = read_dicom(plain), read_dicom(tmp_path / "b")
    assert np.array_equal(a.voxels, b.voxels) and np.array_equal(a.affine, b.affine)
    whole = (tmp_path / "b" / "000").read_bytes()
    start = 144 + int.from_bytes(whole[140:144], "little")
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = tmp_path / "bomb.dcm"
    bomb.write_bytes(whole[:start] + squeeze.compress(bytes(200 << 20)) + squeeze.flush())
    with pytest.raises(UserError, match="inflates to more than 50 MB"):
        read_dicom(bomb)
    long = whole[:132] + whole[132:140] + (start - 144 + 2012).to_bytes(4, "little") + b"\x02\0\x02\1OB\0\0"
    long += (2000).to_bytes(4, "little") + bytes(2000) + whole[144:start]
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb.write_bytes(long + squeeze.compress(bytes(200 << 20)) + squeeze.flush())
    with pytest.raises(UserError, match="inflates to more than 50 MB"):
        read_dicom(bomb)
    bomb.write_bytes(whole[: start + 8] + bytes(64))
    with pytest.raises(UserError, match=r"damaged|cut short"):
        read_dicom(bomb)


def test_folders_without_dicom_are_refused(tmp_path):
    with pytest.raises(UserError, match="No DICOM series"):
        read_volume(tmp_path)
    (tmp_path / "a.txt").write_text("a letter")
    with pytest.raises(UserError, match="No DICOM series"):
        read_volume(tmp_path)


def test_damaged_headers_never_end_in_anything_but_a_user_error(tmp_path):
    original = (write_series(tmp_path / "a", [0]) / "000").read_bytes()
    path = Path(tmp_path) / "damaged.dcm"
    rng = random.Random(11)
    for _ in range(150):
        data = bytearray(original)
        for _ in range(3):
            data[rng.randrange(132, len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            read_volume(path)
        except UserError as error:
            assert error.message


@pytest.mark.parametrize(
    ("step_mm", "told", "said"),
    [
        (2, {"SpacingBetweenSlices": 1}, "every second slice may be missing"),
        (2, {"SpacingBetweenSlices": 1, "SliceThickness": 1}, "every second slice may be missing"),
        (9, {"SpacingBetweenSlices": -3}, "only one slice of 3 may be there"),
        (6, {"SpacingBetweenSlices": 1, "SliceThickness": 5}, ""),  # the gap, as some scanners write it
        (5, {"SpacingBetweenSlices": 5}, ""),
        (5, {"SpacingBetweenSlices": 5.2}, ""),
        (5, {"SpacingBetweenSlices": 0}, ""),
        (5, {"SpacingBetweenSlices": 10}, ""),
    ],
)
def test_slices_farther_apart_than_their_header_says_are_a_doubt(tmp_path, step_mm, told, said):
    warnings = read_volume(write_series(tmp_path, range(0, 5 * step_mm, step_mm), **told)).warnings
    assert len(warnings) == bool(said) and said in " ".join(warnings)


def test_numbers_that_go_through_a_table_are_refused(tmp_path):
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType, table.LUTData = [4, 0, 16], "US", bytes(8)
    folder = write_series(tmp_path / "a", [0, 5, 10], ModalityLUTSequence=pydicom.Sequence([table]))
    for given in (folder, folder / "001"):
        with pytest.raises(UserError, match=r"true numbers stand in a table of its own \(Modality LUT\)"):
            read_volume(given)
    assert read_volume(write_series(tmp_path / "b", [0, 5], ModalityLUTSequence=pydicom.Sequence())).shape[0] == 2
