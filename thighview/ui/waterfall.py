"""A gap as a waterfall: from training over its signed parts to validation, a whisker on the part that is real."""

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleEvent,
    QBrush,
    QColor,
    QFocusEvent,
    QFont,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QLinearGradient,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from thighview.core.gap import PEOPLE, Gap
from thighview.core.gap_report import REASONS
from thighview.core.gap_words import TITLES, amount, digits_of, flatters, sentence, told_rows
from thighview.ui.cards import plain_tip
from thighview.ui.picture import GROUND, double_size
from thighview.ui.plot_colours import COLOURS
from thighview.ui.theme import colour

UP, DOWN = QColor("#4fb8a8"), QColor("#c58be0")
"""Parts that let validation read higher, and lower. Neither is good or bad: that depends on the metric."""
BAR_PX, WORDS_PX, BETWEEN_PX = 13, 17, 8
ROW_PX = BAR_PX + WORDS_PX + BETWEEN_PX
INSET_PX = 5
"""Room at both sides for the frame of the bar that is read."""
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
    """The rows, in order; each part begins where the one before it ended."""
    digits = digits_of(gap)
    (_, train), *parts, (_, validation) = told_rows(gap, digits)
    rows = [Bar("train", None, gap.train, amount(gap.metric, train, digits=digits))]
    level = gap.train
    for (name, value), (_, told) in zip(gap.terms, parts, strict=True):
        rows.append(Bar(name, level, level + value, amount(gap.metric, told, True, digits)))
        level += value
    return [*rows, Bar("validation", None, gap.validation, amount(gap.metric, validation, digits=digits))]


def axis_of(gap: Gap) -> tuple[float, float]:
    """Ends of the axis: all levels and the whisker with some room; from 0 where that is near.

    The whisker of a few people can be many times as long as all bars: it has as much room as they, and runs out of it.
    """
    levels = [row.end for row in bars_of(gap)]
    low, high = min(levels), max(levels)
    if whisker := whisker_of(gap):
        reach = max(high - low, 1e-4)
        low, high = max(low - reach, min(low, whisker[0])), min(high + reach, max(high, whisker[1]))
    room = max(high - low, 1e-4) * _SPARE
    left = low - 2 * room
    return (0.0 if left < 0.0 <= low or 0.0 <= low < (high - low) else left), high + room


def whisker_of(gap: Gap) -> tuple[float, float] | None:
    """The interval of the real difference as two levels: from where the parts that belong to the people begin.

    None without one, and for made-up thighs, which are no sample of people.
    """
    start = next((row.start for row in bars_of(gap) if row.name in PEOPLE), None)
    if gap.interval is None or gap.made_up or start is None:
        return None
    return start + gap.interval[0], start + gap.interval[1]


_SPLIT = ("split", "generalisation")
"""The row that carries the whisker and the hatching, whichever there is."""
_KEYS = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
_ENDS = {Qt.Key.Key_Home: 0, Qt.Key.Key_End: -1}


class Waterfall(QWidget):
    """Bars, one below the other, each with its plain name and its value; tooltips, arrow keys and clicks explain."""

    row_read = Signal(str)
    """What the bar stepped to or clicked is, in words; empty when none is."""

    def __init__(self) -> None:
        super().__init__()
        self._gap: Gap | None = None
        self._row = -1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Parts of the difference between training and validation; arrow keys step through them")
        self.setFixedHeight(7 * ROW_PX)

    def show_gap(self, gap: Gap | None) -> None:
        """Show this one; None shows nothing."""
        if gap == self._gap:
            return
        self._gap = gap
        if gap is not None:
            self.setFixedHeight(len(bars_of(gap)) * ROW_PX)
        self._read(self._row)
        self.update()

    def sizeHint(self) -> QSize:
        """As narrow as panels are."""
        return QSize(240, self.height())

    @property
    def row(self) -> int:
        """The bar that was stepped to or clicked; -1 for none."""
        return self._row

    def _read(self, row: int) -> None:
        """Go to a bar, say what it is, and tell programs that read the screen."""
        rows = bars_of(self._gap) if self._gap else []
        self._row = min(row, len(rows) - 1)
        said = self.tip_of(self._row)
        self.setAccessibleDescription(said or ". ".join(f"{TITLES[row.name]}: {row.said}" for row in rows))
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.DescriptionChanged))
        self.row_read.emit(said)
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys, Home and End step through the bars; Escape lets go of them."""
        key = Qt.Key(event.key())
        rows = len(bars_of(self._gap)) if self._gap else 0
        if key in _KEYS and rows:
            self._read(min(rows - 1, max(0, self._row + _KEYS[key])))
        elif key in _ENDS and rows:
            self._read(_ENDS[key] % rows)
        elif key == Qt.Key.Key_Escape and self._row >= 0:
            self._read(-1)
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click reads a bar."""
        self._read(self._row_at(event.position().y()))

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Reached by the keyboard, the first bar is read."""
        super().focusInEvent(event)
        if self._row < 0 and event.reason() != Qt.FocusReason.MouseFocusReason:
            self._read(0)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The bar read stays; its frame goes."""
        super().focusOutEvent(event)
        self.update()

    def _row_at(self, y: float) -> int:
        rows = len(bars_of(self._gap)) if self._gap else 0
        return min(rows - 1, max(0, int(y // ROW_PX)))

    def tip_at(self, y: float) -> str:
        """What the row at a height of the widget is; empty without a gap."""
        return self.tip_of(self._row_at(y))

    def tip_of(self, number: int) -> str:
        """What a row is; empty without a gap, and for -1."""
        if self._gap is None or number < 0:
            return ""
        row = bars_of(self._gap)[number]
        tip = f"{TITLES[row.name]}: {row.said}. {REASONS[row.name]}"
        if row.name == "difficulty":
            tip += f" Judged by {self._gap.judge}."
        if row.name == "selection" and flatters(self._gap):
            tip += " It flatters: so much of what is reported is luck."
        if row.name in _SPLIT:
            if self._gap.interval is not None and not self._gap.made_up:
                low, high = (amount(self._gap.metric, end, True, 2) for end in self._gap.interval)
                tip += f" Here {low} to {high}."
                axis, whisker = axis_of(self._gap), whisker_of(self._gap)
                if whisker and (whisker[0] < axis[0] or axis[1] < whisker[1]):
                    tip += " An end without a stroke lies outside the picture."
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
                painter.save()
                painter.translate(INSET_PX, 0)
                paint_waterfall(painter, self._gap, self.width() - 2 * INSET_PX, self.font(), colour("card"))
                painter.restore()
                if self._row >= 0 and self.hasFocus():
                    painter.setPen(QPen(colour("accent"), 1.2))
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                    area = QRectF(0, self._row * ROW_PX, self.width(), BAR_PX + WORDS_PX + 3)
                    painter.drawRoundedRect(area.adjusted(0.6, 0.6, -0.6, -0.6), 3, 3)

    def picture(self, heading: str) -> QImage | None:
        """The waterfall with a heading above and the sentence below, at twice the size of the screen."""
        gap = self._gap
        if gap is None:
            return None
        width = max(PICTURE_PX, self.width())
        bars_px = len(bars_of(gap)) * ROW_PX
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
            painter.translate(0, bars_px + 4)
            painter.setFont(font)
            painter.setPen(colour("soft"))
            painter.drawText(QRectF(0, 0, width, height + 4), int(flags), said)

        return double_size(width, 34 + bars_px + height + 4, paint)


def paint_waterfall(painter: QPainter, gap: Gap, width: int, font: QFont, ground: QColor) -> None:
    """Draw the rows at the painter's origin, on this ground."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    small = QFont(font)
    small.setPixelSize(12)
    painter.setFont(small)
    low, high = axis_of(gap)
    scale = (width - 1) / (high - low)

    def across(value: float) -> float:
        return (value - low) * scale

    rows, whisker = bars_of(gap), whisker_of(gap)
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
        if row.name in _SPLIT and gap.leaked:
            painter.setPen(QPen(colour("warning"), 1.2))
            painter.setBrush(QBrush(colour("warning"), Qt.BrushStyle.BDiagPattern))
            painter.drawRoundedRect(area, 2, 2)
        if row.name in _SPLIT and whisker is not None:
            _whisker(painter, across(whisker[0]), across(whisker[1]), width - 1, top + BAR_PX / 2)
        _words(painter, row, QRectF(0, top + BAR_PX, width, WORDS_PX), ground)


def _fill(row: Bar, gap: Gap, low: float) -> QBrush:
    if row.start is not None:
        shade = UP if row.end >= row.start else DOWN
        return QBrush(shade if row.name in PEOPLE else shade.darker(125))
    shade = COLOURS["train" if row.name == "train" else "val"]
    if low == 0.0:
        return QBrush(shade)
    fade = QLinearGradient(0, 0, _FADE_PX, 0)  # the bar begins left of the axis
    clear = QColor(shade)
    clear.setAlpha(0)
    fade.setColorAt(0, clear)
    fade.setColorAt(1, shade)
    return QBrush(fade)


def _whisker(painter: QPainter, left: float, right: float, edge: float, y: float) -> None:
    """A line with a stroke at each end that lies between 0 and the edge."""
    painter.setPen(QPen(colour("text"), 1.4))
    painter.drawLine(QPointF(max(0.0, left), y), QPointF(min(edge, right), y))
    for x in (left, right):
        if 0 <= x <= edge:
            painter.drawLine(QPointF(x, y - 4), QPointF(x, y + 4))


def _words(painter: QPainter, row: Bar, area: QRectF, ground: QColor) -> None:
    """The name at the left and the value at the right, on a ground of their own where a line passes."""
    name = TITLES[row.name]
    painter.setPen(colour("soft" if row.start is not None and row.name not in PEOPLE else "text"))
    for text, side in ((name, Qt.AlignmentFlag.AlignLeft), (row.said, Qt.AlignmentFlag.AlignRight)):
        flags = side | Qt.AlignmentFlag.AlignVCenter
        painter.fillRect(painter.boundingRect(area, flags, text).adjusted(-3, 0, 3, 0), ground)
        painter.drawText(area, flags, text)
