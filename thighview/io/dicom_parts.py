"""What the child process that reads DICOM is asked for: plain data and arrays in answer; see ``loader``."""

from pathlib import Path
from typing import Any

from thighview.core.errors import UserError
from thighview.core.volume import Volume
from thighview.io import dicom
from thighview.io.child import Arrays
from thighview.io.facts import Inspection, volume_facts


def read(path: str, part: str) -> tuple[dict[str, Any], Arrays]:
    """One series: its volume, the place it is known by, its files, and the PatientID in them."""
    found = Path(path)
    series = _series(found, part)
    volume = dicom.read_series(found, series)
    facts = volume_facts(volume) | {
        "place": str(dicom.place_of(found, series)),
        "patient_id": dicom.patient_of(series),
        "part": part,
        "files": sorted({str(s.path) for s in series.slices}),
    }
    return facts, {"voxels": volume.voxels}


def digest(path: str, part: str) -> dict[str, Any]:
    """SHA-256 of the series that opens from a path."""
    return {"sha256": dicom.series_digest(_series(Path(path), part))}


def patient(path: str, part: str) -> dict[str, Any]:
    """PatientID of the series that opens from a path."""
    return {"patient_id": dicom.patient_of(_series(Path(path), part))}


def inspect(path: str) -> dict[str, Any]:
    """What is said of a path: of several series the first that opens is described."""
    found = Path(path)
    if found.is_file():
        chosen = [dicom.choose_series(found)]
    else:
        series = sorted(dicom.scan(found).series, key=lambda one: -len(one.slices))
        chosen = [one for one in series if len(one.slices) > 1] or series
    rows: list[dict[str, Any]] = [{"name": s.title, "images": len(s.slices)} for s in chosen]
    if len(chosen) < 2:
        return Inspection.of(path, dicom.read_dicom(found), rows).to_json()
    warnings = [f"This folder holds {len(chosen)} series; one is described. Open a file of the series you want."]
    return Inspection.of(path, _first_that_opens(found, chosen, warnings), rows, warnings).to_json()


def _first_that_opens(path: Path, chosen: list[dicom.Series], warnings: list[str]) -> Volume:
    """The first of these that can be stacked; why those before it cannot be comes to the warnings."""
    refusal: UserError | None = None
    for series in chosen:
        try:
            return dicom.read_series(path, series)
        except UserError as error:
            refusal = refusal or error
            warnings.append(f"{series.title}: {error.message}")
    raise refusal or UserError(f"No series of {path} can be opened.")


def _series(path: Path, part: str) -> dicom.Series:
    if part:
        raise UserError(f"{path.name} has no part {part!r}.", "Open one file of the series you want.")
    return dicom.choose_series(path)
