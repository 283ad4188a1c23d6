"""A model for use elsewhere: Keras 2's ``.h5`` weights, TensorFlow's SavedModel, or ONNX; read back before it is there.

Beside each lies ``OUT.json`` with the model's card and what goes in and comes out.
"""

import importlib
import importlib.util
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.engine.old_file import read_old_file
from thighview.engine.unet import assign_weights, build_network
from thighview.io.atomic import write_atomic, write_json_atomic
from thighview.io.folders import new_folder
from thighview.io.model_card import ModelCard
from thighview.io.models import ModelEntry, find_model, read_weights

FORMATS = ("h5", "savedmodel", "onnx")
_EDGE = 64
"""Of the made-up picture that a network is tried on."""
LARGEST_DIFFERENCE = 1e-4
"""Between the network's answers and those of the exported one; other libraries add in another order."""
_NORMALISATION = {
    "percentile": "clip to the 1st and 99th percentile of the volume, to 0..1, then mean 0 and deviation 1",
    "unit": "clip to the 1st and 99th percentile of the volume, then to 0..1",
}
_ONNX_HINT = "Install it: pip install 'thighview[onnx]'."
Image = NDArray[np.float32]


def export_model(model: ModelEntry, out: Path, form: str) -> Path:
    """Write a model in another format, read it back and compare, and only then put it in its place.

    ``h5``: weights in the layout of Keras 2; ``load_weights`` of the same network, built by layer order, takes them.
    ``savedmodel`` and ``onnx``: the network itself, float32 (n, height, width, 1) in. ``seed_unet`` gives the
    probability of its label, as the original did; ``unet`` gives logits.

    Parameters
    ----------
    model : ModelEntry
        From ``io.models.find_model``.
    out : Path
        The file to write (``.h5``, ``.onnx``), replaced when it is there; for ``savedmodel`` a folder that is new,
        empty or an earlier SavedModel.
    form : {"h5", "savedmodel", "onnx"}

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    UserError
        When it cannot be written, a package is missing, or what was written does not answer as the model does. What was
        there before is then untouched.
    """
    if form not in FORMATS:
        raise UserError(f"Expected the format {', '.join(FORMATS)}, found {form!r}.")
    out = Path(out)
    if form != "savedmodel" and out.suffix.lower() != f".{form}":
        raise UserError(f"The name of a file of the format {form} ends in .{form}, found {out.name!r}.")
    if not out.absolute().parent.is_dir():
        raise UserError(f"The folder {out.absolute().parent} is not there.", "Make it first.")
    _Exporter(model).write(out, form)
    return out


def export_for_window(folder: str, out: str, form: str) -> dict[str, Any]:
    """:func:`export_model` for a child process of the window: the model's folder in, the path written out."""
    return {"path": str(export_model(find_model(Path(folder)), Path(out), form))}


@dataclass(frozen=True)
class _Exporter:
    """The network of one model, ready to be written."""

    model: ModelEntry

    def write(self, out: Path, form: str) -> None:
        network = self._network()
        if form == "h5":
            write_atomic(out, lambda stream: _write_h5(stream, network), lambda path: _check_h5(path, network))
        elif form == "onnx":
            _need_onnx()
            write_atomic(out, lambda stream: _write_onnx(stream, network), lambda path: _check(_onnx(path), network))
        else:
            _write_saved_model(out, network)
        write_json_atomic(out.with_name(f"{out.name}.json"), self._facts(form))

    def _network(self) -> keras.Model:
        card = self.model.card
        network = build_network(
            card.architecture, len(card.classes), card.base_filters, card.levels, 0.0, None, card.in_channels,
            with_sigmoid=card.architecture == "seed_unet",
        )  # fmt: skip
        assign_weights(network, read_weights(self.model.folder, card))
        return network

    def _facts(self, form: str) -> dict[str, Any]:
        card: ModelCard = self.model.card
        multiple = 1 << (card.levels - 1)
        seed = card.architecture == "seed_unet"
        size = f"{card.spacing_mm:g} mm pixels" if card.spacing_mm else f"the longer edge fitted into {card.input_size}"
        return {
            "format": form,
            "input": {
                "shape": ["n", "height", "width", card.in_channels], "type": "float32", "edges_multiple_of": multiple,
                "planes": "axial, rows towards posterior, columns towards the patient's left", "size": size,
                "numbers": _NORMALISATION[card.normalisation],
            },
            "output": {
                "shape": ["n", "height", "width", 1 if seed else len(card.classes)],
                "meaning": f"probability of {card.classes[1]}"
                if seed
                else "logits; divided by the card's temperature, softmax over the last axis",
                "classes": list(card.classes),
            },
            "card": card.to_json(),
        }  # fmt: skip


def _write_h5(stream: BinaryIO, network: keras.Model) -> None:
    """Layers in order, each with its arrays under names such as ``head/kernel:0``."""
    import h5py

    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = keras.__version__.encode()
        for layer in network.layers:
            group = file.create_group(layer.name)
            weights: list[Any] = layer.weights
            names = [f"{layer.name}/{w.name}:0" for w in weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, weights, strict=True):
                group.create_dataset(name, data=np.asarray(weight.numpy(), np.float32))
    stream.write(made.getbuffer())


def _check_h5(path: Path, network: keras.Model) -> None:
    read = [array for layer in read_old_file(path).layers for array in layer.arrays]
    ours = [np.asarray(w.numpy(), np.float32) for layer in network.layers for w in layer.weights]
    if len(read) != len(ours) or not all(np.array_equal(a, b) for a, b in zip(read, ours, strict=True)):
        raise UserError("The file read back holds other weights than the model; it was not put in place.")


def _write_saved_model(out: Path, network: keras.Model) -> None:
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"A SavedModel is written by TensorFlow; Keras runs on {keras.backend.backend()} here.",
            "Run it again without KERAS_BACKEND.",
        )
    full = out.is_dir() and any(out.iterdir())
    if out.is_file() or (full and not (out / "saved_model.pb").is_file()):
        raise UserError(f"{out} is there already and no SavedModel.", "Choose a new folder; nothing was written.")
    with new_folder(out) as staged:
        network.export(staged, format="tf_saved_model", verbose=False)
        layer = keras.layers.TFSMLayer(str(staged), call_endpoint="serve")  # the folder just written
        _check(lambda image: np.asarray(layer(image)), network)


def _need_onnx() -> None:
    writer = {"tensorflow": "tf2onnx", "jax": "jax2onnx"}.get(str(keras.backend.backend()), "onnx")
    for package in (writer, "onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"To write ONNX the package {package} is needed, and it is not installed.", _ONNX_HINT)


def _write_onnx(stream: BinaryIO, network: keras.Model) -> None:
    with tempfile.TemporaryDirectory(prefix="thighview-") as folder:
        made = Path(folder) / "network.onnx"
        shape: Any = network.input_shape
        network(np.zeros((1, _EDGE, _EDGE, shape[-1]), np.float32))  # Keras refuses to export what was never called
        network.export(made, format="onnx", verbose=False)
        stream.write(made.read_bytes())


def _onnx(path: Path) -> Callable[[Image], Image]:
    session: Any = importlib.import_module("onnxruntime").InferenceSession(str(path))
    name: str = session.get_inputs()[0].name
    return lambda image: np.asarray(session.run(None, {name: image})[0], np.float32)


def _check(answer: Callable[[Image], Image], network: keras.Model) -> None:
    """Both answer one made-up picture alike, or a refusal."""
    shape: Any = network.input_shape
    image = np.random.default_rng(0).normal(size=(1, _EDGE, _EDGE, shape[-1])).astype(np.float32)
    ours, theirs = np.asarray(network.predict_on_batch(image)), answer(image)
    worst = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else float("inf")
    if not worst <= LARGEST_DIFFERENCE * max(1.0, float(np.abs(ours).max())):
        raise UserError(f"What was written answers otherwise than the model (by {worst:.2g}); it was not put in place.")
