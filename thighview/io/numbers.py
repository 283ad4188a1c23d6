"""Stored numbers made the numbers a scan has: scaled, in whole numbers where they are whole, complex as magnitude."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.io import bounded

_BLOCK = 1 << 16
"""How many numbers are scaled at once."""


def scaled(stored: NDArray[Any], slope: float, inter: float, path: Path) -> NDArray[Any]:
    """True numbers: slope * stored + inter, integers where they stay integers, float32 for 8 and 16 bits.

    Block by block: beside what is stored there is never more than what comes out.

    Raises
    ------
    UserError
        When the memory cannot take what comes out, which may be larger than what is stored.
    """
    if (slope, inter) == (1.0, 0.0):
        return stored
    dtype = _scaled_dtype(stored, slope, inter)
    bounded.check_budget(path, stored.shape, dtype.itemsize)
    found = np.empty(stored.shape, dtype)
    numbers, out = stored.reshape(-1), found.reshape(-1)
    with np.errstate(all="ignore"):  # what grows beyond all numbers is counted by whoever looks for odd voxels
        for at in range(0, len(numbers), _BLOCK):
            block = numbers[at : at + _BLOCK]
            if dtype.kind == "i":
                out[at : at + _BLOCK] = block.astype(np.int64) * int(slope) + int(inter)
            else:
                out[at : at + _BLOCK] = block.astype(np.float64) * slope + inter
    return found


def _scaled_dtype(stored: NDArray[Any], slope: float, inter: float) -> np.dtype[Any]:
    """What numbers are when they are scaled."""
    if (
        stored.dtype.kind in "iu"
        and slope == int(slope)
        and inter == int(inter)
        and max(abs(slope), abs(inter)) < 2**31
    ):
        ends = [int(slope) * int(end) + int(inter) for end in (stored.min(), stored.max())]
        for name in ("i2", "i4"):
            if np.iinfo(name).min <= min(ends) and max(ends) <= np.iinfo(name).max:
                return np.dtype(name)
    return np.dtype("f4" if stored.dtype.itemsize <= 2 or stored.dtype == np.float32 else "f8")


def magnitude(stored: NDArray[Any], slope: float = 1.0, inter: float = 0.0) -> NDArray[Any]:
    """How large complex numbers are, plane by plane; scaling holds for both halves (the NIfTI-1 standard)."""
    found = np.empty(stored.shape, np.float32 if stored.dtype.itemsize == 8 else np.float64)
    with np.errstate(all="ignore"):
        for plane, out in zip(stored, found, strict=True):
            np.abs(plane if (slope, inter) == (1.0, 0.0) else plane * slope + complex(inter, inter), out=out)
    return found


def narrowed(stored: NDArray[Any], name: str) -> NDArray[Any]:
    """Whole numbers of 64 bits in 32, which hold all that a scan or a label map needs; half floats as floats.

    Raises
    ------
    UserError
        When they do not fit: as floating numbers they would be others.
    """
    if stored.dtype == np.float16:
        return stored.astype(np.float32)
    if stored.dtype == np.bool_:
        return stored.view(np.uint8)
    if stored.dtype.kind not in "iu" or stored.dtype.itemsize < 8:
        return stored
    low, high = int(stored.min()), int(stored.max())
    for kind in ("i4", "u4"):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return stored.astype(kind)
    raise UserError(
        f"The whole numbers of {name} ({low:,} to {high:,}) are larger than a scan or a mask can have.",
        "Save it with numbers of 32 bits, or as floating numbers.",
    )


def odd_words(voxels: NDArray[Any]) -> list[str]:
    """What is said of voxels that hold no number."""
    if voxels.dtype.kind != "f":
        return []
    odd = voxels.size - sum(int(np.count_nonzero(np.isfinite(plane))) for plane in voxels)
    return [f"{odd} voxels hold no number (NaN or infinite)."] if odd else []
