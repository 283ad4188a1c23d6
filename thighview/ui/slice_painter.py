"""What a slice view draws over the picture: letters, crosshair, words, scale bar, the brush, a polygon under way."""

import math
from collections.abc import Sequence

from PySide6.QtCore import QLineF, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen, QPolygonF

from thighview.core.brush import Point
from thighview.core.planes import Placement
from thighview.ui.theme import CROSS, LETTER

MARGIN = 10
CROSS_GAP, CROSS_INSET = 9, 26
_SHADOW = QColor(0, 0, 0, 210)
_WORDS = QColor(222, 230, 238)
_FAINT = QColor(222, 230, 238, 170)
_NICE_MM = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def words_font(bold: bool = False, pixels: int = 12) -> QFont:
    """The font of words on a picture."""
    font = QFont()
    font.setPixelSize(pixels)
    font.setBold(bold)
    return font


def draw_words(painter: QPainter, rect: QRect, text: str, flags: Qt.AlignmentFlag, pen: QColor) -> None:
    """Words that stay readable on white fat: the same words in black beneath."""
    painter.setPen(_SHADOW)
    painter.drawText(rect.translated(1, 1), flags, text)
    painter.setPen(pen)
    painter.drawText(rect, flags, text)


def letter_rects(width: int, height: int, below: int, above: int = 0) -> tuple[QRect, QRect, QRect, QRect]:
    """Where the letters at top, right, bottom and left stand; ``above`` and ``below`` pixels belong to others."""
    wide, high = 36, 18
    middle_x, middle_y = width // 2 - wide // 2, height // 2 - high // 2
    return (
        QRect(middle_x, MARGIN - 2 + above, wide, high),
        QRect(width - MARGIN - wide + 4, middle_y, wide, high),
        QRect(middle_x, height - MARGIN - high + 2 - below, wide, high),
        QRect(MARGIN - 4, middle_y, wide, high),
    )


def draw_letters(painter: QPainter, edges: Sequence[str], rects: tuple[QRect, QRect, QRect, QRect]) -> None:
    """Patient directions on the four edges."""
    painter.setFont(words_font(bold=True))
    centre, left, right = Qt.AlignmentFlag.AlignHCenter, Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
    for words, rect, side in zip(edges, rects, (centre, right, centre, left), strict=True):
        inner = rect.adjusted(4, 0, -4, 0) if side != centre else rect
        draw_words(painter, inner, words, side | Qt.AlignmentFlag.AlignVCenter, LETTER)


def cross_lines(x: float, y: float, width: int, height: int) -> tuple[QLineF, ...]:
    """The crosshair: open in the middle, so that it never covers what it points at, and short of the letters."""
    x, y = math.floor(x) + 0.5, math.floor(y) + 0.5
    return (
        QLineF(CROSS_INSET, y, max(x - CROSS_GAP, CROSS_INSET), y),
        QLineF(x + CROSS_GAP, y, max(width - CROSS_INSET, x + CROSS_GAP), y),
        QLineF(x, CROSS_INSET, x, max(y - CROSS_GAP, CROSS_INSET)),
        QLineF(x, y + CROSS_GAP, x, max(height - CROSS_INSET, y + CROSS_GAP)),
    )


def draw_cross(painter: QPainter, x: float, y: float, width: int, height: int) -> None:
    """The linked crosshair."""
    painter.setPen(QPen(CROSS, 1))
    painter.drawLines(list(cross_lines(x, y, width, height)))


def scale_bar(placement: Placement, width: int, height: int) -> tuple[float, str, QRect]:
    """Length on the screen (pixels), words, and the rectangle it takes."""
    aim_px = min(190.0, width * 0.2)
    length_mm = next((mm for mm in reversed(_NICE_MM) if mm * placement.px_per_mm <= aim_px), _NICE_MM[0])
    text = f"{length_mm} mm" if length_mm < 10 else f"{length_mm // 10} cm"
    length = length_mm * placement.px_per_mm
    wide = int(max(length, 44)) + 6
    return length, text, QRect(width - MARGIN - wide, height - MARGIN - 24, wide + MARGIN, 30)


def draw_scale_bar(painter: QPainter, placement: Placement, width: int, height: int) -> None:
    """A bar of a round number of millimetres at the lower right."""
    length, text, rect = scale_bar(placement, width, height)
    right, bottom = width - MARGIN + 0.5, height - MARGIN - 0.5
    lines = [
        QLineF(right - length, bottom, right, bottom),
        QLineF(right - length, bottom - 4, right - length, bottom),
        QLineF(right, bottom - 4, right, bottom),
    ]
    painter.setPen(QPen(_SHADOW, 3))
    painter.drawLines(lines)
    painter.setPen(QPen(_FAINT, 1))
    painter.drawLines(lines)
    painter.setFont(words_font(pixels=11))
    box = QRect(int(right - max(length, 44)), rect.top(), int(max(length, 44)), 16)
    draw_words(painter, box, text, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, _FAINT)


def draw_corner(painter: QPainter, rect: QRect, lines: tuple[str, ...]) -> None:
    """Lines of words at the lower left, the last one lowest."""
    font = words_font()
    painter.setFont(font)
    metrics = QFontMetrics(font)
    step = metrics.height() + 2
    for index, line in enumerate(reversed(lines)):
        place = QRect(rect.left(), rect.bottom() - step * (index + 1) + 1, rect.width(), step)
        text = metrics.elidedText(line, Qt.TextElideMode.ElideRight, rect.width())
        draw_words(painter, place, text, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, _WORDS)


def draw_name(painter: QPainter, name: str, width: int) -> None:
    """The view's name at the upper left, in so many pixels."""
    painter.setFont(words_font(bold=True))
    flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
    cut = QFontMetrics(painter.font()).elidedText(name, Qt.TextElideMode.ElideRight, width)
    draw_words(painter, QRect(MARGIN, MARGIN - 4, width, 20), cut, flags, LETTER)


def brush_rect(x: float, y: float, radius_px: float) -> QRect:
    """The screen rectangle of the brush's circle."""
    reach = max(radius_px, 6.0) + 3
    return QRect(math.floor(x - reach), math.floor(y - reach), math.ceil(2 * reach) + 2, math.ceil(2 * reach) + 2)


def draw_brush(painter: QPainter, x: float, y: float, radius_px: float, ink: QColor) -> None:
    """The disc about to be painted: a circle of its true size in the label's colour, a dot in its middle."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    centre = QPointF(x, y)
    for pen in (QPen(QColor(0, 0, 0, 170), 3.0), QPen(ink, 1.4)):
        painter.setPen(pen)
        if radius_px >= 2.5:
            painter.drawEllipse(centre, radius_px, radius_px)
        if radius_px < 5.0:
            painter.drawLines([QLineF(x - 6, y, x - 3, y), QLineF(x + 3, y, x + 6, y)])
            painter.drawLines([QLineF(x, y - 6, x, y - 3), QLineF(x, y + 3, x, y + 6)])
        else:
            painter.drawPoint(centre)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def sketch_on_screen(placement: Placement, sketch: tuple[Point, ...]) -> QPolygonF:
    """The corners of a sketch as screen points."""
    return QPolygonF([QPointF(*placement.to_screen(row, column)) for row, column in sketch])


def sketch_rect(shape: QPolygonF) -> QRect:
    """The screen rectangle a sketch takes."""
    return shape.boundingRect().adjusted(-8, -8, 8, 8).toAlignedRect()


def draw_sketch(painter: QPainter, shape: QPolygonF, ink: QColor) -> None:
    """A polygon under way: its corners, its outline, and faintly what it would enclose."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    wash = QColor(ink)
    wash.setAlpha(40)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(wash)
    painter.drawPolygon(shape)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(QColor(0, 0, 0, 170), 3.2), QPen(ink, 1.6)):
        painter.setPen(pen)
        painter.drawPolyline(shape)
    painter.setPen(QPen(QColor(0, 0, 0, 170), 1))
    painter.setBrush(ink)
    for index in range(max(0, shape.size() - 1)):
        side = 4.5 if index == 0 else 3.0
        painter.drawEllipse(QRectF(shape.at(index).x() - side, shape.at(index).y() - side, 2 * side, 2 * side))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
