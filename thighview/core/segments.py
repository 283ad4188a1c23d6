"""What a mask file holds, before it lies on a scan: layers of numbers, and the segments that the numbers stand for."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.labels import PALETTE, Label, LabelTable
from thighview.core.mask import LabelMap
from thighview.core.provenance import Provenance
from thighview.core.review import SliceReview
from thighview.core.volume import Volume

_MOST_LABELS = 255
_LONGEST_NAME = 80
_SIDE = re.compile(r"^(.+?)[ _-]+(left|right|l|r)$", re.IGNORECASE)


@dataclass(frozen=True)
class Segment:
    """One thing that a mask file marks.

    Parameters
    ----------
    file_id : int
        Its number in the file, never 0; of two segments with the same number the second gets another one.
    name : str
        As the file has it, without the side; empty where it has none.
    side : {"", "left", "right"}
        Side of the patient.
    colour : tuple of int, optional
        Red, green, blue, 0 to 255; None where the file names none.
    layer, code : int
        The layer it lies in, and its number there; a code of 0 is ``file_id`` itself.
    automatic : bool
        Whether the file says that an algorithm drew it, or one of ours that it had a part in it.
    """

    file_id: int
    name: str = ""
    side: str = ""
    colour: tuple[int, int, int] | None = None
    layer: int = 0
    code: int = 0
    automatic: bool = False

    @property
    def number(self) -> int:
        """Its number in its layer."""
        return self.code or self.file_id


@dataclass(frozen=True, eq=False)
class MaskFile:
    """A mask as its file has it.

    Parameters
    ----------
    name : str
        Of the file, to be shown.
    grid : Volume
        Where the voxels lie.
    layers : tuple of ndarray of integers, shape (z, y, x)
        Numbers of segments, 0 where there is none; several where segments overlap.
    segments : tuple of Segment
        In the order of the file.
    partial : bool
        Whether the file says only where something is, and nothing is everywhere else.
    frame_uid : str
        The frame of reference its positions are given in; empty where the file does not say.
    series_uids : frozenset of str
        DICOM series it was drawn on.
    notes : tuple of str
        What a person should know of how it was read, one sentence each.
    provenance : Provenance
        What is said of who drew its slices and who has reviewed them.
    """

    name: str
    grid: Volume
    layers: tuple[NDArray[np.integer[Any]], ...]
    segments: tuple[Segment, ...]
    partial: bool = False
    frame_uid: str = ""
    series_uids: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def unmarked(self) -> "MaskFile":
        """The mask without the number that stands on slices nobody has reviewed; those slices are told of instead."""
        said = self.provenance
        mark = next((segment for segment in self.segments if said.mark and segment.file_id == said.mark), None)
        if mark is None:
            return self
        layers = list(self.layers)
        there = layers[mark.layer] == mark.number
        layers[mark.layer] = np.where(there, 0, layers[mark.layer]).astype(layers[mark.layer].dtype)
        reviews = list(said.by_slice(self.grid.shape[0]))
        for index in np.flatnonzero(there.any(axis=(1, 2))).tolist():
            reviews[index] = SliceReview()  # what was drawn there has stayed at home
        segments = tuple(segment for segment in self.segments if segment is not mark)
        said = replace(said, reviews=tuple(reviews))
        return replace(self, layers=tuple(layers), segments=segments, provenance=said)


def split_side(name: str) -> tuple[str, str]:
    """Name and side of ``vastus_left``, ``Gluteus L``, ``soleus-R``: the side is empty where the name has none."""
    match = _SIDE.match(name.strip())
    if match is None:
        return name.strip(), ""
    return match[1], "left" if match[2].lower() in ("left", "l") else "right"


def named(text: str, side: str = "", believed: bool = False) -> tuple[str, str, str]:
    """Name, side and doubt of a segment whose file calls it ``text`` and says, perhaps, of which side it is.

    The name's words are joined by underscores. Where name and file contradict each other the name is believed, and
    the doubt is a sentence; else it is empty. ``believed``: the side is what the file says, whatever the name ends in.
    """
    whole = "_".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())[:_LONGEST_NAME]
    if believed:
        return (whole.removesuffix(f"_{side}") if side else whole), side, ""
    name, own = split_side(whole)
    if own and side and own != side:
        return name, own, f"“{whole}” is coded as {side}: the name was believed."
    return name, own or side, ""


def number_segments(segments: Sequence[Segment]) -> tuple[LabelTable, tuple[int, ...], tuple[str, ...]]:
    """Labels for the segments of a file.

    Numbers from 1 to 255 are the label's value; larger or negative ones get the next free value. Two segments of the
    same name and side are told apart by a number behind the name.

    Returns
    -------
    table : LabelTable
        One label per segment.
    values : tuple of int
        The label's value for each segment, in their order.
    notes : tuple of str
        What was changed so that they can be told apart.

    Raises
    ------
    UserError
        When there are more than 255.
    """
    if len(segments) > _MOST_LABELS:
        raise UserError(f"This mask has {len(segments)} labels; at most {_MOST_LABELS} fit.", "Merge labels first.")
    notes: list[str] = []
    ids = _unlike([segment.file_id for segment in segments])
    if moved := [str(a.file_id) for a, b in zip(segments, ids, strict=True) if a.file_id != b]:
        notes.append(f"Segments share the numbers {_listed(dict.fromkeys(moved))}: the later ones got others.")
    small = {i for i in ids if 1 <= i <= _MOST_LABELS}
    free = iter(sorted(set(range(1, _MOST_LABELS + 1)) - small))
    values = [i if i in small else next(free) for i in ids]
    labels: list[Label] = []
    keys = set[str]()
    renamed: list[str] = []
    for segment, file_id, value in zip(segments, ids, values, strict=True):
        colour = segment.colour or PALETTE[(value - 1) % len(PALETTE)]
        label = Label(value, segment.name or f"label_{file_id}", segment.side, colour, file_id)
        count = 1
        while label.key in keys:
            count += 1
            label = replace(label, name=f"{segment.name or f'label_{file_id}'}_{count}")
        if count > 1:
            renamed.append(label.title)
        keys.add(label.key)
        labels.append(label)
    if renamed:
        notes.append(f"Names that stood there twice have a number now: {_listed(renamed)}.")
    return LabelTable(tuple(labels)), tuple(values), tuple(notes)


def value_layers(mask: MaskFile, values: Sequence[int]) -> tuple[LabelMap, ...]:
    """The layers of a mask with the values of its labels, uint8, shape (z, y, x) of its grid."""
    done: list[LabelMap] = []
    for index, layer in enumerate(mask.layers):
        own = [(s.number, v) for s, v in zip(mask.segments, values, strict=True) if s.layer == index]
        if layer.dtype == np.uint8 and all(number == value for number, value in own):
            done.append(np.ascontiguousarray(layer, np.uint8))
            continue
        low, high = int(layer.min()), int(layer.max())
        if low >= 0 and high < 1 << 16:
            lookup = np.zeros(high + 1, np.uint8)
            for number, value in own:
                if 0 < number <= high:
                    lookup[number] = value
            done.append(np.stack([lookup[plane] for plane in layer]))
            continue
        numbers = np.array(sorted({0, *(number for number, _ in own)}), np.int64)
        value_of = dict(own)
        new = np.array([value_of.get(int(number), 0) for number in numbers], np.uint8)
        out = np.empty(layer.shape, np.uint8)
        for z, plane in enumerate(layer):  # the whole at once would keep the interpreter, and the window
            at = np.searchsorted(numbers, plane).clip(0, len(numbers) - 1)
            out[z] = np.where(numbers[at] == plane, new[at], 0)
        done.append(out)
    return tuple(done)


def numbers_in(codes: NDArray[np.integer[Any]]) -> list[int]:
    """The numbers an array holds, sorted, 0 among them where it is there."""
    low, high = int(codes.min()), int(codes.max())
    if high - low <= 1 << 16:
        there = np.zeros(high - low + 1, bool)
        for plane in codes:  # the whole at once would keep the interpreter, and the window, for as long as it takes
            there |= np.bincount(plane.ravel().astype(np.int64) - low, minlength=there.size) > 0
        return [int(i) + low for i in np.flatnonzero(there)]
    return [int(i) for i in np.unique(codes)]


def _unlike(ids: Sequence[int]) -> list[int]:
    """The numbers, each that was there before replaced by one that nobody has."""
    seen, out = set[int](), list[int]()
    counts = Counter(ids)
    free = (i for i in range(1, 1 << 16) if i not in counts)
    for i in ids:
        out.append(i if i not in seen else next(free))
        seen.add(out[-1])
    return out


def _listed(words: Iterable[str], most: int = 6) -> str:
    found = list(words)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")
