"""The settings form: what it starts from, and what that decides."""

from dataclasses import replace

import pytest
from panel_room import model
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDoubleSpinBox, QSpinBox
from pytestqt.qtbot import QtBot

from thighview.core.fine_tuning import FINE_TUNING
from thighview.core.presets import PRESETS
from thighview.core.run import TrainConfig
from thighview.ui.train_form import TrainForm

TISSUES = model("tissues", architecture="unet", base_filters=8, levels=4, spacing_mm=1.5)
GROUPS = model("groups", "project", base_filters=12, levels=4, spacing_mm=0.75)
HELD = {"architecture": "unet", "base_filters": 8, "levels": 4, "spacing_mm": 1.5}


@pytest.fixture
def form(qtbot: QtBot) -> TrainForm:
    made = TrainForm()
    qtbot.addWidget(made)
    return made


def choose(form: TrainForm, text: str) -> None:
    """As with the mouse."""
    start = form.inputs["start_from"]
    index = next(i for i in range(start.count()) if start.itemText(i).startswith(text))
    start.setCurrentIndex(index)
    start.activated.emit(index)


def set_to(form: TrainForm, **values: float) -> None:
    for name, value in values.items():
        form.inputs[name].setValue(value)


def held(form: TrainForm) -> dict[str, object]:
    return {name: value for name, value in form.config().to_json().items() if name in HELD}


def test_a_start_model_that_is_listed_later_is_not_gone(form: TrainForm) -> None:
    form.show_config(replace(TrainConfig(), start_from="/models/tissues"))
    assert "gone" in form.problem_text
    form.offer_models([TISSUES])
    assert form.problem_text == ""
    assert form.config().start_from == "/models/tissues"
    form.offer_models([])
    assert "gone" in form.problem_text


def test_what_the_model_decides_is_shown_locked_and_trained_with(form: TrainForm) -> None:
    form.offer_models([TISSUES, GROUPS])
    set_to(form, base_filters=32, levels=6, spacing_mm=2.0)
    choose(form, "tissues")
    assert held(form) == HELD
    assert not any(form.inputs[name].isEnabled() for name in HELD)
    assert form.inputs["epochs"].isEnabled()
    assert "those of tissues" in form.held_words.text()
    assert "tissues" in form.inputs["base_filters"].toolTip()
    choose(form, "groups")
    assert held(form) == HELD | {"base_filters": 12, "spacing_mm": 0.75}
    form.offer_models([TISSUES, GROUPS])
    choose(form, "random weights")
    assert held(form) == {"architecture": "unet", "base_filters": 32, "levels": 6, "spacing_mm": 2.0}
    assert all(form.inputs[name].isEnabled() for name in HELD)
    assert not form.held_words.isVisibleTo(form)
    assert "doubled" in form.inputs["base_filters"].toolTip()


def test_settings_filled_in_never_contradict_the_model(form: TrainForm) -> None:
    form.offer_models([TISSUES])
    form.show_config(TrainConfig(base_filters=64, start_from="/models/tissues", epochs=3))
    assert held(form) == HELD
    assert form.config().epochs == 3
    form.show_config(TrainConfig(base_filters=64))
    assert form.config() == TrainConfig(base_filters=64)
    assert form.inputs["base_filters"].isEnabled()


def test_by_default_it_goes_on_from_the_model_at_hand_in_small_steps(form: TrainForm) -> None:
    form.offer_models([])
    assert form.config() == TrainConfig()
    form.offer_models([TISSUES, GROUPS], TISSUES)
    assert form.is_default
    assert form.config() == TrainConfig(start_from="/models/tissues", **FINE_TUNING, **HELD)
    assert form.mix_words.text() == "Each batch: 2 slices of the set, 2 replayed."
    assert form.mix_words.isVisibleTo(form) and form.inputs["replay"].isVisibleTo(form)
    form.offer_models([TISSUES, GROUPS], GROUPS)
    assert form.config().start_from == "/models/groups"
    choose(form, "random weights")
    assert form.config() == TrainConfig()
    assert not form.is_default
    form.offer_models([TISSUES, GROUPS], TISSUES)
    assert form.config() == TrainConfig()
    form.preset.setCurrentIndex(0)
    form.preset.activated.emit(0)
    assert form.config().start_from == "/models/tissues"
    assert form.is_default


def test_a_preset_says_what_is_wrong_with_it_as_long_as_it_holds(form: TrainForm) -> None:
    index = form.preset.findText("Seed, combo loss")
    form.preset.setCurrentIndex(index)
    form.preset.activated.emit(index)
    config, warning = PRESETS["seed_combo"]
    assert form.config() == config
    assert form.warning_words.text() == warning
    assert form.warning_words.isVisibleTo(form)
    set_to(form, learning_rate=1e-4)
    assert not form.warning_words.isVisibleTo(form)
    assert form.config() == replace(config, learning_rate=1e-4)


def test_an_average_with_a_long_memory_can_be_set_and_read_back(form: TrainForm) -> None:
    form.show_config(TrainConfig(ema=0.9995))
    assert form.config().ema == 0.9995


def test_settings_that_make_a_model_forget_are_called_so(form: TrainForm) -> None:
    form.offer_models([TISSUES], TISSUES)
    assert not form.forgetting.isVisibleTo(form)
    set_to(form, learning_rate=1e-3)
    assert form.forgetting.lines.text() == "Steps larger than 0.0001 make a model forget."
    assert "3.2 points" in form.forgetting.details.text()
    set_to(form, replay=0.0)
    assert form.forgetting.lines.text().splitlines()[-1] == "• Without replay a model forgets."
    assert not form.mix_words.isVisibleTo(form)
    set_to(form, learning_rate=1e-4, replay=0.5, batch_size=1)
    assert form.forgetting.lines.text() == "A batch of one slice has no room for replay: without it a model forgets."
    choose(form, "random weights")
    assert not form.forgetting.isVisibleTo(form)
    assert form.config().replay == 0, "as for every new network"


def test_a_learning_rate_set_by_hand_stays(form: TrainForm) -> None:
    form.offer_models([TISSUES], TISSUES)
    set_to(form, learning_rate=3e-3)
    choose(form, "random weights")
    assert form.config().learning_rate == 3e-3


@pytest.mark.parametrize("start", ["", "/models/groups"])
def test_what_was_remembered_is_kept(qtbot: QtBot, start: str) -> None:
    form = TrainForm(TrainConfig(epochs=7, start_from=start, learning_rate=5e-4))
    qtbot.addWidget(form)
    form.offer_models([])
    form.offer_models([TISSUES, GROUPS], TISSUES)
    config = form.config()
    assert (config.epochs, config.start_from, config.learning_rate) == (7, start, 5e-4)


def test_a_remembered_model_of_another_project_gives_way_to_the_one_at_hand(qtbot: QtBot) -> None:
    form = TrainForm(TrainConfig(epochs=7, start_from="/other/models/run 1", **FINE_TUNING))
    qtbot.addWidget(form)
    form.offer_models([TISSUES, GROUPS], TISSUES)
    assert form.problem_text == ""
    assert form.config() == TrainConfig(
        epochs=7, start_from="/models/tissues", **FINE_TUNING, **HELD
    )  # fmt: skip


def test_a_zero_that_is_no_number_is_said_in_words(form: TrainForm) -> None:
    for name, word in (("ema", "off"), ("patience", "off"), ("spacing_mm", "to fit"), ("gpu_memory_gb", "as needed")):
        part = form.inputs[name]
        assert isinstance(part, QSpinBox | QDoubleSpinBox)
        assert part.text() == word
        part.selectAll()
        QTest.keyClicks(part, "0.5" if isinstance(part, QDoubleSpinBox) else "5")
        QTest.keyClick(part, Qt.Key.Key_Tab)
        assert part.text().startswith(("0.5", "5"))
    assert (form.config().ema, form.config().patience, form.config().gpu_memory_gb) == (0.5, 5, 5)
