"""Set up: what is in the training set, and the settings of the next training; Start stays in sight."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from thighview.core.errors import UserError
from thighview.core.fine_tuning import steps_of
from thighview.core.history import model_of_step
from thighview.core.labels import LabelTable
from thighview.ui.augment_preview import AugmentFold
from thighview.ui.cards import Card, Page, button, count, mark, show_words, words
from thighview.ui.chips import label_chips
from thighview.ui.segment_panel import match_labels
from thighview.ui.train_form import TrainForm, summary
from thighview.ui.train_set import TrainSetCard

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace
    from thighview.io.models import ModelEntry


class SetUpPage(QWidget):
    """The set and the form in a column that scrolls, and beneath it the button that starts."""

    def __init__(self, workspace: "Workspace", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._starting, self._run, self._training = False, "", False
        self._study = ""
        self.set_card = TrainSetCard(workspace)
        self.form = TrainForm(workspace.settings.train_config)
        self.labels_words = words("", "muted")
        self.page = Page()
        self.page.column.addWidget(self.set_card)
        self.page.column.addWidget(self._make_settings())
        self.page.column.addStretch(1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self.page, 1)
        box.addWidget(self._make_foot())
        self.form.changed.connect(self.refresh)
        workspace.models_changed.connect(self._offer_models)
        workspace.session.case_opened.connect(self._offer_models)
        workspace.session.labels_changed.connect(self.refresh)
        workspace.segmenting.connect(self._offer_models)
        workspace.cases_changed.connect(self.refresh)
        self._offer_models()

    def _make_settings(self) -> Card:
        card = Card("New training")
        for part in (self.labels_words, self.form, AugmentFold(self._workspace, self.form)):
            card.body.addWidget(part)
        return card

    def _make_foot(self) -> QWidget:
        foot = QWidget()
        foot.setProperty("bar", "foot")
        foot.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.start_words = words("", "muted")
        self.config_words = words("", "muted")
        self.start_button = button("Start training", self._start, "Trains in the background; you can go on", "primary")
        column = QVBoxLayout(foot)
        column.setContentsMargins(12, 8, 12, 10)
        column.setSpacing(6)
        for part in (self.config_words, self.start_words, self.start_button):
            column.addWidget(part)
        return foot

    # ------------------------------------------------------------------ starting

    def show_run(self, name: str, alive: bool) -> None:
        """What the panel follows now: a run that goes on keeps the next one from starting."""
        self._run, self._training = name, alive
        if name and name == self.form.run_name.text().strip():
            self.form.run_name.clear()
        self._show_taken()
        self.refresh()

    def _show_taken(self) -> None:
        """Which names a run cannot have: those of the runs there are, and of the project's models."""
        workspace = self._workspace
        folder = workspace.project_folder
        models = {m.folder.name for m in workspace.models if folder and m.folder.parent == folder / "models"}
        self.form.show_taken(workspace.runs.names | models)

    def show_study(self, name: str) -> None:
        """A study of this name is at work (empty: none is); a training beside it would slow both down."""
        if name != self._study:
            self._study = name
            self.refresh()

    def _start(self) -> None:
        try:
            config = self.form.config()
        except UserError as error:
            self._workspace.failed.emit(error)
            return
        self._workspace.settings.train_config = None if self.form.is_default else config
        job = self._workspace.start_training(self.form.run_name.text().strip(), config)
        if job is not None:
            self._starting = True
            job.ended.connect(self._start_ended)
            self.refresh()

    def _start_ended(self) -> None:
        self._starting = False
        self.refresh()

    # ------------------------------------------------------------------ showing

    def _offer_models(self, _change: object = None) -> None:
        self.form.offer_models(self._workspace.models, self._model_at_hand())
        self.refresh()

    def _model_at_hand(self) -> "ModelEntry | None":
        """The model used last on the open case, else the first of the box."""
        models, history = self._workspace.models, self._workspace.session.history
        by_name = {model.card.name: model for model in reversed(models)}
        steps = (model_of_step(name) for name in reversed(history.names[: history.done]))
        used = next((model for model in steps if model in by_name), "")
        box = (model for model in models if model.place == "box")
        return by_name.get(used) or next(box, None)

    def refresh(self, _change: object = None) -> None:
        """Say what would be trained, or why nothing can be."""
        reason = problem = self.form.problem_text
        if not problem:
            config = self.form.config()
            found = self.set_card.found
            known = found.to_learn_from and not found.in_part("")  # who has no part yet gets one at the start
            steps = f" · {count(steps_of(found.to_learn_from, config), 'step')} an epoch" if known else ""
            self.config_words.setText(summary(config) + steps)
        case = self._workspace.session.case
        self.set_card.case_button.setEnabled(self._workspace.store is not None)
        show_words(self.labels_words, label_mapping(self.form.start_model, case.table) if case else "")
        if self._workspace.store is None:
            reason = "Open a scan or a project first."
        elif self._training:
            reason = f"“{self._run}” is training. The next one can start when it has ended."
        elif self._study:
            reason = f"The study “{self._study}” is at work. A training can start when it has ended or is stopped."
        elif not self.set_card.found.cases:
            reason = "Add a case with reviewed slices to the training set first."
        elif not self.set_card.ready:
            reason = "Review at least one slice of a case in the set first."
        show_words(self.start_words, reason)
        self.config_words.setVisible(not reason)
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
