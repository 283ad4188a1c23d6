"""What an import finds of its scans and their persons in the project already."""

from contextlib import suppress

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.fingerprint import content_hash
from thighview.core.scan_key import ScanKey
from thighview.io.project import Project
from thighview.io.reading import read_known
from thighview.io.records import SourceRow
from thighview.io.subjects import is_hashed, own_name

_MOST_NAMES = 3


class Newcomers:
    """Tells the scans and persons of one import from those of a project, and keeps what is to be said of it."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._there = project.sources()
        self._people = project.subjects()
        self._strange: dict[str, None] = {}
        self._apart: dict[str, None] = {}
        self._known = self._replaced = 0

    def is_known(self, scan: ScanKey, known: int | None) -> bool:
        """Whether the project has a case of a scan (``known``, as ``known_cases`` tells it); it is counted."""
        self._known += known is not None
        self._replaced += known is None and self._project.find_case(*scan) is not None
        return known is not None

    def name(self, case: Case, by_file: bool, told: bool, part: str = "", folder: str = "") -> str:
        """What the person of a new case is called in the project.

        Parameters
        ----------
        case : Case
            Read, and with the hash of its scan.
        by_file : bool
            Whether its subject is a file's name only.
        told : bool
            Whether an export says whose it is.
        part : str
            Its part of the split where it comes from.
        folder : str
            What the place it comes from is called; see ``own_name``.

        Raises
        ------
        UserError
            When a locked test meets a person who is in another part here.
        """
        first, subject = case.series[0], case.subject
        if by_file:
            subject = own_name(subject, first.key, first.sha256, self._there, folder, lambda row: self._same(row, case))
        self._project.need_part(subject, part)
        if subject != case.subject:
            self._apart[subject] = None
        if told and is_hashed(subject) and subject not in self._people:
            self._strange[subject] = None
        self._there.append(SourceRow(0, first.key, first.sha256, subject))
        return subject

    def notes(self) -> list[str]:
        """What a person should know, in sentences."""
        said: list[str] = []
        if self._known:
            said.append(f"{self._known} of the scans are in the project already and stay as they are.")
        if self._replaced:
            said.append(
                f"{self._replaced} of the scans were opened before when their files were others: those cases keep their"
                " masks, these are new ones."
            )
        if self._apart:
            said.append(
                "Files of other persons of the project are called alike, so these have the folder behind their names:"
                f" {_few(list(self._apart))}. Say whose scan it is where two of them are one person."
            )
        if self._strange:
            said.append(
                f"{_few(list(self._strange))}: so another project calls persons whose files name a patient. They cannot"
                " be matched with DICOM scans in this project: say whose scans these are."
            )
        return said

    def _same(self, row: SourceRow, case: Case) -> bool:
        """Whether a case of the project is of the very same picture, in whatever file."""
        if not row.case_id or sorted(self._project.stored_scan(row.case_id).shape) != sorted(case.volume.shape):
            return False
        with suppress(UserError, OSError):  # one that is gone or has changed tells nothing
            return content_hash(read_known(*row.key, row.sha256)) == content_hash(case.volume)
        return False


def _few(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
