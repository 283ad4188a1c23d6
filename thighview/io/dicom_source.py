"""The DICOM images a case was drawn on, in the order of its slices, with all that their headers say."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.io.dicom import choose_series
from thighview.io.dicom_header import Slice, is_dicom, iter_frames, read_dataset
from thighview.io.dicom_stack import affine_of, evenly, ordered

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_SAME_PLACE_MM = 1e-2


@dataclass(frozen=True)
class SourceImage:
    """One image: its place in the stack, its flat header, and the whole header of its file without the pixels."""

    index: int
    slice: Slice
    whole: "Dataset"


@dataclass(frozen=True)
class SourceImages:
    """The images of a case, lowest slice first; a slice that is missing in the series has none.

    ``files`` is the number of files they lie in.
    """

    images: tuple[SourceImage, ...]
    files: int

    def with_pixels(self) -> Iterator[tuple[SourceImage, NDArray[Any]]]:
        """Each image with its stored pixels, shape (rows, columns); a file with several is read once.

        Raises
        ------
        UserError
            When pixels cannot be decoded.
        """
        for path, group in groupby(self.images, key=lambda image: image.slice.path):
            own = list(group)
            frames = iter_frames(read_dataset(path, pixels=True), [image.slice.frame for image in own])
            for image in own:
                try:
                    with warnings.catch_warnings():  # of bytes behind the last pixel, for one: they are left behind
                        warnings.simplefilter("ignore")
                        pixels = next(frames)
                except Exception as error:
                    raise UserError(f"The pixels of slice {image.index + 1} cannot be decoded.") from error
                yield image, pixels


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
    series = choose_series(case.series[0].path)
    stack = evenly(ordered(series.slices, []), [])
    if len(stack) != volume.shape[0] or np.abs(affine_of(stack, []) - volume.affine).max() > _SAME_PLACE_MM:
        raise UserError("Its DICOM images do not lie where the mask's slices are.", "Put the original series back.")
    return _with_headers(stack)


def images_at(path: Path) -> SourceImages:
    """The images of the DICOM series at a path; none where nothing of DICOM lies there.

    Raises
    ------
    UserError
        When it cannot be read.
    """
    if not path.is_dir() and not is_dicom(path):
        return SourceImages((), 0)
    return _with_headers(evenly(ordered(choose_series(path).slices, []), []))


def _with_headers(stack: "Sequence[Slice | None]") -> SourceImages:
    whole: dict[Path, Dataset] = {}
    images: list[SourceImage] = []
    for index, s in enumerate(stack):
        if s is None:
            continue
        if s.path not in whole:
            whole[s.path] = header = read_dataset(s.path, pixels=True)
            for keyword in PIXELS:
                if keyword in header:
                    del header[keyword]
        images.append(SourceImage(index, s, whole[s.path]))
    return SourceImages(tuple(images), len(whole))


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
