"""Training as the window sees it: a run is frozen, and started in a process of its own.

A run outlives the window. Nothing here talks to its process: commands are written to ``control``, news is read from
``events.jsonl``, and whether somebody is at work is in ``run.lock``.
"""

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import thighview
from thighview.app.store import Store
from thighview.core.run import TrainConfig
from thighview.io.dataset import freeze, read_dataset
from thighview.io.locks import release, take
from thighview.io.project import Project
from thighview.io.runs import RunFolder, free_run_name, read_config, run_folder, run_folders

NICE = 10
"""Priority of a training under Linux and macOS: the window goes first."""


@dataclass(frozen=True)
class Child:
    """A run's process that this window has started."""

    process: "subprocess.Popen[bytes]"
    said_before: int
    """Bytes of the run's events that are from before it, and not its words."""


children: dict[Path, Child] = {}
"""By run folder; kept so that a dead one can be asked how it ended."""


def freeze_run(store: Store, config: TrainConfig, name: str = "") -> RunFolder:
    """Freeze a new run of the open project; on a worker thread, so that strokes are journalled meanwhile."""
    store.wait_for(lambda _: None)  # what was painted before the button was pressed is on disk now
    run = run_folder(store.folder, name or free_run_name(store.folder))
    project = Project.open(store.folder, writable=False)
    try:
        freeze(project, run, config, write=store.wait_for)
    finally:
        project.close()
    return run


def start_run(run: RunFolder, command: tuple[str, ...] = (), option: str = "--run") -> None:
    """Start, or go on with, a frozen run in a process that outlives this one; what it prints goes to ``log.txt``.

    Parameters
    ----------
    run : RunFolder
        Frozen by :func:`freeze_run`, or stopped earlier; or the folder of a study.
    command : tuple of str, optional
        Instead of our own command line, for tests.
    option : str
        What the run is to our command line: ``--run``, or ``--study``.
    """
    run.control.unlink(missing_ok=True)
    if take(run.lock) is None:  # the one of a dead process would take a command given from now on for an old one
        release(run.lock)
    # -P and our own place on the path: a folder named thighview where the program was started must not be taken for it
    ours = ("train", str(run.project), option, run.name)
    words = command or (sys.executable, "-P", "-m", "thighview", *ours)
    place = str(Path(thighview.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (place, os.environ.get("PYTHONPATH"))))}
    if getattr(sys, "frozen", False) and not command:
        words = (sys.executable, *ours)
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        # DETACHED_PROCESS, CREATE_NEW_PROCESS_GROUP, BELOW_NORMAL_PRIORITY_CLASS
        detached = {"creationflags": 0x00000008 | 0x00000200 | 0x00004000}
    said_before = run.events.stat().st_size if run.events.exists() else 0
    with run.log.open("ab") as log:
        child = subprocess.Popen[bytes](
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=True, env=environment, **detached
        )
    children[run.path] = Child(child, said_before)
    if sys.platform != "win32":
        _stand_back(child.pid)


def resume_run(run: RunFolder) -> None:
    """Go on with a run that ended; for a worker thread.

    Raises
    ------
    UserError
        When it is damaged or was made by a newer program; nothing of it is touched then.
    """
    read_dataset(run)
    read_config(run)
    start_run(run)


def _stand_back(pid: int) -> None:
    """Lower the priority of a process of a session of its own, from its first import on.

    Linux deals its time out to sessions first (autogroup): without a word to that, a training in its own session has
    half of every core, however nice its process is, and the window waits for it, 60 ms at a time.
    """
    with contextlib.suppress(OSError):  # it has ended already
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    with contextlib.suppress(OSError):  # no autogroup here
        Path(f"/proc/{pid}/autogroup").write_text(str(NICE))


def find_running(project: Path) -> list[RunFolder]:
    """Runs of a project at which a process is at work, whoever started it."""
    return [run for run in run_folders(project) if run.alive]
