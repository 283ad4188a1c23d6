"""The fold in the Train panel that shows what augmentation does."""

from pathlib import Path

import pytest
from panel_room import Room, make_case
from PySide6.QtWidgets import QCheckBox, QSpinBox
from pytestqt.qtbot import QtBot
from tiny_project import make_project

from thighview.app import jobs
from thighview.core.review import SliceReview, SliceState
from thighview.io.project import Project
from thighview.ui.augment_preview import NO_CASE, OFF, AugmentFold
from thighview.ui.train_panel import TrainPanel


@pytest.fixture
def fold(panel: TrainPanel) -> AugmentFold:
    found = panel.findChild(AugmentFold)
    assert isinstance(found, AugmentFold)
    return found


def _shown(qtbot: QtBot, fold: AugmentFold, words: str) -> None:
    qtbot.waitUntil(lambda: words in fold.words.text() and len(fold.grid.pictures) == 12, timeout=20_000)


def _augment(panel: TrainPanel, on: bool) -> None:
    box = panel.set_up.form.inputs["augment"]
    assert isinstance(box, QCheckBox)
    box.setChecked(on)


def test_without_a_case_it_says_so(room: Room, fold: AugmentFold) -> None:
    room.session.open(None)
    others = set(jobs.running())
    fold.heading.setChecked(True)
    assert fold.words.text() == NO_CASE
    assert fold.grid.isHidden()
    assert fold.others.isHidden()
    assert set(jobs.running()) <= others


def test_nothing_is_made_while_it_is_closed(room: Room, fold: AugmentFold) -> None:
    before = set(jobs.running())
    room.session.open(make_case())
    assert set(jobs.running()) == before
    assert not fold.grid.pictures


def test_it_shows_a_slice_and_then_others(room: Room, fold: AugmentFold, qtbot: QtBot) -> None:
    case = make_case()
    case.reviews[4] = SliceReview(SliceState.DRAWN)
    room.session.open(case)
    fold.heading.setChecked(True)
    _shown(qtbot, fold, "sub-012_T1, slice 5 of 12, in epochs 1 to 12.")
    first = fold.grid.pictures
    fold.others.click()
    _shown(qtbot, fold, "in epochs 13 to 24.")
    assert any(a != b for a, b in zip(first, fold.grid.pictures, strict=True))
    assert fold.grid.heightForWidth(300) > 390  # four rows of squares
    room.session.open(None)
    assert fold.words.text() == NO_CASE
    assert not fold.grid.pictures


def test_without_an_open_case_one_of_the_set_is_shown_and_any_can_be_chosen(tmp_path: Path, qtbot: QtBot) -> None:
    folder = make_project(tmp_path, 2)
    room = Room(folder)
    made = TrainPanel(room)
    qtbot.addWidget(made)
    made.resize(360, 800)
    made.show()
    fold = made.findChild(AugmentFold)
    assert isinstance(fold, AugmentFold)
    fold.heading.setChecked(True)
    project = Project.open(folder, writable=False)
    cases = tuple(project.cases())
    project.close()
    room.show_cases(*cases)
    assert fold.choice.isVisible() and fold.choice.count() == 2
    _shown(qtbot, fold, f"{cases[0].title}, slice ")
    fold.choice.setCurrentIndex(1)
    fold.choice.activated.emit(1)
    _shown(qtbot, fold, f"{cases[1].title}, slice ")
    room.show_cases(*cases)
    assert fold.choice.currentIndex() == 1, "a choice is kept"
    room.session.open(make_case())
    _shown(qtbot, fold, "sub-012_T1, slice ")
    assert fold.choice.count() == 3
    jobs.shutdown()


def test_a_slice_that_would_not_train_is_called_so(room: Room, fold: AugmentFold, qtbot: QtBot) -> None:
    room.session.open(make_case())
    fold.heading.setChecked(True)
    _shown(qtbot, fold, "not reviewed, so it would not train yet")
    room.session.open(make_case(painted=False))
    _shown(qtbot, fold, "Nothing is drawn on it yet.")


def test_it_follows_the_settings(room: Room, panel: TrainPanel, fold: AugmentFold, qtbot: QtBot) -> None:
    room.session.open(make_case())
    _augment(panel, False)
    fold.heading.setChecked(True)
    assert fold.words.text() == OFF
    assert fold.grid.isHidden()
    _augment(panel, True)
    _shown(qtbot, fold, "in epochs 1 to 12")
    assert fold.grid.pictures[0].width() == 256
    size = panel.set_up.form.inputs["input_size"]
    assert isinstance(size, QSpinBox)
    size.setValue(128)
    qtbot.waitUntil(lambda: fold.grid.pictures[0].width() == 128, timeout=20_000)
