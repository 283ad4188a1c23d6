"""Images of a case read, put in their place and compared; away from the window's thread."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thighview.app import opening
from thighview.app.jobs import Report
from thighview.core.case import Series
from thighview.core.errors import UserError
from thighview.core.known import by_other_position, need_lengths
from thighview.core.onto_grid import measured_on, onto_grid, overlap
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume

COMPUTED = -1
"""``series_id`` of the fat fraction."""
_LAID = "Neither this image nor the scan says where it lies: voxel was laid on voxel."


@dataclass(frozen=True)
class PlacedImage:
    """A scan as it was read, its image in its place, its hash, and the image on the grid of the case.

    It covers ``share`` of that.

    ``measured`` as in :class:`Series`.
    """

    scan: opening.Scan
    volume: Volume
    sha256: str
    on_grid: Volume
    measured: NDArray[np.bool_] | None
    share: float

    def into(self, series: Series) -> Series:
        """The series with this image."""
        return replace(series, volume=self.volume, on_grid=self.on_grid, measured=self.measured, problem="")


def read_placed(
    key: ScanKey, known_sha256: str, first: Series, reference: Volume, report: Report, stopped: Callable[[], bool]
) -> PlacedImage:
    """Read a scan and put it on the grid of a case.

    Parameters
    ----------
    key, known_sha256
        The scan, as of ``reading.read_source``.
    first, reference : Series, Volume
        The reference of the case, and its image.

    Raises
    ------
    UserError
        When it cannot be read, is of another patient, shows another place, or cannot be put in its place.
    """
    from thighview.io import reading

    scan = opening.read_scan(*key, known_sha256, report, stopped)
    if scan.patient_id and (ours := reading.patient_id(*first.key, first.sha256)) and ours != scan.patient_id:
        raise UserError(f"{key.name} is of another patient than the open scan.", "Open it as a case of its own.")
    volume = scan.volume
    if volume.other_affine is not None and first.key.by_qform != key.by_qform:
        volume = by_other_position(volume, first.key.by_qform)  # as a person has chosen for the scan
    volume = volume.placed_as(reference)
    if "orientation" in volume.unsure | reference.unsure:
        if volume.shape != reference.shape or "orientation" not in volume.unsure & reference.unsure:
            raise UserError(
                f"{key.name} cannot be put in place: of one of the two it is not known how it lies in the patient.",
                "Images of one case must say where they lie.",
            )
        volume = replace(volume, affine=reference.affine, warnings=(*volume.warnings, _LAID))
    else:
        need_lengths(volume)
    share = overlap(volume, reference)
    if share == 0:
        raise UserError(
            f"{key.name} shows another place: it and the open scan have nothing in common.",
            "Images of one case are of one visit and one part of the body; open it as a case of its own.",
        )
    sha256 = scan.sha256 or reading.sha256_of(*scan.key, stopped=stopped)
    return PlacedImage(scan, volume, sha256, onto_grid(volume, reference), measured_on(volume, reference), share)


@dataclass(frozen=True)
class Compared:
    """What was made of a water and a fat image: their fat fraction, doubts about them, and their voxels.

    The voxels are 0 in both where one of the two, or the scan itself, was not measured.
    """

    fraction: Series
    doubts: tuple[str, ...]
    dixon: tuple[NDArray[np.generic], NDArray[np.generic]]


def compare(water: Series, fat: Series, reference: Volume) -> Compared:
    """Compare a water and a fat image of a case, both on its grid."""
    from thighview.core.dixon_check import sentences
    from thighview.core.fat_fraction import fat_fraction_percent, is_dark

    images = [one.on_grid or reference for one in (water, fat)]
    unmeasured = np.zeros(reference.shape, bool)
    for one in (water, fat):
        if one.measured is not None:
            unmeasured |= ~one.measured
    unmeasured[list(reference.missing)] = True
    if unmeasured.any():
        images = [replace(image, voxels=np.where(unmeasured, 0, image.voxels)) for image in images]
    doubts = sentences(images[0], images[1])
    if left_out := float(unmeasured.mean()):
        doubts += (f"Fat fractions leave out {100 * left_out:.2g} % of the scan, where water or fat was not measured.",)
    w, f = (image.voxels for image in images)
    shown = fat_fraction_percent(w, f)
    shown[is_dark(w, f)] = 0  # of noise the fraction is anything: a picture of it would hide the body
    percent = replace(reference, voxels=shown, name="Fat fraction, %", warnings=(), details={}, missing=())
    return Compared(Series(COMPUTED, "fat_fraction", Path(), "", percent, on_grid=percent), doubts, (w, f))
