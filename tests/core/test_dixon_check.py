"""Water and fat exchanged, and slabs that step, on made-up thighs and on a real calf; nothing where all is well."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from thighview.core.dixon_check import exchanged, sentences, steps
from thighview.core.phantom import make_phantom
from thighview.core.volume import Volume
from thighview.io.reading import read_volume


@cache
def thigh(seed: int) -> tuple[Volume, Volume]:
    """Water and fat image of one made-up person, 8 slices."""
    kinds = ("dixon_water", "dixon_fat")
    water, fat = (make_phantom(seed, kind, slices=8, matrix=(160, 288), spacing_mm=(8.0, 1.4)).volume for kind in kinds)
    return water, fat


def exchange(water: Volume, fat: Volume, where: tuple[slice, ...]) -> tuple[Volume, Volume]:
    pair = [water.voxels.copy(), fat.voxels.copy()]
    pair[0][where], pair[1][where] = fat.voxels[where], water.voxels[where]
    return replace(water, voxels=pair[0]), replace(fat, voxels=pair[1])


@pytest.mark.parametrize("seed", range(1, 8))
def test_a_good_pair_is_left_in_peace_and_a_reversed_one_is_not(seed: int) -> None:
    water, fat = thigh(seed)
    assert sentences(water, fat) == ()
    said = sentences(fat, water)
    assert said and all(sentence.startswith("Water and fat look exchanged") for sentence in said)
    everywhere = ("Water and fat look exchanged on all slices: check which image is which.",)
    assert said == everywhere or seed in _HARD


_HARD = (2,)
"""In one limb of this person it is not sure on some slices which is which."""


def test_exchanged_slices_are_named() -> None:
    water, fat = exchange(*thigh(1), (slice(2, 5),))
    assert sentences(water, fat) == ("Water and fat look exchanged on slices 3 to 5.",)


def test_one_limb_alone_is_named_by_the_patients_side() -> None:
    water, fat = thigh(1)
    assert water.axes == "SPL"  # the index along x grows to the patient's left
    half = (slice(4, 6), slice(None), slice(water.shape[2] // 2, None))
    (found,) = exchanged(*exchange(water, fat, half))
    assert (found.slices, found.side) == ((4, 5), "left")


def test_a_step_between_slabs_is_found_and_a_slow_fall_is_not() -> None:
    water, _ = thigh(2)
    stepped = water.voxels.astype(np.float32)
    stepped[4:] *= 1.3
    (step,) = steps(replace(water, voxels=stepped))
    assert step.after == 4
    assert step.factor == pytest.approx(1.3, rel=0.08)
    falling = water.voxels * np.linspace(1.0, 0.5, 8, dtype=np.float32)[:, None, None]
    assert steps(replace(water, voxels=falling)) == ()


def test_a_real_calf(data: Path) -> None:
    water, fat = (read_volume(data / "legs_qmritools" / f"{kind}.nii.gz") for kind in ("water", "fat"))
    assert sentences(water, fat) == ()
    right = (slice(3, 7), slice(None), slice(160, None))  # stored SAR: the index along x grows to the patient's right
    assert sentences(*exchange(water, fat, right)) == (
        "Water and fat look exchanged in the right limb on slices 4 to 7.",
    )


def test_real_scans_of_one_slab_have_no_step(data: Path) -> None:
    for path in sorted((data / "thigh_siemens_dixon").glob("*.nii.gz")):
        assert steps(read_volume(path)) == ()
