"""Fat fraction from a water and a fat image, for every voxel and for every label."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighview.core.mask import LabelMap


@dataclass(frozen=True)
class FatFraction:
    """Fat fraction of one label, percent, by both ways of averaging.

    They differ where the signal differs within the label: the mean of the voxels' own fractions counts a dark voxel as
    much as a bright one; the fraction of the sums weights every voxel by its signal.

    Parameters
    ----------
    value : int
        Value in the label map.
    voxels : int
        Voxels that were counted.
    without_signal : int
        Voxels of the label with neither water nor fat, which have no fraction and were left out.
    mean_of_voxels : float
        Mean of 100 F / (W + F) over the voxels.
    of_the_sums : float
        100 sum(F) / sum(W + F).
    """

    value: int
    voxels: int
    without_signal: int
    mean_of_voxels: float
    of_the_sums: float


def fat_fraction_percent(water: NDArray[np.generic], fat: NDArray[np.generic]) -> NDArray[np.float32]:
    """Signal fat fraction 100 F / (W + F), percent, float32, same shape; 0 where there is no signal.

    The signal fraction of the two images as they are, negative numbers taken as 0; no correction for relaxation or
    noise is made, so it is no proton density fat fraction unless the images were reconstructed for one (definition:
    Reeder, Hu, Sirlin, J Magn Reson Imaging 36:1011, 2012).

    Examples
    --------
    >>> import numpy as np
    >>> fat_fraction_percent(np.array([3.0, 0.0, 0.0]), np.array([1.0, 5.0, 0.0])).tolist()
    [25.0, 100.0, 0.0]
    """
    f = np.maximum(np.nan_to_num(fat.astype(np.float32)), 0)
    whole = np.maximum(np.nan_to_num(water.astype(np.float32)), 0) + f
    out = np.zeros(f.shape, np.float32)
    np.divide(100 * f, whole, out=out, where=whole > 0)
    return out


def is_dark(water: NDArray[np.generic], fat: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where water and fat are so dark that it may be noise: below 10 % of their 99th percentile, same shape."""
    w, f = (np.maximum(np.nan_to_num(image.astype(np.float32)), 0) for image in (water, fat))
    whole = w + f
    step = max(1, whole.size // 500_000)
    return whole < 0.1 * np.percentile(whole.ravel()[::step], 99)


def fat_sums(labels: LabelMap, water: NDArray[np.generic], fat: NDArray[np.generic]) -> NDArray[np.float64]:
    """What the fractions of all labels are made of, slice by slice, so that a painted slice alone is counted again.

    Parameters
    ----------
    labels : ndarray of uint8, shape (z, y, x)
        The mask.
    water, fat : ndarray, shape (z, y, x)
        The images on its grid.

    Returns
    -------
    ndarray of float64, shape (z, 256, 5)
        By slice and value: voxels with signal, voxels without, the sum of their fractions (percent), of F, of W + F.
    """
    out = np.zeros((len(labels), 256, 5))
    for line, (mask, w, f) in enumerate(zip(labels, water, fat, strict=True)):
        values = mask.ravel()
        w, f = (np.maximum(np.nan_to_num(image.ravel().astype(np.float64)), 0) for image in (w, f))
        whole = w + f
        lit = whole > 0
        sums = ((lit, None), (~lit, None), (lit, 100 * f[lit] / whole[lit]), (lit, f[lit]), (lit, whole[lit]))
        for column, (where, weights) in enumerate(sums):
            out[line, :, column] = np.bincount(values[where], weights, minlength=256)
    return out


def fat_fractions(sums: NDArray[np.float64]) -> dict[int, FatFraction]:
    """Fat fraction of every label that has voxels with signal, by its value, from :func:`fat_sums`.

    Examples
    --------
    Three voxels of one label, W 9 1 0 and F 1 1 0: fractions 10 and 50 %, the third has none; sums 2 of 12.

    >>> import numpy as np
    >>> mask = np.ones((1, 1, 3), np.uint8)
    >>> found = fat_fractions(fat_sums(mask, np.array([[[9, 1, 0]]]), np.array([[[1, 1, 0]]])))[1]
    >>> found.voxels, found.without_signal, found.mean_of_voxels, round(found.of_the_sums, 3)
    (2, 1, 30.0, 16.667)
    """
    whole = sums.sum(axis=0)
    return {
        int(v): FatFraction(int(v), int(n), int(dark), float(fractions / n), float(100 * fat / signal))
        for v, (n, dark, fractions, fat, signal) in enumerate(whole)
        if v and n
    }
