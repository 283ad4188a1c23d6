"""A metric against the number of people it is averaged over, with the number of people an interval needs."""

from typing import Any

import numpy as np
from PySide6.QtWidgets import QVBoxLayout

from thighview.core.gap import PER_CENT
from thighview.core.people import values_of
from thighview.core.run import EpochEnded
from thighview.core.sample_size import by_sample_size, people_needed
from thighview.ui.cards import Fold, count, row, show_words, words
from thighview.ui.curve_lines import limits_of, set_line, y_range
from thighview.ui.curve_table import people_of
from thighview.ui.interval_wish import IntervalWish
from thighview.ui.plot_colours import COLOURS

RULE = (
    "A proper mean is flat. If your line slopes, the metric depends on how many samples are lumped together. "
    "Band: the middle 95 % of 500 draws of so many people."
)
_HEIGHT_PX = 150
_LINES = {"train": "training", "val": "validation"}


class SampleSizeFold(Fold):
    """Drawn only while it is open."""

    def __init__(self) -> None:
        column = QVBoxLayout()
        column.setSpacing(6)
        self.where = words("", "muted")
        self.view: Any = None
        self.bands: dict[str, Any] = {}
        self.lines: dict[str, Any] = {}
        self._place = QVBoxLayout()
        self.rule = words(RULE, "muted")
        self.half_width = IntervalWish()
        self.half_width.valueChanged.connect(self._say_needed)
        self.needed = words("")
        column.addWidget(self.where)
        column.addLayout(self._place)
        column.addWidget(self.rule)
        column.addLayout(row(words("Interval wanted", "muted", wrap=False), self.half_width))
        column.addWidget(self.needed)
        super().__init__("Metric against number of people", column)
        self.heading.toggled.connect(self._draw)
        self._epoch: EpochEnded | None = None
        self._metric, self._label_words, self._made_up = "", "", False
        self._values: dict[str, list[float]] = {which: [] for which in _LINES}

    def show_epoch(
        self, epoch: EpochEnded | None, metric: str, label: int | None = None, words_: str = "", made_up: bool = False
    ) -> None:
        """Show the people of an epoch; hidden without any. ``label`` is a place, ``words_`` its name.

        ``made_up``: the validation people are phantoms, which tell nothing of how far people differ.
        """
        if epoch is self._epoch and (metric, words_, made_up) == (self._metric, self._label_words, self._made_up):
            return
        before, self._metric = self._metric, metric
        self._epoch, self._label_words, self._made_up = epoch, words_, made_up
        self._values = {which: values_of(people_of(epoch, which), metric, label) if epoch else [] for which in _LINES}
        self.setVisible(any(len(values) > 1 for values in self._values.values()))
        if (metric in PER_CENT) != (before in PER_CENT) or not before:
            self.half_width.show_units_of(metric)
        self._draw()

    def _make_plot(self) -> None:
        from thighview.ui.curve_plot import Band, make_frame, make_line  # late: see there

        self.view = make_frame(self.font(), _HEIGHT_PX)
        self.view.setToolTip("Across: number of people the metric is averaged over")
        self.view.setMouseEnabled(x=False, y=False)
        self.bands = {which: Band(COLOURS[which]) for which in _LINES}
        self.lines = {which: make_line(COLOURS[which], 2.2) for which in _LINES}
        for item in (*self.bands.values(), *self.lines.values()):
            self.view.getPlotItem().addItem(item)
        self._place.addWidget(self.view)

    def _draw(self, _opened: bool = True) -> None:
        if not self.heading.isChecked() or self._epoch is None:
            return
        if not self.view:
            self._make_plot()
        of = f" of {self._label_words}" if self._label_words else ""
        people = [f"{_LINES[k]} {self._so_many(k)}" for k, values in self._values.items() if values]
        show_words(self.where, f"{self._metric.capitalize()}{of}, epoch {self._epoch.epoch}: {', '.join(people)}.")
        heights: list[Any] = [np.empty(0)]
        limits = limits_of(self._metric, np.concatenate(list(self._values.values())))
        for which, values in self._values.items():
            sizes = by_sample_size(values)
            x = sizes.n.astype(np.float64)
            set_line(self.lines[which], x, sizes.mean, marks=True)
            edges = [np.clip(edge, *limits) for edge in (sizes.low, sizes.high)]
            self.bands[which].show_band(x, *edges)
            heights += edges
        most = max(len(values) for values in self._values.values())
        low, high = y_range(np.concatenate(heights), np.array([]), log=False, limits=limits)
        self.view.getPlotItem().setRange(xRange=(1, max(2, most)), yRange=(low, high), padding=0.05)
        self._say_needed()

    def _so_many(self, which: str) -> str:
        one, many = ("made-up thigh", "made-up thighs") if self._made_up and which == "val" else ("person", "people")
        return count(len(self._values[which]), one, many)

    def _say_needed(self, _value: float = 0.0) -> None:
        which = "val" if len(self._values["val"]) > 1 and not self._made_up else "train"
        values = self._values[which]
        wanted = self.half_width.wanted
        needed = people_needed(values, wanted)
        if needed is None:
            show_words(self.needed, "How far people differ takes two of them at least.")
            return
        spread = float(np.std(values, ddof=1))
        unit, scale, digits = (" points", 100.0, 1) if self._metric in PER_CENT else ("", 1.0, 4)
        show_words(
            self.needed,
            f"{needed:,} people for a 95 % interval of ±{wanted * scale:.{self.half_width.decimals()}f}{unit}: the "
            f"{len(values)} {_LINES[which]} people differ by {spread * scale:.{digits}f}{unit} (standard deviation).",
        )
