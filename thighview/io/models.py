"""A model is a folder of data: ``card.json`` and ``weights.safetensors``. Nothing in it can run code."""

import hashlib
import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from thighview.core.doubts import HEAD_WEIGHTS, head_warning
from thighview.core.errors import UserError
from thighview.core.labels import LabelTable
from thighview.io.atomic import write_json_atomic
from thighview.io.paths import models_folder
from thighview.io.resources import resource

log = logging.getLogger(__name__)

CARD = "card.json"
WEIGHTS = "weights.safetensors"
FORMAT = "thighview-model-1"
LARGEST_CARD_BYTES = 4 << 20
LARGEST_WEIGHTS_BYTES = 2 << 30
_NAME = re.compile(r"[\w][\w .()+,-]{0,79}")
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
        For what the model may be used, in words.
    weights_sha256 : str
        Of the weights file, hexadecimal; filled in by :func:`write_model`.
    created : str
        ISO time, UTC.
    temperature : float
        What logits are divided by where probabilities are made of them; the mask is the same with any.
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

    def __post_init__(self) -> None:
        for name in ("architecture", "name", "normalisation", "statement", "weights_sha256", "created"):
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
        _expect(isinstance(self.sided, bool), "sided", "true or false", self.sided)
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


@dataclass(frozen=True)
class ModelEntry:
    """A model that was found: its card, its folder, and whose it is (``project``, ``user`` or ``box``)."""

    card: ModelCard
    folder: Path
    place: str


def _expect(good: bool, name: str, expected: str, found: object) -> None:
    if not good:
        raise UserError(f"Model card, {name}: expected {expected}, found {str(found)[:120]!r}.")


def write_model(
    folder: Path, card: ModelCard, weights: Mapping[str, NDArray[np.floating]], half: bool = False
) -> ModelCard:
    """Write a model folder as a whole or not at all; one that is there already is replaced.

    Parameters
    ----------
    folder : Path
        The new folder; its parent is made when it is missing.
    card : ModelCard
        ``weights_sha256`` and an empty ``created`` are filled in.
    weights : mapping of str to ndarray
        Float arrays by name.
    half : bool
        Store 16-bit floats: half the file, about three digits.

    Returns
    -------
    ModelCard
        The card as written.
    """
    kind = np.float16 if half else np.float32
    stored = {name: np.ascontiguousarray(array, kind) for name, array in weights.items()}
    for name, array in stored.items():
        if not np.isfinite(array).all():
            raise UserError(f"The weights {name!r} hold numbers that are not finite.", "Train with a smaller step.")
    body = safetensors.numpy.save(stored)
    card = replace(
        card,
        weights_sha256=hashlib.sha256(body).hexdigest(),
        created=card.created or datetime.now(UTC).isoformat(timespec="seconds"),
    )
    text = json.dumps(card.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex[:8]
    staged, old = folder.with_name(f".{folder.name}.{mark}.new"), folder.with_name(f".{folder.name}.{mark}.old")
    try:
        staged.mkdir()
        _write_synced(staged / WEIGHTS, body)
        _write_synced(staged / CARD, text.encode())
        read_weights(staged, read_card(staged))
        if folder.exists():
            folder.rename(old)
        staged.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return card


def set_temperature(folder: Path, temperature: float, weights_sha256: str) -> ModelCard:
    """Write another temperature into the card of a model, whole or not at all; gives back the card as it is then.

    Raises
    ------
    UserError
        When the model has other weights than ``weights_sha256``, or its card cannot be written.
    """
    card = read_card(folder)
    if card.weights_sha256 != weights_sha256:
        raise UserError(f"The temperature was measured on other weights than those of {card.name}.", "Measure again.")
    card = replace(card, temperature=float(temperature))
    write_json_atomic(Path(folder) / CARD, card.to_json())
    return card


def _write_synced(path: Path, body: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(body)
        stream.flush()
        os.fsync(stream.fileno())


def read_card(folder: Path) -> ModelCard:
    """The card of a model folder, checked.

    Raises
    ------
    UserError
        When there is none, or it is not one.
    """
    path = Path(folder) / CARD
    try:
        if path.stat().st_size > LARGEST_CARD_BYTES:
            raise UserError(f"The model card {path} is larger than any card should be.")
        text = path.read_text("utf-8")
        data = json.loads(text, parse_constant=_no_constant)
    except OSError as error:
        raise UserError(f"{folder} is no model: its {CARD} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {str(error)[:120]}.", "Copy the model again.") from error
    return ModelCard.from_json(data)


def _no_constant(word: str) -> float:
    raise ValueError(f"found the number {word}")


def read_weights(folder: Path, card: ModelCard) -> dict[str, NDArray[np.float32]]:
    """The weights of a model folder as float32 arrays by name: complete, unaltered and finite.

    That they fit the network is checked where it is built (``engine.predict.load_network``).

    Raises
    ------
    UserError
        When the file is missing, is not the one the card was written for, or holds anything but finite floats.
    """
    path = Path(folder) / WEIGHTS
    again = "Copy the model again, or train it again."
    try:
        if path.stat().st_size > LARGEST_WEIGHTS_BYTES:
            raise UserError(f"The weights file {path} is larger than any network here.")
        body = path.read_bytes()
    except OSError as error:
        raise UserError(f"The model {card.name} lacks its weights: {path} ({error.strerror}).", again) from error
    found = hashlib.sha256(body).hexdigest()
    if found != card.weights_sha256:
        raise UserError(
            f"The weights of {card.name} are not those of its card (SHA-256 {found[:12]}…, expected "
            f"{card.weights_sha256[:12] or 'none'}…): they were altered or damaged.",
            again,
        )
    try:
        arrays = safetensors.numpy.load(body)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a safetensors file: {str(error)[:120]}.", again) from error
    weights: dict[str, NDArray[np.float32]] = {}
    for name, array in arrays.items():
        if array.dtype.str not in ("<f2", "<f4"):
            raise UserError(f"The weights {name!r} should be 16- or 32-bit floats, found {array.dtype}.", again)
        weights[name] = np.asarray(array, np.float32)
        if not np.isfinite(weights[name]).all():
            raise UserError(f"The weights {name!r} hold numbers that are not finite.", again)
    return weights


def find_models(project: Path | None = None) -> list[ModelEntry]:
    """Every readable model: of the project, then the user's, then the box; broken ones are logged and left out."""
    entries: list[ModelEntry] = []
    for place, root in _places(project):
        if not root.is_dir():
            continue
        for folder in sorted(root.iterdir()):
            if folder.name.startswith(".") or not (folder / CARD).is_file():
                continue
            try:
                entries.append(_entry(folder, place))
            except UserError as error:
                log.warning("model %s left out: %s", folder, error)
    return entries


def find_model(name_or_folder: str | Path, project: Path | None = None) -> ModelEntry:
    """The model in a folder, or the first of this name in the project, the user's models and the box.

    Raises
    ------
    UserError
        When there is none, with the names there are.
    """
    folder = Path(name_or_folder)
    if (folder / CARD).is_file():
        place = next((p for p, root in _places(project) if folder.resolve().parent == root.resolve()), "user")
        return _entry(folder, place)
    entries = find_models(project)
    name = str(name_or_folder)
    found = [e for e in entries if e.card.name == name] or [e for e in entries if e.folder.name == name]
    if found:
        return found[0]
    known = ", ".join(dict.fromkeys(entry.card.name for entry in entries)) or "none yet"
    raise UserError(f"There is no model {name!r}.", f"Give a model folder or one of these names: {known}.")


def head_weights(path: Path, prefix: str = "") -> dict[str, NDArray[np.float32]]:
    """The few weights by which ``core.doubts`` judges a head, out of a file of weights or a checkpoint.

    Nothing else of the file is read; empty where it has no such weights or cannot be read.
    """
    try:
        with safetensors.safe_open(path, framework="np") as file:
            there = set(file.keys())
            names = [name for name in HEAD_WEIGHTS if prefix + name in there]
            return {name: np.asarray(file.get_tensor(prefix + name), np.float32) for name in names}
    except (SafetensorError, OSError, ValueError):
        return {}


def _entry(folder: Path, place: str) -> ModelEntry:
    """A model that was found; one trained before heads were looked at has its head looked at now."""
    card = read_card(folder)
    known = "warnings" in card.scores or "warnings" in card.lineage
    said = "" if known or card.architecture != "seed_unet" else head_warning(head_weights(folder / WEIGHTS))
    return ModelEntry(replace(card, scores=card.scores | {"warnings": [said]}) if said else card, folder, place)


def _places(project: Path | None) -> list[tuple[str, Path]]:
    places = [("project", Path(project) / "models")] if project else []
    places.append(("user", models_folder()))
    with suppress(FileNotFoundError):
        places.append(("box", resource("models")))
    return places
