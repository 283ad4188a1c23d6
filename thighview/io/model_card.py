"""The card of a model: what builds its network and says what its numbers mean, checked field by field."""

import re
from dataclasses import dataclass, field, fields
from typing import Any

from thighview.core.errors import UserError
from thighview.core.labels import LabelTable

FORMAT = "thighview-model-1"
_NAME = re.compile(r"[\w][\w .()+,-]{0,79}")
_WORDS = (
    "architecture", "name", "normalisation", "statement", "weights_sha256", "created", "intended_use", "limits",
)  # fmt: skip
_LIMITS: dict[str, tuple[float, float]] = {
    "base_filters": (2, 64),
    "levels": (2, 6),
    "dropout": (0.0, 0.9),
    "spacing_mm": (0.0, 10.0),
    "input_size": (16, 2048),
    "in_channels": (1, 8),
    "temperature": (0.01, 100.0),
}


@dataclass(frozen=True)
class ModelCard:
    """Everything needed to build a network, feed it, and say what its numbers mean.

    Parameters
    ----------
    name : str
        Name to show and to look it up by.
    architecture : {"unet", "seed_unet"}
        Which network of ``engine.unet``.
    base_filters, levels, dropout, in_channels
        Its bounded settings.
    classes : tuple of str
        What the network tells apart, ``background`` first.
    labels : LabelTable
        What it writes. Each class but background is the ``key`` of one label; where ``sided`` it is the ``name`` of
        one label without side, or of a left and a right one.
    sided : bool
        Whether left and right are told by position and not by the network.
    spacing_mm : float
        Pixel size slices are resampled to; 0 fits the longer edge of the slice into ``input_size``.
    input_size : int
        Edge of the square that training saw, pixels.
    normalisation : str
        ``percentile``: 1st to 99th percentile of the volume to 0..1, then mean 0 and deviation 1. ``unit``: 0..1 alone,
        for networks of old that were fed so.
    scores, split, lineage : dict
        Measured results, who was in which part, and what it was started from; plain data.
    statement : str
        What it was trained on and for what it may be used, in words.
    intended_use, limits : str
        Whom and which scans it was made for, and what it is known to get wrong, in words.
    weights_sha256 : str
        Of the weights file, hexadecimal; filled in by ``io.models.write_model``.
    created : str
        ISO time, UTC.
    temperature : float
        What logits are divided by where probabilities are made of them; the mask is the same with any.
    mirrored : bool
        Whether the network is asked a second time with each slice mirrored left to right, and the mean of both
        answers counts; not where it tells the sides apart itself.
    tidied : bool
        Whether stray pieces of labels and holes in them are taken away at the end.
    """

    name: str
    architecture: str
    base_filters: int
    levels: int
    dropout: float
    classes: tuple[str, ...]
    labels: LabelTable
    sided: bool
    spacing_mm: float
    input_size: int
    normalisation: str = "percentile"
    in_channels: int = 1
    scores: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)
    statement: str = "For research. Not for clinical decisions."
    weights_sha256: str = ""
    created: str = ""
    temperature: float = 1.0
    mirrored: bool = False
    tidied: bool = False
    intended_use: str = ""
    limits: str = ""

    def __post_init__(self) -> None:
        for name in _WORDS:
            _expect(isinstance(getattr(self, name), str), name, "words", getattr(self, name))
        _expect(bool(_NAME.fullmatch(self.name)), "name", "up to 80 letters, digits, spaces, - and _", self.name)
        _expect(self.architecture in ("unet", "seed_unet"), "architecture", "unet or seed_unet", self.architecture)
        good = self.normalisation in ("percentile", "unit")
        _expect(good, "normalisation", "percentile or unit", self.normalisation)
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            whole = name not in ("dropout", "spacing_mm", "temperature")
            good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
            _expect(good and low <= value <= high, name, f"a number from {low} to {high}", value)
        multiple = 1 << (self.levels - 1)
        _expect(self.input_size % multiple == 0, "input_size", f"a multiple of {multiple}", self.input_size)
        for name in ("sided", "mirrored", "tidied"):
            _expect(isinstance(getattr(self, name), bool), name, "true or false", getattr(self, name))
        _expect(self.sided or not self.mirrored, "mirrored", "false where the network tells the sides", self.mirrored)
        for name in ("scores", "split", "lineage"):
            _expect(isinstance(getattr(self, name), dict), name, "a table", getattr(self, name))
        good = not self.weights_sha256 or bool(re.fullmatch("[0-9a-f]{64}", self.weights_sha256))
        _expect(good, "weights_sha256", "64 hexadecimal digits", self.weights_sha256)
        self._check_classes()

    def _check_classes(self) -> None:
        good = all(isinstance(c, str) and 0 < len(c) <= 120 for c in self.classes)
        _expect(good and 2 <= len(self.classes) <= 256, "classes", "2 to 256 names", self.classes)
        _expect(len(set(self.classes)) == len(self.classes), "classes", "names that differ", self.classes)
        _expect(self.classes[0] == "background", "classes", "background first", self.classes[0])
        _expect(self.architecture != "seed_unet" or len(self.classes) == 2, "classes", "one label", self.classes)
        written = {b.name if self.sided else b.key for b in self.labels}
        _expect(written == set(self.classes[1:]), "labels", f"those of the classes {self.classes[1:]}", written)

    def values_of(self, index: int) -> tuple[int, int]:
        """Label values written for a class on the patient's left and right; equal where it has no side."""
        if index == 0:
            return (0, 0)
        name = self.classes[index]
        if not self.sided:
            value = next(b.value for b in self.labels if b.key == name)
            return (value, value)
        by_side = {b.side: b.value for b in self.labels if b.name == name}
        only = next(iter(by_side.values()))
        return (by_side.get("left", by_side.get("", only)), by_side.get("right", by_side.get("", only)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Doubts about the model in plain words, found when it was trained or imported: ``warnings`` of its tables."""
        tables = (self.scores.get("warnings"), self.lineage.get("warnings"))
        return tuple(dict.fromkeys(str(said) for table in tables if isinstance(table, list) for said in table))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"format": FORMAT, **plain, "classes": list(self.classes), "labels": self.labels.to_json()}

    @staticmethod
    def from_json(data: Any) -> "ModelCard":
        """The card of plain data; every field is checked, unknown ones are left aside.

        Raises
        ------
        UserError
            When a field is missing or not what it should be.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            found = data.get("format") if isinstance(data, dict) else type(data).__name__
            raise UserError(f"Expected a model card of the format {FORMAT}, found {found!r}.")
        known = {f.name: data[f.name] for f in fields(ModelCard) if f.name in data}
        rows, classes = known.get("labels"), known.get("classes")
        good = isinstance(rows, list) and len(rows) <= 255 and all(isinstance(row, dict) for row in rows)
        _expect(good, "labels", "a list of labels", rows)
        _expect(isinstance(classes, list), "classes", "a list of names", classes)
        known["labels"], known["classes"] = LabelTable.from_json(rows or []), tuple(classes or ())
        needed = [f.name for f in fields(ModelCard)][:10]
        missing = [name for name in (*needed, "weights_sha256") if name not in known]
        if missing:
            raise UserError(f"The model card lacks {missing[0]!r}.", "The model is incomplete; copy it again.")
        return ModelCard(**known)


def _expect(good: bool, name: str, expected: str, found: object) -> None:
    if not good:
        raise UserError(f"Model card, {name}: expected {expected}, found {str(found)[:120]!r}.")
