"""One door for masks: what kind a file is, is found out by reading it, never by its name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.provenance import Provenance
from thighview.core.segments import MaskFile, Segment, named, numbers_in
from thighview.core.volume import Volume
from thighview.io import loader, mask_nrrd_in, numpy_in
from thighview.io.bounded import first_bytes
from thighview.io.dicom_file import is_dicom
from thighview.io.facts import believed
from thighview.io.mask_names import names_beside, provenance_beside, segments_of
from thighview.io.mask_parts import mask_of_parts
from thighview.io.names import need_storable
from thighview.io.npz_in import OwnFile, own_mask
from thighview.io.reading import read_volume


def read_mask_file(path: Path, volume: Volume | None = None) -> MaskFile:
    """Read a mask as its file has it.

    It is any image of whole numbers, a Dafne bundle, one of our own ``.npz``, NRRD, or a DICOM segmentation.

    It takes a moment: on a worker thread, not on the window's thread.

    Parameters
    ----------
    path : Path
        The file.
    volume : Volume, optional
        The scan: where a DICOM segmentation has few frames and does not say how far apart, it helps to tell.

    Raises
    ------
    UserError
        When it is not a mask, damaged, or cannot be read, with the reason.
    """
    need_storable(path)
    found = _read(path, volume)
    if found.provenance == Provenance():
        found = replace(found, provenance=provenance_beside(path))
    return found.unmarked()


def _read(path: Path, volume: Volume | None) -> MaskFile:
    try:
        if path.is_file() and mask_nrrd_in.is_nrrd(path):
            return mask_nrrd_in.read_nrrd_mask(path)
        if path.is_file() and is_seg(path):
            steps_mm = None if volume is None else volume.affine[:3, :3].T.tolist()
            facts, arrays = loader.ask("thighview.io.mask_parts:read_seg_parts", path, steps_mm)
            with believed(path):
                return mask_of_parts(facts, arrays)
        if path.is_file() and numpy_in.starts(first_bytes(path)):
            if own := own_mask(path):
                return _of_own(path, *own)
            if masks := numpy_in.bundle_masks(path):
                return _of_bundle(path, masks)
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror or error}.", "Check the path.") from error
    return of_image(read_volume(path), path)


def is_seg(path: Path) -> bool:
    """Whether a file is a DICOM segmentation; it is looked at in a process of its own."""
    if not is_dicom(path):
        return False
    facts, _ = loader.ask("thighview.io.mask_parts:is_seg", path)
    return facts.get("seg") is True


def of_image(image: Volume, path: Path) -> MaskFile:
    """A mask of an image whose numbers are labels, with the names that lie beside it."""
    codes = whole_numbers(image.voxels, path.name)
    segments = segments_of(numbers_in(codes), names_beside(path))
    return MaskFile(path.name, image, (codes,), segments, notes=image.warnings)


def _of_bundle(path: Path, masks: dict[str, NDArray[np.bool_]]) -> MaskFile:
    """The masks of a Dafne bundle in their order, each in the first layer in which it hides nothing."""
    layers: list[NDArray[np.uint16]] = []
    segments: list[Segment] = []
    for number, (name, inside) in enumerate(masks.items(), 1):
        at = next((i for i, layer in enumerate(layers) if not layer[inside].any()), len(layers))
        if at == len(layers):
            layers.append(np.zeros(inside.shape, np.uint16))
        layers[at][inside] = number
        plain, side, _ = named(name)
        segments.append(Segment(number, plain, side, layer=at, code=number))
    image = numpy_in.read_numpy(path)
    return MaskFile(path.name, image, tuple(layers), tuple(segments), notes=image.warnings)


def _of_own(path: Path, mask: NDArray[np.integer[Any]], own: OwnFile) -> MaskFile:
    """The mask of one of our own exports; numbers that none of its labels has are labels without a name."""
    named = {segment.number for segment in own.segments}
    nameless = [number for number in numbers_in(mask) if number and number not in named]
    segments = (*own.segments, *(Segment(number) for number in nameless))
    image = numpy_in.read_numpy(path)
    return MaskFile(path.name, image, (mask,), segments, notes=image.warnings, provenance=own.provenance)


def whole_numbers(stored: NDArray[Any], name: str) -> NDArray[np.integer[Any]]:
    """Numbers as integers.

    Raises
    ------
    UserError
        When one of them is no whole number.
    """
    if stored.dtype.kind in "iu":
        return stored
    with np.errstate(invalid="ignore"):
        whole = stored.astype(np.int32)
    if not np.array_equal(whole, stored):
        odd = stored[whole != stored].ravel()[0]
        raise UserError(f"{name} is no label map: it holds numbers like {odd:g}.", "Open a mask of whole numbers.")
    return whole
