"""One DICOM file: known by its first bytes, refused where it grows beyond all measure, and read by the library."""

import functools
import zlib
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thighview.core.errors import UserError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MOST_INFLATED = 50 << 20
_MOST_META = 1 << 20
_CHUNK_BYTES = 1 << 20
_DEFLATED = b"1.2.840.10008.1.2.1.99"
COPY_AGAIN = "Copy the series again from the scanner or the archive."


class NoImageError(UserError):
    """A file is no image that can be opened; the message finishes the sentence ``it is ...``.

    ``facts`` is what is known of it.
    """

    def __init__(self, message: str, hint: str = "", facts: dict[str, str] | None = None) -> None:
        super().__init__(message, hint)
        self.facts = facts or {}


def damaged(what: str = "its header cannot be read") -> NoImageError:
    """What is said of a file that does not hold what it should."""
    return NoImageError(f"damaged: {what}", COPY_AGAIN)


def is_dicom(path: Path) -> bool:
    """Whether a file starts like DICOM, with or without its preamble; read, not guessed from the name."""
    with path.open("rb") as file:
        return looks_like_dicom(file.read(132))


def looks_like_dicom(start: bytes) -> bool:
    """The same of its first 132 bytes or more."""
    if start[128:132] == b"DICM":
        return True
    group, element = start[:2], start[2:4]  # no preamble: it begins with an element of group 2 or 8
    return (group in (b"\x02\0", b"\x08\0") and element[1:] == b"\0" and element[0] <= 0x18) or (
        group in (b"\0\x08", b"\0\x02") and element[:1] == b"\0" and element[1:] <= b"\x18"
    )


@functools.cache
def pydicom() -> Any:
    """pydicom, imported with the first DICOM file and told to take odd values as they are, without a warning."""
    import pydicom as library
    from pydicom import config

    config.settings.reading_validation_mode = config.IGNORE
    return library


def read_dataset(path: Path, tags: tuple[str, ...] = ()) -> "Dataset":
    """A whole file with its pixels, or only these elements of it.

    Raises
    ------
    NoImageError
        When it is damaged, or grows beyond all measure.
    """
    reader = pydicom()  # here: what goes wrong in loading it is no fault of the file's
    with path.open("rb") as file:
        check_start(file)
        try:
            dataset = reader.dcmread(file, force=True, specific_tags=list(tags) or None)
            for tag in tags:
                dataset.get(tag)  # decoded here and now, so that what cannot be decoded is found here
            return dataset
        except MemoryError:
            raise
        except Exception as error:
            raise damaged() from error


def check_start(file: BufferedReader) -> None:
    """Leave the file at its beginning, if it is none that grows beyond all measure."""
    start = file.read(1024)
    if start[132:136] == b"\x02\0\0\0":  # the length of the group in which the packing is named
        start += file.read(max(0, min(144 + int.from_bytes(start[140:144], "little"), _MOST_META) - len(start)))
    if _DEFLATED in start:
        _check_inflated(start, file)
    file.seek(0)


def _check_inflated(start: bytes, file: BufferedReader) -> None:
    """Refuse a deflated file that grows beyond all measure: it would fill the memory before anything of it is known.

    Its file meta group begins at byte 132 with its own length (PS3.10, 7.1); all after it is one deflate stream.
    """
    length = int.from_bytes(start[140:144], "little")
    if start[128:138] != b"DICM\x02\0\0\0UL" or 144 + length > len(start):
        raise damaged()
    file.seek(144 + length)
    inflate, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    try:
        while not inflate.eof and size <= _MOST_INFLATED:
            packed = inflate.unconsumed_tail or file.read(_CHUNK_BYTES)
            if not packed:
                break
            size += len(inflate.decompress(packed, _CHUNK_BYTES))
    except zlib.error as error:
        raise damaged("what is deflated in it cannot be inflated") from error
    if size > _MOST_INFLATED:
        raise NoImageError(
            f"a deflated file that inflates to more than {_MOST_INFLATED >> 20} MB", "Convert it with dcmconv first."
        )
