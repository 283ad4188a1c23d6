"""The gate of the open project: which model is in use, a new one against it, and the three ways to decide."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from thighview.app.gate_process import compare_on_locked, read_result
from thighview.app.jobs import Job, run_in_thread
from thighview.app.open_project import OpenProject
from thighview.core.comparing import Comparison, compare_models, scores_of
from thighview.core.errors import UserError
from thighview.core.promotion import Promotions
from thighview.io.models import ModelEntry
from thighview.io.promotions import change_promotions, read_promotions


@dataclass(frozen=True, eq=False)
class Verdict:
    """A comparison of two models by the SHA-256 of their weights; ``pictures`` is a folder."""

    new: str
    old: str
    old_name: str
    comparison: Comparison
    pictures: Path


class Promoting(QObject):
    """Follows the open project; everything that touches files is done off the window.

    Attributes
    ----------
    promotions : Promotions
        What was decided so far.
    verdict : Verdict or None
        The comparison of the model looked at.
    job : Job or None
        A comparison under way.
    """

    changed = Signal()
    """Something of the attributes."""
    progressed = Signal(int, int)
    """Cases done and all."""
    use_model = Signal(object)
    """The ModelEntry that is to be preselected: it was promoted, or the project has just been opened."""
    failed = Signal(object)
    """An exception."""

    def __init__(self, project: OpenProject, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._project = project
        self.promotions = Promotions()
        self.verdict: Verdict | None = None
        self.job: Job | None = None
        self._candidate: ModelEntry | None = None
        self._read_for: Path | None = None
        self._preselected: Path | None = None
        project.project_changed.connect(self._follow)
        project.models_changed.connect(self._preselect)
        if project.project_folder:
            self._follow(project.project_folder)

    # ------------------------------------------------------------------ what is known

    def look_at(self, candidate: ModelEntry | None) -> None:
        """The model that is to be judged; an earlier comparison of it is shown again."""
        before, self._candidate = self._candidate, candidate
        if candidate and before and candidate.card.weights_sha256 == before.card.weights_sha256:
            return
        self.cancel()
        self.verdict = None
        place = self._place_of(candidate) if candidate else None
        if candidate and place:
            job = run_in_thread(lambda _report, _stopped: _verdict_of(read_result(place), place), lane="gate files")
            job.succeeded.connect(lambda found: self._found(candidate, found))
            job.failed.connect(self.failed)
        self.changed.emit()

    def baseline_of(self, candidate: ModelEntry) -> ModelEntry | None:
        """What a model is compared with: the one in use, for that one the earlier, else what it was started from."""
        mine = candidate.card.weights_sha256
        wanted = self.promotions.earlier if mine == self.promotions.active else self.promotions.active
        parent = candidate.card.lineage.get("parent")
        if not wanted and isinstance(parent, dict):
            wanted = str(parent.get("weights_sha256", ""))
        return self._by_weights(wanted) if wanted != mine else None

    def model_in_use(self) -> ModelEntry | None:
        """The active model, where it is still there."""
        return self._by_weights(self.promotions.active)

    def earlier_model(self) -> ModelEntry | None:
        """The model that rolling back would make active."""
        return self._by_weights(self.promotions.earlier)

    def locked_people(self) -> int:
        """People of the locked test with reviewed slices."""
        return len({
            case.subject for case in self._project.cases
            if case.part == "test" and any(state.reviewed and n for state, n in case.counts.items())
        })  # fmt: skip

    # ------------------------------------------------------------------ what is done

    def compare(self, candidate: ModelEntry, old: ModelEntry) -> None:
        """Evaluate both models on the locked people, in a child process."""
        folder, place = self._project.project_folder, self._place_of(candidate)
        if folder is None or place is None or self.job is not None:
            return

        def work(report: Any, stopped: Callable[[], bool]) -> Verdict | None:
            return _verdict_of(compare_on_locked(folder, candidate.folder, old.folder, place, report, stopped), place)

        job = self.job = run_in_thread(work, lane="gate")
        job.progressed.connect(self.progressed)
        job.succeeded.connect(lambda found: self._found(candidate, found))
        job.failed.connect(self.failed)
        job.ended.connect(lambda: self._ended(job))
        self.changed.emit()

    def cancel(self) -> None:
        """End a comparison under way; nothing of it is kept."""
        if self.job:
            job, self.job = self.job, None
            job.cancel()
            self.changed.emit()

    def promote(self, candidate: ModelEntry) -> None:
        """Make a model the active one."""
        old = self.baseline_of(candidate)
        before = old.card.weights_sha256 if old else ""
        self._decide(lambda made: made.promoted(candidate.card.weights_sha256, before), use=True)

    def hold(self, candidate: ModelEntry) -> None:
        """Decide against a model; it stays in the list."""
        self._decide(lambda made: made.holding(candidate.card.weights_sha256), use=False)

    def roll_back(self) -> None:
        """Make the earlier model active again."""
        self._decide(lambda made: made.rolled_back(), use=True)

    # ------------------------------------------------------------------ inside

    def _follow(self, folder: Path) -> None:
        self.promotions, self._read_for, self._preselected = Promotions(), None, None
        self.look_at(None)
        job = run_in_thread(lambda _report, _stopped: read_promotions(folder), lane="gate files")
        job.succeeded.connect(lambda found: self._read(folder, found))
        job.failed.connect(self.failed)

    def _read(self, folder: Path, found: Promotions) -> None:
        if folder == self._project.project_folder:
            self.promotions, self._read_for = found, folder
            self._preselect()
            self.changed.emit()

    def _preselect(self, _models: object = None) -> None:
        """Once after a project was opened: the model in use is the one to segment with."""
        active = self.model_in_use()
        if active and self._read_for and self._preselected != self._read_for:
            self._preselected = self._read_for
            self.use_model.emit(active)

    def _decide(self, change: Callable[[Promotions], Promotions], use: bool) -> None:
        store = self._project.store
        if store is None:
            self.failed.emit(UserError("No project is open.", "Open a project first."))
            return
        folder = store.folder
        job = store.call(lambda project: change_promotions(project, change))

        def done(found: Promotions) -> None:
            if folder != self._project.project_folder:
                return
            self.promotions = found
            active = self.model_in_use()
            if use and active:
                self._preselected = folder
                self.use_model.emit(active)
            self.changed.emit()

        job.succeeded.connect(done)
        job.failed.connect(self.failed)

    def _found(self, candidate: ModelEntry, found: Verdict | None) -> None:
        weights = candidate.card.weights_sha256
        if found and self._candidate and found.new == weights == self._candidate.card.weights_sha256:
            self.verdict = found
            self.changed.emit()

    def _ended(self, job: Job) -> None:
        if job is self.job:
            self.job = None
            self.changed.emit()

    def _by_weights(self, weights: str) -> ModelEntry | None:
        return next((m for m in self._project.models if weights and m.card.weights_sha256 == weights), None)

    def _place_of(self, candidate: ModelEntry) -> Path | None:
        folder, run = self._project.project_folder, str(candidate.card.lineage.get("run", ""))
        good = folder is not None and candidate.folder.parent == folder / "models" and run == candidate.folder.name
        return folder / "runs" / run / "comparison" if folder is not None and good else None


def _verdict_of(result: dict[str, Any] | None, place: Path) -> Verdict | None:
    """What a result of ``thighview evaluate --against`` means; None where it is not one."""
    if result is None:
        return None
    try:
        against = result["against"]
        (new, seen), (old, also) = scores_of(result), scores_of(against)
        found = compare_models(old, new, seen | also)
        return Verdict(
            str(result["weights_sha256"]), str(against["weights_sha256"]), str(against["model"]), found,
            place / "pictures",
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError):
        return None
