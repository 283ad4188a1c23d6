"""The resident engine process: takes segmentations over a pipe, answers slice by slice.

Messages are JSON bytes, pixels lie in shared memory that the parent made and takes down. The top of this module
imports no keras: the parent imports it too.

    parent  {"do": "segment", "job", "voxels", "labels", "shape", "dtype", "affine", "folder", "slices"}
            {"do": "cancel", "job"}   {"do": "bye"}
    child   {"is": "ready", "device"}   {"is": "unusable", "message", "hint", "details"}   {"is": "alive"}
            {"is": "slice", "job", "index", "uncertainty", "done", "total"}
            then one of, after which the child has let go of the job's memory:
            {"is": "done", "job", "axis", "uncertainty", "warnings"}   {"is": "cancelled", "job"}
            {"is": "failed", "job", "kind", "message", "hint", "details"}

``index`` and ``slices`` count along the volume's axial axis.
"""

import contextlib
import faulthandler
import gc
import importlib
import json
import math
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Generator
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np

from thighview.core.errors import UserError
from thighview.core.mask import LabelMap
from thighview.core.volume import Volume
from thighview.engine.devices import lower_priority, prepare_device
from thighview.engine.memory import is_out_of_memory
from thighview.io.parent import die_with_parent

HEARTBEAT_S = 1.0
_KEPT_NETWORKS = 2


def serve(connection: Connection, log_path: str, device: str = "auto") -> None:
    """Body of the engine process; ends when the parent says bye, hangs up or dies.

    Parameters
    ----------
    connection : Connection
        Duplex, to the parent.
    log_path : str
        What the libraries print goes here (the parent shows the end of it when the process dies); empty: as it is.
    device : {"auto", "cpu", "gpu"}
        Where to compute.
    """
    _stay_behind()
    if log_path:
        _print_into(log_path)
    faulthandler.enable()
    _Server(connection, device).run()


def _stay_behind() -> None:
    """Lower priority than the window, killed before it when memory runs out, and dead when it is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lower_priority()
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")
    die_with_parent()


def _print_into(log_path: str) -> None:
    with contextlib.suppress(OSError):
        log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)


class _Server:
    """Three threads: jobs on the main one, one that listens, one that says it is alive."""

    def __init__(self, connection: Connection, device: str) -> None:
        self._connection = connection
        self._device = device
        self._sending = threading.Lock()
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._networks: dict[str, tuple[Any, Any]] = {}
        self._device_name = ""

    def run(self) -> None:
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        try:
            self._device_name = prepare_device(self._device)
            importlib.import_module("thighview.engine.predict")  # so that the first segmentation need not wait for it
            from thighview.engine.openvino_form import computing_on

            said = computing_on(self._device_name)
        except UserError as error:
            self._send({"is": "unusable", "message": error.message, "hint": error.hint, "details": ""})
            return
        except Exception as error:  # noqa: BLE001 - the window shows it
            message = f"The engine could not load its libraries: {type(error).__name__}: {error}"
            hint = "Install thighview again; the details name the library."
            self._send({"is": "unusable", "message": message, "hint": hint, "details": traceback.format_exc()})
            return
        self._send({"is": "ready", "device": said})
        while True:
            request = self._requests.get()
            answer = self._answer(request)
            gc.collect()
            self._send({"job": request["job"], **answer})

    def _send(self, message: dict[str, Any]) -> None:
        with self._sending:
            try:
                self._connection.send_bytes(json.dumps(message).encode())
            except (OSError, ValueError):  # the parent is gone
                os._exit(0)

    def _listen(self) -> None:
        while True:
            try:
                request = json.loads(self._connection.recv_bytes())
            except (EOFError, OSError):
                os._exit(0)
            if request["do"] == "bye":
                os._exit(0)
            elif request["do"] == "cancel":
                self._cancelled.add(request["job"])
            else:
                self._requests.put(request)

    def _beat(self) -> None:
        tick = threading.Event()
        while not tick.wait(HEARTBEAT_S):
            self._send({"is": "alive"})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do one request; every array over its shared memory is gone when this returns."""
        from thighview.engine.predict import Cancelled

        try:
            with _attached(request["voxels"]) as voxels, _attached(request["labels"]) as labels:
                return self._segment(request, voxels, labels)
        except Cancelled:
            return {"is": "cancelled"}
        except UserError as error:
            return {"is": "failed", "kind": "user", "message": error.message, "hint": error.hint, "details": ""}
        except Exception as error:  # noqa: BLE001 - it climbs on in the parent, with this traceback
            if is_out_of_memory(error):
                message = "There is not enough memory to run this model on this scan."
                hint = "Close other programs, or choose a smaller model."
                return {"is": "failed", "kind": "user", "message": message, "hint": hint, "details": ""}
            message = f"{type(error).__name__}: {error}"
            return {
                "is": "failed",
                "kind": "bug",
                "message": message,
                "hint": "",
                "details": traceback.format_exc(),
            }

    def _segment(self, request: dict[str, Any], voxels: SharedMemory, labels: SharedMemory) -> dict[str, Any]:
        from thighview.engine.openvino_form import fast_form
        from thighview.engine.predict import Cancelled, batch_for, segment_volume
        from thighview.engine.preprocess import plane_grid

        job, shape = int(request["job"]), tuple(request["shape"])
        if job in self._cancelled:
            raise Cancelled
        network, card = self._network(request["folder"])
        image = np.ndarray(shape, np.dtype(request["dtype"]), voxels.buf)
        out: LabelMap = np.ndarray(shape, np.uint8, labels.buf)
        volume = Volume(image, np.array(request["affine"], np.float64))
        grid = plane_grid(volume, card)
        slices = request["slices"] if request["slices"] is not None else list(range(grid.slices))
        done = 0

        def on_slice(index: int, plane: LabelMap, uncertainty: float) -> None:
            nonlocal done
            done = min(done + 1, len(slices))  # slices that are tidied come once more
            if job not in self._cancelled:
                row = {"index": index, "uncertainty": uncertainty, "done": done, "total": len(slices)}
                self._send({"is": "slice", "job": job, **row})

        found = segment_volume(
            volume,
            fast_form(network, self._device_name),
            card,
            on_slice,
            lambda: job in self._cancelled,
            batch_for(grid, card, self._device_name != "CPU"),
            slices,
            out=out,
        )
        unsure = [None if math.isnan(u) else float(u) for u in found.uncertainty]
        return {"is": "done", "axis": found.axis, "uncertainty": unsure, "warnings": list(found.warnings)}

    def _network(self, folder: str) -> tuple[Any, Any]:
        """The network of a folder; the last few stay loaded as long as their cards are the same."""
        from thighview.engine.predict import load_network
        from thighview.io.models import read_card

        card = read_card(Path(folder))
        kept = self._networks.pop(folder, None)
        if kept is None or kept[1] != card:
            kept = load_network(Path(folder))
        self._networks[folder] = kept
        while len(self._networks) > _KEPT_NETWORKS:
            self._networks.pop(next(iter(self._networks)))
        return kept


@contextlib.contextmanager
def _attached(name: str) -> Generator[SharedMemory]:
    """Shared memory of the parent, let go of afterwards, whatever still points into it."""
    block = SharedMemory(name)
    try:
        yield block
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # frames of the failed work still hold arrays over the memory
        raise
    finally:
        gc.collect()
        with contextlib.suppress(BufferError):  # then it goes with the last array
            block.close()
