"""What nobody has reviewed never comes back as drawn by hand, whichever of our own files it went through."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from export_room import STATES, TABLE, drawn_case, step, thigh_project, write_thigh_nifti, write_thigh_series
from mask_files import stored_as, write_nifti

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.history import Edit, step_name
from thighview.core.labels import LabelTable
from thighview.core.review import ReviewChange, SliceReview, SliceState
from thighview.core.volume import Volume
from thighview.engine import evaluation
from thighview.io.exporting import ExportWish, export
from thighview.io.images import write_volume
from thighview.io.importing import ImportWish, import_cases
from thighview.io.masks import find_mask, write_mask, write_sidecar
from thighview.io.nnunet import import_raw
from thighview.io.project import Project
from thighview.io.reading import read_volume, sha256_of

OPEN = [i for i, state in enumerate(STATES) if not state.reviewed]
SOME = (SliceState.DRAWN, SliceState.MODEL, SliceState.MODEL, SliceState.MODEL, SliceState.EDITING)


@pytest.fixture
def into(tmp_path: Path) -> Iterator[Project]:
    project = Project.create(tmp_path / "into")
    yield project
    project.close()


def the_case(project: Project) -> Case:
    (row,) = project.cases()
    return project.load_case(row.case_id)


def exported(folder: Path, form: str, states: tuple[SliceState, ...] = STATES) -> tuple[Path, Path]:
    """A scan, and the folder its mask was exported to."""
    scan = write_thigh_nifti(folder / "sub-02_T1w.nii.gz")
    project = Project.create(folder / "from")
    project.add_case(drawn_case(scan, "sub-02", states), in_training_set=True)
    try:
        assert export(project, folder / "out", ExportWish(form)) is not None
    finally:
        project.close()
    return scan, folder / "out"


def test_what_segment_writes_is_a_model_s(into: Project, tmp_path: Path, tiny_volume: Volume) -> None:
    labels = np.ones(tiny_volume.shape, np.uint8)
    table = LabelTable().merged([("muscle", "")])
    write_volume(tmp_path / "a.nii.gz", tiny_volume)
    write_mask(tmp_path / "a_seg.nii.gz", labels, table, tiny_volume)
    write_sidecar(tmp_path / "a_seg.nii.gz", table, model="thigh_tissues", weights_sha256="0" * 64)
    done = import_cases(into, tmp_path / "a.nii.gz", ImportWish(tmp_path / "a_seg.nii.gz"))
    assert done.reviewed == 0 and done.pairs[0].endswith("1 label, drawn by an algorithm, not reviewed.")
    assert any("a_seg.json says that a model drew a_seg.nii.gz" in note for note in done.notes)
    assert set(the_case(into).reviews) == {SliceReview().after_model()}
    assert not into.cases()[0].in_training_set


@pytest.mark.parametrize(("form", "ending"), [("nifti", ".nii.gz"), ("nrrd", ".seg.nrrd")])
def test_the_states_of_slices_come_back_with_the_mask(into: Project, tmp_path: Path, form: str, ending: str) -> None:
    scan, out = exported(tmp_path, form, SOME)
    done = import_cases(into, scan, ImportWish(out / f"sub-02-scan{ending}"))
    assert done.pairs[0].endswith("3 labels, 1 of 5 slices drawn by hand.")
    assert any("nobody has reviewed 4 of 5 slices" in note for note in done.notes)
    case = the_case(into)
    assert tuple(review.state for review in case.reviews) == SOME
    assert [review.model_beneath for review in case.reviews] == [False, True, True, True, True]


def test_the_mark_of_bids_is_no_tissue(into: Project, tmp_path: Path) -> None:
    scan, out = exported(tmp_path, "bids")
    done = import_cases(into, scan, ImportWish(next(out.rglob("*_dseg.nii.gz"))))
    case = the_case(into)
    assert {label.key for label in case.table} == {label.key for label in TABLE}
    assert not case.labels[OPEN].any() and case.labels[0].any()
    assert [i for i, review in enumerate(case.reviews) if not review.state.reviewed] == OPEN
    assert (done.reviewed, done.slices) == (3, 5)


def test_a_mask_stored_otherwise_keeps_the_states_of_its_slices(tmp_path: Path) -> None:
    scan, out = exported(tmp_path, "nifti")
    mask = out / "sub-02-scan.nii.gz"
    case = drawn_case(scan, "sub-02")
    labels = np.asarray(nibabel.load(mask).dataobj).T.astype(np.int16)
    for order, signs in (((0, 1, 2), (-1, 1, 1)), ((1, 0, 2), (1, 1, 1))):
        stored, affine = stored_as(labels, case.volume.affine, order, signs)
        write_nifti(mask, stored, affine)
        told = json.loads((out / "sub-02-scan.json").read_text())
        if order == (0, 1, 2):
            told["slices"] = [state.word for state in reversed(STATES)]
            (out / "sub-02-scan.json").write_text(json.dumps(told))
        found = find_mask(mask, replace(case.volume, other_affine=None))  # of a scan with two it would be asked
        reviews = found.reviews(*found.settled())
        if order == (0, 1, 2):
            assert tuple(review.state for review in reviews) == (*STATES[:3], SliceState.EDITING, STATES[4])
        else:
            assert not any(review.state.reviewed for review in reviews), "which slice is which cannot be told"


def test_a_mask_carried_over_is_reviewed_where_all_of_it_was(tmp_path: Path) -> None:
    scan, out = exported(tmp_path, "nifti")
    case = drawn_case(scan, "sub-02")
    fine = Volume(np.zeros((10, 4, 5), np.int16), case.volume.affine @ np.diag([0.5, 1, 1, 1]))
    found = find_mask(out / "sub-02-scan.nii.gz", fine)
    assert found.grid is not None
    assert [review.state.reviewed for review in found.said[::2]] == [state.reviewed for state in STATES]


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    scan, out = exported(tmp_path, "nifti")
    told = json.loads((out / "sub-02-scan.json").read_text())
    (out / "sub-02-scan.json").write_text(json.dumps(told | {"slices": ["fine"] * 5}))
    with pytest.raises(UserError, match=r"sub-02-scan\.json should have a state for each slice"):
        find_mask(out / "sub-02-scan.nii.gz", drawn_case(scan, "sub-02").volume)


def test_model_output_in_a_folder_of_nnunet_is_not_drawn(into: Project, tmp_path: Path, tiny_volume: Volume) -> None:
    root = tmp_path / "Dataset001"
    table = LabelTable().merged([("muscle", "")])
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    write_volume(root / "imagesTr" / "a_0000.nii.gz", tiny_volume)
    write_mask(root / "labelsTr" / "a.nii.gz", np.ones(tiny_volume.shape, np.uint8), table, tiny_volume)
    (root / "dataset.json").write_text('{"labels": {"background": 0, "muscle": 1}, "file_ending": ".nii.gz"}')
    write_sidecar(root / "labelsTr" / "a.nii.gz", table, model="m", weights_sha256="0" * 64)
    assert import_raw(into, root).reviewed == 0
    assert set(the_case(into).reviews) == {SliceReview().after_model()}


@pytest.mark.parametrize("alone", [True, False])
def test_a_model_s_segmentation_that_a_hand_touched_is_not_drawn(into: Project, tmp_path: Path, alone: bool) -> None:
    """A model drew five slices, an eraser touched a voxel of one, a person called one right; with and without JSON."""
    scan = write_thigh_series(tmp_path / "series")
    case = Case.of(read_volume(scan), scan, sha256_of(scan), "anna")
    case.title, case.table = "anna", TABLE
    plane = np.full(case.labels.shape[1:], 2, np.uint8)
    for index in range(5):
        step(case, index, plane, "model", step_name("thigh_tissues"))
    plane[0, 0] = 0
    step(case, 2, plane, "eraser", "Eraser")
    change = ReviewChange(4, case.reviews[4], case.reviews[4].after_accept())
    case.reviews[4] = change.after
    case.history.push(Edit("Accept", "review", (), (change,)))
    states = tuple(review.state for review in case.reviews)
    project = Project.create(tmp_path / "from")
    project.add_case(case)
    assert export(project, tmp_path / "out", ExportWish("dicomseg")) is not None
    project.close()
    seg = tmp_path / "out" / "anna.dcm"
    assert [str(item.SegmentAlgorithmType) for item in pydicom.dcmread(seg).SegmentSequence] == ["SEMIAUTOMATIC"]
    if alone:
        seg.with_suffix(".json").unlink()
    done = import_cases(into, scan, ImportWish(seg))
    case = the_case(into)
    if alone:
        assert done.reviewed == 0 and set(case.reviews) == {SliceReview().after_model()}
    else:
        assert tuple(review.state for review in case.reviews) == states


def test_a_segmentation_of_a_hand_alone_is_drawn(into: Project, tmp_path: Path) -> None:
    scan = write_thigh_series(tmp_path / "series")
    case = Case.of(read_volume(scan), scan, sha256_of(scan), "anna")
    case.title, case.table = "anna", TABLE
    for index in range(5):
        step(case, index, np.full(case.labels.shape[1:], 2, np.uint8), "brush", "Brush")
    project = Project.create(tmp_path / "from")
    project.add_case(case)
    assert export(project, tmp_path / "out", ExportWish("dicomseg")) is not None
    project.close()
    (tmp_path / "out" / "anna.json").unlink()
    assert import_cases(into, scan, ImportWish(tmp_path / "out" / "anna.dcm")).reviewed == 5


@pytest.fixture
def gap(tmp_path: Path) -> tuple[Path, Path]:
    """A series whose third image is missing, and a mask that has something everywhere."""
    scan = write_thigh_series(tmp_path / "series", (0.0, 4.0, 12.0, 16.0))
    volume = read_volume(scan)
    assert volume.missing == (2,) and volume.shape[0] == 5
    mask = tmp_path / "mask.nii.gz"
    write_mask(mask, np.ones(volume.shape, np.uint8), LabelTable().merged([("muscle", "")]), volume)
    return scan, mask


def test_a_slice_that_is_missing_in_the_scan_is_not_drawn(into: Project, gap: tuple[Path, Path]) -> None:
    scan, mask = gap
    done = import_cases(into, scan, ImportWish(mask))
    assert done.pairs[0].endswith("1 label without a name (called label_1), 4 of 5 slices drawn by hand.")
    assert [review.state.reviewed for review in the_case(into).reviews] == [True, True, False, True, True]


@pytest.mark.parametrize("form", ["nnunet", "bids", "npz", "nifti"])
def test_a_slice_that_is_missing_in_the_scan_leaves_as_nothing_to_learn(
    tmp_path: Path, gap: tuple[Path, Path], form: str
) -> None:
    """The project is from before it was known which slices are missing: all five are called right."""
    scan, _ = gap
    case = Case.of(read_volume(scan), scan, sha256_of(scan), "anna")
    case.title, case.table = "anna", LabelTable().merged([("muscle", "")])
    case.labels[...] = 1
    case.reviews = [SliceReview(SliceState.DRAWN)] * 5
    project = Project.create(tmp_path / "from")
    project.add_case(case, in_training_set=True)
    assert export(project, tmp_path / "out", ExportWish(form)) is not None
    project.close()
    out = tmp_path / "out"
    if form == "npz":
        found = np.load(out / "anna.npz")
        assert found["reviewed"].tolist() == [True, True, False, True, True]
        labels, mark = found["mask"], int(found["unreviewed_value"])
    else:
        labels = np.asarray(nibabel.load(next(out.rglob("*.nii.gz" if form != "nnunet" else "labelsTr/*"))).dataobj).T
        if form == "nnunet":
            mark = json.loads((out / "dataset.json").read_text())["labels"]["ignore"]
            told = json.loads((out / "thighview.json").read_text())["cases"]["anna"]
        else:
            told = json.loads(next(out.rglob("*anna*.json")).read_text())
            mark, told = told.get("UnreviewedIndex", 1), told.get("thighview", told)
        assert told["slices"] == ["drawn", "drawn", "unseen", "drawn", "drawn"]
    assert set(np.unique(labels[2])) == {mark}
    assert set(np.unique(labels[[0, 1, 3, 4]])) == {1}


def test_a_case_whose_only_reviewed_slice_is_missing_stays_at_home(tmp_path: Path, gap: tuple[Path, Path]) -> None:
    scan, _ = gap
    case = Case.of(read_volume(scan), scan, sha256_of(scan), "anna")
    case.title, case.table = "anna", LabelTable().merged([("muscle", "")])
    case.labels[2], case.reviews[2] = 1, SliceReview(SliceState.DRAWN)
    project = Project.create(tmp_path / "from")
    project.add_case(case, in_training_set=True)
    for form in ("nnunet", "bids", "npz"):
        with pytest.raises(UserError, match="reviewed"):
            export(project, tmp_path / "out", ExportWish(form))
        assert not (tmp_path / "out").exists()
    scan = write_thigh_nifti(tmp_path / "sub-02_T1w.nii.gz")
    project.add_case(drawn_case(scan, "sub-02"), in_training_set=True)
    done = export(project, tmp_path / "out", ExportWish("nnunet"))
    project.close()
    assert done is not None and done.cases == 1
    assert "anna stays at home: none of its slices is reviewed." in done.notes


def test_every_state_goes_out_and_comes_in(tmp_path: Path, into: Project) -> None:
    project = thigh_project(tmp_path)
    assert export(project, tmp_path / "out", ExportWish("nifti")) is not None
    row = project.cases()[1]
    case = project.load_case(row.case_id)
    project.close()
    import_cases(into, row.path, ImportWish(tmp_path / "out" / "sub-02-scan.nii.gz"))
    expected = list(case.reviews)
    expected[3] = SliceReview(SliceState.EDITING)  # said to be unseen, and yet there is something
    assert the_case(into).reviews == expected


def test_a_slice_that_is_missing_in_the_scan_is_not_measured_on(tmp_path: Path, gap: tuple[Path, Path]) -> None:
    scan, _ = gap
    case = Case.of(read_volume(scan), scan, sha256_of(scan), "anna")
    case.labels[...], case.table = 1, LabelTable().merged([("muscle", "")])
    case.reviews = [SliceReview(SliceState.DRAWN)] * 5
    project = Project.create(tmp_path / "from")
    case_id = project.add_case(case, in_training_set=True)
    project.close()
    truth = evaluation._read_stored(tmp_path / "from", case_id)
    assert truth.reviewed.tolist() == [True, True, False, True, True]


def test_our_seg_nrrd_alone_still_says_that_not_all_was_reviewed(into: Project, tmp_path: Path) -> None:
    """Without its side file, which a person may well leave behind when copying the one mask."""
    (tmp_path / "one").mkdir()
    scan, out = exported(tmp_path / "one", "nrrd")
    (mask,) = out.rglob("*.seg.nrrd")
    alone = mask.rename(scan.parent / "alone.seg.nrrd")
    done = import_cases(into, scan, ImportWish(alone))
    assert done.reviewed == 0 and not into.cases()[0].in_training_set
    assert {review.state for review in the_case(into).reviews} == {SliceState.MODEL}
