"""The question before an export, and the pictures a person has to look at."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

sys.path.insert(0, str(Path(__file__).parent))
from view_room import case_of
from window_room import open_window

from thighview.app import jobs
from thighview.app.exporting import Looked, Pictured
from thighview.app.settings import Settings
from thighview.core.review import SliceState
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io.export_wish import Exported, ExportWish
from thighview.io.project import CaseSummary
from thighview.ui.application import make_application
from thighview.ui.export_dialog import FORMS, ExportDialog, ask_export
from thighview.ui.look_dialog import LookDialog, ask_looks


def case(case_id: int, reviewed: int = 0, in_set: bool = False) -> CaseSummary:
    counts = {SliceState.DRAWN: reviewed, SliceState.UNSEEN: 5 - reviewed}
    return CaseSummary(case_id, "p", f"scan {case_id}", Path("x"), 5, counts, "", 0.0, in_set)


@pytest.fixture
def cases() -> tuple[CaseSummary, ...]:
    return (case(1, 5, True), case(2, 2), case(3))


def dialog_of(
    qtbot: QtBot,
    place: Path,
    cases: tuple[CaseSummary, ...],
    opened: CaseSummary | None = None,
    choice: dict[str, object] | None = None,
) -> ExportDialog:
    make_application()
    dialog = ExportDialog(None, place, cases, opened, choice or {})
    qtbot.addWidget(dialog)
    return dialog


def take(dialog: ExportDialog, form: str) -> None:
    dialog.format.setCurrentIndex([one.form for one in FORMS].index(form))


def test_every_format_says_what_it_writes(qtbot: QtBot, tmp_path: Path, cases: tuple[CaseSummary, ...]) -> None:
    dialog = dialog_of(qtbot, tmp_path, cases, cases[1])
    dialog.show()
    assert dialog.wish == ExportWish("nnunet"), "where there is a training set it is what is exported first"
    assert dialog.which.currentText() == "The training set (1 case)" and not dialog.which.isEnabled()
    qtbot.waitUntil(dialog.agree.isEnabled)
    assert dialog.answer == tmp_path / "Dataset001_thigh"
    said: set[str] = set()
    for form in FORMS[1:]:
        take(dialog, form.form)
        said.add(dialog.about.text())
        assert dialog.name.text() == form.folder
        texts = [dialog.which.itemText(i) for i in range(dialog.which.count())]
        assert texts == ["The open case: scan 2", "Cases with reviewed slices (2)", "All cases (3)"]
    assert len(said) == 5
    for at, wanted in enumerate(((2,), "reviewed", "all")):
        dialog.which.setCurrentIndex(at)
        assert dialog.wish == ExportWish("dicomseg", wanted)
    before = dialog.about.text()
    dialog.private.setChecked(True)
    assert dialog.wish == ExportWish("dicomseg", "all", True)
    assert before in dialog.about.text() and "images come along" in dialog.about.text()
    assert "shown to you first" in dialog.about.text()
    take(dialog, "nifti")
    assert "study keys" in dialog.about.text() and "shown to you first" not in dialog.about.text()
    assert dialog.wish == ExportWish("nifti", "all", True), "what was chosen for one format stays with the next"
    dialog.name.setText("mine")
    take(dialog, "bids")
    assert dialog.name.text() == "mine", "a name typed by hand is never changed"
    jobs.shutdown()


def test_an_empty_training_set_is_told_in_the_dialog(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = dialog_of(qtbot, tmp_path, (case(1, 5),))
    assert dialog.wish.form == "nifti"
    qtbot.waitUntil(dialog.agree.isEnabled)
    take(dialog, "nnunet")
    qtbot.waitUntil(lambda: "training set is empty" in dialog.problem.text())
    assert not dialog.agree.isEnabled()
    take(dialog, "npz")
    qtbot.waitUntil(dialog.agree.isEnabled)
    jobs.shutdown()


def test_what_was_chosen_is_proposed_again(qtbot: QtBot, tmp_path: Path, cases: tuple[CaseSummary, ...]) -> None:
    settings = Settings(tmp_path / "settings.ini")
    assert settings.export_choice == {}
    dialog = dialog_of(qtbot, tmp_path, cases)
    take(dialog, "bids")
    dialog.which.setCurrentIndex(0)
    dialog.private.setChecked(True)
    settings.export_choice = dialog.choice
    again = dialog_of(qtbot, tmp_path, cases, cases[0], settings.export_choice)
    assert again.wish == ExportWish("bids", "reviewed", True)
    settings._put("export_choice", '{"form": 3, "cases": "all", "x": 1}')
    assert settings.export_choice == {"cases": "all"}
    assert dialog_of(qtbot, tmp_path, cases, None, {"form": "gone"}).wish.form == "nnunet"
    jobs.shutdown()


def test_the_answer_of_the_dialog(qtbot: QtBot, tmp_path: Path, cases: tuple[CaseSummary, ...]) -> None:
    make_application()

    def agree() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, ExportDialog)
        qtbot.waitUntil(box.agree.isEnabled)
        box.agree.click()

    QTimer.singleShot(0, agree)
    answer = ask_export(None, tmp_path, cases, None, {"form": "nrrd"})  # type: ignore[arg-type]
    assert answer == (
        tmp_path / "thigh_slicer", ExportWish("nrrd"), {"form": "nrrd", "cases": "all", "deidentify": False}
    )  # fmt: skip
    jobs.shutdown()


def test_pictures_are_looked_at_before_anything_is_agreed_to(qtbot: QtBot) -> None:
    make_application()
    slices = np.zeros((3, 40, 60), np.uint8)
    slices[1, 30:36, 5:50] = 255
    slices[:, :6] = 255
    slices[2, 2, 5:50] = 0
    shown = (Pictured(4, "scan <b>4</b>", "Slice 2 says YES.", slices), Pictured(7, "scan 7", "So does it.", slices))
    dialog = LookDialog(None, shown)
    qtbot.addWidget(dialog)
    dialog.show()
    assert [sheet.count() for sheet in dialog.lists] == [5, 5], "the brightest and the darkest of all slices, and each"
    brightest = dialog.lists[0].item(0).icon().pixmap(60, 40).toImage()
    assert brightest.pixelColor(20, 33).value() == 255 and brightest.pixelColor(20, 10).value() == 0
    darkest = dialog.lists[0].item(1).icon().pixmap(60, 40).toImage()
    assert darkest.pixelColor(20, 2).value() < 50 and darkest.pixelColor(20, 4).value() > 200
    assert not dialog.agree.isEnabled()
    dialog.looked.setChecked(True)
    assert dialog.agree.isEnabled() and dialog.answer == Looked(fine=(4, 7))
    dialog.looked.setChecked(False)
    dialog.leave_out.click()
    assert dialog.answer == Looked(left_out=(4, 7)) and not dialog.isVisible()
    told: list[Looked | None] = []
    for press in ("reject", "leave_out"):
        QTimer.singleShot(0, lambda press=press: _press(press))
        ask_looks(None, shown[:1], told.append)  # type: ignore[arg-type]
    assert told == [None, Looked(left_out=(4,))]


def _press(what: str) -> None:
    box = QApplication.activeModalWidget()
    assert isinstance(box, LookDialog)
    box.reject() if what == "reject" else box.leave_out.click()


def test_the_end_is_told_and_stays_where_something_is_to_be_read(qtbot: QtBot) -> None:
    with open_window(qtbot) as window:
        window.workspace.exporting.done.emit(Exported("/out", "nrrd", 2, 5))
        assert window.notices.shown[-1].kind == "info"
        window.workspace.exporting.done.emit(Exported("/out", "dicomseg", 1, 3, (("scan 2", "No DICOM."),), ("Note.",)))
        notice = window.notices.shown[-1]
        assert notice.stays and "1 could not be written" in notice.message and notice.hint == "scan 2: No DICOM.\nNote."
        assert not window.status.stop.isVisible()
        job = jobs.run_in_thread(lambda report, stopped: None)
        window.workspace.exporting.changed.emit((job, "Exporting"))
        assert window.status.stop.isVisible()
        window.workspace.exporting.changed.emit(None)
        assert not window.status.stop.isVisible()


def test_names_can_be_hidden(qtbot: QtBot, tiny_volume: Volume, thighview_home: Path) -> None:
    with open_window(qtbot) as window:
        opened = case_of(tiny_volume)
        opened.subject = "Jane"
        settings = window.workspace.settings
        settings.add_recent(ScanKey(Path("/scans/Jane.nii.gz")), Path("/study"))
        settings.keep_place("export", Path("/Jane"))
        settings.keep_slice(ScanKey(Path("/scans/Jane.nii.gz")), 3)
        settings.last_folder = ScanKey(Path("/scans/Jane"))
        window.session.open(opened)
        assert window.windowTitle() == "Jane · thighview" and "Jane" in window.top.case_line.text_whole
        window.actions_table["hide_names"].trigger()
        assert window.actions_table["hide_names"].isChecked()
        assert "Jane" not in window.windowTitle() + window.top.case_line.text_whole
        settings.add_recent(ScanKey(Path("/scans/Jane 2.nii.gz")), Path("/study"))
        settings.keep_place("import", Path("/Jane"))
        settings.sync()
        assert "Jane" not in (thighview_home / "settings.ini").read_text()
        assert settings.recent == (ScanKey(Path("/scans/Jane 2.nii.gz")), ScanKey(Path("/scans/Jane.nii.gz"))), (
            "while it is open"
        )
        assert settings.slice_of(ScanKey(Path("/scans/Jane.nii.gz"))) == 3
        again = Settings(thighview_home / "settings.ini")
        assert again.names_hidden and again.recent == () and again.place_for("export") != Path("/Jane")
        window.actions_table["hide_names"].trigger()
        assert window.windowTitle() == "Jane · thighview"
        settings.sync()
        assert "Jane" in (thighview_home / "settings.ini").read_text()
        window.session.open(None)
