"""One setting of a training as an input: made from its field in ``TrainConfig``, read, and filled in."""

import math
from dataclasses import Field
from typing import Any

from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QDoubleSpinBox, QSpinBox, QWidget

from thighview.ui.cards import chooser, pad_number

CHOICE_WORDS: dict[str, str] = {
    "unet": "U-Net",
    "seed_unet": "Seed U-Net (2015)",
    "ce_dice": "CE + Dice",
    "ce": "cross-entropy (CE)",
    "dice": "Dice",
    "combo": "combo",
    "focal_tversky": "focal Tversky",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
    "poly": "polynomial",
}

ZERO_WORDS = {"ema": "off", "patience": "off", "replay": "none", "spacing_mm": "to fit", "gpu_memory_gb": "as needed"}
"""What 0 means, for the settings where it is not a number like the others."""


class SmallNumber(QDoubleSpinBox):
    """A number that spans many sizes (a learning rate): shown as 0.001 or 2e-05, one step is a factor."""

    def textFromValue(self, val: float) -> str:
        """The shortest way to write it."""
        return f"{val:g}"

    def valueFromText(self, text: str) -> float:
        """The number in the text; 0 when there is none."""
        try:
            return float(text.strip().replace(",", "."))
        except ValueError:
            return 0.0

    def validate(self, input: str, pos: int) -> Any:  # noqa: A002 - Qt's name
        """Anything that reads as a number, or may become one."""
        text = input.strip().replace(",", ".")
        try:
            good = self.minimum() <= float(text) <= self.maximum()
        except ValueError:
            good = False
        may = all(letter in "0123456789.,eE+- " for letter in input)
        state = QValidator.State
        return (state.Acceptable if good else state.Intermediate if may else state.Invalid, input, pos)

    def stepBy(self, steps: int) -> None:
        """One step goes 1, 2, 5, 10, ..."""
        value = self.value() or self.minimum()
        ladder = [m * 10.0**e for e in range(-8, 2) for m in (1, 2, 5)]
        near = min(range(len(ladder)), key=lambda i: abs(math.log(ladder[i] / value)))
        self.setValue(ladder[min(max(near + steps, 0), len(ladder) - 1)])


def make_input(spec: Field[Any]) -> QWidget:
    """An input with the range or the choices of this setting."""
    limits = spec.metadata
    if spec.name == "start_from":
        start = chooser()
        start.addItem("random weights", "")
        return start
    if "choices" in limits:
        choices = chooser()
        for choice in limits["choices"]:
            choices.addItem(str(CHOICE_WORDS.get(choice, choice)), choice)
        return choices
    if isinstance(spec.default, bool):
        return QCheckBox()
    if isinstance(spec.default, int):
        whole = QSpinBox()
        pad_number(whole)
        whole.setRange(limits["low"], limits["high"])
        whole.setSingleStep(limits.get("step", 1))
        whole.setStepType(QAbstractSpinBox.StepType.DefaultStepType)
        whole.setSpecialValueText(ZERO_WORDS.get(spec.name, ""))
        return whole
    if limits["low"] > 0 and limits["high"] / limits["low"] > 1000:
        number: QDoubleSpinBox = SmallNumber()
        number.setDecimals(9)
    else:
        number = QDoubleSpinBox()
        number.setDecimals(2 if round(limits["high"], 2) == limits["high"] else 4)
        number.setSingleStep(0.05)
    number.setRange(limits["low"], limits["high"])
    number.setSpecialValueText(ZERO_WORDS.get(spec.name, ""))
    pad_number(number)
    return number


def value_of(part: QWidget) -> Any:
    """What an input is set to."""
    if isinstance(part, QComboBox):
        return part.currentData() or ""
    if isinstance(part, QCheckBox):
        return part.isChecked()
    assert isinstance(part, QSpinBox | QDoubleSpinBox)
    return part.value()


def show_value(part: QWidget, value: Any) -> None:
    """Put a value into an input as if nobody had."""
    part.blockSignals(True)
    _set_value(part, value)
    part.blockSignals(False)


def _set_value(part: QWidget, value: Any) -> None:
    if isinstance(part, QComboBox):
        index = part.findData(value)
        if index < 0:
            part.addItem(f"{value} (missing)", value)
            part.setProperty("missing", value)
            index = part.count() - 1
        part.setCurrentIndex(index)
    elif isinstance(part, QCheckBox):
        part.setChecked(bool(value))
    elif isinstance(part, QSpinBox | QDoubleSpinBox):
        part.setValue(value)
