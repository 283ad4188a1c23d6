"""The child's side of a job that runs in its own process: JSON and shared memory, no pickles, no Qt.

The parent allocates every block of shared memory and takes it down again, so that a child killed at any moment
leaves nothing behind. One exchange:

    child   {"progress": [done, total]}  {"say": ...}                 any number of times
    child   {"result": {...}, "arrays": [{"name", "shape", "dtype"}]}
    parent  {"blocks": ["shared memory name", ...]}                   only when there are arrays
    child   {"filled": true}
    child   {"error": {"kind", "message", "hint", "details"}}         instead of a result
"""

import contextlib
import importlib
import inspect
import json
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.engine.parent import die_with_parent


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


def receive(connection: Connection) -> dict[str, Any]:
    """Wait for one JSON message; EOFError when the other side is gone, ValueError when it is not JSON."""
    message = json.loads(connection.recv_bytes())
    if not isinstance(message, dict):
        raise ValueError(f"expected a JSON object, found {type(message).__name__}")
    return message


def run(connection: Connection, function_path: str, arguments: str) -> None:
    """Body of the child: call the function with the JSON ``arguments`` and send what it returns, then end.

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
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError), connection:
        try:
            function = find_function(function_path)
            extra = {"report": ChildReport(connection)} if "report" in inspect.signature(function).parameters else {}
            returned = function(*json.loads(arguments), **extra)
            result, arrays = returned if isinstance(returned, tuple) else (returned, {})
            _send_result(connection, result, arrays)
        except (BrokenPipeError, ConnectionResetError, EOFError):
            return  # the parent has lost interest
        except UserError as error:
            _send_error(connection, "user", error.message, error.hint, "")
        except Exception as error:  # noqa: BLE001 - it climbs on in the parent, with this traceback
            message = f"{type(error).__name__}: {error}"
            _send_error(connection, "bug", message, "", traceback.format_exc())


def _send_error(connection: Connection, kind: str, message: str, hint: str, details: str) -> None:
    send(connection, {"error": {"kind": kind, "message": message, "hint": hint, "details": details}})


def _send_result(connection: Connection, result: Any, arrays: dict[str, NDArray[Any]]) -> None:
    rows = [{"name": k, "shape": list(a.shape), "dtype": a.dtype.str} for k, a in arrays.items()]
    send(connection, {"result": result, "arrays": rows})
    if not arrays:
        return
    for name, array in zip(receive(connection)["blocks"], arrays.values(), strict=True):
        block = SharedMemory(name)
        try:
            np.ndarray(array.shape, array.dtype, block.buf)[...] = array
        finally:
            block.close()
    send(connection, {"filled": True})
