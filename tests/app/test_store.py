"""Store: in order, one commit each, nothing lost when the disk is full, nobody waits."""

import errno
import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "io"))
import strokes

from thighview.app import store as store_module
from thighview.app.store import Store
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.io.project import Project


@pytest.fixture(autouse=True)
def application(qapp):
    return qapp


@pytest.fixture
def store(tmp_path, qtbot):
    made = Store(tmp_path / "p")
    with qtbot.waitSignal(made.open().succeeded):
        pass
    yield made
    made.close()


def result_of(qtbot, job):
    with qtbot.waitSignal(job.succeeded, timeout=10_000) as signal:
        pass
    return signal.args[0]


def add_case(qtbot, store):
    case = strokes.new_case()
    case.case_id = result_of(qtbot, store.call(lambda project: project.add_case(case)))
    return case


def failed_tries(states) -> int:
    """How many writes have failed: each says so."""
    return sum(state.phase == "error" for state in states)


def reopened(store) -> Project:
    assert store.close() == 0
    return Project.open(store.folder)


def test_edits_are_written_in_order(store, qtbot):
    case, rng = add_case(qtbot, store), np.random.default_rng(1)
    states = []
    store.save_changed.connect(states.append)
    for _ in range(300):
        store.append(case.case_id, 1, strokes.step(case, rng))
    store.set_table(case.case_id, LabelTable((Label(2, "femur"),)))
    loaded = result_of(qtbot, store.call(lambda project: project.load_case(case.case_id)))
    assert strokes.same(loaded, case) and loaded.table.get(2)
    qtbot.waitUntil(lambda: store.state.phase == "saved")
    assert states[0].phase == "saving" and states[-1].phase == "saved" and states[-1].unsaved == 0
    assert {s.phase for s in states} == {"saving", "saved"}
    project = reopened(store)
    assert strokes.same(project.load_case(case.case_id), case)
    project.close()


def test_append_never_waits_for_the_disk(store, qtbot):
    case, rng = add_case(qtbot, store), np.random.default_rng(1)
    gate = threading.Event()
    store.call(lambda project: gate.wait(20))
    start = time.perf_counter()
    for _ in range(100):
        store.append(case.case_id, 1, strokes.step(case, rng))
    assert time.perf_counter() - start < 5 and store.unsaved == 100
    gate.set()
    project = reopened(store)
    assert strokes.same(project.load_case(case.case_id), case)
    project.close()


def test_signals_come_on_the_window_thread(store, qtbot):
    case = add_case(qtbot, store)
    threads = set()
    store.save_changed.connect(lambda _: threads.add(threading.get_ident()))
    store.append(case.case_id, 1, ("edit", strokes.stroke(case, np.random.default_rng(0))))
    qtbot.waitUntil(lambda: len(threads) == 1 and store.state.phase == "saved")
    assert threads == {threading.get_ident()}


def test_a_call_that_fails_says_so_and_the_store_goes_on(store, qtbot):
    with qtbot.waitSignal(store.call(lambda project: project.load_case(77)).failed) as failed:
        pass
    assert isinstance(failed.args[0], UserError)

    def disk(project):
        raise sqlite3.OperationalError("disk I/O error")

    with qtbot.waitSignal(store.call(disk).failed) as failed:
        pass
    assert isinstance(failed.args[0], UserError) and "disk I/O error" in str(failed.args[0])
    assert result_of(qtbot, store.call(lambda project: project.cases())) == []


def test_a_project_that_is_open_elsewhere_is_refused(store, qtbot):
    second = Store(store.folder)
    with qtbot.waitSignal(second.open().failed) as failed:
        pass
    assert "another window" in str(failed.args[0])
    with qtbot.waitSignal(second.call(lambda project: 1).failed):
        pass
    second.append(1, 1, ("undo", None))
    qtbot.waitUntil(lambda: second.state.phase == "error")
    assert second.close() == 1


def test_leaving_does_not_wait(store, qtbot):
    case, rng = add_case(qtbot, store), np.random.default_rng(1)
    gate = threading.Event()
    store.call(lambda project: gate.wait(20))
    store.append(case.case_id, 1, strokes.step(case, rng))
    job = store.leave()
    assert store.unsaved == 1
    with qtbot.waitSignal(job.succeeded) as left:
        gate.set()
    assert left.args[0] == 0
    with pytest.raises(RuntimeError, match="closed"):
        store.append(case.case_id, 1, strokes.step(case, rng))
    with qtbot.waitSignal(store.leave().succeeded):
        pass


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("disk I/O error"),
        OSError(errno.ENOSPC, "No space left on device"),
        sqlite3.OperationalError("attempt to write a readonly database"),
    ],
)
@pytest.mark.parametrize("after_commit", [False, True])
def test_a_disk_that_fails_and_recovers_loses_and_doubles_nothing(store, qtbot, monkeypatch, error, after_commit):
    """Also when the commit had reached the disk although an error was reported."""
    monkeypatch.setattr(store_module, "RETRY_S", 0.05)
    case, rng = add_case(qtbot, store), np.random.default_rng(1)
    broken, whole = threading.Event(), Project._touch

    def touch(self, case_id):
        whole(self, case_id)
        if broken.is_set():
            if after_commit:
                self._connection.execute("COMMIT")
            raise error

    monkeypatch.setattr(Project, "_touch", touch)
    states = []
    store.save_changed.connect(states.append)
    store.append(case.case_id, 1, strokes.step(case, rng))
    qtbot.waitUntil(lambda: store.unsaved == 0)
    broken.set()
    for _ in range(20):
        store.append(case.case_id, 1, strokes.step(case, rng))
    qtbot.waitUntil(lambda: store.state.phase == "error")
    assert "kept in memory" in store.state.message
    if not after_commit:
        tries = failed_tries(states) + 3
        qtbot.waitUntil(lambda: failed_tries(states) >= tries)
        assert store.unsaved == 20
    broken.clear()
    qtbot.waitUntil(lambda: store.state.phase == "saved")
    assert store.unsaved == 0
    project = reopened(store)
    assert strokes.same(project.load_case(case.case_id), case)
    project.close()


def test_an_edit_that_does_not_fit_stays_red_and_does_not_stop_the_rest(store, qtbot, caplog):
    case = add_case(qtbot, store)
    store.append(case.case_id, 1, ("undo", None))
    store.append(case.case_id, 1, ("edit", strokes.stroke(case, np.random.default_rng(0))))
    loaded = result_of(qtbot, store.call(lambda project: project.load_case(case.case_id)))
    assert strokes.same(loaded, case)
    assert store.state.phase == "error" and "fault of the program" in store.state.message
    assert "does not fit" in caplog.text


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 8 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root on Linux")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_loses_nothing_once_there_is_space(small_disk, qtbot, monkeypatch, request):
    monkeypatch.setattr(store_module, "RETRY_S", 0.1)
    store = Store(small_disk / "p")
    request.addfinalizer(store.close)
    result_of(qtbot, store.open())
    case, rng = add_case(qtbot, store), np.random.default_rng(1)
    for _ in range(10):
        store.append(case.case_id, 1, strokes.step(case, rng))
    qtbot.waitUntil(lambda: store.unsaved == 0)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(1024))
    for _ in range(400):
        store.append(case.case_id, 1, strokes.step(case, rng))
    qtbot.waitUntil(lambda: store.state.phase == "error")
    assert "full" in store.state.message and store.unsaved > 0
    store.append(case.case_id, 1, strokes.step(case, rng))
    ballast.unlink()
    qtbot.waitUntil(lambda: store.state.phase == "saved", timeout=20_000)
    project = reopened(store)
    loaded = project.load_case(case.case_id)
    assert strokes.same(loaded, case) and loaded.warnings == ()
    project.close()


def test_closing_on_a_full_disk_tells_how_much_is_not_saved(store, qtbot, monkeypatch):
    case = add_case(qtbot, store)

    def full(self, *_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Project, "append", full)
    store.append(case.case_id, 1, ("edit", strokes.stroke(case, np.random.default_rng(0))))
    qtbot.waitUntil(lambda: store.state.phase == "error")
    job = store.call(lambda project: 1)
    assert store.close() == 1
    with qtbot.waitSignal(job.failed, raising=False, timeout=2000):
        pass
    assert job.is_over


def test_a_folder_that_goes_away_and_comes_back(store, qtbot, monkeypatch):
    monkeypatch.setattr(store_module, "RETRY_S", 0.05)
    case, rng = add_case(qtbot, store), np.random.default_rng(1)
    states = []
    store.save_changed.connect(states.append)
    away = store.folder.with_name("away")
    store.folder.rename(away)
    for _ in range(5):
        store.append(case.case_id, 1, strokes.step(case, rng))
    qtbot.waitUntil(lambda: failed_tries(states) >= 3)
    away.rename(store.folder)
    qtbot.waitUntil(lambda: store.state.phase == "saved")
    project = reopened(store)
    assert strokes.same(project.load_case(case.case_id), case)
    project.close()


def test_a_worker_that_waits_for_a_closed_project_is_told(store):
    store.close()
    with pytest.raises(UserError, match="project was closed"):
        store.wait_for(lambda project: project.cases())
