"""Masks as NIfTI files: read onto the scan's own voxels, written back with the numbers they came with."""

import json
import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import LabelMap, painted_values
from thighview.core.volume import Volume
from thighview.io import nifti
from thighview.io.atomic import read_back_differs, write_atomic, write_json_atomic

_SIDE = re.compile(r"^(.+?)[ _-]+(left|right|l|r)$", re.IGNORECASE)
_FIT_MM, _FIT_SHARE = 0.01, 0.01
_MAX_SIDECAR_BYTES = 1 << 20


def read_mask(path: Path | str, volume: Volume) -> tuple[LabelMap, LabelTable]:
    """Read a label map onto the grid of a volume.

    A mask of the same voxels stored in another axis order or direction is put in place exactly; nothing is ever
    interpolated. Labels keep the number of the file in ``file_id``; names and sides come from the file's sidecar
    where it has one.

    Parameters
    ----------
    path : Path
        A NIfTI file.
    volume : Volume
        The scan it belongs to.

    Returns
    -------
    labels : ndarray of uint8, shape (z, y, x)
        On the volume's grid.
    table : LabelTable
        Every label of the file and of its sidecar.

    Raises
    ------
    UserError
        When it is not a label map, or lies on another grid than the scan.
    """
    found = Path(path)
    mask = nifti.read_nifti(found)
    stored = _in_place(mask, volume, found.name)
    codes = _whole_numbers(stored, found.name)
    ids = _ids(codes)
    named = _read_sidecar(sidecar_path(found))
    table = _named(LabelTable.from_ids({*ids, *named}), named)
    if ids[0] >= 0 and ids[-1] <= 255:  # such a number is the label's value
        return np.ascontiguousarray(codes, np.uint8), table
    value_of = {label.file_id: label.value for label in table}
    values = np.array([value_of.get(i, 0) for i in ids], np.uint8)
    return np.ascontiguousarray(values[np.searchsorted(ids, codes)]), table


def write_mask(path: Path | str, labels: LabelMap, table: LabelTable, volume: Volume) -> None:
    """Write a label map with the position of the scan and the label numbers of the file it came from.

    The file is there whole or not at all, and is read again and compared before it takes its place.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz``.
    labels : ndarray of uint8, shape (z, y, x)
        On the volume's grid; values that the table does not name are written as they are.
    """
    target = Path(path)
    if labels.shape != volume.shape:
        raise ValueError(f"a mask of the shape {labels.shape} cannot lie on a scan of {volume.shape}")
    if not target.name.lower().endswith((".nii", ".nii.gz")):
        raise UserError(f"A mask is written as .nii or .nii.gz, found {target.name}.", "Choose such a name.")
    codes = file_codes(labels, table)

    def write(file: BinaryIO) -> None:
        nifti.write_label_map(file, codes, volume, target.name.lower().endswith(".gz"))

    def check(temporary: Path) -> None:
        back = nifti.read_nifti(temporary)
        if not (np.array_equal(back.voxels, codes) and back.same_grid(volume, 1e-3)):
            raise read_back_differs(target)

    write_atomic(target, write, check)


def sidecar_path(mask_path: Path) -> Path:
    """``OUT.json`` beside ``OUT.nii.gz``."""
    return mask_path.with_name(nifti.stem(mask_path) + ".json")


def write_sidecar(mask_path: Path | str, table: LabelTable, **facts: object) -> Path:
    """Write the names of a mask's labels beside it, with further facts (model, weights' SHA-256); returns the path.

    ``labels`` is a list of ``{"id", "name", "side", "colour"}``, the id being the number in the mask file.
    """
    path = sidecar_path(Path(mask_path))
    rows = [{"id": b.file_id, "name": b.name, "side": b.side, "colour": list(b.colour)} for b in table]
    write_json_atomic(path, {"labels": rows, **facts})
    return path


def split_side(name: str) -> tuple[str, str]:
    """Name and side of ``vastus_left``, ``Gluteus L``, ``soleus-R``: the side is empty where the name has none."""
    match = _SIDE.match(name.strip())
    if match is None:
        return name.strip(), ""
    return match[1], "left" if match[2].lower() in ("left", "l") else "right"


def _in_place(mask: Volume, volume: Volume, name: str) -> NDArray[Any]:
    """The mask's voxels in the order of the volume's, when both are the same voxels."""
    to_volume = np.linalg.inv(volume.affine) @ mask.affine
    turn = np.rint(to_volume[:3, :3]).astype(int)
    if (np.abs(turn).sum(axis=0) == 1).all() and (np.abs(turn).sum(axis=1) == 1).all():
        order = [int(np.flatnonzero(row)[0]) for row in turn]
        moved = mask.voxels.transpose(order)
        flips = tuple(slice(None, None, int(row[axis])) for row, axis in zip(turn, order, strict=True))
        if moved.shape == volume.shape and _off_mm(mask, volume, turn) <= _tolerance_mm(volume):
            return moved[flips]
    raise UserError(
        f"{name} lies on another grid than the scan: {_difference(mask, volume)}.",
        "Open the scan it was drawn on, or resample it with the tool that made it.",
    )


def _off_mm(mask: Volume, volume: Volume, turn: NDArray[np.int_]) -> float:
    """How far the corners of the re-indexed mask lie from those of the volume, at most."""
    last = np.array(volume.shape) - 1
    corners = np.array([[z, y, x] for z in (0, last[0]) for y in (0, last[1]) for x in (0, last[2])], float)
    start = np.where(turn.sum(axis=1) < 0, last, 0)
    in_mask = (corners - start) @ turn.astype(float)  # the inverse of a signed permutation is its transpose
    return float(np.linalg.norm(mask.to_world(in_mask) - volume.to_world(corners), axis=1).max())


def _tolerance_mm(volume: Volume) -> float:
    return _FIT_MM + _FIT_SHARE * min(volume.spacing_mm)


def _difference(mask: Volume, volume: Volume) -> str:
    """What differs, in the volume's axis order."""
    if mask.details.get("Position from") == "nothing" and volume.details.get("Position from") != "nothing":
        return "the mask does not say where it lies (no sform, no qform), so left and right cannot be told"
    order = [mask.world_axes.index(axis) for axis in volume.world_axes]
    shape = tuple(mask.shape[i] for i in order)
    spacing = tuple(mask.spacing_mm[i] for i in order)
    found: list[str] = []
    if shape != volume.shape:
        found.append(f"it has {_times(shape)} voxels, the scan {_times(volume.shape)}")
    if not np.allclose(spacing, volume.spacing_mm, rtol=0.01):
        found.append(f"its spacing is {_times(spacing)} mm, the scan's {_times(volume.spacing_mm)} mm")
    directions = [v.affine[:3, :3] / v.spacing_mm for v in (mask, volume)]
    cosine = np.abs((directions[0][:, order] * directions[1]).sum(axis=0)).min()
    if (angle := float(np.degrees(np.arccos(min(1.0, cosine))))) > 0.1:
        found.append(f"it is turned by {angle:.1f} degrees")
    middles = [v.to_world((np.array(v.shape) - 1) / 2) for v in (mask, volume)]
    if (away := float(np.linalg.norm(middles[0] - middles[1]))) > _tolerance_mm(volume):
        found.append(f"its middle lies {away:.2f} mm away")
    return ", ".join(found) or "its corners do not meet the scan's"


def _times(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)


def _whole_numbers(stored: NDArray[Any], name: str) -> NDArray[np.integer[Any]]:
    if stored.dtype.kind in "iu":
        return stored
    with np.errstate(invalid="ignore"):
        whole = stored.astype(np.int32)
    if not np.array_equal(whole, stored):
        odd = stored[whole != stored].ravel()[0]
        raise UserError(f"{name} is no label map: it holds numbers like {odd:g}.", "Open a mask of whole numbers.")
    return whole


def _ids(codes: NDArray[np.integer[Any]]) -> list[int]:
    low, high = int(codes.min()), int(codes.max())
    if high - low <= 1 << 16:
        there = np.zeros(high - low + 1, bool)
        for plane in codes:  # the whole at once would keep the interpreter, and the window, for as long as it takes
            there |= np.bincount(plane.ravel().astype(np.int64) - low, minlength=there.size) > 0
        return [int(i) + low for i in np.flatnonzero(there)]
    return [int(i) for i in np.unique(codes)]


def file_codes(labels: LabelMap, table: LabelTable) -> NDArray[np.integer[Any]]:
    """A label map in the numbers of the file it came from, in the narrowest type of NIfTI that holds them.

    Raises
    ------
    UserError
        When two labels would get one number, or one is too large.
    """
    code_of = np.arange(256)
    for label in table:
        code_of[label.value] = label.file_id
    used = code_of[painted_values(labels)]
    if np.unique(used).size < used.size:
        raise UserError(
            "Two labels of this mask would get the same number in the file.", "Give one of them another number."
        )
    for name in ("u1", "i2", "i4"):
        if used.min() >= np.iinfo(name).min and used.max() <= np.iinfo(name).max:
            return code_of.astype(name)[labels]
    raise UserError("A label number of this mask is too large for a NIfTI file.", "Give it a smaller number.")


def _read_sidecar(path: Path) -> dict[int, tuple[str, str, tuple[int, int, int] | None]]:
    """Name, side and colour by the number in the file; empty without a sidecar that names labels."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_SIDECAR_BYTES:
            return {}
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path.name}, which should name the labels, cannot be read: {error}.", "Mend it or move it away."
        ) from error
    rows = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        return {}
    found: dict[int, tuple[str, str, tuple[int, int, int] | None]] = {}
    for row in rows:
        number, name = (row.get("id"), row.get("name")) if isinstance(row, dict) else (None, None)
        if type(number) is not int or not isinstance(name, str) or not name.strip():
            raise UserError(f"Expected a label with id and name in {path.name}, found {row!r}.", "Mend that file.")
        if number == 0:
            continue
        side = row.get("side") or ""
        if not side:
            name, side = split_side(name)
        if side not in ("", "left", "right"):
            raise UserError(f"A side in {path.name} is left, right or empty, found {side!r}.", "Mend that file.")
        found[number] = (name, side, _colour(row.get("colour")))
    return found


def _colour(found: object) -> tuple[int, int, int] | None:
    numbers = found if isinstance(found, list) and len(found) == 3 else []
    if not numbers or not all(type(c) is int and 0 <= c <= 255 for c in numbers):
        return None
    return (numbers[0], numbers[1], numbers[2])


def _named(table: LabelTable, named: dict[int, tuple[str, str, tuple[int, int, int] | None]]) -> LabelTable:
    labels: list[Label] = []
    for label in table:
        name, side, colour = named.get(label.file_id, (label.name, label.side, None))
        labels.append(Label(label.value, name, side, colour or label.colour, label.file_id))
    return LabelTable(tuple(labels))
