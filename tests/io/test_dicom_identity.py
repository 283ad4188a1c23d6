"""What a DICOM series is known by: its folder and its own content, whatever its files are called and lie beside."""

import random
import shutil

import numpy as np
import pydicom
import pytest
from dicom_files import write_series, write_volume
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from thighview.core.errors import SeveralScansError, UserError
from thighview.io.dicom import choose_series, read_dicom, scan, series_digest
from thighview.io.dicom_source import images_at
from thighview.io.reading import inspect, patient_id, read_known, read_source, read_volume, sha256_of

KNEE = "dicom/ge_knee_mese_echo1_MIT"
UPRIGHT = np.array([[0, 0, 0.75, 0], [0, 1.25, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]])


def test_every_file_of_a_series_means_the_same_scan(tmp_path):
    folder = write_series(tmp_path / "a", [0, 5, 10])
    known = read_source(folder)
    assert known.place == folder and known.alone and known.part and known.sha256 == sha256_of(folder)
    for name in ("000", "002"):
        found = read_source(folder / name)
        assert (found.place, found.part, found.files) == (folder, known.part, known.files)
    assert np.array_equal(read_source(*(folder, known.part)).volume.voxels, known.volume.voxels)
    assert patient_id(folder, known.part) == "P-17" and sha256_of(folder, known.part) == sha256_of(folder)


def test_it_is_found_again_after_others_were_put_beside_it(tmp_path):
    folder = write_series(tmp_path / "a", [0, 5, 10])
    known, digest = read_source(folder), sha256_of(folder)
    write_series(folder, [0, 5, 10, 15], 3, SeriesDescription="t2", SeriesNumber=9)
    write_series(folder / "below", [0, 5], SeriesDescription="pd")
    (folder / "000").rename(folder / "zzz")
    again = read_source(folder, known.part)
    assert (again.place, again.part) == (folder, known.part) and np.array_equal(
        again.volume.voxels, known.volume.voxels
    )
    assert not again.alone and again.sha256 == digest == sha256_of(folder, known.part)
    assert read_source(folder / "zzz").part == known.part
    with pytest.raises(SeveralScansError, match="3 series") as caught:
        read_source(folder)
    assert len({choice.key for choice in caught.value.choices}) == 3
    assert np.array_equal(read_volume(folder, known_sha256=digest).voxels, known.volume.voxels)
    assert sha256_of(folder, known_sha256=digest) == digest
    for asked in (read_volume, sha256_of):
        for part in ("", known.part):
            with pytest.raises(UserError, match=r"has changed since its mask was drawn, or is gone"):
                asked(folder, part, "0" * 64)
    rows = inspect(folder).to_json()["series"]
    assert {row["part"] for row in rows} == {choice.part for choice in caught.value.choices}


def test_a_part_that_is_not_there_is_refused(tmp_path):
    folder = write_series(tmp_path / "a", [0, 5, 10])
    for ask in (read_volume, sha256_of, patient_id):
        with pytest.raises(UserError, match=r"^a has no part 'series-0': no series like that"):
            ask(folder, "series-0")


@pytest.mark.parametrize(
    "values",
    [
        {"EchoTime": (10, 20, 30)},
        {"TemporalPositionIdentifier": (1, 2, 3), "InstanceNumber": 7},
        {"DiffusionBValue": (0, 400, 800), "InstanceNumber": 7},
        {"ImageType": (["O", "P", "M"], ["O", "P", "P"], ["O", "P", "R"])},
        {"InstanceNumber": (1, 5, 9)},
    ],
    ids=["echoes", "times", "b-values", "magnitude, phase, real", "numbers alone"],
)
def test_volumes_of_a_series_have_parts_that_stay_when_more_come(tmp_path, values):
    uid = generate_uid()
    seen: dict[str, int] = {}
    for n in range(3):
        own = {name: value[n] if isinstance(value, tuple) else value for name, value in values.items()}
        if isinstance(own.get("InstanceNumber"), int) and own["InstanceNumber"] != 7:
            own["InstanceNumber"] = tuple(own["InstanceNumber"] + k for k in range(4))
        write_series(tmp_path, [0, 5, 10, 15], 10 * n, SeriesInstanceUID=uid, RescaleIntercept=100 * n, **own)
        found = [series.part for series in scan(tmp_path).series]
        there = {read_dicom(tmp_path, part).voxels[0, 0, 0] // 100: part for part in found}
        assert sorted(there) == list(range(n + 1)) and len(set(there.values())) == n + 1
        assert all(there[volume] == part for part, volume in seen.items())
        seen = {part: volume for volume, part in there.items()}


def test_the_part_hangs_on_no_name_and_no_order(tmp_path):
    angles = [0.004999 if i % 2 else 0.005001 for i in range(10)]  # as scanners round, here where it would show
    ways = tuple([float(v) for v in (np.cos(a), np.sin(a), 0, -np.sin(a), np.cos(a), 0)] for a in angles)
    source = write_series(tmp_path / "a", list(range(0, 50, 5)), ImageOrientationPatient=ways)
    found = set()
    for seed in range(5):
        folder = tmp_path / str(seed)
        shutil.copytree(source, folder)
        files = sorted(folder.iterdir())
        random.Random(seed).shuffle(files)
        for n, path in enumerate(files):
            path.rename(folder / f"x{n}")
        found.add(read_source(folder).part)
    assert len(found) == 1


@pytest.mark.parametrize("count", [10, pytest.param(500, marks=pytest.mark.long)])
def test_shuffled_and_renamed_it_is_the_same_scan(data, tmp_path, count):
    rng = random.Random(8)
    files = sorted((data / KNEE).glob("*.dcm"))
    wanted = choose_series(data / KNEE)
    digest, volume = series_digest(wanted), read_dicom(data / KNEE)
    folder = tmp_path / "knee"
    folder.mkdir()
    for path in files:
        shutil.copy(path, folder)
    for _ in range(count):
        now = sorted(folder.iterdir())
        names = rng.sample(range(10**6), len(now))
        for path, name in zip(now, names, strict=True):
            path.rename(folder / f"{name:08d}{rng.choice(['', '.dcm', '.IMA', '.jpg'])}")
        series = choose_series(folder)
        found = read_dicom(folder)
        assert series_digest(series) == digest and series.part == wanted.part
        assert np.array_equal(found.affine, volume.affine) and np.array_equal(found.voxels, volume.voxels)


def test_copies_change_nothing_and_different_images_in_one_place_are_refused(tmp_path):
    folder = write_series(tmp_path / "a", [0, 5, 10])
    digest = sha256_of(folder)
    shutil.copytree(folder, folder / "again")
    assert sha256_of(folder) == digest
    assert read_volume(folder).warnings[0].startswith("3 images are copies of others")
    other = pydicom.dcmread(folder / "001")
    other.PixelData = bytes([7]) + other.PixelData[1:]
    other.save_as(folder / "again" / "001")  # the same names inside, other pixels
    with pytest.raises(UserError, match=r"different images .* share 3 positions"):
        read_volume(folder)


def test_the_same_images_under_new_names_are_one_volume(tmp_path):
    uid = generate_uid()
    write_series(tmp_path, [0, 5, 10], SeriesInstanceUID=uid, InstanceNumber=(1, 2, 3))
    write_series(tmp_path, [0, 5, 10], 3, SeriesInstanceUID=uid, InstanceNumber=(4, 5, 6), AcquisitionNumber=2)
    volume = read_dicom(tmp_path)
    assert volume.shape == (3, 4, 5) and "3 images are copies" in volume.warnings[0]


def test_a_copy_of_one_file_of_many_volumes_opens_its_volume(tmp_path):
    uid = generate_uid()
    for n in range(3):
        numbers = tuple(10 * n + k for k in range(4))
        write_series(
            tmp_path, [0, 5, 10, 15], 10 * n, SeriesInstanceUID=uid, InstanceNumber=numbers, RescaleIntercept=10 * n
        )
    shutil.copy(tmp_path / "011", tmp_path / "copy of 011")
    volume = read_dicom(tmp_path / "copy of 011")
    assert volume.voxels[:, 0, 0].tolist() == [10, 11, 12, 13] and "1 image is a copy" in volume.warnings[0]


def test_one_name_for_all_images_does_not_make_them_one(tmp_path):
    """As some anonymisers write them."""
    volume = read_dicom(write_series(tmp_path / "a", [0, 5, 10], SOPInstanceUID=generate_uid()))
    assert volume.voxels[:, 0, 0].tolist() == [0, 1, 2]


def test_a_localiser_and_a_broken_series_never_force_a_choice(tmp_path):
    write_series(tmp_path, [0, 5, 10])
    write_series(tmp_path, [0, 5], 3, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesNumber=1)
    uid = generate_uid()
    for n, way in enumerate(([1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1])):
        across = np.cross(way[:3], way[3:])
        write_series(
            tmp_path, range(3), 10 + 3 * n, SeriesInstanceUID=uid, ImageOrientationPatient=way,
            ImagePositionPatient=tuple([float(v) for v in 7.0 * k * across] for k in range(3)), SeriesNumber=2,
        )  # fmt: skip
    volume = read_dicom(tmp_path)
    assert volume.shape == (3, 4, 5) and not volume.warnings
    assert sorted(series.localiser for series in scan(tmp_path).series) == [False, True, True, True, True]
    write_series(tmp_path, [0, 5, 11, 30], 40, SeriesDescription="broken", SeriesNumber=5)
    (note,) = read_dicom(tmp_path).warnings
    assert note.startswith('Beside it lies what cannot be opened, series 5 "broken"') and "evenly" in note
    write_series(tmp_path, [0, 5], 50, SeriesDescription="pd")
    with pytest.raises(SeveralScansError, match="holds 3 series") as caught:
        read_dicom(tmp_path)
    choices, refused = caught.value.choices, caught.value.refused
    assert [choice.description.startswith("localiser") for choice in choices] == [False] * 2 + [True] * 4
    assert ["evenly" in row.description for row in refused] == [True]
    for choice in choices:
        assert read_dicom(*choice.key).shape[0] == choice.images


def test_a_damaged_file_beside_a_series_is_told(tmp_path):
    folder = write_series(tmp_path / "a", [0, 5, 10, 15])
    whole = (folder / "003").read_bytes()
    (folder / "003").write_bytes(whole[: whole.index(b"\x28\x00\x10\x00")])
    volume = read_dicom(folder)
    assert volume.shape[0] == 3 and "1 file of this folder is damaged and was left out" in volume.warnings[0]


def test_an_odd_grid_keeps_its_place(tmp_path):
    rng = np.random.default_rng(3)
    voxels = rng.integers(-900, 900, (4, 6, 7)).astype(np.int16)
    found = read_dicom(write_volume(tmp_path / "a", voxels, UPRIGHT))
    assert np.array_equal(found.voxels, voxels) and np.allclose(found.affine, UPRIGHT)


def write_time_points(folder, uid, *which):
    """Volumes that only the numbers of their images tell apart: time point n is filled with 100 n and up."""
    for n in which:
        numbers = tuple(10 * n + k for k in range(4))
        write_series(
            folder, [0, 5, 10, 15], 10 * n, SeriesInstanceUID=uid, InstanceNumber=numbers, RescaleIntercept=100 * n
        )
    return folder


def remove_time_point(folder, n):
    for k in range(4):
        (folder / f"{10 * n + k:03d}").unlink()


def test_a_volume_known_by_its_number_is_the_one_with_its_hash_or_none(tmp_path):
    folder = write_time_points(tmp_path / "a", generate_uid(), 1, 2)
    second = next(one for one in scan(folder).series if one.volume == 2)
    key, sha256 = (folder, second.part), series_digest(second)
    write_time_points(folder, second.slices[0].facts["SeriesInstanceUID"], 0)  # now it is the third of three
    for read in (read_volume, read_known):
        assert read(*key, sha256).voxels[:, 0, 0].tolist() == [200, 201, 202, 203]
    assert sha256_of(*key, sha256) == sha256
    remove_time_point(folder, 0)
    remove_time_point(folder, 1)  # now it is the only one
    assert read_known(*key, sha256).voxels[0, 0, 0] == 200
    write_time_points(folder, second.slices[0].facts["SeriesInstanceUID"], 1, 3)
    remove_time_point(folder, 2)
    for read in (read_volume, read_known, sha256_of, images_at):
        with pytest.raises(UserError, match="nothing there has its content"):
            read(*key, sha256)


def test_a_time_point_stays_what_it_is_when_another_loses_files(tmp_path):
    """Its part, and the case made of it, hang on none of the others' files."""
    uid = generate_uid()
    for n in range(2):
        told = {"TemporalPositionIdentifier": n + 1, "AcquisitionNumber": 4}
        write_series(tmp_path, range(0, 30, 5), 10 * n, SeriesInstanceUID=uid, RescaleIntercept=100 * n, **told)
    parts = [series.part for series in scan(tmp_path).series]
    sha256 = sha256_of(tmp_path, parts[0])
    for lost, said in (("012", "1 slice that"), ("015", "2 slices that")):
        (tmp_path / lost).unlink()
        assert [series.part for series in scan(tmp_path).series] == parts
        first = read_volume(tmp_path, parts[0], sha256)
        assert first.voxels[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 5] and not first.warnings
        second = read_volume(tmp_path, parts[1])
        assert second.missing == (2,) and second.shape[0] == (6 if lost == "012" else 5)
        assert said in second.warnings[-1] and "not among the files of this one" in second.warnings[-1]
    for n in range(2, 5):  # a volume of a few slices only is no volume
        (tmp_path / f"01{n}").unlink(missing_ok=True)
    with pytest.raises(UserError, match="share 6 positions"):
        read_volume(tmp_path)


def test_overlapping_values_are_never_mixed_by_number(tmp_path):
    """Two of three time points are there at each position: counts are the same, the time points are not."""
    uid, number = generate_uid(), 0
    for place in range(6):
        for time in {0, 1, 2} - {place % 3}:
            number += 1
            write_series(
                tmp_path, [5 * place], number, SeriesInstanceUID=uid, TemporalPositionIdentifier=time + 1,
                InstanceNumber=number, RescaleIntercept=100 * time + place,
            )  # fmt: skip
    found = scan(tmp_path).series
    assert [len(series.slices) for series in found] == [4, 4, 4]
    assert [{s.facts["TemporalPositionIdentifier"] for s in series.slices} for series in found] == [{"1"}, {"2"}, {"3"}]


def test_files_in_several_folders_are_told_and_those_left_out(tmp_path):
    folder = write_series(tmp_path / "scan" / "a", range(0, 50, 5))
    whole = read_volume(folder)
    assert not whole.warnings
    (tmp_path / "scan" / "b").mkdir()
    for n in range(5, 10):
        (folder / f"{n:03d}").rename(tmp_path / "scan" / "b" / f"{n:03d}")
    both = read_source(tmp_path / "scan")
    assert both.volume.shape[0] == 10 and both.place == tmp_path / "scan"
    assert both.volume.warnings == ("The files of this series lie in 2 folders: a, b.",)
    for given in (folder, folder / "002"):
        half = read_volume(given)
        assert half.shape[0] == 5
        assert half.warnings == (
            "More images of this series lie in other folders beside its own (b): slices may be missing. Open scan to"
            " have all.",
        )


def test_other_echoes_time_points_and_copies_beside_a_series_are_nothing_it_lacks(tmp_path):
    uid, told = generate_uid(), {"TemporalPositionIdentifier": 1}
    folder = write_series(tmp_path / "a", range(0, 50, 5), SeriesInstanceUID=uid, EchoTime=5, **told)
    write_series(tmp_path / "b", range(2, 52, 5), SeriesInstanceUID=uid, EchoTime=10, **told)
    write_series(tmp_path / "c", range(0, 50, 5), SeriesInstanceUID=uid, EchoTime=5, TemporalPositionIdentifier=2)
    shutil.copytree(folder, tmp_path / "d")
    assert not read_volume(folder).warnings


def test_several_patients_in_one_series_are_a_doubt(tmp_path):
    volume = read_volume(write_series(tmp_path / "a", [0, 5, 10], PatientID=("P-1", "P-1", "P-2")))
    assert volume.warnings == ("The images of this series name 2 patients: they may show several people.",)


def test_several_frames_of_reference_in_one_series_are_a_doubt(tmp_path):
    frames = ("1.2.3", "1.2.3", "1.2.4")
    volume = read_volume(write_series(tmp_path / "a", [0, 5, 10], FrameOfReferenceUID=frames))
    assert "2 frames of reference" in volume.warnings[0] and volume.frame_uid == ""
    alike = read_volume(write_series(tmp_path / "b", [0, 5, 10], FrameOfReferenceUID="1.2.3"))
    assert not alike.warnings and alike.frame_uid == "1.2.3"


@pytest.mark.parametrize(
    ("tag", "value", "said"),
    [
        ("ImagePositionPatient", ..., "does not fit its stack (position)"),
        ("ImageOrientationPatient", [1, 0, 0, 0, 0, 1], "does not fit its stack (direction)"),
        ("PixelSpacing", [1.25, 0.7502], "does not fit its stack (spacing)"),
        ("Rows", 3, "does not fit its stack (size)"),
        ("EchoTime", 9.3, "does not fit its stack (echo)"),
        ("ImageType", ["ORIGINAL", "PRIMARY", "M", "NORM"], "does not fit its stack (kind)"),
        ("SamplesPerPixel", 3, "is a colour image,"),
        ("PixelData", ..., "is an image without pixels,"),
        ("BitsAllocated", 12, "is an image of 12 bits per pixel, which are not read,"),
        ("ModalityLUTSequence", [Dataset()], "is an image whose true numbers stand in a table"),
    ],
)
def test_an_image_of_a_series_that_is_left_out_is_told(tmp_path, tag, value, said):
    folder = write_series(tmp_path / "a", range(0, 20, 5), EchoTime=9.2, ImageType=["ORIGINAL", "PRIMARY", "M"])
    last = pydicom.dcmread(folder / "003")
    if value is ...:
        delattr(last, tag)
    else:
        setattr(last, tag, value)
    last.save_as(folder / "003")
    write_series(tmp_path, [0], 90, SeriesDescription="another series")
    for volume in (read_volume(folder), read_volume(folder / "000")):
        assert volume.shape[0] == 3 and len(volume.warnings) == 1
        assert volume.warnings[0].startswith(f"1 image of this series {said}") and "left out" in volume.warnings[0]
    if "stack" in said:
        assert not any("left out" in warning for warning in read_volume(folder / "003").warnings)


def test_other_stacks_and_localisers_of_a_series_are_nothing_left_out(tmp_path):
    uid = generate_uid()
    for n, echo in enumerate((5, 10)):
        write_series(tmp_path, range(0, 20, 5), 10 * n, SeriesInstanceUID=uid, EchoTime=echo)
    scout = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    write_series(tmp_path, [0], 20, SeriesInstanceUID=uid, EchoTime=5, ImageType=scout)
    for series in scan(tmp_path).series:
        assert not read_volume(tmp_path, series.part).warnings
    assert not read_volume(tmp_path / "000").warnings


def test_one_echo_time_written_in_two_ways_is_one_series(tmp_path):
    folder = write_series(tmp_path / "a", [0, 5, 10, 15], EchoTime=("4.60", "4.6", "4.600", "4.6"))
    assert read_volume(folder).shape[0] == 4
    plain = write_series(tmp_path / "b", [0, 5], EchoTime="4.6", SeriesInstanceUID="1.2.3")
    same = write_series(tmp_path / "c", [0, 5], EchoTime="4.60", SeriesInstanceUID="1.2.3")
    assert read_source(plain).part == read_source(same).part


@pytest.mark.parametrize(("of_volume", "of_place"), [(1, 3), (10, 1)], ids=["place by place", "volume by volume"])
def test_a_time_point_known_by_its_number_is_found_when_another_loses_files(tmp_path, of_volume, of_place):
    uid = generate_uid()
    for n in range(3):
        numbers = tuple(1 + n * of_volume + k * of_place for k in range(6))
        write_series(
            tmp_path, range(0, 30, 5), 10 * n, SeriesInstanceUID=uid, InstanceNumber=numbers, RescaleIntercept=100 * n
        )
    first, second, third = scan(tmp_path).series
    (tmp_path / "012").unlink()
    for n, series in ((0, first), (2, third)):
        found = read_known(tmp_path, series.part, series_digest(series))
        assert found.voxels[:, 0, 0].tolist() == [100 * n + k for k in range(6)]
    with pytest.raises(UserError, match="share 6 positions"):
        read_volume(tmp_path)
    with pytest.raises(UserError, match="no part"):
        read_volume(tmp_path, second.part)
