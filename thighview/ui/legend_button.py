"""A line of a plot by name and colour, as a button that hides and shows it."""

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QPushButton, QSizePolicy


class LegendButton(QPushButton):
    """One line's name with its colour; pressing it hides or shows the line."""

    def __init__(self, text: str, colour: QColor, thick: bool = True, dashed: bool = False) -> None:
        super().__init__(text)
        self._colour, self._thick, self._dashed = colour, thick, dashed
        self.setCheckable(True)
        self.setChecked(True)
        self.setProperty("legend", True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip("Hide or show this line")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        width = self.fontMetrics().horizontalAdvance(text) + 19
        self.setFixedSize(width, 22)

    def relabel(self, text: str, most_px: int = 150) -> None:
        """Another name, shortened to what fits a narrow panel."""
        short = self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, most_px)
        self.setText(short)
        self.setFixedWidth(self.fontMetrics().horizontalAdvance(short) + 19)

    def paintEvent(self, event: object) -> None:
        """Draw a dash in the line's colour, and its name."""
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            shown = self.isChecked() and self.isEnabled()
            colour = QColor(self._colour if shown else QColor("#5a636f"))
            pen = painter.pen()
            pen.setColor(colour)
            pen.setWidthF(2.6 if self._thick else 1.2)
            pen.setStyle(Qt.PenStyle.DashLine if self._dashed else Qt.PenStyle.SolidLine)
            painter.setPen(pen)
            middle = self.height() / 2
            painter.drawLine(QPointF(1, middle), QPointF(12, middle))
            font = QFont(self.font())
            font.setStrikeOut(not shown)
            painter.setFont(font)
            painter.setPen(colour.lighter(112) if shown else colour)
            painter.drawText(self.rect().adjusted(17, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self.text())
