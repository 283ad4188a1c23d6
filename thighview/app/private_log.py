"""A log that says what went wrong and where in the program, and never a word of a patient's.

Messages of exceptions echo what was read (names, paths, bytes of headers), so their words are left out: the kind of an
error and the lines it came through are enough to mend a bug with.
"""

import logging
import re
import traceback
from pathlib import Path
from types import TracebackType

_FRAME = re.compile(r'\s+File "')
_KIND = re.compile(r"([A-Za-z_][\w.]*)(?::.*)?$")
_BETWEEN = (
    "Traceback (most recent call last):",
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
"""Python's own sentences around tracebacks; a message may begin like one of them, but is none."""
_LEFT_OUT = "(words left out)"


class PrivateFormatter(logging.Formatter):
    """Formats records without the words of exceptions, without paths, and without what other libraries say."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        kept = logging.makeLogRecord(record.__dict__)
        if record.name.partition(".")[0] == "thighview":
            values = record.args if isinstance(record.args, tuple) else (record.args,) if record.args else ()
            kept.args = tuple(_plain(value) for value in values)
        else:
            kept.msg, kept.args = _LEFT_OUT, ()
        kept.exc_text = None  # what another handler may have made of it
        return super().format(kept)

    def formatException(  # noqa: N802 - logging's name
        self, ei: tuple[type[BaseException] | None, BaseException | None, TracebackType | None]
    ) -> str:
        """The lines an exception came through, in the child process, too, where it came from one."""
        kind, error, trace = ei
        if kind is None:
            return ""
        told = without_words("".join(traceback.format_exception(kind, error, trace)))
        details = getattr(error, "details", "")
        return (
            f"{told}\nin the child process:\n{without_words(details)}" if isinstance(details, str) and details else told
        )


def without_words(trace: str) -> str:
    """A traceback with the kinds of its exceptions alone; of any other text, nothing."""
    lines: list[str] = []
    in_frames = False
    for line in trace.splitlines():
        if line in _BETWEEN:
            lines.append(line)
            in_frames = True
        elif in_frames and line.startswith(" ") and (_FRAME.match(line) or (lines and _FRAME.match(lines[-1]))):
            lines.append(line)
        elif in_frames and line.startswith("    ") and line.strip(" ^~") == "":
            continue
        elif in_frames and (named := _KIND.match(line)):
            lines.append(named[1])
            in_frames = False
    return "\n".join(lines) or _LEFT_OUT


def _plain(value: object) -> object:
    if isinstance(value, BaseException):
        return type(value).__name__
    if isinstance(value, Path):
        return "(a path)"
    if isinstance(value, str) and ("\n" in value or "Traceback (most" in value):
        return without_words(value)
    return value
