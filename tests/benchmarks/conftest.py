"""The bench: ours and the bare step in turn in one run, and a table of ratios at the end."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from thighview.core.labels import LabelTable

TABLE = Path(".benchmarks") / "speed.json"


@dataclass
class Bench:
    """Collects one row for each measured step. ``quick`` is set when the suite only checks that the step works."""

    quick: bool
    rows: list[dict[str, object]] = field(default_factory=list)

    def rounds(self, many: int) -> int:
        """How often to measure."""
        return 3 if self.quick else many

    def in_turn(
        self, ours: Callable[[int], object], bare: Callable[[int], object], rounds: int
    ) -> tuple[list[float], list[float]]:
        """Milliseconds of both steps, measured A B A B after one uncounted call each; both get the round's number."""
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(-1, self.rounds(rounds)):
            for step, mine in zip((ours, bare), times, strict=True):
                start = time.perf_counter()
                step(number)
                if number >= 0:
                    mine.append(1000 * (time.perf_counter() - start))
        return times

    def row(self, what: str, goal: str, found: str, **numbers: float) -> None:
        """Note a result."""
        if not self.quick:
            self.rows.append({"what": what, "goal": goal, "found": found, **numbers})

    def ratio(self, what: str, goal: str, ours: list[float], bare: list[float], unit: str = "ms") -> float:
        """Note the medians of two lists and their ratio."""
        a, b = statistics.median(ours), statistics.median(bare)
        self.row(what, goal, f"{a:.1f} {unit}, bare {b:.1f} {unit}: {a / b:.2f}x", ours=a, bare=b, ratio=a / b)
        return a / b


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The bench of this run; with ``--benchmark-enable`` its table is printed and kept in ``.benchmarks``."""
    bench = Bench(quick=not request.config.getoption("benchmark_enable"))
    yield bench
    if not bench.rows:
        return
    TABLE.parent.mkdir(exist_ok=True)
    machine = (
        f"{platform.machine()}, {len(__import__('os').sched_getaffinity(0))} cores, Python {platform.python_version()}"
    )
    TABLE.write_text(json.dumps({"machine": machine, "rows": bench.rows}, indent=1))
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n| what | to reach | found ({machine}) |\n|---|---|---|")
        for row in bench.rows:
            print(f"| {row['what']} | {row['goal']} | {row['found']} |")


def stack(slices: int, size: int = 512) -> tuple[np.ndarray, np.ndarray, LabelTable]:
    """A smooth int16 stack with ten labels, (slices, size, size), and its table."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    r, angle = np.hypot(y, x), np.arctan2(y, x)
    picture = 900 * (r < 0.4) + 300 * np.cos(12 * angle) * (r < 0.36)
    voxels = np.empty((slices, size, size), np.int16)
    labels = np.zeros((slices, size, size), np.uint8)
    noise = rng.normal(0, 30, (8, size, size)).astype(np.float32)
    for index in range(slices):
        voxels[index] = picture + noise[index % 8] + index
        inside = r < 0.30 + 0.05 * np.sin(index / 9)
        labels[index][inside] = 1 + ((angle[inside] + np.pi + index / 50) / (2 * np.pi) * 9.99).astype(np.uint8) % 10
    return voxels, labels, LabelTable.from_ids(range(1, 11))
