"""The numbers behind the curves of a run: kept from its events, given out as lines and as CSV."""

import csv
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.run import BatchEnded, EpochEnded, RunEvent, Started

METRICS: tuple[tuple[str, str], ...] = (("loss", "Loss"), ("accuracy", "Accuracy"), ("dice", "Dice"))
LINES: tuple[tuple[str, str], ...] = (("train", "train"), ("val", "validation"), ("while_learning", "while learning"))
"""Field of ``EpochEnded``, and the name people read."""

Line = tuple[NDArray[np.float64], NDArray[np.float64]]
_NOTHING = np.empty(0, np.float64)


class CurveData:
    """What a run has said so far, in the order of its epochs.

    The x of every point is in epochs: an epoch's scores lie at its number, a batch at the share of its epoch that
    is done (step 5 of 10 in epoch 3 lies at 2.5). A resumed run that says an epoch again replaces it.
    """

    def __init__(self, events: Iterable[RunEvent] = ()) -> None:
        self.epochs: list[EpochEnded] = []
        self.batches: list[BatchEnded] = []
        self.labels: tuple[str, ...] = ()
        self.planned_epochs = 0
        self.best_epoch = 0
        self._lines: dict[tuple[str, str, str], Line] = {}
        for event in events:
            self.add(event)

    def add(self, event: RunEvent) -> bool:
        """Take an event; True when a curve has changed."""
        if isinstance(event, Started):
            self.planned_epochs, self.labels = event.epochs, event.labels
            self._forget_from(event.first_epoch)
            return True
        if isinstance(event, EpochEnded):
            while self.epochs and self.epochs[-1].epoch >= event.epoch:
                self.epochs.pop()
                self._lines.clear()
            self.epochs.append(event)
            self.planned_epochs = max(self.planned_epochs, event.epochs)
            self.best_epoch = event.epoch if event.best else self.best_epoch
            return True
        if isinstance(event, BatchEnded):
            while self.batches and _place(self.batches[-1]) >= _place(event):
                self.batches.pop()
                self._lines.clear()
            self.batches.append(event)
            return True
        return False

    def line(self, metric: str, which: str, label: str = "") -> Line:
        """The measured points of a metric (``loss``, ``accuracy``, ``dice``).

        ``which``: ``train``, ``val``, ``while_learning`` (one point per epoch) or ``batch`` (Keras' running
        average within the epoch). With a label: its own Dice, which is known of validation alone. Epochs without the
        measurement are left out, so the line joins their neighbours.

        Returns
        -------
        x, y : ndarray of float64, shape (n,)
            Epochs, and values.
        """
        said: list[Any] = self.batches if which == "batch" else self.epochs
        kept = self._lines.get((metric, which, label), (_NOTHING, _NOTHING))
        if len(kept[0]) > len(said):
            kept = (_NOTHING, _NOTHING)
        new = said[len(kept[0]) :]
        if which == "batch":
            x, y = [_place(batch) for batch in new], [None if label else getattr(batch, metric) for batch in new]
        else:
            x, y = [epoch.epoch for epoch in new], [self._score(epoch, metric, which, label) for epoch in new]
        places = np.append(kept[0], np.asarray(x, np.float64))
        values = np.append(kept[1], np.asarray(y, np.float64))  # None becomes nan
        self._lines[metric, which, label] = (places, values)
        there = np.isfinite(values)
        return places[there], values[there]

    def at(self, place: float, metric: str, per_batch: bool, label: str = "") -> tuple[str, dict[str, float]]:
        """What the curves say near a place on the x axis: a title, and the value of each line by its field name."""
        values: dict[str, float] = {}
        title = ""
        if self.epochs:
            epoch = min(self.epochs, key=lambda e: abs(e.epoch - place))
            title = f"epoch {epoch.epoch}"
            for which, _ in LINES:
                value = self._score(epoch, metric, which, label)
                if value is not None:
                    values[which] = value
        if per_batch and self.batches and not label:
            batch = min(self.batches, key=lambda b: abs(_place(b) - place))
            value = getattr(batch, metric)
            if value is not None:
                values["batch"] = value
                title = f"epoch {batch.epoch}, batch {batch.step} of {batch.steps}"
        return title, values

    def to_csv(self) -> str:
        """One row per epoch with every metric of every line; empty where not measured."""
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        names = [f"{which}_{metric}" for which, _ in LINES for metric, _ in METRICS]
        names += [f"val_dice_{label}" for label in self.labels]
        table.writerow(["epoch", "seconds", "learning_rate", "best", *names])
        for epoch in self.epochs:
            scores = [getattr(getattr(epoch, which), metric) for which, _ in LINES for metric, _ in METRICS]
            scores += [self._score(epoch, "dice", "val", label) for label in self.labels]
            cells = ["" if score is None else repr(float(score)) for score in scores]
            table.writerow([epoch.epoch, f"{epoch.seconds:.3f}", epoch.learning_rate, int(epoch.best), *cells])
        return out.getvalue()

    def _score(self, epoch: EpochEnded, metric: str, which: str, label: str) -> float | None:
        if not label:
            return getattr(getattr(epoch, which), metric)
        place = self.labels.index(label) if label in self.labels and which == "val" else len(epoch.val_dice)
        return epoch.val_dice[place] if place < len(epoch.val_dice) else None

    def _forget_from(self, first_epoch: int) -> None:
        self.epochs = [epoch for epoch in self.epochs if epoch.epoch < first_epoch]
        self.batches = [batch for batch in self.batches if batch.epoch < first_epoch]
        self._lines.clear()
        if self.best_epoch >= first_epoch:
            self.best_epoch = 0


def label_title(name: str) -> str:
    """A label's name as people read it."""
    return name.replace("_", " ").capitalize()


def _place(batch: BatchEnded) -> float:
    return batch.epoch - 1 + batch.step / max(1, batch.steps)
