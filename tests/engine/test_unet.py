"""The two networks: their shape is fixed, their weights are found by name."""

import numpy as np
import pytest

from thighview.core.doubts import head_warning
from thighview.core.errors import UserError

keras = pytest.importorskip("keras")

from thighview.engine.unet import assign_weights, build_network, weights_of  # noqa: E402


@pytest.mark.parametrize(("dropout", "with_sigmoid"), [(0.0, False), (0.5, True)])
def test_seed_network_is_the_original(dropout: float, with_sigmoid: bool) -> None:
    network = build_network("seed_unet", 2, 64, 5, dropout, 512, with_sigmoid=with_sigmoid)
    assert network.count_params() == 31_031_685
    assert network.input_shape == (None, 512, 512, 1) and network.output_shape == (None, 512, 512, 1)
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    filters = [layer.filters for layer in convolutions]
    down = [64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024]
    assert filters == [*down, *(f for n in (512, 256, 128, 64) for f in (n, n, n)), 2, 1]
    sizes = [layer.kernel_size[0] for layer in convolutions]
    assert sizes == [3] * 10 + [2, 3, 3] * 4 + [3, 1]
    assert all(layer.activation is keras.activations.relu for layer in convolutions[:-1])
    last = keras.activations.sigmoid if with_sigmoid else keras.activations.linear
    assert convolutions[-1].activation is last
    names = [layer.name for layer in network.layers]
    dropped = [name for name in names if "dropout" in name]
    assert dropped == (["down4_dropout", "down5_dropout"] if dropout else [])
    for level in range(1, 5):
        skip, up = network.get_layer(f"up{level}_join").input
        assert skip.shape[-1] == up.shape[-1] == 64 << (level - 1)
        source = skip._keras_history.operation.name
        assert source == ("down4_dropout" if dropout and level == 4 else f"down{level}_conv2")


def test_default_network() -> None:
    network = build_network("unet", 6, 16, 5)
    assert network.output_shape == (None, None, None, 6)
    assert "bottleneck" not in [layer.name for layer in network.layers]
    assert network.get_layer("down1_conv1_norm").groups == 8
    assert build_network("unet", 3, 4, 3).get_layer("down1_conv1_norm").groups == 4
    assert build_network("unet", 3, 6, 3).get_layer("down1_conv1_norm").groups == 2


def test_names_do_not_depend_on_the_session() -> None:
    first = build_network("unet", 3, 4, 3, 0.2)
    second = build_network("unet", 3, 4, 3)
    assert [w.path for w in first.weights] == [w.path for w in second.weights]
    assert "down1_conv1/kernel" in weights_of(first)


def test_weights_go_round() -> None:
    first, second = build_network("unet", 3, 4, 3), build_network("unet", 3, 4, 3)
    picture = np.random.default_rng(0).normal(size=(1, 16, 24, 1)).astype(np.float32)
    assign_weights(second, weights_of(first))
    np.testing.assert_array_equal(first.predict_on_batch(picture), second.predict_on_batch(picture))


def test_weights_that_do_not_fit_are_refused_whole() -> None:
    network = build_network("unet", 3, 4, 3)
    before = weights_of(network)
    for name, wrong in (("head/kernel", np.zeros((1, 1, 4, 5), np.float32)), ("more", np.zeros(3, np.float32))):
        changed = {key: array + 1 for key, array in before.items()} | {name: wrong}
        with pytest.raises(UserError, match=name):
            assign_weights(network, changed)
    fewer = dict(before)
    del fewer["head/bias"]
    with pytest.raises(UserError, match="head/bias"):
        assign_weights(network, fewer)
    for key, array in weights_of(network).items():
        np.testing.assert_array_equal(array, before[key])


def test_refusals() -> None:
    with pytest.raises(UserError, match="one label"):
        build_network("seed_unet", 3, 4, 3)
    with pytest.raises(UserError, match="architecture"):
        build_network("other", 3, 4, 3)
    with pytest.raises(UserError, match="multiples of 16"):
        build_network("unet", 3, 4, 5, input_size=40)


def test_one_sided_head_is_seen() -> None:
    weights = weights_of(build_network("seed_unet", 2, 4, 3))
    for values, word in (((1, 2), "background"), ((-1, -2), "label"), ((1, -2), "")):
        weights["head/kernel"] = np.array(values, np.float32).reshape(1, 1, 2, 1)
        assert word in head_warning(weights) and bool(word) == bool(head_warning(weights))
    assert head_warning({"head/kernel": np.ones((1, 1, 2, 1))}) == ""
