"""A model is a folder of data: ``card.json`` and ``weights.safetensors``. Nothing in it can run code."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from thighview.core.doubts import HEAD_WEIGHTS, head_warning
from thighview.core.errors import UserError
from thighview.io.atomic import write_json_atomic
from thighview.io.folders import new_folder, put_back
from thighview.io.model_card import ModelCard
from thighview.io.paths import models_folder
from thighview.io.resources import resource

log = logging.getLogger(__name__)

CARD = "card.json"
WEIGHTS = "weights.safetensors"
LARGEST_CARD_BYTES = 4 << 20
LARGEST_WEIGHTS_BYTES = 2 << 30


@dataclass(frozen=True)
class ModelEntry:
    """A model that was found: its card, its folder, and whose it is (``project``, ``user`` or ``box``)."""

    card: ModelCard
    folder: Path
    place: str


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
    with new_folder(Path(folder)) as staged:
        _write_synced(staged / WEIGHTS, body)
        _write_synced(staged / CARD, text.encode())
        read_weights(staged, read_card(staged))
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


FIRST_OF_BOX = "thigh_groups"
"""Of the models of the box the one that is offered first; the others follow by name."""


def find_models(project: Path | None = None) -> list[ModelEntry]:
    """Every readable model: of the project, then the user's, then the box; broken ones are logged and left out.

    One that was being replaced when the program was killed is given its name again.
    """
    entries: list[ModelEntry] = []
    for place, root in _places(project):
        if not root.is_dir():
            continue
        put_back(root)
        for folder in sorted(root.iterdir(), key=lambda own: (own.name != FIRST_OF_BOX, own.name)):
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
