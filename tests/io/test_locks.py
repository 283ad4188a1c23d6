"""The lock of a folder: of many that want it at once one gets it, and all are told who that is."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thighview.io import locks

ROOT = Path(__file__).parents[2]
PROCESSES, ROUNDS, VISITS = 8, 30, 60

RACER = """
import os, sys, time
from pathlib import Path
from thighview.io.locks import release, take

lock = Path(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    if line.startswith("let go"):
        release(lock)
        print("free", flush=True)
        continue
    while time.monotonic() < float(line):
        pass
    holder = take(lock)
    print(os.getpid() if holder is None else -holder.pid, flush=True)
"""

VISITOR = """
import os, sys, time
from pathlib import Path
from thighview.io.locks import release, take

lock, inside = Path(sys.argv[1]), Path(sys.argv[2])
visits = 0
until = time.monotonic() + 60
while visits < int(sys.argv[3]) and time.monotonic() < until:
    if take(lock) is None:
        os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # an error when somebody else is inside
        inside.unlink()
        release(lock)
        visits += 1
print(visits)
"""


def child(code: str, *words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], cwd=ROOT, text=True, bufsize=1,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_of_many_that_take_over_a_stale_lock_one_gets_it(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    racers = [child(RACER, lock) for _ in range(PROCESSES)]
    try:

        def answers(line: str) -> list[str]:
            for racer in racers:
                assert racer.stdin is not None
                racer.stdin.write(line + "\n")
            return [racer.stdout.readline().strip() for racer in racers if racer.stdout]

        assert [racer.stdout.readline() for racer in racers if racer.stdout] == ["ready\n"] * PROCESSES
        for _ in range(ROUNDS):
            lock.write_text(json.dumps({"pid": 1, "started": "long ago", "host": locks.Holder.me().host}))
            said = [int(answer) for answer in answers(str(time.monotonic() + 0.01))]
            winners = [pid for pid in said if pid > 0]
            assert len(winners) == 1
            assert {-pid for pid in said if pid < 0} <= {0, winners[0]}
            holder = locks.read_holder(lock)
            assert holder is not None and holder.pid == winners[0] and holder.alive
            assert answers("let go") == ["free"] * PROCESSES
            assert not lock.exists()
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


def test_nobody_is_inside_with_another_while_they_come_and_go(tmp_path: Path) -> None:
    visitors = [child(VISITOR, tmp_path / "lock", tmp_path / "inside", VISITS) for _ in range(4)]
    try:
        done = [visitor.communicate(timeout=120) for visitor in visitors]
    finally:
        for visitor in visitors:
            visitor.kill()
            visitor.wait()
    assert done == [(f"{VISITS}\n", "")] * 4
    assert list(tmp_path.iterdir()) == []


def test_a_killed_holder_is_followed_at_once(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    racer = child(RACER, lock)
    try:
        assert racer.stdin is not None and racer.stdout is not None
        racer.stdin.write("0\n")
        assert [racer.stdout.readline() for _ in range(2)] == ["ready\n", f"{racer.pid}\n"]
        assert locks.take(lock) == locks.read_holder(lock) != locks.Holder.me()
    finally:
        racer.kill()
        racer.communicate()
    assert lock.exists()
    assert locks.take(lock) is None
    assert locks.read_holder(lock) == locks.Holder.me()
    locks.release(lock)
    assert not lock.exists()


def test_the_lock_of_another_computer_stays(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    lock.write_text(json.dumps({"pid": 1, "started": "x", "host": "reading-room-7"}))
    assert locks.take(lock) == locks.Holder(1, "x", "reading-room-7")
    locks.release(lock)
    assert lock.exists()


def test_release_leaves_the_lock_of_others_alone(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    assert locks.take(lock) is None
    assert str(locks.take(lock)) == f"process {locks.Holder.me().pid}"
    lock.rename(tmp_path / "elsewhere")  # the folder was moved away, another one lies here now
    lock.write_text("of another")
    locks.release(lock)
    assert lock.read_text() == "of another"


@pytest.mark.parametrize("content", ["", "{", "null", '{"pid": "x"}', "\ud800".encode("utf-8", "surrogatepass").hex()])
def test_a_lock_that_cannot_be_read_is_nobodys(tmp_path: Path, content: str) -> None:
    lock = tmp_path / "run.lock"
    lock.write_text(content)
    assert locks.take(lock) is None
    locks.release(lock)
