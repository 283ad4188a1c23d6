"""One door for scans: what a path holds is found out by reading it, never by its name.

DICOM is read in a process of its own (``loader``), whoever asks: nothing of it is taken apart in the window's.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from thighview.core.errors import UserError
from thighview.core.volume import Volume
from thighview.io import loader, nifti
from thighview.io.child import nobody
from thighview.io.dicom_header import is_dicom
from thighview.io.loader import Told, Wish
from thighview.io.parts import Inspection, believed, volume_of

_PARTS = "thighview.io.dicom_parts"


def read_volume(path: Path | str) -> Volume:
    """Read a NIfTI file, a folder with one DICOM series, or the series that a DICOM file belongs to.

    It takes a moment: on a worker thread or in a child process, not on the window's thread.

    Raises
    ------
    UserError
        When it cannot be opened as one scan, with the reason.
    """
    return read_source(Path(path)).volume


@dataclass(frozen=True)
class Source:
    """A scan that has been read: the place it is known by, its volume, the PatientID in its files, and these files."""

    place: Path
    volume: Volume
    patient_id: str
    files: frozenset[Path]


def read_source(path: Path, report: Told = nobody, stopped: Wish | None = None) -> Source:
    """Read a scan once, with all that tells it from others.

    A DICOM series is known by its folder, whichever of its files was given, where the folder opens that series.

    Parameters
    ----------
    path : Path
        What was given.
    report, stopped : callable, optional
        How far it is; whether to give up.

    Raises
    ------
    UserError
        When it cannot be opened as one scan, with the reason.
    Stopped
        When it was given up.
    """
    if _kind(path) != "dicom":
        return Source(path, nifti.read_nifti(path), "", frozenset({path}))
    facts, arrays = loader.ask(f"{_PARTS}:read", path, report=report, stopped=stopped)
    with believed(path):
        files = frozenset(Path(file) for file in facts["files"])
        return Source(Path(facts["place"]), volume_of(facts, arrays["voxels"]), str(facts["patient_id"]), files)


def inspect(path: Path | str) -> Inspection:
    """Read a path to its end and say what it is; of several series or volumes the first that opens is described.

    Raises
    ------
    UserError
        When nothing in it can be opened, with the reason.
    """
    found = Path(path)
    if _kind(found) == "dicom":
        facts, _ = loader.ask(f"{_PARTS}:inspect", found)
        with believed(found):
            return Inspection.from_json(facts)
    volume, header = nifti.read_nifti_file(found, volume_index=0)
    count = header.volumes
    names = [f"volume {i + 1} of {count}" for i in range(count)] if count > 1 else [volume.name]
    return Inspection.of(found, volume, [{"name": name, "images": volume.shape[0]} for name in names])


def sha256_of(path: Path | str, report: Told = nobody, stopped: Wish | None = None) -> str:
    """SHA-256 of a file's bytes, or of a DICOM series whatever its files are called. Not on the window's thread."""
    found = Path(path)
    if _kind(found) == "dicom":
        facts, _ = loader.ask(f"{_PARTS}:digest", found, report=report, stopped=stopped)
        with believed(found):
            return str(facts["sha256"])
    with found.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def patient_id(path: Path | str) -> str:
    """PatientID as it stands in DICOM, to be hashed with the project's salt; empty for any other file."""
    found = Path(path)
    if _kind(found) != "dicom":
        return ""
    facts, _ = loader.ask(f"{_PARTS}:patient", found)
    with believed(found):
        return str(facts["patient_id"])


def _kind(path: Path) -> str:
    """``nifti`` or ``dicom``, by the first bytes; anything else is refused."""
    try:
        if path.is_dir():
            return "dicom"
        if not path.exists():
            raise UserError(f"{path} is not there.", "Check the path; a drive or share may be missing.")
        if not path.is_file():
            raise UserError(f"{path} is neither a file nor a folder.")
        if path.stat().st_size == 0:
            raise UserError(f"{path.name} is empty (0 bytes).", "Copy it again from where it came from.")
        if nifti.is_nifti(path):
            return "nifti"
        if is_dicom(path):
            return "dicom"
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror or error}.", "Check the path.") from error
    raise UserError(
        f"{path.name} is not a scan that can be opened: it is neither NIfTI nor DICOM inside.",
        "Open a .nii or .nii.gz file, or a folder of DICOM files.",
    )
