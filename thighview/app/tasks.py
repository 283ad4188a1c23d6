"""Workspace: what the window has, and one function for each thing a person wants done."""

import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from thighview.app import opening
from thighview.app.engine_link import Engine
from thighview.app.exporting import Exporting
from thighview.app.images import CaseImages
from thighview.app.jobs import Job, run_in_process
from thighview.app.mask_opening import OpenMasks
from thighview.app.promoting import Promoting
from thighview.app.run_desk import RunDesk
from thighview.app.segment_job import SegmentJob
from thighview.app.segmenting import Segmenting
from thighview.app.settings import Settings
from thighview.app.training import find_running
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.known import LOOK_ONLY
from thighview.core.provenance import slices_told
from thighview.core.run import TrainConfig
from thighview.io.dataset import read_dataset
from thighview.io.export_wish import ExportWish
from thighview.io.models import ModelEntry
from thighview.io.paths import models_folder
from thighview.io.project import Project
from thighview.io.runs import RunFolder

_log = logging.getLogger(__name__)

_IMPORT_S = 300.0
"""Longest time that importing or exporting weights may take; the reading in it has its own, shorter one."""


class OldWeightsError(UserError):
    """Old weights that were refused; of no interest once others are imported."""


class Workspace(OpenMasks):
    """The open project with its cases and models, the engine and the training; one verb per wish.

    Verbs return at once; what goes wrong arrives with ``failed``.
    """

    model_chosen = Signal(object)
    """The ModelEntry to segment with."""
    names_changed = Signal(bool)
    """Whether names are hidden now."""
    doubted = Signal(str)
    """A doubt that stays in sight until it has been read."""
    segmenting = Signal(object)
    """The SegmentJob under way, or None when it has ended."""

    def __init__(self, settings: Settings | None = None, parent: QObject | None = None) -> None:
        super().__init__(settings, parent)
        self.session.update_view(**self.settings.view)
        self.session.said.connect(self.said)
        self.engine = Engine(self)
        self.runs = RunDesk(self)
        self.project_changed.connect(self.runs.follow_project)
        self.runs.run_ended.connect(self._run_ended)
        self.runs.failed.connect(self.failed)
        self.gate = Promoting(self, self)
        self.gate.use_model.connect(self.choose_model)
        self.gate.failed.connect(self.failed)
        self.images = CaseImages(self, self)
        self.images.failed.connect(self.failed)
        self.images.said.connect(self.said)
        self.images.job_started.connect(self.job_started)
        self.images.choice_needed.connect(self.choice_needed)
        self.together.connect(self.images.add_missing)
        self.exporting = Exporting(self)
        self.exporting.failed.connect(self.failed)
        self.exporting.said.connect(self.said)
        self.exporting.changed.connect(self._export_changed)
        self._segmenting = Segmenting(self.session, self.engine, self)
        self._segmenting.changed.connect(self._segment_changed)
        self._segmenting.failed.connect(self.failed)
        self._segmenting.doubted.connect(self.doubted)

    # ------------------------------------------------------------------ models

    def choose_model(self, model: ModelEntry) -> None:
        """Segment with this model from now on."""
        self.settings.last_model = str(model.folder)
        self.model_chosen.emit(model)

    @property
    def chosen_model(self) -> ModelEntry | None:
        """The model to segment with: the one chosen last, else the first there is."""
        folder = self.settings.last_model
        return next((m for m in self.models if str(m.folder) == folder), next(iter(self.models), None))

    def import_old_weights(self, path: Path, name: str, label: str, input_size: int = 0) -> Job:
        """Make one of the person's own models of a Keras 2 weights file, in a child process; then it is the chosen one.

        ``input_size``: edge of the slices it was trained on, pixels; 0 takes what the file says, else 512.
        """
        folder = models_folder() / name
        function = "thighview.engine.old_weights:import_for_window"
        job = run_in_process(
            function, str(path), str(folder), name, label, input_size, 0.0, lane="weights", deadline_s=_IMPORT_S
        )

        def done(_: object) -> None:
            self.settings.last_model = str(folder)
            self.said.emit(f"The model {name} is one of yours now; what to know of it stands in the Segment panel.")
            self.refresh_models()

        def refused(error: object) -> None:
            known = isinstance(error, UserError)
            self.failed.emit(OldWeightsError(error.message, error.hint) if known else error)

        job.succeeded.connect(done)
        job.failed.connect(refused)
        self.job_started.emit(job, f"Importing {path.name}")
        return job

    def export_model(self, model: ModelEntry, out: Path, form: str) -> Job:
        """Write a model for use elsewhere (``h5``, ``savedmodel``, ``onnx``), in a child process; says where it is."""
        function = "thighview.engine.model_export:export_for_window"
        job = run_in_process(function, str(model.folder), str(out), form, lane="weights", deadline_s=_IMPORT_S)
        told = f"{model.card.name} is in {out}; {out.name}.json beside it says what goes in and comes out."
        job.succeeded.connect(lambda _: self.said.emit(told))
        job.failed.connect(self.failed)
        self.job_started.emit(job, f"Exporting {model.card.name}")
        return job

    # ------------------------------------------------------------------ masks and cases

    def save(self) -> None:
        """Write the open case's mask as plain NIfTI into the project's ``masks`` folder."""
        case = self.session.case
        if case and self.store:
            volume, case_id = case.checked_volume, case.case_id
            self._call(lambda project: project.write_mirror(case_id, volume), self._saved)

    def save_mask(self, path: Path) -> Job | None:
        """Write the open case's mask as NIfTI wherever a person wants it, with label names and slice states beside it.

        Refused where that would replace a file of the scan, or what another program keeps beside it.
        """
        case = self.session.case
        if case is None:
            return None
        if not case.is_sized:
            self.session.refused.emit(LOOK_ONLY)
            return None
        labels, table, volume = case.labels.copy(), case.table, case.checked_volume
        told = slices_told(case.teaching)
        sources = [one.path for one in case.series]

        def work(report: object, stopped: object) -> Path:
            from thighview.io.leftovers import sweep
            from thighview.io.masks import need_own_sidecar, write_mask, write_sidecar

            if path.exists() and any(source.exists() and path.samefile(source) for source in sources):
                raise UserError(f"{path.name} is the scan itself.", "Choose another name; scans are never overwritten.")
            need_own_sidecar(path)
            sweep(path.parent)
            write_mask(path, labels, table, volume)
            write_sidecar(path, table, **told)
            return path

        return self._run(work, f"Writing {path.name}", lambda _: self.said.emit(f"Mask written to {path}."), True)

    def move_to_project(self, folder: Path) -> None:
        """Hand the open case over to another project, journal and all, and go there with it."""
        case, store = self.session.case, self.store
        if case is None or store is None:
            return
        if folder.absolute() == store.folder:
            self.failed.emit(UserError("The case is in this project already.", "Choose another folder."))
            return
        case_id, key, sha256 = case.case_id, case.series[0].key, case.series[0].sha256
        self._segmenting.cancel()
        self.session.open(None)  # what would be painted from now on could not follow it

        def work(project: Project) -> int:
            other = Project.open_or_create(folder)
            try:
                return project.move_case_to(case_id, other)
            finally:
                other.close()

        def moved(new_id: int) -> None:  # by its number: another case may lie at the same path there
            self.open_project(folder, lambda: self._read(key, self.store, case_id=new_id, known_sha256=sha256))

        def refused(error: Exception) -> None:
            self.failed.emit(error)
            self._read(key, store, case_id=case_id, known_sha256=sha256)

        job = store.call(work)
        job.succeeded.connect(moved)
        job.failed.connect(refused)

    def before_removing(self, case_id: int, ask: Callable[[int], Any]) -> None:
        """Have ``ask`` called with the number of edits that would go; refused while a run trains with the case."""
        going_on = self.runs.run if self.runs.is_going_on else None

        def work(project: Project) -> int:
            _need_no_run(project, case_id, going_on)
            return project.count_edits(case_id)

        self._call(work, ask)

    def remove_case(self, case_id: int) -> None:
        """Take a case out of the project for good, with mask and history; the files of its scan stay."""
        store, case = self.store, self.session.case
        if store is None:
            return
        source = case.series[0] if case and case.case_id == case_id else None
        if source:
            self._segmenting.cancel()
            self.session.open(None)  # what would be painted from now on would have no place
        going_on = self.runs.run if self.runs.is_going_on else None

        def work(project: Project) -> None:
            _need_no_run(project, case_id, going_on)
            project.remove_case(case_id)

        def done(_: object) -> None:
            self.said.emit(f"The case is out of {store.folder.name}. The file of its scan stays.")
            self.refresh()

        job = self._call(work, done)
        if job and source:
            job.failed.connect(lambda _: self._read(source.key, store, case_id=case_id, known_sha256=source.sha256))

    def hide_names(self, hidden: bool) -> None:
        """Keep names of persons out of title and top bar, and places of scans off the disk; or show and keep them."""
        self.settings.names_hidden = hidden
        self.names_changed.emit(hidden)

    # ------------------------------------------------------------------ the engine

    @property
    def segment_job(self) -> SegmentJob | None:
        """The segmentation under way, or None."""
        return self._segmenting.job

    def segment(self, model: ModelEntry, redo: Collection[int] = ()) -> None:
        """Let a model fill every slice that is neither reviewed nor being edited; or only those of ``redo``."""
        if self._segmenting.start(model, redo):
            self.choose_model(model)

    def cancel_segment(self) -> None:
        """Cancel the segmentation: the window is free at once, slices already filled are taken back."""
        self._segmenting.cancel()

    # ------------------------------------------------------------------ training

    def start_training(self, name: str, config: TrainConfig) -> Job | None:
        """Freeze the training set and start a training that outlives the window; None without a project."""
        store = self.store
        if store is None:
            self.failed.emit(UserError("No project is open.", "Open a scan or a project first."))
            return None
        self.said.emit("Preparing the training set…")
        job = self.runs.start(store, name, config)
        job.failed.connect(self.failed)
        job.succeeded.connect(lambda _: self.refresh())
        self.job_started.emit(job, "Preparing the training set")
        return job

    def export_masks(self, folder: Path, wish: ExportWish) -> None:
        """Write masks into a new folder; in nnU-Net's, who has no part of the split yet gets one, for good."""
        if self.store:
            self.exporting.start(self.store, folder, wish)

    def import_cases(self, folder: Path) -> Job | None:
        """Take cases with masks into the project: an nnU-Net raw folder, or images with masks beside them."""
        store = self.store
        if store is None:
            return None

        def work(report: Any, stopped: Any) -> Any:  # it takes long, and the writer must stay free for strokes
            from thighview.io import importing

            project = Project.open(store.folder, writable=False)
            try:
                return importing.import_cases(project, folder, None, report, stopped, lambda *new: report.say(new))
            finally:
                project.close()

        def take(new: tuple[Case, str]) -> None:
            case, part = new
            if self.store is store:
                self._call(lambda project: opening.take_in(project, case, part), lambda _: None)
            else:
                job.cancel()

        def done(result: Any) -> None:
            self.said.emit(str(result))
            self.refresh()

        job = self._run(work, f"Importing {folder.name}", done)
        job.said.connect(take)
        return job

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        """Roll back a segmentation under way, write everything, stop the engine; a training runs on."""
        store = self.store
        self.exporting.cancel()
        if self._arriving:
            self._arriving.store.close()
            self._arriving = None
        self._leave_project()
        if store:
            if self.runs.is_going_on:  # it is found again at the next start, also that of the demo
                self.settings.keep_aside(False)
                self.settings.last_project = store.folder
            left = store.close()
            if left:
                _log.error("%d changes could not be written when the window was closed", left)
        self.engine.stop()
        self.runs.close()
        view = self.session.view
        self.settings.view = {
            "opacity": view.opacity, "outline": view.outline, "brush_radius_mm": view.brush_radius_mm,
            "layout": view.layout, "radiological": view.radiological, "crosshair": view.crosshair,
            "letters": view.letters,
        }  # fmt: skip
        self.settings.sync()

    # ------------------------------------------------------------------ inside

    def _leave_project(self) -> None:
        self._segmenting.cancel()
        super()._leave_project()

    def _export_changed(self, under_way: tuple[Job, str] | None) -> None:
        if under_way:
            self.job_started.emit(*under_way)
        else:
            self.refresh()

    def _leave_case(self) -> None:
        self._segmenting.cancel()
        super()._leave_case()

    def _saved(self, path: object) -> None:
        self.said.emit(f"Mask saved as {path}.")

    def _segment_changed(self, job: SegmentJob | None) -> None:
        self.segmenting.emit(job)
        if job is None:
            self.refresh()

    def _run_ended(self, _: object) -> None:
        self.refresh_models()
        self.refresh()


def _need_no_run(project: Project, case_id: int, going_on: RunFolder | None) -> None:
    """Refuse what may not happen to a case while a run trains with it."""
    running = {*find_running(project.folder), *([going_on] if going_on else [])}
    if not running:
        return
    for run in running:
        if any(frozen.case_id == case_id for frozen in read_dataset(run).cases):
            raise UserError(f"The run “{run.name}” trains with this case just now.", "Wait for it, or stop it first.")
