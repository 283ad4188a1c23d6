"""Distortions of training slices, replayable: the same random generator gives the same slice, byte for byte.

Ranges follow nnU-Net's defaults (rotation kept to 30 degrees, no upside-down), see ``TrainConfig.augment``. Rotation,
scale, shift, mirror and elastic deformation are one map, so that a slice is interpolated once; what happens to its
grey values is in ``engine.recolour``.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, map_coordinates

from thighview.core.phantom_person import spline_weights
from thighview.engine.recolour import recoloured, smooth_field

IGNORE = 255
ROTATION_DEGREES = 30.0
SCALE = (0.7, 1.4)
SHIFT_SHARE = 0.06
ELASTIC_CELLS = (4, 7)
"""Knots of an elastic deformation lie this many to an edge."""
ELASTIC_SHARE = (0.05, 0.15)
"""Deviation of the knots, in parts of their distance: far too little for the picture to fold over itself."""

Image = NDArray[np.float32]
Labels = NDArray[np.uint8]


def slice_generator(run_seed: int, epoch: int, slice_id: int) -> np.random.Generator:
    """The random numbers of one slice in one epoch of one run: nothing else decides what is done to it."""
    return np.random.default_rng([0x7468, run_seed, epoch, slice_id])


def augmented(
    image: Image, labels: Labels, rng: np.random.Generator, size: int, air: float, mirror: Labels | None
) -> tuple[Image, Labels]:
    """A distorted square of a slice, other in shape and in grey values.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Network numbers (mean 0, deviation 1).
    labels : ndarray of uint8, shape (h, w)
        Classes; IGNORE takes no part.
    rng : Generator
        From :func:`slice_generator`.
    size : int
        Edge of the square to return, pixels; a larger slice is cut at a random place.
    air : float
        Number for what lies outside the slice; its label is IGNORE.
    mirror : ndarray of uint8, shape (256,), or None
        Left and right are swapped now and then, and each class becomes the one in this table (:func:`swap_table`);
        None where they must not be.
    """
    there, target = moved(image, labels, rng, size, air, mirror)
    return recoloured(there, rng, air), target


def cut(image: Image, labels: Labels, rng: np.random.Generator, size: int, air: float) -> tuple[Image, Labels]:
    """A square of a slice without distortion, at a random place where the slice is larger."""
    at = [int(rng.integers(0, n - size + 1)) if n > size else -((size - n) // 2) for n in image.shape]
    if at == [0, 0] and image.shape == (size, size):
        return image, labels
    out, out_labels = np.full((size, size), air, np.float32), np.full((size, size), IGNORE, np.uint8)
    source = tuple(slice(max(a, 0), max(a, 0) + min(n, size)) for a, n in zip(at, image.shape, strict=True))
    target = tuple(slice(max(-a, 0), max(-a, 0) + min(n, size)) for a, n in zip(at, image.shape, strict=True))
    out[target], out_labels[target] = image[source], labels[source]
    return out, out_labels


def swap_table(classes: Sequence[str]) -> Labels | None:
    """What each class becomes when left and right are swapped, uint8 (256,); IGNORE stays.

    ``name_left`` and ``name_right`` take each other's place, a class without a side stays what it is. None when a
    class has no counterpart: then nothing may be mirrored.
    """
    table = np.arange(256, dtype=np.uint8)
    other = {"left": "right", "right": "left"}
    for number, name in enumerate(classes):
        stem, _, side = name.rpartition("_")
        if stem and side in other:
            if f"{stem}_{other[side]}" not in classes:
                return None
            table[number] = classes.index(f"{stem}_{other[side]}")
    return table


def moved(
    image: Image, labels: Labels, rng: np.random.Generator, size: int, air: float, mirror: Labels | None
) -> tuple[Image, Labels]:
    """A slice turned, scaled, shifted, bent and perhaps mirrored; parameters as for :func:`augmented`.

    Image (linear) and labels (nearest) are taken from the same places.
    """
    rotate, resize, shift, flip, bend = rng.random(5) < (0.5, 0.5, 0.5, 0.5, 0.2)
    angle = math.radians(rng.uniform(-ROTATION_DEGREES, ROTATION_DEGREES)) if rotate else 0.0
    scale = math.exp(rng.uniform(math.log(SCALE[0]), math.log(SCALE[1]))) if resize else 1.0
    offset = rng.uniform(-SHIFT_SHARE, SHIFT_SHARE, 2) * size if shift else np.zeros(2)
    room = np.maximum(np.array(image.shape) - size, 0) / 2
    centre = (np.array(image.shape) - 1) / 2 + rng.uniform(-1, 1, 2) * room + offset
    flip = flip and mirror is not None
    if not (rotate or resize or shift or flip or bend or room.any()) and image.shape == (size, size):
        return image, labels
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    matrix = np.array([[cos, sin], [-sin, cos]])
    if flip:
        matrix[:, 1] *= -1
    start: Any = centre - matrix @ np.full(2, (size - 1) / 2)
    if bend:
        at = _bent(matrix, start, size, rng)
        there: Any = map_coordinates(image, at, np.float32, order=1, cval=air)
        near: Any = map_coordinates(labels, at, np.uint8, order=0, cval=IGNORE)
    else:
        there = affine_transform(image, matrix, start, (size, size), np.float32, order=1, cval=air)
        near = affine_transform(labels, matrix, start, (size, size), np.uint8, order=0, cval=IGNORE)
    return there, mirror[near] if flip and mirror is not None else near


def _bent(matrix: NDArray[np.float64], start: NDArray[np.float64], size: int, rng: np.random.Generator) -> Image:
    """Where each pixel of the square comes from: the affine map, and a smooth displacement on top; (2, size, size)."""
    cells = int(rng.integers(ELASTIC_CELLS[0], ELASTIC_CELLS[1] + 1))
    deviation = rng.uniform(*ELASTIC_SHARE) * size / cells
    weights = spline_weights(np.linspace(0.0, cells, size), cells)
    along = np.arange(size, dtype=np.float32)
    at = np.empty((2, size, size), np.float32)
    for axis in range(2):
        rows = (matrix[axis, 0] * along + start[axis]).astype(np.float32)
        columns = (matrix[axis, 1] * along).astype(np.float32)
        at[axis] = smooth_field(weights, weights, rng) * np.float32(deviation)
        at[axis] += rows[:, None] + columns
    return at
