"""Where a training stands, told from its events."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from thighview.core.run import BatchEnded, EpochEnded, Failed, Finished, Paused, Preparing, RunEvent, Started
from thighview.ui.cards import count, minutes

if TYPE_CHECKING:
    from thighview.io.models import ModelEntry

STEADY_STEPS = 3
"""Batches that are timed before the time left is said."""


class RunStatus:
    """Phase and progress of one run.

    ``phase``: ``starting`` (nothing heard yet), ``running``, ``paused``, ``failed`` or ``finished``.
    """

    def __init__(self, events: Iterable[RunEvent] = ()) -> None:
        self.phase = "starting"
        self.started: Started | None = None
        self.finished: Finished | None = None
        self.failure: Failed | None = None
        self._preparing = ""
        self.epochs = 0
        self.epochs_done = 0
        self.step, self.steps = 0, 0
        self._seconds_left = 0.0
        self._heard = self._share_heard = 0.0
        self._epoch_s = 0.0
        self._steady: BatchEnded | None = None
        for event in events:
            self.add(event)

    @property
    def alive(self) -> bool:
        """Whether it has neither finished nor failed."""
        return self.phase in ("starting", "running", "paused")

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        if self.finished:
            return 1.0
        within = self.step / self.steps if self.steps else 0.0
        return min(1.0, (self.epochs_done + within) / self.epochs) if self.epochs else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds to go as far as can be known; None when nothing is known."""
        if self._seconds_left > 0.0:
            to_do, done = 1.0 - self.share, self.share - self._share_heard
            pace_s = self._seconds_left / max(1.0 - self._share_heard, 1e-9)
            if done > 0.0:  # where it is slower than foretold, what is seen counts
                pace_s = max(pace_s, (time.time() - self._heard) / done)
            return max(1.0, pace_s * to_do)
        if self._epoch_s > 0.0:
            return self._epoch_s * self.epochs * (1.0 - self.share)
        return None

    def add(self, event: RunEvent) -> None:
        """Take an event."""
        if isinstance(event, Preparing):
            self._preparing = event.text
            self.phase, self._seconds_left, self._epoch_s = "starting", 0.0, 0.0  # also where it goes on
        elif isinstance(event, Started):
            self.started, self.finished, self.failure = event, None, None
            self.phase, self.epochs, self.epochs_done = "running", event.epochs, event.first_epoch - 1
            self.step, self.steps, self._seconds_left = 0, event.steps_per_epoch, 0.0
            self._epoch_s, self._steady = 0.0, None
        elif isinstance(event, BatchEnded):
            self.epochs_done, self.step, self.steps = event.epoch - 1, event.step, event.steps
            self._time(event)
        elif isinstance(event, EpochEnded):
            self.epochs_done, self.epochs, self.step = event.epoch, event.epochs, 0
            if not self.started or event.epoch > self.started.first_epoch:  # the first one has the building in it
                self._seconds_left, self._heard, self._share_heard = event.seconds_left, event.time, self.share
        elif isinstance(event, Paused):
            self._steady = None
            self.phase = "paused" if event.paused else "running"
        elif isinstance(event, Finished):
            self.phase, self.finished, self.epochs_done = "finished", event, event.epochs
        elif isinstance(event, Failed):
            self.phase, self.failure = "failed", event

    def _time(self, event: BatchEnded) -> None:
        """How long an epoch takes, from its batches after the one that built the network, and one look at validation.

        A slice that is only looked at takes a third of the time of one that is learnt from: forward alone, instead of
        forward and twice as much back.
        """
        first, started = self._steady, self.started
        if first is None or first.epoch != event.epoch:
            self._steady = event
        elif event.step - first.step >= STEADY_STEPS and started:
            looked_at = started.val_slices / max(1, started.train_slices) / 3
            self._epoch_s = (event.time - first.time) / (event.step - first.step) * event.steps * (1 + looked_at)

    def line(self) -> str:
        """One line for people: ``epoch 27 of 40 · 6 min left · GPU``."""
        if self.phase == "starting":
            doing = self._preparing or "slices are read and the network is built"
            return f"Starting: {doing}; this can take a minute or two…"
        now = min(self.epochs_done + 1, self.epochs) if self.phase in ("running", "paused") else self.epochs_done
        parts = [f"epoch {now} of {self.epochs}"]
        if self.phase == "paused":
            parts.append("paused")
        elif self.phase == "running" and self.epochs_done >= self.epochs > 0:
            parts.append("saving the model…")
        elif self.phase == "running":
            left = self.seconds_left
            parts.append(f"{minutes(left)} left" if left is not None else "estimating time…")
        if self.started:
            parts.append(self.started.device)
        return " · ".join(parts)

    def data_line(self) -> str:
        """What it trains on: ``27 people, 380 slices · validation 4 people, 32 slices``."""
        said = self.started
        if said is None:
            return ""
        train = f"{count(said.train_subjects, 'person', 'people')}, {count(said.train_slices, 'slice')}"
        if said.val_is_phantoms:
            return f"{train} · validation: made-up thighs"
        val = f"{count(said.val_subjects, 'person', 'people')}, {count(said.val_slices, 'slice')}"
        return f"{train} · validation: {val}"


def model_of(finished: Finished, models: Iterable["ModelEntry"]) -> "ModelEntry | None":
    """The model that a run has left, where it is listed: by its folder, else by its name."""
    listed, wanted = tuple(models), finished.model
    by_folder = (m for m in listed if str(m.folder) == wanted or m.folder.name == wanted)
    by_name = (m for m in listed if m.card.name == wanted)
    return next(by_folder, None) or next(by_name, None)
