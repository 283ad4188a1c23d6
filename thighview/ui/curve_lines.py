"""What a plot of curves is given: the points of its lines, the range that shows them, the ticks of its axis."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QPen

HEIGHT_PX = 220
"""Of a plot of curves."""
_MANY_POINTS = 2000
_MANY_DECADES = 2.2
SMALLEST_RANGE = 0.01
"""A curve that hardly moves is shown flat, not blown up to the height of the plot."""


def set_line(
    item: Any, x: NDArray[np.float64], y: NDArray[np.float64], marks: bool, dotted: bool | None = None
) -> None:
    """Give a line its points, if they are others than before; ``marks`` puts a dot on each.

    ``dotted``: between its points nothing was measured; None leaves the style as it is.
    """
    style = Qt.PenStyle.DotLine if dotted else Qt.PenStyle.SolidLine
    if dotted is not None and item.opts["pen"].style() != style:
        pen = QPen(item.opts["pen"])
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
    spare = max(0.0, SMALLEST_RANGE - (high - low)) / 2
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
