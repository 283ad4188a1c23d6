"""The program is killed in the middle of painting: what it said was saved is there when it is opened again."""

import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from journeys.conftest import Made, OpenWindow, child_environment
from thighview.core.case import Case
from thighview.core.history import Edit
from thighview.io.paths import scratch_project
from thighview.io.project import Project

SCRIPT = Path(__file__).with_name("paint_and_die.py")


def crc(case: Case) -> int:
    return zlib.crc32(bytes(review.code for review in case.reviews), zlib.crc32(case.labels.tobytes()))


def paint_until_killed(scan: Path, seed: int) -> tuple[int, list[int]]:
    """Run the child and kill it at a random moment; one that cannot go on ends by itself and says why.

    Returns the number of steps it said to be safe, and the crc after each step it said to have done.
    """
    rng = np.random.default_rng(seed)
    words = (sys.executable, str(SCRIPT), str(scan), str(seed))
    environment = child_environment()
    environment["PYTHONPATH"] += f":{SCRIPT.parents[1]}"
    lines: list[str] = []
    with (
        tempfile.TemporaryFile("w+") as errors,  # not a pipe, which nobody would empty
        subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as child,
    ):
        assert child.stdout is not None
        try:
            for _ in range(int(rng.integers(2, 80))):
                lines.append(child.stdout.readline())
                if not lines[-1]:
                    errors.seek(0)
                    pytest.fail(f"the child ended by itself after {lines[-4:-1]}:\n{errors.read()[-8000:]}")
        finally:
            child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
    said = [line.split() for line in lines if line.endswith("\n")]
    safe = max((int(words[1]) for words in said if words[0] == "safe"), default=0)
    return safe, [int(words[2]) for words in said if words[0] == "did"]


def check(case: Case, safe: int, crcs: list[int]) -> None:
    """The case is as it was after a step that is not before the safe one; at most one more than was told."""
    assert case.warnings == ()
    if crc(case) in crcs[safe:]:
        return
    done, undone = case.history.peek_undo(), case.history.peek_redo()
    found = [_stepped(case, edit) for edit in (done and done.reversed(), undone) if edit]
    assert crcs[-1] in found, f"what was safe after step {safe} of {len(crcs) - 1} is not there"


def _stepped(case: Case, edit: Edit) -> int:
    """The crc one step back or forth (the journal may hold one step more than the child could tell)."""
    labels, reviews = case.labels.copy(), list(case.reviews)
    for patch in edit.patches:
        patch.apply(labels)
    for change in edit.reviews:
        reviews[change.slice_index] = change.after
    return zlib.crc32(bytes(review.code for review in reviews), zlib.crc32(labels.tobytes()))


def reopen(scan: Path) -> Case:
    """The case as the program finds it when it starts again."""
    project = Project.open(scratch_project())
    try:
        case_id = project.find_case(scan)
        assert case_id is not None
        return project.load_case(case_id)
    finally:
        project.close()


def check_after_kill(scan: Path, seed: int) -> None:
    """Paint, kill, look."""
    safe, crcs = paint_until_killed(scan, seed)
    check(reopen(scan), safe, crcs)


@pytest.mark.parametrize("seed", range(3))
def test_every_acknowledged_stroke_is_there(thigh: Made, seed: int) -> None:
    check_after_kill(thigh.scan, seed)


def test_the_window_goes_on_where_it_was_killed(room: OpenWindow, thigh: Made) -> None:
    for seed in (10, 11):
        check_after_kill(thigh.scan, seed)
    before = reopen(thigh.scan)
    hands = room(thigh.scan)
    assert crc(hands.case) == crc(before)
    assert hands.window.session.history.undo_name
    hands.picture("crash-reopened")
    while hands.window.top.undo.isEnabled():
        hands.click(hands.window.top.undo)
    assert not hands.case.labels.any()
    hands.until_saved()
    assert hands.errors == []


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_kills(thigh: Made) -> None:
    for seed in range(100, 200):
        check_after_kill(thigh.scan, seed)
