"""An image shown on the grid of another, each voxel at its place in the patient."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.volume import Volume


def onto_grid(volume: Volume, grid: Volume) -> Volume:
    """The image at the voxel centres of ``grid``, by linear interpolation through both affines; 0 outside of it.

    What lies within half a voxel of its outermost centres counts as inside. Where both have the same voxels nothing is
    computed and the same numbers come back. It takes a moment: not on the window's thread.

    Parameters
    ----------
    volume : Volume
        The image, on whatever grid.
    grid : Volume
        Where it is wanted; only shape and affine count.

    Returns
    -------
    Volume
        The image with the shape and affine of ``grid``; its numbers keep their kind, whole ones are rounded.
    """
    if volume.same_grid(grid):
        return volume
    from scipy.ndimage import affine_transform

    back = np.linalg.inv(volume.affine) @ grid.affine
    kind = volume.voxels.dtype
    exact = np.float64 if kind.itemsize > 4 or (kind.kind in "iu" and kind.itemsize > 2) else np.float32
    source = np.nan_to_num(volume.voxels.astype(exact, copy=False))
    out = np.zeros(grid.shape, kind)
    for index in range(grid.shape[0]):  # plane by plane: the whole in between would take the memory once more
        start: Any = back[:3, 3] + back[:3, 0] * index
        plane = affine_transform(
            source, back[:3, :3], start, (1, *grid.shape[1:]), exact, order=1, mode="nearest"
        )[0]  # fmt: skip
        plane[~_inside(back, index, grid.shape, volume.shape)] = 0
        out[index] = np.rint(plane) if kind.kind in "iu" else plane
    return replace(
        volume, voxels=out, affine=grid.affine, file_geometry=grid.file_geometry, missing=(), other_affine=None
    )


def measured_on(volume: Volume, grid: Volume) -> NDArray[np.bool_] | None:
    """Where on ``grid`` an image tells something that was measured, shape (z, y, x); None where it does everywhere.

    Not outside of it, and not where a slice that is missing in its files has a share. Not on the window's thread.
    """
    if volume.same_grid(grid):
        if not volume.missing:
            return None
        there = np.ones(grid.shape, bool)
        there[list(volume.missing)] = False
        return there
    back = np.linalg.inv(volume.affine) @ grid.affine
    there = np.stack([_inside(back, index, grid.shape, volume.shape) for index in range(grid.shape[0])])
    if volume.missing:
        known = np.ones(volume.shape, np.float32)
        known[list(volume.missing)] = 0
        there &= np.asarray(onto_grid(replace(volume, voxels=known, missing=()), grid).voxels, np.float32) > 0.999
    return None if there.all() else there


def overlap(volume: Volume, grid: Volume) -> float:
    """Share of the centres of ``grid`` that lie inside the other image, 0 to 1, from some 30,000 of them."""
    steps = [max(1, n // 32) for n in grid.shape]
    at = np.stack(np.meshgrid(*(np.arange(0, n, s) for n, s in zip(grid.shape, steps, strict=True)), indexing="ij"), -1)
    index = volume.to_index(grid.to_world(at.astype(np.float64)))
    return float(((index >= -0.5) & (index < np.array(volume.shape) - 0.5)).all(axis=-1).mean())


def _inside(
    back: NDArray[np.float64], index: int, shape: tuple[int, int, int], limits: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Which centres of a plane lie in a voxel of the other image, shape (rows, columns)."""
    rows, columns = (np.arange(n, dtype=np.float64) for n in shape[1:])
    inside: NDArray[np.bool_] = np.ones(shape[1:], bool)
    for axis, limit in enumerate(limits):
        at = (back[axis, 3] + back[axis, 0] * index + back[axis, 1] * rows)[:, None] + back[axis, 2] * columns
        inside &= (at >= -0.5 - 1e-6) & (at < limit - 0.5 + 1e-6)
    return inside
