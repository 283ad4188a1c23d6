"""The table a run keeps of its slices: one Parquet file an epoch, one row per slice and label.

``pandas.read_parquet(run / "slices")`` gives the whole run as one table. Every curve follows from it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from thighview.core.errors import UserError
from thighview.core.sums import PER_CLASS, Sums
from thighview.io.atomic import write_atomic

COLUMNS = ("epoch", "kind", "slice_id", "subject", "label", "step", "ce_sum", "pixels", *PER_CLASS)
"""Columns in their order; ``ce_sum`` and ``pixels`` are of the whole slice and stand in the row of each label."""


def write_sums(
    path: Path, epoch: int, passes: Mapping[str, Sums], subjects: Mapping[int, str], labels: Sequence[str]
) -> None:
    """Write all passes of an epoch as one table.

    Parameters
    ----------
    path : Path
        ``epoch_NNN.parquet``; its folder is made when it is missing.
    epoch : int
        From 1.
    passes : mapping of str to Sums
        ``learning`` (each slice as it was when it was learnt from), ``train`` (the probe), ``val``, or another name.
    subjects : mapping of slice id to subject
    labels : sequence of str
        Names of the C classes, ``background`` first, each another.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    columns: dict[str, Any] = {"epoch": [], "kind": [], "slice_id": [], "subject": [], "label": [], "step": []}
    columns |= {name: [] for name in ("ce_sum", "pixels", *PER_CLASS)}
    names = np.asarray(labels, object)
    for kind, sums in passes.items():
        n, classes = len(sums.ids), len(names)
        owners = np.array([subjects[i] for i in sums.ids.tolist()], object)
        each = {
            "epoch": np.full(n, epoch, np.int32), "kind": np.full(n, kind, object), "slice_id": sums.ids,
            "subject": owners, "step": sums.steps, "ce_sum": sums.ce_sum, "pixels": sums.pixels,
        }  # fmt: skip
        for name, values in each.items():
            columns[name].append(np.repeat(values, classes))
        columns["label"].append(np.tile(names, n))
        for name in PER_CLASS:
            columns[name].append(getattr(sums, name).reshape(-1))
    whole = ("epoch", "slice_id", "step")
    words = ("kind", "subject", "label")
    kinds = {n: pa.int32() if n in whole else pa.string() if n in words else pa.float32() for n in COLUMNS}
    table = pa.table({name: pa.array(np.concatenate(columns[name]) if passes else [], kinds[name]) for name in COLUMNS})
    path.parent.mkdir(exist_ok=True)

    def write(file: BinaryIO) -> None:
        parquet.write_table(table, file, compression="zstd")

    write_atomic(path, write)


def read_sums(path: Path) -> dict[str, Sums]:
    """The passes of one epoch by kind, exactly as they were written, rows in their order.

    Raises
    ------
    UserError
        When there is no such table, or it is another one.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with path.open("rb") as file:
            table = parquet.ParquetFile(file).read()
        missing = [name for name in COLUMNS if name not in table.column_names]
        columns = {name: table[name].to_numpy() for name in COLUMNS if name not in missing}
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: a name that is not UTF-8
        raise UserError(f"{path.name} is no table of a run: {str(error)[:200]}.", "Copy the run again.") from error
    if missing:
        raise UserError(f"{path.name} is no table of a run: it has no column {missing[0]!r}.", "Copy the run again.")
    found: dict[str, Sums] = {}
    for kind in dict.fromkeys(columns["kind"].tolist()):
        rows = {name: values[columns["kind"] == kind] for name, values in columns.items()}
        classes = len(dict.fromkeys(rows["label"].tolist()))
        if len(rows["label"]) % classes:
            raise UserError(f"{path.name} lacks rows of {kind!r}.", "Copy the run again.")
        first = {name: rows[name][::classes].copy() for name in ("slice_id", "step", "ce_sum", "pixels")}
        per_class = [rows[name].reshape(-1, classes).copy() for name in PER_CLASS]
        found[kind] = Sums(first["slice_id"], first["step"], first["ce_sum"], first["pixels"], *per_class)
    return found
