"""Is it the same scan under another name? One hash of the very voxels, and one of what a scan looks like.

Neither knows a file name, a header or the order in which a file stores its axes: arrays are turned to world axes
first. The content hash is equal for equal voxel values only; the look hash survives another size, noise, a small
crop and fewer grey levels, and is compared by :func:`look_distance`.
"""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from thighview.core.volume import Volume

SAME_LOOK = 0.2
"""Up to this share of differing bits two scans count as look-alikes."""
_SLABS = ((0.2, 0.4), (0.4, 0.6), (0.6, 0.8))
_EDGE = 32
_COARSE = 48
_KEPT = 12


@dataclass(frozen=True)
class Fingerprint:
    """What tells a scan apart: ``content`` and ``look``, both hexadecimal; empty where not known."""

    content: str = ""
    look: str = ""


def fingerprint(volume: Volume) -> Fingerprint:
    """Both hashes of a scan."""
    return Fingerprint(content_hash(volume), look_hash(volume))


def turned_to_world(volume: Volume) -> NDArray[np.generic]:
    """The voxels as a view of shape (s, p, l): axes nearest to feet-head, front-back, right-left, growing that way."""
    world = volume.world_axes
    order = [world.index(axis) for axis in (2, 1, 0)]
    turned = volume.voxels.transpose(order)
    falling = [bool(volume.affine[world[axis], axis] < 0) for axis in order]
    return turned[tuple(slice(None, None, -1 if falls else 1) for falls in falling)]


def content_hash(volume: Volume) -> str:
    """BLAKE2b-128 of shape and voxel values in world order, hexadecimal; 32 digits.

    Values are hashed as little-endian float32, so that whole numbers up to 2**24 are the same in every type of file;
    -0 counts as 0 and every NaN as one.
    """
    voxels = turned_to_world(volume)
    digest = blake2b(np.array(voxels.shape, "<i8").tobytes(), digest_size=16)
    for plane in voxels:
        values = np.ascontiguousarray(plane, "<f4") + np.float32(0)
        values[np.isnan(values)] = np.nan
        digest.update(values.tobytes())
    return digest.hexdigest()


def look_hash(volume: Volume) -> str:
    """Signs of the low frequencies of three axial slabs, hexadecimal.

    Each slab is a mean over a fifth of the axial slices, cut to the box of what is brighter than air, brought to
    32 x 32 pixels by area, clipped to its 1st to 99th percentile, and transformed (DCT-II). The signs of the
    coefficients above the mean are the bits (after the perceptual hash of C. Zauner, 2010, Implementation and
    benchmarking of perceptual image hash functions). Empty for a scan without any contrast.
    """
    voxels = turned_to_world(volume)
    bits: list[NDArray[np.bool_]] = []
    for low, high in _SLABS:
        first = min(int(low * len(voxels)), len(voxels) - 1)
        last = max(first + 1, round(high * len(voxels)))
        slab = np.zeros(voxels.shape[1:], np.float64)
        for plane in voxels[first:last]:
            slab += np.nan_to_num(plane.astype(np.float64), posinf=0.0, neginf=0.0)
        small = _small(slab / (last - first))
        if small is None:
            return ""
        bits.append(_signs(small))
    return np.packbits(np.concatenate(bits)).tobytes().hex()


def look_distance(one: str, other: str) -> float:
    """Share of bits in which two look hashes differ, 0 to 1; 1 where one is missing or made otherwise.

    About 0.5 for scans that have nothing in common.
    """
    if not one or len(one) != len(other):
        return 1.0
    differing = int(one, 16) ^ int(other, 16)
    return differing.bit_count() / (len(_SLABS) * (_KEPT * _KEPT - 1))


def _small(slab: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The part of a slab that is no air, ``_EDGE`` pixels wide and high; None without contrast."""
    low, high = np.percentile(slab, (1, 99))
    if not high > low:
        return None
    slab = np.clip(slab, low, high)
    whole = [_weights(0.0, 1.0, pixels, _COARSE) for pixels in slab.shape]
    coarse = whole[0] @ slab @ whole[1].T  # noise must not pass for body
    body = coarse > coarse.mean()
    if not body.any():
        return None
    rows, columns = (_weights(*_extent(body.sum(axis=1 - i)), pixels, _EDGE) for i, pixels in enumerate(slab.shape))
    return rows @ slab @ columns.T


def _extent(counts: NDArray[np.integer]) -> tuple[float, float]:
    """Where the middle 98 % of a profile lie, as shares of its length."""
    grown = np.concatenate(([0.0], np.cumsum(counts))) / int(counts.sum())
    low, high = (float(np.interp(share, grown, np.linspace(0, 1, len(grown)))) for share in (0.01, 0.99))
    return low, max(high, low + 1.0 / len(counts))


def _weights(low: float, high: float, pixels: int, parts: int) -> NDArray[np.float64]:
    """Area weights (parts, pixels) that cut the share ``low`` to ``high`` of a row of pixels into equal parts."""
    edges = np.linspace(low * pixels, high * pixels, parts + 1)[:, None]
    at = np.arange(pixels)[None]
    overlap = np.minimum(edges[1:], at + 1) - np.maximum(edges[:-1], at)
    return np.clip(overlap, 0.0, None) * (parts / ((high - low) * pixels))


def _signs(small: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each low-frequency coefficient of the DCT-II but the mean is positive."""
    at = np.arange(_EDGE) + 0.5
    waves = np.cos(np.pi / _EDGE * np.arange(_KEPT)[:, None] * at)
    return ((waves @ small @ waves.T).ravel() > 0)[1:]
