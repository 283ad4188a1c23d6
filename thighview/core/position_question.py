"""What a person is asked, once, about where a scan lies and how large it is; the answer is kept with its case."""

from dataclasses import dataclass, replace

import numpy as np

from thighview.core.case import Case
from thighview.core.known import LENGTHS_NOT_KNOWN, SIDES_NOT_KNOWN, TWO_POSITIONS
from thighview.core.scan_key import QFORM
from thighview.core.volume import Volume

CHECKED = "checked"
_SWAPPED = {"LR": "left and right", "AP": "front and back", "IS": "head and feet"}


@dataclass(frozen=True)
class PositionQuestion:
    """What is asked, the doubts that an answer settles, and the answers.

    Parameters
    ----------
    text : str
        A sentence or two.
    doubts : tuple of str
        Of the scan; looked into once it is answered.
    answers : tuple of (str, str)
        Words of each, and what it means: ``checked``, it is as it is shown; ``qform``, the scan lies by the qform of
        its file.
    """

    text: str
    doubts: tuple[str, ...]
    answers: tuple[tuple[str, str], ...]


def position_question(case: Case) -> PositionQuestion | None:
    """The first thing to be asked of a case; None where all is known or has been answered."""
    volume = case.volume
    if volume.other_affine is not None and (doubts := _open(case, TWO_POSITIONS)):
        text = f"The file gives two positions. The sform is shown; by the qform {_change(volume)}. Which is right?"
        return PositionQuestion(text, doubts, (("The sform, as shown", CHECKED), ("The qform", QFORM)))
    if not case.is_sized:
        doubts = _open(case, LENGTHS_NOT_KNOWN)
        text = f"{doubts[0] if doubts else 'Lengths are not known.'} This scan can only be looked at."
        z, y, x = volume.spacing_mm
        return PositionQuestion(text, doubts, ((f"{x:.3g} × {y:.3g} × {z:.3g} mm is right", CHECKED),))
    if not case.is_placed:
        text = (
            "The file does not say how the scan lies. Are left and right, front and back where they belong in the "
            "axial picture?"
        )
        return PositionQuestion(text, _open(case, SIDES_NOT_KNOWN), (("Yes, as shown", CHECKED),))
    return None


def _open(case: Case, mark: str) -> tuple[str, ...]:
    """Of the reference alone: the other images follow it."""
    return tuple(doubt for doubt in case.volume.warnings if mark in doubt and doubt not in case.checked)


def _change(volume: Volume) -> str:
    """What would be different by the other position, as a clause."""
    assert volume.other_affine is not None
    there = replace(volume, affine=volume.other_affine)
    pairs = list(zip(volume.axes, there.axes, strict=True))
    swapped = [words for letters, words in _SWAPPED.items() if any(a != b and {a, b} == set(letters) for a, b in pairs)]
    if swapped and all(volume.world_axes[i] == there.world_axes[i] for i in range(3)):
        return " and ".join(swapped) + " would change places"
    if np.allclose(volume.affine[:3, :3], there.affine[:3, :3], atol=1e-4):
        return f"it would lie {np.linalg.norm(volume.affine[:3, 3] - there.affine[:3, 3]):.2g} mm away"
    return "it would be turned or of another size"
