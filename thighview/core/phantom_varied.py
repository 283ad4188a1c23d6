"""Made-up people and scans further apart than real ones, for training only: what a network should see through."""

from dataclasses import replace

import numpy as np

from thighview.core.phantom_anatomy import FAT, GAP_FAT, MARROW, MUSCLE
from thighview.core.phantom_image import RANDOM, Look, draw_look
from thighview.core.phantom_names import CONTRASTS, MUSCLES
from thighview.core.phantom_person import PARTS, SITE_MUSCLE, Leg, Person, draw_person

KINDS_BEYOND = 7
LONGEST_TURN = 0.61
"""Legs are turned by at most so much, radians (35 degrees)."""
_GLUTEUS = MUSCLES.index("gluteus_maximus")
_HAMSTRINGS = np.isin(SITE_MUSCLE, [MUSCLES.index(m) for m in ("biceps_femoris", "semitendinosus", "semimembranosus")])
_FAR_SHARE, _TURNED_SHARE = 0.3, 0.25


def draw_varied_person(rng: np.random.Generator) -> Person:
    """A person whose muscles wander, waste away and turn to fat one by one, with any gap between them or none."""
    person = draw_person(rng, wide=True)
    shift_sd = 0.07 if rng.random() < _FAR_SHARE else 0.045
    shift = rng.normal(0.0, shift_sd, (3, len(SITE_MUSCLE)))
    # all sites of one muscle move and shrink together; the last of them stands for the fat between
    of_muscle = rng.normal(0.0, (0.02, 0.02, 0.04), (len(MUSCLES) + 1, 3)) * (1.5 if shift_sd > 0.05 else 1.0)
    wasted = rng.random(len(MUSCLES) + 1) < (0.15 if rng.random() < 0.3 else 0.0)
    of_muscle[wasted, 2] -= rng.uniform(0.04, 0.14, int(wasted.sum()))
    shift += of_muscle[SITE_MUSCLE].T
    shift[2, SITE_MUSCLE == _GLUTEUS] += rng.uniform(-0.05, 0.25)  # it reaches further down in some
    turned = float(rng.uniform(-LONGEST_TURN, LONGEST_TURN)) if rng.random() < _TURNED_SHARE else None
    shift[0, _HAMSTRINGS] += rng.normal(0.0, 0.09)  # behind the bone they lie further in or out, all three together
    level_shift = rng.normal(0.0, 0.07, PARTS)
    vessel_shift = rng.normal(0.0, 0.05, 2)
    base = float(rng.choice([0.0, 0.1, 0.3, 0.6], p=[0.45, 0.25, 0.18, 0.12]))
    infiltration = base * rng.lognormal(0.0, 0.8, len(MUSCLES))
    if rng.random() < 0.3:
        infiltration[rng.random(len(MUSCLES)) < 0.25] = rng.uniform(0.4, 1.0)

    def leg(old: Leg) -> Leg:
        turn = old.turn if turned is None else turned + float(rng.normal(0.0, 0.06))
        return replace(
            old,
            turn=float(np.clip(turn, -LONGEST_TURN, LONGEST_TURN)),
            site_shift=shift + rng.normal(0.0, 0.012, shift.shape),
            level_shift=level_shift + rng.normal(0.0, 0.015, PARTS),
            vessel_shift=vessel_shift + rng.normal(0.0, 0.015, 2),
            infiltration=np.clip(infiltration * rng.lognormal(0.0, 0.3, len(MUSCLES)), 0.0, 1.0),
        )

    kind = rng.random()
    gap_mm = float(rng.uniform(0.0, 0.4) if kind < 0.35 else rng.uniform(2.0, 5.0) if kind > 0.85 else person.gap_mm)
    return replace(
        person,
        legs=(leg(person.legs[0]), leg(person.legs[1])),
        gap_mm=gap_mm,
        cortex=float(rng.uniform(0.55, 1.4)),
    )


def draw_person_beyond(rng: np.random.Generator, kind: int) -> Person:
    """A person with one measure beyond all that :func:`draw_varied_person` draws, to judge a network by.

    Parameters
    ----------
    rng : Generator
    kind : int
        Which of ``KINDS_BEYOND``, by about a tenth: 0 larger (1.4 to 1.5 of the usual size), 1 smaller (0.57 to 0.62),
        2 legs turned further (36 to 39 degrees), 3 more fat (46 to 50 mm), 4 wider gaps between the muscles (5.1 to
        5.5 mm), 5 a thinner (0.5 to 0.54) or thicker (1.42 to 1.54) cortex, 6 legs further apart (51 to 56 mm).
    """
    person = draw_person(rng)
    if kind < 2:
        return _with_legs(person, scale=float(rng.uniform(0.57, 0.62) if kind else rng.uniform(1.4, 1.5)))
    if kind == 2:
        return _with_legs(person, turn=float(rng.choice([-1.0, 1.0]) * rng.uniform(0.63, 0.68)))
    if kind == 3:
        return replace(person, fat_mm=float(rng.uniform(46.0, 50.0)))
    if kind == 4:
        return replace(person, gap_mm=float(rng.uniform(5.1, 5.5)))
    if kind == 5:
        return replace(person, cortex=float(rng.uniform(0.5, 0.54) if rng.random() < 0.5 else rng.uniform(1.42, 1.54)))
    return replace(person, apart_mm=float(rng.uniform(51.0, 56.0)))


def _with_legs(person: Person, **measures: float) -> Person:
    return replace(person, legs=(replace(person.legs[0], **measures), replace(person.legs[1], **measures)))


def draw_varied_look(rng: np.random.Generator, random_share: float) -> Look:
    """Any contrast at all in ``random_share`` of the scans; of the others every second is T1-weighted.

    Tissues are mottled, muscles differ from each other, the coil shades strongly, and noise goes up to a ratio of 8
    in the muscle of a T1-weighted scan.
    """
    free = rng.random() < random_share
    contrast = RANDOM if free else str(rng.choice(CONTRASTS, p=(0.5, *[0.5 / 3] * 3)))
    look = draw_look(rng, contrast)
    signal = look.signal.copy()
    if free:
        signal[FAT], signal[MUSCLE] = rng.uniform(0.05, 1.0, 2)
        while abs(signal[FAT] - signal[MUSCLE]) < 0.08:
            signal[FAT], signal[MUSCLE] = rng.uniform(0.05, 1.0, 2)
        signal[GAP_FAT] = signal[FAT] * rng.uniform(0.85, 1.1)
        if rng.random() < 0.5:
            signal[MARROW] = rng.uniform(0.05, 1.0)
    elif contrast == "t1":
        signal[MUSCLE] = signal[FAT] / np.exp(rng.uniform(np.log(1.3), np.log(4.0)))
        signal[MARROW] = signal[FAT] * rng.uniform(0.6, 1.1)
        if rng.random() < 0.25:  # red marrow, poor in fat
            signal[MARROW] = signal[MUSCLE] * rng.uniform(0.7, 1.3)
    spread = rng.uniform(0.03, 0.2) if free else rng.uniform(0.02, 0.1)
    gain = np.concatenate([[1.0], np.tile(np.exp(rng.normal(0.0, spread, len(MUSCLES))), 2)])
    gain[1:] *= np.exp(rng.normal(0.0, 0.03, 2 * len(MUSCLES)))
    rows, columns = look.shading.shape
    tilt = rng.normal(0.0, 0.12, 2) if rng.random() < 0.5 else np.zeros(2)
    tilted = tilt[0] * (np.arange(rows) - (rows - 1) / 2)[:, None] + tilt[1] * (np.arange(columns) - (columns - 1) / 2)
    return replace(
        look,
        signal=signal,
        muscle_gain=gain.astype(np.float32),
        shading=look.shading + tilted.astype(np.float32),
        mottling=float(rng.uniform(0.02, 0.3 if free else 0.15)) if rng.random() < 0.7 else 0.0,
        mottling_edge=float(np.exp(rng.uniform(np.log(0.5), np.log(10.0)))),
        coil=float(rng.uniform(0.0, 1.1)) if rng.random() < 0.4 else 0.0,
        noise=float(np.exp(rng.uniform(np.log(0.005), np.log(0.045)))),
    )
