"""The settings of a training, as a form made from the fields of ``TrainConfig``: words, tips and ranges live there."""

import math
from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from thighview.core.errors import UserError
from thighview.core.run import TrainConfig
from thighview.ui.cards import Fold, show_words, words

FIRST = ("start_from", "architecture", "base_filters", "loss", "learning_rate", "epochs", "augment")
"""Settings always in sight, in this order; the others fold away."""

CHOICE_WORDS: dict[str, str] = {
    "unet": "U-Net",
    "seed_unet": "Seed U-Net (2015)",
    "ce_dice": "CE + Dice",
    "ce": "cross-entropy (CE)",
    "dice": "Dice",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
}

PRESETS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Default", "A U-Net with any number of labels; right for most.", {}),
    (
        "Fine-tune",
        "Start from a model and take small steps: for a few corrected cases.",
        {"learning_rate": 1e-4, "epochs": 20},
    ),
    (
        "Seed network",
        "The original network of 2015: 512×512, 64 filters, one label, Adam 2e-4, binary cross-entropy, 80 epochs.",
        {
            "architecture": "seed_unet",
            "base_filters": 64,
            "levels": 5,
            "dropout": 0.5,
            "loss": "ce",
            "optimizer": "adam",
            "learning_rate": 2e-4,
            "epochs": 80,
            "batch_size": 2,
            "input_size": 512,
        },
    ),
)


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


class TrainForm(QWidget):
    """One input per setting; gives a :class:`TrainConfig` or says what is wrong."""

    changed = Signal()
    """Some setting is another one now."""

    def __init__(self, config: TrainConfig | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.inputs: dict[str, QWidget] = {}
        self._other = TrainConfig()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        self.preset = QComboBox()
        for name, tip, _ in PRESETS:
            self.preset.addItem(name)
            self.preset.setItemData(self.preset.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.preset.setPlaceholderText("as set below")
        self.preset.activated.connect(self._preset_chosen)
        self.run_name = QLineEdit()
        self.run_name.setPlaceholderText("named by itself")
        self.run_name.setMaxLength(80)
        self.run_name.setToolTip("What the run, and the model that comes out of it, is called")
        by_name = {f.name: f for f in fields(TrainConfig)}
        first, more = _form(), _form()
        self._headings = [words("Preset", wrap=False), words("Run name", wrap=False)]
        first.addRow(self._headings[0], self.preset)
        first.addRow(self._headings[1], self.run_name)
        for name in FIRST:
            self._add(first, by_name[name])
        for name, spec in by_name.items():
            if name not in FIRST:
                self._add(more, spec)
        widest = max(heading.sizeHint().width() for heading in self._headings)
        for heading in self._headings:
            heading.setMinimumWidth(widest)
        box.addLayout(first)
        self.more = Fold("More settings", more)
        box.addWidget(self.more)
        self.problem = words("", "warning")
        box.addWidget(self.problem)
        self.show_config(config or TrainConfig())
        self.preset.setCurrentIndex(0 if config in (None, TrainConfig()) else -1)

    # ------------------------------------------------------------------ what is set

    def config(self) -> TrainConfig:
        """The settings as they stand.

        Raises
        ------
        UserError
            When they do not go together.
        """
        return TrainConfig(**{name: _value(part) for name, part in self.inputs.items()})

    def show_config(self, config: TrainConfig) -> None:
        """Fill the form."""
        for name, part in self.inputs.items():
            part.blockSignals(True)
            _set_value(part, getattr(config, name))
            part.blockSignals(False)
        self._check()

    def offer_models(self, models: Sequence[tuple[str, str]]) -> None:
        """Models to start from, as (words, name or folder); the choice made is kept while it exists."""
        start = self.inputs["start_from"]
        assert isinstance(start, QComboBox)
        now = _value(start)
        start.blockSignals(True)
        start.clear()
        start.setProperty("missing", None)
        start.addItem("random weights", "")
        for text, name in models:
            start.addItem(text, name)
        _set_value(start, now)
        start.blockSignals(False)
        self._check()

    @property
    def problem_text(self) -> str:
        """What is wrong with the settings; empty when a training can start."""
        return self.problem.text()

    # ------------------------------------------------------------------ inside

    def _add(self, form: QFormLayout, spec: Field[Any]) -> None:
        part = _input(spec)
        tip = str(spec.metadata["tip"])
        if "low" in spec.metadata:
            tip += f"\n{spec.metadata['low']:g} to {spec.metadata['high']:g}"
        part.setToolTip(tip)
        if isinstance(part, QAbstractSpinBox):
            part.lineEdit().setTextMargins(6, 0, 0, 0)
        part.installEventFilter(self)
        heading = words(str(spec.metadata["words"]), wrap=False)
        heading.setToolTip(tip)
        self._headings.append(heading)
        form.addRow(heading, part)
        self.inputs[spec.name] = part
        if isinstance(part, QComboBox):
            part.currentIndexChanged.connect(self._edited)
        elif isinstance(part, QCheckBox):
            part.toggled.connect(self._edited)
        elif isinstance(part, QSpinBox | QDoubleSpinBox):
            part.valueChanged.connect(self._edited)

    def _edited(self, *_: object) -> None:
        self.preset.setCurrentIndex(-1)
        self._check()

    def _preset_chosen(self, index: int) -> None:
        settings = dict(PRESETS[index][2])
        start = self.inputs["start_from"]
        assert isinstance(start, QComboBox)
        if PRESETS[index][0] == "Fine-tune":
            start_from = _value(start) or (start.itemData(1) if start.count() > 1 else "")
            settings["start_from"] = start_from
        self.show_config(TrainConfig(**settings))
        self.preset.setCurrentIndex(index)

    def _check(self) -> None:
        try:
            config = self.config()
        except UserError as error:
            show_words(self.problem, _plain(str(error)))
        else:
            lost = config.start_from and self._missing_start()
            show_words(self.problem, "The model to start from is gone. Choose another." if lost else "")
        self.changed.emit()

    def _missing_start(self) -> bool:
        start = self.inputs["start_from"]
        assert isinstance(start, QComboBox)
        return bool(start.property("missing")) and start.currentData() == start.property("missing")

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The wheel scrolls the panel; it does not change a setting one happens to pass."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


def summary(config: TrainConfig, start_words: str = "") -> str:
    """The settings in one line: ``U-Net base 16 · cross-entropy + Dice · 40 epochs · from “thigh_tissues”``."""
    parts = [
        f"{CHOICE_WORDS[config.architecture]} base {config.base_filters}",
        CHOICE_WORDS[config.loss],
        f"{config.epochs} epochs",
        f"from “{start_words or config.start_from}”" if config.start_from else "from random weights",
    ]
    return " · ".join(parts)


def _plain(sentence: str) -> str:
    """A sentence about a setting with the setting's name as the form shows it."""
    for spec in fields(TrainConfig):
        sentence = sentence.replace(f"Setting {spec.name}:", f"{spec.metadata['words']}:")
    return sentence


def _form() -> QFormLayout:
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setHorizontalSpacing(12)
    form.setVerticalSpacing(6)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return form


def _input(spec: Field[Any]) -> QWidget:
    limits = spec.metadata
    if spec.name == "start_from":
        chooser = QComboBox()
        chooser.addItem("random weights", "")
        chooser.setMinimumContentsLength(12)
        chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        return chooser
    if "choices" in limits:
        chooser = QComboBox()
        for choice in limits["choices"]:
            chooser.addItem(str(CHOICE_WORDS.get(choice, choice)), choice)
        return chooser
    if isinstance(spec.default, bool):
        return QCheckBox()
    if isinstance(spec.default, int):
        whole = QSpinBox()
        whole.setRange(limits["low"], limits["high"])
        whole.setSingleStep(limits.get("step", 1))
        whole.setStepType(QAbstractSpinBox.StepType.DefaultStepType)
        return whole
    if limits["low"] > 0 and limits["high"] / limits["low"] > 1000:
        number: QDoubleSpinBox = SmallNumber()
        number.setDecimals(9)
    else:
        number = QDoubleSpinBox()
        number.setDecimals(2)
        number.setSingleStep(0.05)
    number.setRange(limits["low"], limits["high"])
    return number


def _value(part: QWidget) -> Any:
    if isinstance(part, QComboBox):
        return part.currentData() or ""
    if isinstance(part, QCheckBox):
        return part.isChecked()
    assert isinstance(part, QSpinBox | QDoubleSpinBox)
    return part.value()


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
