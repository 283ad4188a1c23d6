"""How long a scan takes to be read, and how much memory, beside the libraries that others read it with."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
from benchmarks import open_child
from benchmarks.conftest import Bench, stack
from dicom_files import write_volume

from thighview.core.errors import UserError
from thighview.io import loader
from thighview.io.reading import inspect

AFFINE = np.array([[0, 0, 0.8, 0], [0, 0.8, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]], float)


def opened(program: str, rounds: int, path: Path) -> tuple[list[float], float]:
    """Milliseconds of each round, and MB beyond what stood there before."""
    done = subprocess.run(
        [sys.executable, open_child.__file__, program, str(rounds), str(path)],
        capture_output=True, text=True, check=False, timeout=600,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    return [1000 * s for s in told["seconds"]], told["peak_mb"]


@pytest.mark.parametrize("slices", [60, pytest.param(600, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", ["nii.gz", "DICOM folder"])
def test_open(bench: Bench, tmp_path: Path, kind: str, slices: int) -> None:
    size = 64 if bench.quick else 512
    voxels, _, _ = stack(6 if bench.quick else slices, size)
    if kind == "nii.gz":
        path, others = tmp_path / "scan.nii.gz", ("nibabel", "SimpleITK")
        nibabel.save(nibabel.Nifti1Image(voxels.T, np.diag([-0.8, -0.8, 5.0, 1.0])), path)
    else:
        path, others = write_volume(tmp_path / "scan", voxels, AFFINE), ("pydicom", "SimpleITK")
    mb = voxels.nbytes / 1e6
    del voxels
    programs = ("ours", *others)
    times: dict[str, list[float]] = {program: [] for program in programs}
    peaks: dict[str, float] = {}
    for _ in range(1 if bench.quick else 6):  # each in turn
        for program in programs:
            took, peaks[program] = opened(program, 1, path)
            times[program] += took
    best = {program: min(took) for program, took in times.items()}  # how long new memory takes varies more than all
    told = ", ".join(f"{program} {best[program]:.0f} ms / {peaks[program]:.0f} MB" for program in programs)
    bench.row(
        f"read {size}x{size}x{slices} as {kind}, {mb:.0f} MB of voxels, best of 6", "faster than both, <= 2x of that",
        told, **best, **{f"{program}_mb": peak for program, peak in peaks.items()},
    )  # fmt: skip


def test_the_awkward_files(bench: Bench, hostile: Path) -> None:
    """All of them one by one, in one process with what reads DICOM beside it."""
    with (hostile / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows = rows[:6] if bench.quick else rows
    loader.prepare()
    times: dict[str, float] = {}
    refused = 0
    for row in rows:
        began = time.perf_counter()
        try:
            inspect(hostile / row["path"])
        except UserError:
            refused += 1
        times[row["id"]] = 1000 * (time.perf_counter() - began)
    child_mb = sum(open_child.peak_mb_of(str(pid)) for pid in loader.idle_processes())
    slowest = max(times, key=lambda name: times[name])
    bench.row(
        f"the {len(rows)} awkward files, {refused} of them refused", "each <= 1 s",
        f"{sum(times.values()):.0f} ms in all, slowest {slowest} with {times[slowest]:.0f} ms; "
        f"what reads DICOM had {child_mb:.0f} MB at most",
        slowest=times[slowest], whole=sum(times.values()), child_mb=child_mb,
    )  # fmt: skip


def test_many_files(bench: Bench, tmp_path: Path) -> None:
    """Headers of a tree looked through: as it is found first, and again."""
    many = 100 if bench.quick else 20_000
    one = write_volume(tmp_path / "one", np.zeros((1, 64, 64), np.int16), AFFINE) / "000"
    data = one.read_bytes()
    for number in range(many):
        folder = tmp_path / "tree" / f"{number // 500}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}").write_bytes(data)
    shutil.rmtree(tmp_path / "one")
    loader.prepare()
    found: list[float] = []
    for _ in range(2):
        time.sleep(0 if bench.quick else 2.5)  # until what was written can be trusted to stay as it is
        began = time.perf_counter()
        inspect(tmp_path / "tree")
        found.append(time.perf_counter() - began)
    bench.row(
        f"{many:,} DICOM files looked through", "-",
        f"{many / found[0]:.0f} files/s, the second time {many / found[1]:.0f}", first=found[0], second=found[1],
    )  # fmt: skip
