"""A small plot of what a model's probabilities are worth, and the same in words."""

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QColor, QFont
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from thighview.app.evaluating import Calibration
from thighview.ui.cards import count, show_words, words
from thighview.ui.curve_plot import COLOURS

_EDGE_PX = 132
_NEAR_ONE = 0.05
"""A temperature nearer to 1 than this changes nothing that anybody would see."""


class ReliabilityPlot(QWidget):
    """How often a label is there (upwards) against the probability it was given (to the right)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view, self.line = _make_plot(self.font())
        self.view.viewport().installEventFilter(self)
        self.heading = words("Do its probabilities hold?", "title")
        self.error_words, self.temperature_words = words(""), words("", "muted")
        self.warning = words("", "warning")
        side = QVBoxLayout()
        side.setSpacing(6)
        for part in (self.error_words, self.temperature_words, self.warning):
            side.addWidget(part)
        side.addStretch(1)
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(10)
        line.addWidget(self.view, 0, Qt.AlignmentFlag.AlignTop)
        line.addLayout(side, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.heading)
        column.addLayout(line)

    def show_calibration(self, found: Calibration | None) -> None:
        """Show what was found; hidden where nothing could be."""
        self.setVisible(found is not None and found.ece is not None)
        if found is None or found.ece is None:
            return
        self.line.setData([b.confidence for b in found.bins], [b.accuracy for b in found.bins])
        show_words(self.error_words, error_sentence(found))
        show_words(self.temperature_words, temperature_sentence(found))
        show_words(self.warning, "It has learnt from these people: this flatters." * (found.part == "train"))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The wheel scrolls the panel, not the plot."""
        if event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        return super().eventFilter(watched, event)


def error_sentence(found: Calibration) -> str:
    """How far the probabilities are off, and on whom that was measured."""
    if found.ece is None:
        return ""
    kind = {"train": "training ", "validation": "validation ", "test": "test "}.get(found.part, "")
    people = count(found.persons, f"{kind}person", f"{kind}people")
    return f"Off by {100 * found.ece:.1f}\u00a0% on average (ECE), on {people}."


def temperature_sentence(found: Calibration) -> str:
    """What the temperature says about the model; else why there is none."""
    t = found.temperature
    if t is None:
        return found.reason
    if abs(t - 1) < _NEAR_ONE:
        return f"Temperature {t:.2f}: as sure as it may be."
    sure = "too sure of itself" if t > 1 else "less sure than it could be"
    after = ""
    if found.ece_after is not None:
        better = "" if found.mends else ", no better than without"
        after = f" Logits divided by it: off by {100 * found.ece_after:.1f}\u00a0%{better}."
    return f"Temperature {t:.2f}: {sure}.{after}"


def _make_plot(font: QFont) -> tuple[Any, Any]:
    view: Any = pg.PlotWidget(background=None, enableMenu=False)  # pyright: ignore[reportArgumentType]
    view.setFrameShape(QFrame.Shape.NoFrame)
    view.setFixedSize(_EDGE_PX, _EDGE_PX)
    view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    view.setToolTip(
        "To the right: the probability the model gave a label. Upwards: the share of those pixels that have it.\n"
        "On the dashed line the model means what it says; below it is too sure."
    )
    plot = view.getPlotItem()
    plot.hideButtons()
    plot.setMouseEnabled(False, False)
    small = QFont(font)
    small.setPixelSize(10)
    ticks = [[(0.0, "0"), (0.5, ".5"), (1.0, "1")]]
    for name in ("left", "bottom"):
        axis = plot.getAxis(name)
        axis.setPen(pg.mkPen("#4a5664"))
        axis.setTextPen(pg.mkPen("#9aa4b1"))
        axis.setStyle(tickFont=small, tickTextOffset=4, tickLength=-3, hideOverlappingLabels=False)
        axis.setTicks(ticks)
    plot.getAxis("left").setWidth(20)
    plot.getAxis("bottom").setHeight(18)
    plot.setRange(xRange=(0, 1), yRange=(0, 1), padding=0.03)
    plot.getViewBox().disableAutoRange()
    even = pg.mkPen(QColor("#5a6472"), width=1, style=Qt.PenStyle.DashLine)
    plot.addItem(pg.PlotDataItem([0, 1], [0, 1], pen=even))
    amber = COLOURS["val"]
    line = pg.PlotDataItem(
        pen=pg.mkPen(amber, width=1.4), antialias=True, symbol="o", symbolSize=5, symbolBrush=amber, symbolPen=None
    )
    plot.addItem(line)
    return view, line
