"""What a hand draws on a slice, as voxels: discs, strokes, polygons, filled areas.

Everything is in plane coordinates (row, column) of the shown slice, integers being pixel centres; lengths are mm, so
a disc is round on the patient whatever the voxels' shape. A pixel belongs to a shape when its centre does. Results
are a ``Box`` clipped to the slice and a boolean array of its shape, or None where nothing of the slice is hit.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from thighview.core.planes import Box

Point = tuple[float, float]
"""(row, column) on the shown slice, pixels; integers are centres."""
Drawn = tuple[Box, NDArray[np.bool_]]


def stroke(
    start: Point, end: Point, radius_mm: float, spacing_mm: tuple[float, float], shape: tuple[int, int]
) -> Drawn | None:
    """All pixels within a radius of the line between two points: a disc drawn along it.

    Parameters
    ----------
    start, end : (row, column)
        Ends of the line, pixels; equal for a single disc.
    radius_mm : float
        Radius of the disc. The pixels under both ends are always in, however small it is.
    spacing_mm : (down, along)
        Distance of pixel centres.
    shape : (rows, columns)
        Of the slice.
    """
    down, along = spacing_mm
    ends = [(_nearest(p[0]), _nearest(p[1])) for p in (start, end)]
    r0 = min(math.ceil(min(start[0], end[0]) - radius_mm / down), *(e[0] for e in ends))
    r1 = max(math.floor(max(start[0], end[0]) + radius_mm / down), *(e[0] for e in ends)) + 1
    c0 = min(math.ceil(min(start[1], end[1]) - radius_mm / along), *(e[1] for e in ends))
    c1 = max(math.floor(max(start[1], end[1]) + radius_mm / along), *(e[1] for e in ends)) + 1
    box = Box(max(r0, 0), min(r1, shape[0]), max(c0, 0), min(c1, shape[1]))
    if box.r0 >= box.r1 or box.c0 >= box.c1:
        return None
    y = (np.arange(box.r0, box.r1, dtype=np.float64) - start[0])[:, None] * down
    x = (np.arange(box.c0, box.c1, dtype=np.float64) - start[1])[None, :] * along
    dy, dx = (end[0] - start[0]) * down, (end[1] - start[1]) * along
    length2 = dy * dy + dx * dx
    if length2 > 0.0:
        share = np.clip((y * dy + x * dx) / length2, 0.0, 1.0)
        distance2 = (y - share * dy) ** 2 + (x - share * dx) ** 2
    else:
        distance2 = y * y + x * x
    inside = distance2 <= radius_mm * radius_mm * (1 + 1e-12)
    for row, column in ends:
        if box.r0 <= row < box.r1 and box.c0 <= column < box.c1:
            inside[row - box.r0, column - box.c0] = True
    return (box, inside) if inside.any() else None


def disc(centre: Point, radius_mm: float, spacing_mm: tuple[float, float], shape: tuple[int, int]) -> Drawn | None:
    """All pixels within a radius of a point; at least the pixel under it."""
    return stroke(centre, centre, radius_mm, spacing_mm, shape)


def polygon(points: Sequence[Point], shape: tuple[int, int]) -> Drawn | None:
    """All pixels whose centre lies inside a closed polygon (even-odd rule, so crossing outlines leave holes).

    A centre exactly on an upper or left edge is in, on a lower or right edge out: neighbouring polygons share no pixel.
    """
    if len(points) < 3:
        return None
    at = np.asarray(points, np.float64)
    low, high = np.ceil(at.min(axis=0)).astype(int), np.ceil(at.max(axis=0)).astype(int)
    box = Box(max(int(low[0]), 0), min(int(high[0]), shape[0]), max(int(low[1]), 0), min(int(high[1]), shape[1]))
    if box.r0 >= box.r1 or box.c0 >= box.c1:
        return None
    rows, columns = box.shape
    turns = np.zeros((rows, columns + 1), np.int32)
    for (ra, ca), (rb, cb) in zip(at, np.roll(at, -1, axis=0), strict=True):
        if ra == rb:
            continue
        top, bottom = (ra, rb) if ra < rb else (rb, ra)
        first, last = max(math.ceil(top), box.r0), min(math.ceil(bottom), box.r1)
        if first >= last:
            continue
        row = np.arange(first, last)
        crossing = np.ceil(ca + (row - ra) * (cb - ca) / (rb - ra)).astype(int)
        np.add.at(turns, (row - box.r0, np.clip(crossing - box.c0, 0, columns)), 1)
    inside = (np.cumsum(turns, axis=1)[:, :columns] & 1).astype(bool)
    return (box, inside) if inside.any() else None


def flood(labels: NDArray[np.uint8], seed: tuple[int, int]) -> Drawn:
    """The connected area of equal label around a pixel; pixels that touch only at corners are not connected.

    Parameters
    ----------
    labels : ndarray of uint8, shape (rows, columns)
        The label plane.
    seed : (row, column)
        A pixel of it.
    """
    rows, columns = labels.shape
    same = np.zeros((rows, columns + 2), np.int8)
    same[:, 1:-1] = labels == labels[seed]
    turns = np.diff(same, axis=1)
    starts = [np.flatnonzero(line == 1) for line in turns]
    stops = [np.flatnonzero(line == -1) for line in turns]
    inside = np.zeros((rows, columns), bool)
    reached = [np.zeros(len(s), bool) for s in starts]
    first = int(np.searchsorted(starts[seed[0]], seed[1], "right")) - 1
    waiting = [(seed[0], first)]
    reached[seed[0]][first] = True
    while waiting:
        row, run = waiting.pop()
        a, b = int(starts[row][run]), int(stops[row][run])
        inside[row, a:b] = True
        for other in (row - 1, row + 1):
            if 0 <= other < rows:
                i, j = int(np.searchsorted(stops[other], a, "right")), int(np.searchsorted(starts[other], b, "left"))
                for k in range(i, j):
                    if not reached[other][k]:
                        reached[other][k] = True
                        waiting.append((other, k))
    r, c = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = Box(int(r[0]), int(r[-1]) + 1, int(c[0]), int(c[-1]) + 1)
    return box, inside[box.slices]


def _nearest(at: float) -> int:
    return math.floor(at + 0.5)
