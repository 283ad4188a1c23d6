"""The journal: killed, damaged or reopened, it gives back what was acknowledged."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import strokes

from thighview.io import journal
from thighview.io.project import Project


@pytest.fixture
def project(tmp_path):
    made = Project.create(tmp_path / "p")
    yield made
    made.close()


def fill(project: Project, number: int, seed: int = 1):
    """A case with so many steps, and its id; the states after each step too."""
    case, rng = strokes.new_case(), np.random.default_rng(seed)
    case.case_id = project.add_case(case)
    masks = [case.labels.copy()]
    for _ in range(number):
        project.append(case.case_id, 1, strokes.step(case, rng))
        masks.append(case.labels.copy())
    return case, masks


def shown(project: Project, case_id: int):
    """The case as the window opens it: what is damaged is told, and work goes on from what is left."""
    loaded = project.load_case(case_id)
    if loaded.warnings:
        assert project.load_case(case_id).warnings == loaded.warnings, "told until then"
        project.go_on_after_damage(case_id)
    return loaded


def reopened(project: Project) -> Project:
    project.close()
    return Project.open(project.folder)


def raw(project: Project, statement: str, *values: object) -> None:
    """Change the file behind the program's back."""
    project.close()
    with sqlite3.connect(project.folder / "project.sqlite") as connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()


@pytest.mark.parametrize("seed", range(6))
def test_what_is_reopened_is_what_was_left(project, seed, monkeypatch):
    """Strokes, undo and redo at random, reopened now and then; snapshots come often."""
    monkeypatch.setattr(journal, "SNAPSHOT_ENTRIES", 7)
    rng = np.random.default_rng(seed)
    case = strokes.new_case()
    case.case_id = project.add_case(case)
    for _ in range(60):
        project.append(case.case_id, 1, strokes.step(case, rng))
        if rng.random() < 0.15:
            if rng.random() < 0.5:
                project = reopened(project)
            loaded = project.load_case(case.case_id)
            assert strokes.same(loaded, case) and loaded.warnings == ()
            codes = {i: r.code for i, r in enumerate(case.reviews) if r.code}
            stored = dict(project._connection.execute("SELECT slice, code FROM slice_state WHERE code<>0"))
            assert stored == codes
    project.close()


def test_undo_and_redo_go_on_after_reopening(project):
    case, masks = fill(project, 0)
    rng = np.random.default_rng(0)
    for _ in range(5):
        project.append(case.case_id, 1, ("edit", strokes.stroke(case, rng)))
        masks.append(case.labels.copy())
    for _ in range(2):
        project.append(case.case_id, 1, ("undo", None))
    again = reopened(project)
    loaded = again.load_case(case.case_id)
    assert loaded.history.done == 3 and len(loaded.history.edits) == 5
    assert np.array_equal(loaded.labels, masks[3])
    redo = loaded.history.redo()
    assert redo
    redo.patches[0].apply(loaded.labels)
    assert np.array_equal(loaded.labels, masks[4])
    again.close()


def test_rows_are_only_ever_added(project):
    case, _ = fill(project, 30)
    rows = project._connection.execute("SELECT * FROM edit ORDER BY seq").fetchall()
    project.append(case.case_id, 1, ("undo", None))
    project.append(case.case_id, 1, ("edit", strokes.stroke(project.load_case(case.case_id), np.random.default_rng())))
    assert project._connection.execute("SELECT * FROM edit ORDER BY seq").fetchall()[:30] == rows


def test_snapshots_are_taken_and_only_the_newest_three_and_the_first_stay(project, monkeypatch):
    monkeypatch.setattr(journal, "SNAPSHOT_ENTRIES", 5)
    fill(project, 32)
    found = [n for (n,) in project._connection.execute("SELECT n FROM snapshot ORDER BY n")]
    assert found == [0, 20, 25, 30]


def test_a_big_change_makes_a_snapshot_at_once(project, monkeypatch):
    monkeypatch.setattr(journal, "SNAPSHOT_BYTES", 50)
    fill(project, 10)
    assert project._connection.execute("SELECT max(n) FROM snapshot").fetchone()[0] > 0


def test_an_entry_that_does_not_fit_is_refused_and_not_written(project):
    case, _ = fill(project, 3)
    other = strokes.new_case()
    other.labels[:] = 3
    wrong = ("edit", strokes.stroke(other, np.random.default_rng(9)))
    with pytest.raises(ValueError, match="another state"):
        project.append(case.case_id, 1, wrong)
    for entry in (("redo", None), ("nonsense", None), ("edit", None)):
        if entry[0] != "redo" or case.history.peek_redo() is None:
            with pytest.raises(ValueError, match="nothing to"):
                project.append(case.case_id, 1, entry)
    assert project.append(case.case_id, 1, ("edit", strokes.stroke(case, np.random.default_rng(2))))
    assert strokes.same(project.load_case(case.case_id), case)


def test_bit_rot_in_the_last_rows_gives_the_longest_good_beginning(project):
    case, masks = fill(project, 20)
    raw(project, "UPDATE edit SET name=name||'x' WHERE n=15")
    project = Project.open(project.folder)
    loaded = shown(project, case.case_id)
    assert np.array_equal(loaded.labels, masks[14])
    assert "damaged from step 15 of 20" in loaded.warnings[0]
    project = reopened(project)
    again = project.load_case(case.case_id)  # told once, and work goes on from there
    assert again.warnings == () and np.array_equal(again.labels, masks[14])
    rng = np.random.default_rng(5)
    for _ in range(10):
        project.append(case.case_id, 1, strokes.step(again, rng))
    project = reopened(project)
    last = project.load_case(case.case_id)
    assert strokes.same(last, again) and last.warnings == ()
    project.close()


def test_bit_rot_before_a_snapshot_costs_only_old_undo(project, monkeypatch):
    monkeypatch.setattr(journal, "SNAPSHOT_ENTRIES", 10)
    case = strokes.new_case()
    case.case_id = project.add_case(case)
    rng = np.random.default_rng(3)
    for _ in range(25):
        project.append(case.case_id, 1, ("edit", strokes.stroke(case, rng)))
    raw(project, "UPDATE patch SET diff=zeroblob(length(diff)) WHERE seq=(SELECT seq FROM edit WHERE n=12)")
    project = Project.open(project.folder)
    loaded = shown(project, case.case_id)
    assert np.array_equal(loaded.labels, case.labels) and loaded.reviews == case.reviews
    assert loaded.history.edits == case.history.edits[12:] and loaded.history.done == 13
    assert "The mask itself is complete" in loaded.warnings[0]
    project.append(case.case_id, 1, ("undo", None))
    assert project.load_case(case.case_id).history.done == 12
    project.close()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM edit WHERE n=20",
        "DELETE FROM edit WHERE n=10",
        "DELETE FROM patch WHERE seq=(SELECT min(seq) FROM patch WHERE seq>8)",
        "UPDATE edit SET hash=zeroblob(16) WHERE n=9",
        "UPDATE edit SET n=n+1000000000 WHERE n=20",
        "UPDATE edit SET made='yesterday' WHERE n=8",
        "UPDATE reading SET head=19",
        "UPDATE patch SET diff='text' WHERE seq=(SELECT min(seq) FROM patch WHERE seq>8)",
    ],
)
def test_every_kind_of_damage_is_seen_and_survived(project, damage):
    case, masks = fill(project, 20)
    project.close()
    connection = sqlite3.connect(project.folder / "project.sqlite")
    connection.execute("PRAGMA foreign_keys=ON")
    assert connection.execute(damage).rowcount == 1
    connection.commit()
    connection.close()
    project = Project.open(project.folder)
    loaded = shown(project, case.case_id)
    assert loaded.warnings
    assert any(np.array_equal(loaded.labels, mask) for mask in masks)
    project.append(case.case_id, 1, ("edit", strokes.stroke(loaded, np.random.default_rng(1))))
    project = reopened(project)
    again = project.load_case(case.case_id)
    assert strokes.same(again, loaded) and again.warnings == ()
    project.close()


def test_a_damaged_snapshot_is_passed_over(project, monkeypatch):
    monkeypatch.setattr(journal, "SNAPSHOT_ENTRIES", 8)
    case, _ = fill(project, 30)
    raw(project, "UPDATE snapshot SET labels=zeroblob(length(labels)) WHERE n>=16")
    project = Project.open(project.folder)
    loaded = project.load_case(case.case_id)
    assert strokes.same(loaded, case) and loaded.warnings == ()
    project.close()


@pytest.mark.parametrize("seed", [pytest.param(0), pytest.param(1, marks=pytest.mark.long)])
def test_flipped_bytes_never_give_a_wrong_mask(tmp_path, seed):
    """Bytes of the database file are flipped: whatever opens is a state the mask has been in."""
    project = Project.create(tmp_path / "p")
    case, masks = fill(project, 40)
    project.close()
    path = tmp_path / "p" / "project.sqlite"
    whole, rng = path.read_bytes(), random.Random(seed)
    for _ in range(300 if seed else 60):
        broken = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            broken[rng.randrange(4096, len(broken))] ^= 1 << rng.randrange(8)
        path.write_bytes(broken)
        try:
            opened = Project.open(tmp_path / "p", writable=False)
        except Exception as error:  # noqa: BLE001
            assert type(error).__name__ == "UserError", error
            continue
        try:
            loaded = opened.load_case(case.case_id)
        except Exception as error:  # noqa: BLE001
            assert type(error).__name__ == "UserError", repr(error)
        else:
            same = any(np.array_equal(loaded.labels, mask) for mask in masks)
            assert same and (loaded.warnings or np.array_equal(loaded.labels, masks[-1]))
        finally:
            opened.close()


# ---------------------------------------------------------------------- killed


def kill_and_compare(folder: Path, seed: int, rng: random.Random) -> int:
    """Let a child append and acknowledge, kill it at a random moment, compare; returns the acknowledged number."""
    child = subprocess.Popen(
        [sys.executable, strokes.__file__, str(folder), str(seed)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert child.stdout
    try:
        assert child.stdout.read(1) == b"r"
        time.sleep(rng.uniform(0.0, 0.12))
        child.send_signal(signal.SIGKILL)
        acknowledged = len(child.stdout.read())
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    project = Project.open(folder)  # the lock of the dead is taken over
    loaded = project.load_case(1)
    project.close()
    assert loaded.warnings == ()
    case, steps = strokes.new_case(), np.random.default_rng(seed)
    for _ in range(acknowledged):
        strokes.step(case, steps)
    if not strokes.same(loaded, case):
        strokes.step(case, steps)  # written, killed before it could be said
    assert strokes.same(loaded, case)
    return acknowledged


def kills(tmp_path: Path, number: int) -> None:
    rng, total = random.Random(4), 0
    for i in range(number):
        folder = tmp_path / f"p{i}"
        project = Project.create(folder)
        project.add_case(strokes.new_case())
        project.close()
        total += kill_and_compare(folder, i, rng)
    assert total > number


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_nothing_acknowledged_is_lost_in_20_kills(tmp_path):
    kills(tmp_path, 20)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_nothing_acknowledged_is_lost_in_500_kills(tmp_path):
    kills(tmp_path, 500)
