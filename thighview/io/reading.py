"""One door for scans: what a path holds is found out by reading it, never by its name.

DICOM is read in a process of its own (``loader``), whoever asks: nothing of it is taken apart in the window's.
"""

import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import SeveralScansError, UserError
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io import formats, loader
from thighview.io.child import Report, nobody
from thighview.io.dicom_file import is_dicom
from thighview.io.facts import Inspection, believed, volume_of
from thighview.io.loader import Wish
from thighview.io.names import need_storable
from thighview.io.same_scan import StoredScan

_DICOM = "thighview.io.dicom_parts"


def read_volume(path: Path | str, part: str = "", known_sha256: str = "") -> Volume:
    """Read a file of any format of ``formats``, a folder with one DICOM series, or the series of a DICOM file.

    It takes a moment: on a worker thread or in a child process, not on the window's thread.

    Parameters
    ----------
    path : Path
        The file or folder.
    part : str
        Which of several scans there; see :class:`ScanKey`.
    known_sha256 : str
        Of DICOM: the series that has this hash, and no other, whatever its part is now.

    Raises
    ------
    SeveralScansError
        When there are several scans and none is named.
    UserError
        When it cannot be opened as one scan, with the reason.
    """
    return read_source(Path(path), part, known_sha256).volume


def read_known(path: Path | str, part: str, sha256: str) -> Volume:
    """Read a scan that must be the one with this hash; where there is none yet, what lies there.

    Raises
    ------
    UserError
        When it has changed or is gone, and as :func:`read_volume`.
    """
    found = Path(path)
    if sha256 and not _is_dicom(found) and sha256_of(found, part) != sha256:
        raise UserError(
            f"The scan {found} has changed since its mask was drawn.", "Put the original back; the mask is kept."
        )
    return read_volume(found, part, sha256)


@dataclass(frozen=True)
class Source:
    """A scan that has been read.

    Parameters
    ----------
    place : Path
        With ``part``, what it is known by.
    volume : Volume
    patient_id : str
        PatientID in its files.
    files : frozenset of Path
        These files.
    part : str
    alone : bool
        Whether ``place`` opens it without the part.
    sha256 : str
        Its hash, where that is known: of DICOM always.
    """

    place: Path
    volume: Volume
    patient_id: str
    files: frozenset[Path]
    part: str = ""
    alone: bool = True
    sha256: str = ""


def read_source(
    path: Path, part: str = "", known_sha256: str = "", report: Report = nobody, stopped: Wish | None = None
) -> Source:
    """Read a scan once, with all that tells it from others.

    A DICOM series is known by the folder it lies in and a part made of its content, whichever of its files was given.

    Parameters
    ----------
    path, part, known_sha256
        As of :func:`read_volume`.
    report, stopped : callable, optional
        How far it is; whether to give up.

    Raises
    ------
    UserError
        As :func:`read_volume`.
    Stopped
        When it was given up.
    """
    path = settled(path)
    need_storable(path)
    if not _is_dicom(path):
        files = formats.files_of(path)
        return Source(files[0], formats.read_file(path, part), "", frozenset(files), part)
    path = path.resolve() if path.is_symlink() else path
    facts, arrays = loader.ask(f"{_DICOM}:read", path, part, known_sha256, report=report, stopped=stopped)
    with believed(path):
        files = frozenset(Path(file) for file in facts["files"])
        volume = volume_of(facts, arrays["voxels"])
        return Source(
            Path(facts["place"]), volume, str(facts["patient_id"]), files, str(facts["part"]),
            facts["alone"] is True, str(facts["sha256"]),
        )  # fmt: skip


def is_gone(path: Path) -> bool:
    """Whether a scan is not at its path any more: nothing is, or a folder in which no file is DICOM.

    A folder that may not be looked into is not gone: who reads it says why it cannot be.
    """
    if not path.is_dir():
        return not path.exists()
    try:
        for folder, _, names in os.walk(path, onerror=_raise):
            if any(file.is_file() and is_dicom(file) for file in map(Path(folder).joinpath, names)):
                return False
    except OSError:
        return False
    return True


def _raise(error: OSError) -> None:
    raise error


def settled(path: Path) -> Path:
    """The one path of a file or folder, without ``..`` and without links on the way to it; not on the window's thread.

    A file that is a link itself keeps its name, by which people know it: where data sets are managed the other one is
    a number.
    """
    if sys.platform == "win32":  # there a drive's letter is what people know, and ``..`` is taken by the letter
        return Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they are
    try:
        return path.resolve() if path.is_dir() else path.parent.resolve() / path.name
    except (OSError, RuntimeError):  # links in a circle
        return path.absolute()


def inspect(path: Path | str) -> Inspection:
    """Read a path to its end and say what it is; of several series or volumes the first that opens is described.

    Raises
    ------
    UserError
        When nothing in it can be opened, with the reason.
    """
    found = Path(path)
    if _is_dicom(found):
        facts, _ = loader.ask(f"{_DICOM}:inspect", found)
        with believed(found):
            return Inspection.from_json(facts)
    return Inspection.of(found, *_inspect_file(found))


def sha256_of(
    path: Path | str,
    part: str = "",
    known_sha256: str = "",
    report: Report = nobody,
    stopped: Wish | None = None,
) -> str:
    """SHA-256 of a file's bytes, or of a DICOM series whatever its files are called. Not on the window's thread.

    That of a scan in several files is made of theirs; that of a part of the whole and the part: no two scans have
    the same. Parameters as of :func:`read_source`.
    """
    found = Path(path)
    if _is_dicom(found):
        facts, _ = loader.ask(f"{_DICOM}:digest", found, part, known_sha256, report=report, stopped=stopped)
        with believed(found):
            return str(facts["sha256"])
    own: list[str] = []
    for one in formats.files_of(found):
        with one.open("rb") as file:
            own.append(hashlib.file_digest(file, "sha256").hexdigest())
    whole = own[0] if len(own) == 1 else hashlib.sha256("\n".join(own).encode()).hexdigest()
    own_part = ScanKey(found, part).volume_part  # where it lies is no content
    return hashlib.sha256(f"{whole}\npart {own_part}".encode()).hexdigest() if own_part else whole


@dataclass(frozen=True)
class SeriesGrid:
    """One of several DICOM series: what it is known by, what it is called, whose it is, and where it lies."""

    scan: StoredScan
    name: str
    patient_id: str


def grids_at(path: Path) -> list[SeriesGrid]:
    """The DICOM series at a path, by their headers; none where nothing of DICOM is.

    Raises
    ------
    UserError
        When it cannot be looked through.
    """
    if not _is_dicom(path):
        return []
    facts, _ = loader.ask(f"{_DICOM}:grids", path)
    found: list[SeriesGrid] = []
    with believed(path):
        for row in facts["series"]:
            z, y, x = (int(n) for n in row["shape"])
            affine = np.array(row["affine"], np.float64).reshape(4, 4)
            scan = StoredScan(ScanKey(Path(row["place"]), str(row["part"])), "", (z, y, x), affine)
            found.append(SeriesGrid(scan, str(row["name"]), str(row["patient_id"])))
    return found


def pictures_of(
    path: Path, parts: Sequence[str], pixels: int, stopped: Wish | None = None
) -> dict[str, NDArray[np.uint8]]:
    """Small pictures, (pixels, pixels), of DICOM series in a folder by their parts; not of those that have none.

    Raises
    ------
    UserError
        When the folder cannot be read.
    Stopped
        When it was given up.
    """
    facts, arrays = loader.ask(f"{_DICOM}:pictures", path, list(parts), pixels, stopped=stopped)
    with believed(path):
        made = arrays["pictures"].astype(np.uint8, copy=False).reshape(len(parts), pixels, pixels)
        return {str(parts[int(index)]): made[int(index)] for index in facts["known"]}


def patient_id(path: Path | str, part: str = "", known_sha256: str = "") -> str:
    """PatientID as it stands in DICOM, to be hashed with the project's salt; empty for any other file."""
    found = Path(path)
    if not _is_dicom(found):
        return ""
    facts, _ = loader.ask(f"{_DICOM}:patient", found, part, known_sha256)
    with believed(found):
        return str(facts["patient_id"])


def _is_dicom(path: Path) -> bool:
    """Whether a path is a folder or file of DICOM; else it is a file of another format, or refused."""
    try:
        if path.is_dir():
            return True
        if not path.exists():
            raise UserError(f"{path} is not there.", "Check the path; a drive or share may be missing.")
        if not path.is_file():
            raise UserError(f"{path} is neither a file nor a folder.")
        if path.stat().st_size == 0:
            raise UserError(f"{path.name} is empty (0 bytes).", "Copy it again from where it came from.")
        if is_dicom(path):
            return True
        if formats.format_of(path):
            return False
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror or error}.", "Check the path.") from error
    raise UserError(
        f"{path.name} is not a scan that can be opened: what is in it is none of {formats.OPENS}.", formats.HINT
    )


def _inspect_file(path: Path) -> tuple[Volume, list[dict[str, Any]]]:
    """The scan of a file, of several the first, and what there is."""
    try:
        volume = read_volume(path)
    except SeveralScansError as several:
        rows = [{"name": one.title, "images": one.images, "part": one.part} for one in several.choices]
        return read_volume(*several.choices[0].key), rows
    return volume, [{"name": volume.name, "images": volume.shape[0]}]
