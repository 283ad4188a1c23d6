"""The models of the box on a real thigh, against masks that follow from its water and fat."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from dixon_thigh import DixonThigh, dice, points, read_dixon_thigh
from numpy.typing import NDArray

from thighview.engine.predict import load_network, segment_volume
from thighview.io.model_card import ModelCard
from thighview.io.resources import resource

Model = tuple[keras.Model, ModelCard]


@pytest.fixture(scope="module")
def thigh(data: Path) -> DixonThigh:
    return read_dixon_thigh(data / "thigh_siemens_dixon")


def _drawn(model: Model, thigh: DixonThigh, of_water: float, of_fat: float) -> NDArray[np.uint8]:
    voxels = np.round(1000 * thigh.weighted(of_water, of_fat)).astype(np.int16)
    return segment_volume(replace(thigh.echo, voxels=voxels), *model).labels


def _of(model: Model, labels: NDArray[np.uint8], *names: str) -> NDArray[np.bool_]:
    return np.isin(labels, [label.value for label in model[1].labels if label.name in names])


@pytest.mark.parametrize(("water", "fat"), [(0.42, 1.0), (1.0, 0.08)], ids=["as T1", "as STIR"])
def test_muscle_femur_and_outer_surface_of_a_real_thigh(thigh: DixonThigh, water: float, fat: float) -> None:
    model = load_network(resource("models", "thigh_tissues"))
    drawn = _drawn(model, thigh, water, fat)
    assert dice(_of(model, drawn, "muscle"), thigh.muscle) > 0.95
    assert dice(_of(model, drawn, "femur_cortex", "femur_marrow"), thigh.femur) > 0.94
    assert dice(drawn > 0, thigh.outer) > 0.975


@pytest.mark.parametrize(("water", "fat"), [(0.42, 1.0), (1.0, 0.08)], ids=["as T1", "as STIR"])
def test_muscles_of_a_real_thigh_have_their_names_and_sides(thigh: DixonThigh, water: float, fat: float) -> None:
    model = load_network(resource("models", "thigh_groups"))
    drawn = _drawn(model, thigh, water, fat)
    names = {label.name for label in model[1].labels} - {"femur", "subcutaneous_fat"}
    assert dice(_of(model, drawn, *names), thigh.muscle) > 0.92
    assert dice(_of(model, drawn, "femur"), thigh.femur) > 0.92
    right = 0
    for (z, y, x), name in points():
        label = model[1].labels.get(int(drawn[z, y, x]))
        right += label is not None and label.name == name and label.side == ("left" if x < 256 else "right")
    assert right / len(points()) > 0.8
