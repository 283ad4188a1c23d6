"""Is what is called water really water? Exchanged water and fat, and steps of signal where slabs meet."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from thighview.core.planes import Plane, body_mask
from thighview.core.volume import Volume

_SKIN_MM, _RIM_MM, _DEEP_MM = 2.5, 7.0, 15.0
"""Depths below the surface: skin, the fat under it, and the muscles."""
_APART = 0.15
_LEAST_SHARE, _LEAST_VOXELS = 0.02, 40
_STEP, _DEVIATIONS = 0.15, 6.0


@dataclass(frozen=True)
class Exchanged:
    """Slices on which water and fat look exchanged.

    Parameters
    ----------
    slices : tuple of int
        Indices along the axial axis.
    side : str
        ``left`` or ``right`` of the patient where only that limb is concerned, else empty.
    """

    slices: tuple[int, ...]
    side: str


@dataclass(frozen=True)
class Step:
    """A jump of the signal from the slice before ``after`` to it; ``factor`` is after / before."""

    after: int
    factor: float


def exchanged(water: Volume, fat: Volume) -> tuple[Exchanged, ...]:
    """Where water and fat look exchanged, limb by limb and slice by slice.

    Under the skin lies fat and deep in the limb lies muscle, so the fat fraction falls from the rim to the depth. Where
    it rises by more than 0.15 the two images are taken to be exchanged. A limb all of fat is never flagged.

    Parameters
    ----------
    water, fat : Volume
        On one grid.
    """
    from scipy import ndimage

    plane = Plane.of(water, "axial")
    spacing = plane.spacing_mm
    whole: list[int] = []
    sides: dict[str, list[int]] = {"left": [], "right": []}
    for index in range(plane.count):
        w, f = (_signal(plane.take(v.voxels, index)) for v in (water, fat))
        body: NDArray[np.bool_] = np.asarray(ndimage.binary_fill_holes(body_mask(w + f)))
        limbs: NDArray[np.int32] = np.zeros(body.shape, np.int32)
        ndimage.label(body, output=limbs)
        flags: dict[str, bool] = {}
        for number in range(1, int(limbs.max()) + 1):
            limb = limbs == number
            if limb.mean() < _LEAST_SHARE:
                continue
            found = _limb_exchanged(w, f, np.asarray(ndimage.distance_transform_edt(limb, spacing)))
            if found is not None:
                column = float(np.argwhere(limb)[:, 1].mean())
                flags["right" if column < plane.columns / 2 else "left"] = found
        if "orientation" in water.unsure:
            flags = {"": True} if any(flags.values()) else {}
        if flags and all(flags.values()):
            whole.append(index)
        else:
            for side, found in flags.items():
                if found:
                    sides[side].append(index)
    named = [Exchanged(tuple(found), side) for side, found in sides.items() if found]
    return (*([Exchanged(tuple(whole), "")] if whole else []), *named)


def _limb_exchanged(w: NDArray[np.float32], f: NDArray[np.float32], depth_mm: NDArray[np.float64]) -> bool | None:
    """Whether one limb on one slice looks exchanged; None where there is too little of it to say."""
    lit = (w + f) > 0
    rim = lit & (depth_mm > _SKIN_MM) & (depth_mm <= _RIM_MM)
    deep = lit & (depth_mm > _DEEP_MM)
    if min(np.count_nonzero(rim), np.count_nonzero(deep)) < _LEAST_VOXELS:
        return None
    outer, inner = (float(np.median(f[part] / (w[part] + f[part]))) for part in (rim, deep))
    return inner - outer > _APART


def steps(volume: Volume) -> tuple[Step, ...]:
    """Neighbouring axial slices between which the signal jumps, as where two slabs meet.

    For every pair of neighbours the median of the voxels' ratio where both have body; a jump is more than 15 %, and
    more than six robust standard deviations, away from the usual one and from those of the pairs on both sides of it:
    where the coil's reach ends the signal falls off over several slices.
    """
    plane = Plane.of(volume, "axial")
    if plane.count < 4:
        return ()
    ratios: list[float] = []
    before: NDArray[np.float32] | None = None
    for index in range(plane.count):
        now = np.nan_to_num(plane.take(volume.voxels, index).astype(np.float32))
        if before is not None:
            both = body_mask(before) & body_mask(now) & (before > 0) & (now > 0)
            enough = both.mean() >= _LEAST_SHARE
            ratios.append(float(np.log(np.median(now[both] / before[both]))) if enough else np.nan)
        before = now
    logs = np.array(ratios)
    known = logs[np.isfinite(logs)]
    if known.size < 3:
        return ()
    usual = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - usual)))
    limit = max(float(np.log1p(_STEP)), _DEVIATIONS * spread)
    found: list[Step] = []
    for i, value in enumerate(logs):
        beside = [b for b in (*logs[max(0, i - 1) : i], *logs[i + 1 : i + 2]) if np.isfinite(b)]
        if np.isfinite(value) and len(beside) == 2 and min(abs(value - other) for other in (usual, *beside)) > limit:
            found.append(Step(i + 1, float(np.exp(value))))
    return tuple(found)


def sentences(water: Volume, fat: Volume) -> tuple[str, ...]:
    """What both checks found, one sentence each; slices are counted from 1."""
    count = Plane.of(water, "axial").count
    said: list[str] = []
    for found in exchanged(water, fat):
        limb = f" in the {found.side} limb" if found.side else ""
        if not found.side and len(found.slices) >= 0.8 * count:
            said.append("Water and fat look exchanged on all slices: check which image is which.")
        else:
            said.append(f"Water and fat look exchanged{limb} on {_slices(found.slices)}.")
    jumps = (
        f"The signal of water and fat jumps by {100 * abs(step.factor - 1):.0f} % between slices "
        f"{step.after} and {step.after + 1}, as where two slabs meet."
        for step in steps(replace(water, voxels=_signal(water.voxels) + _signal(fat.voxels)))
    )
    return (*said, *jumps)


def _signal(voxels: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.maximum(np.nan_to_num(voxels.astype(np.float32)), 0)


def _slices(indices: tuple[int, ...]) -> str:
    """``slice 3``, ``slices 3 to 7``, ``slices 3 to 5 and 9``; counted from 1."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    parts = [f"{a + 1}" if a == b else f"{a + 1} to {b + 1}" for a, b in runs]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"slice{'s' if len(indices) > 1 else ''} {listed}"
