"""What is doubtful about where a file says its voxels lie; said alike whatever its format."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from thighview.core.volume import SIDES_NOT_KNOWN

NOT_KNOWN = f"{SIDES_NOT_KNOWN}."
SPACING_NOT_KNOWN = "The spacing of this file is not given: 1 mm was put in; lengths are wrong."
_LEAST_MM, _MOST_MM = 0.01, 200.0
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
    """What of a volume is not known: ``orientation`` where nothing gave a position, ``spacing`` where it is 1 mm."""
    found = {"orientation"} if position_from == "nothing" else set[str]()
    return frozenset(found | {"spacing"} if SPACING_NOT_KNOWN in warnings else found)


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
    if spacing.min() < _LEAST_MM or spacing.max() > _MOST_MM:
        odd = spacing.min() if spacing.min() < _LEAST_MM else spacing.max()
        said.append(f"This file says that voxels lie {odd:.3g} mm apart, which is hardly so: lengths may be wrong.")
    return said
