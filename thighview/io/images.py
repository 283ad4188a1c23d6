"""Scans and probability maps, written as NIfTI on a volume's own grid."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from isal import igzip
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.volume import Volume
from thighview.io.atomic import read_back_differs, write_atomic
from thighview.io.nifti import read_nifti
from thighview.io.nifti_header import build_header

_KINDS = ("uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")


def write_volume(path: Path, volume: Volume, checked: bool = False) -> None:
    """Write a scan as ``.nii`` or ``.nii.gz``: its numbers and its position, and no word of its source's header.

    Number types that NIfTI readers seldom know become the next wider one they do. Where it is ``checked``, the file is
    read again and compared before it takes its place.
    """
    voxels = volume.voxels
    if voxels.dtype.name not in _KINDS:
        known = {"bool": "uint8", "int8": "int16", "float16": "float32"}
        voxels = voxels.astype(known.get(voxels.dtype.name, "float64"))

    def check(temporary: Path) -> None:
        back = read_nifti(temporary)
        same = np.array_equal(back.voxels, voxels, equal_nan=voxels.dtype.kind == "f")
        if not (same and back.placed_as(volume).same_grid(volume, 1e-3)):
            raise read_back_differs(path)

    write = partial(_write, path=path, volume=volume, dtype=voxels.dtype, channels=0, parts=[voxels])
    write_atomic(path, write, check if checked else None)


def write_probabilities(path: Path, probabilities: NDArray[np.float32], volume: Volume) -> None:
    """Write probabilities as 4-D float32, the label last in the file, background first.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (z, y, x, labels)
        On the voxels of ``volume``.
    """
    count = probabilities.shape[-1]
    maps = (probabilities[..., k] for k in range(count))
    write_atomic(path, lambda file: _write(file, path, volume, np.dtype(np.float32), count, maps))


def check_ending(path: Path) -> None:
    """Refuse an output name that is not that of a NIfTI file."""
    if not path.name.lower().endswith((".nii", ".nii.gz")) or path.name.lower() in (".nii", ".nii.gz"):
        raise UserError(f"Expected a name that ends in .nii.gz or .nii, found {path.name!r}.", "Rename the output.")


def _write(
    file: BinaryIO,
    path: Path,
    volume: Volume,
    dtype: np.dtype[np.generic],
    channels: int,
    parts: Iterable[NDArray[np.generic]],
) -> None:
    header = build_header(volume, dtype, channels)
    if path.name.lower().endswith(".gz"):
        with igzip.IGzipFile(fileobj=file, filename="", mode="wb", compresslevel=1, mtime=0) as packed:
            _write_plain(packed, header, dtype, parts)
    else:
        _write_plain(file, header, dtype, parts)


def _write_plain(
    file: BinaryIO | igzip.IGzipFile,
    header: bytes,
    dtype: np.dtype[np.generic],
    parts: Iterable[NDArray[np.generic]],
) -> None:
    file.write(header)
    for part in parts:
        file.write(np.ascontiguousarray(part, dtype.newbyteorder("<")).tobytes())
