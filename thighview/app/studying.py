"""Studies as the window sees them: what one would take, started in a process of its own, followed, found again."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from thighview.app.jobs import Job, run_in_thread
from thighview.app.run_watch import TICK_MS, WORD_HOLDS_S, Look, RunFiles
from thighview.app.store import Store
from thighview.app.training import start_run
from thighview.core.errors import UserError
from thighview.core.run import Failed, RunEvent, TrainConfig
from thighview.core.studies import CURVE, Retraining, most_trainings, plan, work_of
from thighview.core.study_results import RetrainingEnded, StudyEnded, StudyMoved, StudyStarted
from thighview.io.models import find_model
from thighview.io.project import Project
from thighview.io.runs import write_control
from thighview.io.studies import (
    Study,
    StudyFolder,
    cohort_of,
    free_study_name,
    freeze_study,
    read_study,
    study_folder,
    study_folders,
)
from thighview.io.study_pace import Pace, find_pace


@dataclass(frozen=True)
class Prospect:
    """What a study that began now would be: its trainings, or why it cannot be, and how long they would take.

    ``most`` is the largest number that can be asked for (0: none can); ``people`` take part, ``known`` of them never
    validate because the model to start from was trained on them. ``seconds`` is None where nothing was timed yet.
    """

    kind: str
    trainings: tuple[Retraining, ...] = ()
    problem: UserError | None = None
    most: int = 0
    people: int = 0
    known: tuple[str, ...] = ()
    seconds: float | None = None
    pace: Pace | None = None


def look_ahead(project: Path, kind: str, count: int, config: TrainConfig) -> Prospect:
    """What a study would be; for a worker thread. Nothing is written."""
    try:
        opened = Project.open(project, writable=False)
        try:
            going = next((study.name for study in study_folders(project) if study.alive), "")
            if going:
                raise UserError(f"The study “{going}” is going on.", "Another one can start when it has ended.")
            parent = find_model(config.start_from, project) if config.start_from else None
            cohort = cohort_of(opened, parent)
        finally:
            opened.close()
    except UserError as error:
        return Prospect(kind, problem=error)
    most = most_trainings(cohort) if kind == CURVE else len(cohort.fresh)
    known = tuple(sorted(cohort.known))
    try:
        trainings = plan(kind, cohort, config, count)
    except UserError as error:
        return Prospect(kind, (), error, most, len(cohort.order), known)
    pace = find_pace(project, config)
    work = sum(work_of(one, cohort.slices, config) for one in trainings)
    seconds = pace.seconds * work + pace.start_s * len(trainings) if pace else None
    return Prospect(kind, trainings, None, most, len(cohort.order), known, seconds, pace)


@dataclass(frozen=True)
class StudyHistory:
    """What a study has said so far; ``study`` is what it asks, with its plan once that is made.

    ``phase``: ``starting``, ``running``, ``stopped``, ``done`` or ``failed``.
    """

    name: str
    phase: str = "starting"
    study: Study | None = None
    results: Mapping[int, RetrainingEnded] = field(default_factory=dict[int, RetrainingEnded])
    moved: StudyMoved | None = None
    failure: Failed | None = None

    @property
    def alive(self) -> bool:
        """Whether it goes on."""
        return self.phase in ("starting", "running")

    @property
    def share(self) -> float:
        """How much of all work is done, 0 to 1."""
        return 1.0 if self.phase == "done" else self.moved.share if self.moved else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds to go; None where nothing is known."""
        if self.moved is None or self.moved.seconds_left is None:
            return None
        return max(1.0, self.moved.seconds_left - (time.time() - self.moved.time))

    def with_event(self, event: RunEvent) -> "StudyHistory":
        """The history with one more event."""
        if isinstance(event, StudyStarted):
            moved = self.moved and replace(self.moved, seconds_left=None)  # that was told in an earlier sitting
            return replace(self, phase="running", failure=None, moved=moved)
        if isinstance(event, StudyMoved):
            return replace(self, moved=event)
        if isinstance(event, RetrainingEnded):
            return replace(self, results={**self.results, event.number: event})
        if isinstance(event, StudyEnded):
            return replace(self, phase="stopped" if event.stopped else "done")
        if isinstance(event, Failed):
            return replace(self, phase="failed", failure=event)
        return self


class StudyDesk(QObject):
    """Follows one study of the open project: the one at work, else the latest. All files are touched off the window.

    Attributes
    ----------
    history : StudyHistory or None
        Of the study followed.
    studies : tuple of StudyFolder
        All of the project, the latest last.
    """

    changed = Signal(object)
    """The StudyHistory of the study followed, or None."""
    failed = Signal(object)
    """An exception."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.history: StudyHistory | None = None
        self.studies: tuple[StudyFolder, ...] = ()
        self._folder: Path | None = None
        self._study: StudyFolder | None = None
        self._files: RunFiles | None = None
        self._job: Job | None = None
        self._held: RunEvent | None = None
        self._held_since = math.inf
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._look)

    def follow_project(self, folder: Path | None) -> None:
        """Look for a study of this project: one at work, else the latest one."""
        self._folder, self.studies = folder, ()
        self._follow(None)
        if folder is None:
            return
        job = self._off_window(lambda: (folder, sorted(study_folders(folder), key=lambda study: study.alive)))
        job.succeeded.connect(self._found)

    def show(self, name: str) -> None:
        """Follow another study of the project."""
        study = next((study for study in self.studies if study.name == name), None)
        if study is not None and study != self._study:
            self._follow(study)

    def start(self, store: Store, kind: str, count: int, config: TrainConfig) -> Job:
        """Freeze the training set for a new study, start it and follow it."""
        folder = store.folder

        def work() -> StudyFolder:
            store.wait_for(lambda _: None)  # what was painted before the button was pressed is on disk now
            study = study_folder(folder, free_study_name(folder, kind))
            project = Project.open(folder, writable=False)
            try:
                freeze_study(project, study, kind, config, count, find_pace(folder, config), store.wait_for)
            finally:
                project.close()
            start_run(study, option="--study")
            return study

        job = self._off_window(work)
        job.succeeded.connect(self._begun)
        return job

    def go_on(self) -> None:
        """Start the study followed again: at the training at which it ended, from its last checkpoint."""
        study = self._study
        if study is None or (self.history and self.history.alive):
            return

        def work() -> StudyFolder:
            start_run(study, option="--study")
            return study

        self._off_window(work).succeeded.connect(self._went_on)

    def stop(self) -> None:
        """Ask the study to end; trainings that are done stay done."""
        study = self._study
        if study is not None:
            self._off_window(lambda: write_control(study, "stop"), must_finish=True)  # also at the end of the program

    def close(self) -> None:
        """Follow nothing more; a study that is going on goes on."""
        self.follow_project(None)

    # ------------------------------------------------------------------ inside

    def _off_window(self, work: Callable[[], Any], must_finish: bool = False) -> Job:
        job = run_in_thread(lambda _report, _stopped: work(), lane="studies", must_finish=must_finish)
        job.failed.connect(self.failed)
        return job

    def _found(self, found: tuple[Path, list[StudyFolder]]) -> None:
        folder, studies = found
        if folder == self._folder and self._study is None and studies:
            self.studies = tuple(studies)
            self._follow(studies[-1])

    def _went_on(self, study: StudyFolder) -> None:
        if study == self._study:
            self._follow(study)

    def _begun(self, study: StudyFolder) -> None:
        if study.project == self._folder:
            self.studies = (*self.studies, study) if study not in self.studies else self.studies
            self._follow(study)

    def _follow(self, study: StudyFolder | None) -> None:
        self._study, self._held = study, None
        self._files = RunFiles(study) if study else None
        self.history = StudyHistory(study.name) if study else None
        if self._job:
            self._job.cancel()
            self._job = None
        self.changed.emit(self.history)
        if study:
            self._timer.start()
            self._look()
        else:
            self._timer.stop()

    def _look(self) -> None:
        files, study, history = self._files, self._study, self.history
        if files is None or study is None or history is None or (self._job and not self._job.is_over):
            return

        planned = history.study is not None and history.study.trainings

        def look() -> tuple[RunFiles, Look, Study | None]:
            return files, files.look(), None if planned else read_study(study)

        self._job = run_in_thread(lambda _report, _stopped: look(), lane="watch")
        self._job.succeeded.connect(self._seen)
        self._job.failed.connect(lambda error: self._unreadable(files, error))

    def _seen(self, found: tuple[RunFiles, Look, Study | None]) -> None:
        files, look, study = found
        history = self.history
        if files is not self._files or history is None:
            return
        before = history
        if study is not None and study != history.study:
            history = replace(history, study=study)
        for event in look.events:
            if self._held is not None:  # it went on after that word
                self._held = None
            if isinstance(event, (Failed, StudyEnded)):
                self._held, self._held_since = event, time.monotonic()
            else:
                history = history.with_event(event)
        gone = not look.events and look.alive is False
        if look.mute and history.phase != "starting":
            history, self._held = replace(history, phase="starting", failure=None), None
        if look.silent:
            self._held = None
        if self._held and (gone or time.monotonic() - self._held_since > WORD_HOLDS_S):
            history, self._held = history.with_event(self._held), None
        elif gone and look.lost and history.alive and not (look.unborn and history.phase == "starting"):
            history = history.with_event(look.lost)
        if gone and not history.alive:  # one that is slow to go on is followed still
            self._timer.stop()
        self.history = history
        if history is not before:
            self.changed.emit(history)
        if look.events:
            self._look_again()

    def _look_again(self) -> None:
        QTimer.singleShot(0, self, self._look)

    def _unreadable(self, files: RunFiles, error: Exception) -> None:
        """A study whose files cannot be read has failed: another one can start."""
        if files is not self._files or self.history is None:
            return
        self._timer.stop()
        if not isinstance(error, UserError):
            self.failed.emit(error)
            error = UserError("This study cannot be followed.")
        self.history = self.history.with_event(Failed(time.time(), self.history.name, error.message, error.hint))
        self.changed.emit(self.history)
