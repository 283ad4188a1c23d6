"""Damaged and hostile files of every format: refused in a sentence or opened; no crash, no hang, no silent damage."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from thighview.core.errors import UserError
from thighview.io.reading import read_volume

pytest.importorskip("resource")  # how the memory of the child is bounded; not on Windows
import fuzz_child

ROOT = Path(__file__).parents[2]
SAMPLE, ALL, PER_CHILD = 150, 10_000, 2_500


def fuzz(folder: Path, endings: str, seed: int, count: int, limit_s: float) -> dict[str, dict[str, int]]:
    """What came of so many changed files of each format, read by a process of its own."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    words = [sys.executable, "-W", "ignore", fuzz_child.__file__, endings, str(seed), str(count), str(folder)]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=limit_s, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, dict[str, int]] = json.loads(done.stdout)
    assert all(sum(counts.values()) == count for counts in found.values())
    return found


def test_a_sample_of_changed_files_of_every_format(tmp_path: Path) -> None:
    found = fuzz(tmp_path, ",".join(fuzz_child.SEEDS), 1, SAMPLE, 100.0)
    assert found.keys() == fuzz_child.SEEDS.keys()
    assert all(counts["refused"] and counts["opened"] for counts in found.values()), "not all alike"


@pytest.mark.long
@pytest.mark.parametrize("ending", list(fuzz_child.SEEDS))
def test_ten_thousand_changed_files(tmp_path: Path, ending: str) -> None:
    for seed in range(ALL // PER_CHILD):
        fuzz(tmp_path, ending, 100 + seed, PER_CHILD, 250.0)


def flipped(tmp_path: Path, ending: str, bits: list[int]) -> int:
    """Flip each of these bits of a compressed file alone: it is refused, or its volume is the same; how many were."""
    content = fuzz_child.packed(fuzz_child.SEEDS["mgh" if ending == "mgz" else "nii"][0][0]())
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    wanted, refused = read_volume(path), 0
    for bit in bits:
        data = bytearray(content)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            volume = read_volume(path)
        except UserError:
            refused += 1
            continue
        assert np.array_equal(volume.voxels, wanted.voxels) and np.array_equal(volume.affine, wanted.affine), bit
        assert volume.warnings == wanted.warnings, bit
    return refused


def bits_of(ending: str) -> range:
    return range(8 * len(fuzz_child.packed(fuzz_child.SEEDS["mgh" if ending == "mgz" else "nii"][0][0]())))


@pytest.mark.parametrize("ending", ["nii.gz", "mgz"])
def test_a_sample_of_flipped_bits_is_found(tmp_path: Path, ending: str) -> None:
    bits = np.random.default_rng(5).choice(bits_of(ending), 300, replace=False).tolist()
    assert flipped(tmp_path, ending, bits) > 280


@pytest.mark.long
@pytest.mark.parametrize("ending", ["nii.gz", "mgz"])
def test_every_flipped_bit_is_found(tmp_path: Path, ending: str) -> None:
    every = list(bits_of(ending))
    assert flipped(tmp_path, ending, every) > len(every) - 8 * 10, "all but those of the gzip header that mean nothing"
