"""The words in the header of a NIfTI file, counted by field: none of them leaves in an export."""

import gzip
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from thighview.io.nifti_header import header_size

_FIELDS = ("descrip", "aux_file", "db_name", "intent_name", "data_type")
_MOST_BYTES = 16 << 20


def count_words(path: Path) -> Counter[str]:
    """Which text fields of a file's header hold something, and how many extensions follow it; empty for other files."""
    found: Counter[str] = Counter()
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            start = file.read(4)
            size = header_size(start)
            if not size:
                return found
            header = _header(start + file.read(size - 4), size, big=int.from_bytes(start, "big") == size)
            names = set(header.keys())
            for name in _FIELDS:
                if name in names and bytes(header[name].tobytes()).strip(b"\0 "):
                    found[f"NIfTI {name}"] += 1
            rest = file.read(min(max(int(header["vox_offset"]) - size, 0), _MOST_BYTES))
            if rest[:1] not in (b"", b"\0"):
                found["NIfTI extensions"] += 1
    except (OSError, EOFError, ValueError, OverflowError, zlib.error):
        found["NIfTI header that cannot be read"] += 1
    return found


def _header(data: bytes, size: int, big: bool) -> Any:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    return (Nifti1Header if size == 348 else Nifti2Header)(data, ">" if big else "<", check=False)
