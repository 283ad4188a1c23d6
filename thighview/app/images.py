"""The images of the open case: further series of the same visit, read, put in place and compared behind the window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from thighview.app import opening
from thighview.app.jobs import Job, Report, run_in_thread
from thighview.app.open_project import OpenProject
from thighview.core.case import Case, Series
from thighview.core.errors import SeveralScansError, UserError
from thighview.core.image_roles import ROLES, guess_role
from thighview.core.onto_grid import onto_grid, overlap
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io import subjects
from thighview.io.project import Project

COMPUTED = -1
"""``series_id`` of the fat fraction."""
_LANE = "images"


@dataclass(frozen=True)
class _Read:
    """A series as it was read, its hash, and the image on the case's grid, of which it covers ``share``."""

    scan: opening.Scan
    sha256: str
    on_grid: Volume
    share: float


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
        self._checked: tuple[Volume, Volume] | None = None
        self._jobs: list[Job] = []
        self._waiting: tuple[ScanKey, tuple[ScanKey, ...]] | None = None
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

    def add_to(self, first: ScanKey, keys: Sequence[ScanKey]) -> None:
        """Give these scans to the case of ``first`` once it is open; forgotten where another one is opened instead."""
        self._waiting = (first, tuple(keys))

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
        left = [case.series[0], *(one for one in case.series[1:] if one.series_id != series_id)]
        self._session.set_images(left, case.computed, case.image_doubts)
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
            waiting, self._waiting = self._waiting, None
            if waiting and case.series[0].key == waiting[0]:
                self.add([key for key in waiting[1] if key not in {one.key for one in case.series}])

    def _read(self, case: Case, key: ScanKey) -> None:
        reference = case.volume

        def done(found: _Read) -> None:
            if self._session.case is case:
                self._join(case, found)

        def refused(error: Exception) -> None:
            if isinstance(error, SeveralScansError):
                self.choice_needed.emit(error, self.add)
            else:
                self.failed.emit(error)

        job = self._start(lambda report, stopped: _read(key, reference, report, stopped))
        job.succeeded.connect(done)
        job.failed.connect(refused)
        self.job_started.emit(job, f"Adding {key.name}")

    def _read_again(self, case: Case, series: Series) -> None:
        """Read an image that the case had when it was left."""
        reference = case.volume

        def done(found: _Read) -> None:
            if self._session.case is not case:
                return
            if series.sha256 and series.sha256 != found.sha256:
                refused(UserError("its content has changed since it was added."))
                return
            again = replace(series, volume=found.scan.volume, on_grid=found.on_grid)
            images = [again if one is series else one for one in case.series]
            self._session.set_images(images, case.computed, case.image_doubts)
            self._compute(case)

        def refused(error: Exception) -> None:
            hint = "Put it back, or take it out of the case's images."
            self.failed.emit(UserError(f"An image of {case.title} cannot be read: {error}", hint))

        job = self._start(lambda report, stopped: _read(series.key, reference, report, stopped, series.sha256))
        job.succeeded.connect(done)
        job.failed.connect(refused)

    def _join(self, case: Case, found: _Read) -> None:
        scan = found.scan
        role = guess_role(f"{scan.volume.name} {scan.path.name}")
        new = Series(0, role, scan.path.absolute(), found.sha256, scan.volume, scan.part, found.on_grid)
        case_id, subject, store = case.case_id, case.subject, self._project.store

        def work(project: Project) -> int:
            theirs = opening.subject_of(scan, project.salt)
            if scan.patient_id and subjects.is_hashed(subject) and theirs != subject:
                raise UserError(
                    f"{scan.key.name} is of another patient than the open scan.", "Open it as a case of its own."
                )
            return project.add_series(case_id, new)

        def added(series_id: int) -> None:
            if self._session.case is not case or self._project.store is not store:
                return
            series = replace(new, series_id=series_id)
            if len(case.series) == 1 and case.series[0].role == "image":
                self.set_role(0, guess_role(f"{case.volume.name} {case.series[0].path.name}"))
            self._session.set_images([*case.series, series], case.computed, case.image_doubts)
            part = "" if found.share > 0.995 else f" It covers {100 * found.share:.0f} % of the scan."
            self.said.emit(f"{series.title} is an image of this case now.{part}")
            self._compute(case)

        job = self._call(work)
        if job:
            job.succeeded.connect(added)

    def _compute(self, case: Case) -> None:
        """Fat fraction and checks, where there is one water and one fat image; nothing where there is not."""
        water, fat = case.image_of("water"), case.image_of("fat")
        if water is None or fat is None:
            self._checked = None
            if case.computed or case.image_doubts:
                self._session.set_images(case.series)
            return
        if self._checked and self._checked[0] is water and self._checked[1] is fat:
            return
        checked = self._checked = (water, fat)

        def done(result: tuple[Series, tuple[str, ...]]) -> None:
            if self._session.case is case and self._checked is checked:
                self._session.set_images(case.series, (result[0],), result[1])
                for sentence in result[1]:
                    self.said.emit(sentence)

        job = self._start(lambda report, stopped: _compare(*checked))
        job.succeeded.connect(done)
        job.failed.connect(self.failed)

    def _start(self, work: Any) -> Job:
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


def _read(
    key: ScanKey, reference: Volume, report: Report, stopped: Callable[[], bool], known_sha256: str = ""
) -> _Read:
    """Read a scan and put it on the grid of the reference; not on the window's thread."""
    from thighview.io import reading

    scan = opening.read_scan(*key, known_sha256, report, stopped)
    volume = scan.volume
    if "orientation" in volume.unsure | reference.unsure and volume.shape != reference.shape:
        raise UserError(
            f"{key.name} cannot be put in place: of one of the two it is not known how it lies in the patient.",
            "Images of one case must say where they lie.",
        )
    share = overlap(volume, reference)
    if share == 0:
        raise UserError(
            f"{key.name} shows another place: it and the open scan have nothing in common.",
            "Images of one case are of one visit and one part of the body; open it as a case of its own.",
        )
    sha256 = scan.sha256 or reading.sha256_of(*scan.key, stopped=stopped)
    return _Read(scan, sha256, onto_grid(volume, reference), share)


def _compare(water: Volume, fat: Volume) -> tuple[Series, tuple[str, ...]]:
    from thighview.core.dixon_check import sentences
    from thighview.core.fat_fraction import fat_fraction_percent

    percent = replace(
        water, voxels=fat_fraction_percent(water.voxels, fat.voxels), name="Fat fraction, %", warnings=(), details={}
    )
    return Series(COMPUTED, "fat_fraction", Path(), "", percent, on_grid=percent), sentences(water, fat)
