"""What journeys share: a made-up scan, two small models, one engine for all, and windows that are closed again."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from tiny_model import SLOW, TINY, write_random_model

from journeys.hands import LONG_MS, Hands
from thighview.app import jobs, tasks
from thighview.app.engine_link import Engine
from thighview.core.phantom import Phantom, make_phantom
from thighview.io.images import write_volume
from thighview.io.masks import write_mask, write_sidecar
from thighview.io.models import ModelEntry, read_card
from thighview.ui.application import make_application, open_window

ROOT = Path(__file__).parents[2]
HEAVY = ("tensorflow", "keras")
SLICES, MATRIX = 8, (96, 144)
OpenWindow = Callable[..., Hands]


@dataclass(frozen=True)
class Made:
    """A made-up thigh on disk: the truth about it, its scan and its mask."""

    phantom: Phantom
    scan: Path
    mask: Path


def make_person(folder: Path, seed: int, slices: int = SLICES, matrix: tuple[int, int] = MATRIX) -> Made:
    """Draw a made-up thigh and write it as ``sub-<seed>_t1.nii.gz``."""
    folder.mkdir(parents=True, exist_ok=True)
    phantom = make_phantom(seed, "t1", slices=slices, matrix=matrix)
    scan, mask = folder / f"sub-{seed:02d}_t1.nii.gz", folder / f"sub-{seed:02d}_mask.nii.gz"
    write_volume(scan, phantom.volume)
    write_mask(mask, phantom.labels, phantom.table, phantom.volume)
    write_sidecar(mask, phantom.table)
    return Made(phantom, scan, mask)


def child_environment() -> dict[str, str]:
    """Ours, in which a script finds the program also where it is not installed."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen"}


@pytest.fixture(scope="session")
def thigh(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The scan of most journeys; nobody writes into its folder."""
    return make_person(tmp_path_factory.mktemp("scans"), 5)


@pytest.fixture(scope="session")
def _models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_random_model(folder / "tiny", TINY)
    write_random_model(folder / "slow", SLOW)
    return folder


@pytest.fixture
def models(_models: Path, thighview_home: Path) -> Path:
    """Folder of the user's models in this test's home, with ``tiny`` and ``slow`` in it."""
    return Path(shutil.copytree(_models, thighview_home / "models"))


@pytest.fixture
def tiny_model(models: Path) -> ModelEntry:
    """A slice takes milliseconds."""
    return ModelEntry(read_card(models / "tiny"), models / "tiny", "user")


@pytest.fixture
def slow_model(models: Path) -> ModelEntry:
    """Some tenths of a second per slice."""
    return ModelEntry(read_card(models / "slow"), models / "slow", "user")


class SharedEngine(Engine):
    """An engine that outlives the windows it serves."""

    def stop(self, wait_s: float = 2.0) -> bool:
        return True

    def end(self) -> None:
        assert super().stop(10.0)


class NoEngine(Engine):
    """An engine that is never needed, and so never started."""

    def start(self) -> None:
        return


@pytest.fixture(scope="package")
def running_engine(qapp: QApplication, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedEngine]:
    """One real engine for all journeys, ready."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THIGHVIEW_HOME", str(tmp_path_factory.mktemp("engine")))
        engine = SharedEngine()
        engine.start()
    loop = QEventLoop()
    engine.state_changed.connect(lambda state: state.phase == "starting" or loop.quit())
    QTimer.singleShot(LONG_MS, loop.quit)
    if engine.state.phase == "starting":
        loop.exec()
    assert engine.state.phase == "ready", engine.state
    yield engine
    engine.end()


@pytest.fixture
def room(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenWindow]:
    """Opens the program's window as the program does; closes every window at the end.

    ``room(path, engine=running_engine)``: without an engine none is ever started.
    """
    opened: list[Hands] = []

    def open_it(path: Path | None = None, engine: Engine | None = None, ready: bool = True) -> Hands:
        monkeypatch.setattr(tasks, "Engine", lambda parent: engine or NoEngine(parent))
        make_application()
        window = open_window([path] if path else [])
        hands = Hands(window, qtbot)
        opened.append(hands)
        window.resize(1600, 1000)
        hands.until(lambda: window.windowHandle().isExposed())
        hands.until(lambda: window.workspace.project_folder is not None or not ready)
        if path and ready:
            hands.until_open()
        return hands

    yield open_it
    for hands in opened:
        close(hands)
    assert jobs.shutdown()


def close(hands: Hands) -> None:
    """Close the window for good."""
    window = hands.window
    if window.workspace.session is not None and not window._leaving:
        window.workspace.runs.close()  # nobody is there to be asked
        window.close()
        hands.until(window.isHidden)  # the last edits are written first
    window.deleteLater()


@pytest.fixture(autouse=True)
def keras_stays_away() -> Iterator[None]:
    """The window's process never loads TensorFlow."""
    before = {name for name in HEAVY if name in sys.modules}
    yield
    assert {name for name in HEAVY if name in sys.modules} == before
