"""The gap between two legs: found where there are two, and nowhere else."""

import numpy as np
import pytest

from thighview.core.midline import between_legs, gap_in
from thighview.core.phantom import make_phantom
from thighview.core.planes import Plane
from thighview.core.volume import Volume


def turned(volume: Volume, degrees: float) -> Volume:
    """The same voxels in a patient who lies turned about the long axis."""
    a = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    return Volume(volume.voxels, turn @ volume.affine)


@pytest.mark.parametrize("contrast", ["t1", "dixon_fat", "dixon_water"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_parts_the_labels_of_two_thighs(seed: int, contrast: str) -> None:
    phantom = make_phantom(seed, contrast, slices=6, matrix=(96, 144))
    found = between_legs(phantom.volume)
    assert found is not None and found[0] <= found[1]
    plane = Plane.of(phantom.volume, "axial")
    left = [label.value for label in phantom.table if label.side == "left"]
    for index in range(6):
        columns = np.nonzero(np.isin(plane.take(phantom.labels, index), left))[1]
        assert (columns > found[0]).mean() > 0.99


def test_one_leg_has_no_gap() -> None:
    phantom = make_phantom(1, "t1", slices=6, matrix=(96, 144))
    plane = Plane.of(phantom.volume, "axial")
    assert plane.column_axis == 2
    half = Volume(np.ascontiguousarray(phantom.volume.voxels[:, :, :70]), phantom.volume.affine)
    assert between_legs(half) is None


def test_a_scan_far_from_straight_or_without_a_body_has_no_gap() -> None:
    volume = make_phantom(1, "t1", slices=6, matrix=(96, 144)).volume
    assert between_legs(turned(volume, 10.0)) is not None
    assert between_legs(turned(volume, 30.0)) is None
    assert between_legs(Volume(np.zeros(volume.shape, np.int16), volume.affine)) is None
    noise = np.random.default_rng(0).normal(size=volume.shape).astype(np.float32)
    assert between_legs(Volume(noise, volume.affine)) is None


def test_a_flat_gap_is_found_whole() -> None:
    profile = np.array([0, 3, 9, 9, 9, 1, 0, 0, 0, 1, 9, 9, 9, 3, 0], float)
    assert gap_in(profile) == (6, 8)
    assert gap_in(np.zeros(10)) is None and gap_in(np.array([1.0, 2.0])) is None
