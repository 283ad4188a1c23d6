"""Icons: line drawings from ``resources/icons``, tinted when they are asked for."""

from functools import cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap

from thighview.io.resources import resource
from thighview.ui.theme import COLOURS

_DRAWN_IN = "#e9eef4"
_SMALL, _LARGE = 20, 40


@cache
def icon(name: str) -> QIcon:
    """The icon of this name: light, white when chosen, grey when it cannot be used."""
    made = QIcon()
    tints = (
        (QIcon.Mode.Normal, QIcon.State.Off, COLOURS["soft"]),
        (QIcon.Mode.Active, QIcon.State.Off, COLOURS["text"]),
        (QIcon.Mode.Normal, QIcon.State.On, "#ffffff"),
        (QIcon.Mode.Disabled, QIcon.State.Off, COLOURS["disabled"]),
    )
    drawing = resource("icons", f"{name}.svg").read_text(encoding="utf-8")
    for mode, state, tint in tints:
        for size in (_SMALL, _LARGE) if mode is QIcon.Mode.Normal else (_LARGE,):  # Qt makes the rarer ones smaller
            made.addPixmap(_drawn(drawing.replace(_DRAWN_IN, tint), size), mode, state)
    return made


def picture(name: str, size: int, tint: str = _DRAWN_IN, ratio: float = 1.0) -> QPixmap:
    """One icon as a picture of ``size`` widget pixels."""
    drawing = resource("icons", f"{name}.svg").read_text(encoding="utf-8").replace(_DRAWN_IN, tint)
    made = _drawn(drawing, round(size * ratio))
    made.setDevicePixelRatio(ratio)
    return made


def program_icon() -> QIcon:
    """The icon of the window."""
    made = QIcon()
    drawing = resource("icons", "thighview.svg").read_text(encoding="utf-8")
    for size in (16, 24, 32, 48, 64, 128, 256):
        made.addPixmap(_drawn(drawing, size))
    return made


def _drawn(drawing: str, size: int) -> QPixmap:
    from PySide6.QtSvg import QSvgRenderer

    made = QPixmap(size, size)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    QSvgRenderer(QByteArray(drawing.encode())).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return made
