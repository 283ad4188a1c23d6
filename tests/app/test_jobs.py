"""Jobs: threads and processes with the same signals, and nothing left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QThread

from thighview.app import jobs, lanes
from thighview.core.errors import UserError
from thighview.io.child import find_function


class Listener:
    """Writes down what a job says, and on which thread."""

    def __init__(self, job):
        self.heard = []
        self.threads = set()
        for name in ("progressed", "said", "succeeded", "failed", "ended"):
            getattr(job, name).connect(lambda *values, name=name: self._hear(name, values))

    def _hear(self, name, values):
        self.heard.append((name, *values))
        self.threads.add(QThread.currentThread())

    def names(self):
        return [row[0] for row in self.heard]


def finish(qtbot, job, timeout=20000):
    listener = Listener(job)
    qtbot.waitUntil(lambda: job.is_over, timeout=timeout)
    return listener


def written(path):
    return path.exists() and path.stat().st_size > 0


def test_a_thread_job_reports_and_succeeds_on_the_window_s_thread(qtbot):
    worker = []

    def work(report, stopped):
        worker.append(threading.current_thread())
        report(1, 2)
        report.say({"half": True})
        report(2, 2)
        return np.arange(3)

    listener = finish(qtbot, jobs.run_in_thread(work))
    assert listener.names() == ["progressed", "said", "progressed", "succeeded", "ended"]
    assert listener.heard[0] == ("progressed", 1, 2) and listener.heard[3][1].tolist() == [0, 1, 2]
    assert listener.threads == {QThread.currentThread()}
    assert worker[0] is not threading.current_thread()


@pytest.mark.parametrize("error", [UserError("It is damaged.", "Copy it again."), ZeroDivisionError("a bug")])
def test_what_work_raises_arrives_as_failed(qtbot, error, caplog):
    def work(report, stopped):
        raise error

    listener = finish(qtbot, jobs.run_in_thread(work))
    assert listener.heard == [("failed", error), ("ended",)]
    assert bool(caplog.records) == (not isinstance(error, UserError))


def test_work_that_would_end_its_thread_fails_and_its_lane_goes_on(qtbot):
    one = jobs.run_in_thread(lambda report, stopped: sys.exit(3), lane="files")
    two = jobs.run_in_thread(lambda report, stopped: 5, lane="files")
    failed, listener = Listener(one), finish(qtbot, two)
    assert failed.names() == ["failed", "ended"] and "SystemExit(3)" in str(failed.heard[0][1])
    assert listener.heard == [("succeeded", 5), ("ended",)]


def test_jobs_of_one_lane_run_in_turn_and_lanes_side_by_side(qtbot):
    order, gate = [], threading.Event()

    def first(report, stopped):
        assert gate.wait(10)
        order.append("first")

    one = jobs.run_in_thread(first, lane="files")
    two = jobs.run_in_thread(lambda report, stopped: order.append("second"), lane="files")
    other = jobs.run_in_thread(lambda report, stopped: order.append("other"), lane="hashing")
    qtbot.waitUntil(lambda: other.is_over)
    gate.set()
    qtbot.waitUntil(lambda: one.is_over and two.is_over)
    assert order == ["other", "first", "second"]


def test_a_cancelled_job_ends_without_a_result(qtbot):
    started = threading.Event()

    def work(report, stopped):
        started.set()
        while not stopped():
            time.sleep(0.005)
        report(1, 1)
        return "too late"

    job = jobs.run_in_thread(work)
    never = jobs.run_in_thread(lambda report, stopped: pytest.fail("it was cancelled while it waited"))
    assert started.wait(5)
    never.cancel()
    job.cancel()
    assert job.cancelled
    listener = Listener(job)
    other = finish(qtbot, never)
    assert listener.names() == ["ended"] and other.names() == ["ended"]


def test_cancelling_after_the_work_is_done_still_keeps_the_result_back(qtbot):
    done = threading.Event()
    job = jobs.run_in_thread(lambda report, stopped: done.set())
    assert done.wait(5)
    job.cancel()
    assert finish(qtbot, job).names() == ["ended"]


def test_nobody_needs_to_keep_a_job(qtbot):
    heard = []
    jobs.run_in_thread(lambda report, stopped: 5).succeeded.connect(heard.append)
    qtbot.waitUntil(lambda: heard == [5])
    qtbot.waitUntil(lambda: not jobs.running())


def test_many_short_jobs_all_arrive(qtbot):
    heard = []
    for i in range(300):
        job = jobs.run_in_thread(lambda report, stopped, i=i: i, lane=f"lane {i % 3}")
        job.succeeded.connect(heard.append)
    qtbot.waitUntil(lambda: not jobs.running(), timeout=10000)
    assert sorted(heard) == list(range(300))


# --- processes: functions of this program are called by their path, so a stand-in module takes thighview's place ---

_STANDIN = """
import os, time
import numpy as np
from thighview.core.errors import UserError

def echo(*arguments):
    return {"arguments": list(arguments), "pid": os.getpid()}

def arrays(report):
    report(1, 3)
    report.say(["half"])
    return {"n": 2}, {"a": np.arange(24, dtype=np.int16).reshape(2, 3, 4), "b": np.zeros(0, ">f4")}

def user():
    raise UserError("It is damaged.", "Copy it again.")

def bug():
    return 1 / 0

def die():
    os.kill(os.getpid(), 9)

def sleep(path):
    with open(path, "w") as f:
        f.write(str(os.getpid()))
    time.sleep(60)
    return {}

def pickle_me():
    return {"x": object()}
"""


@pytest.fixture
def standin(tmp_path, monkeypatch):
    """``thighview.standin`` importable in children: a folder on the path that extends the package."""
    folder = tmp_path / "extra"
    folder.mkdir()
    (folder / "standin.py").write_text(_STANDIN)
    (folder / "sitecustomize.py").write_text(f"import thighview\nthighview.__path__.append({str(folder)!r})\n")
    root = Path(jobs.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(root)]))
    return "thighview.standin:"


def test_a_process_job_has_the_same_signals(qtbot, standin):
    listener = finish(qtbot, jobs.run_in_process(standin + "arrays"))
    assert listener.names() == ["progressed", "said", "succeeded", "ended"]
    result, arrays = listener.heard[2][1]
    assert result == {"n": 2}
    assert arrays["a"].dtype == np.int16 and arrays["a"].tolist() == np.arange(24).reshape(2, 3, 4).tolist()
    assert arrays["b"].shape == (0,) and arrays["b"].dtype == ">f4"
    assert listener.threads == {QThread.currentThread()}


def test_arguments_go_as_json_to_another_process(qtbot, standin):
    listener = finish(qtbot, jobs.run_in_process(standin + "echo", "a", 2, [None]))
    result, arrays = listener.heard[0][1]
    assert result["arguments"] == ["a", 2, [None]] and result["pid"] != os.getpid() and arrays == {}


@pytest.mark.parametrize(
    ("function", "kind", "words"),
    [
        ("user", UserError, "It is damaged. Copy it again."),
        ("bug", jobs.ChildError, "ZeroDivisionError"),
        ("die", UserError, "by signal 9"),
        ("pickle_me", jobs.ChildError, "not JSON serializable"),
        ("nothing", jobs.ChildError, "AttributeError"),
    ],
)
def test_a_child_that_fails_says_why(qtbot, standin, function, kind, words):
    listener = finish(qtbot, jobs.run_in_process(standin + function))
    assert listener.names() == ["failed", "ended"]
    error = listener.heard[0][1]
    assert isinstance(error, kind) and words in str(error)
    if function == "bug":
        assert "return 1 / 0" in error.details


def test_a_child_past_its_deadline_is_killed(qtbot, standin, tmp_path):
    listener = finish(qtbot, jobs.run_in_process(standin + "sleep", str(tmp_path / "pid"), deadline_s=1.5))
    assert "longer than it may" in str(listener.heard[0][1])
    _assert_gone(tmp_path / "pid")


def test_cancel_kills_the_child_within_a_moment(qtbot, standin, tmp_path):
    job = jobs.run_in_process(standin + "sleep", str(tmp_path / "pid"))
    qtbot.waitUntil(lambda: written(tmp_path / "pid"), timeout=20000)
    before = time.monotonic()
    job.cancel()
    assert finish(qtbot, job).names() == ["ended"]
    assert time.monotonic() - before < 2
    _assert_gone(tmp_path / "pid")


def test_shutdown_cancels_waits_and_leaves_nothing(qtbot, standin, tmp_path):
    saved = []

    def save(report, stopped):
        time.sleep(0.2)
        assert not stopped()
        saved.append(True)

    child = jobs.run_in_process(standin + "sleep", str(tmp_path / "pid"))
    must = jobs.run_in_thread(save, lane="saving", must_finish=True)
    listener = Listener(must)
    qtbot.waitUntil(lambda: written(tmp_path / "pid"), timeout=20000)
    assert jobs.shutdown()
    assert saved and listener.names() == ["succeeded", "ended"]
    assert child.is_over and not jobs.running()
    _assert_gone(tmp_path / "pid")


def test_a_child_dies_with_its_parent(standin, tmp_path):
    script = (
        "from PySide6.QtCore import QCoreApplication\n"
        "from thighview.app import jobs\n"
        "if __name__ == '__main__':\n"
        "    app = QCoreApplication([])\n"
        f"    job = jobs.run_in_process('{standin}sleep', {str(tmp_path / 'pid')!r})\n"
        "    app.exec()\n"
    )
    (tmp_path / "parent.py").write_text(script)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")])
    until = time.monotonic() + 20
    while not written(tmp_path / "pid"):
        assert time.monotonic() < until
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _assert_gone(tmp_path / "pid")


def test_only_functions_of_this_program_are_run():
    for path in ("os:system", "thighview.core.errors", "thighview.core.errors:a.b", "thighviewer:x"):
        with pytest.raises(ValueError, match="expected"):
            find_function(path)


def _assert_gone(pid_file):
    pid = int(pid_file.read_text())
    until = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]:
        assert time.monotonic() < until, "the child is still there"
        time.sleep(0.02)


def test_the_thread_of_a_lane_waits_for_the_next_job_and_ends_at_the_shutdown(qtbot):
    threads = []
    for _ in range(2):
        finish(qtbot, jobs.run_in_thread(lambda report, stopped: threads.append(threading.current_thread())))
    assert threads[0] is threads[1]
    assert jobs.shutdown()
    assert not threads[0].is_alive() and not lanes.idle_threads()
    finish(qtbot, jobs.run_in_thread(lambda report, stopped: threads.append(threading.current_thread())))
    assert threads[2] is not threads[0]
