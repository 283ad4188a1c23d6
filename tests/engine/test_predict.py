"""A volume goes through a network and comes back as labels where they belong."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.volume import Volume
from thighview.engine.predict import (
    Cancelled,
    batch_for,
    load_network,
    probabilities,
    segment_volume,
    uncertainty_of,
)
from thighview.engine.preprocess import plane_grid
from thighview.engine.sides import find_sides, with_sides
from thighview.engine.unet import build_network, weights_of
from thighview.io.model_card import ModelCard
from thighview.io.models import write_model

TABLE = LabelTable(
    (Label(1, "muscle", "left"), Label(2, "bone", "left"), Label(6, "muscle", "right"), Label(7, "bone", "right"))
)
CARD = ModelCard(
    name="tiny",
    architecture="unet",
    base_filters=4,
    levels=3,
    dropout=0.0,
    classes=("background", "muscle", "bone"),
    labels=TABLE,
    sided=True,
    spacing_mm=0.0,
    input_size=32,
)

ONE_LABEL: dict[str, Any] = {
    "architecture": "seed_unet",
    "classes": ("background", "outer"),
    "labels": LabelTable((Label(3, "outer"),)),
    "sided": False,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_model(folder, CARD, weights_of(build_network("unet", 3, 4, 3)))
    return folder


def legs(
    gap_mm: float = 40.0, shift_mm: float = 0.0, one: str = "", shape: tuple[int, int, int] = (6, 64, 96)
) -> Volume:
    """Two bright discs (or one), 4 mm pixels, stored SPL."""
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    affine[2, 0], affine[1, 1], affine[0, 2] = 8.0, 4.0, 4.0
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    _, y, x = np.indices(shape)
    world_y, world_x = (y - (shape[1] - 1) / 2) * 4, (x - (shape[2] - 1) / 2) * 4 - shift_mm
    radius = 70.0
    voxels = np.random.default_rng(0).integers(0, 20, shape)
    for side, sign in (("left", 1), ("right", -1)):
        if one in ("", side):
            voxels += 500 * (np.hypot(world_x - sign * (radius + gap_mm / 2), world_y) < radius)
    return Volume(voxels.astype(np.int16), affine)


def stored_as(volume: Volume, order: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    affine = volume.affine[:, [*order, 3]].copy()
    voxels = volume.voxels.transpose(order)
    for axis in np.flatnonzero(flips):
        affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
        affine[:3, axis] *= -1
        voxels = np.flip(voxels, axis)
    return Volume(np.ascontiguousarray(voxels), affine)


def test_load_is_strict(folder: Path, tmp_path: Path) -> None:
    network, card = load_network(folder)
    assert network.count_params() > 0 and card.name == "tiny"
    weights = weights_of(network)
    for name, change in (
        ("other_levels", {"levels": 2}),
        ("other_filters", {"base_filters": 8}),
        ("other_kind", ONE_LABEL),
    ):
        write_model(tmp_path / name, replace(CARD, **change), weights)
        with pytest.raises(UserError, match="do not fit the network"):
            load_network(tmp_path / name)
    write_model(tmp_path / "two_images", replace(CARD, in_channels=2), weights)
    with pytest.raises(UserError, match="2 images"):
        load_network(tmp_path / "two_images")


def test_half_precision_model_answers_nearly_the_same(folder: Path, tmp_path: Path) -> None:
    network, card = load_network(folder)
    write_model(tmp_path / "half", card, weights_of(network), half=True)
    half, _ = load_network(tmp_path / "half")
    picture = np.random.default_rng(1).normal(size=(1, 32, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(network.predict_on_batch(picture), half.predict_on_batch(picture), atol=0.02)


def test_segment_fills_every_slice_in_order(folder: Path) -> None:
    network, card = load_network(folder)
    volume = legs()
    seen: list[int] = []
    pieces = np.zeros(volume.shape, np.uint8)

    def on_slice(index: int, plane: np.ndarray, uncertainty: float) -> None:
        seen.append(index)
        pieces[index] = plane
        assert 0 <= uncertainty <= 1

    found = segment_volume(volume, network, card, on_slice, batch=4, with_probabilities=True)
    assert seen == list(range(6))
    np.testing.assert_array_equal(pieces, found.labels)
    assert set(np.unique(found.labels)) <= {0, 1, 2, 6, 7}
    assert np.isfinite(found.uncertainty).all() and found.warnings == ()
    assert found.probabilities is not None and found.probabilities.shape == (*volume.shape, 5)
    np.testing.assert_allclose(found.probabilities.sum(-1), 1, atol=1e-4)
    x_mm = volume.to_world(np.argwhere(found.labels > 0))[:, 0]
    left = np.isin(found.labels[found.labels > 0], (1, 2))
    assert (left == (x_mm > 0)).mean() > 0.97


def test_chosen_slices_only_and_batch_does_not_matter(folder: Path) -> None:
    network, card = load_network(folder)
    volume = legs()
    whole = segment_volume(volume, network, card, batch=4)
    some = segment_volume(volume, network, card, batch=2, slices=[5, 1, 2])
    np.testing.assert_array_equal(some.labels[[1, 2, 5]], whole.labels[[1, 2, 5]])
    assert not some.labels[[0, 3, 4]].any() and np.isnan(some.uncertainty[[0, 3, 4]]).all()
    with pytest.raises(UserError, match="1 to 6"):
        segment_volume(volume, network, card, slices=[6])


def test_any_storage_gives_the_same_mask(folder: Path) -> None:
    network, card = load_network(folder)
    scan = legs(shift_mm=9.0)
    labels = segment_volume(scan, network, card).labels
    assert {1, 2, 6, 7} & set(np.unique(labels))
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            found = segment_volume(stored_as(scan, order, flips), network, card)
            expected = stored_as(Volume(labels, scan.affine), order, flips).voxels
            assert (found.labels == expected).mean() > 0.999
            assert found.axis == order.index(0)


def test_a_temperature_changes_what_it_is_sure_of_and_never_the_mask(folder: Path) -> None:
    network, card = load_network(folder)
    sharp = segment_volume(legs(), network, card, with_probabilities=True)
    soft = segment_volume(legs(), network, replace(card, temperature=4.0), with_probabilities=True)
    np.testing.assert_array_equal(soft.labels, sharp.labels)
    assert (soft.uncertainty > sharp.uncertainty).all()
    assert sharp.probabilities is not None and soft.probabilities is not None
    assert soft.probabilities.max(-1).mean() < sharp.probabilities.max(-1).mean()
    np.testing.assert_allclose(soft.probabilities.sum(-1), 1, atol=1e-5)


def test_asked_twice_it_answers_a_mirrored_scan_with_the_mirrored_mask(folder: Path) -> None:
    network, card = load_network(folder)
    volume = legs()
    mirrored = replace(volume, voxels=np.ascontiguousarray(volume.voxels[:, :, ::-1]))
    once = [segment_volume(v, network, card).labels for v in (volume, mirrored)]
    twice = [
        segment_volume(v, network, replace(card, mirrored=True), with_probabilities=True) for v in (volume, mirrored)
    ]
    kinds = np.array([0, 1, 2, 0, 0, 0, 1, 2], np.uint8)  # whichever side it is on
    assert not np.array_equal(kinds[once[0]], kinds[once[1]][:, :, ::-1])
    assert (kinds[twice[0].labels] != kinds[twice[1].labels][:, :, ::-1]).mean() < 1e-3
    assert twice[0].probabilities is not None
    assert twice[0].probabilities.sum(-1) == pytest.approx(np.ones(volume.shape), abs=1e-5)


def test_what_is_tidied_is_told_once_more(folder: Path) -> None:
    network, card = load_network(folder)
    volume, told = legs(), dict[int, np.ndarray]()
    order: list[int] = []

    def on_slice(index: int, labels: np.ndarray, uncertainty: float) -> None:
        told[index] = labels.copy()
        order.append(index)

    plain = segment_volume(volume, network, card)
    found = segment_volume(volume, network, replace(card, tidied=True), on_slice, slices=[5, 0, 3, 1, 4, 2])
    changed = [z for z in range(6) if not np.array_equal(plain.labels[z], found.labels[z])]
    assert changed and order == [5, 0, 3, 1, 4, 2, *changed]
    assert all(np.array_equal(told[z], found.labels[z]) for z in range(6))


def test_what_is_no_thigh_is_said(folder: Path) -> None:
    network, card = load_network(folder)
    rows = [replace(label, name={"muscle": "muscle", "bone": "femur"}[label.name]) for label in TABLE]
    card = replace(card, classes=("background", "muscle", "femur"), labels=LabelTable(tuple(rows)))
    (said,) = segment_volume(legs(), network, card).warnings
    assert said.startswith("This does not look like a thigh")
    assert segment_volume(legs(), network, card, slices=[1]).warnings == ()


def test_cancel(folder: Path) -> None:
    network, card = load_network(folder)
    seen: list[int] = []
    with pytest.raises(Cancelled):
        segment_volume(legs(), network, card, lambda i, *_: seen.append(i), lambda: bool(seen), batch=1)
    assert 1 <= len(seen) <= 3


def test_not_finite_answers_are_refused(folder: Path) -> None:
    network, card = load_network(folder)
    network.get_layer("head").bias.assign([np.nan, 0, 0])
    with pytest.raises(UserError, match="not finite"):
        segment_volume(legs(), network, card)


def test_seed_network_segments_one_label() -> None:
    network = build_network("seed_unet", 2, 4, 3)
    card = replace(CARD, **ONE_LABEL)
    network.get_layer("head").kernel.assign(np.ones((1, 1, 2, 1)))
    network.get_layer("head").bias.assign([1.0])
    found = segment_volume(legs(), network, card)
    assert (found.labels == 3).all()
    assert "cannot be sure of background" in found.warnings[0]


def test_probabilities() -> None:
    logits = np.random.default_rng(2).normal(size=(4, 5, 1)).astype(np.float32)
    p = probabilities(logits)
    assert p.shape == (4, 5, 2)
    np.testing.assert_allclose(p[..., 1], 1 / (1 + np.exp(-logits[..., 0])), rtol=1e-5)
    np.testing.assert_allclose(probabilities(np.full((3, 4), 1000.0)), 0.25)
    np.testing.assert_allclose(probabilities(logits, 2.0), probabilities(logits / 2), atol=1e-7)


def test_uncertainty() -> None:
    classes = np.zeros((8, 8), np.uint8)
    classes[:, 4:] = 1
    sure = np.where(classes[..., None] == np.arange(2), 50.0, -50.0)
    assert uncertainty_of(sure, classes) < 1e-6
    unsure = sure.copy()
    unsure[:, 3:5] = 0
    assert uncertainty_of(unsure, classes) == pytest.approx(1.0)
    assert uncertainty_of(np.zeros((8, 8, 2)), np.zeros((8, 8), np.uint8)) == pytest.approx(1.0)


@pytest.mark.parametrize("gap_mm", [40.0, 4.0, 0.0, -20.0])
@pytest.mark.parametrize("shift_mm", [0.0, 30.0])
@pytest.mark.parametrize("flip", [False, True])
def test_two_legs_are_told_apart(gap_mm: float, shift_mm: float, flip: bool) -> None:
    volume = stored_as(legs(gap_mm, shift_mm), (0, 1, 2), (False, False, flip))
    sides = find_sides(volume, plane_grid(volume, CARD))
    assert sides.warning == ""
    left = sides.left_of(range(6))
    assert left.shape == volume.shape
    body = np.argwhere(volume.voxels > 250)
    x_mm = volume.to_world(body)[:, 0] - shift_mm
    clear = np.abs(x_mm) > 8
    assert (left[tuple(body.T)] == (x_mm > 0))[clear].mean() > 0.995


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_leg_takes_the_side_it_lies_on(side: str) -> None:
    volume = legs(one=side)
    sides = find_sides(volume, plane_grid(volume, CARD))
    assert f"taken as {side}" in sides.warning and "too close" not in sides.warning
    assert sides.left.all() == (side == "left") and sides.left.any() == (side == "left")
    middle = legs(one=side, shift_mm=-90.0 if side == "left" else 90.0)
    assert "check the side" in find_sides(middle, plane_grid(middle, CARD)).warning


def test_legs_are_found_where_a_small_range_lies_far_from_0() -> None:
    """float32 at 1e7 tells whole numbers apart and no more: fewer steps than Otsu's threshold has bins."""
    volume = legs()
    voxels = np.round(volume.voxels * (50 / volume.voxels.max()) + 1e7).astype(np.float32)
    far = replace(volume, voxels=voxels)
    near, sides = (find_sides(one, plane_grid(one, CARD)) for one in (volume, far))
    assert sides.warning == ""
    assert (sides.left == near.left).mean() > 0.99


def test_no_body_says_so() -> None:
    volume = replace(legs(), voxels=np.zeros((6, 64, 96), np.int16))
    sides = find_sides(volume, plane_grid(volume, CARD))
    assert "No body" in sides.warning
    np.testing.assert_array_equal(sides.left_of([0])[0, 0], np.arange(96) >= 48)


def test_values_of_the_table() -> None:
    classes = np.array([[[0, 1, 2, 1]]], np.uint8)
    left = np.array([[[True, True, False, False]]])
    np.testing.assert_array_equal(with_sides(classes, left, CARD), [[[0, 1, 7, 6]]])


def test_batches_stay_within_memory() -> None:
    grid = plane_grid(legs(), replace(CARD, input_size=512))
    assert batch_for(grid, replace(CARD, base_filters=64), on_gpu=False) == 1
    assert batch_for(grid, replace(CARD, base_filters=16), on_gpu=True) > 4
    assert batch_for(plane_grid(legs(), CARD), CARD, on_gpu=False) == 4
