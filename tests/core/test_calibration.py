"""Calibration against worked examples and models whose error is known."""

import doctest

import numpy as np
import pytest

from thighview.core import calibration
from thighview.core.calibration import LogitSample, Reliability, best_temperature, cross_entropy, softmax


def drawn(seed: int, n: int = 40_000, classes: int = 3, sharp: float = 2.5) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and classes drawn with just their probabilities: a model that means what it says."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, sharp, (n, classes))
    p = softmax(logits).cumsum(-1)
    return logits, (rng.random((n, 1)) > p).sum(-1).astype(np.uint8)


def reliability(logits: np.ndarray, classes: np.ndarray) -> Reliability:
    found = Reliability()
    for k in range(1, logits.shape[-1]):
        found.add(softmax(logits)[:, k], classes == k)
    return found


def test_docstring_examples() -> None:
    result = doctest.testmod(calibration)
    assert result.attempted >= 8 and result.failed == 0


def test_a_model_that_means_what_it_says_has_no_error_and_temperature_one() -> None:
    logits, classes = drawn(1)
    found = reliability(logits, classes)
    assert found.ece is not None and found.ece < 0.01
    for row in found.bins():
        assert row["accuracy"] == pytest.approx(row["confidence"], abs=0.03)
    assert best_temperature(logits, classes, np.ones(len(classes))) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_the_temperature_undoes_what_logits_were_multiplied_by(factor: float) -> None:
    logits, classes = drawn(2)
    ones = np.ones(len(classes))
    found = best_temperature(logits * factor, classes, ones)
    assert found == pytest.approx(factor, rel=0.03)
    best = cross_entropy(logits * factor, classes, ones, found)
    assert all(best <= cross_entropy(logits * factor, classes, ones, found * f) for f in (0.9, 1.1))
    before, after = reliability(logits * factor, classes).ece, reliability(logits * factor / found, classes).ece
    assert before is not None and after is not None and after < 0.2 * before


def test_bins_by_hand_and_what_is_left_out() -> None:
    found = Reliability()
    found.add(np.array([0.001, 0.05, 0.95, 1.0, 0.95]), np.array([True, False, True, True, False]))
    rows = found.bins()
    assert [row["pixels"] for row in rows] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 3]
    assert rows[0] == {"confidence": 0.05, "accuracy": 0.0, "pixels": 1}
    assert rows[1] == {"confidence": None, "accuracy": None, "pixels": 0}
    assert rows[9]["accuracy"] == pytest.approx(2 / 3)
    assert found.ece == pytest.approx((0.05 + abs(2 - 2.9)) / 4)
    both = Reliability()
    both.join(found)
    both.join(found)
    assert both.ece == found.ece and both.bins()[9]["pixels"] == 6
    assert Reliability().ece is None


def test_a_sample_stands_for_all_pixels_and_stays_bounded() -> None:
    sample, again = (LogitSample(seed=3, per_slice=400, limit=6000) for _ in range(2))
    whole: list[tuple[np.ndarray, np.ndarray]] = []
    for k in range(60):
        logits, classes = drawn(k, 5000, 4, sharp=5.0)
        logits *= 2.0
        whole.append((logits, classes))
        sample.add(logits, classes)
        again.add(logits, classes)
        assert len(sample) <= 6000
    logits, classes, weights = sample.arrays()
    assert weights.sum() == pytest.approx(60 * 5000, rel=0.1)
    everything = [np.concatenate(part) for part in zip(*whole, strict=True)]
    ones = np.ones(60 * 5000)
    assert cross_entropy(logits, classes, weights) == pytest.approx(cross_entropy(*everything, ones), rel=0.1)
    assert best_temperature(logits, classes, weights) == pytest.approx(best_temperature(*everything, ones), rel=0.06)
    assert np.array_equal(again.arrays()[0], logits)
