"""The pixels of DICOM images: plain ones read straight from their place in the file, packed ones decoded."""

import functools
import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.io.child import Report, nobody
from thighview.io.dicom_file import COPY_AGAIN, pydicom, read_dataset
from thighview.io.dicom_header import Slice

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CHUNK_BYTES = 4 << 20
_EXTENDED = "1.2.840.10008.1.2.4.51"
"""JPEG Extended, of 12 bits a pixel: not done by what pydicom asks, but by GDCM itself."""
_GENTLE: dict[str, str] = {
    "1.2.840.10008.1.2.4.50": "pillow", "1.2.840.10008.1.2.4.80": "pyjpegls", "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pillow", "1.2.840.10008.1.2.4.91": "pillow",
}  # fmt: skip
"""Who decodes JPEG-LS, JPEG and JPEG 2000: GDCM, whom pydicom asks first, aborts on some damaged ones."""
_MARKED = {*_GENTLE, "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
"""Packings that say themselves how large an image is."""
_MOST_BOXES = 4096


def images_of(slices: Sequence[Slice]) -> Iterator[tuple[int, NDArray[Any]]]:
    """The stored numbers of these images, each with its place among them; every file is read once.

    Yields
    ------
    int, ndarray of integers, shape (rows, columns)
        File by file, so not in order; an array is overwritten when the next one is asked for.
    """
    by_file: dict[Path, list[int]] = {}
    for index, s in enumerate(slices):
        by_file.setdefault(s.path, []).append(index)
    for path, places in by_file.items():
        places.sort(key=lambda index: slices[index].frame or 0)
        own = [slices[index] for index in places]
        with _there(path):
            for index, image in zip(places, _images_of_file(own), strict=True):
                yield index, image


def image_of(s: Slice) -> NDArray[Any]:
    """The stored numbers of one image."""
    return next(image for _, image in images_of([s])).copy()


def stored_bytes_digest(s: Slice, report: Report = nobody) -> str:
    """SHA-256 of all pixels of an image's file as they are stored there."""
    digest = hashlib.sha256()
    if s.stored.begin < 0:
        digest.update(read_dataset(s.path, ("PixelData",)).get("PixelData") or b"")
        return digest.hexdigest()
    with _there(s.path), s.path.open("rb") as file:
        file.seek(s.stored.begin)
        left = s.stored.size
        while left > 0 and (block := file.read(min(left, _CHUNK_BYTES))):
            digest.update(block)
            left -= len(block)
            report(s.stored.size - left, s.stored.size)
    return digest.hexdigest()


def check_pixels(slices: Sequence[Slice]) -> None:
    """Refuse what is not there in full, or cannot be decoded here, before anything is read."""
    for path, group in groupby(slices, key=lambda s: s.path):
        own = list(group)
        stored, frame_bytes = own[0].stored, _frame_bytes(own[0])
        if stored.begin >= 0 and (max(s.frame or 0 for s in own) + 1) * frame_bytes > stored.size:
            raise _cut_short(path)
        if stored.begin < 0:
            _need_decoder(stored.syntax, path)


@contextmanager
def _there(path: Path) -> Generator[None]:
    """A file that is gone, or not ours to read, since its header was read."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path.name} could not be read: {error.strerror or error}.", "Check the path.") from error


def _images_of_file(slices: Sequence[Slice]) -> Iterator[NDArray[Any]]:
    """The images of one file, in the order of its frames."""
    if slices[0].stored.begin >= 0:
        yield from _plain(slices)
        return
    path = slices[0].path
    _need_decoder(slices[0].stored.syntax, path)
    try:
        frames = _decoded(slices)
        for s in slices:
            yield _checked(next(frames), s)
    except (MemoryError, UserError):
        raise
    except Exception as error:
        raise _cut_short(path) from error


def _plain(slices: Sequence[Slice]) -> Iterator[NDArray[Any]]:
    """Read into one room, again and again."""
    stored, path = slices[0].stored, slices[0].path
    dtype = stored.dtype.newbyteorder(">" if stored.big_endian else "<")
    room = np.empty(slices[0].shape, dtype)
    up, down = stored.bits - 1 - stored.high, stored.bits - stored.used
    with path.open("rb", buffering=0) as file:
        for s in slices:
            file.seek(stored.begin + (s.frame or 0) * room.nbytes)
            view = room.reshape(-1).view(np.uint8).data
            while view and (count := file.readinto(view)):
                view = view[count:]
            if view:
                raise _cut_short(path)
            image = room if dtype.isnative else room.astype(stored.dtype)
            if down:  # bits that do not count may hold anything, overlays for one
                np.left_shift(image, up, out=image)
                np.right_shift(image, down, out=image)
            yield image


def _decoded(slices: Sequence[Slice]) -> Iterator[NDArray[Any]]:
    stored, path = slices[0].stored, slices[0].path
    frames = [s.frame or 0 for s in slices]
    if stored.syntax == _EXTENDED and stored.used > 8:
        whole = _by_gdcm(path, slices[0])
        return (whole[frame] for frame in frames)
    dataset = read_dataset(path)
    if stored.syntax and "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = pydicom().uid.UID(stored.syntax)
    if stored.syntax in _MARKED:
        _check_sizes(dataset, slices)
    plugin = _GENTLE.get(stored.syntax, "")
    known = plugin in pydicom().pixels.get_decoder(stored.syntax).available_plugins if plugin else False
    wanted = None if slices[0].frame is None else frames
    return pydicom().pixels.iter_pixels(dataset, indices=wanted, decoding_plugin=plugin if known else "")


def _check_sizes(dataset: "Dataset", slices: Sequence[Slice]) -> None:
    """Refuse packed images of another size than the header's: a decoder would take memory and time for all of it."""
    wanted = {s.frame or 0 for s in slices}
    count = int(dataset.get("NumberOfFrames") or 1)
    for place, packed in enumerate(pydicom().encaps.generate_frames(dataset.PixelData, number_of_frames=count)):
        if place in wanted and packed_size(packed) != slices[0].shape:
            raise _cut_short(slices[0].path)


def packed_size(packed: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream says it has; None where it says nothing.

    ISO/IEC 10918-1, B.2.2 (frame header), 14495-1, C.2.2, and 15444-1, A.5.1 (image and tile size).
    """
    if (start := packed[:_MOST_BOXES].find(b"\xff\x4f\xff\x51")) >= 0:
        x1, y1, x0, y0 = (int.from_bytes(packed[start + at : start + at + 4], "big") for at in (8, 12, 16, 20))
        return y1 - y0, x1 - x0
    at = 2
    while at + 9 <= len(packed) and packed[at] == 0xFF:
        kind = packed[at + 1]
        if kind == 0xFF:  # a fill byte
            at += 1
        elif kind == 0xF7 or (0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC)):
            return int.from_bytes(packed[at + 5 : at + 7], "big"), int.from_bytes(packed[at + 7 : at + 9], "big")
        else:
            at += 2 + int.from_bytes(packed[at + 2 : at + 4], "big")
    return None


def _by_gdcm(path: Path, first: Slice) -> NDArray[Any]:
    """All frames of a file, (frame, row, column)."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise _cut_short(path)
    data = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
    return np.frombuffer(data, first.stored.dtype).reshape(-1, *first.shape)


def _checked(image: NDArray[Any], s: Slice) -> NDArray[Any]:
    """What a decoder made, if it can be."""
    if image.shape != s.shape or image.dtype.kind not in "iu":
        raise UserError(f"{s.path.name} holds pixels of the shape {image.shape}, which cannot be.", COPY_AGAIN)
    low, high = s.stored.range
    if int(image.min()) < low or int(image.max()) > high:
        raise UserError(f"{s.path.name} is damaged: its pixels hold more than its header allows.", COPY_AGAIN)
    return image.astype(s.stored.dtype, copy=False)


@functools.cache
def _can_decode(syntax: str) -> bool:
    try:
        return bool(pydicom().pixels.get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _need_decoder(syntax: str, path: Path) -> None:
    if not _can_decode(syntax):
        name = pydicom().uid.UID(syntax).name or "unknown"
        raise UserError(
            f"The pixels of {path.name} are compressed in a way that cannot be read here ({name}).",
            "Convert the series with dcm2niix or gdcmconv first.",
        )


def _frame_bytes(s: Slice) -> int:
    return s.shape[0] * s.shape[1] * (s.stored.bits // 8)


def _cut_short(path: Path) -> UserError:
    return UserError(f"{path.name} is cut short or damaged: its pixels cannot be read.", COPY_AGAIN)
