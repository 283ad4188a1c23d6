"""Questions about files and folders, answered in the dialogs themselves."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QLineEdit, QMessageBox, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from thighview.app import jobs
from thighview.app.settings import Settings
from thighview.io.names import stem
from thighview.ui import dialogs
from thighview.ui.application import make_application
from thighview.ui.file_dialogs import FolderDialog


def in_the_dialog(do: Callable[[QFileDialog], object]) -> None:
    """Do something in the file dialog that opens next, then give it up unless it was answered."""

    def found() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QFileDialog)
        try:
            do(box)
        finally:
            if box.isVisible():
                box.reject()

    QTimer.singleShot(50, found)


def test_files_get_the_ending_they_need(qtbot: QtBot, tmp_path: Path) -> None:
    def save_as(name: str) -> Path | None:
        def fill_in(box: QFileDialog) -> None:
            box.findChild(QLineEdit, "fileNameEdit").setText(str(tmp_path / name))  # type: ignore[union-attr]
            if name:
                box.accept()

        in_the_dialog(fill_in)
        return dialogs.ask_save_mask(None, tmp_path / "thigh_mask.nii.gz")  # type: ignore[arg-type]

    assert [save_as(name) for name in ("m", "m.nii", "")] == [tmp_path / "m.nii.gz", tmp_path / "m.nii", None]


@pytest.mark.parametrize("name", ["scan", "scan.v1"])
def test_a_file_is_never_replaced_unasked(qtbot: QtBot, tmp_path: Path, name: str) -> None:
    """By the name it gets in the end: the chooser knows no ending of its own, and gives none to a name with a dot."""
    (tmp_path / f"{name}.nii.gz").touch()
    asked: list[str] = []

    def keep() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        asked.append(box.text())
        box.reject()

    def fill_in(box: QFileDialog) -> None:
        box.findChild(QLineEdit, "fileNameEdit").setText(str(tmp_path / name))  # type: ignore[union-attr]
        QTimer.singleShot(100, keep)
        box.accept()

    in_the_dialog(fill_in)
    assert dialogs.ask_save_mask(None, tmp_path / "thigh_mask.nii.gz") is None  # type: ignore[arg-type]
    assert len(asked) == 1 and f"{name}.nii.gz" in asked[0]


def test_a_new_folder_is_named_and_never_a_full_one(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "Dataset001_thigh").mkdir()
    (tmp_path / "Dataset001_thigh" / "dataset.json").touch()
    (tmp_path / "empty").mkdir()
    dialog = FolderDialog(None, "Export", "Why.", "Dataset001_thigh", tmp_path, "Export")
    qtbot.addWidget(dialog)
    qtbot.waitUntil(dialog.agree.isEnabled)
    assert dialog.answer == tmp_path / "Dataset002_thigh", "the proposal counts up"
    for name, words in (("Dataset001_thigh", "something in it"), ("a/b", "no <"), ("", "")):
        dialog.name.setText(name)
        qtbot.waitUntil(lambda words=words: words in dialog.problem.text())
        assert not dialog.agree.isEnabled()
    dialog.name.setText("empty")
    qtbot.waitUntil(dialog.agree.isEnabled)
    dialog.place.setText(str(tmp_path / "nowhere"))
    qtbot.waitUntil(lambda: "is not there" in dialog.problem.text())
    assert not dialog.agree.isEnabled()
    jobs.shutdown()


def test_a_proposed_name_counts_up_only_past_what_is_there(qtbot: QtBot, tmp_path: Path) -> None:
    for folder in ("full/Thigh study", "full/Thigh study 2", "free/Other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "project.sqlite").touch()
    dialog = FolderDialog(None, "New project", "Why.", "Thigh study", tmp_path / "free", "Make")
    qtbot.addWidget(dialog)
    names, nowhere = list[str](), tmp_path / "nowhere" / "at all"
    dialog.name.textChanged.connect(names.append)
    qtbot.waitUntil(dialog.agree.isEnabled)
    assert dialog.answer == tmp_path / "free" / "Thigh study"
    dialog.place.selectAll()
    for key in str(nowhere):  # each key is another place, mostly one that is not there
        QTest.keyClicks(dialog.place, key)
        qtbot.waitUntil(lambda: dialog.agree.isEnabled() or bool(dialog.problem.text()))
        assert dialog.name.text() == "Thigh study"
    qtbot.waitUntil(lambda: dialog.problem.text() == f"The place {nowhere} is not there.")
    qtbot.wait(100)
    assert dialog.name.text() == "Thigh study" and not names
    for place, name in (("full", "Thigh study 3"), ("free", "Thigh study"), ("full", "Thigh study 3")):
        dialog.place.setText(str(tmp_path / place))
        qtbot.waitUntil(dialog.agree.isEnabled)
        assert dialog.name.text() == name
    dialog.name.selectAll()
    QTest.keyClicks(dialog.name, "Thigh study 2")
    qtbot.waitUntil(lambda: "something in it" in dialog.problem.text())
    assert dialog.name.text() == "Thigh study 2" and not dialog.agree.isEnabled()
    jobs.shutdown()


def test_a_new_folder_is_proposed_where_the_last_one_was_made(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "settings.ini")
    settings.last_folder = tmp_path / "scans"
    assert tmp_path not in (settings.place_for("new_project"), *settings.place_for("new_project").parents)
    settings.keep_place("new_project", tmp_path / "studies")
    assert settings.place_for("new_project") == tmp_path / "studies"
    assert settings.place_for("export") != tmp_path / "studies"


def test_no_question_outlives_its_answer(qtbot: QtBot, tmp_path: Path) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)

    def give_up() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QDialog)
        box.reject()

    for ask in (
        lambda: dialogs.ask_new_project(parent, tmp_path),
        lambda: dialogs.ask_label_name(parent, frozenset()),
        lambda: dialogs.ask_leave_training(parent, "run 1"),
    ):
        QTimer.singleShot(50, give_up)
        ask()
    qtbot.waitUntil(lambda: not parent.findChildren(QDialog))
    jobs.shutdown()


def test_qts_own_file_dialog_can_be_read(qtbot: QtBot, tmp_path: Path) -> None:
    make_application()
    contrast: dict[str, int] = {}

    def look(box: QFileDialog) -> None:
        for name in ("toParentButton", "newFolderButton", "listModeButton", "detailModeButton"):
            press = box.findChild(QToolButton, name)
            assert press is not None and press.isEnabled()
            picture = press.grab().toImage()
            middle = [picture.pixelColor(x, y).lightness() for x in range(6, 20) for y in range(6, 20)]
            contrast[name] = max(middle) - min(middle)

    in_the_dialog(look)
    assert dialogs.ask_open_folder(None, tmp_path) == []  # type: ignore[arg-type]
    assert len(contrast) == 4 and min(contrast.values()) > 60, contrast


def test_several_scans_are_chosen_at_once(qtbot: QtBot, tmp_path: Path) -> None:
    names = ("a.nii.gz", "with blank.nii")
    for name in names:
        (tmp_path / name).touch()

    def fill_in(box: QFileDialog) -> None:
        box.findChild(QLineEdit, "fileNameEdit").setText(" ".join(f'"{name}"' for name in names))  # type: ignore[union-attr]
        box.accept()

    in_the_dialog(fill_in)
    assert dialogs.ask_open_files(None, tmp_path) == [tmp_path / name for name in names]  # type: ignore[arg-type]


def test_only_what_opens_is_offered() -> None:
    """Every ending of the chooser is one that a reader of scans knows."""
    first, *others = dialogs.SCANS.split(";;")[:-1]
    offered = set(re.findall(r"\*(\.[a-z.]+)", first.lower()))
    assert offered == set(re.findall(r"\*(\.[a-z.]+)", " ".join(others).lower()))
    assert all(stem(Path(f"scan{ending}")) == "scan" for ending in offered - {".dcm", ".ima"})
    assert "nrrd" not in dialogs.MASKS
