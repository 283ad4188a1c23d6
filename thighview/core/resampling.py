"""A mask carried over to the grid of a scan by nearest neighbours, and what that changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

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
    rows, columns = (np.arange(n, dtype=np.float64) for n in volume.shape[1:])
    flat = layer.ravel()
    for z in range(volume.shape[0]):
        inside: NDArray[np.bool_] = np.ones(volume.shape[1:], bool)
        at = np.zeros(volume.shape[1:], np.int64)
        for axis, count in enumerate(grid.shape):
            along = to_grid[axis, 3] + to_grid[axis, 0] * z + to_grid[axis, 2] * columns + 0.5 + _NUDGE
            index = np.floor((to_grid[axis, 1] * rows)[:, None] + along[None, :]).astype(np.int64)
            inside &= (index >= 0) & (index < count)
            at = at * count + index
        out[z][inside] = flat[at[inside]]
    return out


def grid_change(
    before: Sequence[LabelMap],
    after: Sequence[LabelMap],
    table: LabelTable,
    grid: Volume,
    volume: Volume,
    partial: bool = False,
    doubt: str = "",
) -> GridChange:
    """What is told before a mask is carried over: the layers as they are, and as they would be on the scan."""
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
        difference(grid, volume, partial), spacing, volume.spacing_mm, shape, volume.shape,
        share_outside(before, grid, volume), changes, doubt,
    )  # fmt: skip


def share_outside(layers: Sequence[LabelMap], grid: Volume, volume: Volume) -> float:
    """Share of the drawn voxels of a mask whose centre lies in no voxel of the scan, 0 to 1; 0 where none is drawn."""
    to_volume = np.linalg.inv(volume.affine) @ grid.affine
    high = np.array(volume.shape) - 0.5
    drawn = lost = 0
    for z in range(grid.shape[0]):
        there = reduce(np.logical_or, [layer[z] > 0 for layer in layers])
        y, x = np.nonzero(there)
        at = np.stack([np.full(len(y), z, float), y.astype(float), x.astype(float)], axis=1)
        index = at @ to_volume[:3, :3].T + to_volume[:3, 3] + _NUDGE
        drawn += len(y)
        lost += int(((index < -0.5) | (index >= high)).any(axis=1).sum())
    return lost / drawn if drawn else 0.0


def _counts(layer: LabelMap) -> NDArray[np.int64]:
    """Voxels by value, plane by plane: the whole at once would keep the interpreter."""
    found = np.zeros(256, np.int64)
    for plane in layer:
        found += np.bincount(plane.ravel(), minlength=256)
    return found
