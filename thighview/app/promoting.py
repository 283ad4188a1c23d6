"""The gate of the open project: which model is in use, any other against it, and the three ways to decide."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from thighview.app.gate_process import compare_on_locked, compared_pairs, place_of_pair, read_result
from thighview.app.jobs import Job, run_in_thread
from thighview.app.open_project import OpenProject
from thighview.core.comparing import Comparison, compare_models, paired_scores, untold
from thighview.core.errors import UserError
from thighview.core.guard import GuardVerdict, guard_of
from thighview.core.phantom_names import phantom_part
from thighview.core.promotion import Promotions
from thighview.io.models import ModelEntry
from thighview.io.promotions import change_promotions, read_promotions
from thighview.io.records import CaseSummary


@dataclass(frozen=True, eq=False)
class Verdict:
    """A comparison of two models by the SHA-256 of their weights, on people and on the guard set, each for itself.

    ``guard`` is None where made-up thighs have no label that both know; ``pictures`` is a folder. ``began`` is when,
    seconds since 1970, and ``cases`` are those of the project that were looked at.
    """

    new: str
    old: str
    comparison: Comparison
    guard: GuardVerdict | None
    pictures: Path
    began: float
    cases: frozenset[int]


class Promoting(QObject):
    """Follows the open project; everything that touches files is done off the window.

    Attributes
    ----------
    promotions : Promotions
        What was decided so far.
    verdict : Verdict or None
        The comparison of the two models looked at.
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
        self._pair: tuple[str, str] | None = None
        self._compared: frozenset[str] = frozenset()
        self._read_for: Path | None = None
        self._preselected: Path | None = None
        project.project_changed.connect(self._follow)
        project.models_changed.connect(self._preselect)
        if project.project_folder:
            self._follow(project.project_folder)

    # ------------------------------------------------------------------ what is known

    def look_at(self, candidate: ModelEntry | None, old: ModelEntry | None = None) -> None:
        """The model to judge and the one it is held against; an earlier comparison of them is shown again."""
        before, self._pair = self._pair, _pair(candidate, old)
        if before == self._pair:
            return
        self.cancel()
        self.verdict = None
        place = self._place_of(self._pair)
        if place:
            job = run_in_thread(lambda _report, _stopped: _verdict_of(read_result(place), place), lane="gate files")
            job.succeeded.connect(self._found)
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

    def doubt(self, model: ModelEntry) -> str:
        """Why a model of the project should not simply be used; empty for the one in use, or where nothing is older."""
        old = self.baseline_of(model)
        state = self.promotions.state_of(model.card.weights_sha256)
        if self._read_for is None or model.place != "project" or state == "active":
            return ""
        if state == "held":
            return f"{model.card.name} is held back: somebody decided against it."
        if old is None:
            return ""
        if self.is_compared(model, old):
            return f"{model.card.name} was compared with {old.card.name}, but not promoted."
        return f"{model.card.name} is not compared with {old.card.name} yet: nobody knows which one is better."

    def is_compared(self, model: ModelEntry, old: ModelEntry) -> bool:
        """Whether both have been looked at on the same people or made-up thighs."""
        place = self._place_of(_pair(model, old))
        return place is not None and place.name in self._compared

    def can_compare(self, model: ModelEntry) -> bool:
        """Whether there is anything to compare on: locked people, or made-up thighs with labels of the model."""
        return self.locked_people() > 0 or len(phantom_part(model.card.labels)) > 0

    def model_in_use(self) -> ModelEntry | None:
        """The active model, where it is still there."""
        return self._by_weights(self.promotions.active)

    def earlier_model(self) -> ModelEntry | None:
        """The model that rolling back would make active."""
        return self._by_weights(self.promotions.earlier)

    def locked_people(self) -> int:
        """People of the locked test with reviewed slices."""
        return len({case.subject for case in self._locked()})

    def is_outdated(self) -> bool:
        """Whether the locked test has changed since the comparison shown: other cases, or one of them was edited."""
        found, locked = self.verdict, self._locked()
        return found is not None and (
            found.cases != frozenset(case.case_id for case in locked)
            or any(case.updated > found.began for case in locked)
        )

    # ------------------------------------------------------------------ what is done

    def compare(self, candidate: ModelEntry, old: ModelEntry) -> None:
        """Evaluate both models on the locked people and the guard set, in a child process."""
        folder, place = self._project.project_folder, self._place_of(_pair(candidate, old))
        if folder is None or place is None or self.job is not None:
            return

        def work(report: Any, stopped: Callable[[], bool]) -> Verdict | None:
            return _verdict_of(compare_on_locked(folder, candidate.folder, old.folder, place, report, stopped), place)

        job = self.job = run_in_thread(work, lane="gate")
        job.progressed.connect(self.progressed)
        job.succeeded.connect(self._found)
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

    def _locked(self) -> list[CaseSummary]:
        return [
            case for case in self._project.cases
            if case.part == "test" and any(state.reviewed and n for state, n in case.counts.items())
        ]  # fmt: skip

    def _follow(self, folder: Path) -> None:
        self.promotions, self._read_for, self._preselected = Promotions(), None, None
        self._compared = frozenset()
        self.look_at(None)

        def work(_report: object, _stopped: object) -> tuple[Promotions, frozenset[str]]:
            return read_promotions(folder), compared_pairs(folder)

        job = run_in_thread(work, lane="gate files")
        job.succeeded.connect(lambda found: self._read(folder, *found))
        job.failed.connect(self.failed)

    def _read(self, folder: Path, found: Promotions, compared: frozenset[str]) -> None:
        if folder == self._project.project_folder:
            self.promotions, self._read_for = found, folder
            self._compared |= compared
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

    def _found(self, found: Verdict | None) -> None:
        if found and (found.new, found.old) == self._pair:
            self.verdict = found
            self._compared |= {found.pictures.parent.name}
            self.changed.emit()

    def _ended(self, job: Job) -> None:
        if job is self.job:
            self.job = None
            self.changed.emit()

    def _by_weights(self, weights: str) -> ModelEntry | None:
        return next((m for m in self._project.models if weights and m.card.weights_sha256 == weights), None)

    def _place_of(self, pair: tuple[str, str] | None) -> Path | None:
        folder = self._project.project_folder
        return place_of_pair(folder, *pair) if folder is not None and pair else None


def _pair(new: ModelEntry | None, old: ModelEntry | None) -> tuple[str, str] | None:
    return (new.card.weights_sha256, old.card.weights_sha256) if new and old else None


def _verdict_of(result: dict[str, Any] | None, place: Path) -> Verdict | None:
    """What a result of ``thighview evaluate --against`` means; None where it is not one."""
    if result is None:
        return None
    try:
        against = result["against"]
        old, new, known = paired_scores(result, against)
        found = compare_models(old, new, known, untold=untold(result, against))
        began = datetime.fromisoformat(str(result.get("began") or result["measured"])).timestamp()
        cases = frozenset(int(i) for person in result["subjects"] for i in person.get("case_ids", ()))
        return Verdict(
            str(result["weights_sha256"]), str(against["weights_sha256"]), found, guard_of(result, against),
            place / "pictures", began, cases,
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
