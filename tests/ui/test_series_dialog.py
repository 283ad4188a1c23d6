"""A folder of several DICOM series, a file of several volumes: which one is asked, and that one opens."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series
from parts_files import write_volumes
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from window_room import open_window

from thighview.core.volume import Volume
from thighview.io.reading import sha256_of
from thighview.ui.series_dialog import SeriesDialog


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_series(tmp_path / "s" / "a", [0, 5, 10], SeriesDescription="t1")
    write_series(tmp_path / "s" / "b", [0, 5, 10, 15], SeriesDescription="t2", SeriesNumber=8)
    return tmp_path / "s"


def answer(key: Qt.Key, row: int = 0) -> list[list[str]]:
    """Press a key on this row of the dialog when it is there; its rows are in the list afterwards."""
    seen: list[list[str]] = []

    def press() -> None:
        box = QApplication.activeModalWidget()
        if not isinstance(box, SeriesDialog):
            QTimer.singleShot(50, press)
            return
        seen.append([box.list.item(i).text() for i in range(box.list.count())])
        box.list.setCurrentRow(row)
        QTest.keyClick(box.list, key)

    QTimer.singleShot(50, press)
    return seen


def test_the_one_chosen_opens(qtbot: QtBot, folder: Path) -> None:
    with open_window(qtbot) as window:
        seen = answer(Qt.Key.Key_Return, row=1)
        window.workspace.open_path(folder)
        qtbot.waitUntil(lambda: window.session.case is not None, timeout=20_000)
        assert seen == [['Series 3 "t1", 3 images of 5 x 4', 'Series 8 "t2", 4 images of 5 x 4']]
        case = window.session.case
        assert case is not None and case.title == "t2" and case.volume.shape == (4, 4, 5)
        assert np.array_equal(case.volume.voxels[:, 0, 0], range(4))
        assert not window.notices.shown


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Escape])
def test_what_was_dropped_beside_it_is_opened_too(qtbot: QtBot, folder: Path, tmp_path: Path, key: Qt.Key) -> None:
    beside = write_series(tmp_path / "beside", [0, 5], SeriesDescription="pd")
    with open_window(qtbot) as window:
        answer(key)
        window.workspace.open_paths([folder, beside])
        wanted = {"t1", "pd"} if key == Qt.Key.Key_Return else {"pd"}
        qtbot.waitUntil(lambda: {case.title for case in window.workspace.cases} == wanted, timeout=20_000)


def test_a_volume_of_a_file_opens(qtbot: QtBot, tmp_path: Path, tiny_volume: Volume) -> None:
    volumes = [replace(tiny_volume, voxels=tiny_volume.voxels + 100 * n) for n in range(3)]
    scan = write_volumes(tmp_path / "dixon.nii.gz", volumes)
    with open_window(qtbot) as window:
        seen = answer(Qt.Key.Key_Return, row=1)
        window.workspace.open_path(scan)
        qtbot.waitUntil(lambda: window.session.case is not None, timeout=20_000)
        assert seen == [["Volume 1 of 3", "Volume 2 of 3", "Volume 3 of 3"]]
        case = window.session.case
        assert case is not None and case.title == "dixon, volume 2" and case.subject == "dixon"
        assert np.array_equal(case.volume.voxels, volumes[1].voxels) and not window.notices.shown
        qtbot.waitUntil(lambda: case.series[0].sha256 == sha256_of(scan, "2"))


def test_thinking_better_of_it_leaves_everything(qtbot: QtBot, folder: Path) -> None:
    with open_window(qtbot) as window:
        seen = answer(Qt.Key.Key_Escape)
        window.workspace.open_path(folder)
        qtbot.waitUntil(lambda: bool(seen), timeout=20_000)
        qtbot.waitUntil(lambda: QApplication.activeModalWidget() is None)
        assert window.session.case is None and not window.notices.shown
