"""Reading that is bounded: nothing is allocated before it is known that the file can hold it and the memory take it."""

import bz2
import contextlib
import gzip
import io
import math
import os
import sys
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from isal import igzip, isal_zlib
from numpy.typing import NDArray

from thighview.core.errors import UserError

COPY_AGAIN = "Copy it again from where it came from."
MOST_GAINS = {"raw": 1, "gzip": 1100, "zlib": 1100, "bzip2": 1 << 20}
"""So many times its size what is packed can grow (deflate: 1032 to 1); a header that asks for more lies."""
ISAL_ERROR = cast(type[Exception], isal_zlib.error)
_GZIP_MAGIC = b"\x1f\x8b"
_SLACK_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20


class Stream(Protocol):
    """Bytes one after the other, as files and what unpacks them give."""

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, fewer at the end."""
        ...

    def readinto(self, buffer: Any, /) -> int | None:
        """Fill a buffer as far as it goes; how far."""
        ...

    def readline(self, size: int = -1, /) -> bytes:
        """To the end of the line, but no more than so many bytes."""
        ...


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
def opened(path: Path, start: int = 0, packing: str = "") -> Generator[tuple[Stream, int, str]]:
    """A file's bytes, unpacked, with how many there are of them on the disk and how they are packed.

    Parameters
    ----------
    start : int
        Where in the file the bytes begin.
    packing : str
        One of ``MOST_GAINS``; by default found out, ``gzip`` or ``raw``.

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
            if not packing:
                packing = "gzip" if file.read(2) == _GZIP_MAGIC else "raw"
                file.seek(start)
            there = max(0, size_bytes - start)
            if packing == "raw":
                yield file, there, packing
            elif packing == "gzip":
                with igzip.IGzipFile(fileobj=file, mode="rb") as unpacked:
                    yield unpacked, there, packing
            elif packing == "bzip2":
                with bz2.BZ2File(file) as unpacked:
                    yield unpacked, there, packing
            else:
                with io.BufferedReader(_Inflating(file), _CHUNK_BYTES) as unpacked:
                    yield unpacked, there, packing
    except EOFError as error:
        raise cut_short(path, "its compressed data ends too early") from error
    except (gzip.BadGzipFile, zlib.error, ISAL_ERROR) as error:
        raise damaged(path, f"its compressed data does not add up ({error})") from error
    except OSError as error:
        if packing == "bzip2" and error.errno is None:
            raise damaged(path, f"its compressed data does not add up ({error})") from error
        raise UserError(f"{path} could not be read: {error.strerror or error}.", "Check the path.") from error


def cut_short(path: Path, why: str) -> UserError:
    """A file that ends too early."""
    return UserError(f"{path.name} is cut short: {why}.", COPY_AGAIN)


def damaged(path: Path, why: str) -> UserError:
    """A file whose content cannot be."""
    return UserError(f"{path.name} is damaged: {why}.", COPY_AGAIN)


def check_size(path: Path, wanted: int, there: int, packing: str) -> None:
    """Refuse a file that announces more bytes (``wanted``, unpacked) than the bytes it has (``there``) can hold."""
    if wanted > there * MOST_GAINS[packing]:
        raise UserError(
            f"{path.name} is cut short or its header is wrong: it announces {wanted:,} bytes "
            f"and has {there:,}{'' if packing == 'raw' else ' compressed'}.",
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
        count = stream.readinto(room[at : at + _CHUNK_BYTES])  # more at once would be unpacked beside the array first
        if not count:
            raise cut_short(path, f"it holds {at:,} of {len(room):,} bytes of voxels")
        at += count


def take(
    stream: Stream, shape: Sequence[int], dtype: np.dtype[Any], along: int | None, chosen: int, path: Path
) -> tuple[NDArray[Any], int]:
    """One index along an axis of a stored array; no more is in memory than that and one block of the slowest axis.

    Parameters
    ----------
    stream : Stream
        Stands at the first number of the array.
    shape : sequence of int
        Of the whole array, slowest axis first.
    along : int, optional
        The axis; None takes all there is.
    chosen : int
        Which index along it.

    Returns
    -------
    array : ndarray
        Without that axis, in this computer's byte order.
    left : int
        Bytes of the whole array that were not read yet.
    """
    whole = math.prod(shape) * dtype.itemsize
    if along is None or along == 0:
        inner = list(shape) if along is None else list(shape[1:])
        check_budget(path, inner, dtype.itemsize)
        size = math.prod(inner) * dtype.itemsize
        skip(stream, chosen * size if along == 0 else 0, path)
        out = np.empty(inner, dtype)
        fill(stream, out, path)
        return native(out), whole - size * (chosen + 1 if along == 0 else 1)
    inner = [n for axis, n in enumerate(shape) if axis != along]
    check_budget(path, inner, dtype.itemsize)
    check_budget(path, shape[1:], dtype.itemsize)
    out, block = np.empty(inner, dtype), np.empty(shape[1:], dtype)
    for index in range(shape[0]):
        fill(stream, block, path)
        out[index] = np.take(block, chosen, axis=along - 1)
    return native(out), 0


def skip(stream: Stream, count: int, path: Path) -> None:
    """Read past so many bytes."""
    while count > 0:
        block = stream.read(min(count, _CHUNK_BYTES))
        if not block:
            raise cut_short(path, f"{count:,} bytes of voxels are missing")
        count -= len(block)


def drain(stream: Stream, wanted: int, path: Path, footer_bytes: int = 0) -> int:
    """Read past the voxels still to come and to the end, which is what checks the checksum; returns what is left.

    A little more than ``footer_bytes`` may follow the voxels.
    """
    while block := stream.read(_CHUNK_BYTES):
        wanted -= len(block)
        if wanted < -_SLACK_BYTES - footer_bytes:
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


class _Inflating(io.RawIOBase):
    """What a zlib stream unpacks to; it ends where the stream ends, its checksum being right."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._inflate = zlib.decompressobj(47)  # zlib or gzip, whichever it starts like
        self._packed = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, room: Any) -> int:
        """Unpack no more than there is room for."""
        view = memoryview(room).cast("B")
        while not self._inflate.eof:
            self._packed = self._packed or self._file.read(_CHUNK_BYTES)
            if not self._packed:
                raise EOFError("it ends too early")
            found = self._inflate.decompress(self._packed, len(view))
            self._packed = self._inflate.unconsumed_tail
            if found:
                view[: len(found)] = found
                return len(found)
        return 0


def _free_memory_bytes() -> int:
    if sys.platform == "linux":
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 8 << 30
