"""What a run has said: its story so far, how it ended, and whether it can go on."""

import contextlib
import json
import shutil
import signal
import time
from dataclasses import dataclass

from thighview.core.run import BatchEnded, EpochEnded, Failed, Finished, Paused, RunEvent, Started
from thighview.io.runs import EventTail, RunFolder, has_ended, last_log_lines

READ_BYTES = 1 << 16
"""Most of ``events.jsonl`` that is read at a time."""
_LITTLE_ROOM_BYTES = 1 << 20


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


def has_curve(run: RunFolder) -> bool:
    """Whether the run has come to the end of an epoch."""
    tail = EventTail(run.events)
    while events := tail.read(READ_BYTES):
        if any(isinstance(event, EpochEnded) for event in events):
            return True
    return False


def can_resume(run: RunFolder) -> bool:
    """Whether a run that is not going on can: it was stopped with epochs left, failed, or was killed; not ended early.

    One that failed or was killed after its last epoch still has its model to write.
    """
    if run.alive:
        return False
    history = load_history(run)
    if isinstance(history.last, Finished) and history.last.early:
        return False
    try:
        epochs = int(json.loads(run.config.read_text("utf-8"))["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return not isinstance(history.last, Finished) or not history.epochs or history.epochs[-1].epoch < epochs
