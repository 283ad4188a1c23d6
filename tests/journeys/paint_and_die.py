"""Child of the crash journey: the real window, strokes by mouse one after the other, until somebody kills it.

Prints ``did n crc`` after step n, with the crc of mask and reviews, and ``safe n`` when the program says that all n
steps are on disk. Every seventh step is an undo, every fifth an acceptance, so that all kinds of entries are cut off.

Where it cannot go on it ends by itself and says why on stderr: an error nobody handled, something the window
complained of, or, when it is still alive after ``STUCK_S``, the stacks of all its threads.
"""

import faulthandler
import os
import sys
import traceback
import zlib
from pathlib import Path

import numpy as np
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest

from journeys.conftest import NoEngine
from journeys.hands import CTRL, LEFT, NONE
from thighview.app import tasks
from thighview.app.store import Store
from thighview.ui.application import make_application, open_window
from thighview.ui.main_window import MainWindow

GAP_MS = 3
MOST_UNSAVED = 20
STUCK_S = 200.0
"""Whoever kills it does so within some seconds; this long it lives only when it is stuck."""
MOST_TRIES = 100


class Painter:
    """Does one step whenever Qt is idle, and tells what is on disk."""

    def __init__(self, window: MainWindow) -> None:
        self.window = window
        self.rng = np.random.default_rng(int(sys.argv[2]))
        self.steps = self.told = 0
        print("did", 0, self.crc(), flush=True)
        self.timer = QTimer()
        self.timer.timeout.connect(self.step)
        self.timer.start(GAP_MS)

    def crc(self) -> int:
        case = self.window.session.case
        assert case is not None
        reviews = bytes(review.code for review in case.reviews)
        return zlib.crc32(reviews, zlib.crc32(case.labels.tobytes()))

    def step(self) -> None:
        """Say whether everything so far is safe, then a stroke, an undo or an acceptance."""
        store = self.window.workspace.store
        assert isinstance(store, Store)
        if store.unsaved == 0 and self.told < self.steps:
            self.told = self.steps
            print("safe", self.steps, flush=True)
        if store.unsaved < MOST_UNSAVED:
            self.work()
            self.steps += 1
            print("did", self.steps, self.crc(), flush=True)

    def work(self) -> None:
        view, session = self.window.views.by_name["axial"], self.window.session
        kind = (self.steps + 1) % 35
        if kind % 7 == 0:
            QTest.keyClick(self.window, Qt.Key.Key_Z, CTRL)
            return
        if kind % 5 == 0:
            QTest.keyClick(self.window, Qt.Key.Key_A)
            return
        session.go_to_slice(int(self.rng.integers(len(session.case.reviews))))  # type: ignore[union-attr]
        session.update_view(tool="brush" if self.rng.random() < 0.7 else "eraser", active_label=1)
        before = self.crc()
        for _ in range(MOST_TRIES):
            session.update_view(tool="brush" if self.rng.random() < 0.7 else "eraser")
            x, y = (int(v) for v in self.rng.integers(150, 450, 2))
            QTest.mousePress(view, LEFT, NONE, QPoint(x, y))
            QTest.mouseMove(view, QPoint(x + 20, y + 10))
            QTest.mouseRelease(view, LEFT, NONE, QPoint(x + 20, y + 10))
            if self.crc() != before:  # a stroke that changes nothing is no step
                return
        raise AssertionError(f"{MOST_TRIES} strokes changed nothing: {session.view}, {view.placement}")


def give_up(*error: object) -> None:
    """End at once with the reason; nobody is left waiting for the next line."""
    traceback.print_exception(*error)  # type: ignore[call-overload]
    sys.stderr.flush()
    os._exit(1)


def main() -> None:
    faulthandler.dump_traceback_later(STUCK_S, exit=True)
    sys.excepthook = give_up
    tasks.Engine = NoEngine  # type: ignore[misc]
    application = make_application()
    window = open_window([Path(sys.argv[1])])
    window.resize(1200, 800)
    window.workspace.failed.connect(give_up)
    painters: list[Painter] = []

    def opened(case: object) -> None:
        if case is not None and not painters:
            QTimer.singleShot(0, window, lambda: painters.append(Painter(window)))

    window.session.case_opened.connect(opened)
    application.exec()


if __name__ == "__main__":
    main()
