"""A person lets a model draw: slices fill in, work goes on meanwhile, cancel is at once, a dead engine is no harm."""

import os
import signal
import time
from collections.abc import Callable

import numpy as np
from PySide6.QtCore import Qt

from journeys.conftest import Made, OpenWindow, SharedEngine
from journeys.hands import CTRL, LONG_MS, Hands
from thighview.app.engine_link import Engine
from thighview.app.segment_job import SliceResult
from thighview.core.review import SliceState
from thighview.io.models import ModelEntry

MODEL, EDITING, DRAWN, UNSEEN = SliceState.MODEL, SliceState.EDITING, SliceState.DRAWN, SliceState.UNSEEN
LAST = 7


def draw_one(hands: Hands, index: int, accept: bool) -> None:
    """A stroke on a slice, accepted or left as it is."""
    hands.go_to(index)
    hands.key(Qt.Key.Key_B)
    hands.drag(index, [(48, 40), (48, 50)])
    if accept:
        hands.key(Qt.Key.Key_A)


def test_slices_fill_in_while_another_one_is_painted(
    room: OpenWindow, thigh: Made, running_engine: SharedEngine, slow_model: ModelEntry
) -> None:
    hands = room(thigh.scan, running_engine)
    session = hands.window.session
    draw_one(hands, 0, accept=True)
    draw_one(hands, 1, accept=False)
    kept = hands.case.labels[:2].copy()
    hands.take_model(slow_model)
    filled: list[int] = []
    hands.click(hands.window.top.segment)
    job = hands.workspace.segment_job
    assert job is not None
    job.slice_ready.connect(lambda result: filled.append(result.index))
    hands.until(lambda: filled, LONG_MS)
    assert len(filled) < 6, "it was over before anything could be done meanwhile"
    assert hands.case.labels[filled[0]].any()
    hands.go_to(LAST)
    hands.drag(LAST, [(60, 100), (60, 110)])
    mine = hands.case.labels[LAST].copy()
    assert mine.any()
    hands.picture("segment-running")
    assert hands.window.top.segment.text().strip().startswith("Cancel")
    hands.until_run_ends()
    assert hands.states == [DRAWN, EDITING, *[MODEL] * 5, EDITING]
    assert (hands.case.labels[:2] == kept).all() and (hands.case.labels[LAST] == mine).all()
    assert session.history.names[-2:] == ("Brush · label 1 · slice 8", "Segment · slow")
    unsure = [review.uncertainty for review in hands.case.reviews]
    assert None not in unsure[2:7] and unsure[:2] == [None, None]
    everything = hands.case.labels.copy()
    hands.picture("segment-ended")
    hands.key(Qt.Key.Key_Z, CTRL)
    assert not hands.case.labels[2:7].any() and (hands.case.labels[LAST] == mine).all(), "one undo takes it all back"
    assert hands.states == [DRAWN, EDITING, *[UNSEEN] * 5, EDITING]
    hands.key(Qt.Key.Key_Y, CTRL)
    assert (hands.case.labels == everything).all()
    hands.until_saved()
    hands.window.close()

    again = room(thigh.scan, running_engine)
    assert (again.case.labels == everything).all()
    assert again.window.session.history.undo_name == "Segment · slow"
    assert again.states == [DRAWN, EDITING, *[MODEL] * 5, EDITING]
    assert [review.uncertainty for review in again.case.reviews] == unsure
    assert hands.errors == again.errors == []


def test_cancel_is_at_once_and_takes_everything_back(
    room: OpenWindow,
    thigh: Made,
    running_engine: SharedEngine,
    slow_model: ModelEntry,
    double_click_ms: Callable[[int], None],
) -> None:
    double_click_ms(0)
    hands = room(thigh.scan, running_engine)
    session = hands.window.session
    hands.take_model(slow_model)
    draw_one(hands, 0, accept=True)
    before = hands.case.labels.copy()
    late: list[SliceResult] = []
    hands.click(hands.window.top.segment)
    job = hands.workspace.segment_job
    assert job is not None
    job.slice_ready.connect(late.append)
    hands.until(lambda: late, LONG_MS)
    late.clear()
    began = time.perf_counter()
    hands.click(hands.window.top.segment)
    hands.until(lambda: session.busy_run is None and hands.workspace.segment_job is None)
    assert time.perf_counter() - began <= 0.3
    assert (hands.case.labels == before).all()
    assert hands.states == [DRAWN, *[UNSEEN] * 7]
    assert not hands.case.table.find("muscle", "left"), "the labels that only the cancelled run brought are gone"
    assert session.history.undo_name == "Accept slice 1"
    hands.until(lambda: running_engine.state.phase == "ready", LONG_MS)
    assert not late and (hands.case.labels == before).all(), "nothing comes after a cancel"
    assert hands.errors == []


def test_a_killed_engine_is_told_and_started_again(
    room: OpenWindow, thigh: Made, slow_model: ModelEntry, tiny_model: ModelEntry
) -> None:
    engine = Engine()
    hands = room(thigh.scan, engine)
    session = hands.window.session
    hands.take_model(slow_model)
    draw_one(hands, 0, accept=False)
    filled: list[SliceResult] = []
    hands.click(hands.window.top.segment)
    job = hands.workspace.segment_job
    assert job is not None
    job.slice_ready.connect(filled.append)
    hands.until(lambda: filled, LONG_MS)
    hands.drag(0, [(70, 40), (70, 50)])
    painted = hands.case.labels[0].copy()
    os.kill(engine.state.process_id, signal.SIGKILL)
    hands.until(lambda: engine.state.phase == "dead")
    hands.until_run_ends()
    assert len(hands.errors) == 1 and "signal 9" in str(hands.errors[0])
    assert "ended unexpectedly" in hands.window.notices.shown[-1].message
    assert (hands.case.labels[0] == painted).all() and not hands.case.labels[1:].any()
    assert session.history.names == ("Brush · label 1 · slice 1",) * 2
    hands.picture("segment-engine-killed")

    panel = hands.window.panel("Segment")
    hands.click(panel.restart_button)  # type: ignore[attr-defined]
    hands.drag(0, [(20, 40), (20, 50)])
    painted = hands.case.labels[0].copy()
    hands.until(lambda: engine.state.phase == "ready", LONG_MS)
    assert not hands.window.notices.shown, "what it told of is over"
    assert panel.segment_button.isEnabled() and hands.window.top.segment.isEnabled()  # type: ignore[attr-defined]
    hands.take_model(tiny_model)
    hands.click(hands.window.top.segment)
    hands.until_run_ends()
    assert hands.states == [EDITING, *[MODEL] * 7]
    assert np.array_equal(hands.case.labels[0], painted)
    everything = hands.case.labels.copy()
    hands.until_saved()
    hands.window.close()

    again = room(thigh.scan)
    assert np.array_equal(again.case.labels, everything) and again.states == [EDITING, *[MODEL] * 7]
    assert len(hands.errors) == 1 and again.errors == []
