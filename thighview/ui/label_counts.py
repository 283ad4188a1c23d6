"""Volumes of labels, kept up to date behind the window while a person paints."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal

from thighview.app.jobs import Job, run_in_thread
from thighview.app.session import Session
from thighview.core.case import Case
from thighview.core.mask import LabelMap, Region

_WAIT_MS = 120
_AT_ONCE_VOXELS = 600_000


class LabelCounts(QObject):
    """Voxels per label of the open case: only slices that changed are counted again, many of them off the thread."""

    changed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._counts: NDArray[np.int64] = np.zeros((0, 256), np.int64)
        self._stale: set[int] = set()
        self._job: Job | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT_MS)
        self._timer.timeout.connect(self._count)
        session.case_opened.connect(self._take)
        session.mask_changed.connect(self._touch)
        session.images_changed.connect(self.changed)  # lengths may be known now
        self._take(session.case)

    def volume_ml(self, value: int) -> float | None:
        """Volume of a label, ml; None before it was first counted, and where lengths are not known."""
        case = self._session.case
        if case is None or not case.is_sized or len(self._counts) == 0:
            return None
        return float(self._counts[:, value].sum()) * case.volume.voxel_volume_ml

    def _take(self, case: Case | None) -> None:
        self._counts = np.zeros((0, 256), np.int64)
        self._stale = set(range(case.labels.shape[0])) if case else set()
        self.changed.emit()
        if case:
            self._timer.start()

    def _touch(self, region: Region) -> None:
        self._stale.update(region.along(0))
        if not self._timer.isActive():
            self._timer.start()

    def _count(self) -> None:
        case = self._session.case
        if case is None or self._job is not None or not self._stale:
            return
        slices = sorted(i for i in self._stale if i < case.labels.shape[0])
        self._stale = set()
        labels = case.labels
        if len(slices) * labels[0].size <= _AT_ONCE_VOXELS:
            self._enter(case, slices, _count_slices(labels, slices))
            return
        job = self._job = run_in_thread(lambda report, stopped: _count_slices(labels, slices), lane="count")
        job.succeeded.connect(lambda counts: self._enter(case, slices, counts))
        job.ended.connect(self._ended)

    def _ended(self) -> None:
        self._job = None
        if self._stale:
            self._timer.start()

    def _enter(self, case: Case, slices: list[int], counts: NDArray[np.int64]) -> None:
        if self._session.case is not case:
            return
        if len(self._counts) != len(case.reviews):
            self._counts = np.zeros((len(case.reviews), 256), np.int64)
        self._counts[slices] = counts
        self.changed.emit()


def _count_slices(labels: LabelMap, slices: list[int]) -> NDArray[np.int64]:
    return np.stack([np.bincount(labels[i].ravel(), minlength=256) for i in slices]).astype(np.int64)
