"""A progress bar for a terminal; nothing at all for a pipe."""

import sys
import time
from contextlib import suppress
from types import TracebackType


class Progress:
    """One line on standard error that is drawn over again while work goes on; silent when nobody watches.

    ``report(done, total)`` may be called as often as the work likes.
    """

    WIDTH = 28

    def __init__(self, words: str) -> None:
        self.words = words
        self._shown = sys.stderr.isatty()
        self._started = time.monotonic()
        self._drawn_at = 0.0
        self._length = 0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._length:
            tell("\r" + " " * self._length + "\r")

    def report(self, done: int, total: int, words: str = "") -> None:
        """Say how far the work is; at most ten times a second."""
        now = time.monotonic()
        if not self._shown or total <= 0 or (done < total and now - self._drawn_at < 0.1):
            return
        self._drawn_at = now
        full = round(self.WIDTH * min(done, total) / total)
        left = (now - self._started) * (total - done) / done if done else 0.0
        rest = f", {left:.0f} s left" if left >= 1 else ""
        line = f"{words or self.words} [{'#' * full}{'.' * (self.WIDTH - full)}] {done} of {total}{rest}"
        tell("\r" + line.ljust(self._length))
        self._length = max(self._length, len(line))


def say(words: str) -> None:
    """A line for the person at the terminal, on standard error; nothing in a pipe."""
    if sys.stderr.isatty():
        tell(words + "\n")


def warn(words: str) -> None:
    """A doubt about what is being done; said in a pipe, too."""
    tell(f"thighview: warning: {' '.join(words.split())}\n")


def tell(text: str) -> None:
    """Write to standard error; when nobody can read it, the work goes on all the same."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()
