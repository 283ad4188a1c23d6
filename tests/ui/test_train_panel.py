import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gap_room import run_of_people
from panel_room import (
    Room,
    batches,
    epoch,
    failure,
    finished,
    model,
    paint,
    started,
    summary,
    tissue_table,
    whole_run,
)
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QLabel, QPushButton, QSpinBox, QWidget
from pytestqt.qtbot import QtBot
from tiny_project import add_person

from thighview.core.errors import UserError
from thighview.core.history import step_name
from thighview.core.labels import Label
from thighview.core.run import Failed, Paused, Preparing, Scores, TrainConfig
from thighview.io.dataset import freeze
from thighview.io.project import Project
from thighview.io.runs import run_folder
from thighview.ui import dialogs
from thighview.ui.cards import Page
from thighview.ui.run_preview import read_preview
from thighview.ui.run_status import RunStatus
from thighview.ui.train_form import PRESETS, TrainForm
from thighview.ui.train_form import summary as settings_summary
from thighview.ui.train_panel import TrainPanel

SET = (
    summary(1, "sub-001", "train", (4, 3, 2)),
    summary(2, "sub-002", "validation", (10, 0, 1)),
    summary(3, "sub-003", "train", (0, 0, 5)),
    summary(4, "sub-004", "", (9, 9, 9), chosen=False),
)


def write_run(project: Path, name: str, upto: int) -> None:
    folder = project / "runs" / name
    (folder / "preview").mkdir(parents=True)
    (folder / "dataset.json").write_text("{}")
    (folder / "config.json").write_text(json.dumps(TrainConfig(epochs=40).to_json()))
    (folder / "events.jsonl").write_text("".join(e.to_line() + "\n" for e in whole_run(upto)))
    image = np.zeros((40, 60), np.uint8)
    image[10:30, 10:50] = 200
    for k in range(1, upto + 1):
        truth = (image > 0).astype(np.uint8)
        colours = np.array([[0, 0, 0], [255, 0, 0]], np.uint8)
        np.savez(
            folder / "preview" / f"epoch_{k:03d}.npz", image=image, truth=truth, prediction=truth * (k > 1),
            colours=colours, is_validation=True,
        )  # fmt: skip


# ---------------------------------------------------------------------- the set


def test_an_empty_set_says_what_to_do_and_nothing_can_start(panel: TrainPanel) -> None:
    assert "Nothing is in the training set yet" in panel.set_up.set_card.line.text()
    assert not panel.set_up.start_button.isEnabled()
    assert "Add a case with reviewed slices" in panel.set_up.start_words.text()
    assert panel.run.run_card.isHidden()
    assert panel.run.curves_card.isHidden()


def test_the_set_counts_people_parts_and_states_of_chosen_cases_only(panel: TrainPanel, room: Room) -> None:
    room.show_cases(*SET)
    assert panel.set_up.set_card.line.text() == "3 people · 2 train / 1 validation"
    assert panel.set_up.set_card.note.text() == "25 reviewed slices"
    assert [name for name, _ in panel.set_up.set_card.legend.shown] == ["accepted 56 %", "corrected 12 %", "drawn 32 %"]
    assert panel.set_up.set_card.warning.isHidden()
    assert panel.set_up.start_button.isEnabled()


def test_without_a_validation_person_it_says_what_the_score_is_not(panel: TrainPanel, room: Room) -> None:
    room.show_cases(SET[0])
    assert panel.set_up.set_card.warning.isVisible()
    assert "No validation person: this score does not measure new people." in panel.set_up.set_card.warning.text()
    assert "2 more people" in panel.set_up.set_card.warning.text()
    assert panel.set_up.start_button.isEnabled()


def test_a_set_without_reviewed_slices_cannot_start(panel: TrainPanel, room: Room) -> None:
    room.show_cases(summary(1, "sub-001", "train", (0, 0, 0)))
    assert not panel.set_up.start_button.isEnabled()
    assert "no reviewed slice" in panel.set_up.set_card.warning.text()


def test_the_open_case_goes_in_and_out(panel: TrainPanel, room: Room) -> None:
    panel.set_up.set_card.case_button.click()
    assert room.wishes == [("set_in_training_set", True)]
    room.show_cases(summary(12, "sub-012", "train", (1, 0, 0)))
    assert panel.set_up.set_card.case_button.text() == "Take this case out of the set"
    panel.set_up.set_card.case_button.click()
    assert room.wishes[-1] == ("set_in_training_set", False)


def test_names_from_files_are_never_rich_text(panel: TrainPanel, room: Room) -> None:
    name = "<img src='file:///etc/passwd'>"
    room.show_cases(replace(SET[0], subject=name))
    panel.set_up.set_card.people.heading.setChecked(True)
    shown = [label for label in panel.findChildren(QLabel) if label.text() == name]
    assert shown
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in shown)
    assert all(name not in label.toolTip() for label in shown)


# ---------------------------------------------------------------------- settings


def test_the_form_has_every_setting_with_its_range(qtbot: QtBot) -> None:
    form = TrainForm()
    qtbot.addWidget(form)
    assert set(form.inputs) == set(TrainConfig().to_json())
    assert form.config() == TrainConfig()
    assert form.inputs["epochs"].maximum() == 10000
    assert "1e-07 to 1" in form.inputs["learning_rate"].toolTip()


def test_presets_fill_the_form_and_any_change_leaves_them(qtbot: QtBot) -> None:
    form = TrainForm()
    qtbot.addWidget(form)
    for index, (name, _, settings, _) in enumerate(PRESETS):
        form.preset.setCurrentIndex(index)
        form.preset.activated.emit(index)
        assert form.config() == TrainConfig(**settings)
        assert form.preset.currentText() == name
    form.inputs["epochs"].setValue(7)
    assert form.preset.currentIndex() == -1
    assert form.config().epochs == 7


def test_settings_that_do_not_go_together_are_named_and_stop_the_start(panel: TrainPanel, room: Room) -> None:
    room.show_cases(*SET)
    panel.set_up.form.inputs["input_size"].setValue(100)
    assert panel.set_up.start_words.text().startswith("Input size: expected a multiple of 32")
    assert not panel.set_up.start_button.isEnabled()
    panel.set_up.form.inputs["input_size"].setValue(256)
    assert panel.set_up.start_button.isEnabled()


def test_small_numbers_are_written_short_and_step_by_factors(qtbot: QtBot) -> None:
    form = TrainForm()
    qtbot.addWidget(form)
    rate = form.inputs["learning_rate"]
    rate.lineEdit().selectAll()
    qtbot.keyClicks(rate, "2e-5")
    qtbot.keyClick(rate, Qt.Key.Key_Return)
    assert form.config().learning_rate == pytest.approx(2e-5)
    assert rate.text() == "2e-05"
    rate.stepBy(1)
    assert form.config().learning_rate == pytest.approx(5e-5)
    rate.stepBy(-3)
    assert form.config().learning_rate == pytest.approx(5e-6)


def test_a_model_to_start_from_that_is_gone_is_said(qtbot: QtBot) -> None:
    form = TrainForm(TrainConfig(start_from="/models/lost"))
    qtbot.addWidget(form)
    assert "gone" in form.problem_text
    form.inputs["start_from"].setCurrentIndex(0)
    assert form.problem_text == ""


def turn_wheel(over: QWidget) -> None:
    """One notch down, as the window system sends it."""
    at = QPointF(over.mapTo(over.window(), over.rect().center()))
    QTest.wheelEvent(over.window().windowHandle(), at, QPoint(0, -120))


def test_the_wheel_scrolls_a_page_and_changes_no_control(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    write_run(room.project_folder, "run 1", 4)
    write_run(room.project_folder, "run 3", 4)
    room.runs.follow("run 3", [*whole_run(4), finished()])
    qtbot.waitUntil(lambda: panel.run.compare.isVisible() and panel.run.preview.slider.isVisible())
    wheel_scrolls(panel.run, [panel.run.curves.tools.smoothing, panel.run.preview.slider], qtbot)
    panel.setCurrentWidget(panel.set_up)
    panel.set_up.form.more.heading.setChecked(True)
    late = QSpinBox()
    panel.set_up.set_card.body.addWidget(late)
    qtbot.waitUntil(late.isVisible)
    wheel_scrolls(panel.set_up.page, [panel.set_up.form.preset, late, *panel.set_up.form.inputs.values()], qtbot)


def wheel_scrolls(page: Page, controls: list[QWidget], qtbot: QtBot) -> None:
    bar = page.verticalScrollBar()
    page.setFocus()
    qtbot.waitUntil(lambda: brought_into_sight(page, controls[0]))
    turn_wheel(controls[0])
    assert not controls[0].hasFocus(), "the keys stay where they were"
    for control in controls:
        control.setFocus()
        qtbot.waitUntil(lambda control=control: brought_into_sight(page, control))
        place = bar.value()
        values = [_shown(c) for c in controls]
        turn_wheel(control)
        assert [_shown(c) for c in controls] == values, control
        qtbot.waitUntil(lambda place=place: bar.value() > place or bar.value() == bar.maximum())


def brought_into_sight(page: Page, control: QWidget) -> bool:
    """Scroll a control to the middle of its page, as far as there is room; whether it can be pointed at."""
    bar, shown = page.verticalScrollBar(), page.viewport()
    middle = control.rect().center()
    bar.setValue(bar.value() + control.mapTo(shown, middle).y() - shown.height() // 2)
    return shown.rect().contains(control.mapTo(shown, middle))


def _shown(control: QWidget) -> object:
    return control.currentIndex() if isinstance(control, QComboBox) else control.property("value")


def test_start_hands_over_name_and_settings(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    room.show_cases(*SET)
    room.show_models(model())
    panel.set_up.form.run_name.setText("  first try ")
    panel.set_up.form.inputs["epochs"].setValue(12)
    start_from = panel.set_up.form.inputs["start_from"]
    assert isinstance(start_from, QComboBox)
    start_from.setCurrentIndex(1)
    assert panel.set_up.config_words.text().endswith(" · 7 steps an epoch")
    panel.set_up.start_button.click()
    wish, name, config = room.wishes[-1]
    assert (wish, name) == ("start_training", "first try")
    assert (config.epochs, config.start_from) == (12, "/models/thigh_tissues")
    assert not panel.set_up.start_button.isEnabled()
    room.runs.follow("first try", [])
    room.start_job.ended.emit()
    assert not panel.set_up.start_button.isEnabled()
    room.runs.follow("first try", [failure()])
    qtbot.waitUntil(panel.set_up.start_button.isEnabled)
    assert panel.set_up.form.run_name.text() == ""


def test_a_name_that_is_taken_is_told_while_it_is_typed(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    """By a run, whether it has ended or not, or by a model of the project."""
    room.show_cases(*SET)
    room.runs.follow("run 3", [*whole_run(4), finished()])
    qtbot.waitUntil(panel.set_up.start_button.isEnabled)
    form = panel.set_up.form
    form.run_name.setText("run 3")
    assert form.name_words.text() == "“run 3” is taken already. Choose another name."
    assert not form.name_words.isHidden() and not panel.set_up.start_button.isEnabled()
    assert panel.set_up.start_words.text() == form.name_words.text()
    form.run_name.setText("run 34")
    assert form.name_words.isHidden() and panel.set_up.start_button.isEnabled()
    assert room.project_folder
    room.show_models(model("run 34", "project", room.project_folder / "models" / "run 34"))
    assert not form.name_words.isHidden() and not panel.set_up.start_button.isEnabled()
    form.run_name.clear()
    assert form.name_words.isHidden() and panel.set_up.start_button.isEnabled()


def test_the_panel_tells_which_labels_the_model_to_start_from_knows(panel: TrainPanel, room: Room) -> None:
    room.show_models(model())
    assert panel.set_up.form.config().start_from == "/models/thigh_tissues"
    assert panel.set_up.labels_words.text() == ""
    table = room.session.case.table
    room.session.set_table(table.with_label(Label(5, "patella", "left")).with_label(Label(10, "patella", "right")))
    assert panel.set_up.labels_words.text().splitlines() == [
        "thigh_tissues knows 8 of the 10 labels of the open case.",
        "New to it, learnt from nothing: Patella L R.",
        "Left out of the new model: Femur marrow L R.",
    ]
    panel.set_up.form.inputs["start_from"].setCurrentIndex(0)
    assert not panel.set_up.labels_words.isVisibleTo(panel)


def test_a_training_starts_from_the_model_used_last_on_the_case(panel: TrainPanel, room: Room) -> None:
    room.show_models(model("run 3", "project"), model("run 4", "project"), model())
    assert panel.set_up.form.config().start_from == "/models/thigh_tissues"
    paint(room.session, 0, name=step_name("run 3"))
    paint(room.session, 1, name=step_name("run 4", (1,)))
    paint(room.session, 2)
    room.run_segment(None)
    assert panel.set_up.form.config().start_from == "/models/run 4"
    room.session.undo()
    room.session.undo()
    room.run_segment(None)
    assert panel.set_up.form.config().start_from == "/models/run 3"
    assert room.settings.train_config is None


def test_settings_made_by_hand_are_remembered_and_the_default_is_not(panel: TrainPanel, room: Room) -> None:
    room.show_cases(*SET)
    room.show_models(model())
    panel.set_up.start_button.click()
    assert room.wishes[-1][2].start_from == "/models/thigh_tissues"
    assert room.settings.train_config is None
    panel.set_up.form.inputs["start_from"].setCurrentIndex(0)
    assert not panel.set_up.start_button.isEnabled()
    room.failed.emit(UserError("Something else went wrong."))
    assert not panel.set_up.start_button.isEnabled(), "two trainings would start"
    room.start_job.ended.emit()  # there is a run of this name
    panel.set_up.start_button.click()
    assert room.settings.train_config == room.wishes[-1][2] == TrainConfig()


def test_an_input_size_that_no_training_may_have_is_not_taken_from_the_model(panel: TrainPanel, room: Room) -> None:
    room.show_cases(*SET)
    room.show_models(model(input_size=400), model("run 2", "project"))
    form = panel.set_up.form
    size, pixels = form.inputs["input_size"], form.inputs["spacing_mm"]
    form.inputs["start_from"].setCurrentIndex(0)
    size.setValue(128)
    form.inputs["start_from"].setCurrentIndex(1)
    assert form.problem_text == "" and form.config().input_size == 128 and size.isEnabled() and not pixels.isEnabled()
    assert "levels and pixel size are those of thigh_tissues" in form.held_words.text()
    form.inputs["start_from"].setCurrentIndex(2)
    assert form.config().input_size == 256 and not size.isEnabled()
    form.inputs["start_from"].setCurrentIndex(0)
    assert form.config().input_size == 128 and size.isEnabled() and pixels.isEnabled()


def test_an_input_size_that_slices_are_fitted_into_is_the_nearest_to_that_of_the_model(
    panel: TrainPanel, room: Room
) -> None:
    room.show_cases(*SET)
    room.show_models(model(input_size=400, spacing_mm=0.0))
    form = panel.set_up.form
    form.inputs["start_from"].setCurrentIndex(1)
    assert form.config().input_size == 416 and not form.inputs["input_size"].isEnabled()
    said = "levels and pixel size are those of thigh_tissues. The input size is the nearest to its 400 that"
    assert said in form.held_words.text()


def test_the_summary_says_the_settings_in_one_line() -> None:
    config = TrainConfig(start_from="/models/starter")
    assert settings_summary(config) == "U-Net base 16 · CE + Dice · 40 epochs · from “starter”"


# ---------------------------------------------------------------------- a run


def test_a_live_run_shows_epoch_device_time_left_and_curves(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    import time

    write_run(room.project_folder, "run 3", 2)
    room.runs.follow("run 3", [])
    qtbot.waitUntil(panel.run.run_card.isVisible)
    assert "Starting" in panel.run.progress_words.text()
    assert panel.currentWidget() is panel.run
    assert not panel.set_up.start_button.isEnabled()
    assert "“run 3” is training" in panel.set_up.start_words.text()
    now = time.time()
    for event in (started(time_s=now), *batches(1), epoch(1, time_s=now), epoch(2, time_s=now)):
        room.runs.say(event)
    qtbot.waitUntil(lambda: panel.run.progress_words.text().startswith("epoch 3 of 40 · 6 min left · NVIDIA RTX A2000"))
    assert panel.run.progress.value() == 50
    assert panel.run.data_words.text() == "27 people, 380 slices · validation: 4 people, 32 slices"
    qtbot.waitUntil(lambda: panel.run.config_words.text().startswith("U-Net base 16"))
    qtbot.waitUntil(lambda: panel.run.preview.epoch_words.text() == "epoch 2")
    qtbot.waitUntil(lambda: bool(panel.run.curves._items))
    qtbot.waitUntil(lambda: np.size(panel.run.curves._items["val"].getOriginalDataset()[0]) == 2)


def test_a_run_validated_on_phantoms_says_so(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    room.runs.follow("run 3", [started(phantoms=True)])
    qtbot.waitUntil(panel.run.phantom_words.isVisible)
    assert "does not measure new people" in panel.run.phantom_words.text()


def test_pause_go_on_and_stop_ask_the_run(
    panel: TrainPanel, room: Room, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.runs.follow("run 3", whole_run(2))
    qtbot.waitUntil(panel.run.pause_button.isEnabled)
    panel.run.pause_button.click()
    room.runs.say(batches(3)[0])
    qtbot.waitUntil(lambda: not panel.run._soon.isActive())
    assert "Pausing" in panel.run.progress_words.text(), "until it has paused"
    room.runs.say(Paused(0.0, "run 3", True))
    qtbot.waitUntil(lambda: panel.run.pause_button.text() == "Go on")
    assert "paused" in panel.run.progress_words.text()
    panel.run.pause_button.click()
    room.runs.say(Paused(0.0, "run 3", False))
    qtbot.waitUntil(lambda: panel.run.pause_button.text() == "Pause")
    monkeypatch.setattr(dialogs, "ask_stop_training", lambda *_: False)
    panel.run.stop_button.click()
    assert room.runs.wishes == ["pause", "resume"]
    monkeypatch.setattr(dialogs, "ask_stop_training", lambda *_: True)
    panel.run.stop_button.click()
    assert room.runs.wishes[-1] == "stop"
    room.runs.say(batches(3)[1])
    qtbot.waitUntil(lambda: not panel.run._soon.isActive())
    assert "being saved" in panel.run.progress_words.text(), "until it has ended"
    assert not panel.run.stop_button.isEnabled() and not panel.run.pause_button.isEnabled()


def test_a_run_that_goes_on_says_what_it_prepares_not_where_it_was() -> None:
    status = RunStatus([*whole_run(4), Preparing(9.0, "run 3", "building the network")])
    assert status.line().startswith("Starting: building the network")
    assert status.seconds_left is None


def test_a_finished_run_offers_its_model(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    room.runs.follow("run 3", [*whole_run(40), finished("/p/models/run 3")])
    qtbot.waitUntil(panel.run.end_card.isVisible)
    assert not panel.run.end_card.use_button.isEnabled()
    room.show_models(model(), model("run 3", "project", Path("/p/models/run 3")))
    assert "epoch 24 of 40" in panel.run.end_card.text.text()
    assert "Dice 0.927" in panel.run.end_card.text.text()
    assert "Started from" not in panel.run.end_card.text.text()
    panel.run.end_card.use_button.click()
    assert room.wishes[-1] == ("choose_model", "run 3")
    assert panel.run.run_card.isHidden()
    panel.run.end_card.new_button.click()
    assert panel.set_up.form.isVisible()


def test_a_model_not_compared_yet_is_used_after_a_word_and_one_click(
    panel: TrainPanel, room: Room, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(room.gate, "compare", lambda new, old: asked.append((new.card.name, old.card.name)))
    folder = room.project_folder / "models" / "run 3"
    parent = {"name": "thigh_tissues", "weights_sha256": "a" * 64}
    new = model("run 3", "project", folder, weights_sha256="b" * 64, lineage={"run": "run 3", "parent": parent})
    room.runs.follow("run 3", [*whole_run(40), finished(str(folder))])
    room.show_models(model(weights_sha256="a" * 64), new)
    end = panel.run.end_card
    qtbot.waitUntil(lambda: end.isVisible() and end.use_button.text() == "Use anyway")
    assert end.doubt_words.text() == (
        "run 3 is not compared with thigh_tissues yet: nobody knows which one is better."
    )  # fmt: skip
    end.compare_button.click()
    assert panel.currentWidget() is panel.result and asked == [("run 3", "thigh_tissues")] and room.wishes == []
    end.use_button.click()
    assert room.wishes == [("choose_model", "run 3")] and end.use_button.text() == "In use"
    assert end.doubt_words.isVisibleTo(panel.run), "and the word stays true"


def test_a_finished_run_tells_how_the_model_it_started_from_did(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    end = replace(finished(), parent="thigh_tissues", parent_val=Scores(0.3, 0.96, 0.9051))
    room.runs.follow("run 3", [*whole_run(40), end])
    qtbot.waitUntil(panel.run.end_card.isVisible)
    line = "Started from thigh_tissues: Dice 0.905\u00a0→\u00a00.927 on the same slices."
    assert line in panel.run.end_card.text.text().splitlines()


def test_a_run_whose_patience_ended_says_so(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    room.runs.follow("run 3", [*whole_run(27), replace(finished(), epochs=27, early=True)])
    qtbot.waitUntil(panel.run.end_card.isVisible)
    assert panel.run.end_card.title.text() == "Finished early"


def test_a_failed_run_shows_cause_and_last_lines_and_can_go_on(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    room.runs.can_go_on = True
    room.runs.follow("run 3", [*whole_run(3), failure()])
    qtbot.waitUntil(panel.run.end_card.isVisible)
    assert "The memory does not hold" in panel.run.end_card.text.text()
    assert "smaller batch" in panel.run.end_card.hint.text()
    assert "are kept" in panel.run.end_card.hint.text()
    assert "ResourceExhaustedError" in panel.run.end_card.lines.toPlainText()
    panel.run.end_card.copy_button.click()
    assert "ResourceExhaustedError" in QGuiApplication.clipboard().text()
    panel.run.end_card.go_on_button.click()
    assert room.runs.wishes == ["go on"]


def test_a_run_stopped_before_its_first_batch_says_so_calmly(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    nothing = Failed(0.0, "run 3", "The run was stopped before anything was learnt.", "Start it again.", stopped=True)
    room.runs.follow("run 3", [*whole_run(0), nothing])
    card = panel.run.end_card
    qtbot.waitUntil(card.isVisible)
    assert card.title.text() == "Stopped"
    assert card.text.text() == nothing.message and card.hint.text() == nothing.hint
    assert not (card.lines.isVisible() or card.copy_button.isVisible() or card.use_button.isVisible())


def test_after_reopening_the_whole_curve_is_there_again(room: Room, qtbot: QtBot) -> None:
    room.runs.follow("run 3", whole_run(27))
    again = TrainPanel(room)
    qtbot.addWidget(again)
    again.resize(360, 800)
    again.show()
    assert len(again.run.curves.data.epochs) == 27
    qtbot.waitUntil(again.run.run_card.isVisible)


def check(panel: TrainPanel, run: str, on: bool = True) -> None:
    """As a click on the entry of the menu."""
    action = next(a for a in panel.run.compare.menu.actions() if a.data() == run)
    assert action.isChecked() != on
    action.trigger()


def test_earlier_runs_can_be_laid_beneath(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    write_run(room.project_folder, "run 0", 6)
    write_run(room.project_folder, "run 1", 4)
    write_run(room.project_folder, "run 2", 0)
    write_run(room.project_folder, "run 3", 2)
    room.runs.follow("run 3", whole_run(2))
    qtbot.waitUntil(panel.run.compare.isVisible)
    assert [a.data() for a in panel.run.compare.menu.actions()] == ["run 1", "run 0"]
    assert panel.run.compare.button.text() == "no other run"
    panel.run.compare.button.click()
    assert panel.run.compare.menu.isVisible()
    panel.run.compare.menu.close()
    check(panel, "run 1")
    qtbot.waitUntil(panel.run.curves.others.isVisible)
    assert len(panel.run.curves.others.runs[0].data.epochs) == 4
    assert panel.run.compare.button.text() == "run 1"
    check(panel, "run 0")
    qtbot.waitUntil(lambda: [run.name for run in panel.run.curves.others.runs] == ["run 1", "run 0"])
    assert panel.run.compare.button.text() == "2 runs"
    check(panel, "run 1", on=False)
    assert [run.name for run in panel.run.curves.others.runs] == ["run 0"]
    check(panel, "run 0", on=False)
    assert not panel.run.curves.others.isVisible()


def test_the_menu_of_earlier_runs_stays_open_while_they_are_checked(
    panel: TrainPanel, room: Room, qtbot: QtBot
) -> None:
    for name in ("run 1", "run 3"):
        write_run(room.project_folder, name, 2)
    room.runs.follow("run 3", whole_run(2))
    qtbot.waitUntil(panel.run.compare.isVisible)
    menu = panel.run.compare.menu
    menu.popup(QPoint(0, 0))
    qtbot.waitUntil(menu.isVisible)
    QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(menu.actions()[0]).center())
    assert panel.run.compare.checked == ["run 1"]
    assert menu.isVisible()
    menu.close()
    qtbot.waitUntil(panel.run.curves.others.isVisible)


def freeze_of(project: Project, run: str) -> None:
    freeze(project, run_folder(project.folder, run), TrainConfig())


def test_runs_that_were_validated_on_others_are_not_compared_in_silence(room: Room, qtbot: QtBot) -> None:
    folder = room.project_folder / "study"
    project = Project.create(folder, "study")
    for person in range(2):
        add_person(project, room.project_folder, person, f"person {person}", table=tissue_table())
    freeze_of(project, "run 1")
    add_person(project, room.project_folder, 2, "person 2", table=tissue_table())
    freeze_of(project, "run 2")
    assert project.subjects()["person 2"] == "validation", "the third person is the first to validate"
    add_person(project, room.project_folder, 9, "person 2", table=tissue_table())
    freeze_of(project, "run 3")
    freeze_of(project, "run 4")
    project.close()
    for run in ("run 1", "run 2", "run 3", "run 4"):
        said = "".join(e.to_line() + "\n" for e in whole_run(3))
        run_folder(folder, run).events.write_text(said)
    room.project_folder = folder
    panel = TrainPanel(room)
    qtbot.addWidget(panel)
    panel.resize(360, 800)
    panel.show()
    room.runs.follow("run 3", whole_run(3))
    qtbot.waitUntil(lambda: len(panel.run.compare.menu.actions()) == 3)

    def doubt_about(run: str) -> str:
        for name in panel.run.compare.checked:
            check(panel, name, on=False)
        check(panel, run)
        qtbot.waitUntil(panel.run.curves.others.isVisible)
        return panel.run.curves.doubts.words.text() if panel.run.curves.doubts.isVisible() else ""

    assert doubt_about("run 4") == ""
    plain = panel.run.curves.picture("run 3").height()
    one = "run 1 was validated on made-up thighs, this run on 1 person: the validation lines are not comparable."
    assert doubt_about("run 1") == one
    qtbot.waitUntil(lambda: panel.run.curves.picture("run 3").height() > plain + 20)  # the picture says it too
    two = "run 2 was validated on 4 slices, this run on 8, not the same ones: the validation lines are not comparable."
    assert doubt_about("run 2") == two


def test_curves_are_saved_as_png_and_csv(
    panel: TrainPanel, room: Room, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    room.runs.follow("run 3", whole_run(5))
    qtbot.waitUntil(panel.run.curves.isVisible)
    monkeypatch.setattr(dialogs, "ask_save_picture", lambda *_: tmp_path / "c.png")
    monkeypatch.setattr(dialogs, "ask_save_csv", lambda *_: tmp_path / "c.csv")
    panel.run.curves.picture_button.click()
    panel.run.curves.table_button.click()
    qtbot.waitUntil(lambda: (tmp_path / "c.png").exists() and (tmp_path / "c.csv").exists())
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    assert len((tmp_path / "c.csv").read_text().splitlines()) == 6
    assert not (tmp_path / "c-people.csv").exists()
    room.runs.follow("run 3", run_of_people(5))
    panel.run.curves.table_button.click()
    qtbot.waitUntil((tmp_path / "c-people.csv").exists)


def test_the_slider_shows_earlier_epochs(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    write_run(room.project_folder, "run 3", 5)
    room.runs.follow("run 3", whole_run(5))
    qtbot.waitUntil(lambda: panel.run.preview.epoch_words.text() == "epoch 5")
    panel.run.preview.slider.setValue(2)
    qtbot.waitUntil(lambda: panel.run.preview.epoch_words.text() == "epoch 2")
    room.runs.say(epoch(6))
    assert panel.run.preview.slider.value() == 2


def test_a_preview_is_coloured_cut_to_the_body_and_ignores_what_nobody_judged(tmp_path: Path) -> None:
    image = np.zeros((50, 80), np.uint8)
    image[20:40, 30:60] = 100
    truth = np.zeros_like(image)
    truth[25:30, 35:40] = 1
    truth[30:35, 35:40] = 255
    path = tmp_path / "epoch_001.npz"
    colours = np.array([[0, 0, 0], [255, 0, 0]], np.uint8)
    np.savez(path, image=image, truth=truth, prediction=truth * 0, colours=colours, is_validation=False)
    read = read_preview(path)
    assert read.truth.shape[0] < 30
    assert read.truth.shape[1] < 40
    red = (read.truth[..., 0].astype(int) - read.truth[..., 1] > 40).sum()
    assert red == 25
    assert not read.is_validation
    assert (read.prediction[..., 0] == read.prediction[..., 1]).all()


def test_the_start_of_a_training_says_what_goes_on() -> None:
    status = RunStatus()
    assert status.phase == "starting" and "slices are read" in status.line()
    status.add(Preparing(1.0, "one", "read 22 slices of sub-01 for train"))
    assert status.phase == "starting" and "read 22 slices of sub-01 for train" in status.line()


def test_time_left_is_told_from_steady_batches_not_from_the_one_that_builds_the_network() -> None:
    status = RunStatus([started(8, time_s=100.0, val_slices=114)])
    said = [replace(batches(1)[0], time=160.0 + 2 * step, step=step, steps=20) for step in range(1, 21)]
    for event in said[:3]:
        status.add(event)
        assert status.seconds_left is None
        assert "estimating time" in status.line()
    status.add(said[3])
    an_epoch = 2 * 20 * 1.1
    assert status.seconds_left == pytest.approx(an_epoch * 8 - 4 * an_epoch / 20)
    for event in said[4:]:
        status.add(event)
    status.add(replace(epoch(1, 8), time=220.0, seconds=120.0, seconds_left=840.0))
    assert status.seconds_left == pytest.approx(an_epoch * 7), "the first epoch's own length has the building in it"
    import time

    status.add(replace(epoch(2, 8), time=time.time(), seconds=45.0, seconds_left=270.0))
    assert status.seconds_left == pytest.approx(270.0, abs=5)


def test_the_bar_moves_until_the_first_batch_is_done(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    room.runs.follow("run 3", [])
    assert panel.run.progress.maximum() == 0
    room.runs.say(started(40))
    qtbot.waitUntil(lambda: "epoch 1" in panel.run.progress_words.text())
    assert panel.run.progress.maximum() == 0
    room.runs.say(batches(1)[0])
    qtbot.waitUntil(lambda: panel.run.progress.maximum() == 1000)


def test_a_run_that_starts_brings_its_page_into_view(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    room.show_cases(*SET)
    assert panel.currentWidget() is panel.set_up
    room.runs.follow("run 2", [*whole_run(8, 8), finished("run 2")])
    qtbot.waitUntil(panel.run.end_card.new_button.isVisible)
    bar = panel.run.verticalScrollBar()
    panel.resize(360, 500)
    qtbot.waitUntil(lambda: bar.maximum() > 200)
    bar.setValue(200)
    panel.run.end_card.new_button.click()
    assert panel.currentWidget() is panel.set_up
    panel.set_up.start_button.click()
    room.runs.follow("run 3", [])
    qtbot.waitUntil(
        lambda: panel.run.run_card.isVisible() and panel.run.run_card.visibleRegion().boundingRect().top() == 0
    )
    assert bar.value() == 0
    room.runs.say(started(40))
    qtbot.waitUntil(lambda: "epoch 1" in panel.run.progress_words.text())
    assert bar.value() == 0


def test_no_training_starts_beside_a_study(panel: TrainPanel, room: Room) -> None:
    room.show_cases(*SET)
    assert panel.set_up.start_button.isEnabled()
    panel.set_up.show_study("folds 1")
    assert not panel.set_up.start_button.isEnabled()
    assert "The study “folds 1” is at work" in panel.set_up.start_words.text()
    panel.set_up.show_study("")
    assert panel.set_up.start_button.isEnabled()


def test_pages_without_a_run_say_what_will_be_there(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    assert panel.run.run_card.isHidden() and panel.run.curves_card.isHidden() and panel.run.about_card.isHidden()
    panel.setCurrentWidget(panel.run)
    assert panel.run.empty_card.isVisible()
    panel.run.empty_card.findChild(QPushButton).click()
    assert panel.currentWidget() is panel.set_up
    panel.setCurrentWidget(panel.result)
    assert panel.result.empty_card.isVisible() and "after a training" in panel.result.empty_words.text()
    room.runs.follow("run 3", whole_run(3))
    qtbot.waitUntil(lambda: "when “run 3” has finished" in panel.result.empty_words.text())
    assert panel.run.empty_card.isHidden()
    room.runs.say(finished())
    qtbot.waitUntil(panel.result.empty_card.isHidden)


def test_a_stroke_only_touches_the_line_about_the_open_case(panel: TrainPanel, room: Room) -> None:
    paint(room.session, 0)
    room.session.accept((0,))
    assert "1 of 12 slices reviewed" in panel.set_up.set_card.this_case.text()
