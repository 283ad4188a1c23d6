"""A study from its frozen set to its last training, one after the other; each is an ordinary run in its own folder.

What is left of a training is its set, its settings, what it said, and its sums per slice at the last epoch.
"""

import gc
import shutil
import time
from pathlib import Path

import keras

from thighview.core.errors import UserError
from thighview.core.run import BatchEnded, EpochEnded, RunEvent, Started, TrainConfig
from thighview.core.studies import Retraining, work_of
from thighview.core.study_results import RetrainingEnded, StudyEnded, StudyMoved, StudyStarted
from thighview.engine.devices import lower_priority
from thighview.engine.keeping import is_over
from thighview.engine.recording import Emit, NothingLearntError, Voice, speaking
from thighview.engine.train import starting_from, train
from thighview.io.atomic import write_bytes_atomic
from thighview.io.models import find_model
from thighview.io.project import Project
from thighview.io.runs import EventTail, RunFolder, read_config, read_control, write_control
from thighview.io.studies import (
    StudyFolder,
    free_study_name,
    freeze_retraining,
    freeze_study,
    planned,
    read_study,
    study_folder,
)
from thighview.io.study_pace import find_pace
from thighview.io.vetting import vetted_set

_MOVED_S = 1.0


def study_main(
    project: Path, name: str = "", kind: str = "", count: int = 0, config: TrainConfig | None = None,
    start_from: str | None = None, emit: Emit | None = None,
) -> StudyFolder:  # fmt: skip
    """Begin a study of a project, or go on with the one of that name where no ``kind`` is given; returns its folder.

    Parameters
    ----------
    project : Path
        A new study is frozen first, which needs the project to be open in no other window.
    name : str
        Of the study; empty takes a free one.
    kind, count
        As in ``core.studies.plan``.
    config, start_from, emit
        As in ``engine.train.train_main``.

    Raises
    ------
    UserError
        When it cannot start, or ended for a reason a person can act on (the study has a Failed event then, too).
    """
    study = study_folder(project, name or free_study_name(project, kind))
    if kind:
        chosen = starting_from(config or TrainConfig(), start_from)
        opened = Project.open(project)
        try:
            freeze_study(opened, study, kind, chosen, count, find_pace(project, chosen))
        finally:
            opened.close()
    elif config is not None or start_from is not None:
        raise UserError(
            f"The study {name!r} keeps its settings.", "Leave them out, or say what a new study should ask."
        )
    carry_out(study, emit)
    return study


def carry_out(study: StudyFolder, emit: Emit | None = None) -> None:
    """Make the trainings of a frozen study that are not done yet; ``control`` in its folder stops it.

    A training that was killed or stopped goes on from its last checkpoint.
    """
    lower_priority()
    read_study(study)  # one that this program cannot read is left as it is
    with speaking(study, emit) as say:
        _Going(study, say).to_end()


class _Going:
    """One sitting of a study."""

    def __init__(self, study: StudyFolder, say: Voice) -> None:
        self._study, self._say = study, say
        asked = read_study(study)
        parent = find_model(asked.config.start_from, study.project) if asked.config.start_from else None
        self._whole = vetted_set(study, parent)
        self._asked = planned(study, asked, self._whole, parent)
        slices = self._whole.slices_by_subject
        self._work = [work_of(one, slices, asked.config) for one in self._asked.trainings]
        said = EventTail(study.events).read_all()
        self._done = {event.number: event for event in said if isinstance(event, RetrainingEnded)}
        self._moved = 0.0
        self._now: tuple[int, RunFolder] = (0, study)
        self._epochs: list[float] = []
        self._first_epoch = 1

    def to_end(self) -> None:
        trainings = self._asked.trainings
        for number in self._done:
            _tidy(self._study.retraining(trainings[number - 1].name))
        left = [(n, one) for n, one in enumerate(trainings, 1) if n not in self._done]
        first = left[0][0] if left else len(trainings) + 1
        self._say(StudyStarted(
            time.time(), self._study.name, self._asked.kind, len(trainings), first, self._asked.note
        ))  # fmt: skip
        for number, one in left:
            if read_control(self._study) == "stop" or not self._retrain(number, one):
                self._say(StudyEnded(time.time(), self._study.name, stopped=True))
                return
        self._say(StudyEnded(time.time(), self._study.name, stopped=False))

    # ------------------------------------------------------------------ one training

    def _retrain(self, number: int, one: Retraining) -> bool:
        """Make one training and note its scores; False where it was stopped."""
        run = self._frozen(one)
        self._now, self._epochs, self._first_epoch = (number, run), [], 1
        start = time.monotonic()
        if not is_over(run.checkpoint, read_config(run)):
            try:
                train(run, read_config(run), self._heard)
            except NothingLearntError:
                return False
            except UserError as error:
                raise UserError(f"Training {number} of {len(self._work)}: {error.message}", error.hint) from error
            finally:
                keras.utils.clear_session()
                gc.collect()
        seconds = time.monotonic() - start
        if not is_over(run.checkpoint, read_config(run)):  # not by its last word: that may be of an earlier sitting
            return False
        said = EventTail(run.events).read_all()
        last = _last_epoch(said, one)
        assert last is not None, "a training that is over has said so"
        if self._first_epoch > 1 or not self._epochs:  # begun in an earlier sitting
            seconds = sum(event.seconds for event in said if isinstance(event, EpochEnded))
        labels = next(event.labels for event in said if isinstance(event, Started))
        ended = RetrainingEnded(
            time.time(), self._study.name, number, seconds, labels, last.train_people, last.val_people
        )
        self._say(ended)
        self._done[number] = ended
        _tidy(run)
        return True

    def _frozen(self, one: Retraining) -> RunFolder:
        """The run folder of a training, made where it is not there, or not whole."""
        run = self._study.retraining(one.name)
        over = run.dataset.exists() and is_over(run.checkpoint, read_config(run))
        if over and _last_epoch(EventTail(run.events).read_all(), one) is None:  # killed between weights and word
            shutil.rmtree(run.path)
        if not run.dataset.exists():
            self._share_precision(run)  # first: a folder without a set is frozen again
            freeze_retraining(self._study, self._asked, self._whole, one)
        return run

    def _share_precision(self, run: RunFolder) -> None:
        """Have every training compute in what the first one chose: they are to differ in their people alone."""
        chosen = self._study.retraining(self._asked.trainings[0].name).path / "precision.json"
        if chosen.exists():
            run.path.mkdir(parents=True, exist_ok=True)
            write_bytes_atomic(run.path / chosen.name, chosen.read_bytes())

    # ------------------------------------------------------------------ while it trains

    def _heard(self, event: RunEvent) -> None:
        number, run = self._now
        if read_control(self._study) == "stop" and read_control(run) != "stop":
            write_control(run, "stop")
        if isinstance(event, Started):
            self._first_epoch = event.first_epoch
            self._tell(number, event.first_epoch, event.epochs, event.first_epoch - 1.0)
        elif isinstance(event, EpochEnded):
            self._epochs.append(event.seconds)
            self._tell(number, event.epoch, event.epochs, float(event.epoch))
        elif isinstance(event, BatchEnded) and time.monotonic() - self._moved >= _MOVED_S:
            epochs = self._asked.trainings[number - 1].epochs
            self._tell(number, event.epoch, epochs, event.epoch - 1 + event.step / event.steps)

    def _tell(self, number: int, epoch: int, epochs: int, done: float) -> None:
        self._moved = time.monotonic()
        here = self._work[number - 1] * done / epochs
        before = sum(self._work[n - 1] for n in self._done)
        whole = sum(self._work)
        pace = self._seconds_per_slice(number)
        left = None if pace is None else pace * (whole - before - here)
        self._say(StudyMoved(
            time.time(), self._study.name, number, epoch, epochs, (before + here) / whole, left
        ))  # fmt: skip

    def _seconds_per_slice(self, number: int) -> float | None:
        """From the trainings that are done, else from the epochs of this one, else as known before the start."""
        worked = sum(self._work[n - 1] for n in self._done)
        if worked:
            return sum(event.seconds for event in self._done.values()) / worked
        seconds = sorted(self._epochs[1:])
        if seconds:
            each = self._work[number - 1] / self._asked.trainings[number - 1].epochs
            return seconds[len(seconds) // 2] / each
        return self._asked.pace.seconds if self._asked.pace else None


def _last_epoch(said: list[RunEvent], one: Retraining) -> EpochEnded | None:
    """The last word on the last epoch of a training."""
    return next((e for e in reversed(said) if isinstance(e, EpochEnded) and e.epoch == one.epochs), None)


def _tidy(run: RunFolder) -> None:
    """Throw away what a training that is done needs no more: weights, previews, the sums of all epochs but the last."""
    for folder in (run.checkpoint, run.path / "preview", run.path / "tensorboard"):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(run.project / "models" / run.name, ignore_errors=True)
    for path in sorted(run.slices_of(1).parent.glob("epoch_*"), key=_epoch_of)[:-1]:
        path.unlink(missing_ok=True)


def _epoch_of(path: Path) -> int:
    """The epoch that a file is named after, 0 for none: as words, 1000 would come before 999."""
    number = path.stem.removeprefix("epoch_")
    return int(number) if number.isdecimal() else 0
