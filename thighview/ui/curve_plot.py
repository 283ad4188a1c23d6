"""The plot the curves are drawn into, still empty: axes, lines, the ring of the best epoch, the hair line."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QPainterPath
from PySide6.QtWidgets import QFrame, QGraphicsPathItem

COLOURS = {
    "train": QColor("#4a9eff"),
    "val": QColor("#ffb02e"),
    "while_learning": QColor("#8d97a5"),
    "batch": QColor("#8d97a5"),
}
SAMPLES_PER_PIXEL = 1.0
"""More are joined to their least and greatest before a line is painted."""
OTHER_COLOURS = tuple(QColor(c) for c in ("#56cc82", "#f06292", "#ab88ff", "#4dd0c8", "#ff8a65", "#c6d74a"))
"""Of earlier runs, in turn."""
BAND_ALPHA = 38
RAW_ALPHA = 95
_HEIGHT_PX = 220
_LEFT_PX = 46
_TICKS, _CLOCK_TICKS = 1.6, 0.9
"""Density of the ticks, in the measure of pyqtgraph."""
_MANY_POINTS = 2000
_MANY_DECADES = 2.2
_SMALLEST_RANGE = 0.01
"""A curve that hardly moves is shown flat, not blown up to the height of the plot."""


class EpochAxis(pg.AxisItem):
    """An axis that counts: no ticks between whole numbers. With ``minutes`` it is a clock, and says so."""

    minutes = False

    def count_minutes(self, on: bool) -> None:
        """Be a clock, or count epochs again; what is written on a clock is longer, so it is written less often."""
        self.minutes = on
        self.setTickDensity(_CLOCK_TICKS if on else _TICKS)

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """What is written at the ticks."""
        usual = super().tickStrings(values, scale, spacing)
        return [f"{text} min" for text in usual] if self.minutes else usual

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:  # noqa: N803
        """Distances of the ticks, the widest first, each with the place of its first tick."""
        usual = super().tickSpacing(minVal, maxVal, size)
        if self.minutes:
            return [(spacing, float(first)) for spacing, first in usual]
        return [(spacing, 0.0) for spacing in dict.fromkeys(max(1.0, round(spacing)) for spacing, _ in usual)]


def make_frame(font: QFont, height_px: int = _HEIGHT_PX) -> Any:
    """A plot widget with its axes and nothing in it; pyqtgraph is only partly typed."""
    axes = {"bottom": EpochAxis("bottom")}
    view: Any = pg.PlotWidget(background=None, axisItems=axes, enableMenu=False)  # pyright: ignore[reportArgumentType]
    view.setFrameShape(QFrame.Shape.NoFrame)
    view.setFixedHeight(height_px)
    view.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    plot = view.getPlotItem()
    plot.hideButtons()
    plot.showGrid(y=True, alpha=0.25)
    small = QFont(font)
    small.setPixelSize(11)
    for name in ("left", "bottom"):
        axis = plot.getAxis(name)
        axis.setPen(pg.mkPen("#4a5664"))
        axis.setTextPen(pg.mkPen("#9aa4b1"))
        axis.setStyle(tickFont=small, tickTextOffset=5, tickLength=-4, maxTickLevel=0)
        axis.setTickDensity(_TICKS)
        axis.enableAutoSIPrefix(False)
    plot.getAxis("left").setWidth(_LEFT_PX)
    plot.getViewBox().setLimits(minYRange=_SMALLEST_RANGE)
    plot.getViewBox().disableAutoRange()  # the range is set once for a drawing: following the lines costs 20 ms more
    return view


def make_line(colour: QColor, width: float, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> Any:
    """A line without points."""
    pen = pg.mkPen(colour, width=width, style=style)
    item = pg.PlotDataItem(pen=pen, antialias=True, symbolBrush=colour, symbolPen=None, symbolSize=4)
    item.opts["autoDownsampleFactor"] = SAMPLES_PER_PIXEL
    return item


def pale(colour: QColor, alpha: int) -> QColor:
    """The colour, seen through."""
    return QColor(colour.red(), colour.green(), colour.blue(), alpha)


class Band(QGraphicsPathItem):
    """The area between two lines, filled."""

    def __init__(self, colour: QColor) -> None:
        super().__init__()
        self.setPen(pg.mkPen(None))
        self.setBrush(pale(colour, BAND_ALPHA))
        self.setZValue(-10)
        self.ends = np.empty((3, 0))

    def show_band(self, x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
        """Fill between ``low`` and ``high``, in the units of the axes; a band that is the same costs nothing."""
        ends = np.stack([x, low, high])
        if np.array_equal(ends, self.ends):
            return
        self.ends = ends
        around = np.concatenate([x, x[::-1]]), np.concatenate([low, high[::-1]])
        self.setPath(pg.functions.arrayToQPath(*around, connect="all") if len(x) > 1 else QPainterPath())


def make_plot(font: QFont) -> tuple[Any, dict[str, Any], dict[str, Band], Any]:
    """The plot widget, its lines by name, the bands of two of them, and the hair line."""
    view = make_frame(font)
    plot = view.getPlotItem()
    bands = {which: Band(COLOURS[which]) for which in ("train", "val")}
    for band in bands.values():
        plot.addItem(band, ignoreBounds=True)
    items: dict[str, Any] = {}
    for name in ("batch", "while_learning", "train", "val"):
        items[f"raw_{name}"] = make_line(pale(COLOURS[name], RAW_ALPHA), 1.0)
    for name, width in (("batch", 1.0), ("while_learning", 1.0), ("train", 2.2), ("val", 2.2)):
        items[name] = make_line(COLOURS[name], width)
    ring = pg.mkPen(COLOURS["val"], width=1.6)
    items["best"] = pg.PlotDataItem(pen=None, symbol="o", symbolSize=9, symbolBrush=None, symbolPen=ring)
    for item in items.values():
        plot.addItem(item)
    hair = pg.InfiniteLine(angle=90, movable=False, pen=pg.mkPen("#5a6472", width=1))
    hair.hide()
    plot.addItem(hair, ignoreBounds=True)
    return view, items, bands, hair


def set_line(
    item: Any, x: NDArray[np.float64], y: NDArray[np.float64], marks: bool, dotted: bool | None = None
) -> None:
    """Give a line its points, if they are others than before; ``marks`` puts a dot on each.

    ``dotted``: between its points nothing was measured; None leaves the style as it is.
    """
    style = Qt.PenStyle.DotLine if dotted else Qt.PenStyle.SolidLine
    if dotted is not None and item.opts["pen"].style() != style:
        pen = pg.mkPen(item.opts["pen"])
        pen.setStyle(style)
        item.setPen(pen)
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


def y_range(lines: NDArray[np.float64], bands: NDArray[np.float64], log: bool) -> tuple[float, float]:
    """The range that shows the lines, and of the bands as much as leaves the lines a third of the height.

    The band of two or three people is so wide that the lines would be flat in it. As powers of ten where ``log``.
    """
    heights, edges = (v[np.isfinite(v) & ((v > 0) | (not log))] for v in (lines, bands))
    if not heights.size:
        return (-2.0, 0.0) if log else (0.0, 1.0)
    if log:
        heights, edges = np.log10(heights), np.log10(edges)
    low, high = float(heights.min()), float(heights.max())
    spare = max(0.0, _SMALLEST_RANGE - (high - low)) / 2
    low, high = low - spare, high + spare
    room = high - low
    if edges.size:
        low, high = max(low - room, min(low, float(edges.min()))), min(high + room, max(high, float(edges.max())))
    return low, high


def set_log_ticks(plot: Any, items: dict[str, Any]) -> None:
    """Write 1, 2, 5 (or only 1) of each decade on a logarithmic axis; pyqtgraph would write them all.

    ``items`` are the lines drawn; empty for an axis that is not logarithmic.
    """
    axis = plot.getAxis("left")
    if not items:
        axis.setTicks(None)
        return
    shown = [y[np.isfinite(y)] for y in (item.yData for item in items.values()) if y is not None]
    values = np.concatenate([y[y > 0] for y in shown]) if shown else np.array([])
    decades = np.log10(values.max() / values.min()) if values.size else 1.0
    steps = (1, 2, 5) if decades < _MANY_DECADES else (1,)
    axis.setTicks([[(e + np.log10(m), f"{m * 10.0**e:g}") for e in range(-9, 7) for m in steps]])
