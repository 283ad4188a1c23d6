"""A folder of several DICOM series, a file of several volumes: which one is asked, and that one opens."""

from collections.abc import Iterator
from contextlib import contextmanager
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

from thighview.app import jobs
from thighview.app.settings import Settings
from thighview.core.errors import SeveralScansError
from thighview.core.volume import Volume
from thighview.io.dicom import read_dicom
from thighview.io.reading import sha256_of
from thighview.ui.application import make_application
from thighview.ui.series_dialog import PICTURE, SeriesDialog


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
        assert seen == [['Series 3 "t1"', 'Series 8 "t2"']]
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


def refusal(folder: Path) -> SeveralScansError:
    with pytest.raises(SeveralScansError) as caught:
        read_dicom(folder)
    return caught.value


@contextmanager
def shown(qtbot: QtBot, needed: SeveralScansError, settings: Settings) -> Iterator[SeriesDialog]:
    make_application()
    dialog = SeriesDialog(None, needed, settings)
    dialog.show()
    qtbot.waitActive(dialog)
    yield dialog
    dialog.close()
    dialog.deleteLater()
    assert jobs.shutdown()


def test_what_can_be_opened_has_a_picture_and_what_cannot_says_why(qtbot: QtBot, tmp_path: Path) -> None:
    half = np.where(np.arange(64)[:, None] < 32, 900, 0) + np.zeros((1, 48), int)
    write_series(
        tmp_path / "a", [0, 5, 10], Rows=64, Columns=48, PixelData=half.astype("<u2").tobytes(), PixelSpacing=[1, 1]
    )
    write_series(tmp_path / "b", [0, 5], SeriesDescription="t2", SeriesNumber=8)
    write_series(tmp_path / "c", [0, 5], SeriesNumber=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_series(tmp_path / "d", [0, 5, 11, 40], SeriesDescription="<b>broken</b>", SeriesNumber=9)
    write_series(tmp_path / "e", [0, 5], Modality="SR", SeriesDescription="findings", SeriesNumber=10)
    settings = Settings(tmp_path / "settings.ini")
    with shown(qtbot, refusal(tmp_path), settings) as dialog:
        rows = [dialog.list.item(i) for i in range(dialog.list.count())]
        assert [row.text() for row in rows] == [
            'Series 3 "t1_tra"', 'Series 8 "t2"', 'Series 1 "t1_tra"', "CANNOT BE OPENED",
            'Series 9 "<b>broken</b>", 4 images of 5 x 4', 'Series 10 "findings"',
        ]  # fmt: skip
        choices = [row.data(Qt.ItemDataRole.UserRole) for row in rows]
        assert choices[0].description == "3 images of 48 × 64, MR, axial, 1 × 1 × 5 mm"
        assert choices[2].description.startswith("localiser") and "evenly" in choices[4].description
        assert (choices[5].images, choices[5].description) == (2, "a report") and "<b>" not in rows[4].toolTip()
        qtbot.waitUntil(lambda: all(row.data(PICTURE) is not None for row in rows[:3]), timeout=20_000)
        image = rows[0].data(PICTURE).toImage()
        edge = image.width()
        assert [image.pixelColor(x, y).value() > 200 for x, y in ((edge // 2, 8), (edge // 2, edge - 8), (3, 8))] == [
            True, False, False,
        ]  # fmt: skip
        assert dialog.answer == (choices[0].key,)
        QTest.keyClick(dialog.list, Qt.Key.Key_End)
        for _ in range(3):
            QTest.keyClick(dialog.list, Qt.Key.Key_Down)
        assert dialog.answer == (choices[2].key,), "what cannot be opened cannot be reached"
        QTest.mouseClick(
            dialog.list.viewport(), Qt.MouseButton.LeftButton, pos=dialog.list.visualItemRect(rows[4]).center()
        )
        assert dialog.answer == (choices[2].key,)
        dialog.grab()
        place = dialog.list.visualItemRect(rows[1]).center()
        QTest.mouseClick(dialog.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
        QTest.mouseDClick(dialog.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert dialog.result() == SeriesDialog.DialogCode.Accepted and dialog.answer == (choices[1].key,)


def test_several_are_chosen_together(qtbot: QtBot, folder: Path) -> None:
    with shown(qtbot, refusal(folder), Settings(folder.with_suffix(".ini"))) as dialog:
        keys = [dialog.list.item(row).data(Qt.ItemDataRole.UserRole).key for row in range(dialog.list.count())]
        assert dialog.agree.text() == "Open" and dialog.answer == (keys[0],)
        QTest.keyClick(dialog.list, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        assert dialog.agree.text() == f"Open {len(keys)} as one case"
        assert dialog.answer == tuple(keys)
        dialog.list.clearSelection()
        assert not dialog.agree.isEnabled()


def test_it_has_the_size_a_person_gave_it(qtbot: QtBot, folder: Path, tmp_path: Path) -> None:
    needed, settings = refusal(folder), Settings(tmp_path / "settings.ini")
    with shown(qtbot, needed, settings) as dialog:
        dialog.resize(700, 333)
    with shown(qtbot, needed, settings) as dialog:
        assert (dialog.width(), dialog.height()) == (700, 333)
    settings.keep_size("series", 10**6, -3)
    with shown(qtbot, needed, settings) as dialog:
        assert dialog.width() <= 860 and dialog.height() <= 620
