"""How fast this machine trains, as earlier trainings of a project tell: for the time a study will take."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median

from thighview.core.errors import UserError
from thighview.core.run import EpochEnded, Started, TrainConfig
from thighview.core.studies import work_of_epoch
from thighview.io.runs import EventTail, RunFolder, read_config

_MOST_LOOKED_AT = 20


@dataclass(frozen=True)
class Pace:
    """Seconds for each slice that is learnt from; ``run`` is the training that tells, ``alike`` if of the same size.

    ``start_s`` is what building the network adds to a training, seconds.
    """

    seconds: float
    run: str
    alike: bool
    start_s: float = 0.0


def find_pace(project: Path, config: TrainConfig) -> Pace | None:
    """The pace of the latest training of a network of the same size, else of any, scaled; None where there is none.

    A level of a U-Net costs about as much as the next: the work on a slice grows with its pixels, with the square of
    the filters and with the number of levels. Trainings of studies tell, too. Reads their events: for a worker thread.
    """
    found: Pace | None = None
    for run in _latest(project):
        try:
            known = read_config(run)
        except UserError:
            continue
        alike = _size(known) == _size(config) and known.architecture == config.architecture
        if found and not alike:
            continue
        timed = _timed(run, known)
        if timed is None:
            continue
        seconds, start_s = timed
        study = run.project.name if run.project.parent.name == "studies" else ""
        name = f"{study}, training {run.name}" if study else run.name
        found = Pace(seconds * _work(config) / _work(known), name, alike, start_s)
        if alike:
            break
    return found


def _latest(project: Path) -> list[RunFolder]:
    """Runs of a project and of its studies, the latest first."""
    files = chain(project.glob("runs/*/events.jsonl"), project.glob("studies/*/runs/*/events.jsonl"))
    dated = sorted(((path.stat().st_mtime, path) for path in files), reverse=True)
    return [RunFolder(path.parent) for _, path in dated[:_MOST_LOOKED_AT]]


def _timed(run: RunFolder, config: TrainConfig) -> tuple[float, float] | None:
    """Seconds for each slice, median over its epochs but the first; and how much longer that took: it builds, too."""
    events = EventTail(run.events).read_all()
    started = next((event for event in reversed(events) if isinstance(event, Started)), None)
    seconds = [event.seconds for event in events if isinstance(event, EpochEnded)]
    if started is None or not seconds or not started.train_slices:
        return None
    each = median(seconds[1:] or seconds)
    work = work_of_epoch(started.train_slices, started.val_slices, config)
    return each / work, max(0.0, seconds[0] - each)


def _size(config: TrainConfig) -> tuple[int, int, int]:
    return config.input_size, config.base_filters, config.levels


def _work(config: TrainConfig) -> float:
    """Of a slice, up to a factor."""
    return float(config.input_size**2 * config.base_filters**2 * config.levels)
