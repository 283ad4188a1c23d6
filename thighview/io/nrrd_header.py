"""The header of an NRRD file: taken apart by pynrrd, checked before anything is allocated."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.io import bounded
from thighview.io.beside import named_beside
from thighview.io.bounded import Stream
from thighview.io.positions import NOT_KNOWN, SPACING_NOT_KNOWN, affine_of, doubts, is_transform, unknown
from thighview.io.stored_array import StoredArray

_MOST_HEADER_BYTES = 1 << 20
_MOST_AXES = 8
_MOST_LINES, _LONGEST_LINE = 10_000, 1 << 20
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
_MILLIMETRES = {
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "millimeters": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001,
    "µm": 0.001, "micron": 0.001, "microns": 0.001,
}  # fmt: skip
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"), "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"), "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",), "f8": ("double",),
}  # fmt: skip
_PACKINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_PARTS = ("f4", "f8", "u1")
_SPATIAL_KINDS = ("domain", "space", "???", "none")
_VECTORS, _MATRICES = re.compile(r"(.*-)?(vector|gradient|normal)"), re.compile(r"(.*-)?matrix")
_SAVE_AGAIN = "Save it again as one .nrrd file, compressed with gzip or not at all."


def read_header(path: Path, layered: bool = False) -> StoredArray:
    """Read and check the header of a file: where its numbers lie; ``layered`` as of :func:`array_of`.

    Raises
    ------
    UserError
        When it is damaged, says what cannot be or is not read here, or its voxels are not where it says.
    """
    return array_of(path, *read_fields(path), layered)


def read_fields(path: Path) -> tuple[dict[str, Any], int]:
    """All that the header says, as pynrrd understands it, and the byte behind it.

    Raises
    ------
    UserError
        When it is damaged or cut short.
    """
    import nrrd

    with bounded.opened(path, packing="raw") as (stream, _, _):
        start = stream.read(_MOST_HEADER_BYTES)
    if not start.startswith(b"NRRD"):
        raise UserError(f"{path.name} is packed as a whole.", "Unpack it, or save it again as .nrrd.")
    end = re.search(rb"\r?\n\r?\n", start)
    if end is None and len(start) == _MOST_HEADER_BYTES:
        raise bounded.damaged(path, "its NRRD header does not end")
    lines = start[: end.start() if end else len(start)].decode("utf-8", "replace").splitlines()
    try:
        with np.errstate(all="ignore"):
            fields = dict(nrrd.read_header(lines))
    except Exception as error:
        raise bounded.damaged(path, f"its NRRD header cannot be read ({str(error)[:100]})") from error
    if end is None and not _detached(fields):
        raise bounded.cut_short(path, "its NRRD header does not end")
    return fields, end.end() if end else len(start)


def _detached(fields: Mapping[str, Any]) -> str:
    return str(fields.get("data file") or fields.get("datafile") or "")


def array_of(path: Path, fields: Mapping[str, Any], start: int, layered: bool = False) -> StoredArray:
    """Where the numbers of a file with this header lie.

    Parameters
    ----------
    start : int
        The byte behind the header.
    layered : bool
        Whether what looks like vectors or colours is taken as several volumes, as where one of them is named: 3D
        Slicer writes layers of masks so.

    Raises
    ------
    UserError
        When the header says what cannot be or is not read here, or the voxels are not where it says.
    """
    detached = _detached(fields)
    sizes = [int(n) for n in fields.get("sizes", ())]
    count = len(sizes)
    if not 1 <= count <= _MOST_AXES or count != fields.get("dimension") or min(sizes) < 1:
        raise bounded.damaged(path, "its NRRD header gives no proper sizes")
    packing = _PACKINGS.get(str(fields.get("encoding", "")).lower())
    if packing is None:
        raise UserError(f"The voxels of {path.name} are packed as {fields.get('encoding')!r}.", _SAVE_AGAIN)
    if re.match(r"LIST\b|.*%", detached):
        raise UserError(f"The voxels of {path.name} lie in several files.", _SAVE_AGAIN)
    kinds = [str(kind).lower() for kind in fields.get("kinds", ["domain"] * count)]
    directions = _directions(path, fields, count)
    if len(kinds) != count:
        raise bounded.damaged(path, f"its NRRD header gives {len(kinds)} kinds for {count} axes")
    apart = _apart(path, kinds, directions, sizes)
    dtype = _dtype(path, fields)
    if not layered and any(_is_field(kind, size, dtype) for kind, size in zip(kinds, sizes, strict=True)):
        raise UserError(
            f"{path.name} holds vectors or colours ({', '.join(kinds)[:80]}); a scan of grey values was expected.",
            "Open the scan itself; of several scans, save each as a file of its own.",
        )
    space = [axis for axis in range(count) if axis not in apart]
    affine, position_from, warnings = _position(path, fields, directions, space, count)
    array = StoredArray(
        "NRRD", named_beside(path, detached) if detached else path, 0 if detached else start, packing,
        tuple(sizes[::-1]), dtype, count - 1 - apart[0] if apart else None, affine, position_from,
        warnings,
    )  # fmt: skip
    return _skipping(path, fields, array)


def _is_field(kind: str, size: int, dtype: np.dtype[Any]) -> bool:
    """Whether an axis has the parts of a vector, matrix or colour, not scans: three numbers, floating or of a byte."""
    return bool(_MATRICES.fullmatch(kind) or (_VECTORS.fullmatch(kind) and size == 3 and dtype.str[1:] in _PARTS))


def _skipping(path: Path, fields: Mapping[str, Any], array: StoredArray) -> StoredArray:
    """Past the lines and bytes that the header says are to be passed over before the first number."""
    lines, skipped = (int(fields.get(f"{what} skip", fields.get(f"{what}skip", 0))) for what in ("line", "byte"))
    if not 0 <= lines <= _MOST_LINES or skipped < (-1 if array.packing == "raw" else 0):
        raise bounded.damaged(path, "its NRRD header passes over bytes that cannot be")
    start = array.start
    if lines:
        with bounded.opened(array.data, start, "raw") as (stream, _, _):
            start += sum(_line_bytes(stream, array.data) for _ in range(lines))
    if skipped < 0:  # the numbers are the last bytes of the file
        with bounded.opened(array.data, 0, "raw") as (_, there, _):
            return replace(array, start=max(start, there - math.prod(array.shape) * array.dtype.itemsize))
    return replace(array, start=start, skipped=skipped)


def _line_bytes(stream: Stream, data: Path) -> int:
    line = stream.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise bounded.cut_short(data, "it ends before the first voxel")
    return len(line)


def _dtype(path: Path, fields: Mapping[str, Any]) -> np.dtype[Any]:
    named = str(fields.get("type", "")).lower()
    name = next((kind for kind, names in _TYPES.items() if named in names), None)
    if name is None:
        raise UserError(
            f"{path.name} holds numbers of the type {named[:40]!r}; a scan of plain grey values was expected.",
            _SAVE_AGAIN,
        )
    order = {"big": ">", "little": "<"}.get(str(fields.get("endian", "")).lower(), "<" if name[1] == "1" else "")
    if not order:
        raise bounded.damaged(path, "its NRRD header does not say in which order bytes lie")
    return np.dtype(order + name)


def _directions(path: Path, fields: Mapping[str, Any], count: int) -> NDArray[np.float64] | None:
    """A row for each axis, NaN for one that is none of space; None where nothing is said of them."""
    given = fields.get("space directions")
    if given is None:
        return None
    rows = np.array(given, np.float64)
    if rows.ndim != 2 or len(rows) != count:
        raise bounded.damaged(path, "its NRRD header does not give a direction for each axis")
    return rows


def _apart(path: Path, kinds: list[str], directions: NDArray[np.float64] | None, sizes: list[int]) -> list[int]:
    """The axis along which there are several scans, or none; of a 4-D array of which nothing is said, the slowest."""
    if any("color" in kind for kind in kinds):
        raise UserError(f"{path.name} is a colour picture.", "Open the scan itself, or convert it to grey values.")
    count = len(kinds)
    if directions is not None and np.isnan(directions).any():
        found = [axis for axis in range(count) if np.isnan(directions[axis]).any()]
    else:
        found = [axis for axis, kind in enumerate(kinds) if kind not in _SPATIAL_KINDS]
    if not found and count == 4:
        found = [3]
    if len(found) > 1 or not 1 <= count - len(found) <= 3:
        size = " x ".join(map(str, sizes))
        raise UserError(
            f"{path.name} is not a scan: it holds an array of {size}, its axes being {', '.join(kinds)[:80]}.",
            "Open the scan itself, saved as a volume of three axes.",
        )
    return found


def _position(
    path: Path, fields: Mapping[str, Any], directions: NDArray[np.float64] | None, space: list[int], count: int
) -> tuple[NDArray[np.float64], str, tuple[str, ...]]:
    """The matrix from (z, y, x, 1) to LPS mm, what gave it, and what is doubtful about it."""
    warnings: list[str] = []
    name = str(fields.get("space", "")).lower()
    signs = _TO_LPS.get(name)
    factor = _unit(fields, warnings)
    steps = directions[space].T * factor if directions is not None else None
    if signs is not None and steps is not None and steps.shape == (3, 3):
        origin = np.array(fields.get("space origin", (0.0, 0.0, 0.0)), np.float64) * factor
        turn = np.array(signs, np.float64)
        if origin.shape == (3,):
            affine = affine_of(turn[:, None] * steps, turn * origin)
            if is_transform(affine):
                return affine, "space directions", (*warnings, *doubts(affine))
        warnings.append("The position that this file gives (space directions) is none in space; it was passed over.")
    spacing = np.linalg.norm(steps, axis=0) if steps is not None else _spacings(fields, space, count, factor, warnings)
    known = np.isfinite(spacing) & (spacing > 0)
    if not known.all():
        warnings.append(SPACING_NOT_KNOWN)
    z, y, x = [1.0] * (3 - len(space)) + np.where(known, spacing, 1.0)[::-1].tolist()
    why = f"its space is {name[:40]!r}" if name else "it names no space"
    warnings.append(f"This file does not say how the scan lies in the patient ({why}): {NOT_KNOWN}")
    affine = unknown((z, y, x))
    return affine, "nothing", (*warnings, *doubts(affine))


def _spacings(
    fields: Mapping[str, Any], space: list[int], count: int, factor: float, warnings: list[str]
) -> NDArray[np.float64]:
    """Spacing along each axis of space, mm, told where an axis names another unit; NaN where there is none."""
    found = np.array(fields.get("spacings", [np.nan] * count), np.float64)
    if found.shape != (count,):
        return np.full(len(space), np.nan)
    units = [str(unit).strip() for unit in fields.get("units", ())]
    own = {units[axis] for axis in space} - {""} if len(units) == count else set(units) - {""}
    if any(_MILLIMETRES.get(unit.lower()) != factor for unit in own):
        names = ", ".join(sorted(own))[:60]
        taken = "mm, as ITK does" if factor == 1 else f"{factor:g} mm each"
        warnings.append(
            f"This file names {names} as the unit of its axes; its numbers were taken as {taken}: check lengths."
        )
    return found[space] * factor


def _unit(fields: Mapping[str, Any], warnings: list[str]) -> float:
    """Factor from the file's unit to mm."""
    units = {str(unit).strip().lower() for unit in fields.get("space units", ())} - {""}
    factors = {_MILLIMETRES.get(unit) for unit in units}
    if len(factors) == 1 and (factor := factors.pop()) is not None:
        return factor
    if units:
        warnings.append(f"This file counts in {', '.join(sorted(units))[:60]}; millimetres were taken.")
    return 1.0
