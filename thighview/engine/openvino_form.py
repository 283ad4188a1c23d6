"""A network as OpenVINO computes it on a processor, for segmenting alone; training and scores keep to Keras.

The graph is built from the layers: converting the network takes 4 s, this a twentieth of one.
"""

import functools
import importlib
import importlib.util
import logging
import os
import sys
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from thighview.engine.group_norm import GroupNorm
from thighview.engine.preprocess import classes_of

_log = logging.getLogger(__name__)

SWITCH = "THIGHVIEW_OPENVINO"
"""Environment variable; 0 leaves all to Keras."""
ALIKE = 0.999
"""Share of pixels that bfloat16 must label as float32 does."""
_EXACT, _SHORT = "f32", "bf16"
_ACTIVATIONS = ("linear", "relu", "sigmoid")
Planes = NDArray[np.float32]
_programs: WeakKeyDictionary[keras.Model, dict[tuple[tuple[int, ...], str], Any]] = WeakKeyDictionary()
"""What was compiled of each network, for the shape last asked for; its weights are those of that moment."""


def computing_on(device: str) -> str:
    """Where a segmentation is computed, in words: the device, and OpenVINO where it is used."""
    return f"{device}, OpenVINO" if library_for(device) else device


def fast_form(network: keras.Model, device: str) -> Any:
    """The network as OpenVINO computes it, to be given to one :func:`segment_volume`; itself where that is not used.

    It is used on a processor, with TensorFlow as the backend, where the package ``openvino`` is installed and the
    environment variable ``THIGHVIEW_OPENVINO`` is not 0.

    Parameters
    ----------
    network : keras.Model
        From ``engine.predict.load_network``; its weights stay as they are.
    device : str
        From ``engine.devices.prepare_device``.
    """
    return _Form(network) if library_for(device) else network


def library_for(device: str) -> Any:
    """The package ``openvino`` where it is to be used, else None."""
    wanted = device == "CPU" and os.environ.get(SWITCH) != "0" and keras.backend.backend() == "tensorflow"
    return _library() if wanted else None


@functools.cache
def _library() -> Any:
    if importlib.util.find_spec("openvino") is None:
        return None
    # it tells its maker of every import through this package, and does without it where it is not there
    sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore[reportArgumentType]
    try:
        return importlib.import_module("openvino")
    except Exception as error:  # noqa: BLE001 - Keras does without it
        _log.warning("OpenVINO is installed and cannot be loaded: %s", error)
        return None


@functools.cache
def _core() -> Any:
    return _library().Core()


@dataclass(eq=False)
class _Form:
    """Answers as the network does, for one scan; where OpenVINO cannot, the network itself does.

    The first batch is computed in float32. On a processor that multiplies bfloat16 it is computed in that too, and
    where both draw the same, bfloat16 goes on alone: scans that a model is sure of pass, others do not.
    """

    network: keras.Model
    kind: str = ""
    """What it computes in: empty while that is open, ``keras`` where OpenVINO failed."""

    def get_layer(self, name: str) -> Any:
        """A layer of the network."""
        return self.network.get_layer(name)

    def predict_on_batch(self, planes: Planes) -> Planes:
        """Logits, float32 (n, height, width, classes), of planes (n, height, width, 1)."""
        if self.kind != "keras":
            try:
                return self._answer(planes)
            except Exception as error:  # noqa: BLE001 - whatever it is, Keras answers
                _log.warning("OpenVINO cannot compute the network %s, Keras does: %s", self.network.name, error)
                self.kind = "keras"
        return np.asarray(self.network.predict_on_batch(planes))

    def _answer(self, planes: Planes) -> Planes:
        if self.kind == _SHORT:
            answer = self._compute(planes, _SHORT)
            if np.isfinite(answer).all():
                return answer
            self.kind = _EXACT
        exact = self._compute(planes, _EXACT)
        filled = planes.any((1, 2, 3))  # not those that fill up a batch
        if not self.kind and filled.any():
            self.kind = _EXACT
            if _multiplies_bfloat16():
                same = classes_of(self._compute(planes, _SHORT)) == classes_of(exact)
                self.kind = _SHORT if same[filled].mean() >= ALIKE else _EXACT
        return exact

    def _compute(self, planes: Planes, kind: str) -> Planes:
        kept = _programs.setdefault(self.network, {})
        key = (planes.shape, kind)
        if key not in kept:
            for other in [k for k in kept if k[0] != planes.shape]:
                del kept[other]
            kept[key] = _compile(_graph(self.network, planes.shape, kind), kind)
        return kept[key](np.ascontiguousarray(planes))[0]


def _multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for it, so that OpenVINO would choose it by itself."""
    return _core().get_property("CPU", "INFERENCE_PRECISION_HINT") == _library().Type.bf16


def _compile(graph: Any, kind: str) -> Any:
    return _core().compile_model(
        graph,
        "CPU",
        {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": kind, "ENABLE_CPU_PINNING": False},
    )


def _graph(network: keras.Model, shape: tuple[int, ...], kind: str) -> Any:
    """The network for planes of one shape, as OpenVINO's operations; features are (n, channels, height, width)."""
    o: Any = importlib.import_module("openvino.opset13")
    planes = o.parameter(list(shape), np.float32)
    made: dict[str, Any] = {}
    for layer in network.layers:
        before: Any = layer.input  # a tensor, or a list of them; of the first layer an empty one
        inputs = [made[tensor.name] for tensor in (before if isinstance(before, list) else [before])]
        made[layer.output.name] = _operation(o, layer, inputs or [planes], kind)
    answer = o.transpose(made[network.outputs[0].name], np.array([0, 2, 3, 1]))
    return _library().Model([answer], [planes], network.name)


def _operation(o: Any, layer: Any, inputs: list[Any], kind: str) -> Any:
    x = inputs[0]
    match layer:
        case layers.InputLayer():
            return o.transpose(x, np.array([0, 3, 1, 2]))
        case layers.Conv2D() if layer.activation.__name__ in _ACTIVATIONS:
            return _convolution(o, layer, x)
        case GroupNorm():
            return (_group_norm if kind == _EXACT else _rounded_group_norm)(o, layer, x)
        case layers.LeakyReLU():
            return o.prelu(x, np.array([layer.negative_slope], np.float32))
        case layers.MaxPooling2D():
            return o.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
        case layers.UpSampling2D():
            near = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            return o.interpolate(x, np.ones(2, np.float32) * 2, "nearest", "scales", axes=np.array([2, 3]), **near)
        case layers.Concatenate():
            return o.concat(inputs, 1)
        case layers.Dropout():
            return x
        case _:
            raise ValueError(f"no operation is known for the layer {layer.name}")


def _convolution(o: Any, layer: Any, x: Any) -> Any:
    kernel = np.ascontiguousarray(layer.kernel.numpy().transpose(3, 2, 0, 1))
    x = o.convolution(x, kernel, [1, 1], [0, 0], [0, 0], [1, 1], auto_pad="same_upper")
    x = o.add(x, layer.bias.numpy()[:, None, None])
    return x if layer.activation.__name__ == "linear" else getattr(o, layer.activation.__name__)(x)


def _group_norm(o: Any, layer: GroupNorm, x: Any) -> Any:
    """As the layer computes it: OpenVINO's own operation is slower in float32, for it turns the features round."""
    channels = int(layer.gamma.shape[0])
    each = channels // layer.groups
    together = np.kron(np.eye(layer.groups), np.ones((each, each)) / each).astype(np.float32)
    mean = o.matmul(o.reduce_mean(x, np.array([2, 3])), together, False, False)
    square = o.matmul(o.reduce_mean(o.multiply(x, x), np.array([2, 3])), together, False, False)
    variance = o.maximum(o.subtract(square, o.multiply(mean, mean)), np.float32(0))
    scale = o.divide(layer.gamma.numpy()[None], o.sqrt(o.add(variance, np.float32(layer.EPSILON))))
    shift = o.subtract(layer.beta.numpy()[None], o.multiply(mean, scale))
    scale, shift = (o.unsqueeze(numbers, np.array([2, 3])) for numbers in (scale, shift))
    return o.add(o.multiply(x, scale), shift)


def _rounded_group_norm(o: Any, layer: GroupNorm, x: Any) -> Any:
    """OpenVINO's own operation keeps sums in float32 among bfloat16 features."""
    return o.group_normalization(x, layer.gamma.numpy(), layer.beta.numpy(), layer.groups, layer.EPSILON)
