"""Which format a file has, found out by its first bytes, and who reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from thighview.core.errors import UserError
from thighview.core.volume import Volume
from thighview.io import metaimage, mgh, nifti, nrrd_in, numpy_in, tiff
from thighview.io.bounded import first_bytes

OPENS = "NIfTI, NRRD, MetaImage, MGH, TIFF and NumPy files and DICOM"
"""For people."""
HINT = "Open a NIfTI, NRRD, MetaImage, MGH, TIFF or NumPy file, or a folder of DICOM files."
_MOST_FIRST_BYTES = 1024


@dataclass(frozen=True)
class Format:
    """A format of single files.

    Parameters
    ----------
    starts : callable
        Whether a file of these first bytes, unpacked from gzip, is one.
    files_of : callable
        All files that the scan at a path lies in; the first is what it is known by.
    read : callable
        One scan of a file, by path and part.
    """

    starts: Callable[[bytes], bool]
    files_of: Callable[[Path], tuple[Path, ...]]
    read: Callable[[Path, str], Volume]


_NIFTI = Format(nifti.starts, nifti.files_of, nifti.read_nifti)
_FORMATS = (
    _NIFTI,
    Format(nrrd_in.starts, nrrd_in.files_of, nrrd_in.read_nrrd),
    Format(metaimage.starts, metaimage.files_of, metaimage.read_metaimage),
    Format(mgh.starts, mgh.files_of, mgh.read_mgh),
    Format(tiff.starts, tiff.files_of, tiff.read_tiff),
    Format(numpy_in.starts, numpy_in.files_of, numpy_in.read_numpy),
)


def format_of(path: Path) -> Format | None:
    """The format of a file; None where it is none of these.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    first = first_bytes(path, _MOST_FIRST_BYTES)
    if not first or nifti.is_image_half(path):  # packed and damaged, or with nothing in it to be known by
        return next((one for one in _FORMATS if first and one.starts(first)), _NIFTI)
    return next((one for one in _FORMATS if one.starts(first)), None)


def read_file(path: Path, part: str = "") -> Volume:
    """Read one scan of a file of any of these formats.

    Raises
    ------
    UserError
        When it is of none of them, or as its reader.
    """
    try:
        return _need_format(path).read(path, part)
    except MemoryError as error:
        raise UserError(f"{path.name} is too large for this computer's memory.", "Close other programs.") from error


def files_of(path: Path) -> tuple[Path, ...]:
    """All files that the scan at a path lies in, what it is known by first; raises what :func:`read_file` raises."""
    return _need_format(path).files_of(path)


def _need_format(path: Path) -> Format:
    try:
        found = format_of(path)
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror or error}.", "Check the path.") from error
    if found is None:
        raise UserError(f"{path.name} is not a scan that can be opened.", HINT)
    return found
