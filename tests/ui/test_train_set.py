"""Whose scan it is: the list of people in the Train panel of the real window."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtWidgets import QComboBox, QInputDialog, QLabel
from pytestqt.qtbot import QtBot
from tiny_project import add_person, make_project
from window_room import open_window

from thighview.core.errors import UserError
from thighview.io.project import Project
from thighview.ui.main_window import MainWindow
from thighview.ui.train_set import PersonName, TrainSetCard

FILES = (
    "TE_345_of_one_and_the_same_thigh_0",
    "TE_460_of_one_and_the_same_thigh_1",
    "TE_575_of_one_and_the_same_thigh_2",
)


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[MainWindow]:
    """On a project of three files, each taken for a person; the split is dealt, no run has used it."""
    project = Project.create(tmp_path / "study", "study")
    for seed, name in enumerate(FILES):
        project.set_subject(add_person(project, tmp_path, seed, name[:-2]), name)
    project.assign_parts(FILES)
    project.close()
    with open_window(qtbot) as made:
        made.workspace.open_project(tmp_path / "study")
        made.show_tab("Train")
        qtbot.waitUntil(lambda: len(made.workspace.cases) == 3)
        card(made).people.heading.setChecked(True)
        yield made


def card(window: MainWindow) -> TrainSetCard:
    return window.panel("Train").set_up.set_card  # type: ignore[attr-defined]


def names(window: MainWindow) -> list[str]:
    return [name.text() for name in card(window).findChildren(PersonName) if name.isVisible()]


def double_click(window: MainWindow, qtbot: QtBot, text: str, answer: Callable[[QInputDialog], None]) -> None:
    """Double-click a name of the list and give the answer to what is asked."""
    qtbot.waitUntil(lambda: text in names(window))
    name = next(n for n in card(window).findChildren(PersonName) if n.isVisible() and n.text() == text)
    window.panel("Train").set_up.page.ensureWidgetVisible(name)  # type: ignore[attr-defined]
    answered: list[str] = []

    def reply() -> None:
        dialog = window.findChild(QInputDialog)
        if dialog is None or not dialog.isVisible():
            return
        again.stop()
        answer(dialog)
        answered.append(dialog.textValue())
        dialog.accept()

    again = QTimer()
    again.timeout.connect(reply)
    again.start(20)
    qtbot.mouseDClick(name, Qt.MouseButton.LeftButton, pos=QPoint(20, name.height() // 2))
    qtbot.waitUntil(lambda: bool(answered))


def choose(name: str) -> Callable[[QInputDialog], None]:
    return lambda dialog: dialog.findChild(QComboBox).setCurrentText(name)


def type_over(qtbot: QtBot, name: str) -> Callable[[QInputDialog], None]:
    def write(dialog: QInputDialog) -> None:
        line = dialog.findChild(QComboBox).lineEdit()
        line.selectAll()
        qtbot.keyClicks(line, name)

    return write


def test_scans_of_one_person_are_joined_by_a_double_click(window: MainWindow, qtbot: QtBot) -> None:
    shown = card(window)
    assert shown.line.text() == "3 people · 2 train / 1 validation"
    assert "Each file counts as one person" in shown.files_words.text()
    assert names(window) == list(FILES)

    double_click(window, qtbot, FILES[0], type_over(qtbot, "TE"))
    qtbot.waitUntil(lambda: names(window)[:1] == ["TE"])
    for left, file in ((2, FILES[1]), (1, FILES[2])):
        double_click(window, qtbot, file, choose("TE"))
        qtbot.waitUntil(lambda left=left: len(shown.found.people) == left)
    assert shown.line.text().startswith("1 person · 1 ")
    assert "No validation person" in shown.warning.text() or shown.found.in_part("validation")
    assert shown.files_words.isHidden()
    # a list made anew is shown one event later, by its layout
    qtbot.waitUntil(lambda: names(window) == ["TE", *FILES])  # the scans of a person of several, under the name

    double_click(window, qtbot, FILES[2], type_over(qtbot, "another"))
    qtbot.waitUntil(lambda: len(shown.found.people) == 2)
    assert shown.found.slices["another"] != shown.found.slices["TE"]


def test_who_was_part_of_a_run_stays_and_it_is_said(window: MainWindow, qtbot: QtBot) -> None:
    store = window.workspace.store
    assert store is not None
    with qtbot.waitSignal(store.call(lambda project: project.add_run("run 1", {}, [FILES[0]])).succeeded):
        pass
    with qtbot.waitSignal(window.workspace.failed) as refused:
        double_click(window, qtbot, FILES[0], choose(FILES[1]))
    assert isinstance(refused.args[0], UserError)
    assert "was part of a training run" in str(refused.args[0])
    assert names(window) == list(FILES)


def test_the_open_case_is_called_by_its_new_name_at_once(window: MainWindow, qtbot: QtBot) -> None:
    window.workspace.open_case(window.workspace.cases[0].case_id)
    qtbot.waitUntil(lambda: window.workspace.session.case is not None)
    subject = window.workspace.session.case.subject
    window.show_tab("Train")
    double_click(window, qtbot, subject, type_over(qtbot, "HV001"))
    qtbot.waitUntil(lambda: window.windowTitle().startswith("HV001"))
    assert "HV001" in window.top.case_line.text_whole


def test_a_long_name_shows_both_its_ends(window: MainWindow) -> None:
    name = next(n for n in card(window).findChildren(PersonName) if n.isVisible())
    assert name.fontMetrics().horizontalAdvance(name.text()) > name.width(), "the test needs a name that is too long"
    cut = name.text_shown
    assert cut.startswith("TE_3") and cut.endswith("_0") and "…" in cut
    assert name.height() < 2 * name.fontMetrics().height()
    assert FILES[0] in name.toolTip()


def test_a_scan_that_is_there_under_two_names_is_pointed_out_before_any_training(qtbot: QtBot, tmp_path: Path) -> None:
    project = Project.create(tmp_path / "study", "study")
    for seed, subject in ((0, "one"), (0, "the same"), (1, "other")):
        (tmp_path / subject).mkdir()
        add_person(project, tmp_path / subject, seed, subject, edge=64)
    project.close()
    with open_window(qtbot) as window:
        window.workspace.open_project(tmp_path / "study")
        window.show_tab("Train")
        warning = card(window).twins_words
        qtbot.waitUntil(lambda: warning.isVisible() and bool(warning.text()), timeout=20_000)
        assert "are the same scan but count as two people" in warning.text()
        assert "other_1" not in warning.text()


def test_what_is_reviewed_counts_at_once_and_no_longer_when_it_is_reopened(qtbot: QtBot, tmp_path: Path) -> None:
    folder = make_project(tmp_path, people=1, reviewed=0)
    with open_window(qtbot) as window:
        session, workspace = window.session, window.workspace
        workspace.open_project(folder)
        qtbot.waitUntil(lambda: len(workspace.cases) == 1)
        workspace.open_case(workspace.cases[0].case_id)
        qtbot.waitUntil(lambda: session.case is not None)
        window.show_tab("Train")
        shown, start = card(window), window.panel("Train").set_up.start_button  # type: ignore[attr-defined]
        shown.people.heading.setChecked(True)
        name = next(n for n in shown.findChildren(PersonName))
        assert shown.note.text() == "0 reviewed slices" and not start.isEnabled()

        before = workspace.cases[0].updated
        session.accept((0, 1, 2))
        qtbot.waitUntil(lambda: shown.note.text() == "3 reviewed slices")
        assert start.isEnabled() and [number.text() for number in numbers(shown)] == ["0", "0", "3"]
        assert name in shown.findChildren(PersonName), "the list is not made anew under the mouse"
        assert workspace.cases[0].updated > before, "a comparison on this case is out of date now"

        session.reopen((0, 1, 2))
        qtbot.waitUntil(lambda: shown.note.text() == "0 reviewed slices")
        assert not start.isEnabled() and [number.text() for number in numbers(shown)] == ["0", "0", "0"]


def numbers(shown: TrainSetCard) -> list[QLabel]:
    """The slices of the people by state, in the order of the list."""
    return [label for label in shown.people.findChildren(QLabel) if label.text().isdigit()]
