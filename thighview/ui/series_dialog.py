"""Which one of several scans in one place to open: series of a folder, volumes of a file."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QDialog, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from thighview.core.errors import ScanChoice, SeveralScansError
from thighview.core.scan_key import ScanKey
from thighview.ui.cards import agree_buttons, count, plain_tip, words

_MOST_ROWS, _ROW_PX, _MOST_WIDTH_PX = 14, 26, 900


class SeriesDialog(QDialog):
    """A list of what there is; Enter or a double click opens the one chosen."""

    def __init__(self, parent: QWidget | None, needed: SeveralScansError) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open scan")
        box = QVBoxLayout(self)
        box.setContentsMargins(18, 16, 18, 14)
        box.setSpacing(12)
        box.addWidget(
            words(f"There are {count(len(needed.choices), 'scan', 'scans')} here. Which one is to be opened?")
        )
        self.list = QListWidget()
        for choice in needed.choices:
            item = QListWidgetItem(choice.title[:1].upper() + choice.title[1:])
            item.setData(Qt.ItemDataRole.UserRole, choice)
            item.setToolTip(plain_tip("\n".join(filter(None, (choice.description, str(choice.key))))))
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
    def answer(self) -> ScanKey:
        """What opens the scan chosen."""
        choice: ScanChoice = self.list.currentItem().data(Qt.ItemDataRole.UserRole)
        return choice.key


def ask_series(parent: QWidget, needed: SeveralScansError) -> ScanKey | None:
    """Which of the scans to open; None when the person thinks better of it."""
    dialog = SeriesDialog(parent, needed)
    answer = dialog.answer if dialog.exec() == QDialog.DialogCode.Accepted else None
    dialog.deleteLater()
    return answer
