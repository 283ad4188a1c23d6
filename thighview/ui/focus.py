"""Which keys belong to the part of the window that has the focus, and how a part gets it."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

_TEXT_KEYS = (QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox)
_ARROWS = {
    Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown,
    Qt.Key.Key_Home, Qt.Key.Key_End, Qt.Key.Key_Return, Qt.Key.Key_Enter,
}  # fmt: skip


def belongs_to_focus(event: QKeyEvent) -> bool:
    """Whether what has the focus needs this key itself: text to be typed, arrows in a list, space on a button."""
    focus = QApplication.focusWidget()
    plain = not event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier)
    if focus is None or not plain or event.key() == Qt.Key.Key_Escape:
        return False
    if isinstance(focus, _TEXT_KEYS) or (isinstance(focus, QComboBox) and focus.isEditable()):
        return True
    if isinstance(focus, (QAbstractItemView, QAbstractSlider, QComboBox)):
        return event.key() in _ARROWS
    return isinstance(focus, QAbstractButton) and event.key() == Qt.Key.Key_Space


def tab_focus_only(root: QWidget) -> None:
    """Buttons take the focus by Tab alone, so that a click never takes the keys away from the views."""
    for press in root.findChildren(QAbstractButton):
        if press.focusPolicy() != Qt.FocusPolicy.NoFocus:
            press.setFocusPolicy(Qt.FocusPolicy.TabFocus)
