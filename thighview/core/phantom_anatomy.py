"""An axial cut through both thighs of a made-up person: where skin, fat, muscles, bone and vessels lie."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from thighview.core.phantom_person import (
    ANGLES,
    CORTEX_MM,
    FASCIA_MM,
    FAT_SHARE,
    FAT_SITE,
    FEMUR_MM,
    FEMUR_UV,
    GRAIN,
    GRAIN_MM,
    MUSCLES,
    SHORT_HEAD,
    SITE_MUSCLE,
    SITE_PART,
    VESSEL_UV,
    Floats,
    Leg,
    Person,
    round_waves,
    sites_at,
)  # fmt: skip

AIR, SKIN, FAT, FASCIA, MUSCLE, GAP_FAT, CORTEX, MARROW, ARTERY, VEIN, NERVE = range(11)
"""Materials of a cut."""
MATERIALS = 11
_BICEPS = MUSCLES.index("biceps_femoris")
_QUADRICEPS = [MUSCLES.index(m) for m in MUSCLES if m.startswith("vastus") or m == "rectus_femoris"]


@dataclass(frozen=True, eq=False)
class Cut:
    """One axial cut on a grid of rows (towards posterior) and columns (towards patient left).

    ``material``, ``muscle`` (0 none, 1.. left, len(MUSCLES) + 1.. right) and ``side`` (1 left, 2 right, 0 what is no
    part of a thigh: air, kneecap, arms) are uint8. ``fatty`` is the share of fat inside a muscle and ``septum`` that of
    fibre inside fat, float32 0 to 1.
    """

    material: NDArray[np.uint8]
    muscle: NDArray[np.uint8]
    side: NDArray[np.uint8]
    fatty: Floats
    septum: Floats

    def mirrored(self) -> "Cut":
        """The same cut, left for right; sides and muscles keep the numbers they had."""
        parts = (self.material, self.muscle, self.side, self.fatty, self.septum)
        return Cut(*(np.ascontiguousarray(part[:, ::-1]) for part in parts))  # pyright: ignore[reportArgumentType]


def cut_legs(person: Person, level: float, rows_mm: Floats, columns_mm: Floats) -> Cut:
    """Cut both legs at a level (-0.1 knee, 0 above it, 1 groin) on rows and columns given in LPS mm (y, x)."""
    shape = (len(rows_mm), len(columns_mm))
    cut = Cut(
        np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8),
        np.zeros(shape, np.float32), np.zeros(shape, np.float32),
    )  # fmt: skip
    for leg in person.legs:
        x0, y0 = person.centre_mm(leg.side, level)
        reach = 1.35 * (leg.scale * float(FASCIA_MM(level)) + person.fat_mm * float(FAT_SHARE(level))) + 5.0
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
    place = (60.0 + level * person.length_mm, (rows - y0).astype(np.float32), (columns - x0).astype(np.float32))
    slow = 3.6 * leg.warp[0].at(*place), 3.6 * leg.warp[1].at(*place)
    plain_u, plain_v = (place[2] * leg.side)[None, :] + 0.4 * slow[1], -place[1][:, None] + 0.4 * slow[0]

    # outlines by the angle around the leg's axis: fascia, skin; from here on only the pixels of the body, in one row
    angle = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    shape = 1 + round_waves(leg.fascia_waves, level) + (person.squash - 0.06 * level) * np.cos(2 * angle)
    fascia_mm = leg.scale * float(FASCIA_MM(level)) * (shape - 0.03 * np.cos(3 * angle - 0.6))
    uneven = 0.15 * np.cos(angle + np.pi / 2) + 0.25 * np.cos(angle - np.pi)
    share = np.clip(1 + round_waves(leg.fat_waves, level) + uneven * (0.4 + level), 0.3, None)
    fat_mm = 1.0 + person.fat_mm * float(FAT_SHARE(level)) * share
    index = (np.arctan2(plain_v, plain_u) * np.float32(ANGLES / (2 * np.pi)) + ANGLES).astype(np.int32) % ANGLES
    beyond_mm = np.sqrt(plain_u * plain_u + plain_v * plain_v) - fascia_mm.astype(np.float32)[index]
    thick_mm = fat_mm.astype(np.float32)[index]
    clear_mm = np.abs(place[2] + x0)[None, :] - np.float32(max(person.apart_mm, 0.6) / 2)
    inside_mm = _soft_min(thick_mm - beyond_mm, np.broadcast_to(clear_mm, beyond_mm.shape), 3.0)
    back = ANGLES * 3 // 4
    table_mm = np.float32(fascia_mm[back] + max(3.0, person.pressed * fat_mm[back])) - place[1][:, None]
    inside_mm = _soft_min(inside_mm, np.broadcast_to(table_mm, beyond_mm.shape), 12.0)
    body = inside_mm > 0
    at = np.flatnonzero(body)
    beyond_mm, thick_mm, inside_mm = beyond_mm.take(at), thick_mm.take(at), inside_mm.take(at)
    edge_mm, depth = -beyond_mm, beyond_mm / thick_mm
    fascia = fascia_mm.astype(np.float32)[index.take(at)]
    lateral = _single(plain_u + 0.6 * slow[1] + 1.1 * leg.fine_warp[1].at(*place)).take(at)
    front = _single(plain_v + 0.6 * slow[0] + 1.1 * leg.fine_warp[0].at(*place)).take(at)

    ou, ov = lateral / fascia, front / fascia
    cos, sin = np.float32(np.cos(leg.turn)), np.float32(np.sin(leg.turn))
    uv = (_single(cos * ou - sin * ov), _single(sin * ou + cos * ov))
    r_mean = float(fascia_mm.mean())
    owner, apart_mm = _nearest_muscle(uv, _sites(leg, level), r_mean)
    half_gap = person.gap_mm / 2 * np.exp(np.float32(0.6) * leg.gap_noise.at(*place).take(at))
    gap = (apart_mm < half_gap) | (edge_mm < 0.4 * half_gap + 0.5) | (owner == FAT_SITE)
    material = np.where(gap, np.uint8(GAP_FAT), np.uint8(MUSCLE))
    _put_bone_and_vessels(person, leg, level, uv, r_mean, material)
    kneecap = _put_kneecap(leg, level, uv, r_mean, material)
    material[edge_mm < 0.55] = FASCIA
    material[edge_mm < 0] = FAT
    around = np.abs(index.take(at) - np.float32(ANGLES * (0.57 - 0.08 * level))) * (
        fascia * np.float32(2 * np.pi / ANGLES)
    )
    material[(edge_mm < -2.0) & (np.hypot(around, edge_mm + 0.35 * thick_mm) < 2.0)] = VEIN
    material[inside_mm < person.skin_mm] = SKIN
    kneecap &= (material == CORTEX) | (material == MARROW)  # where fat and skin lie over it, they are of the leg
    muscle = np.where(material == MUSCLE, owner + 1, 0).astype(np.uint8)

    patch, septum = leg.patches.at(*place).take(at), leg.septa.at(*place).take(at)
    streak = _grain_at(leg, place[0], lateral, front, muscle)
    cut.fatty[box][body] = _fat_inside(leg, muscle, streak, patch)
    cut.septum[box][body] = np.where(material == FAT, _fibres(septum, patch, depth), 0)
    cut.material[box][body] = material
    cut.muscle[box][body] = np.where(muscle > 0, muscle + (0 if leg.side > 0 else len(MUSCLES)), 0)
    cut.side[box][body] = np.where(kneecap, 0, 1 if leg.side > 0 else 2)


def _sites(leg: Leg, level: float) -> NDArray[np.float64]:
    """Sites (u, v, reach) of the muscles at a level; below the thigh the quadriceps ends and fat takes its place."""
    knee = _knee(level)
    sites = sites_at(level + (1 - knee) * leg.level_shift[SITE_PART]) + leg.site_shift.T
    sites[np.isin(SITE_MUSCLE, _QUADRICEPS), 2] -= 0.5 * knee
    sites[SITE_MUSCLE == FAT_SITE, 2] += 0.15 * knee
    return sites


def _knee(level: float) -> float:
    """How far below the thigh a cut lies: 0 from level 0 on, 1 through the middle of the condyles."""
    return float(np.clip(-level / 0.1, 0.0, 1.0))


def _single(values: NDArray[np.floating]) -> Floats:
    """The same numbers, said to be float32."""
    return values.astype(np.float32, copy=False)


def _direction(u: Floats, v: Floats) -> NDArray[np.int32]:
    """The angle of each point as a place in a table of one turn."""
    return (np.arctan2(v, u) * np.float32(ANGLES / (2 * np.pi)) + np.float32(ANGLES)).astype(np.int32) & (ANGLES - 1)


def _soft_min(a: Floats, b: Floats, width: float) -> Floats:
    """The smaller of two lengths, rounded off where they are within ``width`` of each other."""
    h = np.clip(width - np.abs(a - b), 0.0, None)
    return _single(np.minimum(a, b) - h * h / np.float32(4 * width))


def _nearest_muscle(
    uv: tuple[Floats, Floats], sites: NDArray[np.float64], r_mean: float
) -> tuple[NDArray[np.int8], Floats]:
    """The muscle of each point (or ``FAT_SITE``) and its distance from the border, mm, with rounded corners."""
    u, v = uv
    per_part: dict[int, Floats] = {}
    for which, (su, sv, reach) in zip(SITE_PART.tolist(), sites.astype(np.float32), strict=True):
        if reach < -0.45:
            continue
        du, dv = u - su, v - sv
        away = np.sqrt(du * du + dv * dv) - reach
        per_part[which] = np.minimum(per_part[which], away) if which in per_part else away
    nearest = np.full(u.shape, 9.0, np.float32)
    owner = np.zeros(u.shape, np.int8)
    for which, away in per_part.items():
        owner[away < nearest] = _BICEPS if which == SHORT_HEAD else which
        np.minimum(nearest, away, out=nearest)
    sharp = np.float32(15.0)
    others = np.zeros(u.shape, np.float32)
    for away in per_part.values():
        others += np.exp(sharp * (nearest - away))
    apart = -np.log(np.maximum(others - 1, np.float32(1e-6))) / sharp
    return owner, _single(apart * np.float32(r_mean / 2))


def _put_bone_and_vessels(
    person: Person, leg: Leg, level: float, uv: tuple[Floats, Floats], r_mean: float, material: NDArray[np.uint8]
) -> None:
    """Draw femur, femoral artery and vein, and sciatic nerve over the muscles."""
    u, v = uv
    fu, fv = np.asarray(FEMUR_UV(level)) + leg.femur_shift
    knee = _knee(level)
    fu, fv = fu * (1 - knee) + 0.02 * knee, fv * (1 - knee) + 0.16 * knee
    outer = float(FEMUR_MM(level)) * np.sqrt(leg.scale)
    degrees = np.arange(ANGLES) * 360.0 / ANGLES
    ridge = 0.10 * (1 - knee) * np.exp(-((degrees - 265.0) ** 2) / (2 * 22.0**2))
    # the condyles: wide, with a lobe on either side of the notch behind
    lobes = sum(np.exp(-((degrees - at) ** 2) / (2 * 25.0**2)) for at in (222.0, 318.0))
    condyles = knee * (0.6 * np.cos(np.radians(degrees)) ** 2 + 0.55 * lobes)
    shape = (outer * (1 + 0.5 * round_waves(leg.femur_waves, level) + ridge + condyles)).astype(np.float32)
    du, dv = (u - np.float32(fu)) * np.float32(r_mean), (v - np.float32(fv)) * np.float32(r_mean)
    at = np.flatnonzero(du * du + dv * dv < ((1.5 + knee) * outer) ** 2)
    du, dv = du[at], dv[at]
    index = _direction(du, dv)
    inward = shape[index] - np.hypot(du, dv)
    cortex_mm = float(CORTEX_MM(level)) * person.cortex * (1 + 1.2 * (1 - knee) * (shape[index] / outer - 1))
    values = material[at]
    values[(inward > -0.5) & (values == MUSCLE)] = GAP_FAT
    values[inward > 0] = CORTEX
    values[inward > cortex_mm] = MARROW
    material[at] = values
    pu, pv = VESSEL_UV(level) + leg.vessel_shift
    for ou, ov, radius, kind in ((0.0, 0.0, 3.2, ARTERY), (0.02, -0.105, 4.0, VEIN)):
        from_centre = np.hypot(u - np.float32(pu + ou), (v - np.float32(pv + ov)) * np.float32(1.1)) * np.float32(
            r_mean
        )
        material[(from_centre < radius + 1.2) & (material == MUSCLE)] = GAP_FAT
        material[(from_centre < radius) & (material != CORTEX) & (material != MARROW)] = kind
    from_nerve = np.hypot((u - np.float32(0.06)) * np.float32(0.7), v + np.float32(0.42 + 0.04 * level))
    material[(from_nerve < 2.6 / r_mean) & (material == GAP_FAT)] = NERVE


def _put_kneecap(
    leg: Leg, level: float, uv: tuple[Floats, Floats], r_mean: float, material: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Draw the kneecap in front of the condyles, below the thigh only; true where it lies."""
    knee = _knee(level)
    if knee < 0.3:
        return np.zeros(material.shape, bool)
    wide, deep = 0.42 * min(1.0, knee + 0.2), 0.17
    inside = 1 - np.hypot((uv[0] - np.float32(0.02)) / wide, (uv[1] - np.float32(0.84 + leg.femur_shift[1])) / deep)
    kneecap = inside > 0
    material[kneecap] = np.where(inside[kneecap] * deep * r_mean < 1.4, np.uint8(CORTEX), np.uint8(MARROW))
    return kneecap


@lru_cache(maxsize=1)
def _grain() -> Floats:
    """Six planes of short strokes along the columns, about N(0, 1), periodic; the same for everybody."""
    noise = np.random.default_rng(8).standard_normal((6, GRAIN, GRAIN), dtype=np.float32)
    noise = gaussian_filter(noise, (0.0, 1.1, 5.5), mode="wrap")
    return noise / noise.std()


def _grain_at(leg: Leg, z_mm: float, lateral: Floats, front: Floats, muscle: NDArray[np.uint8]) -> Floats:
    """Strokes along the bundles of each muscle, about N(0, 1); each muscle has its own direction."""
    cos, sin = (f(leg.grain_angle).astype(np.float32)[muscle] / np.float32(GRAIN_MM) for f in (np.cos, np.sin))
    row = (cos * lateral + sin * front + np.float32(leg.grain_shift[0])).astype(np.int32) & (GRAIN - 1)
    column = (cos * front - sin * lateral + np.float32(leg.grain_shift[1])).astype(np.int32) & (GRAIN - 1)
    at = row * GRAIN + column
    plane, share = int(z_mm // 30.0), z_mm % 30.0 / 30.0 * np.pi / 2
    low, high = (_grain()[(plane + i) % 6].ravel().take(at) for i in (0, 1))
    return np.float32(np.cos(share)) * low + np.float32(np.sin(share)) * high


def _fat_inside(leg: Leg, muscle: NDArray[np.uint8], streak: Floats, patch: Floats) -> Floats:
    """Share of fat inside the muscles: fine lines in everybody, a net of streaks where a muscle is infiltrated."""
    share = np.concatenate([[0.0], leg.infiltration]).astype(np.float32)[muscle]
    line = np.clip((streak - 1.1) * 1.2, 0.0, 1.0) * np.clip(0.3 + 0.45 * patch, 0.0, 0.7)
    net = 1 / (1 + np.exp(-3 * (0.8 * streak + 0.8 * patch - 1.9 + 2.8 * share)))
    fatty = np.clip(line + share * (0.25 + 0.4 * line) + net * np.minimum(share * 2.5, 0.75), 0.0, 0.95)
    return _single(np.where(muscle > 0, fatty, np.float32(0.0)))


def _fibres(septum: Floats, patch: Floats, depth: Floats) -> Floats:
    """Share of fibre in the fat beneath the skin: thin septa, and a membrane about half way down."""
    band = np.exp(-(((depth - 0.5 - 0.1 * patch) / 0.03) ** 2)) * np.clip(0.3 + 0.2 * septum, 0.0, 0.5)
    return _single(np.clip(np.exp(-((septum / 0.07) ** 2)) * np.clip(0.25 - 0.35 * patch, 0.0, 0.5) + band, 0.0, 1.0))
