"""Hands and eyes of a person at the window: real mouse and key events, waiting for what is seen, pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QLineEdit, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from thighview.app.tasks import Workspace
from thighview.core.case import Case
from thighview.core.review import SliceState
from thighview.io.models import ModelEntry
from thighview.ui.file_dialogs import FolderDialog
from thighview.ui.main_window import MainWindow
from thighview.ui.series_dialog import SeriesDialog
from thighview.ui.slice_view import SliceView

SCREENS = Path(__file__).parents[2] / ".screens"
LEFT, NONE, CTRL = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
SOON_MS, LONG_MS = 20_000, 180_000


class Hands:
    """One person at one window; ``errors`` is everything the window had to complain of."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window, self.qtbot = window, qtbot
        self.errors: list[Exception] = []
        window.workspace.failed.connect(self.errors.append)

    @property
    def workspace(self) -> Workspace:
        return self.window.workspace

    @property
    def case(self) -> Case:
        case = self.window.session.case
        assert case is not None
        return case

    @property
    def axial(self) -> SliceView:
        return self.window.views.by_name["axial"]

    @property
    def states(self) -> list[SliceState]:
        return [review.state for review in self.case.reviews]

    # ------------------------------------------------------------------ waiting and looking

    def until(self, reached: Callable[[], object], timeout_ms: int = SOON_MS) -> None:
        self.qtbot.waitUntil(lambda: bool(reached()), timeout=timeout_ms)

    def until_saved(self) -> None:
        self.until(lambda: self.workspace.store is not None and self.workspace.store.unsaved == 0)

    def until_open(self, title: str = "") -> Case:
        """Wait until a case is open, this one if named."""
        session = self.window.session
        self.until(lambda: session.case is not None and title in str(session.case.series[0].path))
        self.until(lambda: any(c.case_id == self.case.case_id for c in self.workspace.cases))
        return self.case

    def picture(self, name: str) -> None:
        """Leave a picture of the whole window in ``.screens``."""
        SCREENS.mkdir(exist_ok=True)
        QApplication.processEvents()
        assert self.window.grab().save(str(SCREENS / f"{name}.png"))

    # ------------------------------------------------------------------ keys and mouse

    def key(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = NONE) -> None:
        QTest.keyClick(self.window, key, modifiers)

    def click(self, widget: QWidget, at: QPoint | None = None) -> None:
        assert widget.isEnabled(), f"{widget} cannot be pressed"
        QTest.mouseClick(widget, LEFT, NONE, at if at is not None else widget.rect().center())

    def place(self, index: int, y: float, x: float, view: SliceView | None = None) -> QPoint:
        """Where a voxel stands on a view."""
        view = view or self.axial
        assert view.plane is not None and view.placement is not None
        row, column = view.plane.to_plane((index, y, x))  # type: ignore[arg-type]
        sx, sy = view.placement.to_screen(row, column)
        return QPoint(round(sx), round(sy))

    def drag(self, index: int, places: Sequence[tuple[float, float]], release: bool = True) -> None:
        """Press at the first (y, x), move over the others, let go."""
        points = [self.place(index, y, x) for y, x in places]
        QTest.mousePress(self.axial, LEFT, NONE, points[0])
        for point in points[1:]:
            QTest.mouseMove(self.axial, point)
        if release:
            QTest.mouseRelease(self.axial, LEFT, NONE, points[-1])

    def go_to(self, index: int) -> None:
        """Click the slice's cell on the strip."""
        cell = self.window.strip.cell_rect(index).center().toPoint()
        QTest.mouseClick(self.window.strip, LEFT, NONE, cell)
        assert self.window.session.view.cursor[0] == index

    def strip_colour(self, index: int) -> str:
        """The colour a slice's cell is painted in."""
        picture = self.window.strip.grab().toImage()
        at = self.window.strip.cell_rect(index).center() * picture.devicePixelRatio()
        return picture.pixelColor(at.toPoint()).name()

    # ------------------------------------------------------------------ files

    def drop(self, *paths: Path) -> None:
        """Drop files on the window."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        at, copy = self.window.rect().center(), Qt.DropAction.CopyAction
        enter = QDragEnterEvent(at, copy, data, LEFT, NONE)
        QApplication.sendEvent(self.window, enter)
        assert enter.isAccepted()
        QApplication.sendEvent(self.window, QDropEvent(QPointF(at), copy, data, LEFT, NONE))

    def choose(self, action: str, path: Path) -> None:
        """Take an entry of the menu and answer its dialog with a path."""

        def fill_in() -> None:
            box = QApplication.activeModalWidget()
            if isinstance(box, FolderDialog):
                box.place.setText(str(path.parent))
                box.name.setText(path.name)
                self.until(box.agree.isEnabled)
                box.agree.click()
            elif isinstance(box, QFileDialog):
                box.findChild(QLineEdit, "fileNameEdit").setText(str(path))
                box.accept()
            else:
                QTimer.singleShot(20, fill_in)

        QTimer.singleShot(0, fill_in)
        self.window.actions_table[action].trigger()
        self.window.activateWindow()
        self.until(self.window.isActiveWindow)

    def drop_and_choose(self, path: Path, row: int) -> None:
        """Drop a file of several scans, and press Enter on this row of the dialog that asks."""

        def press() -> None:
            box = QApplication.activeModalWidget()
            if isinstance(box, SeriesDialog):
                box.list.setCurrentRow(row)
                QTest.keyClick(box.list, Qt.Key.Key_Return)
                asked.append(True)
            else:
                QTimer.singleShot(20, press)

        asked: list[bool] = []
        QTimer.singleShot(0, press)
        self.drop(path)
        self.until(lambda: asked)
        self.window.activateWindow()
        self.until(self.window.isActiveWindow)

    def answer(self, text: str) -> list[str]:
        """Press this button of the next question; the list holds the question once it was asked."""
        asked: list[str] = []

        def look() -> None:
            box = QApplication.activeModalWidget()
            if isinstance(box, QMessageBox):
                asked.append(box.text())
                press = next(b for b in box.buttons() if b.text().replace("&", "") == text)
                assert isinstance(press, QPushButton)
                press.click()
            elif isinstance(box, QDialog):
                raise AssertionError(f"an unexpected question: {box.windowTitle()}")
            else:
                QTimer.singleShot(20, look)

        QTimer.singleShot(0, look)
        return asked

    # ------------------------------------------------------------------ models

    def take_model(self, entry: ModelEntry) -> None:
        """Choose a model in the Segment panel's list."""
        self.window.show_tab("Segment")
        panel = self.window.panel("Segment")
        chooser = panel.chooser  # type: ignore[attr-defined]
        self.until(lambda: chooser.findText(entry.card.name) >= 0)
        index = chooser.findText(entry.card.name)
        chooser.setCurrentIndex(index)
        chooser.activated.emit(index)
        chosen = self.workspace.chosen_model
        assert chosen is not None and chosen.folder == entry.folder

    def until_run_ends(self) -> None:
        self.until(lambda: self.workspace.segment_job is None and self.window.session.busy_run is None, LONG_MS)


def disc(shape: tuple[int, int, int], index: int, y: float, x: float, radius: float) -> np.ndarray:
    """A disc on one slice, bool (z, y, x), radius in voxels."""
    rows, columns = np.mgrid[0 : shape[1], 0 : shape[2]]
    found = np.zeros(shape, bool)
    found[index] = np.hypot(rows - y, columns - x) <= radius
    return found
