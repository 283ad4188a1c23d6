"""The MR image of a made-up thigh: signal of each tissue, coil shading, blur and Rician noise."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from thighview.core.errors import UserError
from thighview.core.phantom_anatomy import (
    AIR,
    ARTERY,
    CORTEX,
    FASCIA,
    FAT,
    GAP_FAT,
    MARROW,
    MATERIALS,
    MUSCLE,
    NERVE,
    SKIN,
    VEIN,
    Cut,
)  # fmt: skip
from thighview.core.phantom_names import CONTRASTS, MUSCLES
from thighview.core.phantom_person import Floats, spline_weights

RANDOM = "random"
"""Any contrast at all: what a network learns from to be blind to contrast."""

# signal ranges relative to the brightest tissue: fat, marrow, muscle, skin, artery, vein, fascia and nerve
_RANGES: dict[str, tuple[tuple[float, float], ...]] = {
    "t1": ((0.85, 1.0), (0.7, 0.95), (0.27, 0.42), (0.25, 0.5), (0.05, 0.35), (0.15, 0.45), (0.1, 0.25)),
    "dixon_water": ((0.04, 0.14), (0.05, 0.16), (0.6, 0.85), (0.3, 0.6), (0.7, 1.0), (0.6, 1.0), (0.3, 0.5)),
    "dixon_fat": ((0.85, 1.0), (0.75, 0.95), (0.02, 0.08), (0.03, 0.12), (0.02, 0.06), (0.02, 0.06), (0.05, 0.2)),
    "fat_sat": ((0.08, 0.22), (0.08, 0.24), (0.42, 0.62), (0.3, 0.6), (0.1, 1.0), (0.6, 1.0), (0.3, 0.5)),
}


@dataclass(frozen=True, eq=False)
class Look:
    """How a scan looks. Signals are relative, 1 is the brightest tissue; lengths in pixels of the image.

    ``signal`` is by material, ``muscle_gain`` by muscle and side; ``fat_shift`` is the chemical shift of fat (rows,
    columns) in fine pixels; ``opposed`` makes fat and water cancel where they share a pixel; ``shading`` are the knots
    of the logarithm of the bias field (y, x); ``noise`` is the standard deviation of each quadrature channel.
    ``mottling`` is the deviation of the logarithm of the signal between the parts that each tissue falls into, whose
    borders are as sharp as ``mottling_edge``; ``coil`` is the logarithm of what a coil loses in the depth.
    """

    contrast: str
    signal: NDArray[np.float32]
    muscle_gain: NDArray[np.float32]
    texture: float
    fat_shift: tuple[int, int]
    opposed: bool
    shading: Floats
    blur: float
    noise: float
    mottling: float = 0.0
    mottling_edge: float = 1.0
    coil: float = 0.0


def draw_look(rng: np.random.Generator, contrast: str) -> Look:
    """Draw the look of a scan of one contrast: ``t1``, ``dixon_water``, ``dixon_fat``, ``fat_sat`` or ``random``."""
    signal = np.zeros(MATERIALS, np.float32)
    opposed = False
    if contrast == RANDOM:
        fat, muscle = rng.uniform(0.05, 1.0, 2)
        while abs(fat - muscle) < 0.15:
            fat, muscle = rng.uniform(0.05, 1.0, 2)
        marrow = fat * rng.uniform(0.6, 1.2) if rng.random() < 0.7 else rng.uniform(0.05, 1.0)
        cortex = rng.uniform(0.0, 0.1) if rng.random() < 0.9 else rng.uniform(0.0, 0.5)
        skin, artery, vein, fascia = rng.uniform(0.03, 1.0, 4)
        opposed = bool(rng.random() < 0.3)
    elif contrast in _RANGES:
        fat, marrow, muscle, skin, artery, vein, fascia = (rng.uniform(*r) for r in _RANGES[contrast])
        cortex = rng.uniform(0.01, 0.05)
    else:
        raise UserError(f"Expected a contrast of {', '.join((*CONTRASTS, RANDOM))}, found {contrast!r}.")
    signal[[SKIN, FAT, FASCIA, MUSCLE, GAP_FAT]] = skin, fat, fascia, muscle, fat * rng.uniform(0.9, 1.05)
    signal[[CORTEX, MARROW, ARTERY, VEIN, NERVE]] = cortex, marrow, artery, vein, (fascia + muscle) / 2
    signal[AIR] = 0.0
    look = Look(
        contrast=contrast,
        signal=signal,
        muscle_gain=np.concatenate([[1.0], 1 + rng.normal(0.0, 0.04, 2 * len(MUSCLES))]).astype(np.float32),
        texture=float(rng.uniform(0.01, 0.06)),
        fat_shift=(0, 0),
        opposed=opposed,
        shading=(rng.uniform(0.05, 0.4) * 1.6 * rng.standard_normal((6, 6))).astype(np.float32),
        blur=float(rng.uniform(0.3, 0.75)),
        noise=float(rng.uniform(0.006, 0.026)),
    )
    if rng.random() < 0.4:
        look = replace(
            look, fat_shift=(int(rng.integers(-2, 3)), 0) if rng.random() < 0.5 else (0, int(rng.integers(-2, 3)))
        )
    return look


def expose(cut: Cut, look: Look, rng: np.random.Generator, factor: int = 2, along: float = 0.5) -> Floats:
    """The image of a cut drawn ``factor`` times finer: float32 (y // factor, x // factor), 1 about the brightest.

    ``along`` is the place in the stack, 0 to 1: the coil reaches less far at one end. Partial volume comes from
    averaging factor x factor fine pixels; noise is Rician.
    """
    water, fat = _signals(cut, look, rng)
    if look.fat_shift != (0, 0):
        fat = np.roll(fat, look.fat_shift, (0, 1))
    image = np.abs(_mean_down(water - fat if look.opposed else water + fat, factor))
    image = gaussian_filter(image, look.blur, mode="nearest")
    rows, columns = len(image), image[0].size
    cells = look.shading.shape[0] - 3
    wy = spline_weights(np.linspace(0, cells, rows), cells)
    wx = spline_weights(np.linspace(0, cells, columns), cells)
    image *= np.exp(wy @ look.shading @ wx.T + np.float32(0.1 * (along - 0.5)))
    if look.coil:
        image *= np.exp(np.float32(-look.coil) * _depth(cut, (rows, columns)))
    noise = rng.standard_normal((2, rows, columns), dtype=np.float32) * np.float32(look.noise)
    return np.hypot(image + noise[0], noise[1])


def _signals(cut: Cut, look: Look, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Signal of water and of fat on the fine grid."""
    is_fat = np.zeros(MATERIALS, np.float32)
    is_fat[[FAT, GAP_FAT, MARROW]] = 1.0
    s = look.signal
    water = (s * (1 - is_fat))[cut.material]
    fat = (s * is_fat)[cut.material]
    water *= look.muscle_gain[cut.muscle] * (1 - cut.fatty)
    fat += cut.fatty * s[FAT]
    fat *= 1 - cut.septum
    water += cut.septum * s[FASCIA]
    grain = 1 + np.float32(look.texture) * rng.standard_normal(
        (water.shape[0] // 2 + 1, water.shape[1] // 2 + 1), dtype=np.float32
    )
    grain = gaussian_filter(grain, 0.7).repeat(2, 0).repeat(2, 1)[: water.shape[0], : water.shape[1]]
    if look.mottling:
        grain = grain * _mottled(cut, look, rng)
    return water * grain, fat * grain


def _mottled(cut: Cut, look: Look, rng: np.random.Generator) -> Floats:
    """A gain for each fine pixel: every material and muscle falls into up to four smooth parts, each with its own."""
    rows, columns = cut.material.shape
    kinds = np.where(cut.muscle > 0, MATERIALS + cut.muscle, cut.material)
    gain = np.zeros(cut.material.shape, np.float32)
    for _ in range(2):
        cells = int(rng.integers(4, 12)), int(rng.integers(6, 18))
        wy, wx = (spline_weights(np.linspace(0, c, n), c) for n, c in zip((rows, columns), cells, strict=True))
        knots = rng.standard_normal((cells[0] + 3, cells[1] + 3), dtype=np.float32)
        part = 1 / (1 + np.exp(np.float32(-4 * look.mottling_edge) * (wy @ knots @ wx.T)))
        step = rng.normal(0.0, look.mottling, MATERIALS + 2 * len(MUSCLES) + 1).astype(np.float32)
        gain += step[kinds] * (part - np.float32(0.5))
    return np.asarray(np.exp(gain), np.float32)


def _depth(cut: Cut, shape: tuple[int, int]) -> Floats:
    """How deep each pixel lies in the body, 0 to about 1: the share of body around it."""
    coarse = 8
    body = gaussian_filter((cut.material[::coarse, ::coarse] != AIR).astype(np.float32), 5.0, mode="nearest")
    at = [np.linspace(0, n - 1, count) for n, count in zip(body.shape, shape, strict=True)]
    wy, wx = (spline_weights(a, n - 1) for a, n in zip(at, body.shape, strict=True))
    return np.asarray(wy @ np.pad(body, 1, "edge") @ wx.T, np.float32)


def _mean_down(fine: Floats, factor: int) -> Floats:
    """Mean over factor x factor blocks."""
    rows, columns = fine.shape
    return fine.reshape(rows // factor, factor, columns // factor, factor).mean((1, 3), dtype=np.float32)
