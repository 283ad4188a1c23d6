"""Bare opening: unpack a ``.nii.gz`` with isal and nothing else."""

from pathlib import Path

from isal import igzip


def unpack(path: Path) -> bytes:
    """The bytes of the file, CRC checked by the library at the end."""
    with igzip.open(path, "rb") as file:
        return file.read()
