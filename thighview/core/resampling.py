"""A mask carried over to the grid of a scan by nearest neighbours, and what that changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.labels import Label, LabelTable
from thighview.core.mask import LabelMap
from thighview.core.placing import difference, in_axes_of
from thighview.core.volume import Volume

_NUDGE = 1e-6
"""Voxels: where a centre lies half-way between two, rounding noise must not decide between them."""


@dataclass(frozen=True)
class VolumeChange:
    """The volume of one label before and after, ml."""

    label: Label
    before_ml: float
    after_ml: float

    @property
    def share(self) -> float:
        """By how much it changes, as a share of what it was; 0 where nothing was drawn."""
        return self.after_ml / self.before_ml - 1 if self.before_ml else 0.0


@dataclass(frozen=True)
class GridChange:
    """What carrying a mask over to the scan's grid means.

    Parameters
    ----------
    difference : str
        In what the two grids differ.
    spacing_mm, scan_spacing_mm : tuple of float
        Of the mask and of the scan, mm, both along the scan's axes (z, y, x).
    shape, scan_shape : tuple of int
        Voxels, the same way.
    outside : float
        Share of the drawn voxels that lie outside the scan and are lost, 0 to 1.
    changes : tuple of VolumeChange
        One per label.
    doubt : str
        What cannot be told of the two positions; empty where there is no doubt.
    """

    difference: str
    spacing_mm: tuple[float, float, float]
    scan_spacing_mm: tuple[float, float, float]
    shape: tuple[int, int, int]
    scan_shape: tuple[int, int, int]
    outside: float
    changes: tuple[VolumeChange, ...]
    doubt: str = ""

    def __str__(self) -> str:
        before, after = (sum(getattr(change, name) for change in self.changes) for name in ("before_ml", "after_ml"))
        lost = f", {self.outside:.1%} of it lying outside the scan" if self.outside else ""
        return f"{self.difference}; resampled, it would be {after:.4g} ml instead of {before:.4g} ml{lost}"

    @property
    def as_done(self) -> str:
        """What it meant, once it was done."""
        changes = [f"{c.label.title} {c.before_ml:.2f} ml, now {c.after_ml:.2f} ml" for c in self.changes]
        return f"resampled, {self.outside:.1%} of it lay outside the image ({'; '.join(changes)})"


def nearest(layer: LabelMap, grid: Volume, volume: Volume) -> LabelMap:
    """The value of the nearest voxel of a mask for every voxel of a scan; 0 where the mask has none there.

    Parameters
    ----------
    layer : ndarray of uint8, shape (z, y, x) of ``grid``
        The mask.
    grid, volume : Volume
        Where mask and scan lie.

    Returns
    -------
    ndarray of uint8, shape (z, y, x) of ``volume``
    """
    to_grid = np.linalg.inv(grid.affine) @ volume.affine
    out = np.zeros(volume.shape, np.uint8)
    for z in range(volume.shape[0]):
        inside, index = _voxels(to_grid, z, volume.shape, grid.shape)
        if inside.any():
            at = (index[0] * grid.shape[1] + index[1]) * grid.shape[2] + index[2]
            out[z] = np.where(inside, layer.ravel()[np.where(inside, at, 0)], 0)
    return out


def _voxels(
    to_other: NDArray[np.float64], z: int, shape: tuple[int, int, int], other: tuple[int, int, int]
) -> tuple[NDArray[np.bool_], list[NDArray[np.int64]]]:
    """In which voxel of another grid the centres of one plane lie.

    Returns
    -------
    inside : ndarray of bool
        Whether the other grid has that voxel; it and the indices broadcast to (rows, columns).
    index : list of ndarray of int64
        Of the voxel along (z, y, x) of the other grid.
    """
    rows, columns = np.arange(shape[1])[:, None], np.arange(shape[2])[None, :]
    inside: NDArray[np.bool_] = np.ones((1, 1), np.bool_)
    index: list[NDArray[np.int64]] = []
    for axis, count in enumerate(other):
        at: Any = to_other[axis, 3] + to_other[axis, 0] * z + 0.5 + _NUDGE
        for step, along in ((to_other[axis, 1], rows), (to_other[axis, 2], columns)):
            if abs(step) * along.size > _NUDGE / 10:  # where both grids have the same axes, this stays one line
                at = at + step * along
        index.append(np.floor(np.atleast_2d(at)).astype(np.int64))
        inside = inside & (index[-1] >= 0) & (index[-1] < count)
    return inside, index


def grid_change(
    before: Sequence[LabelMap],
    after: Sequence[LabelMap],
    table: LabelTable,
    grid: Volume,
    volume: Volume,
    words: str = "",
    doubt: str = "",
) -> GridChange:
    """What is told before a mask is carried over: the layers as they are, and as they would be on the scan.

    ``words`` say in what the grids differ, where the caller knows better; ``doubt`` is passed on.
    """
    counts = [sum((_counts(layer) for layer in layers), np.zeros(256, np.int64)) for layers in (before, after)]
    changes = tuple(
        VolumeChange(
            label,
            float(counts[0][label.value]) * grid.voxel_volume_ml,
            float(counts[1][label.value]) * volume.voxel_volume_ml,
        )
        for label in table
    )
    shape, spacing = in_axes_of(volume, grid)
    return GridChange(
        words or difference(grid, volume), spacing, volume.spacing_mm, shape, volume.shape,
        share_outside(before, grid, volume), changes, doubt,
    )  # fmt: skip


def share_outside(layers: Sequence[LabelMap], grid: Volume, volume: Volume) -> float:
    """Share of the drawn voxels of a mask whose centre lies in no voxel of the scan, 0 to 1; 0 where none is drawn."""
    to_volume = np.linalg.inv(volume.affine) @ grid.affine
    drawn = lost = 0
    for z in range(grid.shape[0]):
        there = reduce(np.logical_or, [layer[z] > 0 for layer in layers])
        inside, _ = _voxels(to_volume, z, grid.shape, volume.shape)
        drawn += int(np.count_nonzero(there))
        lost += int(np.count_nonzero(there & ~inside))
    return lost / drawn if drawn else 0.0


def _counts(layer: LabelMap) -> NDArray[np.int64]:
    """Voxels by value, plane by plane: the whole at once would keep the interpreter."""
    found = np.zeros(256, np.int64)
    for plane in layer:
        found += np.bincount(plane.ravel(), minlength=256)
    return found
