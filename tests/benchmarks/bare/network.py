"""Bare network: ``model.predict`` and ``model.fit`` on arrays that are ready, nothing around them."""

import time
from typing import Any

import keras
import numpy as np

from thighview.core.run import TrainConfig
from thighview.engine.learner import optimizer_of
from thighview.engine.losses import slice_loss, slice_terms
from thighview.engine.unet import build_network


def predict_once(network: keras.Model, planes: np.ndarray, batch: int) -> float:
    """Seconds of one ``model.predict`` over planes (n, y, x, 1)."""
    began = time.perf_counter()
    network.predict(planes, batch_size=batch, verbose=0)
    return time.perf_counter() - began


class BareFit:
    """``model.fit``, an epoch at a time: the same network, loss, optimiser and slices in batches of the same size."""

    def __init__(self, train: Any, val: Any, config: TrainConfig, classes: int, steps: int) -> None:
        self.steps = steps
        self._batch = min(config.batch_size, len(train))
        rows = np.resize(np.arange(len(train)), steps * self._batch)  # as many batches as the run has
        self._x, self._y = np.float32(train.images)[rows][..., None], np.stack(train.labels)[rows]
        self._val = None
        if val is not None:
            self._val = (np.float32(val.images)[..., None], np.stack(val.labels))
        self._network = build_network(config.architecture, classes, config.base_filters, config.levels, config.dropout)

        def loss(labels: Any, logits: Any) -> Any:
            return slice_loss(slice_terms(labels, logits), config.loss)

        self._network.compile(optimizer_of(config, config.epochs * steps), loss)

    def epoch(self, validate: bool = False) -> float:
        """Seconds of one epoch, with or without ``validation_data``."""
        began = time.perf_counter()
        self._network.fit(
            self._x, self._y, batch_size=self._batch, epochs=1, verbose=0,
            validation_data=self._val if validate else None, validation_batch_size=self._batch,
        )  # fmt: skip
        return time.perf_counter() - began
