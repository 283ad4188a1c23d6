"""NIfTI files: a bounded, checked reader, and the writer of label maps."""

import contextlib
import gzip
import io
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from isal import igzip, isal_zlib
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.volume import Volume
from thighview.io import parts
from thighview.io.nifti_header import NiftiHeader, build_header, check_extensions, header_size, parse_header

_GZIP_MAGIC = b"\x1f\x8b"
_MOST_DEFLATE_GAINS = 1100
"""Deflate cannot shrink more than 1032 to 1; a header that asks for more than that lies."""
Stream = io.BufferedReader | gzip.GzipFile
_ISAL_ERROR = cast(type[Exception], isal_zlib.error)
_SLACK_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20
_DAMAGED = "Copy it again from where it came from."


def budget_bytes() -> int:
    """The largest volume that is read: 4 GiB, or a quarter of the free memory where that is less."""
    return min(4 << 30, _free_memory_bytes() // 4)


def is_nifti(path: Path) -> bool:
    """Whether the file starts like a NIfTI file or a compressed one; read, not guessed from the name."""
    with path.open("rb") as file:
        start = file.read(4)
    return start[:2] == _GZIP_MAGIC or header_size(start) > 0


def stem(path: Path) -> str:
    """File name without ``.nii`` or ``.nii.gz``."""
    name = path.name
    for ending in (".nii.gz", ".nii", ".gz"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def read_nifti(path: Path, part: str = "") -> Volume:
    """Read one volume of a ``.nii`` or ``.nii.gz`` file, to its last byte, so that damage is found.

    Parameters
    ----------
    path : Path
        The file.
    part : str
        Which volume of several: its number from 1.

    Raises
    ------
    SeveralScansError
        When the file holds several volumes and none is named.
    UserError
        When it is not a NIfTI file, damaged, too large for the memory, or has no such volume.
    """
    with _stream(path) as (stream, size_bytes, compressed):
        header = _header(stream, path)
        chosen = parts.choose(path, part, parts.volumes(path, header.volumes, header.shape[2]))
        _check_size(path, header, size_bytes, compressed)
        stream.seek(header.offset + chosen * header.volume_bytes)
        stored = np.empty(header.shape[::-1], header.dtype)
        _fill(stream, stored, path)
        trailing = _drain(stream, (header.volumes - 1 - chosen) * header.volume_bytes, path)
    warnings = [*header.warnings]
    if trailing:
        warnings.append(f"{trailing} bytes after the last voxel were left unread.")
    if not stored.dtype.isnative:
        stored = stored.byteswap(inplace=True).view(stored.dtype.newbyteorder())
    voxels = _scaled(stored, header.slope, header.inter)
    if voxels.dtype.kind == "f" and (odd := voxels.size - int(np.count_nonzero(np.isfinite(voxels)))):
        warnings.append(f"{odd} voxels hold no number (NaN or infinite).")
    details = {
        "Format": f"NIfTI-{header.version}",
        "Stored numbers": header.dtype.name,
        "Scaling": "none" if (header.slope, header.inter) == (1, 0) else f"{header.slope:g} x + {header.inter:g}",
        "Position from": header.position_from,
    }
    if not header.names_unit:
        details["Unit of length"] = "not named, mm taken"
    name = stem(path)
    if header.volumes > 1:
        details["Volume"] = f"{chosen + 1} of {header.volumes}"
        name = f"{name}, volume {chosen + 1}"
    return Volume(voxels, header.affine, name, "nifti", tuple(warnings), details, header.position)


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


@contextmanager
def _stream(path: Path) -> Generator[tuple[Stream, int, bool]]:
    """The file's bytes, unpacked, with its size on the disk; whatever is wrong with it becomes a UserError."""
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes == 0:
                raise UserError(f"{path.name} is empty (0 bytes).", _DAMAGED)
            start = file.read(4)
            file.seek(0)
            if start[:2] != _GZIP_MAGIC:
                yield file, size_bytes, False
            else:
                with igzip.IGzipFile(fileobj=file, mode="rb") as unpacked:
                    yield unpacked, size_bytes, True
    except EOFError as error:
        raise UserError(f"{path.name} is cut short: its compressed data ends too early.", _DAMAGED) from error
    except (gzip.BadGzipFile, _ISAL_ERROR) as error:
        raise UserError(f"{path.name} is damaged: its compressed data does not add up ({error}).", _DAMAGED) from error
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror or error}.", "Check the path.") from error


def _header(stream: Stream, path: Path) -> NiftiHeader:
    first = stream.read(4)
    size = header_size(first)
    if not size:
        raise UserError(
            f"{path.name} is not a NIfTI file: it does not start with a NIfTI header.",
            "Open a .nii or .nii.gz file, or a folder of DICOM files.",
        )
    rest = stream.read(size - 4)
    if len(rest) < size - 4:
        raise UserError(f"{path.name} is cut short: it ends inside its header.", _DAMAGED)
    header = parse_header(first + rest)
    extensions = stream.read(header.offset - size)
    if len(extensions) < header.offset - size:
        raise UserError(f"{path.name} is cut short: it ends before the first voxel.", _DAMAGED)
    check_extensions(extensions, int.from_bytes(first, "big") == size)
    return header


def _check_size(path: Path, header: NiftiHeader, size_bytes: int, compressed: bool) -> None:
    """Refuse what the file cannot hold or the memory cannot take, before anything is allocated."""
    wanted = header.offset + header.volumes * header.volume_bytes
    if wanted > size_bytes * (_MOST_DEFLATE_GAINS if compressed else 1):
        raise UserError(
            f"{path.name} is cut short or its header is wrong: it announces {wanted:,} bytes "
            f"and has {size_bytes:,}{' compressed' if compressed else ''}.",
            _DAMAGED,
        )
    if header.volume_bytes > budget_bytes():
        size = " x ".join(map(str, header.shape))
        raise UserError(
            f"{path.name} is too large for this computer's memory: {size} voxels, {header.volume_bytes / 1e9:.1f} GB.",
            "Close other programs, or cut the scan smaller.",
        )


def _fill(stream: Stream, array: NDArray[Any], path: Path) -> None:
    """Read straight into the array, without a copy on the way."""
    room = array.reshape(-1).view(np.uint8).data
    at = 0
    while at < len(room):
        count = stream.readinto(room[at : at + _CHUNK_BYTES])  # more at once would be unpacked beside the array first
        if not count:
            raise UserError(f"{path.name} is cut short: it holds {at:,} of {len(room):,} bytes of voxels.", _DAMAGED)
        at += count


def _drain(stream: Stream, wanted: int, path: Path) -> int:
    """Read past the voxels still to come and to the end, which is what checks the checksum; returns what is left."""
    while block := stream.read(_CHUNK_BYTES):
        wanted -= len(block)
        if wanted < -_SLACK_BYTES:
            raise UserError(f"{path.name} holds more bytes than its header announces.", "Its header is wrong.")
    if wanted > 0:
        raise UserError(f"{path.name} is cut short: {wanted:,} bytes of voxels are missing.", _DAMAGED)
    return -wanted


def _scaled(stored: NDArray[Any], slope: float, inter: float) -> NDArray[Any]:
    """True numbers: slope * stored + inter, integers where they stay integers, float32 for 8 and 16 bits."""
    if (slope, inter) == (1.0, 0.0):
        return stored
    if stored.dtype.kind in "iu" and slope == int(slope) and inter == int(inter):
        ends = [int(slope) * int(stored.min()) + int(inter), int(slope) * int(stored.max()) + int(inter)]
        for name in ("i2", "i4"):
            if (
                np.iinfo(name).min <= min(ends)
                and max(ends) <= np.iinfo(name).max
                and max(map(abs, (slope, inter))) < 2**31
            ):
                whole = stored.astype(np.int64)
                return (whole * int(slope) + int(inter)).astype(name)
    exact = stored.astype(np.float64) * slope + inter
    return exact.astype(np.float32) if stored.dtype.itemsize <= 2 or stored.dtype == np.float32 else exact


def _free_memory_bytes() -> int:
    if sys.platform == "linux":
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 8 << 30
