"""Masks of every kind onto the open scan: told what they hold, settled where they do not fit, one step each."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mask_files import described, scan_files, slicer_fields, some_labels, write_nifti, write_nrrd, write_seg
from pytestqt.qtbot import QtBot

from thighview.app import jobs, opening
from thighview.app.mask_opening import MaskReport
from thighview.app.tasks import Workspace
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.found_mask import FoundMask, MaskWish
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import Region
from thighview.core.review import SliceReview, SliceState
from thighview.core.volume import Volume
from thighview.io.images import write_volume
from thighview.io.mask_kind import kind_of
from thighview.io.masks import read_mask, write_mask, write_sidecar
from thighview.io.npz_out import write_npz

Answer = Callable[[Any], None]


@pytest.fixture
def case(qtbot: QtBot, workspace: Workspace, tmp_path: Path, tiny_volume: Volume) -> Case:
    write_volume(tmp_path / "sub-07_t1.nii.gz", tiny_volume)
    return opened(qtbot, workspace, tmp_path / "sub-07_t1.nii.gz")


def opened(qtbot: QtBot, workspace: Workspace, path: Path) -> Case:
    with qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda case: case is not None):
        workspace.open_path(path)
    assert workspace.session.case is not None
    return workspace.session.case


def report_of(qtbot: QtBot, workspace: Workspace, do: Callable[[], object]) -> MaskReport:
    """What is said at the end of opening a mask."""
    with qtbot.waitSignal(workspace.mask_opened) as told:
        do()
    return told.args[0]


def test_labels_are_matched_by_name_and_side_and_it_is_said(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path
) -> None:
    session = workspace.session
    session.set_table(LabelTable((Label(1, "vastus_lateralis", "left"), Label(3, "femur", file_id=40))))
    labels = some_labels(case.volume)
    right = "TerminologyEntry:l~SCT^1^x~SCT^2^y~SCT^24028007^Right~|"
    fields = slicer_fields(
        ("Vastus lateralis left", "1 0 0", 2, 0, ""),
        ("Vastus lateralis", "0 1 0", 3, 0, right),
        ("Skin", "0 0 1", 1, 0, ""),
    )
    path = write_nrrd(tmp_path / "s.seg.nrrd", labels, case.volume.affine, fields=fields)
    report = report_of(qtbot, workspace, lambda: workspace.open_mask(path))
    assert report.matched == ("Vastus lateralis L",) and set(report.new) == {"Vastus lateralis R", "Skin"}
    assert str(report).startswith("s.seg.nrrd: 3 labels, 1 known here (Vastus lateralis L), 2 new (")
    assert session.history.names == ("Open mask s.seg.nrrd",)
    value = {(b.name.lower(), b.side): b.value for b in case.table}
    assert value["vastus_lateralis", "left"] == 1 and case.table.get(3).file_id == 40  # type: ignore[union-attr]
    expected = np.array([0, value["skin", ""], 1, value["vastus_lateralis", "right"]], np.uint8)[labels]
    assert np.array_equal(case.labels, expected)
    session.undo()
    assert not case.labels.any()


def test_a_mask_on_another_grid_waits_for_an_answer(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path
) -> None:
    fine = Volume(np.zeros((12, 32, 32), np.int16), case.volume.affine @ np.diag([0.5, 1, 1, 1]))
    path = write_nrrd(tmp_path / "fine.nrrd", some_labels(fine), fine.affine)
    answers: list[Answer] = []
    found: list[FoundMask] = []
    workspace.mask_doubtful.connect(lambda mask, answer: (found.append(mask), answers.append(answer)))
    for wish in (None, MaskWish(resample=True)):
        with qtbot.waitSignal(workspace.mask_doubtful):
            workspace.open_mask(path)
        assert found[-1].grid is not None and not case.labels.any()
        if wish is None:
            answers[-1](None)
            assert workspace.session.history.names == () and not list(case.table)
        else:
            report_of(qtbot, workspace, lambda wish=wish: answers[-1](wish))
    assert workspace.session.history.names == ("Open mask fine.nrrd, resampled",)
    assert np.array_equal(case.labels, read_mask(path, case.volume, resample=True)[0])
    assert {review.state for review in case.reviews} == {SliceState.EDITING}
    workspace.session.undo()
    assert not case.labels.any()


def test_labels_over_each_other_wait_for_an_answer(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path
) -> None:
    a, b = (np.zeros(case.volume.shape, np.uint8) for _ in range(2))
    a[1:3], b[2:4] = 1, 1
    fields = slicer_fields(("a", "1 0 0", 1, 0, ""), ("b", "1 0 0", 1, 1, ""))
    path = write_nrrd(tmp_path / "s.seg.nrrd", np.stack([a, b]), case.volume.affine, fields=fields)
    with qtbot.waitSignal(workspace.mask_doubtful) as doubt:
        workspace.open_mask(path)
    mask, answer = doubt.args
    report = report_of(qtbot, workspace, lambda: answer(MaskWish(order=mask.ordered("last"))))
    assert report.new == ("A", "B") and workspace.session.history.names == ("Open mask s.seg.nrrd",)
    names = {label.value: label.name for label in case.table}
    assert [names.get(int(case.labels[z, 0, 0]), "") for z in range(6)] == ["", "a", "b", "b", "", ""]
    with qtbot.waitSignal(workspace.mask_doubtful) as doubt:
        workspace.open_mask(path)
    report = report_of(qtbot, workspace, lambda: doubt.args[1](MaskWish(only=mask.order[0])))
    assert report.matched == ("A",) and report.new == ()
    assert set(np.unique(case.labels)) == {0, next(v for v, name in names.items() if name == "a")}


def test_what_an_algorithm_drew_counts_as_a_model_s(qtbot: QtBot, workspace: Workspace, tmp_path: Path) -> None:
    sources = scan_files(tmp_path / "scan")
    case = opened(qtbot, workspace, tmp_path / "scan")
    labels = np.zeros(case.volume.shape, np.uint8)
    labels[1:3, 1:3] = 1
    for algorithm, state in (("MANUAL", SliceState.EDITING), ("AUTOMATIC", SliceState.MODEL)):
        path = write_seg(tmp_path / f"{algorithm}.dcm", sources, labels, [described(1, algorithm, algorithm)])
        report = report_of(qtbot, workspace, lambda path=path: workspace.open_mask(path))
        assert [review.state for review in case.reviews[:4]] == [SliceState.UNSEEN, state, state, SliceState.UNSEEN]
        assert any("An algorithm drew it" in note for note in report.notes) == (algorithm == "AUTOMATIC")
        workspace.session.undo()


def test_what_a_sidecar_says_of_its_slices_stays_true(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path
) -> None:
    labels = np.ones(case.volume.shape, np.uint8)
    table, path = LabelTable((Label(1, "muscle"),)), tmp_path / "m.nii.gz"
    write_mask(path, labels, table, case.volume)
    model, editing = SliceReview().after_model(), SliceState.EDITING
    beneath = SliceReview(editing, True)
    for told, expected in (
        ({"model": "m", "weights_sha256": "0" * 64}, [model] * 6),
        (
            {"slices": ["drawn", "model", "editing", "accepted", "corrected", "unseen"], "model_beneath": [1, 2, 3, 4]},
            [SliceReview(editing), model, beneath, model, beneath, SliceReview(editing)],
        ),
    ):
        write_sidecar(path, table, **told)
        report = report_of(qtbot, workspace, lambda: workspace.open_mask(path))
        assert case.reviews == expected
        assert any(note.startswith("m.json says that") for note in report.notes)
        workspace.session.undo()


def test_an_export_of_ours_opens_with_its_mask_once(
    qtbot: QtBot, workspace: Workspace, tiny_volume: Volume, tmp_path: Path
) -> None:
    labels, path = some_labels(tiny_volume), tmp_path / "anna.npz"
    table = LabelTable((Label(1, "vasti", "left"), Label(2, "femur", file_id=700), Label(3, "skin")))
    reviews = [SliceReview(SliceState.DRAWN)] * 5 + [SliceReview()]
    write_npz(path, tiny_volume, labels, table, reviews, {"subject": "anna"})
    wanted = labels.copy()
    wanted[5] = 0  # nobody has reviewed it: it has stayed at home
    errors: list[Exception] = []
    workspace.failed.connect(errors.append)
    report = report_of(qtbot, workspace, lambda: workspace.open_path(path))
    case = workspace.session.case
    assert case is not None and case.subject == "anna" and case.volume.same_grid(tiny_volume)
    assert np.array_equal(case.volume.voxels, tiny_volume.voxels)
    assert {(b.name, b.side, b.file_id) for b in case.table} == {(b.name, b.side, b.file_id) for b in table}
    for label in table:
        (value,) = [b.value for b in case.table if b.key == label.key]
        assert np.array_equal(case.labels == value, wanted == label.value)
    assert len(report.new) == 3 and workspace.session.history.names == ("Open mask anna.npz",)
    workspace.session.undo()
    workspace.session.open(None)
    again = opened(qtbot, workspace, path)
    qtbot.waitUntil(lambda: not jobs.running())
    assert again.case_id == case.case_id and not again.labels.any(), "what was taken back is not put there again"
    assert errors == []


def test_what_a_mask_takes_the_place_of_is_said(qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path) -> None:
    session = workspace.session
    session.set_table(LabelTable((Label(1, "muscle"), Label(2, "femur", "left"))))
    with session.edit("Brush", "brush", Region(0, 1, 0, 32, 0, 32)):
        case.labels[0, :16, :16], case.labels[0, 20, 20] = 1, 2
    labels = np.zeros(case.volume.shape, np.uint8)
    labels[3:5, 4:9, 4:9] = 7
    path = write_nifti(tmp_path / "m.nii.gz", labels, case.volume.affine)
    report = report_of(qtbot, workspace, lambda: workspace.open_mask(path))
    assert "It took the place of Muscle (256 voxels), Femur L (1 voxel); undo brings it back." in report.notes
    session.undo()
    assert np.count_nonzero(case.labels) == 257
    labels[0] = case.labels[0]
    path = tmp_path / "n.nii.gz"
    write_mask(path, labels, case.table, case.volume)
    write_sidecar(path, case.table)
    report = report_of(qtbot, workspace, lambda: workspace.open_mask(path))
    assert not any("took the place" in note for note in report.notes), "what was there is there"


def test_masks_dropped_together_are_one_step(qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path) -> None:
    a, b = (np.zeros(case.volume.shape, np.uint8) for _ in range(2))
    a[1:3, 2:9], b[3:5, 2:9] = 1, 1
    paths = [
        write_nifti(tmp_path / f"{name}.nii.gz", m, case.volume.affine) for name, m in (("femur_left", a), ("skin", b))
    ]
    with qtbot.waitSignal(workspace.kind_needed) as asked:
        workspace.open_dropped(paths)
    report = report_of(qtbot, workspace, lambda: asked.args[1]("mask"))
    assert workspace.session.history.names == ("Open mask femur_left.nii.gz and skin.nii.gz",)
    values = {label.key: label.value for label in case.table}
    assert set(values) == {"femur_left", "skin"}
    assert np.array_equal(case.labels, values["femur_left"] * a + values["skin"] * b)
    assert "Labels without a name are called by their files: Femur L, Skin." in report.notes
    workspace.session.undo()
    assert not case.labels.any()


def test_a_mask_dropped_on_a_scan_never_lands_on_one_that_is_opened_meanwhile(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not by an answer that comes late."""
    volume = case.volume
    slicer = write_nrrd(
        tmp_path / "s.seg.nrrd", some_labels(volume), volume.affine, fields=slicer_fields(("a", "1 0 0", 1, 0, ""))
    )
    either = write_nifti(tmp_path / "either.nii.gz", some_labels(volume), volume.affine)
    names = tmp_path / "labels.txt"
    names.write_text('1 9 8 7 1 1 1 "Femur"\n')
    write_volume(tmp_path / "sub-08_t1.nii.gz", volume)
    other_id = opened(qtbot, workspace, tmp_path / "sub-08_t1.nii.gz").case_id
    opened(qtbot, workspace, tmp_path / "sub-07_t1.nii.gz")
    with qtbot.waitSignal(workspace.kind_needed) as asked:
        workspace.open_dropped([either])
    go_on = threading.Event()
    monkeypatch.setattr("thighview.io.mask_kind.kind_of", lambda path: go_on.wait(20) and kind_of(path))
    workspace.open_dropped([slicer, either, names])
    with qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda case: case is not None) as shown:
        workspace.open_case(other_id)
    other = shown.args[0]
    told: list[Exception] = []
    workspace.failed.connect(told.append)
    asked.args[1]("mask")
    asked.args[1]("")
    go_on.set()
    qtbot.waitUntil(lambda: not jobs.running())
    assert [str(error).split(" could be")[0] for error in told] == [
        "sub-07_t1 was left before either.nii.gz", "sub-07_t1 was left before 3 files",
    ]  # fmt: skip
    assert workspace.session.case is other and not other.labels.any() and not len(other.table)


def test_a_mask_that_comes_too_late_is_missed(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is read, while its question stands, and while it is placed."""
    from thighview.io import masks

    fine = Volume(np.zeros((12, 32, 32), np.int16), case.volume.affine @ np.diag([0.5, 1, 1, 1]))
    path = write_nrrd(tmp_path / "fine.nrrd", some_labels(fine), fine.affine)
    names = tmp_path / "labels.txt"
    names.write_text('1 9 8 7 1 1 1 "Femur"\n')
    told: list[str] = []
    workspace.failed.connect(lambda error: told.append(str(error)))
    with qtbot.waitSignal(workspace.mask_doubtful) as doubt:
        workspace.open_mask(path)
    read, settled, go_on = masks.find_mask, FoundMask.settled, threading.Event()
    monkeypatch.setattr(masks, "find_mask", lambda *a: go_on.wait(20) and read(*a))
    monkeypatch.setattr(FoundMask, "settled", lambda *a: go_on.wait(20) and settled(*a))
    doubt.args[1](MaskWish(resample=True))
    workspace.open_mask(path)
    workspace.name_labels(names)
    workspace.open_project(tmp_path / "Study")
    qtbot.waitUntil(lambda: workspace.session.case is None)
    go_on.set()
    doubt.args[1](MaskWish(resample=True))
    doubt.args[1](None)
    qtbot.waitUntil(lambda: not jobs.running())
    assert sorted(words.partition(". ")[0] for words in told) == [
        f"sub-07_t1 was left before {name} could be laid on it"
        for name in ("fine.nrrd", "fine.nrrd", "fine.nrrd", "labels.txt")
    ]
    assert not case.labels.any()


def test_masks_dropped_with_a_scan_are_laid_on_that_one(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path
) -> None:
    labels, other = some_labels(case.volume), tmp_path / "sub-08_t1.nii.gz"
    write_volume(other, case.volume)
    mask, either = tmp_path / "sub-08_mask.nii.gz", tmp_path / "either.nii.gz"
    write_mask(mask, (labels == 1).astype(np.uint8), LabelTable((Label(1, "muscle"),)), case.volume)
    write_nifti(either, 7 * (labels == 2).astype(np.uint8), case.volume.affine)
    asked_of: list[str] = []
    answer = "mask"

    def ask(paths: tuple[Path, ...], answered: Answer) -> None:
        shown = workspace.session.case
        asked_of.append(shown.title if shown else "")
        answered(answer)

    workspace.kind_needed.connect(ask)
    report_of(qtbot, workspace, lambda: workspace.open_dropped([mask, either, other]))
    shown = workspace.session.case
    assert shown is not None and shown.title == "sub-08_t1" and asked_of == ["sub-08_t1"]
    assert np.array_equal(shown.labels > 0, (labels == 1) | (labels == 2))
    assert len(workspace.session.history.names) == 1
    assert not case.labels.any() and not case.history.edits and not len(case.table)

    workspace.session.undo()
    answer, errors = "scan", list[str]()
    workspace.failed.connect(lambda error: errors.append(str(error)))
    workspace.open_dropped([mask, either, other])  # then it is a second scan
    qtbot.waitUntil(lambda: len(workspace.cases) == 3 and not jobs.running())
    assert workspace.session.case is shown and not shown.labels.any()
    assert [error.partition(":")[0] for error in errors] == ["sub-08_mask.nii.gz cannot be laid on a scan"]


def test_a_scan_and_its_mask_dropped_twice_are_opened_once(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, labels = tmp_path / "sub-08_t1.nii.gz", some_labels(case.volume)
    write_volume(other, case.volume)
    either = write_nifti(tmp_path / "sub-08_mask.nii.gz", labels, case.volume.affine)
    asked: list[tuple[Path, ...]] = []
    workspace.kind_needed.connect(lambda paths, answered: (asked.append(paths), answered("mask")))
    workspace.failed.connect(lambda error: pytest.fail(str(error)))
    go_on, begun, read = threading.Event(), list[str](), opening.read_scan
    workspace.job_started.connect(lambda _, words: begun.append(words))
    monkeypatch.setattr(opening, "read_scan", lambda *a, **b: go_on.wait(20) and read(*a, **b))
    for n in (1, 2):
        workspace.open_dropped([other, either])
        qtbot.waitUntil(lambda n=n: len(begun) == n)
    report_of(qtbot, workspace, go_on.set)
    qtbot.waitUntil(lambda: not jobs.running())
    shown = workspace.session.case
    assert shown is not None and shown.title == "sub-08_t1" and np.array_equal(shown.labels > 0, labels > 0)
    assert asked == [(either,)] and len(workspace.session.history.names) == 1


def test_a_scan_dropped_before_the_project_is_left_is_not_opened_in_the_next(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr("thighview.io.mask_kind.kind_of", lambda path: go_on.wait(20) and kind_of(path))
    write_volume(tmp_path / "sub-08_t1.nii.gz", case.volume)
    workspace.open_dropped([tmp_path / "sub-08_t1.nii.gz"])
    workspace.open_project(tmp_path / "Study")
    qtbot.waitUntil(lambda: workspace.project_folder == tmp_path / "Study")
    with qtbot.waitSignal(workspace.failed) as told:
        go_on.set()
    assert str(told.args[0]).startswith("sub-08_t1.nii.gz was not opened")
    qtbot.waitUntil(lambda: not jobs.running())
    assert workspace.cases == () and workspace.session.case is None


def test_masks_dropped_with_no_scan_or_several_are_laid_on_none(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path
) -> None:
    labels, mask = some_labels(case.volume), tmp_path / "mask.nii.gz"
    write_mask(mask, labels, LabelTable(), case.volume)
    scans = [tmp_path / f"sub-0{n}_t1.nii.gz" for n in (8, 9)]
    for path in scans:
        write_volume(path, case.volume)
    errors: list[str] = []
    workspace.failed.connect(lambda error: errors.append(str(error)))
    for others in ([tmp_path / "gone.nii"], scans):
        errors.clear()
        workspace.open_dropped([mask, *others])
        qtbot.waitUntil(lambda: any(error.startswith("mask.nii.gz cannot be laid") for error in errors))
    qtbot.waitUntil(lambda: len(workspace.cases) == 3 and not jobs.running())
    assert workspace.session.case is not case
    for one in (case, workspace.session.case):
        assert one is not None and not one.labels.any() and not one.history.edits


def test_masks_dropped_together_that_overlap_wait_for_an_answer(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path
) -> None:
    a, b = (np.zeros(case.volume.shape, np.uint8) for _ in range(2))
    a[1:4, 2:9], b[3:5, 2:9] = 5, 5
    paths = [
        write_nrrd(
            tmp_path / f"{name}.seg.nrrd", m, case.volume.affine, fields=slicer_fields((name, "1 0 0", 5, 0, ""))
        )
        for name, m in (("Femur", a), ("Skin", b))
    ]
    with qtbot.waitSignal(workspace.mask_doubtful) as doubt:
        workspace.open_dropped(paths)
    mask, answer = doubt.args
    assert len(mask.overlaps) == 1 and mask.overlaps[0].voxels == 7 * 32
    report = report_of(qtbot, workspace, lambda: answer(MaskWish(order=mask.ordered("last"))))
    names = {0: "", **{label.value: label.name for label in case.table}}
    assert [names[int(plane[2, 0])] for plane in case.labels] == ["", "Femur", "Femur", "Skin", "Skin", ""]
    assert "Numbers of Skin.seg.nrrd that others have are written anew: 5." in report.notes
    assert len(workspace.session.history.names) == 1


def test_masks_dropped_together_keep_what_is_said_of_each(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path
) -> None:
    table, labels = LabelTable((Label(1, "muscle"),)), np.zeros(case.volume.shape, np.uint8)
    labels[1:3] = 1
    write_mask(tmp_path / "model.nii.gz", labels, table, case.volume)
    write_sidecar(tmp_path / "model.nii.gz", table, model="m", weights_sha256="0" * 64)
    fine = Volume(np.zeros((12, 32, 32), np.int16), case.volume.affine @ np.diag([0.5, 1, 1, 1]))
    half = np.zeros(fine.shape, np.uint8)
    half[8:10] = 1
    fields = slicer_fields(("Muscle", "1 0 0", 1, 0, ""))
    hand = write_nrrd(tmp_path / "hand.seg.nrrd", half, fine.affine, fields=fields)
    with qtbot.waitSignal(workspace.mask_doubtful) as doubt:
        workspace.open_dropped([tmp_path / "model.nii.gz", hand])
    mask, answer = doubt.args
    assert mask.grid is not None and mask.grid.difference.startswith("hand.seg.nrrd: its spacing") and not mask.overlaps
    report_of(qtbot, workspace, lambda: answer(MaskWish(resample=True)))
    assert [bool(plane.any()) for plane in case.labels] == [False, True, True, False, True, False]
    assert [label.key for label in case.table] == ["muscle"]
    assert {case.reviews[i] for i in (1, 2, 4)} == {SliceReview().after_model()}


def test_a_mask_refused_under_a_stroke_leaves_no_label(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path
) -> None:
    path = write_nrrd(tmp_path / "m.nrrd", some_labels(case.volume), case.volume.affine)
    with workspace.session.edit("Brush", "brush", Region(0, 1, 0, 4, 0, 4)), qtbot.waitSignal(workspace.failed) as told:
        workspace.open_mask(path)
    assert "stroke was under way" in str(told.args[0]) and not list(case.table) and not case.labels.any()


def test_names_of_itk_snap_are_given_to_the_open_case(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path
) -> None:
    path = write_nifti(tmp_path / "m.nii.gz", some_labels(case.volume), case.volume.affine)
    report_of(qtbot, workspace, lambda: workspace.open_mask(path))
    names = tmp_path / "labels.txt"
    names.write_text('1 9 8 7 1 1 1 "Femur"\n2 1 2 3 1 1 1 "vasti left"\n77 0 0 9 1 1 1 "Skin"\n')
    with qtbot.waitSignal(workspace.said, check_params_cb=lambda words: "named anew" in words) as told:
        workspace.name_labels(names)
    assert told.args == ["labels.txt: 2 labels named anew, 1 new."]
    assert [(b.file_id, b.key) for b in case.table] == [(1, "Femur"), (2, "vasti_left"), (3, "label_3"), (77, "Skin")]
    assert case.table.labels[0].colour == (9, 8, 7)
    names.write_text("no labels")
    with qtbot.waitSignal(workspace.failed) as refused:
        workspace.name_labels(names)
    assert isinstance(refused.args[0], UserError)


def test_what_is_dropped_is_a_mask_only_where_that_can_be_told(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path, tiny_volume: Volume
) -> None:
    labels = some_labels(case.volume)
    write_mask(tmp_path / "ours.nii.gz", labels, LabelTable(), case.volume)
    either = write_nifti(tmp_path / "either.nii.gz", labels, case.volume.affine)
    named = write_nrrd(tmp_path / "named.nrrd", labels, case.volume.affine)
    (tmp_path / "named.txt").write_text('1 9 8 7 1 1 1 "Femur"\n')
    slicer = write_nrrd(tmp_path / "x.nrrd", labels, case.volume.affine, fields=slicer_fields(("a", "1 0 0", 1, 0, "")))
    sources = scan_files(tmp_path / "dicom")
    seg = write_seg(tmp_path / "seg.dcm", sources, np.ones((5, 4, 5), np.uint8), [described(1, "a")])
    other = tmp_path / "sub-08_t1.nii.gz"
    write_volume(other, tiny_volume)
    kinds = {
        tmp_path / "ours.nii.gz": "mask", either: "either", named: "mask", tmp_path / "named.txt": "names",
        slicer: "mask", seg: "mask", tmp_path / "dicom" / "000": "scan", tmp_path / "dicom": "scan", other: "scan",
        tmp_path / "gone.nii": "scan",
    }  # fmt: skip
    assert {path: kind_of(path) for path in kinds} == kinds

    report = report_of(qtbot, workspace, lambda: workspace.open_dropped([slicer]))
    assert report.new == ("A", "Label 2", "Label 3")
    with qtbot.waitSignal(workspace.kind_needed) as asked:
        workspace.open_dropped([either])
    assert asked.args[0] == (either,)
    asked.args[1]("")
    assert workspace.session.history.names == ("Open mask x.nrrd",) and workspace.session.case is case
    report_of(qtbot, workspace, lambda: asked.args[1]("mask"))
    with qtbot.waitSignal(workspace.session.case_opened) as shown:
        asked.args[1]("scan")
    assert shown.args[0].title == "either"
    with qtbot.waitSignal(workspace.session.case_opened) as shown:
        workspace.open_dropped([other])
    assert shown.args[0].subject == "sub-08"


def test_pairs_of_a_folder_are_imported_behind_the_window(
    qtbot: QtBot, workspace: Workspace, case: Case, tmp_path: Path, tiny_volume: Volume
) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name in "ab":
        write_volume(folder / f"{name}.nii.gz", tiny_volume)
        write_nrrd(folder / f"{name}_seg.nrrd", some_labels(tiny_volume), tiny_volume.affine)
    with qtbot.waitSignal(workspace.said, check_params_cb=lambda words: "taken in" in words) as told:
        workspace.import_cases(folder)
    assert told.args == ["2 cases taken in, 12 of 12 slices reviewed."]
    qtbot.waitUntil(lambda: len(workspace.cases) == 3)
    assert [c.in_training_set for c in workspace.cases if c.title in "ab"] == [True, True]
    overlapping = np.ones((2, *tiny_volume.shape), np.uint8)
    fields = slicer_fields(("a", "1 0 0", 1, 0, ""), ("b", "1 0 0", 1, 1, ""))
    write_volume(folder / "c.nii.gz", tiny_volume)
    write_nrrd(folder / "c.seg.nrrd", overlapping, tiny_volume.affine, fields=fields)
    with qtbot.waitSignal(workspace.failed) as refused:
        workspace.import_cases(folder)
    assert "Labels of c.seg.nrrd overlap" in str(refused.args[0]) and len(workspace.cases) == 3
