"""What the numbers of a model or a run do not measure, in plain words: first what is the matter, then what it means."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from thighview.core.run import TrainConfig

HEAD_WEIGHTS = ("head/kernel", "bottleneck/kernel")
"""The weights by which a head is judged."""
SLOW_RMSPROP = 1e-5
_COMBO = (
    "Its loss has no zero. The combo loss goes below zero, to -0.8 at best for each label: only its fall means "
    "something, and its height cannot be compared with that of another loss."
)
_SLOW = (
    "Its learning rate is far too small to learn much. RMSprop at {rate:g} moves the weights by next to nothing in a "
    "step (1e-4 is usual): scores that hardly move say nothing about the training set."
)
_CONSTANT = (
    "Its learning rate never falls. While the rate stays up the weights never rest, so the training number, averaged "
    "over an epoch, trails the validation number to the end."
)


def head_warning(weights: Mapping[str, NDArray[np.floating]]) -> str:
    """Sentences when a ``seed_unet`` head can answer on one side only, else an empty string.

    The 2-filter ReLU layer gives r1, r2 >= 0 and the logit is w1 r1 + w2 r2 + b: where w1 and w2 have the same sign,
    it is bounded by b on one side, and probabilities on that side never get near 0 or 1.
    """
    if any(name not in weights for name in HEAD_WEIGHTS):
        return ""
    first, second = np.asarray(weights[HEAD_WEIGHTS[0]]).ravel()[:2]
    if first * second <= 0:
        return ""
    side = "background" if first > 0 else "label"
    return (
        f"This network cannot be sure of {side}: both weights of its head have the same sign. Its probability of "
        f"{side} stops near one half however plain the picture is: masks and Dice do not show it, loss, uncertainty "
        "and calibration do."
    )


def config_doubts(config: TrainConfig) -> list[str]:
    """What the settings of a run do to the numbers it shows."""
    said: list[str] = []
    if config.loss == "combo":
        said.append(_COMBO)
    if config.optimizer == "rmsprop" and config.learning_rate <= SLOW_RMSPROP:
        said.append(_SLOW.format(rate=config.learning_rate))
    constant = "constant" if config.architecture == "seed_unet" else ""
    if (constant if config.schedule == "auto" else config.schedule) == "constant":
        said.append(_CONSTANT)
    return said
