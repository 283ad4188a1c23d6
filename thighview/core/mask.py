"""The mask and the one way to change it: a Patch."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import zstandard
from numpy.typing import NDArray

LabelMap = NDArray[np.uint8]


@dataclass(frozen=True)
class Region:
    """A box of voxels, half open: z0 <= z < z1 and so on."""

    z0: int
    z1: int
    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index into a (z, y, x) array."""
        return (slice(self.z0, self.z1), slice(self.y0, self.y1), slice(self.x0, self.x1))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxel counts (z, y, x)."""
        return (self.z1 - self.z0, self.y1 - self.y0, self.x1 - self.x0)

    def union(self, other: "Region") -> "Region":
        """The smallest box around both."""
        return Region(
            min(self.z0, other.z0), max(self.z1, other.z1), min(self.y0, other.y0), max(self.y1, other.y1),
            min(self.x0, other.x0), max(self.x1, other.x1),
        )  # fmt: skip

    def along(self, axis: int) -> range:
        """The indices the box covers along one array axis."""
        return (range(self.z0, self.z1), range(self.y0, self.y1), range(self.x0, self.x1))[axis]

    @staticmethod
    def whole(shape: tuple[int, int, int]) -> "Region":
        """The box of a whole array."""
        return Region(0, shape[0], 0, shape[1], 0, shape[2])

    @staticmethod
    def around(changed: NDArray[np.bool_]) -> "Region | None":
        """The tight box around the true voxels of a (z, y, x) array, or None when there are none."""
        bounds: list[int] = []
        for axis in range(3):
            other = tuple(a for a in range(3) if a != axis)
            hit = np.flatnonzero(changed.any(axis=other))
            if hit.size == 0:
                return None
            bounds += [int(hit[0]), int(hit[-1]) + 1]
        return Region(*bounds)


@dataclass(frozen=True)
class Patch:
    """A change of a mask inside a box, whatever made it; small, and its own inverse.

    Parameters
    ----------
    region : Region
        The box.
    diff : bytes
        zstd of the XOR of the label bytes before and after, in (z, y, x) order.
    before_crc, after_crc : int
        CRC-32 of the box before and after: a patch never lands on a mask it was not made for.
    """

    region: Region
    diff: bytes
    before_crc: int
    after_crc: int

    @staticmethod
    def between(region: Region, before: LabelMap, after: LabelMap) -> "Patch | None":
        """The patch that turns ``before`` into ``after`` (two arrays of the box), tightened; None if they are equal."""
        changed = before != after
        tight = Region.around(changed)
        if tight is None:
            return None
        old, new = np.ascontiguousarray(before[tight.slices]), np.ascontiguousarray(after[tight.slices])
        moved = Region(
            region.z0 + tight.z0, region.z0 + tight.z1, region.y0 + tight.y0, region.y0 + tight.y1,
            region.x0 + tight.x0, region.x0 + tight.x1,
        )  # fmt: skip
        diff = zstandard.ZstdCompressor(level=3).compress((old ^ new).data)
        return Patch(moved, diff, crc32(old.data), crc32(new.data))

    @staticmethod
    def of_slice(index: int, before: LabelMap, after: LabelMap) -> "Patch | None":
        """The same of a whole slice of the stored axis, two arrays (y, x)."""
        y, x = before.shape
        return Patch.between(Region(index, index + 1, 0, y, 0, x), before[None], after[None])

    def reversed(self) -> "Patch":
        """The patch that takes this one back."""
        return Patch(self.region, self.diff, self.after_crc, self.before_crc)

    def apply(self, labels: LabelMap) -> None:
        """Change the label map in place.

        Raises
        ------
        ValueError
            When the box does not hold what the patch expects; nothing is changed then.
        """
        box = np.ascontiguousarray(labels[self.region.slices])
        if crc32(box.data) != self.before_crc:
            raise ValueError("the patch was made for another state of this mask")
        raw = zstandard.ZstdDecompressor().decompress(self.diff, max_output_size=box.size)
        after = box ^ np.frombuffer(raw, np.uint8).reshape(box.shape)
        if crc32(after.data) != self.after_crc:
            raise ValueError("the patch is damaged")
        labels[self.region.slices] = after

    @property
    def xor(self) -> LabelMap:
        """XOR of the labels before and after, shape of the region; read-only."""
        size = int(np.prod(self.region.shape))
        raw = zstandard.ZstdDecompressor().decompress(self.diff, max_output_size=size)
        return np.frombuffer(raw, np.uint8).reshape(self.region.shape)

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Which voxels of the box the change touches, shape of the region."""
        return self.xor != 0

    @property
    def size_bytes(self) -> int:
        """Memory the change takes."""
        return len(self.diff)


def changed_slices(patch: Patch, labels_shape: tuple[int, int, int], axis: int) -> Iterable[int]:
    """Indices along ``axis`` on which the patch really changes a voxel (a box may span untouched slices)."""
    other = tuple(a for a in range(3) if a != axis)
    start = patch.region.along(axis).start
    return [start + int(i) for i in np.flatnonzero(patch.changed.any(axis=other))]


def painted_values(labels: LabelMap) -> NDArray[np.intp]:
    """The values a label map holds, the background 0 among them, sorted.

    Counted plane by plane: counting a whole stack at once keeps the interpreter, and with it the window, for as long
    as it takes.
    """
    there = np.zeros(256, bool)
    for plane in labels:
        there |= np.bincount(plane.ravel(), minlength=256) > 0
    return np.flatnonzero(there)


def values_in(labels: LabelMap, values: Collection[int]) -> set[int]:
    """Which of these values a label map, or a piece of one, holds."""
    wanted = np.zeros(256, bool)
    wanted[list(values)] = True
    found = set[int]()
    for plane in labels:
        hits = wanted.take(plane)  # twice as fast as an index
        if hits.any():
            found.update(int(v) for v in np.unique(plane[hits]))
    return found


def displaced(before: LabelMap, after: LabelMap) -> dict[int, int]:
    """How many voxels of each value, without the background, have another value ``after``; same shapes."""
    counts = np.zeros(256, np.int64)
    for old, new in zip(before, after, strict=True):
        lost = old[(old != new) & (old > 0)]
        if lost.size:
            counts += np.bincount(lost, minlength=256)
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


def renumber(labels: LabelMap, values: dict[int, int]) -> LabelMap:
    """A label map with each value replaced by the one ``values`` gives it; the same array if none differs."""
    if all(a == b for a, b in values.items()):
        return labels
    lookup = np.zeros(256, np.uint8)
    for old, new in values.items():
        lookup[old] = new
    return lookup[labels]
