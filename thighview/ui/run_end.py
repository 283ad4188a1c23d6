"""How a training ended: a model to use, or what went wrong and what is left."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontDatabase, QGuiApplication, QTextOption
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from thighview.core.run import Failed, Finished
from thighview.ui.cards import Card, button, mark, row, show_words, words
from thighview.ui.chips import Flow
from thighview.ui.run_status import RunStatus, model_of

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace
    from thighview.io.models import ModelEntry

LINES_SHOWN = 7


class RunEndCard(Card):
    """Shown when the run in the panel has finished, was stopped, or failed."""

    new_asked = Signal()
    """The person wants to set up another run."""
    compare_asked = Signal()
    """The person wants to see the model against the one in use first."""
    go_on_asked = Signal()
    """The person wants the run to go on from its checkpoint."""

    def __init__(self, workspace: "Workspace") -> None:
        super().__init__("Finished", " ")
        self._can_go_on = False
        self._workspace = workspace
        self._model: ModelEntry | None = None
        self._failure: Failed | None = None
        self.text = words("")
        self.hint = words("", "muted")
        self.lines_heading = words("Last lines it printed", "muted")
        self.lines = QPlainTextEdit()
        self.lines.setReadOnly(True)
        self.lines.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.lines.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.lines.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.lines.setFrameShape(QPlainTextEdit.Shape.NoFrame)
        self.lines.setProperty("log", True)
        self.lines.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.doubt_words = words("", "warning")
        self.compare_button = button(
            "Compare first", self.compare_asked.emit, "Shows it against the model in use, in the Result page", "primary"
        )
        self.use_button = button("Use this model", self._use, "Segment with this model from now on", "primary")
        self.go_on_button = button(
            "Go on", self._go_on, "Starts this run again from its last checkpoint; nothing learnt is lost"
        )
        self.new_button = button("New training", self.new_asked.emit, "Shows the settings of the next training")
        self.copy_button = button("Copy", self._copy, "Copies what happened, for the people who can mend it", "quiet")
        ways_on = QWidget()
        flow = Flow(ways_on)
        for part in (self.compare_button, self.use_button, self.go_on_button, self.new_button):
            flow.addWidget(part)
        for part in (self.text, self.hint, self.doubt_words, ways_on):
            self.body.addWidget(part)
        self.body.addLayout(row(self.lines_heading, self.copy_button, stretch=0))
        self.body.addWidget(self.lines)
        self.hide()

    def show_status(self, status: RunStatus | None) -> None:
        """Show how this run ended; hidden while it has not."""
        self._failure = status.failure if status else None
        if status is None or status.alive:
            self._can_go_on = False
        self.go_on_button.setVisible(self._can_go_on)
        finished = status.finished if status else None
        self.setVisible(bool(finished or self._failure))
        failed = self._failure is not None and not self._failure.stopped
        self.lines_heading.setVisible(bool(self._failure and self._failure.lines))
        self.lines.setVisible(bool(self._failure and self._failure.lines))
        self.copy_button.setVisible(failed)
        self.use_button.setVisible(finished is not None)
        if finished is None:
            show_words(self.doubt_words, "")
            self.compare_button.hide()
        if self._failure:
            self._show_failure(self._failure, bool(status and status.epochs_done))
        elif finished:
            self._show_model(finished, bool(status and status.started and status.started.val_is_phantoms))

    def offer_going_on(self, possible: bool) -> None:
        """Whether the run has epochs left and may be started again."""
        self._can_go_on = possible
        self.go_on_button.setVisible(possible)

    def _go_on(self) -> None:
        self.offer_going_on(False)
        self.go_on_asked.emit()

    def _show_model(self, finished: Finished, on_phantoms: bool) -> None:
        self.title.setText(
            "Stopped, and saved" if finished.stopped else "Finished early" if finished.early else "Finished"
        )
        self.note.setText(finished.run)
        scores = [
            f"{name} {value:.3f}"
            for name, value in (("Dice", finished.val.dice), ("accuracy", finished.val.accuracy))
            if value is not None
        ]
        best = f"The model of epoch {finished.best_epoch} of {finished.epochs} had the best validation loss and is kept"
        on = "on made-up thighs" if on_phantoms else "validation"
        said = f"{best}: {on} {', '.join(scores)}." if scores else f"{best}."
        before, after = finished.parent_val.dice, finished.val.dice
        if before is not None and after is not None:
            said += f"\nStarted from {finished.parent}: Dice {before:.3f}\u00a0→\u00a0{after:.3f} on the same slices."
        self.text.setText(said)
        self._model = model_of(finished, self._workspace.models)
        name = self._model.card.name if self._model else ""
        self._show_ways()
        show_words(self.hint, f"It is listed as “{name}” in the Segment tab." if name else "The model is being listed…")

    def _show_ways(self) -> None:
        """A model that is not promoted is used after a word about it, and one click."""
        model, gate = self._model, self._workspace.gate
        chosen = model is not None and str(model.folder) == self._workspace.settings.last_model
        doubt = gate.doubt(model) if model else ""
        old = gate.baseline_of(model) if model else None
        compared = bool(model and old and gate.is_compared(model, old))
        show_words(self.doubt_words, doubt)
        self.compare_button.setText("See the comparison" if compared else "Compare first")
        self.compare_button.setVisible(bool(doubt and old))
        self.use_button.setEnabled(model is not None and not chosen)
        self.use_button.setText("In use" if chosen else "Use anyway" if doubt else "Use this model")
        mark(self.use_button, "primary", not doubt)

    def _show_failure(self, failure: Failed, has_checkpoint: bool) -> None:
        self.title.setText("Stopped" if failure.stopped else "The training has failed")
        self.note.setText(failure.run)
        self.text.setText(failure.message)
        said = "kept" in failure.hint
        kept = "The weights of the last finished epoch are kept." if has_checkpoint and not said else ""
        show_words(self.hint, " ".join(part for part in (failure.hint, kept) if part))
        shown = failure.lines[-12:]
        self.lines.setPlainText("\n".join(shown))
        height = self.lines.fontMetrics().lineSpacing() * min(2 * len(shown), LINES_SHOWN) + 20
        self.lines.setFixedHeight(height)
        bar = self.lines.verticalScrollBar()
        bar.setValue(bar.maximum())

    def _use(self) -> None:
        if self._model is not None:
            self._workspace.choose_model(self._model)
            self._show_ways()

    def _copy(self) -> None:
        failure = self._failure
        if failure:
            text = "\n".join([f"Training “{failure.run}” failed: {failure.message}", failure.hint, "", *failure.lines])
            QGuiApplication.clipboard().setText(text)
            self.copy_button.setText("Copied")
