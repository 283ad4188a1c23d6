"""A gap as a waterfall: from training over five signed parts to validation, a whisker on the part that is real."""

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QHelpEvent, QImage, QLinearGradient, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from thighview.core.gap import PER_CENT, TERMS, Gap, sentence
from thighview.core.gap_report import REASONS, TITLES, amount
from thighview.ui.cards import plain_tip
from thighview.ui.curve_plot import COLOURS
from thighview.ui.picture import GROUND, double_size
from thighview.ui.theme import colour

UP, DOWN = QColor("#4fb8a8"), QColor("#c58be0")
"""Parts that let validation read higher, and lower. Neither is good or bad: that depends on the metric."""
BAR_PX, WORDS_PX, BETWEEN_PX = 13, 17, 8
ROW_PX = BAR_PX + WORDS_PX + BETWEEN_PX
PICTURE_PX = 420
_SPARE = 0.12
_FADE_PX = 26
_THINNEST_PX = 2.0


@dataclass(frozen=True)
class Bar:
    """One row, from ``start`` to ``end`` in the unit of the metric; ``start`` is None for bars from the left edge."""

    name: str
    start: float | None
    end: float
    said: str


def bars_of(gap: Gap) -> list[Bar]:
    """The seven rows, in order; each part begins where the one before it ended."""
    largest = max(abs(value) for _, value in gap.terms)
    digits = (1 if largest >= 0.1 else 2) if gap.metric in PER_CENT else 4
    rows = [Bar("train", None, gap.train, amount(gap.metric, gap.train, digits=digits))]
    level = gap.train
    for name, value in gap.terms:
        rows.append(Bar(name, level, level + value, amount(gap.metric, value, True, digits)))
        level += value
    return [*rows, Bar("validation", None, gap.validation, amount(gap.metric, gap.validation, digits=digits))]


def axis_of(gap: Gap) -> tuple[float, float]:
    """Ends of the axis: all levels and the whisker with some room; from 0 where that is near."""
    rows = bars_of(gap)
    levels = [row.end for row in rows]
    if gap.interval is not None:
        base = rows[-2].start or 0.0
        levels += [base + end for end in gap.interval]
    low, high = min(levels), max(levels)
    room = max(high - low, 1e-4) * _SPARE
    left = low - 2 * room
    return (0.0 if left < 0.0 <= low or 0.0 <= low < (high - low) else left), high + room


class Waterfall(QWidget):
    """Seven bars, one below the other, each with its plain name and its value; tooltips explain."""

    def __init__(self) -> None:
        super().__init__()
        self._gap: Gap | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(7 * ROW_PX)

    def show_gap(self, gap: Gap | None) -> None:
        """Show this one; None shows nothing."""
        if gap == self._gap:
            return
        self._gap = gap
        rows = bars_of(gap) if gap else []
        self.setAccessibleDescription(". ".join(f"{TITLES[row.name]}: {row.said}" for row in rows))
        self.update()

    def sizeHint(self) -> QSize:
        """As narrow as panels are."""
        return QSize(240, 7 * ROW_PX)

    def tip_at(self, y: float) -> str:
        """What the row at a height of the widget is; empty without a gap."""
        if self._gap is None:
            return ""
        rows = bars_of(self._gap)
        row = rows[min(len(rows) - 1, max(0, int(y // ROW_PX)))]
        tip = f"{TITLES[row.name]}: {row.said}. {REASONS[row.name]}"
        if row.name == "split":
            if self._gap.interval is not None:
                low, high = (amount(self._gap.metric, end, True, 2) for end in self._gap.interval)
                tip += f" Here {low} to {high}."
            if self._gap.leaked:
                tip += f" Hatched: {self._gap.leaked} of {self._gap.val_people} validation people are trained on, too."
        return tip

    def event(self, event: QEvent) -> bool:
        """Tooltips by row."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), plain_tip(self.tip_at(event.pos().y())), self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bars."""
        if self._gap is not None:
            with QPainter(self) as painter:
                paint_waterfall(painter, self._gap, self.width(), self.font(), colour("card"))

    def picture(self, heading: str) -> QImage | None:
        """The waterfall with a heading above and the sentence below, at twice the size of the screen."""
        gap = self._gap
        if gap is None:
            return None
        width = max(PICTURE_PX, self.width())
        font = QFont(self.font())
        said = sentence(gap)
        flags = Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap
        height = self.fontMetrics().boundingRect(0, 0, width, 2000, flags, said).height()
        bold = QFont(font)
        bold.setBold(True)

        def paint(painter: QPainter) -> None:
            painter.setFont(bold)
            painter.setPen(colour("text"))
            painter.drawText(QRectF(0, 0, width, 20), Qt.AlignmentFlag.AlignLeft, heading)
            painter.translate(0, 30)
            paint_waterfall(painter, gap, width, font, GROUND)
            painter.translate(0, 7 * ROW_PX + 4)
            painter.setFont(font)
            painter.setPen(colour("soft"))
            painter.drawText(QRectF(0, 0, width, height + 4), int(flags), said)

        return double_size(width, 34 + 7 * ROW_PX + height + 4, paint)


def paint_waterfall(painter: QPainter, gap: Gap, width: int, font: QFont, ground: QColor) -> None:
    """Draw the seven rows at the painter's origin, on this ground."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    small = QFont(font)
    small.setPixelSize(12)
    painter.setFont(small)
    low, high = axis_of(gap)
    scale = (width - 1) / (high - low)

    def across(value: float) -> float:
        return (value - low) * scale

    rows = bars_of(gap)
    for place, row in enumerate(rows[:-1]):  # the level at which the next bar goes on
        x = across(row.end)
        painter.setPen(QPen(colour("edge"), 1.0))
        painter.drawLine(QPointF(x, place * ROW_PX), QPointF(x, (place + 1) * ROW_PX + BAR_PX))
    for place, row in enumerate(rows):
        top = place * ROW_PX
        start = 0.0 if row.start is None else across(row.start)
        end = across(row.end)
        area = QRectF(min(start, end), top, max(abs(end - start), _THINNEST_PX), BAR_PX)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_fill(row, gap, low))
        painter.drawRoundedRect(area, 2, 2)
        if row.name == "split" and gap.leaked:
            painter.setPen(QPen(colour("warning"), 1.2))
            painter.setBrush(QBrush(colour("warning"), Qt.BrushStyle.BDiagPattern))
            painter.drawRoundedRect(area, 2, 2)
        if row.name == "split" and gap.interval is not None and row.start is not None:
            left, right = (across(row.start + side) for side in gap.interval)
            _whisker(painter, left, right, top + BAR_PX / 2)
        _words(painter, row, QRectF(0, top + BAR_PX, width, WORDS_PX), ground)


def _fill(row: Bar, gap: Gap, low: float) -> QBrush:
    if row.start is not None:
        shade = UP if row.end >= row.start else DOWN
        return QBrush(shade if row.name == "split" else shade.darker(125))
    shade = COLOURS["train" if row.name == "train" else "val"]
    if low == 0.0:
        return QBrush(shade)
    fade = QLinearGradient(0, 0, _FADE_PX, 0)  # the bar begins left of the axis
    clear = QColor(shade)
    clear.setAlpha(0)
    fade.setColorAt(0, clear)
    fade.setColorAt(1, shade)
    return QBrush(fade)


def _whisker(painter: QPainter, left: float, right: float, y: float) -> None:
    painter.setPen(QPen(colour("text"), 1.4))
    painter.drawLine(QPointF(left, y), QPointF(right, y))
    for x in (left, right):
        painter.drawLine(QPointF(x, y - 4), QPointF(x, y + 4))


def _words(painter: QPainter, row: Bar, area: QRectF, ground: QColor) -> None:
    """The name at the left and the value at the right, on a ground of their own where a line passes."""
    name = TITLES[row.name]
    painter.setPen(colour("soft" if row.name in TERMS and row.name != "split" else "text"))
    for text, side in ((name, Qt.AlignmentFlag.AlignLeft), (row.said, Qt.AlignmentFlag.AlignRight)):
        flags = side | Qt.AlignmentFlag.AlignVCenter
        painter.fillRect(painter.boundingRect(area, flags, text).adjusted(-3, 0, 3, 0), ground)
        painter.drawText(area, flags, text)
