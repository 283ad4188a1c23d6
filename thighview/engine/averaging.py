"""Averaged weights (EMA): kept by the optimiser, put into the network while it is measured and kept."""

import contextlib
from collections.abc import Generator

import keras
import numpy as np
from numpy.typing import NDArray

from thighview.engine.unet import assign_weights, weights_of

Weights = dict[str, NDArray[np.float32]]


@contextlib.contextmanager
def averaged(network: keras.Model, optimizer: keras.optimizers.Optimizer, ema: float) -> Generator[Weights]:
    """Have the averaged weights in the network for a while; gives the network's own, which are back afterwards.

    The average a follows the weights w after every step as a <- ema a + (1 - ema) w and starts as the weights after
    the first step. Own weights are copied, not added and taken away again: they come back to the last bit, so
    measuring leaves no trace in the training. Nothing is swapped where nothing is averaged, or before the first step.

    Parameters
    ----------
    network : keras.Model
    optimizer : keras.optimizers.Optimizer
        Of this network, made with ``use_ema`` where ``ema`` is not 0.
    ema : float
        Share of the old average kept at each step; 0: off.
    """
    if not ema or int(optimizer.iterations) == 0:
        yield {}
        return
    own = weights_of(network)
    try:
        optimizer.finalize_variable_values(network.trainable_variables)
        yield own
    finally:
        assign_weights(network, own)


def average_warning(ema: float, steps: int) -> str:
    """A sentence when a run is too short for its average to follow the weights, else an empty string.

    The average reaches back over about 1 / (1 - ema) steps; below three times that, it still holds the start.
    """
    reach = 1 / (1 - ema)
    if not ema or steps >= 3 * reach:
        return ""
    return f"The average of the weights reaches back {reach:.0f} steps and the run has {steps}: choose a smaller EMA."
