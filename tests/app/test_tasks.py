"""Workspace: what a person wants done, through the real store and the real files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from thighview.app import jobs
from thighview.app.tasks import Workspace
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.labels import LabelTable
from thighview.core.mask import Region
from thighview.core.review import SliceState
from thighview.core.volume import Volume
from thighview.io.masks import write_mask


@pytest.fixture
def workspace(qtbot: QtBot) -> Iterator[Workspace]:
    workspace = Workspace()
    yield workspace
    workspace.close()
    assert jobs.shutdown()


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
    assert workspace.settings.recent[0] == scan


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
