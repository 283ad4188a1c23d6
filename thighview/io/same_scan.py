"""Whether two cases are of one scan, by what projects have stored of them; no file is read but to follow links."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thighview.core.scan_key import SERIES_PART, ScanKey


@dataclass(frozen=True, eq=False)
class StoredScan:
    """What a project knows of the reference image of a case.

    Parameters
    ----------
    key : ScanKey
    sha256 : str
        Empty while not worked out.
    shape : tuple of int
        Voxels (z, y, x).
    affine : ndarray of float64, shape (4, 4)
        From (z, y, x, 1) to LPS mm.
    """

    key: ScanKey
    sha256: str
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def same_grid(self, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> bool:
        """Whether it lies on these voxels."""
        return self.shape == shape and np.allclose(self.affine, affine, atol=1e-3)


def same_scan(one: StoredScan, other: StoredScan) -> bool | None:
    """Whether they are the same scan; None where that cannot be told before a hash is worked out.

    Two hashes decide; copies in two places are two scans. Without them, one grid in one place may be one scan.
    """
    if not _same_place(one.key, other.key):
        return False
    if one.sha256 and other.sha256:
        return one.sha256 == other.sha256
    if one.key.by_qform != other.key.by_qform:  # one scan lies in two places then
        return None
    if not other.same_grid(one.shape, one.affine):
        return False
    if one.key.volume_part and other.key.volume_part:
        return one.key.volume_part == other.key.volume_part
    return True if one.key == other.key or same_file(one.key.path, other.key.path) else None


def is_series(part: str) -> bool:
    """Whether a part may be that of a DICOM series; before they were told apart they had none."""
    return not part or part.startswith(SERIES_PART)


def is_near(path: Path, found: Path, files: Collection[Path] = ()) -> bool:
    """Whether a case lies where a series was found, in a folder above or below that, or at one of its files."""
    if path.is_relative_to(found) or found.is_relative_to(path) or path in files:
        return True
    return path.name == found.name and same_file(path, found)


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder that is there."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _same_place(one: ScanKey, other: ScanKey) -> bool:
    alike = one.volume_part == other.volume_part or (is_series(one.part) and is_series(other.part))
    return alike and (is_near(one.path, other.path) or same_file(one.path, other.path))
