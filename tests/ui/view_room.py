"""What the tests of views share: a case to look at, and a hand that presses, moves and lets go."""

import numpy as np
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QImage, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QWidget

from thighview.core.case import Case
from thighview.core.labels import Label, LabelTable
from thighview.core.volume import Volume
from thighview.ui.slice_view import SliceView

LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
NONE = Qt.MouseButton.NoButton
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
PLAIN = Qt.KeyboardModifier.NoModifier


def case_of(volume: Volume) -> Case:
    """An open case with two labels."""
    from pathlib import Path

    case = Case.of(volume, Path("tiny.nii.gz"))
    case.table = LabelTable((Label(1, "muscle", "left", (255, 0, 0)), Label(2, "fat", "right", (0, 255, 0))))
    return case


def send(widget: QWidget, kind: QEvent.Type, at: QPointF, button=NONE, held=NONE, keys=PLAIN) -> None:
    """One mouse event."""
    QApplication.sendEvent(widget, QMouseEvent(kind, at, widget.mapToGlobal(at), button, held, keys))


def press(widget: QWidget, at: QPointF, button=LEFT, keys=PLAIN) -> None:
    send(widget, QEvent.Type.MouseButtonPress, at, button, button, keys)


def move(widget: QWidget, at: QPointF, held=LEFT, keys=PLAIN) -> None:
    send(widget, QEvent.Type.MouseMove, at, NONE, held, keys)


def release(widget: QWidget, at: QPointF, button=LEFT, keys=PLAIN) -> None:
    send(widget, QEvent.Type.MouseButtonRelease, at, button, NONE, keys)


def click(widget: QWidget, at: QPointF, button=LEFT, keys=PLAIN) -> None:
    press(widget, at, button, keys)
    release(widget, at, button, keys)


def double(widget: QWidget, at: QPointF) -> None:
    """The second half of a double click."""
    send(widget, QEvent.Type.MouseButtonDblClick, at, LEFT, LEFT)
    release(widget, at)


def wheel(widget: QWidget, at: QPointF, notches: int, keys=PLAIN) -> None:
    event = QWheelEvent(
        at, widget.mapToGlobal(at), QPointF(0, 0).toPoint(), QPointF(0, 120 * notches).toPoint(), NONE, keys,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


def place(view: SliceView, row: float, column: float) -> QPointF:
    """Where a pixel of the shown slice lies on the screen."""
    assert view.placement
    return QPointF(*view.placement.to_screen(row, column))


def pixels(widget: QWidget) -> np.ndarray:
    """What the widget paints, uint8 (rows, columns, RGB)."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()
