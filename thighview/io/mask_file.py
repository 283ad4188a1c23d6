"""One door for masks: what kind a file is, is found out by reading it, never by its name."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.segments import MaskFile, numbers_in
from thighview.core.volume import Volume
from thighview.io import dicom_header, mask_nrrd_in, mask_seg_in
from thighview.io.mask_names import names_beside, segments_of
from thighview.io.reading import read_volume


def read_mask_file(path: Path, volume: Volume | None = None) -> MaskFile:
    """Read a mask as its file has it: NIfTI and any other image of whole numbers, NRRD, or a DICOM segmentation.

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
    try:
        if path.is_file() and mask_nrrd_in.is_nrrd(path):
            return mask_nrrd_in.read_nrrd_mask(path)
        if path.is_file() and dicom_header.is_dicom(path) and mask_seg_in.is_seg(path):
            return mask_seg_in.read_seg(path, None if volume is None else volume.affine[:3, :3].T.tolist())
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror or error}.", "Check the path.") from error
    return of_image(read_volume(path), path)


def of_image(image: Volume, path: Path) -> MaskFile:
    """A mask of an image whose numbers are labels, with the names that lie beside it."""
    codes = whole_numbers(image.voxels, path.name)
    return MaskFile(path.name, image, (codes,), segments_of(numbers_in(codes), names_beside(path)))


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
