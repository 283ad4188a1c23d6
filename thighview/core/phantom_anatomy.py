"""The anatomy of a made-up person: where skin, fat, muscles, bone and vessels lie on an axial cut of both thighs.

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

Floats = NDArray[np.float32]

AIR, SKIN, FAT, FASCIA, MUSCLE, GAP_FAT, CORTEX, MARROW, ARTERY, VEIN, NERVE = range(11)
"""Materials of a cut."""
MATERIALS = 11

MUSCLES = (
    "rectus_femoris",
    "vastus_lateralis",
    "vastus_medialis",
    "vastus_intermedius",
    "sartorius",
    "gracilis",
    "adductor_longus",
    "adductor_magnus",
    "biceps_femoris",
    "semitendinosus",
    "semimembranosus",
    "gluteus_maximus",
)

LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Levels of the table below: 0 is just above the knee cap, 1 just below the groin."""
_NO = -0.6
"""Reach of a muscle that is not there at a level."""
_FAT_SITE = -1

# muscle, then u, v, reach at each level
_SITES: tuple[tuple[int, tuple[float, ...], tuple[float, ...], tuple[float, ...]], ...] = (
    (0, (0.08, 0.10, 0.12, 0.14, 0.12, 0.10), (0.84, 0.84, 0.79, 0.76, 0.74, 0.70), (_NO, -0.04, 0.10, 0.15, 0.15, 0.12)),
    (1, (0.70, 0.73, 0.74, 0.74, 0.72, 0.68), (0.22, 0.22, 0.18, 0.18, 0.22, 0.26), (0.06, 0.16, 0.22, 0.24, 0.23, 0.16)),
    (1, (0.52, 0.55, 0.52, 0.50, 0.50, 0.50), (0.55, 0.56, 0.60, 0.60, 0.60, 0.60), (-0.04, 0.08, 0.15, 0.17, 0.16, 0.08)),
    (1, (0.62, 0.62, 0.60, 0.58, 0.55, 0.52), (0.00, -0.06, -0.10, -0.12, -0.10, -0.05), (-0.1, 0.0, 0.07, 0.09, 0.08, 0.0)),
    (2, (-0.40, -0.42, -0.38, -0.30, -0.22, -0.14), (0.52, 0.50, 0.46, 0.42, 0.40, 0.40), (0.28, 0.27, 0.21, 0.14, 0.06, -0.1)),
    (2, (-0.62, -0.60, -0.52, -0.42, -0.30, -0.20), (0.20, 0.22, 0.28, 0.30, 0.30, 0.30), (0.14, 0.13, 0.05, -0.05, -0.2, _NO)),
    (3, (0.14, 0.12, 0.10, 0.10, 0.12, 0.12), (0.66, 0.58, 0.46, 0.44, 0.44, 0.44), (-0.08, 0.04, 0.11, 0.12, 0.12, 0.08)),
    (3, (0.44, 0.42, 0.38, 0.36, 0.36, 0.36), (0.44, 0.40, 0.30, 0.26, 0.26, 0.26), (-0.08, 0.00, 0.08, 0.10, 0.10, 0.06)),
    (3, (-0.10, -0.10, -0.08, -0.05, -0.02, 0.0), (0.50, 0.45, 0.36, 0.32, 0.32, 0.32), (-0.2, -0.04, 0.02, 0.04, 0.04, 0.0)),
    (4, (-0.76, -0.80, -0.76, -0.64, -0.44, -0.18), (-0.18, -0.02, 0.24, 0.50, 0.70, 0.84), (0.02, 0.03, 0.04, 0.05, 0.06, 0.07)),
    (5, (-0.72, -0.80, -0.87, -0.90, -0.90, -0.88), (-0.44, -0.36, -0.24, -0.15, -0.10, -0.05), (-0.05, -0.01, 0.01, 0.03, 0.05, 0.06)),
    (6, (-0.45, -0.45, -0.48, -0.52, -0.56, -0.55), (0.05, 0.08, 0.12, 0.17, 0.24, 0.32), (_NO, _NO, -0.10, 0.10, 0.18, 0.20)),
    (7, (-0.30, -0.32, -0.36, -0.42, -0.42, -0.42), (-0.12, -0.12, -0.17, -0.25, -0.28, -0.28), (_NO, -0.12, 0.13, 0.25, 0.31, 0.34)),
    (7, (0.05, 0.05, 0.02, 0.00, 0.02, 0.04), (-0.15, -0.15, -0.16, -0.18, -0.18, -0.18), (_NO, _NO, -0.10, 0.05, 0.12, 0.16)),
    (8, (0.48, 0.42, 0.34, 0.24, 0.16, 0.10), (-0.58, -0.63, -0.67, -0.70, -0.70, -0.70), (0.08, 0.14, 0.18, 0.16, 0.09, 0.0)),
    (8, (0.52, 0.46, 0.38, 0.32, 0.30, 0.30), (-0.28, -0.28, -0.22, -0.20, -0.20, -0.20), (0.11, 0.12, 0.08, -0.08, _NO, _NO)),
    (9, (-0.24, -0.16, -0.08, -0.06, -0.06, -0.06), (-0.84, -0.84, -0.82, -0.80, -0.80, -0.78), (-0.10, 0.05, 0.12, 0.14, 0.12, 0.05)),
    (10, (-0.40, -0.42, -0.40, -0.34, -0.28, -0.25), (-0.50, -0.54, -0.62, -0.68, -0.66, -0.60), (0.24, 0.23, 0.17, 0.08, -0.04, -0.2)),
    (11, (0.50, 0.50, 0.50, 0.48, 0.46, 0.44), (-0.70, -0.70, -0.70, -0.70, -0.68, -0.62), (_NO, _NO, _NO, _NO, -0.05, 0.24)),
    (_FAT_SITE, (0.04, 0.02, 0.04, 0.06, 0.06, 0.06), (-0.34, -0.32, -0.36, -0.44, -0.46, -0.46), (0.20, 0.10, -0.02, -0.06, -0.06, -0.05)),
    (_FAT_SITE, (-0.16, -0.22, -0.40, -0.42, -0.34, -0.26), (-0.24, -0.08, 0.04, 0.32, 0.52, 0.66), (0.02, -0.03, -0.06, -0.05, -0.03, 0.01)),
    (_FAT_SITE, (0.10, 0.12, 0.12, 0.12, 0.12, 0.12), (0.90, 0.98, 1.1, 1.1, 1.1, 1.1), (0.0, -0.1, _NO, _NO, _NO, _NO)),
)  # fmt: skip
_SITE_MUSCLE = np.array([row[0] for row in _SITES])
_SITE_TABLE = PchipInterpolator(LEVELS, np.array([row[1:] for row in _SITES]).transpose(2, 0, 1))

_FASCIA_MM = PchipInterpolator(LEVELS, (50.0, 57.0, 65.0, 71.0, 75.0, 77.0))
_FAT_SHARE = PchipInterpolator(LEVELS, (0.75, 0.75, 0.85, 1.0, 1.2, 1.45))
_FEMUR_UV = PchipInterpolator(
    LEVELS, ((0.16, 0.30), (0.16, 0.26), (0.15, 0.18), (0.15, 0.14), (0.18, 0.12), (0.22, 0.12))
)
_FEMUR_MM = PchipInterpolator(LEVELS, (21.0, 16.5, 14.2, 13.8, 14.2, 16.0))
_CORTEX_MM = PchipInterpolator(LEVELS, (2.6, 3.8, 5.4, 6.2, 6.2, 5.4))
_VESSEL_UV = PchipInterpolator(
    LEVELS, ((-0.10, -0.28), (-0.22, -0.08), (-0.40, 0.05), (-0.41, 0.32), (-0.33, 0.52), (-0.26, 0.65))
)

_ANGLES = 2048
_REACH_MM = 150.0
"""Half the edge of the box around a leg in which its noise fields are defined, mm."""


@lru_cache(maxsize=64)
def _cubic(count: int) -> NDArray[np.float64]:
    """Weights of the four cubic B-splines at ``count`` places inside one cell, shape (count, 4)."""
    f = np.linspace(0.0, 1.0, count)
    return np.stack([(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3], 1) / 6


def spline_weights(at: NDArray[np.floating], cells: int) -> Floats:
    """Cubic B-spline weights, float32 shape (len(at), cells + 3), of places ``at`` counted in cells from 0 to ``cells``."""
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
    """One thigh. Lengths in mm, angles in radians; ``side`` is +1 for the patient's left (LPS +x), -1 for the right."""

    side: int
    turn: float
    scale: float
    fascia_waves: NDArray[np.float64]
    fat_waves: NDArray[np.float64]
    femur_waves: NDArray[np.float64]
    site_shift: NDArray[np.float64]
    femur_shift: NDArray[np.float64]
    infiltration: NDArray[np.float64]
    warp: tuple[Noise, Noise]
    fine_warp: tuple[Noise, Noise]
    gap_noise: Noise
    streaks: Noise
    patches: Noise
    septa: Noise


@dataclass(frozen=True, eq=False)
class Person:
    """A made-up person: two legs and what they share.

    ``fat_mm`` is the mean thickness of the fat beneath the skin at mid-thigh, ``gap_mm`` the width of the fat between
    two muscles, ``apart_mm`` the air between the thighs at their widest, ``spread`` how much further apart per mm
    towards the knee, ``length_mm`` the length of thigh from level 0 to level 1.
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

    def centre_mm(self, side: int, level: float) -> tuple[float, float]:
        """LPS (x, y) of the axis of one thigh at a level, the midline between the thighs at x = 0."""
        leg = self.legs[0] if side > 0 else self.legs[1]
        widest = 0.94 * leg.scale * float(_FASCIA_MM(1.0)) + 0.6 * self.fat_mm * float(_FAT_SHARE(1.0)) + self.skin_mm
        x = widest + self.apart_mm / 2 + self.spread * (1.0 - level) * self.length_mm
        return side * x, self.droop * (level - 0.5)


def _waves(rng: np.random.Generator, sizes: tuple[float, ...]) -> NDArray[np.float64]:
    """Cosine and sine amplitudes of orders 1, 2, ... at level 0 and level 1, shape (2, 2, orders)."""
    base = rng.normal(0.0, 1.0, (1, 2, len(sizes))) + rng.normal(0.0, 0.4, (2, 2, len(sizes)))
    return base * np.array(sizes)


def _round(waves: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Sum of waves over one turn at a level, shape (_ANGLES,)."""
    theta = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    now = waves[0] * (1 - level) + waves[1] * level
    orders = np.arange(1, now.shape[1] + 1)[:, None]
    return now[0] @ np.cos(orders * theta) + now[1] @ np.sin(orders * theta)


def draw_person(rng: np.random.Generator) -> Person:
    """Draw a person: size, fat from athletic to obese, atrophy, fatty infiltration, stance, and two like legs."""
    scale = float(np.clip(rng.normal(1.0, 0.1), 0.75, 1.25))
    fat_mm = float(np.clip(rng.lognormal(np.log(11.0), 0.55), 3.0, 38.0))
    gap_mm = float(np.clip(rng.lognormal(np.log(0.9), 0.5), 0.3, 3.5))
    infiltrated = float(rng.choice([0.0, 0.12, 0.35], p=[0.6, 0.3, 0.1]))
    shift = np.stack([rng.normal(0.0, 0.022, (3, len(_SITES))) for _ in range(1)])[0]
    fascia, fat, femur = (
        _waves(rng, (0.012, 0.035, 0.02, 0.008)),
        _waves(rng, (0.2, 0.14, 0.06)),
        _waves(rng, (0.03, 0.04, 0.03)),
    )
    femur_shift = rng.normal(0.0, 0.02, 2)
    turn = float(rng.normal(0.0, 0.12))

    def leg(side: int) -> Leg:
        return Leg(
            side=side,
            turn=turn + float(rng.normal(0.0, 0.06)),
            scale=scale * float(1 + rng.normal(0.0, 0.012)),
            fascia_waves=fascia + 0.3 * _waves(rng, (0.012, 0.035, 0.02, 0.008)),
            fat_waves=fat + 0.3 * _waves(rng, (0.2, 0.14, 0.06)),
            femur_waves=femur,
            site_shift=shift + rng.normal(0.0, 0.008, shift.shape),
            femur_shift=femur_shift + rng.normal(0.0, 0.006, 2),
            infiltration=np.clip(infiltrated * rng.lognormal(0.0, 0.6, len(MUSCLES)), 0.0, 0.7),
            warp=(Noise.draw(rng, 120.0, 34.0, 34.0), Noise.draw(rng, 120.0, 34.0, 34.0)),
            fine_warp=(Noise.draw(rng, 50.0, 11.0, 11.0), Noise.draw(rng, 50.0, 11.0, 11.0)),
            gap_noise=Noise.draw(rng, 45.0, 13.0, 13.0),
            streaks=Noise.draw(rng, 30.0, 4.0, 6.5),
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
        squash=float(rng.normal(0.02, 0.03)),
        droop=float(rng.normal(0.0, 6.0)),
    )


@dataclass(frozen=True, eq=False)
class Cut:
    """One axial cut on a grid of rows (towards posterior) and columns (towards patient left).

    ``material`` and ``muscle`` (0 none, 1.. left, len(MUSCLES) + 1.. right) and ``side`` (0, 1 left, 2 right) are uint8;
    ``fatty`` is the share of fat inside a muscle and ``septum`` the share of fibre inside fat, float32 0 to 1.
    """

    material: NDArray[np.uint8]
    muscle: NDArray[np.uint8]
    side: NDArray[np.uint8]
    fatty: Floats
    septum: Floats


def cut_legs(person: Person, level: float, rows_mm: Floats, columns_mm: Floats) -> Cut:
    """Cut both legs at a level (0 knee, 1 groin) on rows and columns given in LPS mm (y, x)."""
    shape = (len(rows_mm), len(columns_mm))
    cut = Cut(
        np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8),
        np.zeros(shape, np.float32), np.zeros(shape, np.float32),
    )  # fmt: skip
    for leg in person.legs:
        x0, y0 = person.centre_mm(leg.side, level)
        reach = 1.35 * (leg.scale * float(_FASCIA_MM(level)) + person.fat_mm * float(_FAT_SHARE(level))) + 5.0
        rows = _near(rows_mm, y0, reach)
        low, high = (0.0, np.inf) if leg.side > 0 else (-np.inf, 0.0)
        columns = _near(columns_mm, x0, reach, low, high)
        if rows.start < rows.stop and columns.start < columns.stop:
            _cut_leg(person, leg, level, rows_mm[rows], columns_mm[columns], cut, (rows, columns))
    return cut


def _near(places: Floats, centre: float, reach: float, low: float = -np.inf, high: float = np.inf) -> slice:
    """The run of sorted places within reach of a centre and between two bounds."""
    first = np.searchsorted(places, max(centre - reach, low))
    return slice(int(first), int(np.searchsorted(places, min(centre + reach, high))))


def _cut_leg(
    person: Person, leg: Leg, level: float, rows: Floats, columns: Floats, cut: Cut, box: tuple[slice, slice]
) -> None:
    """Draw one leg into its box of the cut."""
    x0, y0 = person.centre_mm(leg.side, level)
    z_mm = 60.0 + level * person.length_mm
    y, x = (rows - y0).astype(np.float32), (columns - x0).astype(np.float32)
    fy, fx = leg.fine_warp
    wy, wx = leg.warp
    lateral = (x * leg.side)[None, :] + 2.4 * wx.at(z_mm, y, x) + 0.55 * fx.at(z_mm, y, x)
    front = -y[:, None] + 2.4 * wy.at(z_mm, y, x) + 0.55 * fy.at(z_mm, y, x)
    plain_u, plain_v = np.broadcast_arrays((x * leg.side)[None, :], -y[:, None])
    cos, sin = np.float32(np.cos(leg.turn)), np.float32(np.sin(leg.turn))

    # outlines, by the angle around the leg's axis: fascia, skin
    angle = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    fascia_mm = leg.scale * float(_FASCIA_MM(level)) * (
        1 + _round(leg.fascia_waves, level) + person.squash * np.cos(2 * angle) - 0.03 * np.cos(3 * angle - 0.6)
    )  # fmt: skip
    posterior = np.cos(angle + np.pi / 2) * 0.22 + np.cos(angle - np.pi) * 0.12
    share = np.clip(1 + _round(leg.fat_waves, level) + posterior * (0.4 + level), 0.35, None)
    fat_mm = 1.0 + person.fat_mm * float(_FAT_SHARE(level)) * share
    soft_u, soft_v = 0.5 * (plain_u + lateral), 0.5 * (plain_v + front)
    theta = np.arctan2(soft_v, soft_u)
    turn_index = (theta * np.float32(_ANGLES / (2 * np.pi)) + _ANGLES).astype(np.int32) % _ANGLES
    radius = np.hypot(soft_u, soft_v)
    fascia = fascia_mm.astype(np.float32)[turn_index]
    beyond_mm = radius - fascia
    thick_mm = fat_mm.astype(np.float32)[turn_index]
    clear_mm = np.abs(x + x0)[None, :] - np.float32(max(person.apart_mm, 0.6) / 2)
    inside_mm = np.minimum(thick_mm - beyond_mm, clear_mm)
    body = inside_mm > 0

    # the muscles, in the unit disc
    r_mean = np.float32(fascia_mm.mean())
    ou, ov = lateral / fascia, front / fascia
    u, v = cos * ou - sin * ov, sin * ou + cos * ov
    sites = _SITE_TABLE(level) + leg.site_shift.T
    far = np.float32(9.0)
    near1, near2 = np.full(u.shape, far, np.float32), np.full(u.shape, far, np.float32)
    owner = np.zeros(u.shape, np.int8)
    per_muscle: dict[int, Floats] = {}
    for which, (su, sv, reach) in zip(_SITE_MUSCLE, sites.astype(np.float32), strict=True):
        if reach < -0.45:
            continue
        du, dv = u - su, v - sv
        away = np.sqrt(du * du + dv * dv) - reach
        before = per_muscle.get(int(which))
        per_muscle[int(which)] = away if before is None else np.minimum(before, away)
    for which, away in per_muscle.items():
        closer = away < near1
        near2 = np.where(closer, near1, np.minimum(near2, away))
        owner[closer] = which
        near1 = np.minimum(near1, away)
    apart = (near2 - near1) * (r_mean / 2)
    noise = leg.gap_noise.at(z_mm, y, x)
    width = person.gap_mm / 2 * np.exp(0.55 * noise)
    edge_mm = -beyond_mm
    gap = (apart < width) | (edge_mm < 0.5 * width + 0.5) | (owner == _FAT_SITE)

    material = np.where(gap, np.uint8(GAP_FAT), np.uint8(MUSCLE))
    muscle = np.where(gap, 0, owner + 1).astype(np.uint8)
    _put_bone_and_vessels(person, leg, level, (u, v), float(r_mean), material)
    material[edge_mm < 0.55] = FASCIA
    outside = edge_mm < 0
    material[outside] = FAT
    material[inside_mm < person.skin_mm] = SKIN
    material[~body] = AIR
    muscle[material != MUSCLE] = 0
    _texture(leg, z_mm, y, x, material, muscle, cut, box, beyond_mm / thick_mm)
    offset = 0 if leg.side > 0 else len(MUSCLES)
    view = cut.material[box]
    view[body] = material[body]
    cut.muscle[box][body] = np.where(muscle > 0, muscle + offset, 0)[body]
    cut.side[box][body] = 1 if leg.side > 0 else 2


def _put_bone_and_vessels(
    person: Person, leg: Leg, level: float, uv: tuple[Floats, Floats], r_mean: float, material: NDArray[np.uint8]
) -> None:
    """Draw femur, femoral artery and vein, and sciatic nerve over the muscles."""
    u, v = uv
    fu, fv = np.asarray(_FEMUR_UV(level)) + leg.femur_shift
    du, dv = (u - np.float32(fu)) * np.float32(r_mean), (v - np.float32(fv)) * np.float32(r_mean)
    outer = float(_FEMUR_MM(level)) * np.sqrt(leg.scale)
    ridge = 0.10 * np.exp(-((np.arange(_ANGLES) * 360.0 / _ANGLES - 265.0) ** 2) / (2 * 22.0**2))
    shape = (outer * (1 + 0.5 * _round(leg.femur_waves, level) + ridge)).astype(np.float32)
    close = np.hypot(du, dv) < 1.5 * outer
    at = np.nonzero(close)
    cu, cv = du[at], dv[at]
    index = (np.arctan2(cv, cu) * np.float32(_ANGLES / (2 * np.pi)) + _ANGLES).astype(np.int32) % _ANGLES
    inward = shape[index] - np.hypot(cu, cv)
    cortex = float(_CORTEX_MM(level)) * person.cortex
    bone = np.where(inward > cortex * (1 + 1.2 * (shape[index] / outer - 1)), MARROW, np.where(inward > 0, CORTEX, 0))
    rim = (inward <= 0) & (inward > -0.5)
    values = material[at]
    material[at] = np.where(bone > 0, bone, np.where(rim & (values == MUSCLE), GAP_FAT, values)).astype(np.uint8)
    pu, pv = _VESSEL_UV(level)
    for (ou, ov), radius, kind in (
        ((0.0, 0.0), 3.3, ARTERY),
        ((0.02, -0.10), 4.2, VEIN),
        ((0.36, -0.28) if level < 0.3 else (0.45, -0.75), 0.0, NERVE),
    ):
        if kind == NERVE:
            continue
        hit = np.hypot(u - np.float32(pu + ou), (v - np.float32(pv + ov)) * np.float32(1.1)) * np.float32(r_mean)
        around = (hit < radius + 1.2) & (material == MUSCLE)
        material[around] = GAP_FAT
        material[(hit < radius) & (material != CORTEX) & (material != MARROW)] = kind
    nu, nv = 0.06, -0.42 - 0.04 * level
    hit = np.hypot((u - np.float32(nu)) * np.float32(0.7), v - np.float32(nv)) * np.float32(r_mean)
    material[(hit < 2.6) & (material == GAP_FAT)] = NERVE


def _texture(
    leg: Leg, z_mm: float, y: Floats, x: Floats, material: NDArray[np.uint8], muscle: NDArray[np.uint8],
    cut: Cut, box: tuple[slice, slice], depth: Floats,
) -> None:  # fmt: skip
    """Fill in the fat inside the muscles (fine streaks and clouds) and the fibres inside the fat."""
    streak, patch, septa = leg.streaks.at(z_mm, y, x), leg.patches.at(z_mm, y, x), leg.septa.at(z_mm, y, x)
    line = np.exp(-((streak / 0.16) ** 2)) * np.clip(0.55 * patch + 0.25, 0.0, 1.0)
    share = np.concatenate([[0.0], leg.infiltration]).astype(np.float32)[muscle]
    fatty = np.clip((0.35 + share) * line + share * np.clip(0.6 + 0.6 * patch + 0.5 * streak, 0.0, 1.5), 0.0, 0.95)
    inner = material == MUSCLE
    cut.fatty[box][inner] = fatty[inner]
    band = np.exp(-(((depth - 0.55 - 0.08 * patch) / 0.025) ** 2)) * 0.5
    fibre = np.clip(np.exp(-((septa / 0.06) ** 2)) * np.clip(0.4 - 0.5 * patch, 0.0, 0.8) + band, 0.0, 1.0)
    inner = material == FAT
    cut.septum[box][inner] = fibre[inner]
