"""JSON objects from files that anybody may have damaged."""

import json
from pathlib import Path
from typing import Any

from thighview.core.errors import UserError

LARGEST_BYTES = 256 << 20


def read_json(path: Path, again: str, largest: int = LARGEST_BYTES, called: str = "") -> dict[str, Any]:
    """A JSON object from a file.

    Parameters
    ----------
    path : Path
        The file.
    again : str
        What to do where it is of no use, one sentence: the hint of the error.
    largest : int
        Bytes above which it is not read.
    called : str, optional
        What the error calls the file; its path without.

    Raises
    ------
    UserError
        When it is missing, too large, damaged, or not an object.
    """
    try:
        if path.stat().st_size > largest:
            raise UserError(f"{called or path} is not readable: it is larger than such a file can be.", again)
        data = json.loads(path.read_text("utf-8"))
        if not isinstance(data, dict):
            raise ValueError("expected an object")
    except OSError as error:
        raise UserError(f"{called or path} is not readable: {error.strerror}.", again) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{called or path} is not readable, it is damaged: {str(error)[:120]}.", again) from error
    return data


def read_json_if_there(path: Path, again: str, largest: int = LARGEST_BYTES, called: str = "") -> dict[str, Any] | None:
    """The same, or None where there is no such file; a folder that may not be entered is still an error."""
    try:
        return read_json(path, again, largest, called)
    except UserError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
