"""Run folders: names, lock, control, events."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from thighview.core.errors import UserError
from thighview.core.run import BatchEnded, Failed, Paused
from thighview.io import runs
from thighview.io.locks import Holder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path: Path) -> runs.RunFolder:
    folder = runs.run_folder(tmp_path, "one")
    folder.path.mkdir(parents=True)
    return folder


def _batch(step: int) -> BatchEnded:
    return BatchEnded(1.0, "one", 1, step, 10, 0.5)


def test_names_are_unique_and_safe(tmp_path: Path) -> None:
    assert runs.free_run_name(tmp_path) == "run 1"
    (tmp_path / "runs" / "run 1").mkdir(parents=True)
    (tmp_path / "models" / "run 2").mkdir(parents=True)
    assert runs.free_run_name(tmp_path) == "run 3"
    assert runs.free_run_name(tmp_path, "wide") == "wide"
    (tmp_path / "runs" / "Wide").mkdir()
    assert runs.free_run_name(tmp_path, "wide") == "wide 2"
    for bad in ("../x", "", ".x", "a/b", "a.", "x" * 99):
        with pytest.raises(UserError):
            runs.run_folder(tmp_path, bad)


def test_a_run_whose_folder_got_a_name_that_no_run_can_have_is_not_listed(tmp_path: Path) -> None:
    for name in ("run 1", "run 2 [good]"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "dataset.json").write_text("{}")
    assert [runs.run_folder(tmp_path, run.name).name for run in runs.run_folders(tmp_path)] == ["run 1"]


@pytest.mark.parametrize("name", ["CON", "nul", "aux.1", "com1", "Lpt9.txt", "com¹", "prn .x"])
def test_a_name_that_windows_keeps_for_a_device_is_refused(tmp_path: Path, name: str) -> None:
    assert not runs.is_safe_name(name)
    with pytest.raises(UserError, match="Windows"):
        runs.free_run_name(tmp_path, name)
    assert all(map(runs.is_safe_name, (f"a {name}", "control", "com", "com10", "nul 1", "auxiliary")))


def test_only_one_process_is_at_work(run: runs.RunFolder) -> None:
    assert not run.alive
    with runs.at_work(run):
        assert run.alive
        with pytest.raises(UserError, match="going on already"), runs.at_work(run):
            pass
    assert not run.alive


def test_a_lock_of_a_process_that_is_gone_is_taken_over(run: runs.RunFolder) -> None:
    me = Holder.me()
    run.lock.write_text(json.dumps({"pid": me.pid, "started": "another time", "host": me.host}))
    assert not run.alive
    with runs.at_work(run):
        assert run.alive
    code = (
        "import sys, os; from pathlib import Path; from thighview.io import runs;"
        "held = runs.at_work(runs.RunFolder(Path(sys.argv[1]))); held.__enter__(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(run.path)], check=True)
    assert run.lock.exists()
    assert not run.alive


def test_a_lock_that_came_with_a_copied_project_bars_nothing_for_ever(run: runs.RunFolder) -> None:
    run.lock.write_text(json.dumps({"pid": 1, "started": "x", "host": "reading-room-7"}))
    assert run.alive, "it may be at work there, on a shared folder"
    with pytest.raises(UserError) as refused, runs.at_work(run):
        pass
    assert "on the computer reading-room-7" in refused.value.message
    assert f"delete {run.lock}" in refused.value.hint
    long_ago = run.lock.stat().st_mtime - 3600
    os.utime(run.lock, (long_ago, long_ago))
    assert not run.alive
    with pytest.raises(UserError, match="going on already"), runs.at_work(run):
        pass
    run.events.write_text("")
    assert run.alive, "it has said something just now"


def test_control(run: runs.RunFolder) -> None:
    assert runs.read_control(run) == "run"
    runs.write_control(run, "pause")
    assert runs.read_control(run) == "pause"
    run.control.write_bytes(b"\xff\xfe")
    assert runs.read_control(run) == "run"


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits")
def test_what_does_not_fit_on_the_disk_leaves_no_half_line(run: runs.RunFolder) -> None:
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from thighview.io.runs import *; from thighview.core.run import *\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 2000))\n"
        "log, told = EventLog(RunFolder(Path(sys.argv[1]))), 0\n"
        "try:\n"
        "    while True: log.append(BatchEnded(1.0, 'one', told, 1, 2, 0.5)); told += 1\n"
        "except OSError as error: print(told, error.errno)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "log.append(Failed(1.0, 'one', 'the disk is full'))\n"
    )
    words = (sys.executable, "-c", code, str(run.path))
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    told = int(done.stdout.split()[0])
    assert run.events.read_text().count("\n") == told + 1 > 2
    found = runs.EventTail(run.events).read_all()
    assert [e.epoch for e in found[:-1] if isinstance(e, BatchEnded)] == list(range(told))
    assert isinstance(found[-1], Failed)


def test_tail_waits_for_the_end_of_a_line(run: runs.RunFolder) -> None:
    tail = runs.EventTail(run.events)
    assert tail.read() == []
    line = _batch(1).to_line().encode() + b"\n"
    run.events.write_bytes(line[:20])
    assert tail.read() == []
    with run.events.open("ab") as file:
        file.write(line[20:] + b"not json\n\n" + b'{"event": "unknown"}\n' + line[:-1])
    assert tail.read() == [_batch(1)]
    with run.events.open("ab") as file:
        file.write(b"\n")
    assert tail.read() == [_batch(1)]
    run.events.write_bytes(line)
    assert tail.read() == [_batch(1)]


def test_tail_reads_in_small_pieces(run: runs.RunFolder) -> None:
    log = runs.EventLog(run)
    for step in range(50):
        log.append(_batch(step))
    log.close()
    tail = runs.EventTail(run.events)
    got = []
    for _ in range(2000):
        got += tail.read(limit_bytes=17)
    assert got == [_batch(step) for step in range(50)]
    assert runs.EventTail(run.events).read_all() == got


def test_a_line_longer_than_a_look_is_read_whole(run: runs.RunFolder) -> None:
    """Else whoever finds nothing new takes a study that is done for one that died without a last word."""
    log = runs.EventLog(run)
    log.append(_batch(1))
    log.append(_batch(2))
    log.close()
    tail = runs.EventTail(run.events)
    assert [tail.read(limit_bytes=9), tail.read(limit_bytes=9), tail.read()] == [[_batch(1)], [_batch(2)], []]


def test_a_line_cut_by_a_kill_does_not_swallow_the_next(run: runs.RunFolder) -> None:
    run.events.write_bytes(b'{"event": "bat')
    log = runs.EventLog(run)
    log.append(_batch(7))
    log.close()
    assert runs.EventTail(run.events).read_all() == [_batch(7)]


def test_last_lines_and_end(run: runs.RunFolder) -> None:
    assert runs.last_log_lines(run) == ()
    run.log.write_text("a\n\nb\r50%\r100%\n" + "c\n" * 3, "utf-8")
    assert runs.last_log_lines(run, 4) == ("100%", "c", "c", "c")
    assert runs.has_ended([_batch(1), Failed(1.0, "one", "x"), _batch(2)])
    assert not runs.has_ended([Failed(1.0, "one", "x"), Paused(2.0, "one", True)])


def test_broken_json_is_refused(run: runs.RunFolder) -> None:
    with pytest.raises(UserError):
        runs.read_config(run)
    run.config.write_text("[1]")
    with pytest.raises(UserError):
        runs.read_config(run)
    run.config.write_text('{"epochs": 3}')
    assert runs.read_config(run).epochs == 3
    assert [path.name for path in run.path.iterdir()] == ["config.json"]
