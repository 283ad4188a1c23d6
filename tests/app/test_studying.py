"""Studies from the window's side: what one would be, and a real child process that is started, stopped, killed."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from tiny_project import TINY, make_project

from thighview.app import training
from thighview.app.store import Store
from thighview.app.studying import StudyDesk, look_ahead
from thighview.core.errors import UserError
from thighview.core.run import TrainConfig
from thighview.core.studies import CURVE, FOLDS, LEAVE_ONE_OUT
from thighview.io.project import Project
from thighview.io.studies import study_folder

ONE_STEP = replace(TINY, epochs=1, batch_size=16, augment=False, precision="float32")


def over(desk: StudyDesk) -> bool:
    return desk.history is not None and not desk.history.alive


def gone(qtbot: QtBot, folder: Path) -> None:
    qtbot.waitUntil(lambda: folder not in training.children, timeout=20000)


def test_a_prospect_tells_the_trainings_or_why_there_are_none(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 3)
    found = look_ahead(folder, FOLDS, 0, ONE_STEP)
    assert (len(found.trainings), found.most, found.people, found.seconds) == (3, 3, 3, None)
    assert len(look_ahead(folder, CURVE, 0, ONE_STEP).trainings) == 3  # 1 of 2, the other one, both
    assert look_ahead(folder, LEAVE_ONE_OUT, 0, ONE_STEP).problem is None
    refused = look_ahead(folder, FOLDS, 9, ONE_STEP)
    assert not refused.trainings and "9 folds" in str(refused.problem) and refused.most == 3
    nobody = look_ahead(folder, FOLDS, 0, TrainConfig(start_from="nobody"))
    assert "no model" in str(nobody.problem)
    project = Project.open(folder, writable=False)
    assert set(project.subjects().values()) == {""}
    project.close()


def test_a_study_starts_in_a_process_of_its_own_and_is_stopped(qtbot: QtBot, tmp_path: Path) -> None:
    """The real command line; this process imports no network library."""
    store = Store(make_project(tmp_path, 2))
    store.open()
    before = {name for name in sys.modules if name.partition(".")[0] in ("tensorflow", "keras")}
    desk = StudyDesk()
    desk.follow_project(store.folder)
    refused: list[Exception] = []
    desk.failed.connect(refused.append)
    with qtbot.waitSignal(desk.failed, timeout=20000):
        desk.start(store, FOLDS, 5, ONE_STEP)
    assert isinstance(refused[0], UserError) and desk.history is None
    desk.start(store, LEAVE_ONE_OUT, 0, ONE_STEP)
    qtbot.waitUntil(lambda: bool(desk.history and desk.history.phase == "running"), timeout=240000)
    desk.stop()
    qtbot.waitUntil(lambda: over(desk), timeout=240000)
    history = desk.history
    assert history is not None and history.phase == "stopped" and history.study is not None, history
    assert len(history.study.trainings) == 2
    gone(qtbot, study_folder(store.folder, history.name).path)
    assert store.close() == 0
    desk.close()
    again = StudyDesk()
    again.follow_project(store.folder)
    qtbot.waitUntil(lambda: over(again), timeout=20000)
    assert again.history == history
    again.close()
    assert {name for name in sys.modules if name.partition(".")[0] in ("tensorflow", "keras")} == before


@pytest.mark.long
def test_a_study_whose_process_is_killed_goes_on_when_it_is_told_to(qtbot: QtBot, tmp_path: Path) -> None:
    store = Store(make_project(tmp_path, 2))
    store.open()
    desk = StudyDesk()
    desk.follow_project(store.folder)
    desk.start(store, LEAVE_ONE_OUT, 0, ONE_STEP)
    qtbot.waitUntil(lambda: bool(desk.history and desk.history.phase == "running"), timeout=240000)
    study = study_folder(store.folder, desk.history.name)  # type: ignore[union-attr]
    holder = study.holder
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: over(desk), timeout=20000)
    assert desk.history is not None and "SIGKILL" in str(desk.history.failure)
    gone(qtbot, study.path)
    phases: list[str] = []
    desk.changed.connect(lambda history: phases.append(history.phase if history else ""))
    desk.go_on()
    qtbot.waitUntil(lambda: bool(desk.history and desk.history.phase == "done"), timeout=240000)
    gone_on = phases[phases.index("starting") :]
    assert "failed" not in gone_on and "running" in gone_on, "starting until the new process speaks"
    assert desk.history is not None and sorted(desk.history.results) == [1, 2]
    gone(qtbot, study.path)
    assert store.close() == 0
    desk.close()
