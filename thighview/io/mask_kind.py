"""Whether a file is a scan or a mask, where that can be told from what is in it."""

from pathlib import Path

from thighview.core.errors import UserError
from thighview.core.segments import numbers_in
from thighview.io import formats, mask_nrrd_in, nifti
from thighview.io.dicom_file import is_dicom
from thighview.io.mask_file import is_seg, whole_numbers
from thighview.io.mask_names import is_description, names_beside
from thighview.io.reading import read_volume

_MOST_LABELS = 255


def kind_of(path: Path) -> str:
    """What a file is: ``mask``, ``scan``, ``names`` of labels, or ``either`` of the first two.

    A mask is certain where a file calls itself one, names segments, or has a file of label names beside it; a scan
    where it holds more different numbers than a mask can, numbers that are not whole, or what cannot be read at all
    (who opens it says why). It may have to read the whole file: not on the window's thread.
    """
    try:
        if not path.is_file():
            return "scan"
        if mask_nrrd_in.is_nrrd(path):
            return "mask" if mask_nrrd_in.is_segmentation(path) else _by_numbers(path)
        if is_dicom(path):
            return "mask" if is_seg(path) else "scan"
        if path.suffix.lower() in (".txt", ".label"):
            return "names" if is_description(path) else "scan"
        if formats.format_of(path) is None:
            return "scan"
        return "mask" if nifti.calls_itself_labels(path) else _by_numbers(path)
    except (UserError, OSError):
        return "scan"


def _by_numbers(path: Path) -> str:
    if mask_nrrd_in.is_nrrd(path):
        count = len(mask_nrrd_in.read_nrrd_mask(path).segments)
    else:
        count = len(set(numbers_in(whole_numbers(read_volume(path).voxels, path.name))) - {0})
    if count > _MOST_LABELS:
        return "scan"
    return "mask" if names_beside(path) else "either"
