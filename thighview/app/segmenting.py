"""A segmentation from the press of the button to one step in the history, or to no trace at all."""

import math

from PySide6.QtCore import QObject, Signal

from thighview.app.engine_link import Engine, SegmentJob, SegmentSummary, SliceResult, VolumeResult
from thighview.app.session import Session
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.mask import renumber
from thighview.io.models import ModelEntry


class Segmenting(QObject):
    """Has the engine fill the open case's slices through the session; one segmentation at a time.

    Attributes
    ----------
    job : SegmentJob or None
        The one under way.
    uncertainty : dict of int to float
        By slice of the stored axis, of the last run on the open case.
    """

    changed = Signal(object)
    """The SegmentJob under way, or None when it has ended."""
    uncertainty_changed = Signal(object)
    """The dict of uncertainties."""
    failed = Signal(object)
    """An exception."""
    said = Signal(str)
    """A sentence for the status line."""

    def __init__(self, session: Session, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.job: SegmentJob | None = None
        self.uncertainty: dict[int, float] = {}
        self._session = session
        self._engine = engine
        self._case: Case | None = None
        self._values: dict[int, int] = {}
        session.case_opened.connect(self._forget)

    def start(self, model: ModelEntry) -> bool:
        """Let a model fill every slice that is neither reviewed nor being edited; False when it could not begin."""
        case = self._session.case
        try:
            if case is None:
                raise UserError("No scan is open.", "Open one first.")
            run = self._session.begin_run(f"Segment with {model.card.name}")
        except UserError as error:
            self.failed.emit(error)
            return False
        slices = run.free_slices()
        if not slices:
            self._session.end_run(keep=False)
            self.failed.emit(
                UserError("Every slice is reviewed or being edited, so there is none to segment.", "Reopen one first.")
            )
            return False
        table, self._values = case.table.joined(model.card.labels)
        if table != case.table:
            self._session.set_table(table)
        self._case = case
        self._show_uncertainty({})
        job = self.job = self._engine.segment(case.volume, model, slices)
        job.slice_ready.connect(self._fill)
        job.volume_ready.connect(self._fill_all)
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

    # ------------------------------------------------------------------ inside

    def _drop(self) -> None:
        """Take back what the run under way has filled; its late slices are ignored."""
        if self._mine():
            self._session.end_run(keep=False)
            self._show_uncertainty({})
        self._case = None

    def _mine(self) -> bool:
        """Whether the run belongs to the case that is open."""
        return self._case is not None and self._session.case is self._case and self._session.busy_run is not None

    def _fill(self, result: SliceResult) -> None:
        filled = self._mine() and self._session.fill_slice(result.index, renumber(result.labels, self._values))
        if filled and not math.isnan(result.uncertainty):
            self._show_uncertainty({**self.uncertainty, result.index: result.uncertainty})

    def _fill_all(self, result: VolumeResult) -> None:
        for index, labels in enumerate(result.labels):
            self._fill(SliceResult(index, labels, math.nan))

    def _keep(self, summary: SegmentSummary) -> None:
        if self._mine():
            self._session.end_run(keep=True)
            for sentence in summary.warnings:
                self.said.emit(sentence)
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
        self._show_uncertainty({})

    def _show_uncertainty(self, uncertainty: dict[int, float]) -> None:
        self.uncertainty = uncertainty
        self.uncertainty_changed.emit(uncertainty)
