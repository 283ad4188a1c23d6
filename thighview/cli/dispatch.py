"""From what was typed to what is done, and to the exit code."""

import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence

from thighview.cli.parser import command_parser, window_parser
from thighview.cli.progress import tell
from thighview.core.errors import UserError

DONE, BUG, REFUSED = 0, 1, 2
"""Exit codes: done; a bug (with its traceback); refused for a reason the person can act on (one line)."""

_PLACES = {
    "demo": "window", "info": "files", "segment": "files", "measure": "measuring", "phantom": "files",
    "import": "projects", "train": "projects", "evaluate": "evaluating", "export": "projects",
    "import-weights": "weights", "export-model": "weights",
}  # fmt: skip
"""The module of this package in which each command's function lies; read only when it is needed."""

_MENDABLE = {
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR,
    errno.EEXIST, errno.ENAMETOOLONG, errno.ENOTEMPTY, errno.EFBIG, errno.ELOOP, errno.EIO, errno.ESTALE,
}  # fmt: skip
"""System errors a person can do something about: places that are missing, full, protected or broken."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None or sys.stderr is None:  # started without a console on Windows
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for as long as the program runs
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    if isinstance(sys.stdout, io.TextIOWrapper):  # in a pipe of Windows it knows few letters
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _run(words)
    except UserError as error:
        return _refuse(str(error))
    except BrokenPipeError:  # the reader of our output has gone: nothing left to say, and nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        where = f": {error.filename}" if error.filename else ""
        return _refuse(f"{error.strerror or error}{where}. Check that it is there, may be used, and has room.")
    except KeyboardInterrupt:
        return _refuse("Stopped.")


def _run(words: list[str]) -> int:
    parser, commands = command_parser()
    if words and words[0] in commands:
        args = parser.parse_args(words)
        name = words[0]
        place = importlib.import_module(f"thighview.cli.{_PLACES[name]}")
        function = getattr(place, "import_cases" if name == "import" else name.replace("-", "_"))
        code: int = function(args)
        sys.stdout.flush()
        return code
    args = window_parser().parse_args(words)
    from thighview.cli import window

    if args.add_to_menu and args.path:
        raise UserError("--add-to-menu opens nothing.", "Give it alone.")
    return window.add_to_menu() if args.add_to_menu else window.open_window(args.path)


def _refuse(sentence: str) -> int:
    """One line on standard error, whatever line breaks the sentence carried."""
    tell(f"thighview: {' '.join(sentence.split())}\n")
    return REFUSED
