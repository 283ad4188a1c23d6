"""What the child process that reads DICOM is asked for: plain data and arrays in answer; see ``loader``."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import SeveralScansError, UserError
from thighview.io import dicom
from thighview.io.child import Arrays, Report
from thighview.io.dicom_pixels import image_of
from thighview.io.dicom_stack import stack_of, true_numbers
from thighview.io.facts import Inspection, volume_facts


def read(path: str, part: str, known_sha256: str, report: Report) -> tuple[dict[str, Any], Arrays]:
    """One series: its volume, what it is known by, its hash, its files, and the PatientID in them."""
    found = Path(path)
    series = dicom.choose_series(found, part, known_sha256, report)
    stack = stack_of(series.slices)
    empty = np.broadcast_to(stack.dtype.type(0), stack.shape)
    facts = volume_facts(dicom.as_volume(found, series, stack, empty)) | {
        "place": str(series.place),
        "part": series.part,
        "alone": dicom.is_alone(series),
        "sha256": dicom.series_digest(series, report),
        "patient_id": dicom.patient_of(series),
        "files": sorted(map(str, series.files)),
    }
    return facts, {"voxels": stack}


def digest(path: str, part: str, known_sha256: str, report: Report) -> dict[str, Any]:
    """SHA-256 of the series that opens from a path."""
    series = dicom.choose_series(Path(path), part, known_sha256, report)
    return {"sha256": dicom.series_digest(series, report)}


def patient(path: str, part: str, known_sha256: str) -> dict[str, Any]:
    """PatientID of the series that opens from a path."""
    return {"patient_id": dicom.patient_of(dicom.choose_series(Path(path), part, known_sha256))}


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
    row = {"name": series.name, "images": len(series.slices), "part": series.part}
    return Inspection.of(path, dicom.read_series(found, series), [row]).to_json()


def grids(path: str) -> dict[str, Any]:
    """Each series at a path that can be opened: what it is known by, its name and PatientID, and where it lies."""
    found = Path(path)
    is_file = found.is_file()
    rows: list[dict[str, Any]] = []
    for series in dicom.scan(found.parent if is_file else found, not is_file).series:
        if is_file and found not in series.files:
            continue
        with contextlib.suppress(UserError):
            stack = stack_of(series.slices)
            grid = dicom.as_volume(found, series, stack, np.broadcast_to(np.uint8(0), stack.shape))
            rows.append({
                "place": str(series.place), "part": series.part, "name": grid.name, "shape": list(grid.shape),
                "patient_id": dicom.patient_of(series), "affine": grid.affine.tolist(),
            })  # fmt: skip
    return {"series": rows}


def pictures(path: str, parts: list[str], pixels: int) -> tuple[dict[str, Any], Arrays]:
    """Small pictures of the middle slices of these series of a folder, and which of them there are.

    ``pictures`` has the shape (series, pixels, pixels), uint8; one that cannot be made is black.
    """
    there = {series.part: series for series in dicom.scan(Path(path)).series}
    made = np.zeros((len(parts), pixels, pixels), np.uint8)
    known: list[int] = []
    for index, part in enumerate(parts):
        with contextlib.suppress(UserError, KeyError):
            made[index] = _picture(there[part], pixels)
            known.append(index)
    return {"known": known}, {"pictures": made}


def _picture(series: dicom.Series, pixels: int) -> NDArray[np.uint8]:
    """The middle slice as it is stored, true in proportion, from black to white without its few extremes."""
    stack = stack_of(series.slices)
    slices = [s for s in stack.slices if s is not None]
    middle = slices[len(slices) // 2]
    plane = true_numbers(image_of(middle), middle, np.dtype(np.float32))
    sizes_mm = np.array(plane.shape) * (middle.spacing_mm or (1.0, 1.0))
    rows, columns = np.maximum(1, np.round(sizes_mm / sizes_mm.max() * pixels)).astype(int)
    small = _averaged(_averaged(plane, rows).T, columns).T
    low, high = np.percentile(small, (1, 99.5))
    grey = np.clip((small - low) / max(float(high - low), 1e-9), 0, 1) * 255
    picture = np.zeros((pixels, pixels), np.uint8)
    top, left = (pixels - rows) // 2, (pixels - columns) // 2
    picture[top : top + rows, left : left + columns] = np.nan_to_num(grey)
    return picture


def _averaged(plane: NDArray[np.floating], count: int) -> NDArray[np.floating]:
    """So many rows of a picture, each the mean of those it stands for, or the nearest where there are fewer."""
    n = len(plane)
    starts = np.arange(count) * n // count
    if count > n:
        return plane[starts]
    return np.add.reduceat(plane, starts, axis=0) / np.diff(np.append(starts, n))[:, None]
