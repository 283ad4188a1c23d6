"""The DICOM images a case was drawn on, in the order of its slices, with all that their headers say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.io.dicom import choose_series
from thighview.io.dicom_file import is_dicom, read_dataset
from thighview.io.dicom_frames import ENHANCED, frame_values
from thighview.io.dicom_header import Slice
from thighview.io.dicom_pixels import images_of
from thighview.io.dicom_stack import stack_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_SAME_PLACE_MM = 1e-2


@dataclass(frozen=True)
class SourceImage:
    """One image: its place in the stack, and the whole header of its file without the pixels.

    ``flat`` is that header with what a frame of an enhanced image says of itself named as in a classic one.
    """

    index: int
    slice: Slice
    whole: "Dataset"
    flat: "Dataset"


@dataclass(frozen=True)
class SourceImages:
    """The images of a case, lowest slice first; a slice that is missing in the series has none.

    ``files`` is the number of files they lie in.
    """

    images: tuple[SourceImage, ...]
    files: int

    def with_pixels(self) -> Iterator[tuple[SourceImage, NDArray[Any]]]:
        """Each image with its stored pixels, shape (rows, columns), file by file.

        Raises
        ------
        UserError
            When pixels cannot be decoded.
        """
        for place, pixels in images_of([image.slice for image in self.images]):
            yield self.images[place], pixels.copy()


def source_images(case: Case) -> SourceImages:
    """The DICOM images of a case whose scan has been read.

    Raises
    ------
    UserError
        When the scan is no DICOM series, or its images are not where the case's slices are.
    """
    volume = case.volume
    if volume.kind != "dicom":
        raise UserError(
            "Its scan is no DICOM series, so there is no source for DICOM to refer to.",
            "Write it as NIfTI or NRRD, or open the DICOM series itself.",
        )
    first = case.series[0]
    stack = stack_of(choose_series(first.path, first.part, first.sha256).slices)
    if stack.shape != volume.shape or np.abs(stack.affine - volume.affine).max() > _SAME_PLACE_MM:
        raise UserError("Its DICOM images do not lie where the mask's slices are.", "Put the original series back.")
    return _with_headers(stack.slices)


def images_at(path: Path, part: str = "", known_sha256: str = "") -> SourceImages:
    """The images of a DICOM series, found as by ``reading.read_volume``; none where nothing of DICOM lies there.

    Raises
    ------
    UserError
        When it cannot be read.
    """
    if not path.is_dir() and not is_dicom(path):
        return SourceImages((), 0)
    return _with_headers(stack_of(choose_series(path, part, known_sha256).slices).slices)


def _with_headers(stack: "Sequence[Slice | None]") -> SourceImages:
    whole: dict[Path, Dataset] = {}
    frames: dict[Path, list[dict[str, Any]]] = {}
    images: list[SourceImage] = []
    for index, s in enumerate(stack):
        if s is None:
            continue
        if s.path not in whole:
            whole[s.path] = header = read_dataset(s.path)
            for keyword in PIXELS:
                if keyword in header:
                    del header[keyword]
            enhanced = str(header.get("SOPClassUID")) in ENHANCED
            frames[s.path] = list(frame_values(header)) if enhanced else []
        header = whole[s.path]
        images.append(SourceImage(index, s, header, _flat(header, frames[s.path], s.frame)))
    return SourceImages(tuple(images), len(whole))


def _flat(whole: "Dataset", frames: list[dict[str, Any]], frame: int | None) -> "Dataset":
    if not frames:
        return whole
    from pydicom.dataset import Dataset

    flat = Dataset({element.tag: element for element in whole})
    for keyword, value in frames[frame or 0].items():
        if keyword in flat:
            del flat[keyword]  # setting it would change the element itself, which all frames share
        setattr(flat, keyword, value)
    return flat


def values_of(header: "Dataset", keyword: str) -> list[str]:
    """All values of an element as plain text; none where there is no such element."""
    value = header.get(keyword)
    if value is None or value == "":
        return []
    return (
        [str(value).strip()]
        if isinstance(value, str) or not hasattr(value, "__iter__")
        else [str(one).strip() for one in value]
    )
