"""The plot the curves are drawn into, still empty: axes, lines, the ring of the best epoch, the hair line."""

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont
from PySide6.QtWidgets import QFrame

COLOURS = {
    "train": QColor("#4a9eff"),
    "val": QColor("#ffb02e"),
    "while_learning": QColor("#8d97a5"),
    "batch": QColor("#8d97a5"),
}
SAMPLES_PER_PIXEL = 1.0
"""More are joined to their least and greatest before a line is painted."""
_HEIGHT_PX = 220
_LEFT_PX = 46
_SMALLEST_RANGE = 0.01
"""A curve that hardly moves is shown flat, not blown up to the height of the plot."""


class EpochAxis(pg.AxisItem):
    """An axis that counts: no ticks between whole numbers."""

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:  # noqa: N803
        """Distances of the ticks, the widest first, each with the place of its first tick."""
        usual = super().tickSpacing(minVal, maxVal, size)
        return [(spacing, 0.0) for spacing in dict.fromkeys(max(1.0, round(spacing)) for spacing, _ in usual)]


def make_plot(font: QFont) -> tuple[Any, dict[str, Any], Any]:
    """The plot widget, its lines by name, and the hair line; pyqtgraph is only partly typed."""
    axes = {"bottom": EpochAxis("bottom")}
    view: Any = pg.PlotWidget(background=None, axisItems=axes)  # pyright: ignore[reportArgumentType]
    view.setFrameShape(QFrame.Shape.NoFrame)
    view.setFixedHeight(_HEIGHT_PX)
    view.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    view.setToolTip("Drag to move, Ctrl+wheel to zoom, double-click for all")
    plot = view.getPlotItem()
    plot.setMenuEnabled(False)
    plot.hideButtons()
    plot.showGrid(y=True, alpha=0.25)
    small = QFont(font)
    small.setPixelSize(11)
    for name in ("left", "bottom"):
        axis = plot.getAxis(name)
        axis.setPen(pg.mkPen("#4a5664"))
        axis.setTextPen(pg.mkPen("#9aa4b1"))
        axis.setStyle(tickFont=small, tickTextOffset=5, tickLength=-4, maxTickLevel=0)
        axis.setTickDensity(1.6)
        axis.enableAutoSIPrefix(False)
    plot.getAxis("left").setWidth(_LEFT_PX)
    plot.getViewBox().setLimits(minYRange=_SMALLEST_RANGE)
    items: dict[str, Any] = {}
    for name, colour, width, dashed in (
        ("other_train", COLOURS["train"], 1.4, True),
        ("other_val", COLOURS["val"], 1.4, True),
        ("batch", COLOURS["batch"], 1.0, False),
        ("while_learning", COLOURS["while_learning"], 1.0, False),
        ("train", COLOURS["train"], 2.2, False),
        ("val", COLOURS["val"], 2.2, False),
    ):
        style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
        pen = pg.mkPen(colour, width=width, style=style)
        item = pg.PlotDataItem(pen=pen, antialias=True, symbolBrush=colour, symbolPen=None, symbolSize=4)
        item.setDownsampling(auto=True, method="peak")
        item.setClipToView(True)
        item.opts["autoDownsampleFactor"] = SAMPLES_PER_PIXEL
        items[name] = item
    ring = pg.mkPen(COLOURS["val"], width=1.6)
    items["best"] = pg.PlotDataItem(pen=None, symbol="o", symbolSize=9, symbolBrush=None, symbolPen=ring)
    for item in items.values():
        plot.addItem(item)
    hair = pg.InfiniteLine(angle=90, movable=False, pen=pg.mkPen("#5a6472", width=1))
    hair.hide()
    plot.addItem(hair, ignoreBounds=True)
    return view, items, hair
