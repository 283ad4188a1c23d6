"""The header of one DICOM file: read once, checked, made plain facts, and told apart from what is no image.

The pixels are not touched; where they begin is kept, so that they can be read later without the header.
"""

import math
import os
import sys
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.io.dicom_file import COPY_AGAIN, NoImageError, check_start, damaged, looks_like_dicom, pydicom
from thighview.io.dicom_frames import ENHANCED, GROUPS, frame_values
from thighview.io.dicom_quick import quick_look

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MAX_SIDE = 4096
_FIRST_BYTES = 1 << 14
_PLAIN_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
"""Implicit and explicit little endian, explicit big endian."""
_LONG_FORM = (b"OB", b"OW", b"UN")
_ENDLESS = 0xFFFFFFFF
_TAGS = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "Modality",
    "ImageType", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns",
    "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "EchoTime", "EchoNumbers", "RepetitionTime",
    "FlipAngle", "MagneticFieldStrength", "Manufacturer", "ManufacturerModelName", "SliceThickness",
    "SpacingBetweenSlices", "PatientID", "InstanceNumber", "TemporalPositionIdentifier", "DiffusionBValue",
    "AcquisitionNumber", "LossyImageCompression", "FrameOfReferenceUID", "ModalityLUTSequence", "ScanningSequence",
    "MRAcquisitionType", "SequenceName", "PatientPosition",
    *GROUPS,
)  # fmt: skip
"""What is read of a header; all but the groups and tables stand in ``dicom_quick.WANTED``, too."""
_KINDS = {
    "SR": "a report", "SEG": "a segmentation", "PR": "a presentation state", "KO": "a list of key images",
    "RTSTRUCT": "a set of contours", "RTPLAN": "a radiotherapy plan", "RTDOSE": "a radiotherapy dose",
    "REG": "a registration", "DOC": "a document", "ECG": "a recording of waves",
}  # fmt: skip

_PICTURES = tuple("1.2.840.10008.5.1.4.1.1." + end for end in ("2", "4", "128", "130", "20", "7", "6", "1.", "12."))
"""Images of all modalities that show slices, or anything to be mistaken for one."""

Facts = dict[str, str]
"""Values of a header as text, by keyword, as pydicom writes them."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How the numbers of an image are stored.

    Parameters
    ----------
    syntax : str
        UID of the transfer syntax.
    bits, used, high : int
        Bits of one number, those of them that count, and the highest of these (from 0).
    signed : bool
        Whether they may be negative.
    begin : int
        Where in the file the first one stands; -1 where they are packed.
    size : int
        Bytes from there on.
    big_endian : bool
        Which byte of a number comes first.
    """

    syntax: str
    bits: int
    used: int
    high: int
    signed: bool
    begin: int
    size: int
    big_endian: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of one number, in this computer's order."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits // 8}")

    @property
    def range(self) -> tuple[int, int]:
        """The lowest and the highest number that can be stored."""
        return (-(1 << self.used - 1), (1 << self.used - 1) - 1) if self.signed else (0, (1 << self.used) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One image of a series: what its header says, without the pixels.

    Parameters
    ----------
    path : Path
        Its file.
    facts : dict
        Its header; of an enhanced image, what its frame says of itself among it.
    shape : tuple of int
        Rows, columns.
    stored : Stored
        How its pixels are stored.
    image_type : tuple of str
        The words of ImageType.
    position : ndarray, shape (3,), or None
        Centre of the first pixel, LPS mm.
    directions : ndarray, shape (2, 3), or None
        The direction along a row (growing column), the direction down a column. None as ``position``, and with it.
    spacing_mm : tuple of float, or None
        Between rows, between columns.
    identity : str
        What its SHA-256 is made of besides the pixels.
    frame : int or None
        Its place in an enhanced image; None where it has the file to itself.
    """

    path: Path
    facts: Facts
    shape: tuple[int, int]
    stored: Stored
    image_type: tuple[str, ...]
    position: NDArray[np.float64] | None
    directions: NDArray[np.float64] | None
    spacing_mm: tuple[float, float] | None
    identity: str
    frame: int | None = None

    @property
    def instance(self) -> tuple[str, int]:
        """What tells this image from all others."""
        return self.facts["SOPInstanceUID"].strip(), self.frame or 0

    @property
    def normal(self) -> NDArray[np.float64]:
        """The direction across the image, where it is known."""
        if self.directions is None:
            raise ValueError("an image without directions")
        return np.cross(self.directions[0], self.directions[1])

    def height_along(self, normal: NDArray[np.float64]) -> float:
        """How far along a direction it lies, mm, where that is known."""
        if self.position is None:
            raise ValueError("an image without a position")
        return float(self.position @ normal)


def read_slices(path: Path) -> list[Slice] | None:
    """The images of one file, checked; None where it is no DICOM file at all.

    Raises
    ------
    NoImageError
        When it holds no image that can be opened.
    """
    with path.open("rb") as file:
        start = file.read(_FIRST_BYTES)
        if not looks_like_dicom(start):
            return None
        quick = quick_look(file, start)
        known = quick is not None and quick[0].get("SOPClassUID") not in ENHANCED
        reader = None if known else pydicom()  # here: what goes wrong in loading it is no fault of the file's
        try:
            if reader is None and quick is not None:
                values, syntax, begin, size = quick
                _need_image(values)
                left = os.fstat(file.fileno()).st_size - begin
                return [_slice(path, values, _stored(values, syntax, (begin, min(size, left)), True))]
            file.seek(0)
            return _read_by_library(path, file, reader)
        except (MemoryError, UserError):
            raise
        except Exception as error:
            raise damaged() from error


def _read_by_library(path: Path, file: BufferedReader, reader: Any) -> list[Slice]:
    """The images of a file whatever it is like, as long as pydicom can read it at all."""
    check_start(file)
    header = reader.dcmread(file, force=True, stop_before_pixels=True, specific_tags=list(_TAGS))
    names = {element.keyword: element for element in header}
    values = {name: names[name].value for name in _TAGS if name in names and name not in GROUPS}
    values.setdefault("SOPClassUID", header.file_meta.get("MediaStorageSOPClassUID"))
    by_table = bool(values.pop("ModalityLUTSequence", None))
    _need_image(values)
    if by_table:
        what = "an image whose true numbers stand in a table of its own (Modality LUT), which is not opened"
        raise NoImageError(what, "Convert it with dcm2niix first.", _facts(values))
    implicit, little = (bool(way) for way in header.original_encoding)
    syntax = str(header.file_meta.get("TransferSyntaxUID") or "").strip()
    if not syntax:  # a file without its first part: as it was read, so it is
        syntax = _PLAIN_SYNTAXES[0 if implicit else 1 if little else 2]
    place = _pixel_place(file, implicit, little, _facts(values)) if syntax in _PLAIN_SYNTAXES else (-1, 0)
    stored = _stored(values, syntax, place, little)
    if values.get("SOPClassUID") not in ENHANCED:
        return [_slice(path, values, stored)]
    return [_slice(path, values | own, stored, place) for place, own in enumerate(frame_values(header))]


def _need_image(values: dict[str, Any]) -> None:
    """Refuse a file that holds no picture that can be opened."""
    if what := _other_kind(values):
        raise NoImageError(what, facts=_facts(values))


def _other_kind(values: dict[str, Any]) -> str:
    """What a file is that holds no picture that can be opened; empty where it holds one."""
    modality = str(values.get("Modality", ""))
    if modality in _KINDS:
        return _KINDS[modality]
    if not values.get("Rows") or not values.get("Columns") or not values.get("SOPInstanceUID"):
        if str(values.get("SOPClassUID", "")).startswith(_PICTURES):
            raise damaged("its header ends too early")
        return "no image"
    if values.get("SOPClassUID") not in ENHANCED and int(values.get("NumberOfFrames") or 1) > 1:
        return "a film, several frames in one file"
    if int(values.get("SamplesPerPixel") or 1) != 1 or "PALETTE" in str(values.get("PhotometricInterpretation")):
        return "a colour image"
    if "MOSAIC" in _words(values.get("ImageType")):
        return "a mosaic, many slices in one picture, which dcm2niix can take apart"
    if not (1 <= int(values["Rows"]) <= _MAX_SIDE and 1 <= int(values["Columns"]) <= _MAX_SIDE):
        return f"an image of {values['Columns']} x {values['Rows']}, which cannot be"
    return ""


def _stored(values: dict[str, Any], syntax: str, place: tuple[int, int], little: bool) -> Stored:
    """How the pixels are stored: from which byte on, and how many; -1 where they are packed."""
    bits = int(values.get("BitsAllocated") or 0)
    used = int(values.get("BitsStored") or bits)
    high = int(values["HighBit"]) if values.get("HighBit") is not None else used - 1
    if bits not in (8, 16, 32):
        raise NoImageError(f"an image of {bits} bits per pixel, which are not read", facts=_facts(values))
    if not 1 <= used <= high + 1 <= bits:
        raise NoImageError(f"an image of {used} of {bits} bits up to bit {high}, which cannot be", facts=_facts(values))
    begin, size = place
    if bits == 8 and not little:
        begin = -1  # words of two pixels may be swapped: left to the library
    return Stored(syntax, bits, used, high, int(values.get("PixelRepresentation") or 0) == 1, begin, size, not little)


def _pixel_place(file: BufferedReader, implicit: bool, little: bool, facts: Facts) -> tuple[int, int]:
    """Where plain pixels begin, and how many bytes of them there are; -1 where that is not told in the usual way."""
    order = "little" if little else "big"
    tag = file.read(4)
    group, element = int.from_bytes(tag[:2], order), int.from_bytes(tag[2:], order)
    if (group, element) in ((0x7FE0, 8), (0x7FE0, 9)):
        raise NoImageError("an image of fractions (parametric map), which is not opened", facts=facts)
    if (group, element) != (0x7FE0, 0x10):
        raise NoImageError("an image without pixels", facts=facts)
    form = b"" if implicit else file.read(2)
    if form in _LONG_FORM:
        file.read(2)
    size = int.from_bytes(file.read(4 if implicit or form in _LONG_FORM else 2), order)
    begin = file.tell()
    if size == _ENDLESS:
        return -1, 0
    return begin, min(size, os.fstat(file.fileno()).st_size - begin)


def _words(value: Any) -> tuple[str, ...]:
    """The single values of an element."""
    if value is None or value == "":
        return ()
    return (str(value),) if isinstance(value, str) or not hasattr(value, "__iter__") else tuple(map(str, value))


def _facts(values: dict[str, Any]) -> Facts:
    return {name: sys.intern(str(value)) for name, value in values.items() if value is not None}


def _slice(path: Path, values: dict[str, Any], stored: Stored, frame: int | None = None) -> Slice:
    try:
        position = np.array([float(v) for v in values.get("ImagePositionPatient") or ()])
        directions = np.array([float(v) for v in values.get("ImageOrientationPatient") or ()])
        spacing = [float(v) for v in values.get("PixelSpacing") or ()]
    except (TypeError, ValueError, OverflowError) as error:
        raise damaged() from error
    known = position.shape == (3,) and directions.shape == (6,)
    if known:
        directions = directions.reshape(2, 3)
        if not (np.isfinite(position).all() and np.allclose(directions @ directions.T, np.eye(2), atol=1e-3)):
            raise NoImageError("an image whose position in the patient cannot be", facts=_facts(values))
    if spacing and not (len(spacing) == 2 and min(spacing) > 0 and math.isfinite(sum(spacing))):
        raise NoImageError("an image whose spacing cannot be", facts=_facts(values))
    return Slice(
        path, _facts(values), (int(values["Rows"]), int(values["Columns"])), stored, _words(values.get("ImageType")),
        position if known else None, directions if known else None, (spacing[0], spacing[1]) if spacing else None,
        "|".join(str(values.get(tag, "")) for tag in _IDENTITY), frame,
    )  # fmt: skip


_IDENTITY = ("SOPInstanceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns",
             "RescaleSlope", "RescaleIntercept")  # fmt: skip


def number_of(facts: Facts, tag: str) -> float | None:
    """A value as a finite number; None where there is none."""
    text = text_of(facts, tag)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError as error:
        raise UserError(f"The {tag} of this series is {text!r}; a number was expected.", COPY_AGAIN) from error
    if not math.isfinite(number):
        raise UserError(f"The {tag} of this series is {number}, which cannot be.", COPY_AGAIN)
    return number


def text_of(facts: "Facts | Dataset", tag: str) -> str:
    """A value of a header as plain text; empty where there is none."""
    value = facts.get(tag)
    return "" if value is None else str(value).strip()


def details_of(facts: Facts) -> dict[str, str]:
    """Facts of the measurement; nothing about the person, the place or the day."""
    rows = (
        ("Series", "SeriesNumber", ""), ("Modality", "Modality", ""), ("Maker", "Manufacturer", ""),
        ("Scanner", "ManufacturerModelName", ""), ("Field", "MagneticFieldStrength", " T"),
        ("Sequence", "ScanningSequence", ""), ("Name of sequence", "SequenceName", ""),
        ("Acquisition", "MRAcquisitionType", ""), ("Patient lay", "PatientPosition", ""),
        ("Echo time", "EchoTime", " ms"), ("Repetition time", "RepetitionTime", " ms"),
        ("Flip angle", "FlipAngle", "°"), ("Slice thickness", "SliceThickness", " mm"),
    )  # fmt: skip
    found = {"Format": "DICOM"}
    for title, tag, unit in rows:
        if value := text_of(facts, tag).strip("[]").replace("'", ""):
            found[title] = _number(value) + unit
    if text_of(facts, "LossyImageCompression") in ("1", "01"):
        found["Compression"] = "with loss"
    return found


def _number(text: str) -> str:
    try:
        return f"{float(text):.5g}"
    except ValueError:
        return text
