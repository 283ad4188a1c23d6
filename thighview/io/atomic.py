"""Writing a file so that it is there whole, old or new, whatever happens meanwhile."""

import contextlib
import json
import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from thighview.core.errors import UserError
from thighview.io.leftovers import hidden

_WINDOWS_TRIES = 20
_WINDOWS_WAIT_S = 0.05


class WriteError(UserError):
    """What was to be written is not: it is the disk's fault, and no fault of what was written.

    Parameters
    ----------
    path : Path
        What could not be written.
    what : str
        The rest of the sentence: what happened to it.
    hint : str
        What to do.
    """

    def __init__(self, path: Path, what: str, hint: str) -> None:
        super().__init__(f"{path} {what}.", hint)
        self.path, self.what = path, what


def write_atomic(
    path: Path | str, write: Callable[[BinaryIO], None], check: Callable[[Path], None] | None = None
) -> None:
    """Write a file beside its place, make sure it is on the disk, and only then put it there.

    Parameters
    ----------
    path : Path
        Where it goes. A link is followed; an existing file keeps its permissions.
    write : callable
        Writes the bytes to the open file.
    check : callable, optional
        Reads the finished temporary file again and raises if it is not what it should be.

    Raises
    ------
    WriteError
        When the place cannot be written (full, read-only, missing, no file). The old file is untouched and no temporary
        file is left; the same holds for whatever ``write`` or ``check`` raise, which goes on as it is.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        what = "a folder" if target.is_dir() else "a device or a pipe"
        raise WriteError(target, f"could not be written: it is {what}", "Give the name of a file.")
    temporary = hidden(target, "tmp")
    try:
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    except OSError as error:
        raise _refusal(target, error) from error
    try:
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            if check is not None:
                check(temporary)
            _replace(temporary, target)
        except OSError as error:
            raise _refusal(target, error) from error
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def write_bytes_atomic(path: Path | str, data: bytes) -> None:
    """Write bytes with :func:`write_atomic`, and read them again before they take their place."""

    def write(file: BinaryIO) -> None:
        file.write(data)

    def check(temporary: Path) -> None:
        if temporary.read_bytes() != data:
            raise read_back_differs(Path(path))

    write_atomic(path, write, check)


def write_json_atomic(path: Path | str, data: Any) -> None:
    """Write plain data as indented JSON (UTF-8, no NaN) with :func:`write_atomic`."""
    write_bytes_atomic(path, (json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_back_differs(path: Path) -> WriteError:
    """What to raise from a ``check`` that finds something else than what was written."""
    return WriteError(path, "did not read back as it was written; nothing was put in its place", "Save again.")


def _refusal(target: Path, error: OSError) -> WriteError:
    return WriteError(
        target,
        f"could not be written: {error.strerror or error}",
        "Check that the folder exists, is writable and has room, then try again.",
    )


def _replace(temporary: Path, target: Path) -> None:
    for left in reversed(range(_WINDOWS_TRIES)):
        try:
            temporary.replace(target)
            return
        except PermissionError:  # on Windows a scanner or viewer holds the old file for a moment
            if sys.platform != "win32" or left == 0:
                raise
            time.sleep(_WINDOWS_WAIT_S)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable; file systems that cannot are left alone."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
