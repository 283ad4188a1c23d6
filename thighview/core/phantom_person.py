"""A made-up person: the measures of two thighs, drawn at random.

Nothing here is taken from a scan. A leg is drawn in its own plane: ``u`` grows away from the midline (lateral),
``v`` towards the front, both divided by the radius of the fascia, so that the muscle compartment is the unit disc.
Each muscle is one or more sites (u, v, reach) that wander with the level along the thigh; a point belongs to the
muscle whose site is nearest after its reach is taken off (an additively weighted Voronoi diagram, whose borders are
hyperbolas), and where two muscles are about equally near lies the fat between them.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from thighview.core.phantom_names import MUSCLES

Floats = NDArray[np.float32]

LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Levels of the table below: 0 is just above the knee cap, 1 just below the groin."""
_NO = -60
"""Reach of a muscle that is not there at a level."""
FAT_SITE = -1

# muscle, then u, v and reach at each level, in hundredths of the radius of the fascia
_SITES: tuple[tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...]], ...] = (
    (0, (8, 10, 12, 14, 12, 10), (84, 84, 79, 76, 74, 70), (_NO, -4, 10, 15, 15, 12)),
    (1, (70, 73, 74, 74, 72, 68), (22, 22, 18, 18, 22, 26), (6, 16, 22, 24, 23, 16)),
    (1, (52, 55, 52, 50, 50, 50), (55, 56, 60, 60, 60, 60), (-4, 8, 15, 17, 16, 8)),
    (1, (62, 62, 60, 58, 55, 52), (0, -6, -10, -12, -10, -5), (-10, 0, 7, 9, 8, 0)),
    (2, (-40, -42, -38, -32, -24, -14), (52, 50, 46, 44, 42, 40), (28, 27, 22, 17, 10, -8)),
    (2, (-62, _NO, -52, -42, -30, -20), (20, 22, 28, 32, 32, 30), (14, 13, 6, -1, -14, _NO)),
    (3, (14, 12, 10, 10, 12, 12), (66, 58, 46, 44, 44, 44), (-8, 4, 11, 12, 12, 8)),
    (3, (44, 42, 38, 36, 36, 36), (44, 40, 30, 26, 26, 26), (-8, 0, 8, 10, 10, 6)),
    (3, (-10, -10, -8, -5, -2, 0), (50, 45, 36, 32, 32, 32), (-20, -4, 2, 4, 4, 0)),
    (4, (-78, -84, -81, -69, -47, -19), (-19, -2, 27, 53, 73, 85), (2, 3, 4, 5, 6, 7)),
    (5, (-72, -81, -90, -95, -95, -92), (-44, -36, -25, -16, -10, -5), (-5, -1, 1, 3, 5, 6)),
    (6, (-45, -45, -48, -52, -56, -55), (5, 8, 12, 17, 24, 32), (_NO, _NO, -10, 10, 18, 20)),
    (7, (-40, -40, -39, -42, -42, -42), (-8, -8, -15, -25, -28, -28), (-18, -4, 13, 25, 31, 34)),
    (7, (5, 5, 2, 0, 2, 4), (-15, -15, -16, -18, -18, -18), (_NO, _NO, -10, 5, 12, 16)),
    (8, (42, 35, 25, 20, 16, 10), (-62, -68, -72, -73, -72, -70), (8, 14, 18, 17, 10, 0)),
    (8, (52, 46, 38, 30, 27, 26), (-28, -28, -22, -22, -22, -22), (11, 12, 8, -1, -12, _NO)),
    (8, (62, 58, 52, 44, 40, 40), (-36, -38, -37, -37, -37, -37), (6, 8, 4, -1, -12, _NO)),
    (9, (-24, -20, -16, -12, -8, -6), (-84, -86, -85, -82, -80, -78), (-10, 0, 8, 13, 12, 5)),
    (10, (-40, -43, -44, -40, -34, -28), (-50, -54, -62, -68, -68, _NO), (24, 23, 17, 11, 0, -20)),
    (11, (50, 50, 50, 48, 46, 44), (-70, -70, -70, -70, -68, -62), (_NO, _NO, _NO, _NO, -5, 24)),
    (FAT_SITE, (4, 2, 4, 6, 6, 6), (-34, -32, -36, -44, -46, -46), (20, 10, -2, -6, -6, -5)),
    (FAT_SITE, (-16, -22, -40, -42, -34, -26), (-24, -8, 4, 32, 52, 66), (2, -3, -6, -5, -3, 1)),
    (FAT_SITE, (10, 12, 12, 12, 12, 12), (90, 98, 110, 110, 110, 110), (0, -10, _NO, _NO, _NO, _NO)),
)  # fmt: skip
SITE_MUSCLE = np.array([row[0] for row in _SITES])
SHORT_HEAD = len(MUSCLES)
"""Stands for the short head of biceps femoris in ``SITE_PART``: one muscle with the long head, but fat lies between."""
SITE_PART = SITE_MUSCLE.copy()
_BICEPS = MUSCLES.index("biceps_femoris")
SITE_PART[np.flatnonzero(SITE_MUSCLE == _BICEPS)[1:]] = SHORT_HEAD
PARTS = SHORT_HEAD + 2
"""Muscles, the short head and, last, the fat between."""
_SITE_TABLES = [PchipInterpolator(LEVELS, np.array(row[1:]).T / 100) for row in _SITES]

FASCIA_MM = PchipInterpolator(LEVELS, (50.0, 57.0, 65.0, 71.0, 75.0, 77.0))
FAT_SHARE = PchipInterpolator(LEVELS, (0.75, 0.75, 0.85, 1.0, 1.2, 1.45))
FEMUR_UV = PchipInterpolator(
    LEVELS, ((0.16, 0.30), (0.16, 0.26), (0.15, 0.18), (0.15, 0.14), (0.18, 0.12), (0.22, 0.12))
)
FEMUR_MM = PchipInterpolator(LEVELS, (21.0, 16.5, 14.2, 13.8, 14.2, 16.0))
CORTEX_MM = PchipInterpolator(LEVELS, (2.6, 3.8, 5.4, 6.2, 6.2, 5.4))
VESSEL_UV = PchipInterpolator(
    LEVELS, ((-0.10, -0.28), (-0.22, -0.08), (-0.39, 0.14), (-0.41, 0.33), (-0.34, 0.50), (-0.26, 0.65))
)

ANGLES = 2048
GRAIN, GRAIN_MM = 256, 0.55
_REACH_MM = 150.0
"""Half the edge of the box around a leg in which its noise fields are defined, mm."""


def sites_at(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sites (u, v, reach) of the muscles, shape (sites, 3), each at a level of its own."""
    return np.stack([table(level) for table, level in zip(_SITE_TABLES, np.clip(levels, 0.0, 1.0), strict=True)])


@lru_cache(maxsize=64)
def _cubic(count: int) -> NDArray[np.float64]:
    """Weights of the four cubic B-splines at ``count`` places inside one cell, shape (count, 4)."""
    f = np.linspace(0.0, 1.0, count)
    return np.stack([(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3], 1) / 6


def spline_weights(at: NDArray[np.floating], cells: int) -> Floats:
    """Cubic B-spline weights, float32 (len(at), cells + 3), of places ``at`` counted in cells from 0 to ``cells``."""
    at = np.clip(np.asarray(at, np.float64), 0.0, cells - 1e-6)
    cell = at.astype(np.intp)
    four = _cubic(1025)[np.round((at - cell) * 1024).astype(np.intp)]
    out = np.zeros((len(at), cells + 3), np.float32)
    np.put_along_axis(out, cell[:, None] + np.arange(4), four.astype(np.float32), 1)
    return out


@dataclass(frozen=True, eq=False)
class Noise:
    """A smooth random field in a box around a leg: cubic B-splines on a grid of knots (z, y, x), about N(0, 1)."""

    knots: Floats
    span_mm: tuple[float, float]

    @staticmethod
    def draw(rng: np.random.Generator, cell_z_mm: float, cell_y_mm: float, cell_x_mm: float) -> "Noise":
        """A field with knots this far apart, mm; z runs over 0 to 500 mm, y and x over the box of a leg."""
        box = 2 * _REACH_MM
        cells = (500.0 / cell_z_mm, box / cell_y_mm, box / cell_x_mm)
        counts = [max(2, int(np.ceil(c))) + 3 for c in cells]
        return Noise(rng.standard_normal(counts, dtype=np.float32) * np.float32(2.2), (500.0, box))

    def at(self, z_mm: float, y_mm: Floats, x_mm: Floats) -> Floats:
        """Values at height ``z_mm`` on rows ``y_mm`` and columns ``x_mm`` (from the leg's axis), shape (y, x)."""
        nz, ny, nx = (n - 3 for n in self.knots.shape)
        wz = spline_weights(np.array([z_mm / self.span_mm[0] * nz]), nz)[0]
        wy = spline_weights((y_mm / self.span_mm[1] + 0.5) * ny, ny)
        wx = spline_weights((x_mm / self.span_mm[1] + 0.5) * nx, nx)
        live = np.flatnonzero(wz)
        plane = np.tensordot(wz[live], self.knots[live], 1)
        return wy @ plane @ wx.T


@dataclass(frozen=True, eq=False)
class Leg:
    """One thigh. Lengths in mm, angles in radians; ``side`` is +1 for the patient's left (LPS +x), -1 for the right.

    ``level_shift``, by ``SITE_PART``, is how much lower along the thigh each muscle begins, crosses over and ends than
    in the table, in levels; ``vessel_shift`` moves the femoral vessels (u, v).
    """

    side: int
    turn: float
    scale: float
    fascia_waves: NDArray[np.float64]
    fat_waves: NDArray[np.float64]
    femur_waves: NDArray[np.float64]
    site_shift: NDArray[np.float64]
    level_shift: NDArray[np.float64]
    vessel_shift: NDArray[np.float64]
    femur_shift: NDArray[np.float64]
    infiltration: NDArray[np.float64]
    warp: tuple[Noise, Noise]
    fine_warp: tuple[Noise, Noise]
    gap_noise: Noise
    grain_angle: NDArray[np.float64]
    grain_shift: NDArray[np.float64]
    patches: Noise
    septa: Noise


@dataclass(frozen=True, eq=False)
class Person:
    """A made-up person: two legs and what they share.

    ``fat_mm`` is the mean thickness of the fat beneath the skin at mid-thigh, ``gap_mm`` the width of the fat between
    two muscles, ``apart_mm`` the air between the thighs at their widest, ``spread`` how much further apart per mm
    towards the knee, ``length_mm`` the length of thigh from level 0 to level 1, ``pressed`` the share of the fat at the
    back that the table leaves.
    """

    legs: tuple[Leg, Leg]
    fat_mm: float
    skin_mm: float
    gap_mm: float
    apart_mm: float
    spread: float
    length_mm: float
    cortex: float
    squash: float
    droop: float
    pressed: float

    def centre_mm(self, side: int, level: float) -> tuple[float, float]:
        """LPS (x, y) of the axis of one thigh at a level, the midline between the thighs at x = 0."""
        leg = self.legs[0] if side > 0 else self.legs[1]
        widest = 0.94 * leg.scale * float(FASCIA_MM(1.0)) + 0.6 * self.fat_mm * float(FAT_SHARE(1.0)) + self.skin_mm
        x = widest + self.apart_mm / 2 + self.spread * (1.0 - level) * self.length_mm
        return side * x, self.droop * (level - 0.5)


def _waves(rng: np.random.Generator, sizes: tuple[float, ...]) -> NDArray[np.float64]:
    """Cosine and sine amplitudes of orders 1, 2, ... at level 0 and level 1, shape (2, 2, orders)."""
    base = rng.normal(0.0, 1.0, (1, 2, len(sizes))) + rng.normal(0.0, 0.4, (2, 2, len(sizes)))
    return base * np.array(sizes)


def round_waves(waves: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Sum of waves over one turn at a level, shape (ANGLES,)."""
    theta = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    now = waves[0] * (1 - level) + waves[1] * level
    orders = np.arange(1, now.shape[1] + 1)[:, None]
    return now[0] @ np.cos(orders * theta) + now[1] @ np.sin(orders * theta)


def draw_person(rng: np.random.Generator, wide: bool = False) -> Person:
    """Draw a person: size, fat from athletic to obese, atrophy, fatty infiltration, stance, and two like legs.

    ``wide`` spreads size, shape, turn of the legs and wandering of the muscles further than people do: for training.
    """
    more = 1.7 if wide else 1.0
    scale = float(np.clip(rng.normal(1.0, 0.1 * more), 0.65, 1.35))
    fat_mm = float(np.clip(rng.lognormal(np.log(11.0), 0.55 * more), 1.5, 45.0 if wide else 38.0))
    gap_mm = float(np.clip(rng.lognormal(np.log(0.9), 0.5 * more), 0.2, 4.0))
    infiltrated = float(rng.choice([0.0, 0.12, 0.35], p=[0.6, 0.28, 0.12] if wide else [0.8, 0.16, 0.04]))
    shift = rng.normal(0.0, 0.022 * more, (3, len(_SITES)))
    fascia, fat, femur = (
        _waves(rng, (0.012, 0.035, 0.02, 0.008)),
        _waves(rng, (0.2, 0.14, 0.06)),
        _waves(rng, (0.03, 0.04, 0.03)),
    )
    level_shift, vessel_shift = rng.normal(0.0, 0.025 * more, PARTS), rng.normal(0.0, 0.02 * more, 2)
    femur_shift = rng.normal(0.0, 0.02 * more, 2)
    turn = float(rng.normal(0.0, 0.12 * more))

    def leg(side: int) -> Leg:
        return Leg(
            side=side,
            turn=turn + float(rng.normal(0.0, 0.06)),
            scale=scale * float(1 + rng.normal(0.0, 0.012)),
            fascia_waves=fascia + 0.3 * _waves(rng, (0.012, 0.035, 0.02, 0.008)),
            fat_waves=fat + 0.3 * _waves(rng, (0.2, 0.14, 0.06)),
            femur_waves=femur,
            site_shift=shift + rng.normal(0.0, 0.008, shift.shape),
            level_shift=level_shift + rng.normal(0.0, 0.01, PARTS),
            vessel_shift=vessel_shift + rng.normal(0.0, 0.01, 2),
            femur_shift=femur_shift + rng.normal(0.0, 0.006, 2),
            infiltration=np.clip(infiltrated * rng.lognormal(0.0, 0.6, len(MUSCLES)), 0.0, 0.7),
            warp=(Noise.draw(rng, 120.0, 30.0, 30.0), Noise.draw(rng, 120.0, 30.0, 30.0)),
            fine_warp=(Noise.draw(rng, 60.0, 15.0, 15.0), Noise.draw(rng, 60.0, 15.0, 15.0)),
            gap_noise=Noise.draw(rng, 45.0, 13.0, 13.0),
            grain_angle=rng.uniform(0.0, np.pi, len(MUSCLES) + 1),
            grain_shift=rng.uniform(0.0, GRAIN_MM * GRAIN, 2),
            patches=Noise.draw(rng, 50.0, 14.0, 14.0),
            septa=Noise.draw(rng, 30.0, 9.0, 9.0),
        )  # fmt: skip

    return Person(
        legs=(leg(1), leg(-1)),
        fat_mm=fat_mm,
        skin_mm=float(rng.uniform(1.2, 2.2)),
        gap_mm=gap_mm,
        apart_mm=float(rng.choice([rng.uniform(-4.0, 4.0), rng.uniform(4.0, 50.0)], p=[0.3, 0.7])),
        spread=float(rng.uniform(0.0, 0.06)),
        length_mm=float(360.0 * np.sqrt(scale) * rng.uniform(0.92, 1.08)),
        cortex=float(rng.uniform(0.8, 1.15)),
        squash=float(rng.normal(-0.01, 0.03 * more)),
        droop=float(rng.normal(0.0, 6.0)),
        pressed=float(rng.uniform(0.3, 1.4)),
    )
