"""What a person asked to be written is there, also where the program is closed at once."""

import time
from collections.abc import Callable
from pathlib import Path

from pytestqt.qtbot import QtBot

from thighview.app import jobs
from thighview.app.tasks import Workspace
from thighview.core.volume import Volume
from thighview.io.images import write_volume


def test_a_mask_saved_just_before_the_end_is_there(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path, tiny_volume: Volume
) -> None:
    def busy(_report: object, stopped: Callable[[], bool]) -> None:
        while not stopped():  # a job looks whether it is cancelled; it is not told
            time.sleep(0.01)

    write_volume(tmp_path / "scan.nii.gz", tiny_volume)
    workspace.open_path(tmp_path / "scan.nii.gz")
    qtbot.waitUntil(lambda: workspace.session.case is not None, timeout=20_000)
    jobs.run_in_thread(busy)
    workspace.save_mask(tmp_path / "mask.nii.gz")
    assert not (tmp_path / "mask.nii.gz").exists()
    workspace.close()
    assert jobs.shutdown()
    assert (tmp_path / "mask.nii.gz").exists() and (tmp_path / "mask.json").exists()
