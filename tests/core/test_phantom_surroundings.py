"""What lies beside a thigh, and below it, is drawn but is no part of it."""

import numpy as np
import pytest

from thighview.core.phantom import draw_look, draw_person, fine_grid, make_phantom, see_cut
from thighview.core.phantom_anatomy import AIR, FAT, MARROW, SKIN, Cut, cut_legs
from thighview.core.phantom_surroundings import add_surroundings
from thighview.core.phantom_varied import KINDS_BEYOND, draw_person_beyond, draw_varied_person

GRID = fine_grid(96, 160, 3.0)


def _cut(seed: int, level: float = 0.5) -> Cut:
    return cut_legs(draw_person(np.random.default_rng(seed)), level, *GRID)


def test_arms_and_what_else_a_scan_shows_lie_in_the_air_and_have_no_label() -> None:
    drawn = 0
    for seed in range(20):
        bare, cut = _cut(seed), _cut(seed)
        add_surroundings(cut, *GRID, np.random.default_rng(seed))
        new = cut.material != bare.material
        drawn += bool(new.any())
        assert (bare.material[new] == AIR).all()
        assert (cut.side[new] == 0).all() and (cut.muscle[new] == 0).all()
        for truth in ("tissues", "groups"):
            look = draw_look(np.random.default_rng(1), "t1")
            plain, more = (see_cut(c, look, np.random.default_rng(2), truth) for c in (bare, cut))
            assert np.array_equal(plain[1], more[1])
        assert more[2].sum() <= plain[2].sum(), "what lies there is no air"
    assert drawn > 10


def test_a_page_without_a_body_stays_empty() -> None:
    grid = fine_grid(32, 32, 3.0, (0.0, 2000.0))
    cut = cut_legs(draw_person(np.random.default_rng(1)), 0.5, *grid)
    add_surroundings(cut, *grid, np.random.default_rng(1))
    assert not cut.material.any()


def test_below_the_thigh_lie_condyles_and_a_kneecap_that_is_no_femur() -> None:
    above, knee = _cut(3, 0.0), _cut(3, -0.09)
    bone = [np.isin(c.material, [MARROW]) for c in (above, knee)]
    assert (bone[1] & (knee.side > 0)).sum() > 1.3 * bone[0].sum(), "condyles are wider than the shaft"
    kneecap = bone[1] & (knee.side == 0)
    assert kneecap.any() and not (bone[0] & (above.side == 0)).any()
    assert not np.isin(knee.material[knee.side == 0], [SKIN, FAT]).any(), "fat over the kneecap is of the leg"
    rows = np.nonzero(kneecap)[0]
    assert rows.max() < np.nonzero(bone[1] & (knee.side > 0))[0].mean(), "it lies in front"
    look = draw_look(np.random.default_rng(1), "t1")
    for truth in ("tissues", "groups"):
        labels = see_cut(knee, look, np.random.default_rng(2), truth)[1]
        inside = kneecap[0::2, 0::2] & kneecap[1::2, 0::2] & kneecap[0::2, 1::2] & kneecap[1::2, 1::2]
        assert inside.any() and (labels[inside] == 0).all()


def _measures(person: object) -> list[float]:
    legs = person.legs  # type: ignore[attr-defined]
    return [
        legs[0].scale, abs(legs[0].turn), person.fat_mm, person.gap_mm, person.cortex, person.apart_mm  # type: ignore[attr-defined]
    ]  # fmt: skip


def test_a_person_beyond_has_one_measure_that_no_training_shows() -> None:
    shown = np.array([_measures(draw_varied_person(np.random.default_rng(seed))) for seed in range(600)])
    shown = np.concatenate([shown, [_measures(draw_person(np.random.default_rng(seed))) for seed in range(600)]])
    low, high = shown.min(0), shown.max(0)
    which: set[int] = set()
    for seed in range(28):
        measures = np.array(_measures(draw_person_beyond(np.random.default_rng(seed), seed % KINDS_BEYOND)))
        outside = np.flatnonzero((measures < low) | (measures > high))
        assert len(outside) >= 1
        which |= set(outside.tolist())
    assert which == set(range(6))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_phantom_beyond_is_another_person_with_the_same_scan(seed: int) -> None:
    usual, beyond = (
        make_phantom(seed, "t1", slices=2, matrix=(64, 96), spacing_mm=(40.0, 4.0), beyond=b) for b in (0, 1)
    )
    assert usual.volume.shape == beyond.volume.shape
    assert not np.array_equal(usual.labels, beyond.labels)
