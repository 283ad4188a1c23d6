"""The header of a MetaImage file: lines of ``Key = Value``, checked before anything is allocated.

As ITK reads it: the world is LPS mm whatever unit it names, ``TransformMatrix`` lists the direction of one axis after
the other, and ``AnatomicalOrientation`` counts for nothing (it is often wrong).
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.io import bounded
from thighview.io.beside import named_beside
from thighview.io.positions import NOT_KNOWN, SPACING_NOT_KNOWN, affine_of, doubts, is_transform
from thighview.io.stored_array import StoredArray

_MOST_HEADER_BYTES = 1 << 16
_KEY = re.compile(rb"\s*([A-Za-z][A-Za-z0-9_]*)[ \t]*=[ \t]*([^\r\n]*)\r?\n?")
_FIRST_KEYS = (b"ObjectType", b"NDims", b"Comment", b"ObjectSubType", b"TransformType")
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
_MILLIMETRES = ("", "?", "mm")
_SAVE_AGAIN = "Save it again as one .mha file."


def starts(first: bytes) -> bool:
    """Whether these are the first bytes of a MetaImage file."""
    found = _KEY.match(first)
    return found is not None and found[1] in _FIRST_KEYS


def read_header(path: Path, layered: bool = False) -> StoredArray:
    """Read and check the header of a file: where its numbers lie.

    Parameters
    ----------
    layered : bool
        Whether what looks like a field of vectors is taken as several volumes, as where one of them is named.

    Raises
    ------
    UserError
        When it is damaged, says what cannot be or is not read here, or its voxels are not where it says.
    """
    with bounded.opened(path, packing="raw") as (stream, _, _):
        start = stream.read(_MOST_HEADER_BYTES)
    fields: dict[str, str] = {}
    at = 0
    while "ElementDataFile" not in fields:
        line = _KEY.match(start, at)
        if line is None:
            raise bounded.damaged(path, "its MetaImage header does not end")
        fields[line[1].decode("ascii")] = line[2].decode("utf-8", "replace").strip()
        at = line.end()
    try:
        with np.errstate(all="ignore"):
            return _checked(path, fields, at, layered)
    except (ValueError, OverflowError) as error:
        raise bounded.damaged(path, f"its MetaImage header cannot be read ({str(error)[:100]})") from error


def _checked(path: Path, fields: Mapping[str, str], end: int, layered: bool) -> StoredArray:
    if fields.get("ObjectType", "Image") != "Image":
        raise UserError(f"{path.name} holds no image: it is a {fields['ObjectType'][:40]}.", "Open the scan itself.")
    sizes = [int(n) for n in fields.get("DimSize", "").split()]
    count = int(fields.get("NDims", "0"))
    if not 1 <= count <= 4 or len(sizes) != count or min(sizes) < 1:
        raise bounded.damaged(path, "its MetaImage header gives no proper sizes")
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    kind = fields.get("ElementType", "")
    if channels in (3, 4) and kind == "MET_UCHAR":
        raise UserError(f"{path.name} is a colour picture.", "Open the scan itself, or convert it to grey values.")
    if not layered and channels == 3 and kind in ("MET_FLOAT", "MET_DOUBLE"):
        raise UserError(
            f"{path.name} holds vectors of {channels} numbers; a scan of grey values was expected.",
            "Open the scan itself; of several scans, save each as a file of its own.",
        )
    if not 1 <= channels <= 1 << 16 or (channels > 1 and count == 4):
        raise UserError(f"{path.name} holds {channels} values per voxel; a scan was expected.", "Open the scan itself.")
    if kind not in _TYPES:
        raise UserError(f"{path.name} holds numbers of the type {kind[:40]!r}; a scan was expected.", _SAVE_AGAIN)
    if _true(fields, "BinaryData", "True") is False:
        raise UserError(f"The voxels of {path.name} are written as text.", _SAVE_AGAIN)
    order = ">" if _true(fields, "ElementByteOrderMSB", fields.get("BinaryDataByteOrderMSB", "False")) else "<"
    shape = (*sizes[::-1], *([channels] if channels > 1 else []))
    along = count if channels > 1 else 0 if count == 4 else None
    data_file = fields["ElementDataFile"]
    if data_file.startswith("LIST") or "%" in data_file:
        raise UserError(f"The voxels of {path.name} lie in several files.", _SAVE_AGAIN)
    here = data_file.upper() == "LOCAL"
    dtype, data = np.dtype(order + _TYPES[kind]), path if here else named_beside(path, data_file)
    first = int(fields.get("HeaderSize", "0"))
    if first < -1:
        raise bounded.damaged(path, "its voxels begin where they cannot")
    if first < 0:  # they are the last bytes of the file
        with bounded.opened(data, packing="raw") as (_, there, _):
            first = max(0, there - math.prod(shape) * dtype.itemsize)
    elif here:
        first = end
    return StoredArray(
        "MetaImage", data, first, "zlib" if _true(fields, "CompressedData", "False") else "raw", shape, dtype, along,
        *_position(fields, count),
    )  # fmt: skip


def _true(fields: Mapping[str, str], key: str, default: str) -> bool:
    return fields.get(key, default)[:1].upper() in ("T", "1")


def _position(fields: Mapping[str, str], count: int) -> tuple[NDArray[np.float64], str, tuple[str, ...]]:
    """The matrix from (z, y, x, 1) to LPS mm, what gave it, and what is doubtful about it."""
    warnings: list[str] = []
    space = min(count, 3)
    spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), count)
    turned = np.where(spacing[:space] < 0, -1.0, 1.0)  # ITK takes the sign as the axis turned round
    if (turned < 0).any():
        warnings.append("This file gives a negative spacing; that axis was taken as turned round.")
    unit = fields.get("DistanceUnits", "").strip()
    if unit.lower() not in _MILLIMETRES:
        warnings.append(
            f"This file names {unit[:40]!r} as its unit; its numbers were taken as mm, as ITK does: check lengths."
        )
    spacing = np.abs(spacing)
    known = np.isfinite(spacing[:space]) & (spacing[:space] > 0)
    if not known.all():
        warnings.append(SPACING_NOT_KNOWN)
    sizes = np.ones(3)
    sizes[:space] = np.where(known, spacing[:space], 1.0)
    if space < 3:
        warnings.append("One slice only, which does not say how thick it is: 1 mm was taken.")
    matrix = _numbers(fields, ("TransformMatrix", "Rotation", "Orientation"), count * count).reshape(count, count)
    origin = np.zeros(3)
    told = _numbers(fields, ("Offset", "Position", "Origin"), count)[:space]
    origin[:space] = np.where(np.isfinite(told), told, 0.0)
    affine = affine_of(np.diag(sizes), origin)
    if space == 3 and not np.isnan(matrix).all():
        placed = affine_of(matrix[:3, :3].T * sizes * turned, origin)
        if is_transform(placed) and np.isfinite(told).all():
            return placed, "TransformMatrix", (*warnings, *doubts(placed))
        warnings.append("The position that this file gives (TransformMatrix) is none in space; it was passed over.")
    why = "no TransformMatrix" if space == 3 else "it lies in a plane"
    warnings.append(f"This file does not say how the scan lies in the patient ({why}): {NOT_KNOWN}")
    return affine, "nothing", (*warnings, *doubts(affine))


def _numbers(fields: Mapping[str, str], keys: tuple[str, ...], count: int) -> NDArray[np.float64]:
    """The numbers of the first of these keys there is; NaN where there is none, or another count of them."""
    for key in keys:
        if key in fields:
            found = np.array([float(word) for word in fields[key].split()], np.float64)
            return found if found.shape == (count,) else np.full(count, np.nan)
    return np.full(count, np.nan)
