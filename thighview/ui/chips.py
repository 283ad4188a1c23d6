"""Coloured names that flow over as many lines as they need."""

from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget

from thighview.core.labels import LabelTable
from thighview.ui.cards import Swatch, row, words

Chip = tuple[str, tuple[int, int, int]]
"""A name and its colour."""


def label_chips(table: LabelTable) -> tuple[Chip, ...]:
    """One entry per name; a label on both sides is said once, with L R."""
    shown: dict[str, tuple[int, int, int]] = {}
    for label in table:
        both = label.side and table.find(label.name, "left") and table.find(label.name, "right")
        title = label.name.replace("_", " ").capitalize() + " L R" if both else label.title
        shown.setdefault(title, label.colour)
    return tuple(shown.items())


GAP_PX = 9


class Chips(QWidget):
    """Names with colours, in lines."""

    def __init__(self, muted: bool = False) -> None:
        super().__init__()
        self._flow = Flow(self)
        self._kind = "small" if muted else ""
        self.shown: tuple[Chip, ...] = ()

    def show_labels(self, labels: tuple[Chip, ...]) -> None:
        """Show these names, each with its colour."""
        if labels == self.shown:
            return
        self.shown = labels
        self._flow.empty()
        for name, colour in labels:
            chip = QWidget()
            chip.setLayout(row(Swatch(QColor(*colour), 9), words(name, self._kind, wrap=False), spacing=4))
            self._flow.addWidget(chip)
        self.updateGeometry()


class Flow(QLayout):
    """Lays widgets in lines, left to right; hidden ones take no room."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._items: list[QLayoutItem] = []
        self.setContentsMargins(0, 0, 0, 0)

    def empty(self) -> None:
        """Take everything out."""
        while self._items:
            widget = self._items.pop().widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()

    def addItem(self, arg__1: QLayoutItem) -> None:
        """One more, at the end."""
        self._items.append(arg__1)

    def count(self) -> int:
        """How many there are."""
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The one at a place, or None."""
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take one out, or None."""
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def hasHeightForWidth(self) -> bool:
        """The narrower, the higher."""
        return True

    def heightForWidth(self, arg__1: int) -> int:
        """Height of all lines."""
        return self._lay(QRect(0, 0, arg__1, 0), move=False)

    def setGeometry(self, arg__1: QRect) -> None:
        """Lay them out."""
        super().setGeometry(arg__1)
        self._lay(arg__1, move=True)

    def sizeHint(self) -> QSize:
        """No wider than need be."""
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        """Room for the largest of them."""
        size = QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        return size

    def _lay(self, area: QRect, move: bool) -> int:
        x, y, line = area.x(), area.y(), 0
        for item in self._items:
            if item.isEmpty():
                continue
            size = item.sizeHint()
            if x > area.x() and x + size.width() > area.right() + 1:
                x, y, line = area.x(), y + line + 5, 0
            if move:
                item.setGeometry(QRect(x, y, min(size.width(), area.width()), size.height()))
            x += size.width() + GAP_PX
            line = max(line, size.height())
        return y + line - area.y()
