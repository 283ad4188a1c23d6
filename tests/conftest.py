"""What every test gets: no display needed, a home of its own, and nothing may be left behind."""

import contextlib
import faulthandler
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pytest
from hypothesis import settings
from uncompiled import uncompiled

from thighview.core.volume import Volume

settings.register_profile("thighview", deadline=None, database=None)
settings.load_profile("thighview")

_DATA = Path(__file__).parents[2] / "shared" / "data"
_HOSTILE = _DATA.with_name("hostile")
_GRACE_S = 5.0
STUCK_S = 60.0
_console = 2


def pytest_configure() -> None:
    global _console
    _console = os.dup(2)  # the real one: later it is caught test by test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Where the time limit cannot end a test (a wait inside Qt hears no signal): all stacks, and the end of the run."""
    marker, option = item.get_closest_marker("timeout"), item.config.getoption("timeout")
    limit_s = float(marker.args[0] if marker else item.config.getini("timeout") if option is None else option)
    if limit_s and not item.config.getoption("usepdb"):
        faulthandler.dump_traceback_later(limit_s + STUCK_S, exit=True, file=_console)
    with_qt = bool({"qtbot", "qapp"} & set(getattr(item, "fixturenames", ())))
    if with_qt:
        gc.disable()  # as in the program: a widget collected on another thread can hang Qt
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
        if with_qt:
            gc.collect(0)  # all that the test has made
            gc.enable()


@pytest.fixture(autouse=True)
def thighview_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """THIGHVIEW_HOME of this test, empty."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("THIGHVIEW_HOME", str(home))
    return home


@pytest.fixture
def eager() -> Iterator[None]:
    """Keras runs step by step without compiling: what is tested here has too few steps to be worth it."""
    with uncompiled():
        yield


@pytest.fixture(scope="session")
def hostile() -> Path:
    """The folder of awkward files, beside the checkout."""
    if not _HOSTILE.is_dir():
        pytest.skip(f"the awkward files are not here: {_HOSTILE}")
    return _HOSTILE


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real scans, beside the checkout."""
    if not _DATA.is_dir():
        pytest.skip(f"the real scans are not here: {_DATA}")
    return _DATA


@pytest.fixture
def tiny_volume() -> Volume:
    """6 slices of 32 x 32, int16, stored as SAR (axial, as scanners' NIfTI files are): 5 mm by 1.5 by 1.25 mm."""
    rng = np.random.default_rng(7)
    z, y, x = np.mgrid[0:6, 0:32, 0:32]
    voxels = (400 + 60 * z - 2 * (y - 16) ** 2 - (x - 16) ** 2 + rng.integers(0, 40, z.shape)).astype(np.int16)
    affine = np.array([[0.0, 0.0, -1.25, 20.0], [0.0, -1.5, 0.0, 24.0], [5.0, 0.0, 0.0, -300.0], [0.0, 0.0, 0.0, 1.0]])
    return Volume(voxels, affine, "tiny", "phantom")


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or a window behind."""
    threads, children = _threads(), _children()
    yield
    until = time.monotonic() + _GRACE_S
    while True:
        left = [f"thread {t.name!r}" for t in _threads() - threads if t.is_alive()]
        left += [f"process {pid} {what!r}" for pid, what in _children().items() if pid not in children]
        if not left:
            left = _windows()
        if not left:
            return
        if time.monotonic() > until:
            if jobs := sys.modules.get("thighview.app.jobs"):
                jobs.shutdown(1.0)  # so that the next test does not wait behind it
            pytest.fail("left behind: " + ", ".join(left), pytrace=False)
        gc.collect()
        time.sleep(0.02)


def _threads() -> set[threading.Thread]:
    """Threads with something to do; those that wait a while for the next job have nothing."""
    lanes = sys.modules.get("thighview.app.lanes")
    return set(threading.enumerate()) - (lanes.idle_threads() if lanes else set())


def _children() -> dict[int, str]:
    """Child processes with something to do, with their command lines; Python's resource tracker is not one of ours."""
    found: dict[int, str] = {}
    loader = sys.modules.get("thighview.io.loader")
    waiting = loader.idle_processes() if loader else set[int]()
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            for pid in listing.read_text().split():
                with contextlib.suppress(OSError):
                    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                    if "resource_tracker" not in command and int(pid) not in waiting:
                        found[int(pid)] = command or "ended, never waited for"
    return found


def _windows() -> list[str]:
    """Windows of the program that still exist after Qt has deleted what it was told to delete."""
    widgets = sys.modules.get("PySide6.QtWidgets")
    application = widgets.QApplication.instance() if widgets else None
    if widgets is None or application is None:
        return []
    from PySide6.QtCore import QCoreApplication, QEvent

    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    return [
        f"window {type(w).__name__}"
        for w in widgets.QApplication.topLevelWidgets()
        if w.parent() is None and (w.isVisible() or type(w).__module__.startswith("thighview"))
    ]


@pytest.fixture
def double_click_ms(qapp: object) -> Iterator[Callable[[int], None]]:
    """Sets for how long a second press counts as one of a double click; 0 for never."""
    from PySide6.QtWidgets import QApplication

    before = QApplication.doubleClickInterval()
    yield QApplication.setDoubleClickInterval
    QApplication.setDoubleClickInterval(before)
