"""NRRD masks: plain label maps, and the segmentations of 3D Slicer with their names, colours and layers."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.labels import key_of
from thighview.core.segments import MaskFile, Segment, named, numbers_in
from thighview.core.volume import Volume
from thighview.io import bounded, nrrd_header
from thighview.io.mask_codes import side_of_code
from thighview.io.mask_names import in_latin, names_beside, segments_of, stem_of
from thighview.io.positions import unsure
from thighview.io.stored_array import StoredArray
from thighview.io.unreviewed import REVIEWED_KEY

_SAVE_AGAIN = "Save it again as a segmentation of 3D Slicer, or as a label map."
_SEGMENT = re.compile(r"Segment(\d+)_(?:ID|Name|LabelValue|Layer|Color)$")
Header = Mapping[str, Any]


def is_nrrd(path: Path) -> bool:
    """Whether a file starts like NRRD; read, not guessed from the name."""
    with path.open("rb") as file:
        return file.read(4) == b"NRRD"


def is_segmentation(path: Path) -> bool:
    """Whether an NRRD file names segments as 3D Slicer does, and so is a mask for certain."""
    return bool(_segment_numbers(nrrd_header.read_fields(path)[0]))


def read_nrrd_mask(path: Path) -> MaskFile:
    """Read an NRRD label map, or a segmentation of 3D Slicer with all its layers.

    Raises
    ------
    UserError
        When it is damaged, too large for the memory, packed in a way that is not read here, or no mask.
    """
    fields, start = nrrd_header.read_fields(path)
    array = nrrd_header.array_of(path, fields, start, layered=True)
    if array.dtype.kind not in "iu":
        raise UserError(f"{path.name} is no label map: it holds {fields['type']}s.", "Open a mask of whole numbers.")
    layers, said = _layers(array)
    details = {"Format": "NRRD", "Position from": array.position_from}
    warnings = (*array.warnings, *said)
    doubtful = unsure(array.position_from, warnings)
    grid = Volume(layers[0], array.affine, stem_of(path), "nrrd", warnings, details, unsure=doubtful)
    if not (numbers := _segment_numbers(fields)):
        if len(layers) != 1:
            raise UserError(
                f"{path.name} holds {len(layers)} values per voxel and names no segments.", "Open a label map."
            )
        segments = segments_of(numbers_in(layers[0]), names_beside(path))
        return MaskFile(path.name, grid, layers, segments, notes=grid.warnings)
    segments, notes = _segments(fields, numbers, layers, path)
    return MaskFile(path.name, grid, layers, segments, partial=True, notes=(*grid.warnings, *notes))


def _layers(array: StoredArray) -> tuple[tuple[NDArray[Any], ...], list[str]]:
    """The whole array, each of its layers (z, y, x), read to the last byte; and what is said of bytes after it."""
    with bounded.opened(array.data, array.start, array.packing) as (stream, there, packing):
        wanted = array.skipped + math.prod(array.shape) * array.dtype.itemsize
        bounded.check_size(array.data, wanted, there, packing)
        bounded.skip(stream, array.skipped, array.data)
        stored, left = bounded.take(stream, array.shape, array.dtype, None, 0, array.data)
        trailing = bounded.drain(stream, left, array.data, array.footer_bytes)
    apart = stored[None] if array.along is None else np.moveaxis(stored, array.along, 0)
    layers = tuple(np.ascontiguousarray(layer).reshape(array.shape_zyx) for layer in apart)
    return layers, bounded.trailing_words(trailing) if trailing > array.footer_bytes else []


def _segment_numbers(header: Header) -> list[int]:
    return sorted({int(match[1]) for key in header if (match := _SEGMENT.match(key))})


# ---------------------------------------------------------------------- segments


def _segments(
    header: Header, numbers: list[int], layers: tuple[NDArray[Any], ...], path: Path
) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """What the header says of each segment; numbers in the voxels that it does not name are segments, too.

    A header has no other letters than Latin ones: the true name of one of ours stands in the file beside it.
    """
    found: list[Segment] = []
    notes: list[str] = []
    taken = set[tuple[int, int]]()
    ours = str(header.get(REVIEWED_KEY, "")).startswith("not")  # our own export of what is not all reviewed
    true = names_beside(path) if REVIEWED_KEY in header else {}
    try:
        for place, number in enumerate(numbers):
            about = {key: str(header.get(f"Segment{number}_{key}", "")) for key in ("Name", "Color", "Tags", "ID")}
            plain = f"Segment{number}_LabelValue" not in header  # older files: one layer each, drawn with 1
            code = int(header.get(f"Segment{number}_LabelValue", 1))
            layer = int(header.get(f"Segment{number}_Layer", place if plain and len(layers) > 1 else 0))
            name, side, doubt = named(about["Name"] or about["ID"], _side_in(about["Tags"]))
            own = true.get(code)
            if own and in_latin(key_of(own.name, own.side)) == about["Name"]:
                name, side, doubt = own.name, own.side, ""
            if not 0 <= layer < len(layers) or code == 0 or (layer, code) in taken:
                raise UserError(
                    f"{path.name} is damaged: its segment {about['Name'] or number!r} has no number of its own.",
                    _SAVE_AGAIN,
                )
            taken.add((layer, code))
            notes += [doubt] if doubt else []
            found.append(Segment(code, name, side, _colour(about["Color"]), layer, code, ours))
    except ValueError as error:
        raise bounded.damaged(path, "what it says of its segments is no number") from error
    for index, layer in enumerate(layers):
        strange = [i for i in numbers_in(layer) if i and (index, i) not in taken]
        found += [Segment(i, layer=index, code=i) for i in strange]
        if strange:
            listed = ", ".join(map(str, strange[:6])) + (", …" if len(strange) > 6 else "")
            notes.append(f"{path.name} does not name the number{'s' * (len(strange) > 1)} {listed}.")
    return tuple(found), tuple(notes)


def _colour(text: str) -> tuple[int, int, int] | None:
    """Red, green and blue of three numbers from 0 to 1."""
    parts = [float(part) for part in text.split()]
    if len(parts) != 3 or not all(0 <= part <= 1 for part in parts):
        return None
    return (round(255 * parts[0]), round(255 * parts[1]), round(255 * parts[2]))


def _side_in(tags: str) -> str:
    """Side of the patient from the terminology entry among the tags of a segment; empty where it has none."""
    for tag in tags.split("|"):
        key, _, entry = tag.partition(":")
        if key.strip() == "TerminologyEntry":
            for code in entry.split("~"):
                scheme, value, *_ = [*code.split("^"), ""]
                if side := side_of_code(scheme.strip(), value.strip()):
                    return side
    return ""
