"""The window's end of the engine: a thread that owns the engine process, so that the window never waits for it."""

import json
import logging
import multiprocessing
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QThread, Signal

from thighview.app.jobs import ChildError, Job, JobHandle, Stopped
from thighview.core.errors import UserError
from thighview.core.mask import LabelMap
from thighview.core.volume import Volume
from thighview.engine.serve import serve
from thighview.io.models import ModelEntry
from thighview.io.paths import home

_log = logging.getLogger(__name__)

_SILENT_S = 20.0
_STOP_S = 2.0
_BATCH_S = 0.1
_TAIL_BYTES = 4000
_ENGINE_GONE = "Start the engine again, then repeat the segmentation. Nothing you painted is lost."


@dataclass(frozen=True)
class EngineState:
    """How the engine is.

    Parameters
    ----------
    phase : {"off", "starting", "ready", "busy", "dead"}
    device : str
        Name of the GPU, or ``CPU``; empty until it is known.
    message : str
        Why it is dead, in a sentence.
    details : str
        What it printed last, for the log and "copy details".
    process_id : int
        Of the engine process; 0 while there is none.
    """

    phase: str = "off"
    device: str = ""
    message: str = ""
    details: str = ""
    process_id: int = 0


@dataclass(frozen=True, eq=False)
class SliceResult:
    """One slice of the stored axis 0: its index, its labels (y, x), and how unsure the model is of it (0 to 1)."""

    index: int
    labels: LabelMap
    uncertainty: float


@dataclass(frozen=True, eq=False)
class VolumeResult:
    """The whole label map (z, y, x), where the axial slices do not lie along the stored axis 0."""

    labels: LabelMap


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

    ``slice_ready(SliceResult)`` for each slice as it comes, or ``volume_ready(VolumeResult)`` at the end where the
    axial slices do not lie along the stored axis 0; ``succeeded(SegmentSummary)``. After :meth:`cancel` only
    ``was_cancelled()`` and ``ended()`` come, at once, whatever the engine still does. Arrays belong to the receiver.
    """

    slice_ready = Signal(object)
    volume_ready = Signal(object)
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


@dataclass(eq=False)
class _Request:
    """A segmentation as the worker holds it; the blocks exist while the engine may touch them."""

    number: int
    handle: JobHandle
    volume: Volume
    model: ModelEntry
    slices: list[int] | None
    began: float
    blocks: tuple[SharedMemory, SharedMemory] | None = None

    def share(self) -> dict[str, Any]:
        """Copy the volume into shared memory; the message that asks for the segmentation."""
        voxels = self.volume.voxels
        image = SharedMemory(create=True, size=voxels.nbytes)
        labels = SharedMemory(create=True, size=voxels.size)
        self.blocks = (image, labels)
        np.ndarray(voxels.shape, voxels.dtype, image.buf)[...] = voxels
        return {
            "do": "segment",
            "job": self.number,
            "voxels": image.name,
            "labels": labels.name,
            "shape": list(voxels.shape),
            "dtype": voxels.dtype.str,
            "affine": self.volume.affine.tolist(),
            "folder": str(self.model.folder),
            "slices": self.slices,
        }

    def labels_of(self, index: int | None) -> LabelMap:
        """A copy of the labels of one slice of axis 0, or of all."""
        assert self.blocks is not None
        view: LabelMap = np.ndarray(self.volume.shape, np.uint8, self.blocks[1].buf)
        return view.copy() if index is None else view[index].copy()

    def release(self) -> None:
        """Take the shared memory down."""
        for block in self.blocks or ():
            block.close()
            block.unlink()
        self.blocks = None


class _Worker(QThread):
    """Owns one engine process from its start to its end; all its work happens on this thread."""

    said = Signal(object)
    """(worker, EngineState)."""

    def __init__(self, device: str, log_path: Path) -> None:
        super().__init__()
        self._device_wanted = device
        self._log_path = log_path
        self._inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        context = multiprocessing.get_context("spawn")
        self._context = context
        self._woken, self._wake = context.Pipe(duplex=False)
        self._running: dict[int, _Request] = {}
        self._device = ""
        self._process_id = 0
        self._over = False
        self._telling = threading.Lock()

    def tell(self, what: str, value: Any = None) -> bool:
        """Give the thread something to do; returns at once, from any thread. False when it has ended."""
        with self._telling:
            if self._over:
                return False
            self._inbox.put((what, value))
            self._wake.send_bytes(b"!")
            return True

    def run(self) -> None:
        """Thread body: start the process, follow it, leave nothing of it behind."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=serve, args=(theirs, str(self._log_path), self._device_wanted), name="thighview engine", daemon=True
        )
        end = EngineState("dead", "", "The engine's thread ended because of a bug.")
        try:
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            process.start()
            self._process_id = process.pid or 0
            self._say("starting")
            theirs.close()
            end = self._follow(process, ours)
        except OSError as error:
            end = EngineState("dead", "", f"The engine could not be started: {error.strerror}.")
        finally:
            ours.close()
            self._end(process)
            self._let_go(end)

    def _follow(self, process: BaseProcess, connection: Connection) -> EngineState:
        heard = time.monotonic()
        while True:
            ready = wait([connection, self._woken, process.sentinel], timeout=1.0)
            if self._woken in ready:
                self._woken.recv_bytes()
                what, value = self._inbox.get()
                if what == "stop":
                    self._send(connection, {"do": "bye"})
                    return EngineState("off")
                if what == "segment":
                    self._begin(connection, value)
                elif what == "cancel":
                    self._send(connection, {"do": "cancel", "job": value})
            if connection in ready:
                heard = time.monotonic()
                try:
                    message = json.loads(connection.recv_bytes())
                except (EOFError, OSError):
                    process.join(1.0)
                    return self._died(process.exitcode)
                if message["is"] == "unusable":
                    text = f"{message['message']} {message['hint']}".strip()
                    return EngineState("dead", "", text, message["details"])
                self._take(message)
            elif process.sentinel in ready:
                process.join(1.0)
                return self._died(process.exitcode)
            if time.monotonic() - heard > _SILENT_S:
                return EngineState("dead", self._device, f"The engine has not answered for {_SILENT_S:.0f} seconds.")

    def _died(self, exit_code: int | None) -> EngineState:
        how = f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"code {exit_code}"
        try:
            printed = self._log_path.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace")
        except OSError:
            printed = ""
        return EngineState("dead", self._device, f"The engine ended unexpectedly ({how}).", printed)

    def _begin(self, connection: Connection, request: _Request) -> None:
        if request.handle.cancelled:
            return
        try:
            message = request.share()
        except OSError as error:  # no room in shared memory
            request.release()
            request.handle.finish(
                error=UserError(
                    f"The scan does not fit into shared memory ({error.strerror}).", "Close other programs first."
                )
            )
            return
        self._running[request.number] = request
        self._send(connection, message)
        volume = request.volume
        total = volume.shape[volume.axial_axis] if request.slices is None else len(request.slices)
        request.handle(0, total)
        self._say_how_it_is()

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["is"]
        if kind == "ready":
            self._device = str(message["device"])
            self._say_how_it_is()
        request = self._running.get(message.get("job", -1))
        if request is None:
            return
        if kind == "slice":
            if not request.handle.cancelled:
                if request.slices is not None:
                    index = int(message["index"])
                    result = SliceResult(index, request.labels_of(index), float(message["uncertainty"]))
                    request.handle.post("slice_ready", result)
                request.handle(message["done"], message["total"])
            return
        del self._running[request.number]
        try:
            self._finish(request, message)
        finally:
            request.release()
            self._say_how_it_is()

    def _finish(self, request: _Request, message: dict[str, Any]) -> None:
        handle, kind = request.handle, message["is"]
        if kind == "failed" and message["kind"] == "user":
            handle.finish(error=UserError(message["message"], message["hint"]))
        elif kind == "failed":
            handle.finish(error=ChildError(message["message"], message["details"]))
        elif kind == "cancelled" or handle.cancelled:
            handle.finish(error=Stopped())
        else:
            unsure = np.array([np.nan if u is None else u for u in message["uncertainty"]], np.float64)
            if request.slices is None:
                handle.post("volume_ready", VolumeResult(request.labels_of(None)))
            seconds = time.monotonic() - request.began
            handle.finish(SegmentSummary(request.model, message["axis"], unsure, tuple(message["warnings"]), seconds))

    def _end(self, process: BaseProcess) -> None:
        """The process has said bye, died, or must go: not more than a second."""
        if process.pid is None:
            return
        process.join(0.4)
        for push in (process.terminate, process.kill):
            if process.is_alive():
                push()
                process.join(0.4)
        process.close()

    def _let_go(self, end: EngineState) -> None:
        """No process is left: every request ends, every block goes."""
        with self._telling:
            self._over = True
            self._wake.close()
            self._woken.close()
        waiting: list[_Request] = list(self._running.values())
        self._running.clear()
        while not self._inbox.empty():
            what, value = self._inbox.get()
            if what == "segment":
                waiting.append(value)
        for request in waiting:
            request.release()
            request.handle.finish(error=UserError(end.message, _ENGINE_GONE) if end.phase == "dead" else Stopped())
        self.said.emit((self, end))

    @staticmethod
    def _send(connection: Connection, message: dict[str, Any]) -> None:
        try:
            connection.send_bytes(json.dumps(message).encode())
        except OSError:
            return  # it is dying; the next wait says how

    def _say(self, phase: str) -> None:
        self.said.emit((self, EngineState(phase, self._device, process_id=self._process_id)))

    def _say_how_it_is(self) -> None:
        if self._device:
            self._say("busy" if self._running else "ready")


class Engine(QObject):
    """The engine as the window sees it: one at a time, started, stopped and started again; used on the window's thread.

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
        self._worker: _Worker | None = None
        self._retired: list[_Worker] = []
        self._number = 0

    @property
    def state(self) -> EngineState:
        """How the engine is."""
        return self._state

    def start(self) -> None:
        """Start the process unless it is there; returns at once."""
        self._present()

    def _present(self) -> _Worker:
        """The worker there is, or a new one."""
        if self._worker is not None:
            return self._worker
        worker = self._worker = _Worker(self._device, home() / "engine.log")
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
        request = _Request(number, job.handle, volume, model, chosen, time.monotonic())
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

    def _heard(self, message: tuple[_Worker, EngineState]) -> None:
        worker, state = message
        if worker is not self._worker:
            return
        if state.phase in ("dead", "off"):
            self._retired.append(worker)
            self._worker = None
            _log.error("%s %s", state.message, state.details)
        self._set(state)

    def _set(self, state: EngineState) -> None:
        if state != self._state:
            self._state = state
            self.state_changed.emit(state)
