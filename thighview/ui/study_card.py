"""Studies: several trainings of one set as one job in the background, from the question over its cost to its answer."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QSizePolicy, QSpinBox, QVBoxLayout, QWidget

from thighview.app.jobs import run_in_thread
from thighview.app.studying import Prospect, StudyDesk, StudyHistory, look_ahead
from thighview.core.errors import UserError
from thighview.core.leaks import listed
from thighview.core.run import TrainConfig
from thighview.core.studies import CURVE, FOLDS, LEAVE_ONE_OUT
from thighview.ui.cards import (
    Card,
    ProgressLine,
    button,
    chooser,
    count,
    mark,
    minutes,
    pad_number,
    row,
    show_words,
    words,
)
from thighview.ui.study_result import StudyResult
from thighview.ui.train_form import summary

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

ASKED = {
    FOLDS: (
        "K-fold over people",
        "How well does this way of training do on people it has not seen? Everybody outside the locked test is scored "
        "once, by a network that was trained on the others.",
    ),
    LEAVE_ONE_OUT: (
        "Leave one person out",
        "K-fold with as many trainings as people: each person is scored by a network that was trained on all the "
        "others. For a set of few people.",
    ),
    CURVE: (
        "Learning curve",
        "Would more people help? Trained anew on 1, 2, 4, … people, each time scored on the same people, who never "
        "train.",
    ),
}
"""Name of each kind, and the question it answers."""
_SOON_MS = 120


class StudyCard(Card):
    """What to ask, what that costs, how far it is, and what it found; follows the open project's latest study.

    Parameters
    ----------
    workspace : Workspace
    config_of : callable
        The settings that the next training would have; raises UserError where they are not whole. Call
        :meth:`refresh` when they change.
    """

    def __init__(self, workspace: "Workspace", config_of: Callable[[], TrainConfig]) -> None:
        super().__init__("Studies")
        self._workspace, self._config_of = workspace, config_of
        self._counts = dict.fromkeys(ASKED, 0)
        self._prospect: Prospect | None = None
        self._busy = self._stopping = False
        self.desk = StudyDesk(self)
        self._make_question()
        self._make_progress()
        self.study = chooser("Which study of this project is shown")
        self.study.activated.connect(lambda _: self.desk.show(self.study.currentText()))
        self.result = StudyResult(workspace)
        self.note_words = words("", "muted")
        self.name = words("", "title")
        self.followed = QWidget()
        column = QVBoxLayout(self.followed)
        column.setContentsMargins(0, 10, 0, 0)
        column.setSpacing(8)
        for part in (self.name, self.study, self.progress_part, self.result, self.note_words):
            column.addWidget(part)
        self.body.addWidget(self.question)
        self.body.addWidget(self.followed)
        self._soon, self._tick = QTimer(self), QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(self._look_ahead)
        self._tick.setInterval(1000)
        self._tick.timeout.connect(self._show_progress)
        self.desk.changed.connect(self._show)
        self.desk.failed.connect(self._failed)
        workspace.project_changed.connect(self._follow)
        workspace.cases_changed.connect(self.refresh)
        workspace.models_changed.connect(self.refresh)
        workspace.runs.run_changed.connect(self.refresh)
        workspace.runs.run_ended.connect(self.refresh)
        self._follow()

    # ------------------------------------------------------------------ parts

    def _make_question(self) -> None:
        self.question = QWidget()
        self.kind = chooser("What is asked")
        for kind, (name, _) in ASKED.items():
            self.kind.addItem(name, kind)
        self.kind.activated.connect(self._kind_chosen)
        self.number = QSpinBox()
        pad_number(self.number)
        self.number.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)  # narrow panels are narrower
        self.number.setRange(2, 2)
        self.number.hide()
        self.number.valueChanged.connect(self._number_chosen)
        self.about = words("", "muted")
        self.cost = words("")
        self.settings = words("", "muted")
        self.known_words = words("", "warning")
        self.start_button = button("Start study", self._start, "Trains in the background; you can go on", "primary")
        column = QVBoxLayout(self.question)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(row(self.kind, self.number, stretch=0))
        for part in (self.about, self.cost, self.settings, self.known_words):
            column.addWidget(part)
        column.addLayout(row(self.start_button))

    def _make_progress(self) -> None:
        self.progress_part = QWidget()
        self.progress_words, self.failure = words(""), words("", "error")
        self.progress = ProgressLine()
        self.stop_button = button("Stop", self._stop, "Trainings that are done stay done; it can go on later")
        self.go_on_button = button("Go on", self._go_on, "Goes on where it ended, from its last checkpoint", "primary")
        column = QVBoxLayout(self.progress_part)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for part in (self.failure, self.progress_words, self.progress):
            column.addWidget(part)
        column.addLayout(row(self.stop_button, self.go_on_button))

    # ------------------------------------------------------------------ what a study would be

    def refresh(self, _change: object = None) -> None:
        """Look again, soon, at what a study would be; nothing while the card is not in sight."""
        if self.isVisible():
            self._soon.start()

    def showEvent(self, event: QShowEvent) -> None:
        """Look at what a study would be now."""
        super().showEvent(event)
        self._soon.start()

    def _look_ahead(self) -> None:
        folder = self._workspace.project_folder
        kind = self.kind.currentData()
        if folder is None:
            self._show_prospect((Prospect(kind, problem=UserError("Open a scan or a project first.")), None))
            return
        try:
            config = self._config_of()
        except UserError as error:
            self._show_prospect((Prospect(kind, problem=error), None))
            return
        asked = self._counts[kind]
        job = run_in_thread(lambda *_: (look_ahead(folder, kind, asked, config), config), lane="prospect")
        job.succeeded.connect(self._show_prospect)
        job.failed.connect(self._workspace.failed)

    def _show_prospect(self, seen: tuple[Prospect, TrainConfig | None]) -> None:
        found, config = seen
        if found.kind != self.kind.currentData():
            return
        self._prospect = found
        if self._counts[found.kind] > found.most >= 2:  # asked when there were more people
            self._counts[found.kind] = 0
            self._soon.start()
        self.number.blockSignals(True)
        self.number.setRange(2, max(2, found.most))
        if found.trainings:
            self.number.setValue(len(found.trainings))
        self.number.setSuffix(" folds" if found.kind == FOLDS else " trainings")
        self.number.blockSignals(False)
        self.number.setVisible(found.kind != LEAVE_ONE_OUT and found.most >= 2)
        show_words(self.settings, summary(config) if config and found.trainings else "")
        show_words(self.known_words, _known_words(found, config))
        self._show_question()

    def _show_question(self) -> None:
        found, running = self._prospect, self.desk.history is not None and self.desk.history.alive
        self.question.setVisible(not running)
        show_words(self.about, ASKED[self.kind.currentData()][1])
        reason = ""
        if found and found.problem:
            reason = f"{found.problem.message} {found.problem.hint}".strip()
        elif self._workspace.runs.is_going_on:
            reason = f"“{self._workspace.runs.name}” is training. A study can start when it has ended."
        show_words(self.cost, reason or (cost_words(found) if found else "Looking at who can take part…"))
        mark(self.cost, "warning", bool(reason))
        self.start_button.setEnabled(bool(found and found.trainings) and not reason and not self._busy)
        going_on = self.desk.history is not None and self.desk.history.phase in ("stopped", "failed")
        mark(self.start_button, "primary", not going_on)

    # ------------------------------------------------------------------ what the person does

    def _kind_chosen(self, _index: int) -> None:
        self._prospect = None
        self._show_question()
        self._soon.start()

    def _number_chosen(self, value: int) -> None:
        self._counts[self.kind.currentData()] = value
        self.start_button.setEnabled(False)
        self._soon.start()

    def _start(self) -> None:
        store, found = self._workspace.store, self._prospect
        if store is None or found is None:
            return
        try:
            config = self._config_of()
        except UserError as error:
            self._workspace.failed.emit(error)
            return
        self._busy = True
        self._show_question()
        self._workspace.said.emit("Preparing the training set…")
        job = self.desk.start(store, found.kind, self._counts[found.kind], config)
        job.ended.connect(self._is_free)

    def _is_free(self) -> None:
        self._workspace.refresh()  # people may have got their part now
        self._busy = False
        self._show_question()

    def _stop(self) -> None:
        self.desk.stop()
        self._stopping = True
        self.stop_button.setEnabled(False)
        show_words(self.progress_words, "Stopping: what is learnt of this epoch is measured and saved first…")

    def _go_on(self) -> None:
        self.go_on_button.setEnabled(False)
        self.desk.go_on()

    def _failed(self, error: Exception) -> None:
        self._workspace.failed.emit(error)
        self._show(self.desk.history)

    # ------------------------------------------------------------------ the study followed

    def _follow(self, _change: object = None) -> None:
        self.desk.follow_project(self._workspace.project_folder)
        self._prospect = None
        self.refresh()

    def _show(self, history: StudyHistory | None) -> None:
        alive = history is not None and history.alive
        over = history is not None and history.phase in ("stopped", "failed")
        self._stopping = self._stopping and alive
        self.followed.setVisible(history is not None)
        self.name.setText(history.name if history else "")
        self.progress_part.setVisible(alive or over)
        self.progress.setVisible(alive)
        self.stop_button.setVisible(alive)
        self.stop_button.setEnabled(alive and not self._stopping)
        known = history is not None and history.study is not None  # what cannot be read cannot go on either
        self.go_on_button.setVisible(over and known)
        self.go_on_button.setEnabled(over and known)
        failure = history.failure if history else None
        show_words(self.failure, f"{failure.message} {failure.hint}".strip() if failure else "")
        show_words(self.note_words, _notes(history))
        names = [study.name for study in self.desk.studies]
        if [self.study.itemText(i) for i in range(self.study.count())] != names:
            self.study.clear()
            self.study.addItems(names)
        if history:
            self.study.setCurrentText(history.name)
        self.study.setVisible(len(names) > 1)
        self.name.setVisible(len(names) <= 1)
        self.result.show_history(history)
        self._show_question()
        self._show_progress()
        if alive and not self._tick.isActive():
            self._tick.start()
        elif not alive:
            self._tick.stop()
            self.refresh()  # another one can start now

    def _show_progress(self) -> None:
        history = self.desk.history
        if history is None or self._stopping:
            return
        show_words(self.progress_words, progress_words(history))
        self.progress.show_progress(round(1000 * history.share), 1000 if history.moved else 0)


def cost_words(found: Prospect) -> str:
    """What a study would cost: ``5 trainings, about 40 min on this machine.``."""
    trainings, people = count(len(found.trainings), "training"), count(found.people, "person", "people")
    if not found.trainings:
        return ""
    if found.seconds is None or found.pace is None:
        return f"{trainings}, {people}. Nothing was trained here yet: how long it takes is told by the first training."
    how = "about" if found.pace.alike else "very roughly"
    why = "" if found.pace.alike else ", which is of another size"
    return f"{trainings}, {people}: {how} {minutes(found.seconds)} on this machine, going by “{found.pace.run}”{why}."


def progress_words(history: StudyHistory) -> str:
    """Where a study stands: ``Training 2 of 5 · epoch 3 of 40 · 34 min left``."""
    total = len(history.study.trainings) if history.study else 0
    if history.phase in ("stopped", "failed"):
        return f"Ended after {len(history.results)} of {count(total, 'training')}." if total else ""
    if history.phase == "done":
        return ""
    if history.moved is None or history.phase == "starting":
        return "Starting: the scans are being read…"
    left = history.seconds_left
    parts = [f"Training {history.moved.number} of {total}", f"epoch {history.moved.epoch} of {history.moved.epochs}"]
    return " · ".join([*parts, f"{minutes(left)} left" if left is not None else "estimating time…"])


def _known_words(found: Prospect, config: TrainConfig | None) -> str:
    if not found.known or config is None:
        return ""
    verb = "does" if len(found.known) == 1 else "do"
    return (
        f"{listed(found.known)} {verb} not count: “{Path(config.start_from).name}”, or a model it comes from, was "
        f"trained on {'that person' if len(found.known) == 1 else 'them'}. From random weights everybody counts."
    )


def _notes(history: StudyHistory | None) -> str:
    """What the study had to say at its start, one sentence a line."""
    parts = history.study.note.split("; ") if history and history.study else []
    return "\n".join(f"{part[:1].upper()}{part[1:]}." for part in parts if part)
