"""Presets: the numbers of the original, and a warning where one is due."""

from thighview.core.presets import PRESETS
from thighview.core.run import TrainConfig


def test_the_seed_presets_are_those_of_the_original() -> None:
    assert PRESETS["default"] == (TrainConfig(), "")
    seed, warning = PRESETS["seed"]
    assert warning == ""
    assert (seed.architecture, seed.base_filters, seed.levels, seed.input_size) == ("seed_unet", 64, 5, 512)
    assert (seed.optimizer, seed.learning_rate, seed.schedule, seed.loss) == ("adam", 2e-4, "constant", "ce")
    assert (seed.epochs, seed.batch_size, seed.dropout) == (80, 2, 0.5)
    combo, warning = PRESETS["seed_combo"]
    assert (combo.loss, combo.optimizer, combo.learning_rate) == ("combo", "rmsprop", 1e-5)
    assert "too small" in warning and "below zero" in warning
    differing = {k for k, v in combo.to_json().items() if v != getattr(seed, k)}
    assert differing == {"loss", "optimizer", "learning_rate"}
