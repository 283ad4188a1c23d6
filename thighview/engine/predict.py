"""Segment a volume with a model: the only place where a network answers for a scan."""

import contextlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from thighview.core.doubts import head_warning
from thighview.core.errors import UserError
from thighview.core.mask import LabelMap
from thighview.core.thigh_check import thigh_share, thigh_warning
from thighview.core.tidying import tidy
from thighview.core.volume import Volume
from thighview.engine.preprocess import (
    Intensity,
    PlaneGrid,
    classes_of,
    labels_to_grid,
    maps_to_grid,
    plane_grid,
    slices_for_network,
)
from thighview.engine.sides import Sides, find_sides, with_sides
from thighview.engine.unet import assign_weights, build_network
from thighview.io.model_card import ModelCard
from thighview.io.models import read_card, read_weights

OnSlice = Callable[[int, LabelMap, float], None]
"""Called with the axial slice's index, its labels in stored order and its uncertainty, in turn, on a worker thread."""
OnLogits = Callable[[list[int], NDArray[np.float32]], None]
"""Called with axial slices and the network's answer for them (n, rows, columns, classes), in turn, on one thread."""


_LEAST = np.float32(1e-30)
"""Of a probability, so that its logarithm is a number."""
_ENOUGH_TO_JUDGE = 3
"""Slices from which on it is said whether they look like a thigh."""


class Cancelled(Exception):  # noqa: N818 - not an error: somebody asked for it
    """The segmentation was ended early."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a model says about a volume.

    Parameters
    ----------
    labels : ndarray of uint8, shape (z, y, x)
        Values of the card's label table on the scan's own voxels.
    uncertainty : ndarray of float64, shape (axial slices,)
        See :func:`uncertainty_of`; NaN for slices not asked for.
    axis : int
        The array axis of the axial slices.
    warnings : tuple of str
        Doubts, one sentence each.
    probabilities : ndarray of float32, shape (z, y, x, 1 + labels), optional
        Background first, then the labels by value.
    """

    labels: LabelMap
    uncertainty: NDArray[np.float64]
    axis: int
    warnings: tuple[str, ...] = ()
    probabilities: NDArray[np.float32] | None = None


def load_network(folder: Path) -> tuple[keras.Model, ModelCard]:
    """The network of a model folder, filled; names and shapes of the weights must match exactly.

    Raises
    ------
    UserError
        When the folder is no sound model.
    """
    card = read_card(folder)
    if card.in_channels != 1:
        raise UserError(f"The model {card.name} needs {card.in_channels} images per slice; only one can be given yet.")
    weights = read_weights(folder, card)
    network = build_network(
        card.architecture, len(card.classes), card.base_filters, card.levels, card.dropout, None, card.in_channels
    )
    assign_weights(network, weights)
    return network, card


def probabilities(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float32]:
    """Class probabilities, float32 (..., classes), background first.

    Softmax over the logits divided by the temperature; one logit alone (``seed_unet``) gives 1 - sigmoid and sigmoid.
    """
    x = np.asarray(logits, np.float32) / np.float32(temperature)
    if x.shape[-1] == 1:
        x = np.concatenate([np.zeros_like(x), x], -1)
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def uncertainty_of(logits: NDArray[np.floating], classes: NDArray[np.uint8], temperature: float = 1.0) -> float:
    """How unsure the network is of the borders it drew on one slice, 0 (sure) to 1 (even odds).

    U = mean over the border pixels of -sum_k p_k ln p_k / ln K, with K classes; a border pixel has another class than
    one of its four neighbours. Where no border is drawn, the mean over the whole slice. Example: two classes with
    p = 0.5 at every border pixel give 1.

    Parameters
    ----------
    logits : ndarray, shape (rows, columns, K or 1)
    classes : ndarray of uint8, shape (rows, columns)
        Arg-max of the logits.
    temperature : float
        Of the model's card.
    """
    border = np.zeros(classes.shape, bool)
    rows, columns = classes[1:] != classes[:-1], classes[:, 1:] != classes[:, :-1]
    border[1:] |= rows
    border[:-1] |= rows
    border[:, 1:] |= columns
    border[:, :-1] |= columns
    judged = logits[border] if border.any() else logits[::4, ::4].reshape(-1, logits.shape[-1])
    x = np.ascontiguousarray(judged.T, np.float32) / np.float32(temperature)  # class by class: numpy likes long rows
    if len(x) == 1:
        x = np.concatenate([np.zeros_like(x), x])
    x -= x.max(0)
    weight = np.exp(x)
    total = weight.sum(0)
    entropy = np.log(total) - (weight * x).sum(0) / total  # -sum p ln p with p = weight / total
    return float(entropy.mean() / math.log(len(x)))


def batch_for(grid: PlaneGrid, card: ModelCard, on_gpu: bool) -> int:
    """Slices per step that keep a device busy within about half a gigabyte of features (CPU) or four (GPU)."""
    budget = (64 if on_gpu else 4) * 65536 * 16
    return max(1, min(32 if on_gpu else 4, budget // (grid.size[0] * grid.size[1] * card.base_filters)))


def segment_volume(
    volume: Volume,
    network: keras.Model,
    card: ModelCard,
    on_slice: OnSlice | None = None,
    cancelled: Callable[[], bool] | None = None,
    batch: int = 4,
    slices: Sequence[int] | None = None,
    with_probabilities: bool = False,
    out: LabelMap | None = None,
    on_logits: OnLogits | None = None,
) -> Segmentation:
    """Let a model draw the labels of a volume.

    While the network works on a batch, the next one is prepared and the last one is brought back to the scan's voxels,
    on one worker thread each.

    Parameters
    ----------
    volume : Volume
        The scan.
    network, card
        From :func:`load_network`; or the network's form of ``engine.openvino_form``.
    on_slice : callable, optional
        Told of each slice as it is done, and of those that are tidied at the end once more.
    cancelled : callable, optional
        Asked between batches.
    batch : int
        Slices per step; the last one is filled up, so that shapes never change.
    slices : sequence of int, optional
        Axial slices in the order wanted; all by default.
    with_probabilities : bool
        Keep the probabilities too.
    out : ndarray of uint8, shape (z, y, x), optional
        Written into instead of a new array.
    on_logits : callable, optional
        Is given the answers of each batch, which are not kept.

    Raises
    ------
    Cancelled
        When ``cancelled`` says so.
    UserError
        When the model does not fit the scan.
    """
    grid = plane_grid(volume, card)
    chosen = list(range(grid.slices)) if slices is None else [int(i) for i in slices]
    for index in chosen:
        if not 0 <= index < grid.slices:
            raise UserError(f"This scan has the axial slices 1 to {grid.slices}, found {index + 1}.")
    sides = find_sides(volume, grid) if card.sided else None
    labels = np.zeros(volume.shape, np.uint8) if out is None else out
    result = Segmentation(
        labels,
        np.full(grid.slices, np.nan),
        grid.axes[0],
        _warnings(volume, network, sides),
        np.zeros((*volume.shape, 1 + len(card.labels)), np.float32) if with_probabilities else None,
    )
    finish = _Finish(grid, card, sides, result, on_slice, on_logits)
    intensity = Intensity.of(volume.voxels, card.normalisation)
    batches = [chosen[start : start + batch] for start in range(0, len(chosen), batch)]

    def prepare(indices: list[int]) -> NDArray[np.float32]:
        planes = slices_for_network(volume.voxels, grid, intensity, indices)
        missing = batch - len(indices)
        return np.pad(planes, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else planes

    with ThreadPoolExecutor(1) as before, ThreadPoolExecutor(1) as after:
        upcoming = before.submit(prepare, batches[0]) if batches else None
        behind: list[Future[None]] = []
        for number, indices in enumerate(batches):
            assert upcoming is not None
            planes = upcoming.result()
            if number + 1 < len(batches):
                upcoming = before.submit(prepare, batches[number + 1])
            if cancelled and cancelled():
                raise Cancelled
            logits = _answer(network, planes, card)
            for done in behind:
                done.result()
            if cancelled and cancelled():
                raise Cancelled
            behind = [after.submit(finish, indices, logits[: len(indices)])]
        for done in behind:
            done.result()
    planes = np.moveaxis(labels, grid.axes[0], 0)
    upwards = sorted(set(chosen))
    drawn = planes[upwards]
    if card.tidied:
        pixel_cm2 = grid.stored_mm[0] * grid.stored_mm[1] / 100
        for row in tidy(drawn, card.labels, pixel_cm2, whole=len(upwards) == grid.slices):
            index = upwards[row]
            planes[index] = drawn[row]
            if on_slice:
                on_slice(index, drawn[row], float(result.uncertainty[index]))
    if len(upwards) >= _ENOUGH_TO_JUDGE:
        seen = np.moveaxis(drawn, 0, grid.axes[0])
        if said := thigh_warning(thigh_share(seen, volume, card.labels), card.labels):
            result = replace(result, warnings=(*result.warnings, said))
    return result


def _answer(network: keras.Model, planes: NDArray[np.float32], card: ModelCard) -> NDArray[np.float32]:
    """The network's logits; of a model that is asked twice, the logarithm of the sum of both answers' probabilities."""
    logits = np.asarray(network.predict_on_batch(planes))
    if not card.mirrored:
        return logits
    other = np.asarray(network.predict_on_batch(np.ascontiguousarray(planes[:, :, ::-1])))[:, :, ::-1]
    if logits.shape[-1] == 1:
        return (logits + other) * np.float32(0.5)
    both = _class_by_class(logits)
    both += _class_by_class(other)
    np.log(np.maximum(both, _LEAST, out=both), out=both)
    return np.moveaxis(both, 0, -1)


def _class_by_class(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities, classes first: numpy likes long rows."""
    x = np.array(np.moveaxis(logits, -1, 0), np.float32, order="C")
    x -= x.max(0)
    np.exp(x, out=x)
    x /= x.sum(0)
    return x


def _warnings(volume: Volume, network: keras.Model, sides: Sides | None) -> tuple[str, ...]:
    found = [sides.warning] if sides and sides.warning else []
    with contextlib.suppress(ValueError):  # the network has no such layers
        head: Any = network.get_layer("head")
        bottleneck: Any = network.get_layer("bottleneck")
        kernels: dict[str, NDArray[np.float32]] = {
            f"{layer.name}/kernel": np.asarray(layer.kernel.numpy(), np.float32) for layer in (head, bottleneck)
        }
        found += [sentence] if (sentence := head_warning(kernels)) else []
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Finish:
    """Bring a batch of answers back to the scan's voxels and say so."""

    grid: PlaneGrid
    card: ModelCard
    sides: Sides | None
    result: Segmentation
    on_slice: OnSlice | None
    on_logits: OnLogits | None = None

    def __call__(self, indices: list[int], logits: NDArray[np.float32]) -> None:
        if not np.isfinite(logits).all():
            raise UserError("The network's answer holds numbers that are not finite.", "Choose another model.")
        if self.on_logits:
            self.on_logits(indices, logits)
        planes = np.moveaxis(self.result.labels, self.grid.axes[0], 0)
        left = self.sides.left_of(indices) if self.sides else None
        classes = classes_of(logits)
        values = with_sides(labels_to_grid(logits, self.grid, classes), left, self.card)
        (top, rows), (first, columns) = zip(self.grid.offset, self.grid.content, strict=True)
        for k, index in enumerate(indices):
            content = (k, slice(top, top + rows), slice(first, first + columns))
            planes[index] = values[k]
            uncertainty = uncertainty_of(logits[content], classes[content], self.card.temperature)
            self.result.uncertainty[index] = uncertainty
            if self.result.probabilities is not None:
                self._keep_probabilities(index, logits[k : k + 1], left[k] if left is not None else None)
            if self.on_slice:
                self.on_slice(index, values[k], uncertainty)

    def _keep_probabilities(self, index: int, logits: NDArray[np.float32], left: NDArray[np.bool_] | None) -> None:
        """Probabilities of one slice: those of a class go to the label of the side the voxel lies on."""
        assert self.result.probabilities is not None
        p = probabilities(maps_to_grid(logits, self.grid), self.card.temperature)[0]
        out = np.moveaxis(self.result.probabilities, self.grid.axes[0], 0)[index]
        out[..., 0] = p[..., 0]
        channel = {label.value: 1 + i for i, label in enumerate(self.card.labels)}
        for k in range(1, len(self.card.classes)):
            on_left, on_right = self.card.values_of(k)
            if left is None or on_left == on_right:
                out[..., channel[on_left]] = p[..., k]
            else:
                out[..., channel[on_left]] = np.where(left, p[..., k], 0)
                out[..., channel[on_right]] = np.where(left, 0, p[..., k])
