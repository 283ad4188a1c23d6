"""The images of the open case: further series of the same visit, read, put in place and compared behind the window."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, Signal

from thighview.app.image_reading import Compared, PlacedImage, compare, read_placed
from thighview.app.jobs import Job, Work, run_in_thread
from thighview.app.open_project import OpenProject
from thighview.core.case import Case, Series
from thighview.core.errors import SeveralScansError, UserError
from thighview.core.image_roles import ROLES, guess_role
from thighview.core.scan_key import ScanKey

_LANE = "images"


class CaseImages(QObject):
    """What is done with the images of the open case besides its reference; the Session holds them.

    Images that a case had are read, one after the other, once it is open. Where one is water and one is fat, their fat
    fraction is computed and the two are checked against each other.
    """

    failed = Signal(object)
    said = Signal(str)
    job_started = Signal(object, str)
    choice_needed = Signal(object, object)
    """SeveralScansError, and whom to give the ScanKeys of those chosen."""

    def __init__(self, project: OpenProject, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._project, self._session = project, project.session
        self._checked: tuple[Series, Series] | None = None
        self._jobs: list[Job] = []
        self._session.case_opened.connect(self._case_opened)

    # ------------------------------------------------------------------ wishes

    def add(self, keys: Sequence[ScanKey]) -> None:
        """Read these scans and give them to the open case; what cannot join it says why."""
        case = self._session.case
        if case is None:
            self.failed.emit(UserError("An image needs a case to belong to.", "Open a scan first."))
            return
        for key in keys:
            self._read(case, key)

    def add_missing(self, keys: Sequence[ScanKey]) -> None:
        """Give the open case those of these scans that it does not have."""
        case = self._session.case
        if case is not None:
            self.add([key for key in keys if key not in {one.key for one in case.series}])

    def set_role(self, series_id: int, role: str) -> None:
        """Say what an image shows (a key of ``ROLES``); ``series_id`` 0 is the reference."""
        case = self._session.case
        if case is None or role not in ROLES:
            return
        self._session.set_role(series_id, role)
        self._compute(case)
        case_id = case.case_id
        self._call(lambda project: project.set_role(case_id, series_id, role))

    def remove(self, series_id: int) -> None:
        """Take an image out of the case; its file stays where it is."""
        case = self._session.case
        if case is None or not any(one.series_id == series_id for one in case.series[1:]):
            return
        left = [one for index, one in enumerate(case.series) if index == 0 or one.series_id != series_id]
        self._session.set_images(left)
        self._compute(case)
        case_id = case.case_id
        self._call(lambda project: project.remove_series(case_id, series_id))

    # ------------------------------------------------------------------ inside

    def _case_opened(self, case: Case | None) -> None:
        for job in self._jobs:
            job.cancel()
        self._jobs, self._checked = [], None
        if case:
            for one in case.series[1:]:
                self._read_again(case, one)
            self._compute(case)

    def _read(self, case: Case, key: ScanKey) -> None:
        def refused(error: Exception) -> None:
            if isinstance(error, SeveralScansError):
                self.choice_needed.emit(error, lambda keys: self.add(keys) if self._session.case is case else None)
            else:
                self.failed.emit(error)

        job = self._place(case, key, "", lambda found: self._join(case, found), refused)
        self.job_started.emit(job, f"Adding {key.name}")

    def _read_again(self, case: Case, series: Series) -> None:
        """Read an image that the case had when it was left."""

        def done(found: PlacedImage) -> None:
            if series.sha256 and series.sha256 != found.sha256:
                refused(UserError("its content has changed since it was added."))
            else:
                self._put(case, series, found.into(series))
                self._compute(case)

        def refused(error: Exception) -> None:
            self._put(case, series, replace(series, problem=str(error)))
            hint = "Put it back, or take it out of the case's images."
            self.failed.emit(UserError(f"An image of {case.title} cannot be read: {error}", hint))

        self._place(case, series.key, series.sha256, done, refused)

    def _place(
        self,
        case: Case,
        key: ScanKey,
        sha256: str,
        done: Callable[[PlacedImage], None],
        refused: Callable[[Exception], None],
    ) -> Job:
        """Read an image and put it on the grid of the case; nothing follows once another case is open."""
        first, reference = case.series[0], case.volume
        job = self._start(lambda report, stopped: read_placed(key, sha256, first, reference, report, stopped))

        def if_still_wanted(then: Callable[[Any], None]) -> Callable[[Any], None]:
            return lambda result: then(result) if self._session.case is case and not job.cancelled else None

        job.succeeded.connect(if_still_wanted(done))
        job.failed.connect(if_still_wanted(refused))
        return job

    def _put(self, case: Case, old: Series, new: Series) -> None:
        self._session.set_images([new if one is old else one for one in case.series])

    def _join(self, case: Case, found: PlacedImage) -> None:
        scan = found.scan
        role = guess_role(f"{scan.volume.name} {scan.path.name}")
        new = found.into(Series(0, role, scan.path.absolute(), found.sha256, part=scan.part))
        case_id, store = case.case_id, self._project.store

        def added(series_id: int) -> None:
            if self._session.case is not case or self._project.store is not store:
                return
            if len(case.series) == 1 and case.series[0].role == "image":
                self.set_role(0, guess_role(f"{case.volume.name} {case.series[0].path.name}"))
            series = replace(new, series_id=series_id)
            self._session.set_images([*case.series, series])
            part = "" if found.share > 0.995 else f" It covers {100 * found.share:.0f} % of the scan."
            self.said.emit(f"{series.title} is an image of this case now.{part}")
            for doubt in found.on_grid.warnings:
                self.said.emit(doubt)
            self._compute(case)

        job = self._call(lambda project: project.add_series(case_id, new))
        if job:
            job.succeeded.connect(added)

    def _compute(self, case: Case) -> None:
        """Fat fraction and checks, where there is one water and one fat image; nothing where there is not."""
        pair = case.dixon_pair
        if pair is None:
            self._checked = None
            if case.computed or case.image_doubts:
                self._session.set_computed()
            return
        if self._checked and all(a is b for a, b in zip(self._checked, pair, strict=True)):
            return
        self._checked = pair
        water, fat, reference = *pair, case.volume

        def done(found: Compared) -> None:
            if self._session.case is case and self._checked is pair:
                self._session.set_computed((found.fraction,), found.doubts, found.dixon)
                for sentence in found.doubts:
                    self.said.emit(sentence)

        job = self._start(lambda report, stopped: compare(water, fat, reference))
        job.succeeded.connect(done)
        job.failed.connect(self.failed)

    def _start(self, work: Work) -> Job:
        job = run_in_thread(work, lane=_LANE)
        self._jobs = [one for one in self._jobs if not one.is_over] + [job]
        return job

    def _call(self, work: Any) -> Job | None:
        store = self._project.store
        if store is None:
            return None
        job = store.call(work)
        job.failed.connect(self.failed)
        return job
