"""MGH files of FreeSurfer, plain or packed as ``.mgz``."""

from pathlib import Path
from typing import Any

import numpy as np

from thighview.core.errors import UserError
from thighview.core.volume import Volume
from thighview.io import bounded
from thighview.io.positions import NOT_KNOWN, affine_of, doubts, is_transform, unknown
from thighview.io.stored_array import StoredArray, read_stored

_HEADER_BYTES, _VOXELS_AT = 90, 284
_MOST_FOOTER_BYTES = 16 << 20
"""After the voxels stand times of the scanner and how the file was made."""
_VERSION = (1).to_bytes(4, "big")
_TYPES = {0: "u1", 1: ">i4", 3: ">f4", 4: ">i2"}
_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def starts(first: bytes) -> bool:
    """Whether these are the first bytes of an MGH file, unpacked: its version, and sizes and a type that can be."""
    numbers = [int.from_bytes(first[at : at + 4], "big", signed=True) for at in range(4, 24, 4)]
    return first[:4] == _VERSION and len(first) >= 24 and min(numbers[:4]) > 0 and numbers[4] in _TYPES


def files_of(path: Path) -> tuple[Path, ...]:
    """The file itself."""
    return (path,)


def read_mgh(path: Path, part: str = "") -> Volume:
    """Read one frame of an MGH or MGZ file, to its last byte, so that damage is found.

    Parameters
    ----------
    path : Path
        ``.mgh`` or ``.mgz``.
    part : str
        Which of several frames: its number from 1.

    Raises
    ------
    SeveralScansError
        When the file holds several frames and none is named.
    UserError
        When it is damaged, too large for the memory, or has no such frame.
    """
    return read_stored(path, _header(path), part, "mgh")


@np.errstate(all="ignore")
def _header(path: Path) -> StoredArray:
    from nibabel.freesurfer.mghformat import MGHHeader

    with bounded.opened(path) as (stream, _, packing):
        start = stream.read(_HEADER_BYTES)
    if len(start) < _HEADER_BYTES:
        raise bounded.cut_short(path, "it ends inside its header")
    if not starts(start):
        raise UserError(f"{path.name} is not an MGH file.", "Open an .mgh or .mgz file.")
    raw: Any = MGHHeader(start + bytes(MGHHeader.template_dtype.itemsize - _HEADER_BYTES), check=False)
    i, j, k, frames = (int(n) for n in raw["dims"])
    warnings: list[str] = []
    matrix, position_from = _TO_LPS @ raw.get_affine(), "the header's RAS matrix"
    told = int.from_bytes(start[28:30], "big") > 0
    affine = affine_of(matrix[:3, :3], matrix[:3, 3])
    if not told or not is_transform(affine):
        what = "gives no position in space" if told else "does not say how the scan lies in the patient"
        warnings.append(f"This file {what}: {NOT_KNOWN}")
        spacing = np.abs(np.array(raw["delta"], np.float64))
        known = bool(told and np.isfinite(spacing).all() and spacing.min() > 0)
        affine, position_from = unknown(tuple(spacing[::-1].tolist()) if known else (1.0, 1.0, 1.0)), "nothing"
    return StoredArray(
        "MGH", path, 0, packing, (frames, k, j, i), np.dtype(_TYPES[int(raw["type"])]), 0, affine, position_from,
        (*warnings, *doubts(affine)), _VOXELS_AT, _MOST_FOOTER_BYTES,
    )  # fmt: skip
