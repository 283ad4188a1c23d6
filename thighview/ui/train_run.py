"""Run: a training from its start over its curves to the model that comes out."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QWidget

from thighview.app.jobs import run_in_thread
from thighview.app.run_doubts import run_doubts
from thighview.core.run import BatchEnded, EpochEnded, Failed, Finished, RunEvent, Started, TrainConfig
from thighview.io.runs import read_config, run_folder
from thighview.ui import dialogs
from thighview.ui.cards import Card, Page, ProgressLine, button, row, show_words, words
from thighview.ui.compare_row import CompareRow
from thighview.ui.curve_data import CurveData
from thighview.ui.curve_saving import picture_name, save_tables
from thighview.ui.curves import Curves
from thighview.ui.doubts import Doubts
from thighview.ui.measure_panel import save_bytes
from thighview.ui.picture import png_bytes
from thighview.ui.run_end import RunEndCard
from thighview.ui.run_preview import RunPreview
from thighview.ui.run_status import RunStatus
from thighview.ui.train_form import summary
from thighview.ui.train_set import NO_VALIDATION
from thighview.ui.why_card import WhyCard

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

SHOW_AFTER_MS = 60


class RunPage(Page):
    """Follows ``workspace.runs``: progress, curves, why the two lines differ, a slice as it is learnt, how it ended."""

    set_up_asked = Signal()
    """The person wants to set up another run."""
    compare_asked = Signal()
    """The person wants to see the new model against the one in use."""
    status_changed = Signal()
    """Another run is followed, or this one has got to another phase."""

    def __init__(self, workspace: "Workspace", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._runs = workspace.runs
        self.status: RunStatus | None = None
        self.run_name = ""
        self._told: tuple[str, str] | None = None
        self._doubted: list[str] = []
        self._pausing = self._stopping = False
        self.empty_card = self._make_empty()
        self.run_card = self._make_run()
        self.end_card = RunEndCard(workspace)
        self.curves_card = self._make_curves()
        self.why_card = WhyCard(workspace, self.curves)
        self.preview_card = self._make_preview()
        self.about_card = self._make_about()
        for card in (
            self.empty_card,
            self.run_card,
            self.end_card,
            self.curves_card,
            self.why_card,
            self.preview_card,
            self.about_card,
        ):
            self.column.addWidget(card)
        self.column.addStretch(1)
        self._tick = QTimer(self)
        self._tick.setInterval(1000)
        self._tick.timeout.connect(self._show_progress)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SHOW_AFTER_MS)
        self._soon.timeout.connect(self._show)
        self._runs.event_came.connect(self._event_came)
        workspace.models_changed.connect(self._show_end)
        workspace.gate.changed.connect(self._show_end)
        self.end_card.go_on_asked.connect(self._runs.go_on)
        self.end_card.new_asked.connect(self.set_up_asked)
        self.end_card.compare_asked.connect(self.compare_asked)

    # ------------------------------------------------------------------ parts

    def _make_empty(self) -> Card:
        card = Card("No training yet")
        card.body.addWidget(
            words("Its progress, live curves, and why training and validation differ will be shown here.", "muted")
        )
        card.body.addLayout(row(button("Set up a training", self.set_up_asked.emit, "Shows the set and the settings")))
        return card

    def _make_run(self) -> Card:
        card = Card("Training", " ")
        self.progress_words = words("")
        self.progress = ProgressLine()
        self.phantom_words = words("", "warning")
        self.pause_button = button("Pause", self._pause_or_resume)
        self.stop_button = button("Stop", self._stop, "End the training; the best model so far is kept")
        for part in (self.progress_words, self.progress):
            card.body.addWidget(part)
        card.body.addLayout(row(self.pause_button, self.stop_button))
        card.body.addWidget(self.phantom_words)
        return card

    def _make_curves(self) -> Card:
        card = Card("Curves", " ")
        self.doubts = Doubts()
        card.body.addWidget(self.doubts)
        self.curves = Curves()
        self.curves.save_picture_asked.connect(self._save_picture)
        self.curves.save_table_asked.connect(self._save_table)
        card.body.addWidget(self.curves)
        self.compare = CompareRow(self._workspace)
        self.compare.runs_read.connect(self.curves.show_others)
        card.body.addWidget(self.compare)
        return card

    def _make_preview(self) -> Card:
        card = Card("On a slice it does not learn from")
        self.preview = RunPreview()
        card.body.addWidget(self.preview)
        return card

    def _make_about(self) -> Card:
        card = Card("About this training")
        self.data_words = words("", "muted")
        self.config_words = words("", "muted")
        self.note_words = words("", "muted")
        for part in (self.data_words, self.config_words, self.note_words):
            card.body.addWidget(part)
        return card

    # ------------------------------------------------------------------ what the buttons do

    def _pause_or_resume(self) -> None:
        if self.status is None:
            return
        if self.status.phase == "paused":
            self._runs.resume()
            show_words(self.progress_words, "Going on…")
        else:
            self._runs.pause()
            self._pausing = True
            show_words(self.progress_words, "Pausing after this batch…")

    def _stop(self) -> None:
        if dialogs.ask_stop_training(self, self.run_name):
            self._runs.stop()
            self._stopping = True
            self.stop_button.setEnabled(False)
            self.pause_button.setEnabled(False)
            show_words(self.progress_words, "Stopping: the best model so far is being saved…")

    def _save_picture(self) -> None:
        path = dialogs.ask_save_picture(self, picture_name(self.run_name) + ".png")
        if path:
            save_bytes(self._workspace, path, png_bytes(self.curves.picture(self.run_name)))

    def _save_table(self) -> None:
        path = dialogs.ask_save_csv(self, picture_name(self.run_name) + ".csv")
        if path:
            save_tables(self._workspace, path, self.curves.data)

    # ------------------------------------------------------------------ the run

    def follow(self) -> None:
        """Show the run that is followed now (or none) from its first event."""
        name = self.run_name = self._runs.name
        self._told, self._pausing, self._stopping = None, False, False
        events = self._runs.history
        self.status = RunStatus(events) if name else None
        self.curves.show_run(CurveData(events))
        self.curves.show_others(())
        self.why_card.show_run(name, events)
        self.preview.clear()
        self.config_words.setText("")
        self._doubted = []
        self.doubts.show_doubts(())
        for event in [e for e in events if isinstance(e, EpochEnded)]:
            self._preview_epoch(event)
        self._read_config(name)
        self._read_doubts(name)
        self.compare.show_run(name)
        self._show()
        self.verticalScrollBar().setValue(0)

    def _event_came(self, event: RunEvent) -> None:
        if self.status is None:
            return
        self.status.add(event)
        self._pausing = self._pausing and isinstance(event, BatchEnded)
        self.curves.add(event)
        self.why_card.add(event)
        if isinstance(event, EpochEnded):
            self._preview_epoch(event)
        elif isinstance(event, (Finished, Failed)):
            self._runs.ask_can_go_on(self.end_card.offer_going_on)
            self._read_doubts(self.run_name)  # its weights are other ones now
        if not self._soon.isActive():  # the past of a long run comes as thousands of events
            self._soon.start()

    def _preview_epoch(self, event: EpochEnded) -> None:
        folder = self._workspace.project_folder
        if folder is not None:
            started = self.status.started if self.status else None
            path = run_folder(folder, self.run_name).preview_of(event.epoch)
            self.preview.add_epoch(event.epoch, path, bool(started and started.val_is_phantoms))

    def _read_config(self, name: str) -> None:
        folder = self._workspace.project_folder
        if folder is None or not name:
            return
        job = run_in_thread(lambda _report, _stopped: read_config(run_folder(folder, name)))
        job.succeeded.connect(lambda config: self._config_read(name, config))
        job.failed.connect(lambda _error: None)  # only a line of words is missing then

    def _config_read(self, name: str, config: TrainConfig) -> None:
        if name == self.run_name:
            show_words(self.config_words, summary(config))
            self.why_card.show_config(config)

    def _read_doubts(self, name: str) -> None:
        folder = self._workspace.project_folder
        if folder is None or not name:
            return
        job = run_in_thread(lambda _report, _stopped: run_doubts(run_folder(folder, name)))
        job.succeeded.connect(lambda said: self._doubts_read(name, said))
        job.failed.connect(lambda _error: None)  # whoever needs these files says what is wrong with them

    def _doubts_read(self, name: str, said: list[str]) -> None:
        if name == self.run_name:
            self._doubted = said
            self.doubts.show_doubts(said)
            self._show()

    # ------------------------------------------------------------------ showing

    def _show(self) -> None:
        status = self.status
        alive = bool(status and status.alive)
        heard = bool(self.curves.data.epochs or self.curves.data.batches)
        self.empty_card.setVisible(status is None)
        self.run_card.setVisible(alive)
        self.curves_card.setVisible(bool(status) and (alive or heard))
        self.why_card.show_status(status)
        self.preview_card.setVisible(bool(status and self.curves.data.epochs))
        self.about_card.setVisible(bool(status and status.started))
        self._show_end()
        if status:
            self.run_card.note.setText(self.run_name)
            self.curves_card.note.setText("" if alive else self.run_name)
            show_words(self.data_words, status.data_line())
            show_words(self.phantom_words, _phantom_words(status.started))
            show_words(self.note_words, _notes(status.started, self._doubted))
            self.pause_button.setText("Go on" if status.phase == "paused" else "Pause")
            self._stopping = self._stopping and alive
            self.pause_button.setEnabled(status.phase in ("running", "paused") and not self._stopping)
            self.stop_button.setEnabled(alive and not self._stopping)
        if alive and not self._tick.isActive():
            self._tick.start()
        elif not alive:
            self._tick.stop()
        self._show_progress()
        now = (self.run_name, status.phase if status else "")
        if now != self._told:  # the other pages have nothing to say about a batch
            self._told = now
            self.status_changed.emit()

    def _show_end(self, _change: object = None) -> None:
        self.end_card.show_status(self.status)

    def _show_progress(self) -> None:
        if self.status is None or not self.status.alive:
            return
        if self.stop_button.isEnabled() and not self._pausing:
            show_words(self.progress_words, self.status.line())
        share = self.status.share
        self.progress.show_progress(round(1000 * share), 1000 if share else 0)


def _phantom_words(started: Started | None) -> str:
    if started is None or not started.val_is_phantoms:
        return ""
    return f"{NO_VALIDATION} Validation runs on made-up thighs."


def _notes(started: Started | None, doubted: list[str]) -> str:
    """What else the run had to say at its start (labels matched, settings taken over), one sentence a line.

    What is said as a doubt above the curves is not said again.
    """
    parts = started.note.split("; ") if started else []
    above = {said.rstrip(".").lower() for said in (NO_VALIDATION, *doubted)}
    kept = [part for part in parts if part and part.rstrip(".").lower() not in above]
    return "\n".join(part[:1].upper() + part[1:] for part in kept)
