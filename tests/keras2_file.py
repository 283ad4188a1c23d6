"""Files as Keras 2 wrote them, made with h5py alone: names that count the layers of a session, weights in order."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Layers = list[tuple[str, list[np.ndarray]]]

TRAINING = {
    "loss": "binary_crossentropy",
    "metrics": [[{"class_name": "Accuracy", "config": {"name": "accuracy", "dtype": "float32"}}]],
    "weighted_metrics": None,
    "loss_weights": None,
    "optimizer_config": {"class_name": "Adam", "config": {"name": "Adam", "learning_rate": 0.0002}},
}


def seed_layers(base: int = 4, levels: int = 3, bottleneck: bool = True, first: int = 1, seed: int = 0) -> Layers:
    """The weighted layers of the seed U-Net with random weights, in Keras 2's order."""
    rng = np.random.default_rng(seed)
    kernels: list[tuple[int, int, int, int]] = []
    width = 1
    for level in range(levels):
        f = base * 2**level
        kernels += [(3, 3, width, f), (3, 3, f, f)]
        width = f
    for level in reversed(range(levels - 1)):
        f = base * 2**level
        kernels += [(2, 2, 2 * f, f), (3, 3, 2 * f, f), (3, 3, f, f)]
    if bottleneck:
        kernels += [(3, 3, base, 2), (1, 1, 2, 1)]
    else:
        kernels += [(1, 1, base, 1)]
    layers: Layers = []
    for i, kernel in enumerate(kernels):
        name = "conv2d" if first + i == 0 else f"conv2d_{first + i}"
        spread = np.sqrt(2 / np.prod(kernel[:3]))
        array = (rng.normal(size=kernel) * spread).astype(np.float32)
        layers.append((name, [array, rng.normal(size=kernel[3:]).astype(np.float32) * 0.1]))
    return layers


def with_silent(layers: Layers) -> Layers:
    """Layers without weights between them, as the file lists them too: input, poolings, dropouts."""
    return [("input_1", []), *layers[:2], ("max_pooling2d_1", []), ("dropout_1", []), *layers[2:]]


def description(layers: Layers, extra: Sequence[dict[str, Any]] = (), edge: int = 64, **conv: Any) -> dict[str, Any]:
    """A ``model_config`` that names these layers; ``conv`` changes settings of the third convolution."""
    rows: list[dict[str, Any]] = [
        {"class_name": "InputLayer", "config": {"name": "input_1", "batch_input_shape": [None, edge, edge, 1]}},
        {"class_name": "Dropout", "config": {"name": "dropout_1", "rate": 0.5}},
        {
            "class_name": "UpSampling2D",
            "config": {"name": "up_sampling2d_1", "size": [2, 2], "interpolation": "nearest"},
        },
    ]
    for i, (name, arrays) in enumerate(layers):
        if not arrays:
            continue
        settings = {
            "name": name, "activation": "sigmoid" if i == len(layers) - 1 else "relu", "padding": "same",
            "strides": [1, 1], "dilation_rate": [1, 1], "groups": 1,
        }  # fmt: skip
        rows.append({"class_name": "Conv2D", "config": settings | (conv if i == 2 else {})})
    return {"class_name": "Functional", "config": {"name": "model_1", "layers": [*rows, *extra]}}


def write_keras2(
    path: Path, layers: Layers, model_config: Any = None, training_config: Any = None, version: str = "2.4.0",
    backend: str = "tensorflow",
) -> Path:  # fmt: skip
    """Weights only, or with ``model_config`` a whole model."""
    with h5py.File(path, "w") as file:
        root = file
        if model_config is not None:
            root = file.create_group("model_weights")
            file.attrs["model_config"] = json.dumps(model_config).encode()
            file.attrs["keras_version"], file.attrs["backend"] = version.encode(), backend.encode()
            optimizer = file.create_group("optimizer_weights")
            optimizer.create_dataset("Adam/m:0", data=np.zeros(3))
        if training_config is not None:
            file.attrs["training_config"] = json.dumps(training_config).encode()
        root.attrs["layer_names"] = [name.encode() for name, _ in layers]
        root.attrs["keras_version"], root.attrs["backend"] = version.encode(), backend.encode()
        for name, arrays in layers:
            group = root.create_group(name)
            names = [f"{name}/{kind}:0" for kind, _ in zip(("kernel", "bias", "third", "fourth"), arrays, strict=False)]
            group.attrs["weight_names"] = [n.encode() for n in names]
            for weight, array in zip(names, arrays, strict=True):
                group.create_dataset(weight, data=array)
    return path
