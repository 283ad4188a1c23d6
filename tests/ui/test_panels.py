"""Review, history, measure, notices, dialogs and help."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from panel_room import Room, make_case, paint
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QLabel, QMainWindow, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from thighview.app import jobs
from thighview.core.errors import UserError
from thighview.core.review import SliceState
from thighview.ui import dialogs, notices
from thighview.ui.help import About, ShortcutSheet
from thighview.ui.history_panel import HistoryPanel
from thighview.ui.measure_panel import MeasurePanel
from thighview.ui.notices import Notices
from thighview.ui.review_panel import ReviewPanel


@pytest.fixture
def room() -> Iterator[Room]:
    made = Room()
    made.session.open(make_case())
    yield made
    jobs.shutdown()


def states(room: Room) -> list[SliceState]:
    assert room.session.case is not None
    return [review.state for review in room.session.case.reviews]


# ---------------------------------------------------------------------- review


@pytest.fixture
def review(room: Room, qtbot: QtBot) -> ReviewPanel:
    made = ReviewPanel(room)
    qtbot.addWidget(made)
    made.resize(360, 600)
    made.show()
    return made


def run_model(room: Room, slices: range) -> None:
    import numpy as np

    room.session.begin_run("Segment with thigh_tissues")
    for index in slices:
        room.session.fill_slice(index, np.full((32, 32), 1 + index % 3, np.uint8))
    room.session.end_run(keep=True)


def test_accept_and_go_on_reviews_the_stack(review: ReviewPanel, room: Room) -> None:
    run_model(room, range(12))
    room.session.go_to_slice(10)
    review.accept_next_button.click()
    assert room.session.view.cursor[0] == 11
    review.accept_next_button.click()
    assert room.session.view.cursor[0] == 0
    for _ in range(10):
        review.accept_next_button.click()
    assert states(room) == [SliceState.ACCEPTED] * 12
    assert review._states_card.note.text() == "12 of 12 slices"
    assert not review.next_button.isEnabled()


def test_counts_and_buttons_follow_the_state_of_the_slice(review: ReviewPanel, room: Room) -> None:
    run_model(room, range(6))
    paint(room.session, 0, value=9)
    room.session.go_to_slice(0)
    review.accept_button.click()
    assert states(room)[0] is SliceState.CORRECTED
    assert review.counts[SliceState.CORRECTED].text() == "1"
    assert review.counts[SliceState.MODEL].text() == "5"
    assert not review.accept_button.isEnabled()
    review.reopen_button.click()
    assert states(room)[0] is SliceState.EDITING
    assert review.accept_button.isEnabled()


def test_a_slice_that_is_missing_in_the_files_is_not_left_to_review(review: ReviewPanel, room: Room) -> None:
    case = make_case()
    case.series[0] = replace(case.series[0], volume=replace(case.volume, missing=(3, 4)))
    room.session.open(case)
    assert review.counts[SliceState.UNSEEN].text() == "10"
    room.session.accept(tuple(set(range(12)) - {3, 4, 7}))
    assert review._states_card.note.text() == "9 of 10 slices" and review.next_button.isEnabled()
    room.session.accept((7,))
    assert review._states_card.note.text() == "10 of 10 slices" and not review.next_button.isEnabled()
    assert review.counts[SliceState.UNSEEN].text() == "0"


def test_accepting_all_asks_first_and_is_one_step(review: ReviewPanel, room: Room) -> None:
    run_model(room, range(9))
    before = len(room.session.history.names)
    review.all_button.click()
    assert "looked at 9 slices" in review.question.text()
    review.no_button.click()
    assert states(room).count(SliceState.MODEL) == 9
    review.all_button.click()
    review.yes_button.click()
    assert states(room).count(SliceState.ACCEPTED) == 9
    assert room.session.history.names[before:] == ("Accept all 9 model slices",)
    room.session.undo()
    assert states(room).count(SliceState.MODEL) == 9


def test_the_question_goes_when_it_is_about_other_slices_than_it_says(review: ReviewPanel, room: Room) -> None:
    run_model(room, range(3))
    review.all_button.click()
    assert "looked at 3 slices" in review.question.text()
    run_model(room, range(3, 5))
    assert not review.yes_button.isVisible(), "the model has drawn more"
    review.all_button.click()
    assert review.yes_button.isVisible() and "looked at 5 slices" in review.question.text()
    room.session.open(make_case())
    run_model(room, range(5))
    assert not review.yes_button.isVisible(), "another case"


def test_next_says_when_only_the_shown_slice_is_left_or_none(review: ReviewPanel, room: Room) -> None:
    said: list[str] = []
    room.session.said.connect(said.append)
    room.session.accept(tuple(i for i in range(12) if i != 3))
    review.next_button.click()
    assert room.session.view.cursor[0] == 3
    review.next_button.click()
    assert room.session.view.cursor[0] == 3 and said == ["Only this slice is left to review."]
    review.accept_next_button.click()
    assert said[1:] == ["Every slice is reviewed."]


def test_the_keys_of_the_window_stand_on_the_buttons(review: ReviewPanel) -> None:
    review.name_keys("Return", "A", "N")
    assert review.accept_next_button.text() == "Accept and go on  (Return)"


def test_review_without_a_scan(review: ReviewPanel, room: Room) -> None:
    room.session.open(None)
    assert review.empty.isVisible()
    assert not review.accept_button.isVisible()


# ---------------------------------------------------------------------- history


@pytest.fixture
def history(room: Room, qtbot: QtBot) -> HistoryPanel:
    made = HistoryPanel(room)
    qtbot.addWidget(made)
    made.resize(340, 500)
    made.show()
    return made


def test_a_click_goes_there_and_back_again(history: HistoryPanel, room: Room, qtbot: QtBot) -> None:
    assert room.session.case is not None
    snapshots = [room.session.case.labels.copy()]
    for index in range(12):
        paint(room.session, index)
        snapshots.append(room.session.case.labels.copy())
    assert history.steps.rowCount() == 13
    for target in (3, 11, 0, 12):
        history.list.clicked.emit(history.steps.index(target))
        qtbot.waitUntil(lambda t=target: room.session.history.done == t)
        assert (room.session.case.labels == snapshots[target]).all()
    assert history.list.currentIndex().row() == 12


def test_undo_and_redo_say_what_they_do(history: HistoryPanel, room: Room) -> None:
    assert history.empty.isVisible()
    assert not history.undo_button.isEnabled()
    paint(room.session, 2, name="Polygon")
    assert "Polygon" in history.undo_button.toolTip()
    assert not history.empty.isVisible()
    history.undo_button.click()
    assert room.session.history.done == 0
    assert "Polygon" in history.redo_button.toolTip()
    assert history.note.text() == "1 step · 1 taken back"
    history.redo_button.click()
    assert room.session.history.done == 1


def test_a_new_step_after_undo_drops_the_ones_taken_back(history: HistoryPanel, room: Room) -> None:
    for index in range(4):
        paint(room.session, index)
    room.session.undo()
    room.session.undo()
    paint(room.session, 5, name="Fill")
    assert history.steps.state.names == ("Brush", "Brush", "Fill")
    assert history.steps.index(3).data() == "3   Fill"


def test_a_thousand_steps_back_leave_the_window_free(history: HistoryPanel, room: Room, qtbot: QtBot) -> None:
    for index in range(300):
        paint(room.session, index % 12, value=1 + index % 9)
    ticks: list[int] = []
    room.session.history_changed.connect(lambda state: ticks.append(state.done))
    history.go_to(0)
    assert len(ticks) == 0  # it happens between events, a few steps at a time
    qtbot.waitUntil(lambda: room.session.history.done == 0)


# ---------------------------------------------------------------------- measure


@pytest.fixture
def measure(room: Room, qtbot: QtBot) -> MeasurePanel:
    made = MeasurePanel(room)
    qtbot.addWidget(made)
    made.resize(340, 500)
    made.show()
    return made


def cells(panel: MeasurePanel) -> dict[str, tuple[str, ...]]:
    return {row[0]: row[1:] for _, row in panel.model.shown.rows}


def test_measures_of_every_label(measure: MeasurePanel, room: Room, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: len(cells(measure)) == 10)
    case = room.session.case
    assert case is not None
    voxels = int((case.labels == 1).sum())
    on_slice = int((case.labels[6] == 1).sum())
    ml = voxels * 6.0 * 1.5 * 1.25 / 1000
    assert cells(measure)["Subcutaneous fat L"] == (f"{on_slice * 1.5 * 1.25:.1f}", f"{ml:.2f}", str(voxels))
    room.session.go_to_slice(0)
    assert cells(measure)["Subcutaneous fat L"][0] == "0.0"


def test_a_stroke_is_measured_again(measure: MeasurePanel, room: Room, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: len(cells(measure)) == 10)
    paint(room.session, 0, value=1)
    case = room.session.case
    assert case is not None
    qtbot.waitUntil(lambda: cells(measure)["Subcutaneous fat L"][2] == str(int((case.labels == 1).sum())))


def test_left_against_right(measure: MeasurePanel, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: len(cells(measure)) == 10)
    measure.pairs_button.click()
    left, right, difference = cells(measure)["Muscle"]
    assert float(difference.replace("−", "-")) == pytest.approx(
        200 * (float(left) - float(right)) / (float(left) + float(right)), abs=1.0
    )
    measure.copy_button.click()
    assert QGuiApplication.clipboard().text().splitlines()[0] == "label\tleft_ml\tright_ml\tdifference_percent"


def test_measures_are_saved_as_csv(
    measure: MeasurePanel, room: Room, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    qtbot.waitUntil(lambda: len(cells(measure)) == 10)
    monkeypatch.setattr(dialogs, "ask_save_csv", lambda *_: tmp_path / "m.csv")
    measure.csv_button.click()
    qtbot.waitUntil((tmp_path / "m.csv").exists)
    assert (tmp_path / "m.csv").read_text().splitlines()[0] == "label,area_mm2_slice_7,volume_ml,voxels"


def test_a_table_is_written_also_where_the_program_is_closed_meanwhile(
    measure: MeasurePanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def busy(_report: object, stopped: Callable[[], bool]) -> None:
        while not stopped():
            time.sleep(0.01)

    qtbot.waitUntil(lambda: len(cells(measure)) == 10)
    monkeypatch.setattr(dialogs, "ask_save_csv", lambda *_: tmp_path / "m.csv")
    jobs.run_in_thread(busy)
    measure.csv_button.click()
    assert not (tmp_path / "m.csv").exists()
    assert jobs.shutdown()
    assert (tmp_path / "m.csv").exists()


def test_nothing_to_measure_is_said(room: Room, qtbot: QtBot) -> None:
    room.session.open(make_case(painted=False))
    panel = MeasurePanel(room)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: panel.empty.text().startswith("Nothing is painted yet"))
    room.session.open(None)
    assert panel.empty.text() == "Open a scan to measure its labels."
    assert not panel.table.isVisible()


def test_out_of_sight_nothing_is_counted(room: Room, qtbot: QtBot) -> None:
    panel = MeasurePanel(room)
    qtbot.addWidget(panel)
    paint(room.session, 0)
    qtbot.wait(300)
    assert panel._counts.sum() == 0
    assert not jobs.running()


# ---------------------------------------------------------------------- notices


@pytest.fixture
def shown(qtbot: QtBot) -> Iterator[Notices]:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.resize(900, 600)
    window.show()
    yield Notices(window)
    window.close()


def test_an_error_a_person_can_mend_stays_with_its_hint(shown: Notices) -> None:
    shown.show_error(UserError("Slices are not evenly spaced.", "Choose another series."))
    (notice,) = shown.shown
    assert notice.stays
    assert notice.text.text() == "Slices are not evenly spaced."
    assert notice.hint_text.text() == "Choose another series."
    assert not notice.findChildren(QPushButton, "copy")
    window = shown.parentWidget()
    assert window.rect().contains(shown.geometry()) and shown.geometry().top() <= 20
    assert notice.height() >= 50
    notice.dismiss.click()
    assert not shown.shown
    assert not shown.isVisible()


def test_a_bug_brings_details_to_copy(shown: Notices, caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError as error:
        shown.show_error(error)
    (notice,) = shown.shown
    assert "Your masks are safe" in notice.text.text()
    notice.copy.click()
    assert "ZeroDivisionError" in QGuiApplication.clipboard().text()
    assert "Traceback" in QGuiApplication.clipboard().text()
    assert "ZeroDivisionError" in caplog.text


def test_news_fades_and_errors_do_not(shown: Notices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "INFO_SECONDS", 0.05)
    shown.say("Saved.")
    shown.warn("Unit doubt.")
    qtbot.waitUntil(lambda: [n.kind for n in shown.shown] == ["warning"])


def test_the_same_thing_twice_is_one_notice_and_many_do_not_pile_up(shown: Notices) -> None:
    for _ in range(3):
        shown.warn("Unit doubt.")
    assert len(shown.shown) == 1
    assert "×3" in shown.shown[0].text.text()
    for index in range(9):
        shown.say(f"Saved {index}.")
    assert len(shown.shown) == notices.MOST_SHOWN
    assert shown.shown[0].kind == "warning"
    shown.clear()


class GoneError(UserError):
    """Over as soon as something is there again."""


def test_notices_lie_over_the_picture_and_follow_it(qtbot: QtBot) -> None:
    window, picture = QMainWindow(), QWidget()
    qtbot.addWidget(window)
    window.resize(900, 600)
    picture.setParent(window)
    picture.setGeometry(200, 60, 400, 400)
    window.show()
    made = Notices(window, picture)
    made.show_error(UserError("Slices are not evenly spaced."))
    assert picture.geometry().contains(made.geometry())
    picture.setGeometry(100, 100, 600, 300)
    qtbot.waitUntil(lambda: picture.geometry().contains(made.geometry()) and made.geometry().top() < 130)


def test_a_notice_goes_with_its_cause_or_the_newest_first(shown: Notices) -> None:
    shown.show_error(UserError("One."))
    shown.show_error(GoneError("Two."))
    shown.show_error(UserError("Three."))
    shown.settle(GoneError)
    assert [notice.message for notice in shown.shown] == ["One.", "Three."]
    assert shown.close_newest() and [notice.message for notice in shown.shown] == ["One."]
    assert shown.close_newest() and not shown.close_newest()


# ---------------------------------------------------------------------- dialogs and help


def press(qtbot: QtBot, text: str) -> None:
    """Press a button of the question box as soon as it is there."""
    from PySide6.QtCore import QTimer

    def look() -> None:
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(20, look)
            return
        next(b for b in box.buttons() if b.text() == text).click()

    QTimer.singleShot(0, look)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("Keep it running", "keep"), ("Stop and save the model", "stop"), ("Stay here", "cancel")],
)
def test_leaving_a_training(qtbot: QtBot, text: str, answer: str) -> None:
    press(qtbot, text)
    assert dialogs.ask_leave_training(None, "run 3", "epoch 2 of 40") == answer


def test_stop_and_leave_are_asked(qtbot: QtBot) -> None:
    press(qtbot, "Stop training")
    assert dialogs.ask_stop_training(None, "run 3")
    press(qtbot, "Stay here")
    assert not dialogs.ask_leave(None, "3 changes could not be written.")


def test_a_label_name_is_checked(qtbot: QtBot) -> None:
    dialog = dialogs.LabelDialog(None, frozenset({"vasti_left"}))
    qtbot.addWidget(dialog)
    accept = dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)
    assert not accept.isEnabled()
    dialog.name.setText("  Vasti ")
    assert accept.isEnabled()
    dialog.side.setCurrentIndex(1)
    assert not accept.isEnabled()
    assert "exist already" in dialog.problem.text()
    dialog.name.setText("Rectus  femoris")
    assert dialog.answer == ("rectus_femoris", "left")
    dialog.side.setCurrentIndex(0)
    dialog.name.setText("Gracilis right")
    assert dialog.answer == ("gracilis", "right") and accept.isEnabled()
    dialog.name.setText("Vasti left")
    assert not accept.isEnabled() and "exist already" in dialog.problem.text()
    again = dialogs.LabelDialog(None, frozenset({"femur_left"}), "femur_left")
    qtbot.addWidget(again)
    assert again.buttons.button(QDialogButtonBox.StandardButton.Ok).isEnabled() and again.answer == ("femur", "left")


def test_help_says_keys_and_research_use(qtbot: QtBot) -> None:
    sheet = ShortcutSheet([("File", [("Ctrl+O", "Open a scan")]), ("Review", [("Return", "Accept and go on")])])
    about = About()
    qtbot.addWidget(sheet)
    qtbot.addWidget(about)
    said = {label.text() for label in sheet.findChildren(QLabel)}
    assert {"Ctrl+O", "Open a scan", "Return", "Wheel"} <= said
    assert any("Not for diagnosis" in label.text() for label in about.findChildren(QLabel))
