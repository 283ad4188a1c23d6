"""Several masks that are opened together, as one: each in layers of its own, labels of one name being one label."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from thighview.core.found_mask import FoundMask
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import LabelMap, renumber
from thighview.core.overlaps import overlaps_of
from thighview.core.provenance import least
from thighview.core.resampling import GridChange
from thighview.core.segments import named


def together(masks: Sequence[FoundMask], stems: Sequence[str], voxel_ml: float) -> FoundMask:
    """Masks on the voxels of one scan as one mask, in their order.

    Labels without a name that several files have would fall together: they are called by their files.

    Parameters
    ----------
    stems : sequence of str
        Names of the files without their endings.
    voxel_ml : float
        Volume of a voxel of the scan, ml.

    Raises
    ------
    UserError
        When there are more than 255 labels.
    """
    masks, renamed = _named_by_files(masks, stems)
    table, layers, order = LabelTable(), list[LabelMap](), list[int]()
    automatic, grids = set[int](), list[tuple[str, GridChange]]()
    notes = [note for mask in masks for note in mask.notes]
    for mask in masks:
        table, values = table.joined(mask.table)
        layers += [renumber(layer, values) for layer in mask.layers]
        order += [values[value] for value in mask.order if values[value] not in order]
        automatic |= {values[value] for value in mask.automatic}
        moved = [b.file_id for b in mask.table if (own := table.get(values[b.value])) and own.file_id != b.file_id]
        if moved:
            listed = ", ".join(map(str, moved[:5])) + (", …" if len(moved) > 5 else "")
            notes.append(f"Numbers of {mask.name} that others have are written anew: {listed}.")
        if mask.grid:
            grids.append((mask.name, _renamed_grid(mask.grid, table, values)))
    if renamed:
        notes.append(f"Labels without a name are called by their files: {', '.join(renamed)}.")
    said = ()
    if any(mask.said for mask in masks):
        said = tuple(map(least, zip(*(mask.reviews(mask.layers[0], mask.table) for mask in masks), strict=True)))
    names = [mask.name for mask in masks]
    listed = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    name = f"{', '.join(listed[:-1])} and {listed[-1]}"
    overlaps = overlaps_of(layers, table, voxel_ml)
    return FoundMask(
        name, tuple(layers), table, tuple(order), _one_grid(grids), overlaps, frozenset(automatic), tuple(notes), said
    )


def _named_by_files(masks: Sequence[FoundMask], stems: Sequence[str]) -> tuple[list[FoundMask], list[str]]:
    """The masks with names for labels that have none, where several have such a label; and those names."""
    count = Counter(label.key for mask in masks for label in mask.table if _is_nameless(label))
    twins = {key for key, often in count.items() if often > 1}
    taken = {label.key for mask in masks for label in mask.table}
    done: list[FoundMask] = []
    renamed: list[str] = []
    for mask, stem in zip(masks, stems, strict=True):
        labels: list[Label] = []
        for label in mask.table:
            new = label
            if _is_nameless(label) and label.key in twins:
                name, side, _ = named(stem if len(mask.table) == 1 else f"{stem}_{label.file_id}")
                new, n = replace(label, name=name or label.name, side=side), 1
                while new.key in taken:
                    n += 1
                    new = replace(new, name=f"{name or label.name}_{n}")
                taken.add(new.key)
                renamed.append(new.title)
            labels.append(new)
        done.append(replace(mask, table=LabelTable(tuple(labels))))
    return done, renamed


def _is_nameless(label: Label) -> bool:
    return label.key == f"label_{label.file_id}"


def _renamed_grid(grid: GridChange, table: LabelTable, values: Mapping[int, int]) -> GridChange:
    changes = [replace(change, label=table.get(values[change.label.value]) or change.label) for change in grid.changes]
    return replace(grid, changes=tuple(changes))


def _one_grid(grids: Sequence[tuple[str, GridChange]]) -> GridChange | None:
    """What carrying several over means, told as one; the numbers of a grid are those of the first."""
    if not grids:
        return None
    return replace(
        grids[0][1],
        difference="; ".join(f"{name}: {grid.difference}" for name, grid in grids),
        outside=max(grid.outside for _, grid in grids),
        changes=tuple(change for _, grid in grids for change in grid.changes),
        doubt=" ".join(dict.fromkeys(grid.doubt for _, grid in grids if grid.doubt)),
    )
