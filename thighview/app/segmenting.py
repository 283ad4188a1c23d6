"""A segmentation from the press of the button to one step in the history, or to no trace at all."""

import math
from collections.abc import Collection

from PySide6.QtCore import QObject, Signal

from thighview.app.engine_link import Engine
from thighview.app.segment_job import SegmentError, SegmentJob, SegmentSummary, SliceResult
from thighview.app.session import Session
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.history import Edit, step_name
from thighview.core.mask import renumber
from thighview.engine.preprocess import plane_grid
from thighview.io.model_card import ModelCard
from thighview.io.models import ModelEntry


def obstacle(case: Case | None, card: ModelCard | None, redo: Collection[int] = ()) -> SegmentError | None:
    """Why a model cannot run over a case, with what to do about it, before it is tried; None where nothing is known.

    ``redo`` are slices being edited that are handed over to it.
    """
    if case is None:
        return SegmentError("Open a scan to segment it.")
    if card is None:
        return SegmentError("There is no model yet.", "Train one in the Train tab first.")
    try:
        case.need_sized()
        plane_grid(case.volume, card)
    except UserError as error:
        return SegmentError(error.message, error.hint)
    there = {i: review.state for i, review in enumerate(case.reviews) if i not in case.missing}
    if not all(state.reviewed if i in redo else state.protected for i, state in there.items()):
        return None
    states = list(there.values())
    edited, reviewed = any(not state.reviewed for state in states), any(state.reviewed for state in states)
    kept = " or ".join(word for word, there in (("being edited", edited), ("reviewed", reviewed)) if there)
    which = "The only slice is" if len(states) == 1 else f"All {len(states)} slices are"
    mend = "Accept them where they are right, or let the model redo single ones." if edited else "Reopen one first."
    return SegmentError(f"{which} protected: {kept}.", mend)


def doubt(case: Case) -> str:
    """What to know before a model for axial slices runs over a scan; mostly nothing.

    That its sides are not known, or that it was taken in another plane.
    """
    volume = case.volume
    if not case.is_placed:
        return "Which side of this scan is left is not known: the model names its labels by the picture as it is shown."
    if volume.axial_axis == 0:
        return ""
    taken = ("sagittal", "coronal", "axial")[volume.world_axes[0]]
    down, across = (volume.spacing_mm[volume.world_axes.index(world)] for world in (1, 0))
    return (
        f"This scan was taken in {taken} slices. The model draws on the axial planes across them, whose voxels are"
        f" {down:.1f} × {across:.1f} mm, and shows its masks when all are done: look closely."
    )


class Segmenting(QObject):
    """Has the engine fill the open case's slices through the session; one segmentation at a time.

    Attributes
    ----------
    job : SegmentJob or None
        The one under way.
    """

    changed = Signal(object)
    """The SegmentJob under way, or None when it has ended."""
    failed = Signal(object)
    """An exception."""
    doubted = Signal(str)
    """A doubt about the mask that was drawn, which stays until it has been read."""

    def __init__(self, session: Session, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.job: SegmentJob | None = None
        self._session = session
        self._engine = engine
        self._case: Case | None = None
        self._values: dict[int, int] = {}
        self._added: set[int] = set()
        self._before: tuple[Edit, ...] = ()
        session.case_opened.connect(self._forget)

    def start(self, model: ModelEntry, redo: Collection[int] = ()) -> bool:
        """Let a model fill every slice that is neither reviewed nor being edited; False when it could not begin.

        With ``redo`` it fills these slices alone, also those being edited.
        """
        case = self._session.case
        refused = obstacle(case, model.card, redo)
        if case is None or refused:
            self.failed.emit(refused)
            return False
        try:
            table, self._values = case.table.joined(model.card.labels)
            run = self._session.begin_run(step_name(model.card.name, redo), redo)
        except UserError as error:
            self.failed.emit(error)
            return False
        self._before = case.history.edits
        self._added = {label.value for label in table if case.table.get(label.value) is None}
        if self._added:
            self._session.set_table(table)
        self._case = case
        job = self.job = self._engine.segment(case.volume, model, run.free_slices())
        job.slice_ready.connect(self._fill)
        job.succeeded.connect(self._keep)
        job.failed.connect(lambda error: self._fail(job, error))
        job.ended.connect(lambda: self._ended(job))
        self.changed.emit(job)
        return True

    def cancel(self) -> None:
        """Cancel: the window is free at once, slices already filled are taken back."""
        job, self.job = self.job, None
        if job:
            job.cancel()
            self._drop()
            self.changed.emit(None)
            self._session.said.emit("Segmentation cancelled.")

    # ------------------------------------------------------------------ inside

    def _drop(self) -> None:
        """Take back what the run under way has filled, and the labels it brought along; its late slices are ignored."""
        if self._mine():
            self._session.end_run(keep=False)
            self._session.drop_unused(self._added, self._before)
        self._case = None

    def _mine(self) -> bool:
        """Whether the run belongs to the case that is open."""
        return self._case is not None and self._session.case is self._case and self._session.busy_run is not None

    def _fill(self, result: SliceResult) -> None:
        if self._mine():
            unsure = None if math.isnan(result.uncertainty) else result.uncertainty
            self._session.fill_slice(result.index, renumber(result.labels, self._values), unsure)

    def _keep(self, summary: SegmentSummary) -> None:
        if self._mine():
            self._session.end_run(keep=True, doubts=summary.warnings)
            for sentence in summary.warnings:
                self.doubted.emit(sentence)
        self._case = None

    def _fail(self, job: SegmentJob, error: Exception) -> None:
        if job is self.job:  # not one that was cancelled, whose place another may have taken
            self._drop()
            self.failed.emit(error)

    def _ended(self, job: SegmentJob) -> None:
        if job is self.job:
            self._drop()
            self.job = None
            self.changed.emit(None)

    def _forget(self, _: object) -> None:
        self._case = None
