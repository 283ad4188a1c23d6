"""Our GroupNorm is Keras' own, by its numbers, its weights and what it learns."""

import keras
import numpy as np
import pytest

from thighview.engine.group_norm import GroupNorm
from thighview.engine.precision import computing_in


def _learned(norm: keras.layers.Layer, images: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """What a network of a convolution and a norm answers, and its weights after three steps."""
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 2), name="image")
    features = keras.layers.Conv2D(12, 3, padding="same", name="conv")(image)
    network = keras.Model(image, keras.layers.Activation("linear", dtype="float32")(norm(features)))
    for weight in network.weights[2:]:
        weight.assign(np.linspace(0.5, 2.0, 12, dtype=np.float32))
    answer = np.asarray(network.predict_on_batch(images))
    network.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse")
    for _ in range(3):
        network.train_on_batch(images, wanted)
    return answer, [np.asarray(weight.numpy()) for weight in network.weights]


@pytest.mark.parametrize("groups", [1, 4, 12])
@pytest.mark.parametrize(("size", "shift"), [(1.0, 0.0), (30.0, 200.0), (0.01, -1.0)])
def test_it_is_that_of_keras(groups: int, size: float, shift: float) -> None:
    rng = np.random.default_rng(5)
    images = (size * rng.standard_normal((3, 10, 14, 2)) + shift).astype(np.float32)
    wanted = rng.standard_normal((3, 10, 14, 12)).astype(np.float32)
    own, own_weights = _learned(GroupNorm(groups, name="norm"), images, wanted)
    theirs, their_weights = _learned(keras.layers.GroupNormalization(groups, name="norm"), images, wanted)
    assert own == pytest.approx(theirs, abs=2e-4)
    for mine, other in zip(own_weights, their_weights, strict=True):
        assert mine == pytest.approx(other, abs=2e-3)


def test_with_short_numbers_it_stays_near() -> None:
    rng = np.random.default_rng(5)
    images, wanted = rng.standard_normal((2, 16, 16, 2), np.float32), rng.standard_normal((2, 16, 16, 12), np.float32)
    exact, _ = _learned(GroupNorm(4, name="norm"), images, wanted)
    with computing_in("bfloat16"):
        short, weights = _learned(GroupNorm(4, name="norm"), images, wanted)
        _, theirs = _learned(keras.layers.GroupNormalization(4, name="norm"), images, wanted)
    assert short == pytest.approx(exact, abs=0.1) and not np.array_equal(short, exact)
    assert all(weight.dtype == np.float32 for weight in weights)
    for mine, other in zip(weights, theirs, strict=True):
        assert mine == pytest.approx(other, abs=1e-3)
