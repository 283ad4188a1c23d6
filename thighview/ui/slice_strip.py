"""The slice strip: one cell per slice, its colour the review state, its bar how unsure the model was of it."""

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFontMetrics,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from thighview.app.session import Session
from thighview.core.review import Doubts, SliceState
from thighview.core.view import ViewState
from thighview.ui.review_colours import STATE_COLOURS
from thighview.ui.slice_painter import words_font
from thighview.ui.theme import colour

_MARGIN, _BARS, _CELL, _GAP = 12, 16, 22, 5
_WIDEST = 60.0
_LEGEND = (
    SliceState.UNSEEN,
    SliceState.MODEL,
    SliceState.EDITING,
    SliceState.ACCEPTED,
    SliceState.CORRECTED,
    SliceState.DRAWN,
)
_LEGEND_WIDTH, _LEGEND_FROM = 218, 540
_SWATCHES_WIDTH = 56
"""The legend where room is short: colours alone, their words in the tip."""
_LEAST_RANGE = 0.1
"""Bars of one scan show differences of uncertainty; smaller ones than this do not fill the height."""
_STATE_TIPS = {
    SliceState.UNSEEN: "no mask yet",
    SliceState.MODEL: "a model drew it, nobody has looked",
    SliceState.EDITING: "being worked on",
    SliceState.ACCEPTED: "the model was right, a person said",
    SliceState.CORRECTED: "corrected by hand, then accepted",
    SliceState.DRAWN: "drawn by hand, then accepted",
}


class SliceStrip(QWidget):
    """Cells along the stored slice axis; press or drag to go there."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._doubts = Doubts.of(())
        self.setProperty("bar", "strip")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setAccessibleName("Slice strip")
        session.case_opened.connect(self._refresh)
        session.reviews_changed.connect(self._show_reviews)
        session.view_changed.connect(self._show_view)

    def sizeHint(self) -> QSize:
        """One row of bars and one of cells."""
        return QSize(400, 2 * _MARGIN + _BARS + _CELL + _GAP)

    def cell_rect(self, index: int) -> QRectF:
        """Where the cell of a slice stands."""
        count = self._count()
        if not count:
            return QRectF()
        width = self._cell_width()
        gap = 2.0 if width >= 9 else 1.0 if width >= 4 else 0.0
        top = _MARGIN + _BARS + _GAP - 2
        return QRectF(_MARGIN + index * width, top, max(width - gap, 1.0), _CELL)

    def slice_at(self, x: float) -> int:
        """The slice whose cell stands there; the nearest one beyond the ends."""
        count = self._count()
        return min(max(int((x - _MARGIN) / self._cell_width()), 0), count - 1) if count else 0

    # ------------------------------------------------------------------ what changed

    def _refresh(self, _: object = None) -> None:
        self._weigh()
        self.update()

    def _weigh(self) -> None:
        """How unsure the model was, of all slices."""
        case = self._session.case
        self._doubts = Doubts.of(case.reviews if case else ())

    def _show_reviews(self, slices: tuple[int, ...]) -> None:
        before = self._doubts
        self._weigh()
        after = self._doubts
        if len(slices) > 60 or (after.lowest, after.highest) != (before.lowest, before.highest):
            self.update()  # each bar stands beside the others
            return
        for index in (*slices, *(before.first ^ after.first)):
            self._update_cell(index)

    def _show_view(self, old: ViewState, new: ViewState) -> None:
        if old.cursor[0] != new.cursor[0]:
            self._update_cell(old.cursor[0])
            self._update_cell(new.cursor[0])

    def _update_cell(self, index: int) -> None:
        rect = self.cell_rect(index).toAlignedRect()
        self.update(QRect(rect.left() - 5, 0, rect.width() + 10, self.height()))

    # ------------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the cells that were asked for."""
        with QPainter(self) as painter:
            painter.fillRect(event.rect(), colour("panel"))
            painter.fillRect(QRect(0, 0, self.width(), 1), colour("black"))
            case = self._session.case
            if case is None:
                return
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            painter.setPen(Qt.PenStyle.NoPen)
            asked = event.rect()
            first, last = self.slice_at(asked.left() - 2), self.slice_at(asked.right() + 2)
            rounded = 3.0 if self._cell_width() >= 9 else 0.0
            for index in range(first, last + 1):
                cell = self.cell_rect(index)
                self._paint_bar(painter, cell, index)
                if index in case.missing:
                    self._paint_missing(painter, cell)
                    continue
                painter.setBrush(STATE_COLOURS[case.reviews[index].state])
                if rounded:
                    painter.drawRoundedRect(cell, rounded, rounded)
                else:
                    painter.fillRect(cell, painter.brush())
            self._paint_current(painter)
            if asked.right() > self.width() - self._legend_width():
                self._paint_legend(painter)

    def _paint_bar(self, painter: QPainter, cell: QRectF, index: int) -> None:
        doubts = self._doubts.values
        if index not in doubts:
            return
        lowest, highest = self._doubts.lowest, self._doubts.highest
        height = 2.0 + (doubts[index] - lowest) / max(highest - lowest, _LEAST_RANGE) * (_BARS - 4)
        wide = min(max(cell.width() * 0.3, 1.0), 5.0)
        bar = QRectF(cell.center().x() - wide / 2, _MARGIN + _BARS - 4 - height, wide, height)
        painter.setBrush(colour("warning") if index in self._doubts.first else QColor(139, 151, 164, 170))
        painter.drawRoundedRect(bar, wide / 2, wide / 2)

    @staticmethod
    def _paint_missing(painter: QPainter, cell: QRectF) -> None:
        """A hole in the stack: dark and hatched, of no state's colour."""
        painter.fillRect(cell, colour("black"))
        painter.fillRect(cell, QBrush(colour("disabled"), Qt.BrushStyle.BDiagPattern))

    def _paint_current(self, painter: QPainter) -> None:
        cell = self.cell_rect(self._session.view.cursor[0])
        box = QRectF(cell.left() - 1.5, _MARGIN - 4, cell.width() + 3, _BARS + _CELL + _GAP + 6)
        if box.width() < 7:
            box = QRectF(box.center().x() - 3.5, box.top(), 7, box.height())
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour("text"), 1.6))
        painter.drawRoundedRect(box, 4, 4)

    def _paint_legend(self, painter: QPainter) -> None:
        painter.setFont(words_font(pixels=11))
        metrics = QFontMetrics(painter.font())
        left = self.width() - self._legend_width() + 2
        top = _MARGIN - 5
        worded = self._legend_width() == _LEGEND_WIDTH
        step = 74 if worded else 15
        for index, state in enumerate(_LEGEND):
            x, y = left + (index // 3) * step, top + (index % 3) * 17
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(STATE_COLOURS[state])
            painter.drawRoundedRect(QRectF(x, y + 4, 8, 8), 2, 2)
            if worded:
                painter.setPen(colour("soft"))
                painter.drawText(QPoint(x + 13, y + metrics.ascent() + 1), state.word)
        x = left + 2 * step
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("warning"))
        painter.drawRoundedRect(QRectF(x, top + 3, 3, 10), 1.5, 1.5)
        if worded:
            painter.setPen(colour("soft"))
            painter.drawText(QPoint(x + 8, top + metrics.ascent() + 1), "look first")

    # ------------------------------------------------------------------ mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the slice under the mouse."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._go(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Scroll along while the button is down."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """One slice on or back."""
        delta = event.angleDelta().y()
        if self._count() and delta:
            self._session.go_to_slice(self._session.view.cursor[0] + (1 if delta < 0 else -1))

    def event(self, event: QEvent) -> bool:
        """Say what a cell means."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent) and self._count():
            at = event.pos()
            end = self.cell_rect(self._count() - 1).right()
            beside = legend_tip() if at.x() > self.width() - self._legend_width() else ""
            QToolTip.showText(event.globalPos(), self._tip(at.x()) if _MARGIN <= at.x() <= end else beside, self)
            return True
        return super().event(event)

    def _tip(self, x: float) -> str:
        case = self._session.case
        if case is None:
            return ""
        index = self.slice_at(x)
        if index in case.missing:
            return (
                f"slice {index + 1} of {self._count()}: missing\nnot in the files of the scan; it is never trained on"
            )
        state = case.reviews[index].state
        unsure = self._doubts.values.get(index)
        last = "" if unsure is None else f"\nmodel's uncertainty {unsure:.2f}, most slices {self._doubts.middle:.2f}"
        last += ": look here first" if index in self._doubts.first else ""
        return f"slice {index + 1} of {self._count()}: {state.word}\n{_STATE_TIPS[state]}{last}"

    def _go(self, event: QMouseEvent) -> None:
        if self._count():
            self._session.go_to_slice(self.slice_at(event.position().x()))

    # ------------------------------------------------------------------ inside

    def _count(self) -> int:
        case = self._session.case
        return len(case.reviews) if case else 0

    def _legend_width(self) -> int:
        return _LEGEND_WIDTH if self.width() >= _LEGEND_FROM else _SWATCHES_WIDTH

    def _cell_width(self) -> float:
        room = self.width() - 2 * _MARGIN - self._legend_width()
        return min(max(room, 10) / max(self._count(), 1), _WIDEST)


def legend_tip() -> str:
    """What the colours and the bars mean, a line each."""
    lines = [f"{state.word}: {_STATE_TIPS[state]}" for state in _LEGEND]
    return "\n".join([
        *lines,
        "bar above a cell: how unsure the model was of the borders it drew there, beside the other slices",
        "orange bar: clearly less sure than of most, look there first",
    ])  # fmt: skip
