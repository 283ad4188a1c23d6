"""The gap between two legs: where the patient's right ends and the left begins."""

import numpy as np
from numpy.typing import NDArray

from thighview.core.planes import Plane, body_mask
from thighview.core.volume import Volume

_EDGE = 0.12
_SMALLEST_PART = 0.1
_VALLEY = 0.75
_SMOOTH_MM = 6.0
_ALIKE, _APART = 0.35, 0.5
_SAMPLE_SLICES, _SAMPLE_PIXELS = 10, 128
_STRAIGHT = 0.94
"""Cosine of the angle (20 degrees) up to which columns count as running from right to left."""


def gap_in(profile: NDArray[np.floating]) -> tuple[int, int] | None:
    """First and last place of the gap in a profile of two legs: how much body each column has, smoothed.

    The gap is the deepest place clear of both ends, as far as it is flat; None unless it is much lower than what lies
    on either side and parts off at least a tenth of the body.
    """
    seen = np.flatnonzero(profile > 0.05 * profile.max())
    if seen.size == 0:
        return None
    first, last = int(seen[0]), int(seen[-1])
    edge = max(1, round(_EDGE * (last - first)))
    inner = range(first + edge, last - edge + 1)
    if len(inner) < 3:
        return None
    column = min(inner, key=lambda c: float(profile[c]))
    before, after = profile[first : column + 1], profile[column : last + 1]
    share = min(before.sum(), after.sum()) / profile.sum()
    if share < _SMALLEST_PART or profile[column] >= _VALLEY * min(before.max(), after.max()):
        return None
    higher = np.flatnonzero(profile > profile[column] + 1e-3 * profile.max())
    return int(higher[higher < column].max(initial=-1)) + 1, int(higher[higher > column].min(initial=len(profile))) - 1


def between_legs(volume: Volume) -> tuple[float, float] | None:
    """Columns of the radiological axial view at which the right leg has ended and the left one begins.

    Some slices are looked at, thinned: some milliseconds. None in any doubt: where there is one leg, where one is much
    smaller, where they touch all along, where the scan's columns do not run from the patient's right to the left.
    """
    plane = Plane.of(volume, "axial")
    direction = volume.affine[:3, plane.column_axis]
    if abs(direction[0]) < _STRAIGHT * np.linalg.norm(direction):
        return None
    step = max(1, plane.columns // _SAMPLE_PIXELS)
    chosen = np.linspace(0, plane.count - 1, min(plane.count, _SAMPLE_SLICES)).round().astype(int)
    down = max(1, plane.rows // _SAMPLE_PIXELS)
    profile = body_mask(np.vstack([plane.take(volume.voxels, int(i))[::down, ::step] for i in chosen])).sum(0)
    wide = max(1, round(_SMOOTH_MM / (plane.spacing_mm[1] * step)))
    found = gap_in(np.convolve(profile.astype(np.float64), np.ones(wide) / wide, "same"))
    if found is None:
        return None
    right, gap, left = profile[: found[0]], profile[found[0] : found[1] + 1], profile[found[1] + 1 :]
    alike = min(right.sum(), left.sum()) >= _ALIKE * profile.sum()
    apart = right.size and left.size and gap.min() < _APART * min(right.max(), left.max())
    return (found[0] * step, (found[1] + 1) * step - 1) if alike and apart else None
