"""The two networks: the seed's U-Net exactly, and ours. keras and keras.ops only, so any Keras backend runs them."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.engine.group_norm import GroupNorm

ARCHITECTURES = ("unet", "seed_unet")


def build_network(
    architecture: str,
    classes: int,
    base_filters: int,
    levels: int,
    dropout: float = 0.0,
    input_size: int | None = None,
    in_channels: int = 1,
    with_sigmoid: bool = False,
) -> keras.Model:
    """An untrained network with fixed layer names, so that weights are found by name in every session.

    Input: float32 (n, height, width, ``in_channels``), height and width multiples of ``2 ** (levels - 1)``.
    Output: logits, float32. ``unet`` gives (n, height, width, ``classes``), one logit per class, background first.
    ``seed_unet`` knows one label (``classes`` is 2) and gives (n, height, width, 1), the logit of that label; the app
    applies the sigmoid (:func:`thighview.engine.predict.probabilities`). ``with_sigmoid`` puts it into the head as
    the original had it; the parameters are the same.

    Parameters
    ----------
    architecture : {"unet", "seed_unet"}
        ``unet``: convolution, GroupNorm, LeakyReLU. ``seed_unet``: convolution, ReLU, and a 2-filter ReLU layer before
        the head.
    classes : int
        Number of classes with background.
    base_filters : int
        Filters on the first level, doubled on each level below (the seed: 64).
    levels : int
        Resolution levels (the seed: 5).
    dropout : float
        Share of features dropped after the two deepest levels while learning; 0 leaves the layers out.
    input_size : int, optional
        Edge of the square input in pixels; None takes any size (the seed: 512).
    in_channels : int
        Images per slice.
    with_sigmoid : bool
        ``seed_unet`` only: end in the original's sigmoid instead of logits.
    """
    if architecture not in ARCHITECTURES:
        raise UserError(f"Expected the architecture {' or '.join(ARCHITECTURES)}, found {architecture!r}.")
    if architecture == "seed_unet" and classes != 2:
        raise UserError(
            f"The network seed_unet knows one label besides background, found {classes - 1}.",
            "Choose the network unet for several labels.",
        )
    if input_size is not None and input_size % (1 << (levels - 1)):
        raise UserError(f"{levels} levels need an input size in multiples of {1 << (levels - 1)}, found {input_size}.")
    block = _seed_block if architecture == "seed_unet" else _block
    image = keras.Input((input_size, input_size, in_channels), name="image")
    x: Any = image
    skips: list[Any] = []
    for level in range(1, levels + 1):
        filters = base_filters << (level - 1)
        x = block(x, filters, 3, f"down{level}_conv1")
        x = block(x, filters, 3, f"down{level}_conv2")
        if dropout > 0 and level >= levels - 1:
            x = layers.Dropout(dropout, name=f"down{level}_dropout")(x)
        if level < levels:
            skips.append(x)
            x = layers.MaxPooling2D(2, name=f"down{level}_pool")(x)
    for level in range(levels - 1, 0, -1):
        filters = base_filters << (level - 1)
        x = layers.UpSampling2D(2, name=f"up{level}_double")(x)
        x = block(x, filters, 2, f"up{level}_conv0")
        x = layers.Concatenate(axis=-1, name=f"up{level}_join")([skips[level - 1], x])
        x = block(x, filters, 3, f"up{level}_conv1")
        x = block(x, filters, 3, f"up{level}_conv2")
    if architecture == "seed_unet":
        x = block(x, 2, 3, "bottleneck")
        x = layers.Conv2D(1, 1, activation="sigmoid" if with_sigmoid else None, dtype="float32", name="head")(x)
    else:
        x = layers.Conv2D(classes, 1, dtype="float32", name="head")(x)
    return keras.Model(image, x, name=architecture)


def _seed_block(x: Any, filters: int, size: int, name: str) -> Any:
    """Convolution and ReLU."""
    return layers.Conv2D(filters, size, padding="same", activation="relu", kernel_initializer="he_normal", name=name)(x)


def _block(x: Any, filters: int, size: int, name: str) -> Any:
    """Convolution, GroupNorm over at most 8 groups, LeakyReLU."""
    x = layers.Conv2D(filters, size, padding="same", kernel_initializer="he_normal", name=name)(x)
    x = GroupNorm(math.gcd(8, filters), name=f"{name}_norm")(x)
    return layers.LeakyReLU(negative_slope=0.01, name=f"{name}_relu")(x)


def weights_of(network: keras.Model) -> dict[str, NDArray[np.float32]]:
    """A copy of every weight by its name, float32: ``down1_conv1/kernel`` and so on."""
    return {w.path: np.array(w.numpy(), np.float32) for w in network.weights}


def assign_weights(network: keras.Model, weights: Mapping[str, NDArray[np.floating]]) -> None:
    """Fill a network; names and shapes must match exactly, nothing is changed otherwise.

    Raises
    ------
    UserError
        When a weight is missing, surplus or of another shape.
    """
    own = {w.path: w for w in network.weights}
    missing, surplus = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if missing or surplus:
        what = f"lack {missing[0]!r}" if missing else f"hold the unknown {surplus[0]!r}"
        raise UserError(f"The weights do not fit the network of the card: they {what}.", "Choose another model.")
    for name, variable in own.items():
        if tuple(variable.shape) != weights[name].shape:
            raise UserError(
                f"The weights do not fit the network of the card: {name!r} should have the shape "
                f"{tuple(variable.shape)}, found {weights[name].shape}.",
                "Choose another model.",
            )
    for name, variable in own.items():
        variable.assign(weights[name])
