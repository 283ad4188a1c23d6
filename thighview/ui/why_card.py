"""Why validation reads higher or lower than training: one sentence, and the parts on demand."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from thighview.core.gap import Gap, sentence
from thighview.core.gap_report import amount, as_text, direction, to_csv
from thighview.core.run import GapMeasured, RunEvent, Started
from thighview.ui import dialogs
from thighview.ui.cards import Card, button, mark, row, show_words, words
from thighview.ui.chips import Flow
from thighview.ui.curve_data import label_title
from thighview.ui.curves import Curves
from thighview.ui.measure_panel import save_bytes
from thighview.ui.picture import png_bytes
from thighview.ui.run_status import RunStatus
from thighview.ui.sample_size_fold import SampleSizeFold
from thighview.ui.waterfall import Waterfall, axis_of

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

TITLES = {
    "": "Why is validation higher or lower?",
    "higher": "Why is validation higher?",
    "lower": "Why is validation lower?",
    "same": "Why do both read the same?",
}
WHEN = "measured after the first epoch, now and then, and after the last"
NAMES = {"loss": "loss", "accuracy": "accuracy", "dice": "Dice"}
MOST_RESIDUAL = 1e-6
LATEST = 0
"""Data of the entry that follows the run."""


class WhyCard(Card):
    """The gap between the training and the validation number, at one of the epochs where it was measured.

    Metric and label follow the curves.
    """

    def __init__(self, workspace: "Workspace", curves: Curves) -> None:
        super().__init__(TITLES[""], " ")
        self._workspace, self._curves = workspace, curves
        self._run, self._opened, self._stale = "", False, False
        self._status: RunStatus | None = None
        self.measured: dict[int, dict[str, Gap]] = {}
        self.sentence = words("")
        self.missing = words("", "muted")
        self.epochs = QComboBox()
        self.epochs.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.epochs.setToolTip("At which of the epochs where it was measured")
        self.epochs.activated.connect(lambda _: self._show())
        self.parts_button = button("Show the parts", self._open_or_close, "The sum behind the sentence, part by part")
        self.chooser = QWidget()
        flow = Flow(self.chooser)
        flow.addWidget(self.epochs)
        flow.addWidget(self.parts_button)
        for part in (self.sentence, self.missing, self.chooser, self._make_parts()):
            self.body.addWidget(part)
        self.sizes = SampleSizeFold()
        self.body.addWidget(self.sizes)
        curves.shown_changed.connect(self._show)
        self._offer_epochs()

    def _make_parts(self) -> QWidget:
        self.parts = QWidget()
        column = QVBoxLayout(self.parts)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(6)
        self.waterfall = Waterfall()
        self.residual = words("", "small")
        self.copy_button = button("Copy", self._copy, "Sentence, numbers, and how it was measured, as text", "quiet")
        self.picture_button = button("PNG", self._save_picture, "Save the parts as a picture", "quiet")
        self.table_button = button("CSV", self._save_table, "Save the parts of every epoch and metric", "quiet")
        column.addWidget(self.waterfall)
        column.addWidget(self.residual)
        column.addLayout(row(self.copy_button, self.picture_button, self.table_button))
        self.parts.hide()
        return self.parts

    # ------------------------------------------------------------------ what is shown

    def show_run(self, name: str, events: Iterable[RunEvent]) -> None:
        """Show another run from its beginning, at its latest measurement."""
        self._run = name
        self.measured = {}
        self.epochs.clear()
        for event in events:
            self._take(event)
        self._offer_epochs()

    def show_status(self, status: RunStatus | None) -> None:
        """Show what came since, and whether the run goes on: what is missing may still come."""
        self._status = status
        if self._stale:
            self._offer_epochs()
        else:
            self._show()

    def add(self, event: RunEvent) -> None:
        """Take a live event, after the curves have; it is shown with the next ``show_status``."""
        self._stale |= self._take(event)

    def _take(self, event: RunEvent) -> bool:
        if isinstance(event, GapMeasured):
            self.measured[event.epoch] = {gap.metric: gap for gap in event.gaps}
            return True
        if isinstance(event, Started):
            kept = {epoch: gaps for epoch, gaps in self.measured.items() if epoch < event.first_epoch}
            changed = len(kept) < len(self.measured)
            self.measured = kept
            return changed
        return False

    def _offer_epochs(self) -> None:
        """The epochs measured, the latest first; one that was chosen stays chosen."""
        self._stale = False
        chosen = self.epochs.currentData()
        self.epochs.clear()
        if self.measured:
            self.epochs.addItem(f"latest ({max(self.measured)})", LATEST)
        for epoch in sorted(self.measured, reverse=True):
            self.epochs.addItem(f"epoch {epoch}", epoch)
        self.epochs.setCurrentIndex(max(0, self.epochs.findData(chosen)) if self.measured else -1)
        self._show()

    @property
    def epoch(self) -> int:
        """The epoch shown; 0 when none was measured."""
        return int(self.epochs.currentData() or max(self.measured, default=0))

    @property
    def gap(self) -> Gap | None:
        """What is shown; None where it was not measured."""
        return self.measured.get(self.epoch, {}).get(self._curves.metric_shown)

    def _show(self) -> None:
        gap = self.gap
        self.title.setText(TITLES[direction(gap) if gap else ""])
        show_words(self.sentence, sentence(gap).replace("95 % ", "95\u00a0%\u00a0") if gap else "")
        mark(self.sentence, "warning", bool(gap and gap.leaked))
        show_words(self.missing, self._why_missing() if gap is None else self._which_labels())
        self.chooser.setVisible(bool(self.measured))
        self.parts_button.setVisible(gap is not None)
        self.parts.setVisible(gap is not None and self._opened)
        self.waterfall.show_gap(gap)
        if gap is not None:
            self._say_residual(gap)
        self._show_sizes()

    def _why_missing(self) -> str:
        metric = NAMES[self._curves.metric_shown]
        if self.measured:
            return f"Not measured for {metric} at this epoch."
        status = self._status
        if status is not None and not status.alive:
            return f"This run did not measure it. With “Explain the gap” in its settings, a run does: {WHEN}."
        if self._curves.data.epochs:
            return f"Not measured so far. With “Explain the gap” in its settings, it is {WHEN}."
        return f"It is {WHEN}."

    def _which_labels(self) -> str:
        return "All labels together, whichever the curves show." if self._curves.label_shown else ""

    def _say_residual(self, gap: Gap) -> None:
        left = axis_of(gap)[0]
        residual = abs(gap.residual)
        fits = residual < MOST_RESIDUAL
        said = f"Adds up: residual {residual:.1e}." if fits else f"Does not add up: residual {residual:.1e}."
        if left:
            said += f" The bars begin at {amount(gap.metric, left, digits=None if gap.metric == 'loss' else 1)}."
        show_words(self.residual, said)
        mark(self.residual, "warning", not fits)

    def _show_sizes(self) -> None:
        """The people of the epoch shown, else of the last epoch that tells of people."""
        data, label = self._curves.data, self._curves.label_shown
        told = [e for e in data.epochs if e.val_people or e.train_people]
        both = [e for e in told if e.val_people and e.train_people]
        here = next((e for e in told if e.epoch == self.epoch), None)
        last = (both or told)[-1] if told else None
        place = data.labels.index(label) if label in data.labels else None
        self.sizes.show_epoch(here or last, self._curves.metric_shown, place, label_title(label) if label else "")

    # ------------------------------------------------------------------ what the buttons do

    def _open_or_close(self) -> None:
        self._opened = not self._opened
        self.parts_button.setText("Hide the parts" if self._opened else "Show the parts")
        self._show()

    def _copy(self) -> None:
        if self.gap is not None:
            QGuiApplication.clipboard().setText(as_text(self.gap, self.epoch, self._run))
            self._workspace.session.said.emit("Copied the parts with their methods text.")

    def _file_name(self) -> str:
        return f"{Path(self._run).name or 'training'}-gap"

    def _save_picture(self) -> None:
        metric = NAMES[self._curves.metric_shown]
        picture = self.waterfall.picture(f"{metric[0].upper()}{metric[1:]}, epoch {self.epoch} of {self._run}")
        path = dialogs.ask_save_picture(self, self._file_name() + ".png") if picture else None
        if path and picture:
            save_bytes(self._workspace, path, png_bytes(picture))

    def _save_table(self) -> None:
        path = dialogs.ask_save_csv(self, self._file_name() + ".csv")
        if path:
            save_bytes(self._workspace, path, to_csv(self.measured).encode())
