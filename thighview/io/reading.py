"""One door for scans: what a path holds is found out by reading it, never by its name."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import SeveralScansError, UserError
from thighview.core.volume import Volume
from thighview.io import dicom, dicom_header, formats


@dataclass(frozen=True)
class Inspection:
    """What ``thighview info`` says of a path; ``series`` has one plain dict per series or volume found."""

    path: str
    kind: str
    shape_zyx: tuple[int, int, int]
    spacing_mm_zyx: tuple[float, float, float]
    axes: str
    dtype: str
    series: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data with the keys of the command line's contract."""
        return {
            "path": self.path,
            "kind": self.kind,
            "shape_zyx": list(self.shape_zyx),
            "spacing_mm_zyx": [round(value, 6) for value in self.spacing_mm_zyx],
            "axes": self.axes,
            "dtype": self.dtype,
            "series": list(self.series),
            "warnings": list(self.warnings),
        }


def read_volume(path: Path | str, part: str = "") -> Volume:
    """Read a file of any format of ``formats``, a folder with one DICOM series, or the series of a DICOM file.

    It takes a moment: on a worker thread or in a child process, not on the window's thread.

    Parameters
    ----------
    path : Path
        The file or folder.
    part : str
        Which of several scans there; see :class:`ScanKey`.

    Raises
    ------
    SeveralScansError
        When there are several scans and none is named.
    UserError
        When it cannot be opened as one scan, with the reason.
    """
    found = Path(path)
    if _is_dicom(found):
        return dicom.read_series(found, _series(found, part))
    return formats.read_file(found, part)


@dataclass(frozen=True)
class Source:
    """A scan that has been read: what it is known by, its volume, the PatientID in its files, and these files."""

    place: Path
    volume: Volume
    patient_id: str
    files: frozenset[Path]
    part: str = ""


def read_source(path: Path, part: str = "") -> Source:
    """Read a scan once, with all that tells it from others.

    A DICOM series is known by its folder, whichever of its files was given, where the folder opens that series.
    """
    if not _is_dicom(path):
        files = formats.files_of(path)
        return Source(files[0], formats.read_file(path, part), "", frozenset(files), part)
    series = _series(path, part)
    volume, files = dicom.read_series(path, series), frozenset(s.path for s in series.slices)
    return Source(dicom.place_of(path, series), volume, dicom.patient_of(series), files, part)


def inspect(path: Path | str) -> Inspection:
    """Read a path to its end and say what it is; of several series or volumes the first that opens is described.

    Raises
    ------
    UserError
        When nothing in it can be opened, with the reason.
    """
    found = Path(path)
    if _is_dicom(found):
        volume, series, warnings = _inspect_dicom(found)
    else:
        volume, series, warnings = *_inspect_file(found), []
    return Inspection(
        str(path), volume.kind, volume.shape, volume.spacing_mm, volume.axes, volume.voxels.dtype.name,
        tuple(series), (*warnings, *volume.warnings),
    )  # fmt: skip


def sha256_of(path: Path | str, part: str = "") -> str:
    """SHA-256 of a file's bytes, or of a DICOM series whatever its files are called. Not on the window's thread.

    That of a scan in several files is made of theirs; that of a part of the whole and the part: no two scans have
    the same.
    """
    found = Path(path)
    if _is_dicom(found):
        return dicom.series_digest(_series(found, part))
    own: list[str] = []
    for one in formats.files_of(found):
        with one.open("rb") as file:
            own.append(hashlib.file_digest(file, "sha256").hexdigest())
    whole = own[0] if len(own) == 1 else hashlib.sha256("\n".join(own).encode()).hexdigest()
    return hashlib.sha256(f"{whole}\npart {part}".encode()).hexdigest() if part else whole


def patient_id(path: Path | str, part: str = "") -> str:
    """PatientID as it stands in DICOM, to be hashed with the project's salt; empty for any other file."""
    found = Path(path)
    return dicom.patient_of(_series(found, part)) if _is_dicom(found) else ""


def read_volume_parts(path: str, part: str = "") -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """:func:`read_volume` for a child process: plain data and arrays, put together by :func:`volume_from_parts`."""
    volume = read_volume(path, part)
    facts: dict[str, Any] = {
        "affine": volume.affine.tolist(),
        "name": volume.name,
        "kind": volume.kind,
        "warnings": list(volume.warnings),
        "details": volume.details,
        "file_geometry": volume.file_geometry.hex(),
        "unsure": sorted(volume.unsure),
        "frame_uid": volume.frame_uid,
        "series_uid": volume.series_uid,
    }
    return facts, {"voxels": volume.voxels}


def volume_from_parts(facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Volume:
    """The volume of :func:`read_volume_parts`."""
    return Volume(
        arrays["voxels"],
        np.array(facts["affine"], np.float64),
        facts["name"],
        facts["kind"],
        tuple(facts["warnings"]),
        dict(facts["details"]),
        bytes.fromhex(facts["file_geometry"]),
        frozenset(facts["unsure"]),
        facts["frame_uid"],
        facts["series_uid"],
    )


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
        if dicom_header.is_dicom(path):
            return True
        if formats.format_of(path):
            return False
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror or error}.", "Check the path.") from error
    raise UserError(
        f"{path.name} is not a scan that can be opened: what is in it is none of {formats.OPENS}.", formats.HINT
    )


def _series(path: Path, part: str) -> dicom.Series:
    if part:
        raise UserError(f"{path.name} has no part {part!r}.", "Open one file of the series you want.")
    return dicom.choose_series(path)


def _inspect_file(path: Path) -> tuple[Volume, list[dict[str, Any]]]:
    """The scan of a file, of several the first, and what there is."""
    try:
        volume = read_volume(path)
    except SeveralScansError as several:
        rows = [{"name": one.title, "images": one.images, "part": one.part} for one in several.choices]
        return read_volume(*several.choices[0].key), rows
    return volume, [{"name": volume.name, "images": volume.shape[0]}]


def _inspect_dicom(path: Path) -> tuple[Volume, list[dict[str, Any]], list[str]]:
    if path.is_file():
        chosen = [dicom.choose_series(path)]
    else:
        found = sorted(dicom.scan(path).series, key=lambda series: -len(series.slices))
        chosen = [series for series in found if len(series.slices) > 1] or found
    rows: list[dict[str, Any]] = [{"name": s.title, "images": len(s.slices)} for s in chosen]
    if len(chosen) < 2:
        return dicom.read_dicom(path), rows, []
    warnings = [f"This folder holds {len(chosen)} series; one is described. Open a file of the series you want."]
    refusal: UserError | None = None
    for series in chosen:
        try:
            return dicom.read_series(path, series), rows, warnings
        except UserError as error:
            refusal = refusal or error
            warnings.append(f"{series.title}: {error.message}")
    raise refusal or UserError(f"No series of {path} can be opened.")
