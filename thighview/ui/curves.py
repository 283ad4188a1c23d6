"""Live curves of a training run: loss, accuracy and Dice, per epoch or per batch."""

from dataclasses import replace
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QImage, QMouseEvent, QShowEvent, QWheelEvent
from PySide6.QtWidgets import QButtonGroup, QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from thighview.core.run import BatchEnded, RunEvent, Started
from thighview.ui.cards import row, show_words, words
from thighview.ui.chips import Flow
from thighview.ui.curve_choice import Choice
from thighview.ui.curve_data import LINES, METRICS, CurveData, label_title
from thighview.ui.curve_lines import HEIGHT_PX, Values, joined, limits_of, set_line, set_log_ticks, y_range
from thighview.ui.curve_others import Doubts, OtherRun, OtherRuns
from thighview.ui.curve_picture import curve_picture
from thighview.ui.curve_tools import AXIS_TITLES, SMOOTHING, CurveTools, band_tip, segment
from thighview.ui.legend_button import LegendButton
from thighview.ui.plot_colours import COLOURS

NAMES = {**dict(LINES), "batch": "while learning"}
REDRAW_MS = 100
POINTS_PER_MS = 20
FEW_POINTS = 60
ALL_LABELS = "all labels"
BANDS_AT_ONCE = 10
"""Places of a band that are worked out in one drawing; the rest follows in the next ones, soon."""
SOON_MS = 15
ALL_OF_THEM = 1 << 30
_WIDTHS = {name: width for name, _, width in SMOOTHING}
_NOTHING = np.empty(0, np.float64)


class Curves(QWidget):
    """The curves of one run, drawn at most ten times a second, and beneath them those of earlier runs.

    Training and validation lines are measured alike, at the end of each epoch, each with the 95 % band of its mean
    over people; the running average is the thin grey line named "while learning".
    """

    shown_changed = Signal()
    """Another metric or label is shown."""

    save_picture_asked = Signal()
    """The person wants the curves as PNG."""
    save_table_asked = Signal()
    """The person wants the curves as CSV."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.data = CurveData()
        self._choice = Choice()
        self._zoomed = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self._draw)
        self._view: Any = None
        self._items: dict[str, Any] = {}
        self._bands: dict[str, Any] = {}
        self._hair: Any = None
        self.others = OtherRuns()
        self.others.toggled.connect(self.redraw_soon)
        self.doubts = Doubts()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self._choices())
        self._picture_part = QWidget()
        self._picture_part.setProperty("plain", True)
        part = QVBoxLayout(self._picture_part)
        part.setContentsMargins(0, 0, 0, 0)
        part.setSpacing(4)
        part.addLayout(self._legend())
        self._place = QVBoxLayout()
        self._place.addSpacing(HEIGHT_PX)
        part.addLayout(self._place)
        part.addWidget(self.doubts)
        column.addWidget(self._picture_part)
        self.readout = words("", "muted")
        self.readout.setAlignment(Qt.AlignmentFlag.AlignTop)
        column.addWidget(self.readout)
        column.addWidget(self._make_tools())
        self._say_hint()

    # ------------------------------------------------------------------ what is shown

    def show_run(self, data: CurveData) -> None:
        """Show another run from its beginning, with the zoom reset."""
        self.data = data
        self._offer_labels()
        self.reset_zoom()

    def add(self, event: RunEvent) -> None:
        """Take a live event."""
        if isinstance(event, Started):
            self.data.add(event)
            self._offer_labels()
            self.redraw_soon()
        elif self.data.add(event) and (self._choice.per_batch or not isinstance(event, BatchEnded)):
            self.redraw_soon()

    def show_others(self, runs: tuple[OtherRun, ...]) -> None:
        """Lay the training and validation lines of these earlier runs beneath, and no others."""
        self.others.show_runs(runs)
        self.doubts.show_runs(runs)
        self.redraw_soon()

    def choose(
        self,
        metric: str | None = None,
        axis: str | None = None,
        log: bool | None = None,
        label: str | None = None,
        smoothing: str | None = None,
    ) -> None:
        """Choose the metric, the axis (epochs, minutes, batches), a logarithmic loss, a label, the smoothing."""
        if metric is not None:
            self.metric_buttons[metric].setChecked(True)
            self._choice = replace(self._choice, metric=metric)
        if axis is not None:
            self.tools.axis_buttons[axis].setChecked(True)
            self._choice = replace(self._choice, axis=axis)
            if self._view:
                self._view.getPlotItem().getAxis("bottom").count_minutes(axis == "minutes")
        if log is not None:
            self.log_button.setChecked(log)
            self._choice = replace(self._choice, log=log)
        if label is not None:
            self.label_choice.setCurrentIndex(self.label_choice.findData(label))
            self._choice = replace(self._choice, label=label)
        if smoothing is not None:
            self.tools.smoothing.setCurrentIndex(self.tools.smoothing.findData(smoothing))
            self._choice = replace(self._choice, width=_WIDTHS[smoothing])
        self.log_button.setVisible(self._choice.metric == "loss")
        self.label_choice.setVisible(len(self.data.labels) > 1)
        self.legend["while_learning"].setVisible(not self._choice.label)
        self.reset_zoom()
        self.shown_changed.emit()

    @property
    def metric_shown(self) -> str:
        """``loss``, ``accuracy`` or ``dice``."""
        return self._choice.metric

    @property
    def label_shown(self) -> str:
        """The one label whose lines are shown; empty for all."""
        return self._choice.label

    def reset_zoom(self) -> None:
        """Show all of the curves again."""
        self._zoomed = False
        self.zoom_button.hide()
        self.redraw_soon()

    def redraw_soon(self) -> None:
        """Draw within a tenth of a second, a little later when there are thousands of points; never twice for one."""
        if not self._timer.isActive():
            points = len(self.data.batches) if self._choice.per_batch else len(self.data.epochs)
            self._timer.start(REDRAW_MS + points // POINTS_PER_MS)

    def heading(self, run: str) -> str:
        """What is shown, in one line: the run, the metric, whose lines, how smoothed."""
        whose = label_title(self._choice.label) if self._choice.label else ALL_LABELS
        smoothed = [self.tools.smoothing.currentText().lower()] if self._choice.width else []
        return " · ".join([*filter(None, [run]), dict(METRICS)[self._choice.metric], whose, *smoothed])

    def picture(self, run: str) -> QImage:
        """Legend and plot as a picture, at twice the size on the screen, that says what it shows of which run."""
        while self._make_plot():
            pass
        self._draw(ALL_OF_THEM)
        plot = self._view.geometry()
        axis, metric = AXIS_TITLES[self._choice.axis], dict(METRICS)[self._choice.metric]
        return curve_picture(self._picture_part, plot, self.heading(run), axis, metric)

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what came in while hidden."""
        super().showEvent(event)
        self.redraw_soon()

    # ------------------------------------------------------------------ parts

    def _choices(self) -> QWidget:
        both = QWidget()
        flow = Flow(both)
        group = QButtonGroup(self)
        self.metric_buttons: dict[str, QPushButton] = {}
        for index, (metric, text) in enumerate(METRICS):
            press = segment(text, ("first", "middle", "last")[index])
            press.setChecked(metric == self._choice.metric)
            press.clicked.connect(lambda _=False, m=metric: self.choose(metric=m))
            group.addButton(press)
            self.metric_buttons[metric] = press
        together = QWidget()
        together.setLayout(row(*self.metric_buttons.values(), spacing=0))
        self.label_choice = QComboBox()
        self.label_choice.setToolTip("The lines of one label, or of all together")
        self.label_choice.activated.connect(lambda _: self.choose(label=self.label_choice.currentData()))
        self.label_choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        flow.addWidget(together)
        flow.addWidget(self.label_choice)
        return both

    def _offer_labels(self) -> None:
        """The labels of the run shown; the one chosen stays while the run has it."""
        self.label_choice.clear()
        self.label_choice.addItem(ALL_LABELS, "")
        for name in self.data.labels:
            self.label_choice.addItem(label_title(name), name)
        self.choose(label=self._choice.label if self._choice.label in self.data.labels else "")

    def _legend(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(10)
        self.legend: dict[str, LegendButton] = {}
        for which, text in LINES:
            press = LegendButton(text, COLOURS[which], which != "while_learning")
            press.toggled.connect(self.redraw_soon)
            self.legend[which] = press
            line.addWidget(press)
        self.legend["while_learning"].setToolTip(
            "The running average, while the weights still change and images are distorted: reads lower than it is"
        )
        line.addStretch(1)
        box = QVBoxLayout()
        box.setSpacing(0)
        box.addLayout(line)
        box.addWidget(self.others)
        whole = QHBoxLayout()
        whole.addLayout(box)
        return whole

    def _make_tools(self) -> CurveTools:
        tools = self.tools = CurveTools()
        self.log_button, self.zoom_button = tools.log_button, tools.zoom_button
        self.picture_button, self.table_button = tools.picture_button, tools.table_button
        tools.axis_chosen.connect(lambda axis: self.choose(axis=axis))
        tools.log_chosen.connect(lambda on: self.choose(log=on))
        tools.smoothing_chosen.connect(lambda name: self.choose(smoothing=name))
        tools.all_asked.connect(self.reset_zoom)
        tools.picture_asked.connect(self.save_picture_asked)
        tools.table_asked.connect(self.save_table_asked)
        return tools

    # ------------------------------------------------------------------ drawing

    def _make_plot(self) -> bool:
        """Put the plot where room was left for it, in two steps; whether there was one left to do.

        Both at once, or with the first drawing, would hold the window up.
        """
        from thighview.ui.curve_plot import fill_frame, make_frame  # late: see there

        if self._items:
            return False
        if self._view:
            self._items, self._bands, self._hair = fill_frame(self._view)
            self._view.scene().sigMouseMoved.connect(self._hovered)
            self._view.viewport().installEventFilter(self)
            return True
        self._view = make_frame(self.font())
        plot = self._view.getPlotItem()
        plot.getAxis("bottom").count_minutes(self._choice.axis == "minutes")
        plot.getViewBox().sigRangeChangedManually.connect(self._user_zoomed)
        self._place.takeAt(0)
        self._place.addWidget(self._view)
        return True

    def _draw(self, bands_at_once: int = BANDS_AT_ONCE) -> None:
        if not self.isVisible():
            return
        if self._make_plot():
            self._timer.start(SOON_MS)
            return
        plot = self._view.getPlotItem()
        log = self._choice.logarithmic
        if plot.getAxis("left").logMode != log:
            plot.setLogMode(y=log)
        train, val, learning = (self.legend[which].isChecked() for which in ("train", "val", "while_learning"))
        bands = {which: self._band(which, on, bands_at_once) for which, on in (("train", train), ("val", val))}
        own = [
            *self._draw_line("train", train),
            *self._draw_line("val", val),
            *self._draw_line("batch", learning and self._choice.per_batch),
        ]
        beneath = self._draw_line("while_learning", learning and not self._choice.per_batch)
        beneath += [edge for x, *edges in bands.values() if len(x) > 1 for edge in edges]  # one place alone is no area
        others = self.others.draw(plot, self._choice, train, val)
        lines = joined(own)
        low, high = y_range(lines, joined(beneath), log, joined(others), limits_of(self._choice.metric, lines))
        for which, band in bands.items():
            self._draw_band(which, band, low)
        self._draw_best()
        people = self.data.people("val", self._choice.metric, self._choice.label)
        rows = 3 if people else 2  # so that pointing does not move what is below
        self.readout.setMinimumHeight(self.readout.fontMetrics().lineSpacing() * rows + 2)
        if not self._zoomed:
            last = max((self._choice.length(data) for data in (self.data, *self.others.shown)), default=0.0)
            plot.setRange(xRange=(0, last or 1), yRange=(low, high), padding=0.04)
            set_log_ticks(plot, self._items if log else {})

    def _draw_line(self, which: str, shown: bool) -> list[Values]:
        """Draw one line of the run, and its unsmoothed self; returns the heights of their points."""
        line, raw = self._choice.points(self.data, which) if shown else ((_NOTHING, _NOTHING), (_NOTHING, _NOTHING))
        few = len(line[0]) <= (FEW_POINTS if which in ("train", "val") else 1)  # a line of one point would not be seen
        gaps = len(line[0]) < len(self.data.epochs) if which == "train" else None
        set_line(self._items[which], *line, marks=few and not len(raw[0]), dotted=gaps)
        set_line(self._items[f"raw_{which}"], *raw, marks=False)
        return [line[1], raw[1]]

    def _band(self, which: str, shown: bool, at_once: int) -> tuple[Values, Values, Values]:
        """Places of the band of one line, once it is complete, and its edges no further than the metric goes."""
        x, low, high, complete = self._choice.band(self.data, which, at_once)
        measured = len(self.data.line(self._choice.metric, which)[0])
        people = self.data.people(which, self._choice.metric, self._choice.label)
        made_up = which == "val" and self.data.val_is_phantoms
        tip = band_tip(people, measured, len(self.data.epochs), made_up)
        if self.legend[which].toolTip() != tip:
            self.legend[which].setToolTip(tip)
        if not complete:
            self._timer.start(SOON_MS)
        if not complete or not shown:
            return _NOTHING, _NOTHING, _NOTHING
        return self._choice.places(self.data, x), low, high

    def _draw_band(self, which: str, band: tuple[Values, Values, Values], axis_low: float) -> None:
        """Draw the band of one line; what is 0 lies beneath the axis where that is logarithmic."""
        x, *edges = band
        if self._choice.logarithmic:
            edges = [np.log10(np.maximum(edge, 10.0 ** (axis_low - 1))) for edge in edges]
        self._bands[which].show_band(x, *edges)

    def _draw_best(self) -> None:
        x, y = self.data.line(self._choice.metric, "val", self._choice.label)
        here = (x == self.data.best_epoch) & self.legend["val"].isChecked()
        if self._choice.logarithmic:
            here &= y > 0
        x = x[here]
        set_line(self._items["best"], self._choice.places(self.data, x), y[here], marks=True)

    # ------------------------------------------------------------------ mouse

    def _user_zoomed(self, *_: object) -> None:
        self._zoomed = True
        self.zoom_button.show()

    def _hovered(self, place: QPointF) -> None:
        plot = self._view.getPlotItem()
        if not plot.sceneBoundingRect().contains(place):
            self._hair.hide()
            self._say_hint()
            return
        x = plot.getViewBox().mapSceneToView(place).x()
        if self._choice.axis == "minutes":
            x = self.data.place_at(x)
        title, values = self.data.at(x, self._choice.metric, self._choice.per_batch, self._choice.label)
        if not title:
            return
        epoch = float(title.split()[1].rstrip(","))
        if self._choice.axis == "minutes":
            at = float(self.data.minutes_at(np.array([epoch]))[0])
            title += f", {at:.1f} min"
        else:
            at = x if self._choice.per_batch else epoch
        self._hair.setPos(at)
        self._hair.show()
        if self._choice.per_batch:
            values.pop("while_learning", None)
        parts = [f"{NAMES[which]} {value:.4f}{self._interval_at(which, epoch)}" for which, value in values.items()]
        show_words(self.readout, " · ".join([title, *parts]))

    def _interval_at(self, which: str, epoch: float) -> str:
        """The ends of the band drawn at an epoch, in brackets; empty where there is none."""
        if which not in self._bands or not self._bands[which].ends.size:
            return ""
        x, *edges, _ = self._choice.band(self.data, which, 0)
        ends = [f"{end:.4f}" for edge in edges for end in edge[x == epoch]]
        return f" ({' to '.join(ends)})" if ends else ""

    def _say_hint(self) -> None:
        show_words(
            self.readout,
            "Point for values; drag, Ctrl+wheel and double-click move, zoom and reset. Ring: best validation loss.",
        )

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The wheel scrolls the panel unless Ctrl is held; a double click shows all."""
        if watched is not self._view.viewport():
            return False
        if isinstance(event, QWheelEvent):
            if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                return False
            event.ignore()
            return True
        if isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseButtonDblClick:
            self.reset_zoom()
            return True
        if event.type() == QEvent.Type.Leave:
            self._hair.hide()
            self._say_hint()
        return False
