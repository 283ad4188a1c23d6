"""The slice strip: what of it is painted anew."""

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject
from pytestqt.qtbot import QtBot

from thighview.app.session import Session
from thighview.core.case import Case
from thighview.core.volume import Volume
from thighview.ui.slice_strip import SliceStrip


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
