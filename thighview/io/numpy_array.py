"""One ``.npy`` array: its header checked, then no more of it read than that announces; nothing in it is ever run."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.io import bounded
from thighview.io.bounded import Stream

MAGIC = b"\x93NUMPY"
_MOST_HEADER_BYTES = 10_000
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
"""How long the number is that says how long the header is, by version."""
_MOST_TEXT_BYTES = 64 << 20
_KINDS = "biufc"


@dataclass(frozen=True)
class ArrayHead:
    """What the header of an array says; made by :func:`read_head`."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def size_bytes(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_numbers(self) -> bool:
        """Whether it holds plain numbers: anything else could be made to run, and is never read."""
        return self.dtype.kind in _KINDS and not self.dtype.hasobject


def read_head(stream: Stream, path: Path) -> ArrayHead:
    """The header of an array; the stream then stands at the first number.

    Raises
    ------
    UserError
        When it is none, or damaged.
    """
    try:
        version = np.lib.format.read_magic(stream)
        if version not in _LENGTH_BYTES:
            raise ValueError(f"version {version[0]}.{version[1]}")
        length = stream.read(_LENGTH_BYTES[version])
        count = int.from_bytes(length, "little")
        if count > _MOST_HEADER_BYTES:  # NumPy would read it all before it says so
            raise ValueError(f"it announces {count:,} bytes")
        header = io.BytesIO(length + stream.read(count))
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(header, _MOST_HEADER_BYTES)
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(header, _MOST_HEADER_BYTES)
    except Exception as error:
        said = (str(error).splitlines() or [""])[0][:100]
        raise bounded.damaged(path, f"the header of its array cannot be read ({said})") from error
    if any(n < 0 for n in shape):
        raise bounded.damaged(path, "the header of its array gives a size below zero")
    return ArrayHead(tuple(int(n) for n in shape), bool(fortran), dtype)


def read_numbers(
    stream: Stream, head: ArrayHead, path: Path, along: int | None = None, chosen: int = 0
) -> NDArray[Any]:
    """The array, or one index along one of its axes, C-contiguous, in this computer's byte order.

    The rest of the stream is read, too: its checksum stands at the end.

    Raises
    ------
    UserError
        When it ends early, or is more than the memory can take.
    """
    if not head.is_numbers:
        raise UserError(f"An array of {path.name} holds no plain numbers ({head.dtype}).", "Save it as numbers.")
    shape, axis = head.shape, along
    if head.fortran:
        shape, axis = shape[::-1], None if along is None else len(shape) - 1 - along
    stored, left = bounded.take(stream, shape, head.dtype, axis, chosen, path)
    bounded.drain(stream, left, path)
    return np.ascontiguousarray(stored.T) if head.fortran else stored


def read_text(stream: Stream, head: ArrayHead, path: Path) -> list[str]:
    """The words of an array of text, in its order; none where it holds no text.

    Raises
    ------
    UserError
        When it ends early, or is longer than anything that is said of a scan.
    """
    if head.dtype.kind != "U" or not head.dtype.itemsize:
        return []
    if head.size_bytes > _MOST_TEXT_BYTES:
        raise UserError(f"The text in {path.name} is too long.", "Save it again without it.")
    count = math.prod(head.shape)
    stored, left = bounded.take(stream, (count, head.dtype.itemsize), np.dtype(np.uint8), None, 0, path)
    bounded.drain(stream, left, path)
    form = "utf-32-be" if head.dtype.byteorder == ">" else "utf-32-le"
    return [row.tobytes().decode(form, "replace").rstrip("\0") for row in stored]
