"""What a plot of curves is given: the points of its lines, the range that shows them, the ticks of its axis."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QPen

from thighview.core.gap import PER_CENT

Values = NDArray[np.float64]
Limits = tuple[float, float]
HEIGHT_PX = 220
"""Of a plot of curves."""
_MANY_POINTS = 2000
_MANY_DECADES = 2.2
SMALLEST_RANGE = 0.01
"""A curve that hardly moves is shown flat, not blown up to the height of the plot."""
_NOTHING = np.empty(0, np.float64)


def set_line(item: Any, x: Values, y: Values, marks: bool, dotted: bool | None = None) -> None:
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


def joined(parts: Sequence[Values]) -> Values:
    """All heights of some lines, one after the other."""
    return np.concatenate([_NOTHING, *parts])


def limits_of(metric: str, values: Values = _NOTHING) -> Limits:
    """The least and the greatest value that a metric can have; Student's interval knows of neither.

    A loss ends at 0, unless some of its ``values`` lie below: a Dice is taken off the loss ``combo``.
    """
    if metric in PER_CENT:
        return 0.0, 1.0
    return (0.0 if np.min(values, initial=0.0) >= 0.0 else -math.inf), math.inf


def y_range(
    lines: Values, beneath: Values, log: bool, others: Values = _NOTHING, limits: Limits = (-math.inf, math.inf)
) -> tuple[float, float]:
    """The range that shows the run's own lines, and all of the earlier runs they are compared with.

    Of what lies beneath, bands and the line while learning, it shows as much as leaves the own lines a third of the
    height: the band of two or three people is so wide that they would be flat in it. As powers of ten where ``log``.
    """
    own, edges, far = (v[np.isfinite(v) & ((v > 0) | (not log))] for v in (lines, beneath, others))
    own = next((v for v in (own, far, edges) if v.size), own)
    if not own.size:
        return (-2.0, 0.0) if log else (0.0, 1.0)
    if log:
        own, edges, far = np.log10(own), np.log10(edges), np.log10(far)
    low, high = float(own.min()), float(own.max())
    spare = max(0.0, SMALLEST_RANGE - (high - low)) / 2
    low, high = low - spare, high + spare
    if spare and not log:
        inwards = max(0.0, limits[0] - low) - max(0.0, high - limits[1])
        low, high = low + inwards, high + inwards
    room = high - low
    if edges.size:
        low, high = max(low - room, min(low, float(edges.min()))), min(high + room, max(high, float(edges.max())))
    return float(np.min(far, initial=low)), float(np.max(far, initial=high))


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
    axis.setTicks([[(e + np.log10(m), f"{m * 10.0**e:g}".replace("-", "−")) for e in range(-9, 7) for m in steps]])
