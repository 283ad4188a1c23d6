"""Is it the seed's U-Net? Its shape from kernels in stored order, and what the file's own description says of it.

Names such as ``conv2d_7`` count the layers of a session and mean nothing; the order is what counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.engine.old_file import OldLayer

_HINT = "Only the seed's U-Net is taken: one image in, one label out, up-convolutions of 2 x 2."
_SILENT = {"InputLayer", "Dropout", "SpatialDropout2D", "MaxPooling2D", "UpSampling2D", "Concatenate", "Conv2D"}
_FEWEST_LEVELS, _MOST_LEVELS = 2, 6
_FEWEST_FILTERS, _MOST_FILTERS = 2, 64


@dataclass(frozen=True)
class SeedShape:
    """What the kernels tell of a seed U-Net: filters on the first level, levels, and whether two filters end it."""

    base_filters: int
    levels: int
    bottleneck: bool


@dataclass(frozen=True)
class Described:
    """What the description in a whole-model file adds: dropout, input edge (0: not said), and doubts in words."""

    dropout: float = 0.0
    input_size: int = 0
    doubts: tuple[str, ...] = ()


def layers_of_seed(shape: SeedShape) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Our layer names in the order of the network, each with its kernel (rows, columns, in, out)."""
    base, levels = shape.base_filters, shape.levels
    expected: list[tuple[str, tuple[int, int, int, int]]] = []
    width = 1
    for level in range(1, levels + 1):
        filters = base << (level - 1)
        expected += [(f"down{level}_conv1", (3, 3, width, filters)), (f"down{level}_conv2", (3, 3, filters, filters))]
        width = filters
    for level in range(levels - 1, 0, -1):
        f = base << (level - 1)
        expected += [
            (f"up{level}_conv0", (2, 2, 2 * f, f)),
            (f"up{level}_conv1", (3, 3, 2 * f, f)),
            (f"up{level}_conv2", (3, 3, f, f)),
        ]
    if shape.bottleneck:
        expected.append(("bottleneck", (3, 3, base, 2)))
    return [*expected, ("head", (1, 1, 2 if shape.bottleneck else base, 1))]


def seed_weights(layers: Sequence[OldLayer]) -> tuple[SeedShape, dict[str, NDArray[np.float32]]]:
    """The shape of the network in a file, and its weights under our names, ready for ``seed_unet``.

    Where the file has no 2-filter layer, one is made that changes nothing: its two channels are relu(z) and relu(-z)
    of the logit z, and the head takes their difference, z.

    Raises
    ------
    UserError
        With the first layer that is not the seed's.
    """
    shape = _shape_of(layers)
    expected = layers_of_seed(shape)
    weights: dict[str, NDArray[np.float32]] = {}
    for number, ((ours, kernel), layer) in enumerate(zip(expected, layers, strict=False), 1):
        what = f"Layer {number} with weights, {layer.name!r}"
        if len(layer.arrays) != 2:
            raise UserError(f"{what}: expected a kernel and a bias, found {len(layer.arrays)} arrays.", _HINT)
        for kind, wanted, array in zip(("kernel", "bias"), (kernel, kernel[3:]), layer.arrays, strict=True):
            if array.shape != wanted:
                network = f"the seed U-Net of {shape.base_filters} filters and {shape.levels} levels"
                raise UserError(
                    f"{what}: {network} has a {kind} of the shape {wanted} there, found {array.shape}.", _HINT
                )
            weights[f"{ours}/{kind}"] = array
    if len(layers) != len(expected):
        count = f"expected {len(expected)} layers with weights, found {len(layers)}"
        if len(layers) > len(expected):
            raise UserError(f"The file goes on after the seed U-Net: {count}; the first surplus one is "
                            f"{layers[len(expected)].name!r}.", _HINT)  # fmt: skip
        name, kernel = expected[len(layers)]
        raise UserError(f"The file ends too early: {count}; the first missing one ({name}) has a kernel of the shape "
                        f"{kernel}.", _HINT)  # fmt: skip
    return shape, weights if shape.bottleneck else _with_bottleneck(weights)


def _shape_of(layers: Sequence[OldLayer]) -> SeedShape:
    kernels = [layer.arrays[0].shape for layer in layers if layer.arrays]
    if not kernels or len(kernels[0]) != 4:
        found = f"found {kernels[0]} in {layers[0].name!r}" if kernels else "found no layer with weights"
        raise UserError(f"The first layer should be a convolution, {found}.", _HINT)
    channels, base = kernels[0][2:]
    if channels != 1:
        raise UserError(f"The network takes {channels} images per slice ({layers[0].name!r}); expected one.", _HINT)
    if not _FEWEST_FILTERS <= base <= _MOST_FILTERS:
        raise UserError(
            f"The first layer {layers[0].name!r} has {base} filters; {_FEWEST_FILTERS} to {_MOST_FILTERS} are taken.",
            _HINT,
        )
    up = next((i for i, k in enumerate(kernels) if k[:2] == (2, 2) or (i and 2 * k[-1] == kernels[i - 1][-1])), None)
    if up is None:
        raise UserError("There is no up-convolution of 2 x 2 in the file: it is not the seed U-Net.", _HINT)
    levels = (up + 1) // 2
    if not _FEWEST_LEVELS <= levels <= _MOST_LEVELS:
        raise UserError(
            f"The first up-convolution is {layers[up].name!r}, layer {up + 1} with weights: that makes {levels} "
            f"levels; {_FEWEST_LEVELS} to {_MOST_LEVELS} are taken.", _HINT,
        )  # fmt: skip
    last = 5 * levels - 3
    return SeedShape(base, levels, not (len(kernels) > last and kernels[last] == (1, 1, base, 1)))


def _with_bottleneck(weights: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    kernel, bias = weights["head/kernel"], weights["head/bias"]
    spread = np.zeros((3, 3, kernel.shape[2], 2), np.float32)
    spread[1, 1, :, 0], spread[1, 1, :, 1] = kernel[0, 0, :, 0], -kernel[0, 0, :, 0]
    return weights | {
        "bottleneck/kernel": spread,
        "bottleneck/bias": np.array([bias[0], -bias[0]], np.float32),
        "head/kernel": np.array([1.0, -1.0], np.float32).reshape(1, 1, 2, 1),
        "head/bias": np.zeros(1, np.float32),
    }


def check_description(config: Mapping[str, Any], layers: Sequence[OldLayer], shape: SeedShape) -> Described:
    """Compare the description of a whole-model file with the seed network; plain data, nothing of it is run.

    Raises
    ------
    UserError
        With the first setting that kernels cannot show and that makes it another network: activation, padding, strides,
        the way of enlarging, the order in which branches are joined.
    """
    if config.get("unreadable"):
        return Described(doubts=("Its description in the file could not be read: only shapes were checked.",))
    inner = config.get("config")
    rows = inner.get("layers") if isinstance(inner, Mapping) else None
    if not isinstance(rows, list):
        return Described()
    ours = {layer.name: name for layer, (name, _) in zip(layers, layers_of_seed(shape), strict=True)}
    dropout, edge, doubts = 0.0, 0, list[str]()
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        kind, settings = str(row.get("class_name", "")), row.get("config")
        settings = settings if isinstance(settings, Mapping) else {}
        name = str(settings.get("name", row.get("name", "")))
        for setting, allowed in _wanted(kind, ours.get(name, "")).items():
            found = settings.get(setting, allowed[0])
            if found not in allowed:
                raise UserError(
                    f"The layer {name[:80]!r} ({kind[:40]}) has {setting} {str(found)[:60]!r}; the seed network has "
                    f"{allowed[0]!r} there.", _HINT,
                )  # fmt: skip
        if kind == "Concatenate":
            _check_order(row, name, ours)
        elif kind == "Dropout" and isinstance(rate := settings.get("rate"), int | float) and 0 <= rate <= 0.9:
            dropout = max(dropout, float(rate))
        elif kind == "InputLayer":
            edge = _edge(settings)
        elif kind not in _SILENT:
            doubts.append(
                f"The file's network also has the layer {name[:80]!r} of the kind {kind[:40]}. It has no weights and "
                "is left out, nothing of it is run: where it changed numbers, the answers here differ from those then."
            )
    return Described(dropout, edge, tuple(doubts[:3]))


def _wanted(kind: str, ours: str) -> dict[str, tuple[Any, ...]]:
    """Settings of a layer and the values they may have, the seed's first."""
    if kind == "Conv2D":
        activations = ("sigmoid", "linear") if ours == "head" else ("relu",)
        once = ([1, 1], (1, 1), 1)
        return {"activation": activations, "padding": ("same",) if ours != "head" else ("same", "valid"),
                "strides": once, "dilation_rate": once, "groups": (1,)}  # fmt: skip
    if kind == "UpSampling2D":
        return {"size": ([2, 2], 2), "interpolation": ("nearest",)}
    if kind == "MaxPooling2D":
        return {"pool_size": ([2, 2], 2), "strides": ([2, 2], 2, None)}
    return {"axis": (3, -1)} if kind == "Concatenate" else {}


def _check_order(row: Mapping[str, Any], name: str, ours: Mapping[str, str]) -> None:
    """The seed joins what comes from the side first, what comes from below second; kernels cannot tell."""
    nodes = row.get("inbound_nodes")
    try:
        sources = [str(source[0]) for source in nodes[0]] if isinstance(nodes, list) else []
    except (LookupError, TypeError):  # written otherwise: nothing is known
        return
    if sources and ours.get(sources[0], "").endswith("_conv0"):
        raise UserError(
            f"The layer {name[:80]!r} joins {sources[0][:80]!r} first; the seed network joins it second.", _HINT
        )


def _edge(settings: Mapping[str, Any]) -> int:
    size = settings.get("batch_input_shape", settings.get("batch_shape"))
    if isinstance(size, list) and len(size) == 4 and isinstance(size[1], int) and size[1] == size[2]:
        return size[1]
    return 0
