"""DICOM: a series, classic or enhanced, read from a folder; its images are ordered by position, never by name."""

import contextlib
import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from thighview.core.errors import ScanChoice, SeveralScansError, UserError
from thighview.core.volume import Volume
from thighview.io.dicom_header import (
    COPY_AGAIN,
    Slice,
    details_of,
    is_dicom,
    number_of,
    read_dataset,
    read_slices,
    text_of,
)
from thighview.io.dicom_stack import SAME_PLACE_MM, affine_of, evenly, ordered, pixels_of

_MAX_FILES = 20_000


@dataclass
class Series:
    """Slices that can be stacked: same series, orientation, size, spacing, echo and kind of image."""

    key: tuple[object, ...]
    slices: list[Slice] = field(default_factory=list)
    volume: str = ""
    """Which one of several volumes in one series, ``volume 2 of 4``; empty where it is the only one."""

    @property
    def title(self) -> str:
        """For people: ``series 8 "t1_tse_tra", echo 6.3 ms, 24 images of 256 x 256``."""
        first = self.slices[0].header
        name = f'"{text_of(first, "SeriesDescription")}"' if text_of(first, "SeriesDescription") else ""
        echo = text_of(first, "EchoTime")
        number = text_of(first, "SeriesNumber") or "?"
        parts = [f"series {number} {name}".strip(), self.volume, f"echo {echo} ms" if echo else ""]
        count = f"{len(self.slices)} image{'s' if len(self.slices) > 1 else ''} of {first.Columns} x {first.Rows}"
        return ", ".join([part for part in parts if part] + [count])


@dataclass
class Folder:
    """What a folder holds: stackable series, and why other DICOM files are not among them."""

    root: Path
    series: list[Series]
    refused: dict[str, int]


def read_dicom(path: Path) -> Volume:
    """Read the series of a folder, or the series that a file belongs to.

    Raises
    ------
    UserError
        When there is no series, more than one, or its slices do not make a complete, even stack.
    """
    return read_series(path, choose_series(path))


def choose_series(path: Path) -> Series:
    """The one series to open: the one a file belongs to, or the only stack of slices in a folder."""
    folder = scan(path.parent if path.is_file() else path, path if path.is_file() else None)
    if path.is_file():
        mine = [series for series in folder.series if any(s.path == path for s in series.slices)]
        if len(mine) > 1:
            raise _several(path.name, mine)
        if mine:
            return mine[0]
        raise UserError(f"{path.name} cannot be opened: it is {_refusals(folder) or 'no image'}.", COPY_AGAIN)
    if not folder.series:
        what = f": {_refusals(folder)}" if folder.refused else ""
        raise UserError(
            f"No DICOM series that can be opened was found in {path}{what}.",
            "Choose the folder that holds the series itself, or NIfTI files.",
        )
    stacks = [s for s in folder.series if len(s.slices) > 1] or folder.series
    if len(stacks) > 1:
        raise _several("This folder", stacks)
    return stacks[0]


def _several(what: str, stacks: list[Series]) -> UserError:
    """What is said of several series where one was expected; those that a path of their own opens can be chosen."""
    listed = "; ".join(s.title for s in stacks[:8]) + ("; ..." if len(stacks) > 8 else "")
    said = f"{what} holds {len(stacks)} series, one was expected: {listed}."
    owners = Counter(path for series in stacks for path in {s.path for s in series.slices})
    choices: list[ScanChoice] = []
    for series in stacks:
        paths = sorted({s.path for s in series.slices})
        if len({path.parent for path in paths}) == 1 and all(owners[path] == 1 for path in paths):
            choices.append(ScanChoice(series.title, paths[0], images=len(series.slices)))
    if not choices:
        return UserError(said, "They share files, or lie over several folders: sort them with dcm2niix first.")
    titles = Counter(choice.title for choice in choices)
    named = tuple(
        replace(one, title=f"{one.title}, from {one.path.name}") if titles[one.title] > 1 else one for one in choices
    )
    return SeveralScansError(said, "Open one file of the series you want.", named)


def scan(root: Path, only_like: Path | None = None) -> Folder:
    """Read the headers of all DICOM files below a folder and sort them into series.

    Parameters
    ----------
    root : Path
        The folder; links are not followed.
    only_like : Path, optional
        Stay in this folder itself and keep the reasons of this file alone (it is the one the person opened).
    """
    folder = Folder(root, [], {})
    for path in _dicom_files(root, deep=only_like is None):
        try:
            for found in read_slices(path):
                _sort_in(folder, found)
        except UserError as error:
            if only_like is None or path == only_like:
                folder.refused[error.message] = folder.refused.get(error.message, 0) + 1
    folder.series = [volume for series in folder.series for volume in _volumes(series)]
    return folder


def read_series(path: Path, series: Series) -> Volume:
    """Stack the slices of a series; ``path`` is what the person opened, its name is used where the series has none."""
    warnings: list[str] = []
    slices = evenly(ordered(series.slices, warnings), warnings)
    affine = affine_of(slices, warnings)
    voxels = pixels_of(slices, warnings)
    first = series.slices[0].header
    if text_of(first, "PhotometricInterpretation") == "MONOCHROME1":
        warnings.append("These images are stored with dark and bright exchanged (MONOCHROME1) and shown as stored.")
    folder = path.parent if path.is_file() else path
    return Volume(
        voxels, affine, text_of(first, "SeriesDescription") or folder.name, "dicom", tuple(warnings), details_of(first)
    )


def series_digest(series: Series) -> str:
    """SHA-256 of a series: of its instances, their position, scaling and stored pixels, whatever the files' names.

    It reads every file; not on the window's thread.
    """
    digests: list[str] = []
    pixels: dict[Path, str] = {}
    for s in series.slices:
        if s.path not in pixels:
            data = read_dataset(s.path, pixels=True).get("PixelData") or b""
            pixels[s.path] = hashlib.sha256(data).hexdigest()
        facts = [str(s.header.get(tag, "")) for tag in _GEOMETRY_TAGS] + ([str(s.frame)] if s.frame else [])
        digests.append("|".join([*facts, pixels[s.path]]))
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


_GEOMETRY_TAGS = ("SOPInstanceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows",
                  "Columns", "RescaleSlope", "RescaleIntercept")  # fmt: skip


def patient_of(series: Series) -> str:
    """PatientID of a series."""
    return text_of(series.slices[0].header, "PatientID")


def place_of(path: Path, series: Series) -> Path:
    """One place for a series, whichever way it was given: its folder where that opens it, else its first file."""
    files = sorted(s.path for s in series.slices)
    folder = files[0].parent
    if any(file.parent != folder for file in files):
        return path
    with contextlib.suppress(UserError):
        if path.is_dir() or sorted(s.path for s in choose_series(folder).slices) == files:
            return folder
    return files[0]


def _dicom_files(root: Path, deep: bool) -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if deep else []
        for name in sorted(names):
            path = Path(folder) / name
            if name.startswith(".") or path.is_symlink() or not path.is_file():
                continue
            with contextlib.suppress(PermissionError):
                if is_dicom(path):
                    found.append(path)
            if len(found) > _MAX_FILES:
                raise UserError(f"{root} holds more than {_MAX_FILES:,} DICOM files.", "Choose a smaller folder.")
    return found


def _sort_in(folder: Folder, found: Slice) -> None:
    header = found.header
    image_type = tuple(str(word) for word in header.get("ImageType") or ())
    key = (
        str(header.get("SeriesInstanceUID", "")), int(header.Rows), int(header.Columns),
        *(round(s, 4) for s in found.spacing_mm), text_of(header, "EchoTime"), image_type[2:],
        text_of(header, "TemporalPositionIndex"),
    )  # fmt: skip
    for series in folder.series:
        if series.key == key and np.abs(series.slices[0].directions - found.directions).max() < 1e-3:
            series.slices.append(found)
            return
    folder.series.append(Series(key, [found]))


def _volumes(series: Series) -> list[Series]:
    """A series with several images at each of its positions (time points, b-values), parted into volumes.

    One value of it must tell the images of a position apart, and be the same set of values at every position; else
    their numbers must run through one volume after the other, or through one position after the other. What cannot be
    parted for certain stays as it is, and is refused as a stack.
    """
    normal = np.cross(*series.slices[0].directions)
    along = sorted({s.instance: s for s in series.slices}.values(), key=lambda s: float(s.position @ normal))
    places: list[list[Slice]] = []
    for s in along:
        if places and float((s.position - places[-1][0].position) @ normal) < SAME_PLACE_MM:
            places[-1].append(s)
        else:
            places.append([s])
    count = len(places[0])
    if len(places) < 2 or count < 2 or any(len(place) != count for place in places):
        return [series]
    for value in (*_TELL_APART, None):
        parted = _by_value(places, value) if value else _by_number(places)
        if parted:
            return [Series(series.key, one, f"volume {n + 1} of {count}") for n, one in enumerate(parted)]
    return [series]


_TELL_APART = ("TemporalPositionIdentifier", "DiffusionBValue", "AcquisitionNumber")


def _by_value(places: list[list[Slice]], tag: str) -> list[list[Slice]]:
    """Volumes of the images that have the same value; empty where that does not part them."""
    values = [[number_of(s.header, tag) for s in place] for place in places]
    first = set(values[0])
    if None in first or len(first) < len(places[0]) or any(set(others) != first for others in values):
        return []
    ordered_values = sorted(value for value in first if value is not None)
    return [[place[own.index(v)] for place, own in zip(places, values, strict=True)] for v in ordered_values]


def _by_number(places: list[list[Slice]]) -> list[list[Slice]]:
    """Volumes by the numbers of the images, where these run volume by volume or position by position; else empty."""
    numbers = {id(s): number_of(s.header, "InstanceNumber") for place in places for s in place}
    if None in numbers.values() or len(set(numbers.values())) < len(numbers):
        return []
    rank = {key: n for n, key in enumerate(sorted(numbers, key=lambda key: numbers[key] or 0.0))}
    sorted_places = [sorted(place, key=lambda s: rank[id(s)]) for place in places]
    volumes = [list(one) for one in zip(*sorted_places, strict=True)]
    whole = any(
        all(max(rank[id(s)] for s in group) - min(rank[id(s)] for s in group) == len(group) - 1 for group in groups)
        for groups in (volumes, sorted_places)
    )
    return volumes if whole else []


def _refusals(folder: Folder) -> str:
    return "; ".join(
        message if count == 1 else f"{count} files are each {message}" for message, count in folder.refused.items()
    )
