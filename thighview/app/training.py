"""Training as the window sees it: start a run in a process of its own, watch it, tell it what to do.

A run outlives the window. Nothing here talks to its process: commands are written to ``control``, news is read from
``events.jsonl``, and whether somebody is at work is in ``run.lock``.
"""

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

import thighview
from thighview.app.jobs import Job, run_in_thread
from thighview.app.store import Store
from thighview.core.run import (
    BatchEnded,
    EpochEnded,
    Failed,
    Finished,
    Paused,
    RunEvent,
    Started,
    TrainConfig,
)
from thighview.io.dataset import freeze, read_dataset
from thighview.io.locks import release, take
from thighview.io.project import Project
from thighview.io.runs import (
    EventTail,
    RunFolder,
    free_run_name,
    has_ended,
    last_log_lines,
    read_config,
    run_folder,
    run_folders,
    write_control,
)

TICK_MS = 150
NICE = 10
"""Priority of a training under Linux and macOS: the window goes first."""
_READ_BYTES = 1 << 16
_LOOK_FOR_LIFE_S = 0.5
_START_WITHIN_S = 120.0
_WORD_HOLDS_S = 60.0
_LITTLE_ROOM_BYTES = 1 << 20

_children: dict[Path, "subprocess.Popen[bytes]"] = {}
"""Children of this window by run folder; kept so that a dead one can be asked how it ended."""


_SIGNALS = {
    "preparing": "preparing",
    "started": "started",
    "batch": "batch_ended",
    "batch_halved": "batch_halved",
    "epoch": "epoch_ended",
    "gap": "gap_measured",
    "paused": "paused",
    "finished": "finished",
    "failed": "failed",
}
"""Signal of each kind of event."""


@dataclass(frozen=True)
class RunHistory:
    """What a run has said so far, the later word on an epoch in the place of the earlier one."""

    started: Started | None = None
    epochs: tuple[EpochEnded, ...] = ()
    last: RunEvent | None = None

    @property
    def state(self) -> str:
        """``waiting``, ``running``, ``paused``, ``finished`` or ``failed``."""
        if isinstance(self.last, Finished):
            return "finished"
        if isinstance(self.last, Failed):
            return "failed"
        if isinstance(self.last, Paused) and self.last.paused:
            return "paused"
        return "running" if self.started else "waiting"

    def with_event(self, event: RunEvent) -> "RunHistory":
        """The history with one more event."""
        if isinstance(event, Started):
            kept = tuple(e for e in self.epochs if e.epoch < event.first_epoch)
            return RunHistory(event, kept, event)
        if isinstance(event, EpochEnded):
            kept = tuple(e for e in self.epochs if e.epoch < event.epoch)
            return RunHistory(self.started, (*kept, event), event)
        return RunHistory(self.started, self.epochs, event)


@dataclass(frozen=True)
class Look:
    """What one look at a run has found; without ``alive`` nobody has looked for its process."""

    events: list[RunEvent]
    alive: bool | None = None
    unborn: bool = False
    """No process of it was ever seen, and it was made a short while ago."""
    lost: Failed | None = None
    """What to say for a process that is gone."""


class RunFiles:
    """The files of a run, or of a study, and its process, as a worker thread looks at them; one look at a time."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._tail = EventTail(run.events)
        self._looked = time.monotonic()
        self._seen_alive = False
        self._code: int | None = None

    def look(self) -> Look:
        """Read on; where there is nothing new, see now and then whether its process is still there."""
        events = self._tail.read(_READ_BYTES)
        now = time.monotonic()
        if events or now - self._looked < _LOOK_FOR_LIFE_S:
            return Look(events)
        self._looked = now
        if self._is_alive():
            self._seen_alive = True
            return Look([], alive=True)
        late = self._tail.read(_READ_BYTES)  # said between the two looks
        if late:
            return Look(late)
        never = self._code is None and not self._seen_alive and self._run.path not in _children
        return Look([], False, never and self._frozen_for_s() < _START_WITHIN_S, died(self._run, self._code))

    def _is_alive(self) -> bool:
        """Whether a process is at work on the run; keeps how our own child ended if it did."""
        child = _children.get(self._run.path)
        code = child.poll() if child else None
        if child and code is None:
            return True
        if child:
            del _children[self._run.path]
            self._code = code
        return self._run.alive

    def _frozen_for_s(self) -> float:
        """How long ago the run was made: a process that has not begun by then never will."""
        try:
            return time.time() - self._run.dataset.stat().st_mtime
        except OSError:
            return math.inf


class RunWatch(QObject):
    """Follows one run and says what happens; ``history`` is what has happened so far.

    It has the end of ``events.jsonl`` read several times a second on a worker thread, at most 64 KB at a time. A run
    whose process is gone without a last word has failed, and the watch says why.
    """

    preparing = Signal(object)
    started = Signal(object)
    batch_ended = Signal(object)
    batch_halved = Signal(object)
    epoch_ended = Signal(object)
    gap_measured = Signal(object)
    paused = Signal(object)
    finished = Signal(object)
    failed = Signal(object)

    def __init__(self, run: RunFolder, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.run = run
        self.history = RunHistory()
        self._files = RunFiles(run)
        self._job: Job | None = None
        self._held: RunEvent | None = None
        self._held_since = 0.0
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self._look)
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._look)

    def follow(self) -> None:
        """Begin to look; signals of what happened before are sent first."""
        self._timer.start()
        self._again.start(0)

    def close(self) -> None:
        """Stop looking; the run goes on."""
        self._timer.stop()
        self._again.stop()
        if self._job:
            self._job.cancel()

    @property
    def is_over(self) -> bool:
        """Whether it finished or failed."""
        return self.history.state in ("finished", "failed")

    def pause(self) -> None:
        """Ask the run to wait between two batches."""
        write_control(self.run, "pause")

    def resume(self) -> None:
        """Ask a waiting run to go on."""
        write_control(self.run, "run")

    def stop(self) -> None:
        """Ask the run to end; it writes the best model so far."""
        write_control(self.run, "stop")

    def _look(self) -> None:
        if self._job and not self._job.is_over:
            return
        files = self._files
        self._job = run_in_thread(lambda _report, _stopped: files.look(), lane="watch")
        self._job.succeeded.connect(self._seen)

    def _seen(self, look: Look) -> None:
        for event in look.events:
            self._take(event)
        if look.events:
            self._again.start(0)
            return
        if self._held and (look.alive is False or time.monotonic() - self._held_since > _WORD_HOLDS_S):
            self._say(self._held)
        if look.lost is None:
            return
        if self.is_over:
            self.close()
        elif not (look.unborn and self.history.started is None):
            self._say(look.lost)

    def _take(self, event: RunEvent) -> None:
        """Pass an event on; a last word is held until the process is gone: a resumed run has one in its middle."""
        if isinstance(event, (Finished, Failed)):
            self._held, self._held_since = event, time.monotonic()
        else:
            self._held = None
            self._say(event)

    def _say(self, event: RunEvent) -> None:
        self._held = None
        self.history = self.history.with_event(event)
        getattr(self, _SIGNALS[event.EVENT]).emit(event)


def died(run: RunFolder, code: int | None) -> Failed:
    """The last word in the place of a process that could not say it: how it ended, and the last lines it printed."""
    kept = run.checkpoint.is_dir() and any(run.checkpoint.iterdir())
    hint = "Its checkpoint is kept: it can go on from there." if kept else "It had not come to a checkpoint yet."
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        how = f"The training process was ended by {name}."
        if name == "SIGKILL":
            hint = "Often the memory is full: choose a smaller batch or input size. " + hint
    elif code:
        how = f"The training process ended with code {code}."
    else:
        how = "The training process is gone without a last word."
    with contextlib.suppress(OSError):
        if shutil.disk_usage(run.path).free < _LITTLE_ROOM_BYTES:
            how, hint = f"{how} The disk it writes to is full.", f"Make room on the disk. {hint}"
    return Failed(time.time(), run.name, how, hint, last_log_lines(run))


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
    with run.log.open("ab") as log:
        child = subprocess.Popen[bytes](
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=True, env=environment, **detached
        )
    _children[run.path] = child
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


def past_runs(project: Path) -> list[RunFolder]:
    """Runs of a project at which nobody is at work, oldest first."""
    return [run for run in run_folders(project) if not run.alive]


def has_curve(run: RunFolder) -> bool:
    """Whether the run has come to the end of an epoch."""
    tail = EventTail(run.events)
    while events := tail.read(_READ_BYTES):
        if any(isinstance(event, EpochEnded) for event in events):
            return True
    return False


def load_history(run: RunFolder) -> RunHistory:
    """The whole story of a run from its file, without the batches; for a worker thread when it is long.

    A run that ended without a last word counts as failed.
    """
    history = RunHistory()
    events = EventTail(run.events).read_all()
    for event in events:
        if not isinstance(event, BatchEnded):
            history = history.with_event(event)
    if not has_ended(events) and not run.alive:
        history = history.with_event(died(run, None))
    return history


def can_resume(run: RunFolder) -> bool:
    """Whether a run that is not going on has epochs left: it was stopped, failed or was killed; not ended early."""
    if run.alive:
        return False
    history = load_history(run)
    if isinstance(history.last, Finished) and history.last.early:
        return False
    try:
        epochs = int(json.loads(run.config.read_text("utf-8"))["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return not history.epochs or history.epochs[-1].epoch < epochs
