"""The application: a scan opens from a path, bugs are shown and survived, nothing heavy is loaded at the start."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from window_room import open_window

from thighview.ui.application import BugCatcher


def test_starting_loads_nothing_heavy():
    code = (
        "import sys; from thighview.ui import application as a; app = a.make_application(); w = a.open_window();"
        "app.processEvents();"
        "heavy = {'pyqtgraph','scipy','skimage','nibabel','pydicom','tensorflow','keras','torch'} & set(sys.modules);"
        "w.close(); a.jobs.shutdown(); print(sorted(heavy)); import os; sys.stdout.flush(); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("where", ["slot", "thread"])
def test_a_bug_is_shown_and_survived(qtbot, where):
    with open_window(qtbot) as window:
        catcher = BugCatcher()
        catcher.caught.connect(window.notices.show_error)
        catcher.install()
        try:

            def fail() -> None:
                raise ZeroDivisionError("a made-up bug")

            if where == "thread":
                thread = threading.Thread(target=fail)
                thread.start()
                thread.join()
            else:
                sys.excepthook(ZeroDivisionError, ZeroDivisionError("a made-up bug"), None)
            qtbot.waitUntil(lambda: bool(window.notices.shown))
            assert "ZeroDivisionError" in window.notices.shown[0].details
        finally:
            catcher.remove()


def test_a_real_thigh_opens_and_is_listed(qtbot, data):
    path = data / "thigh_siemens_dixon" / "0006-Dixon_TE_345_th.nii.gz"
    with open_window(qtbot) as window:
        window.workspace.open_path(path)
        qtbot.waitUntil(lambda: window.session.case is not None, timeout=20000)
        assert window.middle.currentWidget() is window.work
        assert "512×256×10 · 0.801×0.801×20 mm" in window.top.case_line.text_whole
        assert window.views.large.plane.letters == "ALPR"
        qtbot.waitUntil(lambda: len(window.worklist.cases.cases) == 1, timeout=20000)
        window.grab()
        window.workspace.open_path(path.parent / "nothing.nii.gz")
        qtbot.waitUntil(lambda: bool(window.notices.shown), timeout=20000)
        assert window.session.case is not None
    assert window.workspace.settings.recent[0].path == path.resolve()
