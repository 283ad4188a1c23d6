"""The per-slice table: exact to the bit, and readable by pandas as one table of the run."""

from pathlib import Path

import numpy as np
import pandas
import pytest

from thighview.core.errors import UserError
from thighview.core.sums import PER_CLASS, PLAIN, Sums
from thighview.io.slice_table import COLUMNS, read_sums, write_sums

LABELS = ("background", "muscle", "fat")
SUBJECTS = {i: f"person {i // 4}" for i in range(40)}


def some_sums(seed: int, n: int, batch_size: int = 4) -> Sums:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, PLAIN + len(PER_CLASS) * len(LABELS))).astype(np.float32) * np.float32(1e5)
    rows[0, :3] = (np.float32(0.1), np.finfo(np.float32).max, np.finfo(np.float32).tiny)
    return Sums.of(rows, rng.permutation(40)[:n].tolist(), batch_size)


def same(a: Sums, b: Sums) -> bool:
    names = ("ids", "steps", "ce_sum", "pixels", *PER_CLASS)
    return all(
        getattr(a, n).dtype == getattr(b, n).dtype and np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True)
        for n in names
    )


def test_every_number_comes_back_exactly(tmp_path: Path) -> None:
    passes = {"learning": some_sums(1, 12), "train": some_sums(2, 5), "val": some_sums(3, 7), "mirror": some_sums(4, 1)}
    passes["val"].ce_sum[3] = np.nan
    path = tmp_path / "slices" / "epoch_007.parquet"
    write_sums(path, 7, passes, SUBJECTS, LABELS)
    found = read_sums(path)
    assert list(found) == list(passes)
    assert all(same(found[kind], passes[kind]) for kind in passes)


def test_a_slice_learnt_from_twice_keeps_both_rows(tmp_path: Path) -> None:
    sums = some_sums(5, 6)
    sums.ids[5] = sums.ids[0]
    write_sums(tmp_path / "epoch_001.parquet", 1, {"learning": sums}, SUBJECTS, LABELS)
    assert same(read_sums(tmp_path / "epoch_001.parquet")["learning"], sums)


def test_pandas_reads_the_folder_of_a_run_as_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "slices"
    for epoch in (1, 2):
        passes = {"learning": some_sums(epoch, 8)} | ({"val": some_sums(9, 3)} if epoch == 2 else {})
        write_sums(folder / f"epoch_{epoch:03d}.parquet", epoch, passes, SUBJECTS, LABELS)
    (folder / ".epoch_003.parquet.12.ab.tmp").write_bytes(b"left by a process that was killed")
    table = pandas.read_parquet(folder)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == (8 + 8 + 3) * 3
    row = table[(table.epoch == 2) & (table.kind == "val") & (table.label == "fat")].iloc[1]
    sums = some_sums(9, 3)
    assert row.slice_id == sums.ids[1] and row.subject == SUBJECTS[int(sums.ids[1])]
    assert row.tp == sums.tp[1, 2] and row.ce_sum == sums.ce_sum[1] and row.label_ce == sums.label_ce[1, 2]
    by_slice = table[(table.kind == "learning") & (table.epoch == 1)].groupby("slice_id").tp.sum()
    assert by_slice[int(some_sums(1, 8).ids[0])] == pytest.approx(float(some_sums(1, 8).tp[0].sum()), rel=1e-5)


def test_an_epoch_without_a_pass_is_an_empty_table(tmp_path: Path) -> None:
    write_sums(tmp_path / "epoch_001.parquet", 1, {}, SUBJECTS, LABELS)
    assert read_sums(tmp_path / "epoch_001.parquet") == {}
    assert tuple(pandas.read_parquet(tmp_path / "epoch_001.parquet").columns) == COLUMNS


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "epoch_001.parquet"
    with pytest.raises(UserError, match="epoch_001"):
        read_sums(path)
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(UserError, match="epoch_001"):
        read_sums(path)
    pandas.DataFrame({"epoch": [1]}).to_parquet(path)
    with pytest.raises(UserError, match="kind"):
        read_sums(path)
    write_sums(path, 1, {"val": some_sums(6, 2)}, SUBJECTS, LABELS)
    path.write_bytes(path.read_bytes().replace(b"pixels", b"pixel\xff"))
    with pytest.raises(UserError, match="epoch_001"):
        read_sums(path)
