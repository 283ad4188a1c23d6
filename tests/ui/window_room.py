"""A real window on the real workspace, without an engine."""

from collections.abc import Iterator
from contextlib import contextmanager

from thighview.app import jobs
from thighview.app.tasks import Workspace
from thighview.ui.application import make_application
from thighview.ui.main_window import MainWindow


@contextmanager
def open_window(qtbot, width: int = 1280, height: int = 800) -> Iterator[MainWindow]:
    """The window, shown and in the foreground; closed and gone afterwards."""
    make_application()
    workspace = Workspace()
    window = MainWindow(workspace)
    workspace.setParent(window)
    window.resize(width, height)
    window.show()
    window.activateWindow()
    qtbot.waitActive(window)
    try:
        yield window
    finally:
        window.close()
        qtbot.waitUntil(window.isHidden, timeout=20_000)  # the last edits are written first
        jobs.shutdown()
        window.deleteLater()
        qtbot.wait(10)
