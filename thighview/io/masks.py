"""Masks: read onto the scan's own voxels, written back as NIfTI with the numbers they came with."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.found_mask import FoundMask, MaskWish
from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap, painted_values
from thighview.core.overlaps import overlaps_of
from thighview.core.placing import Fit, difference, fit_of
from thighview.core.resampling import grid_change, nearest, share_outside
from thighview.core.segments import MaskFile, number_segments, value_layers
from thighview.core.volume import Volume
from thighview.io import nifti
from thighview.io.atomic import read_back_differs, write_atomic, write_json_atomic
from thighview.io.mask_file import read_mask_file
from thighview.io.mask_names import is_sidecar


def read_mask(
    path: Path | str, volume: Volume, resample: bool = False, overlaps: str = ""
) -> tuple[LabelMap, LabelTable]:
    """Read a label map onto the grid of a volume.

    A mask of the same voxels stored in another axis order or direction is put in place exactly; nothing is
    interpolated unless it is asked for. Labels keep the number of the file in ``file_id``; names, sides and colours
    come from the file, or from what lies beside it.

    Parameters
    ----------
    path : Path
        Any file of :func:`find_mask`.
    volume : Volume
        The scan it belongs to.
    resample : bool
        Carry a mask on another grid over by nearest neighbours.
    overlaps : str
        Which label wins where several lie over each other, the ``first`` or the ``last`` of the file.

    Returns
    -------
    labels : ndarray of uint8, shape (z, y, x)
        On the volume's grid.
    table : LabelTable
        Every label of the file and of what names it.

    Raises
    ------
    UserError
        When it is not a label map, lies on another grid than the scan, or has labels over each other.
    """
    found = find_mask(path, volume)
    return found.settled(MaskWish(resample, found.ordered(overlaps)))


def find_mask(path: Path | str, volume: Volume) -> FoundMask:
    """Read a mask onto the voxels of a scan, with what has to be settled before it can be taken.

    NIfTI and any other image of whole numbers, NRRD label maps, segmentations of 3D Slicer, DICOM segmentations.

    Parameters
    ----------
    path : Path
        The file.
    volume : Volume
        The scan it belongs to.

    Returns
    -------
    FoundMask
        Of a mask on another grid ``grid`` tells what carrying it over to the scan's has changed.

    Raises
    ------
    UserError
        When it is no mask, damaged, drawn on another scan, or does not say where it lies.
    """
    mask = read_mask_file(Path(path), volume)
    mask = replace(mask, grid=mask.grid.placed_as(volume))
    table, values, notes = number_segments(mask.segments)
    layers = value_layers(mask, values)
    automatic = frozenset(v for s, v in zip(mask.segments, values, strict=True) if s.automatic)
    fit = fit_of(mask.grid, volume)
    grid = None
    if fit and _fits(mask, fit, layers, volume):
        layers = tuple(np.ascontiguousarray(fit.put(layer, volume.shape)) for layer in layers)
    else:
        _need_one_space(mask, volume)
        carried = tuple(nearest(layer, mask.grid, volume) for layer in layers)
        words, doubt = _difference(mask, layers, volume), _doubt(mask, volume)
        grid = grid_change(layers, carried, table, mask.grid, volume, words, doubt)
        layers = carried
    if grid is None and mask.frame_uid and volume.frame_uid not in ("", mask.frame_uid):
        notes = (*notes, f"{mask.name} names another frame of reference, but its voxels are those of the scan.")
    overlaps = overlaps_of(layers, table, volume.voxel_volume_ml)
    by_index = mask.grid.kind == "dicom" and volume.series_uid in mask.series_uids
    said = mask.provenance.on_scan(mask.grid, fit, volume, by_index)
    if told := mask.provenance.sentence(mask.name, said):
        notes = (*notes, told)
    return FoundMask(mask.name, layers, table, values, grid, overlaps, automatic, (*mask.notes, *notes), said)


def write_mask(path: Path | str, labels: LabelMap, table: LabelTable, volume: Volume) -> None:
    """Write a label map with the position of the scan and the label numbers of the file it came from.

    The file is there whole or not at all, and is read again and compared before it takes its place.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz``.
    labels : ndarray of uint8, shape (z, y, x)
        On the volume's grid; values that the table does not name are written as they are.
    """
    target = Path(path)
    if labels.shape != volume.shape:
        raise ValueError(f"a mask of the shape {labels.shape} cannot lie on a scan of {volume.shape}")
    if not target.name.lower().endswith((".nii", ".nii.gz")):
        raise UserError(f"A mask is written as .nii or .nii.gz, found {target.name}.", "Choose such a name.")
    codes = file_codes(labels, table)

    def write(file: BinaryIO) -> None:
        nifti.write_label_map(file, codes, volume, target.name.lower().endswith(".gz"))

    def check(temporary: Path) -> None:
        back = nifti.read_nifti(temporary)
        if not (np.array_equal(back.voxels, codes) and back.placed_as(volume).same_grid(volume, 1e-3)):
            raise read_back_differs(target)

    write_atomic(target, write, check)


def sidecar_path(mask_path: Path) -> Path:
    """``OUT.json`` beside ``OUT.nii.gz``."""
    return mask_path.with_name(nifti.stem(mask_path) + ".json")


def need_own_sidecar(mask_path: Path) -> None:
    """Refuse a mask whose sidecar would replace a file of another kind, such as what BIDS keeps beside a scan."""
    path = sidecar_path(mask_path)
    if path.exists() and not is_sidecar(path):
        raise UserError(
            f"{path.name}, where the labels of the mask would stand, is there already and tells of something else.",
            "Choose another name for the mask.",
        )


def write_sidecar(mask_path: Path | str, table: LabelTable, **facts: object) -> Path:
    """Write the names of a mask's labels beside it, with further facts (model, weights' SHA-256); returns the path.

    ``labels`` is a list of ``{"id", "name", "side", "colour"}``, the id being the number in the mask file.
    """
    path = sidecar_path(Path(mask_path))
    rows = [{"id": b.file_id, "name": b.name, "side": b.side, "colour": list(b.colour)} for b in table]
    write_json_atomic(path, {"labels": rows, **facts})
    return path


def _fits(mask: MaskFile, fit: Fit, layers: Sequence[LabelMap], volume: Volume) -> bool:
    """Whether a mask has the scan's voxels; one that says only where something is may have fewer of them."""
    if "orientation" in mask.grid.unsure - volume.unsure or not (fit.is_plain or volume.other_affine is None):
        return False
    if fit.covers(volume.shape):
        return True
    return mask.partial and not any(fit.outside(layer, volume.shape) for layer in layers)


def _need_one_space(mask: MaskFile, volume: Volume) -> None:
    """Refuse a mask whose position has nothing to do with that of the scan: carried over, it would lie anywhere."""
    if "orientation" in mask.grid.unsure - volume.unsure:
        raise UserError(
            f"{mask.name} cannot be laid on the scan: {difference(mask.grid, volume)}.",
            "Save it again with its position, as it was exported from the program that drew it.",
        )
    named = volume.series_uid and volume.series_uid in mask.series_uids
    if mask.frame_uid and volume.frame_uid and mask.frame_uid != volume.frame_uid and not named:
        raise UserError(
            f"{mask.name} was drawn on another scan: neither its frame of reference nor its series is that of the scan "
            "that is open, and its voxels are not the scan's.",
            "Open the scan it was drawn on.",
        )


def _difference(mask: MaskFile, layers: Sequence[LabelMap], volume: Volume) -> str:
    """What differs; of a mask that has the scan's voxels, and more of them, how much of it lies outside."""
    fit = fit_of(mask.grid, volume)
    if fit and not fit.is_plain and volume.other_affine is not None:
        return "it is stored in another order, and the file of the scan gives two positions"
    if mask.partial and fit:
        return f"{share_outside(layers, mask.grid, volume):.2%} of what is drawn lies outside the scan"
    return difference(mask.grid, volume, mask.partial)


def _doubt(mask: MaskFile, volume: Volume) -> str:
    """What cannot be told of the two positions before a mask is carried over."""
    if volume.other_affine is not None:
        return "It is laid by the position that is shown: check that left and right of the mask are those of the scan."
    if mask.frame_uid and not volume.frame_uid:
        return "The scan does not name its frame of reference, so the mask may have been drawn on another one."
    if "orientation" in volume.unsure:
        return "The scan does not say where it lies: whether the mask lies right cannot be told."
    if mask.series_uids and volume.series_uid and volume.series_uid not in mask.series_uids:
        return "It was drawn on another series, in the same frame of reference: the person may have moved meanwhile."
    return ""


def file_codes(labels: LabelMap, table: LabelTable) -> NDArray[np.integer[Any]]:
    """A label map in the numbers of the file it came from, in the narrowest type of NIfTI that holds them.

    Raises
    ------
    UserError
        When two labels would get one number, or one is too large.
    """
    code_of = np.arange(256)
    for label in table:
        code_of[label.value] = label.file_id
    used = code_of[painted_values(labels)]
    if np.unique(used).size < used.size:
        raise UserError(
            "Two labels of this mask would get the same number in the file.", "Give one of them another number."
        )
    for name in ("u1", "i2", "i4"):
        if used.min() >= np.iinfo(name).min and used.max() <= np.iinfo(name).max:
            return code_of.astype(name)[labels]
    raise UserError("A label number of this mask is too large for a NIfTI file.", "Give it a smaller number.")
