"""A learning curve as points with whiskers, and the table of a study."""

import math
from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QHelpEvent, QPainter, QPaintEvent, QPen, QPolygonF, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QToolTip,
    QWidget,
)

from thighview.core.study_report import METRICS, mean_words, number_words
from thighview.core.study_results import CurvePoint
from thighview.ui.cards import count, plain_tip
from thighview.ui.curve_lines import limits_of
from thighview.ui.plot_colours import COLOURS, pale
from thighview.ui.theme import colour

HEIGHT_PX = 176
_TOP_PX, _BOTTOM_PX, _RIGHT_PX = 24, 34, 12
_DOT_PX, _DRAW_PX, _CAP_PX = 4.0, 2.5, 4.0
_MOST_LINES, _SMALLEST_RANGE = 5, 0.01
_ROW_PX, _MOST_ROWS = 24, 10


class LearningCurvePlot(QWidget):
    """A metric against the number of people trained on; each doubling is one step to the right."""

    def __init__(self) -> None:
        super().__init__()
        self._points: tuple[CurvePoint, ...] = ()
        self._sizes: tuple[int, ...] = ()
        self._metric = "dice"
        self.setFixedHeight(HEIGHT_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """As narrow as panels are."""
        return QSize(240, HEIGHT_PX)

    def show_points(self, points: Sequence[CurvePoint], sizes: Sequence[int], metric: str) -> None:
        """Show what is there of a curve that will have a point at each of these sizes."""
        self._points, self._sizes, self._metric = tuple(points), tuple(sorted(sizes)), metric
        self.setAccessibleDescription(". ".join(self._words(point) for point in points))
        self.update()

    def tip_at(self, x: float) -> str:
        """What the point nearest to a place across the widget says; empty without points."""
        if not self._points:
            return ""
        area = self._area()
        return self._words(min(self._points, key=lambda point: abs(self._x(point.n, area) - x)))

    def event(self, event: QEvent) -> bool:
        """Tooltips by point."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), plain_tip(self.tip_at(event.pos().x())), self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the axes, the training line, the draws, and the points with their whiskers."""
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            small = QFont(self.font())
            small.setPixelSize(11)
            painter.setFont(small)
            area = self._area()
            low, high = self._range()

            def at(n: int, value: float) -> QPointF:
                return QPointF(self._x(n, area), area.bottom() - (value - low) / (high - low) * area.height())

            self._axes(painter, area, low, high)
            self._names(painter, area)
            trained = [at(point.n, point.train) for point in self._points if point.train is not None]
            painter.setPen(QPen(COLOURS["train"], 1.4, Qt.PenStyle.DashLine))
            painter.drawPolyline(QPolygonF(trained))
            ink = COLOURS["val"]
            painter.setPen(QPen(ink, 2.0))
            painter.drawPolyline(QPolygonF([at(point.n, point.val.mean) for point in self._points]))
            for point in self._points:
                self._point(painter, [at(point.n, value) for value in point.draws], pale(ink, 130), _DRAW_PX)
                if point.val.interval is not None:
                    self._whisker(painter, *(at(point.n, end) for end in point.val.interval))
                self._point(painter, [at(point.n, point.val.mean)], ink, _DOT_PX)

    # ------------------------------------------------------------------ inside

    def _words(self, point: CurvePoint) -> str:
        train = f", training {number_words(point.train)}" if point.train is not None else ""
        draws = f", {len(point.draws)} draws" if len(point.draws) > 1 else ""
        people = count(point.n, "person", "people")
        return f"{people}: {METRICS[self._metric]} {mean_words(point.val, self._metric)}{train}{draws}"

    def _area(self) -> QRectF:
        left = max(self.fontMetrics().horizontalAdvance("0.000"), 34) + 4
        width = self.width() - left - _RIGHT_PX
        return QRectF(left, _TOP_PX, max(10, width), self.height() - _TOP_PX - _BOTTOM_PX)

    def _x(self, n: int, area: QRectF) -> float:
        first, last = math.log2(self._sizes[0]), math.log2(self._sizes[-1])
        share = (math.log2(n) - first) / (last - first) if last > first else 0.5
        return area.left() + area.width() * (0.06 + 0.88 * share)

    def _range(self) -> tuple[float, float]:
        values = [value for point in self._points for value in (*point.draws, point.val.mean)]
        values += [point.train for point in self._points if point.train is not None]
        least, most = limits_of(self._metric, np.array(values))
        for point in self._points:
            low, high = point.val.interval or (point.val.mean, point.val.mean)
            values += [max(least, low), min(most, high)]
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        spare = max(0.06 * (high - low), (_SMALLEST_RANGE - (high - low)) / 2, 1e-6)
        return low - spare, high + spare

    def _axes(self, painter: QPainter, area: QRectF, low: float, high: float) -> None:
        metrics = painter.fontMetrics()
        step = tick_step(low, high)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
            y = area.bottom() - (number * step - low) / (high - low) * area.height()
            painter.setPen(colour("line"))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(colour("muted"))
            beside = QRectF(0, y - 8, area.left() - 6, 16)
            text = f"{number * step:.{digits}f}".replace("-", "−")
            painter.drawText(beside, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
        after = -math.inf
        for n in self._sizes:
            x, width = self._x(n, area), metrics.horizontalAdvance(str(n))
            if x - width / 2 > after + 4:
                painter.drawText(QPointF(x - width / 2, area.bottom() + metrics.height() + 1), str(n))
                after = x + width / 2
        below = QRectF(area.left(), self.height() - metrics.height() - 1, area.width(), metrics.height())
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, "people trained on")

    def _names(self, painter: QPainter, area: QRectF) -> None:
        x = area.left()
        for name, ink in (("people who never train", COLOURS["val"]), ("training people", COLOURS["train"])):
            painter.setPen(ink)
            painter.drawText(QPointF(x, float(painter.fontMetrics().ascent() + 1)), name)
            x += painter.fontMetrics().horizontalAdvance(name) + 14

    @staticmethod
    def _point(painter: QPainter, places: Sequence[QPointF], ink: QColor, radius: float) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
        for place in places:
            painter.drawEllipse(place, radius, radius)

    def _whisker(self, painter: QPainter, low: QPointF, high: QPointF) -> None:
        area = self._area()
        painter.setPen(QPen(COLOURS["val"], 1.4))
        ends = [QPointF(end.x(), min(max(end.y(), area.top()), area.bottom())) for end in (low, high)]
        painter.drawLine(*ends)
        for end, inside in zip(ends, (low, high), strict=True):
            if end == inside:  # one that goes on beyond what can be has no end
                painter.drawLine(QPointF(end.x() - _CAP_PX, end.y()), QPointF(end.x() + _CAP_PX, end.y()))


def tick_step(low: float, high: float) -> float:
    """The smallest of 1, 2, 5, 10, ... times a power of ten that puts at most five lines between two ends."""
    least = (high - low) / _MOST_LINES
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least - 1e-12)


class StudyTable(QTableWidget):
    """Rows of words under a row of headings; as high as its rows, up to a limit."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("measures", True)
        self.setProperty("dense", True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_PX)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setMinimumSectionSize(28)
        self._rows: list[tuple[str, ...]] = []
        self._wide = 0

    def show_rows(self, rows: Sequence[tuple[str, ...]], wide: int, words: Sequence[int] = ()) -> None:
        """Show rows, the headings first; ``wide`` is the column that takes the spare room, ``words`` stand left."""
        if list(rows) == self._rows:
            return
        self._rows, self._wide = list(rows), wide
        headings, *body = rows
        self.setColumnCount(len(headings))
        self.setRowCount(len(body))
        for line, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                side = Qt.AlignmentFlag.AlignLeft if column in words else Qt.AlignmentFlag.AlignRight
                item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
                if line:
                    item.setToolTip(plain_tip(text))
                    self.setItem(line - 1, column, item)
                else:
                    self.setHorizontalHeaderItem(column, item)
        header = self.horizontalHeader()
        for column in range(len(headings)):
            mode = QHeaderView.ResizeMode.Stretch if column == wide else QHeaderView.ResizeMode.ResizeToContents
            header.setSectionResizeMode(column, mode)
        self._set_height()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the height that its rows need."""
        super().resizeEvent(event)
        self._set_height()

    def _set_height(self) -> None:
        rows = max(1, min(self.rowCount(), _MOST_ROWS))
        height = self.horizontalHeader().sizeHint().height() + _ROW_PX * rows + 2
        if self.height() != height:
            self.setFixedHeight(height)
