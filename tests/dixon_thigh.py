"""A real thigh and its masks from physics, not from a network: muscle, femur, outer surface, by three Dixon echoes.

The scan of both thighs in ``shared/data`` was taken at 3 T with echoes of 3.45, 4.60 and 5.75 ms, where fat is out of,
in and out of phase with water. Water and fat follow from magnitude and phase (three-point Dixon; Glover and Schneider,
Magnetic Resonance in Medicine 18, 1991), and from them what is muscle and what is not. The points are placed by hand.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import disk
from skimage.restoration import unwrap_phase

from thighview.core.volume import Volume
from thighview.io.reading import read_volume

Mask = NDArray[np.bool_]
Image = NDArray[np.float64]
Echo = NDArray[np.complex128]

_SLICES = slice(0, 9)
"""In the last slice the buttocks touch, and the field ends within the skin."""

POINTS = {
    2: """
        vasti 150,190 60,165 80,150 360,170 450,150 425,130
        sartorius 187,135 325,140
        gracilis 193,100 315,102
        adductors 165,115 335,112
        biceps_femoris 95,112 110,70 115,55 410,105 425,90 395,70 390,50
        semitendinosus 340,52
        semimembranosus 150,85 165,65 135,105 365,100 340,85 350,68
    """,
    4: """
        rectus_femoris 103,212 415,205
        vasti 55,170 60,125 85,160 90,130 100,195 150,190 140,160 365,190 370,160 465,160 430,170 425,125 440,105
        sartorius 188,155 327,155
        gracilis 205,110 310,115
        adductors 150,120 180,105 128,118 165,90 350,110 380,125
        biceps_femoris 100,115 85,95 110,75 115,50 408,120 425,90 395,85 405,70 385,45
        semitendinosus 145,55 362,55
        semimembranosus 172,50 180,60 338,55 335,45
    """,
    6: """
        rectus_femoris 105,215 410,210
        vasti 55,170 60,130 85,170 95,135 150,185 140,165 380,190 375,170 470,170 435,160 440,110 425,190
        sartorius 185,180 335,180
        gracilis 210,125 305,125
        adductors 150,120 180,100 130,110 350,110 370,125 330,90
        biceps_femoris 105,115 110,70 120,45 412,110 400,75 395,45
        semitendinosus 150,55 357,50
        semimembranosus 180,45 328,50
    """,
}
"""Points (x, y) well inside of muscles of one slice (from 0 at the knee), followed up and down the thigh by eye."""


@dataclass(frozen=True, eq=False)
class DixonThigh:
    """The echo in phase as a scan, water and fat on its voxels, and the masks; all (z, y, x)."""

    echo: Volume
    water: Image
    fat: Image
    muscle: Mask
    femur: Mask
    outer: Mask

    def weighted(self, of_water: float, of_fat: float) -> Image:
        """What a scan would show that gives muscle and fat these signals: 0.42 and 1 is about T1; with little noise."""
        rng = np.random.default_rng(0)
        rim = self.outer & ~self.muscle & (self.fat > self.water)
        image = of_water * self.water / np.median(self.water[self.muscle])
        image += of_fat * self.fat / np.median(self.fat[rim])
        return np.abs(image + rng.normal(0, 0.015, image.shape) + 1j * rng.normal(0, 0.015, image.shape))


def dice(found: Mask, wanted: Mask) -> float:
    """Dice on the slices that have a reference."""
    found, wanted = found[_SLICES], wanted[_SLICES]
    return float(2 * (found & wanted).sum() / (found.sum() + wanted.sum()))


def points() -> list[tuple[tuple[int, int, int], str]]:
    """Every point of ``POINTS`` as (z, y, x), and its muscle."""
    found: list[tuple[tuple[int, int, int], str]] = []
    for z, text in POINTS.items():
        for name, *places in (line.split() for line in text.strip().splitlines()):
            found += [((z, *reversed([int(n) for n in place.split(",")])), name) for place in places]
    return found


def read_dixon_thigh(folder: Path) -> DixonThigh:
    """The thigh of ``shared/data/thigh_siemens_dixon``."""
    names = (("0006", "0007", 345), ("0008", "0009", 460), ("0010", "0011", 575))
    echoes: list[Echo] = []
    for size, phase, te in names:
        magnitude, angle = (read_volume(folder / f"{n}-Dixon_TE_{te}_th.nii.gz") for n in (size, phase))
        turn = np.asarray(angle.voxels, np.float64) / 4096 * 2 * np.pi
        echoes.append(np.asarray(magnitude.voxels, np.float64) * np.exp(1j * turn))
    cuts = [_cut(*slices) for slices in zip(*echoes, strict=True)]
    water, fat, muscle, femur, outer = (np.stack(part) for part in zip(*cuts, strict=True))
    echo = read_volume(folder / "0008-Dixon_TE_460_th.nii.gz")
    return DixonThigh(echo, water, fat, muscle > 0, femur > 0, outer > 0)


def _cut(first: Echo, second: Echo, third: Echo) -> tuple[Image, Image, Mask, Mask, Mask]:
    """Water, fat, muscle, femur and outer surface of one slice."""
    in_phase, apart = np.abs(second), (np.abs(first) + np.abs(third)) / 2
    outer = _outer(in_phase)
    field = _smooth(third * first.conj(), 1.5)
    half_turn = np.asarray(unwrap_phase(np.ma.array(np.angle(field), mask=~outer)).filled(0)) / 2
    sign = np.sign(_smooth(second * first.conj() * np.exp(-1j * half_turn), 1.0).real)
    legs, count = ndimage.label(outer)
    for leg in range(1, count + 1):  # half of a turn is known but for a sign: there is fat beneath the skin
        rim = _eroded(legs == leg, 3) & ~_eroded(legs == leg, 8)
        sign[legs == leg] *= -1 if sign[rim].sum() > 0 else 1
    water, fat = (np.clip((in_phase + way * sign * apart) / 2, 0, None) * outer for way in (1, -1))

    around = ndimage.gaussian_filter(in_phase, 12)
    shading = np.clip(around / np.median(around[outer]), 0.3, 2)
    more_water = ndimage.gaussian_filter(water, 0.7) > ndimage.gaussian_filter(fat, 0.7)
    bright = ndimage.gaussian_filter(water, 0.7) > 0.35 * np.percentile(water[outer], 75) * np.minimum(shading, 1)
    muscle = _large(_opened(more_water & bright & _eroded(outer, 4), 2), 150)
    bright_fat = ~more_water & (ndimage.gaussian_filter(in_phase, 0.7) > 0.35 * around)
    dark = ndimage.gaussian_filter(in_phase, 0.6) < 0.45 * np.median(in_phase[outer]) * np.maximum(shading, 0.4)
    femur = _femur(bright_fat & _eroded(outer, 9), dark & _eroded(outer, 9))
    return water, fat, muscle & ~femur, femur, outer


def _outer(in_phase: Image) -> Mask:
    around = np.maximum(ndimage.gaussian_filter(in_phase, 12), 0.15 * np.percentile(in_phase, 99))
    body = _large(_opened(ndimage.gaussian_filter(in_phase, 1) > 0.3 * around, 3), 4000)
    body = ndimage.binary_fill_holes(_closed(body, 6))
    return _large(_opened(body, 6), 4000)


def _femur(fat: Mask, dark: Mask) -> Mask:
    """Marrow is a round piece of fat with a dark ring around it, one in each half; the ring is its cortex."""
    found = np.zeros(fat.shape, bool)
    pieces, count = ndimage.label(_opened(fat, 1))
    best: dict[bool, tuple[float, Mask]] = {}
    for piece in range(1, count + 1):
        marrow = pieces == piece
        area = int(marrow.sum())
        if not 60 < area < 2600:
            continue
        ring = _dilated(marrow, 3) & ~_dilated(marrow, 1)
        score = float(dark[ring].mean()) * np.sqrt(area)
        half = bool(np.argwhere(marrow)[:, 1].mean() > fat.shape[1] / 2)
        if dark[ring].mean() > 0.45 and score > best.get(half, (0.0, marrow))[0]:
            best[half] = score, marrow
    for _, marrow in best.values():
        reach = 12 if marrow.sum() < 14**2 * np.pi else 8
        bone = (dark | marrow) & _dilated(marrow, reach)
        pieces, _ = ndimage.label(bone)
        bone = pieces == pieces[tuple(np.argwhere(marrow)[0])]
        found |= _opened(ndimage.binary_fill_holes(_closed(bone, 2)), 4)
    return found


def _smooth(values: Echo, sigma: float) -> Echo:
    return ndimage.gaussian_filter(values.real, sigma) + 1j * ndimage.gaussian_filter(values.imag, sigma)


def _large(mask: Mask, pixels: int) -> Mask:
    pieces, count = ndimage.label(mask)
    sizes = ndimage.sum_labels(mask, pieces, range(count + 1))
    return mask & (np.asarray(sizes) >= pixels)[pieces]


def _eroded(mask: Mask, radius: int) -> Mask:
    return ndimage.binary_erosion(mask, disk(radius), border_value=1)


def _dilated(mask: Mask, radius: int) -> Mask:
    return ndimage.binary_dilation(mask, disk(radius))


def _opened(mask: Mask, radius: int) -> Mask:
    return _dilated(_eroded(mask, radius), radius)


def _closed(mask: Mask, radius: int) -> Mask:
    return _eroded(_dilated(mask, radius), radius)
