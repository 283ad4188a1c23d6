"""Other grey values for a training slice: what scanners, coils and reconstructions do to the same thigh."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from thighview.core.phantom_person import spline_weights

GAMMA = (0.7, 1.5)
FACTOR = (0.75, 1.25)
BLUR_PX = (0.5, 1.0)
LOW_RESOLUTION = (0.5, 1.0)
BIAS_CELLS = 2
BIAS_DEVIATION = (0.1, 0.4)
"""Deviation of the logarithm of coil shading at its knots, about half of it at a pixel."""

Image = NDArray[np.float32]


def recoloured(image: Image, rng: np.random.Generator, air: float) -> Image:
    """A slice with other grey values, each change now and then; the image given is left as it is.

    In turn: gamma (rarely from the bright end), contrast, brightness, bias field, blur, low resolution, noise. Ranges
    are nnU-Net v2's; the bias field is a smooth factor on what is brighter than air.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Network numbers (mean 0, deviation 1).
    rng : Generator
    air : float
        The network's number for no signal at all.
    """
    gamma, inverted, contrast, brightness, bias, blur, coarse, noise = (
        rng.random(8) < (0.3, 0.05, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2)
    ).tolist()
    exponent, factor, added = rng.uniform(*GAMMA), rng.uniform(*FACTOR), rng.normal(0.0, 0.2)
    shading, sigma, share = rng.uniform(*BIAS_DEVIATION), rng.uniform(*BLUR_PX), rng.uniform(*LOW_RESOLUTION)
    deviation = rng.uniform(0.0, 0.25)
    if gamma or inverted:
        image = _bright(image, exponent, inverted)
    if contrast:
        image = image * np.float32(factor)
    if brightness:
        image = image + np.float32(added)
    if bias:
        rows, columns = (spline_weights(np.linspace(0.0, BIAS_CELLS, n), BIAS_CELLS) for n in image.shape)
        field = np.exp(smooth_field(rows, columns, rng) * np.float32(shading))
        image = (image - np.float32(air)) * field + np.float32(air)
    if blur:
        image = np.asarray(gaussian_filter(image, sigma, truncate=2.0), np.float32)
    if coarse:
        image = coarser(image, share)
    if noise:
        image = image + np.asarray(rng.standard_normal(image.shape, np.float32) * np.float32(deviation), np.float32)
    return image.astype(np.float32, copy=False)


def coarser(image: Image, share: float) -> Image:
    """A picture taken with ``share`` of its rows and columns and shown on as many as before, both linear."""
    for axis in range(2):
        n = image.shape[axis]
        few = max(2, round(n * share))
        image = _resampled(_resampled(image, few, axis), n, axis)
    return image


def smooth_field(rows: Image, columns: Image, rng: np.random.Generator) -> Image:
    """A smooth random surface: knots drawn from N(0, 1) between cubic B-splines.

    Parameters
    ----------
    rows, columns : ndarray of float32, shape (h, k), (w, k)
        Spline weights (:func:`thighview.core.phantom_person.spline_weights`).

    Returns
    -------
    ndarray of float32, shape (h, w)
        Its deviation is about a half: splines average their knots.
    """
    knots = rng.standard_normal((rows.shape[1], columns.shape[1]), np.float32)
    return np.einsum("ik,jk->ij", np.einsum("ik,kl->il", rows, knots), columns)  # no threads, unlike a product


def _bright(image: Image, exponent: float, inverted: bool) -> Image:
    """Gamma on the range of the image; ``inverted`` bends it from the bright end."""
    low, high = float(image.min()), float(image.max())
    spread = np.float32(max(high - low, 1e-6))
    unit = (np.float32(high) - image if inverted else image - np.float32(low)) / spread
    unit = np.clip(unit, 0.0, 1.0) ** np.float32(exponent) * spread
    return np.float32(high) - unit if inverted else unit + np.float32(low)


def _resampled(image: Image, count: int, axis: int) -> Image:
    """The same picture on another number of rows or columns: linear between the two nearest."""
    n = image.shape[axis]
    at = np.clip((np.arange(count) + 0.5) * (n / count) - 0.5, 0, n - 1)
    below = np.minimum(at.astype(np.intp), max(n - 2, 0))
    share = (at - below).astype(np.float32)
    share = share[:, None] if axis == 0 else share
    first, second = image.take(below, axis), image.take(np.minimum(below + 1, n - 1), axis)
    return first + (second - first) * share
