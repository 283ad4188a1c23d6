"""Pictures that may have a name in them, looked at by a person before they leave under a study key."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QListView,
    QListWidget,
    QListWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from thighview.app.exporting import Looked, Pictured
from thighview.ui.cards import agree_buttons, button, count, plain_tip, words

_PICTURE_PX = 250
_LOOKED = "I have looked at every picture: no name, number or date stands in one."


class LookDialog(QDialog):
    """Shows all slices of cases into whose pictures text may be burned, and asks what a person sees."""

    def __init__(self, parent: QWidget | None, cases: tuple[Pictured, ...]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Does a name stand in these pictures?")
        self.resize(900, 720)
        self._cases = cases
        box = QVBoxLayout(self)
        box.setContentsMargins(18, 16, 18, 14)
        box.setSpacing(10)
        box.addWidget(words(
            f"The pixels of {count(len(cases), 'case')} may have text burned in, and leave as they are. Look at every "
            "slice; the first two pictures of each case show the brightest and the darkest of all slices.", "muted",
        ))  # fmt: skip
        self.tabs = QTabWidget()
        self.lists = [_contact_sheet(case.slices) for case in cases]
        for case, sheet in zip(cases, self.lists, strict=True):
            page = QWidget()
            column = QVBoxLayout(page)
            column.addWidget(words(case.reason, "warning"))
            column.addWidget(sheet, 1)
            self.tabs.addTab(page, case.title)
            self.tabs.setTabToolTip(self.tabs.count() - 1, plain_tip(case.title))
        box.addWidget(self.tabs, 1)
        self.looked = QCheckBox(_LOOKED)
        box.addWidget(self.looked)
        self.buttons, self.agree = agree_buttons(self, "Export them")
        self.leave_out = button(f"Leave {'it' if len(cases) == 1 else 'them'} out", self._leave_out)
        self.buttons.addButton(self.leave_out, QDialogButtonBox.ButtonRole.ActionRole)
        self.agree.setEnabled(False)
        self.looked.toggled.connect(self.agree.setEnabled)
        box.addWidget(self.buttons)
        self._left_out = False

    @property
    def answer(self) -> Looked:
        """What the person says."""
        ids = tuple(case.case_id for case in self._cases)
        return Looked(left_out=ids) if self._left_out else Looked(fine=ids)

    def _leave_out(self) -> None:
        self._left_out = True
        self.accept()


def ask_looks(parent: QWidget, cases: tuple[Pictured, ...], answer: Callable[[Looked | None], None]) -> None:
    """Have pictures looked at, and hand over what a person says of them."""
    dialog = LookDialog(parent, cases)
    agreed = dialog.exec() == QDialog.DialogCode.Accepted
    dialog.deleteLater()
    answer(dialog.answer if agreed else None)


def _contact_sheet(slices: NDArray[np.uint8]) -> QListWidget:
    """The brightest and the darkest of all slices, then each slice; the wheel scrolls through them."""
    sheet = QListWidget()
    sheet.setViewMode(QListView.ViewMode.IconMode)
    sheet.setResizeMode(QListView.ResizeMode.Adjust)
    sheet.setMovement(QListView.Movement.Static)
    sheet.setIconSize(QSize(_PICTURE_PX, _PICTURE_PX))
    sheet.setSpacing(6)
    named = [
        ("All slices, brightest", slices.max(axis=0)), ("All slices, darkest", slices.min(axis=0)),
        *((f"Slice {n}", one) for n, one in enumerate(slices, 1)),
    ]  # fmt: skip
    for name, pixels in named:
        sheet.addItem(QListWidgetItem(QIcon(_pixmap(pixels)), name))
    return sheet


def _pixmap(pixels: NDArray[np.uint8]) -> QPixmap:
    rows, columns = pixels.shape
    data = np.ascontiguousarray(pixels)
    picture = QPixmap.fromImage(QImage(data.data, columns, rows, columns, QImage.Format.Format_Grayscale8).copy())
    if max(rows, columns) >= _PICTURE_PX:
        return picture
    return picture.scaled(_PICTURE_PX, _PICTURE_PX, Qt.AspectRatioMode.KeepAspectRatio)
