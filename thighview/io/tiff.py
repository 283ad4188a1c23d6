"""TIFF stacks: pages of one size are the slices of a scan. Taken apart by tifffile, within bounds.

TIFF does not say how a scan lies in the patient; of its spacing only what the resolution, ImageJ or OME tell is known.
"""

import logging
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import ScanChoice, UserError
from thighview.core.known import LENGTHS_NOT_KNOWN
from thighview.core.volume import Volume
from thighview.io import bounded, numbers, parts
from thighview.io.names import stem
from thighview.io.positions import NOT_KNOWN, SPACING_NOT_KNOWN, doubts, unknown, unsure
from thighview.io.tiff_words import Told, told_by

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MOST_PAGES = 20_000
_PLAIN, _DEFLATE = 1, (8, 32946)
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_INCH_MM = {2: 25.4, 3: 10.0}
_SCREENS = (72.0, 96.0, 100.0, 150.0, 300.0)
"""Dots per inch that programs write where they know none."""
_ORIENTATION = 274
_FLIPS = {2: (1, -1), 3: (-1, -1), 4: (-1, 1)}
"""Whether rows are stored from the top (1) or from the bottom, columns from the left or from the right, by that tag."""
_EXCHANGED = range(5, 9)
"""Of that tag where rows are columns; all other values mean nothing, and the image lies as it is stored."""
_CHUNK_BYTES = 1 << 20
_SAVE_AGAIN = "Save it again as a stack of grey values, without compression or with deflate (zip)."


@dataclass(frozen=True)
class _Plane:
    """One image: a page, or the n-th of those that lie behind a page without pages of their own."""

    page: Any
    behind: int = 0


@dataclass(frozen=True)
class _Stack:
    """Planes that are the slices of one scan, in order, and what is told of it."""

    title: str
    planes: list[_Plane]
    told: Told
    doubt: str = ""


def starts(first: bytes) -> bool:
    """Whether these are the first bytes of a TIFF file."""
    return first[:4] in _MAGIC


def files_of(path: Path) -> tuple[Path, ...]:
    """The file itself."""
    return (path,)


def read_tiff(path: Path, part: str = "") -> Volume:
    """Read one stack of a TIFF file.

    Parameters
    ----------
    path : Path
        The file.
    part : str
        Which of several (channels, times, stacks of other sizes): its number from 1.

    Raises
    ------
    SeveralScansError
        When the file holds several stacks and none is named.
    UserError
        When it is damaged, in colour, packed in a way that is not read here, or has no such part.
    """
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is said below
    with bounded.opened(path, packing="raw") as (_, there, _):
        pass
    try:
        with tifffile.TiffFile(path, is_ome=False, is_imagej=False) as file:
            return _read(path, file, part, there)
    except UserError:
        raise
    except MemoryError as error:
        raise bounded.damaged(path, "it asks for more memory than there is") from error
    except Exception as error:
        raise bounded.damaged(path, f"it cannot be taken apart ({str(error)[:100]})") from error


def _read(path: Path, file: Any, part: str, there: int) -> Volume:
    pages = _pages(path, file)
    stacks = _stacks(path, pages, told_by(str(pages[0].description)), there)
    choices = [ScanChoice(stack.title, path, str(n), len(stack.planes)) for n, stack in enumerate(stacks, 1)]
    stack = stacks[parts.choose(path, part, choices, "stacks")]
    planes, told = stack.planes, stack.told
    first = planes[0].page
    shape = (len(planes), int(first.shape[0]), int(first.shape[1]))
    _check(path, planes, shape, there)
    warnings = [stack.doubt] if stack.doubt else []
    spacing = _spacing(first, told, shape[0], warnings)
    voxels = np.empty(shape, first.dtype.newbyteorder("="))
    for index, plane in enumerate(planes):
        voxels[index] = _image(path, plane)
    if first.photometric == _WHITE_IS_ZERO:
        warnings.append("These images are stored with dark and bright exchanged (white is zero) and shown as stored.")
    warnings.append(f"A TIFF file does not say how the scan lies in the patient: {NOT_KNOWN}")
    voxels = numbers.scaled(numbers.narrowed(voxels, path.name), told.slope, told.inter, path)
    if told.calibrated:
        warnings.append("ImageJ gave these images a calibration curve, which is not applied: numbers are as stored.")
    affine = _turned(path, planes, unknown(spacing), shape)
    details = {
        "Format": f"TIFF, written by {told.by}" if told.by else "TIFF",
        "Stored numbers": np.dtype(first.dtype).name,
        "Position from": "nothing",
    }
    name = stem(path)
    if len(stacks) > 1:
        details["Stack"] = stack.title
        name = f"{name}, {stack.title}"
    said = (*warnings, *doubts(affine), *numbers.odd_words(voxels))
    return Volume(voxels, affine, name, "tiff", said, details, unsure=unsure("nothing", said))


def _pages(path: Path, file: Any) -> list[Any]:
    """The pages that are images of their own, no small copies of others."""
    pages: list[Any] = []
    seen = set[int]()
    for index in range(_MOST_PAGES + 1):
        try:
            page = file.pages[index]
        except IndexError:
            break
        if index == _MOST_PAGES:
            raise UserError(f"{path.name} holds more than {_MOST_PAGES:,} pages.", "Open a stack of fewer.")
        if page.offset in seen:
            raise bounded.damaged(path, "its pages go round in a circle")
        seen.add(int(page.offset))
        if not page.is_reduced:
            pages.append(page)
    if not pages:
        raise bounded.damaged(path, "it holds no pages")
    return pages


def _stacks(path: Path, pages: Sequence[Any], told: Sequence[Told], there: int) -> list[_Stack]:
    """The scans a file holds, each with its planes in order: channels and times apart, and other sizes of images."""
    try:
        return _as_told(path, pages, told, there)
    except _UntoldError:
        if len(told) > 1 or told[0].channels * told[0].frames > 1:
            raise
        return _in_sequence(path, pages, told[0], there, doubtful=True)


def _as_told(path: Path, pages: Sequence[Any], told: Sequence[Told], there: int) -> list[_Stack]:
    """The scans of the pages that are named for each."""
    at = {int(page.index): page for page in pages}
    images = [_placed(path, one, at) for one in told]
    if len(told) == 1 and (not images[0] or [images[0].get(n) for n in range(len(pages))] == list(pages)):
        return _in_sequence(path, pages, told[0], there)
    used = {int(page.index) for image in images for page in image.values()}
    if len(used) < sum(map(len, images)) or not used:
        raise _untold(path, told, len(pages))
    if {_kind(at[n]) for n in at.keys() - used} & {_kind(at[n]) for n in used}:
        raise _untold(path, told, len(pages))
    stacks: list[_Stack] = []
    for number, (one, image) in enumerate(zip(told, images, strict=True), 1):
        own: dict[tuple[int, int], list[_Plane]] = {}
        for index in sorted(image):  # and so the slices of each channel and time are in their order
            place = _place(one, index)
            own.setdefault((place["T"], place["C"]), []).append(_Plane(image[index]))
        for (t, c), planes in sorted(own.items()):
            if len(planes) != one.slices or len({_kind(plane.page) for plane in planes}) > 1:
                raise _untold(path, told, len(pages))
            words = [f"image {number}"] * (len(told) > 1) + _words(one, t, c)
            stacks.append(_Stack(", ".join(words), planes, one))
    return stacks


def _placed(path: Path, told: Told, pages: Mapping[int, Any]) -> dict[int, Any]:
    """The pages of one image by the place of their plane in it, as far as they are there."""
    found: dict[int, Any] = {}
    count = told.slices * told.channels * told.frames
    for run in told.runs:
        most = min(count - run.plane, max(pages) + 1 - run.page)
        for n in range(min(run.count or most, most)):
            if run.plane + n in found:
                raise _untold(path, (told,), len(pages))
            if run.page + n in pages:
                found[run.plane + n] = pages[run.page + n]
    return found


def _place(told: Told, index: int) -> dict[str, int]:
    """Which slice, channel and time a plane is."""
    sizes = {"Z": told.slices, "C": told.channels, "T": told.frames}
    found: dict[str, int] = {}
    for axis in told.order:
        index, found[axis] = divmod(index, sizes[axis])
    return found


def _in_sequence(path: Path, pages: Sequence[Any], told: Told, there: int, doubtful: bool = False) -> list[_Stack]:
    """The scans of pages that follow one another as they are told; ``doubtful`` where that is not said."""
    planes = [_Plane(page) for page in pages]
    count = told.slices * told.channels * told.frames
    first = pages[0]
    if len(pages) == 1 and count > 1 and first.compression == _PLAIN and len(first.dataoffsets) == 1:
        if int(first.dataoffsets[0]) + count * int(first.nbytes) > there:
            raise bounded.cut_short(path, f"it announces {count} images")
        planes = [_Plane(first, n) for n in range(count)]  # ImageJ writes large stacks without a page for each
    groups: dict[tuple[object, ...], list[_Plane]] = {}
    for plane in planes:
        groups.setdefault(_kind(plane.page), []).append(plane)
    if len(groups) > 1:
        return [_Stack(f"{len(own)} images of {_size(own[0].page.shape)}", own, told) for own in groups.values()]
    if told.channels * told.frames == 1:
        said = (
            f"This file tells of {count} images, which do not match the {len(planes)} in it: all were taken as slices, "
            "in the order in which they lie."
        )
        return [_Stack("", planes, told, said if doubtful or count not in (0, len(planes)) else "")]
    if len(planes) == told.slices:  # one of several files, of which each tells of all
        return [_Stack("", planes, told)]
    if count != len(planes):
        raise _untold(path, (told,), len(planes))
    found: dict[tuple[int, int], list[_Plane]] = {}
    for index, plane in enumerate(planes):
        place = _place(told, index)
        found.setdefault((place["T"], place["C"]), []).append(plane)
    return [_Stack(", ".join(_words(told, t, c)), own, told) for (t, c), own in sorted(found.items())]


class _UntoldError(UserError):
    """The planes of a file are not those it tells of."""


def _untold(path: Path, told: Sequence[Told], there: int) -> _UntoldError:
    """A file whose planes are not those it tells of."""
    sizes = "; ".join(f"{one.slices} slices, channels: {one.channels}, times: {one.frames}" for one in told[:3])
    count = sum(one.slices * one.channels * one.frames for one in told)
    in_it = f"but {there} are in it" if there != count else "but not on which page each is"
    return _UntoldError(
        f"{path.name} says that it holds {count} images ({sizes}), {in_it}: which is which cannot be told.",
        "Save all of it again as one file, or one channel alone.",
    )


def _words(told: Told, t: int, c: int) -> list[str]:
    return [f"channel {c + 1}"] * (told.channels > 1) + [f"time {t + 1}"] * (told.frames > 1)


def _kind(page: Any) -> tuple[object, ...]:
    """What is alike in all images of a stack."""
    return tuple(page.shape), str(page.dtype)


def _size(shape: Sequence[int]) -> str:
    return " x ".join(str(n) for n in reversed(shape[:2]))


def _check(path: Path, planes: Sequence[_Plane], shape: tuple[int, int, int], there: int) -> None:
    """Refuse what is no stack of grey values, or more than the file can hold or the memory take."""
    for plane in planes:
        page = plane.page
        if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) or page.samplesperpixel != 1:
            raise UserError(
                f"{path.name} is in colour; a stack of grey values was expected.", "Convert it to grey values."
            )
        dtype = page.dtype
        if dtype is None or len(page.shape) != 2 or dtype.kind not in "biuf":
            raise UserError(f"The images of {path.name} are of a kind that is not read here.", _SAVE_AGAIN)
        if page.compression != _PLAIN and page.compression not in _DEFLATE:
            kind = getattr(page.compression, "name", page.compression)
            raise UserError(
                f"The images of {path.name} are packed in a way that is not read here ({kind}).", _SAVE_AGAIN
            )
        ends = [int(at) + int(n) for at, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if not ends or min(page.databytecounts) < 1 or max(ends) > there:
            raise bounded.cut_short(path, "some of its images are not in it")
    item = np.dtype(planes[0].page.dtype).itemsize
    packed = any(plane.page.compression != _PLAIN for plane in planes)
    bits = 1 if planes[0].page.bitspersample == 1 else 8 * item
    bounded.check_size(path, math.prod(shape) * bits // 8, there, "zlib" if packed else "raw")
    bounded.check_budget(path, shape, item)


def _image(path: Path, plane: _Plane) -> NDArray[Any]:
    page = plane.page
    if plane.behind:
        with bounded.opened(path, int(page.dataoffsets[0]) + plane.behind * int(page.nbytes), "raw") as (stream, _, _):
            image = np.empty(page.shape, np.dtype(page.dtype).newbyteorder(page.parent.byteorder))
            bounded.fill(stream, image, path)
            return image
    if page.compression in _DEFLATE:
        _check_inflated(path, page)
    return page.asarray(maxworkers=1)


def _check_inflated(path: Path, page: Any) -> None:
    """Refuse a strip or tile that unpacks to more than it announces: whoever unpacks it would fill the memory."""
    shape = page.chunks if page.is_tiled else (page.rowsperstrip or page.shape[0], page.shape[1])
    most = int(math.prod(shape)) * np.dtype(page.dtype).itemsize
    for at, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        with bounded.opened(path, int(at), "raw") as (stream, _, _):
            packed = stream.read(int(count))
        inflate, size = zlib.decompressobj(), 0
        while packed and not inflate.eof:
            size += len(inflate.decompress(packed, _CHUNK_BYTES))
            packed = inflate.unconsumed_tail
            if size > most:
                raise bounded.damaged(path, "an image of it unpacks to more than it announces")
        if not inflate.eof:
            raise bounded.cut_short(path, "its compressed data ends too early")


def _turned(
    path: Path, planes: Sequence[_Plane], affine: NDArray[np.float64], shape: tuple[int, int, int]
) -> NDArray[np.float64]:
    """The matrix with the axes turned round that are stored from the right or from the bottom."""
    found = {int(tag.value) if (tag := plane.page.tags.get(_ORIENTATION)) else 1 for plane in planes}
    flips = {_FLIPS.get(way, (1, 1)) for way in found}
    if len(flips) > 1 or found & {*_EXCHANGED}:
        how = "with rows and columns exchanged" if found & {*_EXCHANGED} else "in several directions"
        raise UserError(f"The images of {path.name} are stored {how} (orientation).", _SAVE_AGAIN)
    for axis, flip in enumerate(flips.pop(), 1):
        if flip < 0:
            affine[:3, 3] += (shape[axis] - 1) * affine[:3, axis]
            affine[:3, axis] *= -1
    return affine


def _spacing(page: Any, told: Told, slices: int, warnings: list[str]) -> tuple[float, float, float]:
    """Spacing along (z, y, x), mm; 1 with a warning where it is not told."""
    y_mm, x_mm = told.y_mm, told.x_mm
    if x_mm is None or y_mm is None:
        unit = told.unit_mm or (None if told.by else _INCH_MM.get(int(page.resolutionunit or 0)))
        x, y = (_resolution(page, tag) for tag in (282, 283))
        x_mm, y_mm = (unit / x if unit and x else None), (unit / y if unit and y else None)
        dots = 25.4 / x_mm if x_mm else 0.0
        if not told.by and any(abs(dots - screen) < 0.5 for screen in _SCREENS):
            warnings.append(
                f"The spacing of this file, {x_mm:.3g} mm, is that of a screen or a printer ({dots:.0f} dots per "
                "inch), which programs write when they know none: check lengths."
            )
    if x_mm is None or y_mm is None:
        warnings.append(SPACING_NOT_KNOWN)
        x_mm = y_mm = 1.0
    z_mm = told.z_mm
    if z_mm is None:
        z_mm = 1.0
        if SPACING_NOT_KNOWN not in warnings and slices > 1:
            warnings.append(
                f"This file does not tell the distance of its slices: 1 mm was put in, {LENGTHS_NOT_KNOWN}."
            )
    return z_mm, y_mm, x_mm


def _resolution(page: Any, tag: int) -> float | None:
    """Pixels per unit."""
    found = page.tags.get(tag)
    value = found.value if found is not None else None
    if not (isinstance(value, tuple) and len(value) == 2 and value[0] and value[1]):
        return None
    resolution = float(value[0]) / float(value[1])
    return resolution if 1e-6 < resolution < 1e6 else None
