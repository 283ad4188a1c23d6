"""The header of one DICOM file: read, checked, and told apart from what is no classic image."""

import functools
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.io.dicom_frames import ENHANCED, GROUPS, frame_headers

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MAX_SIDE = 4096
_MOST_INFLATED = 50 << 20
_MOST_META = 1 << 20
_CHUNK_BYTES = 1 << 20
_DEFLATED = b"1.2.840.10008.1.2.1.99"
COPY_AGAIN = "Copy the series again from the scanner or the archive."
_TAGS = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "Modality",
    "ImageType", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns",
    "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "RescaleSlope",
    "RescaleIntercept", "EchoTime", "EchoNumbers", "RepetitionTime", "FlipAngle", "MagneticFieldStrength",
    "Manufacturer", "ManufacturerModelName", "SliceThickness", "SpacingBetweenSlices", "PatientID", "InstanceNumber",
    "TemporalPositionIdentifier", "DiffusionBValue", "AcquisitionNumber", "FrameOfReferenceUID",
    *GROUPS,
)  # fmt: skip


@dataclass(frozen=True)
class Slice:
    """One image of a series: what its header says, without the pixels."""

    path: Path
    header: "Dataset"
    position: NDArray[np.float64]
    directions: NDArray[np.float64]
    """Rows: the direction along a row (growing column), the direction down a column; shape (2, 3)."""
    spacing_mm: tuple[float, float]
    """Between rows, between columns."""
    frame: int | None = None
    """Its place in an enhanced image; None where it has the file to itself."""

    @property
    def instance(self) -> tuple[str, int]:
        """What tells this image from all others."""
        return text_of(self.header, "SOPInstanceUID"), self.frame or 0


def is_dicom(path: Path) -> bool:
    """Whether a file starts like DICOM, with or without its preamble; read, not guessed from the name."""
    with path.open("rb") as file:
        return _looks_like_dicom(file.read(132))


def _looks_like_dicom(start: bytes) -> bool:
    if start[128:132] == b"DICM":
        return True
    group, element = start[:2], start[2:4]  # no preamble: it begins with an element of group 2 or 8
    return (group in (b"\x02\0", b"\x08\0") and element[1:] == b"\0" and element[0] <= 0x18) or (
        group in (b"\0\x08", b"\0\x02") and element[:1] == b"\0" and element[1:] <= b"\x18"
    )


@functools.cache
def _pydicom() -> Any:
    """pydicom, imported with the first DICOM file and told to take odd values as they are, without a warning."""
    import pydicom
    from pydicom import config

    config.settings.reading_validation_mode = config.IGNORE
    return pydicom


def read_dataset(path: Path, pixels: bool = False) -> "Dataset":
    """A file's header, only the tags used here, or all of it with the pixels."""
    with path.open("rb") as file:
        start = file.read(1024)
        if start[132:136] == b"\x02\0\0\0":  # the length of the group in which the packing is named
            start += file.read(max(0, min(144 + int.from_bytes(start[140:144], "little"), _MOST_META) - len(start)))
        if _DEFLATED in start:
            _check_inflated(start, file)
    try:
        header = _pydicom().dcmread(
            path, force=True, stop_before_pixels=not pixels, specific_tags=None if pixels else list(_TAGS)
        )
        for tag in _TAGS:
            header.get(tag)  # decoded here and now, so that what cannot be decoded is found here
        return header
    except Exception as error:
        raise UserError("damaged: its header cannot be read", COPY_AGAIN) from error


def _check_inflated(start: bytes, file: BinaryIO) -> None:
    """Refuse a deflated file that grows beyond all measure: it would fill the memory before anything of it is known.

    Its file meta group begins at byte 132 with its own length (PS3.10, 7.1); all after it is one deflate stream.
    """
    length = int.from_bytes(start[140:144], "little")
    if start[128:138] != b"DICM\x02\0\0\0UL" or 144 + length > len(start):
        raise UserError("damaged: its header cannot be read", COPY_AGAIN)
    file.seek(144 + length)
    inflate, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    try:
        while not inflate.eof and size <= _MOST_INFLATED:
            packed = inflate.unconsumed_tail or file.read(_CHUNK_BYTES)
            if not packed:
                break
            size += len(inflate.decompress(packed, _CHUNK_BYTES))
    except zlib.error as error:
        raise UserError("damaged: what is deflated in it cannot be inflated", COPY_AGAIN) from error
    if size > _MOST_INFLATED:
        raise UserError(
            f"a deflated file that inflates to more than {_MOST_INFLATED >> 20} MB", "Convert it with dcmconv first."
        )


def read_slices(path: Path) -> list[Slice]:
    """The images of one file, checked; the message of what it raises finishes the sentence ``it is ...``."""
    header = read_dataset(path)
    if str(header.get("SOPClassUID")) not in ENHANCED:
        return [_slice(path, header)]
    try:
        frames = list(frame_headers(header))
    except UserError:
        raise
    except Exception as error:
        raise UserError("damaged: its header cannot be read", COPY_AGAIN) from error
    return [_slice(path, frame, place) for place, frame in enumerate(frames)]


def _slice(path: Path, header: "Dataset", frame: int | None = None) -> Slice:
    try:
        rows, columns = header.get("Rows"), header.get("Columns")
        if not rows or not columns or header.get("SOPInstanceUID") is None:
            raise UserError("no image (a report, a plan or a directory)")
        if frame is None and int(header.get("NumberOfFrames") or 1) > 1:
            raise UserError("a film or a segmentation, several frames in one file")
        if int(header.get("SamplesPerPixel") or 1) != 1 or "PALETTE" in text_of(header, "PhotometricInterpretation"):
            raise UserError("a colour image")
        if "MOSAIC" in [str(word) for word in header.get("ImageType") or ()]:
            raise UserError("a mosaic, many slices in one picture, which is not opened")
        if not (1 <= int(rows) <= _MAX_SIDE and 1 <= int(columns) <= _MAX_SIDE):
            raise UserError(f"an image of {columns} x {rows}, which cannot be")
        position = np.array([float(v) for v in header.get("ImagePositionPatient") or ()])
        directions = np.array([float(v) for v in header.get("ImageOrientationPatient") or ()])
        spacing = [float(v) for v in header.get("PixelSpacing") or ()]
    except (TypeError, ValueError, OverflowError, AttributeError, KeyError) as error:
        raise UserError("damaged: its header cannot be read", COPY_AGAIN) from error
    if position.shape != (3,) or directions.shape != (6,) or len(spacing) != 2:
        raise UserError("an image that does not say where it lies in the patient")
    directions = directions.reshape(2, 3)
    square = np.allclose(directions @ directions.T, np.eye(2), atol=1e-3)
    if not (np.isfinite(position).all() and square and min(spacing) > 0 and math.isfinite(sum(spacing))):
        raise UserError("an image whose position in the patient cannot be")
    return Slice(path, header, position, directions, (spacing[0], spacing[1]), frame)


def iter_frames(dataset: "Dataset", frames: Sequence[int | None]) -> Iterator[NDArray[Any]]:
    """The stored pixels of these frames, decoded one by one; of a classic image, all there is."""
    if frames == [None]:
        yield dataset.pixel_array
    else:
        yield from _pydicom().pixels.iter_pixels(dataset, indices=frames)


def number_of(header: "Dataset", tag: str) -> float | None:
    """A value as a finite number; None where there is none."""
    value = header.get(tag)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"The {tag} of this series is {value!r}; a number was expected.", COPY_AGAIN) from error
    if not math.isfinite(number):
        raise UserError(f"The {tag} of this series is {number}, which cannot be.", COPY_AGAIN)
    return number


def text_of(header: "Dataset", tag: str) -> str:
    """A value as plain text; empty where there is none."""
    value = header.get(tag)
    return "" if value is None else str(value).strip()


def details_of(header: "Dataset") -> dict[str, str]:
    """Facts of the measurement; nothing about the person, the place or the day."""
    rows = (
        ("Series", "SeriesNumber", ""), ("Modality", "Modality", ""), ("Maker", "Manufacturer", ""),
        ("Scanner", "ManufacturerModelName", ""), ("Field", "MagneticFieldStrength", " T"),
        ("Echo time", "EchoTime", " ms"), ("Repetition time", "RepetitionTime", " ms"),
        ("Flip angle", "FlipAngle", "°"), ("Slice thickness", "SliceThickness", " mm"),
    )  # fmt: skip
    facts = {"Format": "DICOM"}
    for title, tag, unit in rows:
        if value := text_of(header, tag):
            facts[title] = _number(value) + unit
    return facts


def _number(text: str) -> str:
    try:
        return f"{float(text):.5g}"
    except ValueError:
        return text
