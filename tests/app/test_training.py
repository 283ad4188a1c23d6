"""Watching runs: events as they come, children that die, runs found again."""

import json
import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QTimer
from pytestqt.qtbot import QtBot
from pytestqt.wait_signal import SignalBlocker
from tiny_project import make_project

from thighview.app import jobs, run_story, training
from thighview.app.run_desk import RunDesk
from thighview.app.run_watch import RunWatch
from thighview.app.store import Store
from thighview.core.errors import UserError
from thighview.core.gap import decompose
from thighview.core.run import (
    BatchEnded,
    BatchHalved,
    EpochEnded,
    Failed,
    Finished,
    GapMeasured,
    Paused,
    Preparing,
    RunEvent,
    Scores,
    Started,
    TrainConfig,
)
from thighview.io.locks import Holder
from thighview.io.runs import EventLog, RunFolder, read_control, run_folder

SCORES = Scores(0.5, 0.9, 0.8)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = run_folder(tmp_path, "one")
    folder.path.mkdir(parents=True)
    folder.dataset.write_text("{}")
    folder.config.write_text('{"epochs": 3}')
    return folder


def _started(first: int = 1) -> Started:
    return Started(1.0, "one", "CPU", 3, 2, 8, 2, 4, 1, False, ("thigh",), first)


def _epoch(number: int, seconds: float = 1.0) -> EpochEnded:
    return EpochEnded(1.0, "one", number, 3, seconds, 1e-3, SCORES, SCORES, SCORES)


def _finished() -> Finished:
    return Finished(1.0, "one", "models/one", 2, 3, False, SCORES)


def _say(run: RunFolder, *events: object) -> None:
    log = EventLog(run)
    for event in events:
        log.append(event)  # type: ignore[arg-type]
    log.close()


def word(qtbot: QtBot, watch: RunWatch, kind: type | tuple[type, ...], timeout: int = 5000) -> SignalBlocker:
    """Wait until the watch has passed on an event of this kind."""
    return qtbot.waitSignal(watch.said, timeout=timeout, check_params_cb=lambda event: isinstance(event, kind))


def _child(run: RunFolder, body: str) -> tuple[str, ...]:
    """A command that holds the run's lock and does something."""
    code = (
        "import sys, time, os, signal; from pathlib import Path; from thighview.io.runs import *;"
        "from thighview.core.run import *; run = RunFolder(Path(sys.argv[1])); log = EventLog(run);"
        "held = at_work(run); held.__enter__();" + body + "; held.__exit__(None, None, None)"
    )
    return (sys.executable, "-c", code, str(run.path))


def test_events_arrive_while_they_are_written(qtbot: QtBot, run: RunFolder) -> None:
    body = (
        "log.append(Started(1.0, 'one', 'CPU', 3, 2, 8, 2, 4, 1, False, ('thigh',)));"
        "log.append(BatchEnded(1.0, 'one', 1, 1, 2, 0.5)); time.sleep(0.3);"
        "log.append(Finished(1.0, 'one', 'models/one', 2, 3, False, Scores(0.5)))"
    )
    training.start_run(run, _child(run, body))
    watch = RunWatch(run)
    order: list[RunEvent] = []
    watch.said.connect(order.append)
    with word(qtbot, watch, Finished, 20000) as said:
        watch.follow()
    assert [type(event) for event in order] == [Started, BatchEnded, Finished]
    assert said.args[0].model == "models/one"
    assert watch.is_over
    qtbot.waitUntil(lambda: run.path not in training.children, timeout=5000)
    watch.close()


@pytest.mark.parametrize(
    ("body", "words"), [("os.kill(os.getpid(), 9)", "SIGKILL"), ("print('no room'); sys.exit(3)", "code 3")]
)
def test_a_child_that_dies_has_failed_with_its_last_lines(qtbot: QtBot, run: RunFolder, body: str, words: str) -> None:
    start = "log.append(Started(1.0, 'one', 'CPU', 3, 2, 8, 2, 4, 1, False, ('thigh',))); print('so far', flush=True);"
    training.start_run(run, _child(run, start + body))
    watch = RunWatch(run)
    with word(qtbot, watch, Failed, 20000) as said:
        watch.follow()
    assert words in said.args[0].message
    assert "so far" in said.args[0].lines
    assert watch.history.state == "failed"
    qtbot.waitUntil(lambda: run.path not in training.children, timeout=5000)
    watch.close()


def test_a_child_that_died_on_a_full_disk_says_so(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "full" not in run_story.died(run, 2).message
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    failed = run_story.died(run, 2)
    assert "disk it writes to is full" in failed.message
    assert failed.hint.startswith("Make room")


def test_the_window_never_waits_for_a_look_at_the_lock(
    qtbot: QtBot, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a process is looked for with a command that takes its time, as on macOS."""
    me = Holder.me()
    run.lock.write_text(json.dumps({"pid": me.pid, "started": me.started, "host": me.host}))
    _say(run, _started())
    looked: list[float] = []

    def slowly(_: int) -> str:
        time.sleep(0.4)
        looked.append(time.monotonic())
        return me.started

    monkeypatch.setattr("thighview.io.locks.process_started", slowly)
    beats = [time.monotonic()]
    heart = QTimer()
    heart.timeout.connect(lambda: beats.append(time.monotonic()))
    heart.start(10)
    watch = RunWatch(run)
    watch.follow()
    qtbot.waitUntil(lambda: len(looked) >= 2, timeout=10000)
    heart.stop()
    watch.close()
    assert max(b - a for a, b in pairwise(beats)) < 0.3
    assert watch.history.state == "running"


def test_a_running_run_is_found_again_with_its_whole_curve(qtbot: QtBot, run: RunFolder) -> None:
    me = Holder.me()
    run.lock.write_text(json.dumps({"pid": me.pid, "started": me.started, "host": me.host}))
    _say(run, _started(), _epoch(1), _epoch(2))
    found = training.find_running(run.project)
    assert [r.name for r in found] == ["one"]
    watch = RunWatch(found[0])
    watch.follow()
    qtbot.waitUntil(lambda: len(watch.history.epochs) == 2, timeout=5000)
    assert watch.history.state == "running"
    run.lock.unlink()
    with word(qtbot, watch, Failed) as said:
        pass
    assert "without a last word" in said.args[0].message


def test_a_resumed_run_passes_over_its_earlier_end(qtbot: QtBot, run: RunFolder) -> None:
    _say(run, _started(), _epoch(1), _epoch(2), Failed(1.0, "one", "the power went"), _started(2), _epoch(2, 7.0))
    _say(run, _epoch(3), _finished())
    watch = RunWatch(run)
    told: list[RunEvent] = []
    watch.said.connect(told.append)
    with word(qtbot, watch, Finished):
        watch.follow()
    assert not [event for event in told if isinstance(event, Failed)]
    assert [(e.epoch, e.seconds) for e in watch.history.epochs] == [(1, 1.0), (2, 7.0), (3, 1.0)]
    watch.close()


def test_a_resumed_run_whose_process_dies_without_a_word_has_failed(qtbot: QtBot, run: RunFolder) -> None:
    """What is told is how the new process ended, not the last word of the one before."""
    _say(run, _started(), _epoch(1), _finished())
    training.start_run(run, (sys.executable, "-c", "print('no such module'); raise SystemExit(1)"))
    watch = RunWatch(run)
    with word(qtbot, watch, (Finished, Failed), 20000) as said:
        watch.follow()
    last = said.args[0]
    assert isinstance(last, Failed) and "code 1" in last.message and "no such module" in last.lines
    watch.close()


def test_a_run_gone_on_with_is_starting_until_its_process_speaks(qtbot: QtBot, run: RunFolder) -> None:
    """Nothing is told of the epoch it had come to as if that went on."""
    _say(run, _started(), _epoch(1), _finished())
    go = run.path / "go"
    wait = f"while not os.path.exists({str(go)!r}): time.sleep(0.02)"
    training.start_run(run, (sys.executable, "-c", f"import os, time\n{wait}\nraise SystemExit(1)"))
    watch = RunWatch(run)
    told: list[RunEvent] = []
    watch.said.connect(told.append)
    with word(qtbot, watch, Preparing, 20000):
        watch.follow()
    assert [type(event) for event in told] == [Started, EpochEnded, Preparing]
    with word(qtbot, watch, Failed, 20000):
        go.touch()
    watch.close()


def test_a_wish_to_stop_arrives_although_the_program_ends(qtbot: QtBot, run: RunFolder) -> None:
    _say(run, _started())
    desk = RunDesk()
    with qtbot.waitSignal(desk.run_changed):
        desk.follow_project(run.project)
    assert desk.names == {run.name}
    began, go = threading.Event(), threading.Event()
    jobs.run_in_thread(lambda *_: (began.set(), go.wait(20)), lane="runs")  # a look at a slow disk
    assert began.wait(20)
    desk.stop()
    desk.close()
    threading.Timer(0.2, go.set).start()
    assert jobs.shutdown()
    assert read_control(run) == "stop"


def test_past_runs_load_with_their_end(run: RunFolder) -> None:
    _say(run, _started(), BatchEnded(1.0, "one", 1, 1, 2, 0.5), _epoch(1))
    assert training.find_running(run.project) == []
    assert run_story.load_history(run).state == "failed"
    assert run_story.has_curve(run)
    assert run_story.can_resume(run)
    _say(run, _started(2), _epoch(2), _epoch(3), _finished())
    history = run_story.load_history(run)
    assert history.state == "finished"
    assert len(history.epochs) == 3
    assert not run_story.can_resume(run)


@pytest.mark.parametrize("end", ["killed", "failed"])
def test_a_run_that_ended_before_its_model_was_written_can_write_it(run: RunFolder, end: str) -> None:
    """All epochs are done; the disk was full, or the computer went off, between the last of them and the model."""
    _say(run, _started(), _epoch(1), _epoch(2), _epoch(3))
    if end == "failed":
        _say(run, Failed(1.0, "one", "no room"))
    assert run_story.can_resume(run)


def test_a_run_whose_patience_ended_is_at_its_end(run: RunFolder) -> None:
    _say(run, _started(), _epoch(1), replace(_finished(), epochs=1))
    assert run_story.can_resume(run)
    _say(run, replace(_finished(), epochs=1, early=True))
    assert not run_story.can_resume(run)


def test_a_run_that_failed_before_its_first_epoch_has_no_curve(run: RunFolder) -> None:
    assert not run_story.has_curve(run)
    _say(run, _started(), BatchEnded(1.0, "one", 1, 1, 2, 0.5), Failed(1.0, "one", "no room"))
    assert not run_story.has_curve(run)


def test_a_long_file_is_read_in_pieces(qtbot: QtBot, run: RunFolder) -> None:
    _say(run, _started(), *[BatchEnded(1.0, "one", 1, i, 9000, 0.5) for i in range(2000)], _epoch(1), _finished())
    watch = RunWatch(run)
    told: list[RunEvent] = []
    watch.said.connect(told.append)
    with word(qtbot, watch, Finished):
        watch.follow()
    assert sum(isinstance(event, BatchEnded) for event in told) == 2000
    watch.close()


def test_every_kind_of_event_of_a_run_is_passed_on(qtbot: QtBot, run: RunFolder) -> None:
    gap = GapMeasured(1.0, "one", 1, (decompose("loss", range(7), [1.0], [2.0]),))
    halved = BatchHalved(1.0, "one", 1, 2, 4, "the memory is short")
    said = (_started(), BatchEnded(1.0, "one", 1, 1, 2, 0.5), halved, _epoch(1), gap, Paused(1.0, "one", True))
    _say(run, *said, _finished())
    watch = RunWatch(run)
    found: list[RunEvent] = []
    watch.said.connect(found.append)
    with word(qtbot, watch, Finished):
        watch.follow()
    assert found == [*said, _finished()]
    watch.close()


def test_a_detached_training_starts_beside_a_checkout(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real command line from a folder that holds a checkout, to the run's first word; its end is a journey's."""
    (tmp_path / "here" / "thighview").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    store = Store(make_project(tmp_path, 1))
    store.open()
    config = TrainConfig(base_filters=2, levels=3, epochs=2, batch_size=4, input_size=32)
    run = training.freeze_run(store, config)
    with pytest.raises(UserError):
        training.freeze_run(store, config, run.name)
    assert store.close() == 0
    training.start_run(run)
    watch = RunWatch(run)
    with word(qtbot, watch, (Started, Failed), 240000) as said:
        watch.follow()
    first = said.args[0]
    assert isinstance(first, Started), first.lines
    training.children[run.path].process.kill()
    with word(qtbot, watch, Failed, 20000):
        pass
    qtbot.waitUntil(lambda: run.path not in training.children, timeout=20000)
    watch.close()


def test_a_run_of_a_newer_program_is_not_gone_on_with(run: RunFolder) -> None:
    """The window says so at once, and starts and changes nothing."""
    run.control.write_text("stop")
    for dataset, words in (('{"format": "thighview-run-9"}', "thighview-run-9"), ("{", "damaged")):
        run.dataset.write_text(dataset)
        before = {path: path.read_bytes() for path in run.path.iterdir()}
        with pytest.raises(UserError, match=words):
            training.resume_run(run)
        assert {path: path.read_bytes() for path in run.path.iterdir()} == before
    assert run.path not in training.children


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_killed_child_is_told_and_its_run_comes_to_the_same_curve(qtbot: QtBot, tmp_path: Path) -> None:
    """SIGKILL in the middle, from outside; compared with a run of the same seed that nobody disturbed."""
    store = Store(make_project(tmp_path, 3))
    store.open()
    config = TrainConfig(
        base_filters=2, levels=3, epochs=20, batch_size=4, input_size=32, dropout=0.2, ema=0.8, schedule="cosine",
        patience=19, seed=5, honest=False,
    )  # fmt: skip
    desk = RunDesk()
    curves: dict[str, dict[int, float | None]] = {}

    def kill(event: object) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 2:
            os.kill(desk.run.holder.pid, signal.SIGKILL)

    desk.follow_project(store.folder)
    for name in ("whole", "cut"):
        if name == "cut":
            desk.event_came.connect(kill)
        with qtbot.waitSignal(desk.run_ended, timeout=400000) as said:
            desk.start(store, name, config)
        if name == "cut":
            assert isinstance(said.args[0], Failed)
            assert "SIGKILL" in said.args[0].message
            assert "it can go on from there" in said.args[0].hint
            with qtbot.waitCallback(timeout=20000) as answered:
                desk.ask_can_go_on(answered)
            answered.assert_called_with(True)
            desk.event_came.disconnect(kill)
            with qtbot.waitSignal(desk.run_ended, timeout=400000) as said:
                desk.go_on()
        assert isinstance(said.args[0], Finished)
        curves[name] = {e.epoch: e.val.loss for e in desk.history if isinstance(e, EpochEnded)}
        run = desk.run
        qtbot.waitUntil(lambda run=run: run.path not in training.children, timeout=20000)
    assert curves["cut"] == pytest.approx(curves["whole"], abs=1e-5)
    assert len(curves["whole"]) == config.epochs
    desk.close()
    assert store.close() == 0


def test_a_run_outlives_whoever_started_it(tmp_path: Path, run: RunFolder) -> None:
    """The child is in a session of its own: what ends the window's group does not reach it."""
    training.start_run(run, _child(run, "time.sleep(30)"))
    child = training.children.pop(run.path).process
    until = time.monotonic() + 20
    while not run.alive and time.monotonic() < until:
        time.sleep(0.05)
    assert run.alive
    assert os.getsid(child.pid) != os.getsid(0)
    child.send_signal(signal.SIGTERM)
    child.wait()
    assert not run.alive


@pytest.mark.skipif(sys.platform != "linux", reason="priorities are looked up in /proc")
def test_a_training_stands_back_behind_the_window(run: RunFolder) -> None:
    """A session of its own gets an equal share of the processor from Linux' autogroup unless that is told, too."""
    training.start_run(run, _child(run, "time.sleep(30)"))
    child = training.children.pop(run.path).process
    try:
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == training.NICE
        group = Path(f"/proc/{child.pid}/autogroup")
        if group.exists():
            assert group.read_text().split()[-1] == str(training.NICE)
    finally:
        child.kill()
        child.wait()
