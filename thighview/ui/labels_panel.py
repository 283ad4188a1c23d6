"""The labels: colour, name, volume and an eye for each, and which one the tools paint."""

from dataclasses import replace

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFontMetrics,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    qGray,
)
from PySide6.QtWidgets import QColorDialog, QFrame, QMenu, QScrollArea, QSizePolicy, QToolTip, QVBoxLayout, QWidget

from thighview.app.session import Session
from thighview.core.errors import UserError
from thighview.core.labels import PALETTE, Label, LabelTable
from thighview.core.view import ViewState
from thighview.ui import dialogs
from thighview.ui.cards import button, row, words
from thighview.ui.icons import picture
from thighview.ui.label_counts import LabelCounts
from thighview.ui.slice_painter import words_font
from thighview.ui.theme import COLOURS, colour
from thighview.ui.wishes import label_key

ROW = 28
_KEY, _SWATCH, _EYE, _NUMBER = 20, 44, 31, 50
"""Widths: up to the end of the key, and of the swatch; of the eye and of the volume."""
_MIDDLE = Qt.AlignmentFlag.AlignVCenter
_SIGNS = {"left": "L", "right": "R"}


class LabelsPanel(QWidget):
    """Heading, the list, and a button for a new label."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.list = LabelList(session)
        heading = words("LABELS", "heading", wrap=False)
        self.add_button = button("+ New", self.list.add, "Add a label and make it the one the tools paint", "quiet")
        self.add_button.setEnabled(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(4)
        head = row(heading, self.add_button, stretch=0)
        head.setContentsMargins(12, 0, 6, 0)
        column.addLayout(head)
        scroll = QScrollArea()
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setProperty("page", True)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setProperty("page", True)
        scroll.setWidget(self.list)
        column.addWidget(scroll, 1)
        session.case_opened.connect(lambda case: self.add_button.setEnabled(case is not None))


class LabelList(QWidget):
    """One painted row per label: press the swatch, the name or the eye."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._hover = -1
        self.counts = LabelCounts(session, self)
        self.counts.changed.connect(self.update)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.setAccessibleName("Labels")
        session.case_opened.connect(self._refresh)
        session.labels_changed.connect(self._refresh)
        session.view_changed.connect(self._show_view)

    @property
    def labels(self) -> tuple[Label, ...]:
        """What is listed."""
        case = self._session.case
        return tuple(case.table) if case else ()

    def sizeHint(self) -> QSize:
        """As high as there are labels."""
        return QSize(180, max(1, len(self.labels)) * ROW + 8)

    def minimumSizeHint(self) -> QSize:
        """The same: the list around it scrolls."""
        return self.sizeHint()

    # ------------------------------------------------------------------ wishes

    def activate(self, value: int) -> None:
        """Paint with this label."""
        self._session.update_view(active_label=value)

    def toggle(self, value: int) -> None:
        """Show or hide one label."""
        self._session.update_view(hidden_labels=self._session.view.hidden_labels ^ {value})

    def only(self, value: int) -> None:
        """Show only this label; all of them when it is alone already."""
        others = frozenset(label.value for label in self.labels) - {value}
        self._session.update_view(hidden_labels=frozenset() if self._session.view.hidden_labels == others else others)

    def add(self) -> None:
        """Ask for a name and add a label."""
        case = self._session.case
        if case is None:
            return
        answer = dialogs.ask_label_name(self, frozenset(label.key for label in case.table))
        if answer and self._session.case is case:
            value = case.table.free_value()
            self._set(case.table.with_label(Label(value, *answer, PALETTE[(value - 1) % len(PALETTE)])))
            self.activate(value)

    def rename(self, label: Label) -> None:
        """Ask for another name."""
        case = self._session.case
        if case is None:
            return
        answer = dialogs.ask_label_name(self, frozenset(b.key for b in case.table), label.name, label.side)
        if answer and self._session.case is case:
            self._set(case.table.with_label(replace(label, name=answer[0], side=answer[1])))

    def recolour(self, label: Label) -> None:
        """Ask for another colour."""
        chosen = QColorDialog.getColor(QColor(*label.colour), self, f"Colour of {label.title}")
        case = self._session.case
        if chosen.isValid() and case:
            self._set(case.table.recoloured(label.value, (chosen.red(), chosen.green(), chosen.blue())))

    def remove(self, label: Label) -> None:
        """Take a label out of the list; refused while it is painted somewhere."""
        case = self._session.case
        if case:
            self._set(case.table.without(label.value))

    def _set(self, table: LabelTable) -> None:
        try:
            self._session.set_table(table)
        except UserError as error:
            self._session.said.emit(str(error))

    # ------------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the rows."""
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            labels, view = self.labels, self._session.view
            if not labels:
                self._paint_empty(painter)
                return
            for index, label in enumerate(labels):
                rect = QRect(0, index * ROW, self.width(), ROW)
                if rect.intersects(event.rect()):
                    self._paint_row(
                        painter, rect, label, label.value == view.active_label, label.value in view.hidden_labels
                    )

    def _paint_empty(self, painter: QPainter) -> None:
        painter.setPen(colour("muted"))
        painter.setFont(words_font())
        text = "No labels yet: paint, or press New." if self._session.case else "Labels of the open scan"
        painter.drawText(QRect(12, 4, self.width() - 20, 40), Qt.TextFlag.TextWordWrap, text)

    def _paint_row(self, painter: QPainter, rect: QRect, label: Label, active: bool, hidden: bool) -> None:
        inner = QRectF(rect).adjusted(6, 1, -6, -1)
        if active or rect.top() // ROW == self._hover:
            painter.setPen(QPen(colour("primary"), 1) if active else Qt.PenStyle.NoPen)
            painter.setBrush(colour("selected") if active else colour("raised"))
            painter.drawRoundedRect(inner, 6, 6)
        painter.setFont(words_font(pixels=11))
        painter.setPen(colour("muted"))
        key = label_key(rect.top() // ROW)
        painter.drawText(QRect(0, rect.top(), _KEY - 2, ROW), _MIDDLE | Qt.AlignmentFlag.AlignRight, key)
        self._paint_swatch(painter, QRectF(_KEY + 4, rect.center().y() - 7.5, 16, 16), label, hidden)
        painter.setFont(words_font())
        volume = self.counts.volume_ml(label.value)
        room = rect.width() - _SWATCH - _EYE - _NUMBER
        painter.setPen(colour("muted" if hidden else "text"))
        name = replace(label, side="").title
        name = QFontMetrics(painter.font()).elidedText(name, Qt.TextElideMode.ElideMiddle, room)
        painter.drawText(QRect(_SWATCH + 2, rect.top(), room, ROW), _MIDDLE, name)
        painter.setFont(words_font(pixels=11))
        painter.setPen(colour("muted"))
        number = QRect(_SWATCH + room, rect.top(), _NUMBER - 2, ROW)
        text = "" if volume is None else ml_words(volume)
        painter.drawText(number, _MIDDLE | Qt.AlignmentFlag.AlignRight, text)
        name, shade = ("eye-off", COLOURS["disabled"]) if hidden else ("eye", COLOURS["muted"])
        eye = picture(name, 16, shade, self.devicePixelRatioF())
        painter.drawPixmap(QPoint(rect.right() - _EYE + 7, rect.top() + (ROW - 16) // 2), eye)

    def _paint_swatch(self, painter: QPainter, box: QRectF, label: Label, hidden: bool) -> None:
        """The colour on the screen, with the letter of the side in it."""
        case = self._session.case
        tint = QColor(*(case.table.shown_colour(label) if case else label.colour))
        tint.setAlpha(90 if hidden else 255)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(tint)
        painter.drawRoundedRect(box, 4, 4)
        painter.setFont(words_font(bold=True, pixels=10))
        painter.setPen(colour("black" if qGray(tint.rgb()) > 110 else "text"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, _SIGNS.get(label.side, ""))

    # ------------------------------------------------------------------ mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Swatch: colour. Eye: show or hide (Alt: only this one). Anywhere else: paint with it."""
        label = self._at(event.position().y())
        if label is None or event.button() != Qt.MouseButton.LeftButton:
            return
        x = event.position().x()
        if x > self.width() - _EYE:
            alone = event.modifiers() & Qt.KeyboardModifier.AltModifier
            (self.only if alone else self.toggle)(label.value)
        elif _KEY <= x < _SWATCH - 2:
            self.recolour(label)
        else:
            self.activate(label.value)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Rename."""
        label = self._at(event.position().y())
        if label and _SWATCH < event.position().x() < self.width() - _EYE:
            self.rename(label)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Mark the row under the mouse."""
        self._set_hover(int(event.position().y()) // ROW)

    def leaveEvent(self, event: QEvent) -> None:
        """No row is under the mouse."""
        self._set_hover(-1)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """What else can be done with a label."""
        label = self._at(event.pos().y())
        if label is None:
            return
        menu = QMenu(self)
        menu.addAction("Rename…", lambda: self.rename(label))
        menu.addAction("Colour…", lambda: self.recolour(label))
        menu.addAction("Show only this one", lambda: self.only(label.value))
        menu.addSeparator()
        menu.addAction("Remove", lambda: self.remove(label))
        menu.exec(event.globalPos())
        menu.deleteLater()

    def event(self, event: QEvent) -> bool:
        """Say what a press would do."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            label = self._at(event.pos().y())
            text = ""
            if label:
                x = event.pos().x()
                file_id = f"\nnumber {label.file_id} in the file" if label.file_id != label.value else ""
                key = label_key(self.labels.index(label))
                how = f"press it or the key {key}" if key else "press"
                text = f"{label.title}: {how} to paint with it, double click to rename{file_id}"
                if x > self.width() - _EYE:
                    text = "Show or hide; with Alt only this one"
                elif _KEY <= x < _SWATCH - 2:
                    text = "Change the colour"
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    # ------------------------------------------------------------------ inside

    def _at(self, y: float) -> Label | None:
        index = int(y) // ROW
        return self.labels[index] if 0 <= index < len(self.labels) else None

    def _set_hover(self, index: int) -> None:
        if index != self._hover:
            self._hover = index
            self.update()

    def _refresh(self, _: object) -> None:
        self.updateGeometry()
        self.update()

    def _show_view(self, old: ViewState, new: ViewState) -> None:
        if (old.active_label, old.hidden_labels) != (new.active_label, new.hidden_labels):
            self.update()


def ml_words(volume_ml: float) -> str:
    """A volume as it is read: ``24.1 ml``, ``178 ml``, ``0.04 ml``."""
    if volume_ml == 0:
        return "–"
    digits = 0 if volume_ml >= 99.95 else 1 if volume_ml >= 0.95 else 2
    return f"{volume_ml:.{digits}f} ml"
