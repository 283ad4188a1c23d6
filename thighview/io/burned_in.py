"""The gate before pixels leave under a study key: may there be a name in the picture itself, and how is that seen?"""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.io.dicom_header import text_of
from thighview.io.dicom_source import SourceImages, images_at, values_of
from thighview.io.export_wish import ExportWish, chosen_cases
from thighview.io.project import CaseSummary, Project
from thighview.io.reading import is_gone
from thighview.io.stored_case import read_stored_case

_DOUBTFUL = {"OT": "other", "SC": "secondary capture", "US": "ultrasound"}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_OF_A_SCREEN = ("SCREEN", "CAPTURE")
"""Words by which ImageType tells that an image was taken of a screen (``SCREEN SAVE``, for one)."""
_DRAWINGS = (".tif", ".tiff")
"""Endings of a format of pictures of any kind, which has no place to say what stands in them."""
_PICTURE_PX = 384
"""Longer edge of the pictures a person looks at, at most."""
_AROUND_BLOCKS = 5
"""How wide is what counts as around a pixel of these pictures, in such pixels."""


@dataclass(frozen=True)
class Doubt:
    """A case into whose pictures text may be burned, and why."""

    case_id: int
    title: str
    path: Path
    reason: str


def burned_in_doubt(source: SourceImages) -> str:
    """Why text may be burned into the images of a series, one sentence; empty where they say that none is.

    A header that says ``NO`` is believed. One that says nothing is believed for what a scanner measured, not for
    what was taken of a screen, ultrasound and images made of others.
    """
    for image in source.images:
        header = image.whole
        said = text_of(header, "BurnedInAnnotation").upper()
        if said == "NO":
            continue
        where = f"Slice {image.index + 1}"
        if said == "YES":
            return f"{where} says of itself that text is burned into the picture (BurnedInAnnotation YES)."
        if said:
            return f"{where} does not say clearly whether text is burned into the picture."
        modality = text_of(header, "Modality").upper()
        if modality in _DOUBTFUL or not modality:
            kind = f"of the modality {modality} ({_DOUBTFUL[modality]})" if modality else "of no modality"
            return f"{where} is {kind} and does not say whether text is burned into the picture."
        if text_of(header, "SOPClassUID").startswith(_SECONDARY_CAPTURE):
            return f"{where} is a secondary capture and does not say whether text is burned into the picture."
        kinds = [[word.upper() for word in values_of(one, "ImageType")] for one in (header, image.flat)]
        if any("SECONDARY" in kind[1:2] for kind in kinds):
            return f"{where} is a secondary image (ImageType SECONDARY) that does not say whether text is burned in."
        if any(word in value for kind in kinds for value in kind for word in _OF_A_SCREEN):
            return f"{where} was taken of a screen (ImageType) and does not say whether text is burned in."
    return ""


def burned_in_doubts(project: Project, wish: ExportWish) -> list[Doubt]:
    """The cases of a wish whose pictures a person must look at before their pixels leave under a study key.

    One that cannot be read is none of them: it is refused when its turn comes.
    """
    doubts: list[Doubt] = []
    for case in chosen_cases(project, wish):
        with suppress(UserError):
            if reason := doubt_of(case, wish):
                doubts.append(Doubt(case.case_id, case.title, case.path, reason))
    return doubts


def doubt_of(case: CaseSummary, wish: ExportWish) -> str:
    """Why a person must look at the pictures of a case first; empty where they need not, or have."""
    if not (wish.deidentify and wish.carries_pixels) or wish.has_looked_at(case.case_id) or is_gone(case.path):
        return ""
    if case.path.name.lower().endswith(_DRAWINGS):
        return "It is a TIFF, which has no place to say whether text is burned into the picture."
    return burned_in_doubt(images_at(*case.key, case.sha256))


def need_looks(doubts: Sequence[Doubt]) -> None:
    """Refuse an export while there are doubts."""
    if doubts:
        more = f" So may {len(doubts) - 1} more." if len(doubts) > 1 else ""
        raise UserError(
            f"A name may stand in the pictures of {doubts[0].title}: {doubts[0].reason}{more} Nothing was written.",
            "Look at every slice; where there is none, export with --burned-in-checked.",
        )


# ------------------------------------------------------------------ for the window


def pictures_for_window(
    folder: str, wish: dict[str, Any], report: Callable[[int, int], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """:func:`burned_in_doubts` for a child process, with the slices of each doubtful case as 8-bit pictures."""
    pictures: dict[str, Any] = {}
    with closing(Project.open(Path(folder), writable=False)) as project:
        doubts = burned_in_doubts(project, ExportWish.from_json(wish))
        for done, doubt in enumerate(doubts):
            report(done, len(doubts))
            pictures[str(doubt.case_id)] = _pictures(read_stored_case(project, doubt.case_id).volume.voxels)
    rows = [{"case_id": doubt.case_id, "title": doubt.title, "reason": doubt.reason} for doubt in doubts]
    return {"doubts": rows}, pictures


def _pictures(voxels: NDArray[Any]) -> NDArray[np.uint8]:
    """All of a stack from its darkest to its brightest, in which also faint text can be seen; at most so large."""
    step = -(-max(voxels.shape[1:]) // _PICTURE_PX)
    values, greys = _greys(voxels)
    shown = np.empty((len(voxels), *(-(-size // step) for size in voxels.shape[1:])), np.uint8)
    for index, plane in enumerate(voxels):
        shown[index] = _pooled(255 * np.sqrt(np.interp(plane, values, greys)), step)
    return shown


def _greys(voxels: NDArray[Any]) -> tuple[list[float], list[float]]:
    """Values and how bright each is shown, 0 to 1: nearly all for most of a stack, a rest for what is beyond it.

    Letters are few pixels, and often darker or brighter than all else: they must not look like what they stand on.
    """
    low, high = (float(value) for value in np.percentile(voxels[:, ::4, ::4], (0.5, 99.5)))
    shown = {low: 0.01, high: 0.85} if low < high else {low: 0.25}
    shown |= {float(voxels.min()): 0.0, float(voxels.max()): 1.0}
    return sorted(shown), [shown[value] for value in sorted(shown)]


def _pooled(plane: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """Of the pixels that become one, that which differs most from what is around: thin letters, bright or dark, stay.

    What is around is more than the block itself, half of which may be letter.
    """
    from scipy.ndimage import uniform_filter

    if step == 1:
        return plane
    whole = np.pad(plane, tuple((0, -size % step) for size in plane.shape), mode="edge")  # text stands at the edges
    blocks = whole.reshape(whole.shape[0] // step, step, whole.shape[1] // step, step)
    brightest, darkest = blocks.max(axis=(1, 3)), blocks.min(axis=(1, 3))
    around = uniform_filter(blocks.mean(axis=(1, 3)), _AROUND_BLOCKS, mode="mirror")
    return np.where(brightest - around >= around - darkest, brightest, darkest)
