"""The engine process: slices as they come, cancel at once, death survived, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEventLoop, QTimer
from pytestqt.qtbot import QtBot
from tiny_model import write_random_model

from thighview.app.engine_link import Engine
from thighview.app.engine_worker import EngineState, Worker
from thighview.app.segment_job import SegmentJob, SegmentSummary, SliceResult
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.volume import Volume
from thighview.io.model_card import ModelCard
from thighview.io.models import ModelEntry, read_card

START_MS = 120_000
SMALL = ModelCard(
    name="small",
    architecture="unet",
    base_filters=4,
    levels=3,
    dropout=0.0,
    classes=("background", "muscle"),
    labels=LabelTable((Label(3, "muscle", "left"), Label(4, "muscle", "right"))),
    sided=True,
    spacing_mm=0.0,
    input_size=32,
)


def model(folder: Path, card: ModelCard = SMALL) -> ModelEntry:
    write_random_model(folder, card)
    return ModelEntry(read_card(folder), folder, "user")


def slow_model(folder: Path) -> ModelEntry:
    """Some tenths of a second per slice."""
    return model(folder, replace(SMALL, name="slow", base_filters=16, levels=5, input_size=256))


def tall(volume: Volume, slices: int = 200) -> Volume:
    return replace(volume, voxels=np.ascontiguousarray(np.resize(volume.voxels, (slices, *volume.shape[1:]))))


def shared_blocks() -> set[str]:
    folder = Path("/dev/shm")
    return {path.name for path in folder.glob("psm_*")} if folder.is_dir() else set()


def wait_ready(qtbot: QtBot, engine: Engine) -> None:
    qtbot.waitUntil(lambda: engine.state.phase == "ready", timeout=START_MS)


class Heard:
    """Everything a job said, in order."""

    def __init__(self, job: SegmentJob) -> None:
        self.job = job
        self.slices: list[SliceResult] = []
        self.ends: list[str] = []
        self.results: list[SegmentSummary] = []
        self.errors: list[Exception] = []
        self.progress: list[tuple[int, int]] = []
        job.slice_ready.connect(self.slices.append)
        job.succeeded.connect(self.results.append)
        job.failed.connect(self.errors.append)
        job.progressed.connect(lambda done, total: self.progress.append((done, total)))
        job.was_cancelled.connect(lambda: self.ends.append("cancelled"))
        job.ended.connect(lambda: self.ends.append("ended"))

    def wait(self, qtbot: QtBot) -> None:
        qtbot.waitUntil(lambda: "ended" in self.ends, timeout=START_MS)


@pytest.fixture(scope="module")
def engine(qapp: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine for the tests that do not harm it, ready."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THIGHVIEW_HOME", str(tmp_path_factory.mktemp("engine")))
        engine, loop = Engine(device="cpu"), QEventLoop()
        engine.state_changed.connect(lambda state: state.phase == "starting" or loop.quit())
        engine.start()
        assert engine.state.phase == "starting"
        QTimer.singleShot(START_MS, loop, loop.quit)
        loop.exec()
        device = engine.state.device
        assert engine.state == EngineState("ready", device, process_id=engine.state.process_id)
        assert device in ("CPU", "CPU, OpenVINO")
        yield engine
        assert engine.stop()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    return model(tmp_path_factory.mktemp("models") / "small")


def test_slices_come_one_by_one(engine: Engine, qtbot: QtBot, tiny_volume: Volume, small: ModelEntry) -> None:
    before = shared_blocks()
    states: list[str] = []
    engine.state_changed.connect(lambda state: states.append(state.phase))
    heard = Heard(engine.segment(tiny_volume, small))
    heard.wait(qtbot)
    assert heard.errors == [] and heard.ends == ["ended"]
    assert [s.index for s in heard.slices] == list(range(6))
    for result in heard.slices:
        assert result.labels.shape == (32, 32) and result.labels.dtype == np.uint8 and result.labels.flags.owndata
        assert 0 <= result.uncertainty <= 1
    assert set(np.unique([s.labels for s in heard.slices])) <= {0, 3, 4}
    assert heard.progress[0] == (0, 6) and heard.progress[-1] == (6, 6) and heard.job.seconds_left == 0
    (summary,) = heard.results
    assert summary.axis == 0 and summary.model.card.name == "small" and np.isfinite(summary.uncertainty).all()
    assert "Only one leg" in summary.warnings[0]
    wait_ready(qtbot, engine)
    assert states == ["busy", "ready"]
    assert shared_blocks() == before


def test_chosen_slices_in_the_order_wanted(
    engine: Engine, qtbot: QtBot, tiny_volume: Volume, small: ModelEntry
) -> None:
    heard = Heard(engine.segment(tiny_volume, small, [4, 1]))
    heard.wait(qtbot)
    assert [s.index for s in heard.slices] == [4, 1]


def test_other_storage_comes_at_the_end_and_leaves_the_window_free(
    engine: Engine, qtbot: QtBot, tiny_volume: Volume, small: ModelEntry
) -> None:
    straight = Heard(engine.segment(tiny_volume, small))
    straight.wait(qtbot)
    turned = Volume(
        np.ascontiguousarray(tiny_volume.voxels.transpose(2, 0, 1)), tiny_volume.affine[:, [2, 0, 1, 3]].copy()
    )
    job = engine.segment(turned, small, [3])
    heard, marks, beats = Heard(job), list[int](), list[int]()
    job.slice_ready.connect(lambda _: marks.append(len(beats)))
    timer = QTimer(interval=1)
    timer.timeout.connect(lambda: beats.append(1))
    timer.start()
    heard.wait(qtbot)
    timer.stop()
    assert heard.results[0].axis == 1 and heard.progress[-1] == (6, 6)
    assert [s.index for s in heard.slices] == list(range(len(turned.voxels)))
    assert all(np.isnan(s.uncertainty) and s.labels.flags.owndata for s in heard.slices)
    expected = np.stack([s.labels for s in straight.slices]).transpose(2, 0, 1)
    np.testing.assert_array_equal(np.stack([s.labels for s in heard.slices]), expected)
    assert marks[-1] - marks[0] > 3, "the window takes part in between"


def test_cancel_ends_the_job_at_once(
    engine: Engine, qtbot: QtBot, tiny_volume: Volume, small: ModelEntry, tmp_path: Path
) -> None:
    before = shared_blocks()
    heard = Heard(engine.segment(tall(tiny_volume), slow_model(tmp_path / "slow")))
    qtbot.waitUntil(lambda: len(heard.slices) > 0, timeout=START_MS)
    count, began = len(heard.slices), time.monotonic()
    heard.job.cancel()
    heard.wait(qtbot)
    assert time.monotonic() - began < 0.3
    heard.job.cancel()
    wait_ready(qtbot, engine)
    assert heard.ends == ["cancelled", "ended"]
    assert len(heard.slices) == count and heard.results == [] and heard.errors == []
    assert shared_blocks() == before
    early = Heard(engine.segment(tiny_volume, small))
    early.job.cancel()
    early.wait(qtbot)
    assert early.slices == [] and early.ends == ["cancelled", "ended"]
    wait_ready(qtbot, engine)


def test_a_model_that_is_damaged_fails_in_one_sentence(
    engine: Engine, qtbot: QtBot, tiny_volume: Volume, small: ModelEntry, tmp_path: Path
) -> None:
    entry = model(tmp_path / "damaged")
    weights = tmp_path / "damaged" / "weights.safetensors"
    body = bytearray(weights.read_bytes())
    body[-1] ^= 1
    weights.write_bytes(body)
    heard = Heard(engine.segment(tiny_volume, entry))
    heard.wait(qtbot)
    (error,) = heard.errors
    assert isinstance(error, UserError) and "altered or damaged" in error.message
    assert heard.results == [] and heard.slices == []
    good = Heard(engine.segment(tiny_volume, small))
    good.wait(qtbot)
    assert len(good.slices) == 6


@pytest.mark.long  # the journey test_segment does the same in the window
def test_killed_engine_fails_the_job_and_starts_again(
    qtbot: QtBot, tiny_volume: Volume, small: ModelEntry, tmp_path: Path
) -> None:
    before = shared_blocks()
    engine = Engine(device="cpu")
    try:
        heard = Heard(engine.segment(tall(tiny_volume), slow_model(tmp_path / "slow")))
        qtbot.waitUntil(lambda: len(heard.slices) > 0, timeout=START_MS)
        assert engine.state.phase == "busy"
        if sys.platform == "linux":
            nice = Path(f"/proc/{engine.state.process_id}/stat").read_text().rsplit(") ")[1].split()[16]
            assert int(nice) >= 5
        os.kill(engine.state.process_id, signal.SIGKILL)
        heard.wait(qtbot)
        (error,) = heard.errors
        assert isinstance(error, UserError) and "ended unexpectedly (signal 9)" in error.message
        qtbot.waitUntil(lambda: engine.state.phase == "dead", timeout=5000)
        assert "signal 9" in engine.state.message and shared_blocks() == before
        engine.restart()
        assert engine.state.phase == "starting"
        again = Heard(engine.segment(tiny_volume, small))
        again.wait(qtbot)
        assert len(again.slices) == 6
    finally:
        began = time.monotonic()
        assert engine.stop()
        assert time.monotonic() - began < 2.0
    assert engine.state == EngineState() and shared_blocks() == before


def test_stop_while_it_starts(qtbot: QtBot, tiny_volume: Volume, small: ModelEntry) -> None:
    engine = Engine(device="cpu")
    heard = Heard(engine.segment(tiny_volume, small))
    assert engine.stop()
    heard.wait(qtbot)
    assert heard.errors == [] and heard.results == []
    assert engine.state.phase == "off"


class Unreaped:
    """A killed process that the kernel of a busy machine has not let go yet."""

    pid = 1

    def join(self, timeout: float | None = None) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def is_alive(self) -> bool:
        return True

    def close(self) -> None:
        raise ValueError("Cannot close a process while it is still running.")


def test_a_killed_process_that_takes_its_time_keeps_nobody_waiting(tmp_path: Path) -> None:
    Worker("cpu", tmp_path / "engine.log")._end(Unreaped())  # type: ignore[arg-type]


_SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from PySide6.QtCore import QCoreApplication, QTimer
from thighview.app.engine_link import Engine
from thighview.core.volume import Volume
from thighview.io.models import ModelEntry, read_card

if __name__ == "__main__":
    application = QCoreApplication([])
    folder = Path(sys.argv[1])
    engine = Engine(device="cpu")
    volume = Volume(np.random.default_rng(0).normal(size=(4, 32, 32)), np.eye(4)[[2, 1, 0, 3]])
    job = engine.segment(volume, ModelEntry(read_card(folder), folder, "user"))

    def ended():
        bad = [name for name in ("tensorflow", "keras", "torch", "jax") if name in sys.modules]
        print(engine.state.process_id, "imported:", *bad, flush=True)

    job.ended.connect(ended)
    QTimer.singleShot(150_000, application.quit)
    application.exec()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_window_imports_no_network_and_takes_the_engine_along_when_it_dies(tmp_path: Path, small: ModelEntry) -> None:
    before = shared_blocks()
    script = tmp_path / "window.py"
    script.write_text(_SCRIPT)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, str(script), str(small.folder)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline().split()
        finally:
            process.kill()
    assert said[1:] == ["imported:"]
    until = time.monotonic() + 10
    while Path(f"/proc/{said[0]}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{said[0]}").exists()
    assert shared_blocks() <= before


_SHARES = """
import sys
from types import SimpleNamespace
import numpy as np
from thighview.app.engine_worker import Request
from thighview.core.volume import Volume
large = Volume(np.zeros((8, 512, 512), np.int16), np.eye(4))
request = Request(1, None, large, SimpleNamespace(folder="m"), None, 0.0)
try:
    request.share()
except OSError as error:
    print(error.strerror, len(request.blocks))
    request.release()
    print(len(request.blocks))
"""


def test_a_scan_that_shared_memory_cannot_hold_is_an_error_and_no_crash() -> None:
    """Containers have 64 MB of it. Only promised, it would end the window by a signal where it is first written."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a small /dev/shm of its own needs root on Linux")
    script = 'mount -t tmpfs -o size=1m tmpfs /dev/shm || exit 77; exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", _SHARES]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode in (1, 77) and not done.stdout:
        pytest.skip(f"a small /dev/shm cannot be mounted here: {done.stderr.strip()[-100:]}")
    assert (done.returncode, done.stdout.splitlines()) == (0, ["No space left on device 1", "0"])
