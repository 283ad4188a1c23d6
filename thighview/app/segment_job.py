"""A segmentation as the window sees it: a job, and what it delivers."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Signal

from thighview.app.jobs import Job
from thighview.core.errors import UserError
from thighview.core.mask import LabelMap
from thighview.io.models import ModelEntry

_BATCH_S = 0.1


class SegmentError(UserError):
    """A segmentation that did not come about; of no interest once another one begins."""


class EngineGoneError(SegmentError):
    """The engine ended under a segmentation; of no interest once there is an engine again."""


@dataclass(frozen=True, eq=False)
class SliceResult:
    """One slice of the stored axis 0: its index, its labels (y, x), and how unsure the model is of it (0 to 1).

    NaN where the axial slices, of which a model is unsure, do not lie along that axis.
    """

    index: int
    labels: LabelMap
    uncertainty: float


@dataclass(frozen=True, eq=False)
class SegmentSummary:
    """A finished segmentation.

    Parameters
    ----------
    model : ModelEntry
        What drew it.
    axis : int
        Array axis of the axial slices.
    uncertainty : ndarray of float64, shape (axial slices,)
        NaN for slices that were not asked for.
    warnings : tuple of str
        Doubts, one sentence each.
    seconds : float
        From the request to the end.
    """

    model: ModelEntry
    axis: int
    uncertainty: NDArray[np.float64]
    warnings: tuple[str, ...]
    seconds: float


class SegmentJob(Job):
    """A segmentation under way.

    ``slice_ready(SliceResult)`` for each slice as it comes, or for all at the end where the axial slices do not lie
    along the stored axis 0; ``succeeded(SegmentSummary)``. After :meth:`cancel` only ``was_cancelled()`` and
    ``ended()`` come, at once, whatever the engine still does. Arrays belong to the receiver.
    """

    slice_ready = Signal(object)
    was_cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._first: tuple[float, int] | None = None
        self._first_at = 0.0
        self._seconds_left: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the time to the end, from the pace since the first slice; None until there is one."""
        return self._seconds_left

    def cancel(self) -> None:
        """End the job now; the engine drops or finishes its batch behind."""
        if not self.cancelled and not self.is_over:
            super().cancel()
            self.handle.post("ended")

    def deliver(self, signal: str, values: tuple[object, ...]) -> None:
        """Send one signal that the worker posted."""
        if signal == "progressed" and isinstance(values[0], int) and isinstance(values[1], int):
            self._estimate(values[0], values[1])
        if signal == "ended" and self.cancelled and not self.is_over:
            self.was_cancelled.emit()
        super().deliver(signal, values)

    def _estimate(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == 0:
            return
        if self._first is None:
            self._first_at = now
        if self._first is None or now - self._first_at < _BATCH_S:  # slices of one batch come together: no pace yet
            self._first = (now, done)
        since, before = self._first if done > self._first[1] else (self._began, 0)
        self._seconds_left = (now - since) / (done - before) * (total - done)
