"""Enhanced images: several frames in one file, and what each of them says of itself, named as in a classic header.

Where a frame lies and how it was measured stands in functional groups, those of all frames and those of each one
(DICOM PS3.3, C.7.6.16). The order of the frames, and the indices they may carry, are not relied on.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from thighview.core.errors import UserError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ENHANCED = frozenset("1.2.840.10008.5.1.4.1.1." + end for end in ("2.1", "2.2", "4.1", "4.4", "128.1", "130"))
"""Enhanced and legacy-converted CT, MR and PET images."""
GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
MOST_FRAMES = 4096
_FROM = (
    ("PlanePositionSequence", "ImagePositionPatient", "ImagePositionPatient"),
    ("PlaneOrientationSequence", "ImageOrientationPatient", "ImageOrientationPatient"),
    ("PixelMeasuresSequence", "PixelSpacing", "PixelSpacing"),
    ("PixelMeasuresSequence", "SliceThickness", "SliceThickness"),
    ("PixelMeasuresSequence", "SpacingBetweenSlices", "SpacingBetweenSlices"),
    ("PixelValueTransformationSequence", "RescaleSlope", "RescaleSlope"),
    ("PixelValueTransformationSequence", "RescaleIntercept", "RescaleIntercept"),
    ("MREchoSequence", "EffectiveEchoTime", "EchoTime"),
    ("MRTimingAndRelatedParametersSequence", "RepetitionTime", "RepetitionTime"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle", "FlipAngle"),
    ("MRImageFrameTypeSequence", "FrameType", "ImageType"),
    ("CTImageFrameTypeSequence", "FrameType", "ImageType"),
    ("PETFrameTypeSequence", "FrameType", "ImageType"),
    ("MRDiffusionSequence", "DiffusionBValue", "DiffusionBValue"),
    ("FrameContentSequence", "TemporalPositionIndex", "TemporalPositionIndex"),
)
"""Group, element in it, and the name it has in a classic header."""


def frame_values(header: "Dataset") -> Iterator[dict[str, Any]]:
    """What each frame of an enhanced image says of itself, by the keywords of a classic header; perhaps nothing.

    Raises
    ------
    UserError
        When the frames cannot be told apart; its message finishes the sentence ``it is ...``.
    """
    count = int(header.get("NumberOfFrames") or 1)
    shared, single = (header.get(group) or () for group in GROUPS)
    if not 1 <= count <= MOST_FRAMES:
        raise UserError(f"an image of {count:,} frames, which cannot be")
    if single and len(single) != count:
        raise UserError(f"an enhanced image of {count} frames that tells of {len(single)} where they lie")
    common = _values(shared[0]) if shared else {}
    for own in single or [None] * count:
        yield common | (_values(own) if own is not None else {})  # what a frame says of itself goes before the common


def _values(groups: "Dataset") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group, element, name in _FROM:
        inside = groups.get(group)
        if inside and (value := inside[0].get(element)) is not None:
            found[name] = value
    return found
