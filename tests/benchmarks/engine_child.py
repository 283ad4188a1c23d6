"""Child of the engine's benchmarks: everything that needs keras. Prints a JSON list. Run as a script with pairs of:

    infer SETTINGS     {"ours", "bare": seconds of each round, "slices", "batch", "size", "device"}
    train SETTINGS     {"ours", "bare", "bare_with_validation": seconds of each epoch but the first, "steps", "size"}
    project SETTINGS   a project to train on, for the window to watch

SETTINGS is JSON; what is measured in turn runs in one process, A B A B.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from thighview.core.case import Case
from thighview.core.labels import Label, LabelTable
from thighview.core.review import SliceReview, SliceState
from thighview.core.run import EpochEnded, RunEvent, TrainConfig
from thighview.core.volume import Volume
from thighview.io.dataset import freeze
from thighview.io.project import Project
from thighview.io.reading import read_volume, sha256_of
from thighview.io.runs import run_folder

TABLE = LabelTable((Label(1, "muscle"), Label(2, "femur_cortex"), Label(3, "femur_marrow")))


def draw(seed: int, slices: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """An int16 image and its uint8 labels, (slices, size, size): discs in one another."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size]
    labels = np.zeros((slices, size, size), np.uint8)
    for z in range(slices):
        away = np.hypot(y - size / 2 + rng.uniform(-3, 3), x - size / 2 + rng.uniform(-3, 3)) / size
        for value, radius in ((1, rng.uniform(0.3, 0.4)), (2, 0.12), (3, 0.07)):
            labels[z][away < radius] = value
    return (np.array([30, 500, 90, 800])[labels] + rng.normal(0, 40, labels.shape)).astype(np.int16), labels


def infer(rounds: int, slices: int, image: int, base: int, levels: int, size: int) -> dict[str, Any]:
    """``segment_volume`` against ``model.predict`` on the same planes in the same batches."""
    from benchmarks.bare.network import predict_once

    from thighview.engine.devices import prepare_device
    from thighview.engine.predict import batch_for, segment_volume
    from thighview.engine.preprocess import Intensity, plane_grid, slices_for_network
    from thighview.engine.unet import build_network
    from thighview.io.model_card import ModelCard

    device = prepare_device()
    card = ModelCard(
        "bench", "unet", base, levels, 0.0, ("background", "muscle", "femur_cortex", "femur_marrow"), TABLE, False,
        0.0, size,
    )  # fmt: skip
    network = build_network("unet", 4, base, levels)
    volume = Volume(draw(1, slices, image)[0], np.array(
        [[0, 0, 0.8, 0], [0, 0.8, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]], float
    ))  # fmt: skip
    grid = plane_grid(volume, card)
    batch = batch_for(grid, card, device != "CPU")
    planes = slices_for_network(volume.voxels, grid, Intensity.of(volume.voxels), list(range(slices)))
    ours: list[float] = []
    bare: list[float] = []
    for number in range(-1, rounds):
        began = time.perf_counter()
        segment_volume(volume, network, card, lambda *_: None, lambda: False, batch)
        took = time.perf_counter() - began
        theirs = predict_once(network, planes, batch)
        if number >= 0:
            ours.append(took)
            bare.append(theirs)
    return {"ours": ours, "bare": bare, "slices": slices, "batch": batch, "size": size, "device": device}


def make_project(folder: Path, people: int, slices: int, size: int) -> Path:
    """A closed project whose people are all in the training set, every slice drawn."""
    project = Project.create(folder / "bench", "bench")
    for seed in range(people):
        image, labels = draw(seed, slices, size)
        path = folder / f"person{seed}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(image.T, np.diag([-1.5, -1.5, 6.0, 1.0])), path)
        case = Case.of(read_volume(path), path, sha256_of(path), f"person {seed}")
        case.labels[...], case.table = labels, TABLE
        case.reviews = [SliceReview(SliceState.DRAWN)] * slices
        project.add_case(case, in_training_set=True)
    project.close()
    return project.folder


def train(folder: str, people: int, slices: int, size: int, config: dict[str, Any]) -> dict[str, Any]:
    """Epochs of a real run as it tells them itself, honest curves, previews and checkpoints included; after each of
    them one of ``model.fit`` with, and one without, validation.
    """
    from benchmarks.bare.network import BareFit

    from thighview.engine import training_run
    from thighview.engine.train import train as train_run

    project = make_project(Path(folder), people, slices, size)
    opened = Project.open(project)
    run, settings = run_folder(project, "bench"), TrainConfig.from_json(config)
    freeze(opened, run, settings)
    opened.close()
    held: list[Any] = []
    keep = training_run.TrainingRun._build  # the bare side takes over the very slices of the run

    def build(self: Any) -> None:
        keep(self)
        held.append(BareFit(self.train, self.val, settings, len(self.plan.card.classes), self.steps))

    training_run.TrainingRun._build = build  # type: ignore[method-assign]
    ours: list[float] = []
    bare: list[float] = []
    validated: list[float] = []

    def heard(event: RunEvent) -> None:
        if isinstance(event, EpochEnded):
            ours.append(event.seconds)
            bare.append(held[0].epoch())
            validated.append(held[0].epoch(validate=True))

    train_run(run, settings, heard)
    return {
        "ours": ours[1:], "bare": bare[1:], "bare_with_validation": validated[1:],
        "steps": held[0].steps, "size": settings.input_size, "base": settings.base_filters,
    }  # fmt: skip


if __name__ == "__main__":
    answers: list[dict[str, Any]] = []
    for what, settings in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        words = json.loads(settings)
        if what == "project":
            words["folder"] = Path(words["folder"])
            answers.append({"folder": str(make_project(**words))})
        else:
            answers.append({"infer": infer, "train": train}[what](**words))
    print(json.dumps(answers), flush=True)
