"""Whether what a model drew looks like a thigh at all: one round femur in the front half of enough muscle."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap
from thighview.core.phantom_names import GROUPS, MUSCLES
from thighview.core.volume import Volume

LEAST_SHARE, LEAST_SHARE_OF_GROUPS = 0.75, 0.5
"""Of the legs seen on slices, as many must look like a thigh; where single muscles are told apart, half is enough: what
is no thigh falls to pieces then. Measured on real scans, see the model cards."""
_MUSCLE_CM2, _FEMUR_CM2 = 25.0, (2.0, 25.0)
_LEAST_LEG_CM2 = 5.0
_LEAST_ROUND, _LEAST_ONE, _LEAST_AROUND = 0.55, 0.9, 0.6
_RING_MM = 3.0
_FAT = ("subcutaneous_fat", "intermuscular_fat")
_ALL_MUSCLES = ({"muscle"}, set(GROUPS[:-2]), set(MUSCLES) - {"gluteus_maximus"})
_WHOLE_FEMUR = ({"femur"}, {"femur_cortex", "femur_marrow"})


def thigh_share(labels: LabelMap, volume: Volume, table: LabelTable) -> float | None:
    """The share of legs on axial slices that look like a thigh, 0 to 1; None where that cannot be judged.

    A leg does when it has 25 cm2 of muscle or more, and a femur of 2 to 25 cm2 that is one piece, round (area over that
    of the circle about it at least 0.55), surrounded by muscle and the fat between, and not behind the muscles' middle.

    Parameters
    ----------
    labels : ndarray of uint8, shape (z, y, x)
        On the voxels of ``volume``.
    table : LabelTable
        By the names of the box; where it lacks part of the femur or one of the muscles, or has both legs in one,
        nothing can be judged: a true mask would fail.
    """
    axis = volume.axial_axis
    rows, columns = (i for i in range(3) if i != axis)
    towards_back = volume.affine[1]
    legs: list[bool] = []
    for side in sorted({label.side for label in table if label.side}):
        own = [label for label in table if label.side == side]
        names = {label.name for label in own}
        if not all(any(whole <= names for whole in wholes) for wholes in (_ALL_MUSCLES, _WHOLE_FEMUR)):
            continue
        femur = [label.value for label in own if label.name.startswith("femur")]
        muscle = [label.value for label in own if label.name in ("muscle", *MUSCLES, *GROUPS[:-2])]
        between = [label.value for label in own if label.name in _FAT]
        kinds = np.zeros(256, np.uint8)
        for kind, values in ((1, muscle), (2, femur), (3, between)):
            kinds[values] = kind
        for plane in np.moveaxis(kinds[labels], axis, 0):
            seen = _looks_like_thigh(
                plane, (volume.spacing_mm[rows], volume.spacing_mm[columns]),
                (float(towards_back[rows]), float(towards_back[columns])),
            )  # fmt: skip
            if seen is not None:
                legs.append(seen)
    return sum(legs) / len(legs) if legs else None


def thigh_warning(share: float | None, table: LabelTable) -> str:
    """What to tell before such a mask is trusted; nothing where it looks like a thigh, or nothing is known."""
    least = LEAST_SHARE_OF_GROUPS if any(label.name in GROUPS[:-2] for label in table) else LEAST_SHARE
    if share is None or share >= least:
        return ""
    return (
        f"This does not look like a thigh: a round femur within muscle was drawn on {share:.0%} of the slices, "
        f"on thighs it is {least:.0%} or more. Do not trust this mask."
    )


def _looks_like_thigh(
    plane: NDArray[np.uint8], spacing_mm: tuple[float, float], back: tuple[float, float]
) -> bool | None:
    """Whether one leg on one slice does (1 muscle, 2 femur, 3 fat); None where hardly anything was drawn."""
    cm2 = spacing_mm[0] * spacing_mm[1] / 100
    at = np.nonzero(plane)
    if len(at[0]) * cm2 < _LEAST_LEG_CM2:
        return None
    margin = [math.ceil(_RING_MM / mm) + 1 for mm in spacing_mm]
    box = tuple(slice(max(0, int(a.min()) - m), int(a.max()) + m + 1) for a, m in zip(at, margin, strict=True))
    plane = plane[box]
    muscle, bone = plane == 1, plane == 2
    if muscle.sum() * cm2 < _MUSCLE_CM2 or not _FEMUR_CM2[0] < bone.sum() * cm2 < _FEMUR_CM2[1]:
        return False
    found: Any = ndimage.label(bone)
    sizes = np.bincount(found[0].ravel())[1:]
    femur: NDArray[np.bool_] = found[0] == int(sizes.argmax()) + 1
    if sizes.max() < _LEAST_ONE * sizes.sum():
        return False
    y, x = np.nonzero(femur)
    reach = np.hypot((y - y.mean()) * spacing_mm[0], (x - x.mean()) * spacing_mm[1]).max() + min(spacing_mm) / 2
    if femur.sum() * spacing_mm[0] * spacing_mm[1] < _LEAST_ROUND * np.pi * reach**2:
        return False
    away_mm: Any = ndimage.distance_transform_edt(~femur, spacing_mm)
    ring = (away_mm <= _RING_MM) & ~bone
    if not ring.any() or (plane[ring] > 0).mean() < _LEAST_AROUND:
        return False
    my, mx = np.nonzero(muscle)
    return bool((y.mean() - my.mean()) * back[0] + (x.mean() - mx.mean()) * back[1] < _RING_MM)
