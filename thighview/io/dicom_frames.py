"""Enhanced images: several frames in one file, each made a header of its own, flat like that of a classic slice.

Where a frame lies and how it was measured stands in functional groups, those of all frames and those of each one
(DICOM PS3.3, C.7.6.16). The order of the frames, and the indices they may carry, are not relied on.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

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


def frame_headers(header: "Dataset") -> Iterator["Dataset"]:
    """One flat header for each frame of an enhanced image.

    Raises
    ------
    UserError
        When the frames cannot be told apart; its message finishes the sentence ``it is ...``.
    """
    from pydicom.dataset import Dataset

    count = int(header.get("NumberOfFrames") or 1)
    shared, single = (header.get(group) or () for group in GROUPS)
    if not 1 <= count <= MOST_FRAMES:
        raise UserError(f"an image of {count:,} frames, which cannot be")
    if len(single) != count:
        raise UserError("an enhanced image that does not say where its frames lie")
    plain = {element.tag: element for element in header if element.keyword not in GROUPS}
    for own in single:
        flat = Dataset(dict(plain))
        for groups in (*shared[:1], own):  # what a frame says of itself goes before what is said of all
            for group, element, name in _FROM:
                inside = groups.get(group)
                if inside and inside[0].get(element) is not None:
                    flat.add_new(name, inside[0][element].VR, inside[0][element].value)
        yield flat
