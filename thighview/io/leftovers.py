"""Half-written files and folders: named so that whoever comes later can tell whose they are, and swept when he is gone.

A hidden name ends in a mark of the process that writes it. A process that is killed leaves it behind; the next one that
writes into the same folder takes it away.
"""

import contextlib
import os
import platform
import re
import secrets
import shutil
import zlib
from functools import lru_cache
from pathlib import Path

from thighview.io.locks import process_started

_LEFT = re.compile(r"\..*\.(\d+)-([0-9a-f]{8})-([0-9a-f]{8})-[0-9a-f]{8}\.(?:tmp|part|new)", re.DOTALL)
_NAME_BYTES = 150
"""Of a name that is kept: with mark and ending it stays below the 255 that file systems allow."""


def hidden(path: Path, ending: str) -> Path:
    """A new hidden name beside ``path`` for what is being written; ``ending`` is ``tmp``, ``part`` or ``new``."""
    name = path.name.encode(errors="replace")[:_NAME_BYTES].decode(errors="ignore")
    return path.with_name(f".{name}.{_mark(os.getpid())}-{secrets.token_hex(4)}.{ending}")


def sweep(folder: Path) -> list[Path]:
    """Take away what processes that are gone have left half-written in a folder; gives back what went.

    What a living process writes stays, and so does what may belong to one on another computer.
    """
    swept: list[Path] = []
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            named = _LEFT.fullmatch(path.name)
            if named and named[2] == _crc(platform.node()) and _crc(process_started(int(named[1]))) != named[3]:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    with contextlib.suppress(OSError):
                        path.unlink()
                swept.append(path)
    return swept


@lru_cache(maxsize=1)
def _mark(pid: int) -> str:
    """Process, computer and moment of its start: a process that got the same number later has another mark."""
    return f"{pid}-{_crc(platform.node())}-{_crc(process_started(pid))}"


def _crc(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
