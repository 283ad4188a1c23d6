"""Why validation reads higher or lower than training: one sentence, and the parts on demand."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from thighview.core.gap import Gap
from thighview.core.gap_report import as_text, small_set_words, to_csv
from thighview.core.gap_words import amount, direction, sentence
from thighview.core.run import GapMeasured, RunEvent, Started, TrainConfig
from thighview.io.runs import run_folder
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
from thighview.ui.why_in_full import InFull, LabelGaps

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
READ_HINT = "Click a bar, or step through them with the arrow keys, to read what it is."
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
        self._dropout = 0.0
        self._honest: bool | None = None
        self.measured: dict[int, dict[str, Gap]] = {}
        self.sentence = words("")
        self.missing = words("", "muted")
        self.small_set = words("", "muted")
        self.epochs = QComboBox()
        self.epochs.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.epochs.setToolTip("At which of the epochs where it was measured")
        self.epochs.activated.connect(lambda _: self._show())
        self.parts_button = button("Show the parts", self._open_or_close, "The sum behind the sentence, part by part")
        self.chooser = QWidget()
        flow = Flow(self.chooser)
        flow.addWidget(self.epochs)
        flow.addWidget(self.parts_button)
        self.in_full = InFull()
        self.in_full.changed.connect(self._offer_epochs)
        self.in_full.failed.connect(workspace.failed)
        self.label_gaps = LabelGaps(self)
        self.label_gaps.changed.connect(self._show)
        for part in (
            self.sentence, self.small_set, self.missing, self.chooser, self._make_parts(), self.in_full,
        ):  # fmt: skip
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
        self.readout = words(READ_HINT, "muted")
        self.waterfall.row_read.connect(lambda said: show_words(self.readout, said or READ_HINT))
        self.residual = words("", "small")
        self.copy_button = button("Copy", self._copy, "Sentence, numbers, and how it was measured, as text", "quiet")
        self.picture_button = button("PNG", self._save_picture, "Save the parts as a picture", "quiet")
        self.table_button = button("CSV", self._save_table, "Save the parts of every epoch and metric", "quiet")
        column.addWidget(self.waterfall)
        column.addWidget(self.readout)
        column.addWidget(self.residual)
        column.addLayout(row(self.copy_button, self.picture_button, self.table_button))
        self.parts.hide()
        return self.parts

    # ------------------------------------------------------------------ what is shown

    def show_run(self, name: str, events: Iterable[RunEvent]) -> None:
        """Show another run from its beginning, at its latest measurement."""
        self._run = name
        self._dropout, self._honest = 0.0, None
        folder = self._workspace.project_folder
        run = run_folder(folder, name) if folder is not None and name else None
        self.in_full.show_run(run)
        self.label_gaps.show_run(run)
        self.measured = {}
        self.epochs.clear()
        for event in events:
            self._take(event)
        self._offer_epochs()

    def show_config(self, config: TrainConfig) -> None:
        """The settings of the run, once they are read."""
        self._dropout, self._honest = config.dropout, config.honest
        self._show()

    def show_status(self, status: RunStatus | None) -> None:
        """Show what came since, and whether the run goes on: what is missing may still come."""
        self._status, before = status, self.in_full.found
        self._show_in_full()
        if self._stale or self.in_full.found is not before:
            self._offer_epochs()
        else:
            self._show()

    def add(self, event: RunEvent) -> None:
        """Take a live event, after the curves have; it is shown with the next ``show_status``."""
        self._stale |= self._take(event)

    def _take(self, event: RunEvent) -> bool:
        if isinstance(event, GapMeasured):
            self.measured[event.epoch] = {gap.metric: gap for gap in event.gaps}
            self.label_gaps.forget(event.epoch)
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
        self._show_in_full()
        full = self.in_full.found
        there = sorted(self._all_epochs(), reverse=True)
        if there:
            self.epochs.addItem(f"latest ({there[0]})", LATEST)
        for epoch in there:
            self.epochs.addItem(f"epoch {epoch}{' (kept)' if full and epoch == full.kept else ''}", epoch)
        self.epochs.setCurrentIndex(max(0, self.epochs.findData(chosen)) if there else -1)
        self._show()

    def _all_epochs(self) -> set[int]:
        full = self.in_full.found
        return {*self.measured, *((one.epoch for one in full.epochs if one.gaps) if full else ())}

    @property
    def epoch(self) -> int:
        """The epoch shown; 0 when none was measured."""
        return int(self.epochs.currentData() or max(self._all_epochs(), default=0))

    @property
    def gap(self) -> Gap | None:
        """What is shown, with all parts where they were measured; None where it was not measured.

        While those of the label chosen cannot be told, it is the gap of all labels.
        """
        metric, label = self._curves.metric_shown, self._curves.label_shown
        full = self.in_full.at(self.epoch)
        if full and full.gaps:
            return next((gap for gap in full.gaps if (gap.label, gap.metric) == (label, metric)), None)
        mine = self._own_of_label()
        return mine.get((label, metric)) if mine else self.measured.get(self.epoch, {}).get(metric)

    def _own_of_label(self) -> dict[tuple[str, str], Gap] | None:
        """The gaps of single labels where one is chosen and they can be told."""
        labels = self._curves.data.labels
        wanted = bool(self._curves.label_shown) and self.epoch in self.measured
        return self.label_gaps.at(self.epoch, labels) if wanted else None

    def _show(self) -> None:
        gap = self.gap
        self.title.setText(TITLES[direction(gap) if gap else ""])
        show_words(self.sentence, sentence(gap).replace("95 % ", "95\u00a0%\u00a0") if gap else "")
        mark(self.sentence, "warning", bool(gap and gap.leaked))
        show_words(self.missing, self._why_missing() if gap is None else self._which_labels(gap))
        started = self._status.started if self._status else None
        trained_on = started.train_subjects if started else 0
        show_words(self.small_set, small_set_words(gap, self._dropout, trained_on) if gap else "")
        self.chooser.setVisible(self.epochs.count() > 0)
        self.parts_button.setVisible(gap is not None)
        self.parts.setVisible(gap is not None and self._opened)
        self.waterfall.show_gap(gap)
        if gap is not None:
            self._say_residual(gap)
        self._show_in_full()
        self._show_sizes()

    def _show_in_full(self) -> None:
        ended = bool(self._status and not self._status.alive) and not self._nobody_validates
        told = self._curves.data.epochs
        self.in_full.show_ended(ended, told[-1].epoch if told else 0, self.epoch, self._opened)

    @property
    def _nobody_validates(self) -> bool:
        started = self._status.started if self._status else None
        return started is not None and not started.val_subjects and not started.val_is_phantoms

    def _why_missing(self) -> str:
        if self._nobody_validates:
            return "Nobody validates in this run, so there is no gap to explain."
        metric = NAMES[self._curves.metric_shown]
        if self._curves.label_shown:
            metric += f" of {label_title(self._curves.label_shown)}"
        if self.epochs.count():
            return f"Not measured for {metric} at this epoch."
        status = self._status
        when = f"It is {WHEN}." if self._honest else f"With “Explain the gap” in its settings, it is {WHEN}."
        if status is not None and not status.alive:
            said = "This run did not measure it by itself."
            return said if self._honest else f"{said} {when}"
        if self._curves.data.epochs:
            return f"Not measured so far. {when}"
        return f"It is {WHEN}." if self._honest is None else when

    def _which_labels(self, gap: Gap) -> str:
        if not self._curves.label_shown or gap.label:
            return ""
        name = label_title(self._curves.label_shown)
        if self.label_gaps.is_reading(self.epoch):
            return f"All labels together; {name} alone is being read…"
        return f"All labels together: the sums of {name} alone are not there."

    def _say_residual(self, gap: Gap) -> None:
        left = axis_of(gap)[0]
        residual = abs(gap.residual)
        fits = residual < MOST_RESIDUAL
        said = (
            f"Adds up: less than {MOST_RESIDUAL:.6f} is left over."
            if fits
            else f"Does not add up: {residual:.6f} is left over."
        )
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
        title = label_title(label) if label else ""
        self.sizes.show_epoch(here or last, self._curves.metric_shown, place, title, data.val_is_phantoms)

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
            full = self.in_full.found
            in_full = {one.epoch: {g.metric: g for g in one.gaps if not g.label} for one in full.epochs} if full else {}
            save_bytes(self._workspace, path, to_csv(self.measured | in_full).encode())
