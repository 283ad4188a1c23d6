"""The images a DICOM segmentation refers to: stand-ins to make it from, where they lie, and the references to each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thighview.core.errors import UserError
from thighview.io.dicom_source import SourceImages

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MR = "1.2.840.10008.5.1.4.1.1.4"
_NAMES = ("PatientName", "ReferringPhysicianName")
"""Each may have three parts (in Latin letters, in others, as it sounds), and each of these the length it may have."""
_ABOUT_THE_PERSON = {
    "PatientName": 64, "PatientID": 64, "PatientBirthDate": 8, "PatientSex": 1, "PatientAge": 4, "PatientSize": 16,
    "PatientWeight": 16, "StudyDate": 8, "StudyTime": 16, "StudyID": 16, "StudyDescription": 64, "AccessionNumber": 16,
    "ReferringPhysicianName": 64,
}  # fmt: skip
"""What a segmentation says of person and study, as its source does, with the longest each may be."""
_CHECKED = {
    "PatientBirthDate": "DA", "StudyDate": "DA", "StudyTime": "TM", "PatientAge": "AS", "PatientSize": "DS",
    "PatientWeight": "DS",
}  # fmt: skip
_FIRST_YEAR = "1800"
"""Earlier dates are fillers (``00010101``) that verifiers refuse."""
_NEEDED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
_PLACE = (*_NEEDED, "SliceThickness", "SpacingBetweenSlices")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


@dataclass(frozen=True)
class Reference:
    """One image a segmentation refers to: the slice it is, the image's class and UID, and its frame, from 1."""

    index: int
    sop_class: str
    sop_instance: str
    frame: int | None
    header: "Dataset"


def references_to(source: SourceImages) -> list[Reference]:
    """Stand-ins for the images of a series as they are, with what a segmentation takes from them.

    Raises
    ------
    UserError
        When the images lack what a reference needs.
    """
    found: list[Reference] = []
    for image in source.images:
        old, flat = image.whole, image.flat
        for keyword in _UIDS:
            if not old.get(keyword):
                raise UserError(
                    f"Its DICOM files lack {keyword}, without which a segmentation cannot refer to them.",
                    "Write it as NIfTI or NRRD.",
                )
        header = _stand_in(old, flat)
        frame = None if image.slice.frame is None else image.slice.frame + 1
        found.append(Reference(image.index, str(old.SOPClassUID), str(old.SOPInstanceUID), frame, header))
    return found


def references_to_new(images: Sequence[tuple[int, "Dataset"]]) -> list[Reference]:
    """The same for images made anew, each with its slice; raises :class:`UserError` likewise."""
    return [
        Reference(index, str(new.SOPClassUID), str(new.SOPInstanceUID), None, _stand_in(new, new))
        for index, new in images
    ]


def _stand_in(old: "Dataset", flat: "Dataset") -> "Dataset":
    """A small header with what a segmentation takes from its source: person, study, place; in values that can be."""
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

    if lacking := [keyword for keyword in _NEEDED if flat.get(keyword) in (None, "")]:
        raise UserError(
            f"Its DICOM files do not say where they lie: {', '.join(lacking)} is not in them.",
            "Write it as NIfTI or NRRD.",
        )
    new = Dataset()
    new.SOPClassUID = UID(_MR)
    for keyword in _UIDS:
        setattr(new, keyword, UID(str(old[keyword].value)))
    for keyword, longest in _ABOUT_THE_PERSON.items():
        setattr(new, keyword, _fitting(keyword, old.get(keyword), longest))
    for keyword in ("PatientAge", "PatientSize", "PatientWeight", "StudyDescription"):
        if new.get(keyword) in (None, ""):
            delattr(new, keyword)
    new.Modality = str(old.get("Modality") or "MR")
    new.Rows, new.Columns = int(flat.Rows), int(flat.Columns)
    for keyword in _PLACE:
        if flat.get(keyword) not in (None, ""):
            setattr(new, keyword, flat[keyword].value)
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in old and old[keyword].value not in (None, ""):
            setattr(new, keyword, old[keyword].value)
    return new


def _fitting(keyword: str, value: Any, longest: int) -> str:
    """A value of the source as text, or nothing where the standard does not allow it: it would be refused."""
    from pydicom.valuerep import validate_value

    text = "" if value is None else str(value).strip("\0 ")
    vr = _CHECKED.get(keyword)
    if keyword == "PatientSex":
        return text if text in ("M", "F", "O") else ""
    if keyword in _NAMES:
        return "=".join(part[:longest] for part in text.split("=")[:3])
    if vr is None:
        return text[:longest]
    try:
        validate_value(vr, text, 2)  # 2: raise
    except ValueError:
        return ""
    return "" if vr == "DA" and text < _FIRST_YEAR else text


def told_apart(references: Sequence[Reference]) -> list["Dataset"]:
    """Stand-ins of one orientation and spacing, each under a UID of its own, also as frames of one image."""
    from pydicom.uid import generate_uid

    first = references[0].header
    if len({str(r.header.FrameOfReferenceUID) for r in references}) > 1:
        raise UserError("Its DICOM images lie in several frames of reference.", "Write it as NIfTI or NRRD.")
    headers: list[Dataset] = []
    apart_mm = _apart_mm(references)
    for reference in references:
        header = reference.header
        if not header.get("SliceThickness"):  # it must be said; masks fill the space between slices
            header.SliceThickness = f"{apart_mm:.6g}"
        header.ImageOrientationPatient, header.PixelSpacing = first.ImageOrientationPatient, first.PixelSpacing
        header.StudyInstanceUID, header.SeriesInstanceUID = first.StudyInstanceUID, first.SeriesInstanceUID
        if reference.frame is not None:
            header.SOPInstanceUID = generate_uid()
        headers.append(header)
    return headers


def _apart_mm(references: Sequence[Reference]) -> float:
    """Distance of neighbouring slices; 1 where there is one only."""
    positions = positions_of(references, references[-1].index + 1)
    ends = np.array([positions[0], positions[len(positions) - 1]])
    return float(np.linalg.norm(ends[1] - ends[0])) / (len(positions) - 1) if len(positions) > 1 else 1.0


def positions_of(references: Sequence[Reference], count: int) -> dict[int, list[float]]:
    """ImagePositionPatient of every slice; of those that are missing in the series, on the line of the others."""
    known = {r.index: np.array([float(v) for v in r.header.ImagePositionPatient]) for r in references}
    low, high = min(known), max(known)
    step = (known[high] - known[low]) / max(high - low, 1)
    return {i: known.get(i, known[low] + (i - low) * step).round(6).tolist() for i in range(count)}


def placer_of(references: Sequence[Reference]) -> Callable[[Any], int]:
    """What gives the slice that an ImagePositionPatient is."""
    positions = positions_of(references, max(2, references[-1].index + 1))
    start = np.array(positions[0])
    step = (np.array(positions[len(positions) - 1]) - start) / (len(positions) - 1)
    length = float(step @ step) or 1.0
    return lambda position: round(float((np.array([float(v) for v in position]) - start) @ step) / length)


def _derivation(source: Reference) -> "Dataset":
    """The item that says which image a frame was drawn on."""
    from highdicom.sr import CodedConcept
    from pydicom.dataset import Dataset
    from pydicom.sr.codedict import codes

    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = source.sop_class, source.sop_instance
    if source.frame is not None:
        image.ReferencedFrameNumber = source.frame
    image.PurposeOfReferenceCodeSequence = [
        CodedConcept.from_code(codes.cid7202.SourceImageForImageProcessingOperation)
    ]
    image.SpatialLocationsPreserved = "YES"
    item = Dataset()
    item.DerivationCodeSequence = [CodedConcept.from_code(codes.cid7203.SegmentationImageDerivation)]
    item.SourceImageSequence = [image]
    return item


def refer(made: "Dataset", references: Sequence[Reference], headers: Sequence["Dataset"]) -> None:
    """Put the true class, UID and frame of each image where the object refers to its stand-in."""
    true = {str(header.SOPInstanceUID): r for header, r in zip(headers, references, strict=True)}

    def mend(item: "Dataset") -> None:
        reference = true.get(str(item.get("ReferencedSOPInstanceUID", "")))
        if reference:
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference.sop_class, reference.sop_instance
            if reference.frame is not None:
                item.ReferencedFrameNumber = reference.frame

    at = {r.index: r for r in references}
    place = placer_of(references)
    for frame in made.PerFrameFunctionalGroupsSequence:
        source = at.get(place(frame.PlanePositionSequence[0].ImagePositionPatient))
        frame.DerivationImageSequence = [_derivation(source)] if source else []
    for series in made.get("ReferencedSeriesSequence") or ():
        once: dict[str, Dataset] = {}
        for item in series.ReferencedInstanceSequence:
            mend(item)
            if "ReferencedFrameNumber" in item:
                del item.ReferencedFrameNumber  # all of its frames
            once.setdefault(str(item.ReferencedSOPInstanceUID), item)
        series.ReferencedInstanceSequence = list(once.values())
    if "SourceImageSequence" in made:
        for item in made.SourceImageSequence:
            mend(item)
