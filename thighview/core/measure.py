"""Measures of masks: areas, volumes, and how far two masks differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap
from thighview.core.volume import Volume

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class LabelMeasure:
    """Size of one label.

    Parameters
    ----------
    value : int
        Value in the label map.
    name, side : str
        As in the label table; ``label_VALUE`` for a value that the table does not have.
    voxels : int
        Number of voxels.
    volume_ml : float
        Millilitres: voxels times the volume of one.
    area_mm2 : tuple of float
        Area on each slice of the measured axis, mm².
    """

    value: int
    name: str
    side: str
    voxels: int
    volume_ml: float
    area_mm2: tuple[float, ...]


def measure(labels: LabelMap, volume: Volume, table: LabelTable, axis: int = 0) -> list[LabelMeasure]:
    """Size of every label of the table and of every other value in the map, by value.

    ``area_mm2[i] = n_i * a`` with n_i the label's voxels on slice i and a the area of a voxel's face across ``axis``
    (the length of the cross product of the two in-plane edge vectors, so that oblique and sheared grids are right);
    ``volume_ml = voxels * |det(affine)| / 1000``.

    Parameters
    ----------
    labels : ndarray of uint8, shape (z, y, x)
        The mask.
    volume : Volume
        The scan it lies on; only its grid is used.
    table : LabelTable
        Names.
    axis : {0, 1, 2}
        Array axis that the slices lie across.

    Examples
    --------
    10 voxels of 1 x 1 x 5 mm on one slice: 10 * 1 mm² = 10 mm², 10 * 5 mm³ / 1000 = 0.05 ml.

    >>> import numpy as np
    >>> scan = Volume(np.zeros((2, 4, 8), np.int16), np.diag([5.0, 1.0, 1.0, 1.0]))
    >>> mask = np.zeros(scan.shape, np.uint8)
    >>> mask[1, 0:2, 0:5] = 1
    >>> found = measure(mask, scan, LabelTable())[0]
    >>> found.voxels, found.area_mm2, round(found.volume_ml, 6)
    (10, (0.0, 10.0), 0.05)
    """
    counts = counts_per_slice(labels, axis)
    area = face_area_mm2(volume, axis)
    values = sorted({b.value for b in table} | {int(v) for v in np.flatnonzero(counts.sum(axis=0)) if v})
    found: list[LabelMeasure] = []
    for value in values:
        label = table.get(value)
        voxels = int(counts[:, value].sum())
        found.append(
            LabelMeasure(
                value, label.name if label else f"label_{value}", label.side if label else "",
                voxels, voxels * volume.voxel_volume_ml, tuple((counts[:, value] * area).tolist()),
            )
        )  # fmt: skip
    return found


def counts_per_slice(labels: LabelMap, axis: int = 0) -> NDArray[np.int64]:
    """Voxels of every value on every slice, shape (slices, 256)."""
    return np.stack([np.bincount(plane.ravel(), minlength=256) for plane in np.moveaxis(labels, axis, 0)])


def face_area_mm2(volume: Volume, axis: int = 0) -> float:
    """Area of one voxel's face across an array axis, mm²: 1.5 for pixels of 1 by 1.5 mm."""
    a, b = (volume.affine[:3, i] for i in range(3) if i != axis)
    return float(np.linalg.norm(np.cross(a, b)))


def dice(first: Flags, second: Flags) -> float | None:
    """Overlap of two regions, ``2 |A and B| / (|A| + |B|)``, 0 to 1; None when both are empty (Dice 1945).

    Examples
    --------
    4 and 6 voxels with 3 in common: 2 * 3 / (4 + 6).

    >>> import numpy as np
    >>> dice(np.array([1, 1, 1, 1, 0, 0, 0], bool), np.array([0, 1, 1, 1, 1, 1, 1], bool))
    0.6
    """
    both = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
    return 2 * int(np.count_nonzero(first & second)) / both if both else None


def hd95_mm(first: Flags, second: Flags, spacing_mm: Sequence[float]) -> float | None:
    """The 95 % Hausdorff distance of two surfaces, mm; None when a region is empty.

    The surface of a region are its voxels that touch (by a face) a voxel outside it or the edge of the array. From
    each surface voxel the Euclidean distance between voxel centres to the nearest one of the other surface is
    taken; the result is the larger of the two directions' 95th percentiles (linear interpolation). 0 when the regions
    are equal.

    Parameters
    ----------
    first, second : ndarray of bool, same shape
        Regions in 2-D or 3-D.
    spacing_mm : sequence of float
        Distance between voxel centres along each axis.

    Examples
    --------
    Two single voxels three slices of 5 mm apart: 15 mm.

    >>> import numpy as np
    >>> a = np.zeros((5, 3, 3), bool)
    >>> b = a.copy()
    >>> a[0, 1, 1] = b[3, 1, 1] = True
    >>> hd95_mm(a, b, (5.0, 1.0, 1.0))
    15.0
    """
    distances = surface_distances_mm(first, second, spacing_mm)
    return None if distances is None else hd95_of(*distances)


def msd_mm(first: Flags, second: Flags, spacing_mm: Sequence[float]) -> float | None:
    """Mean distance of two surfaces, symmetric, mm; None when a region is empty.

    Surfaces and distances as for :func:`hd95_mm`; the mean is taken over the surface voxels of both,
    ``(sum_a d(a, B) + sum_b d(b, A)) / (|A| + |B|)`` (Heimann et al. 2009, "average symmetric surface distance").

    Examples
    --------
    One voxel, and two of which the nearer is 5 mm from it and the other 10 mm: (5 + 5 + 10) / 3.

    >>> import numpy as np
    >>> a = np.zeros((5, 3, 3), bool)
    >>> b = a.copy()
    >>> a[0, 1, 1] = b[1:3, 1, 1] = True
    >>> round(msd_mm(a, b, (5.0, 1.0, 1.0)), 6)
    6.666667
    """
    distances = surface_distances_mm(first, second, spacing_mm)
    return None if distances is None else msd_of(*distances)


Distances = NDArray[np.float64]


def surface_distances_mm(
    first: Flags, second: Flags, spacing_mm: Sequence[float], known: Flags | None = None
) -> tuple[Distances, Distances] | None:
    """From each surface voxel of one region the distance to the other's surface, both ways; None when one is empty.

    Beyond the array is outside, as in other programs; what lies where ``known`` is false is neither, so that a region
    cut off there has no surface: on slices that nobody has reviewed it goes on.
    """
    if not first.any() or not second.any():
        return None
    box = tuple(slice(max(0, at.start - 1), at.stop + 1) for at in _box_around(first | second))
    from scipy.spatial import KDTree

    scale = np.asarray(spacing_mm, np.float64)
    unknown = np.zeros(first[box].shape, bool) if known is None else ~known[box]
    one, two = (np.argwhere(_surface(region[box], unknown)) * scale for region in (first, second))
    return KDTree(two).query(one, workers=1)[0], KDTree(one).query(two, workers=1)[0]


def hd95_of(there: Distances, back: Distances) -> float:
    """The larger 95th percentile of the two directions, mm."""
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def msd_of(there: Distances, back: Distances) -> float:
    """The mean over both directions together, mm."""
    return float((there.sum() + back.sum()) / (len(there) + len(back)))


def volume_error_ml(measured: Flags, truth: Flags, voxel_volume_ml: float) -> float:
    """Volume of ``measured`` minus that of ``truth``, millilitres: positive when too large.

    Examples
    --------
    12 voxels instead of 10, 0.005 ml each: 0.01 ml too much.

    >>> import numpy as np
    >>> round(volume_error_ml(np.arange(20) < 12, np.arange(20) < 10, 0.005), 6)
    0.01
    """
    return (int(np.count_nonzero(measured)) - int(np.count_nonzero(truth))) * voxel_volume_ml


def _box_around(region: Flags) -> tuple[slice, ...]:
    bounds: list[slice] = []
    for axis in range(region.ndim):
        hit = np.flatnonzero(region.any(axis=tuple(a for a in range(region.ndim) if a != axis)))
        bounds.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(bounds)


def _surface(region: Flags, unknown: Flags) -> Flags:
    """Voxels of the region with a face neighbour outside it that is not unknown; beyond the array is outside."""
    padded = np.pad(region | unknown, 1)
    inside = region.copy()
    core = (slice(1, -1),) * region.ndim
    for axis in range(region.ndim):
        inside &= np.roll(padded, 1, axis)[core] & np.roll(padded, -1, axis)[core]
    return region & ~inside
