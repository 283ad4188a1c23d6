"""The plot the curves are drawn into, still empty: axes, lines, the ring of the best epoch, the hair line."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
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
_MANY_POINTS = 2000
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
    plot.getViewBox().disableAutoRange()  # the range is set once for a drawing: following the lines costs 20 ms more
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


def set_line(item: Any, x: NDArray[np.float64], y: NDArray[np.float64], marks: bool) -> None:
    """Give a line its points, if they are others than before; ``marks`` puts a dot on each."""
    old_x, old_y = item.getOriginalDataset()
    if old_x is None:
        old_x = old_y = np.empty(0)
    symbol = "o" if marks and len(x) else None
    if np.array_equal(old_x, x) and np.array_equal(old_y, y) and item.opts["symbol"] == symbol:
        return
    many = len(x) > _MANY_POINTS
    if many != item.opts["autoDownsample"]:  # such a line is made anew whenever the view moves
        item.setDownsampling(auto=many, method="peak")
    item.setData(x, y, symbol=symbol)


def y_range(heights: NDArray[np.float64], log: bool) -> tuple[float, float]:
    """The range that shows all of the heights; on a logarithmic axis as powers of ten."""
    heights = heights[np.isfinite(heights) & ((heights > 0) | (not log))]
    if not heights.size:
        return (-2.0, 0.0) if log else (0.0, 1.0)
    low, high = float(heights.min()), float(heights.max())
    if log:
        low, high = float(np.log10(low)), float(np.log10(high))
    spare = max(0.0, _SMALLEST_RANGE - (high - low)) / 2
    return low - spare, high + spare
