"""Losses against numbers worked out by hand."""

import math

import numpy as np
import pytest

from thighview.engine import losses


def _logit(p: float) -> float:
    return math.log(p / (1 - p))


def _one_label(p: list[float], y: list[int]) -> losses.SliceTerms:
    z = np.array([[[_logit(v)] for v in p]], np.float32)[None]
    return losses.slice_terms(np.array([[y]], np.uint8), z)


def test_binary_cross_entropy_by_hand() -> None:
    terms = losses.slice_terms(np.array([[[1, 1]]], np.uint8), np.array([[[[0.0], [math.log(3)]]]], np.float32))
    assert float(losses.cross_entropy(terms)[0]) == pytest.approx((math.log(2) + math.log(4 / 3)) / 2, abs=1e-6)


def test_two_channels_and_one_channel_agree() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3, 4, 5, 1)).astype(np.float32)
    y = rng.integers(0, 2, (3, 4, 5)).astype(np.uint8)
    one = losses.slice_terms(y, z)
    two = losses.slice_terms(y, np.concatenate([np.zeros_like(z), z], -1))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)


def test_cross_entropy_of_three_classes_by_hand() -> None:
    z = np.log(np.array([[[[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]]]], np.float32))
    terms = losses.slice_terms(np.array([[[2, 0]]], np.uint8), z)
    assert float(losses.cross_entropy(terms)[0]) == pytest.approx(-(math.log(0.5) + math.log(0.7)) / 2, abs=1e-6)


def test_soft_dice_by_hand() -> None:
    terms = _one_label([0.8, 0.6, 0.1], [1, 1, 0])
    assert float(losses.soft_dice_loss(terms)[0]) == pytest.approx(1 - 3.8 / 4.5, abs=1e-6)


def test_soft_dice_of_nothing_predicted_for_nothing_is_perfect() -> None:
    z = np.full((1, 4, 4, 1), -30.0, np.float32)
    terms = losses.slice_terms(np.zeros((1, 4, 4), np.uint8), z)
    assert float(losses.soft_dice_loss(terms)[0]) == pytest.approx(0.0, abs=1e-6)


def test_ignored_pixels_take_no_part() -> None:
    seen = _one_label([0.8, 0.6, 0.1], [1, 1, 0])
    with_ignored = _one_label([0.8, 0.6, 0.1, 0.999, 0.001], [1, 1, 0, 255, 255])
    for a, b in zip(seen, with_ignored, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)
    nothing = _one_label([0.9], [255])
    assert float(losses.slice_loss(nothing, "ce")[0]) == 0.0
    assert float(losses.soft_dice_loss(nothing)[0]) == 0.0


def test_sum_of_both_and_weights() -> None:
    terms = _one_label([0.8, 0.6, 0.1], [1, 1, 0])
    both = float(losses.slice_loss(terms, "ce_dice")[0])
    ce, dice = float(losses.slice_loss(terms, "ce")[0]), float(losses.slice_loss(terms, "dice")[0])
    assert both == pytest.approx(ce + dice, abs=1e-6)
    values = np.array([0.2, 0.8], np.float32)
    assert float(losses.weighted_mean(values, np.array([3.0, 1.0]))) == pytest.approx(0.35)
    assert float(losses.weighted_mean(values, np.array([1.0, 0.0]))) == pytest.approx(0.2)


def test_slices_do_not_mix() -> None:
    """Soft Dice of a batch is the mean over its slices, not the Dice of the batch."""
    z = np.array([[[[20.0]]], [[[-20.0]]]], np.float32)
    y = np.array([[[1]], [[1]]], np.uint8)
    each = np.asarray(losses.soft_dice_loss(losses.slice_terms(y, z)))
    np.testing.assert_allclose(each, [0.0, 0.5], atol=1e-6)
