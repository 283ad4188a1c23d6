"""Train: what is in the set, the settings, and a run from its start over its curves to the model that comes out."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QEvent, QTimer
from PySide6.QtWidgets import QVBoxLayout, QWidget

from thighview.app.jobs import run_in_thread
from thighview.app.segmenting import model_of_step
from thighview.core.errors import UserError
from thighview.core.labels import LabelTable
from thighview.core.run import EpochEnded, Failed, Finished, RunEvent, Started
from thighview.io.runs import read_config, run_folder
from thighview.ui import dialogs
from thighview.ui.augment_preview import AugmentFold
from thighview.ui.cards import Card, Fold, Page, ProgressLine, button, count, mark, row, show_words, words
from thighview.ui.chips import label_chips
from thighview.ui.compare_row import CompareRow
from thighview.ui.curve_data import CurveData
from thighview.ui.curve_saving import picture_name, save_tables
from thighview.ui.curves import Curves
from thighview.ui.evaluation_card import EvaluationCard
from thighview.ui.measure_panel import save_bytes
from thighview.ui.picture import png_bytes
from thighview.ui.promotion_card import PromotionCard
from thighview.ui.puzzle_card import PuzzleCard
from thighview.ui.run_end import RunEndCard
from thighview.ui.run_preview import RunPreview
from thighview.ui.run_status import RunStatus
from thighview.ui.segment_panel import match_labels
from thighview.ui.train_form import TrainForm, summary
from thighview.ui.train_set import NO_VALIDATION, TrainSetCard
from thighview.ui.why_card import WhyCard

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace
    from thighview.io.models import ModelEntry

SHOW_AFTER_MS = 60
BOX_MODEL = "thigh_tissues"
"""Trainings start from it where no model was used on the open case."""


class TrainPanel(Page):
    """Everything about training in one column; it follows ``workspace.runs`` and starts nothing by itself."""

    def __init__(self, workspace: "Workspace", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._runs = workspace.runs
        self.status: RunStatus | None = None
        self._run_name = ""
        self._starting = False
        self.set_card = TrainSetCard(workspace)
        self.run_card = self._make_run()
        self.end_card = RunEndCard(workspace)
        self.promotion_card = PromotionCard(workspace)
        self.people_card = EvaluationCard(workspace)
        self.curves_card = self._make_curves()
        self.why_card = WhyCard(workspace, self.curves)
        self.preview_card = self._make_preview()
        self.settings_card = self._make_settings()
        self.puzzle_card = PuzzleCard()
        for card in (
            self.run_card,
            self.end_card,
            self.promotion_card,
            self.curves_card,
            self.why_card,
            self.people_card,
            self.preview_card,
            self.set_card,
            self.settings_card,
            self.puzzle_card,
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
        workspace.models_changed.connect(self._offer_models)
        workspace.session.case_opened.connect(self._offer_models)
        workspace.session.labels_changed.connect(self._show_start)
        workspace.segmenting.connect(self._offer_models)
        workspace.cases_changed.connect(self._show)
        workspace.project_changed.connect(self._run_changed)
        workspace.failed.connect(self._start_failed)
        self._runs.run_changed.connect(self._run_changed)
        self._runs.event_came.connect(self._event_came)
        self.end_card.go_on_asked.connect(self._runs.go_on)
        self.end_card.new_asked.connect(self._show_settings)
        self._offer_models()
        self._run_changed()

    # ------------------------------------------------------------------ parts

    def _make_run(self) -> Card:
        card = Card("Training", " ")
        self.data_words = words("", "muted")
        self.config_words = words("", "muted")
        self.progress_words = words("")
        self.progress = ProgressLine()
        self.phantom_words = words("", "warning")
        self.note_words = words("", "muted")
        self.pause_button = button("Pause", self._pause_or_resume)
        self.stop_button = button("Stop", self._stop, "End the training; the best model so far is kept")
        for part in (self.progress_words, self.progress):
            card.body.addWidget(part)
        card.body.addLayout(row(self.pause_button, self.stop_button))
        for part in (self.config_words, self.data_words, self.phantom_words, self.note_words):
            card.body.addWidget(part)
        return card

    def _make_curves(self) -> Card:
        card = Card("Curves", " ")
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

    def _make_settings(self) -> Card:
        card = Card("New training")
        self.form = TrainForm(self._workspace.settings.train_config)
        self.form.changed.connect(self._show_start)
        inside = QVBoxLayout()
        inside.addWidget(self.form)
        self.form_fold = Fold("Settings", inside, opened=True)
        self.form_summary = words("", "muted")
        self.labels_words = words("", "muted")
        self.start_words = words("", "muted")
        self.start_button = button("Start training", self._start, "Trains in the background; you can go on", "primary")
        for part in (self.form_summary, self.labels_words, self.start_words):
            card.body.addWidget(part)
        card.body.addLayout(row(self.start_button))
        card.body.addWidget(self.form_fold)
        card.body.addWidget(AugmentFold(self._workspace.session, self.form))
        return card

    # ------------------------------------------------------------------ what the buttons do

    def _start(self) -> None:
        try:
            config = self.form.config()
        except UserError as error:
            self._workspace.failed.emit(error)
            return
        self._starting = True
        self._show_start()
        self._workspace.settings.train_config = None if self.form.is_default else config
        self._workspace.start_training(self.form.run_name.text().strip(), config)

    def _start_failed(self, _error: object) -> None:
        if self._starting:
            self._starting = False
            self._show_start()

    def _pause_or_resume(self) -> None:
        if self.status is None:
            return
        if self.status.phase == "paused":
            self._runs.resume()
            show_words(self.progress_words, "Going on…")
        else:
            self._runs.pause()
            show_words(self.progress_words, "Pausing after this batch…")

    def _stop(self) -> None:
        if dialogs.ask_stop_training(self, self._run_name):
            self._runs.stop()
            self.stop_button.setEnabled(False)
            self.pause_button.setEnabled(False)
            show_words(self.progress_words, "Stopping: the best model so far is being saved…")

    def _save_picture(self) -> None:
        path = dialogs.ask_save_picture(self, picture_name(self._run_name) + ".png")
        if path:
            save_bytes(self._workspace, path, png_bytes(self.curves.picture()))

    def _save_table(self) -> None:
        path = dialogs.ask_save_csv(self, picture_name(self._run_name) + ".csv")
        if path:
            save_tables(self._workspace, path, self.curves.data)

    def _show_settings(self) -> None:
        """Scroll to the settings of the next run."""
        self.form_fold.heading.setChecked(True)
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)  # the opened fold has its place now
        self.verticalScrollBar().setValue(self.settings_card.y())

    # ------------------------------------------------------------------ the run

    def _run_changed(self, _name: object = None) -> None:
        """Another run is followed (or none): show it from its first event."""
        name = self._runs.name
        self._run_name, self._starting = name, False
        if name and name == self.form.run_name.text().strip():
            self.form.run_name.clear()
        events = self._runs.history
        self.status = RunStatus(events) if name else None
        self.curves.show_run(CurveData(events))
        self.curves.show_others(())
        self.why_card.show_run(name, events)
        self.preview.clear()
        self.config_words.setText("")
        self.form_fold.heading.setChecked(not name)
        for event in [e for e in events if isinstance(e, EpochEnded)]:
            self._preview_epoch(event)
        self._read_config(name)
        self.compare.show_run(name)
        self._show()
        if self.status:
            self.verticalScrollBar().setValue(0)

    def _event_came(self, event: RunEvent) -> None:
        if self.status is None:
            return
        self.status.add(event)
        self.curves.add(event)
        self.why_card.add(event)
        if isinstance(event, EpochEnded):
            self._preview_epoch(event)
        elif isinstance(event, (Finished, Failed)):
            self._runs.ask_can_go_on(self.end_card.offer_going_on)
        if not self._soon.isActive():  # the past of a long run comes as thousands of events
            self._soon.start()

    def _preview_epoch(self, event: EpochEnded) -> None:
        folder = self._workspace.project_folder
        if folder is not None:
            started = self.status.started if self.status else None
            path = run_folder(folder, self._run_name).preview_of(event.epoch)
            self.preview.add_epoch(event.epoch, path, bool(started and started.val_is_phantoms))

    def _read_config(self, name: str) -> None:
        folder = self._workspace.project_folder
        if folder is None or not name:
            return
        job = run_in_thread(lambda _report, _stopped: read_config(run_folder(folder, name)))
        job.succeeded.connect(lambda config: self._config_read(name, summary(config, Path(config.start_from).name)))
        job.failed.connect(lambda _error: None)  # only a line of words is missing then

    def _config_read(self, name: str, line: str) -> None:
        if name == self._run_name:
            show_words(self.config_words, line)

    # ------------------------------------------------------------------ showing

    def _offer_models(self, _change: object = None) -> None:
        self.form.offer_models(self._workspace.models, self._model_at_hand())
        self.end_card.show_status(self.status)
        self.promotion_card.show_status(self.status)

    def _model_at_hand(self) -> "ModelEntry | None":
        """The model used last on the open case, else the one of the box."""
        models, history = self._workspace.models, self._workspace.session.history
        by_name = {model.card.name: model for model in reversed(models)}
        steps = (model_of_step(name) for name in reversed(history.names[: history.done]))
        used = next((model for model in steps if model in by_name), "")
        box = (m for m in models if (m.place, m.card.name) == ("box", BOX_MODEL))
        return by_name.get(used) or next(box, None)

    def _show(self, _change: object = None) -> None:
        status = self.status
        alive = bool(status and status.alive)
        heard = bool(self.curves.data.epochs or self.curves.data.batches)
        self.run_card.setVisible(alive)
        self.curves_card.setVisible(bool(status) and (alive or heard))
        self.why_card.show_status(status)
        self.preview_card.setVisible(bool(status and self.curves.data.epochs))
        self.settings_card.setVisible(not alive)
        self.set_card.case_button.setEnabled(self._workspace.store is not None)
        self.end_card.show_status(status)
        self.promotion_card.show_status(status)
        self.people_card.show_run(self._run_name, bool(status and status.finished))
        if status:
            self.run_card.note.setText(self._run_name)
            self.curves_card.note.setText("" if alive else self._run_name)
            show_words(self.data_words, status.data_line())
            show_words(self.phantom_words, _phantom_words(status.started))
            show_words(self.note_words, _notes(status.started))
            self.pause_button.setText("Go on" if status.phase == "paused" else "Pause")
            self.pause_button.setEnabled(status.phase in ("running", "paused"))
            self.stop_button.setEnabled(alive)
        if alive and not self._tick.isActive():
            self._tick.start()
        elif not alive:
            self._tick.stop()
        self._show_progress()
        self._show_start()

    def _show_progress(self) -> None:
        if self.status is None or not self.status.alive:
            return
        if self.stop_button.isEnabled():
            show_words(self.progress_words, self.status.line())
        share = self.status.share
        self.progress.show_progress(round(1000 * share), 1000 if share else 0)

    def _show_start(self, _change: object = None) -> None:
        reason = problem = self.form.problem_text
        if not problem:
            config = self.form.config()
            self.form_summary.setText(summary(config, Path(config.start_from).name))
        case = self._workspace.session.case
        show_words(self.labels_words, label_mapping(self.form.start_model, case.table) if case else "")
        if self._workspace.store is None:
            reason = "Open a scan or a project first."
        elif not self.set_card.found.cases:
            reason = "Add a case with reviewed slices to the training set first."
        elif not self.set_card.ready:
            reason = "Review at least one slice of a case in the set first."
        show_words(self.start_words, reason)
        mark(self.start_words, "warning", bool(problem) and reason == problem)
        self.start_button.setEnabled(not reason and not self._starting)


def label_mapping(model: "ModelEntry | None", table: LabelTable) -> str:
    """What becomes of the labels where those of a case are not those of the model to start from; empty where they are.

    Matched by name and side.
    """
    if model is None or not len(table):
        return ""
    set_off = match_labels(table, model.card.labels)
    left = match_labels(model.card.labels, table).new
    if not set_off.new and not left:
        return ""
    parts = [f"{model.card.name} knows {len(set_off.known)} of the {count(len(table), 'label')} of the open case."]
    for words_before, labels in (("New to it, learnt from nothing", set_off.new), ("Left out of the new model", left)):
        if labels:
            parts.append(f"{words_before}: {', '.join(name for name, _ in label_chips(LabelTable(labels)))}.")
    return "\n".join(parts)


def _phantom_words(started: Started | None) -> str:
    if started is None or not started.val_is_phantoms:
        return ""
    return f"{NO_VALIDATION} Validation runs on made-up thighs."


def _notes(started: Started | None) -> str:
    """What else the run had to say at its start (labels matched, settings taken over), one sentence a line."""
    parts = started.note.split("; ") if started else []
    said = NO_VALIDATION.rstrip(".").lower()
    return "\n".join(part[:1].upper() + part[1:] for part in parts if part and part.rstrip(".").lower() != said)
