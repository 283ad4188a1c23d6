"""Reads many damaged copies of a DICOM file, in a child process with bounds like those of the program's own."""

import random
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from thighview.core.errors import UserError
from thighview.io import child
from thighview.io.dicom import read_dicom
from thighview.io.dicom_file import pydicom

SLOW_S = 2.0
MEMORY_BYTES = 600 << 20


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut out or put in, at a few places behind the preamble."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        at = rng.randrange(132, len(changed))
        kind = rng.randrange(10)
        if kind < 5:
            changed[at] = rng.randrange(256)
        elif kind < 7:
            changed[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f"])
        elif kind < 8:
            del changed[at : at + rng.randrange(1, 9)]
        elif kind < 9:
            changed[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
        else:
            del changed[at:]
        if len(changed) < 140:
            break
    return bytes(changed)


def body(connection: Connection, folder: str, name: str, first: int, count: int) -> None:
    """Body of a child: how many damaged copies of a file were refused and opened, what else happened, the slow ones.

    The seed of each is told before it is read, so that who waits knows what a child died of.
    """
    child.die_with_parent()
    child.stay_quiet()
    pydicom()  # its libraries are there before the bound is
    child.bound(MEMORY_BYTES, 3600)
    data = (Path(folder) / name).read_bytes()
    path = Path(folder) / f"mutant of {name}" / "one"
    path.parent.mkdir(exist_ok=True)
    found: dict[str, Any] = {"refused": 0, "opened": 0, "wrong": [], "slow": []}
    for seed in range(first, first + count):
        child.send(connection, {"progress": [seed, count]})
        path.write_bytes(mutated(data, random.Random(seed)))
        began = time.perf_counter()
        try:
            found["opened"] += read_dicom(path).voxels.size > 0
        except UserError as error:
            found["refused"] += 1
            if not error.message or "\n" in str(error):
                found["wrong"].append(f"{seed}: {error!r}")
        except MemoryError:
            found["refused"] += 1
        except Exception as error:  # noqa: BLE001 - it is what is looked for
            found["wrong"].append(f"{seed}: {type(error).__name__}: {error}")
        if time.perf_counter() - began > SLOW_S:
            found["slow"].append(seed)
    child.send(connection, {"result": found, "arrays": []})
