"""Doubts in plain words: a head that can answer on one side only, and settings that bend the numbers."""

import numpy as np
import pytest

from thighview.core.doubts import config_doubts, head_warning
from thighview.core.presets import PRESETS
from thighview.core.run import TrainConfig


def head(first: float, second: float) -> dict[str, np.ndarray]:
    return {
        "head/kernel": np.array([first, second], np.float32).reshape(1, 1, 2, 1),
        "bottleneck/kernel": np.ones((3, 3, 4, 2), np.float32),
    }


@pytest.mark.parametrize(
    ("weights", "side"), [((1, 2), "background"), ((-1, -2), "label"), ((1, -2), ""), ((0, 1), "")]
)
def test_a_head_with_weights_of_one_sign_is_told_with_what_it_bounds(weights: tuple[float, float], side: str) -> None:
    said = head_warning(head(*weights))
    assert bool(said) == bool(side)
    assert side in said
    assert not side or f"Its probability of {side} stops near one half" in said
    assert head_warning({"head/kernel": head(1, 1)["head/kernel"]}) == ""


def test_settings_that_bend_the_numbers_are_told() -> None:
    assert config_doubts(TrainConfig()) == []
    assert config_doubts(TrainConfig(optimizer="rmsprop", learning_rate=1e-4)) == []
    (seed,) = config_doubts(PRESETS["seed"][0])
    assert seed.startswith("Its learning rate never falls.")
    combo = config_doubts(PRESETS["seed_combo"][0])
    assert [said.split(".")[0] for said in combo] == [
        "Its loss has no zero", "Its learning rate is far too small to learn much", "Its learning rate never falls",
    ]  # fmt: skip
    assert "1e-05" in combo[1]
