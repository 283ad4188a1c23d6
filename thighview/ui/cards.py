"""What every panel is made of: pages, cards, lines of words, buttons, coloured bars. Looks come from the theme."""

from collections.abc import Callable, Sequence
from html import escape

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFocusEvent, QPainter, QPainterPath, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

TURNED_BY_WHEEL = (QAbstractSpinBox, QComboBox, QSlider)
"""Kinds of widget that Qt lets the wheel change."""


class Page(QScrollArea):
    """A column of cards that scrolls up and down, never sideways; the wheel changes nothing on its way.

    What is in a card must fit the narrowest panel: a layout never asks words how high they are at less than its own
    least width, so a card that is narrower than that is too low.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setProperty("page", True)
        column = QWidget()
        column.setProperty("page", True)
        self.column = QVBoxLayout(column)
        self.column.setContentsMargins(12, 12, 12, 12)
        self.column.setSpacing(10)
        self._inside = column
        self._clicked: QWidget | None = None
        self.setWidget(column)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The wheel scrolls the page whatever lies under the mouse, and gives the keys to nothing it passes over.

        A list opened with the mouse gives the keys back to the window when it closes; one reached by Tab keeps them.
        Parts that come later are laid out, and found.
        """
        if watched is self._inside:
            if event.type() == QEvent.Type.LayoutRequest:
                for kind in TURNED_BY_WHEEL:
                    for part in self._inside.findChildren(kind):
                        part.installEventFilter(self)
                        if part.focusPolicy() is Qt.FocusPolicy.WheelFocus:
                            part.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        elif event.type() == QEvent.Type.Wheel and isinstance(watched, TURNED_BY_WHEEL):
            event.ignore()
            return True
        elif isinstance(event, QFocusEvent) and event.gotFocus() and isinstance(watched, QComboBox):
            if event.reason() != Qt.FocusReason.PopupFocusReason:
                self._clicked = watched if event.reason() == Qt.FocusReason.MouseFocusReason else None
            elif watched is self._clicked and not watched.isEditable():
                self.window().setFocus()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the column as wide as the window onto it; the base class lays it out within its maximum."""
        self._inside.setMaximumWidth(self.viewport().width())
        super().resizeEvent(event)

    def minimumSizeHint(self) -> QSize:
        """Narrow panels stay usable."""
        return QSize(300, 200)


class Card(QFrame):
    """A framed group: a title, a muted note at its right, and whatever is added below."""

    def __init__(self, title: str = "", note: str = "") -> None:
        super().__init__()
        self.setProperty("card", True)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(12, 10, 12, 12)
        self.body.setSpacing(8)
        self.title = words(title, "title")
        self.note = words(note, "muted", wrap=False)
        self.note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if title:
            self.body.addLayout(row(self.title, self.note, stretch=0))


def words(text: str = "", kind: str = "", wrap: bool = True) -> QLabel:
    """A line of plain words, never rich text: names from files are shown as they are.

    ``kind``: nothing, ``title``, ``muted``, ``warning``, ``error``, ``good``.
    """
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(wrap)
    if wrap:
        policy = label.sizePolicy()
        policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)
        label.setSizePolicy(policy)
    if kind:
        label.setProperty(kind, True)
    return label


def mark(widget: QWidget, kind: str, on: bool | str) -> None:
    """Give a widget a kind of the theme (``muted``, ``error``, ``primary``) or take it away, and draw it so.

    Of a kind with several forms (``segment``) ``on`` is the form.
    """
    if (widget.property(kind) or False) != on:
        widget.setProperty(kind, on)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def plain_tip(text: str) -> str:
    """A tooltip that shows a name from a file as it is; Qt would read ``<img ...>`` in one as a picture to load."""
    return f"<span>{escape(text)}</span>"


def show_words(label: QLabel, text: str) -> None:
    """Put words into a line, and hide the line when there are none."""
    if label.text() != text:
        label.setText(text)
    label.setVisible(bool(text))


def button(text: str, pressed: Callable[[], object], tip: str = "", kind: str = "") -> QPushButton:
    """A button that says what it does. ``kind``: nothing, ``primary`` or ``quiet``."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setAutoDefault(False)
    if kind:
        made.setProperty(kind, True)
    made.clicked.connect(lambda *_: pressed())
    return made


def agree_buttons(dialog: QDialog, words_: str) -> tuple[QDialogButtonBox, QPushButton]:
    """The last line of a dialog: Cancel, and the button that agrees, with these words on it; both end the dialog."""
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, parent=dialog)
    agree = buttons.addButton(words_, QDialogButtonBox.ButtonRole.AcceptRole)
    mark(agree, "primary", True)
    buttons.accepted.connect(dialog.accept)
    buttons.rejected.connect(dialog.reject)
    return buttons, agree


def chooser(tip: str = "") -> QComboBox:
    """A list to choose from that is as narrow as the panel asks, however long its entries are."""
    made = QComboBox()
    made.setToolTip(tip)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(6)
    return made


def pad_number(box: QAbstractSpinBox) -> None:
    """Leave the room before a number that other inputs have; the style sheet does not reach it."""
    box.lineEdit().setTextMargins(6, 0, 0, 0)


def row(*parts: QWidget, stretch: int | None = None, spacing: int = 8) -> QHBoxLayout:
    """Widgets side by side; ``stretch`` is the index of the one that takes the spare width (None: space at the end)."""
    line = QHBoxLayout()
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(spacing)
    for index, part in enumerate(parts):
        line.addWidget(part, 1 if index == stretch else 0)
    if stretch is None:
        line.addStretch(1)
    return line


class ProgressLine(QProgressBar):
    """A thin bar without words. A total of 0 makes it move: nobody can say yet how far the work is."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextVisible(False)
        self.setFixedHeight(6)

    def show_progress(self, done: int, total: int) -> None:
        """Show how far it is, with the window's next picture: Qt's own setters would paint the window at once."""
        self.setUpdatesEnabled(False)
        self.setRange(0, total)
        self.setValue(done)
        self.setUpdatesEnabled(True)


class Fold(QWidget):
    """A heading that opens and closes what is under it."""

    def __init__(self, text: str, inside: QLayout, opened: bool = False) -> None:
        super().__init__()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        self.heading = QToolButton()
        self.heading.setText(text)
        self.heading.setCheckable(True)
        self.heading.setChecked(opened)
        self.heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.heading.setProperty("fold", True)
        self.inside = QWidget()
        inside.setContentsMargins(0, 0, 0, 0)
        self.inside.setLayout(inside)
        box.addWidget(self.heading)
        box.addWidget(self.inside)
        self.heading.toggled.connect(self._toggled)
        self._toggled(opened)

    def _toggled(self, opened: bool) -> None:
        self.heading.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self.inside.setVisible(opened)


class Swatch(QWidget):
    """A small filled square: the colour of a label, a state or a line."""

    def __init__(self, colour: QColor, size: int = 10) -> None:
        super().__init__()
        self._colour = colour
        self.setFixedSize(size, size)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the square."""
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._colour)
            painter.drawRoundedRect(QRectF(self.rect()), 2.5, 2.5)


class SharesBar(QWidget):
    """One bar cut into coloured shares; what is missing to the whole stays dark."""

    def __init__(self, height: int = 8) -> None:
        super().__init__()
        self._shares: tuple[tuple[float, QColor], ...] = ()
        self._total = 0.0
        self.setFixedHeight(height)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_shares(self, shares: Sequence[tuple[float, QColor]], total: float) -> None:
        """Show amounts, each in its colour, out of ``total``."""
        self._shares, self._total = tuple(shares), total
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the shares inside one rounded bar."""
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            whole = QRectF(self.rect())
            outline = QPainterPath()
            outline.addRoundedRect(whole, whole.height() / 2, whole.height() / 2)
            painter.setClipPath(outline)
            painter.fillRect(whole, QColor(255, 255, 255, 22))
            left = 0.0
            for amount, colour in self._shares:
                width = whole.width() * amount / self._total if self._total else 0.0
                painter.fillRect(QRectF(QPointF(left, 0), QPointF(left + width, whole.height())), colour)
                left += width


def minutes(seconds: float) -> str:
    """A length of time as one would say it: ``20 s``, ``6 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 slice``, ``12 slices``, ``2 people``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
