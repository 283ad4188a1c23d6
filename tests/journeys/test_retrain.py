"""A person retrains: live curves, a model to use, a training that outlives its window, one that is killed."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication, QComboBox

from journeys.conftest import OpenWindow, SharedEngine, make_person
from journeys.hands import LONG_MS, Hands
from thighview.app import training
from thighview.core.case import Case
from thighview.core.review import SliceReview, SliceState
from thighview.core.run import EpochEnded, Failed, Finished, TrainConfig
from thighview.io.project import Project
from thighview.io.reading import read_volume, sha256_of
from thighview.io.records import ModelRow
from thighview.ui.train_panel import TrainPanel

PEOPLE, SLICES, EDGE = 3, 4, 64
CONFIG = TrainConfig(base_filters=4, levels=3, epochs=3, batch_size=4, input_size=EDGE, learning_rate=1e-2)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of three made-up people, every slice drawn, all in the training set."""
    folder = tmp_path_factory.mktemp("study")
    project = Project.create(folder / "Leg study", "Leg study")
    for seed in range(20, 20 + PEOPLE):
        made = make_person(folder / "scans", seed, SLICES, (48, 64))
        volume = read_volume(made.scan)
        case = Case.of(volume, made.scan, sha256_of(made.scan), f"sub-{seed}")
        case.title = made.scan.name.removesuffix(".nii.gz")
        case.table = made.phantom.table
        case.labels[...] = made.phantom.labels
        case.reviews = [SliceReview(SliceState.DRAWN)] * SLICES
        project.add_case(case, in_training_set=True)
    project.close()
    return project.folder


def panel_of(hands: Hands) -> TrainPanel:
    hands.window.show_tab("Train")
    panel = hands.window.panel("Train")
    assert isinstance(panel, TrainPanel)
    return panel


def start(hands: Hands, name: str, epochs: int = CONFIG.epochs) -> TrainPanel:
    """Fill the form in and press Start."""
    panel = panel_of(hands)
    panel.set_up.form.show_config(CONFIG)
    panel.set_up.form.run_name.setText(name)
    panel.set_up.form.inputs["epochs"].setValue(epochs)  # type: ignore[attr-defined]
    hands.until(panel.set_up.start_button.isEnabled)
    hands.click(panel.set_up.start_button)
    hands.until(lambda: hands.workspace.runs.name == name)
    return panel


def epochs_of(hands: Hands) -> list[int]:
    return [event.epoch for event in hands.workspace.runs.history if isinstance(event, EpochEnded)]


def test_from_start_to_a_model_that_segments(
    room: OpenWindow, study: Path, running_engine: SharedEngine, models: Path
) -> None:
    hands = room(engine=running_engine)
    hands.choose("open_folder", study)
    hands.until(lambda: hands.workspace.project_folder == study and len(hands.workspace.cases) == PEOPLE)
    panel = panel_of(hands)
    assert panel.set_up.set_card.found.reviewed == PEOPLE * SLICES
    hands.picture("retrain-before")
    start(hands, "first")
    hands.until(lambda: panel.run.run_card.isVisible())
    hands.picture("retrain-starting")
    hands.until(lambda: epochs_of(hands) or hands.errors, LONG_MS)
    hands.until(lambda: not hands.workspace.runs.is_going_on, LONG_MS)
    assert isinstance(hands.workspace.runs.history[-1], Finished), hands.workspace.runs.history[-1]
    assert epochs_of(hands) == [1, 2, 3]
    hands.until(lambda: len(panel.run.curves.data.epochs) == 3)
    for metric in ("loss", "accuracy", "dice"):
        for which in ("val", "while_learning"):
            x, y = panel.run.curves.data.line(metric, which)
            assert list(x) == [1, 2, 3] and np.isfinite(y).all(), (metric, which)
        x, _ = panel.run.curves.data.line(metric, "train")
        assert set(x) >= {1, 3}, "the honest training line has its first and last point"
    x, _ = panel.run.curves.data.line("loss", "batch")
    assert len(x) >= 3
    panel.run.ensureWidgetVisible(panel.run.curves_card)
    hands.until(lambda: panel.run.curves._items and len(panel.run.curves._items["val"].getData()[0]) == 3)
    hands.until(lambda: panel.run.preview.isVisible() and panel.run.preview.pictures._pictures)
    hands.picture("retrain-curves")
    panel.run.ensureWidgetVisible(panel.run.preview_card)
    hands.picture("retrain-preview")
    assert panel.run.curves.picture("run 1").width() > 300
    assert len(panel.run.curves.data.to_csv().splitlines()) == 4

    hands.until(lambda: "first" in [m.card.name for m in hands.workspace.models])
    hands.until(panel.run.end_card.use_button.isEnabled)
    hands.click(panel.run.end_card.use_button)
    hands.picture("retrain-finished")
    chosen = hands.workspace.chosen_model
    assert chosen is not None and chosen.card.name == "first" and chosen.place == "project"
    known: list[ModelRow] = []
    assert hands.workspace.store is not None
    hands.workspace.store.call(lambda project: project.models()).succeeded.connect(known.extend)
    hands.until(lambda: known)
    assert [(m.name, m.folder, m.run) for m in known] == [("first", study / "models" / "first", "first")]
    assert known[0].weights_sha256 == chosen.card.weights_sha256
    chooser = hands.window.panel("Segment").chooser  # type: ignore[attr-defined]
    assert isinstance(chooser, QComboBox) and chooser.currentText() == "first"

    scan = make_person(study.parent / "new", 30, 4, (48, 64)).scan
    hands.drop(scan)
    hands.until_open("sub-30")
    hands.click(hands.window.top.segment)
    hands.until_run_ends()
    assert hands.states == [SliceState.MODEL] * 4
    assert hands.case.labels.any()
    assert {b.key for b in hands.case.table} >= {"muscle_left", "muscle_right"}
    hands.until_saved()
    hands.picture("retrain-segmented")
    assert hands.errors == []


def test_it_outlives_the_window_and_a_kill_is_told(room: OpenWindow, study: Path) -> None:
    hands = room(study, ready=False)
    hands.until(lambda: hands.workspace.project_folder == study and len(hands.workspace.cases) >= PEOPLE)
    start(hands, "second", epochs=10_000)
    hands.until(lambda: len(epochs_of(hands)) >= 2, LONG_MS)
    run = hands.workspace.runs.run
    assert run is not None
    asked = hands.answer("Keep it running")
    hands.window.close()
    assert "still training" in asked[0]
    assert not hands.window.isVisible() and run.alive
    seen = len(epochs_of(hands))

    again = room()  # by itself, as from the menu of the desktop
    assert again.workspace.project_folder == study
    again.until(lambda: len(again.workspace.cases) >= PEOPLE)
    again.until(lambda: len(epochs_of(again)) > seen, LONG_MS)
    assert again.workspace.runs.name == "second"
    heard = epochs_of(again)
    assert heard == list(range(1, len(heard) + 1)), "the whole curve, from the first epoch"
    panel = panel_of(again)
    again.until(lambda: panel.run.stop_button.isVisible())
    again.picture("retrain-found-again")

    os.kill(training.children[run.path].process.pid, signal.SIGKILL)
    again.until(lambda: not again.workspace.runs.is_going_on)
    failure = again.workspace.runs.history[-1]
    assert isinstance(failure, Failed) and "SIGKILL" in failure.message
    again.until(lambda: panel.run.end_card.isVisible() and panel.run.end_card.go_on_button.isVisible())
    assert "SIGKILL" in panel.run.end_card.text.text() and panel.run.end_card.lines.toPlainText()
    assert "kept" in panel.run.end_card.hint.text()
    assert (run.checkpoint / "last.safetensors").exists() or list(run.checkpoint.iterdir())
    panel.run.ensureWidgetVisible(panel.run.end_card)
    QApplication.processEvents()
    again.picture("retrain-killed")
    assert hands.errors == again.errors == []
