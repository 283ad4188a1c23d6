"""The puzzle the program began with, as a guided page: played in a child process, told step by step."""

import json
import math
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from thighview.app.jobs import Job, run_in_process
from thighview.core.run import ExampleStep, event_from_line
from thighview.ui.cards import Card, ProgressLine, button, row, show_words, words
from thighview.ui.theme import COLOURS

PLAY = "thighview.engine.puzzle:play"
_ABOUT = (
    "Why is validation always a little better than training? The question this program began with, played through on "
    "made-up thighs: the original network, loss and metric, then one check after the other, to an answer whose numbers "
    "add up. About five minutes of both processors; you can go on working, or cancel."
)
_LINES = tuple(QColor(c) for c in ("#4a9eff", "#ffb02e", "#7ad3a4", "#e57373", "#b39ddb"))


class StepPlot(QWidget):
    """A few lines over the epochs, small: their names in their colours above, the range of values at the left."""

    def __init__(self, curves: tuple[tuple[str, tuple[float, ...]], ...]) -> None:
        super().__init__()
        self._curves = curves
        self.setFixedHeight(112)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(", ".join(name for name, _ in curves))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw names, frame and lines."""
        values = [v for _, line in self._curves for v in line if math.isfinite(v)]
        if not values:
            return
        low, high = min(values), max(values)
        if high - low < 1e-9:
            low, high = low - 0.5, high + 0.5
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            metrics = painter.fontMetrics()
            left = max(metrics.horizontalAdvance(f"{v:.3g}") for v in (low, high)) + 8
            top = self._names(painter, left)
            area = QRectF(left, top + 4, self.width() - left - 4, self.height() - top - 10)
            painter.setPen(QColor(COLOURS["line"]))
            painter.drawLine(area.bottomLeft(), area.bottomRight())
            painter.drawLine(area.topLeft(), area.bottomLeft())
            painter.setPen(QColor(COLOURS["muted"]))
            for value, y in ((high, area.top() + metrics.ascent() * 0.6), (low, area.bottom())):
                painter.drawText(QPointF(0, y), f"{value:.3g}")
            for number, (_, line) in enumerate(self._curves):
                painter.setPen(QPen(_LINES[number % len(_LINES)], 1.6))
                step = area.width() / max(1, len(line) - 1)
                painter.drawPolyline(QPolygonF([
                    QPointF(area.left() + i * step, area.bottom() - (v - low) / (high - low) * area.height())
                    for i, v in enumerate(line) if math.isfinite(v)
                ]))  # fmt: skip

    def _names(self, painter: QPainter, left: float) -> float:
        """Write the names, on as many lines as they need; returns where the plot may begin."""
        metrics = painter.fontMetrics()
        x, y = left, float(metrics.ascent())
        for number, (name, _) in enumerate(self._curves):
            width = metrics.horizontalAdvance(name) + 12
            if x + width > self.width() and x > left:
                x, y = left, y + metrics.height()
            painter.setPen(_LINES[number % len(_LINES)])
            painter.drawText(QPointF(x, y), name)
            x += width
        return y + metrics.descent()


class PuzzleCard(Card):
    """A button, and under it the steps as they come.

    Parameters
    ----------
    play : callable, optional
        Starts the job whose ``said`` brings each step as the JSON object of its event.
    """

    def __init__(self, play: Callable[[], Job] = lambda: run_in_process(PLAY, lane="puzzle")) -> None:
        super().__init__("The puzzle", " ")
        self._play = play
        self._job: Job | None = None
        self._all = 0
        self.about = words(_ABOUT, "muted")
        self.play_button = button("Play it through", self.start, "Trains eight small networks on made-up thighs")
        self.cancel_button = button("Cancel", self.cancel, "Ends it; what is told so far stays")
        self.progress = ProgressLine()
        self.failure = words("", "error")
        self.cancelled = words("", "muted")
        self.steps = QVBoxLayout()
        self.steps.setSpacing(10)
        self.body.addWidget(self.about)
        self.body.addLayout(row(self.play_button, self.cancel_button))
        self.body.addWidget(self.progress)
        self.body.addWidget(self.failure)
        self.body.addWidget(self.cancelled)
        self.body.addLayout(self.steps)
        self.failure.hide()
        self.cancelled.hide()
        self._show_running(False)

    @property
    def told(self) -> int:
        """How many steps are shown."""
        return self.steps.count()

    def start(self) -> None:
        """Play it from its beginning."""
        if self._job is not None:
            return
        while (item := self.steps.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        show_words(self.failure, "")
        show_words(self.cancelled, "")
        self._show_running(True)
        self.progress.show_progress(0, 0)
        job = self._job = self._play()
        job.said.connect(self._tell)
        job.progressed.connect(self.progress.show_progress)
        job.failed.connect(lambda error: show_words(self.failure, str(error)))
        job.ended.connect(self._ended)

    def cancel(self) -> None:
        """End it."""
        if self._job is not None:
            self._job.cancel()

    def _tell(self, said: Any) -> None:
        step = event_from_line(json.dumps(said))
        if not isinstance(step, ExampleStep):
            return
        part = QWidget()
        inside = QVBoxLayout(part)
        inside.setContentsMargins(0, 6, 0, 0)
        inside.setSpacing(4)
        inside.addWidget(words(f"{step.number}. {step.title}", "title"))
        inside.addWidget(words(step.text))
        if step.curves:
            inside.addWidget(StepPlot(step.curves))
        self.steps.addWidget(part)
        self._all = step.steps

    def _ended(self) -> None:
        if self._job is not None and self._job.cancelled and not 0 < self._all == self.told:
            after = f"after step {self.told} of {self._all}; below are the steps done" if self.told else "before step 1"
            show_words(self.cancelled, f"Cancelled {after}.")
        self._job = None
        self._show_running(False)
        self.play_button.setText("Play it again" if self.told else "Play it through")

    def _show_running(self, running: bool) -> None:
        self.play_button.setEnabled(not running)
        self.cancel_button.setVisible(running)
        self.progress.setVisible(running)
        self.note.setText("playing…" if running else "")
