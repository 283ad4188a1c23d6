"""Checkpoints of a run: everything that decides how it goes on, so that a resumed run ends at the same weights.

What is random later (order, augmentation) depends on seed, epoch and slice only; what is not, is in here: weights,
optimiser, and the state of the dropout generators.
"""

import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.io.atomic import write_bytes_atomic

Arrays = dict[str, NDArray[Any]]
LAST = "last"
"""The file from which a run goes on; its facts name the best epoch, whose weights are in another."""
_Snapshot = tuple[Arrays, dict[str, Any]]


def _variables(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    weights = list(network.weights)
    known = {id(w) for w in weights}
    seeds = [v for v in network.variables if id(v) not in known]
    return {
        **{f"weight/{w.path}": w for w in weights},
        **{f"seed/{i}": v for i, v in enumerate(seeds)},
        **{f"optimizer/{i}": v for i, v in enumerate(optimizer.variables)},
    }


def snapshot(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> Arrays:
    """A copy of every number a run needs to go on."""
    found: Arrays = {}
    for name, variable in _variables(network, optimizer).items():
        array = np.array(keras.ops.convert_to_numpy(variable[...]) if variable.shape else variable.numpy())
        found[name] = np.ascontiguousarray(array).reshape(tuple(variable.shape))
    return found


def restore(network: keras.Model, optimizer: keras.optimizers.Optimizer, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Put a snapshot back; the optimiser must be built.

    Raises
    ------
    UserError
        When it is of another network.
    """
    own = _variables(network, optimizer)
    wrong = next(
        (n for n, v in own.items() if n not in arrays or tuple(v.shape) != tuple(arrays[n].shape)), None
    ) or next((n for n in arrays if n not in own), None)
    if wrong:
        raise UserError(f"The checkpoint does not fit the network of this run ({wrong}).", "Start a new run.")
    for name, variable in own.items():
        variable.assign(arrays[name])


def weights_in(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """The network's weights by name."""
    return {k.removeprefix("weight/"): np.asarray(v, np.float32) for k, v in arrays.items() if k.startswith("weight/")}


class CheckpointWriter:
    """Writes snapshots behind the training, one after the other, each file whole or not at all.

    Only the latest snapshot of each file matters: one still waiting is replaced by the next. What waits is taken
    together, and ``last`` of it is written last: the best epoch that it names is on disk before it, and however slow
    the disk is, its turn comes. An error ends what waits.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._pool = ThreadPoolExecutor(1, "checkpoint")
        self._ended = threading.Condition()
        self._waiting: dict[str, _Snapshot] = {}
        self._busy = False
        self._writing: Future[None] | None = None

    def put(self, name: str, arrays: Arrays, facts: dict[str, Any]) -> None:
        """Have ``NAME.safetensors`` written; an error of an earlier write comes up here."""
        with self._ended:
            if not self._busy:
                self._tell_error()
            self._waiting[name] = (arrays, facts)
            if not self._busy:
                self._busy = True
                self._writing = self._pool.submit(self._write)

    def flush(self) -> None:
        """Wait until everything is on disk."""
        with self._ended:
            self._ended.wait_for(lambda: not self._busy)
            self._tell_error()

    def close(self) -> None:
        """Write what is left and end the thread."""
        try:
            self.flush()
        finally:
            self._pool.shutdown()

    def _tell_error(self) -> None:
        writing, self._writing = self._writing, None
        if writing:
            writing.result()

    def _write(self) -> None:
        """Write until nothing waits any more."""
        try:
            while taken := self._take():
                for name, (arrays, facts) in taken:
                    body = safetensors.numpy.save(arrays, {"facts": json.dumps(facts)})
                    write_bytes_atomic(self._folder / f"{name}.safetensors", body)
        except BaseException:
            with self._ended:
                self._waiting.clear()
                self._rest()
            raise

    def _take(self) -> list[tuple[str, _Snapshot]]:
        """All that waits, ``last`` at the end; the writer rests where nothing does."""
        with self._ended:
            taken = sorted(self._waiting.items(), key=lambda waiting: waiting[0] == LAST)
            self._waiting = {}
            if not taken:
                self._rest()
            return taken

    def _rest(self) -> None:
        self._busy = False
        self._ended.notify_all()


def last_facts(folder: Path) -> dict[str, Any]:
    """The facts of the last checkpoint (``epoch`` among them); empty where there is none that can be read."""
    try:
        with safetensors.safe_open(folder / "last.safetensors", framework="np") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            return facts if isinstance(facts.get("epoch"), int) else {}
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, AttributeError):
        return {}


def read_checkpoint(folder: Path, name: str) -> tuple[Arrays, dict[str, Any]] | None:
    """A checkpoint and its facts; None when there is none.

    Raises
    ------
    UserError
        When it is damaged.
    """
    path = folder / f"{name}.safetensors"
    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, framework="np") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise UserError(f"The checkpoint {path} is damaged: {str(error)[:120]}.", "Start a new run.") from error
    return arrays, facts
