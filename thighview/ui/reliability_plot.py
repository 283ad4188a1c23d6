"""A small plot of what a model's probabilities are worth, and the same in words."""

from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from thighview.app.evaluating import Calibration
from thighview.ui.cards import count, show_words, words

_EDGE_PX = 132
_NEAR_ONE = 0.05
"""A temperature nearer to the one in use than this share of it changes nothing that anybody would see."""


class ReliabilityPlot(QWidget):
    """How often a label is there (upwards) against the probability it was given (to the right)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view: Any = None
        self.line: Any = None
        self.heading = words("Do its probabilities hold?", "title")
        self.error_words, self.temperature_words = words(""), words("", "muted")
        self.warning = words("", "warning")
        side = QVBoxLayout()
        side.setSpacing(6)
        for part in (self.error_words, self.temperature_words, self.warning):
            side.addWidget(part)
        side.addStretch(1)
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(10)
        self._place = QVBoxLayout()
        line.addLayout(self._place)
        line.addLayout(side, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.heading)
        column.addLayout(line)

    def show_calibration(self, found: Calibration | None) -> None:
        """Show what was found; hidden where nothing could be."""
        self.setVisible(found is not None and found.ece is not None)
        if found is None or found.ece is None:
            return
        if not self.view:
            self._make_plot()
        bins = found.bins_used if found.tempered else found.bins
        self.line.setData([b.confidence for b in bins], [b.accuracy for b in bins])
        show_words(self.error_words, error_sentence(found))
        show_words(self.temperature_words, temperature_sentence(found))
        show_words(self.warning, "It has learnt from these people: this flatters." * (found.part == "train"))

    def _make_plot(self) -> None:
        from thighview.ui.curve_plot import make_square  # late: see there

        self.view, self.line = make_square(self.font(), _EDGE_PX)
        self.view.setToolTip(
            "To the right: the probability the model gave a label. Upwards: the share of those pixels that have it.\n"
            "On the dashed line the model means what it says; below it is too sure."
        )
        self.view.viewport().installEventFilter(self)
        self._place.addWidget(self.view, 0, Qt.AlignmentFlag.AlignTop)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The wheel scrolls the panel, not the plot."""
        if event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        return super().eventFilter(watched, event)


def error_sentence(found: Calibration) -> str:
    """How far the probabilities are off, and on whom that was measured."""
    if found.ece is None:
        return ""
    kind = {"train": "training ", "validation": "validation ", "test": "test "}.get(found.part, "")
    people = count(found.persons, f"{kind}person", f"{kind}people")
    if found.tempered and found.ece_used is not None:
        return (
            f"Off by {_per_cent(found.ece_used)} on average (ECE) at temperature {found.used:.2f}, in use when "
            f"measured; {_per_cent(found.ece)} without; on {people}."
        )
    return f"Off by {_per_cent(found.ece)} on average (ECE), on {people}."


def temperature_sentence(found: Calibration) -> str:
    """What the temperature says about the model; else why there is none."""
    t = found.temperature
    if t is None:
        return found.reason
    used = found.used if found.tempered else 1.0
    if abs(t / used - 1) < _NEAR_ONE:
        return f"{'Best temperature' if found.tempered else 'Temperature'} {t:.2f}: as sure as it may be."
    sure = "too sure of itself" if t > used else "less sure than it could be"
    if found.tempered:
        sure = f"at {used:.2f} it is {sure}"
    after = ""
    if found.ece_after is not None:
        better = "" if found.mends else ", no better than without"
        after = f" Logits divided by it: off by {_per_cent(found.ece_after)}{better}."
    return f"Temperature {t:.2f}: {sure}.{after}"


def _per_cent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"
