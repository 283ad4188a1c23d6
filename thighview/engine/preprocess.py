"""From a scan to what the network sees, and back: the same functions for training and for inference.

The network sees axial planes with rows towards posterior and columns towards the patient's left, whatever the storage.
Pixel centres are kept: the middle of the stored plane is the middle of the resampled one, and a pixel of the network
at (row, column) lies where :meth:`PlaneGrid.to_stored` says. Masks never change grid: what the network answers is
interpolated at the scan's own voxels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.volume import Volume

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LARGEST_EDGE = 2048
COARSEST_FACTOR = 3.0
"""Planes may be so many times coarser than the network's pixels; thick slices, seen from the side, are too coarse."""

_SAMPLE = 1_000_000


class PlaneSettings(Protocol):
    """What a model card and a training's settings both say about the planes."""

    @property
    def spacing_mm(self) -> float:
        """Pixel size of the network; 0 fits the longer edge of the slice into ``input_size``."""
        ...

    @property
    def input_size(self) -> int:
        """Edge of the square that training sees, pixels."""
        ...

    @property
    def levels(self) -> int:
        """Resolution levels of the network."""
        ...


@dataclass(frozen=True)
class Intensity:
    """How a volume's numbers become the network's: clip to low..high, to 0..1, then mean 0 and deviation 1.

    With mean 0 and deviation 1 given, the numbers stay 0..1.
    """

    low: float
    high: float
    mean: float
    deviation: float

    @staticmethod
    def of(voxels: NDArray[np.generic], normalisation: str = "percentile") -> "Intensity":
        """From the 1st and 99th percentile of a volume, shape (z, y, x), any real dtype.

        Above a million voxels an even sample of about as many is taken, thinned along the two longest axes. Mean and
        deviation are those of the clipped 0..1 values; with the ``normalisation`` of ``unit`` the numbers stay 0..1. A
        volume of one value gives zeros.
        """
        step = max(1, math.ceil(math.sqrt(voxels.size / _SAMPLE)))
        longest = sorted(range(3), key=lambda axis: voxels.shape[axis])[1:]
        thin = tuple(slice(None, None, step if axis in longest else 1) for axis in range(3))
        sample = np.asarray(voxels[thin], np.float32).ravel()
        sample = sample[np.isfinite(sample)]
        if sample.size == 0:
            raise UserError("This scan holds no finite number.")
        low, high = (float(v) for v in np.percentile(sample, (1.0, 99.0)))
        if high <= low:
            low, high = float(sample.min()), float(sample.max())
        if high <= low:
            return Intensity(low, low + 1.0, 0.0, 1.0)
        if normalisation == "unit":
            return Intensity(low, high, 0.0, 1.0)
        unit = np.clip((sample - low) / (high - low), 0.0, 1.0)
        return Intensity(low, high, float(unit.mean()), max(float(unit.std()), 1e-3))

    def apply(self, voxels: NDArray[np.generic]) -> NDArray[np.float32]:
        """The network's numbers, float32, same shape; what is not finite counts as ``low``."""
        x = np.array(voxels, np.float32)
        if voxels.dtype.kind == "f":
            np.nan_to_num(x, copy=False, nan=self.low, posinf=self.high, neginf=self.low)
        np.clip(x, self.low, self.high, out=x)
        scale = 1.0 / ((self.high - self.low) * self.deviation)
        x *= np.float32(scale)
        x -= np.float32(self.low * scale + self.mean / self.deviation)
        return x

    @property
    def of_air(self) -> float:
        """The network's number for ``low``: what padding is filled with."""
        return -self.mean / self.deviation


@dataclass(frozen=True)
class PlaneGrid:
    """Where the network's pixels lie in the stored planes of one volume.

    Parameters
    ----------
    shape : tuple of int
        Stored shape (z, y, x).
    axes : tuple of int
        Array axes of slices, rows and columns of the network's planes.
    flips : tuple of bool
        Whether rows and columns run against the stored index.
    stored_mm : tuple of float
        Stored spacing along rows and columns, mm.
    spacing_mm : float
        Pixel size of the network's plane, mm.
    content : tuple of int
        Rows and columns of the resampled slice.
    size : tuple of int
        Rows and columns with padding; the content starts at ``offset``.
    """

    shape: tuple[int, int, int]
    axes: tuple[int, int, int]
    flips: tuple[bool, bool]
    stored_mm: tuple[float, float]
    spacing_mm: float
    content: tuple[int, int]
    size: tuple[int, int]

    @property
    def slices(self) -> int:
        """Number of axial slices."""
        return self.shape[self.axes[0]]

    @property
    def plane(self) -> tuple[int, int]:
        """Stored rows and columns, turned as the network sees them."""
        return (self.shape[self.axes[1]], self.shape[self.axes[2]])

    @property
    def offset(self) -> tuple[int, int]:
        """First row and column of the content in the padded plane."""
        return ((self.size[0] - self.content[0]) // 2, (self.size[1] - self.content[1]) // 2)

    def to_stored(self, row: float, column: float) -> tuple[float, float]:
        """Stored row and column index (turned, not flipped back) of a pixel of the padded network plane."""
        at = [
            (value - self.offset[i] - (self.content[i] - 1) / 2) * self._ratio[i] + (self.plane[i] - 1) / 2
            for i, value in enumerate((row, column))
        ]
        return (at[0], at[1])

    @property
    def _ratio(self) -> tuple[float, float]:
        """Stored pixels per network pixel."""
        return (self.spacing_mm / self.stored_mm[0], self.spacing_mm / self.stored_mm[1])

    @cached_property
    def same(self) -> bool:
        """Whether the network's pixels are the stored ones: nothing is interpolated."""
        return self.content == self.plane and all(abs(r - 1.0) < 1e-6 for r in self._ratio)

    @cached_property
    def matrices(self) -> "tuple[csr_array, csr_array]":
        """Weights that take stored rows (columns) to content rows (columns): sparse float32 (content, stored)."""
        return (self._matrix(0), self._matrix(1))

    def _matrix(self, i: int) -> "csr_array":
        """Linear interpolation at the pixel centres, after a Gaussian against aliasing where the grid gets coarser."""
        from scipy.ndimage import gaussian_filter1d  # the window asks for the planes alone, and scipy loads slowly
        from scipy.sparse import csr_array

        stored, content, ratio = self.plane[i], self.content[i], self._ratio[i]
        at = (np.arange(content, dtype=np.float64) - (content - 1) / 2) * ratio + (stored - 1) / 2
        matrix = np.zeros((content, stored), np.float64)
        below, share = _neighbours(at, stored)
        rows = np.arange(content)
        np.add.at(matrix, (rows, below), 1.0 - share)
        np.add.at(matrix, (rows, np.minimum(below + 1, stored - 1)), share)
        if ratio > 1.0:
            matrix = matrix @ gaussian_filter1d(np.eye(stored), (ratio - 1.0) / 2, axis=0, mode="nearest")
        return csr_array(matrix.astype(np.float32))

    def resampled(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        """One stored plane, turned, on the content's pixels."""
        rows, columns = self.matrices
        return np.asarray((columns @ np.ascontiguousarray((rows @ plane).T)).T, np.float32)

    def stored_at(self, i: int) -> NDArray[np.float64]:
        """Where the stored rows (i=0) or columns (i=1) lie in the padded network plane, in pixels."""
        at: NDArray[np.float64] = (np.arange(self.plane[i], dtype=np.float64) - (self.plane[i] - 1) / 2) / self._ratio[
            i
        ]
        return at + (self.content[i] - 1) / 2 + self.offset[i]

    def turned(self, volume: NDArray[Any]) -> NDArray[Any]:
        """A view of a stored (z, y, x) array as the network's planes: (slices, rows, columns)."""
        view = volume.transpose(self.axes)
        return view[:, :: -1 if self.flips[0] else 1, :: -1 if self.flips[1] else 1]

    def turned_back(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Planes (n, rows, columns, ...) as seen by the network, in stored order: a view (n, first, second, ...).

        ``first`` and ``second`` are the two stored axes other than the slice axis, in their stored order.
        """
        view = planes[:, :: -1 if self.flips[0] else 1, :: -1 if self.flips[1] else 1]
        return view if self.axes[1] < self.axes[2] else view.swapaxes(1, 2)


def _neighbours(at: NDArray[np.float64], count: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Index below each place and the share of the one above; places outside take the edge."""
    inside = np.clip(at, 0, count - 1)
    below = np.clip(np.floor(inside), 0, max(count - 2, 0)).astype(np.intp)
    share: NDArray[np.float64] = inside - below
    return below, share


def plane_grid(volume: Volume, settings: PlaneSettings) -> PlaneGrid:
    """The planes a network with these settings sees of a volume.

    With a spacing: the whole slice at that pixel size, padded to at least ``input_size`` and to a multiple of
    ``2 ** (levels - 1)``. Without: the longer edge of the slice is fitted into a square of ``input_size``.

    Raises
    ------
    UserError
        When the axial plane is too coarse for the network, or would be too large.
    """
    world = volume.world_axes
    axes = (world.index(2), world.index(1), world.index(0))
    flips = (bool(volume.affine[1, axes[1]] < 0), bool(volume.affine[0, axes[2]] < 0))
    stored_mm = (volume.spacing_mm[axes[1]], volume.spacing_mm[axes[2]])
    plane = (volume.shape[axes[1]], volume.shape[axes[2]])
    extent = (plane[0] * stored_mm[0], plane[1] * stored_mm[1])
    spacing = settings.spacing_mm if settings.spacing_mm > 0 else max(extent) / settings.input_size
    wanted = settings.spacing_mm if settings.spacing_mm > 0 else min(stored_mm)
    if max(stored_mm) > COARSEST_FACTOR * wanted * (1 + 1e-6):
        raise UserError(
            f"The axial plane of this scan has voxels of {stored_mm[0]:.1f} x {stored_mm[1]:.1f} mm; this model needs "
            f"{COARSEST_FACTOR * wanted:.1f} mm or finer.",
            "Open a scan taken in axial slices, or choose a model with larger pixels.",
        )
    if settings.spacing_mm > 0:
        multiple = 1 << (settings.levels - 1)
        content = tuple(max(1, round(e / spacing)) for e in extent)
        size = tuple(max(settings.input_size, -(-n // multiple) * multiple) for n in content)
    else:
        content = tuple(min(settings.input_size, max(1, round(e / spacing))) for e in extent)
        size = (settings.input_size, settings.input_size)
    if max(size) > LARGEST_EDGE:
        raise UserError(
            f"A slice of this scan is {extent[0]:.0f} x {extent[1]:.0f} mm, {content[0]} x {content[1]} pixels for "
            f"this model; at most {LARGEST_EDGE} fit.",
            "Check the spacing in the scan's header, or choose a model with larger pixels.",
        )
    return PlaneGrid(volume.shape, axes, flips, stored_mm, spacing, (content[0], content[1]), (size[0], size[1]))


def slices_for_network(
    voxels: NDArray[np.generic], grid: PlaneGrid, intensity: Intensity, indices: Sequence[int] | None = None
) -> NDArray[np.float32]:
    """What the network is fed: float32 (n, rows, columns, 1).

    Parameters
    ----------
    voxels : ndarray, shape (z, y, x)
        Stored order, any real dtype.
    grid : PlaneGrid
        Of the same volume.
    intensity : Intensity
        Of the same volume.
    indices : sequence of int, optional
        Axial slices; all of them by default.
    """
    chosen = range(grid.slices) if indices is None else indices
    planes = grid.turned(voxels)
    top, left = grid.offset
    h, w = grid.content
    out = np.full((len(chosen), *grid.size, 1), intensity.of_air, np.float32)
    for row, index in enumerate(chosen):
        plane = intensity.apply(planes[index])
        if not grid.same:
            plane = grid.resampled(plane)
        out[row, top : top + h, left : left + w, 0] = plane
    return out


def masks_for_network(labels: NDArray[Any], grid: PlaneGrid, indices: Sequence[int] | None = None) -> NDArray[Any]:
    """A stored label map (z, y, x) on the network's planes: (n, rows, columns), same dtype, padding is 0.

    Each label is resampled as the picture is, and the one with the largest share wins. For training targets only; a
    mask that is kept stays on the scan's voxels.
    """
    chosen = range(grid.slices) if indices is None else indices
    planes = grid.turned(labels)
    top, left = grid.offset
    h, w = grid.content
    out = np.zeros((len(chosen), *grid.size), labels.dtype)
    for row, index in enumerate(chosen):
        plane = planes[index]
        if not grid.same:
            values = np.unique(plane)
            if len(values) == 1:
                plane = np.full(grid.content, values[0], labels.dtype)
            else:
                shares = [grid.resampled((plane == v).astype(np.float32)) for v in values]
                plane = values[np.argmax(np.stack(shares), 0)]
        out[row, top : top + h, left : left + w] = plane
    return out


def crop_or_pad(stack: NDArray[Any], size: int, fill: float = 0.0) -> NDArray[Any]:
    """The middle square of ``size`` pixels of (n, rows, columns, ...) planes, filled up where they are smaller."""
    out = np.full((stack.shape[0], size, size, *stack.shape[3:]), fill, stack.dtype)
    source: list[slice] = []
    target: list[slice] = []
    for n in stack.shape[1:3]:
        keep = min(n, size)
        source.append(slice((n - keep) // 2, (n - keep) // 2 + keep))
        target.append(slice((size - keep) // 2, (size - keep) // 2 + keep))
    out[:, target[0], target[1]] = stack[:, source[0], source[1]]
    return out


def classes_of(logits: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The class with the highest logit, uint8 (...), of (..., classes); one channel means label above 0."""
    if logits.shape[-1] == 1:
        return (logits[..., 0] > 0).astype(np.uint8)
    best = logits[..., 0].copy()
    found = np.zeros(best.shape, np.uint8)
    for index in range(1, logits.shape[-1]):
        channel = np.ascontiguousarray(logits[..., index])
        np.maximum(found, (channel > best).astype(np.uint8) * np.uint8(index), out=found)  # later classes count higher
        np.maximum(best, channel, out=best)
    return found


def labels_to_grid(
    logits: NDArray[np.floating], grid: PlaneGrid, classes: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Class indices at the scan's own voxels: the class whose interpolated logit is highest.

    Linear interpolation between four pixels of one class gives that class, so only places between different classes
    are interpolated.

    Parameters
    ----------
    logits : ndarray of float, shape (n, rows, columns, classes)
        What the network answered for n padded planes.
    grid : PlaneGrid
        Of the volume.
    classes : ndarray of uint8, shape (n, rows, columns), optional
        :func:`classes_of` the logits, where it is known already.

    Returns
    -------
    ndarray of uint8, shape (n, first, second)
        In stored order (:meth:`PlaneGrid.turned_back`), C-contiguous.
    """
    n = logits.shape[0]
    near = classes_of(logits) if classes is None else classes
    if grid.same:
        (top, left), (h, w) = grid.offset, grid.content
        return np.ascontiguousarray(grid.turned_back(near[:, top : top + h, left : left + w]))
    (i0, ti), (j0, tj) = (_neighbours(grid.stored_at(i), grid.size[i]) for i in range(2))
    down_share, right_share = ti.astype(np.float32), tj.astype(np.float32)
    out = np.empty((n, *grid.plane), np.uint8)
    for k in range(n):
        cell = np.zeros(grid.size, bool)  # whether the four pixels from here on differ
        cell[:-1] = near[k, 1:] != near[k, :-1]
        cell[:, :-1] |= (near[k, :, 1:] != near[k, :, :-1]) | cell[:, 1:]
        cell[:-1, :-1] |= near[k, 1:, 1:] != near[k, 1:, :-1]
        out[k] = near[k].take(i0, 0).take(j0, 1)
        mixed = cell.take(i0, 0).take(j0, 1)
        at = np.flatnonzero(mixed)
        r, c = np.divmod(at, grid.plane[1])
        down, right = down_share[r], right_share[c]
        first = i0[r] * grid.size[1] + j0[c]
        shares = ((1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right)
        corners = (first, first + 1, first + grid.size[1], first + grid.size[1] + 1)
        flat = np.ascontiguousarray(logits[k].reshape(-1, logits.shape[-1]).T)  # class by class: numpy likes long rows
        blend = np.empty((len(at), len(flat)), np.result_type(flat, np.float32), order="F")
        for channel, values in zip(blend.T, flat, strict=True):
            channel[:] = sum(values.take(corner) * share for corner, share in zip(corners, shares, strict=True))
        out[k].flat[at] = classes_of(blend)
    return np.ascontiguousarray(grid.turned_back(out))


def maps_to_grid(maps: NDArray[np.floating], grid: PlaneGrid) -> NDArray[np.float32]:
    """Real-valued maps (n, rows, columns, channels) at the scan's own voxels, linear: (n, first, second, channels)."""
    (i0, ti), (j0, tj) = (_neighbours(grid.stored_at(i), grid.size[i]) for i in range(2))
    i1, j1 = np.minimum(i0 + 1, grid.size[0] - 1), np.minimum(j0 + 1, grid.size[1] - 1)
    a, b = ti[None, :, None, None].astype(np.float32), tj[None, None, :, None].astype(np.float32)
    rows = maps[:, i0] * (1 - a) + maps[:, i1] * a
    return np.ascontiguousarray(grid.turned_back(rows[:, :, j0] * (1 - b) + rows[:, :, j1] * b))
