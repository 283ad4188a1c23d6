"""The training of the open project: found again when the project opens, started, told what to do, listened to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from thighview.app.jobs import Job, run_in_thread
from thighview.app.run_story import can_resume
from thighview.app.run_watch import RunWatch
from thighview.app.store import Store
from thighview.app.training import freeze_run, resume_run, start_run
from thighview.core.run import BatchEnded, EpochEnded, Failed, Finished, RunEvent, TrainConfig, thinned
from thighview.io.runs import RunFolder, run_folders, write_control


class RunDesk(QObject):
    """Follows one run of the open project: the one at work, else the latest. All files are touched off the window.

    Attributes
    ----------
    history : list of RunEvent
        Everything the followed run has said so far, batches included.
    names : set of str
        The runs there are, as far as is known.
    """

    run_changed = Signal(str)
    """Another run is followed, by name; empty for none. Its past comes as ``event_came`` right after."""
    event_came = Signal(object)
    """RunEvent, old ones first."""
    run_ended = Signal(object)
    """Finished or Failed."""
    failed = Signal(object)
    """An exception: a command that could not be given."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.history: list[RunEvent] = []
        self.names: set[str] = set()
        self._watch: RunWatch | None = None
        self._folder: Path | None = None

    @property
    def run(self) -> RunFolder | None:
        """The run followed."""
        return self._watch.run if self._watch else None

    @property
    def name(self) -> str:
        """Name of the run followed; empty for none."""
        return self._watch.run.name if self._watch else ""

    @property
    def is_going_on(self) -> bool:
        """Whether the run followed has neither finished nor failed."""
        return self._watch is not None and not self._watch.is_over

    def follow_project(self, folder: Path) -> None:
        """Look for a run of this project: one at work, else the latest one."""
        self._folder = folder
        self.names = set()
        self._follow(None)
        # each is asked once: one that ends meanwhile must not fall between two lists
        job = run_in_thread(
            lambda _report, _stopped: sorted(run_folders(folder), key=lambda run: run.alive), lane="runs"
        )
        job.succeeded.connect(lambda runs: self._found(folder, runs))
        job.failed.connect(self.failed)

    def start(self, store: Store, name: str, config: TrainConfig) -> Job:
        """Freeze the training set under a name (a free one if empty), start the run and follow it."""
        folder = store.folder

        def work(_report: object, _stopped: object) -> RunFolder:
            run = freeze_run(store, config, name)
            start_run(run)
            return run

        job = run_in_thread(work, lane="runs")
        job.succeeded.connect(lambda run: self._follow(run) if self._folder == folder else None)
        return job

    def go_on(self) -> None:
        """Start the run followed again, from its last checkpoint."""
        run = self.run
        if run is None or self.is_going_on:
            return
        job = self._off_window(lambda: resume_run(run))
        job.succeeded.connect(lambda _: self._follow(run) if self.run == run else None)

    def ask_can_go_on(self, answer: Callable[[bool], Any]) -> None:
        """Find out whether the run followed has epochs left; ``answer`` is called when it is known."""
        run = self.run
        if run is not None:
            self._off_window(lambda: can_resume(run)).succeeded.connect(answer)

    def pause(self) -> None:
        """Ask the run to wait between two batches."""
        self._tell("pause")

    def resume(self) -> None:
        """Ask a waiting run to go on."""
        self._tell("run")

    def stop(self) -> None:
        """Ask the run to end; it writes the best model so far."""
        self._tell("stop")

    def close(self) -> None:
        """Follow nothing more; a run that is going on goes on."""
        self._folder = None
        self._follow(None)

    # ------------------------------------------------------------------ inside

    def _tell(self, command: str) -> None:
        run = self.run
        if run is not None:
            self._off_window(lambda: write_control(run, command), must_finish=True)  # also at the end of the program

    def _off_window(self, work: Callable[[], Any], must_finish: bool = False) -> Job:
        job = run_in_thread(lambda _report, _stopped: work(), lane="runs", must_finish=must_finish)
        job.failed.connect(self.failed)
        return job

    def _found(self, folder: Path, runs: list[RunFolder]) -> None:
        if folder == self._folder:
            self.names |= {run.name for run in runs}
            if self._watch is None and runs:
                self._follow(runs[-1])

    def _follow(self, run: RunFolder | None) -> None:
        had = self._watch
        if had is not None:
            had.close()
            had.deleteLater()
            self._watch = None
        self.history = []
        if run is not None:
            self.names.add(run.name)
            watch = self._watch = RunWatch(run, self)
            watch.said.connect(self._heard)
            watch.follow()
        if run is not None or had is not None:
            self.run_changed.emit(self.name)

    def _heard(self, event: RunEvent) -> None:
        self.history.append(event)
        if isinstance(event, EpochEnded):  # of its batches, which came last, some are enough from now on
            first = len(self.history) - 1
            while first and isinstance(self.history[first - 1], BatchEnded):
                first -= 1
            batches = [e for e in self.history[first:-1] if isinstance(e, BatchEnded)]
            self.history[first:-1] = thinned(batches)
        self.event_came.emit(event)
        if isinstance(event, (Finished, Failed)):
            self.run_ended.emit(event)
