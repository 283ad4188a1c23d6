"""The child's side of work in a process of its own: JSON and plain bytes over a pipe, no pickles, no Qt.

One exchange; arrays go piece by piece straight into memory of the parent, so that the whole is nowhere twice:

    child   {"progress": [done, total]}  {"say": ...}                 any number of times
    child   {"result": {...}, "arrays": [{"name", "shape", "dtype"}]}
    child   {"piece": bytes, "of": array, "at": byte}                 for each piece, followed by its bytes
    child   {"filled": true}                                          last, where there are arrays
    child   {"error": {"kind", "message", "hint", ...}}               instead of any of these

A child that stays (:func:`serve`) is asked by ``{"do", "arguments", "memory_bytes", "cpu_s"}`` before each; it greets
back when it is greeted, ``{"hello": true}``.
"""

import contextlib
import importlib
import inspect
import json
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import SeveralScansError, UserError
from thighview.io.parent import die_with_parent


class Report(Protocol):
    """What work calls to tell how far it is."""

    def __call__(self, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` steps are done."""
        ...

    def say(self, message: object) -> None:
        """Say anything that JSON can carry."""
        ...


class Unread(Protocol):
    """An array whose size is known before its numbers: these are read plane by plane while it is handed over."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its numbers."""
        ...

    def planes(self, report: Report) -> Iterator[tuple[int, NDArray[Any]]]:
        """Each plane across the first axis with its index, in any order, every one once; of the type it was told."""
        ...


_PIECE_BYTES = 1 << 20
Arrays = dict[str, "NDArray[Any] | Unread"]


def find_function(function_path: str) -> Callable[..., Any]:
    """The function that ``"package.module:function"`` names; only functions of this program are run."""
    module_name, _, function_name = function_path.partition(":")
    if not module_name.startswith("thighview.") or not function_name.isidentifier():
        raise ValueError(f"expected 'thighview.module:function', found {function_path!r}")
    function = getattr(importlib.import_module(module_name), function_name)
    if not callable(function):
        raise TypeError(f"{function_path} is not a function")
    return function


class ChildReport:
    """What a function in a child calls to tell how far it is; the same calls as ``jobs.Report``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(self, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` steps are done."""
        send(self._connection, {"progress": [int(done), int(total)]})

    def say(self, message: object) -> None:
        """Hand anything that JSON can carry to the window."""
        send(self._connection, {"say": message})


def send(connection: Connection, message: dict[str, Any]) -> None:
    """Send one message as JSON bytes."""
    connection.send_bytes(json.dumps(message).encode())


def receive(connection: Connection, most_bytes: int | None = None) -> dict[str, Any]:
    """Wait for one JSON message.

    Raises
    ------
    EOFError, OSError
        When the other side is gone, or sends more than ``most_bytes`` at once.
    ValueError
        When it is not a JSON object.
    """
    message = json.loads(connection.recv_bytes(most_bytes))
    if not isinstance(message, dict):
        raise ValueError(f"expected a JSON object, found {type(message).__name__}")
    return message


def run(connection: Connection, function_path: str, arguments: str) -> None:
    """Body of a child that does one thing: call the function with the JSON ``arguments``, send what it returns, end.

    Parameters
    ----------
    connection : Connection
        To the parent.
    function_path : str
        ``"thighview.module:function"``. It returns a dict that JSON can carry, or such a dict and a dict of arrays.
        If it has a parameter called ``report`` it is given a :class:`ChildReport`.
    arguments : str
        JSON list of its positional arguments.
    """
    die_with_parent()
    with contextlib.suppress(KeyboardInterrupt, EOFError, OSError), connection:  # the parent has lost interest
        _answer(connection, function_path, lambda: json.loads(arguments))


def serve(connection: Connection, prepared: tuple[str, ...] = ()) -> None:
    """Body of a child that stays and does one thing after the other, within the bounds that each is given.

    Parameters
    ----------
    connection : Connection
        To the parent.
    prepared : tuple of str
        Modules to import before anything is asked.
    """
    die_with_parent(by_signal=False)
    stay_quiet()
    with contextlib.suppress(KeyboardInterrupt, EOFError, OSError), connection:
        for module in prepared:
            importlib.import_module(module)
        _bound_for_good()
        while True:
            asked = receive(connection)
            if "hello" in asked:
                send(connection, {"hello": True})
                continue
            bound(asked["memory_bytes"], asked["cpu_s"])
            _answer(connection, asked["do"], lambda asked=asked: asked["arguments"])


def is_child() -> bool:
    """Whether this process is a child of ours already, so that what harms it harms no window."""
    return multiprocessing.parent_process() is not None


def bound(memory_bytes: int, cpu_s: float) -> None:
    """Let this process take so much more memory and processor time than it has taken, and no more.

    Memory runs out as a MemoryError or ends the process; time ends it. Where there is no such bound (Windows, and
    macOS for memory) the deadlines of the parent are left.
    """
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _soft_limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_bytes)
        _soft_limit(resource.RLIMIT_CPU, int(time.process_time() + cpu_s) + 1)


def _soft_limit(which: int, value: int) -> None:
    import resource

    hard = resource.getrlimit(which)[1]
    resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _bound_for_good() -> None:
    """Nothing of a scan is left on the disk: no core, and no file that could be written at all."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def stay_quiet() -> None:
    """What the decoders of damaged pixels print is of no use to anybody."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _answer(connection: Connection, function_path: str, arguments: Callable[[], list[Any]]) -> None:
    try:
        report = ChildReport(connection)
        _send_result(connection, *call(function_path, arguments(), report), report)
    except (BrokenPipeError, ConnectionResetError, EOFError):
        raise
    except SeveralScansError as error:
        plain = {
            name: [asdict(one) | {"path": str(one.path)} for one in rows]
            for name, rows in (("choices", error.choices), ("refused", error.refused))
        }
        _send_error(connection, "several", error.message, error.hint, **plain)
    except UserError as error:
        _send_error(connection, "user", error.message, error.hint)
    except MemoryError:
        _send_error(connection, "memory", "")
    except Exception as error:  # noqa: BLE001 - it climbs on in the parent, with this traceback
        message = f"{type(error).__name__}: {error}"
        _send_error(connection, "bug", message, details=traceback.format_exc())


def call(function_path: str, arguments: list[Any], report: Report) -> tuple[dict[str, Any], Arrays]:
    """Call a function by its path, in this process; with ``report`` where it has a parameter of that name."""
    function = find_function(function_path)
    extra = {"report": report} if "report" in inspect.signature(function).parameters else {}
    returned = function(*arguments, **extra)
    return returned if isinstance(returned, tuple) else (returned, {})


def _send_error(connection: Connection, kind: str, message: str, hint: str = "", **more: Any) -> None:
    send(connection, {"error": {"kind": kind, "message": message, "hint": hint, **more}})


def _send_result(connection: Connection, result: Any, arrays: Arrays, report: Report) -> None:
    rows = [{"name": k, "shape": list(a.shape), "dtype": a.dtype.str} for k, a in arrays.items()]
    send(connection, {"result": result, "arrays": rows})
    for of, array in enumerate(arrays.values()):
        for at, piece in _pieces(array, report):
            send(connection, {"piece": piece.nbytes, "of": of, "at": at})
            _send_bytes(connection, piece.data)
    if arrays:
        send(connection, {"filled": True})


def _pieces(array: "NDArray[Any] | Unread", report: Report) -> Iterator[tuple[int, NDArray[Any]]]:
    """Runs of an array's bytes, each with the place where it begins."""
    if isinstance(array, np.ndarray):
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for at in range(0, flat.size, _PIECE_BYTES):
            yield at, flat[at : at + _PIECE_BYTES]
    else:
        for index, plane in array.planes(report):
            piece = np.ascontiguousarray(plane).reshape(-1).view(np.uint8)
            yield index * piece.size, piece


def _send_bytes(connection: Connection, view: memoryview) -> None:
    if sys.platform == "win32":
        connection.send_bytes(view)
        return
    while view:
        view = view[os.write(connection.fileno(), view) :]


def receive_bytes(connection: Connection, view: memoryview) -> None:
    """Fill ``view`` with the bytes of a piece, without a copy on the way; EOFError when the other side is gone."""
    if sys.platform == "win32":
        connection.recv_bytes_into(view)
        return
    while view:
        count = os.readv(connection.fileno(), [view])
        if not count:
            raise EOFError
        view = view[count:]


def filled(array: "NDArray[Any] | Unread") -> NDArray[Any]:
    """An array, read now if it is not there yet; in this process."""
    if isinstance(array, np.ndarray):
        return array
    whole = np.empty(array.shape, array.dtype)
    for index, plane in array.planes(nobody):
        whole[index] = plane
    return whole


class Nobody:
    """Wants to know of no progress."""

    def __call__(self, done: int, total: int) -> None:
        """Nothing."""

    def say(self, message: object) -> None:
        """Nothing."""


nobody = Nobody()
