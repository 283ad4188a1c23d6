"""Which one of several series in a folder to open."""

from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QDialog, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from thighview.core.errors import SeveralScansError
from thighview.ui.cards import agree_buttons, count, plain_tip, words

_MOST_ROWS, _ROW_PX, _MOST_WIDTH_PX = 14, 26, 900


class SeriesDialog(QDialog):
    """A list of what there is; Enter or a double click opens the one chosen."""

    def __init__(self, parent: QWidget | None, needed: SeveralScansError) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open series")
        box = QVBoxLayout(self)
        box.setContentsMargins(18, 16, 18, 14)
        box.setSpacing(12)
        box.addWidget(
            words(f"There are {count(len(needed.choices), 'series', 'series')} here. Which one is to be opened?")
        )
        self.list = QListWidget()
        for title, path in needed.choices:
            item = QListWidgetItem(title[:1].upper() + title[1:])
            item.setData(Qt.ItemDataRole.UserRole, path)
            item.setToolTip(plain_tip(str(path)))
            item.setSizeHint(QSize(self.list.fontMetrics().horizontalAdvance(item.text()) + 24, _ROW_PX))
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.list.setMinimumWidth(min(self.list.sizeHintForColumn(0) + 24, _MOST_WIDTH_PX))
        self.list.setFixedHeight(_ROW_PX * min(len(needed.choices), _MOST_ROWS) + 2 * self.list.frameWidth() + 4)
        box.addWidget(self.list)
        self.buttons, self.agree = agree_buttons(self, "Open")
        self.agree.setDefault(True)
        self.list.itemActivated.connect(lambda _: self.accept())
        box.addWidget(self.buttons)
        self.list.setFocus()

    @property
    def answer(self) -> Path:
        """The path that opens the series chosen."""
        item = self.list.currentItem()
        return item.data(Qt.ItemDataRole.UserRole)


def ask_series(parent: QWidget, needed: SeveralScansError) -> Path | None:
    """Which of the series to open; None when the person thinks better of it."""
    dialog = SeriesDialog(parent, needed)
    answer = dialog.answer if dialog.exec() == QDialog.DialogCode.Accepted else None
    dialog.deleteLater()
    return answer
