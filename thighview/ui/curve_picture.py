"""Curves as a picture that says by itself what it shows: a heading, and names at both axes."""

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QFont, QImage, QPainter, QRegion
from PySide6.QtWidgets import QWidget

from thighview.ui.picture import double_size
from thighview.ui.theme import colour

_HEADING_PX, _AXIS_PX = 24, 16
_LEFT, _MIDDLE = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignCenter


def curve_picture(part: QWidget, plot: QRect, heading: str, across: str, up: str) -> QImage:
    """What is on the screen, at twice its size.

    Parameters
    ----------
    part : QWidget
        Legend, plot, and perhaps words beneath.
    plot : QRect
        Where in it the plot lies.
    heading : str
        Stands above all.
    across, up : str
        What the axes count.
    """
    width, below = part.width(), plot.y() + plot.height()
    upper, lower = QRect(0, 0, width, below), QRect(0, below, width, part.height() - below)

    def paint(painter: QPainter) -> None:
        font = QFont(part.font())
        font.setWeight(QFont.Weight.DemiBold)
        _write(painter, QRect(0, 0, width + _AXIS_PX, _HEADING_PX), heading, font, "text", _LEFT)
        font = QFont(part.font())
        font.setPixelSize(11)
        painter.save()
        painter.translate(0, _HEADING_PX + below)
        painter.rotate(-90)
        _write(painter, QRect(0, 0, plot.height(), _AXIS_PX), up, font, "soft", _MIDDLE)
        painter.restore()
        _write(painter, QRect(_AXIS_PX, _HEADING_PX + below, width, _AXIS_PX), across, font, "soft", _MIDDLE)
        part.render(painter, QPoint(_AXIS_PX, _HEADING_PX), QRegion(upper))
        if not lower.isEmpty():
            part.render(painter, QPoint(_AXIS_PX, _HEADING_PX + below + _AXIS_PX), QRegion(lower))

    return double_size(width + _AXIS_PX, part.height() + _HEADING_PX + _AXIS_PX, paint)


def _write(painter: QPainter, box: QRect, text: str, font: QFont, ink: str, side: Qt.AlignmentFlag) -> None:
    painter.setFont(font)
    painter.setPen(colour(ink))
    short = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, box.width())
    painter.drawText(box, side | Qt.AlignmentFlag.AlignVCenter, short)
