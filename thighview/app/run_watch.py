"""Watching a run, or a study: the end of its ``events.jsonl`` is read, and its process is looked for."""

import math
import time
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal

from thighview.app.jobs import Job, run_in_thread
from thighview.app.run_story import READ_BYTES, RunHistory, died
from thighview.app.training import children
from thighview.core.run import Failed, Finished, Preparing, RunEvent
from thighview.io.runs import EventTail, RunFolder

TICK_MS = 150
_LOOK_FOR_LIFE_S = 0.5
_START_WITHIN_S = 120.0
WORD_HOLDS_S = 60.0
"""A last word holds after this time even if the process is still there."""


@dataclass(frozen=True)
class Look:
    """What one look at a run has found; without ``alive`` nobody has looked for its process."""

    events: list[RunEvent]
    alive: bool | None = None
    unborn: bool = False
    """No process of it was ever seen, and it was made a short while ago."""
    lost: Failed | None = None
    """What to say for a process that is gone."""
    mute: bool = False
    """This window has started a process of it, which has said nothing so far."""
    silent: bool = False
    """That process said nothing at all: the last word there is, is that of an earlier one."""


class RunFiles:
    """The files of a run, or of a study, and its process, as a worker thread looks at them; one look at a time."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._tail = EventTail(run.events)
        self._looked = -math.inf
        self._seen_alive = False
        self._code: int | None = None
        self._said_before = 0

    def look(self) -> Look:
        """Read on; where there is nothing new, see now and then whether its process is still there."""
        events = self._tail.read(READ_BYTES)
        now = time.monotonic()
        if events or now - self._looked < _LOOK_FOR_LIFE_S:
            return Look(events)
        self._looked = now
        if self._is_alive():
            self._seen_alive = True
            child = children.get(self._run.path)
            return Look([], alive=True, mute=child is not None and self._tail.place <= child.said_before)
        late = self._tail.read(READ_BYTES)  # said between the two looks
        if late:
            return Look(late)
        never = self._code is None and not self._seen_alive and self._run.path not in children
        unborn = never and self._frozen_for_s() < _START_WITHIN_S
        silent = bool(self._code) and self._tail.place <= self._said_before
        return Look([], False, unborn, died(self._run, self._code), silent)

    def _is_alive(self) -> bool:
        """Whether a process is at work on the run; keeps how our own child ended if it did."""
        child = children.get(self._run.path)
        code = child.process.poll() if child else None
        if child and code is None:
            return True
        if child:
            del children[self._run.path]
            self._code, self._said_before = code, child.said_before
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

    said = Signal(object)
    """RunEvent, in the order in which they were said."""

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
        """Begin to look; what happened before is said first."""
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
        if look.mute and self.history.last and not isinstance(self.history.last, Preparing):  # it is gone on with
            self._say(Preparing(time.time(), self.run.name, "the program is loaded"))
        if look.silent:
            self._held = None
        if self._held and (look.alive is False or time.monotonic() - self._held_since > WORD_HOLDS_S):
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
        self.said.emit(event)
