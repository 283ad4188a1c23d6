"""Distortions of training slices, replayable: the same random generator gives the same slice, byte for byte.

Ranges follow nnU-Net's defaults (rotation kept to 30 degrees, no upside-down), see ``TrainConfig.augment``. A slice
is moved by one affine map, so that it is interpolated once.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter

IGNORE = 255
ROTATION_DEGREES = 30.0
SCALE = (0.7, 1.4)
SHIFT_SHARE = 0.06

Image = NDArray[np.float32]
Labels = NDArray[np.uint8]


def slice_generator(run_seed: int, epoch: int, slice_id: int) -> np.random.Generator:
    """The random numbers of one slice in one epoch of one run: nothing else decides what is done to it."""
    return np.random.default_rng([0x7468, run_seed, epoch, slice_id])


def augmented(
    image: Image, labels: Labels, rng: np.random.Generator, size: int, air: float, mirror: bool
) -> tuple[Image, Labels]:
    """A distorted square of a slice.

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
    mirror : bool
        Whether left and right may be swapped (only where no class has a side).
    """
    moved, moved_labels = _moved(image, labels, rng, size, air, mirror)
    return _recoloured(moved, rng), moved_labels


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


def _moved(
    image: Image, labels: Labels, rng: np.random.Generator, size: int, air: float, mirror: bool
) -> tuple[Image, Labels]:
    """Rotation, scale, shift and perhaps a mirror, as one affine map."""
    rotate, resize, shift, flip = rng.random(4) < (0.5, 0.5, 0.5, 0.5)
    angle = math.radians(rng.uniform(-ROTATION_DEGREES, ROTATION_DEGREES)) if rotate else 0.0
    scale = math.exp(rng.uniform(math.log(SCALE[0]), math.log(SCALE[1]))) if resize else 1.0
    offset = rng.uniform(-SHIFT_SHARE, SHIFT_SHARE, 2) * size if shift else np.zeros(2)
    room = np.maximum(np.array(image.shape) - size, 0) / 2
    centre = (np.array(image.shape) - 1) / 2 + rng.uniform(-1, 1, 2) * room + offset
    if not (rotate or resize or shift or (flip and mirror) or room.any()) and image.shape == (size, size):
        return image, labels
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    matrix = np.array([[cos, sin], [-sin, cos]])
    if flip and mirror:
        matrix[:, 1] *= -1
    start: Any = centre - matrix @ np.full(2, (size - 1) / 2)
    moved: Any = affine_transform(image, matrix, start, (size, size), np.float32, order=1, cval=air)
    near: Any = affine_transform(labels, matrix, start, (size, size), np.uint8, order=0, cval=IGNORE)
    return moved, near


def _recoloured(image: Image, rng: np.random.Generator) -> Image:
    """Gamma, contrast, brightness, blur and noise, each now and then."""
    gamma, contrast, brightness, blur, noise = rng.random(5) < (0.3, 0.3, 0.3, 0.2, 0.2)
    exponent, factor, added = rng.uniform(0.7, 1.5), rng.uniform(0.75, 1.25), rng.normal(0.0, 0.2)
    sigma, deviation = rng.uniform(0.5, 1.0), rng.uniform(0.0, 0.25)
    if gamma:
        low, high = float(image.min()), float(image.max())
        spread = max(high - low, 1e-6)
        image = ((image - np.float32(low)) / np.float32(spread)) ** np.float32(exponent) * np.float32(spread)
        image += np.float32(low)
    if contrast:
        image = image * np.float32(factor)
    if brightness:
        image = image + np.float32(added)
    if blur:
        image = np.asarray(gaussian_filter(image, sigma, truncate=2.0), np.float32)
    if noise:
        image = image + np.asarray(rng.standard_normal(image.shape, np.float32) * np.float32(deviation), np.float32)
    return image.astype(np.float32, copy=False)
