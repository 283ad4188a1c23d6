"""What is doubtful about where a file says its voxels lie; said alike whatever its format."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from thighview.core.known import LENGTHS_NOT_KNOWN, SIDES_NOT_KNOWN

NOT_KNOWN = f"{SIDES_NOT_KNOWN}."
SPACING_NOT_KNOWN = f"This file does not tell the spacing of its voxels: 1 mm was put in, {LENGTHS_NOT_KNOWN}."
_LEAST_MM, _MOST_MM = 0.01, 100.0
_SHEARED_DEGREES = 0.5


def affine_of(steps: NDArray[np.float64], origin: NDArray[np.float64]) -> NDArray[np.float64]:
    """(z, y, x, 1) to LPS mm, from the steps along x, y and z (columns, mm) and the place of the first voxel."""
    affine = np.eye(4)
    affine[:3, :3] = steps[:, ::-1]
    affine[:3, 3] = origin
    return affine


def unknown(spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """The matrix where nothing but the spacing along (z, y, x) is known: shown as it is stored, axial."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = spacing_mm
    affine[3, 3] = 1.0
    return affine


def unsure(position_from: str, warnings: Iterable[str]) -> frozenset[str]:
    """What is not known of a volume: ``orientation`` if nothing gave a position, ``spacing`` if a warning says so."""
    found = {"orientation"} if position_from == "nothing" else set[str]()
    return frozenset(found | {"spacing"} if any(LENGTHS_NOT_KNOWN in said for said in warnings) else found)


def is_transform(matrix: NDArray[np.float64]) -> bool:
    """Whether it has finite numbers and three axes that do not fall together."""
    return bool(np.isfinite(matrix).all()) and 1e-12 < abs(float(np.linalg.det(matrix[:3, :3]))) < 1e12


def doubts(affine: NDArray[np.float64]) -> list[str]:
    """Sentences about a matrix to mm that cannot quite be: axes not at right angles, spacings of no scanner."""
    said: list[str] = []
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = (affine[:3, :3] / spacing).T @ (affine[:3, :3] / spacing)
    lean = float(np.degrees(np.arcsin(min(1.0, np.abs(cosines - np.diag(np.diag(cosines))).max()))))
    if lean > _SHEARED_DEGREES:
        said.append(
            f"The axes of this scan are not at right angles (off by {lean:.1f} degrees): the pictures are slanted, "
            "areas and lengths in them are not exact."
        )
    return said + odd_spacing(spacing)


def odd_spacing(spacing_mm: NDArray[np.float64]) -> list[str]:
    """A sentence about a spacing that no scanner has; mostly none."""
    odd = [mm for mm in spacing_mm.tolist() if not _LEAST_MM <= mm <= _MOST_MM]
    return [
        f"This file says that voxels lie {mm:.3g} mm apart, which is hardly so: {LENGTHS_NOT_KNOWN}." for mm in odd[:1]
    ]
