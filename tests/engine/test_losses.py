"""Losses against numbers worked out by hand."""

import math

import keras
import numpy as np
import pytest

from thighview.engine import losses
from thighview.engine.learner import Learner


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


EIGHT_P, EIGHT_Y = [0.9, 0.8, 0.6, 0.3, 0.2, 0.1, 0.5, 0.1], [1, 1, 1, 1, 0, 0, 0, 0]


def test_combo_by_hand() -> None:
    # 0.9 * 0.8 * 0.6 * 0.3 = 0.1296 and 0.8 * 0.9 * 0.5 * 0.9 = 0.324; -ln: 2.043302, 1.127012
    # entropy (0.4 * 2.043302 + 0.6 * 1.127012) / 8 = (0.817321 + 0.676207) / 8 = 0.186691
    # Dice (2 * 2.6 + 1) / (3.5 + 4 + 1) = 6.2 / 8.5 = 0.729412
    # 0.2 * 0.186691 - 0.8 * 0.729412 = 0.037338 - 0.583529 = -0.546191
    terms = _one_label(EIGHT_P, EIGHT_Y)
    assert float(losses.slice_loss(terms, "combo")[0]) == pytest.approx(-0.546191, abs=2e-6)
    # alpha 1, beta 0.5 is half the binary cross-entropy; alpha 0 is Dice alone
    assert float(losses.combo_loss(terms, 1.0, 0.5)[0]) == pytest.approx(float(losses.cross_entropy(terms)[0]) / 2)
    assert float(losses.combo_loss(terms, 0.0, 0.4)[0]) == pytest.approx(-6.2 / 8.5, abs=1e-6)
    # beta 0.6 instead of 0.4: missed pixels cost more, and here they are the worse ones
    assert float(losses.combo_loss(terms, 0.2, 0.6)[0]) > float(losses.combo_loss(terms, 0.2, 0.4)[0])


def test_combo_of_two_labels_by_hand_and_at_its_minimum() -> None:
    # three pixels, truth 0, 1, 2, the truth's probability 0.5, 0.8, 0.4
    # entropy (0.6 * -ln 0.5 + 0.4 * (-ln 0.8 - ln 0.4)) / 3 = (0.415888 + 0.4 * 1.139434) / 3 = 0.290554
    # label 1: p = (0.3, 0.8, 0.2), Dice (1.6 + 1) / (1.3 + 1 + 1) = 0.787879
    # label 2: p = (0.2, 0.1, 0.4), Dice (0.8 + 1) / (0.7 + 1 + 1) = 0.666667
    # 0.2 * 0.290554 - 0.8 * 1.454545 = 0.058111 - 1.163636 = -1.105525
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.4, 0.2, 0.4]], np.float32)
    truth = np.array([[[0, 1, 2]]], np.uint8)
    assert float(losses.combo_loss(losses.slice_terms(truth, np.log(p)[None, None]))[0]) == pytest.approx(
        -1.105525, abs=2e-6
    )
    sure = 40 * np.eye(3, dtype=np.float32)[None, None]
    assert float(losses.combo_loss(losses.slice_terms(truth, sure))[0]) == pytest.approx(-0.8 * 2, abs=1e-6)


def test_focal_tversky_by_hand() -> None:
    # TP 0.9 + 0.8 + 0.6 + 0.3 = 2.6, FN 0.1 + 0.2 + 0.4 + 0.7 = 1.4, FP 0.2 + 0.1 + 0.5 + 0.1 = 0.9
    # 0.7 * 1.4 + 0.3 * 0.9 = 1.25; 1.25 / (2.6 + 1.25 + 1) = 0.257732; 0.257732^0.75 = 0.361722
    terms = _one_label(EIGHT_P, EIGHT_Y)
    assert float(losses.slice_loss(terms, "focal_tversky")[0]) == pytest.approx(0.361722, abs=2e-6)
    # alpha and beta the other way round: 0.3 * 1.4 + 0.7 * 0.9 = 1.05; 1.05 / 4.65 = 0.225806; gamma 1: no root
    assert float(losses.focal_tversky_loss(terms, 0.3, 0.7, 1.0)[0]) == pytest.approx(0.225806, abs=2e-6)
    # half and half without the root is soft Dice with half the smoothing: 1.15 / (2.6 + 1.15 + 1)
    assert float(losses.focal_tversky_loss(terms, 0.5, 0.5, 1.0)[0]) == pytest.approx(1.15 / 4.75, abs=2e-6)


@pytest.mark.parametrize("kind", ["combo", "focal_tversky"])
def test_the_new_losses_are_masked_and_do_not_mix_slices(kind: str) -> None:
    seen = losses.slice_loss(_one_label(EIGHT_P, EIGHT_Y), kind)
    with_ignored = losses.slice_loss(_one_label([*EIGHT_P, 0.999, 0.001], [*EIGHT_Y, 255, 255]), kind)
    np.testing.assert_allclose(np.asarray(seen), np.asarray(with_ignored), rtol=1e-5)
    z = np.array([[[_logit(v)] for v in p] for p in (EIGHT_P, EIGHT_P[::-1])], np.float32)[:, None]
    both = np.asarray(losses.slice_loss(losses.slice_terms(np.array([[EIGHT_Y], [EIGHT_Y]], np.uint8), z), kind))
    assert both[0] == pytest.approx(float(np.asarray(seen)[0]), rel=1e-5)
    assert both[1] > both[0]
    weighted = float(losses.weighted_mean(both, np.array([1.0, 0.0])))
    assert weighted == pytest.approx(float(both[0]))


@pytest.mark.parametrize("kind", ["combo", "focal_tversky"])
def test_the_gradient_is_finite_where_all_is_right_and_where_nothing_counts(kind: str) -> None:
    """The root in focal Tversky has no finite slope at 0; filler slices are all ignored."""
    labels = np.zeros((3, 4, 4), np.uint8)
    labels[1] = losses.IGNORE
    labels[2, :2] = 1
    sure = np.where(labels[..., None] == 1, 200.0, -200.0).astype(np.float32)
    image = keras.Input((4, 4, 1))
    head = keras.layers.Conv2D(1, 1, kernel_initializer="ones")
    learner = Learner(keras.Model(image, head(image)), kind, 3, 2)
    learner.compile(optimizer=keras.optimizers.SGD(1.0), run_eagerly=True)
    y = {"labels": labels, "slots": np.arange(3, dtype=np.int32), "weights": np.ones(3, np.float32)}
    learner.learn(sure, y)
    assert all(np.isfinite(w.numpy()).all() for w in head.weights)
    perfect = np.asarray(losses.slice_loss(losses.slice_terms(labels, sure), kind))
    np.testing.assert_allclose(perfect, -0.8 if kind == "combo" else 0.0, atol=1e-6)


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
