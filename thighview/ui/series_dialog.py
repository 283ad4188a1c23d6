"""Which of several scans in one place to open: series of a folder, volumes of a file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QImage, QPainter, QPen, QPixmap
from PySide6.QtWidgets import (
    QDialog,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from thighview.app.choices import ask_pictures, has_picture
from thighview.app.settings import Settings
from thighview.core.errors import ScanChoice, SeveralScansError
from thighview.core.scan_key import ScanKey
from thighview.ui.cards import agree_buttons, count, plain_tip, words
from thighview.ui.slice_painter import words_font
from thighview.ui.theme import colour

_NAME = "series"
_CHOICE, PICTURE, _KIND = (Qt.ItemDataRole.UserRole + n for n in range(3))
_HEADING, _REFUSED, _OFFERED = "heading", "refused", "offered"
_FRAME, _PAD = 56, 8
_PICTURED_PX, _WORDED_PX, _PLAIN_PX, _REFUSED_PX, _HEADING_PX = 72, 46, 30, 46, 34
_LEAST_PX, _MOST_PX = (480, 240), (860, 620)


class SeriesDialog(QDialog):
    """A list of what there is, with pictures where they are quickly had; Enter or a double click opens the one chosen.

    Several chosen together become images of one case, the first of them its reference.
    What cannot be opened stands below, with the reason, and cannot be chosen.

    Parameters
    ----------
    parent : QWidget or None
    needed : SeveralScansError
    settings : Settings, optional
        Where the size a person gives it is kept.
    """

    def __init__(self, parent: QWidget | None, needed: SeveralScansError, settings: Settings | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open scan")
        self._settings = settings
        box = QVBoxLayout(self)
        box.setContentsMargins(18, 16, 18, 14)
        box.setSpacing(12)
        box.addWidget(
            words(f"There are {count(len(needed.choices), 'scan', 'scans')} here. Which one is to be opened?")
        )
        self.several = words("With Ctrl or Shift choose series of one visit: they become images of one case.", "muted")
        self.several.setVisible(len(needed.choices) > 1)
        box.addWidget(self.several)
        self.list = QListWidget()
        self.list.setProperty("steps", True)
        self.list.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMouseTracking(True)
        self._pictured = any(map(has_picture, needed.choices))
        self.list.setItemDelegate(_Row(self._pictured, self.list))
        for choice in needed.choices:
            self._add(_OFFERED, choice)
        if needed.refused:
            self._add(_HEADING, None)
        for choice in needed.refused:
            self._add(_REFUSED, choice)
        self.list.setCurrentRow(0)
        box.addWidget(self.list, 1)
        self.buttons, self.agree = agree_buttons(self, "Open")
        self.agree.setDefault(True)
        self.list.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.list.itemActivated.connect(lambda _: self.accept())
        self.list.itemSelectionChanged.connect(self._look)
        box.addWidget(self.buttons)
        self._first_size = self._wanted_size()
        self.resize(self._first_size)
        self.list.setFocus()
        self._job = ask_pictures(needed.choices) if self._pictured else None
        if self._job:
            self._job.said.connect(self._show_picture)

    @property
    def answer(self) -> tuple[ScanKey, ...]:
        """What opens the scans chosen, in the order of the list."""
        chosen: list[ScanChoice] = [item.data(_CHOICE) for item in self._chosen()]
        return tuple(choice.key for choice in chosen)

    def done(self, result: int) -> None:
        """However it ends: no picture is needed any more, and the size a person gave it is kept."""
        if self._job:
            self._job.cancel()
        if self._settings and self.size() != self._first_size:
            self._settings.keep_size(_NAME, self.width(), self.height())
        super().done(result)

    # ------------------------------------------------------------------ inside

    def _chosen(self) -> list[QListWidgetItem]:
        return [self.list.item(row) for row in range(self.list.count()) if self.list.item(row).isSelected()]

    def _look(self) -> None:
        number = len(self._chosen())
        self.agree.setText("Open" if number < 2 else f"Open {number} as one case")
        self.agree.setEnabled(number > 0)

    def _add(self, kind: str, choice: ScanChoice | None) -> None:
        title = _title(choice) if choice else "CANNOT BE OPENED"
        item = QListWidgetItem(title)
        item.setData(_CHOICE, choice)
        item.setData(_KIND, kind)
        if kind == _OFFERED:
            height = _PICTURED_PX if self._pictured else _WORDED_PX if choice and choice.description else _PLAIN_PX
        else:
            height = _REFUSED_PX if kind == _REFUSED else _HEADING_PX
            item.setFlags(Qt.ItemFlag.NoItemFlags)
        if choice:
            place = str(choice.key) if kind == _OFFERED else ""
            item.setToolTip(plain_tip("\n".join(filter(None, (title, choice.description, place)))))
        item.setSizeHint(QSize(120, height))
        self.list.addItem(item)

    def _show_picture(self, message: Any) -> None:
        key, grey = message
        for row in range(self.list.count()):
            choice = self.list.item(row).data(_CHOICE)
            if choice is not None and choice.key == key:
                self.list.item(row).setData(PICTURE, _pixmap(grey))

    def _wanted_size(self) -> QSize:
        kept = self._settings.size_of(_NAME) if self._settings else None
        if kept is None:
            items = [self.list.item(row) for row in range(self.list.count())]
            bold, plain = QFontMetrics(words_font(bold=True, pixels=13)), QFontMetrics(words_font())
            lines = [_second_line(item.data(_KIND), choice) for item in items if (choice := item.data(_CHOICE))]
            widest = max(
                *(bold.horizontalAdvance(item.text()) for item in items),
                *(plain.horizontalAdvance(line) for line in lines),
            )
            kept = widest + (140 if self._pictured else 70), sum(item.sizeHint().height() for item in items) + 160
        width, height = (max(low, min(n, high)) for n, low, high in zip(kept, _LEAST_PX, _MOST_PX, strict=True))
        return QSize(width, height)


class _Row(QStyledItemDelegate):
    """Paints one scan: its picture, what it is, and what else is known of it."""

    def __init__(self, pictured: bool, parent: QWidget) -> None:
        super().__init__(parent)
        self._pictured = pictured

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """A ground where it is chosen or under the mouse, then picture and words."""
        whole: QRect = option.rect  # pyright: ignore[reportAttributeAccessIssue]
        state: QStyle.StateFlag = option.state  # pyright: ignore[reportAttributeAccessIssue]
        kind, choice = index.data(_KIND), index.data(_CHOICE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        rect = whole.adjusted(2, 1, -2, -1)
        if kind == _OFFERED:
            self._paint_ground(painter, rect, state)
        inside = rect.adjusted(_PAD, 0, -_PAD, 0)
        if kind == _HEADING:
            painter.setFont(words_font(bold=True, pixels=11))
            painter.setPen(colour("muted"))
            below = inside.adjusted(0, 10, 0, 0)
            painter.drawText(below, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, index.data())
            painter.restore()
            return
        if kind == _OFFERED and self._pictured:
            frame = QRect(inside.left(), rect.top() + (rect.height() - _FRAME) // 2, _FRAME, _FRAME)
            _paint_picture(painter, frame, index.data(PICTURE))
            inside.setLeft(frame.right() + 12)
        second = _second_line(kind, choice)
        middle = inside.center().y()
        height = 18 if second else inside.height()
        first = QRect(inside.left(), middle - 18 if second else inside.top(), inside.width(), height)
        painter.setFont(words_font(bold=kind == _OFFERED, pixels=13))
        painter.setPen(colour("text" if kind == _OFFERED else "muted"))
        _elided(painter, first, index.data())
        if second:
            painter.setFont(words_font())
            painter.setPen(colour("muted"))
            _elided(painter, first.translated(0, 19), second)
        painter.restore()

    @staticmethod
    def _paint_ground(painter: QPainter, rect: QRect, state: QStyle.StateFlag) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        if state & QStyle.StateFlag.State_Selected:
            painter.setPen(QPen(colour("primary"), 1))
            painter.setBrush(colour("selected"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(colour("raised"))
        else:
            return
        painter.drawRoundedRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5), 7, 7)


def _title(choice: ScanChoice) -> str:
    title = choice.title or count(choice.images, "file")
    return title[:1].upper() + title[1:]


def _second_line(kind: str, choice: ScanChoice) -> str:
    many = f"{choice.images} files, each of them " if kind == _REFUSED and choice.images > 1 and choice.title else ""
    line = many + choice.description
    return line[:1].upper() + line[1:]


def _pixmap(grey: NDArray[np.uint8]) -> QPixmap:
    rows, columns = grey.shape
    return QPixmap.fromImage(QImage(grey.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8).copy())


def _paint_picture(painter: QPainter, frame: QRect, pixmap: QPixmap | None) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour("black"))
    painter.drawRoundedRect(QRectF(frame), 4, 4)
    if pixmap:
        painter.drawPixmap(frame, pixmap)


def _elided(painter: QPainter, rect: QRect, text: str) -> None:
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, rect.width())
    painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, shown)


def ask_series(parent: QWidget, needed: SeveralScansError, settings: Settings | None = None) -> tuple[ScanKey, ...]:
    """Which of the scans to open; none when the person thinks better of it."""
    dialog = SeriesDialog(parent, needed, settings)
    answer = dialog.answer if dialog.exec() == QDialog.DialogCode.Accepted else ()
    dialog.deleteLater()
    return answer
