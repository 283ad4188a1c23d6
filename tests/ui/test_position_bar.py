"""The question above the picture: a scan whose file gives two positions, no lengths, or no sides."""

import struct
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

sys.path.insert(0, str(Path(__file__).parent))
from window_room import open_window

from thighview.app.segmenting import obstacle
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import Region
from thighview.core.position_question import position_question
from thighview.core.run import TrainConfig
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io.dataset import freeze, read_case
from thighview.io.export_wish import ExportWish
from thighview.io.exporting import export
from thighview.io.masks import find_mask, read_mask
from thighview.io.model_card import ModelCard
from thighview.io.project import Project
from thighview.io.reading import read_volume
from thighview.io.runs import RunFolder
from thighview.ui.main_window import MainWindow
from thighview.ui.scan_facts import ScanFacts
from thighview.ui.tools import active_label

WHERE = (3, 10, 7)


@pytest.fixture
def twice(tmp_path: Path, tiny_volume: Volume) -> Path:
    """A file whose sform says the mirror of its qform: every voxel of the one lies on a voxel of the other."""
    image = nibabel.Nifti1Image(np.swapaxes(tiny_volume.voxels, 0, 2), None)
    for form, sign in ((image.header.set_sform, 1), (image.header.set_qform, -1)):
        form(np.array([[sign * 1.25, 0, 0, -sign * 19.375], [0, 1.5, 0, -24], [0, 0, 5, -300], [0, 0, 0, 1.0]]), 1)
    nibabel.save(image, tmp_path / "twice.nii.gz")
    return tmp_path / "twice.nii.gz"


@pytest.fixture
def plain(tmp_path: Path, tiny_volume: Volume) -> Path:
    """A stack of a format that says neither lengths nor sides."""
    tifffile.imwrite(tmp_path / "plain.tif", tiny_volume.voxels)
    return tmp_path / "plain.tif"


def opened(qtbot: QtBot, window: MainWindow, path: Path) -> None:
    window.workspace.open_path(path)
    qtbot.waitUntil(lambda: window.session.case is not None, timeout=20_000)


def paint(window: MainWindow) -> None:
    assert active_label(window.session) == 1
    with window.session.edit("Brush", "brush", Region.whole(window.session.case.volume.shape)) as edit:
        inside = np.zeros(window.session.case.volume.shape, bool)
        inside[WHERE] = True
        edit.paint(Region.whole(inside.shape), inside, 1)


def placed(qtbot: QtBot, window: MainWindow, press: QPushButton) -> None:
    before = window.session.case
    press.click()
    qtbot.waitUntil(lambda: window.session.case not in (None, before), timeout=20_000)


def test_the_sform_is_confirmed_once(qtbot: QtBot, twice: Path) -> None:
    for time in ("first", "again"):
        with open_window(qtbot) as window:
            opened(qtbot, window, twice)
            assert window.session.case.volume.axes == "SAR"
            assert window.position.isVisible() is (time == "first")
            if time == "first":
                assert "left and right would change places" in window.position.text.text()
                window.position.answers[0].click()
                assert window.position.isHidden() and window.top.badge.isHidden()
                qtbot.waitUntil(lambda: window.workspace.store.unsaved == 0)


def test_the_qform_is_chosen_and_kept_with_the_mask(qtbot: QtBot, twice: Path, tmp_path: Path) -> None:
    with open_window(qtbot) as window:
        opened(qtbot, window, twice)
        paint(window)
        placed(qtbot, window, window.position.answers[1])
        case = window.session.case
        assert case.volume.axes == "SAL" and case.labels[WHERE] == 1 and case.labels.sum() == 1
        assert window.position.isHidden() and case.open_doubts == ()
        assert len(window.workspace.cases) == 1
        window.session.undo()
        window.session.redo()
        qtbot.waitUntil(lambda: window.workspace.store.unsaved == 0)
        folder, case_id = window.workspace.project_folder, case.case_id
    with open_window(qtbot) as window:  # by the path, which says nothing of the choice
        opened(qtbot, window, twice)
        case = window.session.case
        assert (case.case_id, case.volume.axes, case.labels.sum()) == (case_id, "SAL", 1)
        assert window.position.isHidden()
        window.show_scan_facts()
        (dialog,) = window.findChildren(ScanFacts)
        back = next(b for b in dialog.page.findChildren(QPushButton) if "sform instead" in b.text())
        placed(qtbot, window, back)
        assert window.session.case.volume.axes == "SAR" and window.session.case.labels.sum() == 1
        placed(qtbot, window, window.position.answers[1])
        dialog.close()
    with closing(Project.open(folder, writable=False)) as project:
        for form, name in (("nifti", "twice.nii.gz"), ("nrrd", "twice.seg.nrrd")):
            export(project, tmp_path / form, ExportWish(form))
            assert (tmp_path / form / name).is_file()
    stored = nibabel.load(tmp_path / "nifti" / "twice.nii.gz")
    assert np.array_equal(stored.get_sform(), nibabel.load(twice).get_sform())  # on the scan in any other program
    z, y, x = WHERE
    assert np.asarray(stored.dataobj)[x, y, z] == 1 and np.asarray(stored.dataobj).sum() == 1
    by_qform, by_sform = read_volume(twice, "qform"), read_volume(twice)
    for written in (tmp_path / "nifti" / "twice.nii.gz", tmp_path / "nrrd" / "twice.seg.nrrd"):
        for placed_by in (by_qform, by_sform):
            assert read_mask(written, placed_by)[0][WHERE] == 1


def test_whichever_position_a_mask_says_it_lies_on_its_voxels(tmp_path: Path, twice: Path) -> None:
    """It was drawn in another program, which writes one position, on the scan as that program shows it."""
    drawn = np.zeros((6, 32, 32), np.uint8)
    drawn[WHERE] = 1
    scans = [read_volume(twice), read_volume(twice, "qform")]
    for form in ("get_sform", "get_qform"):
        nibabel.save(nibabel.Nifti1Image(drawn.T, getattr(nibabel.load(twice), form)()), tmp_path / "one.nii")
        for scan in scans:
            assert np.array_equal(read_mask(tmp_path / "one.nii", scan)[0] > 0, drawn > 0)
    image = nibabel.Nifti1Image(drawn.T, nibabel.load(twice).get_sform())
    turned = image.as_reoriented(np.array([[0, 1], [1, -1], [2, 1]]))
    nibabel.save(turned, tmp_path / "turned.nii")
    for scan in scans:
        found = find_mask(tmp_path / "turned.nii", scan)
        assert not found.is_clear and "two positions" in found.grid.difference and "left and right" in found.grid.doubt


def test_the_other_images_of_a_case_follow_its_position(qtbot: QtBot, twice: Path, tmp_path: Path) -> None:
    """Water and fat have one header; what is chosen for the one holds for the other, and is not asked again."""
    image = nibabel.load(twice)
    fat = tmp_path / "fat.nii.gz"
    nibabel.save(nibabel.Nifti1Image(2 * np.asarray(image.dataobj), None, image.header), fat)
    with open_window(qtbot) as window:
        opened(qtbot, window, twice)
        placed(qtbot, window, window.position.answers[1])
        case = window.session.case
        window.workspace.images.add((ScanKey(fat),))
        qtbot.waitUntil(lambda: len(case.series) == 2 and case.series[1].on_grid is not None, timeout=20_000)
        assert np.array_equal(case.series[1].on_grid.voxels, 2 * case.volume.voxels)
        assert window.position.isHidden() and case.open_doubts == ()


def test_a_run_under_way_is_not_lost_by_a_choice(qtbot: QtBot, twice: Path) -> None:
    with open_window(qtbot) as window:
        opened(qtbot, window, twice)
        window.session.begin_run("model")
        window.session.fill_slice(2, np.ones((32, 32), np.uint8))
        with qtbot.waitSignal(window.session.refused):
            window.position.answers[1].click()
        assert window.session.busy_run and window.session.case.labels[2].all()
        window.session.end_run(keep=True)
        window.session.go_to_slice(5)
        placed(qtbot, window, window.position.answers[1])
        assert window.session.view.cursor[0] == 5 and window.session.case.labels[2].all()
        assert len([key for key in window.workspace.settings.recent if key.path == twice]) == 1


def test_an_export_for_training_says_the_chosen_position_alone(qtbot: QtBot, twice: Path, tmp_path: Path) -> None:
    with open_window(qtbot) as window:
        opened(qtbot, window, twice)
        placed(qtbot, window, window.position.answers[1])
        paint(window)
        window.session.accept((WHERE[0],))
        window.workspace.set_in_training_set(True)
        qtbot.waitUntil(lambda: any(case.in_training_set for case in window.workspace.cases))
        folder, affine = window.workspace.project_folder, window.session.case.volume.affine
    with closing(Project.open(folder)) as project:
        project.assign_parts(case.subject for case in project.cases())
        export(project, tmp_path / "raw", ExportWish("nnunet"))
        (image,) = (tmp_path / "raw" / "imagesTr").iterdir()
        volume = read_volume(image)
        assert np.allclose(volume.affine, affine) and volume.other_affine is None and not volume.warnings
        run = RunFolder(tmp_path / "run")
        dataset = freeze(project, run, TrainConfig())
        scan, mask = read_case(run, dataset.cases[0], dataset.labels)
        assert np.array_equal(np.argwhere(mask[WHERE[0]] == 1), [WHERE[1:]]) and np.allclose(scan.affine, affine)
        project.set_place(1, ScanKey(twice), read_volume(twice).affine)
        assert project.find_case(twice) == 1


def test_a_scan_without_lengths_can_only_be_looked_at(qtbot: QtBot, plain: Path, tmp_path: Path) -> None:
    with open_window(qtbot) as window:
        opened(qtbot, window, plain)
        session, large = window.session, window.views.large
        assert "This scan can only be looked at" in window.position.text.text()
        assert "voxel size not known" in window.top.case_line.text()
        session.update_view(tool="brush")
        with qtbot.waitSignal(session.refused):
            qtbot.mouseClick(large, Qt.MouseButton.LeftButton, pos=large.rect().center())
        assert not session.history.done and not session.case.labels.any()
        large.mouse = large.rect().center().toPointF()
        assert "mm" not in large.under_mouse_words() and "voxel" in large.under_mouse_words()
        labels = np.ones_like(session.case.labels)
        for work in (
            partial(paint, window),
            partial(session.commit, "x", "import", labels),
            partial(session.begin_run, "x"),
        ):
            with pytest.raises(UserError, match="can only be looked at"):
                work()
        with qtbot.waitSignal(session.refused):
            session.accept((0,))
        with qtbot.waitSignal(session.refused):
            window.workspace.set_in_training_set(True)
        with qtbot.waitSignal(session.refused):
            window.workspace.open_mask(plain)
        with qtbot.waitSignal(session.refused):
            assert window.workspace.save_mask(tmp_path / "mask.nii.gz") is None
        table = LabelTable((Label(1, "thigh"),))
        card = ModelCard("m", "unet", 2, 3, 0.0, ("background", "thigh"), table, False, 0.0, 32)
        assert "can only be looked at" in obstacle(session.case, card).message
        with closing(Project.open(window.workspace.project_folder, writable=False)) as project:
            exporting = partial(export, project, tmp_path / "out", ExportWish("nifti"))
            with pytest.raises(UserError, match="can only be looked at"):
                exporting()
        assert not (tmp_path / "out").exists()

        window.position.answers[0].click()  # the lengths, then the sides
        assert "left and right" in window.position.text.text() and large.plane.edges == ("?",) * 4
        assert "1×1×1 mm" in window.top.case_line.text()
        window.position.answers[0].click()
        assert window.position.isHidden() and large.plane.edges == ("A", "L", "P", "R")
        paint(window)
        session.accept((WHERE[0],))
        assert session.case.labels[WHERE] == 1 and position_question(session.case) is None
        qtbot.waitUntil(lambda: window.workspace.store.unsaved == 0)
        with closing(Project.open(window.workspace.project_folder, writable=False)) as project:
            assert export(project, tmp_path / "out", ExportWish("nifti")).cases == 1


def test_measures_count_voxels_until_lengths_are_known(qtbot: QtBot, plain: Path) -> None:
    with open_window(qtbot) as window:
        opened(qtbot, window, plain)
        for _ in range(2):
            window.position.answers[0].click()
        paint(window)
        window.show_tab("Measure")
        panel = window.panel("Measure")
        qtbot.waitUntil(lambda: len(panel.model.shown.rows) == 1)
        assert panel.model.shown.headings == ("Label", "mm²", "ml", "voxels")
        for doubt in window.session.case.checked:
            window.workspace.check_doubt(doubt, False)
        assert panel.model.shown.headings == ("Label", "slice", "voxels")
        assert "mm" not in panel.model.shown.to_text(",") and panel.model.shown.rows[0][1][-1] == "1"
        assert "voxels are counted" in panel.note.text()
        with qtbot.waitSignal(window.session.refused):
            window.session.undo()
        assert window.session.case.labels[WHERE] == 1
        assert window.labels.list.counts.volume_ml(1) is None


def test_a_file_with_another_spacing_in_its_sform_is_asked_about(qtbot: QtBot, tmp_path: Path, twice: Path) -> None:
    image = nibabel.load(twice)
    image = nibabel.Nifti1Image(np.asarray(image.dataobj), image.get_sform())
    data = bytearray(image.to_bytes())
    struct.pack_into("<f", data, 88, 6.0)
    path = tmp_path / "odd.nii"
    path.write_bytes(data)
    with open_window(qtbot) as window:
        opened(qtbot, window, path)
        asked = window.position.question
        assert asked.answers[0][0] == "1.25 × 1.5 × 5 mm is right"
        window.position.answers[0].click()
        paint(window)
        assert window.session.case.is_sized
