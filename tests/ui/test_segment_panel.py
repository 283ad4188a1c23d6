import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from panel_room import TISSUES, Room, SegmentJob, WriteNow, make_case, model, paint, tissue_table
from pytestqt.qtbot import QtBot
from window_room import open_window

from thighview.app import jobs
from thighview.core.case import Case
from thighview.core.labels import LabelTable
from thighview.core.volume import Volume
from thighview.io.project import Project
from thighview.ui.segment_panel import SegmentPanel, card_figures, match_labels


@pytest.fixture
def room() -> Room:
    made = Room()
    made.session.open(make_case())
    made.show_models(model(), model("run 2", "project"))
    return made


@pytest.fixture
def panel(room: Room, qtbot: QtBot) -> SegmentPanel:
    made = SegmentPanel(room)
    qtbot.addWidget(made)
    made.resize(360, 800)
    made.show()
    return made


def test_segment_asks_for_the_chosen_model(panel: SegmentPanel, room: Room) -> None:
    panel.segment_button.click()
    panel.chooser.setCurrentIndex(1)
    panel.chooser.activated.emit(1)
    panel.segment_button.click()
    assert room.wishes == [("segment", "thigh_tissues"), ("choose_model", "run 2"), ("segment", "run 2")]


def test_it_says_what_will_be_segmented_and_what_stays(panel: SegmentPanel, room: Room) -> None:
    for index in range(3):
        paint(room.session, index)
    room.session.accept((0, 1))
    assert panel.slices_words.text().startswith("9 slices will be segmented")
    assert panel.kept_words.text() == "2 reviewed and 1 being edited stay as they are."
    for index in range(3, 12):
        paint(room.session, index)
    assert not panel.segment_button.isEnabled()
    assert panel.slices_words.text() == "All 12 slices are protected: being edited or reviewed."
    assert "let the model redo single ones" in panel.doubt_words.text()


def test_slices_that_are_missing_in_the_files_are_not_left_to_segment(panel: SegmentPanel, room: Room) -> None:
    taken = make_case()
    room.session.open(Case.of(replace(taken.volume, missing=(4, 5)), Path("/scans/gap.nii.gz")))
    assert panel.slices_words.text().startswith("10 slices will be segmented")
    for index in set(range(12)) - {4, 5}:
        paint(room.session, index)
    assert not panel.segment_button.isEnabled()
    assert panel.slices_words.text() == "All 10 slices are protected: being edited."


def test_a_slice_being_edited_can_be_handed_to_the_model(panel: SegmentPanel, room: Room) -> None:
    paint(room.session, 3)
    room.session.go_to_slice(2)
    assert not panel.redo_button.isVisible()
    room.session.go_to_slice(3)
    panel.redo_button.click()
    assert room.wishes == [("segment", "thigh_tissues", (3,))]
    room.session.accept((3,))
    assert not panel.redo_button.isVisible(), "what is reviewed is reopened first"


def test_a_scan_too_coarse_for_the_model_is_told_before(panel: SegmentPanel, room: Room) -> None:
    taken = make_case()
    sideways = np.array([[0, 0, 4.5, 0], [0, 0.6, 0, 0], [0.6, 0, 0, 0], [0, 0, 0, 1.0]])[:, [2, 1, 0, 3]]
    volume = Volume(taken.volume.voxels, sideways)
    room.session.open(Case.of(volume, Path("/scans/knee.nii.gz")))
    assert "4.5 x" in panel.slices_words.text() or "x 4.5 mm" in panel.slices_words.text()
    assert "axial slices" in panel.doubt_words.text() and not panel.segment_button.isEnabled()
    assert panel.run_card.note.text() == ""
    fine = Volume(taken.volume.voxels, np.diag([1.0, 1.0, 1.0, 1.0]))
    room.session.open(Case.of(fine, Path("/scans/isotropic.nii.gz")))
    assert panel.doubt_words.text().startswith("This scan was taken in sagittal slices.")
    assert panel.segment_button.isEnabled() and not panel.redo_button.isVisible()


def test_the_wait_before_the_first_slice_is_explained(panel: SegmentPanel, room: Room) -> None:
    room.run_segment(SegmentJob())
    assert panel.progress_words.text() == "The engine is starting…"
    room.engine.become(phase="ready", device="CPU")
    assert panel.progress_words.text() == "Preparing the slices…"


def test_progress_time_left_and_cancel(panel: SegmentPanel, room: Room, double_click_ms: Callable[[int], None]) -> None:
    job = SegmentJob()
    double_click_ms(60_000)
    room.run_segment(job)
    assert panel.cancel_button.isVisible()
    assert not panel.segment_button.isVisible()
    job.seconds_left = 21.0
    job.progressed.emit(4, 12)
    assert panel.progress_words.text() == "4 of 12 slices · 21 s left"
    assert (panel.progress.value(), panel.progress.maximum()) == (4, 12)
    panel.cancel_button.click()
    assert room.wishes == [], "it may be the second press of a double click on what was there before"
    double_click_ms(0)
    panel.cancel_button.click()
    assert room.wishes == [("cancel_segment",)]
    room.run_segment(None)
    assert panel.segment_button.isVisible()
    assert not panel.cancel_button.isVisible()


def test_a_model_that_was_held_back_or_never_compared_is_called_so(tmp_path: Path, qtbot: QtBot) -> None:
    old, new = "a" * 64, "b" * 64
    Project.create(tmp_path).close()
    (tmp_path / "models" / "promotions.json").write_text(json.dumps({"line": [old], "held": []}))
    room = Room(tmp_path)
    panel = SegmentPanel(room)
    qtbot.addWidget(panel)
    entries = (
        model("run 2", "project", tmp_path / "models" / "run 2", weights_sha256=old),
        model("run 3", "project", tmp_path / "models" / "run 3", weights_sha256=new),
    )
    room.show_models(*entries)
    qtbot.waitUntil(lambda: room.gate.promotions.active == old)
    assert panel.gate_words.isHidden()
    room.choose_model(entries[1])
    assert panel.gate_words.text() == "run 3 is not compared with run 2 yet: nobody knows which one is better."
    room.store = WriteNow(tmp_path)
    room.gate.hold(entries[1])
    qtbot.waitUntil(lambda: panel.gate_words.text() == "run 3 is held back: somebody decided against it.")
    room.choose_model(entries[0])
    assert panel.gate_words.isHidden()
    jobs.shutdown()


def test_a_dead_engine_is_said_with_a_way_on(panel: SegmentPanel, room: Room) -> None:
    room.engine.become(phase="ready", device="NVIDIA RTX A2000")
    assert panel.engine_card.note.text() == "NVIDIA RTX A2000"
    assert not panel.restart_button.isVisible()
    room.engine.become(phase="dead", message="The engine ended unexpectedly (signal 9).")
    assert "Nothing you painted is lost" in panel.engine_words.text()
    assert "signal 9" in panel.engine_message.text()
    assert panel.engine_card.y() < panel.model_card.y(), "the button is in sight without scrolling"
    assert panel.segment_button.isEnabled(), "segmenting starts it again, as the button above does"
    panel.restart_button.click()
    assert room.engine.restarts == 1
    room.engine.become(phase="ready", device="CPU")
    assert panel.segment_button.isEnabled()


def test_without_a_model_it_says_how_to_get_one(panel: SegmentPanel, room: Room) -> None:
    room.show_models()
    assert panel.no_model.isVisible()
    assert "Train one in the Train tab" in panel.no_model.text()
    assert not panel.segment_button.isEnabled()


def test_no_model_is_said_only_when_it_has_been_looked_for(qtbot: QtBot) -> None:
    with open_window(qtbot) as window:
        panel = window.panel("Segment")
        assert isinstance(panel, SegmentPanel)
        window.session.open(make_case())
        assert panel.no_model.isHidden() and panel.slices_words.text() == "Looking for models…"
        window.workspace.models_changed.emit(())
        assert not panel.no_model.isHidden() and "no model" in panel.slices_words.text()


def test_without_a_scan_nothing_can_run(panel: SegmentPanel, room: Room) -> None:
    room.session.open(None)
    assert panel.slices_words.text() == "Open a scan to segment it."
    assert not panel.segment_button.isEnabled()


def test_a_model_chosen_elsewhere_is_chosen_here(panel: SegmentPanel, room: Room) -> None:
    room.choose_model(room.models[1])
    assert panel.model is room.models[1]
    room.show_models(*room.models, model("third"))
    assert panel.model is room.models[1]


def test_two_models_of_one_name_can_be_told_apart(panel: SegmentPanel, room: Room) -> None:
    room.show_models(model(), model(place="user", folder=Path("/other/thigh_tissues")))
    assert {panel.chooser.itemText(i) for i in range(2)} == {"thigh_tissues (box)", "thigh_tissues (user)"}


def test_statement_and_figures_of_the_card_are_shown(panel: SegmentPanel) -> None:
    assert panel.statement.text().startswith("Trained only on computer-generated thighs")
    tip = panel.statement.toolTip()
    assert "<b>Made for</b><br>A first mask on axial MRI of thighs." in tip
    assert "<b>Limits</b><br>Hip &amp; lower leg were never shown." in tip
    assert panel.figures_heading.text() == "Dice on made-up thighs it has never seen"
    assert [name for name, _ in panel.chips.shown][1] == "Muscle L R"


def test_figures_of_a_trained_model_name_what_they_were_measured_on() -> None:
    scores = {"validation": "phantoms", "val": {"dice": 0.9, "loss": 0.1}, "val_dice": {"muscle": 0.95, "femur": None}}
    heading, lines = card_figures(scores)
    assert "no validation person" in heading
    assert lines == [("mean", "0.900"), ("muscle", "0.950")]
    assert "nothing was held out" in card_figures(scores | {"validation": "none"})[0]
    assert card_figures(scores | {"validation": "people"}, 1)[0] == "Dice on 1 validation person"


def test_figures_of_a_model_of_the_box_say_what_was_measured_on_a_person() -> None:
    thigh = {"what": "said", "as T1": {"all muscles": 0.943, "points": 0.88}, "as STIR": {"femur": 0.9}}
    _, lines = card_figures({"mean": 0.9, "contrasts": {}, "real_thigh": thigh})
    assert lines[-2:] == [("real thigh as T1: all muscles", "0.943"), ("real thigh as T1: points", "0.880")]


def test_labels_are_matched_by_name_and_side() -> None:
    table = tissue_table()
    assert match_labels(table, table).line() == "All 10 labels exist in this case already."
    assert match_labels(table, LabelTable()).line() == "All 10 labels will be added to this case."
    one = LabelTable(tuple(table)[:1])
    title = next(iter(one)).title
    assert match_labels(one, LabelTable()).line() == f"The label {title} will be added to this case."
    assert match_labels(one, table).line() == f"The label {title} exists in this case already."
    half = LabelTable(tuple(label for label in table if label.side == "left"))
    assert (
        match_labels(table, half).line().startswith("5 labels exist in this case, 5 will be added: Subcutaneous fat R")
    )
    moved = LabelTable(tuple(replace(label, value=label.value + 20) for label in table))
    assert len(match_labels(table, moved).known) == 2 * len(TISSUES)
