"""DICOM images without a word about the person, the place or the day: made anew from a list of what may stay.

Nothing is taken over because it looks harmless. Every value that stays is a number, or one of the words the standard
defines for its element, and is written anew; everything else stays at home. What did is counted by name, never by its
value.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from thighview import __version__
from thighview.core.errors import UserError
from thighview.io.atomic import read_back_differs, write_atomic
from thighview.io.dicom_source import SourceImage, SourceImages, values_of
from thighview.io.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset
    from pydicom.uid import UID

METHOD = f"thighview {__version__}: new data set from an allow-list"
_MR, _CT, _PET = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("4", "2", "128"))
_CLASSIC_OF = {
    f"1.2.840.10008.5.1.4.1.1.{end}": classic
    for end, classic in (("4.1", _MR), ("4.4", _MR), ("2.1", _CT), ("2.2", _CT), ("130", _PET), ("128.1", _PET))
}
"""Enhanced images leave as one classic image per frame."""
_NUMBERS = {
    "PixelSpacing": 2, "SliceThickness": 1, "SpacingBetweenSlices": 1, "ImageOrientationPatient": 6,
    "ImagePositionPatient": 3, "RescaleSlope": 1, "RescaleIntercept": 1, "WindowCenter": 0, "WindowWidth": 0,
    "MagneticFieldStrength": 1, "EchoTime": 1, "RepetitionTime": 1, "FlipAngle": 1, "LossyImageCompressionRatio": 0,
}  # fmt: skip
"""How many numbers each has; 0: as many as there are, up to 8."""
_WORDS: dict[str, frozenset[str]] = {
    "Modality": frozenset(("MR", "CT", "PT", "NM", "OT", "SC", "US")),
    "PhotometricInterpretation": frozenset(("MONOCHROME1", "MONOCHROME2")),
    "BurnedInAnnotation": frozenset(("YES", "NO")),
    "LossyImageCompression": frozenset(("00", "01")),
    "LossyImageCompressionMethod": frozenset(("ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_13818_2")),
    "PatientPosition": frozenset(("HFP", "HFS", "HFDR", "HFDL", "FFDR", "FFDL", "FFP", "FFS")),
    "MRAcquisitionType": frozenset(("2D", "3D")),
    "ScanningSequence": frozenset(("SE", "IR", "GR", "EP", "RM")),
    "SequenceVariant": frozenset(("SK", "MTC", "SS", "TRSS", "SP", "MP", "OSP", "NONE")),
    "ImageType": frozenset((
        "ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", "AXIAL", "LOCALIZER", "OTHER", "NONE", "M", "P", "R", "I", "FFE",
        "SE", "IR", "ND", "NORM", "FM", "FIL", "DIS2D", "DIS3D", "MFSPLIT", "DIXON", "WATER", "FAT", "IN_PHASE",
        "OPP_PHASE", "OUT_PHASE", "W", "F", "IP", "OP", "IN", "OPP", "FF", "MPR", "PROJECTION", "VOLUME", "MAGNITUDE",
        "PHASE", "REAL", "IMAGINARY", "T1", "T2", "T2_STAR", "T1MAP", "T2MAP", "MAP", "ADD", "SUB", "SUBTRACTION",
        "COMPOSED", "DIFFUSION", "ADC", "TRACEW",
    )),
}  # fmt: skip
"""Words that may stay, of the standard and of what makers write into ImageType; others are left out."""
_EMPTY = (
    "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID",
    "Manufacturer", "PositionReferenceIndicator", "Laterality",
)  # fmt: skip
"""Elements that must be there and may be empty."""
ALLOWED = (*_NUMBERS, *_WORDS)
"""Elements whose values stay, apart from what describes the pixels."""
_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")


@dataclass
class Tally:
    """What stayed at home: names of elements and how often each was there, never what was in them.

    ``replaced`` counts UIDs and ids that a pseudonym stands in for.
    """

    removed: Counter[str] = field(default_factory=Counter[str])
    replaced: Counter[str] = field(default_factory=Counter[str])

    def add(self, other: "Tally") -> None:
        """Count another one, too."""
        self.removed += other.removed
        self.replaced += other.replaced


def deidentified_images(
    source: SourceImages, pseudonyms: Pseudonyms, subject: str, tally: Tally
) -> Iterator[tuple[int, "FileDataset"]]:
    """The images of a series, one by one, each with the slice it is: new data sets under new UIDs.

    Parameters
    ----------
    source : SourceImages
        In the order of the slices.
    pseudonyms : Pseudonyms
        Gives the UIDs.
    subject : str
        Study key of the person, for PatientID and PatientName.
    tally : Tally
        Counts what stays at home.

    Raises
    ------
    UserError
        When pixels cannot be decoded, or an image lacks what must stay.
    """
    counted = set[int]()
    for image, pixels in source.with_pixels():
        made = _image(image, pixels, pseudonyms, subject, image.index + 1)
        if id(image.whole) not in counted:
            counted.add(id(image.whole))
            _count(image.whole, made, tally)
        yield image.index, made


def _image(
    image: SourceImage, pixels: NDArray[Any], pseudonyms: Pseudonyms, subject: str, number: int
) -> "FileDataset":
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.sr.codedict import codes
    from pydicom.uid import UID, ExplicitVRLittleEndian

    old, flat = image.whole, image.flat
    lacking = [keyword for keyword in _UIDS if not old.get(keyword)]
    if lacking:
        raise UserError(f"Its DICOM files lack {lacking[0]}, without which nothing can refer to them.")
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    new = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    frame = "" if image.slice.frame is None else f"|frame {image.slice.frame + 1}"
    new.SOPClassUID = _sop_class(str(old.get("SOPClassUID", "")))
    new.SOPInstanceUID = UID(pseudonyms.uid(str(old.SOPInstanceUID) + frame))
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = new.SOPClassUID, new.SOPInstanceUID
    for keyword in _UIDS[1:]:
        setattr(new, keyword, UID(pseudonyms.uid(str(old[keyword].value))))
    new.PatientID = new.PatientName = subject
    for keyword in _EMPTY:
        setattr(new, keyword, "")
    for keyword, count in _NUMBERS.items():
        if numbers := _numbers(flat, keyword, count) or _numbers(old, keyword, count):
            setattr(new, keyword, numbers if len(numbers) > 1 else numbers[0])
    for keyword in _WORDS:
        if words := _words(flat, keyword) or _words(old, keyword):
            setattr(new, keyword, words if len(words) > 1 else words[0])
    new.SeriesNumber, new.InstanceNumber = 1, number
    if "PhotometricInterpretation" not in new:
        if values_of(old, "PhotometricInterpretation"):
            raise UserError("Its DICOM files say that their pixels are no shades of grey.", "Write NIfTI instead.")
        new.PhotometricInterpretation = "MONOCHROME2"
    _complete(new)
    _put_pixels(new, pixels, image)
    new.PatientIdentityRemoved, new.LongitudinalTemporalInformationModified = "YES", "REMOVED"
    new.DeidentificationMethod = METHOD
    new.DeidentificationMethodCodeSequence = [_code(codes.cid7050.BasicApplicationConfidentialityProfile)]
    return new


def _sop_class(old: str) -> "UID":
    from pydicom.uid import UID

    known = UID(_CLASSIC_OF.get(old, old))
    if known.type != "SOP Class":
        raise UserError("Its DICOM files are of a kind the standard does not know.", "Write NIfTI instead.")
    return known


def _complete(new: "FileDataset") -> None:
    """What the standard wants to be there for the kind of image, where the source did not say it."""
    kind = str(new.SOPClassUID)
    wanted: dict[str, object] = {"ImageType": ["DERIVED", "PRIMARY", "OTHER"], "SliceThickness": None}
    if kind == _MR:
        wanted |= {
            "ScanningSequence": "RM", "SequenceVariant": "NONE", "ScanOptions": None, "MRAcquisitionType": None,
            "EchoTime": None, "EchoTrainLength": None, "RepetitionTime": None, "PatientPosition": None,
        }  # fmt: skip
    elif kind == _CT:
        wanted |= {
            "KVP": None,
            "PatientPosition": None,
            "AcquisitionNumber": None,
            "RescaleSlope": 1,
            "RescaleIntercept": 0,
        }
    elif kind.startswith("1.2.840.10008.5.1.4.1.1.7"):
        wanted |= {"ConversionType": "WSD"}
    for keyword, value in wanted.items():
        if keyword not in new:
            setattr(new, keyword, value)


def _put_pixels(new: "FileDataset", pixels: NDArray[Any], image: SourceImage) -> None:
    """The stored numbers, unpacked, with nothing in the bits that do not belong to them (overlays of old lie there)."""
    old = image.whole
    signed = pixels.dtype.kind == "i"
    bits = int(old.get("BitsStored") or 8 * pixels.dtype.itemsize)
    if pixels.dtype.kind not in "iu" or pixels.dtype.itemsize not in (1, 2) or not 1 <= bits <= 16:
        raise UserError("Its pixels are no whole numbers of 8 or 16 bits.", "Write NIfTI instead.")
    wide = pixels.astype(np.int32) & ((1 << bits) - 1)
    if signed:
        wide = np.where(wide >= 1 << (bits - 1), wide - (1 << bits), wide)
    dtype = np.dtype(f"<{'i' if signed else 'u'}{pixels.dtype.itemsize}")
    stored = wide.astype(dtype).tobytes()
    new.Rows, new.Columns = pixels.shape
    new.SamplesPerPixel, new.PixelRepresentation = 1, int(signed)
    new.BitsAllocated, new.BitsStored, new.HighBit = 8 * dtype.itemsize, bits, bits - 1
    new.add_new("PixelData", "OW" if dtype.itemsize == 2 else "OB", stored + bytes(len(stored) % 2))


def _numbers(header: "Dataset", keyword: str, count: int) -> list[Any]:
    """The numbers of an element, written anew; none where there are not as many as there should be, or one is none."""
    from pydicom.valuerep import DSfloat

    values = values_of(header, keyword)
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return []
    if not numbers or len(numbers) > 8 or (count and len(numbers) != count) or not all(map(math.isfinite, numbers)):
        return []
    return [DSfloat(number, auto_format=True) for number in numbers]


def _words(header: "Dataset", keyword: str) -> list[str]:
    """The words of an element that may stay."""
    values = [value.upper() for value in values_of(header, keyword)]
    if keyword == "ImageType" and (values[:1] not in (["ORIGINAL"], ["DERIVED"]) or len(values) < 2):
        return []
    kept = [value for value in values if value in _WORDS[keyword]]
    if keyword == "ImageType":
        kept = kept if len(kept) > 1 and kept[1] in ("PRIMARY", "SECONDARY") else []
        return [*kept, "OTHER"] if len(kept) == 2 else kept
    return kept


def _code(code: Any) -> "Dataset":
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def write_image(path: Path, image: "FileDataset") -> None:
    """Write a data set made here as a DICOM file, and read it back."""

    def write(file: BinaryIO) -> None:
        image.save_as(file, enforce_file_format=True)

    def check(temporary: Path) -> None:
        from pydicom import dcmread

        back = dcmread(temporary)
        try:
            size = back.pixel_array.size
        except (AttributeError, ValueError) as error:  # pydicom's word for a header that does not go with the pixels
            raise UserError("Its DICOM images made anew cannot be read.", "Write NIfTI instead.") from error
        same = back.keys() == image.keys() and back.PixelData == image.PixelData
        if not (same and back.SOPInstanceUID == image.SOPInstanceUID and size):
            raise read_back_differs(path)

    write_atomic(path, write, check)


# ------------------------------------------------------------------ counting


def count_left_behind(source: SourceImages, tally: Tally) -> None:
    """Count what the headers of a series say, where none of it leaves."""
    from pydicom.dataset import Dataset

    for header in {id(image.whole): image.whole for image in source.images}.values():
        _count(header, Dataset(), tally)


def _count(old: "Dataset", new: "Dataset", tally: Tally) -> None:
    """Count what of a file does not leave; sequences with all that is in them."""
    replaced = {*_UIDS, "PatientID", "PatientName"}

    def walk(dataset: "Dataset", top: bool) -> None:
        for element in dataset:
            name = _name_of(element)
            if top and name in replaced and len(new):
                tally.replaced[name] += 1
            elif not (top and element.keyword and new.get(element.keyword) not in (None, "")):
                tally.removed[name] += 1
            if element.VR == "SQ":
                for item in element.value or ():
                    walk(item, False)

    _safely(lambda: walk(old, True), tally)
    for element in getattr(old, "file_meta", None) or ():
        if element.tag.element not in (0x0000, 0x0001, 0x0002, 0x0003, 0x0010, 0x0012, 0x0013):
            tally.removed[_name_of(element)] += 1
    if any(getattr(old, "preamble", None) or b""):
        tally.removed["preamble of the file"] += 1


def _safely(walk: Callable[[], None], tally: Tally) -> None:
    """Counting must not fail where something damaged lies among what is left behind anyway."""
    try:
        walk()
    except Exception:  # noqa: BLE001 - pydicom raises what it likes; the elements are not read for anything else
        tally.removed["elements that cannot be read"] += 1


def _name_of(element: Any) -> str:
    """What an element is called in the report: a name of the standard, or its number; never anything from a file."""
    tag = element.tag
    if tag.is_private:
        return "private elements"
    if 0x6000 <= tag.group <= 0x60FF:
        return "overlays (60xx)"
    if 0x5000 <= tag.group <= 0x50FF:
        return "curves (50xx)"
    return element.keyword or f"({tag.group:04X},{tag.element:04X})"
