"""A scan: voxels in stored order and where they lie in the patient."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError

LETTERS = (("L", "R"), ("P", "A"), ("S", "I"))
"""Letters of the LPS axes: towards +, towards -."""


@dataclass(frozen=True, eq=False)
class Volume:
    """One 3-D image, never re-oriented.

    Parameters
    ----------
    voxels : ndarray, shape (z, y, x)
        Intensities in the stored index order reversed (NIfTI k, j, i; DICOM slice, row, column), C-contiguous,
        scaled to true numbers (scl_slope and rescale applied where they are not 1 and 0).
    affine : ndarray of float64, shape (4, 4)
        Maps (z, y, x, 1) to LPS millimetres.
    name : str
        Name to show, never a patient's name.
    kind : str
        ``"nifti"``, ``"dicom"``, ``"phantom"``, ...
    warnings : tuple of str
        Doubts about geometry or numbers, one sentence each.
    details : dict
        Facts for the information panel, plain strings.
    file_geometry : bytes
        The position of the file in its own format, opaque: a mask carries the very same back. Empty without one.
    unsure : frozenset of str
        What the source does not say and was put in: ``"orientation"`` (which side is left), ``"spacing"``;
        see :mod:`thighview.core.known`.
    frame_uid, series_uid : str
        Frame of reference and series of a DICOM scan, by which a segmentation names what it was drawn on; never shown,
        never kept. Empty for any other.
    missing : tuple of int
        Slices of the stored slice axis that are not in the files: nothing measured stands there.
    other_affine : ndarray of float64, shape (4, 4), or None
        Like ``affine``, by the other of two positions that the source gives, where they differ.
    """

    voxels: NDArray[np.generic]
    affine: NDArray[np.float64]
    name: str = ""
    kind: str = ""
    warnings: tuple[str, ...] = ()
    details: dict[str, str] = field(default_factory=dict)
    file_geometry: bytes = b""
    unsure: frozenset[str] = frozenset()
    frame_uid: str = ""
    series_uid: str = ""
    missing: tuple[int, ...] = ()
    other_affine: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or 0 in self.voxels.shape:
            raise UserError(f"Expected a 3-D image, found the shape {self.voxels.shape}.", "Choose a single volume.")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise UserError("The position of this scan in space is not given by a finite 4x4 matrix.")
        with np.errstate(divide="ignore", invalid="ignore"):
            size_mm3 = abs(float(np.linalg.det(self.affine[:3, :3])))
        if not size_mm3 >= 1e-9:
            raise UserError("The axes of this scan fall together (singular affine).", "Repair its header first.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxel counts (z, y, x)."""
        z, y, x = self.voxels.shape
        return (z, y, x)

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along (z, y, x), mm."""
        z, y, x = np.linalg.norm(self.affine[:3, :3], axis=0)
        return (float(z), float(y), float(x))

    @cached_property
    def axes(self) -> str:
        """Three letters in (z, y, x) order, each the patient direction (L R P A S I) in which the index grows."""
        world = self.world_axes
        return "".join(LETTERS[world[i]][0 if self.affine[world[i], i] > 0 else 1] for i in range(3))

    @cached_property
    def world_axes(self) -> tuple[int, int, int]:
        """For each array axis (z, y, x) the LPS axis (0 = L, 1 = P, 2 = S) nearest to it, each used once."""
        direction = np.abs(self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0))
        best: tuple[float, tuple[int, int, int]] = (-1.0, (0, 1, 2))
        for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
            score = float(sum(direction[order[i], i] for i in range(3)))
            if score > best[0] + 1e-9:
                best = (score, order)
        return best[1]

    @property
    def axial_axis(self) -> int:
        """The array axis nearest to head-foot: slices across it are the axial ones."""
        return self.world_axes.index(2)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel, millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def to_world(self, index: NDArray[np.floating] | tuple[float, float, float]) -> NDArray[np.float64]:
        """LPS millimetres of voxel indices (z, y, x); shape (..., 3) in and out. Integers are voxel centres."""
        at = np.asarray(index, np.float64)
        return at @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, point: NDArray[np.floating] | tuple[float, float, float]) -> NDArray[np.float64]:
        """Voxel indices (z, y, x) of LPS millimetres; shape (..., 3) in and out."""
        at = np.asarray(point, np.float64) - self.affine[:3, 3]
        return at @ np.linalg.inv(self.affine[:3, :3]).T

    def placed_as(self, scan: "Volume") -> "Volume":
        """This volume on the scan's voxels, if it lies on them by the scan's other position.

        Whatever was drawn on or measured with those voxels may say either of the two.
        """
        if scan.other_affine is None or not self.same_grid(replace(scan, affine=scan.other_affine)):
            return self
        return replace(self, affine=scan.affine, other_affine=scan.other_affine)

    def same_grid(self, other: "Volume", tolerance_mm: float = 1e-2) -> bool:
        """Whether both volumes have the same shape and the same corners to ``tolerance_mm``."""
        if self.shape != other.shape:
            return False
        corners = np.array(
            [[z, y, x] for z in (0, self.shape[0]) for y in (0, self.shape[1]) for x in (0, self.shape[2])]
        )
        return bool(np.abs(self.to_world(corners) - other.to_world(corners)).max() < tolerance_mm)
