"""Speed of the network's side: inference and training against bare keras, and a window that never waits for them."""

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.conftest import Bench, stack
from PySide6.QtCore import QObject, Qt, QTimer
from pytestqt.qtbot import QtBot
from tiny_model import SLOW, write_random_model

from thighview.app import jobs
from thighview.core.run import EpochEnded, TrainConfig
from thighview.core.volume import Volume
from thighview.io.images import write_volume
from thighview.ui.application import load_plots, make_application, open_window
from thighview.ui.collector import settle_memory
from thighview.ui.main_window import MainWindow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BEAT_MS = 5
LONG_MS = 300_000


def in_child(script: Path, *words: str) -> str:
    """The last line that a script of the benchmarks prints."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run(
        [sys.executable, str(script), *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return (done.stdout.splitlines() or [""])[-1]


def measure(**wanted: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a child finds, by the names of what it measures one after the other."""
    words = [word for what, settings in wanted.items() for word in (what, json.dumps(settings))]
    return dict(zip(wanted, json.loads(in_child(HERE / "engine_child.py", *words)), strict=True))


@pytest.fixture(scope="module")
def found(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Inference and training, measured in one child: keras takes its time to come."""
    config = TrainConfig(augment=False, epochs=5, input_size=128)
    infer = {"rounds": 5, "slices": 60, "image": 512, "base": 16, "levels": 5, "size": 256}
    people, slices = 4, 8
    if bench.quick:
        config = TrainConfig(augment=False, honest=False, epochs=2, input_size=32, base_filters=2, levels=3)
        infer = {"rounds": 1, "slices": 4, "image": 48, "base": 2, "levels": 3, "size": 32}
        people, slices = 3, 2
    folder = str(tmp_path_factory.mktemp("bench"))
    train = {"folder": folder, "people": people, "slices": slices, "size": config.input_size}
    return measure(infer=infer, train={**train, "config": config.to_json()})


@pytest.mark.long  # the default suite runs the same code on less, in tests/engine
@pytest.mark.timeout(1800)
def test_inference(bench: Bench, found: dict[str, dict[str, Any]]) -> None:
    """A whole stack: planes made, network, back to the scan's voxels, against ``model.predict`` on ready planes."""
    told = found["infer"]
    assert len(told["ours"]) == len(told["bare"]) > 0
    bench.ratio(
        f"whole-stack inference, 512x512x60, base 16 at {told['size']} px, batch {told['batch']}, {told['device']}",
        "<= 1.05x bare model.predict", told["ours"], told["bare"], "s",
    )  # fmt: skip


@pytest.mark.long  # the default suite runs the same code on less, in tests/engine
@pytest.mark.timeout(1800)
def test_training_epoch(bench: Bench, found: dict[str, dict[str, Any]]) -> None:
    """An epoch as the run tells it, against ``model.fit``; median over the epochs after the first."""
    told = found["train"]
    what = f"training epoch, honest curves included, base {told['base']} at {told['size']} px, {told['steps']} steps"
    bench.ratio(what, "<= 1.10x bare model.fit", told["ours"], told["bare_with_validation"], "s")
    bench.ratio(f"{what}, against fit without validation_data", "", told["ours"], told["bare"], "s")


class Heart(QObject):
    """Beats every 5 ms on the window's thread; the gaps between beats show how long the window was deaf."""

    def __init__(self) -> None:
        super().__init__()
        self.gaps_ms: list[float] = []
        self._last: float | None = None
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

    def start(self) -> None:
        self.gaps_ms, self._last = [], None
        self._timer.start(BEAT_MS)

    def stop(self) -> list[float]:
        self._timer.stop()
        return self.gaps_ms

    def _beat(self) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.gaps_ms.append(1000 * (now - self._last))
        self._last = now


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path, thighview_home: Path) -> Iterator[MainWindow]:
    """The program's window with a scan and a model."""
    write_random_model(thighview_home / "models" / "slow", SLOW)
    voxels, _, _ = stack(60)
    affine = np.array([[0, 0, 0.8, 0], [0, 0.8, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]], float)
    write_volume(tmp_path / "stack.nii.gz", Volume(voxels, affine))
    make_application()
    window = open_window([tmp_path / "stack.nii.gz"])
    settle_memory()
    load_plots()
    yield window
    gc.unfreeze()
    window.workspace.runs.close()
    window.close()
    window.deleteLater()
    assert jobs.shutdown()


@pytest.mark.long  # the journeys start an engine, segment and train in the window all the same
@pytest.mark.timeout(1800)
def test_heartbeat(qtbot: QtBot, bench: Bench, window: MainWindow, tmp_path: Path) -> None:
    """The window answers while the engine starts, while it segments, and while a training runs."""
    workspace, heart = window.workspace, Heart()

    def note(what: str, to_reach: str = "p99 <= 16 ms, max <= 50 ms") -> None:
        gaps = heart.stop()
        assert gaps
        p99 = float(np.percentile(gaps, 99))
        bench.row(
            f"GUI heartbeat (5 ms timer) while {what}", to_reach,
            f"median {statistics.median(gaps):.1f} ms, p99 {p99:.1f} ms, max {max(gaps):.1f} ms over {len(gaps)} beats",
            p99=p99, maximum=max(gaps),
        )  # fmt: skip

    def until(reached: Callable[[], object]) -> None:
        qtbot.waitUntil(lambda: bool(reached()), timeout=LONG_MS)

    until(lambda: window.session.case is not None and workspace.models)
    until(lambda: workspace.engine.state.phase == "ready")  # the window is done with its own start by then
    workspace.engine.stop()
    heart.start()
    workspace.engine.start()
    until(lambda: workspace.engine.state.phase == "ready")
    note("the engine starts")

    model = next(entry for entry in workspace.models if entry.card.name == "slow")
    heart.start()
    workspace.segment(model)
    until(lambda: workspace.segment_job is None and window.session.busy_run is None)
    note("a 512x512x60 stack is segmented")
    assert window.session.history.undo_name.startswith("Segment")
    workspace.engine.stop()

    people, slices, size = 4, 8, 128
    made = measure(project={"folder": str(tmp_path), "people": people, "slices": slices, "size": size})
    config = TrainConfig(base_filters=16, levels=3, input_size=size, epochs=6)
    heart.start()
    workspace.open_path(Path(made["project"]["folder"]))
    until(lambda: len(workspace.cases) == people)
    window.show_tab("Train")  # at once, while the project's files are still looked at
    until(lambda: not jobs.running())
    note("a project opens and the Train tab is shown for the first time", "")

    heart.start()
    workspace.start_training("bench", config)
    until(lambda: workspace.runs.name == "bench")
    until(lambda: not workspace.runs.is_going_on)
    note("a training starts and runs, curves in sight")
    assert sum(isinstance(event, EpochEnded) for event in workspace.runs.history) == config.epochs
