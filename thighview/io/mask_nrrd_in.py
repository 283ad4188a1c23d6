"""NRRD masks: plain label maps, and the segmentations of 3D Slicer with their names, colours and layers.

The header is parsed by pynrrd; its size, and that of the voxels, is bounded here before anything is unpacked.
"""

import bz2
import math
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.segments import MaskFile, Segment, named, numbers_in
from thighview.core.volume import Volume
from thighview.io.mask_codes import side_of_code
from thighview.io.mask_names import names_beside, segments_of, stem_of
from thighview.io.nifti import budget_bytes

_MAGIC = b"NRRD"
_MOST_HEADER_BYTES = 4 << 20
_MOST_GAINS = {"gzip": 1100, "bzip2": 1 << 20}
"""So many times what is packed can grow; a header that asks for more lies."""
_SAVE_AGAIN = "Save it again as one .nrrd or .seg.nrrd file, compressed with gzip or not at all."
_DAMAGED = "Copy it again from where it came from."
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"), "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"), "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "f4": ("float",), "f8": ("double",),
}  # fmt: skip
_ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_SEGMENT = re.compile(r"Segment(\d+)_(?:ID|Name|LabelValue|Layer|Color)$")
Header = Mapping[str, Any]


def is_nrrd(path: Path) -> bool:
    """Whether a file starts like NRRD; read, not guessed from the name."""
    with path.open("rb") as file:
        return file.read(4) == _MAGIC


def is_segmentation(path: Path) -> bool:
    """Whether an NRRD file names segments as 3D Slicer does, and so is a mask for certain."""
    with path.open("rb") as file:
        return bool(_segment_numbers(_read_header(file, path)))


def read_nrrd_mask(path: Path) -> MaskFile:
    """Read an NRRD label map, or a segmentation of 3D Slicer with all its layers.

    Raises
    ------
    UserError
        When it is damaged, too large for the memory, packed in a way that is not read here, or no mask.
    """
    with path.open("rb") as file:
        header = _read_header(file, path)
        stored = _voxels(file, header, path)
    layers, affine, said = _in_place(stored, header, path)
    if layers[0].dtype.kind not in "iu":
        raise UserError(f"{path.name} is no label map: it holds {header['type']}s.", "Open a mask of whole numbers.")
    details = {"Format": "NRRD", "Position from": said}
    grid = Volume(layers[0], affine, stem_of(path), "nrrd", (), details)
    if not (numbers := _segment_numbers(header)):
        if len(layers) != 1:
            raise UserError(
                f"{path.name} holds {len(layers)} values per voxel and names no segments.", "Open a label map."
            )
        return MaskFile(path.name, grid, layers, segments_of(numbers_in(layers[0]), names_beside(path)))
    segments, notes = _segments(header, numbers, layers, path)
    return MaskFile(path.name, grid, layers, segments, partial=True, notes=notes)


# ---------------------------------------------------------------------- the header


def _read_header(file: BinaryIO, path: Path) -> dict[str, Any]:
    """The fields of the header; the file stands at the first byte behind it."""
    import nrrd

    start = file.read(_MOST_HEADER_BYTES)
    end = re.search(rb"\r?\n\r?\n", start)
    if end is None:
        raise UserError(f"{path.name} is cut short or damaged: its NRRD header does not end.", _DAMAGED)
    file.seek(end.end())
    try:  # lines, not the file: pynrrd would drop every letter that is not ASCII
        return dict(nrrd.read_header(start[: end.start()].decode("utf-8", "replace").splitlines()))
    except Exception as error:
        raise UserError(f"{path.name} is damaged: its NRRD header cannot be read ({error}).", _DAMAGED) from error


def _segment_numbers(header: Header) -> list[int]:
    return sorted({int(match[1]) for key in header if (match := _SEGMENT.match(key))})


def _voxels(file: BinaryIO, header: Header, path: Path) -> NDArray[Any]:
    """The stored array, slowest axis first, unpacked no further than the header says."""
    dtype, shape = _kind(header, path)
    wanted = math.prod(shape) * dtype.itemsize
    packed = _ENCODINGS.get(str(header.get("encoding", "")).lower())
    here = file.tell()
    size = file.seek(0, 2) - here
    file.seek(here)
    if any(header.get(field) for field in ("datafile", "data file", "lineskip", "line skip", "byteskip", "byte skip")):
        raise UserError(f"The voxels of {path.name} lie in another file, or not behind its header.", _SAVE_AGAIN)
    if packed is None:
        raise UserError(f"The voxels of {path.name} are packed as {header.get('encoding')!r}.", _SAVE_AGAIN)
    if wanted > size * _MOST_GAINS.get(packed, 1):
        raise UserError(
            f"{path.name} is cut short or its header is wrong: it announces {wanted:,} bytes and has {size:,}.",
            _DAMAGED,
        )
    if wanted > budget_bytes():
        raise UserError(f"{path.name} is too large for this computer's memory: {wanted / 1e9:.1f} GB.")
    try:
        data = _unpacked(file.read(), packed, wanted)
    except (zlib.error, OSError, EOFError, ValueError) as error:
        raise UserError(f"{path.name} is damaged: its packed voxels do not add up ({error}).", _DAMAGED) from error
    if len(data) != wanted:
        raise UserError(f"{path.name} holds {len(data):,} bytes of voxels, its header announces {wanted:,}.", _DAMAGED)
    stored = np.frombuffer(data, dtype).reshape(shape)
    return stored if dtype.isnative else stored.astype(dtype.newbyteorder("="))


def _unpacked(data: bytes, packed: str, wanted: int) -> bytes:
    """Unpacked bytes, one more than wanted at the most; what is packed must end as it should."""
    if packed == "raw":
        return data
    if packed == "bzip2":
        return bz2.BZ2Decompressor().decompress(data, wanted + 1)
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    out = stream.decompress(data, wanted + 1)
    if len(out) == wanted and not stream.eof:
        out += stream.decompress(stream.unconsumed_tail, 1)  # reads the checksum at the end
        if not stream.eof:
            raise EOFError("they end too early")
    return out


def _kind(header: Header, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    name = next((kind for kind, names in _TYPES.items() if str(header.get("type", "")).lower() in names), None)
    sizes = [int(n) for n in header.get("sizes", ())]
    if name is None:
        raise UserError(f"{path.name} holds numbers of the type {header.get('type')!r}, which are not read here.")
    if not sizes or len(sizes) != header.get("dimension") or min(sizes) < 1:
        raise UserError(f"{path.name} is damaged: its NRRD header gives no proper sizes.", _DAMAGED)
    order = {"big": ">", "little": "<"}.get(str(header.get("endian", "")).lower(), "<" if name[1] == "1" else "")
    if not order:
        raise UserError(f"{path.name} is damaged: its NRRD header does not say in which order bytes lie.", _DAMAGED)
    return np.dtype(order + name), tuple(sizes[::-1])


def _in_place(
    stored: NDArray[Any], header: Header, path: Path
) -> tuple[tuple[NDArray[Any], ...], NDArray[np.float64], str]:
    """Layers (z, y, x), the matrix to LPS mm, and the field the position is from (``nothing`` where there is none)."""
    count = stored.ndim
    directions = np.full((count, 3), np.nan)
    if (given := header.get("space directions")) is not None:
        given = np.array(given, float)
        if given.shape != (count, 3):
            raise UserError(f"{path.name} does not lie in a space of three dimensions.", "Open a mask of a scan.")
        directions = given
    kinds = [str(kind).lower() for kind in header.get("kinds", ["domain"] * count)]
    if len(kinds) != count:
        raise UserError(f"{path.name} is damaged: its NRRD header gives {len(kinds)} kinds of axes.", _DAMAGED)
    apart = [i for i, kind in enumerate(kinds) if kind not in ("domain", "space", "???", "none")]
    if not apart and count == 4 and np.isnan(directions).any(axis=1).sum() == 1:
        apart = [int(np.flatnonzero(np.isnan(directions).any(axis=1))[0])]
    along = [i for i in range(count) if i not in apart]
    if len(along) != 3 or len(apart) > 1 or (apart and "color" in kinds[apart[0]]):
        raise UserError(f"{path.name} is no mask of a scan: its axes are {', '.join(kinds)}.", "Open a 3-D label map.")
    array = np.moveaxis(stored, count - 1 - apart[0], 0) if apart else stored[None]
    layers = tuple(np.ascontiguousarray(layer) for layer in array)
    units = {str(unit).lower() for unit in header.get("space units", ())} - {"", "mm", "millimeter", "millimetre"}
    if units:
        raise UserError(f"{path.name} counts in {', '.join(sorted(units))}; millimetres were expected.", _SAVE_AGAIN)
    signs = _TO_LPS.get(str(header.get("space", "")).lower())
    affine = np.eye(4)
    if signs is None or np.isnan(directions[along]).any():
        spacing = np.array(header.get("spacings", [1.0] * count), float)[along]
        affine[:3, :3] = np.diag(np.where(np.isfinite(spacing) & (spacing > 0), spacing, 1.0))[:, ::-1]
        return layers, affine, "nothing"
    affine[:3, :3] = (directions[along] * np.array(signs)).T[:, ::-1]  # fastest axis first in the file
    affine[:3, 3] = np.array(header.get("space origin", (0.0, 0.0, 0.0)), float) * np.array(signs)
    if not np.isfinite(affine).all():
        raise UserError(f"{path.name} is damaged: its position in space is no number.", _DAMAGED)
    return layers, affine, "space directions"


# ---------------------------------------------------------------------- segments


def _segments(
    header: Header, numbers: list[int], layers: tuple[NDArray[Any], ...], path: Path
) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """What the header says of each segment; numbers in the voxels that it does not name are segments, too."""
    found: list[Segment] = []
    notes: list[str] = []
    taken = set[tuple[int, int]]()
    try:
        for place, number in enumerate(numbers):
            about = {key: str(header.get(f"Segment{number}_{key}", "")) for key in ("Name", "Color", "Tags", "ID")}
            plain = f"Segment{number}_LabelValue" not in header  # older files: one layer each, drawn with 1
            code = int(header.get(f"Segment{number}_LabelValue", 1))
            layer = int(header.get(f"Segment{number}_Layer", place if plain and len(layers) > 1 else 0))
            name, side, doubt = named(about["Name"] or about["ID"], _side_in(about["Tags"]))
            if not 0 <= layer < len(layers) or code == 0 or (layer, code) in taken:
                raise UserError(
                    f"{path.name} is damaged: its segment {about['Name'] or number!r} has no number of its own.",
                    _SAVE_AGAIN,
                )
            taken.add((layer, code))
            notes += [doubt] if doubt else []
            found.append(Segment(code, name, side, _colour(about["Color"]), layer, code))
    except ValueError as error:
        raise UserError(f"{path.name} is damaged: what it says of its segments is no number.", _DAMAGED) from error
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
