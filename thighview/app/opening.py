"""What opening a path means, step by step, away from the window's thread."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io import subjects
from thighview.io.child import Report, nobody
from thighview.io.names import stem
from thighview.io.project import DATABASE, Project


@dataclass(frozen=True)
class Scan:
    """A scan that has been read: where it lies, its volume, the patient id its files name (never shown).

    ``asked`` is the path it was opened by: for a DICOM series perhaps one of its ``files``, where ``path`` is its
    folder. ``part`` is the part of it all that was read; ``alone`` whether ``path`` opens it without; ``sha256`` is
    its hash, if that was worked out.
    """

    path: Path
    volume: Volume
    patient_id: str = ""
    asked: Path | None = None
    files: frozenset[Path] = frozenset()
    part: str = ""
    alone: bool = True
    sha256: str = ""

    @property
    def key(self) -> ScanKey:
        """What it is known by."""
        return ScanKey(self.path, self.part)

    def is_at(self, path: Path) -> bool:
        """Whether this path means the same scan."""
        return path in self.files or path in (self.path, self.asked)

    def known_to(self, project: Project) -> int | None:
        """The project's case of this scan, or None."""
        known = project.find_case(*self.key)
        if known is not None or self.asked is None:
            return known
        return project.find_case(self.asked, self.part) if not self.part else self._known_without_part(project)

    def _known_without_part(self, project: Project) -> int | None:
        """A case made before series were told apart: the same image in the same place, that can be no other one."""
        shape, affine = self.volume.shape, self.volume.affine
        for case_id, (path, sha256) in project.cases_without_part({self.path, *self.files}).items():
            was = project.geometry(case_id)[0]
            told = self.alone or sha256 == self.sha256 or (not sha256 and path in self.files)
            if told and was[0] == shape and np.allclose(was[1], affine, atol=1e-3):
                return case_id
        return None


def project_at(path: Path) -> Path | None:
    """The project folder a path means (the folder, or the database in it), or None; not on the window's thread."""
    folder = path.parent if path.name == DATABASE else path
    try:
        return folder if (folder / DATABASE).is_file() else None
    except OSError:
        return None


def read_scan(
    path: Path,
    part: str = "",
    known_sha256: str = "",
    report: Report = nobody,
    stopped: Callable[[], bool] | None = None,
) -> Scan:
    """Read the scan at a path, or one of several; parameters and what it raises as of ``reading.read_source``."""
    from thighview.io import reading

    source = reading.read_source(path, part, known_sha256, report, stopped)
    return Scan(
        source.place, source.volume, source.patient_id, path, source.files, source.part, source.alone, source.sha256
    )


def subject_of(scan: Scan, salt: bytes) -> str:
    """Subject id by the rule: keyed hash of the DICOM PatientID, else BIDS ``sub-``, else the file-name stem."""
    return subjects.subject_of(scan.path, scan.patient_id, salt)


def case_of(project: Project, scan: Scan) -> Case:
    """The project's case of this scan as it was left, or a new one; on the project's own thread.

    Raises
    ------
    UserError
        When the file at this place is another image than the one the mask was drawn on.
    """
    known = scan.known_to(project)
    if known is None:
        return _new_case(project, scan)
    case = with_volume(project, project.load_case(known), scan.volume)
    if scan.part and not case.series[0].part and project.writable:  # made before series were told apart
        project.set_key(known, ScanKey(scan.path.absolute(), scan.part))
        case.series[0] = replace(case.series[0], path=scan.path.absolute(), part=scan.part)
    return case


def add_scan(project: Project, scan: Scan) -> None:
    """Make a case of a scan the project does not have yet; on the project's own thread."""
    if scan.known_to(project) is None:
        _new_case(project, scan)


def _new_case(project: Project, scan: Scan) -> Case:
    case = Case.of(scan.volume, scan.path.absolute(), subject=subject_of(scan, project.salt), part=scan.part)
    case.title = scan.volume.name or stem(scan.path)
    case.case_id = project.add_case(case)
    return case


def take_in(project: Project, case: Case, part: str) -> None:
    """Add a case that was imported, and its mask to the training set where anything of it is reviewed.

    A scan that the project has already stays as it is.
    """
    if project.find_case(*case.series[0].key) is None:
        drawn = any(review.state.reviewed for review in case.reviews)
        project.add_case(case, in_training_set=drawn, part=part)


def with_volume(project: Project, case: Case, volume: Volume) -> Case:
    """A stored case with its reference image in place, if it still is the one the mask was drawn on."""
    shape, affine = project.geometry(case.case_id)[0]
    if shape != volume.shape or not np.allclose(affine, volume.affine, atol=1e-3):
        raise UserError(
            f"The image of {case.title} has changed: the mask was drawn on {_size(shape)} voxels, "
            f"the file now holds {_size(volume.shape)}, or lies elsewhere.",
            "Put the original file back; the mask is kept.",
        )
    case.series[0] = replace(case.series[0], volume=volume)
    return case


def _size(shape: tuple[int, int, int]) -> str:
    return "×".join(str(n) for n in reversed(shape))
