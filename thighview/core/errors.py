"""The one error a person can act on."""


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
