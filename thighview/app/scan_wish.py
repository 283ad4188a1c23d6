"""A scan that somebody wants to see: what to read, where it belongs, and who waits for it."""

from collections.abc import Callable
from dataclasses import dataclass

from thighview.app.store import Store
from thighview.core.case import Case
from thighview.core.scan_key import ScanKey


@dataclass(frozen=True)
class ScanWish:
    """A scan to be read and shown.

    Parameters
    ----------
    key : ScanKey
        What to read.
    into : Store or None
        The project in which it was asked for, and in no other it is shown; None at the start, before there is one.
    own : bool
        Whether it is a person's scan, which is not put among those of the demo.
    others : tuple of ScanKey
        Scans to be listed after it.
    case_id : int or None
        The case it is to be, which has the hash ``sha256``; else it is found by what was read, or made.
    images : tuple of ScanKey
        What its case is to have besides.
    then : tuple of callable
        Each called once, with the case that is shown, or with None where the scan is not.
    """

    key: ScanKey
    into: Store | None
    own: bool = False
    others: tuple[ScanKey, ...] = ()
    case_id: int | None = None
    sha256: str = ""
    images: tuple[ScanKey, ...] = ()
    then: tuple[Callable[[Case | None], object], ...] = ()

    @property
    def unlisted(self) -> list[ScanKey]:
        """What is in no worklist yet: a case is where it was."""
        return [*([self.key] if self.case_id is None else []), *self.others]

    def tell(self, case: Case | None) -> None:
        """Tell all who wait for it what became of the scan."""
        for waiting in self.then:
            waiting(case)
