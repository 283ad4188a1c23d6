"""Job: one idea of work that goes on behind the window, whether in a thread or in a process.

Whoever starts a job connects to its signals; they always arrive on the window's thread. A job keeps itself alive
until it has ended. Work is done in lanes: jobs of one lane run one after the other, lanes run side by side.
"""

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QThread, Signal

from thighview.app import lanes
from thighview.core.errors import Stopped, UserError
from thighview.io import child, loader
from thighview.io.child import Report
from thighview.io.children import Answer, Child, ChildError

__all__ = ["ChildError", "Job", "JobHandle", "Report", "Stopped", "run_in_process", "run_in_thread", "running"]
_log = logging.getLogger(__name__)


Work = Callable[[Report, Callable[[], bool]], Any]
"""``work(report, stopped) -> result``, called on a worker thread; it looks at ``stopped()`` now and then."""


class JobHandle:
    """The worker's end of a job: thread-safe, and no QObject, so that a worker never owns one.

    Parameters
    ----------
    must_finish : bool
        Whether the job is waited for, not cancelled, when the program closes (a save, for one).
    """

    def __init__(self, must_finish: bool = False) -> None:
        self.must_finish = must_finish
        self._cancel = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether the job was cancelled."""
        return self._cancel.is_set()

    def cancel(self) -> None:
        """Ask the work to stop."""
        self._cancel.set()

    def __call__(self, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` steps are done."""
        self.post("progressed", int(done), int(total))

    def say(self, message: object) -> None:
        """Hand anything to whoever listens to ``Job.said``."""
        self.post("said", message)

    def post(self, signal: str, *values: object) -> None:
        """Have one of the job's signals sent on the window's thread, in the order of the calls."""
        mailbox = _mailbox
        if mailbox is not None:
            mailbox.arrived.emit((self, signal, values))

    def finish(self, result: object = None, error: Exception | None = None) -> None:
        """Say, once, that the work has ended."""
        if error is not None and not isinstance(error, Stopped):
            if not isinstance(error, UserError):
                _log.error("a job failed: %s", error, exc_info=error)
            self.post("failed", error)
        elif error is None and not self.cancelled:
            self.post("succeeded", result)
        self.post("ended")


class Job(QObject):
    """One piece of work behind the window; made and used on the window's thread.

    Signals, all on the window's thread: ``progressed(done, total)``; ``said(object)``; then at most one of
    ``succeeded(result)`` and ``failed(exception)``; and always, last and once, ``ended()``. A cancelled job ends
    without ``succeeded``.

    Attributes
    ----------
    handle : JobHandle
        The end that the worker holds.
    """

    progressed = Signal(int, int)
    said = Signal(object)
    succeeded = Signal(object)
    failed = Signal(object)
    ended = Signal()

    def __init__(self, must_finish: bool = False) -> None:
        super().__init__()
        _open_mailbox()
        self.handle = JobHandle(must_finish)
        self._over = False
        _alive[self.handle] = self

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self.handle.cancelled

    @property
    def is_over(self) -> bool:
        """Whether ``ended`` has been sent."""
        return self._over

    def cancel(self) -> None:
        """Ask the work to stop; never waits. The job ends without a result, as soon as the work lets go."""
        self.handle.cancel()

    def deliver(self, signal: str, values: tuple[object, ...]) -> None:
        """Send one signal that the worker posted."""
        if self._over or (self.cancelled and signal not in ("ended", "failed")):
            return
        if signal == "ended":
            self._over = True
            _alive.pop(self.handle, None)
        getattr(self, signal).emit(*values)


class _Mailbox(QObject):
    """Where all workers post; it lives on the window's thread and passes each message to its job."""

    arrived = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.arrived.connect(self._pass_on, Qt.ConnectionType.QueuedConnection)

    def _pass_on(self, message: tuple[JobHandle, str, tuple[object, ...]]) -> None:
        handle, signal, values = message
        job = _alive.get(handle)
        if job is not None:
            job.deliver(signal, values)


_mailbox: _Mailbox | None = None
_alive: dict[JobHandle, Job] = {}


def _open_mailbox() -> None:
    global _mailbox
    application = QCoreApplication.instance()
    if application is None or application.thread() != QThread.currentThread():
        raise RuntimeError("a job is started on the window's thread, with a running Qt application")
    if _mailbox is None:
        _mailbox = _Mailbox()


def _do(handle: JobHandle, work: Work) -> None:
    if handle.cancelled:
        handle.finish(error=Stopped())
        return
    try:
        result = work(handle, lambda: handle.cancelled)
    except Exception as error:  # noqa: BLE001 - it goes on to whoever started the job, and a bug to the log
        handle.finish(error=error)
    except BaseException as error:  # sys.exit in a library, for one: whoever started the job must hear of its end
        handle.finish(error=RuntimeError(f"the work ended with {error!r}"))
        raise
    else:
        handle.finish(result)


def run_in_thread(work: Work, lane: str = "files", must_finish: bool = False) -> Job:
    """Do ``work(report, stopped)`` on the worker thread of a lane; from the window's thread.

    Parameters
    ----------
    work : callable
        What it returns arrives with ``succeeded``, what it raises with ``failed``.
    lane : str
        Jobs of one lane run one after the other.
    must_finish : bool
        Do not cancel it when the program closes; wait for it.
    """
    job = Job(must_finish)
    handle = job.handle  # not the job: a worker never owns a QObject
    lanes.add(lane, lambda: _do(handle, work))
    return job


def run_in_process(
    function_path: str,
    *arguments: Any,
    lane: str = "files",
    deadline_s: float = math.inf,
    afterwards: Callable[[bool], object] = lambda cancelled: None,
) -> Job:
    """Call a function of this program in a fresh child process; from the window's thread.

    Parameters
    ----------
    function_path : str
        ``"thighview.module:function"``; it returns a dict that JSON can carry, or such a dict and a dict of arrays.
        ``succeeded`` brings ``(dict, arrays)``.
    *arguments
        Positional arguments that JSON can carry.
    lane : str
        The lane whose thread looks after the child.
    deadline_s : float
        The child is killed and the job fails when it has not answered after this long.
    afterwards : callable
        Tidies up when the child is gone, however it ended, given whether the job was cancelled; on the lane's thread,
        before the job ends.
    """
    encoded = json.dumps(arguments)

    def work(report: Report, stopped: Callable[[], bool]) -> Answer:
        one = Child(child.run, function_path, encoded)
        try:
            return one.follow(report, stopped, deadline_s)
        finally:
            one.end()
            afterwards(stopped())

    return run_in_thread(work, lane)


def running() -> tuple[Job, ...]:
    """Jobs that have not ended yet."""
    return tuple(_alive.values())


def shutdown(wait_s: float = 30.0) -> bool:
    """Cancel what may be cancelled, wait for all worker threads and children, deliver what they still had to say.

    For the end of the program; the one place that waits on the window's thread.

    Returns
    -------
    bool
        False when some work did not let go within ``wait_s``.
    """
    until = time.monotonic() + wait_s
    for job in running():
        if not job.handle.must_finish:
            job.cancel()
    ended = lanes.end(until)
    loader.end()
    if _mailbox is not None:
        QCoreApplication.sendPostedEvents(_mailbox, QEvent.Type.MetaCall.value)
    return ended
