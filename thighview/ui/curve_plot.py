"""Plots, still empty: axes, lines, the ring of the best epoch, the hair line.

pyqtgraph takes a quarter of the program's start to load, so this module is loaded by whoever draws into a plot for the
first time, or by ``application.load_plots`` before that, and by nobody when the program starts.
"""

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QPainterPath
from PySide6.QtWidgets import QFrame, QGraphicsPathItem

from thighview.ui.curve_lines import HEIGHT_PX, SMALLEST_RANGE
from thighview.ui.plot_colours import COLOURS, pale

SAMPLES_PER_PIXEL = 1.0
"""More are joined to their least and greatest before a line is painted."""
BAND_ALPHA = 38
RAW_ALPHA = 95
_LEFT_PX = 46
_TICKS, _CLOCK_TICKS = 1.6, 0.9
"""Density of the ticks, in the measure of pyqtgraph."""


class NumberAxis(pg.AxisItem):
    """An axis that writes a minus sign where pyqtgraph writes a hyphen."""

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """What is written at the ticks."""
        return [text.replace("-", "−") for text in super().tickStrings(values, scale, spacing)]


class EpochAxis(NumberAxis):
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


def make_frame(font: QFont, height_px: int = HEIGHT_PX) -> Any:
    """A plot widget with its axes and nothing in it; pyqtgraph is only partly typed."""
    axes = {"bottom": EpochAxis("bottom"), "left": NumberAxis("left")}
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
    plot.getViewBox().setLimits(minYRange=SMALLEST_RANGE)
    plot.getViewBox().disableAutoRange()  # the range is set once for a drawing: following the lines costs 20 ms more
    return view


def make_line(colour: QColor, width: float, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> Any:
    """A line without points."""
    pen = pg.mkPen(colour, width=width, style=style)
    item = pg.PlotDataItem(pen=pen, antialias=True, symbolBrush=colour, symbolPen=None, symbolSize=4)
    item.opts["autoDownsampleFactor"] = SAMPLES_PER_PIXEL
    return item


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


def fill_frame(view: Any) -> tuple[dict[str, Any], dict[str, Band], Any]:
    """Put in what shows a run: lines by name, the bands of two of them, and the hair line."""
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
    return items, bands, hair


def make_square(font: QFont, edge_px: int) -> tuple[Any, Any]:
    """A square plot of 0 to 1 against 0 to 1 that nobody moves, with its diagonal, and the line to be filled."""
    view: Any = pg.PlotWidget(background=None, enableMenu=False)  # pyright: ignore[reportArgumentType]
    view.setFrameShape(QFrame.Shape.NoFrame)
    view.setFixedSize(edge_px, edge_px)
    view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
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
