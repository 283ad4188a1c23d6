"""Pictures of parts of the window, for files."""

from collections.abc import Callable

from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtGui import QColor, QImage, QPainter

GROUND = QColor("#161b22")
MARGIN_PX = 12


def double_size(width: int, height: int, paint: Callable[[QPainter], object]) -> QImage:
    """A picture at twice the size of the screen; ``paint`` draws ``width`` x ``height``, a margin is left around."""
    image = QImage(2 * (width + 2 * MARGIN_PX), 2 * (height + 2 * MARGIN_PX), QImage.Format.Format_ARGB32)
    image.setDevicePixelRatio(2.0)
    image.fill(GROUND)
    painter = QPainter(image)
    painter.translate(MARGIN_PX, MARGIN_PX)
    paint(painter)
    painter.end()
    return image


def png_bytes(image: QImage) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # pyright: ignore[reportCallIssue, reportArgumentType]
    return bytes(buffer.data().data())
