"""Store: the one thread that writes the open project, in order, and says whether all is saved."""

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, Signal

from thighview.app.jobs import Job, JobHandle
from thighview.core.errors import UserError
from thighview.core.labels import LabelTable
from thighview.io.journal import JournalEntry
from thighview.io.project import Project

_log = logging.getLogger(__name__)

RETRY_S = 2.0
"""After a failed write the next try comes this much later, or with the next edit."""

_CLOSED = "The project was closed before this could be done."

T = TypeVar("T")


class ClosedError(RuntimeError):
    """Something was handed to the writer of a project that is closed."""


@dataclass(frozen=True)
class SaveState:
    """How safe the work is.

    Parameters
    ----------
    phase : {"saved", "saving", "error"}
        Everything is on disk; on its way; or cannot be written and waits in memory.
    message : str
        A sentence for the person when there is an error.
    at : float
        When this became so, seconds since 1970.
    unsaved : int
        How many changes are not on disk yet.
    """

    phase: str = "saved"
    message: str = ""
    at: float = 0.0
    unsaved: int = 0


@dataclass(frozen=True, eq=False)
class _Change:
    """Something that must reach the disk, however long it takes."""

    write: Callable[[Project], object]


@dataclass(frozen=True, eq=False)
class _Call:
    """Something that somebody waits for, done once."""

    function: Callable[[Project], object]
    handle: "JobHandle | _Answer"


class _Answer:
    """What a worker thread waits on instead of a job."""

    def __init__(self) -> None:
        self.future = Future[Any]()

    def finish(self, result: object = None, error: Exception | None = None) -> None:
        """Hand over the result or the error."""
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class _Writer:
    """The thread and its queue; no QObject, so that the thread never owns one."""

    def __init__(self, post: Callable[[object], None]) -> None:
        self._post = post
        self._wake = threading.Condition()
        self._queue: deque[_Change | _Call] = deque()
        self._unsaved = 0
        self._closing = False
        self._refused = ""
        self._ended = False
        self._state = SaveState()
        self._closed: list[JobHandle] = []
        self._thread: threading.Thread | None = None

    @property
    def unsaved(self) -> int:
        """How many changes are not on disk yet."""
        with self._wake:
            return self._unsaved

    def add(self, item: _Change | _Call) -> None:
        """Put something at the end of the queue; never waits for the disk."""
        with self._wake:
            if self._closing:
                raise ClosedError("the project is closed")
            self._queue.append(item)
            if isinstance(item, _Change):
                self._unsaved += 1
                if self._state.phase == "saved":
                    self._say("saving")
            self._wake.notify()

    def start(self, open_project: Callable[[], Project], opened: JobHandle) -> None:
        """Begin the thread: it opens the project first."""
        self._thread = threading.Thread(
            target=self._run, args=(open_project, opened), name="project writer", daemon=True
        )
        self._thread.start()

    def close(self, closed: JobHandle | None = None) -> None:
        """Ask the thread to end when everything is written, or has been tried once more."""
        with self._wake:
            self._closing = True
            self._wake.notify()
            if closed and self._thread and self._thread.is_alive() and not self._ended:
                self._closed.append(closed)
                return
        if closed:
            closed.finish(self.unsaved)

    def join(self, wait_s: float) -> None:
        """Wait for the thread."""
        if self._thread:
            self._thread.join(wait_s)

    # ------------------------------------------------------------------ on the thread

    def _run(self, open_project: Callable[[], Project], opened: JobHandle) -> None:
        try:
            self._work(open_project, opened)
        finally:
            with self._wake:
                self._ended = True
            for closed in self._closed:
                closed.finish(self.unsaved)

    def _work(self, open_project: Callable[[], Project], opened: JobHandle) -> None:
        try:
            project = open_project()
        except Exception as error:  # noqa: BLE001 - it goes on to whoever opened the project
            opened.finish(error=error)
            self._fail_all(error)
            return
        opened.finish(project.folder)
        try:
            while self._next(project):
                pass
        finally:
            project.close()
            self._fail_calls()

    def _next(self, project: Project) -> bool:
        """Do the first thing of the queue; False when there is nothing left to do."""
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            if not self._queue:
                return False
            item = self._queue[0]
        if isinstance(item, _Call):
            self._answer(project, item)
            self._done(item)
            return True
        try:
            item.write(project)
        except (sqlite3.Error, OSError) as error:
            if not isinstance(error, sqlite3.IntegrityError):
                return self._wait_to_retry(project, error)
            self._refuse(error)
        except Exception as error:  # noqa: BLE001 - a bug: logged and shown, the thread lives on
            self._refuse(error)
        self._done(item)
        return True

    def _done(self, item: _Change | _Call) -> None:
        with self._wake:
            self._queue.popleft()
            if isinstance(item, _Change):
                self._unsaved -= 1
                if self._unsaved == 0:
                    self._say("error" if self._refused else "saved", self._refused)
                elif self._state.phase == "error" and not self._refused:
                    self._say("saving")

    def _answer(self, project: Project, call: _Call) -> None:
        try:
            result = call.function(project)
        except (sqlite3.Error, OSError) as error:
            _log.warning("a call to the project failed: %s", error)
            self._reconnect(project)
            call.handle.finish(error=UserError(_sentence(error), "Mend that, then try again."))
        except Exception as error:  # noqa: BLE001 - it goes on to whoever called
            call.handle.finish(error=error)
        else:
            call.handle.finish(result)

    def _wait_to_retry(self, project: Project, error: Exception) -> bool:
        _log.warning("the project could not be written: %s", error)
        with self._wake:
            many = f"{self._unsaved} change{'s' if self._unsaved > 1 else ''}"
            self._say("error", f"{_sentence(error)} {many} kept in memory and saved as soon as that is possible.")
            if self._closing:
                return False
            self._wake.wait(RETRY_S)
        self._reconnect(project)
        return True

    def _reconnect(self, project: Project) -> None:
        try:
            project.reconnect()
        except (sqlite3.Error, OSError) as error:
            _log.warning("the project could not be opened again: %s", error)

    def _refuse(self, error: Exception) -> None:
        _log.error("a change does not fit what is stored", exc_info=error)
        self._refused = "An edit could not be stored (a fault of the program). Save the mask to a file of its own."
        with self._wake:
            self._say("error", self._refused)

    def _fail_calls(self) -> None:
        """At the end: whoever still waits behind changes that could not be written is told."""
        with self._wake:
            calls = [item for item in self._queue if isinstance(item, _Call)]
        for call in calls:
            call.handle.finish(error=UserError(_CLOSED))

    def _fail_all(self, error: Exception) -> None:
        """The project cannot be opened: nothing is ever done, everybody is told."""
        while True:
            with self._wake:
                while not self._queue and not self._closing:
                    self._wake.wait()
                if not self._queue:
                    return
                item = self._queue.popleft()
                if isinstance(item, _Change):
                    self._say("error", str(error))
            if isinstance(item, _Call):
                item.handle.finish(error=error)

    def _say(self, phase: str, message: str = "") -> None:
        """Say how it stands; the lock is held."""
        self._state = SaveState(phase, message, time.time(), self._unsaved)
        self._post(self._state)


class Store(QObject):
    """The open project, written by one thread of its own; made and used on the window's thread.

    Changes are written in the order of the calls, one commit each, none merged, none dropped. When the disk cannot
    be written they wait in memory and are tried again; what was asked with :meth:`call` waits behind them.

    Attributes
    ----------
    folder : Path
        The project's folder.
    """

    save_changed = Signal(object)
    """SaveState."""
    _arrived = Signal(object)

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.folder = folder.absolute()
        self._state = SaveState(at=time.time())
        self._arrived.connect(self._show, Qt.ConnectionType.QueuedConnection)
        self._writer = _Writer(self._arrived.emit)

    def open(self, create: bool = True) -> Job:
        """Open the project, made now if there is none in the folder and ``create``; once, before anything else.

        The job's ``succeeded`` brings the folder; when it fails, the store is of no use but must be closed.
        """
        job = Job(must_finish=True)
        folder = self.folder
        self._writer.start(
            (lambda: Project.open_or_create(folder)) if create else (lambda: Project.open(folder)), job.handle
        )
        return job

    @property
    def state(self) -> SaveState:
        """The last SaveState sent."""
        return self._state

    @property
    def unsaved(self) -> int:
        """How many changes are not on disk yet; a window that closes should ask when there are some."""
        return self._writer.unsaved

    def append(self, case_id: int, reader_id: int, entry: JournalEntry) -> None:
        """Write an entry into a journal; returns at once."""
        self._writer.add(_Change(lambda project: project.append(case_id, reader_id, entry)))

    def set_table(self, case_id: int, table: LabelTable) -> None:
        """Keep a case's label table; returns at once."""
        self._writer.add(_Change(lambda project: project.set_table(case_id, table)))

    def call(self, function: Callable[[Project], T]) -> Job:
        """Do anything else with the project, after everything before it; the job's ``succeeded`` brings the result."""
        job = Job(must_finish=True)
        self._writer.add(_Call(function, job.handle))
        return job

    def wait_for(self, function: Callable[[Project], T]) -> T:
        """The same for a worker thread, which waits for the answer; never on the window's thread.

        Raises
        ------
        UserError
            When the project is closed, or cannot be written.
        """
        answer = _Answer()
        try:
            self._writer.add(_Call(function, answer))
        except ClosedError:
            raise UserError(_CLOSED) from None
        return answer.future.result()

    def leave(self) -> Job:
        """Write everything and close the project, without waiting; ``succeeded`` brings the number left unsaved."""
        job = Job(must_finish=True)
        self._writer.close(job.handle)
        return job

    def close(self, wait_s: float = 30.0) -> int:
        """Write everything, close the project and wait for that: for the end of the program.

        Returns
        -------
        int
            How many changes could not be written: 0 unless the disk is out of order.
        """
        self._writer.close()
        self._writer.join(wait_s)
        QCoreApplication.sendPostedEvents(self, QEvent.Type.MetaCall.value)
        return self._writer.unsaved

    def _show(self, state: SaveState) -> None:
        self._state = state
        self.save_changed.emit(state)


def _sentence(error: Exception) -> str:
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_FULL or (isinstance(error, OSError) and error.errno == 28):
        return "The disk that holds the project is full."
    return f"The project cannot be written ({error})."
