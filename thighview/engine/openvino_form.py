"""A network as OpenVINO computes it in bfloat16, on processors that multiply that; for segmenting alone.

Training and scores keep to Keras, and so does everything where float32 is needed: there OpenVINO is about as fast as
TensorFlow. The graph is built from the layers, for converting the network takes 4 s, this a tenth of one.
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
ALIKE, ENOUGH = 0.999, 1000
"""Share of the pixels drawn on one batch that bfloat16 must label as Keras does, and how many of them tell."""
Planes = NDArray[np.float32]
_programs: WeakKeyDictionary[keras.Model, Any] = WeakKeyDictionary()
"""What was compiled of each network, for all shapes, with its weights of that moment."""


def computing_on(device: str) -> str:
    """Where a segmentation is computed, in words: the device, and OpenVINO where it is used."""
    return f"{device}, OpenVINO" if is_used(device) else device


def computed_on(form: Any, device: str) -> str:
    """Where a segmentation was computed once it is over, in words; ``form`` is from :func:`fast_form`."""
    return computing_on(device) if getattr(form, "quick", False) else device


def is_used(device: str) -> bool:
    """Whether OpenVINO is to compute segmentations.

    It is on a processor that multiplies bfloat16, with TensorFlow as the backend, where the package ``openvino`` is
    installed and the environment variable ``THIGHVIEW_OPENVINO`` is not 0.
    """
    wanted = device == "CPU" and os.environ.get(SWITCH) != "0" and keras.backend.backend() == "tensorflow"
    return wanted and _core() is not None


def fast_form(network: keras.Model, device: str) -> Any:
    """The network as OpenVINO computes it, to be given to one ``segment_volume``; itself where that is not used.

    Parameters
    ----------
    network : keras.Model
        From ``engine.predict.load_network``; its weights stay as they are.
    device : str
        From ``engine.devices.prepare_device``.
    """
    return _Form(network) if is_used(device) else network


@functools.cache
def _core() -> Any:
    """OpenVINO, or None where it is not installed, does not load or has no use for bfloat16 by itself."""
    if importlib.util.find_spec("openvino") is None:
        return None
    # it tells its maker of every import through this package, and does without it where it is not there
    sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore[reportArgumentType]
    try:
        openvino: Any = importlib.import_module("openvino")
        core = openvino.Core()
        return core if core.get_property("CPU", "INFERENCE_PRECISION_HINT") == openvino.Type.bf16 else None
    except Exception as error:  # noqa: BLE001 - Keras does without it
        _log.warning("OpenVINO is installed and cannot be loaded: %s", error)
        return None


@dataclass(eq=False)
class _Form:
    """Answers as the network does, for one scan.

    The network itself answers until a batch has enough drawn on it. Where OpenVINO draws the same there, it goes on
    alone: scans that a model is sure of pass, others do not. Where it fails, the network answers.
    """

    network: keras.Model
    quick: bool | None = None
    """Whether OpenVINO answers; None while that is open."""
    first: tuple[Planes, Planes] | None = None
    """The last batch and the network's answer; they are compared when the next one comes, so that no slice waits."""

    def get_layer(self, name: str) -> Any:
        """A layer of the network."""
        return self.network.get_layer(name)

    def predict_on_batch(self, planes: Planes) -> Planes:
        """Logits, float32 (n, height, width, classes), of planes (n, height, width, 1)."""
        if self.first:
            self.quick, self.first = self._draws_the_same(*self.first), None
        if self.quick:
            answer = self._quickly(planes)
            if answer is not None:
                return answer
            self.quick = False
        answer = np.asarray(self.network.predict_on_batch(planes))
        if self.quick is None and planes.any():
            self.first = planes, answer
        return answer

    def _draws_the_same(self, planes: Planes, wanted: Planes) -> bool | None:
        """Whether OpenVINO draws what the network did; None where that is too little to tell."""
        found = self._quickly(planes)
        if found is None:
            return False
        ours, theirs = classes_of(found), classes_of(wanted)
        drawn = (ours > 0) | (theirs > 0)
        return bool((ours == theirs)[drawn].mean() >= ALIKE) if drawn.sum() >= ENOUGH else None

    def _quickly(self, planes: Planes) -> Planes | None:
        """OpenVINO's answer; None where it has none, or one that is not finite."""
        try:
            if self.network not in _programs:
                _programs[self.network] = _compile(self.network)
            answer: Planes = _programs[self.network](np.ascontiguousarray(planes))[0]
        except Exception as error:  # noqa: BLE001 - whatever it is, Keras answers
            _log.warning("OpenVINO cannot compute the network %s, Keras does: %s", self.network.name, error)
            return None
        return answer if np.isfinite(answer).all() else None


def _compile(network: keras.Model) -> Any:
    wanted = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16", "ENABLE_CPU_PINNING": False}
    return _core().compile_model(graph_of(network), "CPU", wanted)


def graph_of(network: keras.Model) -> Any:
    """The network as OpenVINO's operations, for planes of any number and size; features have their channels second.

    Raises
    ------
    ValueError
        When it has a layer that is not known here.
    """
    o: Any = importlib.import_module("openvino.opset13")
    planes = o.parameter([-1, -1, -1, 1], np.float32)
    made: dict[str, Any] = {}
    for layer in network.layers:
        before: Any = layer.input  # a tensor, or a list of them; of the first layer an empty one
        inputs = [made[tensor.name] for tensor in (before if isinstance(before, list) else [before])]
        made[layer.output.name] = _operation(o, layer, inputs or [planes])
    answer = o.transpose(made[network.outputs[0].name], np.array([0, 2, 3, 1]))
    return importlib.import_module("openvino").Model([answer], [planes], network.name)


def _operation(o: Any, layer: Any, inputs: list[Any]) -> Any:
    x = inputs[0]
    match layer:
        case layers.InputLayer():
            return o.transpose(x, np.array([0, 3, 1, 2]))
        case layers.Conv2D() if layer.activation.__name__ in ("linear", "relu"):
            return _convolution(o, layer, x)
        case GroupNorm():  # among bfloat16 features its sums stay float32
            return o.group_normalization(x, layer.gamma.numpy(), layer.beta.numpy(), layer.groups, layer.EPSILON)
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
    return o.relu(x) if layer.activation.__name__ == "relu" else x
