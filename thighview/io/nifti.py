"""NIfTI and Analyze 7.5 files: a bounded, checked reader, and the writer of label maps."""

import contextlib
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from isal import igzip
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io import bounded, numbers, parts
from thighview.io.bounded import Stream, budget_bytes, first_bytes
from thighview.io.names import stem
from thighview.io.nifti_header import (
    NiftiHeader,
    build_header,
    check_extensions,
    header_size,
    is_whole_file,
    parse_header,
)
from thighview.io.positions import unsure

__all__ = [
    "budget_bytes",
    "calls_itself_labels",
    "files_of",
    "is_image_half",
    "read_nifti",
    "starts",
    "stem",
    "write_label_map",
]

_MOST_EXTENSIONS = 16 << 20
_NIFTI_1, _LABEL_INTENT = 348, 1002
_HALVES = {".hdr": ".img", ".img": ".hdr"}
_OPEN_WHAT = "Open a .nii or .nii.gz file, or a .hdr and .img pair."


def starts(first: bytes) -> bool:
    """Whether these are the first bytes of a NIfTI file or an Analyze header, unpacked."""
    return header_size(first) > 0


def is_image_half(path: Path) -> bool:
    """Whether a file is called like the image of a pair: there is nothing in it to be known by."""
    return _half_ending(path) == ".img"


def calls_itself_labels(path: Path) -> bool:
    """Whether the header of a NIfTI file says that its numbers are labels (intent code 1002)."""
    first = first_bytes(path)
    size = header_size(first)
    at, width = (68, 2) if size == _NIFTI_1 else (504, 4)
    order: Literal["big", "little"] = "big" if int.from_bytes(first[:4], "big") == size else "little"
    return size > 0 and int.from_bytes(first[at : at + width], order) == _LABEL_INTENT


def files_of(path: Path) -> tuple[Path, ...]:
    """The files a scan lies in: itself, or header and image of a pair, whichever of them was given.

    Raises
    ------
    UserError
        When the other half is missing.
    OSError
        When it cannot be read.
    """
    first = first_bytes(path, 540)
    if not first or is_whole_file(first) or header_size(first) > len(first):  # cut short: its reader says so
        return (path,)
    half = _other_half(path)
    if header_size(first):
        if half is None and not _half_ending(path):
            raise UserError(
                f"{path.name} is not a NIfTI file: its mark is missing, or it is one half of a pair.", _OPEN_WHAT
            )
        if half is None:
            raise UserError(
                f"{path.name} is one half of a pair; {_named(path, '.img')} with its voxels is not beside it.",
                "Put both files into one folder.",
            )
        return (path, half)
    if half is None and is_image_half(path):
        raise UserError(
            f"{path.name} holds voxels only; {_named(path, '.hdr')}, which says what they are, is not beside it.",
            "Put both files into one folder.",
        )
    if half is None or not header_size(first_bytes(half, 4)):
        raise UserError(f"{path.name} is not a NIfTI file: it does not start with a NIfTI header.", _OPEN_WHAT)
    return (half, path)


def read_nifti(path: Path, part: str = "") -> Volume:
    """Read one volume of a NIfTI file or of a pair of ``.hdr`` and ``.img``, to its last byte, so that damage is found.

    Parameters
    ----------
    path : Path
        The file, or either half of a pair.
    part : str
        Which volume of several: its number from 1; ``qform``, alone or behind that, puts the scan where the qform
        says, where the file gives two positions that differ.

    Raises
    ------
    SeveralScansError
        When the file holds several volumes and none is named.
    UserError
        When it is not a NIfTI file, damaged, too large for the memory, or has no such volume or position.
    """
    by_qform, part = ScanKey(path, part).by_qform, ScanKey(path, part).volume_part
    with bounded.opened(path):  # whatever is wrong with it
        files = files_of(path)
    if len(files) == 1:
        with bounded.opened(path) as (stream, there, packing):
            header = _header(stream, path, by_qform)
            return _volume(path, path, header, part, stream, there, packing)
    with bounded.opened(files[0]) as (stream, _, _):
        header = _header(stream, files[0], by_qform)
        extensions = stream.read(_MOST_EXTENSIONS)
        if header.version:
            check_extensions(extensions, header.big_endian)
    with bounded.opened(files[1]) as (stream, there, packing):
        bounded.skip(stream, header.offset, files[1])
        return _volume(files[0], files[1], header, part, stream, there, packing)


def write_label_map(file: BinaryIO, codes: NDArray[np.integer[Any]], volume: Volume, compressed: bool) -> None:
    """Write a label map on the grid of a volume: fresh header, the volume's own position, no scaling.

    Parameters
    ----------
    codes : ndarray of integers, shape (z, y, x)
        Numbers as they stand in the file.
    """
    header = build_header(volume, codes.dtype, intent="label")
    with contextlib.ExitStack() as stack:
        out = file
        if compressed:
            out = stack.enter_context(igzip.IGzipFile(fileobj=file, mode="wb", filename="", compresslevel=2, mtime=0))
        out.write(header)
        for plane in codes:  # one at a time: copies of the whole would keep the interpreter, and the window
            out.write(np.ascontiguousarray(plane, codes.dtype.newbyteorder("<")).data)


def _header(stream: Stream, path: Path, by_qform: bool) -> NiftiHeader:
    """The header, and of a whole file all before the first voxel."""
    first = stream.read(4)
    size = header_size(first)
    if not size:
        raise UserError(f"{path.name} is not a NIfTI file: it does not start with a NIfTI header.", _OPEN_WHAT)
    rest = stream.read(size - 4)
    if len(rest) < size - 4:
        raise bounded.cut_short(path, "it ends inside its header")
    header = parse_header(first + rest, by_qform)
    if not header.apart:
        extensions = stream.read(header.offset - size)
        if len(extensions) < header.offset - size:
            raise bounded.cut_short(path, "it ends before the first voxel")
        check_extensions(extensions, header.big_endian)
    return header


def _volume(
    place: Path, data: Path, header: NiftiHeader, part: str, stream: Stream, there: int, packing: str
) -> Volume:
    """One volume of a stream that stands at the first voxel of the first of them; ``place`` is what it is known by."""
    bounded.check_size(data, header.offset + header.volumes * header.volume_bytes, there, packing)
    chosen = parts.choose(place, part, parts.volumes(place, header.volumes, header.shape[2]))
    shape = (header.volumes, *header.shape[::-1])
    stored, left = bounded.take(stream, shape, header.dtype, 0, chosen, data)
    trailing = bounded.drain(stream, left, data)
    plain = (header.slope, header.inter) == (1, 0)
    details = {
        "Format": header.format,
        "Stored numbers": header.dtype.name,
        "Scaling": "none" if plain else f"{header.slope:g} x + {header.inter:g}",
        "Position from": header.position_from,
    }
    if stored.dtype.kind == "c":
        voxels = numbers.magnitude(stored, header.slope, header.inter)
        details["Shown"] = "the magnitude of complex numbers"
    else:
        voxels = numbers.scaled(numbers.narrowed(stored, data.name), header.slope, header.inter, data)
    if not header.names_unit:
        details["Unit of length"] = "not named, mm taken"
    name = stem(place)
    if header.volumes > 1:
        details["Volume"] = f"{chosen + 1} of {header.volumes}"
        name = f"{name}, volume {chosen + 1}"
    warnings = (*header.warnings, *bounded.trailing_words(trailing), *numbers.odd_words(voxels))
    doubtful = unsure(header.position_from, warnings)
    return Volume(
        voxels, header.affine, name, "nifti", warnings, details, header.position, doubtful,
        other_affine=header.other_affine,
    )  # fmt: skip


def _half_ending(path: Path) -> str:
    """``.hdr`` or ``.img`` where the name ends so, compressed or not; else nothing."""
    name = path.name.lower().removesuffix(".gz")
    return next((ending for ending in _HALVES if name.endswith(ending)), "")


def _named(path: Path, ending: str, packed: bool | None = None) -> str:
    """The name of the half with this ending: written in capitals or compressed as this one is, unless told."""
    name = path.name
    gz = name[-3:] if name.lower().endswith(".gz") else ""
    base = name[: len(name) - len(gz) - 4]
    capitals = name[len(base) : len(base) + 4].isupper()
    wanted = gz or ".gz" if packed else "" if packed is False else gz
    return base + (ending.upper() if capitals else ending) + wanted


def _other_half(path: Path) -> Path | None:
    """The other half of a pair, compressed or not; None where it is not there."""
    ending = _half_ending(path)
    if not ending:
        return None
    like_this = path.name.lower().endswith(".gz")
    names = (_named(path, _HALVES[ending], packed) for packed in (like_this, not like_this))
    return next((found for name in names if (found := path.with_name(name)).is_file()), None)
