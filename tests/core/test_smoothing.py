import numpy as np
import pytest

from thighview.core.smoothing import smooth


def test_it_is_the_fit_of_a_line_at_each_point() -> None:
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.integers(1, 6, 30)).astype(float)
    y = rng.random(30)
    expected = []
    for at in x:
        weight = np.sqrt(np.exp(-np.abs(x - at) / 3.0))
        basis = np.stack([np.ones_like(x), x - at], axis=1)
        expected.append(np.linalg.lstsq(basis * weight[:, None], y * weight, rcond=None)[0][0])
    assert smooth(x, y, 3.0) == pytest.approx(np.array(expected), rel=1e-9)


def test_a_straight_line_stays_where_it_is_however_its_points_are_spaced() -> None:
    x = np.array([1.0, 2, 3, 8, 9, 20, 21, 40])
    assert smooth(x, 3 - 0.5 * x, 4.0) == pytest.approx(3 - 0.5 * x)


def test_points_far_from_all_others_keep_their_value_and_near_ones_are_still_fitted() -> None:
    """The training people of a long run are measured now and then only."""
    x = np.array([1.0, 2, 4, 45, 90, 91, 150, 165, 200])
    y = np.array([0.9, 0.5, 0.6, 0.4, 0.3, 0.35, 0.2, 0.25, 0.1])
    for width in (1.0, 0.5, 0.05):
        expected = []
        for at in x:
            weight = np.sqrt(np.exp(-np.abs(x - at) / width))
            basis = np.stack([np.ones_like(x), x - at], axis=1)
            expected.append(np.linalg.lstsq(basis * weight[:, None], y * weight, rcond=None)[0][0])
        found = smooth(x, y, width)
        assert found == pytest.approx(np.array(expected), abs=1e-6)
        assert found[[3, 6, 8]] == pytest.approx(y[[3, 6, 8]], abs=1e-6)
    assert smooth(x, y, 1.0)[1] != pytest.approx(y[1], abs=1e-3)


def test_noise_becomes_less_and_a_step_is_not_late() -> None:
    x = np.arange(1.0, 201)
    noise = np.random.default_rng(1).normal(0, 1, 200)
    assert smooth(x, noise, 4.0).std() < 0.5 * noise.std()
    step = (x > 100.5).astype(float)
    assert np.interp(0.5, smooth(x, step, 4.0)[80:120], x[80:120]) == pytest.approx(100.5, abs=0.01)


def test_a_long_run_is_the_sum_of_its_stretches() -> None:
    x = np.arange(1.0, 5001)
    y = np.sin(x / 50)
    whole = smooth(x, y, 1.0)
    assert np.isfinite(whole).all()
    assert whole[2400:2600] == pytest.approx(smooth(x[2300:2700], y[2300:2700], 1.0)[100:300], abs=1e-9)


def test_no_width_or_too_few_points_change_nothing() -> None:
    x, y = np.array([1.0, 2, 3]), np.array([5.0, 1, 4])
    assert smooth(x, y, 0.0).tolist() == y.tolist()
    assert smooth(x[:2], y[:2], 3.0).tolist() == y[:2].tolist()
    assert smooth(x[:0], y[:0], 3.0).size == 0
