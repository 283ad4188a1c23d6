"""Arrays out of the ``.h5`` and ``.hdf5`` files that Keras 2 wrote: read with h5py alone, in a process of its own.

The HDF5 library is large, and damaged or hostile files have made it write where it should not. So a file is opened in
a throw-away child with a limit on memory and time, which loads no network library; everything is measured before it is
read, links are not followed, filters that would load a library are refused, and the two descriptions in the file are
read as JSON and never run. The child hands back a safetensors file.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from thighview.core.errors import UserError

LARGEST_BYTES = 1 << 30
"""Of all arrays together, as the file declares them; the seed network has 124 MB."""
MOST_LAYERS = 4096
LARGEST_TEXT_BYTES = 4 << 20
DEEPEST = 8
MEMORY_BYTES = 4 << 30
SECONDS = 60
_LONGEST_NAME = 512
_SAFE_FILTERS = {1, 2, 3}
"""Deflate, shuffle and checksum: those built into the HDF5 library."""
_COPY = "Copy it again from where it lies in full."
_HINT = "Choose a weights file of the seed's network, as Keras 2 saves it (.h5 or .hdf5)."


@dataclass(frozen=True, eq=False)
class OldLayer:
    """A layer of the file that has weights.

    Parameters
    ----------
    name : str
        Its name in the session that saved it.
    arrays : tuple of ndarray, float32
        In stored order.
    """

    name: str
    arrays: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, eq=False)
class OldFile:
    """What a Keras file holds: layers with weights in stored order, and its descriptions as plain data (or empty)."""

    layers: tuple[OldLayer, ...]
    keras_version: str
    backend: str
    model_config: dict[str, Any] = field(default_factory=dict)
    training_config: dict[str, Any] = field(default_factory=dict)


def read_apart(path: Path) -> OldFile:
    """Read a Keras 2 file in a throw-away child process.

    Raises
    ------
    UserError
        When it is no such file, is damaged, holds more than it may, or the child did not survive it.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise UserError(f"There is no file at {path}.", _HINT)
    with tempfile.TemporaryDirectory(prefix="thighview-") as folder:
        out = Path(folder) / "read.safetensors"
        words = [sys.executable, "-m", "thighview.engine.old_file", str(path), str(out), str(os.getpid())]
        ways = [str(Path(__file__).parents[2]), *(p for p in sys.path if Path(p).is_absolute())]
        quiet = {
            **os.environ, "HDF5_PLUGIN_PRELOAD": "::", "HDF5_USE_FILE_LOCKING": "FALSE", "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(ways),
        }  # fmt: skip
        try:
            done = subprocess.run(words, env=quiet, capture_output=True, timeout=SECONDS, check=False, cwd=folder)
        except subprocess.TimeoutExpired as error:
            raise UserError(f"Reading {path.name} took longer than {SECONDS} s and was ended.", _HINT) from error
        if done.returncode == 2:
            message, hint = _refusal(done.stdout, path)
            raise UserError(message, hint)
        if done.returncode < 0 or not out.is_file():
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            how = f"by signal {-done.returncode}" if done.returncode < 0 else (lines[-1][:160] if lines else "silently")
            raise UserError(f"{path.name} cannot be read: the process that read it ended ({how}).", _HINT)
        return _take_over(out)


def _refusal(answer: bytes, path: Path) -> tuple[str, str]:
    with suppress(ValueError):
        row = json.loads(answer)
        if isinstance(row, dict) and isinstance(row.get("message"), str):
            return row["message"][:1000], str(row.get("hint", ""))[:1000]
    return f"{path.name} cannot be read.", _HINT


def _take_over(out: Path) -> OldFile:
    """What the child has written; it touched a foreign file, so its answer is checked like one."""
    try:
        with safe_open(out, "numpy") as stream:
            facts = json.loads((stream.metadata() or {})["facts"])
        arrays = safetensors.numpy.load_file(out)
        layers = tuple(
            OldLayer(str(name), tuple(np.asarray(arrays[f"{i}/{j}"], np.float32) for j in range(int(n))))
            for i, (name, n) in enumerate(facts["layers"])
        )
        tables = [t if isinstance(t := facts[key], dict) else {} for key in ("model_config", "training_config")]
        return OldFile(layers, str(facts["keras_version"]), str(facts["backend"]), *tables)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"The file could not be taken over: {str(error)[:160]}.", _HINT) from error


# ---------------------------------------------------------------------- in the child


def read_old_file(path: Path) -> OldFile:
    """Read a Keras 2 file in this process; for the child, and for files this program has just written.

    Raises
    ------
    UserError
        When it is no such file, is damaged, or holds more than it may.
    """
    import h5py

    name = Path(path).name
    try:
        if not Path(path).stat().st_size:
            raise UserError(f"{name} is empty.", _COPY)
        if not h5py.is_hdf5(path):
            raise UserError(f"{name} is no HDF5 file.", _HINT)
        with h5py.File(path, "r") as file:
            return _Reader(h5py, name).read(file)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, MemoryError) as error:
        if "truncated file" in str(error):
            raise UserError(f"{name} is cut short: its end is missing.", _COPY) from error
        raise UserError(f"{name} is damaged: it cannot be read to its end.", _COPY) from error


class _Reader:
    """Measures, then reads, one open file."""

    def __init__(self, h5py: Any, name: str) -> None:
        self._h5py = h5py
        self._name = name

    def read(self, file: Any) -> OldFile:
        whole = "model_weights" in file
        root = self._inside(file, "model_weights") if whole else file
        names = self._names(root, "layer_names")
        if names is None:
            newer = (
                " It looks like a file of Keras 3 (.weights.h5)."
                if "layers" in file or "_layer" in str(list(file)[:4])
                else ""
            )
            raise UserError(
                f"{self._name} holds no weights as Keras 2 saves them: there is no list of layers.{newer}", _HINT
            )
        found: list[tuple[str, list[Any]]] = []
        for name in names:
            group = self._inside(root, name)
            weights = self._names(group, "weight_names") or []
            if weights:
                found.append((name, [self._dataset(group, weight) for weight in weights]))
        if "top_level_model_weights" in root:
            group = self._inside(root, "top_level_model_weights")
            if self._names(group, "weight_names"):
                raise self._no("it has weights outside its layers")
        total = sum(prod(d.shape) * max(4, d.dtype.itemsize) for _, datasets in found for d in datasets)
        if total > LARGEST_BYTES:
            raise self._no(f"it declares {total:,} bytes of weights, at most {LARGEST_BYTES:,} are read")
        layers = tuple(OldLayer(name, tuple(self._array(name, d) for d in datasets)) for name, datasets in found)
        return OldFile(
            layers, self._text(root, "keras_version") or self._text(file, "keras_version"),
            self._text(root, "backend") or self._text(file, "backend"),
            self._json(file, "model_config"), self._json(file, "training_config"),
        )  # fmt: skip

    def _no(self, why: str) -> UserError:
        return UserError(f"{self._name} is refused: {why}.", _HINT)

    def _inside(self, group: Any, name: str) -> Any:
        """What lies at a path below a group, reached through hard links alone."""
        parts = [part for part in name.split("/") if part]
        if not parts or len(parts) > DEEPEST or {".", ".."} & set(parts):
            raise self._no(f"it names a place that is none: {name[:80]!r}")
        here = group
        for part in parts:
            if not isinstance(here, self._h5py.Group) or part not in here:
                raise self._no(f"{name[:80]!r} is listed and not there")
            if not isinstance(here.get(part, getlink=True), self._h5py.HardLink):
                raise self._no(f"{name[:80]!r} is a link, and links are not followed")
            here = here[part]
        return here

    def _dataset(self, group: Any, name: str) -> Any:
        """An array that the file really holds, measured and not yet read."""
        dataset = self._inside(group, name)
        if not isinstance(dataset, self._h5py.Dataset):
            raise self._no(f"{name[:80]!r} is no array")
        if dataset.is_virtual or dataset.external:
            raise self._no(f"{name[:80]!r} takes its numbers from another file")
        if dataset.dtype.kind != "f" or dataset.dtype.itemsize not in (2, 4, 8):
            raise self._no(f"{name[:80]!r} should hold floating point numbers, found {dataset.dtype}")
        if dataset.shape is None or not 1 <= len(dataset.shape) <= 4 or 0 in dataset.shape:
            raise self._no(f"{name[:80]!r} has the shape {dataset.shape}")
        size = prod(dataset.shape) * dataset.dtype.itemsize
        plist = dataset.id.get_create_plist()
        filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
        if filters - _SAFE_FILTERS:
            raise self._no(f"{name[:80]!r} is packed by a filter that is not part of HDF5")
        if size > LARGEST_BYTES:
            raise self._no(f"{name[:80]!r} declares {size:,} bytes, at most {LARGEST_BYTES:,} are read")
        stored = dataset.id.get_storage_size()
        if stored == 0 or (not filters and stored < size):
            raise self._no(f"{name[:80]!r} declares {size:,} bytes and holds {stored:,}")
        return dataset

    def _array(self, layer: str, dataset: Any) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            array = np.asarray(dataset[...], np.float32)
        if not np.isfinite(array).all():
            raise self._no(
                f"the weights {dataset.name.rsplit('/')[-1]!r} of its layer {layer!r} are not finite numbers"
            )
        return array

    def _names(self, group: Any, attribute: str) -> list[str] | None:
        """A list of names, which Keras cuts into numbered pieces where it is long; None when there is none."""
        if attribute in group.attrs:
            pieces: Iterable[str] = (attribute,)
        elif f"{attribute}0" in group.attrs:
            pieces = (f"{attribute}{k}" for k in range(MOST_LAYERS) if f"{attribute}{k}" in group.attrs)
        else:
            return None
        names: list[str] = []
        for piece in pieces:
            held = group.attrs.get_id(piece)
            count = prod(held.shape)
            if count == 0:
                continue
            if len(held.shape) != 1 or len(names) + count > MOST_LAYERS or not self._is_text(held):
                raise self._no(f"its list {attribute} is no list of names")
            names += [v.decode() if isinstance(v, bytes) else str(v) for v in group.attrs[piece]]
        if any(not name or len(name) > _LONGEST_NAME for name in names):
            raise self._no(f"its list {attribute} has a name that is none")
        return names

    def _is_text(self, held: Any) -> bool:
        return self._h5py.check_string_dtype(held.dtype) is not None and held.get_storage_size() <= LARGEST_TEXT_BYTES

    def _text(self, group: Any, attribute: str) -> str:
        """A short text, or an empty one."""
        if attribute not in group.attrs:
            return ""
        held = group.attrs.get_id(attribute)
        if prod(held.shape) != 1 or not self._is_text(held):
            return ""
        value = np.asarray(group.attrs[attribute]).reshape(-1)[0]
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

    def _json(self, group: Any, attribute: str) -> dict[str, Any]:
        """A description as plain data; empty where there is none, ``{"unreadable": true}`` where it is not JSON."""
        text = self._text(group, attribute)
        if not text:
            return {}
        with suppress(ValueError, RecursionError):
            if len(text) <= LARGEST_TEXT_BYTES and isinstance(found := json.loads(text), dict):
                return found
        return {"unreadable": True}


def _limit_memory() -> None:
    """Cap what this process may take, beyond what the interpreter has taken already."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(words: Sequence[str]) -> int:
    """Body of the child: FILE, OUT, process id of the parent."""
    from thighview.io.parent import follow_process

    path, out, parent = words
    follow_process(int(parent))
    _limit_memory()
    try:
        old = read_old_file(Path(path))
    except UserError as error:
        sys.stdout.write(json.dumps({"message": error.message, "hint": error.hint}))
        return 2
    arrays = {f"{i}/{j}": array for i, layer in enumerate(old.layers) for j, array in enumerate(layer.arrays)}
    facts = {
        "layers": [(layer.name, len(layer.arrays)) for layer in old.layers],
        "keras_version": old.keras_version, "backend": old.backend,
        "model_config": old.model_config, "training_config": old.training_config,
    }  # fmt: skip
    safetensors.numpy.save_file(arrays, out, {"facts": json.dumps(facts)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
