"""The application: builds the three objects of the program, and lives on when something goes wrong."""

import importlib
import logging
import logging.handlers
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QApplication

from thighview.app import jobs
from thighview.app.private_log import PrivateFormatter
from thighview.app.tasks import Workspace
from thighview.io import loader
from thighview.io.paths import home
from thighview.ui.collector import collect_on_this_thread, settle_memory
from thighview.ui.icons import program_icon
from thighview.ui.main_window import MainWindow
from thighview.ui.theme import apply_theme, styled_at_the_end

_log = logging.getLogger("thighview")
_LOG_BYTES = 2_000_000
_PLOTS_AFTER_MS = 300
_READER_AFTER_MS = 3000
"""The process that reads DICOM starts when the window and the engine are up: a third of a second on another core."""


def run(paths: Sequence[Path] = (), demo: bool = False) -> int:
    """Open the window on these paths (a project first, if there is one), or on the demo; stay until it is closed."""
    application = make_application()
    log_to_file()
    catcher = BugCatcher()
    catcher.install()
    window = open_window(paths, catcher, demo)
    settle_memory()
    QTimer.singleShot(_PLOTS_AFTER_MS, window, load_plots)
    QTimer.singleShot(_READER_AFTER_MS, window, start_reader)
    code = application.exec()
    window.deleteLater()
    jobs.shutdown()
    catcher.remove()
    return code


def load_plots() -> None:
    """Load what draws plots, beside the window, before anybody looks at one."""
    job = jobs.run_in_thread(lambda *_: importlib.import_module("thighview.ui.curve_plot"), lane="plots")
    job.succeeded.connect(lambda _: settle_memory())


def start_reader() -> None:
    """Have what reads DICOM wait for the first series."""
    jobs.run_in_thread(lambda *_: loader.prepare(), lane="reader")


def make_application() -> QApplication:
    """The Qt application with the program's name and theme; the one there is, if there is one."""
    there = QApplication.instance()
    QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    application = there if isinstance(there, QApplication) else QApplication(sys.argv[:1])
    application.setApplicationName("thighview")
    application.setApplicationDisplayName("thighview")
    application.setDesktopFileName("thighview")
    application.setWindowIcon(program_icon())
    apply_theme(application)
    return application


def open_window(paths: Sequence[Path] = (), catcher: "BugCatcher | None" = None, demo: bool = False) -> MainWindow:
    """The window, shown, with what was asked for on its way; without a wish, the project that was open last."""
    workspace = Workspace()
    with styled_at_the_end():
        window = MainWindow(workspace)
    workspace.setParent(window)
    collect_on_this_thread(window)
    if catcher:
        catcher.caught.connect(window.notices.show_error)
    window.show()

    def begin() -> None:
        if demo:
            workspace.open_demo()
        elif paths:
            workspace.open_paths([Path(path).absolute() for path in paths])
        else:
            workspace.open_last()
        QTimer.singleShot(400, window, workspace.engine.start)

    QTimer.singleShot(0, window, begin)
    return window


def log_to_file() -> None:
    """Keep a log in the program's data folder; where that cannot be written there is none."""
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            folder / "thighview.log", maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8", delay=True
        )
    except OSError as error:
        _log.warning("no log file: %s", error)
        return
    handler.setFormatter(PrivateFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


class BugCatcher(QObject):
    """Takes every exception nobody handled: to the log and to a notice; the program lives on."""

    caught = Signal(object)
    """The exception; always on the window's thread."""

    def __init__(self) -> None:
        super().__init__()
        self._before: tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]] | None = None

    def install(self) -> None:
        """Take the place of Python's hooks."""
        self._before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
        sys.excepthook = self._caught
        threading.excepthook = lambda args: self._caught(args.exc_type, args.exc_value, args.exc_traceback)
        sys.unraisablehook = lambda args: self._caught(args.exc_type, args.exc_value, args.exc_traceback)

    def remove(self) -> None:
        """Give Python its hooks back."""
        if self._before:
            sys.excepthook, threading.excepthook, sys.unraisablehook = self._before
            self._before = None

    def _caught(self, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        error = error or kind()
        if isinstance(error, KeyboardInterrupt):
            QApplication.quit()
            return
        _log.error("unexpected error", exc_info=(kind, error, trace))
        self.caught.emit(error)
