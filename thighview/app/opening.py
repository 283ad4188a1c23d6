"""What opening a path means, step by step, away from the window's thread."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.known import by_other_position
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io import subjects
from thighview.io.child import Report, nobody
from thighview.io.known_cases import is_another, known_case
from thighview.io.names import stem
from thighview.io.project import DATABASE, Project


@dataclass(frozen=True)
class Scan:
    """A scan that has been read: where it lies, its volume, the patient id its files name (never shown).

    ``asked`` is the path it was opened by: for a DICOM series perhaps one of its ``files``, where ``path`` is its
    folder. ``part`` is the part of it all that was read; ``alone`` whether ``path`` opens it without; ``sha256`` is
    its hash, which of a DICOM series is known always. ``has_mask`` is whether its mask lies in the same file.
    """

    path: Path
    volume: Volume
    patient_id: str = ""
    asked: Path | None = None
    files: frozenset[Path] = frozenset()
    part: str = ""
    alone: bool = True
    sha256: str = ""
    has_mask: bool = False

    @property
    def key(self) -> ScanKey:
        """What it is known by."""
        return ScanKey(self.path, self.part)

    def is_at(self, path: Path) -> bool:
        """Whether this path means the same scan."""
        return path in self.files or path in (self.path, self.asked)

    def known_to(self, project: Project) -> int | None:
        """The project's case of this scan, or None; raises as ``known_cases.known_case``."""
        return known_case(project, self.key, self.volume, self.sha256, self.files, self.alone, self.asked)


def project_at(path: Path) -> Path | None:
    """The project folder a path means (the folder, or the database in it), or None; not on the window's thread."""
    folder = path.parent if path.name == DATABASE else path
    try:
        return folder if (folder / DATABASE).is_file() else None
    except OSError:
        return None


def look_at(wanted: Sequence[Path]) -> tuple[list[Path], list[Path | None]]:
    """These paths settled as by ``reading.settled``, each once, and the project folder each means or None."""
    from thighview.io import reading

    paths = list(dict.fromkeys(reading.settled(path) for path in wanted))
    return paths, [project_at(path) for path in paths]


def read_scan(
    path: Path,
    part: str = "",
    known_sha256: str = "",
    report: Report = nobody,
    stopped: Callable[[], bool] | None = None,
) -> Scan:
    """Read the scan at a path, or one of several; parameters and what it raises as of ``reading.read_source``."""
    from thighview.io import npz_in, reading

    source = reading.read_source(path, part, known_sha256, report, stopped)
    return Scan(
        source.place, source.volume, source.patient_id, path, source.files, source.part, source.alone, source.sha256,
        has_mask=not source.part and npz_in.carries_mask(source.place),
    )  # fmt: skip


def subject_of(scan: Scan, salt: bytes) -> str:
    """Subject id by the rule: keyed hash of the DICOM PatientID, else BIDS ``sub-``, else the file-name stem."""
    return subjects.subject_of(scan.path, scan.patient_id, salt)


def case_of(project: Project, scan: Scan, wanted: int | None = None) -> Case:
    """The project's case of this scan as it was left, or a new one; on the project's own thread.

    Where the scan was read for the case ``wanted``, it is that one or none.

    Raises
    ------
    UserError
        When the file at this place is another image than the one the mask was drawn on.
    """
    if wanted is not None and is_another(project, wanted, scan.sha256):
        raise UserError(f"The scan at {scan.path} is not the one the mask was drawn on.", "Put the original back.")
    known = wanted if wanted is not None else scan.known_to(project)
    if known is None:
        beside = project.find_case(*scan.key)
        case = _new_case(project, scan)
        if beside is not None:
            case.warnings += (
                f"{scan.path.name} was opened before when the file was another one: its mask stays with that case,"
                " this is a new one.",
            )
        return case
    case = project.load_case(known)
    damaged = bool(case.warnings)
    was = case.series[0]
    volume = scan.volume
    if volume.other_affine is not None and was.key.by_qform != scan.key.by_qform:  # a person has chosen the other one
        volume = by_other_position(volume, was.key.by_qform)
    case = with_volume(project, case, volume)
    if scan.part and not was.part and not was.sha256:
        case.warnings += _doubt_of_old(project, case, scan)
    was = case.series[0]
    same = was.sha256 in ("", scan.sha256)
    if scan.part and not was.part and same and project.writable:  # made before series were told apart
        project.set_key(known, scan.key)
        case.series[0] = replace(was, path=scan.path, part=scan.part)
    if damaged and project.writable:
        project.go_on_after_damage(known)
    return case


def _doubt_of_old(project: Project, case: Case, scan: Scan) -> tuple[str, ...]:
    """What speaks against a series being the one an old case was made of, of which no hash was kept."""
    if case.subject == subject_of(scan, project.salt) and case.title == scan.volume.name:
        return ()
    return (
        f"Of this case from an older thighview no hash was kept, and what lies in {scan.path.name} now has another name"
        " or is of another person: check that the mask was drawn on it.",
    )


def add_scan(project: Project, scan: Scan) -> None:
    """Make a case of a scan the project does not have yet; on the project's own thread."""
    if scan.known_to(project) is None:
        _new_case(project, scan)


def _new_case(project: Project, scan: Scan) -> Case:
    named = subject = subject_of(scan, project.salt)
    if subjects.is_by_file(named, scan.path):
        subject = subjects.own_name(named, scan.key, scan.sha256, project.sources())
    case = Case.of(scan.volume, scan.path.absolute(), scan.sha256, subject, scan.part)
    if subject != named:
        case.warnings += (
            f"Another scan of this project is called {named}, too: this one counts as another person, {subject}. Where"
            " it is the same one, right-click the case: Whose scan is this….",
        )
    case.title = scan.volume.name or stem(scan.path)
    case.case_id = project.add_case(case)
    return case


def take_in(project: Project, case: Case, part: str) -> None:
    """Add a case that was imported, and its mask to the training set where anything of it is reviewed.

    A scan that the project has already stays as it is.
    """
    first = case.series[0]
    if known_case(project, first.key, case.volume, first.sha256) is None:
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
