"""An array of numbers somewhere in a file, as the header of any format describes it, read as a scan."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.volume import Volume
from thighview.io import bounded, numbers, parts
from thighview.io.names import stem
from thighview.io.positions import unsure


@dataclass(frozen=True)
class StoredArray:
    """Where the numbers of one scan or several lie in a file, and where the voxels lie in the patient.

    Parameters
    ----------
    format : str
        Its name, for people.
    data : Path
        The file with the numbers.
    start : int
        The byte at which they, or what is packed, begin there.
    packing : str
        One of ``bounded.MOST_GAINS``.
    shape : tuple of int
        Of the whole array, slowest axis first.
    dtype : dtype
        Of the numbers, with their byte order.
    along : int, optional
        The axis along which there are several scans; None where there is none.
    affine : ndarray of float64, shape (4, 4)
        From (z, y, x, 1) to LPS mm.
    position_from : str
        What in the file gave it; ``nothing`` where it does not say.
    warnings : tuple of str
        Doubts about it.
    skipped : int
        Unpacked bytes before the first number.
    footer_bytes : int
        How much may follow the last number without a word.
    """

    format: str
    data: Path
    start: int
    packing: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    along: int | None
    affine: NDArray[np.float64]
    position_from: str
    warnings: tuple[str, ...] = ()
    skipped: int = 0
    footer_bytes: int = 0

    @property
    def scans(self) -> int:
        """How many scans there are."""
        return 1 if self.along is None else self.shape[self.along]

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        """Of each scan; axes that are not there have one slice."""
        space = [n for axis, n in enumerate(self.shape) if axis != self.along]
        z, y, x = [1] * (3 - len(space)) + space
        return (z, y, x)

    def files(self, path: Path) -> tuple[Path, ...]:
        """All that a scan at this path lies in, what it is known by first."""
        return (path,) if self.data == path else (path, self.data)


def read_stored(path: Path, array: StoredArray, part: str, kind: str) -> Volume:
    """Read one scan of a file to its last byte, so that damage is found.

    Parameters
    ----------
    path : Path
        What it is known by.
    part : str
        Which of several: its number from 1.
    kind : str
        ``Volume.kind``.

    Raises
    ------
    SeveralScansError
        When there are several and none is named.
    UserError
        When the file is damaged, too large for the memory, or has no such part.
    """
    with bounded.opened(array.data, array.start, array.packing) as (stream, there, packing):
        wanted = array.skipped + math.prod(array.shape) * array.dtype.itemsize
        bounded.check_size(array.data, wanted, there, packing)
        chosen = parts.choose(path, part, parts.volumes(path, array.scans, array.shape_zyx[0]))
        bounded.skip(stream, array.skipped, array.data)
        stored, left = bounded.take(stream, array.shape, array.dtype, array.along, chosen, array.data)
        trailing = bounded.drain(stream, left, array.data, array.footer_bytes)
    voxels = numbers.narrowed(stored.reshape(array.shape_zyx), path.name)
    details = {"Format": array.format, "Stored numbers": array.dtype.name, "Position from": array.position_from}
    name = stem(path)
    if array.scans > 1:
        details["Volume"] = f"{chosen + 1} of {array.scans}"
        name = f"{name}, volume {chosen + 1}"
    said = bounded.trailing_words(trailing) if trailing > array.footer_bytes else []
    warnings = (*array.warnings, *said, *numbers.odd_words(voxels))
    doubtful = unsure(array.position_from, warnings)
    return Volume(voxels, array.affine, name, kind, warnings, details, unsure=doubtful)
