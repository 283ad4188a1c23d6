"""The arrays of a ``.npz`` archive, or the one of a ``.npy`` file; how large they are is known before they are read."""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from thighview.core.errors import UserError
from thighview.io import bounded
from thighview.io.bounded import Stream
from thighview.io.numpy_array import MAGIC, ArrayHead, read_head

ZIP = b"PK\x03\x04"
Archive = zipfile.ZipFile
_MOST_MEMBERS = 1000
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError, OSError,
    ValueError, OverflowError,
)  # fmt: skip
"""What the unpacking of a damaged archive raises."""


@contextmanager
def opened(path: Path) -> Generator[Archive | None]:
    """The archive, or None where the file is one array; whatever is wrong with it becomes a UserError."""
    with bounded.opened(path, packing="raw") as (stream, _, _):
        start = stream.read(4)
    try:
        if start != ZIP:
            yield None
            return
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > _MOST_MEMBERS:
                raise UserError(f"{path.name} holds more than {_MOST_MEMBERS:,} arrays.", "Open a file of fewer.")
            yield archive
    except _DAMAGE as error:
        raise bounded.damaged(path, f"what is packed in it does not add up ({str(error)[:100]})") from error


def heads_of(path: Path, archive: Archive | None) -> dict[str, ArrayHead]:
    """The header of each array by name; of a file of one array the name is empty."""
    if archive is None:
        with member(path, None, "") as stream:
            return {"": read_head(stream, path)}
    heads: dict[str, ArrayHead] = {}
    for one in archive.infolist():
        if not one.filename.endswith(".npy"):
            continue
        with archive.open(one) as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                continue
        name = one.filename[:-4]
        with member(path, archive, name) as stream:
            heads[name] = read_head(stream, path)
    if not heads:
        raise UserError(f"{path.name} is not a scan: it is an archive without arrays in it.", "Unpack it first.")
    return heads


@contextmanager
def member(path: Path, archive: Archive | None, name: str) -> Generator[Stream]:
    """The bytes of one array, unpacked; refused where it announces more than can be in it."""
    if archive is None:
        with bounded.opened(path, packing="raw") as (stream, there, packing):
            head = read_head(stream, path)
            bounded.check_size(path, head.size_bytes, there, packing)
        with bounded.opened(path, packing="raw") as (stream, _, _):
            yield stream
        return
    one = archive.getinfo(f"{name}.npy")
    packing = {zipfile.ZIP_STORED: "raw", zipfile.ZIP_DEFLATED: "zlib"}.get(one.compress_type, "bzip2")
    with archive.open(one) as stream:
        head = read_head(cast("Stream", stream), path)
    bounded.check_size(path, head.size_bytes, one.compress_size, packing)
    if head.size_bytes > one.file_size:
        raise bounded.cut_short(path, f"its array {name!r} is larger than what is in it")
    with archive.open(one) as stream:
        yield cast("Stream", stream)
