"""Questions about masks that do not simply fit, answered in the window itself."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mask_files import slicer_fields, some_labels, write_nifti, write_nrrd
from PySide6.QtCore import QMimeData, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QLabel
from pytestqt.qtbot import QtBot
from window_room import open_window

from thighview.core.found_mask import FoundMask, MaskWish
from thighview.core.volume import Volume
from thighview.io.images import write_volume
from thighview.io.masks import find_mask, read_mask
from thighview.ui.main_window import MainWindow
from thighview.ui.mask_dialogs import KindDialog, OverlapDialog, ResampleDialog


@pytest.fixture
def scan(tmp_path: Path, tiny_volume: Volume) -> Path:
    write_volume(tmp_path / "sub-07_t1.nii.gz", tiny_volume)
    return tmp_path / "sub-07_t1.nii.gz"


def three_over_each_other(path: Path, volume: Volume) -> Path:
    """Labels a, b and c, each over the next on some slices."""
    layers = np.zeros((3, *volume.shape), np.uint8)
    for i in range(3):
        layers[i, i : i + 2] = 1
    fields = slicer_fields(*((name, "1 0 0", 1, i, "") for i, name in enumerate("abc")))
    return write_nrrd(path, layers, volume.affine, fields=fields)


def with_case(qtbot: QtBot, window: MainWindow, scan: Path) -> None:
    window.workspace.open_path(scan)
    qtbot.waitUntil(lambda: window.session.case is not None, timeout=20_000)


def in_the_dialog(kind: type[QDialog], do: Callable[[QDialog], object]) -> list[str]:
    """Do something with the next dialog of this kind; the list holds all its words afterwards."""
    seen: list[str] = []

    def look() -> None:
        box = QApplication.activeModalWidget()
        if not isinstance(box, kind):
            QTimer.singleShot(20, look)
            return
        seen.extend(label.text() for label in box.findChildren(QLabel))
        assert_nothing_is_cut(box)
        do(box)

    QTimer.singleShot(20, look)
    return seen


def assert_nothing_is_cut(box: QDialog) -> None:
    """Every line of words has the height it needs at its width, and lies inside the dialog."""
    for label in box.findChildren(QLabel):
        need = label.heightForWidth(label.width()) if label.wordWrap() else label.sizeHint().height()
        assert label.height() >= need, label.text()
        assert box.rect().contains(label.geometry()), label.text()


def drop(window: MainWindow, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    at, how = window.rect().center(), (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton)
    QApplication.sendEvent(window, QDragEnterEvent(at, *how, Qt.KeyboardModifier.NoModifier))
    QApplication.sendEvent(window, QDropEvent(QPointF(at), *how, Qt.KeyboardModifier.NoModifier))


def test_what_resampling_changes_is_shown_before_it_is_done(
    qtbot: QtBot, scan: Path, tmp_path: Path, tiny_volume: Volume
) -> None:
    fine = Volume(np.zeros((12, 32, 32), np.int16), tiny_volume.affine @ np.diag([0.5, 1, 1, 1]))
    path = write_nrrd(tmp_path / "fine.nrrd", some_labels(fine), fine.affine)
    with open_window(qtbot) as window:
        with_case(qtbot, window, scan)
        seen = in_the_dialog(ResampleDialog, lambda box: QTest.keyClick(box, Qt.Key.Key_Return))
        window.workspace.open_mask(path)
        qtbot.waitUntil(lambda: bool(seen) and QApplication.activeModalWidget() is None, timeout=20_000)
        assert window.session.history.names == (), "Enter alone changes nothing"
        assert "fine.nrrd lies on another grid than sub-07_t1." in seen
        assert "32 × 32 × 12" in seen and "1.25 × 1.5 × 2.5" in seen and "1.25 × 1.5 × 5" in seen
        assert any("of what is drawn lies outside the scan and would be lost" in words for words in seen)

        seen = in_the_dialog(ResampleDialog, lambda box: box.agree.click())  # type: ignore[attr-defined]
        window.workspace.open_mask(path)
        qtbot.waitUntil(lambda: bool(window.session.history.names), timeout=20_000)
        assert window.session.history.names == ("Open mask fine.nrrd, resampled",)
        case = window.session.case
        assert case and np.array_equal(case.labels, read_mask(path, case.volume, resample=True)[0])
        assert [n.message for n in window.notices.shown] == ["fine.nrrd: 3 labels, 3 new (Label 1, Label 2, Label 3)."]


def test_the_numbers_in_the_dialog_are_those_of_the_mask(qtbot: QtBot, tmp_path: Path, tiny_volume: Volume) -> None:
    fine = Volume(np.zeros((12, 32, 32), np.int16), tiny_volume.affine @ np.diag([0.5, 1, 1, 1]))
    labels = np.zeros(fine.shape, np.uint8)
    labels[0:7, 4:20, 4:20], labels[11, 3, 3:30] = 1, 2
    mask = find_mask(write_nrrd(tmp_path / "m.nrrd", labels, fine.affine), tiny_volume)
    assert mask.grid is not None
    dialog = ResampleDialog(None, mask, mask.grid)
    qtbot.addWidget(dialog)
    dialog.show()
    cells = [[dialog.table.item(row, column).text() for column in range(4)] for row in range(2)]
    ml = fine.voxel_volume_ml
    assert cells[0] == ["Label 1", f"{7 * 256 * ml:.1f} ml", f"{8 * 256 * ml:.1f} ml", "+14.3%"]
    assert cells[1][2:] == ["–", "all lost"]
    assert (
        dialog.outside.text() == f"{27 / (7 * 256 + 27):.1%} of what is drawn lies outside the scan and would be lost."
    )


def test_who_wins_where_labels_overlap_is_asked(qtbot: QtBot, scan: Path, tmp_path: Path, tiny_volume: Volume) -> None:
    path = three_over_each_other(tmp_path / "s.seg.nrrd", tiny_volume)

    def last_wins(box: QDialog) -> None:
        assert isinstance(box, OverlapDialog)
        for row in (2, 1, 2):  # c to the top, then b above a
            box.list.setCurrentRow(row)
            box.up.click()
        box.agree.click()

    with open_window(qtbot) as window:
        with_case(qtbot, window, scan)
        seen = in_the_dialog(OverlapDialog, lambda box: box.reject())
        window.workspace.open_mask(path)
        qtbot.waitUntil(lambda: bool(seen) and QApplication.activeModalWidget() is None, timeout=20_000)
        assert window.session.history.names == ()
        in_the_dialog(OverlapDialog, last_wins)
        window.workspace.open_mask(path)
        qtbot.waitUntil(lambda: bool(window.session.history.names), timeout=20_000)
        case = window.session.case
        assert case
        names = {0: "", **{label.value: label.name for label in case.table}}
        assert [names[int(case.labels[z, 0, 0])] for z in range(6)] == ["a", "b", "c", "c", "", ""]


def test_order_and_one_label_alone_are_answers(qtbot: QtBot, tmp_path: Path, tiny_volume: Volume) -> None:
    mask: FoundMask = find_mask(three_over_each_other(tmp_path / "s.seg.nrrd", tiny_volume), tiny_volume)
    a, b, c = mask.order
    dialog = OverlapDialog(None, mask)
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.answer(False) == MaskWish(False, (a, b, c)) and not dialog.up.isEnabled()
    rows = [[dialog.table.item(row, column).text() for column in range(3)] for row in range(2)]
    assert rows == [["A", "B", "1,024"], ["B", "C", "1,024"]]
    dialog.down.click()
    assert dialog.answer(True) == MaskWish(True, (b, a, c)) and dialog.list.currentRow() == 1
    dialog.down.click()
    assert dialog.order == (b, c, a) and not dialog.down.isEnabled()
    dialog.up.click()
    assert dialog.order == (b, a, c)
    dialog.only.setCurrentIndex(2)
    dialog.only.activated.emit(2)
    assert dialog.answer(False) == MaskWish(only=c) and not dialog.list.isEnabled() and not dialog.down.isEnabled()


def test_a_file_that_may_be_either_is_asked_about_and_a_mask_for_certain_is_not(
    qtbot: QtBot, scan: Path, tmp_path: Path, tiny_volume: Volume
) -> None:
    either = write_nifti(tmp_path / "either.nii.gz", some_labels(tiny_volume), tiny_volume.affine)
    sure = write_nrrd(
        tmp_path / "sure.seg.nrrd", some_labels(tiny_volume), tiny_volume.affine,
        fields=slicer_fields(("a", "1 0 0", 1, 0, "")),
    )  # fmt: skip
    with open_window(qtbot) as window:
        with_case(qtbot, window, scan)
        drop(window, sure)
        qtbot.waitUntil(lambda: window.session.history.names == ("Open mask sure.seg.nrrd",), timeout=20_000)
        seen = in_the_dialog(KindDialog, lambda box: QTest.keyClick(box, Qt.Key.Key_Escape))
        drop(window, either)
        qtbot.waitUntil(lambda: bool(seen) and QApplication.activeModalWidget() is None, timeout=20_000)
        assert "either.nii.gz" in seen and len(window.session.history.names) == 1
        in_the_dialog(KindDialog, lambda box: box.agree.click())  # type: ignore[attr-defined]
        drop(window, either)
        qtbot.waitUntil(lambda: len(window.session.history.names) == 2, timeout=20_000)
        in_the_dialog(KindDialog, lambda box: box.scan.click())  # type: ignore[attr-defined]
        drop(window, either)
        qtbot.waitUntil(lambda: window.session.case is not None and window.session.case.title == "either")


def test_what_should_be_known_of_a_mask_stays_in_sight(
    qtbot: QtBot, scan: Path, tmp_path: Path, tiny_volume: Volume
) -> None:
    fields = slicer_fields(("a", "1 0 0", 1, 0, ""))
    path = write_nrrd(tmp_path / "s.seg.nrrd", some_labels(tiny_volume), tiny_volume.affine, fields=fields)
    with open_window(qtbot) as window:
        with_case(qtbot, window, scan)
        window.workspace.open_mask(path)
        qtbot.waitUntil(lambda: bool(window.notices.shown), timeout=20_000)
        (notice,) = window.notices.shown
        assert notice.stays and notice.message == "s.seg.nrrd: 3 labels, 3 new (A, Label 2, Label 3)."
        assert notice.hint == "s.seg.nrrd does not name the numbers 2, 3."


def test_no_question_about_a_mask_outlives_its_answer(qtbot: QtBot, tmp_path: Path, tiny_volume: Volume) -> None:
    from PySide6.QtWidgets import QWidget

    from thighview.ui.mask_dialogs import ask_kind, ask_mask_wish

    parent = QWidget()
    qtbot.addWidget(parent)
    shifted = Volume(tiny_volume.voxels, tiny_volume.affine @ np.diag([0.5, 1, 1, 1]))
    both = find_mask(three_over_each_other(tmp_path / "s.seg.nrrd", shifted), tiny_volume)
    in_the_dialog(KindDialog, lambda box: box.reject())
    assert ask_kind(parent, [tmp_path / "a"], "x") == ""
    in_the_dialog(ResampleDialog, lambda box: box.accept())
    in_the_dialog(OverlapDialog, lambda box: box.accept())
    wish = ask_mask_wish(parent, both)
    assert wish is not None and wish.resample and sorted(wish.order) == sorted(both.order)
    in_the_dialog(ResampleDialog, lambda box: box.reject())
    assert ask_mask_wish(parent, both) is None
    qtbot.waitUntil(lambda: not parent.findChildren(QDialog))
