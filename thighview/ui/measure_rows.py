"""The tables of measures: what each row says of a label, on the screen and in a file."""

import csv
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighview.core.case import Case
from thighview.core.fat_fraction import fat_fractions
from thighview.core.labels import Label
from thighview.core.measure import face_area_mm2

Counts = NDArray[np.int64]
"""Voxels per slice and label value, shape (z, 256)."""


@dataclass(frozen=True)
class TableRows:
    """What the table shows: headings with tips, rows of a colour, a name and texts; ``columns`` name them in a file."""

    headings: tuple[str, ...]
    tips: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[int, int, int], tuple[str, ...]], ...]

    def to_text(self, separator: str) -> str:
        """The table as text, headings first."""
        out = io.StringIO()
        table = csv.writer(out, delimiter=separator, lineterminator="\n")
        table.writerow(self.columns)
        table.writerows([cell.replace("−", "-") for cell in cells] for _, cells in self.rows)
        return out.getvalue()


def label_rows(case: Case, counts: Counts, slice_index: int) -> TableRows:
    """One row per painted label: area on one slice (mm2), volume (ml), voxels; voxels alone without known lengths."""
    totals = counts.sum(axis=0)
    unnamed = [Label(v, f"label_{v}") for v in range(1, 256) if totals[v] and case.table.get(v) is None]
    rows = tuple(
        (
            case.table.shown_colour(label),
            (
                label.title,
                *_sizes(case, int(counts[slice_index, label.value]), int(totals[label.value])),
                f"{totals[label.value]}",
            ),
        )
        for label in (*case.table, *unnamed)
        if totals[label.value]
    )
    if not case.is_sized:
        tips = ("", "Voxels on the slice shown", "Voxels of the whole stack")
        columns = ("label", f"voxels_slice_{slice_index + 1}", "voxels")
        return TableRows(("Label", "slice", "voxels"), tips, columns, rows)
    tips = ("", "Area on the slice shown", "Volume of the whole stack", "Voxels of the whole stack")
    columns = ("label", f"area_mm2_slice_{slice_index + 1}", "volume_ml", "voxels")
    return TableRows(("Label", "mm²", "ml", "voxels"), tips, columns, rows)


def _sizes(case: Case, on_slice: int, in_all: int) -> list[str]:
    """Area on a slice (mm2) and volume (ml) of so many voxels; those of the slice where lengths are not known."""
    if not case.is_sized:
        return [f"{on_slice}"]
    volume = case.volume
    return [f"{on_slice * face_area_mm2(volume):.1f}", f"{in_all * volume.voxel_volume_ml:.2f}"]


def pair_rows(case: Case, counts: Counts) -> TableRows:
    """One row per label with both sides: volumes (ml), and 100 (left - right) / mean of both (percent).

    Voxels instead of ml where lengths are not known.
    """
    totals = counts.sum(axis=0)
    ml, digits, unit = (case.volume.voxel_volume_ml, 2, "ml") if case.is_sized else (1.0, 0, "voxels")
    rows: list[tuple[tuple[int, int, int], tuple[str, ...]]] = []
    for left in case.table:
        right = case.table.find(left.name, "right")
        if left.side != "left" or right is None or not (totals[left.value] or totals[right.value]):
            continue
        a, b = float(totals[left.value] * ml), float(totals[right.value] * ml)
        difference = 200.0 * (a - b) / (a + b)
        name = left.name.replace("_", " ").capitalize()
        rows.append((left.colour, (name, f"{a:.{digits}f}", f"{b:.{digits}f}", f"{difference:+.1f}".replace("-", "−"))))
    tips = ("", "Patient left", "Patient right", "(left − right) / mean of both, in percent")
    columns = ("label", f"left_{unit}", f"right_{unit}", "difference_percent")
    return TableRows(("Label", "left", "right", "diff. %"), tips, columns, tuple(rows))


def fat_rows(case: Case, sums: NDArray[np.float64]) -> TableRows:
    """One row per painted label: fat fraction by both ways of averaging (percent), and the voxels left out."""
    found = fat_fractions(sums)
    unnamed = [Label(v, f"label_{v}") for v in found if case.table.get(v) is None]
    rows = tuple(
        (
            case.table.shown_colour(label),
            (label.title, f"{one.mean_of_voxels:.1f}", f"{one.of_the_sums:.1f}", f"{one.without_signal}"),
        )
        for label in (*case.table, *unnamed)
        if (one := found.get(label.value))
    )
    tips = (
        "",
        "Mean of the voxels' fractions 100 F / (W + F): every voxel counts the same",
        "100 × sum of F / sum of (W + F): every voxel counts by its signal",
        "Voxels without signal, or not measured in one of the two images: they have no fraction and are left out",
    )
    columns = ("label", "fat_fraction_mean_of_voxels_percent", "fat_fraction_of_sums_percent", "voxels_left_out")
    return TableRows(("Label", "mean %", "sums %", "left out"), tips, columns, rows)
