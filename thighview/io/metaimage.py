"""MetaImage files: ``.mha`` with header and voxels in one, ``.mhd`` with the voxels in a file beside it."""

from pathlib import Path

from thighview.core.volume import Volume
from thighview.io.metaimage_header import read_header, starts
from thighview.io.stored_array import read_stored

__all__ = ["files_of", "read_metaimage", "starts"]


def files_of(path: Path) -> tuple[Path, ...]:
    """The file, and the one with its voxels where that is another; raises what :func:`read_metaimage` raises."""
    return read_header(path, layered=True).files(path)


def read_metaimage(path: Path, part: str = "") -> Volume:
    """Read one scan of a MetaImage file, to its last byte, so that damage is found.

    Parameters
    ----------
    path : Path
        ``.mha`` or ``.mhd``.
    part : str
        Which of several: its number from 1.

    Raises
    ------
    SeveralScansError
        When the file holds several scans and none is named.
    UserError
        When it is damaged, too large for the memory, no scan, or has no such part.
    """
    return read_stored(path, read_header(path, layered=bool(part)), part, "metaimage")
