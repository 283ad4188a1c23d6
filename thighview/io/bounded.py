"""Reading that is bounded: nothing is allocated before it is known that the file can hold it and the memory take it."""

import contextlib
import gzip
import io
import math
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from isal import igzip, isal_zlib
from numpy.typing import NDArray

from thighview.core.errors import UserError

COPY_AGAIN = "Copy it again from where it came from."
MOST_DEFLATE_GAINS = 1100
"""Deflate cannot shrink more than 1032 to 1; a header that asks for more than that lies."""
Stream = io.BufferedReader | gzip.GzipFile
ISAL_ERROR = cast(type[Exception], isal_zlib.error)
_GZIP_MAGIC = b"\x1f\x8b"
_SLACK_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20


def budget_bytes() -> int:
    """The largest volume that is read: 4 GiB, or a quarter of the free memory where that is less."""
    return min(4 << 30, _free_memory_bytes() // 4)


def first_bytes(path: Path, count: int = 1024) -> bytes:
    """The first bytes of a file, unpacked where it is compressed with gzip; fewer where there are no more.

    Raises
    ------
    OSError
        When the file cannot be read. Damage is no error here: what could be unpacked is given.
    """
    with path.open("rb") as file:
        start = file.read(count)
        if start[:2] != _GZIP_MAGIC:
            return start
        file.seek(0)
        found = b""
        with contextlib.suppress(EOFError, OSError, ISAL_ERROR), igzip.IGzipFile(fileobj=file, mode="rb") as unpacked:
            while block := unpacked.read(count - len(found)):
                found += block
        return found


@contextmanager
def opened(path: Path, start: int = 0, packed: bool | None = None) -> Generator[tuple[Stream, int, bool]]:
    """The file's bytes, unpacked where it is gzip, with its size on the disk and whether it is compressed.

    Parameters
    ----------
    start : int
        Where in the file the bytes begin.
    packed : bool, optional
        Whether they are compressed with gzip; by default that is found out.

    Raises
    ------
    UserError
        Whatever is wrong with the file, in a sentence; also what goes wrong while it is read.
    """
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes == 0:
                raise UserError(f"{path.name} is empty (0 bytes).", COPY_AGAIN)
            file.seek(start)
            if packed is None:
                packed = file.read(2) == _GZIP_MAGIC
                file.seek(start)
            if not packed:
                yield file, size_bytes, False
            else:
                with igzip.IGzipFile(fileobj=file, mode="rb") as unpacked:
                    yield unpacked, size_bytes, True
    except EOFError as error:
        raise cut_short(path, "its compressed data ends too early") from error
    except (gzip.BadGzipFile, ISAL_ERROR) as error:
        raise damaged(path, f"its compressed data does not add up ({error})") from error
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror or error}.", "Check the path.") from error


def cut_short(path: Path, why: str) -> UserError:
    """A file that ends too early."""
    return UserError(f"{path.name} is cut short: {why}.", COPY_AGAIN)


def damaged(path: Path, why: str) -> UserError:
    """A file whose content cannot be."""
    return UserError(f"{path.name} is damaged: {why}.", COPY_AGAIN)


def check_size(path: Path, wanted: int, there: int, compressed: bool) -> None:
    """Refuse a file that announces more bytes (``wanted``, unpacked) than the bytes it has (``there``) can hold."""
    if wanted > there * (MOST_DEFLATE_GAINS if compressed else 1):
        raise UserError(
            f"{path.name} is cut short or its header is wrong: it announces {wanted:,} bytes "
            f"and has {there:,}{' compressed' if compressed else ''}.",
            COPY_AGAIN,
        )


def check_budget(path: Path, shape: Sequence[int], item_bytes: int) -> None:
    """Refuse a volume of this shape that the memory cannot take."""
    size_bytes = math.prod(shape) * item_bytes
    if size_bytes > budget_bytes():
        raise UserError(
            f"{path.name} is too large for this computer's memory: {' x '.join(map(str, shape))} voxels, "
            f"{size_bytes / 1e9:.1f} GB.",
            "Close other programs, or cut the scan smaller.",
        )


def fill(stream: Stream, array: NDArray[Any], path: Path) -> None:
    """Read straight into the array, without a copy on the way."""
    room = array.reshape(-1).view(np.uint8).data
    at = 0
    while at < len(room):
        count = stream.readinto(room[at:])
        if not count:
            raise cut_short(path, f"it holds {at:,} of {len(room):,} bytes of voxels")
        at += count


def skip(stream: Stream, count: int, path: Path) -> None:
    """Read past so many bytes."""
    while count > 0:
        block = stream.read(min(count, _CHUNK_BYTES))
        if not block:
            raise cut_short(path, f"{count:,} bytes of voxels are missing")
        count -= len(block)


def drain(stream: Stream, wanted: int, path: Path) -> int:
    """Read past the voxels still to come and to the end, which is what checks the checksum; returns what is left."""
    while block := stream.read(_CHUNK_BYTES):
        wanted -= len(block)
        if wanted < -_SLACK_BYTES:
            raise UserError(f"{path.name} holds more bytes than its header announces.", "Its header is wrong.")
    if wanted > 0:
        raise cut_short(path, f"{wanted:,} bytes of voxels are missing")
    return -wanted


def trailing_words(count: int) -> list[str]:
    """What is said of so many bytes after the voxels."""
    return [f"{count} bytes after the last voxel were left unread."] if count else []


def native(stored: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in this computer's byte order; swapped in place."""
    if stored.dtype.isnative:
        return stored
    return stored.byteswap(inplace=True).view(stored.dtype.newbyteorder())


def _free_memory_bytes() -> int:
    if sys.platform == "linux":
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 8 << 30
