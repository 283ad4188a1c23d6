"""The parts of a gap that are measured on demand, and the gaps of single labels, read from what a run has kept."""

from datetime import datetime

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from thighview.app.gap_in_full import measure_in_full, read_in_full, read_label_gaps
from thighview.app.jobs import Job
from thighview.core.gap import Gap
from thighview.io.gap_file import EpochInFull, GapsInFull
from thighview.io.runs import RunFolder
from thighview.ui.cards import ProgressLine, button, row, show_words, words

ABOUT = (
    "Averaged weights, the choice of the best epoch and how hard the people are by themselves take passes of their "
    "own, at the epoch that is kept and at the last one. You can go on meanwhile."
)


class InFull(QWidget):
    """A button, its progress, and what came of it; what was measured is kept with the run and shown again."""

    changed = Signal()
    """Something was measured or read."""
    failed = Signal(object)
    """An exception."""

    def __init__(self) -> None:
        super().__init__()
        self._run: RunFolder | None = None
        self._found: GapsInFull | None = None
        self._job: Job | None = None
        self._job_run: RunFolder | None = None
        self._done = 0
        self.about = words("", "muted")
        self.progress_words = words("", "muted")
        self.progress = ProgressLine()
        self.reasons = words("", "muted")
        self.measure_button = button("Measure all parts", self._measure, "Further passes at the run's checkpoints")
        self.cancel_button = button("Cancel", self._cancel, "Nothing is kept of it")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(6)
        for part in (self.about, self.reasons, self.progress_words, self.progress):
            column.addWidget(part)
        column.addLayout(row(self.measure_button, self.cancel_button))
        self.hide()

    def show_run(self, run: RunFolder | None) -> None:
        """Follow another run, and read what was measured of it earlier."""
        if run == self._run and run is not None:
            return
        self._run, self._found = run, None
        if run is not None:
            job = read_in_full(run)
            job.succeeded.connect(lambda found: self._take(run, found))
            job.failed.connect(self.failed)

    def show_ended(self, ended: bool, epochs_done: int, epoch: int, opened: bool) -> None:
        """Whether the run has ended, how many epochs it has done, which one is looked at, and whether at its parts."""
        self._done = epochs_done
        found, busy = self.found, self._job is not None
        mine = busy and self._job_run == self._run
        here = found.at(epoch) if found else None
        empty = not (here.gaps if here else any(one.gaps for one in found.epochs)) if found else False
        self.setVisible(self._run is not None and (mine or opened or empty if found else ended))
        show_words(self.about, "" if found or mine else ABOUT)
        show_words(self.reasons, "\n".join(here.missing) if here else _where(found) if found else "")
        self.measure_button.setText("Measure again" if found else "Measure all parts")
        self.measure_button.setToolTip(
            f"All parts were measured {_when(found.measured)}" if found else "Further passes at the run's checkpoints"
        )
        self.measure_button.setVisible(not mine)
        self.measure_button.setEnabled(not busy and ended)
        self.cancel_button.setVisible(mine)
        self.cancel_button.setEnabled(self._job is not None and not self._job.cancelled)
        self.progress.setVisible(mine)
        self.progress_words.setVisible(mine)

    @property
    def found(self) -> GapsInFull | None:
        """What was measured of the run as it is now: a run that went on since has other weights."""
        return self._found if self._found and self._found.epochs_done == self._done else None

    def at(self, epoch: int) -> EpochInFull | None:
        """What was measured at an epoch."""
        return self.found.at(epoch) if self.found else None

    # ------------------------------------------------------------------ measuring

    def _measure(self) -> None:
        run = self._run
        if run is None or self._job is not None:
            return
        job = self._job = measure_in_full(run)
        self._job_run = run
        job.progressed.connect(self.progress.show_progress)
        job.said.connect(lambda said: show_words(self.progress_words, str(said)) if run == self._run else None)
        job.succeeded.connect(lambda result: self._take(run, GapsInFull.from_json(result[0])))
        job.failed.connect(self.failed)
        job.ended.connect(self._ended)
        self.progress.show_progress(0, 0)
        show_words(self.progress_words, "Starting…")
        self.changed.emit()

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()
            show_words(self.progress_words, "Stopping…")
            self.cancel_button.setEnabled(False)

    def _ended(self) -> None:
        self._job = self._job_run = None
        self.changed.emit()

    def _take(self, run: RunFolder, found: GapsInFull | None) -> None:
        if run == self._run and found is not None:
            self._found = found
            self.changed.emit()


class LabelGaps(QObject):
    """Gaps of single labels, read once for each epoch that is looked at."""

    changed = Signal()
    """Those of an epoch were read, or could not be."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._run: RunFolder | None = None
        self._read: dict[int, dict[tuple[str, str], Gap] | None] = {}
        self._reading: set[int] = set()

    def show_run(self, run: RunFolder | None) -> None:
        """Forget those of another run, or of an earlier time of this one."""
        self._run, self._read, self._reading = run, {}, set()

    def is_reading(self, epoch: int) -> bool:
        """Whether those of an epoch are still read."""
        return epoch in self._reading

    def forget(self, epoch: int) -> None:
        """An epoch was measured again."""
        self._read.pop(epoch, None)
        self._reading.discard(epoch)

    def at(self, epoch: int, labels: tuple[str, ...]) -> dict[tuple[str, str], Gap] | None:
        """By label and metric; None while they are read, and where they cannot be."""
        run = self._run
        if run is None or epoch in self._read:
            return self._read.get(epoch)
        self._read[epoch] = None
        self._reading.add(epoch)
        job = read_label_gaps(run, epoch, labels)
        job.succeeded.connect(lambda gaps: self._take(run, epoch, gaps))
        job.failed.connect(lambda _error: self._take(run, epoch, ()))  # the gap of all labels is still there
        return None

    def _take(self, run: RunFolder, epoch: int, gaps: tuple[Gap, ...]) -> None:
        if run != self._run or epoch not in self._read:
            return
        self._reading.discard(epoch)
        if gaps:
            self._read[epoch] = {(gap.label, gap.metric): gap for gap in gaps}
        self.changed.emit()


def _where(found: GapsInFull) -> str:
    """The epochs that have all parts; where none has, why."""
    names = [f"epoch {one.epoch}, {'which is kept' if one.epoch == found.kept else 'the last'}"
             for one in found.epochs if one.gaps]  # fmt: skip
    if not names:
        return "\n".join(dict.fromkeys(said for one in found.epochs for said in one.missing))
    return f"All parts are measured for {' and '.join(names)}."


def _when(measured: str) -> str:
    """An ISO time as one would say it here; empty where it is none."""
    try:
        return f"on {datetime.fromisoformat(measured).astimezone():%d %b at %H:%M}"
    except ValueError:
        return ""
