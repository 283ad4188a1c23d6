"""Batches for training and for measuring, from slices held in memory.

What a batch holds depends on nothing but (run seed, epoch, step): so a run can be resumed, replayed and explained.
``y`` is a dict: ``labels`` uint8 (b, h, w), ``slots`` int32 (b,), the place of each slice in the pass, and
``weights`` float32 (b,).
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from thighview.core.fine_tuning import batch_parts
from thighview.core.volume import Volume
from thighview.engine.augment import IGNORE, augmented, cut, slice_generator
from thighview.engine.preprocess import Intensity, PlaneSettings, masks_for_network, plane_grid, slices_for_network

Batch = tuple[NDArray[np.float32], dict[str, NDArray[Any]]]
T = TypeVar("T")
_SMALL_BYTES = 1 << 30


@dataclass(frozen=True)
class Slices:
    """Slices as the network sees them, each on the canvas on which it is segmented.

    ``ids`` (n,) are slice ids of the run; ``images`` n times (h, w) float32, or float16 when they are many; ``labels``
    n times (h, w) uint8 classes, IGNORE outside the scan and where nothing is reviewed; ``air`` (n,) the number for
    outside; ``weights`` (n,) of the loss.
    """

    ids: NDArray[np.int32]
    images: Sequence[NDArray[np.floating]]
    labels: Sequence[NDArray[np.uint8]]
    air: NDArray[np.float32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def fullest(self) -> int:
        """The row with most labelled pixels."""
        return int(np.argmax([((labels > 0) & (labels != IGNORE)).sum() for labels in self.labels]))

    @property
    def edge(self) -> int:
        """The longest edge of a slice, pixels."""
        return max(n for image in self.images for n in image.shape)

    @staticmethod
    def join(parts: Sequence["Slices"]) -> "Slices":
        """All slices, in order."""
        many = sum(image.size for part in parts for image in part.images) * 4 > _SMALL_BYTES
        images = [image.astype(np.float16) if many else image for part in parts for image in part.images]
        return Slices(
            np.concatenate([p.ids for p in parts]), images, [labels for p in parts for labels in p.labels],
            np.concatenate([p.air for p in parts]), np.concatenate([p.weights for p in parts]),
        )  # fmt: skip

    def chosen(self, rows: Sequence[int]) -> "Slices":
        """Some of them."""
        at = np.asarray(rows, np.intp)
        return Slices(
            self.ids[at], [self.images[row] for row in rows], [self.labels[row] for row in rows],
            self.air[at], self.weights[at],
        )  # fmt: skip


def slices_of(
    volume: Volume,
    mask: NDArray[np.uint8],
    settings: PlaneSettings,
    ids: Sequence[int],
    indices: Sequence[int],
    classes: NDArray[np.uint8],
    normalisation: str = "percentile",
) -> Slices:
    """Axial slices of a scan, prepared by the same functions as for inference.

    Parameters
    ----------
    volume : Volume
    mask : ndarray of uint8, shape (z, y, x)
        Label values, IGNORE where not reviewed.
    settings : PlaneSettings
    ids, indices : sequence of int
        Slice ids of the run and their axial indices.
    classes : ndarray of uint8, shape (256,)
        Label value to class; 255 stays IGNORE.
    normalisation : {"percentile", "unit"}
        That of the model card.
    """
    grid, intensity = plane_grid(volume, settings), Intensity.of(volume.voxels, normalisation)
    images = slices_for_network(volume.voxels, grid, intensity, indices)[..., 0]
    targets = classes[masks_for_network(mask, grid, indices)]
    inside = np.zeros(grid.size, bool)
    (top, left), (h, w) = grid.offset, grid.content
    inside[top : top + h, left : left + w] = True
    targets[:, ~inside] = IGNORE
    n = len(indices)
    return Slices(
        np.asarray(ids, np.int32), list(images), list(targets),
        np.full(n, intensity.of_air, np.float32), np.ones(n, np.float32),
    )  # fmt: skip


_Drawn = tuple[Slices, int, np.random.Generator]
_REPLAY = 0x7270


class TrainBatches(keras.utils.PyDataset):
    """Batches of one epoch, shuffled by (seed, epoch); the last one is topped up from the epoch's beginning.

    ``batch_size`` counts the slices of the set in a batch; ``replayed`` more come from ``replay``, drawn anew for each
    (seed, epoch, step), and their sums go to the table's spare row ``spare``. ``epoch`` (from 1) is set from outside:
    Keras calls ``on_epoch_end`` once too often to be counted on.
    """

    def __init__(
        self, slices: Slices, size: int, batch_size: int, seed: int, augment: bool, mirror: NDArray[np.uint8] | None,
        replay: Slices | None = None, share: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.slices = slices
        self.size = size
        self.batch_size, self.replayed = batch_parts(batch_size, len(slices), share if replay else 0.0)
        self.epoch = 1
        self.spare = len(self) * self.batch_size
        self._replay = replay
        self._seed, self._augment, self._mirror = seed, augment, mirror

    def __len__(self) -> int:
        return -(-len(self.slices) // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.intp]:
        """Rows of the slices in the order in which an epoch sees them, with those that top up the last batch."""
        order = np.random.default_rng([0x6F72, self._seed, epoch]).permutation(len(self.slices))
        return np.resize(order, len(self) * self.batch_size)

    def batch(self, epoch: int, step: int) -> Batch:
        """The batch of a step (from 0) of an epoch (from 1)."""
        first, total = step * self.batch_size, self.batch_size + self.replayed
        x = np.empty((total, self.size, self.size, 1), np.float32)
        labels = np.empty((total, self.size, self.size), np.uint8)
        slots, weights = np.full(total, self.spare, np.int32), np.empty(total, np.float32)
        own = self.order(epoch)[first : first + self.batch_size]
        slots[: len(own)] = np.arange(first, first + len(own))
        for k, (s, row, rng) in enumerate([*self._own(epoch, own), *self._replayed(epoch, step)]):
            x[k, ..., 0], labels[k] = self._shown(s, row, rng)
            weights[k] = s.weights[row]
        return x, {"labels": labels, "slots": slots, "weights": weights}

    def replay_rows(self, epoch: int, step: int) -> NDArray[np.intp]:
        """Rows of the replay pool that a step shows; none twice unless there are too few."""
        count, there = self.replayed, len(self._replay or ())
        rng = np.random.default_rng([_REPLAY, self._seed, epoch, step])
        return np.resize(rng.permutation(there), count) if count else np.empty(0, np.intp)

    def _own(self, epoch: int, rows: NDArray[np.intp]) -> Generator[_Drawn]:
        for row in rows:
            yield self.slices, int(row), slice_generator(self._seed, epoch, int(self.slices.ids[row]))

    def _replayed(self, epoch: int, step: int) -> Generator[_Drawn]:
        """A slice may come several times in an epoch, so it is distorted by its place in the run, not by its id."""
        for k, row in enumerate(self.replay_rows(epoch, step)):
            assert self._replay is not None
            yield self._replay, int(row), np.random.default_rng([_REPLAY, self._seed, epoch, step, k])

    def seen(self, slices: Slices, row: int, epoch: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Image and labels of a slice as this epoch shows it to the network: nothing but its id and the epoch count."""
        return self._shown(slices, row, slice_generator(self._seed, epoch, int(slices.ids[row])))

    def _shown(
        self, slices: Slices, row: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        image, air = slices.images[row].astype(np.float32, copy=False), float(slices.air[row])
        if self._augment:
            return augmented(image, slices.labels[row], rng, self.size, air, self._mirror)
        return cut(image, slices.labels[row], rng, self.size, air)

    def __getitem__(self, index: int) -> Batch:
        return self.batch(self.epoch, index)


class MeasureBatches(keras.utils.PyDataset):
    """Every slice once, whole and as it is, on the canvas on which it is segmented: what a person will get.

    Slices of one size share batches; the last of these is filled up to the next power of two (that few shapes are to
    be compiled) with slices that count nothing: the filling has weight 0 and only ignored pixels, and its sums go to
    the table's spare row ``spare``. Networks look at the whole canvas (group normalisation), so a wider one would give
    other answers.
    """

    def __init__(self, slices: Slices, batch_size: int, spare: int) -> None:
        super().__init__()
        self.slices = slices
        self.batch_size = batch_size
        self._spare = spare
        alike: dict[tuple[int, ...], list[int]] = {}
        for row in range(len(slices)):
            alike.setdefault(self.shape(row), []).append(row)
        self._batches = [rows[k : k + batch_size] for rows in alike.values() for k in range(0, len(rows), batch_size)]

    def __len__(self) -> int:
        return len(self._batches)

    def shape(self, row: int) -> tuple[int, ...]:
        """Rows and columns of the image of a slice."""
        return self.slices.images[row].shape

    def image(self, row: int) -> tuple[NDArray[np.floating], NDArray[np.uint8]]:
        """Image and labels of a slice."""
        return self.slices.images[row], self.slices.labels[row]

    def __getitem__(self, index: int) -> Batch:
        rows = self._batches[index]
        count = min(self.batch_size, 1 << (len(rows) - 1).bit_length())
        shape = (count, *self.shape(rows[0]))
        x, labels = np.zeros((*shape, 1), np.float32), np.full(shape, IGNORE, np.uint8)
        slots, weights = np.full(count, self._spare, np.int32), np.zeros(count, np.float32)
        for k, row in enumerate(rows):
            x[k, ..., 0], labels[k] = self.image(row)
        slots[: len(rows)], weights[: len(rows)] = rows, 1.0
        return x, {"labels": labels, "slots": slots, "weights": weights}


class AugmentedBatches(MeasureBatches):
    """Every slice once, distorted as an epoch of a training distorted it."""

    def __init__(self, slices: Slices, training: TrainBatches, epoch: int, spare: int) -> None:
        self._training, self._epoch = training, epoch
        super().__init__(slices, training.batch_size, spare)

    def shape(self, row: int) -> tuple[int, ...]:
        """Rows and columns of a cut."""
        return self._training.size, self._training.size

    def image(self, row: int) -> tuple[NDArray[np.floating], NDArray[np.uint8]]:
        """Image and labels of a slice as the epoch saw it."""
        return self._training.seen(self.slices, row, self._epoch)


def in_parts(batch: Batch, at_once: int) -> list[Batch]:
    """A batch in parts of at most ``at_once`` slices, in order and as equal as can be."""
    x, y = batch
    count = -(-len(x) // at_once)
    ends = [round(i * len(x) / count) for i in range(count + 1)]
    return [(x[a:b], {name: values[a:b] for name, values in y.items()}) for a, b in pairwise(ends)]


def prefetched(make: Callable[[int], T], first: int, count: int, ahead: int = 3, workers: int = 2) -> Generator[T]:
    """``make(first)``, ``make(first + 1)``, ... in order, made by worker threads a few ahead of whoever takes them.

    numpy and scipy release the interpreter in their heavy parts, so the next batches are ready when the network asks.
    """
    with ThreadPoolExecutor(workers, "batches") as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for i in range(first, first + count):
                waiting.append(pool.submit(make, i))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
