"""Old weights become a model folder: ``pretrained_weights`` of the seed's time, loaded by topology and proven once."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.doubts import head_warning
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.engine.devices import prepare_device
from thighview.engine.old_file import OldFile, read_apart
from thighview.engine.old_seed import SeedShape, check_description, seed_weights
from thighview.engine.old_training import facts_of_training, warnings_of_training
from thighview.io.model_card import ModelCard
from thighview.io.models import write_model

INPUT_SIZE = 512
LABEL = "outer_surface"
_INTENSITIES = (
    "How scans were prepared for it is not in the file. It is given numbers from 0 to 1 (the 1st to the 99th "
    "percentile of the scan), as was the custom then: look at it on a scan whose mask you know."
)
_PEOPLE = (
    "Who it was trained on is not in the file. A score on people it may have learned from is flattered, so judge it by "
    "others."
)


@dataclass(frozen=True)
class Wanted:
    """What a person says of the model that old weights become.

    Parameters
    ----------
    name : str
        Name of the model.
    label : str
        Name of the one label it draws.
    input_size : int
        Edge of the square slices it was trained on, pixels; 0 takes what the file says, else 512.
    spacing_mm : float
        Pixel size it was trained on; 0 fits the longer edge of a slice into ``input_size``.
    """

    name: str
    label: str = LABEL
    input_size: int = 0
    spacing_mm: float = 0.0


def import_old_weights(path: Path, folder: Path, wanted: Wanted) -> ModelCard:
    """Read a Keras 2 weights file, prove that it is the seed network, and write it as a model folder.

    The file is read in a throw-away process. Weights are assigned in stored order; every shape must be right, and one
    forward pass must give finite numbers.

    Parameters
    ----------
    path : Path
        ``.h5`` or ``.hdf5``, weights only or whole model.
    folder : Path
        The model folder to make; must not be there, or be empty.

    Returns
    -------
    ModelCard
        With the doubts about the model in ``warnings``.

    Raises
    ------
    UserError
        When the file is anything else (the first mismatch is named), or the folder is taken.
    """
    need_free(folder)
    label = "_".join(wanted.label.lower().split())
    if not label or len(label) > 80 or label == "background":
        raise UserError(
            f"A label needs a name of up to 80 letters, found {wanted.label[:80]!r}.", "For example outer_surface."
        )
    old = read_apart(path)
    with Path(path).open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    _check_origin(old, Path(path).name)
    shape, weights = seed_weights(old.layers)
    described = check_description(old.model_config, old.layers, shape)
    head = _prove(shape, weights)
    facts = {
        "file": Path(path).name, "sha256": sha256, "keras_version": old.keras_version[:40], "backend": old.backend[:40],
        "layers": len(old.layers), "whole_model": bool(old.model_config), "two_filter_layer": shape.bottleneck,
    }  # fmt: skip
    training = old.training_config
    doubts = [head] if head else []
    doubts += [*warnings_of_training(training), *described.doubts, _INTENSITIES, _PEOPLE]
    card = ModelCard(
        name=wanted.name, architecture="seed_unet", base_filters=shape.base_filters, levels=shape.levels,
        dropout=described.dropout, classes=("background", label), labels=LabelTable((Label(1, label),)), sided=False,
        spacing_mm=float(wanted.spacing_mm), input_size=wanted.input_size or described.input_size or INPUT_SIZE,
        normalisation="unit", statement=_statement(facts),
        lineage={"imported": facts, "training": facts_of_training(training), "warnings": doubts},
    )  # fmt: skip
    return write_model(folder, card, weights)


def import_for_window(
    path: str, folder: str, name: str, label: str, input_size: int, spacing_mm: float
) -> dict[str, Any]:
    """:func:`import_old_weights` for a child process of the window: plain data in, the folder and the doubts out."""
    card = import_old_weights(Path(path), Path(folder), Wanted(name, label, input_size, spacing_mm))
    return {"folder": folder, "name": card.name, "warnings": list(card.warnings)}


def need_free(folder: Path) -> None:
    """Refuse a folder that holds something."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(f"{folder.name} is there already: {folder}.", "Choose another name; nothing was written.")


def _check_origin(old: OldFile, name: str) -> None:
    if old.keras_version[:2] not in ("2.", "3."):
        found = f"Keras {old.keras_version[:20]}" if old.keras_version else "a program that does not name itself"
        raise UserError(f"{name} was saved by {found}; expected Keras 2.", "Save it again with Keras 2.")
    if old.backend not in ("tensorflow", "jax", "torch", ""):
        raise UserError(
            f"{name} was saved with the backend {old.backend[:40]!r}, which may keep kernels mirrored.",
            "Save it again with Keras 2 on TensorFlow.",
        )


def _prove(shape: SeedShape, weights: Mapping[str, NDArray[np.float32]]) -> str:
    """Build the network, fill it, let it answer once; the head's warning, or nothing."""
    prepare_device("cpu")
    from thighview.engine.unet import assign_weights, build_network

    network = build_network("seed_unet", 2, shape.base_filters, shape.levels)
    assign_weights(network, weights)
    edge = 1 << (shape.levels + 1)
    picture = np.random.default_rng(0).random((1, edge, edge, 1), np.float32)
    answer = np.asarray(network.predict_on_batch(picture))
    if answer.shape != (1, edge, edge, 1) or not np.isfinite(answer).all():
        raise UserError(
            "The network answers a test picture with numbers that are not finite.", "The weights are damaged."
        )
    return head_warning(weights)


def _statement(facts: Mapping[str, Any]) -> str:
    ending = "" if facts["two_filter_layer"] else " It had no 2-filter layer; one that changes nothing was put in."
    return (
        f"Imported from {facts['file'][:120]} (SHA-256 {facts['sha256'][:12]}…), weights saved by Keras "
        f"{facts['keras_version']}.{ending} For research. Not for clinical decisions."
    )
