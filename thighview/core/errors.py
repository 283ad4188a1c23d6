"""The errors a person can act on, and what is raised where work was to stop."""

from dataclasses import dataclass
from pathlib import Path

from thighview.core.scan_key import ScanKey


class UserError(Exception):
    """A thing the person in front of the screen can mend.

    Parameters
    ----------
    message : str
        What was expected and what was found, one sentence.
    hint : str
        What to do about it, one sentence; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


@dataclass(frozen=True)
class ScanChoice:
    """One of several scans that lie in one place.

    Parameters
    ----------
    title : str
        What it is, in words.
    path : Path
        With ``part``, what opens it.
    part : str
        Which part of what lies there; empty where the path alone opens it.
    images : int
        How many slices it has; 0 where that is not known.
    description : str
        What else is known of it; may be empty.
    """

    title: str
    path: Path
    part: str = ""
    images: int = 0
    description: str = ""

    @property
    def key(self) -> ScanKey:
        """What opens it."""
        return ScanKey(self.path, self.part)


class SeveralScansError(UserError):
    """What was given holds several scans, each of which can be opened by a path, or a path and a part, of its own.

    Parameters
    ----------
    message, hint : str
        As of any :class:`UserError`, for where nobody can be asked.
    choices : tuple of ScanChoice
        Those that can be opened.
    refused : tuple of ScanChoice
        What else lies there and cannot be opened; the reason is the description.
    """

    def __init__(
        self, message: str, hint: str, choices: tuple[ScanChoice, ...], refused: tuple[ScanChoice, ...] = ()
    ) -> None:
        super().__init__(message, hint)
        self.choices, self.refused = choices, refused


class Stopped(Exception):  # noqa: N818 - not an error: the person asked for it
    """Work raises this when it ends early because it was cancelled."""
