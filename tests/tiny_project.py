"""A project of a few tiny made-up people, for tests of training."""

import sqlite3
from contextlib import closing
from pathlib import Path

import nibabel
import numpy as np

from thighview.core.case import Case
from thighview.core.labels import Label, LabelTable
from thighview.core.review import SliceReview, SliceState
from thighview.core.run import TrainConfig
from thighview.io.project import DATABASE, Project
from thighview.io.reading import read_volume, sha256_of

TINY = TrainConfig(
    base_filters=2, levels=3, epochs=2, batch_size=4, input_size=32, learning_rate=3e-3, seed=5, dropout=0.2
)
TABLE = LabelTable((Label(1, "thigh"), Label(2, "bone", file_id=20)))


def draw_person(seed: int, edge: int = 32, slices: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """An image int16 and a mask uint8, both (z, y, x): a bright disc with a dark one in it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:edge, 0:edge]
    labels = np.zeros((slices, edge, edge), np.uint8)
    for z in range(slices):
        cy, cx = edge / 2 + rng.uniform(-2, 2, 2)
        away = np.hypot(y - cy, x - cx)
        labels[z][away < edge * rng.uniform(0.28, 0.36)] = 1
        labels[z][away < edge * 0.12] = 2
    image = np.array([40, 600, 150])[labels] + rng.normal(0, 25, labels.shape)
    return image.astype(np.int16), labels


def add_person(
    project: Project,
    folder: Path,
    seed: int,
    subject: str,
    reviewed: int = 4,
    table: LabelTable = TABLE,
    edge: int = 32,
) -> int:
    """One case in the training set whose first ``reviewed`` slices are drawn; returns its id."""
    image, labels = draw_person(seed, edge)
    path = folder / f"{subject}_{seed}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(image.T, np.diag([-2.0, -2.0, 6.0, 1.0])), path)
    volume = read_volume(path)
    case = Case.of(volume, path, sha256_of(path), subject)
    case.labels[...] = labels * np.isin(labels, [label.value for label in table])
    case.table = table
    case.reviews = [SliceReview(SliceState.DRAWN if i < reviewed else SliceState.UNSEEN) for i in range(len(labels))]
    return project.add_case(case, in_training_set=True)


def make_project(folder: Path, people: int = 3, **options: object) -> Path:
    """A closed project with so many people."""
    project = Project.create(folder / "study", "study")
    for seed in range(people):
        add_person(project, folder, seed, f"person {seed}", **options)  # type: ignore[arg-type]
    project.close()
    return project.folder


def make_older(folder: Path) -> None:
    """Put a closed project back to the format before scans had parts, as an older program left it: no hash known."""
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.executescript(
            "ALTER TABLE series DROP COLUMN part; ALTER TABLE case_ DROP COLUMN checked;"
            "UPDATE series SET sha256=''; PRAGMA user_version=2"
        )
