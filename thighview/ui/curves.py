"""Live curves of a training run: loss, accuracy and Dice, per epoch or per batch."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QShowEvent, QWheelEvent
from PySide6.QtWidgets import QButtonGroup, QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from thighview.core.run import BatchEnded, RunEvent, Started
from thighview.ui.cards import button, show_words, words
from thighview.ui.curve_data import LINES, METRICS, CurveData, label_title
from thighview.ui.curve_plot import COLOURS, make_plot, set_line, y_range
from thighview.ui.legend_button import LegendButton

NAMES = {**dict(LINES), "batch": "while learning"}
GROUND = QColor("#161b22")
REDRAW_MS = 100
POINTS_PER_MS = 20
FEW_POINTS = 60
MANY_DECADES = 2.2
ALL_LABELS = "all labels"
_NOTHING = np.empty(0, np.float64)


class Curves(QWidget):
    """The curves of one run, drawn at most ten times a second, and over them those of an earlier run.

    Training and validation lines are measured alike, at the end of each epoch; Keras' running average is the thin
    grey line named "while learning".
    """

    save_picture_asked = Signal()
    """The person wants the curves as PNG."""
    save_table_asked = Signal()
    """The person wants the curves as CSV."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.data = CurveData()
        self._other: CurveData | None = None
        self._metric, self._per_batch, self._log = "dice", False, False
        self._label = ""
        self._zoomed = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self._draw)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._choices())
        self._picture_part = QWidget()
        self._picture_part.setProperty("plain", True)
        part = QVBoxLayout(self._picture_part)
        part.setContentsMargins(0, 0, 0, 0)
        part.setSpacing(4)
        part.addLayout(self._legend())
        self._view, self._items, self._hair = make_plot(self.font())
        self._view.getPlotItem().getViewBox().sigRangeChangedManually.connect(self._user_zoomed)
        self._view.scene().sigMouseMoved.connect(self._hovered)
        self._view.viewport().installEventFilter(self)
        part.addWidget(self._view)
        self.other_words = words("", "warning")
        self.other_words.setContentsMargins(0, 4, 0, 0)
        self.other_words.hide()
        part.addWidget(self.other_words)
        column.addWidget(self._picture_part)
        self.readout = words("", "muted")
        self.readout.setMinimumHeight(self.readout.fontMetrics().height() * 2 + 2)
        self.readout.setAlignment(Qt.AlignmentFlag.AlignTop)
        column.addWidget(self.readout)
        column.addLayout(self._tools())
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
        elif self.data.add(event) and (self._per_batch or not isinstance(event, BatchEnded)):
            self.redraw_soon()

    def show_other(self, name: str, data: CurveData | None, doubt: str = "") -> None:
        """Lay an earlier run's training and validation lines beneath, dashed; None takes them away.

        ``doubt``: why its lines cannot be compared with those of the run shown; part of the picture.
        """
        self._other = data
        self.other_button.setVisible(data is not None)
        self.other_button.relabel(name)
        show_words(self.other_words, doubt)
        self.redraw_soon()

    def choose(
        self,
        metric: str | None = None,
        per_batch: bool | None = None,
        log: bool | None = None,
        label: str | None = None,
    ) -> None:
        """Choose the metric, points per batch or per epoch, a logarithmic loss, the label whose Dice is shown."""
        if metric is not None:
            self.metric_buttons[metric].setChecked(True)
            self._metric = metric
        if per_batch is not None:
            self.batch_button.setChecked(per_batch)
            self._per_batch = per_batch
        if log is not None:
            self.log_button.setChecked(log)
            self._log = log
        if label is not None:
            self.label_choice.setCurrentIndex(self.label_choice.findData(label))
            self._label = label
        self.log_button.setVisible(self._metric == "loss")
        self.label_choice.setVisible(self._metric == "dice" and len(self.data.labels) > 1)
        of_label = self._label_shown
        for which in ("train", "while_learning"):
            self.legend[which].setVisible(not of_label)
        self.legend["val"].relabel(f"{NAMES['val']}, {label_title(of_label)}" if of_label else NAMES["val"], 250)
        self.reset_zoom()

    @property
    def _label_shown(self) -> str:
        """The one label whose Dice is shown; empty for all. Only the validation Dice is known label by label."""
        return self._label if self._metric == "dice" else ""

    def reset_zoom(self) -> None:
        """Show all of the curves again."""
        self._zoomed = False
        self.zoom_button.hide()
        self.redraw_soon()

    def redraw_soon(self) -> None:
        """Draw within a tenth of a second, a little later when there are thousands of points; never twice for one."""
        if not self._timer.isActive():
            points = len(self.data.batches) if self._per_batch else len(self.data.epochs)
            self._timer.start(REDRAW_MS + points // POINTS_PER_MS)

    def picture(self) -> QImage:
        """Legend and plot as a picture, at twice the size on the screen."""
        self._draw()
        part = self._picture_part
        margin = 12
        image = QImage(2 * (part.width() + 2 * margin), 2 * (part.height() + 2 * margin), QImage.Format.Format_ARGB32)
        image.setDevicePixelRatio(2.0)
        image.fill(GROUND)
        painter = QPainter(image)
        part.render(painter, QPointF(margin, margin).toPoint())
        painter.end()
        return image

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what came in while hidden."""
        super().showEvent(event)
        self.redraw_soon()

    # ------------------------------------------------------------------ parts

    def _choices(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(0)
        group = QButtonGroup(self)
        self.metric_buttons: dict[str, QPushButton] = {}
        for index, (metric, text) in enumerate(METRICS):
            press = _segment(text, ("first", "middle", "last")[index])
            press.setChecked(metric == self._metric)
            press.clicked.connect(lambda _=False, m=metric: self.choose(metric=m))
            group.addButton(press)
            self.metric_buttons[metric] = press
            line.addWidget(press)
        line.addStretch(1)
        self.log_button = _segment("log", "only")
        self.log_button.setToolTip("Logarithmic loss axis")
        self.log_button.clicked.connect(lambda on: self.choose(log=on))
        self.log_button.hide()
        line.addWidget(self.log_button)
        self.label_choice = QComboBox()
        self.label_choice.setToolTip("Validation Dice of one label, or the mean over all")
        self.label_choice.activated.connect(lambda _: self.choose(label=self.label_choice.currentData()))
        self.label_choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.label_choice.setMinimumContentsLength(9)
        line.addSpacing(8)
        line.addWidget(self.label_choice, 2)
        return line

    def _offer_labels(self) -> None:
        """The labels of the run shown; the one chosen stays while the run has it."""
        self.label_choice.clear()
        self.label_choice.addItem(ALL_LABELS, "")
        for name in self.data.labels:
            self.label_choice.addItem(label_title(name), name)
        self.choose(label=self._label if self._label in self.data.labels else "")

    def _legend(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(10)
        self.legend: dict[str, LegendButton] = {}
        for which, text in LINES:
            press = LegendButton(text, COLOURS[which], which != "while_learning")
            press.toggled.connect(self.redraw_soon)
            self.legend[which] = press
            line.addWidget(press)
        self.legend["train"].setToolTip("Measured at the end of each epoch, like validation: no dropout, no distortion")
        self.legend["while_learning"].setToolTip(
            "Keras' running average, while the weights still change and images are distorted: reads lower than it is"
        )
        line.addStretch(1)
        box = QVBoxLayout()
        self.other_button = LegendButton("earlier run", QColor("#aeb6c1"), thick=False, dashed=True)
        self.other_button.toggled.connect(self.redraw_soon)
        self.other_button.hide()
        box.setSpacing(0)
        box.addLayout(line)
        box.addWidget(self.other_button)
        whole = QHBoxLayout()
        whole.addLayout(box)
        return whole

    def _tools(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(0)
        pair = QButtonGroup(self)
        self.epoch_button, self.batch_button = _segment("epochs", "first"), _segment("batches", "last")
        self.epoch_button.setChecked(True)
        self.epoch_button.setToolTip("One point per epoch")
        self.batch_button.setToolTip("Keras' running average after each batch, as the network learns")
        for press, value in ((self.epoch_button, False), (self.batch_button, True)):
            pair.addButton(press)
            press.clicked.connect(lambda _=False, v=value: self.choose(per_batch=v))
            line.addWidget(press)
        self.zoom_button = button("Show all", self.reset_zoom, "Reset the zoom (double-click)", "quiet")
        self.zoom_button.hide()
        self.picture_button = button("PNG", self.save_picture_asked.emit, "Save the curves as a picture", "quiet")
        self.table_button = button("CSV", self.save_table_asked.emit, "Save the numbers of every epoch", "quiet")
        line.addStretch(1)
        line.addWidget(self.zoom_button)
        line.addWidget(self.picture_button)
        line.addWidget(self.table_button)
        return line

    # ------------------------------------------------------------------ drawing

    def _draw(self) -> None:
        if not self.isVisible():
            return
        plot = self._view.getPlotItem()
        log = self._log and self._metric == "loss"
        if plot.getAxis("left").logMode != log:
            plot.setLogMode(y=log)
        train, val, learning = (self.legend[which].isChecked() for which in ("train", "val", "while_learning"))
        other = self._other if self.other_button.isChecked() else None
        drawn = [
            self._draw_line("train", self.data, "train", train),
            self._draw_line("val", self.data, "val", val),
            self._draw_line("while_learning", self.data, "while_learning", learning and not self._per_batch),
            self._draw_line("batch", self.data, "batch", learning and self._per_batch),
            self._draw_line("other_train", other, "train", train),
            self._draw_line("other_val", other, "val", val),
        ]
        self._draw_best()
        if not self._zoomed:
            shown = [data for data in (self.data, other) if data]
            last = max((_epochs_shown(data) for data in shown), default=0)
            low, high = y_range(np.concatenate(drawn), log)
            plot.setRange(xRange=(0, max(1, last)), yRange=(low, high), padding=0.04)
            self._set_log_ticks(log)

    def _set_log_ticks(self, log: bool) -> None:
        """Write 1, 2, 5 (or only 1) of each decade on a logarithmic axis; pyqtgraph would write them all."""
        axis = self._view.getPlotItem().getAxis("left")
        if not log:
            axis.setTicks(None)
            return
        shown = [y[np.isfinite(y)] for y in (item.yData for item in self._items.values()) if y is not None]
        values = np.concatenate([y[y > 0] for y in shown]) if shown else np.array([])
        decades = np.log10(values.max() / values.min()) if values.size else 1.0
        steps = (1, 2, 5) if decades < MANY_DECADES else (1,)
        axis.setTicks([[(e + np.log10(m), f"{m * 10.0**e:g}") for e in range(-9, 7) for m in steps]])

    def _draw_line(self, item: str, data: CurveData | None, which: str, shown: bool) -> NDArray[np.float64]:
        """Draw one line; returns the heights of its points."""
        x, y = data.line(self._metric, which, self._label_shown) if data and shown else (_NOTHING, _NOTHING)
        if self._log and self._metric == "loss":
            x, y = x[y > 0], y[y > 0]
        set_line(self._items[item], x, y, marks=item in ("train", "val") and len(x) <= FEW_POINTS)
        return y

    def _draw_best(self) -> None:
        x, y = self.data.line(self._metric, "val", self._label_shown)
        here = (x == self.data.best_epoch) & self.legend["val"].isChecked()
        if self._log and self._metric == "loss":
            here &= y > 0
        set_line(self._items["best"], x[here], y[here], marks=True)

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
        title, values = self.data.at(x, self._metric, self._per_batch, self._label_shown)
        if not title:
            return
        self._hair.setPos(float(title.split()[1].rstrip(",")) if not self._per_batch else x)
        self._hair.show()
        if self._per_batch:
            values.pop("while_learning", None)
        parts = [f"{NAMES[which]} {value:.4g}" for which, value in values.items()]
        show_words(self.readout, " · ".join([title, *parts]))

    def _say_hint(self) -> None:
        show_words(self.readout, "Point at the curves for values. The ring marks the best validation loss so far.")

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The wheel scrolls the panel unless Ctrl is held; a double click shows all."""
        view = self._view
        if watched is not view.viewport():
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


def _segment(text: str, place: str) -> QPushButton:
    """One button of a group of which one is pressed; ``place``: ``first``, ``middle``, ``last`` or ``only``."""
    press = QPushButton(text)
    press.setCheckable(True)
    press.setAutoDefault(False)
    press.setProperty("segment", place)
    return press


def png_bytes(image: QImage) -> bytes:
    """A picture as the bytes of a PNG file."""
    from PySide6.QtCore import QBuffer, QIODevice

    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # pyright: ignore[reportCallIssue, reportArgumentType]
    return bytes(buffer.data().data())


def picture_name(run: str) -> str:
    """The file name offered for a run's curves."""
    return f"{Path(run).name or 'training'}-curves"


def _epochs_shown(data: CurveData) -> int:
    """Length of the epoch axis: the whole plan, unless it is so long that what is done would be a dot on the left."""
    done = data.epochs[-1].epoch if data.epochs else 0
    return max(done, min(data.planned_epochs, max(40, 3 * done)))
