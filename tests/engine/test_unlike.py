"""Real scans: those of a thigh pass, and what is none is said to be none before anyone trusts the mask."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from thighview.core.volume import Volume
from thighview.engine.predict import load_network, segment_volume
from thighview.io.model_card import ModelCard
from thighview.io.reading import read_volume
from thighview.io.resources import resource

_THIGH = "thigh_siemens_dixon/0006-Dixon_TE_345_th.nii.gz"
_OTHERS = (
    "lumbar_musclemap/image.nii.gz",
    "spine_sct/t2.nii.gz",
    "foot_siemens/0026-dix3d_TR23_fa05_460.nii.gz",
    "spine_sct/t1w.nii.gz",
    "phantom_nitest_balls1/T1.nii.gz",
)


@pytest.fixture(scope="module", params=["thigh_groups", "thigh_tissues"])
def model(request: pytest.FixtureRequest) -> tuple[keras.Model, ModelCard]:
    return load_network(resource("models", request.param))


def _flagged(volume: Volume, model: tuple[keras.Model, ModelCard]) -> bool:
    return any("does not look like a thigh" in said for said in segment_volume(volume, *model).warnings)


def test_a_real_thigh_passes_and_turned_front_to_back_it_does_not(
    data: Path, model: tuple[keras.Model, ModelCard]
) -> None:
    volume = read_volume(data / _THIGH)
    assert not _flagged(volume, model)
    turned = replace(volume, affine=volume.affine * np.array([[1.0], [-1.0], [1.0], [1.0]]))
    assert _flagged(turned, model)


@pytest.mark.parametrize(
    "path", [p if i < 2 else pytest.param(p, marks=pytest.mark.long) for i, p in enumerate(_OTHERS)]
)
def test_what_is_no_thigh_is_said_to_be_none(data: Path, model: tuple[keras.Model, ModelCard], path: str) -> None:
    assert _flagged(read_volume(data / path), model)
