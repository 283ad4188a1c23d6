"""Opening scans, DICOM folders, projects and the demo: what was given is looked at, read and shown, step by step."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from thighview.app import demo, opening
from thighview.app.jobs import Job, run_in_thread
from thighview.app.open_project import OpenProject
from thighview.app.scan_wish import ScanWish
from thighview.app.settings import Settings
from thighview.app.store import Store
from thighview.core.case import Case
from thighview.core.errors import SeveralScansError, UserError
from thighview.core.scan_key import ScanKey
from thighview.io.known_cases import series_drawn_on
from thighview.io.models import ModelEntry
from thighview.io.paths import scratch_project
from thighview.io.records import SourceRow


class OpenScans(OpenProject):
    """The open project and the scans that come into it; what is opened is remembered, except in the demo."""

    job_started = Signal(object, str)
    """A Job a person waits for, and its words."""
    together = Signal(object)
    """Tuple of ScanKey that the case which is open now is to have besides."""
    with_mask = Signal(object)
    """Path of the scan that has just been opened for the first time, whose mask lies in the same file."""
    choice_needed = Signal(object, object)
    """SeveralScansError, and whom to give the ScanKeys of those chosen: the first one's case is to have the others."""

    def __init__(self, settings: Settings | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.settings = settings or Settings()
        self._opening: Job | None = None
        self._awaited: ScanWish | None = None
        self.project_changed.connect(self._project_changed)

    def new_project(self, folder: Path) -> None:
        """Make a project in an empty folder, or open the one in it, and remember it."""

        def opened() -> None:
            self.settings.add_recent(ScanKey(folder), folder)
            self.said.emit(f"The project {folder.name} is open.")

        self.open_project(folder, opened)

    def open_path(self, path: Path) -> None:
        """Open a scan, a DICOM folder or a project; what cannot be opened leaves the open case as it is."""
        self.open_paths((path,))

    def open_paths(
        self,
        wanted: Sequence[Path],
        then: Callable[[Case | None], object] = lambda _: None,
        asked_in: Store | None = None,
    ) -> None:
        """Open what lies there: a project first, then the first scan, and the others join its worklist.

        What cannot be opened says why, and the rest is opened all the same. ``then`` is called with the case of the
        only scan once that is shown; with None where it is not, or where there are several. ``asked_in`` is the project
        in which a person asked for it, where that was before now.
        """
        here = asked_in or self._place

        def looked(found: tuple[list[Path], list[Path | None]]) -> None:
            def refused(error: Exception) -> None:
                self.failed.emit(error)
                self._read_first(scans, here, *told)

            paths, projects = found
            folders = list(dict.fromkeys(folder for folder in projects if folder))
            scans = [ScanKey(path) for path, folder in zip(paths, projects, strict=True) if folder is None]
            for folder in folders[1:]:
                hint = "Open it by itself."
                self.failed.emit(UserError(f"{folder.name} was left out: one project is open at a time.", hint))
            if len(scans) != 1:
                then(None)
            told = [then] if len(scans) == 1 else []
            if folders:
                self.settings.add_recent(ScanKey(folders[0]), folders[0])
                self.open_project(folders[0], lambda: self._read_first(scans, self.store, *told), refused)
            else:
                self._read_first(scans, here, *told)

        job = run_in_thread(lambda report, stopped: opening.look_at(wanted), lane="look")
        job.succeeded.connect(looked)
        job.failed.connect(self.failed)

    def open_recent(self, key: ScanKey) -> None:
        """Open one of the recent ones again: a scan as the case it is in its project, if that is still there."""
        folder, here = self.settings.project_of(key), self._place
        if folder is None:
            self.open_path(key.path)
            return

        def looked(there: Path | None) -> None:
            if there is None:
                self._show(ScanWish(key, here, own=True))
            else:
                self.open_project(there, lambda: self._read_again(key))

        job = run_in_thread(lambda report, stopped: opening.project_at(folder), lane="look")
        job.succeeded.connect(looked)
        job.failed.connect(self.failed)

    def open_last(self) -> None:
        """Open the project that was open last, and its case; *My cases* where it is gone or cannot be opened."""
        folder = self.settings.last_project
        if folder is None:
            self.open_scratch()
            return

        def instead(why: str) -> None:
            self.said.emit(f"The project {folder.name} {why}: this is My cases.")
            self.open_scratch(self._open_last_case)

        def looked(there: Path | None) -> None:
            if there is None:
                instead("is not where it was")
            elif there == scratch_project():
                self.open_scratch(self._open_last_case)
            else:
                taken = "is open in another window, or cannot be read"
                self.open_project(there, self._open_last_case, refused=lambda _: instead(taken))

        job = run_in_thread(lambda report, stopped: opening.project_at(folder), lane="look")
        job.succeeded.connect(looked)
        job.failed.connect(self.failed)

    def open_case(self, case_id: int) -> None:
        """Open a case of the worklist."""
        summary = next((c for c in self.cases if c.case_id == case_id), None)
        if summary is None:
            self.failed.emit(UserError(f"The project has no case {case_id}."))
            return
        if self.session.case and self.session.case.case_id == case_id:
            return
        self._read(summary.key, self.store, case_id=case_id, known_sha256=summary.sha256)

    def place_scan(self, by_qform: bool) -> None:
        """Open the case again where the qform or the sform of its file says; the case keeps that, and its mask.

        Nothing where the file gives no two positions that differ.
        """
        case, store = self.session.case, self.store
        if case is None or store is None or case.volume.other_affine is None:
            return
        key = case.series[0].key
        there, affine = key.placed(by_qform), case.volume.other_affine
        if there == key:
            return
        if self.session.busy_run:
            self.session.refused.emit("A segmentation is running: wait for it, or cancel it, before the scan moves.")
            return

        def placed(_: object) -> None:
            if self.store is store and self.session.case is case:
                self._leave_case()
                self.settings.keep_slice(there, self.session.view.cursor[0])
                self.session.open(None)
                self._read(there, store, case_id=case.case_id, known_sha256=case.series[0].sha256)

        self._call(lambda project: project.set_place(case.case_id, there, affine), placed)

    def open_demo(self) -> None:
        """Open a made-up thigh in a project of its own; it is drawn behind the window when first wanted."""
        if self.store is None:
            self.refresh_models()
        job = run_in_thread(lambda report, stopped: demo.made_up_scan())
        job.succeeded.connect(
            lambda path: self.open_project(demo.project_folder(), lambda: self._read(ScanKey(path), self.store))
        )
        job.failed.connect(self.failed)
        self.job_started.emit(job, "Drawing a made-up thigh")

    # ------------------------------------------------------------------ inside

    def _project_changed(self, folder: Path) -> None:
        self.settings.keep_aside(folder == demo.project_folder())
        self.settings.last_project = folder

    def _open_last_case(self) -> None:
        """Open the case looked at last, unless it is gone or something else was asked for meanwhile."""
        store = self.store
        scan = self.settings.last_scan_in(store.folder) if store else None
        if scan is None:
            return

        def listed(sources: list[SourceRow]) -> None:
            there = [row for row in sources if row.key == scan]
            known = _only(there)
            if there and store is self.store and not self._opening and self.session.case is None:
                case_id, sha256 = (known.case_id, known.sha256) if known else (None, "")
                self._read(scan, store, case_id=case_id, known_sha256=sha256)

        def looked(there: bool) -> None:
            if there:
                self._call(lambda project: project.sources(), listed)

        job = run_in_thread(lambda report, stopped: scan.path.exists(), lane="look")
        job.succeeded.connect(looked)
        job.failed.connect(self.failed)

    def _read_again(self, key: ScanKey) -> None:
        """Open a scan as the case it is in the open project, if it still has one."""
        store = self.store

        def listed(sources: list[SourceRow]) -> None:
            known = _only(row for row in sources if row.key == key)
            if store is not self.store:
                return
            if known:
                self._read(key, store, case_id=known.case_id, known_sha256=known.sha256)
            else:
                self._read(key, store)

        self._call(lambda project: project.sources(), listed)

    def _read_first(self, keys: Sequence[ScanKey], into: Store | None, *then: Callable[[Case | None], object]) -> None:
        if keys:
            self._show(ScanWish(keys[0], into, own=True, others=tuple(keys[1:]), then=then))

    def _read(self, key: ScanKey, into: Store | None, case_id: int | None = None, known_sha256: str = "") -> None:
        """Read a scan and show it in the project ``into``.

        Where it is the scan of a case, it is the one with that case's hash and no other.
        """
        self._show(ScanWish(key, into, case_id=case_id, sha256=known_sha256))

    def _show(self, wish: ScanWish) -> None:
        """Read a scan and show it, in the project it was asked for in; then list the others."""
        if not self._is_here(wish):
            self._say_lost(wish)
            return
        if self._awaited:
            wish = self._set_aside(self._awaited, wish)

        def read(scan: opening.Scan) -> None:
            self._awaited = None
            self._find_place(scan, wish)

        def refused(error: Exception) -> None:
            if self._awaited is not wish:  # it was set aside, and is told when it is listed
                return
            self._opening = self._awaited = None
            if isinstance(error, SeveralScansError) and wish.case_id is not None:
                self._read_series_of(wish.case_id, wish.into)
            elif isinstance(error, SeveralScansError):
                self.choice_needed.emit(error, chosen)
            else:
                self.failed.emit(error)
                go_on()

        def chosen(keys: Sequence[ScanKey]) -> None:
            if keys:
                self._show(replace(wish, key=keys[0], images=tuple(keys[1:])))
            else:
                go_on()

        def go_on() -> None:
            wish.tell(None)
            self._read_first(wish.others, wish.into)

        if self._opening:
            self._opening.cancel()
        self._awaited = wish
        job = self._opening = run_in_thread(
            lambda report, stopped: opening.read_scan(*wish.key, wish.sha256, report, stopped)
        )
        job.succeeded.connect(read)
        job.failed.connect(refused)
        self.job_started.emit(job, f"Opening {wish.key.name}")

    @property
    def _is_demo(self) -> bool:
        return self.store is not None and self.store.folder == demo.project_folder()

    def _is_here(self, wish: ScanWish) -> bool:
        """Whether the project that a scan was asked for in is still the one that is open, or comes next."""
        into = wish.into
        while into in self._instead_of:
            into = self._instead_of[into]
        return into is None or into is self._place

    def _set_aside(self, late: ScanWish, wish: ScanWish) -> ScanWish:
        """Find a place for what is still being read when another scan is asked for; returns that wish with its part.

        It is listed now, or after the scan where there is no list yet; where there will be none, that is said.
        """
        here = self._is_here(late)
        if here and late.key == wish.key:  # who waits for that scan waits on
            wish = replace(wish, then=tuple(dict.fromkeys((*late.then, *wish.then))))
        else:
            late.tell(None)
        keys = [key for key in late.unlisted if key not in (wish.key, *wish.others)]
        if here and self.store and not self._arriving and not (late.own and self._is_demo):
            self._add(keys)
        elif here and wish.own:
            wish = replace(wish, others=(*wish.others, *keys))
        else:
            self._say_not_opened(keys)
        return wish

    def _say_lost(self, wish: ScanWish) -> None:
        """Say that a scan was not opened; not of a case, which is where it was."""
        wish.tell(None)
        self._say_not_opened(wish.unlisted)

    def _say_not_opened(self, keys: Sequence[ScanKey]) -> None:
        if keys:
            more = f" and {len(keys) - 1} more were" if len(keys) > 1 else " was"
            told = f"{keys[0].name}{more} not opened: another scan or project was asked for meanwhile."
            self.failed.emit(UserError(told, "Open it again." if len(keys) == 1 else "Open them again."))

    def _read_series_of(self, case_id: int, into: Store | None) -> None:
        """Open a case beside whose series others lie now, if it can be told which of them it was made of."""

        def found(key: ScanKey) -> None:
            if into is self.store:
                self._read(key, into, case_id=case_id)

        if into is self.store:
            self._call(lambda project: series_drawn_on(project, case_id), found)

    def _find_place(self, scan: opening.Scan, wish: ScanWish) -> None:
        """Enter a scan that has been read in its project, once that is open or another one stays in its place."""
        if not self._is_here(wish):
            self._say_lost(wish)
        elif self._arriving:
            self._arriving.anyhow.append(lambda: self._find_place(scan, wish))
        elif self.store is None or (wish.own and self._is_demo):
            self.open_scratch(lambda: self._enter(scan, wish))
        else:
            self._enter(scan, wish)

    def _enter(self, scan: opening.Scan, wish: ScanWish) -> None:
        store = self.store
        others = [key for key in wish.others if key.part or not scan.is_at(key.path)]
        if store is None:
            return

        def done(case: Case) -> None:
            self._opening = None
            if self.store is not store:  # it is listed in the one that was left
                wish.tell(None)
                self._say_not_opened(others)
                return
            here = self.session.case
            if here and here.case_id == case.case_id:  # what was painted since it was read is not in ``case``
                self.said.emit(f"{here.title} is open already.")
                self._check_source(here, scan)
            else:
                self._leave_case()
                self.session.open(case, store)
                index = self.settings.slice_of(case.series[0].key)
                if index is not None:
                    self.session.go_to_slice(index)
                self.settings.add_recent(case.series[0].key, store.folder)
                self.settings.last_folder = scan.path.parent
                for sentence in (*case.volume.warnings, *case.warnings):
                    self.said.emit(sentence)
                self._check_source(case, scan)
                if scan.has_mask and not case.history.edits and not case.labels.any():
                    self.with_mask.emit(scan.path)
            self.refresh()
            if wish.images:
                self.together.emit(wish.images)
            wish.tell(self.session.case)
            self._add(others)

        def refused(_: Exception) -> None:
            wish.tell(None)
            self._read_first(wish.others, store)

        job = self._call(lambda project: opening.case_of(project, scan, wish.case_id), done)
        if job:
            job.failed.connect(refused)

    def _add(self, keys: Sequence[ScanKey]) -> None:
        """Read scans one after the other and list them, without showing them."""
        if not keys:
            return
        store, key, others = self.store, keys[0], keys[1:]

        def read(scan: opening.Scan) -> None:
            if self.store is store:
                self._call(lambda project: opening.add_scan(project, scan), lambda _: self.refresh())
                self._add([other for other in others if other.part or not scan.is_at(other.path)])
            else:
                self._say_not_opened(keys)

        def refused(error: Exception) -> None:
            self.failed.emit(error)
            self._add(others)

        job = run_in_thread(
            lambda report, stopped: opening.read_scan(*key, report=report, stopped=stopped), lane="adding"
        )
        job.succeeded.connect(read)
        job.failed.connect(refused)
        self.job_started.emit(job, f"Adding {key.name}")

    def _leave_case(self) -> None:
        """Before another case is shown."""
        self._keep_slice()
        self._mirror_open_case()

    def _leave_project(self) -> None:
        self._keep_slice()
        super()._leave_project()

    def _keep_slice(self) -> None:
        case = self.session.case
        if case:
            self.settings.keep_slice(case.series[0].key, self.session.view.cursor[0])

    def _set_models(self, models: tuple[ModelEntry, ...]) -> None:
        if self.settings.aside and not self.settings.last_model:  # the demo begins with the model of the box
            self.settings.last_model = next((str(m.folder) for m in models if m.place == "box"), "")
        super()._set_models(models)

    def _check_source(self, case: Case, scan: opening.Scan) -> None:
        """Hash the source behind the window; keep the hash, or say that the file has changed."""
        store = self.store

        def work(report: object, stopped: Callable[[], bool]) -> str:
            from thighview.io.reading import sha256_of

            return scan.sha256 or sha256_of(*scan.key, stopped=stopped)

        def done(found: str) -> None:
            known = case.series[0].sha256
            if self.store is not store:  # the number of the case is another one's there
                return
            if not known:
                case.series[0].sha256 = found
                self._call(lambda project: project.set_sha256(case.case_id, found), lambda _: self.refresh())
            elif known != found:
                self.failed.emit(
                    UserError(
                        f"The file {scan.path.name} is not the one the mask was drawn on: its content has changed.",
                        "Check that the mask still fits before you go on.",
                    )
                )

        job = run_in_thread(work, lane="hash")
        job.succeeded.connect(done)
        job.failed.connect(self.failed)


def _only(rows: Iterable[SourceRow]) -> SourceRow | None:
    """The only one of these; of several cases at one place the content tells which is meant."""
    found = list(rows)
    return found[0] if len(found) == 1 else None
