"""The thread that owns one engine process, from its start to its end."""

import json
import math
import multiprocessing
import os
import queue
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QThread, Signal

from thighview.app.jobs import ChildError, JobHandle, Stopped
from thighview.app.segment_job import EngineGoneError, SegmentError, SegmentSummary, SliceResult
from thighview.core.mask import LabelMap
from thighview.core.volume import Volume
from thighview.engine.serve import serve
from thighview.io.models import ModelEntry

_SILENT_S, _SILENT_AT_START_S = 20.0, 90.0
"""So long it may say nothing; while it loads its libraries nothing else of it runs, on a busy machine for long."""
_APART_S = 0.005
"""Between two slices of a volume that is done all at once: the window stays free while it takes them."""
_SHARED = Path("/dev/shm")
"""Where Linux keeps shared memory, if it is there."""
_TAIL_BYTES = 4000
_ENGINE_GONE = "Segment again: the engine starts anew by itself. Nothing you painted is lost."


@dataclass(frozen=True)
class EngineState:
    """How the engine is.

    Parameters
    ----------
    phase : {"off", "starting", "ready", "busy", "dead"}
    device : str
        Name of the GPU, ``CPU`` or ``CPU, OpenVINO``; empty until it is known.
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


@dataclass(eq=False)
class Request:
    """A segmentation as the worker holds it; the blocks exist while the engine may touch them."""

    number: int
    handle: JobHandle
    volume: Volume
    model: ModelEntry
    slices: list[int] | None
    began: float
    blocks: tuple[SharedMemory, ...] = ()

    def share(self) -> dict[str, Any]:
        """Copy the volume into shared memory; the message that asks for the segmentation."""
        voxels = self.volume.voxels
        image, labels = self._block(voxels.nbytes), self._block(voxels.size)
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

    def post_slice(self, index: int, uncertainty: float) -> None:
        """Hand over a copy of the labels of one slice of axis 0."""
        view: LabelMap = np.ndarray(self.volume.shape, np.uint8, self.blocks[1].buf)
        self.handle.post("slice_ready", SliceResult(index, view[index].copy(), uncertainty))

    def release(self) -> None:
        """Take the shared memory down."""
        for block in self.blocks:
            block.close()
            block.unlink()
        self.blocks = ()

    def _block(self, size: int) -> SharedMemory:
        """Shared memory that is there: one that is only promised would end the program where it is first written."""
        block = SharedMemory(create=True, size=size)
        self.blocks = (*self.blocks, block)
        if (_SHARED / block.name).exists():
            with (_SHARED / block.name).open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        return block


class Worker(QThread):
    """Owns one engine process from its start to its end; all its work happens on this thread."""

    said = Signal(object)
    """(this thread, EngineState)."""

    def __init__(self, device: str, log_path: Path) -> None:
        super().__init__()
        self._device_wanted = device
        self._log_path = log_path
        self._inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        context = multiprocessing.get_context("spawn")
        self._context = context
        self._woken, self._wake = context.Pipe(duplex=False)
        self._running: dict[int, Request] = {}
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
            patience_s = _SILENT_S if self._device else _SILENT_AT_START_S
            if time.monotonic() - heard > patience_s:
                return EngineState("dead", self._device, f"The engine has not answered for {patience_s:.0f} seconds.")

    def _died(self, exit_code: int | None) -> EngineState:
        how = f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"code {exit_code}"
        try:
            printed = self._log_path.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace")
        except OSError:
            printed = ""
        return EngineState("dead", self._device, f"The engine ended unexpectedly ({how}).", printed)

    def _begin(self, connection: Connection, request: Request) -> None:
        if request.handle.cancelled:
            return
        try:
            message = request.share()
        except OSError as error:  # no room in shared memory
            request.release()
            request.handle.finish(
                error=SegmentError(
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
                    request.post_slice(int(message["index"]), float(message["uncertainty"]))
                request.handle(message["done"], message["total"])
            return
        del self._running[request.number]
        try:
            self._finish(request, message)
        finally:
            request.release()
            self._say_how_it_is()

    def _finish(self, request: Request, message: dict[str, Any]) -> None:
        handle, kind = request.handle, message["is"]
        if kind == "failed" and message["kind"] == "user":
            handle.finish(error=SegmentError(message["message"], message["hint"]))
        elif kind == "failed":
            handle.finish(error=ChildError(message["message"], message["details"]))
        elif kind == "cancelled" or handle.cancelled:
            handle.finish(error=Stopped())
        else:
            unsure = np.array([np.nan if u is None else u for u in message["uncertainty"]], np.float64)
            for index in range(request.volume.shape[0]) if request.slices is None else ():
                if handle.cancelled:
                    break
                request.post_slice(index, math.nan)
                time.sleep(_APART_S)
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
        if not process.is_alive():  # else it is killed and waits for a busy kernel, which needs nobody
            process.close()

    def _let_go(self, end: EngineState) -> None:
        """No process is left: every request ends, every block goes."""
        with self._telling:
            self._over = True
            self._wake.close()
            self._woken.close()
        waiting: list[Request] = list(self._running.values())
        self._running.clear()
        while not self._inbox.empty():
            what, value = self._inbox.get()
            if what == "segment":
                waiting.append(value)
        for request in waiting:
            request.release()
            request.handle.finish(
                error=EngineGoneError(end.message, _ENGINE_GONE) if end.phase == "dead" else Stopped()
            )
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
