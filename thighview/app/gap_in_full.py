"""Why a run's validation and training differ, beyond what it says itself: per label, and in full on demand."""

from thighview.app.jobs import Job, run_in_process, run_in_thread
from thighview.core.gap import Gap
from thighview.core.gap_passes import END_OF_EPOCH, INFERENCE, LEARNING, TRAIN, VAL, label_gaps_of
from thighview.io.dataset import read_dataset
from thighview.io.gap_file import read_gaps
from thighview.io.runs import RunFolder, read_config
from thighview.io.slice_table import read_sums

EXPLAIN = "thighview.engine.gap_on_demand:explain_run"


def measure_in_full(run: RunFolder) -> Job:
    """Further passes at the checkpoints of a run; brings the plain data of :class:`GapsInFull` as ``(data, {})``.

    The child leaves the same in ``gap.json`` of the run folder. ``progressed`` counts its few steps, ``said`` brings
    what it is at, in words.
    """
    return run_in_process(EXPLAIN, str(run.path), lane="explain")


def read_in_full(run: RunFolder) -> Job:
    """What was measured earlier: brings :class:`GapsInFull`, or None."""
    return run_in_thread(lambda _report, _stopped: read_gaps(run), lane="explain files")


def read_label_gaps(run: RunFolder, epoch: int, labels: tuple[str, ...]) -> Job:
    """The gaps of each label at an epoch, from the sums the run kept of it; brings a tuple of :class:`Gap`.

    Empty where the run did not make all the passes then.
    """
    return run_in_thread(lambda _report, _stopped: label_gaps(run, epoch, labels), lane="explain files")


def label_gaps(run: RunFolder, epoch: int, labels: tuple[str, ...]) -> tuple[Gap, ...]:
    """:func:`read_label_gaps` at once; for a worker thread.

    Raises
    ------
    UserError
        When the table of the epoch, the frozen set or the settings cannot be read.
    """
    passes = read_sums(run.slices_of(epoch))
    if any(name not in passes for name in (LEARNING, END_OF_EPOCH, INFERENCE, TRAIN, VAL)):
        return ()
    config, dataset = read_config(run), read_dataset(run)
    return label_gaps_of(passes, dataset.subject_of, config.loss, labels, bool(dataset.phantoms))
