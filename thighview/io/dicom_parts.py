"""What the child process that reads DICOM is asked for: plain data and arrays in answer; see ``loader``."""

from pathlib import Path
from typing import Any

import numpy as np

from thighview.core.errors import SeveralScansError
from thighview.io import dicom
from thighview.io.child import Arrays, Report
from thighview.io.dicom_stack import stack_of
from thighview.io.facts import Inspection, volume_facts


def read(path: str, part: str, known_sha256: str, report: Report) -> tuple[dict[str, Any], Arrays]:
    """One series: its volume, what it is known by, its files, and the PatientID in them.

    Where other series lie in its place, its hash tells it from them for a project that does not know its part.
    """
    found = Path(path)
    series = dicom.choose_series(found, part, known_sha256, report)
    stack = stack_of(series.slices)
    empty = np.broadcast_to(stack.dtype.type(0), stack.shape)
    facts = volume_facts(dicom.as_volume(found, series, stack, empty)) | {
        "place": str(series.place),
        "part": series.part,
        "alone": (alone := dicom.is_alone(series)),
        "sha256": "" if alone else dicom.series_digest(series),
        "patient_id": dicom.patient_of(series),
        "files": sorted(map(str, series.files)),
    }
    return facts, {"voxels": stack}


def digest(path: str, part: str, known_sha256: str, report: Report) -> dict[str, Any]:
    """SHA-256 of the series that opens from a path."""
    series = dicom.choose_series(Path(path), part, known_sha256, report)
    return {"sha256": dicom.series_digest(series, report)}


def patient(path: str, part: str) -> dict[str, Any]:
    """PatientID of the series that opens from a path."""
    return {"patient_id": dicom.patient_of(dicom.choose_series(Path(path), part))}


def inspect(path: str) -> dict[str, Any]:
    """What is said of a path: of several series the first that opens is described."""
    found = Path(path)
    try:
        series = dicom.choose_series(found)
    except SeveralScansError as several:
        rows = [{"name": one.title, "images": one.images, "part": one.part} for one in several.choices]
        warnings = [f"There are {len(rows)} series; the first is described."]
        warnings += [f"{one.title}: {one.description}" for one in several.refused]
        return Inspection.of(path, dicom.read_dicom(*several.choices[0].key), rows, warnings).to_json()
    return Inspection.of(
        path, dicom.read_series(found, series), [{"name": series.title, "images": len(series.slices)}]
    ).to_json()
