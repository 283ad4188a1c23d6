"""Workspace: what a person wants done, through the real store and the real files."""

import os
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from thighview.app import jobs
from thighview.app.engine_link import Engine
from thighview.app.jobs import Stopped
from thighview.app.segment_job import SegmentJob, SegmentSummary, SliceResult
from thighview.app.segmenting import Segmenting
from thighview.app.session import Session
from thighview.app.tasks import Workspace
from thighview.app.training import freeze_run
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.history import model_of_step
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import Region
from thighview.core.review import SliceReview, SliceState
from thighview.core.run import TrainConfig
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io import importing, nnunet, reading
from thighview.io.masks import write_mask
from thighview.io.model_card import ModelCard
from thighview.io.models import ModelEntry
from thighview.io.project import DATABASE, Project
from thighview.io.runs import at_work


@pytest.fixture
def scan(tmp_path: Path, tiny_volume: Volume) -> Path:
    import nibabel

    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine = flip @ tiny_volume.affine[:, [2, 1, 0, 3]]
    path = tmp_path / "sub-07_t1.nii.gz"
    nibabel.save(nibabel.Nifti1Image(tiny_volume.voxels.T, affine), path)
    return path


def open_scan(qtbot: QtBot, workspace: Workspace, path: Path) -> Case:
    with qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda case: case is not None):
        workspace.open_path(path)
    case = workspace.session.case
    assert case is not None
    return case


def stroke(workspace: Workspace, index: int, value: int = 1) -> None:
    _, y, x = workspace.session.case.volume.shape  # type: ignore[union-attr]
    with workspace.session.edit("Brush", "brush", Region(index, index + 1, 0, y, 0, x)) as edit:
        edit.paint(Region(index, index + 1, 4, 9, 5, 8), np.ones((1, 5, 3), bool), value)


def settle(qtbot: QtBot, workspace: Workspace) -> None:
    """Wait until the journal is on disk."""
    qtbot.waitUntil(lambda: workspace.store is not None and workspace.store.unsaved == 0)


def test_a_scan_opens_in_my_cases_with_its_subject(qtbot: QtBot, workspace: Workspace, scan: Path) -> None:
    case = open_scan(qtbot, workspace, scan)
    assert case.subject == "sub-07"
    assert case.volume.shape == (6, 32, 32)
    assert workspace.project_folder is not None and workspace.project_folder.name == "My cases"
    qtbot.waitUntil(lambda: len(workspace.cases) == 1)
    assert workspace.settings.recent[0].path == scan


def test_what_cannot_be_opened_is_refused_and_the_open_case_stays(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path
) -> None:
    case = open_scan(qtbot, workspace, scan)
    bad = tmp_path / "notes.nii.gz"
    bad.write_text("no image")
    with qtbot.waitSignal(workspace.failed) as failure:
        workspace.open_path(bad)
    assert isinstance(failure.args[0], UserError)
    assert workspace.session.case is case


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_a_file_whose_name_is_no_text_is_refused_with_the_mend(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path
) -> None:
    bad = tmp_path / os.fsdecode(b"sub-\xff.nii.gz")
    shutil.copy(scan, bad)
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    shutil.copy(scan, pairs / bad.name)
    case = open_scan(qtbot, workspace, scan)
    mask = pairs / os.fsdecode(b"sub-\xff_seg.nii.gz")
    labels = np.ones(case.volume.shape, np.uint8)
    write_mask(tmp_path / "m.nii.gz", labels, LabelTable(), case.volume)
    (tmp_path / "m.nii.gz").rename(mask)
    for do in (
        lambda: workspace.open_path(bad),
        lambda: workspace.open_mask(mask),
        lambda: workspace.open_dropped([bad]),
        lambda: workspace.import_cases(pairs),
    ):
        with qtbot.waitSignal(workspace.failed) as failure:
            do()
        assert isinstance(failure.args[0], UserError)
        assert "not UTF-8" in str(failure.args[0]) and "Rename the file" in str(failure.args[0])
        str(failure.args[0]).encode()
    assert workspace.session.case is case
    workspace.session.commit(f"Open mask {mask.name}", "import", labels)
    settle(qtbot, workspace)
    assert workspace.store is not None and workspace.store.state.phase == "saved"


def test_undo_and_redo_survive_closing_and_reopening(qtbot: QtBot, workspace: Workspace, scan: Path) -> None:
    open_scan(qtbot, workspace, scan)
    stroke(workspace, 2, 1)
    stroke(workspace, 3, 2)
    stroke(workspace, 2, 3)
    workspace.session.undo()
    workspace.session.accept((3,))
    first = workspace.session.case
    assert first is not None
    workspace.session.undo()
    painted = first.labels.copy()
    settle(qtbot, workspace)
    workspace.close()

    again = Workspace()
    try:
        case = open_scan(qtbot, again, scan)
        assert (case.labels == painted).all()
        assert again.session.history.names == ("Brush", "Brush", "Accept slice 4")
        assert again.session.history.redo_name == "Accept slice 4"
        again.session.redo()
        assert case.reviews[3].state is SliceState.DRAWN
        stroke(again, 4, 2)
        while again.session.history.undo_name:
            again.session.undo()
        assert not case.labels.any()
        while again.session.history.redo_name:
            again.session.redo()
        assert (case.labels[4, 4:9, 5:8] == 2).all()
        settle(qtbot, again)
    finally:
        again.close()


def test_save_writes_a_plain_nifti_mask(qtbot: QtBot, workspace: Workspace, scan: Path) -> None:
    import nibabel

    case = open_scan(qtbot, workspace, scan)
    workspace.session.set_table(LabelTable().merged([("muscle", "left")]))
    stroke(workspace, 2, 1)
    with qtbot.waitSignal(workspace.said, check_params_cb=lambda words: words.startswith("Mask saved")):
        workspace.save()
    assert workspace.project_folder is not None
    (path,) = (workspace.project_folder / "masks").glob("*.nii.gz")
    found = nibabel.load(path)
    assert (case.labels == np.asarray(found.dataobj).T).all()
    assert np.allclose(found.affine, nibabel.load(scan).affine)


def save_mask(qtbot: QtBot, workspace: Workspace, path: Path) -> None:
    job = workspace.save_mask(path)
    assert job is not None
    with qtbot.waitSignal(job.ended):
        pass


def test_a_saved_mask_tells_which_slices_nobody_has_reviewed(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path
) -> None:
    case = open_scan(qtbot, workspace, scan)
    session = workspace.session
    session.set_table(LabelTable().merged([("muscle", "left")]))
    stroke(workspace, 2, 1)
    session.accept((2,))
    drawn = case.labels.copy()
    drawn[3, 4:9, 5:8] = 1
    session.commit("Open mask m", "import", drawn, case.table, {3: SliceReview().after_model()})
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(scan, out / "sub-07_t1.nii.gz")
    save_mask(qtbot, workspace, out / "sub-07_t1_mask.nii.gz")
    stroke(workspace, 4, 1)  # what comes later is not in it
    with closing(Project.create(tmp_path / "other")) as project:
        importing.import_cases(project, out)
        (row,) = project.cases()
        found = project.load_case(row.case_id)
    assert (found.labels == drawn).all()
    assert [review.state for review in found.reviews] == [
        SliceState.UNSEEN, SliceState.UNSEEN, SliceState.DRAWN, SliceState.MODEL, SliceState.UNSEEN, SliceState.UNSEEN,
    ]  # fmt: skip
    assert [review.model_beneath for review in found.reviews] == [index == 3 for index in range(6)]


@pytest.mark.parametrize("link", [False, True])
def test_a_mask_is_never_saved_over_the_scan(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path, link: bool
) -> None:
    open_scan(qtbot, workspace, scan)
    stroke(workspace, 2, 1)
    path, before = scan, scan.read_bytes()
    if link:
        path = tmp_path / "link.nii.gz"
        path.symlink_to(scan)
    with qtbot.waitSignal(workspace.failed) as failure:
        workspace.save_mask(path)
    assert isinstance(failure.args[0], UserError) and "is the scan itself" in str(failure.args[0])
    assert scan.read_bytes() == before


def test_a_mask_is_not_saved_where_another_file_tells_of_a_scan(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path
) -> None:
    open_scan(qtbot, workspace, scan)
    stroke(workspace, 2, 1)
    bids = tmp_path / "sub-07_t1.json"
    bids.write_text('{"RepetitionTime": 2, "labels": {"muscle": 1}}')
    with qtbot.waitSignal(workspace.failed) as failure:
        workspace.save_mask(tmp_path / "sub-07_t1.nii")
    assert isinstance(failure.args[0], UserError) and "sub-07_t1.json" in str(failure.args[0])
    assert not (tmp_path / "sub-07_t1.nii").exists() and "RepetitionTime" in bids.read_text()
    bids.unlink()
    for _ in range(2):  # its own sidecar it does replace
        save_mask(qtbot, workspace, tmp_path / "sub-07_t1.nii")
    assert "slices" in bids.read_text()


def test_a_mask_file_becomes_one_step_and_keeps_its_ids(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path
) -> None:
    case = open_scan(qtbot, workspace, scan)
    labels = np.zeros(case.volume.shape, np.uint8)
    labels[1, 5:9, 5:9], labels[2, 5:9, 5:9] = 13, 14
    path = tmp_path / "labels.nii.gz"
    write_mask(path, labels, LabelTable.from_ids([13, 14]), case.volume)
    job = workspace.open_mask(path)
    assert job is not None
    with qtbot.waitSignal(job.ended):
        pass
    assert (case.labels == labels).all()
    assert workspace.session.history.names == ("Open mask labels.nii.gz",)
    assert [label.file_id for label in case.table] == [13, 14]
    assert [review.state for review in case.reviews[:4]] == [
        SliceState.UNSEEN, SliceState.EDITING, SliceState.EDITING, SliceState.UNSEEN,
    ]  # fmt: skip
    workspace.session.undo()
    assert not case.labels.any()


def test_a_case_moves_to_a_project_with_its_journal(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path
) -> None:
    open_scan(qtbot, workspace, scan)
    stroke(workspace, 2)
    target = tmp_path / "Leg study"
    with qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda case: case is not None):
        workspace.move_to_project(target)
    assert workspace.project_folder == target
    assert workspace.session.history.undo_name == "Brush"
    qtbot.waitUntil(lambda: len(workspace.cases) == 1)


def test_a_case_that_moved_is_the_one_that_opens_also_beside_another_of_the_same_path(
    qtbot: QtBot, workspace: Workspace, scan: Path, tiny_volume: Volume, tmp_path: Path
) -> None:
    target = tmp_path / "Leg study"
    with closing(Project.create(target)) as project:  # made of what lay there before the scan was sent again
        before = Case.of(replace(tiny_volume, voxels=tiny_volume.voxels + 1), scan, "0" * 64, "sub-07")
        before.labels[0] = 7
        theirs = project.add_case(before)
    open_scan(qtbot, workspace, scan)
    stroke(workspace, 2)
    qtbot.waitUntil(lambda: bool(workspace.session.case and workspace.session.case.series[0].sha256))
    drawn = workspace.session.case.labels.copy()  # type: ignore[union-attr]
    errors: list[Exception] = []
    workspace.failed.connect(errors.append)
    with qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda case: case is not None):
        workspace.move_to_project(target)
    case = workspace.session.case
    assert case is not None and workspace.project_folder == target and case.case_id != theirs
    assert np.array_equal(case.labels, drawn) and workspace.session.history.undo_name == "Brush"
    qtbot.waitUntil(lambda: len(workspace.cases) == 2 and not jobs.running())
    assert errors == []
    for again in (workspace.open_path, lambda path: workspace.open_recent(ScanKey(path))):
        workspace.session.open(None)
        with qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda found: found is not None):
            again(scan)
        assert workspace.session.case.case_id == case.case_id  # type: ignore[union-attr]
        qtbot.waitUntil(lambda: not jobs.running())
    assert errors == []


def test_a_case_is_removed_with_its_edits_but_not_under_a_run(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path
) -> None:
    case = open_scan(qtbot, workspace, scan)
    stroke(workspace, 2)
    stroke(workspace, 3)
    asked: list[int] = []
    workspace.before_removing(case.case_id, asked.append)
    qtbot.waitUntil(lambda: asked == [2])

    workspace.session.set_table(LabelTable((Label(1, "muscle", "", (200, 60, 60), 1),)))
    workspace.session.accept((2, 3))
    workspace.set_in_training_set(True)
    store, config = workspace.store, TrainConfig(input_size=64, levels=3, base_filters=4)
    assert store is not None
    freezing = jobs.run_in_thread(lambda report, stopped: freeze_run(store, config, "run 1"))
    with qtbot.waitSignal(freezing.succeeded, timeout=20_000) as frozen:
        pass
    with at_work(frozen.args[0]):
        with qtbot.waitSignal(workspace.failed) as failure:
            workspace.before_removing(case.case_id, asked.append)
        assert "run 1" in str(failure.args[0])
        with qtbot.waitSignals([workspace.failed, workspace.session.case_opened, workspace.session.case_opened]):
            workspace.remove_case(case.case_id)
    assert workspace.session.history.names[:2] == ("Brush", "Brush"), "refused: it is open again as it was"
    assert len(asked) == 1

    workspace.remove_case(case.case_id)
    assert workspace.session.case is None
    qtbot.waitUntil(lambda: workspace.cases == ())
    assert scan.exists() and workspace.store is not None and workspace.store.unsaved == 0
    again = open_scan(qtbot, workspace, scan)
    assert again.case_id != case.case_id and not again.labels.any() and not again.history.edits


def test_a_damaged_history_is_told_by_the_window_that_shows_what_is_left(
    qtbot: QtBot, workspace: Workspace, scan: Path, tiny_volume: Volume
) -> None:
    open_scan(qtbot, workspace, scan)
    for index in range(3):
        stroke(workspace, index)
    settle(qtbot, workspace)
    workspace.session.open(None)
    assert workspace.store is not None
    folder = workspace.store.folder
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        assert connection.execute("UPDATE edit SET name=name||'x' WHERE n=2").rowcount == 1
    whole = scan.read_bytes()
    write_mask(scan, np.zeros((2, 4, 5), np.uint8), LabelTable(), replace(tiny_volume, voxels=np.zeros((2, 4, 5))))
    with qtbot.waitSignal(workspace.failed):  # shows nothing, so nobody has seen what is left
        workspace.open_path(scan)
    scan.write_bytes(whole)
    case = open_scan(qtbot, workspace, scan)
    assert "damaged from step 2 of 3" in case.warnings[0]
    assert case.labels.any((1, 2)).tolist() == [True, False, False, False, False, False]
    stroke(workspace, 4)
    settle(qtbot, workspace)
    workspace.session.open(None)
    again = open_scan(qtbot, workspace, scan)
    assert again.warnings == () and again.labels[4].any()


def test_a_changed_source_is_told(qtbot: QtBot, workspace: Workspace, scan: Path) -> None:
    import nibabel

    case = open_scan(qtbot, workspace, scan)
    qtbot.waitUntil(lambda: bool(case.series[0].sha256))
    settle(qtbot, workspace)
    workspace.close()
    image = nibabel.load(scan)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj) + 1, image.affine), scan)
    again = Workspace()
    try:
        with qtbot.waitSignal(again.failed) as failure:
            again.open_path(scan)
        assert "changed" in str(failure.args[0])
    finally:
        again.close()


def hold(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> threading.Event:
    """Let calls of a function wait until the event is set."""
    go_on, function = threading.Event(), getattr(module, name)

    def held(*args: object, **more: object) -> object:
        assert go_on.wait(20)
        return function(*args, **more)

    monkeypatch.setattr(module, name, held)
    return go_on


def in_project(qtbot: QtBot, workspace: Workspace, folder: Path) -> None:
    with qtbot.waitSignal(workspace.project_changed):
        workspace.open_project(folder)


def test_the_open_scan_opened_again_stays_as_it_is(qtbot: QtBot, workspace: Workspace, scan: Path) -> None:
    case = open_scan(qtbot, workspace, scan)
    with qtbot.waitSignal(workspace.said, check_params_cb=lambda words: "open already" in words):
        workspace.open_path(scan)
        stroke(workspace, 2)
    assert workspace.session.case is case
    assert workspace.session.history.names == ("Brush",)


def test_the_hash_of_a_scan_never_goes_to_a_case_of_another_project(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Project.create(tmp_path / "other")
    case_id = other.add_case(Case.of(Volume(np.zeros((2, 4, 4), np.int16), np.eye(4), "o"), tmp_path / "o.nii"))
    other.close()
    go_on = hold(monkeypatch, reading, "sha256_of")
    assert open_scan(qtbot, workspace, scan).case_id == case_id
    in_project(qtbot, workspace, tmp_path / "other")
    go_on.set()
    qtbot.waitUntil(lambda: not jobs.running())
    seen = Project.open(tmp_path / "other", writable=False)
    assert seen.load_case(case_id).series[0].sha256 == ""
    seen.close()


def test_a_case_of_one_project_is_never_opened_into_another(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = open_scan(qtbot, workspace, scan)
    qtbot.waitUntil(lambda: len(workspace.cases) == 1)
    workspace.session.open(None)
    go_on = hold(monkeypatch, reading, "read_source")
    workspace.open_case(case.case_id)
    in_project(qtbot, workspace, tmp_path / "other")
    go_on.set()
    qtbot.waitUntil(lambda: not jobs.running())
    assert workspace.session.case is None and workspace.cases == ()


def test_nothing_can_be_painted_on_a_case_that_moves(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path
) -> None:
    open_scan(qtbot, workspace, scan)
    stroke(workspace, 2)
    target = tmp_path / "study"
    with qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda case: case is not None):
        workspace.move_to_project(target)
        assert workspace.session.case is None
    in_project(qtbot, workspace, tmp_path / "My cases 2")
    open_scan(qtbot, workspace, scan)
    stroke(workspace, 3)
    with (
        qtbot.waitSignal(workspace.failed) as failure,
        qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda case: case is not None),
    ):
        workspace.move_to_project(target)
    assert "already" in str(failure.args[0])
    assert workspace.session.history.names == ("Brush",), "refused: the case is open again where it was"


def test_the_worklist_of_one_project_is_gone_when_the_next_one_is_open(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path
) -> None:
    open_scan(qtbot, workspace, scan)
    qtbot.waitUntil(lambda: len(workspace.cases) == 1)
    in_project(qtbot, workspace, tmp_path / "other")
    assert workspace.cases == ()


def test_of_two_projects_asked_for_at_once_the_last_one_opens(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path
) -> None:
    refused: list[object] = []
    workspace.failed.connect(refused.append)
    entered: list[str] = []
    workspace.open_project(tmp_path / "one")
    workspace.open_project(tmp_path / "two", lambda: entered.append("a"))
    workspace.open_project(tmp_path / "two", lambda: entered.append("b"))
    qtbot.waitUntil(lambda: not jobs.running())
    assert workspace.project_folder == tmp_path / "two"
    assert entered == ["a", "b"] and refused == []
    Project.open(tmp_path / "one").close()


def test_a_project_whose_edits_cannot_be_written_stays_open(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_scan(qtbot, workspace, scan)
    with monkeypatch.context() as broken:
        broken.setattr(Project, "append", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        stroke(workspace, 2)
        assert workspace.store
        qtbot.waitUntil(lambda: workspace.store is not None and workspace.store.state.phase == "error")
        with qtbot.waitSignal(workspace.failed) as failure:
            workspace.open_project(tmp_path / "other")
        assert "stays open" in str(failure.args[0])
        assert workspace.session.case is not None
    settle(qtbot, workspace)
    in_project(qtbot, workspace, tmp_path / "other")


def test_strokes_are_written_while_an_import_reads(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_scan(qtbot, workspace, scan)
    study = tmp_path / "study"
    source = Project.create(tmp_path / "source")
    for name in "ab":
        path = tmp_path / f"{name}.nii.gz"
        path.write_bytes(scan.read_bytes())
        case = Case.of(reading.read_volume(path), path, subject=name)
        case.table = LabelTable().merged([("muscle", "left")])
        case.labels[0, 3:6, 3:6] = 1
        case.reviews[0] = SliceReview(SliceState.DRAWN)
        source.add_case(case, in_training_set=True)
    nnunet.export_raw(source, study)
    source.close()
    go_on = hold(monkeypatch, nnunet, "load_case")
    job = workspace.import_cases(study)
    assert job is not None
    stroke(workspace, 2)
    settle(qtbot, workspace)
    go_on.set()
    qtbot.waitUntil(lambda: len(workspace.cases) == 3)
    assert [c.in_training_set for c in workspace.cases if c.title in "ab"] == [True, True]


class SlowEngine(Engine):
    """Never starts anything; its jobs are ended by the test."""

    def segment(self, volume: Volume, model: ModelEntry, slices: Sequence[int] | None = None) -> SegmentJob:
        return SegmentJob()


def test_a_cancelled_segmentation_does_not_take_the_next_one_along(qtbot: QtBot, tmp_path: Path) -> None:
    session = Session()
    session.open(Case.of(Volume(np.zeros((3, 4, 4), np.int16), np.eye(4), "o"), tmp_path / "o.nii"))
    card = ModelCard("m", "unet", 2, 2, 0.0, ("background", "a"), LabelTable((Label(1, "a"),)), False, 1.0, 16)
    model = ModelEntry(card, tmp_path, "user")
    segmenting = Segmenting(session, SlowEngine())
    told: list[object] = []
    segmenting.failed.connect(told.append)
    assert segmenting.start(model)
    first = segmenting.job
    assert first
    first.handle.finish(error=UserError("too late"))
    segmenting.cancel()
    assert segmenting.start(model)
    qtbot.waitUntil(lambda: first.is_over)
    second = segmenting.job
    assert second and session.busy_run is not None and told == []
    second.handle.post("slice_ready", SliceResult(1, np.ones((4, 4), np.uint8), 0.0))
    qtbot.waitUntil(lambda: bool(session.case and session.case.labels[1].all()))
    second.handle.finish(error=Stopped())
    qtbot.waitUntil(lambda: second.is_over)
    assert segmenting.job is None and session.busy_run is None, "an engine that is stopped takes its run back"
    assert not list(session.case.table), "and the labels it brought along"
    assert session.case and not session.case.labels.any()


def segmenting_of(labels: LabelTable, path: Path, shape: tuple[int, int, int] = (3, 4, 4)) -> tuple[Segmenting, Case]:
    """A segmentation on a new case with these labels, without an engine."""
    case = Case.of(Volume(np.zeros(shape, np.int16), np.eye(4), "o"), path / "o.nii")
    case.table = labels
    session = Session()
    session.open(case)
    segmenting = Segmenting(session, SlowEngine())
    session.setParent(segmenting)
    return segmenting, case


def model_of(name: str, path: Path) -> ModelEntry:
    """A model that draws one label of this name."""
    card = ModelCard("m", "unet", 2, 2, 0.0, ("background", name), LabelTable((Label(1, name),)), False, 1.0, 16)
    return ModelEntry(card, path, "user")


def test_a_cancel_is_at_once_however_long_the_history_is(qtbot: QtBot, tmp_path: Path) -> None:
    segmenting, case = segmenting_of(LabelTable((Label(1, "a"),)), tmp_path, (3, 512, 512))
    session = segmenting.findChild(Session)
    rng = np.random.default_rng(0)
    region = Region(0, 1, 0, 512, 0, 512)
    noise = rng.random((1, 512, 512)) < 0.5
    for step in range(300):
        with session.edit("Brush", "brush", region) as edit:
            edit.paint(region, noise, step % 2)
            edit.paint(region, ~noise, 1 - step % 2)
    assert segmenting.start(model_of("new", tmp_path)) and case.table.find("new")
    began = time.monotonic()
    segmenting.cancel()
    assert time.monotonic() - began < 0.3
    assert not case.table.find("new")


def test_a_cancelled_model_leaves_the_label_that_was_painted_with_meanwhile(qtbot: QtBot, tmp_path: Path) -> None:
    segmenting, case = segmenting_of(LabelTable((Label(1, "a"),)), tmp_path)
    session = segmenting.findChild(Session)
    region = Region(0, 1, 0, 2, 0, 2)
    for value in (1, 0):
        with session.edit("Brush", "brush", region) as edit:
            edit.paint(region, np.ones(region.shape, bool), value)
    session.undo()
    assert segmenting.start(model_of("new", tmp_path))
    new = case.table.find("new")
    assert new
    with session.edit("Brush", "brush", region) as edit:
        edit.paint(region, np.ones(region.shape, bool), new.value)
    session.undo()
    segmenting.cancel()
    assert case.table.find("new"), "redo can paint it again"


def test_the_history_tells_which_model_drew(qtbot: QtBot, tmp_path: Path) -> None:
    segmenting, _ = segmenting_of(LabelTable(), tmp_path)
    session = segmenting.findChild(Session)
    region = Region(1, 2, 0, 2, 0, 2)
    for redo in ((), (1,)):
        assert segmenting.start(model_of("a", tmp_path), redo)
        session.fill_slice(2 if not redo else 1, np.ones((4, 4), np.uint8))
        session.end_run(keep=True)
        segmenting.cancel()
        with session.edit("Brush", "brush", region) as edit:
            edit.paint(region, np.ones(region.shape, bool), 1)
    assert [model_of_step(name) for name in session.history.names] == ["m", "", "m"]
    assert model_of_step("Segment with thigh_tissues") == "thigh_tissues", "in a project of an earlier version"


def test_a_doubt_about_a_mask_lasts_as_long_as_the_mask(qtbot: QtBot, tmp_path: Path) -> None:
    segmenting, case = segmenting_of(LabelTable(), tmp_path)
    session, model = segmenting.findChild(Session), model_of("a", tmp_path)

    def draw(slices: Sequence[int], *doubts: str) -> None:
        assert segmenting.start(model) and segmenting.job
        for index in slices:
            session.fill_slice(index, np.ones((4, 4), np.uint8))
        segmenting.job.handle.finish(SegmentSummary(model, 0, np.zeros(3), doubts, 1.0))
        qtbot.waitUntil(lambda: segmenting.job is None)

    draw(range(3), "No thigh.")
    assert case.open_doubts == ("No thigh.",)
    session.check_doubt("No thigh.")
    assert case.open_doubts == ()
    session.undo()
    assert case.doubts == () and not case.labels.any()
    session.redo()
    assert case.doubts == ("No thigh.",)
    session.undo()
    draw(range(3), "No thigh.")
    assert case.open_doubts == ("No thigh.",), "nobody has looked into this mask"
    draw((0, 1), "No femur.")
    assert set(case.doubts) == {"No thigh.", "No femur."}, "the last slice is as it was"
    draw(range(3))
    assert case.doubts == ()
    session.undo()
    session.undo()
    assert case.doubts == ("No thigh.",)


def test_a_model_whose_labels_find_no_number_is_refused_and_holds_up_nothing(qtbot: QtBot, tmp_path: Path) -> None:
    full = LabelTable(tuple(Label(value, f"label_{value}") for value in range(1, 256)))
    segmenting, _ = segmenting_of(full, tmp_path)
    told: list[object] = []
    segmenting.failed.connect(told.append)
    assert not segmenting.start(model_of("new", tmp_path))
    assert "255" in str(told[0])
    assert segmenting.findChild(Session).busy_run is None
    assert segmenting.start(model_of("label_7", tmp_path))


def test_a_new_project_is_empty_and_scans_opened_then_join_it(
    qtbot: QtBot, workspace: Workspace, scan: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "Leg study"
    with qtbot.waitSignal(workspace.said, check_params_cb=lambda words: "Leg study" in words):
        workspace.new_project(folder)
    assert workspace.project_folder == folder and workspace.settings.recent[0].path == folder
    open_scan(qtbot, workspace, scan)
    assert workspace.project_folder == folder
    qtbot.waitUntil(lambda: len(workspace.cases) == 1)


def test_a_project_is_not_made_among_other_files(qtbot: QtBot, workspace: Workspace, scan: Path) -> None:
    with qtbot.waitSignal(workspace.failed) as failure:
        workspace.new_project(scan.parent)
    assert isinstance(failure.args[0], UserError)
    assert [path.name for path in scan.parent.iterdir()] == [scan.name]
