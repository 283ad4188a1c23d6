"""The slice strip: one cell per slice, its colour the review state, its bar how unsure the model was."""

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from thighview.app.session import Session
from thighview.core.review import SliceState
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
_LEGEND_WIDTH, _LEGEND_FROM = 206, 540
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
        self._uncertainty: dict[int, float] = {}
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

    def show_uncertainty(self, uncertainty: dict[int, float]) -> None:
        """How unsure the last model run was of each slice, 0 to 1."""
        self._uncertainty = dict(uncertainty)
        self.update()

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
        self._uncertainty = {}
        self.update()

    def _show_reviews(self, slices: tuple[int, ...]) -> None:
        if len(slices) > 60:
            self.update()
        for index in slices[:60]:
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
                self._paint_bar(painter, cell, self._unsure(index))
                painter.setBrush(STATE_COLOURS[case.reviews[index].state])
                if rounded:
                    painter.drawRoundedRect(cell, rounded, rounded)
                else:
                    painter.fillRect(cell, painter.brush())
            self._paint_current(painter)
            if self._legend_width() and asked.right() > self.width() - _LEGEND_WIDTH:
                self._paint_legend(painter)

    def _paint_bar(self, painter: QPainter, cell: QRectF, unsure: float | None) -> None:
        if unsure is None:
            return
        height = 2.0 + min(max(unsure, 0.0), 1.0) * (_BARS - 4)
        wide = min(max(cell.width() * 0.3, 1.0), 5.0)
        bar = QRectF(cell.center().x() - wide / 2, _MARGIN + _BARS - 4 - height, wide, height)
        painter.setBrush(colour("warning") if unsure >= 0.5 else QColor(139, 151, 164, 170))
        painter.drawRoundedRect(bar, wide / 2, wide / 2)

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
        left = self.width() - _LEGEND_WIDTH + 2
        top = _MARGIN - 5
        for index, state in enumerate(_LEGEND):
            x, y = left + (index // 3) * 74, top + (index % 3) * 17
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(STATE_COLOURS[state])
            painter.drawRoundedRect(QRectF(x, y + 4, 8, 8), 2, 2)
            painter.setPen(colour("soft"))
            painter.drawText(QPoint(x + 13, y + metrics.ascent() + 1), state.word)
        x = left + 2 * 74
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("warning"))
        painter.drawRoundedRect(QRectF(x, top + 3, 3, 10), 1.5, 1.5)
        painter.setPen(colour("soft"))
        painter.drawText(QPoint(x + 8, top + metrics.ascent() + 1), "unsure")

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
            QToolTip.showText(event.globalPos(), self._tip(at.x()) if _MARGIN <= at.x() <= end else "", self)
            return True
        return super().event(event)

    def _tip(self, x: float) -> str:
        case = self._session.case
        if case is None:
            return ""
        index = self.slice_at(x)
        state = case.reviews[index].state
        unsure = self._unsure(index)
        last = f"\nmodel unsure: {unsure:.0%}" if unsure is not None else ""
        return f"slice {index + 1} of {self._count()}: {state.word}\n{_STATE_TIPS[state]}{last}"

    def _go(self, event: QMouseEvent) -> None:
        if self._count():
            self._session.go_to_slice(self.slice_at(event.position().x()))

    # ------------------------------------------------------------------ inside

    def _unsure(self, index: int) -> float | None:
        """How unsure the model was of a slice; None where its work is not (or no longer) there."""
        case = self._session.case
        beneath = case is not None and case.reviews[index].model_beneath
        return self._uncertainty.get(index) if beneath else None

    def _count(self) -> int:
        case = self._session.case
        return len(case.reviews) if case else 0

    def _legend_width(self) -> int:
        return _LEGEND_WIDTH if self.width() >= _LEGEND_FROM else 0

    def _cell_width(self) -> float:
        room = self.width() - 2 * _MARGIN - self._legend_width()
        return min(max(room, 10) / max(self._count(), 1), _WIDEST)
