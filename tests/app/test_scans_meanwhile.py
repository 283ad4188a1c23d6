"""Scans that are still being read when something else is asked for: none is lost, and none lands elsewhere."""

import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from thighview.app import demo, jobs, opening
from thighview.app.tasks import Workspace
from thighview.core.case import Case
from thighview.core.volume import Volume
from thighview.io.images import write_volume
from thighview.io.project import Project

WAIT_MS = 20_000
MEANWHILE = "not opened: another scan or project was asked for meanwhile"


@pytest.fixture
def scans(tmp_path: Path, tiny_volume: Volume) -> list[Path]:
    paths = [tmp_path / f"sub-0{n}_t1.nii.gz" for n in range(1, 6)]
    for path in paths:
        write_volume(path, tiny_volume)
    return paths


@pytest.fixture
def told(workspace: Workspace) -> list[str]:
    """The first sentence of all that went wrong."""
    heard: list[str] = []
    workspace.failed.connect(lambda error: heard.append(str(error).partition(". ")[0]))
    return heard


class Held:
    """A scan whose reading lasts until it is let go."""

    def __init__(self, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self._qtbot, self._began, self._go_on = qtbot, threading.Event(), threading.Event()
        self.let_go = self._go_on.set
        read = opening.read_scan

        def slow(at: Path, *more: object, **others: object) -> opening.Scan:
            if at == path:
                self._began.set()
                self._go_on.wait(WAIT_MS / 1000)
            return read(at, *more, **others)  # type: ignore[arg-type]

        monkeypatch.setattr(opening, "read_scan", slow)

    def until_it_is_read(self) -> None:
        self._qtbot.waitUntil(self._began.is_set, timeout=WAIT_MS)


def opened(qtbot: QtBot, workspace: Workspace, path: Path) -> Case:
    signal = workspace.session.case_opened
    with qtbot.waitSignal(signal, timeout=WAIT_MS, check_params_cb=lambda case: case is not None):
        workspace.open_path(path)
    assert workspace.session.case is not None
    return workspace.session.case


def until_all_is_done(qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not jobs.running(), timeout=WAIT_MS)


def names(workspace: Workspace) -> list[str]:
    return sorted(case.path.name for case in workspace.cases)


def named(paths: Sequence[Path]) -> list[str]:
    return [path.name for path in paths]


def test_scans_being_read_are_listed_when_a_case_is_opened(
    qtbot: QtBot, workspace: Workspace, scans: list[Path], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(qtbot, workspace, scans[0])
    opened(qtbot, workspace, scans[1])
    qtbot.waitUntil(lambda: len(workspace.cases) == 2, timeout=WAIT_MS)
    held = Held(qtbot, monkeypatch, scans[2])
    workspace.open_paths(scans[2:])
    held.until_it_is_read()
    workspace.open_case(first.case_id)
    held.let_go()
    qtbot.waitUntil(lambda: names(workspace) == named(scans), timeout=WAIT_MS)
    until_all_is_done(qtbot)
    assert workspace.session.case is not None and workspace.session.case.case_id == first.case_id
    assert not told

    again = scans[0].rename(scans[0].with_name("again.nii.gz"))
    held = Held(qtbot, monkeypatch, again)
    shown: list[object] = []
    workspace.open_paths([again], shown.append)
    held.until_it_is_read()
    workspace.open_path(scans[1])
    qtbot.waitUntil(lambda: shown == [None], timeout=WAIT_MS)
    held.let_go()
    until_all_is_done(qtbot)
    assert "again.nii.gz" in names(workspace) and shown == [None] and not told


def test_what_cannot_be_read_after_all_does_not_come_before_the_case(
    qtbot: QtBot, workspace: Workspace, scans: list[Path], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(qtbot, workspace, scans[0])
    opened(qtbot, workspace, scans[1])
    qtbot.waitUntil(lambda: len(workspace.cases) == 2, timeout=WAIT_MS)
    gone = scans[2].with_name("gone.nii")
    held = Held(qtbot, monkeypatch, gone)
    workspace.open_paths([gone, *scans[2:]])
    held.until_it_is_read()
    workspace.open_case(first.case_id)
    held.let_go()
    qtbot.waitUntil(lambda: names(workspace) == named(scans), timeout=WAIT_MS)
    until_all_is_done(qtbot)
    assert workspace.session.case is not None and workspace.session.case.case_id == first.case_id
    assert len(told) == 1 and "gone.nii" in told[0]


def test_a_scan_becomes_a_case_of_no_project_but_the_one_it_was_opened_in(
    qtbot: QtBot, workspace: Workspace, scans: list[Path], told: list[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    opened(qtbot, workspace, scans[0])
    held = Held(qtbot, monkeypatch, scans[1])
    shown: list[object] = []
    workspace.open_paths([scans[1]], shown.append)
    held.until_it_is_read()
    workspace.open_project(tmp_path / "Study")
    qtbot.waitUntil(lambda: workspace.project_folder == tmp_path / "Study", timeout=WAIT_MS)
    held.let_go()
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT_MS)
    until_all_is_done(qtbot)
    assert told == [f"{scans[1].name} was {MEANWHILE}"] and shown == [None]
    assert workspace.cases == () and workspace.session.case is None

    told.clear()
    held = Held(qtbot, monkeypatch, scans[2])
    workspace.open_paths(scans[2:])
    held.until_it_is_read()
    workspace.open_project(tmp_path / "Other")
    held.let_go()
    workspace.open_path(scans[0])  # asked for while the project is on its way, so for that one
    qtbot.waitUntil(lambda: workspace.session.case is not None, timeout=WAIT_MS)
    until_all_is_done(qtbot)
    assert workspace.project_folder == tmp_path / "Other" and names(workspace) == named(scans[:1])
    assert told == [f"{scans[2].name} and 2 more were {MEANWHILE}"]


def test_scans_to_be_listed_are_missed_where_the_project_is_left(
    qtbot: QtBot, workspace: Workspace, scans: list[Path], told: list[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    held = Held(qtbot, monkeypatch, scans[1])
    workspace.open_paths(scans)
    held.until_it_is_read()
    workspace.open_project(tmp_path / "Study")
    qtbot.waitUntil(lambda: workspace.project_folder == tmp_path / "Study", timeout=WAIT_MS)
    held.let_go()
    qtbot.waitUntil(lambda: bool(told), timeout=WAIT_MS)
    until_all_is_done(qtbot)
    assert told == [f"{scans[1].name} and 3 more were {MEANWHILE}"] and workspace.cases == ()


def test_a_scan_of_ones_own_is_not_listed_among_those_of_the_demo(
    qtbot: QtBot, workspace: Workspace, scans: list[Path], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(qtbot, workspace, scans[0])
    opened(qtbot, workspace, scans[1])
    qtbot.waitUntil(lambda: len(workspace.cases) == 2, timeout=WAIT_MS)
    folder = workspace.project_folder
    monkeypatch.setattr(demo, "project_folder", lambda: folder)
    held = Held(qtbot, monkeypatch, scans[2])
    workspace.open_path(scans[2])
    held.until_it_is_read()
    workspace.open_case(first.case_id)
    held.let_go()
    until_all_is_done(qtbot)
    assert told == [f"{scans[2].name} was {MEANWHILE}"] and names(workspace) == named(scans[:2])


@pytest.mark.parametrize("again", [True, False])
def test_scans_opened_before_there_is_a_project_are_all_listed(
    qtbot: QtBot, workspace: Workspace, scans: list[Path], told: list[str], monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """Also the same one twice."""
    wanted = scans[:1] if again else scans[:2]
    held = Held(qtbot, monkeypatch, scans[0])
    workspace.open_path(scans[0])
    held.until_it_is_read()
    workspace.open_path(wanted[-1])
    held.let_go()
    qtbot.waitUntil(lambda: names(workspace) == named(wanted), timeout=WAIT_MS)
    until_all_is_done(qtbot)
    assert workspace.session.case is not None and workspace.session.case.series[0].path == wanted[-1]
    assert not told


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_scan_asked_for_while_a_project_is_on_its_way_that_is_refused_opens_where_one_stays(
    qtbot: QtBot, workspace: Workspace, scans: list[Path], told: list[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path, late: bool, first: bool,
) -> None:  # fmt: skip
    """Whether it is read before the refusal or after it, and where there is no project yet, too."""
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "notes.txt").write_text("no project")
    if not first:
        opened(qtbot, workspace, scans[0])
    folder, refused = workspace.project_folder, threading.Event()
    held = Held(qtbot, monkeypatch, scans[1])
    create, go_on = Project.create, threading.Event()
    monkeypatch.setattr(
        Project, "create", lambda at, *more: (at.name == "junk" and go_on.wait(WAIT_MS / 1000), create(at, *more))[1]
    )
    workspace.failed.connect(lambda _: refused.set())
    workspace.open_project(tmp_path / "junk")
    workspace.open_path(scans[1])
    held.until_it_is_read()
    if late:
        go_on.set()
        qtbot.waitUntil(refused.is_set, timeout=WAIT_MS)
    else:
        held.let_go()
        qtbot.wait(200)
    go_on.set()
    held.let_go()
    qtbot.waitUntil(lambda: scans[1].name in names(workspace), timeout=WAIT_MS)
    until_all_is_done(qtbot)
    assert workspace.session.case is not None and workspace.session.case.series[0].path == scans[1]
    assert first or workspace.project_folder == folder
    assert len(told) == 1 and "junk" in told[0]


def test_a_scan_given_with_a_project_that_is_refused_opens_where_one_stays(
    qtbot: QtBot, workspace: Workspace, scans: list[Path], told: list[str], tmp_path: Path
) -> None:
    opened(qtbot, workspace, scans[0])
    with closing(Project.create(tmp_path / "Study")):  # it is open elsewhere
        workspace.open_paths([tmp_path / "Study", scans[1]])
        qtbot.waitUntil(lambda: names(workspace) == named(scans[:2]), timeout=WAIT_MS)
        until_all_is_done(qtbot)
    assert len(told) == 1 and "Study" in told[0]
