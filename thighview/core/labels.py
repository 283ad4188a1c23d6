"""Labels: what the numbers of a mask mean, and how they look."""

import math
from collections.abc import Iterable, Iterator
from colorsys import hsv_to_rgb, rgb_to_hsv
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError

SIDES = ("", "left", "right")
PALETTE: tuple[tuple[int, int, int], ...] = (
    (91, 163, 255), (255, 176, 46), (86, 204, 130), (240, 98, 146), (171, 136, 255), (38, 198, 188),
    (255, 138, 101), (212, 225, 87), (120, 144, 255), (255, 213, 79), (77, 208, 225), (229, 115, 115),
    (174, 213, 129), (206, 147, 216), (144, 202, 249), (255, 204, 128),
)  # fmt: skip
"""Colours far apart on a dark ground and over grey tissue, repeated when there are more labels."""
_DARKER, _RICHER = 0.84, 1.45
"""Brightness and saturation of the right side where left and right have one colour."""


@dataclass(frozen=True)
class Label:
    """One label of a mask.

    Parameters
    ----------
    value : int
        Number in the mask array, 1 to 255.
    name : str
        Anatomical name, words joined by underscores, without the side.
    side : {"", "left", "right"}
        Side of the patient.
    colour : tuple of int
        Red, green, blue, 0 to 255.
    file_id : int
        Number in the file it came from, written back unchanged; ``value`` where there was none.
    """

    value: int
    name: str
    side: str = ""
    colour: tuple[int, int, int] = (91, 163, 255)
    file_id: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.value <= 255:
            raise UserError(f"A label value must lie between 1 and 255, found {self.value}.")
        if self.side not in SIDES:
            raise UserError(f"A label's side is left, right or nothing, found {self.side!r}.")
        if self.file_id == 0:
            object.__setattr__(self, "file_id", self.value)

    @property
    def title(self) -> str:
        """Name for people: ``Rectus femoris L``."""
        return self.name.replace("_", " ").capitalize() + {"": "", "left": " L", "right": " R"}[self.side]

    @property
    def key(self) -> str:
        """Name with side, unique in a table: ``rectus_femoris_left``."""
        return key_of(self.name, self.side)


def key_of(name: str, side: str) -> str:
    """Name with side in one: ``rectus_femoris_left``."""
    return name + (f"_{side}" if side else "")


@dataclass(frozen=True)
class LabelTable:
    """The labels of a mask, ordered by value; frozen, changes give a new table."""

    labels: tuple[Label, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.labels, key=lambda label: label.value))
        if len({label.value for label in ordered}) != len(ordered):
            raise UserError("Two labels have the same value.", "Give every label its own number.")
        if len({label.key for label in ordered}) != len(ordered):
            raise UserError("Two labels have the same name and side.", "Give every label its own name.")
        object.__setattr__(self, "labels", ordered)

    def __iter__(self) -> Iterator[Label]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def get(self, value: int) -> Label | None:
        """The label with this value, or None."""
        return next((label for label in self.labels if label.value == value), None)

    def find(self, name: str, side: str = "") -> Label | None:
        """The label with this name and side, or None; ``femur_left`` without a side is the femur of the left side."""
        key = key_of(name, side)
        return next((label for label in self.labels if label.key == key), None)

    def like(self, name: str, side: str = "") -> Label | None:
        """The label with this name and side, whether words are joined by spaces or underscores, large or small."""
        same = [b for b in self.labels if b.side == side and _plain(b.name) == _plain(name)]
        return self.find(name, side) or (same[0] if len(same) == 1 else None)

    def with_label(self, label: Label) -> "LabelTable":
        """A table with this label added, or put in the place of the one with its value."""
        return LabelTable((*(other for other in self.labels if other.value != label.value), label))

    def without(self, value: int) -> "LabelTable":
        """A table without the label of this value."""
        return LabelTable(tuple(label for label in self.labels if label.value != value))

    def free_value(self) -> int:
        """The smallest number that is neither a value nor a number in a file yet."""
        used = {number for label in self.labels for number in (label.value, label.file_id)}
        free = next((value for value in range(1, 256) if value not in used), None)
        if free is None:
            raise UserError("All 255 label values are in use.", "Remove a label first.")
        return free

    def merged(self, names: Iterable[tuple[str, str]]) -> "LabelTable":
        """A table that also has each (name, side), new ones with the next free value and colour."""
        table = self
        for name, side in names:
            if table.find(name, side) is None:
                value = table.free_value()
                table = table.with_label(Label(value, name, side, PALETTE[(value - 1) % len(PALETTE)]))
        return table

    def joined(self, other: "LabelTable") -> "tuple[LabelTable, dict[int, int]]":
        """A table with the labels of both, and the value each label of the other has in it.

        A label of the same name and side is the same label; another one keeps its value, and its number in the file,
        where that is free: two labels that share a number could not be told apart in a file.
        """
        values = {b.value: known.value for b in other if (known := self.find(b.name, b.side))}
        for label in other:
            same = self.like(label.name, label.side)
            if label.value not in values and same and same.value not in values.values():
                values[label.value] = same.value
        table = self
        for label in other:
            if label.value not in values:
                value = label.value if table.get(label.value) is None else table.free_value()
                taken = {known.file_id for known in table}
                free = next((number for number in (label.file_id, value) if number not in taken), None)
                file_id = table.free_value() if free is None else free
                colour = table.colour_beside(label)
                table = table.with_label(replace(label, value=value, colour=colour, file_id=file_id))
                values[label.value] = value
        return table, values

    def colour_beside(self, label: Label) -> tuple[int, int, int]:
        """Colour of a label that comes to these: its own unless another structure has it, then its other side's.

        Where that is not here either, that of the palette which is furthest from all that are taken.
        """
        taken = {known.colour for known in self.labels if known.name != label.name}
        if label.colour not in taken:
            return label.colour
        of_twin = next((known.colour for known in self.labels if known.name == label.name), None)
        return of_twin or max(PALETTE, key=lambda colour: min(math.dist(colour, other) for other in taken))

    def recoloured(self, value: int, colour: tuple[int, int, int]) -> "LabelTable":
        """A table in which one label has another colour."""
        return LabelTable(tuple(replace(b, colour=colour) if b.value == value else b for b in self.labels))

    def shown_colour(self, label: Label) -> tuple[int, int, int]:
        """A label's colour on the screen: where both sides of a structure have one colour, the right is deeper."""
        twin = self.find(label.name, "left") if label.side == "right" else None
        if twin is None or twin.colour != label.colour:
            return label.colour
        hue, saturation, brightness = rgb_to_hsv(*(c / 255 for c in label.colour))
        red, green, blue = hsv_to_rgb(hue, min(_RICHER * saturation, 1.0), _DARKER * brightness)
        return (round(255 * red), round(255 * green), round(255 * blue))

    def to_json(self) -> list[dict[str, object]]:
        """Plain data, one dict per label."""
        return [
            {"id": b.value, "name": b.name, "side": b.side, "colour": list(b.colour), "file_id": b.file_id}
            for b in self.labels
        ]

    @staticmethod
    def from_json(rows: list[dict[str, object]]) -> "LabelTable":
        """The table of plain data made by :meth:`to_json`; every field is checked."""
        labels: list[Label] = []
        for row in rows:
            value, name, side = row.get("id"), row.get("name"), row.get("side", "")
            if not isinstance(value, int) or not isinstance(name, str) or not isinstance(side, str):
                raise UserError(f"Expected a label with id, name and side, found {row!r}.")
            colour = row.get("colour") or list(PALETTE[(value - 1) % len(PALETTE)])
            if not (
                isinstance(colour, list)
                and len(colour) == 3
                and all(isinstance(c, int) and 0 <= c <= 255 for c in colour)
            ):
                raise UserError(f"Expected a colour of three numbers from 0 to 255, found {colour!r}.")
            file_id = row.get("file_id", value)
            labels.append(
                Label(
                    value,
                    name,
                    side,
                    (colour[0], colour[1], colour[2]),
                    file_id if isinstance(file_id, int) else value,
                )
            )
        return LabelTable(tuple(labels))

    @staticmethod
    def from_ids(ids: Iterable[int]) -> "LabelTable":
        """A table for the numbers found in a file that names none: ``label_13`` and so on.

        Numbers from 1 to 255 keep their value; larger or negative ones get the next free value and keep ``file_id``.
        """
        found = sorted(set(ids) - {0})
        if len(found) > 255:
            raise UserError(f"This mask has {len(found)} labels; at most 255 fit.", "Merge labels first.")
        small = [i for i in found if 1 <= i <= 255]
        free = iter(sorted(set(range(1, 256)) - set(small)))
        labels: list[Label] = []
        for file_id in found:
            value = file_id if 1 <= file_id <= 255 else next(free)
            labels.append(Label(value, f"label_{file_id}", "", PALETTE[(value - 1) % len(PALETTE)], file_id))
        return LabelTable(tuple(labels))

    def lookup_rgba(self, hidden: frozenset[int] = frozenset(), alpha: int = 255) -> NDArray[np.uint8]:
        """Colours by mask value, uint8 shape (256, 4), rows red, green, blue, alpha.

        Background and hidden labels are transparent; values not in the table are drawn white.
        """
        table = np.full((256, 4), 255, np.uint8)
        table[:, 3] = alpha
        for label in self.labels:
            table[label.value, :3] = self.shown_colour(label)
        table[[0, *hidden]] = 0
        return table


def _plain(name: str) -> str:
    """A name as it is compared: words in small letters, joined by underscores."""
    return "_".join(name.casefold().replace("_", " ").replace("-", " ").split())
