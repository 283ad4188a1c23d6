"""Files that could harm whoever reads them are read by a child process, within bounds of memory and time.

DICOM is such a format: its readers and decoders are many and large, and a damaged or hostile file can make them take
all memory, or crash. One child stays between two questions, so that each is answered without the third of a second
that a new one takes to start; one that was killed or has died is replaced. A process that is itself a child of the
window reads without another one.
"""

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from thighview.core.errors import UserError
from thighview.io import child
from thighview.io.bounded import budget_bytes
from thighview.io.child import Report
from thighview.io.children import Answer, Child, LostError

Wish = Callable[[], bool]

_PREPARED = ("thighview.io.dicom_parts", "pydicom")
_ROOM_BYTES = 512 << 20
"""What a reader may take besides the largest scan that is opened."""
_CPU_S, _SILENCE_S, _DEADLINE_S = 900.0, 90.0, 3600.0
_TOLD_EVERY_S = 0.05
_HINT = "The files may be damaged, or take more memory than there is: copy them again, or convert them with dcm2niix."

_lock = threading.Lock()
_idle: list[Child] = []


def ask(
    function_path: str, path: Path, *arguments: object, report: Report = child.nobody, stopped: Wish | None = None
) -> Answer:
    """Call a function of this program with a path, where it may do no harm; blocks.

    Parameters
    ----------
    function_path : str
        ``"thighview.module:function"`` as for :func:`thighview.io.child.run`; its first argument is the path.
    path : Path
        What it looks at.
    *arguments
        What else it is given, as JSON can carry it.
    report, stopped : callable, optional
        How far it is, at most 20 times a second; whether to give up, which takes some 0.1 s.

    Raises
    ------
    UserError
        What it refused; that it took more memory or time than it may, crashed, or answered what cannot be.
    Stopped
        When it was given up.
    """
    if child.is_child():
        result, arrays = child.call(function_path, [str(path), *arguments], child.nobody)
        return result, {name: child.filled(array) for name, array in arrays.items()}
    question = {
        "do": function_path, "arguments": [str(path), *arguments], "memory_bytes": budget_bytes() + _ROOM_BYTES,
        "cpu_s": _CPU_S,
    }  # fmt: skip
    one, waited = _take()
    try:
        try:
            return _answer_of(one, question, report, stopped)
        except LostError:
            if not (waited and one.silent):
                raise
        lost, one = one, _new()  # it may have been killed while it waited, which is no fault of the file's
        lost.end()
        return _answer_of(one, question, report, stopped)
    except LostError as error:
        message = error.message[:1].lower() + error.message[1:]
        raise UserError(f"{path.name} could not be read: {message}", _HINT) from error
    finally:
        _give_back(one)


def _answer_of(one: Child, question: dict[str, Any], report: Report, stopped: Wish | None) -> Answer:
    one.ask(question)
    return one.follow(_Telling(report), stopped or _never, _DEADLINE_S, _SILENCE_S, budget_bytes())


def prepare() -> None:
    """Start the child that the first question will need; blocks a moment."""
    if not child.is_child():
        _give_back(_take()[0])


def end() -> None:
    """End the child that waits for questions; later ones start another."""
    while True:
        with _lock:
            if not _idle:
                return
            one = _idle.pop()
        one.end()


def idle_processes() -> set[int]:
    """Process ids of the children that wait for questions."""
    with _lock:
        return {one.process.pid for one in _idle if one.process.pid is not None}


def _take() -> tuple[Child, bool]:
    """A child, and whether it has waited."""
    with _lock:
        one = _idle.pop() if _idle else None
    if one is not None:
        if one.greets_back():
            return one, True
        one.end()
    return _new(), False


def _new() -> Child:
    return Child(child.serve, _PREPARED)


def _give_back(one: Child) -> None:
    """Keep it for the next question, unless it cannot be trusted or another one waits already."""
    if one.ready:
        with _lock:
            if not _idle:
                _idle.append(one)
                return
    one.end()


def _never() -> bool:
    return False


class _Telling:
    """Hands progress on, seldom enough for any window."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._at = {"told": -math.inf, "said": -math.inf}

    def __call__(self, done: int, total: int) -> None:
        """Some steps are done."""
        if self._is_time("told"):
            self._report(done, total)

    def say(self, message: object) -> None:
        """The same in words."""
        if self._is_time("said"):
            self._report.say(message)

    def _is_time(self, which: str) -> bool:
        now = time.monotonic()
        if now - self._at[which] < _TOLD_EVERY_S:
            return False
        self._at[which] = now
        return True
