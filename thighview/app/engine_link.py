"""The engine as the window sees it: behind a thread, so that the window never waits for it."""

import logging
import time
from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QObject, Signal

from thighview.app.engine_worker import EngineState, Request, Worker
from thighview.app.segment_job import SegmentJob
from thighview.core.volume import Volume
from thighview.io.models import ModelEntry
from thighview.io.paths import home

_log = logging.getLogger(__name__)

_STOP_S = 2.0


class Engine(QObject):
    """One engine at a time, started, stopped and started again; used on the window's thread.

    Parameters
    ----------
    device : {"auto", "cpu", "gpu"}
        Where to compute.
    """

    state_changed = Signal(object)
    """EngineState."""

    def __init__(self, parent: QObject | None = None, device: str = "auto") -> None:
        super().__init__(parent)
        self._device = device
        self._state = EngineState()
        self._worker: Worker | None = None
        self._retired: list[Worker] = []
        self._number = 0

    @property
    def state(self) -> EngineState:
        """How the engine is."""
        return self._state

    def start(self) -> None:
        """Start the process unless it is there; returns at once."""
        self._present()

    def _present(self) -> Worker:
        """The worker there is, or a new one."""
        if self._worker is not None:
            return self._worker
        worker = self._worker = Worker(self._device, home() / "engine.log")
        worker.said.connect(self._heard)
        worker.finished.connect(self._forget)
        self._set(EngineState("starting"))
        worker.start()
        return worker

    def restart(self) -> None:
        """Start anew, whatever the state; a segmentation under way is cancelled. Returns at once."""
        self._retire()
        self.start()

    def stop(self, wait_s: float = _STOP_S) -> bool:
        """End the process and wait for it; segmentations under way are cancelled.

        Returns
        -------
        bool
            False when something did not let go within ``wait_s``.
        """
        self._retire()
        until = time.monotonic() + wait_s
        gone = [worker.wait(max(1, int(1000 * (until - time.monotonic())))) for worker in self._retired]
        self._forget()
        self._set(EngineState())
        return all(gone)

    def segment(self, volume: Volume, model: ModelEntry, slices: Sequence[int] | None = None) -> SegmentJob:
        """Let a model draw the labels of a volume; starts the engine where it is off or dead.

        Parameters
        ----------
        volume : Volume
            The scan; its voxels must not change while the job runs.
        model : ModelEntry
            The model.
        slices : sequence of int, optional
            Slices of the stored axis 0 in the order wanted; all by default. Where the axial slices lie along another
            axis the whole volume is done.
        """
        job = SegmentJob()
        self._number += 1
        number = self._number
        along = volume.axial_axis == 0
        chosen = [int(i) for i in (range(volume.shape[0]) if slices is None else slices)] if along else None
        request = Request(number, job.handle, volume, model, chosen, time.monotonic())
        worker = self._present()
        if not worker.tell("segment", request):  # it has just died and not yet said so
            self._retired.append(worker)
            self._worker = None
            worker = self._present()
            worker.tell("segment", request)
        job.was_cancelled.connect(partial(worker.tell, "cancel", number))
        return job

    def _retire(self) -> None:
        if self._worker is not None:
            self._worker.tell("stop")
            self._retired.append(self._worker)
            self._worker = None

    def _forget(self) -> None:
        """Drop workers whose threads have ended."""
        self._retired = [worker for worker in self._retired if not worker.isFinished()]

    def _heard(self, message: tuple[Worker, EngineState]) -> None:
        worker, state = message
        if worker is not self._worker:
            return
        if state.phase in ("dead", "off"):
            self._retired.append(worker)
            self._worker = None
            for line in (state.message, *state.details.splitlines()):  # it is given pixels, and never a name
                _log.error("%s", line)
        self._set(state)

    def _set(self, state: EngineState) -> None:
        if state != self._state:
            self._state = state
            self.state_changed.emit(state)
