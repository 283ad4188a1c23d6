"""Earlier runs laid beneath the curves: each in a colour of its own, dashed, with its name to hide it by."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QVBoxLayout, QWidget

from thighview.ui.cards import show_words, words
from thighview.ui.chips import Flow
from thighview.ui.curve_choice import Choice
from thighview.ui.curve_data import CurveData, Line
from thighview.ui.curve_lines import set_line
from thighview.ui.legend_button import LegendButton
from thighview.ui.plot_colours import OTHER_COLOURS

_STYLES = {"train": (1.2, Qt.PenStyle.DotLine), "val": (1.6, Qt.PenStyle.DashLine)}
_NOTHING = np.empty(0, np.float64)


@dataclass(frozen=True)
class OtherRun:
    """An earlier run. ``doubt``: why its lines cannot be compared with those of the run shown; empty if they can."""

    name: str
    data: CurveData
    doubt: str = ""


class OtherRuns(QWidget):
    """The names of the earlier runs, each a button that hides its lines; validation dashed, training dotted."""

    toggled = Signal()
    """Lines are to be hidden or shown."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: tuple[OtherRun, ...] = ()
        self.buttons: list[LegendButton] = []
        self.lines: list[dict[str, Any]] = []
        self._kept: dict[tuple[Choice, int, str], Line] = {}
        self._flow = Flow(self)
        self.hide()

    def show_runs(self, runs: tuple[OtherRun, ...]) -> None:
        """Show these and no others."""
        self.runs = runs
        self._kept.clear()
        self._flow.empty()
        self.buttons = []
        for place, run in enumerate(runs):
            press = LegendButton("", OTHER_COLOURS[place % len(OTHER_COLOURS)], thick=False, dashed=True)
            press.relabel(run.name)
            press.setToolTip("Validation dashed, training dotted. Press to hide or show.")
            press.toggled.connect(self.toggled)
            self._flow.addWidget(press)
            self.buttons.append(press)
        self.setVisible(bool(runs))
        self.updateGeometry()

    @property
    def shown(self) -> list[CurveData]:
        """The runs that are not hidden."""
        return [run.data for run, press in zip(self.runs, self.buttons, strict=True) if press.isChecked()]

    def draw(self, plot: Any, choice: Choice, train: bool, val: bool) -> list[NDArray[np.float64]]:
        """Draw into a plot, the same each time, what changed; returns the heights of all points."""
        while len(self.lines) < len(self.runs):
            self.lines.append(_make_lines(plot, OTHER_COLOURS[len(self.lines) % len(OTHER_COLOURS)]))
        heights: list[NDArray[np.float64]] = []
        for press in self.buttons:
            press.setEnabled(train or val)  # else it has no line to hide or show
        for place, pair in enumerate(self.lines):
            on = place < len(self.runs) and self.buttons[place].isChecked()
            for which, wanted in (("train", train), ("val", val)):
                x, y = self._points(choice, place, which) if on and wanted else (_NOTHING, _NOTHING)
                set_line(pair[which], x, y, marks=False)
                heights.append(y)
        return heights

    def _points(self, choice: Choice, place: int, which: str) -> Line:
        """The points of an earlier run, which never change."""
        key = (choice, place, which)
        if key not in self._kept:
            self._kept[key] = choice.points(self.runs[place].data, which)[0]
        return self._kept[key]


def _make_lines(plot: Any, colour: QColor) -> dict[str, Any]:
    from thighview.ui.curve_plot import make_line  # late: see there

    pair = {which: make_line(colour, width, style) for which, (width, style) in _STYLES.items()}
    for item in pair.values():
        item.setZValue(-1)
        plot.addItem(item)
    return pair


class Doubts(QWidget):
    """Why some of the earlier runs cannot be compared, one sentence each."""

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        self.words = words("", "warning")
        column.addWidget(self.words)
        self.hide()

    def show_runs(self, runs: tuple[OtherRun, ...]) -> None:
        """Say what is doubtful about these."""
        text = "\n".join(run.doubt for run in runs if run.doubt)
        show_words(self.words, text)
        self.setVisible(bool(text))
