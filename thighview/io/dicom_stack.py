"""The images of a DICOM series made one volume: in order, evenly, in their place, with their true numbers."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.known import LENGTHS_NOT_KNOWN, SIDES_NOT_KNOWN
from thighview.io import positions
from thighview.io.child import Report, nobody
from thighview.io.dicom_file import COPY_AGAIN
from thighview.io.dicom_header import Slice, number_of, text_of
from thighview.io.dicom_pixels import check_pixels, image_of, images_of

_DOUBTED_SHARE, _REFUSED_SHARE = 0.02, 0.05
"""How far a slice may be from its even place, as a share of the distance between slices, without a word (scanners
round); at all."""
SAME_PLACE_MM = 0.01
"""Images nearer to each other than this lie in one place."""
_MOST_MISSING = 0.5
"""Slices that may be missing, as a share of those that are there: with more it is no stack."""
_NOWHERE = "{} say where {} in the patient: " + SIDES_NOT_KNOWN + "{}."
_BY_NUMBER = ", and their order is that of their numbers"


@dataclass(frozen=True, eq=False)
class Stack:
    """A series whose headers make a volume; its pixels are read when they are asked for, plane by plane.

    Parameters
    ----------
    slices : list of Slice or None
        In order, with None in the place of each that is missing.
    affine : ndarray, shape (4, 4)
        From (z, y, x, 1) to LPS mm.
    dtype : dtype
        Of its true numbers.
    warnings : tuple of str
        Doubts, one sentence each.
    details : dict
        What else is to be known.
    """

    slices: list[Slice | None]
    affine: NDArray[np.float64]
    dtype: np.dtype[Any]
    warnings: tuple[str, ...]
    details: dict[str, str] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxel counts (z, y, x)."""
        first = next(s for s in self.slices if s is not None)
        return (len(self.slices), *first.shape)

    @property
    def missing(self) -> tuple[int, ...]:
        """Slices that are not there."""
        return tuple(index for index, s in enumerate(self.slices) if s is None)

    @property
    def unsure(self) -> frozenset[str]:
        """As of :class:`Volume`."""
        first = next(s for s in self.slices if s is not None)
        return positions.unsure("nothing" if first.position is None else "positions", self.warnings)

    def planes(self, report: Report) -> Iterator[tuple[int, NDArray[Any]]]:
        """Each plane with its index, rescaled to true numbers; a missing one is as dark as the darkest voxel."""
        there = [index for index, s in enumerate(self.slices) if s is not None]
        slices = [s for s in self.slices if s is not None]
        darkest: Any = None
        for done, (place, image) in enumerate(images_of(slices)):
            plane = true_numbers(image, slices[place], self.dtype)
            if len(there) < len(self.slices):
                low = plane.min()
                darkest = low if darkest is None or low < darkest else darkest
            yield there[place], plane
            report(done + 1, len(there))
        for index in self.missing:
            yield index, np.full(self.shape[1:], darkest, self.dtype)


def stack_of(slices: Sequence[Slice]) -> Stack:
    """Order the images of a series and find their place, by their headers alone.

    Raises
    ------
    UserError
        When they do not make a complete, even stack.
    """
    warnings: list[str] = []
    details: dict[str, str] = {}
    even = evenly(ordered(list(slices), warnings), warnings)
    affine = affine_of(even, warnings, details)
    there = [s for s in even if s is not None]
    check_pixels(there)
    dtype = _dtype(there, warnings, details)
    return Stack(even, affine, dtype, tuple(warnings), details)


def ordered(slices: list[Slice], warnings: list[str]) -> list[Slice]:
    """The slices along their normal; where they do not say where they lie, by their numbers.

    Two images in one place are one where their pixels are the same, else refused.
    """
    if slices[0].position is None:
        return _by_number(slices, warnings)
    normal = slices[0].normal
    at = {id(s): s.height_along(normal) for s in slices}
    along = sorted(slices, key=lambda s: (at[id(s)], s.instance))
    single: list[Slice] = []
    for s in along:
        if single and abs(at[id(s)] - at[id(single[-1])]) < SAME_PLACE_MM:
            if not same_image(s, single[-1]):
                _refuse_shared_positions(along, at)
            continue
        single.append(s)
    if lost := len(along) - len(single):
        what = "image is a copy of another and was" if lost == 1 else "images are copies of others and were"
        warnings.append(f"{lost} {what} left out: the same place, the same pixels.")
    return single


def same_image(a: Slice, b: Slice) -> bool:
    """Whether two images show the very same numbers; reads them."""
    if a.shape != b.shape or _rescale(a) != _rescale(b):
        return False
    return bool(np.array_equal(image_of(a), image_of(b)))


def _by_number(slices: list[Slice], warnings: list[str]) -> list[Slice]:
    numbers = [(number_of(s.facts, "InstanceNumber") or 0.0, s.frame or 0) for s in slices]
    if len(set(numbers)) < len(numbers):
        raise UserError(
            f"The {len(slices)} images of this series say neither where they lie nor in which order they come.",
            "Open one of them by itself, or copy the series again from the scanner.",
        )
    one = len(slices) == 1
    words = ("This image does not", "it lies", "") if one else ("These images do not", "they lie", _BY_NUMBER)
    warnings.append(_NOWHERE.format(*words))
    return [s for _, s in sorted(zip(numbers, slices, strict=True), key=lambda pair: pair[0])]


def evenly(slices: list[Slice], warnings: list[str]) -> "list[Slice | None]":
    """The slices with None in the place of each one that is missing, so that all others lie where they belong."""
    if len(slices) < 3 or slices[0].position is None:
        return list(slices)
    normal = slices[0].normal
    gaps = np.diff([s.height_along(normal) for s in slices])
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


def affine_of(slices: "list[Slice | None]", warnings: list[str], details: dict[str, str]) -> NDArray[np.float64]:
    """(z, y, x, 1) to LPS mm, by the standard's equation C.7.6.2.1-1; without a position, axial at the origin."""
    there = {index: s for index, s in enumerate(slices) if s is not None}
    first, last = there[0], there[len(slices) - 1]  # a stack ends with slices that are there
    spacing = first.spacing_mm
    if spacing is None:
        warnings.append(f"These images do not tell their spacing: 1 mm was put in, {LENGTHS_NOT_KNOWN}.")
        spacing = (1.0, 1.0)
    directions = first.directions if first.directions is not None else np.eye(3)[:2]
    origin = first.position if first.position is not None else np.zeros(3)
    normal = np.cross(directions[0], directions[1])
    if len(slices) > 1 and first.position is not None and last.position is not None:
        step = (last.position - first.position) / (len(slices) - 1)
        line = first.position + np.array(list(there))[:, None] * step
        off = float(np.abs(np.array([s.position for s in there.values()]) - line).max())
        if off > _REFUSED_SHARE * float(np.linalg.norm(step)):
            raise UserError(
                f"The slices of this series do not lie on one straight line: one is {off:.2f} mm beside it.",
                "Copy the complete series again.",
            )
        _doubt_gaps(first, float(np.linalg.norm(step)), warnings)
        lean = math.degrees(math.acos(min(1.0, float(step @ normal) / float(np.linalg.norm(step)))))
        if lean > 0.5:
            warnings.append(f"The slices are stacked at a slant of {lean:.1f} degrees.")
    else:
        step = normal * _thickness(first, len(slices), warnings, details)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 3] = step, origin
    affine[:3, 1] = directions[1] * spacing[0]
    affine[:3, 2] = directions[0] * spacing[1]
    warnings.extend(positions.odd_spacing(np.linalg.norm(affine[:3, :3], axis=0)))
    return affine


def _doubt_gaps(first: Slice, apart_mm: float, warnings: list[str]) -> None:
    """Say it where the slices lie twice or more times as far apart as their header says.

    Some scanners write the gap between slices instead of the distance: it and the thickness make the distance then.
    """
    told_mm = abs(number_of(first.facts, "SpacingBetweenSlices") or 0.0)
    thick_mm = abs(number_of(first.facts, "SliceThickness") or 0.0)
    if not told_mm:
        return
    times = round(apart_mm / told_mm)
    is_gap = told_mm < 0.99 * thick_mm and abs(told_mm + thick_mm - apart_mm) < _REFUSED_SHARE * apart_mm
    if times < 2 or is_gap or abs(apart_mm / told_mm - times) > _REFUSED_SHARE * times:
        return
    which = "every second slice may be missing" if times == 2 else f"only one slice of {times} may be there"
    warnings.append(f"The slices lie {apart_mm:.2f} mm apart, their header says {told_mm:.2f} mm: {which}.")


def _thickness(first: Slice, count: int, warnings: list[str], details: dict[str, str]) -> float:
    """The distance from slice to slice in mm where no two positions tell it."""
    told = abs(number_of(first.facts, "SpacingBetweenSlices") or 0.0)
    if count == 1:
        told = told or abs(number_of(first.facts, "SliceThickness") or 0.0)
        if not told:
            details["Slice thickness"] = "not given, 1 mm taken"
    elif not told:
        warnings.append(f"These slices do not tell their distance: 1 mm was put in, {LENGTHS_NOT_KNOWN}.")
    return told or 1.0


def _dtype(slices: Sequence[Slice], warnings: list[str], details: dict[str, str]) -> np.dtype[Any]:
    """Of the true numbers of all these images: as stored where nothing is to be done, whole where they stay whole."""
    scales = {_rescale(s) for s in slices}
    if len({(slope, inter) for slope, inter, _ in scales}) > 1:
        warnings.append("The slices were scaled one by one by the scanner; each was scaled back.")
    if any(turned for _, _, turned in scales):
        warnings.append(
            "These images are stored with dark and bright exchanged (MONOCHROME1); they were turned round, "
            "so the numbers are not those stored."
        )
        details["Brightness"] = "turned round (stored as MONOCHROME1)"
    if any(slope != int(slope) or inter != int(inter) for slope, inter, _ in scales):
        return np.dtype(np.float32)
    kinds = {s.stored.dtype for s in slices}
    if scales == {(1.0, 0.0, False)} and len(kinds) == 1:
        return kinds.pop()
    ends = [
        int(slope) * end + int(inter) for s in slices for slope, inter, _ in [_rescale(s)] for end in s.stored.range
    ]
    for name in (np.int16, np.uint16, np.int32, np.int64):
        if np.iinfo(name).min <= min(ends) and max(ends) <= np.iinfo(name).max:
            return np.dtype(name)
    return np.dtype(np.float64)


def true_numbers(image: NDArray[Any], s: Slice, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The stored numbers of an image turned round where they are, and rescaled."""
    slope, inter, turned = _rescale(s)
    if turned:
        low, high = s.stored.range
        image = (low + high) - image.astype(np.int64)
    if dtype.kind == "f":
        return (image.astype(np.float64) * slope + inter).astype(dtype)
    if (slope, inter) != (1.0, 0.0):
        image = image.astype(np.int64) * int(slope) + int(inter)
    return image.astype(dtype, copy=False)


def _rescale(s: Slice) -> tuple[float, float, bool]:
    """Slope, intercept, and whether dark and bright are exchanged."""
    slope, inter = number_of(s.facts, "RescaleSlope"), number_of(s.facts, "RescaleIntercept")
    slope, inter = 1.0 if slope is None else slope, inter or 0.0
    if slope == 0:
        raise UserError("The scaling of this series, 0 x, cannot be.", COPY_AGAIN)
    return slope, inter, text_of(s.facts, "PhotometricInterpretation") == "MONOCHROME1"


def volume_numbers(stack: Stack) -> NDArray[Any]:
    """All of a stack, in this process."""
    whole = np.empty(stack.shape, stack.dtype)
    for index, plane in stack.planes(nobody):
        whole[index] = plane
    return whole
