"""DICOM: a series, classic or enhanced, read from a folder; its images are ordered by position, never by name."""

import contextlib
import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import SeveralScansError, UserError
from thighview.core.volume import Volume
from thighview.io.dicom_header import (
    COPY_AGAIN,
    Slice,
    details_of,
    is_dicom,
    iter_frames,
    number_of,
    read_dataset,
    read_slices,
    text_of,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MAX_FILES = 20_000
_DOUBTED_SHARE, _REFUSED_SHARE = 0.02, 0.05
"""How far a slice may be from its even place, as a share of the distance between slices, without a word (scanners
round); at all."""
_MOST_MISSING = 0.5
"""Of a stack, as a share: with more slices missing than there are, it is no stack."""


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
    """What is said of several series where one was expected; where each has files of its own, one can be chosen."""
    listed = "; ".join(s.title for s in stacks[:8]) + ("; ..." if len(stacks) > 8 else "")
    said = f"{what} holds {len(stacks)} series, one was expected: {listed}."
    first = [min(s.path for s in series.slices) for series in stacks]
    if len(set(first)) < len(first):
        return UserError(said, "They lie in one file, among which nobody can choose yet: split it with dcm2niix first.")
    choices = tuple((series.title, path) for series, path in zip(stacks, first, strict=True))
    return SeveralScansError(said, "Open one file of the series you want.", choices)


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
    slices = _evenly(_ordered(series, warnings), warnings)
    affine = _affine(slices, warnings)
    voxels = _pixels(slices, warnings)
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


def patient_id(path: Path) -> str:
    """PatientID of a DICOM file or folder as it stands there, for a keyed hash; empty where there is none."""
    return patient_of(choose_series(path))


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
    """A series whose positions all have the same number of images (time points, b-values), parted into volumes.

    The n-th image of each position, in the order of measuring, makes the n-th volume.
    """
    normal = np.cross(*series.slices[0].directions)
    places: dict[float, dict[tuple[str, int], Slice]] = {}
    for s in series.slices:
        places.setdefault(round(float(s.position @ normal), 2), {}).setdefault(s.instance, s)
    counts = {len(place) for place in places.values()}
    if len(places) < 2 or len(counts) > 1 or counts == {1}:
        return [series]
    count = counts.pop()
    ordered = [sorted(place.values(), key=_when) for place in places.values()]
    return [Series(series.key, [place[n] for place in ordered], f"volume {n + 1} of {count}") for n in range(count)]


def _when(s: Slice) -> tuple[float, ...]:
    tags = ("TemporalPositionIdentifier", "AcquisitionNumber", "TriggerTime", "InstanceNumber")
    return tuple(number_of(s.header, tag) or 0.0 for tag in tags)


def _refusals(folder: Folder) -> str:
    return "; ".join(
        message if count == 1 else f"{count} files are each {message}" for message, count in folder.refused.items()
    )


def _ordered(series: Series, warnings: list[str]) -> list[Slice]:
    """The slices along their normal; copies of one image are left out, anything uneven is refused."""
    normal = np.cross(*series.slices[0].directions)
    at = {id(s): float(s.position @ normal) for s in series.slices}
    ordered = sorted(series.slices, key=lambda s: (at[id(s)], s.instance))
    single: list[Slice] = []
    for s in ordered:
        if single and abs(at[id(s)] - at[id(single[-1])]) < 0.01:
            if s.instance != single[-1].instance:
                _refuse_shared_positions(ordered, at)
            continue
        single.append(s)
    if len(single) < len(ordered):
        warnings.append(f"{len(ordered) - len(single)} files are copies of other images and were left out.")
    return single


def _evenly(slices: list[Slice], warnings: list[str]) -> "list[Slice | None]":
    """The slices with None in the place of each one that is missing, so that all others lie where they belong."""
    if len(slices) < 3:
        return list(slices)
    normal = np.cross(*slices[0].directions)
    gaps = np.diff([float(s.position @ normal) for s in slices])
    usual = float(np.median(gaps))
    steps = np.maximum(1, np.round(gaps / usual)).astype(int)
    off = gaps / steps - usual
    worst = int(np.argmax(np.abs(off)))
    missing = int(steps.sum()) - len(gaps)
    if abs(off[worst]) > _REFUSED_SHARE * usual or missing > _MOST_MISSING * len(slices):
        at = int(np.argmax(np.abs(gaps - usual)))
        raise UserError(
            f"The slices of this series do not follow each other evenly: slices {at + 1} and {at + 2} of "
            f"{len(slices)} lie {gaps[at]:.2f} mm apart, the others {usual:.2f} mm.",
            "Copy the complete series again.",
        )
    if abs(off[worst]) > max(0.01, _DOUBTED_SHARE * usual):
        warnings.append(
            f"The slices are not quite evenly spaced: slices {worst + 1} and {worst + 2} of {len(slices)} lie "
            f"{gaps[worst]:.2f} mm apart, the others {usual:.2f} mm. One mean distance is used."
        )
    even: list[Slice | None] = [slices[0]]
    for index, s in enumerate(slices[1:]):
        lost = int(steps[index]) - 1
        if lost:
            what = "A slice is" if lost == 1 else f"{lost} slices are"
            warnings.append(
                f"{what} missing between {index + 1} and {index + 2} of the {len(slices)} there are: they lie "
                f"{gaps[index]:.2f} mm apart, the others {usual:.2f} mm. The gap is left empty."
            )
        even += [*[None] * lost, s]
    return even


def _refuse_shared_positions(slices: list[Slice], at: dict[int, float]) -> None:
    places = len({round(at[id(s)], 2) for s in slices})
    raise UserError(
        f"{len(slices)} different images of this series share {places} position{'s' if places > 1 else ''}: "
        "it holds several volumes (time points or echoes), or no volume at all.",
        "Open a series with one image per position.",
    )


def _affine(slices: "list[Slice | None]", warnings: list[str]) -> NDArray[np.float64]:
    """(z, y, x, 1) to LPS mm, by the standard's equation C.7.6.2.1-1."""
    there = {index: s for index, s in enumerate(slices) if s is not None}
    first, last = there[0], there[len(slices) - 1]  # a stack ends with slices that are there
    normal = np.cross(*first.directions)
    if len(slices) > 1:
        step = (last.position - first.position) / (len(slices) - 1)
        line = first.position + np.array(list(there))[:, None] * step
        off = float(np.abs(np.array([s.position for s in there.values()]) - line).max())
        if off > _REFUSED_SHARE * float(np.linalg.norm(step)):
            raise UserError(
                f"The slices of this series do not lie on one straight line: one is {off:.2f} mm beside it.",
                "Copy the complete series again.",
            )
        lean = math.degrees(math.acos(min(1.0, float(step @ normal) / float(np.linalg.norm(step)))))
        if lean > 0.5:
            warnings.append(f"The slices are stacked at a slant of {lean:.1f} degrees.")
    else:
        told = number_of(first.header, "SpacingBetweenSlices") or number_of(first.header, "SliceThickness")
        step = normal * abs(told or 1.0)
        if not told:
            warnings.append("One slice only, which does not say how thick it is: 1 mm was taken.")
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 3] = step, first.position
    affine[:3, 1] = first.directions[1] * first.spacing_mm[0]
    affine[:3, 2] = first.directions[0] * first.spacing_mm[1]
    return affine


def _pixels(slices: "list[Slice | None]", warnings: list[str]) -> NDArray[Any]:
    """All slices, rescaled to true numbers; integers where no rescale needs more. A missing one is as dark as air."""
    there = {index: s for index, s in enumerate(slices) if s is not None}
    scales = {_rescale(s.header) for s in there.values()}
    if len(scales) > 1:
        warnings.append("The slices were scaled one by one by the scanner; each was scaled back.")
    whole = all(slope == 1 and inter == int(inter) for slope, inter in scales)
    stack: NDArray[Any] | None = None
    for (index, s), image in zip(there.items(), _images(list(there.values())), strict=True):
        slope, inter = _rescale(s.header)
        if not whole:
            image = (image.astype(np.float64) * slope + inter).astype(np.float32)
        elif inter:
            image = image.astype(np.int32) + int(inter)
        if stack is None:
            stack = np.empty((len(slices), *image.shape), image.dtype.newbyteorder("="))
        if image.shape != stack.shape[1:] or image.dtype.newbyteorder("=") != stack.dtype:
            raise UserError(f"{s.path.name} holds another kind of image than the rest of its series.", COPY_AGAIN)
        stack[index] = image
    if stack is None:
        raise UserError("This series has no images.")
    if len(there) < len(slices):
        stack[[index for index, s in enumerate(slices) if s is None]] = min(stack[index].min() for index in there)
    return _smallest(stack) if stack.dtype == np.int32 else stack


def _smallest(stack: NDArray[np.int32]) -> NDArray[Any]:
    low, high = int(stack.min()), int(stack.max())
    return stack.astype(np.int16) if low >= -32768 and high <= 32767 else stack


def _images(slices: Sequence[Slice]) -> Iterator[NDArray[Any]]:
    """The stored pixels of these images, in turn; a file with several of them is read once."""
    for path, group in groupby(slices, key=lambda s: s.path):
        own = list(group)
        dataset = read_dataset(path, pixels=True)
        frames = iter_frames(dataset, [s.frame for s in own])
        for s in own:
            yield _image(s, dataset, frames)


def _image(s: Slice, dataset: "Dataset", frames: Iterator[NDArray[Any]]) -> NDArray[Any]:
    try:
        image = next(frames)
    except (NotImplementedError, RuntimeError) as error:
        syntax = getattr(getattr(dataset.file_meta, "TransferSyntaxUID", None), "name", "unknown")
        raise UserError(
            f"The pixels of {s.path.name} are compressed in a way that cannot be read here ({syntax}).",
            "Convert the series with dcm2niix or gdcmconv first.",
        ) from error
    except Exception as error:
        raise UserError(f"{s.path.name} is cut short or damaged: its pixels cannot be read.", COPY_AGAIN) from error
    if image.shape != (int(s.header.Rows), int(s.header.Columns)):
        raise UserError(f"{s.path.name} holds pixels of the shape {image.shape}, which cannot be.", COPY_AGAIN)
    return image


def _rescale(header: "Dataset") -> tuple[float, float]:
    slope, inter = number_of(header, "RescaleSlope"), number_of(header, "RescaleIntercept")
    slope, inter = 1.0 if slope is None else slope, inter or 0.0
    if slope == 0:
        raise UserError("The scaling of this series, 0 x, cannot be.", COPY_AGAIN)
    return slope, inter
