"""``thighview measure``: areas, volumes and fat fractions of a mask."""

import csv
import io
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thighview.cli.files import need_new, need_path, need_room_for, read_scan
from thighview.cli.progress import warn
from thighview.core.errors import UserError
from thighview.core.known import by_other_position, need_lengths
from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume

_COLUMNS = ("label", "name", "side", "slice", "voxels", "area_mm2", "volume_ml")
_FAT = ("fat_fraction_mean_of_voxels_percent", "fat_fraction_of_sums_percent")


def measure(args: Namespace) -> int:
    """``thighview measure IMAGE MASK [-o OUT.csv]``: one line per label and slice, and one for the whole label."""
    from thighview.core.measure import counts_per_slice
    from thighview.core.measure import measure as measure_labels
    from thighview.io.atomic import write_bytes_atomic

    need_path(args.image)
    need_path(args.mask)
    if args.output is not None:
        _need_table_place(args)
    volume = read_scan(args.image, args.part)
    for warning in volume.warnings:
        warn(warning)
    need_lengths(volume)
    labels, table = _labels(args, volume)
    axis = volume.axial_axis
    counts = counts_per_slice(labels, axis)
    fat = args.fat or (args.image if args.fat_part else None)
    key = ScanKey(args.image, args.part)
    if fat and fat.resolve() == args.image.resolve() and _is_same(args.fat_part, key.volume_part):
        raise UserError("Water and fat are the same volume.", "Say which is which with --part and --fat-part.")
    sums = _fat_sums(fat, args.fat_part, volume, labels, key.by_qform) if fat else None
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*_COLUMNS, *(_FAT if fat else ())])
    for one in measure_labels(labels, volume, table, axis):
        label = table.get(one.value)
        number = label.file_id if label else one.value
        cells = _fat_cells(sums, one.value)
        rows.writerow([number, one.name, one.side, "all", one.voxels, "", f"{one.volume_ml:.4f}", *cells])
        for index, area_mm2 in enumerate(one.area_mm2):
            voxels = int(counts[index, one.value])
            ml = voxels * volume.voxel_volume_ml
            cells = _fat_cells(sums, one.value, index)
            rows.writerow([number, one.name, one.side, index + 1, voxels, f"{area_mm2:.3f}", f"{ml:.4f}", *cells])
    if args.output is None:
        sys.stdout.write(text.getvalue())
    else:
        write_bytes_atomic(args.output, text.getvalue().encode())
        print(f"Wrote {args.output}.")
    return 0


def _need_table_place(args: Namespace) -> None:
    """Refuse, before the work, a place for the table where something else would be lost."""
    path: Path = args.output
    if path.suffix.lower() != ".csv":
        raise UserError(f"The name of a table ends in .csv, found {path.name!r}.")
    need_room_for(path, args.image, args.mask, *([args.fat] if args.fat else []))
    need_new(path, path.is_file() and _begins_as_table(path))


def _is_same(fat_part: str, part: str) -> bool:
    """Whether two parts of one file are the same volume; of several in it, reading asks which where none is named."""
    own = ScanKey(Path(), fat_part).volume_part
    return own == part or (own == "1" and not part)


def _begins_as_table(path: Path) -> bool:
    head = ",".join(_COLUMNS).encode()
    with path.open("rb") as file:
        return file.read(len(head)) == head


def _labels(args: Namespace, volume: Volume) -> tuple[LabelMap, LabelTable]:
    """The mask on the scan's voxels; what had to be changed for that is said."""
    from thighview.core.found_mask import MaskWish
    from thighview.io.masks import find_mask

    found = find_mask(args.mask, volume)
    settled = found.settled(MaskWish(args.resample, found.ordered(args.overlaps)))
    for note in found.notes:
        warn(note)
    if found.grid:
        warn(f"{found.name}: {found.grid.as_done}.")
    if found.overlaps:
        warn(f"Labels overlap, and the {args.overlaps} of the file won: {'; '.join(map(str, found.overlaps))}.")
    return settled


def _fat_sums(path: Path, part: str, water: Volume, labels: LabelMap, by_qform: bool) -> NDArray[np.float64]:
    """Sums of the fat fraction along the axial axis, of a water image and the fat image at a path, in its place."""
    from thighview.core.dixon_check import sentences
    from thighview.core.fat_fraction import fat_sums
    from thighview.core.onto_grid import onto_grid, overlap

    need_path(path)
    fat = read_scan(path, part, "--fat-part")
    need_lengths(fat)
    if fat.other_affine is not None and by_qform:
        fat = by_other_position(fat, by_qform)
    fat = fat.placed_as(water)
    if not overlap(fat, water):
        raise UserError(f"{path.name} shows another place than the scan.", "Give the fat image of the same scan.")
    fat = onto_grid(fat, water)
    for sentence in sentences(water, fat):
        warn(sentence)
    axis = water.axial_axis
    return fat_sums(np.moveaxis(labels, axis, 0), *(np.moveaxis(v.voxels, axis, 0) for v in (water, fat)))


def _fat_cells(sums: NDArray[np.float64] | None, value: int, index: int | None = None) -> list[str]:
    """The two cells of a label, of one slice or of all; empty where it has no voxel with signal there."""
    if sums is None:
        return []
    from thighview.core.fat_fraction import fat_fractions

    found = fat_fractions(sums if index is None else sums[index : index + 1]).get(value)
    return [f"{found.mean_of_voxels:.3f}", f"{found.of_the_sums:.3f}"] if found else ["", ""]
