"""Left and right by position: which side of the patient a voxel of the legs lies on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from thighview.core.midline import gap_in
from thighview.core.volume import Volume
from thighview.engine.preprocess import PlaneGrid
from thighview.io.model_card import ModelCard

_COARSE_MM = 3.0
_SMOOTH_MM = 6.0
_SMALLEST_PART = 0.1
_WIDE = 1.5
_DOUBTFUL_MM = 30.0
_BODY_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class Sides:
    """Which voxels lie on the patient's left.

    Parameters
    ----------
    left : ndarray of bool, shape (slices, rows, columns)
        On a coarse version of the network's planes (columns towards the patient's left).
    step : int
        Stored pixels per coarse pixel.
    grid : PlaneGrid
        Of the volume.
    warning : str
        A sentence where the side is a guess, else empty.
    """

    left: NDArray[np.bool_]
    step: int
    grid: PlaneGrid
    warning: str = ""

    def left_of(self, indices: Sequence[int]) -> NDArray[np.bool_]:
        """Left or not for axial slices at the scan's voxels: (n, first, second), stored order."""
        rows, columns = (
            np.minimum(np.arange(n) // self.step, coarse - 1)
            for n, coarse in zip(self.grid.plane, self.left.shape[1:], strict=True)
        )
        planes = self.left[list(indices)][:, rows][:, :, columns]
        return np.ascontiguousarray(self.grid.turned_back(planes))


def find_sides(volume: Volume, grid: PlaneGrid) -> Sides:
    """Tell the legs of a volume apart.

    The body is what lies above air by a fifth of the step from air to tissue (the two sides of Otsu's threshold).
    Where its width over all slices has a valley, or is much larger than its height, there are two legs, and each slice
    is divided between its two largest parts, or at its own valley where they touch. One leg only takes the side on
    which it lies from the world's x = 0, with a warning.
    """
    step = max(1, round(_COARSE_MM / max(grid.stored_mm)))
    turned = grid.turned(volume.voxels)
    at = [np.minimum(np.arange(0, n, step) + step // 2, n - 1) for n in grid.plane]
    image = np.nan_to_num(np.asarray(turned[:, at[0]][:, :, at[1]], np.float32), posinf=0.0, neginf=0.0)
    body = _body(image)
    millimetre = (grid.stored_mm[0] * step, grid.stored_mm[1] * step)
    profile = body.sum(1).astype(np.float32)
    total: NDArray[np.float32] = np.asarray(
        ndimage.gaussian_filter1d(profile.sum(0), _SMOOTH_MM / millimetre[1]), np.float32
    )
    if not total.any():
        left = np.broadcast_to(_world_x(volume, grid, at) > 0, image.shape)
        return Sides(
            left, step, grid, "No body was found in this scan; left and right are told by the scanner's middle."
        )
    cut = _two_legs(total, body, millimetre)
    if cut is None:
        return _one_leg(volume, grid, body, at, step)
    left = np.stack([_divide(plane, cut, millimetre[1]) for plane in body])
    return Sides(left, step, grid)


def with_sides(classes: NDArray[np.uint8], left: NDArray[np.bool_] | None, card: ModelCard) -> NDArray[np.uint8]:
    """Label values of the card's table for class indices (n, first, second); ``left`` is needed where it is sided."""
    pairs = [card.values_of(index) for index in range(len(card.classes))]
    of_left, of_right = (np.array([pair[i] for pair in pairs], np.uint8) for i in range(2))
    if left is None or (of_left == of_right).all():
        return of_left[classes]
    return np.where(left, of_left[classes], of_right[classes])


def _body(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """What is not air, holes filled slice by slice."""
    low, high = (float(v) for v in np.percentile(image, (1.0, 99.5)))
    if high <= low:
        return np.zeros(image.shape, bool)
    scaled = (np.clip(image, low, high) - low) / (high - low)  # a small range far from 0 has no room for Otsu's bins
    bright = scaled > threshold_otsu(scaled)
    air, tissue = float(scaled[~bright].mean()), float(scaled[bright].mean())
    body = scaled > air + _BODY_SHARE * (tissue - air)
    return np.stack([_filled(plane) for plane in body])


def _filled(plane: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A slice of body without holes and specks; a thin ring of fat with gaps is closed first (fat images)."""
    closed = np.asarray(ndimage.binary_closing(np.pad(plane, 2), iterations=2), bool)[2:-2, 2:-2]
    return np.asarray(ndimage.binary_opening(ndimage.binary_fill_holes(plane | closed)), bool)


def _world_x(volume: Volume, grid: PlaneGrid, at: list[NDArray[np.intp]]) -> NDArray[np.float64]:
    """LPS x in mm of every coarse pixel, shape (slices, rows, columns)."""
    index = np.zeros((3, grid.slices, len(at[0]), len(at[1])))
    rows = grid.plane[0] - 1 - at[0] if grid.flips[0] else at[0]
    columns = grid.plane[1] - 1 - at[1] if grid.flips[1] else at[1]
    index[grid.axes[0]] = np.arange(grid.slices)[:, None, None]
    index[grid.axes[1]] = rows[None, :, None]
    index[grid.axes[2]] = columns[None, None, :]
    row = volume.affine[0]
    return row[0] * index[0] + row[1] * index[1] + row[2] * index[2] + row[3]


def _two_legs(total: NDArray[np.float32], body: NDArray[np.bool_], millimetre: tuple[float, float]) -> float | None:
    """The column between two legs, or None where there is one leg."""
    gap = gap_in(total)
    if gap is not None:
        return (gap[0] + gap[1]) / 2
    seen = np.flatnonzero(total > 0.05 * total.max())
    first, last = int(seen[0]), int(seen[-1])
    rows = np.flatnonzero(body.any((0, 2)))
    height_mm, width_mm = np.ptp(rows) * millimetre[0], (last - first) * millimetre[1]
    if width_mm > _WIDE * height_mm:
        return float((total * np.arange(len(total))).sum() / total.sum())
    return None


def _one_leg(volume: Volume, grid: PlaneGrid, body: NDArray[np.bool_], at: list[NDArray[np.intp]], step: int) -> Sides:
    """The whole volume on the side where the leg's middle lies."""
    x_mm = float(_world_x(volume, grid, at)[body].mean())
    side = "left" if x_mm > 0 else "right"
    warning = f"Only one leg is seen; it lies {abs(x_mm):.0f} mm {side} of the scanner's middle and is taken as {side}."
    if abs(x_mm) < _DOUBTFUL_MM:
        warning += " That is too close to be sure: check the side."
    return Sides(np.full(body.shape, x_mm > 0), step, grid, warning)


def _divide(plane: NDArray[np.bool_], cut: float, column_mm: float) -> NDArray[np.bool_]:
    """Left or not for one slice of body (rows, columns), given the volume's cut column."""
    columns = np.arange(plane.shape[1])
    labelled: Any = ndimage.label(plane)
    parts, count = labelled
    if count >= 2:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        a, b = np.argsort(sizes)[-2:]
        middle = {int(p): float(np.nonzero(parts == p)[1].mean()) for p in (a, b)}
        right, left = sorted(middle, key=lambda p: middle[p])
        if sizes[a] >= _SMALLEST_PART * sizes[b] and middle[right] < cut < middle[left]:
            between = (float(np.nonzero(parts == right)[1].max()) + float(np.nonzero(parts == left)[1].min())) / 2
            out = np.broadcast_to(columns > between, plane.shape).copy()
            out[parts == left] = True
            out[parts == right] = False
            return out
    smooth = ndimage.gaussian_filter1d(plane.sum(0).astype(np.float32), _SMOOTH_MM / column_mm)
    seen = np.flatnonzero(plane.any(0))
    if seen.size:
        reach = 0.15 * float(np.ptp(seen))
        near = columns[np.abs(columns - cut) <= max(1.0, reach)]
        lowest = int(near[np.argmin(smooth[near])]) if near.size else round(cut)
        if smooth[lowest] < 0.9 * smooth[min(max(round(cut), 0), len(smooth) - 1)]:
            cut = float(lowest)
    return np.broadcast_to(columns > cut, plane.shape).copy()
