"""The settings of a training, as a form made from the fields of ``TrainConfig``: words, tips and ranges live there."""

from collections.abc import Collection, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
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
from thighview.core.fine_tuning import FINE_TUNING, batch_parts, forgetting_doubts, suggested
from thighview.core.presets import PRESETS as core_presets  # noqa: N811 - a table read here once
from thighview.core.run import FROM_THE_MODEL, TrainConfig, held_by
from thighview.ui.cards import Fold, chooser, count, show_words, words
from thighview.ui.doubts import Doubts
from thighview.ui.model_names import names_of
from thighview.ui.setting_inputs import CHOICE_WORDS, make_input, show_value, value_of

if TYPE_CHECKING:
    from thighview.io.models import ModelEntry

FIRST = ("start_from", "architecture", "base_filters", "loss", "learning_rate", "replay", "epochs", "augment")
"""Settings always in sight, in this order; the others fold away."""

PRESETS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("Default", "Goes on from the model at hand in small steps; right for most.", {}, core_presets["default"][1]),
    (
        "Random weights",
        "A new network that knows nothing yet: for a large set, or pictures unlike those of any model.",
        {"start_from": ""},
        "",
    ),
    (
        "Seed network",
        "The original network of 2015: 512×512, 64 filters, one label, Adam 2e-4, binary cross-entropy, 80 epochs.",
        core_presets["seed"][0].to_json(),
        core_presets["seed"][1],
    ),
    (
        "Seed, combo loss",
        "The original network with its other loss: combo with RMSprop 1e-5.",
        core_presets["seed_combo"][0].to_json(),
        core_presets["seed_combo"][1],
    ),
)
"""Name, tip, settings (a model at hand is the start where they name none), and what is wrong with them."""


class TrainForm(QWidget):
    """One input per setting; gives a :class:`TrainConfig` or says what is wrong.

    Attributes
    ----------
    problem_text : str
        What is wrong with the settings; empty when a training can start.
    """

    changed = Signal()
    """Some setting is another one now."""

    def __init__(self, remembered: TrainConfig | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.inputs: dict[str, QWidget] = {}
        self.problem_text = ""
        self._models: dict[str, ModelEntry] = {}
        self._at_hand = ""
        self._remembered_start = remembered.start_from if remembered else None
        self._start = ""
        self._start_chosen = False
        self._set_aside: dict[str, Any] = {}
        self._taken: frozenset[str] = frozenset()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        self.preset = chooser()
        for name, tip, _, _ in PRESETS:
            self.preset.addItem(name)
            self.preset.setItemData(self.preset.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.preset.setPlaceholderText("as set below")
        self.preset.activated.connect(self._preset_chosen)
        self.preset.currentIndexChanged.connect(self._warn)
        self.warning_words = words("", "warning")
        self.run_name = QLineEdit()
        self.run_name.setPlaceholderText("named by itself")
        self.run_name.setMaxLength(80)
        self.run_name.setToolTip("What the run, and the model that comes out of it, is called")
        self.run_name.textChanged.connect(self._check)
        self.name_words = words("", "warning")
        by_name = {f.name: f for f in fields(TrainConfig)}
        first, more = _form(), _form()
        self._headings = [words("Preset", wrap=False), words("Run name", wrap=False)]
        first.addRow(self._headings[0], self.preset)
        first.addRow(self.warning_words)
        first.addRow(self._headings[1], self.run_name)
        first.addRow(self.name_words)
        self.held_words = words("", "muted")
        self.start_doubts = Doubts()
        self.mix_words = words("", "muted")
        self.forgetting = Doubts()
        for name in FIRST:
            self._add(first, by_name[name])
            if name == "start_from":
                first.addRow(self.held_words)
                first.addRow(self.start_doubts)
            elif name == "replay":
                first.addRow(self.mix_words)
                first.addRow(self.forgetting)
        for name, spec in by_name.items():
            if name not in FIRST:
                self._add(more, spec)
        widest = max(heading.sizeHint().width() for heading in self._headings)
        for heading in self._headings:
            heading.setMinimumWidth(widest)
        box.addLayout(first)
        self.more = Fold("More settings", more)
        box.addWidget(self.more)
        self.show_config(TrainConfig())
        if remembered:
            self.show_config(remembered)
        self._start_chosen = False
        self.preset.setCurrentIndex(-1 if remembered else 0)
        self._warn(self.preset.currentIndex())

    # ------------------------------------------------------------------ what is set

    def config(self) -> TrainConfig:
        """The settings as they stand.

        Raises
        ------
        UserError
            When they do not go together.
        """
        return TrainConfig(**{name: value_of(part) for name, part in self.inputs.items()})

    @property
    def is_default(self) -> bool:
        """Whether nothing was set by hand."""
        return self.preset.currentIndex() == 0

    def show_config(self, config: TrainConfig) -> None:
        """Fill the form; a model to start from keeps the word on what it decides."""
        if not config.start_from:
            self._set_aside = {}
        model = self._models.get(config.start_from)
        held = held_by(model.card) if model else FROM_THE_MODEL
        for name, part in self.inputs.items():
            if not (config.start_from and name in held):
                show_value(part, getattr(config, name))
        self._start, self._start_chosen = config.start_from, True
        self.preset.setCurrentIndex(-1)
        self._follow_start()

    def offer_models(self, models: Sequence["ModelEntry"], at_hand: "ModelEntry | None" = None) -> None:
        """Models to start from.

        A choice made by hand is kept, and called gone when it is not among them. Before one is made, the model
        remembered from an earlier training is chosen, else the one ``at_hand``, else random weights.
        """
        start = self._start_input
        chosen = value_of(start)
        self._models = {str(model.folder): model for model in models}
        self._at_hand = str(at_hand.folder) if at_hand else ""
        if not self._start_chosen:
            remembered = self._remembered_start
            chosen = remembered if remembered == "" or remembered in self._models else self._at_hand
        start.blockSignals(True)
        start.clear()
        start.setProperty("missing", None)
        start.addItem("random weights", "")
        for folder, (name, place) in zip(self._models, names_of(self._models.values()), strict=True):
            start.addItem(name, folder)
            start.setItemData(start.count() - 1, place, Qt.ItemDataRole.ToolTipRole)
        start.blockSignals(False)
        show_value(start, chosen)
        self._follow_start()

    def show_taken(self, names: Collection[str]) -> None:
        """Names that a run cannot have: something is called so."""
        taken = frozenset(name.casefold() for name in names)
        if taken != self._taken:
            self._taken = taken
            self._check()

    @property
    def start_model(self) -> "ModelEntry | None":
        """The model it would start from."""
        return self._models.get(self._start)

    # ------------------------------------------------------------------ inside

    def _add(self, form: QFormLayout, spec: Field[Any]) -> None:
        part = make_input(spec)
        tip = str(spec.metadata["tip"])
        if "low" in spec.metadata:
            tip += f"\n{spec.metadata['low']:g} to {spec.metadata['high']:g}"
        part.setToolTip(tip)
        part.setProperty("tip", tip)
        if isinstance(part, QAbstractSpinBox):
            part.lineEdit().setTextMargins(6, 0, 0, 0)
        heading = words(str(spec.metadata["words"]), wrap=False)
        heading.setToolTip(tip)
        self._headings.append(heading)
        form.addRow(heading, part)
        self.inputs[spec.name] = part
        if spec.name == "start_from":
            self._start_input.currentIndexChanged.connect(self._start_edited)
        elif isinstance(part, QComboBox):
            part.currentIndexChanged.connect(self._edited)
        elif isinstance(part, QCheckBox):
            part.toggled.connect(self._edited)
        elif isinstance(part, QSpinBox | QDoubleSpinBox):
            part.valueChanged.connect(self._edited)

    def _edited(self, *_: object) -> None:
        self.preset.setCurrentIndex(-1)
        self._check()

    def _start_edited(self, *_: object) -> None:
        self._start_chosen = True
        self.preset.setCurrentIndex(-1)
        self._follow_start()

    def _preset_chosen(self, index: int) -> None:
        settings = dict(PRESETS[index][2])
        if "start_from" not in settings and self._at_hand:
            settings |= {"start_from": self._at_hand, **FINE_TUNING}
        self.show_config(TrainConfig(**settings))
        self.preset.setCurrentIndex(index)

    def _warn(self, index: int) -> None:
        """Say what is wrong with the chosen preset, as long as the settings are its own."""
        show_words(self.warning_words, PRESETS[index][3] if index >= 0 else "")

    @property
    def _start_input(self) -> QComboBox:
        start = self.inputs["start_from"]
        assert isinstance(start, QComboBox)
        return start

    def _follow_start(self) -> None:
        """Show what the model to start from decides, and put back what was set where there is none any more.

        Learning rate and replay go along as long as they are the ones suggested for that start.
        """
        before, self._start = self._start, value_of(self._start_input)
        for name in FINE_TUNING:
            if value_of(self.inputs[name]) == suggested(name, before):
                show_value(self.inputs[name], suggested(name, self._start))
        model = self._models.get(self._start)
        if model and not self._set_aside:
            self._set_aside = {name: value_of(self.inputs[name]) for name in FROM_THE_MODEL}
        why = f"Taken from {model.card.name}: its weights fit nothing else." if model else ""
        held = held_by(model.card) if model else {}
        for name, was in self._set_aside.items():
            show_value(self.inputs[name], held.get(name, was))
        for name in FROM_THE_MODEL:
            part = self.inputs[name]
            part.setEnabled(name not in held)
            part.setToolTip(why if name in held else part.property("tip"))
        if model is None:
            self._set_aside = {}
        show_words(self.held_words, _held_line(model, held.get("input_size")) if model else "")
        self.start_doubts.show_doubts(model.card.warnings if model else ())
        self._check()

    def _check(self, *_: object) -> None:
        name = self.run_name.text().strip()
        taken = name.casefold() in self._taken
        show_words(self.name_words, f"“{name}” is taken already. Choose another name." if taken else "")
        try:
            config = self.config()
        except UserError as error:
            self.problem_text = _plain(str(error))
        else:
            lost = config.start_from and self._missing_start()
            self.problem_text = "The model to start from is gone. Choose another." if lost else self.name_words.text()
            show_words(self.mix_words, mix_line(config))
            self.forgetting.show_doubts(forgetting_doubts(config))
        self.changed.emit()

    def _missing_start(self) -> bool:
        start = self._start_input
        return bool(start.property("missing")) and start.currentData() == start.property("missing")


def summary(config: TrainConfig) -> str:
    """The settings in one line: ``U-Net base 16 · cross-entropy + Dice · 40 epochs · from “thigh_tissues”``."""
    parts = [
        f"{CHOICE_WORDS[config.architecture]} base {config.base_filters}",
        CHOICE_WORDS[config.loss],
        f"{config.epochs} epochs",
        f"from “{Path(config.start_from).name}”" if config.start_from else "from random weights",
    ]
    return " · ".join(parts)


def mix_line(config: TrainConfig) -> str:
    """What a batch is made of; empty where nothing is replayed."""
    own, replayed = batch_parts(config.batch_size, config.batch_size, config.replay)
    return f"Each batch: {count(own, 'slice')} of the set, {replayed} replayed." if replayed else ""


def _held_line(model: "ModelEntry", size: int | None) -> str:
    """What a model decides; ``size`` is the input size it decides, None where it leaves that open."""
    card = model.card
    sizes = "levels, pixel and input size" if size == card.input_size else "levels and pixel size"
    line = f"Network, filters, {sizes} are those of {card.name}."
    if size is None or size == card.input_size:
        return line
    return f"{line} The input size is the nearest to its {card.input_size} that a training may have."


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
