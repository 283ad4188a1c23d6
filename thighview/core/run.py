"""A training run: its settings, and what it says while it runs (one JSON line each)."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from thighview.core.errors import UserError
from thighview.core.gap import Gap


def _setting(default: Any, words: str, tip: str, **limits: Any) -> Any:
    """A field of TrainConfig with the words, tip and limits the form and the checks use."""
    return field(default=default, metadata={"words": words, "tip": tip, **limits})


@dataclass(frozen=True)
class TrainConfig:
    """Everything a person may set about a training. Ranges live here; form, file and command line obey them."""

    architecture: str = _setting(
        "unet", "Network", "unet: logits, GroupNorm. seed_unet: the original network, one label.",
        choices=("unet", "seed_unet"),
    )  # fmt: skip
    base_filters: int = _setting(
        16, "Base filters", "Filters on the first level; doubled on each level below.", low=2, high=64
    )
    levels: int = _setting(5, "Levels", "Resolution levels of the network.", low=2, high=6)
    dropout: float = _setting(
        0.0,
        "Dropout",
        "Share of features dropped on the two deepest levels while learning.",
        low=0.0,
        high=0.8,
    )
    loss: str = _setting(
        "ce_dice",
        "Loss",
        "ce_dice: cross-entropy + Dice. ce: cross-entropy (binary for one label). combo: the paper's combo loss. "
        "focal_tversky: for small structures.",
        choices=("ce_dice", "ce", "dice", "combo", "focal_tversky"),
    )
    optimizer: str = _setting(
        "adam",
        "Optimiser",
        "How the weights follow the gradient.",
        choices=("adam", "adamw", "rmsprop", "sgd"),
    )
    learning_rate: float = _setting(
        1e-3,
        "Learning rate",
        "Size of a step; a tenth of it when starting from a model is wise.",
        low=1e-7,
        high=1.0,
    )
    schedule: str = _setting(
        "auto",
        "Schedule",
        "How the learning rate falls. auto: poly for unet, constant for seed_unet.",
        choices=("auto", "poly", "cosine", "constant"),
    )
    ema: float = _setting(
        0.0, "EMA", "Share of the old average kept at each step; validates and keeps averaged weights. 0: off.",
        low=0.0, high=0.9999,
    )  # fmt: skip
    patience: int = _setting(
        0, "Patience", "Stop after so many epochs without a better validation Dice. 0: never.", low=0, high=10000
    )
    precision: str = _setting(
        "auto",
        "Precision",
        "Numbers to compute with. auto: the fastest of ten trial steps on this machine.",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    epochs: int = _setting(40, "Epochs", "How often every training slice is seen.", low=1, high=10000)
    batch_size: int = _setting(4, "Batch size", "Slices per step.", low=1, high=64)
    input_size: int = _setting(
        256,
        "Input size",
        "Edge of the square the network sees, pixels; a multiple of 32.",
        low=32,
        high=1024,
        step=32,
    )
    spacing_mm: float = _setting(
        0.0,
        "Pixel size (mm)",
        "Slices are resampled to this; 0 fits the largest slice into the input.",
        low=0.0,
        high=10.0,
    )
    augment: bool = _setting(
        True, "Augmentation", "Rotate, scale, shift and re-contrast training slices; never validation slices."
    )
    replay: float = _setting(
        0.0,
        "Replay",
        "Share of each batch from what the model knew before: other people, else made-up thighs.",
        low=0.0,
        high=0.9,
    )
    edit_weight: float = _setting(
        1.0, "Weight of edits", "How much more a slice counts, at most, for pixels corrected by hand.",
        low=0.0, high=10.0,
    )  # fmt: skip
    honest: bool = _setting(
        True, "Explain the gap", "Measure why validation and training differ: three more passes, now and then."
    )
    gpu_memory_gb: int = _setting(
        0, "GPU memory (GB)", "At most so much of each GPU's memory; 0: as much as it comes to need.", low=0, high=1024
    )
    start_from: str = _setting(
        "", "Start from", "Name or folder of the model whose weights are the start; empty for random weights."
    )
    seed: int = _setting(0, "Seed", "Same seed, same run.", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        for f in fields(self):
            value, limits = getattr(self, f.name), f.metadata
            kind = type(f.default)
            if kind is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value) if abs(value) < 10**300 else math.inf  # no float is larger
                object.__setattr__(self, f.name, value)
            if type(value) is not kind or (kind is float and not math.isfinite(value)):
                raise UserError(f"Setting {f.name}: expected {kind.__name__}, found {value!r}.")
            if "choices" in limits and value not in limits["choices"]:
                raise UserError(f"Setting {f.name}: expected one of {', '.join(limits['choices'])}, found {value!r}.")
            if "low" in limits and not limits["low"] <= value <= limits["high"]:
                raise UserError(f"Setting {f.name}: expected {limits['low']} to {limits['high']}, found {value!r}.")
            if "step" in limits and value % limits["step"]:
                raise UserError(f"Setting {f.name}: expected a multiple of {limits['step']}, found {value!r}.")
        if self.input_size % (1 << (self.levels - 1)):
            raise UserError(
                f"Setting input_size: {self.levels} levels need a multiple of {1 << (self.levels - 1)}, "
                f"found {self.input_size}."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "TrainConfig":
        """The config of plain data; unknown keys are refused, missing ones take their default."""
        unknown = sorted(set(data) - {f.name for f in fields(cls)})
        if unknown:
            raise UserError(
                f"Unknown training setting {unknown[0]!r}.",
                f"Known: {', '.join(f.name for f in fields(cls))}.",
            )
        return cls(**data)


FROM_THE_MODEL = ("architecture", "base_filters", "levels", "spacing_mm", "input_size")
"""Settings that a run takes over from the model it starts from: its weights fit no other network, pixels or windows."""


def held_by(model: Any) -> dict[str, Any]:
    """The settings of ``FROM_THE_MODEL`` as a model's card has them.

    A model of elsewhere can have an input size that no training may have, 400 pixels for one. Where slices are fitted
    into it, it decides how large everything looks: the nearest that a training may have is taken. Where the pixel size
    is known, it is left out.
    """
    held = {name: getattr(model, name) for name in FROM_THE_MODEL}
    limits = next(f.metadata for f in fields(TrainConfig) if f.name == "input_size")
    size, multiple = int(held["input_size"]), math.lcm(limits["step"], 1 << (held["levels"] - 1))
    if size % multiple or not limits["low"] <= size <= limits["high"]:
        nearest = (size + multiple // 2) // multiple * multiple
        held["input_size"] = min(max(nearest, limits["low"]), limits["high"])
        if held["spacing_mm"]:
            del held["input_size"]
    return held


@dataclass(frozen=True)
class Scores:
    """Loss, pixel accuracy and Dice of one set of slices; None where not measured or not defined."""

    loss: float | None = None
    accuracy: float | None = None
    dice: float | None = None


@dataclass(frozen=True)
class PersonScores:
    """One person at fixed weights: loss, share of right pixels, and per label the 3-D Dice, loss and accuracy.

    Per label (in the order of ``Started.labels``), None where the label is in neither mask: ``dice`` of the person's
    pooled slices; ``label_loss`` the mean cross-entropy over the pixels of that label; ``label_accuracy`` the share of
    pixels on which the network and the mask agree whether it is that label.
    """

    subject: str
    loss: float | None
    accuracy: float | None
    dice: tuple[float | None, ...]
    label_loss: tuple[float | None, ...] = ()
    label_accuracy: tuple[float | None, ...] = ()

    @property
    def mean_dice(self) -> float | None:
        """Mean over the labels that are in one of the masks; None without any."""
        known = [d for d in self.dice if d is not None]
        return sum(known) / len(known) if known else None


_KINDS: dict[str, type["RunEvent"]] = {}
"""Every kind of event by its word."""


@dataclass(frozen=True)
class RunEvent:
    """Base of all events; ``time`` is seconds since 1970, ``run`` the run's name."""

    EVENT: ClassVar[str] = ""
    time: float
    run: str

    def __init_subclass__(cls) -> None:
        _KINDS[cls.EVENT] = cls

    def to_line(self) -> str:
        """One JSON line without the newline: ``{"event": ..., "time": ..., "run": ..., ...}``."""
        return json.dumps({"event": self.EVENT, **asdict(self)}, allow_nan=False)


@dataclass(frozen=True)
class Preparing(RunEvent):
    """What goes on before the first batch, in a few words: whose slices are read, that the network is built."""

    EVENT: ClassVar[str] = "preparing"
    text: str


@dataclass(frozen=True)
class Started(RunEvent):
    """The network is built and the first batch is about to run. Part counts are slices and subjects."""

    EVENT: ClassVar[str] = "started"
    device: str
    epochs: int
    steps_per_epoch: int
    train_slices: int
    train_subjects: int
    val_slices: int
    val_subjects: int
    val_is_phantoms: bool
    labels: tuple[str, ...]
    first_epoch: int = 1
    note: str = ""


@dataclass(frozen=True)
class BatchEnded(RunEvent):
    """The running average so far in this epoch (``core.sums.learning_scores``); at most a few lines a second."""

    EVENT: ClassVar[str] = "batch"
    epoch: int
    step: int
    steps: int
    loss: float
    accuracy: float | None = None
    dice: float | None = None


MOST_BATCHES = 200


def thinned(batches: Sequence[BatchEnded]) -> list[BatchEnded]:
    """At most so many of the batches of an epoch, evenly, with the last: enough for its curve once it has ended."""
    step = -(-len(batches) // MOST_BATCHES)
    return [*batches[:-1:step], batches[-1]] if step > 1 else list(batches)


@dataclass(frozen=True)
class BatchHalved(RunEvent):
    """A step ran out of memory: from now on ``at_once`` slices are in memory together, and ``epoch`` begins anew.

    A step still learns from ``batch_size`` slices, part after part; the curves stay those of an uninterrupted run.
    ``note`` says so in words.
    """

    EVENT: ClassVar[str] = "batch_halved"
    epoch: int
    at_once: int
    batch_size: int
    note: str


@dataclass(frozen=True)
class EpochEnded(RunEvent):
    """One epoch. ``train`` and ``val`` are measured alike: end-of-epoch weights, no dropout, no augmentation.

    ``train`` is null on epochs that were not probed. ``slices`` and ``preview`` hold the paths (inside the run
    folder) of the per-slice sums of this epoch and of the prediction on the fixed slice. ``val_dice`` is the
    validation Dice per label, in the order of ``Started.labels``; ``train_people`` and ``val_people`` are the people
    behind ``train`` and ``val``, whose means they are. A run that goes on after a kill may repeat an
    epoch: the later line holds.
    """

    EVENT: ClassVar[str] = "epoch"
    epoch: int
    epochs: int
    seconds: float
    learning_rate: float
    train: Scores
    val: Scores
    while_learning: Scores
    best: bool = False
    slices: str = ""
    seconds_left: float = 0.0
    preview: str = ""
    val_dice: tuple[float | None, ...] = ()
    train_people: tuple[PersonScores, ...] = ()
    val_people: tuple[PersonScores, ...] = ()


@dataclass(frozen=True)
class GapMeasured(RunEvent):
    """Why validation and training read differently after an epoch, once for each metric that could be measured."""

    EVENT: ClassVar[str] = "gap"
    epoch: int
    gaps: tuple[Gap, ...]


@dataclass(frozen=True)
class ExampleStep(RunEvent):
    """A step of a guided example: what it shows in words, its curves (name, one value an epoch), its gaps."""

    EVENT: ClassVar[str] = "example"
    number: int
    steps: int
    title: str
    text: str
    curves: tuple[tuple[str, tuple[float, ...]], ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True)
class Finished(RunEvent):
    """The model folder is written. ``parent`` is the model it started from, ``parent_val`` how that one did.

    Both scores are of the same validation slices; where it lacks a label of this run, its own is not measured.
    ``early``: its patience ended before its epochs did.
    """

    EVENT: ClassVar[str] = "finished"
    model: str
    best_epoch: int
    epochs: int
    stopped: bool
    val: Scores
    parent: str = ""
    parent_val: Scores = Scores()
    early: bool = False


@dataclass(frozen=True)
class Paused(RunEvent):
    """The run waits; ``paused`` is False when it goes on."""

    EVENT: ClassVar[str] = "paused"
    paused: bool


@dataclass(frozen=True)
class Failed(RunEvent):
    """The run ended with an error. ``lines`` are the last lines it printed.

    ``stopped``: somebody ended it before it had learnt anything, so there is no model; nothing went wrong.
    """

    EVENT: ClassVar[str] = "failed"
    message: str
    hint: str = ""
    lines: tuple[str, ...] = ()
    stopped: bool = False


def event_from_line(line: str) -> RunEvent | None:
    """The event of one JSON line; None for an event or a line this version does not know."""
    try:
        data = json.loads(line)
        kind = _KINDS[data.pop("event")]
        known = {f.name: data[f.name] for f in fields(kind) if f.name in data}
        for name, value in known.items():
            if name in ("train", "val", "while_learning", "parent_val"):
                known[name] = Scores(**{k: value.get(k) for k in ("loss", "accuracy", "dice")})
            elif name in ("train_people", "val_people"):
                known[name] = tuple(_from_json(PersonScores, row) for row in value)
            elif name == "curves":
                known[name] = tuple((title, tuple(values)) for title, values in value)
            elif name == "gaps":
                known[name] = tuple(_from_json(Gap, row) for row in value)
            elif isinstance(value, list):
                known[name] = tuple(value)
        return kind(**known)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _from_json(kind: type[Any], row: dict[str, Any]) -> Any:
    known = {f.name: row[f.name] for f in fields(kind) if f.name in row}
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in known.items()})
