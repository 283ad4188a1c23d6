"""Masks as DICOM segmentation objects that refer to the images they were drawn on."""

import logging
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from thighview import __version__
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import LabelMap, painted_values
from thighview.core.origins import Origin
from thighview.core.statement import RESEARCH_USE
from thighview.io.atomic import read_back_differs, write_atomic
from thighview.io.dicom_source import SourceImages
from thighview.io.mask_seg_in import MANUFACTURER

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom.dataset import Dataset

SCHEME = "99THIGHVIEW"
"""Coding scheme of label names the standard's codes have no exact word for."""
_MR = "1.2.840.10008.5.1.4.1.1.4"
_KNOWN = {
    "muscle": ("Tissue", "MuscleTissue"),
    "muscles": ("Tissue", "MuscleTissue"),
    "fat": ("Tissue", "AdiposeTissue"),
    "adipose_tissue": ("Tissue", "AdiposeTissue"),
    "subcutaneous_tissue": ("Tissue", "SubcutaneousTissue"),
    "skin": ("Tissue", "Skin"),
    "bone": ("Tissue", "BoneTissue"),
    "bone_marrow": ("Tissue", "BoneMarrow"),
    "femur": ("AnatomicalStructure", "Femur"),
    "thigh": ("AnatomicalStructure", "Thigh"),
}
"""Label names that mean exactly what a SNOMED CT code means, by its names in pydicom: category and type."""
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
_NOT_KNOWN = "not known: opened from a file of masks"
_PLACE = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices",
)  # fmt: skip
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


@dataclass(frozen=True)
class Reference:
    """One image a segmentation refers to: the slice it is, the image's class and UID, and its frame, from 1."""

    index: int
    sop_class: str
    sop_instance: str
    frame: int | None
    header: "Dataset"


@dataclass(frozen=True)
class SegFacts:
    """What a segmentation says of itself.

    Parameters
    ----------
    series_uid, instance_uid : str
        Of the new object.
    reader : str
        Who answers for it, a pseudonym.
    origins : mapping of int to Origin
        By label value.
    weights : mapping of str to str
        SHA-256 of the weights by the name of the model; empty where it is not known.
    dated : bool
        Whether it says when it was made.
    """

    series_uid: str
    instance_uid: str
    reader: str
    origins: Mapping[int, Origin]
    weights: Mapping[str, str]
    dated: bool = True


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
    """The same for images made anew, each with its slice."""
    return [
        Reference(index, str(new.SOPClassUID), str(new.SOPInstanceUID), None, _stand_in(new, new))
        for index, new in images
    ]


def write_segmentation(
    path: Path, labels: LabelMap, table: LabelTable, references: Sequence[Reference], facts: SegFacts
) -> None:
    """Write a label map as a binary segmentation, one segment per painted label, and read it back.

    Parameters
    ----------
    labels : ndarray of uint8, shape (z, y, x)
        On the grid of the images.
    references : sequence of Reference
        The images, lowest slice first; slices without one are written all the same and refer to none.

    Raises
    ------
    UserError
        When nothing is painted, or it cannot be written.
    """
    values = [int(v) for v in painted_values(labels) if v]
    if not values:
        raise UserError("Nothing is drawn on it, and a segmentation without a segment cannot be.")
    number = np.zeros(256, np.uint8)
    number[values] = np.arange(1, len(values) + 1)
    segments = number[labels]
    named = [table.get(value) or Label(value, f"label_{value}") for value in values]
    made = _segmentation(segments, named, references, facts)

    def write(file: BinaryIO) -> None:
        made.save_as(file, enforce_file_format=True)

    def check(temporary: Path) -> None:
        if not np.array_equal(_read_back(temporary, references, labels.shape), segments):
            raise read_back_differs(path)

    write_atomic(path, write, check)


# ------------------------------------------------------------------ the object


def _segmentation(
    segments: LabelMap, named: Sequence[Label], references: Sequence[Reference], facts: SegFacts
) -> "Dataset":
    logging.getLogger("highdicom").setLevel(logging.ERROR)  # it tells whose images it has got
    from highdicom import ContributingEquipment
    from highdicom.content import PlanePositionSequence
    from highdicom.seg import Segmentation
    from pydicom.sr.codedict import codes

    headers = _unlike(references)
    told = [header.pop("SpacingBetweenSlices", None) for header in headers]  # where slices lie says it better
    positions = _positions(references, segments.shape[0])
    used = [i for i in range(segments.shape[0]) if i in {r.index for r in references} or segments[i].any()]
    when: dict[str, Any] = {} if facts.dated else {"content_date": "19000101", "content_time": "000000"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Segmentation(
            source_images=headers,
            pixel_array=segments[used],
            segmentation_type="BINARY",
            segment_descriptions=[_describe(n, label, facts) for n, label in enumerate(named, 1)],
            series_instance_uid=facts.series_uid,
            series_number=900,
            sop_instance_uid=facts.instance_uid,
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name="thighview",
            software_versions=__version__,
            device_serial_number=__version__,
            content_label="SEGMENTATION",
            content_description=RESEARCH_USE,
            content_creator_name=facts.reader,
            series_description="thighview masks",
            specific_character_set="ISO_IR 192",
            plane_positions=[PlanePositionSequence("PATIENT", positions[i]) for i in used],
            contributing_equipment=[
                ContributingEquipment(
                    "thighview",
                    codes.cid7005.ProcessingEquipment,
                    manufacturer_model_name="thighview",
                    software_versions=__version__,
                    contribution_description="Masks drawn, corrected and reviewed",
                )
            ],
            **when,
        )
    if not facts.dated:
        for dataset in (made, *made.ContributingEquipmentSequence):
            for keyword in ("InstanceCreationDate", "InstanceCreationTime", "ContributionDateTime"):
                if keyword in dataset:
                    delattr(dataset, keyword)
    if len(positions) == 1:  # nothing tells how far slices lie apart: as thick as the image says, or masks lose it
        measures = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SpacingBetweenSlices = (told[0] and told[0].value) or headers[0].SliceThickness
    _refer(made, references, headers)
    return made


def _describe(number: int, label: Label, facts: SegFacts) -> "SegmentDescription":
    from highdicom.color import CIELabColor
    from highdicom.content import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    origin = facts.origins.get(label.value, Origin(by_hand=True))
    algorithm = None
    if origin.models:
        weights = {name or "unknown model": facts.weights.get(name, "") for name in origin.models}
        last = [*weights.values()][-1]
        algorithm = AlgorithmIdentificationSequence(
            name=_text(" + ".join(weights)),
            family=codes.cid7162.ArtificialIntelligence,
            version=last[:16] or "unknown",
            source="thighview",
            parameters={f"weights_sha256 of {_text(name)}": sha for name, sha in weights.items() if sha} or None,
        )
    category, kind = _codes_of(label)
    described = SegmentDescription(
        segment_number=number,
        segment_label=_text(label.key),
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type=origin.kind.upper() if algorithm else "MANUAL",
        algorithm_identification=algorithm,
        display_color=CIELabColor.from_rgb(*label.colour),
    )
    if origin.from_file and not algorithm:  # a file of masks does not say who made it: a hand is not to be claimed
        described.SegmentAlgorithmType, described.SegmentAlgorithmName = "SEMIAUTOMATIC", _NOT_KNOWN
    if label.side:
        side = codes.SCT.Left if label.side == "left" else codes.SCT.Right
        described.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [_item(side)]
    return described


def _codes_of(label: Label) -> tuple[Any, Any]:
    """Category and type of a label: codes of SNOMED CT where they mean exactly that, else the name itself."""
    import hashlib

    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    if label.name in _KNOWN:
        category, kind = _KNOWN[label.name]
        return getattr(codes.SCT, category), getattr(codes.SCT, kind)
    name = _text(label.name)
    value = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    if value != name or len(value) > 16:
        value = f"{value[:7]}-{hashlib.sha256(label.name.encode()).hexdigest()[:8]}"
    return codes.SCT.AnatomicalStructure, Code(value, SCHEME, name.replace("_", " "))


def _item(code: Any) -> "Dataset":
    from highdicom.sr import CodedConcept

    return CodedConcept.from_code(code)


def _text(words: str) -> str:
    """Words as a DICOM long string: one value without control characters, of at most 64 bytes.

    The standard counts characters, verifiers count bytes, and other programs may cut there.
    """
    plain = "".join(" " if unicodedata.category(c).startswith("C") else c for c in words.replace("\\", "/"))
    return plain.strip().encode()[:64].decode(errors="ignore").strip() or "label"


# ------------------------------------------------------------------ references


def _stand_in(old: "Dataset", flat: "Dataset") -> "Dataset":
    """A small header with what a segmentation takes from its source: person, study, place; in values that can be."""
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

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
    if vr is None:
        return text[:longest]
    try:
        validate_value(vr, text, 2)  # 2: raise
    except ValueError:
        return ""
    return "" if vr == "DA" and text < _FIRST_YEAR else text


def _unlike(references: Sequence[Reference]) -> list["Dataset"]:
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
    positions = _positions(references, references[-1].index + 1)
    ends = np.array([positions[0], positions[len(positions) - 1]])
    return float(np.linalg.norm(ends[1] - ends[0])) / (len(positions) - 1) if len(positions) > 1 else 1.0


def _positions(references: Sequence[Reference], count: int) -> dict[int, list[float]]:
    """ImagePositionPatient of every slice; of those that are missing in the series, on the line of the others."""
    known = {r.index: np.array([float(v) for v in r.header.ImagePositionPatient]) for r in references}
    low, high = min(known), max(known)
    step = (known[high] - known[low]) / max(high - low, 1)
    return {i: known.get(i, known[low] + (i - low) * step).round(6).tolist() for i in range(count)}


def _placer(references: Sequence[Reference]) -> Callable[[Any], int]:
    """What gives the slice that an ImagePositionPatient is."""
    positions = _positions(references, max(2, references[-1].index + 1))
    start = np.array(positions[0])
    step = (np.array(positions[len(positions) - 1]) - start) / (len(positions) - 1)
    length = float(step @ step) or 1.0
    return lambda position: round(float((np.array([float(v) for v in position]) - start) @ step) / length)


def _derivation(source: Reference) -> "Dataset":
    """The item that says which image a frame was drawn on."""
    from pydicom.dataset import Dataset
    from pydicom.sr.codedict import codes

    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = source.sop_class, source.sop_instance
    if source.frame is not None:
        image.ReferencedFrameNumber = source.frame
    image.PurposeOfReferenceCodeSequence = [_item(codes.cid7202.SourceImageForImageProcessingOperation)]
    image.SpatialLocationsPreserved = "YES"
    item = Dataset()
    item.DerivationCodeSequence = [_item(codes.cid7203.SegmentationImageDerivation)]
    item.SourceImageSequence = [image]
    return item


def _refer(made: "Dataset", references: Sequence[Reference], headers: Sequence["Dataset"]) -> None:
    """Put the true class, UID and frame of each image where the object refers to its stand-in."""
    true = {str(header.SOPInstanceUID): r for header, r in zip(headers, references, strict=True)}

    def mend(item: "Dataset") -> None:
        reference = true.get(str(item.get("ReferencedSOPInstanceUID", "")))
        if reference:
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference.sop_class, reference.sop_instance
            if reference.frame is not None:
                item.ReferencedFrameNumber = reference.frame

    at = {r.index: r for r in references}
    place = _placer(references)
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


# ------------------------------------------------------------------ reading back


def _read_back(path: Path, references: Sequence[Reference], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Segment numbers by voxel, as a reader that knows nothing of how it was written finds them."""
    from pydicom import dcmread

    found = dcmread(path)
    place, shared = _placer(references), found.SharedFunctionalGroupsSequence[0]
    back = np.zeros(shape, np.uint8)
    frames = found.pixel_array.reshape(-1, *shape[1:])
    for pixels, groups in zip(frames, found.PerFrameFunctionalGroupsSequence, strict=True):
        segment = (groups.get("SegmentIdentificationSequence") or shared.SegmentIdentificationSequence)[0]
        index = place(groups.PlanePositionSequence[0].ImagePositionPatient)
        back[index][pixels > 0] = segment.ReferencedSegmentNumber
    return back
