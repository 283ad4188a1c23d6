"""NRRD files: header and voxels in one, or the voxels in a file of their own beside it."""

from pathlib import Path

from thighview.core.volume import Volume
from thighview.io.nrrd_header import read_header
from thighview.io.stored_array import read_stored


def starts(first: bytes) -> bool:
    """Whether these are the first bytes of an NRRD file."""
    return first.startswith(b"NRRD000")


def files_of(path: Path) -> tuple[Path, ...]:
    """The file, and the one with its voxels where that is another; raises what :func:`read_nrrd` raises."""
    return read_header(path, layered=True).files(path)


def read_nrrd(path: Path, part: str = "") -> Volume:
    """Read one scan of an NRRD file, to its last byte, so that damage is found.

    Parameters
    ----------
    path : Path
        ``.nrrd``, or the ``.nhdr`` of a pair.
    part : str
        Which of several along an axis that is none of space: its number from 1.

    Raises
    ------
    SeveralScansError
        When the file holds several scans and none is named.
    UserError
        When it is damaged, too large for the memory, no scan, or has no such part.
    """
    return read_stored(path, read_header(path, layered=bool(part)), part, "nrrd")
