"""Studies as they lie on the disk, told without a training."""

import time
from pathlib import Path

import numpy as np

from thighview.core.run import PersonScores, RunEvent, TrainConfig
from thighview.core.studies import CURVE
from thighview.core.study_results import RetrainingEnded, StudyEnded, StudyMoved, StudyStarted
from thighview.io.project import Project
from thighview.io.runs import EventLog
from thighview.io.studies import Study, StudyFolder, freeze_study, planned, study_folder
from thighview.io.vetting import vetted_set

CONFIG = TrainConfig(base_filters=2, levels=3, epochs=2, batch_size=16, input_size=32, augment=False)


def frozen(folder: Path, kind: str, count: int = 0, name: str = "one") -> tuple[StudyFolder, Study]:
    """A study of a closed project with its plan, and nothing said yet."""
    project = Project.open(folder)
    study = study_folder(folder, name)
    asked = freeze_study(project, study, kind, CONFIG, count)
    project.close()
    return study, planned(study, asked, vetted_set(study), None)


def scores(subject: str, seed: int, dice: float) -> PersonScores:
    rng = np.random.default_rng(seed)
    values = np.clip(dice + rng.normal(0, 0.03, 2), 0, 1).tolist()
    return PersonScores(subject, 1.2 - dice, 0.9 + dice / 20, tuple(values), (0.2, 0.3), (0.95, 0.9))


def ended(study: StudyFolder, asked: Study, number: int) -> RetrainingEnded:
    one = asked.trainings[number - 1]
    dice = 0.92 - 0.45 / (1 + len(one.train)) + 0.01 * (number % 2) if asked.kind == CURVE else 0.86
    val = [scores(p, 31 * sum(map(ord, p)) + number, dice + 0.02 * (sum(map(ord, p)) % 3)) for p in one.validation]
    train = [scores(p, number, 0.97 - dice / 50) for p in one.train[:2]]
    return RetrainingEnded(time.time(), study.name, number, 4.0, ("thigh", "bone"), tuple(train), tuple(val))


def tell(study: StudyFolder, *events: RunEvent) -> None:
    log = EventLog(study)
    for event in events:
        log.append(event)
    log.close()


def told(folder: Path, kind: str, count: int = 0, done: int | None = None, name: str = "one") -> StudyFolder:
    """A study whose first ``done`` trainings (None: all) are told, and that was stopped where some are left."""
    study, asked = frozen(folder, kind, count, name)
    total = len(asked.trainings)
    done = total if done is None else done
    started = StudyStarted(time.time(), name, kind, total, 1, asked.note)
    moved = StudyMoved(time.time(), name, done, 2, 2, done / total, 8.0 * (total - done))
    tell(study, started, *(ended(study, asked, n) for n in range(1, done + 1)), moved)
    tell(study, StudyEnded(time.time(), name, done < total))
    return study
