"""The images of a DICOM series made one volume: in order, evenly, in their place, with their true numbers."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.io.dicom_header import COPY_AGAIN, Slice, iter_frames, number_of, read_dataset

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_DOUBTED_SHARE, _REFUSED_SHARE = 0.02, 0.05
"""How far a slice may be from its even place, as a share of the distance between slices, without a word (scanners
round); at all."""
SAME_PLACE_MM = 0.01
"""Images nearer to each other than this lie in one place."""
_MOST_MISSING = 0.5
"""Slices that may be missing, as a share of those that are there: with more it is no stack."""


def ordered(slices: list[Slice], warnings: list[str]) -> list[Slice]:
    """The slices along their normal; copies of one image are left out, two images in one place refused."""
    normal = np.cross(*slices[0].directions)
    at = {id(s): float(s.position @ normal) for s in slices}
    along = sorted(slices, key=lambda s: (at[id(s)], s.instance))
    single: list[Slice] = []
    for s in along:
        if single and abs(at[id(s)] - at[id(single[-1])]) < SAME_PLACE_MM:
            if s.instance != single[-1].instance:
                _refuse_shared_positions(along, at)
            continue
        single.append(s)
    if len(single) < len(along):
        warnings.append(f"{len(along) - len(single)} files are copies of other images and were left out.")
    return single


def evenly(slices: list[Slice], warnings: list[str]) -> "list[Slice | None]":
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
        raise UserError(
            f"The {len(slices)} slices of this series do not follow each other evenly: they lie {gaps.min():.2f} to "
            f"{gaps.max():.2f} mm apart.",
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


def affine_of(slices: "list[Slice | None]", warnings: list[str]) -> NDArray[np.float64]:
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


def pixels_of(slices: "list[Slice | None]", warnings: list[str]) -> NDArray[Any]:
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
