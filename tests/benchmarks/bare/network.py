"""Bare network: ``model.predict`` and ``model.fit`` on arrays that are ready, nothing around them."""

import time

import keras
import numpy as np


def predict_seconds(network: keras.Model, planes: np.ndarray, batch: int, rounds: int) -> list[float]:
    """Seconds of each ``model.predict`` over planes (n, y, x, 1), after one that is not counted."""
    network.predict(planes, batch_size=batch, verbose=0)
    seconds: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        network.predict(planes, batch_size=batch, verbose=0)
        seconds.append(time.perf_counter() - start)
    return seconds


class EpochClock(keras.callbacks.Callback):
    """Seconds of each epoch, validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._start = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Stop it."""
        self.seconds.append(time.perf_counter() - self._start)
