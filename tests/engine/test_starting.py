"""A run that starts from a model: how that one does by itself, and what is taken from it."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tiny_project import TINY, add_person

from thighview.core.labels import Label, LabelTable
from thighview.core.run import Finished, RunEvent, TrainConfig
from thighview.engine import train
from thighview.engine.loading import load_slices
from thighview.engine.predict import load_network, probabilities
from thighview.engine.starting import Plan, make_plan
from thighview.engine.unet import build_network
from thighview.io.dataset import Dataset, read_dataset
from thighview.io.model_card import ModelCard
from thighview.io.models import ModelEntry, find_model
from thighview.io.project import Project
from thighview.io.runs import RunFolder, run_folder


def _with(**changes: object) -> TrainConfig:
    return TrainConfig.from_json(TINY.to_json() | changes)


@pytest.mark.usefixtures("eager")
def test_a_model_that_knows_more_labels_is_measured_with_all_of_its_head(
    trained: tuple[Path, RunFolder, list[RunEvent]], tmp_path: Path
) -> None:
    """What it takes for a label that the run does not learn is background, not the next likely label."""
    parent = find_model("first", trained[0])
    with closing(Project.create(tmp_path / "study", "study")) as project:
        folder = project.folder
        for seed in range(10, 13):  # people whom the model has never seen, so that one of them validates
            add_person(project, tmp_path, seed, f"other {seed}", table=LabelTable((Label(1, "bone"),)))
    said: list[RunEvent] = []
    train.train_main(folder, "second", _with(epochs=1), str(parent.folder), said.append)
    end = next(e for e in said if isinstance(e, Finished))

    run = run_folder(folder, "second")
    dataset = read_dataset(run)
    val = load_slices(run, dataset, make_plan("x", dataset, _with(), parent), lambda _line: None).val
    assert val is not None
    network, card = load_network(parent.folder)
    p = probabilities(np.asarray(network.predict_on_batch(np.stack(val.images)[..., None])))
    bone = p[..., card.classes.index("bone")]
    found, right = bone > 1 - bone, np.stack(val.labels) == 1
    assert (found != (bone > p[..., 0])).any()  # with the head of the run it would read otherwise
    assert end.parent_val.dice == pytest.approx(2 * (found & right).sum() / (found.sum() + right.sum()), abs=1e-4)
    assert end.parent_val.accuracy == pytest.approx((found == right).mean(), abs=1e-4)


def _plan_from(config: TrainConfig, levels: int, spacing_mm: float, size: int) -> Plan:
    labels = LabelTable((Label(1, "bone"),))
    card = ModelCard("old", "unet", 2, levels, 0.0, ("background", "bone"), labels, False, spacing_mm, size)
    return make_plan("x", Dataset(labels, (), (), (), ""), config, ModelEntry(card, Path("old"), "user"))


def test_a_model_of_two_levels_can_be_trained_from() -> None:
    plan = _plan_from(TrainConfig(), 2, 0.0, 256)
    assert plan.config.levels == plan.card.levels == 2
    assert build_network("unet", 2, 2, plan.config.levels, 0.2).output_shape == (None, None, None, 2)


@pytest.mark.parametrize(("size", "nearest"), [(400, 416), (1040, 1024), (16, 32), (2048, 1024), (304, 320)])
def test_slices_fitted_into_a_size_that_no_training_may_have_are_fitted_into_the_nearest(
    size: int, nearest: int
) -> None:
    plan = _plan_from(TrainConfig(), 5, 0.0, size)
    assert plan.config.input_size == plan.card.input_size == nearest
    note = f"slices of {nearest} pixels, not the {size} of old, which no training may have"
    assert note in plan.notes
    cut = _plan_from(TrainConfig(input_size=96), 5, 1.5, size)
    assert cut.config.input_size == 96, "how large things look is the pixel size's business there"
    assert f"slices of 96 pixels, not the {size} of old, which no training may have" in cut.notes
    assert not any("pixels" in said for said in _plan_from(TrainConfig(), 5, 0.0, 512).notes)
