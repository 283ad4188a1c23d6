"""The errors a person can act on, and what is raised where work was to stop."""

from pathlib import Path


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


class SeveralScansError(UserError):
    """What was given holds several scans, each of which can be opened by a path of its own.

    Parameters
    ----------
    message, hint : str
        As of any :class:`UserError`, for where nobody can be asked.
    choices : tuple of (str, Path)
        What each of them is, in words, and the path that opens it.
    """

    def __init__(self, message: str, hint: str, choices: tuple[tuple[str, Path], ...]) -> None:
        super().__init__(message, hint)
        self.choices = choices


class Stopped(Exception):  # noqa: N818 - not an error: the person asked for it
    """Work raises this when it ends early because it was cancelled."""
