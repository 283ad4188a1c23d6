"""A network together with its loss and the table its sums go to; runs on any Keras backend."""

import math
import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from thighview.core.run import TrainConfig
from thighview.core.sums import Sums
from thighview.engine.batches import MeasureBatches, in_parts
from thighview.engine.gradient_sum import GradientSum
from thighview.engine.losses import slice_loss, slice_terms, weighted_mean
from thighview.engine.metrics import SliceTable

_POWER = 0.9
_CLIP = 12.0


class Learner(keras.Model):
    """The network's layers under Keras' own training and test steps, with loss and sums put into their two hooks.

    Parameters
    ----------
    network : keras.Model
        Gives logits.
    kind : {"ce", "dice", "ce_dice", "combo", "focal_tversky"}
    slots : int
        Rows of the longest pass.
    classes : int
        C, the background among them.
    """

    def __init__(self, network: keras.Model, kind: str, slots: int, classes: int) -> None:
        super().__init__(inputs=network.inputs[0], outputs=network.outputs[0])
        self.kind = kind
        self.slice_table = SliceTable(slots, classes)
        self.at_once = sys.maxsize
        """Slices that are in memory together, at most."""
        self._sum: GradientSum | None = None

    def learn_in_parts(self, at_once: int) -> None:
        """From now on work on a batch in parts of at most ``at_once`` slices, and still learn from it in one step.

        Dropout draws anew for each part; without it the steps are those of whole batches within float noise, for no
        layer of our networks looks across slices. Call it before ``learn``, after ``compile``.
        """
        follower = self._sum.follower if self._sum else self.optimizer
        self._sum = GradientSum(follower)
        self._sum.build(self.trainable_variables)
        self.compile(optimizer=self._sum)
        self.slice_table.clear()
        self.at_once = at_once

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Weighted mean of the slices' losses."""
        return weighted_mean(slice_loss(slice_terms(y["labels"], y_pred), self.kind), y["weights"])

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Write the sums of the batch into the table."""
        self.slice_table.update_state(slice_terms(y["labels"], y_pred), y["labels"], y_pred, y["slots"])
        return self.get_metrics_result()

    def learn(self, x: NDArray[np.float32], y: dict[str, NDArray[Any]]) -> float:
        """One step; returns the loss of this batch before the step."""
        if self._sum is None:
            return float(self.train_on_batch(x, y, return_dict=True)["loss"])
        loss, whole = 0.0, float(y["weights"].sum())
        for images, truth in in_parts((x, y), self.at_once):
            share = float(truth["weights"].sum()) / max(whole, 1e-12)
            self._sum.weigh(share)
            loss += share * float(self.train_on_batch(images, truth, return_dict=True)["loss"])
        self._sum.step()
        return loss

    def measure(self, batches: MeasureBatches) -> Sums:
        """The sums of a pass without learning: weights as they are, no dropout, no augmentation."""
        for index in range(len(batches)):
            for x, y in in_parts(batches[index], self.at_once):
                self.test_on_batch(x, y, return_dict=True)
        return self.sums(batches.slices.ids.tolist(), batches.batch_size)

    def sums(self, ids: Sequence[int], batch_size: int) -> Sums:
        """The sums of the first ``len(ids)`` slots of the pass just made."""
        return Sums.of(self.slice_table.rows(len(ids)), ids, batch_size)


def optimizer_of(config: TrainConfig, steps: int, precision: str = "float32") -> keras.optimizers.Optimizer:
    """The optimiser of a run of so many steps.

    ``unet``: gradients are cut at norm 12, as nnU-Net does. ``seed_unet``: as the seed had it, no cut. The rate
    follows the schedule (:func:`schedule_of`). ``float16`` scales the loss, lest small gradients become 0.
    """
    ours = config.architecture == "unet"
    rate: Any = config.learning_rate
    if schedule_of(config) == "poly":
        rate = keras.optimizers.schedules.PolynomialDecay(config.learning_rate, max(steps, 1), 0.0, _POWER)
    elif schedule_of(config) == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, max(steps, 1))
    common: dict[str, Any] = {"learning_rate": rate, "global_clipnorm": _CLIP if ours else None}
    if config.ema:
        common |= {"use_ema": True, "ema_momentum": config.ema}
    if config.optimizer == "adamw":
        made: Any = keras.optimizers.AdamW(weight_decay=1e-4, **common)
    elif config.optimizer == "rmsprop":
        made = keras.optimizers.RMSprop(**common)
    elif config.optimizer == "sgd":
        made = keras.optimizers.SGD(momentum=0.99 if ours else 0.9, nesterov=True, **common)
    else:
        made = keras.optimizers.Adam(**common)
    return keras.optimizers.LossScaleOptimizer(made) if precision == "float16" else made


def schedule_of(config: TrainConfig) -> str:
    """How the rate lr falls over T steps: ``poly``, ``cosine`` or ``constant``; what ``auto`` means is decided here.

    poly: lr (1 - t/T)^0.9 (nnU-Net). cosine: lr (1 + cos(pi t/T)) / 2 (Loshchilov and Hutter 2017, without restarts).
    """
    if config.schedule == "auto":
        return "poly" if config.architecture == "unet" else "constant"
    return config.schedule


def rate_at(config: TrainConfig, step: int, steps: int) -> float:
    """Learning rate after ``step`` of ``steps`` steps."""
    done = min(step / max(steps, 1), 1.0)
    shares = {"poly": (1 - done) ** _POWER, "cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0}
    return config.learning_rate * shares[schedule_of(config)]
