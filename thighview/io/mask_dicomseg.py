"""Masks as DICOM segmentation objects that refer to the images they were drawn on."""

import logging
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from thighview import __version__
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable, key_of
from thighview.core.mask import LabelMap, painted_values
from thighview.core.origins import Origin
from thighview.core.statement import RESEARCH_USE
from thighview.io.atomic import read_back_differs, write_atomic
from thighview.io.mask_seg_in import MANUFACTURER
from thighview.io.mask_seg_references import Reference, placer_of, positions_of, refer, told_apart

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom.dataset import Dataset

SCHEME = "99THIGHVIEW"
"""Coding scheme of label names the standard's codes have no exact word for."""
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
_NOT_KNOWN = "not known: opened from a file of masks"


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

    headers = told_apart(references)
    told = [header.pop("SpacingBetweenSlices", None) for header in headers]  # where slices lie says it better
    positions = positions_of(references, segments.shape[0])
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
    refer(made, references, headers)
    return made


def _describe(number: int, label: Label, facts: SegFacts) -> "SegmentDescription":
    from highdicom.color import CIELabColor
    from highdicom.content import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
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
        segment_label=key_of(_text(label.name, 64 - len(key_of("", label.side))), label.side),
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
        described.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
            CodedConcept.from_code(side)
        ]
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


def _text(words: str, most: int = 64) -> str:
    """Words as a DICOM long string: one value without control characters, of at most 64 bytes, or fewer.

    The standard counts characters, verifiers count bytes, and other programs may cut there.
    """
    plain = "".join(" " if unicodedata.category(c).startswith("C") else c for c in words.replace("\\", "/"))
    return plain.strip().encode()[:most].decode(errors="ignore").strip() or "label"


# ------------------------------------------------------------------ reading back


def _read_back(path: Path, references: Sequence[Reference], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Segment numbers by voxel, as a reader that knows nothing of how it was written finds them."""
    from pydicom import dcmread

    found = dcmread(path)
    place, shared = placer_of(references), found.SharedFunctionalGroupsSequence[0]
    back = np.zeros(shape, np.uint8)
    frames = found.pixel_array.reshape(-1, *shape[1:])
    for pixels, groups in zip(frames, found.PerFrameFunctionalGroupsSequence, strict=True):
        segment = (groups.get("SegmentIdentificationSequence") or shared.SegmentIdentificationSequence)[0]
        index = place(groups.PlanePositionSequence[0].ImagePositionPatient)
        back[index][pixels > 0] = segment.ReferencedSegmentNumber
    return back
