"""The numbers behind the curves of a run: kept from its events, given out as lines, bands and CSV."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from thighview.core.people import values_of
from thighview.core.run import BatchEnded, EpochEnded, RunEvent, Started, thinned
from thighview.core.student import mean_interval
from thighview.ui.curve_table import LINES, METRICS, epochs_csv, label_score, people_of

__all__ = ["LINES", "METRICS", "CurveData", "label_title"]

Values = NDArray[np.float64]
Line = tuple[Values, Values]
Interval = tuple[float, float]
MOST_BANDS = 256
"""A band has at most twice as many places; the plot is hardly wider in pixels."""
_NOTHING = np.empty(0, np.float64)

T = TypeVar("T")


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
        self.val_is_phantoms = False
        self.best_epoch = 0
        self.began: float | None = None
        self._lines: dict[tuple[str, str, str], Line] = {}
        self._kept_clock: Line | None = None
        self._bands: dict[tuple[str, str, str], dict[int, Interval | None]] = {}
        for event in events:
            self.add(event)

    def add(self, event: RunEvent) -> bool:
        """Take an event; True when a curve has changed."""
        if self.began is None:
            self.began = event.time
        if isinstance(event, Started):
            self.planned_epochs, self.labels = event.epochs, event.labels
            self.val_is_phantoms = event.val_is_phantoms
            self._forget_from(event.first_epoch)
            return True
        if isinstance(event, EpochEnded):
            while self.epochs and self.epochs[-1].epoch >= event.epoch:
                self.epochs.pop()
                self._forget_lines()
            self.epochs.append(event)
            self._kept_clock = None
            self.planned_epochs = max(self.planned_epochs, event.epochs)
            self.best_epoch = event.epoch if event.best else self.best_epoch
            self._thin(event.epoch)
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

        ``which``: ``train``, ``val``, ``while_learning`` (one point per epoch) or ``batch`` (the running
        average within the epoch). With a label: its own mean over people. Epochs without the measurement are left
        out, so the line joins their neighbours.

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
            epoch = _nearest(self.epochs, place, lambda e: e.epoch)
            title = f"epoch {epoch.epoch}"
            for which, _ in LINES:
                value = self._score(epoch, metric, which, label)
                if value is not None:
                    values[which] = value
        if per_batch and self.batches and not label:
            batch = _nearest(self.batches, place, _place)
            value = getattr(batch, metric)
            if value is not None:
                values["batch"] = value
                title = f"epoch {batch.epoch}, batch {batch.step} of {batch.steps}"
        return title, values

    def band(
        self, metric: str, which: str, label: str = "", most: int | None = None
    ) -> tuple[Values, Values, Values, bool]:
        """The 95 % interval of the mean over people along a line; each epoch's is worked out once.

        Long runs give every second, fourth, ... place. ``most`` limits how many are worked out in this call.

        Returns
        -------
        x, low, high : ndarray of float64, shape (n,)
            Epochs with two people or more, and the ends of the interval.
        complete : bool
            False when ``most`` was too few; calling again goes on.
        """
        kept = self._bands.setdefault((metric, which, label), {})
        told = [epoch for epoch in self.epochs if people_of(epoch, which)]
        step = 1 << ((len(told) - 1) // MOST_BANDS).bit_length() if told else 1
        places = told[::step] + ([told[-1]] if (len(told) - 1) % step else [])
        missing = [epoch for epoch in places if epoch.epoch not in kept]
        for epoch in missing[:most]:
            kept[epoch.epoch] = mean_interval(values_of(people_of(epoch, which), metric, self._label_place(label)))
        known = [(e.epoch, *ends) for e in places if (ends := kept.get(e.epoch)) is not None]
        table = np.array(known, np.float64).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2], most is None or len(missing) <= most

    def people(self, which: str, metric: str, label: str = "") -> int | None:
        """How many people the line is a mean over at present; None when the run does not tell."""
        told = next((people for e in reversed(self.epochs) if (people := people_of(e, which))), ())
        return len(values_of(told, metric, self._label_place(label))) if told else None

    def minutes_at(self, places: Values) -> Values:
        """Minutes since the run's first event (pauses included) at places on the axis of epochs."""
        if not self.epochs or self.began is None:
            return np.zeros_like(places)
        return np.interp(places, *self._clock())

    def place_at(self, minutes: float) -> float:
        """The place on the axis of epochs at so many minutes."""
        if not self.epochs or self.began is None:
            return 0.0
        epochs, clock = self._clock()
        return float(np.interp(minutes, clock, epochs))

    def _clock(self) -> Line:
        if self._kept_clock is None:
            places = np.array([0.0, *(epoch.epoch for epoch in self.epochs)])
            clock = np.array([0.0, *((epoch.time - (self.began or 0.0)) / 60 for epoch in self.epochs)])
            self._kept_clock = places, np.maximum.accumulate(clock)
        return self._kept_clock

    def to_csv(self) -> str:
        """One row per epoch, see ``epochs_csv``."""
        return epochs_csv(self.epochs, self.labels, self.began or 0.0)

    def _label_place(self, label: str) -> int | None:
        """Its place among the labels; past their end for one that the run does not have."""
        if not label:
            return None
        return self.labels.index(label) if label in self.labels else len(self.labels)

    def _score(self, epoch: EpochEnded, metric: str, which: str, label: str) -> float | None:
        return label_score(epoch, metric, which, self._label_place(label))

    def _forget_lines(self) -> None:
        self._lines.clear()
        self._bands.clear()
        self._kept_clock = None

    def _forget_from(self, first_epoch: int) -> None:
        self.epochs = [epoch for epoch in self.epochs if epoch.epoch < first_epoch]
        self.batches = [batch for batch in self.batches if batch.epoch < first_epoch]
        self._forget_lines()
        self.best_epoch = max((epoch.epoch for epoch in self.epochs if epoch.best), default=0)

    def _thin(self, epoch: int) -> None:
        """Keep some of the batches of an epoch that has ended: long runs have hundreds of thousands."""
        first = bisect_left(self.batches, epoch, key=lambda batch: batch.epoch)
        kept = thinned(self.batches[first:])
        if len(kept) < len(self.batches) - first:
            self.batches[first:] = kept
            self._lines.clear()


def label_title(name: str) -> str:
    """A label's name as people read it."""
    return name.replace("_", " ").capitalize()


def _nearest(rows: list[T], place: float, key: Callable[[T], float]) -> T:
    """The one of ascending rows whose key is nearest to a place."""
    after = bisect_left(rows, place, key=key)
    return min(rows[max(0, after - 1) : after + 1], key=lambda row: abs(key(row) - place))


def _place(batch: BatchEnded) -> float:
    return batch.epoch - 1 + batch.step / max(1, batch.steps)
