"""Segments that lie over each other: which, by how much, and one label map of them once a person has chosen."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from thighview.core.labels import Label, LabelTable
from thighview.core.mask import LabelMap


@dataclass(frozen=True)
class Overlap:
    """Two labels that claim the same voxels."""

    first: Label
    second: Label
    voxels: int
    volume_ml: float

    def __str__(self) -> str:
        size = f"{self.volume_ml:.2f}" if self.volume_ml < 100 else f"{self.volume_ml:.0f}"
        noun = "voxel" if self.voxels == 1 else "voxels"
        return f"{self.first.title} and {self.second.title} share {self.voxels:,} {noun} ({size} ml)"


def overlaps_of(layers: Sequence[LabelMap], table: LabelTable, voxel_ml: float) -> tuple[Overlap, ...]:
    """Every pair of labels that share voxels, the largest overlap first.

    Parameters
    ----------
    layers : sequence of ndarray of uint8, shape (z, y, x)
        All on one grid.
    voxel_ml : float
        Volume of a voxel of that grid, ml.
    """
    counts = np.zeros(1 << 16, np.int64)
    for a, b in combinations(layers, 2):
        for one, other in zip(a, b, strict=True):
            both = (one > 0) & (other > 0)
            if both.any():
                pairs = one[both].astype(np.int64) << 8 | other[both]
                counts += np.bincount(pairs, minlength=counts.size)
    found: list[Overlap] = []
    for code in np.flatnonzero(counts):
        first, second = table.get(int(code) >> 8), table.get(int(code) & 255)
        if first and second and first.value != second.value:
            found.append(Overlap(first, second, int(counts[code]), float(counts[code]) * voxel_ml))
    return tuple(sorted(found, key=lambda overlap: -overlap.voxels))


def flatten(layers: Sequence[LabelMap], order: Sequence[int]) -> LabelMap:
    """One label map of several: where two lie over each other, the one that comes first in ``order`` is seen.

    Parameters
    ----------
    order : sequence of int
        Values, the strongest first; a value that is not in it loses against all that are.
    """
    rank = np.full(256, 254, np.uint8)
    for place, value in enumerate(order):
        rank[value] = min(place, 253)
    rank[0] = 255
    out = layers[0].copy()
    for layer in layers[1:]:
        for z in range(out.shape[0]):
            better = rank[layer[z]] < rank[out[z]]
            out[z][better] = layer[z][better]
    return out


def keep_values(layers: Sequence[LabelMap], values: Collection[int]) -> tuple[LabelMap, ...]:
    """The layers with everything taken out that has none of these values."""
    lookup = np.zeros(256, np.uint8)
    lookup[list(values)] = list(values)
    return tuple(lookup[layer] for layer in layers)
