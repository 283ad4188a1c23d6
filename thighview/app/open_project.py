"""The open project: its store, its worklist and its models, and how one makes room for the next."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from thighview.app.jobs import Job, run_in_thread
from thighview.app.session import Session
from thighview.app.store import Store
from thighview.core.errors import UserError
from thighview.core.known import LOOK_ONLY
from thighview.io import paths
from thighview.io.models import ModelEntry, find_models
from thighview.io.project import CaseSummary, Project

REFRESH_AFTER_MS = 300
"""The worklist is read anew when no slice has changed its state for this long."""


@dataclass(eq=False)
class _Arriving:
    """A project on its way, what is done once it is open, and what is done also where it is refused."""

    store: Store
    once_open: list[Callable[[], Any]]
    anyhow: list[Callable[[], Any]] = field(default_factory=list[Callable[[], Any]])


class OpenProject(QObject):
    """At most one project, and the case of it that ``session`` has open; the base of the workspace.

    Attributes
    ----------
    session : Session
        The open case.
    store : Store or None
        The project's only writer.
    cases : tuple of CaseSummary
        Its worklist as it was read last.
    models : tuple of ModelEntry
        Of the project, the user and the box.
    """

    project_changed = Signal(object)
    """Path of the open project's folder."""
    cases_changed = Signal(object)
    """tuple of CaseSummary."""
    models_changed = Signal(object)
    """tuple of ModelEntry."""
    save_changed = Signal(object)
    """SaveState of the journal."""
    failed = Signal(object)
    """An exception: a UserError to show, or a bug."""
    said = Signal(str)
    """A sentence for the status line."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = Session(self)
        self.store: Store | None = None
        self.cases: tuple[CaseSummary, ...] = ()
        self.models: tuple[ModelEntry, ...] = ()
        self._arriving: _Arriving | None = None
        self._instead_of: dict[Store, Store | None] = {}
        """For a project that was refused, the one that stayed, or that came next."""
        self._leaving: dict[Path, Job] = {}
        self._reading: Job | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(REFRESH_AFTER_MS)
        self._soon.timeout.connect(self._refresh_reviews)
        self.session.reviews_changed.connect(self._note_reviews)
        self.session.run_changed.connect(self._note_reviews)

    @property
    def project_folder(self) -> Path | None:
        """Folder of the open project."""
        return self.store.folder if self.store else None

    def open_project(
        self,
        folder: Path,
        then: Callable[[], Any] | None = None,
        refused: Callable[[Exception], Any] | None = None,
    ) -> None:
        """Make this the open project, made now if the folder is new or empty; the open case is closed.

        Of several asked for at once the last one is opened. Refused while edits of the open one cannot be written.
        A project that cannot be opened is said with ``failed``, or with ``refused`` where that is given.
        """
        folder = folder.absolute()
        if self._arriving and self._arriving.store.folder == folder:
            self._arriving.once_open.extend([then] if then else [])
            return
        if self.store and self.store.folder == folder:
            self._arriving = None
            if then:
                then()
            return
        if self.store and self.store.unsaved and self.store.state.phase == "error":
            self.failed.emit(UserError(f"{self.store.state.message} This project stays open.", "Mend that first."))
            return
        leaving = self._leaving.get(folder)
        if leaving and not leaving.is_over:  # its lock is still ours: come back when it is written
            leaving.ended.connect(lambda: self.open_project(folder, then, refused))
            return
        store = Store(folder, self)
        wanted = self._arriving = _Arriving(store, [then] if then else [])

        def opened(_: object) -> None:
            if self._arriving is not wanted:  # another one was asked for meanwhile
                store.leave()
                return
            self._arriving = None
            self._leave_project()
            self._set_cases(())
            self.store = store
            store.save_changed.connect(self.save_changed)
            self.project_changed.emit(store.folder)
            self.refresh()
            self.refresh_models()
            for waiting in (*wanted.once_open, *wanted.anyhow):
                waiting()

        def not_opened(error: Exception) -> None:
            awaited = self._arriving is wanted
            if awaited:
                self._arriving = None
            store.leave()
            (refused or self.failed.emit)(error)
            if awaited:
                self._instead_of[store] = self._place
                for waiting in wanted.anyhow:
                    waiting()
            if self.store is None and self._arriving is None:  # the models of the box are there all the same
                self.refresh_models()

        job = store.open()
        job.succeeded.connect(opened)
        job.failed.connect(not_opened)

    def open_scratch(self, then: Callable[[], Any] | None = None) -> None:
        """Make *My cases* the open project, where scans opened on their own live."""
        self.open_project(paths.scratch_project(), then)

    @property
    def current_cases(self) -> tuple[CaseSummary, ...]:
        """The worklist with the open case as it is now, whatever of it has been written."""
        case = self.session.case
        if case is None:
            return self.cases
        counts = Counter(review.state for review in case.reviews)
        return tuple(replace(one, counts=counts) if one.case_id == case.case_id else one for one in self.cases)

    def refresh(self) -> None:
        """Read the worklist anew."""
        store = self.store

        def read(cases: tuple[CaseSummary, ...]) -> None:
            if self.store is store:
                self._set_cases(cases)

        self._reading = self._call(lambda project: tuple(project.cases()), read)

    def refresh_models(self) -> None:
        """Look for models anew, in the project, the user's folder and the box."""
        folder = self.project_folder
        job = run_in_thread(lambda report, stopped: tuple(find_models(folder)), lane="models")
        job.succeeded.connect(self._set_models)
        job.failed.connect(self.failed)

    # ------------------------------------------------------------------ facts of a case

    def set_subject(self, case_ids: Collection[int], subject: str) -> Job | None:
        """Say whose scans these are; refused once the person they belong to was part of a training run."""
        store, subject = self.store, subject.strip()

        def work(project: Project) -> None:
            for case_id in case_ids:
                project.set_subject(case_id, subject)

        def done(_: object) -> None:
            case = self.session.case
            if self.store is not store:
                return
            if case and case.case_id in case_ids:
                case.subject = subject
            self.refresh()

        return self._call(work, done)

    def set_in_training_set(self, chosen: bool) -> None:
        """Take the open case into the training set, or out of it."""
        case = self.session.case
        if case is None or not self.store:
            return
        if chosen and not case.is_sized:
            self.session.refused.emit(LOOK_ONLY)
            return
        case_id = case.case_id
        words = "is in the training set now" if chosen else "is out of the training set"

        def done(_: object) -> None:
            self.said.emit(f"{case.title} {words}.")
            self.refresh()

        self._call(lambda project: project.set_in_training_set(case_id, chosen), done)

    def check_doubt(self, doubt: str, checked: bool = True) -> None:
        """Keep that a person has looked into a doubt about the open scan, or that nobody has after all."""
        case = self.session.case
        if case and self.store:
            self.session.check_doubt(doubt, checked)
            case_id, doubts = case.case_id, case.checked
            self._call(lambda project: project.set_checked(case_id, doubts), lambda _: None)

    # ------------------------------------------------------------------ inside

    def _note_reviews(self, _: object) -> None:
        if not self.session.busy_run:  # it tells of each slice, and the project knows of none before its end
            self._soon.start()

    @property
    def _place(self) -> Store | None:
        """The project that is open or, where one is on its way, that one; None at the very start."""
        return self._arriving.store if self._arriving else self.store

    def _refresh_reviews(self) -> None:
        """Read the worklist behind the edits that have just been made; while one reading waits, no second is asked."""
        if self._reading and not self._reading.is_over:
            self._soon.start()
        else:
            self.refresh()

    def _leave_project(self) -> None:
        self._mirror_open_case()
        self.session.open(None)
        store = self.store
        if store:
            job = self._leaving[store.folder] = store.leave()
            job.succeeded.connect(self._left)
        self.store = None

    def _left(self, unsaved: int) -> None:
        if unsaved:
            self.failed.emit(UserError(f"{unsaved} changes could not be written when the project was closed."))

    def _call(self, work: Callable[[Project], Any], done: Callable[[Any], Any]) -> Job | None:
        if self.store is None:
            return None
        job = self.store.call(work)
        job.succeeded.connect(done)
        job.failed.connect(self.failed)
        return job

    def _mirror_open_case(self) -> None:
        case = self.session.case
        if case and self.store:
            volume, case_id = case.checked_volume, case.case_id
            self.store.call(lambda project: project.write_mirror(case_id, volume)).failed.connect(self.failed)

    def _set_cases(self, cases: tuple[CaseSummary, ...]) -> None:
        self.cases = cases
        self.cases_changed.emit(cases)

    def _set_models(self, models: tuple[ModelEntry, ...]) -> None:
        self.models = models
        self.models_changed.emit(models)
        self._call(lambda project: _note_models(project, models), lambda _: None)


def _note_models(project: Project, models: tuple[ModelEntry, ...]) -> None:
    """Enter the models of its folder that the project does not know yet, whoever trained them."""
    known = {(row.folder, row.weights_sha256) for row in project.models()}
    for model in models:
        card = model.card
        ours = model.folder.is_relative_to(project.folder)
        if ours and (model.folder, card.weights_sha256) not in known:
            project.add_model(card.name, model.folder, card.weights_sha256, str(card.lineage.get("run", "")))
