"""DICOM: which series a path means, its volume, and its hash.

A series is known by the folder it lies in and a part made of its own content, whichever of its files was given.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import ScanChoice, SeveralScansError, UserError
from thighview.core.volume import Volume
from thighview.io.child import Report, nobody
from thighview.io.dicom_file import COPY_AGAIN
from thighview.io.dicom_find import Found, look_through, slices_of, some_files_beside
from thighview.io.dicom_header import details_of, text_of
from thighview.io.dicom_pixels import stored_bytes_digest
from thighview.io.dicom_series import Series, guessed_volumes, names_apart, sort_into_series
from thighview.io.dicom_stack import Stack, stack_of, volume_numbers

_MOST_NAMED, _MOST_NOTED = 8, 3


@dataclass
class Folder:
    """What a folder holds: its series in the order of a list, and what else was found."""

    found: Found
    series: list[Series]

    @property
    def stacks(self) -> list[Series]:
        """The series that a person means who opens the folder: no localisers, no single images beside stacks."""
        real = [s for s in self.series if not s.localiser] or self.series
        return [s for s in real if len(s.slices) > 1] or real


def read_dicom(path: Path, part: str = "") -> Volume:
    """Read the series of a folder, or the series that a file belongs to, in this process.

    Raises
    ------
    UserError
        When there is no series, more than one, or its slices do not make a complete, even stack.
    """
    return read_series(path, choose_series(path, part))


def scan(root: Path, deep: bool = True, report: Report = nobody) -> Folder:
    """Look through a folder and sort what is there into series."""
    found = look_through(root, deep, report)
    return Folder(found, sort_into_series(found.slices))


def choose_series(path: Path, part: str = "", known_sha256: str = "", report: Report = nobody) -> Series:
    """The one series to open: of a folder, of the folder a file lies in.

    Parameters
    ----------
    path : Path
        A folder, looked through with all in it; or a file, of whose folder alone.
    part : str
        The series that is known by this; else the one the file belongs to, or the only stack.
    known_sha256 : str
        The one with this hash and no other, whatever its part is now: numbers of volumes shift when others come or go.
    report : callable
        How many files were looked at.

    Raises
    ------
    SeveralScansError
        When there are several.
    UserError
        When there is none.
    """
    is_file = path.is_file()
    folder = scan(path.parent if is_file else path, not is_file, report)
    mine = [series for series in folder.series if series.part == part] if part else folder.stacks
    if known_sha256:
        chosen = _with_hash(path, known_sha256, mine, folder, report)
    else:
        if is_file and not part:
            mine = _series_of_file(path, folder.series)
        _need_some(path, part, mine, folder)
        chosen = mine[0] if len(mine) == 1 else _only_that_opens(path, mine, folder)
    chosen.notes += _doubts_of(chosen, folder)
    return chosen


def _doubts_of(series: Series, folder: Folder) -> list[str]:
    """What its files make doubtful, one sentence each."""
    said: list[str] = []
    places = sorted({file.parent for file in series.files})
    if lost := sum(folder.found.damaged[place] for place in places):
        what = "file of this folder is damaged and was" if lost == 1 else "files of this folder are damaged and were"
        said.append(f"{lost} {what} left out; a slice of the series may be missing.")
    said += _left_out(series, folder)
    if len(places) > 1:
        said.append(f"The files of this series lie in {len(places)} folders: {_listed(places, series.place)}.")
    if others := goes_on_beside(series):
        said.append(
            f"More images of this series lie in other folders beside its own ({_listed(others, series.place.parent)}):"
            f" slices may be missing. Open {series.place.parent.name} to have all."
        )
    if (people := len({text_of(s.facts, "PatientID") for s in series.slices})) > 1:
        said.append(f"The images of this series name {people} patients: they may show several people.")
    if (frames := len({text_of(s.facts, "FrameOfReferenceUID") for s in series.slices})) > 1:
        said.append(
            f"The images of this series lie in {frames} frames of reference: the patient may have moved between them."
        )
    return said


def _left_out(series: Series, folder: Folder) -> list[str]:
    """What is said of files that name the same series and are in no stack of it."""
    uid = text_of(series.slices[0].facts, "SeriesInstanceUID")
    stacks = folder.stacks
    single = [
        s
        for other in folder.series
        if series in stacks and other not in stacks and not other.localiser
        for s in other.slices
        if text_of(s.facts, "SeriesInstanceUID") == uid
    ]
    said: list[str] = []
    if single:
        ways = ", ".join(dict.fromkeys(way for s in single for way in series.differs_in(s)))
        said.append(_missed(len(single), f"does not fit its stack{f' ({ways})' if ways else ''}"))
    mine = [one for one in folder.found.refusals if one.series_uid == uid and uid]
    return said + [_missed(one.count, f"is {one.reason},") for one in mine[:_MOST_NOTED]]


def _missed(count: int, why: str) -> str:
    which = "1 image" if count == 1 else f"Each of {count} images"
    return f"{which} of this series {why} and was left out; a slice may be missing."


def _listed(folders: Sequence[Path], root: Path) -> str:
    names = [str(one.relative_to(root)) if one != root else one.name for one in folders]
    return ", ".join(names[:_MOST_NOTED]) + (", ..." if len(names) > _MOST_NOTED else "")


def read_series(path: Path, series: Series) -> Volume:
    """Stack the slices of a series, in this process; ``path`` is what the person opened."""
    stack = stack_of(series.slices)
    return as_volume(path, series, stack, volume_numbers(stack))


def as_volume(path: Path, series: Series, stack: Stack, voxels: NDArray[Any]) -> Volume:
    """The volume of a series; what it is called where it has no name of its own is the folder's that was opened."""
    first = min(series.slices, key=lambda s: s.instance).facts
    folder = path.parent if path.is_file() else path
    frames = {text_of(s.facts, "FrameOfReferenceUID") for s in series.slices}
    return Volume(
        voxels,
        stack.affine,
        text_of(first, "SeriesDescription") or folder.name,
        "dicom",
        (*stack.warnings, *series.notes),
        details_of(first) | stack.details,
        unsure=stack.unsure,
        frame_uid=frames.pop() if len(frames) == 1 else "",
        series_uid=text_of(first, "SeriesInstanceUID"),
        missing=stack.missing,
    )


def series_digest(series: Series, report: Report = nobody) -> str:
    """SHA-256 of a series: of its instances, their position, scaling and stored pixels, whatever the files' names.

    It reads every file, once for a ``Series``; a copy of one changes nothing.
    """
    if series.sha256:
        return series.sha256
    digests: set[str] = set()
    pixels: dict[Path, str] = {}
    for done, s in enumerate(series.slices):
        if s.path not in pixels:
            pixels[s.path] = stored_bytes_digest(s)
            report(done, len(series.slices))
        digests.add("|".join([s.identity, *([str(s.frame)] if s.frame else []), pixels[s.path]]))
    series.sha256 = hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
    return series.sha256


def is_alone(series: Series) -> bool:
    """Whether the place of a series opens it without its part."""
    mine = scan(series.place).stacks
    return len(mine) == 1 and mine[0].part == series.part


def goes_on_beside(series: Series) -> list[Path]:
    """Folders beside its own that hold slices which a series lacks, as far as one or two of their files tell."""
    found: list[Path] = []
    for path in some_files_beside(series.place):
        with contextlib.suppress(UserError, OSError):
            if any(series.lacks(s) for s in slices_of(path) or []):
                found.append(path.parent)
    return list(dict.fromkeys(found))


def patient_of(series: Series) -> str:
    """PatientID of a series."""
    return text_of(min(series.slices, key=lambda s: s.instance).facts, "PatientID")


def _with_hash(path: Path, sha256: str, likely: Sequence[Series], folder: Folder, report: Report) -> Series:
    """The series with this hash, looked for among the likely ones first."""
    guesses = (one for series in folder.series for one in guessed_volumes(series))
    for series in (*likely, *(one for one in folder.series if one not in likely), *guesses):
        with contextlib.suppress(UserError, OSError):  # what cannot be read is not it
            if series_digest(series, report) == sha256:
                return series
    raise has_changed(path)


def has_changed(path: Path) -> UserError:
    """What is said where a scan is not the one that its hash was taken of."""
    return UserError(
        f"The scan {path} has changed since its mask was drawn, or is gone: nothing there has its content.",
        "Put the original back; the mask is kept.",
    )


def _need_some(path: Path, part: str, mine: Sequence[Series], folder: Folder) -> None:
    if not mine and part:
        raise UserError(
            f"{path.name} has no part {part!r}: no series like that lies there now.",
            "Put its files back, or open the folder and choose again.",
        )
    if not mine:
        what = f": {folder.found.reasons}" if folder.found.refused else ""
        raise UserError(
            f"No DICOM series that can be opened was found in {path}{what}.",
            "Choose the folder that holds the series itself, or NIfTI files.",
        )


def _series_of_file(path: Path, there: Sequence[Series]) -> list[Series]:
    """The series that hold an image of this file."""
    found = [series for series in there if path in series.files]
    if found:
        return found
    try:
        slices_of(path)
    except UserError as error:
        raise UserError(f"{path.name} cannot be opened: it is {error.message}.", error.hint or COPY_AGAIN) from error
    raise UserError(f"{path.name} cannot be opened: it is no image.", COPY_AGAIN)


def _only_that_opens(path: Path, mine: Sequence[Series], folder: Folder) -> Series:
    """Of several the only one that can be stacked, with a word about the others; SeveralScansError where more can."""
    usable, refused = _parted(mine)
    if len(usable) == 1:
        ((one, _),) = usable
        one.notes += [f"Beside it lies what cannot be opened, {title}: {why}" for title, why in refused[:_MOST_NOTED]]
        return one
    what = path.name if path.is_file() else "This folder"
    names = names_apart(folder.series)
    if not usable:
        reasons = " ".join(f"{title}: {reason}" for title, reason in refused[:_MOST_NOTED])
        raise UserError(f"{what} holds {len(mine)} series, none of which can be opened. {reasons}", COPY_AGAIN)
    listed = "; ".join(f"{names[id(s)]}, {s.size}" for s in mine[:_MOST_NAMED])
    listed += f"; and {len(mine) - _MOST_NAMED} more" if len(mine) > _MOST_NAMED else ""
    aside, unusable = _parted([s for s in folder.series if s not in mine])
    greyed = [ScanChoice(title, path, description=reason) for title, reason in (*refused, *unusable)]
    greyed += [ScanChoice(one.title, path, "", one.count, one.reason) for one in folder.found.refusals]
    raise SeveralScansError(
        f"{what} holds {len(mine)} series, one was expected: {listed}.",
        "Open one file of the series you want.",
        tuple(_choice(series, stack, names[id(series)]) for series, stack in (*usable, *aside)),
        tuple(greyed),
    )


def _parted(several: Sequence[Series]) -> tuple[list[tuple[Series, Stack]], list[tuple[str, str]]]:
    """Those that can be stacked; titles of the others, and why not."""
    usable: list[tuple[Series, Stack]] = []
    refused: list[tuple[str, str]] = []
    for series in several:
        try:
            usable.append((series, stack_of(series.slices)))
        except UserError as error:
            refused.append((series.title, error.message))
    return usable, refused


def _choice(series: Series, stack: Stack, name: str) -> ScanChoice:
    first = series.slices[0]
    grid = Volume(np.broadcast_to(np.uint8(0), stack.shape), stack.affine)
    plane = ("sagittal", "coronal", "axial")[grid.world_axes[0]] if first.position is not None else "place not known"
    size = " × ".join(f"{mm:.3g}" for mm in reversed(grid.spacing_mm)) + " mm" if first.spacing_mm else ""
    words = (
        "localiser" if series.localiser else "",
        series.size.replace(" x ", " × "),
        text_of(first.facts, "Modality"),
        plane,
        size,
    )
    return ScanChoice(name, series.place, series.part, len(series.slices), ", ".join(filter(None, words)))
