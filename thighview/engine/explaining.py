"""The extra passes that explain why training and validation read differently: one thing changed at a time."""

from typing import Any

import keras

from thighview.core.gap_passes import END_OF_EPOCH, INFERENCE
from thighview.core.sums import Sums
from thighview.engine.batches import AugmentedBatches, Slices, TrainBatches
from thighview.engine.learner import Learner


class AsInTraining(Learner):
    """The same layers, always as they are while learning: dropout drops, whatever Keras' test step says."""

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The network's answer with ``training=True``."""
        return super().call(inputs, training=True, mask=mask)


class Explainer:
    """Passes over the probed slices at the weights as they are, on the very images that an epoch learnt from.

    Parameters
    ----------
    network : keras.Model
        Gives logits; its weights are read, and nothing of it is changed.
    inference : Learner
        Of the same network; measures with dropout off.
    slots : int
        The most slices that are measured.
    classes : int
        C, the background among them.
    """

    def __init__(self, network: keras.Model, inference: Learner, slots: int, classes: int) -> None:
        self._network = network
        self._inference = inference
        self._as_in_training = AsInTraining(network, inference.kind, slots, classes)
        self._as_in_training.compile()

    def in_parts(self, at_once: int) -> None:
        """From now on have at most ``at_once`` slices in memory together."""
        self._as_in_training.at_once = at_once

    def passes(self, probe: Slices, batches: TrainBatches, epoch: int) -> dict[str, Sums]:
        """The sums of these slices, distorted as the epoch distorted them, with dropout on and with dropout off."""
        kept = [(v, v.numpy().copy()) for v in self._network.non_trainable_variables]
        try:  # dropout draws on, moving statistics move: both are put back, so that measuring changes nothing
            dropping = self._measured(self._as_in_training, probe, batches, epoch)
        finally:
            for variable, value in kept:
                variable.assign(value)
        return {END_OF_EPOCH: dropping, INFERENCE: self._measured(self._inference, probe, batches, epoch)}

    def _measured(self, learner: Learner, probe: Slices, batches: TrainBatches, epoch: int) -> Sums:
        return learner.measure(AugmentedBatches(probe, batches, epoch, learner.slice_table.spare))
