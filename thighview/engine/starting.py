"""What a run builds: classes, card, and the weights it starts from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighview import __version__
from thighview.core.errors import UserError
from thighview.core.fine_tuning import FROM_NOTHING
from thighview.core.labels import LabelTable
from thighview.core.leaks import is_told
from thighview.core.run import TrainConfig, held_by
from thighview.engine.augment import swap_table
from thighview.io.dataset import IGNORE, Dataset
from thighview.io.model_card import ModelCard
from thighview.io.models import ModelEntry, read_weights

_STATEMENT = "Trained on {cases} of this project with thighview. For research. Not for clinical decisions."
Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Plan:
    """The settings as they hold, the card of the model to be, the label-to-class table, and what to tell.

    ``mirror`` is what each class becomes in a mirrored slice, None where slices must not be mirrored.
    """

    config: TrainConfig
    card: ModelCard
    classes: NDArray[np.uint8]
    mirror: NDArray[np.uint8] | None
    parent: ModelEntry | None
    notes: tuple[str, ...]

    def colours(self, labels: LabelTable) -> NDArray[np.uint8]:
        """Colour of each class, (C, 3); the background is black, the later label of two sides gives the colour."""
        found = np.zeros((len(self.card.classes), 3), np.uint8)
        for label in labels:
            found[self.classes[label.value]] = label.colour
        return found


def is_sided(labels: LabelTable) -> bool:
    """Whether left and right can be left to position: every label with a side exists on both, and none without it."""
    names = {b.name for b in labels if b.side}
    return bool(names) and all(labels.find(n, "left") and labels.find(n, "right") and not labels.find(n) for n in names)


def make_plan(name: str, dataset: Dataset, config: TrainConfig, parent: ModelEntry | None) -> Plan:
    """Work out what a run builds.

    A network that starts from a model has its architecture, size, pixel size and input size, whatever the settings say;
    the notes say so where they differ.
    """
    notes: list[str] = []
    sided = is_sided(dataset.labels)
    names = list(dict.fromkeys(b.name if sided else b.key for b in dataset.labels))
    if parent:
        old = parent.card
        held = held_by(old)
        differ = [k for k, v in held.items() if getattr(config, k) != v]
        config = TrainConfig.from_json(config.to_json() | held)
        if differ:
            notes.append("taken from the model " + old.name + ": " + ", ".join(differ).replace("_", " "))
        if config.input_size != old.input_size:
            size = f"slices of {config.input_size} pixels, not the {old.input_size} of {old.name}"
            notes.append(f"{size}, which no training may have")
        notes += [f"{old.name}: {said}" for said in old.warnings]
        if "imported" not in old.lineage and not is_told(old.lineage):  # an imported one says so among its warnings
            notes.append(
                f"whom {old.name}, or a model it comes from, was trained on is not known: people who validate may be "
                "among them, and their score flatter"
            )
    learnt = sum(case.part == "train" for case in dataset.cases)
    card = ModelCard(
        name=name,
        architecture=config.architecture,
        base_filters=config.base_filters,
        levels=config.levels,
        dropout=config.dropout,
        classes=("background", *names),
        labels=dataset.labels,
        sided=sided,
        spacing_mm=config.spacing_mm,
        input_size=config.input_size,
        normalisation=parent.card.normalisation if parent else "percentile",
        mirrored=parent is not None and parent.card.mirrored and sided,
        tidied=parent is not None and parent.card.tidied,
        statement=_STATEMENT.format(cases=f"{learnt} case{'s' * (learnt != 1)}"),
        split={part: dataset.subjects(part) for part in ("train", "validation", "test")},
        lineage=_lineage(name, dataset, config, parent),
    )
    lookup = np.zeros(256, np.uint8)
    for label in dataset.labels:
        lookup[label.value] = card.classes.index(label.name if sided else label.key)
    lookup[IGNORE] = IGNORE
    mirror = swap_table(() if sided else card.classes)
    return Plan(config, card, lookup, mirror, parent, tuple(notes))


def _lineage(name: str, dataset: Dataset, config: TrainConfig, parent: ModelEntry | None) -> dict[str, object]:
    """Where a model comes from, its whole ancestry included: what a later run needs to know who was trained on."""
    return {
        "run": name,
        "seed": config.seed,
        "config": config.to_json(),
        "code_version": __version__,
        "cases": [
            {
                "case_id": c.case_id, "title": c.title, "subject": c.subject, "sha256": c.sha256, "part": c.part,
                "content": c.content, "slices": list(c.reviewed), "left_out": c.left_out,
            }
            for c in dataset.cases
        ],
        "phantoms": [p.seed for p in dataset.phantoms],
        "parent": None if parent is None else {
            "name": parent.card.name, "weights_sha256": parent.card.weights_sha256,
            "split": parent.card.split, "lineage": parent.card.lineage,
        },
    }  # fmt: skip


def inherited(fresh: Weights, card: ModelCard, parent: ModelEntry) -> tuple[dict[str, NDArray[np.float32]], str]:
    """Start weights of a network that goes on from another model, and the mapping of labels in words.

    Classes are matched by name and side (a class of a model that leaves sides to position matches either side); a
    label the model did not know keeps the fresh weights of its head.
    """
    old = parent.card
    if old.in_channels != 1:
        raise UserError(f"The model {old.name} needs {old.in_channels} images per slice; training takes one.")
    known = read_weights(parent.folder, old)
    source: list[int | None] = [0]
    for name in card.classes[1:]:
        label = next(b for b in card.labels if (b.name if card.sided else b.key) == name)
        wanted = [label.name if old.sided else (name if not card.sided else f"{label.name}_left"), name, label.name]
        source.append(next((old.classes.index(w) for w in wanted if w in old.classes), None))
    weights: dict[str, NDArray[np.float32]] = {}
    for key, start in fresh.items():
        array = start.copy()
        if key.startswith("head/") and (card.architecture != "seed_unet" or source[1] is None):
            for new, at in enumerate(source if card.architecture != "seed_unet" else []):
                if at is not None:
                    array[..., new] = known[key][..., at]
        elif key in known and known[key].shape == array.shape:
            array = known[key].copy()
        else:
            raise UserError(
                f"The weights of {old.name} do not fit: {key!r} should have the shape {array.shape}, found "
                f"{known[key].shape if key in known else 'nothing'}.",
                "Start from another model.",
            )
        weights[key] = array
    kept = [n for n, at in zip(card.classes[1:], source[1:], strict=True) if at is not None]
    new = [n for n, at in zip(card.classes[1:], source[1:], strict=True) if at is None]
    dropped = [n for i, n in enumerate(old.classes) if i and i not in source]
    if not new and not dropped:
        return weights, f"starts from {old.name}, which knows all labels of the set"
    words = [f"starts from {old.name}"]
    for title, names in (("it knows", kept), (FROM_NOTHING, new), ("left out", dropped)):
        if names:
            words.append(f"{title}: {', '.join(name.replace('_', ' ') for name in names)}")
    return weights, "; ".join(words)
