"""Images sorted into series that can be stacked, series of several volumes parted, and what each is known by."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from thighview.core.errors import UserError
from thighview.core.scan_key import SERIES_PART
from thighview.io.dicom_header import Slice, number_of, text_of
from thighview.io.dicom_stack import SAME_PLACE_MM, same_image

_TELL_APART = ("TemporalPositionIdentifier", "DiffusionBValue", "AcquisitionNumber")
_SAME_DIRECTION = 1e-3
_MOST_SCOUTS = 15
"""Slices in each of three stacks at right angles that show where to measure, and are not what is measured."""
_PART_LETTERS = 10
_LEAST_THERE = 0.5
"""Share of the positions at which a volume must have an image, to be one that only lacks some."""


@dataclass(eq=False)
class Series:
    """Images that can be stacked: same series, orientation, size, spacing, echo and kind of image.

    Parameters
    ----------
    slices : list of Slice
        In no order; copies of an image among them.
    volume : int
        Which one of several volumes in one series, from 1; 0 where it is the only one.
    volumes : int
        How many there are.
    by_number : bool
        Whether only the numbers of its images told it from the other volumes.
    localiser : bool
        Whether it shows where to measure, and is not what was measured.
    notes : list of str
        What is to be known of it besides, one sentence each.
    sha256 : str
        Its hash, once that was worked out.
    """

    slices: list[Slice]
    volume: int = 0
    volumes: int = 1
    by_number: bool = False
    localiser: bool = False
    notes: list[str] = field(default_factory=list)
    sha256: str = ""

    @property
    def title(self) -> str:
        """For people: ``series 8 "t1_tse_tra", echo 6.3 ms, 24 images of 256 x 256``."""
        return f"{self.name}, {self.size}"

    @property
    def size(self) -> str:
        """How many images of what size."""
        rows, columns = self.slices[0].shape
        count = len(self.slices)
        return f"{count} image{'s' if count > 1 else ''} of {columns} x {rows}"

    @property
    def name(self) -> str:
        """What it calls itself, and which one of several it is."""
        first = self.slices[0]
        name = f'"{text_of(first.facts, "SeriesDescription")}"' if text_of(first.facts, "SeriesDescription") else ""
        echo = _number(first, "EchoTime")
        number = text_of(first.facts, "SeriesNumber") or "?"
        parts = [f"series {number} {name}".strip()]
        parts += [f"volume {self.volume} of {self.volumes}"] if self.volume else []
        if self.volumes > 1 and (b := self._constant("DiffusionBValue")):
            parts.append(f"b {float(b):g}")
        parts += [f"echo {echo:.4g} ms"] if echo else []
        return ", ".join(parts)

    @property
    def time(self) -> str:
        """Which one of several time points of an enhanced image it is; empty elsewhere."""
        return text_of(self.slices[0].facts, "TemporalPositionIndex")

    @property
    def files(self) -> set[Path]:
        """Where its images lie."""
        return {s.path for s in self.slices}

    @cached_property
    def place(self) -> Path:
        """The folder it is known by: the one in which it lies, all of it."""
        folders = {path.parent for path in self.files}
        return folders.pop() if len(folders) == 1 else Path(os.path.commonpath(folders))

    @cached_property
    def part(self) -> str:
        """A short word made of its own content: the same whatever its files are called and whatever lies beside it."""
        first = min(self.slices, key=lambda s: s.instance)
        across = "" if first.directions is None else str((np.round(first.directions, 2) + 0.0).tolist())
        words = [*map(str, _key(first)), across, *(self._constant(tag) for tag in _TELL_APART)]
        if self.by_number and self.volume > 1:  # the first is what it would be alone
            words.append(str(self.volume))
        return SERIES_PART + hashlib.sha256("|".join(words).encode()).hexdigest()[:_PART_LETTERS]

    def lacks(self, s: Slice) -> bool:
        """Whether an image is one of this series, and lies where it has none."""
        first = self.slices[0]
        if _key(s) != _key(first) or not _same_way(s, first):
            return False
        if s.position is None:
            return s.instance not in {one.instance for one in self.slices}
        height = s.height_along(first.normal)
        return all(abs(one.height_along(first.normal) - height) >= SAME_PLACE_MM for one in self.slices)

    def differs_in(self, s: Slice) -> list[str]:
        """In what an image of the same DICOM series is not like those of this one."""
        first = self.slices[0]
        ways = {
            "position": (s.position is None) != (first.position is None),
            "direction": s.position is not None and first.position is not None and not _same_way(s, first),
            "size": s.shape != first.shape,
            "spacing": _spacing(s) != _spacing(first),
            "echo": _echo(s) != _echo(first),
            "kind": s.image_type[2:] != first.image_type[2:],
        }
        return [way for way, differs in ways.items() if differs]

    @property
    def order(self) -> tuple[float, str, int]:
        """Its place in a list for people."""
        first = self.slices[0]
        number = text_of(first.facts, "SeriesNumber")
        return (float(number) if number.isdigit() else np.inf, text_of(first.facts, "SeriesDescription"), self.volume)

    def _constant(self, tag: str) -> str:
        """The value all its images have; empty where they differ."""
        values = {text_of(s.facts, tag) for s in self.slices}
        return values.pop() if len(values) == 1 else ""


def sort_into_series(slices: Iterable[Slice]) -> list[Series]:
    """All series that these images make, parted into volumes where they hold several; in the order of a list."""
    found: dict[tuple[object, ...], list[Series]] = {}
    for s in slices:
        alike = found.setdefault(_key(s), [])
        for series in alike:
            if _same_way(series.slices[0], s):
                series.slices.append(s)
                break
        else:
            alike.append(Series([s]))
    whole = [series for alike in found.values() for series in alike]
    _mark_localisers(whole)
    return sorted((volume for series in whole for volume in _volumes(series)), key=lambda series: series.order)


def _key(s: Slice) -> tuple[object, ...]:
    """What images of one stack have in common, besides their direction."""
    return (
        text_of(s.facts, "SeriesInstanceUID"), *s.shape, *_spacing(s), _echo(s), s.image_type[2:],
        text_of(s.facts, "TemporalPositionIndex"), s.position is not None,
    )  # fmt: skip


def _spacing(s: Slice) -> tuple[float, ...]:
    return tuple(round(mm, 4) for mm in s.spacing_mm or ())


def _echo(s: Slice) -> str:
    """The echo time as a number is written: ``4.60`` and ``4.6`` are one; as it stands where it is none."""
    ms = _number(s, "EchoTime")
    return text_of(s.facts, "EchoTime") if ms is None else f"{round(ms, 4):.10g}"


def _number(s: Slice, tag: str) -> float | None:
    """A value as a number; None where there is none, or what is no number: that is told where it is needed."""
    try:
        return number_of(s.facts, tag)
    except UserError:
        return None


def _same_way(a: Slice, b: Slice) -> bool:
    if a.directions is None or b.directions is None:
        return a.directions is b.directions
    return bool(np.abs(a.directions - b.directions).max() < _SAME_DIRECTION)


def _mark_localisers(whole: Sequence[Series]) -> None:
    """What calls itself one, and few images in three directions at right angles under one name."""
    alike: dict[str, list[Series]] = {}
    for series in whole:
        series.localiser = any("LOCALIZER" in s.image_type for s in series.slices)
        if series.slices[0].directions is not None and len(series.slices) <= _MOST_SCOUTS:
            alike.setdefault(text_of(series.slices[0].facts, "SeriesInstanceUID"), []).append(series)
    for few in alike.values():
        normals = np.array([series.slices[0].normal for series in few])
        square = np.abs(normals @ normals.T) < 0.2
        for series, row in zip(few, square, strict=True):
            beside = np.flatnonzero(row)
            if square[np.ix_(beside, beside)].any():  # two more, at right angles to each other as well
                series.localiser = True


def _volumes(series: Series) -> list[Series]:
    """A series with several images at each of its positions (time points, b-values), parted into volumes.

    One value of it must tell the images of a position apart, and be the same set of values at every position, or,
    where images are missing, at most of them; else their numbers must run through one volume after the other, or
    through one position after the other. What cannot be parted for certain stays as it is, and is refused as a stack;
    what is the same image again is no other volume.
    """
    if series.slices[0].position is None:
        return [series]
    copies: dict[tuple[str, int], list[Slice]] = {}
    for s in series.slices:
        copies.setdefault((s.identity, s.frame or 0), []).append(s)
    places = _places([same[0] for same in copies.values()])
    if len(places) < 2 or max(map(len, places)) < 2 or _are_copies(places):
        return [series]
    for tag, share in (*((tag, 1.0) for tag in _TELL_APART), *((tag, _LEAST_THERE) for tag in _TELL_APART), ("", 1.0)):
        parted = _by_value(places, tag, share) if tag else _by_number(places)
        if parted:
            whole = [[c for s in one for c in copies[s.identity, s.frame or 0]] for one in parted]
            return [
                Series(one, n + 1, len(parted), not tag, series.localiser, _lacks(own, places))
                for n, (one, own) in enumerate(zip(whole, parted, strict=True))
            ]
    return [series]


def _places(slices: Iterable[Slice]) -> list[list[Slice]]:
    """Images by where they lie, in the order of the places."""
    several = list(slices)
    normal = several[0].normal
    places: list[list[Slice]] = []
    for s in sorted(several, key=lambda s: s.height_along(normal)):
        if places and s.height_along(normal) - places[-1][0].height_along(normal) < SAME_PLACE_MM:
            places[-1].append(s)
        else:
            places.append([s])
    return places


def guessed_volumes(series: Series) -> list[Series]:
    """Volumes that a series which cannot be parted for certain may hold: only a hash can tell whether one is there.

    Their numbers are thought to run volume by volume, from the lowest up or from the highest down, so that a place
    that comes again begins another volume; or position by position.
    """
    numbers = {id(s): _number(s, "InstanceNumber") for s in series.slices}
    if series.slices[0].position is None or None in numbers.values():
        return []
    places = _places({(s.identity, s.frame or 0): s for s in series.slices}.values())
    count = max(map(len, places))
    if count < 2:
        return []
    place_of = {id(s): index for index, place in enumerate(places) for s in place}
    up = sorted((s for place in places for s in place), key=lambda s: numbers[id(s)] or 0.0)
    parted: list[list[Slice]] = []
    for way in (up, up[::-1]):
        runs: list[list[Slice]] = []
        seen: set[int] = set()
        for s in way:
            if not runs or place_of[id(s)] in seen:
                runs.append([])
                seen.clear()
            runs[-1].append(s)
            seen.add(place_of[id(s)])
        parted += runs
    lowest = numbers[id(up[0])] or 0.0
    by_rest: dict[float, list[Slice]] = {}
    for s in up:
        by_rest.setdefault(((numbers[id(s)] or 0.0) - lowest) % count, []).append(s)
    return [Series(one, localiser=series.localiser) for one in (*parted, *by_rest.values())]


def _are_copies(places: list[list[Slice]]) -> bool:
    try:
        return all(same_image(place[0], other) for place in places for other in place[1:])
    except UserError:  # pixels that cannot be read are told where they are opened
        return False


def _lacks(own: list[Slice], places: list[list[Slice]]) -> list[str]:
    lost = len(places) - len(own)
    what = "slice that other volumes of this series have is" if lost == 1 else "slices that other volumes have are"
    return [f"{lost} {what} not among the files of this one."] if lost else []


def _by_value(places: list[list[Slice]], tag: str, share: float) -> list[list[Slice]]:
    """Volumes of the images that have the same value, each at this share of the positions; else empty."""
    volumes: dict[float, list[Slice]] = {}
    for place in places:
        values = [_number(s, tag) for s in place]
        if None in values or len(set(values)) < len(values):
            return []
        for value, s in zip(values, place, strict=True):
            volumes.setdefault(value or 0.0, []).append(s)
    if len(volumes) < 2 or min(map(len, volumes.values())) < share * len(places):
        return []
    return [volumes[value] for value in sorted(volumes)]


def _by_number(places: list[list[Slice]]) -> list[list[Slice]]:
    """Volumes by the numbers of the images, where these run volume by volume or position by position; else empty."""
    if len(set(map(len, places))) > 1:
        return []
    numbers = {id(s): _number(s, "InstanceNumber") for place in places for s in place}
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


def names_apart(series: Sequence[Series]) -> dict[int, str]:
    """A name for each of these by its id; where two would have the same, with their time, kind or a file's name."""
    again = Counter(one.name for one in series)
    kinds = Counter((one.name, one.slices[0].image_type[2:]) for one in series)
    times = Counter((one.name, one.time) for one in series)
    found: dict[int, str] = {}
    for one in series:
        kind = one.slices[0].image_type[2:]
        apart = " ".join(kind) if kinds[one.name, kind] == 1 and kind else f"from {min(one.files).name}"
        apart = f"time {one.time}" if times[one.name, one.time] == 1 and one.time else apart
        found[id(one)] = f"{one.name}, {apart}" if again[one.name] > 1 else one.name
    return found
