"""The parent's side of work in a process of its own: what a child says is followed, and believed only when it can be.

A child may be broken or hostile: whatever it sends, and whether it ends or not, the answer is a result that was
checked, or one error. Everything here blocks: for worker threads.
"""

import math
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import ScanChoice, SeveralScansError, Stopped, UserError
from thighview.io import child
from thighview.io.child import Report

_POLL_S, _GREETING_S = 0.05, 10.0
MOST_BYTES = 16 << 30
_MOST_MESSAGE_BYTES = 64 << 20
_MOST_ARRAYS = 64
_FULL = "Often the memory is full: close other programs, then try again."
Answer = tuple[dict[str, Any], dict[str, NDArray[Any]]]
"""Plain data and arrays."""


class ChildError(RuntimeError):
    """A bug in a child process; ``details`` is its traceback."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class LostError(UserError):
    """A child gave no answer that could be believed, or none at all."""


class Child:
    """A process and the pipe to it; to be ended by :meth:`end`, whatever happened.

    Parameters
    ----------
    body : callable
        Its body, called with its end of the pipe and ``arguments``.

    Attributes
    ----------
    ready : bool
        Whether it has answered all it was asked, as far as that can be believed.
    silent : bool
        Whether it has ended by itself without a word to what it was asked last.
    """

    def __init__(self, body: Callable[..., object], *arguments: object) -> None:
        self.ready, self.silent = True, False
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=body, args=(theirs, *arguments), name="thighview job", daemon=True
        )
        with theirs:
            try:
                self.process.start()
            except BaseException:
                self.end()
                raise

    def end(self) -> None:
        """Kill it: it has answered, was cancelled, or is late, and there is nothing more it could do."""
        self.connection.close()
        if self.process.pid is not None:
            self.process.kill()
            self.process.join()
        self.process.close()

    def greets_back(self) -> bool:
        """Whether a child that waited is still there, and listens; it may have been killed meanwhile."""
        try:
            child.send(self.connection, {"hello": True})
            return self.connection.poll(_GREETING_S) and "hello" in child.receive(self.connection, _MOST_MESSAGE_BYTES)
        except (OSError, EOFError, ValueError):
            return False

    def ask(self, question: dict[str, Any]) -> None:
        """Send a child that stays what it is to do; LostError when it is gone."""
        self.ready = self.silent = False
        try:
            child.send(self.connection, question)
        except OSError as error:
            self.silent = True
            raise LostError("The process that was to do this work has ended.", _FULL) from error

    def follow(
        self,
        report: Report,
        stopped: Callable[[], bool],
        deadline_s: float = math.inf,
        silence_s: float = math.inf,
        most_bytes: int = MOST_BYTES,
    ) -> Answer:
        """Wait for what it was asked for.

        Parameters
        ----------
        report, stopped : callable
            Where its progress goes; whether to give up.
        deadline_s, silence_s : float
            It is killed when it has not answered after this long, or has not said a word for this long.
        most_bytes : int
            Size of all arrays it may announce.

        Raises
        ------
        Stopped
            When it was given up.
        UserError
            What it refused; that it ended without an answer, was late, or answered what cannot be.
        ChildError
            The bug it met.
        """
        self.ready = False
        watch = _Watch(self.process, stopped, deadline_s, silence_s)
        try:
            with watch:
                answer = _follow(self.process, self.connection, watch, report, most_bytes)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, OSError, RecursionError) as error:
            what = type(error).__name__
            raise LostError(f"The process that did this work answered what cannot be ({what}).") from error
        except LostError:
            self.silent = not (watch.spoke or watch.late)
            raise
        self.ready = True
        if isinstance(answer, Exception):
            raise answer
        return answer


class _Watch:
    """A thread that kills a process which is not wanted any more or late; the pipe to it ends with it."""

    def __init__(self, process: BaseProcess, stopped: Callable[[], bool], deadline_s: float, silence_s: float) -> None:
        self.stopped = self.late = self.spoke = False
        self._process, self._wish, self._silence_s = process, stopped, silence_s
        self._until, self._heard = time.monotonic() + deadline_s, time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="child watch", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def heard(self) -> None:
        """It has said something."""
        self.spoke = True
        self._heard = time.monotonic()

    def _look(self) -> None:
        while not self._over.wait(_POLL_S):
            now = time.monotonic()
            self.stopped = self._wish()
            self.late = now > min(self._until, self._heard + self._silence_s)
            if self.stopped or self.late:
                self._process.kill()
                return


def _follow(
    process: BaseProcess, connection: Connection, watch: _Watch, report: Report, most_bytes: int
) -> Answer | Exception:
    result: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    rooms: list[memoryview] = []
    missing = 0
    while True:
        try:
            message = child.receive(connection, _MOST_MESSAGE_BYTES)
            watch.heard()
            if "piece" in message:
                room, at, count = rooms[_whole(message["of"])], _whole(message["at"]), _whole(message["piece"])
                if not 0 < count <= min(missing, len(room) - at):
                    raise ValueError("a piece that has no room")
                child.receive_bytes(connection, room[at : at + count])
                missing -= count
                continue
        except (EOFError, ConnectionResetError, BrokenPipeError):
            process.join()
            raise _ended(process.exitcode, watch) from None
        if "progress" in message:
            done, total = message["progress"]
            report(_whole(done), _whole(total))
        elif "say" in message:
            report.say(message["say"])
        elif "error" in message:
            return _error_of(message["error"])
        elif "result" in message and not arrays:
            result, shapes = dict(message["result"]), _shapes(message["arrays"], most_bytes)
            if not shapes:
                return result, {}
            arrays = {name: np.empty(shape, dtype) for name, shape, dtype in shapes}
            rooms = [array.reshape(-1).view(np.uint8).data for array in arrays.values()]
            missing = sum(map(len, rooms))
        elif "filled" in message and arrays and not missing:
            return result, arrays
        else:
            raise ValueError("a message out of turn")


def _whole(number: object) -> int:
    if type(number) is not int or number < 0:
        raise TypeError("a whole number was expected")
    return number


def _shapes(rows: Any, most_bytes: int) -> list[tuple[str, tuple[int, ...], np.dtype[Any]]]:
    found: list[tuple[str, tuple[int, ...], np.dtype[Any]]] = []
    size_bytes = 0
    for row in rows:
        shape, dtype = tuple(_whole(n) for n in row["shape"]), np.dtype(str(row["dtype"]))
        if dtype.kind not in "biuf" or len(found) == _MOST_ARRAYS:
            raise ValueError("an array that cannot be")
        size_bytes += math.prod(shape) * dtype.itemsize
        found.append((str(row["name"]), shape, dtype))
    if size_bytes > most_bytes:
        raise too_large(size_bytes)
    return found


def too_large(size_bytes: int) -> UserError:
    """What is said of a scan that does not fit."""
    return UserError(
        f"This scan is too large for this computer's memory: {size_bytes / 1e9:.1f} GB.",
        "Close other programs, or cut the scan smaller.",
    )


def _ended(exit_code: int | None, watch: _Watch) -> Exception:
    if watch.stopped:
        return Stopped()
    if watch.late:
        return LostError("The work took longer than it may and was ended.", "Try again, or with a smaller file.")
    how = f"by signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"with code {exit_code}"
    return LostError(f"The process that did this work ended without an answer, {how}.", _FULL)


def _error_of(row: dict[str, Any]) -> Exception:
    kind, message, hint = row["kind"], str(row["message"]), str(row["hint"])
    if kind == "user":
        return UserError(message, hint)
    if kind == "several":
        return SeveralScansError(message, hint, *(tuple(map(_choice, row[name])) for name in ("choices", "refused")))
    if kind == "memory":
        return LostError("This takes more memory than it may.", _FULL)
    return ChildError(message, str(row.get("details", "")))


def _choice(row: dict[str, Any]) -> ScanChoice:
    words = {name: str(row[name]) for name in ("title", "part", "description")}
    return ScanChoice(path=Path(row["path"]), images=_whole(row["images"]), **words)
