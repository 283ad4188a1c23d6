"""Where a mask lies on a scan: the same voxels in another order, a part of them, or another grid."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.volume import Volume

_FIT_MM, _FIT_SHARE = 0.01, 0.01


@dataclass(frozen=True)
class Fit:
    """How the voxels of a mask lie among those of a scan.

    Parameters
    ----------
    order : tuple of int
        For each axis of the scan the mask's axis along it.
    flips : tuple of int
        1 or -1 for each axis of the scan: whether the mask's index grows with the scan's.
    start : tuple of int
        The scan's index of the first voxel of the mask once it is put in order; may be negative.
    shape : tuple of int
        Voxels of the mask along the axes of the scan.
    """

    order: tuple[int, int, int]
    flips: tuple[int, int, int]
    start: tuple[int, int, int]
    shape: tuple[int, int, int]

    @property
    def is_plain(self) -> bool:
        """Whether the mask is stored in the order of the scan, in the same directions."""
        return self.order == (0, 1, 2) and self.flips == (1, 1, 1)

    def covers(self, shape: tuple[int, int, int]) -> bool:
        """Whether the mask and a scan of this shape have the very same voxels."""
        return self.start == (0, 0, 0) and self.shape == shape

    def inside(self, shape: tuple[int, int, int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """What both have in common, as an index into the ordered mask and one into the scan; may be empty."""
        lows = [max(0, -s) for s in self.start]
        highs = [max(low, min(m, n - s)) for low, m, n, s in zip(lows, self.shape, shape, self.start, strict=True)]
        own = tuple(slice(a, b) for a, b in zip(lows, highs, strict=True))
        there = tuple(slice(a + s, b + s) for a, b, s in zip(lows, highs, self.start, strict=True))
        return own, there

    def ordered(self, layer: NDArray[Any]) -> NDArray[Any]:
        """The mask's array along the axes of the scan; a view."""
        return layer.transpose(self.order)[tuple(slice(None, None, step) for step in self.flips)]

    def put(self, layer: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
        """The mask on the scan's voxels, 0 where it has none; a view where both have the same voxels."""
        moved = self.ordered(layer)
        if self.covers(shape):
            return moved
        out = np.zeros(shape, layer.dtype)
        own, there = self.inside(shape)
        out[there] = moved[own]
        return out

    def outside(self, layer: NDArray[Any], shape: tuple[int, int, int]) -> int:
        """How many voxels of the mask that are not 0 the scan does not have."""
        if self.covers(shape):
            return 0
        moved = self.ordered(layer)
        own, _ = self.inside(shape)
        return int(np.count_nonzero(moved)) - int(np.count_nonzero(moved[own]))


def fit_of(grid: Volume, volume: Volume) -> Fit | None:
    """How the voxels of a mask's grid lie among those of a scan; None where they lie between them."""
    to_volume = np.linalg.inv(volume.affine) @ grid.affine
    turn = np.rint(to_volume[:3, :3]).astype(int)
    if (np.abs(turn).sum(axis=0) != 1).any() or (np.abs(turn).sum(axis=1) != 1).any():
        return None
    order = tuple(int(np.flatnonzero(row)[0]) for row in turn)
    flips = tuple(int(row[axis]) for row, axis in zip(turn, order, strict=True))
    last = np.array(grid.shape) - 1
    ends = np.array([[z, y, x] for z in (0, last[0]) for y in (0, last[1]) for x in (0, last[2])], float)
    origin = np.rint(to_volume[:3, 3] + (to_volume[:3, :3] - turn) @ last / 2).astype(int)
    there = ends @ turn.T + origin
    if float(np.linalg.norm(grid.to_world(ends) - volume.to_world(there), axis=1).max()) > tolerance_mm(volume):
        return None
    z, y, x = (int(v) for v in there.min(axis=0))
    return Fit(
        (order[0], order[1], order[2]),
        (flips[0], flips[1], flips[2]),
        (z, y, x),
        (grid.shape[order[0]], grid.shape[order[1]], grid.shape[order[2]]),
    )


def tolerance_mm(volume: Volume) -> float:
    """How far voxels may lie apart and still be the same."""
    return _FIT_MM + _FIT_SHARE * min(volume.spacing_mm)


def difference(grid: Volume, volume: Volume, partial: bool = False) -> str:
    """In what the grid of a mask and that of a scan differ, along the scan's axes x, y, z.

    ``partial``: the mask may have fewer voxels than the scan, so that their number is no difference.
    """
    if "orientation" in grid.unsure - volume.unsure:
        return "the mask does not say where it lies (no sform, no qform), so left and right cannot be told"
    shape, spacing = in_axes_of(volume, grid)
    found: list[str] = []
    if shape != volume.shape and not partial:
        found.append(f"it has {times(shape)} voxels, the scan {times(volume.shape)}")
    if not np.allclose(spacing, volume.spacing_mm, rtol=0.01):
        found.append(f"its spacing is {times(spacing)} mm, the scan's {times(volume.spacing_mm)} mm")
    order = [grid.world_axes.index(axis) for axis in volume.world_axes]
    directions = [v.affine[:3, :3] / v.spacing_mm for v in (grid, volume)]
    cosine = np.abs((directions[0][:, order] * directions[1]).sum(axis=0)).min()
    if (angle := float(np.degrees(np.arccos(min(1.0, cosine))))) > 0.1:
        found.append(f"it is turned by {angle:.1f} degrees")
    middles = [v.to_world((np.array(v.shape) - 1) / 2) for v in (grid, volume)]
    away = float(np.linalg.norm(middles[0] - middles[1]))
    if away > tolerance_mm(volume) and not (partial and found):
        found.append(f"its middle lies {away:.2f} mm away")
    return ", ".join(found) or "its corners do not meet the scan's"


def in_axes_of(volume: Volume, grid: Volume) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Shape and spacing (mm) of a grid along the axes of a scan."""
    a, b, c = (grid.world_axes.index(axis) for axis in volume.world_axes)
    shape, spacing = grid.shape, grid.spacing_mm
    return (shape[a], shape[b], shape[c]), (spacing[a], spacing[b], spacing[c])


def times(numbers_zyx: tuple[float, ...]) -> str:
    """Numbers along (z, y, x) as a person reads them: ``256 x 256 x 40``."""
    return " x ".join(f"{number:.4g}" for number in reversed(numbers_zyx))
