"""De-identified: what may stay is listed and written anew, UIDs resolve, pictures with a name in them are held back."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pydicom
import pytest
from export_room import (
    STATES,
    drawn_case,
    files_in,
    thigh_project,
    verify_dicom,
    write_thigh_nifti,
    write_thigh_series,
)
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEGLSLossless, generate_uid
from test_dicom_frames import write_enhanced

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.labels import LabelTable
from thighview.core.review import SliceReview, SliceState
from thighview.io.burned_in import burned_in_doubt, burned_in_doubts, pictures_for_window
from thighview.io.deidentify import ALLOWED, Tally, deidentified_images, write_image
from thighview.io.dicom import scan
from thighview.io.dicom_source import images_at
from thighview.io.export_wish import ExportWish
from thighview.io.exporting import export
from thighview.io.project import Project
from thighview.io.pseudonyms import Pseudonyms
from thighview.io.reading import read_volume, sha256_of

_TEXT = ("LO", "SH", "PN", "LT", "ST", "UT", "UC", "DA", "DT", "TM", "AS", "AE", "UR")
TOLD = {"resolution": (1, 1), "metadata": {"axes": "ZYX", "unit": "mm", "spacing": 5.0}}
PRIVATE = Pseudonyms(b"sixteen bytes of")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = thigh_project(tmp_path)
    yield project
    project.close()


def anew(path: Path, tally: Tally | None = None) -> list[pydicom.Dataset]:
    return [image for _, image in deidentified_images(images_at(path), PRIVATE, "SKEY", tally or Tally())]


def test_keys_and_uids_are_the_same_each_time_and_mean_nothing_without_the_salt() -> None:
    again, other = Pseudonyms(b"sixteen bytes of"), Pseudonyms(b"sixteen bytes or")
    key = PRIVATE.subject("anna")
    assert key == again.subject("anna") != other.subject("anna") and key != PRIVATE.subject("bea")
    assert key.isalnum() and len(key) == 10
    uids = {PRIVATE.uid(f"1.2.{i}") for i in range(2000)}
    assert len(uids) == 2000 and PRIVATE.uid("1.2.3") == again.uid("1.2.3") != other.uid("1.2.3")
    assert all(uid.startswith("2.25.") and pydicom.uid.UID(uid).is_valid and len(uid) <= 64 for uid in uids)
    numbers = [int(uid[5:]) for uid in uids]
    assert max(numbers) < 1 << 128 and sum(n >> 127 for n in numbers) in range(850, 1150)


def test_only_what_is_listed_stays_and_no_word_of_it_is_free(tmp_path: Path) -> None:
    path = write_thigh_series(
        tmp_path / "series", ImageType=["DERIVED", "PRIMARY", "DOE_JANE", "WATER"], PatientPosition="DOE",
        ScanningSequence=["SE", "JANE"], InstitutionName="St Elsewhere", PatientComments="lives next door",
    )  # fmt: skip
    tally = Tally()
    made = anew(path, tally)
    old = pydicom.dcmread(path / "000")
    for new in made:
        kept = {element.keyword for element in new}
        assert kept & {"InstitutionName", "PatientComments", "SeriesDescription", "SpecificCharacterSet"} == set()
        assert new.ImageType == ["DERIVED", "PRIMARY", "WATER"] and new.ScanningSequence == "SE"
        assert (new.PatientName, new.PatientID, new.PatientIdentityRemoved) == ("SKEY", "SKEY", "YES")
        assert new.DeidentificationMethodCodeSequence[0].CodeValue == "113100" and new.DeidentificationMethod
        assert new.preamble == bytes(128) and not new.PatientBirthDate and not new.StudyDate
        assert not any(element.tag.is_private or (element.VR in ("DT", "PN") and element.value not in ("", "SKEY"))
                       for element in new)  # fmt: skip
    assert np.allclose(np.array(made[0].ImageOrientationPatient, float), np.array(old.ImageOrientationPatient, float))
    assert tally.removed["InstitutionName"] == tally.removed["PatientComments"] == 5
    assert tally.replaced["SOPInstanceUID"] == 5 and "St Elsewhere" not in str(tally)
    write_image(tmp_path / "one.dcm", made[0])
    assert verify_dicom(tmp_path / "one.dcm") == []


def test_no_attribute_of_the_basic_profile_stays(tmp_path: Path) -> None:
    """Row G2: an oracle of its own, every text and date element of the dictionary planted, none of them found."""
    from pydicom.datadict import DicomDictionary

    path = write_thigh_series(tmp_path / "series")
    planted = 0
    for file in path.iterdir():
        dataset = pydicom.dcmread(file)
        for tag, (vr, vm, _, retired, keyword) in DicomDictionary.items():
            if vr in _TEXT and vm in ("1", "1-n") and keyword and not retired and tag >> 16 not in (0, 2, 4):
                value = {"DA": "19991231", "DT": "19991231235959", "TM": "235959", "AS": "077Y"}.get(vr, "Secret")
                dataset.add_new(tag, vr, value)
                planted += 1
        dataset.save_as(file)
    assert planted > 4000
    allowed = {*ALLOWED, "DeidentificationMethod"}
    for new in anew(path):
        text = new.to_json()
        assert "Secret" not in text and "19991231" not in text and "235959" not in text and "077Y" not in text
        filled = {e.keyword for e in new if e.value not in ("", None) and e.VR in ("LO", "SH", "PN", "LT", "ST", "DA")}
        assert filled <= allowed | {"PatientName", "PatientID"}


def test_pixels_stay_and_what_hides_in_their_bits_does_not(tmp_path: Path) -> None:
    """Overlays of old lie in the bits above the stored ones; text can follow the last pixel."""
    stored = np.arange(20, dtype="<u2").reshape(4, 5) * 150
    hidden = (stored | 0xF000).tobytes()
    path = write_thigh_series(tmp_path / "series", PixelData=hidden + b"Jane Doe")
    for new in anew(path):
        assert np.array_equal(new.pixel_array, stored) and len(new.PixelData) == 40
    signed = np.arange(-10, 10, dtype="<i2").reshape(4, 5)
    path = write_thigh_series(
        tmp_path / "signed", PixelData=signed.tobytes(), PixelRepresentation=1, BitsStored=16, HighBit=15
    )
    assert all(np.array_equal(new.pixel_array, signed) for new in anew(path))


def test_an_image_that_does_not_say_how_it_is_shown_leaves_with_the_others(project: Project, tmp_path: Path) -> None:
    first = sorted((tmp_path / "series").iterdir())[0]
    dataset = pydicom.dcmread(first)
    del dataset.PhotometricInterpretation
    dataset.save_as(first)
    done = export(project, tmp_path / "out", ExportWish("dicomseg", deidentify=True))
    assert done is not None and done.cases == 1
    made = [pydicom.dcmread(path) for path in (tmp_path / "out" / "images").rglob("*.dcm")]
    assert len(made) == 5 and {new.PhotometricInterpretation for new in made} == {"MONOCHROME2"}
    assert all(new.pixel_array.size for new in made)


def test_what_cannot_be_read_back_keeps_its_case_at_home(tmp_path: Path) -> None:
    (new, *_) = anew(write_thigh_series(tmp_path / "series"))
    del new.PhotometricInterpretation
    with pytest.raises(UserError, match="made anew cannot be read"):
        write_image(tmp_path / "new.dcm", new)
    assert not (tmp_path / "new.dcm").exists()


def test_compressed_pixels_are_unpacked_with_what_their_makers_wrote_into_them(tmp_path: Path) -> None:
    path = write_thigh_series(tmp_path / "series")
    for i, file in enumerate(sorted(path.iterdir())):
        dataset = pydicom.dcmread(file)
        dataset.compress(JPEGLSLossless)
        (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
        dataset.PixelData = encapsulate([frame.replace(b"\xff\xd8", b"\xff\xd8\xff\xfe\x00\x0aJane Doe", 1)])
        dataset.save_as(file)
        assert b"Jane Doe" in file.read_bytes() and (pydicom.dcmread(file).pixel_array == i).all()
    for index, new in enumerate(anew(path)):
        assert new.file_meta.TransferSyntaxUID.is_implicit_VR is False and (new.pixel_array == index).all()
        assert b"Jane" not in new.PixelData


def test_references_resolve_inside_an_export_and_between_two(project: Project, tmp_path: Path) -> None:
    other = write_thigh_series(
        tmp_path / "other", StudyInstanceUID=(study := pydicom.dcmread(tmp_path / "series" / "000")).StudyInstanceUID,
        FrameOfReferenceUID=study.FrameOfReferenceUID,
    )  # fmt: skip
    project.add_case(drawn_case(other, "anna"))
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        assert export(project, out, ExportWish("dicomseg", deidentify=True)) is not None
    names = [name for name in files_in(outs[0]) if name.endswith(".dcm")]
    assert len(names) == 12 and names == [name for name in files_in(outs[1]) if name.endswith(".dcm")]
    images = {name: pydicom.dcmread(outs[0] / name) for name in names if name.startswith("images/")}
    segs = [pydicom.dcmread(outs[0] / name) for name in names if "/" not in name]
    old = {pydicom.dcmread(f).SOPInstanceUID for f in (*(tmp_path / "series").iterdir(), *other.iterdir())}
    there = {image.SOPInstanceUID for image in images.values()}
    assert len(there) == 10 and not there & old
    for seg in segs:
        for frame in seg.PerFrameFunctionalGroupsSequence:
            assert frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID in there
        (series,) = seg.ReferencedSeriesSequence
        assert series.SeriesInstanceUID in {image.SeriesInstanceUID for image in images.values()}
        assert seg.PatientID == key_of_anna(project) and seg.ContentDate == "19000101"
        moments = {str(element.value or "") for element in seg.iterall() if element.VR in ("DA", "TM", "DT")}
        assert moments <= {"", "19000101", "000000"}
    assert len({image.StudyInstanceUID for image in images.values()} | {seg.StudyInstanceUID for seg in segs}) == 1
    assert len({image.FrameOfReferenceUID for image in images.values()}) == 1
    for name in names:
        assert pydicom.dcmread(outs[1] / name).SOPInstanceUID == pydicom.dcmread(outs[0] / name).SOPInstanceUID
        assert verify_dicom(outs[0] / name) == []
    volume = read_volume(outs[0] / "images" / names[0].removesuffix(".dcm"))
    assert np.array_equal(volume.voxels, read_volume(tmp_path / "series").voxels)
    assert np.allclose(volume.affine, read_volume(tmp_path / "series").affine, atol=1e-6)


def key_of_anna(project: Project) -> str:
    return Pseudonyms(project.salt).subject("anna")


def test_an_enhanced_image_leaves_as_one_image_per_frame(tmp_path: Path) -> None:
    file = write_enhanced(tmp_path / "enhanced", [8.0, 0.0, 4.0])
    dataset = pydicom.dcmread(file)
    dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = generate_uid(), generate_uid()
    dataset.SharedFunctionalGroupsSequence[0].MREchoSequence[0].PatientComments = "Jane"
    dataset.save_as(file)
    tally = Tally()
    made = sorted(anew(file, tally), key=lambda new: new.InstanceNumber)
    assert [int(new.pixel_array[0, 0]) for new in made] == [2, 3, 1]
    assert [float(new.ImagePositionPatient[2]) for new in made] == [0, 4, 8]
    assert {str(new.SOPClassUID) for new in made} == {"1.2.840.10008.5.1.4.1.1.4"} and made[0].EchoTime == 11
    assert len({new.SOPInstanceUID for new in made}) == 3 and tally.removed["PatientComments"] == 1
    write_image(tmp_path / "new.dcm", made[0])
    assert verify_dicom(tmp_path / "new.dcm") == []


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"BurnedInAnnotation": "YES"}, "BurnedInAnnotation YES"),
        ({"BurnedInAnnotation": ("NO", "NO", "YES", "NO", "NO")}, "Slice 3"),
        ({"BurnedInAnnotation": "MAYBE"}, "clearly"),
        ({"Modality": "OT"}, "modality OT"), ({"Modality": "SC"}, "SC"), ({"Modality": "US"}, "ultrasound"),
        ({"Modality": ""}, "no modality"), ({"ImageType": ["DERIVED", "SECONDARY"]}, "SECONDARY"),
        ({"ImageType": ["derived", "secondary", "REFORMATTED"]}, "SECONDARY"),
        ({"ImageType": ["ORIGINAL", "SECONDARY"]}, "SECONDARY"),
        ({"ImageType": ["DERIVED", "PRIMARY", "SCREEN SAVE"]}, "taken of a screen"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary capture"),
        ({}, ""), ({"BurnedInAnnotation": "NO", "Modality": "OT"}, ""), ({"ImageType": ["DERIVED", "PRIMARY"]}, ""),
        ({"ImageType": "DERIVED"}, ""), ({"BurnedInAnnotation": "no ", "ImageType": ["DERIVED", "SECONDARY"]}, ""),
    ],
)  # fmt: skip
def test_pictures_that_may_have_a_name_in_them(tmp_path: Path, values: dict[str, object], why: str) -> None:
    """Row G4."""
    doubt = burned_in_doubt(images_at(write_thigh_series(tmp_path / "series", **values)))
    assert bool(doubt) == bool(why) and why in doubt


def test_such_pictures_stay_until_a_person_has_looked(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "study")
    series = write_thigh_series(tmp_path / "series", BurnedInAnnotation="YES")
    project.add_case(drawn_case(series, "a"), in_training_set=True)
    fine = write_thigh_series(tmp_path / "fine")
    project.add_case(drawn_case(fine, "b"), in_training_set=True)
    project.add_case(drawn_case(write_thigh_nifti(tmp_path / "n.nii.gz"), "c"), in_training_set=True)
    for form in ("dicomseg", "npz", "nnunet"):
        wish = ExportWish(form, deidentify=True)
        assert [doubt.case_id for doubt in burned_in_doubts(project, wish)] == [1]
        with pytest.raises(UserError, match="A name may stand in the pictures of a & scan"):
            export(project, tmp_path / form, wish)
        assert not (tmp_path / form).exists()
        looked = ExportWish(form, deidentify=True, looked_at=(1,) if form == "npz" else "all")
        done = export(project, tmp_path / form, looked)
        assert done is not None and done.cases == (2 if form == "dicomseg" else 3)
        told = json.loads((tmp_path / form / "deidentification.json").read_text())["burned_in_text"]
        assert told["cases_looked_at_by_a_person"] == (1 if form == "npz" else 2)
        assert told["cases_whose_files_do_not_say"] == (0 if form == "dicomseg" else 1)
        assert export(project, tmp_path / f"named {form}", ExportWish(form)) is not None, "only under a study key"
    for form in ("nifti", "nrrd", "bids"):  # no pixel leaves
        assert export(project, tmp_path / form, ExportWish(form, deidentify=True)) is not None
    project.close()


def test_a_tiff_waits_for_a_person_and_what_cannot_say_is_told_at_the_end(tmp_path: Path) -> None:
    import tifffile

    project = Project.create(tmp_path / "study")
    tifffile.imwrite(tmp_path / "doe.tif", np.zeros((5, 4, 5), np.uint16), imagej=True, **TOLD)
    project.add_case(drawn_case(tmp_path / "doe.tif", "a"))
    project.add_case(drawn_case(write_thigh_nifti(tmp_path / "n.nii.gz"), "b"))
    with pytest.raises(UserError, match="It is a TIFF, which has no place to say"):
        export(project, tmp_path / "out", ExportWish("npz", deidentify=True))
    done = export(project, tmp_path / "out", ExportWish("npz", deidentify=True, looked_at=(1,)))
    assert done is not None and done.cases == 2
    assert "2 cases come from files that cannot say whether a name is burned into the pictures" in done.notes[-1]
    plain = export(project, tmp_path / "plain", ExportWish("npz"))
    assert plain is not None and not plain.notes
    project.close()


@pytest.mark.parametrize("ink", [100, 900])
@pytest.mark.parametrize("size", [300, 500, 1000])
def test_thin_letters_stay_in_the_pictures_whether_bright_or_dark(tmp_path: Path, ink: int, size: int) -> None:
    import tifffile

    voxels = np.full((2, size, size), 1000 - ink, np.uint16)
    voxels[0, :, ::50] = np.arange(0, 1000, 1000 / size, np.float32).astype(np.uint16)[:, None]
    for at in range(20, 40):  # strokes one pixel wide, everywhere in the pixels that become one, and at the edges
        voxels[1, 7 * at : 7 * at + 5, at * 5] = voxels[1, at * 7, 20:25] = ink
    voxels[1, -1, -9:] = voxels[1, -9:, -1] = ink
    written = np.argwhere(voxels[1] == ink)
    tifffile.imwrite(tmp_path / "n.tif", voxels, imagej=True, **TOLD)
    with closing(Project.create(tmp_path / "study")) as project:
        project.add_case(Case.of(read_volume(tmp_path / "n.tif"), tmp_path / "n.tif", "", "a"))
    wish = ExportWish("npz", deidentify=True).to_json()
    (pictures,) = pictures_for_window(str(tmp_path / "study"), wish, lambda *_: None)[1].values()
    step = -(-size // 384)
    assert pictures.shape == (2, -(-size // step), -(-size // step))
    paper = np.bincount(pictures[1].ravel()).argmax()
    there = pictures[1][tuple((written // step).T)].astype(int)
    assert (there - paper > 80).all() if ink > 500 else (paper - there > 80).all()


@pytest.mark.parametrize("form", ["nnunet", "npz", "dicomseg"])
def test_pictures_are_those_of_the_case_when_another_time_point_has_come(tmp_path: Path, form: str) -> None:
    """Its number is another volume's now: that one says that no text is burned in, the case's own that there is."""
    uid, folder = generate_uid(), tmp_path / "series"

    def write(n: int, burned_in: str) -> None:
        numbers = tuple(10 * n + k for k in range(5))
        told = {"InstanceNumber": numbers, "RescaleIntercept": n, "BurnedInAnnotation": burned_in}
        write_thigh_series(folder, first=10 * n, SeriesInstanceUID=uid, **told)

    write(1, "NO")
    write(2, "YES")
    part = next(one.part for one in scan(folder).series if one.volume == 2)
    volume, sha256 = read_volume(folder, part), sha256_of(folder, part)
    with closing(Project.create(tmp_path / "study")) as project:
        case = Case.of(volume, folder, sha256, "anna", part)
        case.reviews = [SliceReview(SliceState.DRAWN)] * 5
        case.table = LabelTable.from_ids([1])
        project.add_case(case, in_training_set=True)
        write(0, "NO")
        wish = ExportWish(form, deidentify=True)
        assert [doubt.case_id for doubt in burned_in_doubts(project, wish)] == [1]
        with pytest.raises(UserError, match="A name may stand in the pictures"):
            export(project, tmp_path / "out", wish)
        for k in range(5):
            (folder / f"{20 + k:03d}").unlink()
        with pytest.raises(UserError, match="nothing there has its content"):
            export(project, tmp_path / "out", wish)
        assert not (tmp_path / "out").exists()


def test_a_series_that_cannot_be_read_is_no_reason_to_hold_the_others_back(project: Project, tmp_path: Path) -> None:
    write_thigh_series(tmp_path / "series" / "more", BurnedInAnnotation="YES")  # its hash still tells which it is
    wish = ExportWish("npz", deidentify=True)
    done = export(project, tmp_path / "both", wish)
    assert done is not None and done.cases == 2
    (tmp_path / "series" / "002").unlink()
    wish = ExportWish("npz", deidentify=True)
    assert burned_in_doubts(project, wish) == []
    done = export(project, tmp_path / "out", wish)
    assert done is not None and done.cases == 1 and "nothing there has its content" in done.left_out[0][1]


def test_the_report_says_what_stayed_behind_and_never_its_value(project: Project, tmp_path: Path) -> None:
    assert export(project, tmp_path / "out", ExportWish("nifti", deidentify=True)) is not None
    told = json.loads((tmp_path / "out" / "deidentification.json").read_text())
    text = (tmp_path / "out" / "deidentification.txt").read_text()
    assert (told["persons"], told["cases"]) == (2, 2)
    assert told["removed"]["PatientName"] == told["removed"]["SeriesDescription"] == 5
    assert "muscle_left" in told["label_names_as_typed"] and "PatientName: 5" in text
    everything = b"".join((tmp_path / "out" / name).read_bytes() for name in files_in(tmp_path / "out"))
    for word in (b"anna", b"Doe", b"P-17", b"t1_tra", b"sub-02", b"series", b"T1w"):
        assert word not in everything, word
    keys = {key_of_anna(project), Pseudonyms(project.salt).subject("sub-02")}
    assert {name.split(".")[0] for name in files_in(tmp_path / "out") if name.endswith(".nii.gz")} == keys


def test_the_report_counts_only_who_leaves(project: Project, tmp_path: Path) -> None:
    series = write_thigh_series(tmp_path / "third", PatientComments="at home")
    project.add_case(drawn_case(series, "carl", (SliceState.MODEL,) * 5), in_training_set=True)
    for form in ("nnunet", "npz", "bids"):
        done = export(project, tmp_path / form, ExportWish(form, deidentify=True))
        assert done is not None and done.cases == 2
        told = json.loads((tmp_path / form / "deidentification.json").read_text())
        assert (told["persons"], told["cases"]) == (2, 2) and "PatientComments" not in told["removed"], form


def test_models_of_a_person_s_own_have_no_name_outside(tmp_path: Path) -> None:
    from export_room import step

    project = Project.create(tmp_path / "study")
    case = drawn_case(write_thigh_nifti(tmp_path / "n.nii.gz"), "a", (SliceState.DRAWN,) * 5)
    step(case, 1, np.full((4, 5), 2, np.uint8), "model", "Segment · for Jane Doe")
    project.add_case(case)
    for deidentify, names in ((False, ["thigh_tissues", "for Jane Doe"]), (True, ["thigh_tissues", "own model 1"])):
        out = tmp_path / f"out {deidentify}"
        assert export(project, out, ExportWish("nifti", deidentify=deidentify)) is not None
        (sidecar,) = [name for name in files_in(out) if name.endswith(".json") and name[0] in "aS"]
        facts = json.loads((out / sidecar).read_text())
        assert {model["name"] for model in facts["models"]} == set(names)
        told = Counter(name for row in facts["labels"] if row["made_by"] for name in row["made_by"]["models"])
        assert set(told) == set(names)
    project.close()


def test_damaged_and_odd_headers_are_left_behind_too(tmp_path: Path) -> None:
    path = write_thigh_series(tmp_path / "series")
    for file in path.iterdir():
        dataset = pydicom.dcmread(file)
        nested = Dataset()
        nested.PatientComments = "Jane"
        block = dataset.private_block(0x0029, "JANE DOE", create=True)
        block.add_new(0x10, "SQ", [nested])
        dataset.add_new(0x60000010, "US", 4)
        dataset.add_new(0x60003000, "OB", b"Jane")
        dataset.add_new(0x00091111, "UN", b"Jane")
        dataset.preamble = b"Jane".ljust(128)
        dataset.save_as(file)
    tally = Tally()
    made = anew(path, tally)
    assert all("Jane" not in new.to_json() for new in made)
    assert tally.removed["overlays (60xx)"] == 10 and tally.removed["private elements"] == 15
    assert tally.removed["PatientComments"] == 5 and tally.removed["preamble of the file"] == 5
    assert len(STATES) == 5
