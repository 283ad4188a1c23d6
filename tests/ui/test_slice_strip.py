"""The slice strip: what of it is painted anew."""

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject, QPoint
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot

from thighview.app.session import Session
from thighview.core.case import Case
from thighview.core.volume import Volume
from thighview.ui.review_colours import STATE_COLOURS
from thighview.ui.slice_strip import SliceStrip, legend_tip


class Painted(QObject):
    """The widest piece that was painted since it was asked last."""

    def __init__(self, strip: SliceStrip) -> None:
        super().__init__(strip)
        self._widest = 0
        strip.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            self._widest = max(self._widest, event.rect().width())
        return False

    def widest(self, qtbot: QtBot) -> int:
        qtbot.waitUntil(lambda: self._widest > 0)
        widest, self._widest = self._widest, 0
        return widest


@pytest.fixture
def strip(qtbot: QtBot, tmp_path) -> SliceStrip:
    session = Session()
    session.open(Case.of(Volume(np.zeros((200, 4, 4), np.int16), np.eye(4), "long"), tmp_path / "long.nii"))
    strip = SliceStrip(session)
    session.setParent(strip)
    qtbot.addWidget(strip)
    strip.resize(1000, 60)
    strip.show()
    qtbot.waitExposed(strip)
    return strip


def test_a_slice_that_a_model_fills_is_painted_anew_and_not_the_whole_stack(strip: SliceStrip, qtbot: QtBot) -> None:
    session = strip.findChild(Session)
    plane = np.ones((4, 4), np.uint8)
    painted = Painted(strip)
    session.begin_run("Segment")
    session.fill_slice(0, plane, 0.30)
    session.fill_slice(1, plane, 0.40)
    assert painted.widest(qtbot) > 900, "the bars stand beside each other: with the range all of them change"
    for index in range(2, 20):
        session.fill_slice(index, plane, 0.31 + index / 1000)
        assert painted.widest(qtbot) < 200
    session.fill_slice(20, plane, 0.60)
    assert painted.widest(qtbot) > 900


@pytest.mark.parametrize("width", [368, 508, 930])
def test_the_colours_are_explained_however_narrow_the_strip_is(strip: SliceStrip, qtbot: QtBot, width: int) -> None:
    strip.resize(width, 60)
    image = strip.grab().toImage()
    beside = range(round(strip.cell_rect(199).right()) + 3, width)
    seen = {image.pixelColor(x, y).name() for x in beside for y in range(60)}
    assert {ink.name() for ink in STATE_COLOURS.values()} <= seen
    at = QPoint(width - 20, 30)
    QApplication.sendEvent(strip, QHelpEvent(QEvent.Type.ToolTip, at, strip.mapToGlobal(at)))
    qtbot.waitUntil(lambda: QToolTip.text() == legend_tip())
    QToolTip.hideText()


def test_a_missing_slice_is_a_hatched_hole_that_says_so(strip: SliceStrip, qtbot: QtBot, tmp_path) -> None:
    session = strip.findChild(Session)
    volume = Volume(np.zeros((9, 4, 4), np.int16), np.eye(4), "gap", missing=(4,))
    session.open(Case.of(volume, tmp_path / "gap"))
    cell = strip.cell_rect(4).toRect().adjusted(3, 3, -3, -3)
    image = strip.grab().toImage()
    inks = {
        image.pixelColor(x, y).name()
        for x in range(cell.left(), cell.right())
        for y in range(cell.top(), cell.bottom())
    }
    assert len(inks) > 1 and not inks & {ink.name() for ink in STATE_COLOURS.values()}
    at = cell.center()
    QApplication.sendEvent(strip, QHelpEvent(QEvent.Type.ToolTip, at, strip.mapToGlobal(at)))
    qtbot.waitUntil(lambda: QToolTip.text().startswith("slice 5 of 9: missing"))
    QToolTip.hideText()
