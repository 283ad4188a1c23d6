"""The process that compares two models: its progress, its answer, its refusals, its end."""

import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import thighview
from thighview.app.gate_process import compare_on_locked, read_result
from thighview.app.jobs import Stopped
from thighview.core.errors import UserError


class Report:
    def __init__(self) -> None:
        self.said: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.said.append((done, total))

    def say(self, message: object) -> None:
        raise AssertionError(message)


def run(tmp_path: Path, code: str, stopped: Callable[[], bool] = lambda: False) -> tuple[dict, Report]:
    report = Report()
    head = "import sys, json, pathlib, time\nwords = sys.argv[1:]\nfolder = pathlib.Path(words[-1])\n"
    (tmp_path / "child.py").write_text(head + code)
    command = (sys.executable, str(tmp_path / "child.py"))
    place = tmp_path / "runs" / "new" / "comparison"
    found = compare_on_locked(tmp_path, tmp_path / "n", tmp_path / "o", place, report, stopped, command)
    return found, report


GOOD = """
for done in range(3):
    print(json.dumps({"done": done, "total": 2}), file=sys.stderr, flush=True)
folder.mkdir()
(folder / "case_001.npz").write_bytes(b"x")
print(json.dumps({"words": words, "against": {}}))
"""


def test_answer_progress_and_pictures_arrive(tmp_path: Path) -> None:
    place = tmp_path / "runs" / "new" / "comparison"
    assert read_result(place) is None
    found, report = run(tmp_path, GOOD)
    assert found["words"][:3] == ["evaluate", str(tmp_path / "n"), str(tmp_path)]
    assert ["--part", "test", "--against", str(tmp_path / "o")] == found["words"][3:7]
    assert report.said == [(0, 2), (1, 2), (2, 2)]
    assert read_result(place) == found
    assert [p.name for p in (place / "pictures").iterdir()] == ["case_001.npz"]
    run(tmp_path, 'print(json.dumps({"against": {}}))')
    assert not (place / "pictures").exists(), "pictures of an older comparison are gone with it"


def test_a_refusal_is_passed_on_and_keeps_the_older_answer(tmp_path: Path) -> None:
    found, _ = run(tmp_path, GOOD)
    with pytest.raises(UserError, match="The scan is gone"):
        run(tmp_path, 'print("thighview: The scan is gone.", file=sys.stderr)\nsys.exit(2)')
    with pytest.raises(UserError, match=r"without an answer, with code 1. KeyError: 3"):
        run(tmp_path, 'print("KeyError: 3", file=sys.stderr)\nsys.exit(1)')
    with pytest.raises(UserError, match="without an answer"):
        run(tmp_path, 'print("{")')
    assert read_result(tmp_path / "runs" / "new" / "comparison") == found


def test_an_answer_that_cannot_be_kept_leaves_the_older_one_whole(tmp_path: Path) -> None:
    found, _ = run(tmp_path, GOOD)
    place = tmp_path / "runs" / "new" / "comparison"
    unread = '\n(folder / "case_000.npz").symlink_to(folder / "nothing")\nprint(json.dumps({"against": {"x": 1}}))'
    with pytest.raises(UserError, match="could not be kept") as refused:
        run(tmp_path, "folder.mkdir()" + unread)
    assert "room" in refused.value.hint
    assert read_result(place) == found and [p.name for p in place.parent.iterdir()] == [place.name]
    assert (place / "pictures" / "case_001.npz").read_bytes() == b"x"


def test_a_cancelled_comparison_ends_its_process(tmp_path: Path) -> None:
    started = threading.Event()
    code = f"pathlib.Path({str(tmp_path / 'began')!r}).touch()\ntime.sleep(600)"

    def stopped() -> bool:
        if (tmp_path / "began").exists():
            started.set()
        return started.is_set()

    with pytest.raises(Stopped):
        run(tmp_path, code, stopped)
    assert started.is_set() and not (tmp_path / "runs").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal is Linux's")
def test_a_comparison_ends_with_a_window_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms, extra, pipe = tmp_path / "temporary", tmp_path / "extra", tmp_path / "pipe"
    rooms.mkdir()
    extra.mkdir()
    os.mkfifo(pipe)
    slow = f'event == "import" and args[0] == "thighview.engine.evaluating" and open({str(pipe)!r}).read()'
    (extra / "sitecustomize.py").write_text(f"import sys\nsys.addaudithook(lambda event, args: {slow})\n")
    code = (
        "from pathlib import Path\n"
        "from thighview.app.gate_process import compare_on_locked\n"
        f"here = Path({str(tmp_path)!r})\n"
        "compare_on_locked(here, here / 'n', here / 'o', here / 'place', print, lambda: False)\n"
    )
    ways = os.pathsep.join((str(extra), str(Path(thighview.__file__).parents[1])))
    window = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(rooms), "PYTHONPATH": ways}
    )
    try:
        way = wait_for_reader(pipe, window)
    finally:
        window.kill()
        window.wait()
    gone = select.poll()
    gone.register(way, 0)
    assert gone.poll(10_000), "the comparison is still there"
    os.close(way)
    assert len(list(rooms.iterdir())) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(rooms))
    run(tmp_path, GOOD)
    assert not list(rooms.iterdir()), "the next comparison removes what it left"


def wait_for_reader(pipe: Path, window: subprocess.Popen[bytes]) -> int:
    """The writing end of a pipe, as soon as the other end is open."""
    while window.poll() is None:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.02)
    raise AssertionError("it ended early")
