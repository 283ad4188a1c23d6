"""DICOM segmentations: right by the standard, where the images are, and with who made what."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from export_room import HEIGHTS, TABLE, TILTED, drawn_case, step, thigh_project, verify_dicom, write_thigh_series
from pydicom.uid import generate_uid
from test_dicom_frames import write_enhanced
from tiny_model import TINY, write_random_model

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.origins import Origin, label_origins
from thighview.io.dicom_source import source_images
from thighview.io.export_wish import ExportWish
from thighview.io.exporting import export
from thighview.io.mask_dicomseg import SCHEME, SegFacts, write_segmentation
from thighview.io.mask_file import read_mask_file
from thighview.io.mask_seg_references import references_to
from thighview.io.masks import read_mask
from thighview.io.models import find_model
from thighview.io.project import Project
from thighview.io.reading import read_volume


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = thigh_project(tmp_path)
    yield project
    project.close()


def write(case: Case, path: Path, **facts: object) -> pydicom.Dataset:
    told = {
        "series_uid": generate_uid(), "instance_uid": generate_uid(), "reader": "Reader^1",
        "origins": label_origins(case), "weights": {},
    } | facts  # fmt: skip
    write_segmentation(path, case.labels, case.table, references_to(source_images(case)), SegFacts(**told))  # type: ignore[arg-type]
    return pydicom.dcmread(path)


def masks_by_label(path: Path, uids: list[tuple[str, int | None]]) -> dict[str, np.ndarray]:
    """What highdicom finds for each source image, by the name of the segment."""
    seg = highdicom.seg.segread(path)
    if uids[0][1] is None:
        found = seg.get_pixels_by_source_instance([uid for uid, _ in uids])
    else:
        found = seg.get_pixels_by_source_frame(uids[0][0], [frame for _, frame in uids])
    return {str(one.SegmentLabel): found[..., n] for n, one in enumerate(seg.SegmentSequence)}


def test_an_export_passes_the_verifier_and_reads_back_on_the_scan(project: Project, tmp_path: Path) -> None:
    assert export(project, tmp_path / "out", ExportWish("dicomseg")) is not None
    path, case = tmp_path / "out" / "anna-scan.dcm", drawn_case(tmp_path / "series", "anna")
    assert verify_dicom(path) == []
    images = source_images(case).images
    uids = [(str(image.whole.SOPInstanceUID), None) for image in images]
    found = masks_by_label(path, uids)
    assert set(found) == {label.key for label in TABLE}
    for label in TABLE:
        assert np.array_equal(found[label.key] > 0, case.labels == label.value), label.key
    seg = pydicom.dcmread(path)
    first = images[0].whole
    assert (seg.StudyInstanceUID, seg.FrameOfReferenceUID) == (first.StudyInstanceUID, first.FrameOfReferenceUID)
    assert seg.SeriesInstanceUID != first.SeriesInstanceUID and seg.PatientID == "P-17"
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == first.SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == {uid for uid, _ in uids}
    at = {tuple(image.whole.ImagePositionPatient): str(image.whole.SOPInstanceUID) for image in images}
    for frame in seg.PerFrameFunctionalGroupsSequence:
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        place = tuple(frame.PlanePositionSequence[0].ImagePositionPatient)
        assert source.ReferencedSOPInstanceUID == at[place], "each frame was drawn on the image at its own place"
    assert (seg.Rows, seg.Columns) == (4, 5)
    orientation = seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    assert np.allclose(np.array(orientation, float), TILTED)


def test_who_made_each_segment(project: Project, tmp_path: Path) -> None:
    assert export(project, tmp_path / "out", ExportWish("dicomseg", (1,))) is not None
    seg = pydicom.dcmread(tmp_path / "out" / "anna-scan.dcm")
    by_label = {item.SegmentLabel: item for item in seg.SegmentSequence}
    muscle, femur, third = (by_label[label.key] for label in TABLE)
    kinds = [item.SegmentAlgorithmType for item in (muscle, femur, third)]
    assert kinds == ["SEMIAUTOMATIC", "AUTOMATIC", "MANUAL"]
    assert muscle.SegmentAlgorithmName == "thigh_tissues" and "SegmentAlgorithmName" not in third
    assert muscle.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "thigh_tissues"
    code, femur_code, own = (item.SegmentedPropertyTypeCodeSequence[0] for item in (muscle, femur, third))
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("91727004", "SCT")
    assert code.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert (femur_code.CodeValue, "SegmentedPropertyTypeModifierCodeSequence" in femur_code) == ("71341001", False)
    assert own.CodingSchemeDesignator == SCHEME and own.CodeMeaning == "großer anziehender muskel"
    colour = highdicom.color.CIELabColor.from_rgb(200, 40, 60)
    assert list(muscle.RecommendedDisplayCIELabValue) == list(colour.value)
    assert seg.ContentCreatorName == "Reader^1"
    assert "Research use only" in seg.ContentDescription
    assert "thighview" in {item.Manufacturer for item in seg.ContributingEquipmentSequence}


def test_weights_are_told_only_where_they_are_certain(project: Project, tmp_path: Path) -> None:
    def parameters(out: str) -> tuple[str, list[object]]:
        assert export(project, tmp_path / out, ExportWish("dicomseg", (1,))) is not None
        seg = pydicom.dcmread(tmp_path / out / "anna-scan.dcm")
        algorithm = seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
        models = json.loads((tmp_path / out / "anna-scan.json").read_text())["models"]
        return str(algorithm.get("AlgorithmParameters", "")), [model["weights_sha256"] for model in models]

    box = find_model("thigh_tissues").card.weights_sha256
    assert parameters("box") == (f"weights_sha256 of thigh_tissues={box}", [box])
    write_random_model(project.folder / "models" / "mine", replace(TINY, name="thigh_tissues"))
    assert parameters("two of one name") == ("", [None])


def test_a_file_of_masks_does_not_say_who_drew_it(tmp_path: Path) -> None:
    path = write_thigh_series(tmp_path / "series")
    case = Case.of(read_volume(path), path)
    case.table = LabelTable((Label(3, "femur"),))
    step(case, 1, np.full(case.labels.shape[1:], 3, np.uint8), "import", "Open mask m.nii.gz")
    seg = write(case, tmp_path / "seg.dcm")
    (segment,) = seg.SegmentSequence
    assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC" and "not known" in segment.SegmentAlgorithmName
    assert verify_dicom(tmp_path / "seg.dcm") == []


def test_frames_of_an_enhanced_image_are_referred_to_by_number(tmp_path: Path) -> None:
    heights = [8.0, 0.0, 4.0]  # stored in another order than they lie
    file = write_enhanced(tmp_path / "enhanced", heights)
    dataset = pydicom.dcmread(file)
    dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = generate_uid(), generate_uid()
    dataset.save_as(file)
    case = Case.of(read_volume(file), file)
    case.table = LabelTable((Label(1, "muscle"),))
    for index in range(3):
        case.labels[index, : index + 1] = 1
    seg = write(case, tmp_path / "seg.dcm", origins={1: Origin(by_hand=True)})
    assert verify_dicom(tmp_path / "seg.dcm") == []
    (instance,) = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert instance.ReferencedSOPInstanceUID == dataset.SOPInstanceUID
    assert instance.ReferencedSOPClassUID == dataset.SOPClassUID
    for frame in seg.PerFrameFunctionalGroupsSequence:
        height = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedFrameNumber == heights.index(height) + 1
    found = highdicom.seg.segread(tmp_path / "seg.dcm").get_pixels_by_source_frame(
        str(dataset.SOPInstanceUID), [2, 3, 1]
    )
    assert np.array_equal(found[..., 0] > 0, case.labels > 0)


def test_a_slice_that_is_missing_in_the_series_keeps_its_mask(tmp_path: Path) -> None:
    path = write_thigh_series(tmp_path / "series", (0.0, 4.0, 12.0, 16.0))
    case = Case.of(read_volume(path), path)
    case.table = LabelTable((Label(1, "muscle"),))
    case.labels[1:4, 1] = 1
    seg = write(case, tmp_path / "seg.dcm")
    assert verify_dicom(tmp_path / "seg.dcm") == []
    sources = [len(frame.DerivationImageSequence) for frame in seg.PerFrameFunctionalGroupsSequence]
    assert sorted(sources) == [0, 1, 1]


def test_one_slice_and_many_labels(tmp_path: Path) -> None:
    path = write_thigh_series(tmp_path / "series", (3.0,))
    case = Case.of(read_volume(path), path)
    case.table = LabelTable(tuple(Label(v, f"a_label_with_the_long_name_{v}") for v in range(1, 21)))
    case.labels[0] = np.arange(1, 21).reshape(4, 5)
    case.labels[0, 0, 0] = 255  # a value the table does not name
    seg = write(case, tmp_path / "seg.dcm")
    assert len(seg.SegmentSequence) == 20 and seg.SegmentSequence[-1].SegmentLabel == "label_255"
    codes = {item.SegmentedPropertyTypeCodeSequence[0].CodeValue for item in seg.SegmentSequence}
    assert len(codes) == 20 and max(map(len, codes)) <= 16
    assert verify_dicom(tmp_path / "seg.dcm") == []


@pytest.mark.parametrize("heights", [(3.0,), (0.0, 4.0, 8.0)])
@pytest.mark.parametrize("told", [{}, {"SpacingBetweenSlices": 6}, {"SliceThickness": ""}, {"SliceThickness": 3}])
def test_frames_in_one_plane_come_back(tmp_path: Path, heights: tuple[float, ...], told: dict[str, object]) -> None:
    path = write_thigh_series(tmp_path / "series", heights, **told)
    case = Case.of(read_volume(path), path)
    case.table = LabelTable((Label(1, "muscle"),))
    case.labels[-1, 1] = 1
    seg = write(case, tmp_path / "seg.dcm")
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert float(measures.SpacingBetweenSlices) == pytest.approx(case.volume.spacing_mm[0], abs=1e-4)
    measures.SpacingBetweenSlices = 11  # what a file says of a distance that nothing in it has
    for name in ("as it is", "odd"):
        labels, _ = read_mask(tmp_path / "seg.dcm", case.volume)
        assert np.array_equal(labels > 0, case.labels > 0), name
        seg.save_as(tmp_path / "seg.dcm")


def test_names_of_many_bytes_are_cut_where_verifiers_count(tmp_path: Path) -> None:
    path = write_thigh_series(tmp_path / "series", (0.0, 4.0))
    case = Case.of(read_volume(path), path)
    case.table = LabelTable((Label(1, "\u7b4b" * 64), Label(2, "gro\u00dfer_muskel")))
    case.labels[0, 0], case.labels[1, 1] = 1, 2
    seg = write(case, tmp_path / "seg.dcm")
    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["\u7b4b" * 21, "gro\u00dfer_muskel"]
    meanings = [item.SegmentedPropertyTypeCodeSequence[0].CodeMeaning for item in seg.SegmentSequence]
    assert max(len(str(meaning).encode()) for meaning in meanings) <= 64
    assert verify_dicom(tmp_path / "seg.dcm") == []


def test_a_name_that_is_cut_keeps_its_side_and_gets_no_other(tmp_path: Path) -> None:
    path = write_thigh_series(tmp_path / "series", (0.0, 4.0))
    case = Case.of(read_volume(path), path)
    cut = "x" * 57 + "_lateralis"  # with six letters for the side its name would end in _l
    case.table = LabelTable((Label(1, cut, "right"), Label(2, "y" * 62 + "_lateralis"), Label(3, "z" * 90, "left")))
    case.labels[0, :3] = [[1], [2], [3]]
    seg = write(case, tmp_path / "seg.dcm")
    assert seg.SegmentSequence[2].SegmentLabel == "z" * 59 + "_left"
    assert verify_dicom(tmp_path / "seg.dcm") == []
    labels, table = read_mask(tmp_path / "seg.dcm", case.volume)
    assert np.array_equal(labels, case.labels)
    assert [label.side for label in table] == ["right", "", "left"]
    assert [label.name for label in table] == ["x" * 57 + "_", "y" * 62 + "_l", "z" * 59]


@pytest.mark.parametrize("lacking", ["FrameOfReferenceUID", "StudyInstanceUID"])
def test_images_that_cannot_be_referred_to_are_refused(tmp_path: Path, lacking: str) -> None:
    path = write_thigh_series(tmp_path / "series", **{lacking: ""})
    case = drawn_case(path, "a")
    with pytest.raises(UserError, match=lacking):
        references_to(source_images(case))
    case.labels[...] = 0
    whole = write_thigh_series(tmp_path / "whole")
    with pytest.raises(UserError, match="Nothing is drawn"):
        write(Case.of(read_volume(whole), whole), tmp_path / "seg.dcm")
    assert not (tmp_path / "seg.dcm").exists()


@pytest.mark.parametrize("deidentify", [False, True])
@pytest.mark.parametrize("lacking", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_a_case_without_a_position_stays_at_home_and_the_others_go(
    project: Project, tmp_path: Path, lacking: str, deidentify: bool
) -> None:
    case = drawn_case(write_thigh_series(tmp_path / "nowhere", PatientID="P-18", **{lacking: ...}), "bob")
    project.set_checked(project.add_case(case), case.doubts)
    done = export(project, tmp_path / "out", ExportWish("dicomseg", deidentify=deidentify))
    assert done is not None and done.cases == 1
    assert any("bob" in title and "where they lie" in why and lacking in why for title, why in done.left_out)


def test_a_person_s_name_keeps_its_parts(tmp_path: Path) -> None:
    name = "Yamadanagainamaenohito^TaroujirouSaburou=山田長井名前野人^太郎次郎三郎=やまだ^たろうじろう"
    path = write_thigh_series(tmp_path / "series", SpecificCharacterSet="ISO_IR 192", PatientName=name)
    seg = write(drawn_case(path, "a"), tmp_path / "seg.dcm")
    assert len(name) > 64 and str(seg.PatientName) == name
    for file in path.iterdir():
        image = pydicom.dcmread(file)
        image.PatientName = "Roe^" + "R" * 70
        image.save_as(file)
    seg = write(drawn_case(path, "a"), tmp_path / "seg.dcm")
    assert str(seg.PatientName) == "Roe^" + "R" * 60


def test_odd_values_of_the_source_do_not_spoil_the_object(tmp_path: Path) -> None:
    path = write_thigh_series(tmp_path / "series", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Änne")
    for file in path.iterdir():
        raw = file.read_bytes()
        raw = raw.replace(b"19700101", b"1970AB01").replace(b"20200102", b"02.01.20")
        file.write_bytes(raw)
    seg = write(drawn_case(path, "a"), tmp_path / "seg.dcm")
    assert str(seg.PatientName) == "Müller^Änne" and seg.SpecificCharacterSet == "ISO_IR 192"
    assert (seg.PatientBirthDate, seg.StudyDate) == ("", "")
    assert verify_dicom(tmp_path / "seg.dcm") == []


def test_the_knee_s_segmentation_lies_on_the_knee(data: Path, tmp_path: Path) -> None:
    path = data / "dicom" / "ge_knee_mese_echo1_MIT"
    case = Case.of(read_volume(path), path)
    case.table = LabelTable((Label(1, "femur", "left"), Label(2, "muscle")))
    threshold = np.percentile(case.volume.voxels, 85)
    case.labels[:, 40:200, 40:200] = (case.volume.voxels > threshold)[:, 40:200, 40:200]
    case.labels[:, :20] = 2
    write(case, tmp_path / "seg.dcm")
    assert verify_dicom(tmp_path / "seg.dcm") == []
    uids = [(str(image.whole.SOPInstanceUID), None) for image in source_images(case).images]
    found = masks_by_label(tmp_path / "seg.dcm", uids)
    assert np.array_equal(found["femur_left"] > 0, case.labels == 1)
    assert np.array_equal(found["muscle"] > 0, case.labels == 2)


def test_a_segmentation_of_slices_that_are_not_quite_even_lies_on_them(tmp_path: Path) -> None:
    path = write_thigh_series(tmp_path / "series", (0.0, 4.0, 8.13, 12.0, 16.0))
    case = drawn_case(path, "a")
    assert "not quite evenly" in case.volume.warnings[0]
    write(case, tmp_path / "seg.dcm")
    assert np.array_equal(read_mask(tmp_path / "seg.dcm", case.volume)[0] > 0, case.labels > 0)


def test_a_segmentation_that_tells_the_gap_between_slices_lies_on_its_scan(tmp_path: Path) -> None:
    path = write_thigh_series(tmp_path / "series", SliceThickness=3)
    case = drawn_case(path, "a")
    seg = write(case, tmp_path / "seg.dcm")
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 1
    seg.save_as(tmp_path / "seg.dcm")
    assert np.array_equal(read_mask(tmp_path / "seg.dcm", case.volume)[0] > 0, case.labels > 0)
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 4
    seg.save_as(tmp_path / "seg.dcm")
    step = case.volume.affine[:, 0] / 2
    finer = replace(case.volume, affine=np.column_stack([step, case.volume.affine[:, 1:]]))
    assert read_mask_file(tmp_path / "seg.dcm", finer).grid.shape[0] == 5, "no slices of the scan left empty between"


def test_another_series_in_its_place_is_refused(tmp_path: Path) -> None:
    path = write_thigh_series(tmp_path / "series")
    case = drawn_case(path, "a")
    shutil.rmtree(path)
    write_thigh_series(path, HEIGHTS[:-1])
    with pytest.raises(UserError, match="nothing there has its content"):
        source_images(case)
