"""Study keys and UIDs in the place of names: the same each time with a project's salt, and of no meaning without it."""

import base64
import hashlib
import hmac

_KEY_LETTERS = 9


class Pseudonyms:
    """What persons and DICOM objects are called in a de-identified export.

    Parameters
    ----------
    salt : bytes
        Secret of the project; who does not have it cannot tell which person a key belongs to.
    """

    def __init__(self, salt: bytes) -> None:
        self._salt = salt

    def subject(self, name: str) -> str:
        """The study key of a person: ``S`` and nine letters or digits."""
        return "S" + base64.b32encode(self._digest("subject", name)).decode()[:_KEY_LETTERS]

    def uid(self, old: str) -> str:
        """The UID in the place of another: ``2.25.`` and 128 bits of the keyed hash of the old one."""
        return f"2.25.{int.from_bytes(self._digest('uid', old)[:16], 'big')}"

    def _digest(self, what: str, text: str) -> bytes:
        return hmac.new(self._salt, f"thighview export {what}\0{text}".encode(), hashlib.sha256).digest()
