"""Calibration over the cases of an evaluation, a batch of slices at a time: sums and a bounded sample are kept."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.calibration import LogitSample, Reliability, best_temperature, cross_entropy, softmax
from thighview.core.labels import LabelTable
from thighview.engine.evaluation import Truth
from thighview.engine.preprocess import PlaneGrid, masks_for_network
from thighview.io.model_card import ModelCard

IGNORE = 255
FEWEST_PERSONS = 5
"""Validation people that a temperature is measured on, at least."""
PARTS = ("validation", "", "test", "train")
"""Whose probabilities are judged: the first part of the split that anybody belongs to."""

OnLogits = Callable[[list[int], NDArray[np.float32]], None]


class Calibrating:
    """Compares probabilities with masks on the network's own planes, as training sees them.

    A model's class is judged where the masks know all its labels; pixels of labels that the model does not know, and
    slices that are not reviewed, count nothing.

    Parameters
    ----------
    card : ModelCard
        Of the model.
    seed : int
        Of the sample of pixels.
    """

    def __init__(self, card: ModelCard, seed: int = 0) -> None:
        self._card = card
        self._found: dict[str, Reliability] = {}
        self._tempered: dict[str, Reliability] = {}
        self._people: dict[str, set[str]] = {}
        self._sample = LogitSample(seed)
        self._sampled = set[str]()
        self._lacking = set[str]()

    def of_case(self, truth: Truth, grid: PlaneGrid, subject: str, part: str) -> OnLogits | None:
        """What is told of each batch of a case: ``(axial slices, logits (n, rows, columns, classes))``; None for none.

        It is called by one thread at a time.
        """
        lookup, known = match_classes(truth.table, self._card)
        if not known:
            return None
        lacking = {name for k, name in enumerate(self._card.classes) if k and k not in known}
        if part == "validation":
            self._lacking |= lacking
        marked = np.where(truth.reviewed[:, None, None], lookup[truth.labels], np.uint8(IGNORE))
        (top, left), (h, w) = grid.offset, grid.content
        found = self._found.setdefault(part, Reliability())
        tempered = self._tempered.setdefault(part, Reliability())
        temperature = self._card.temperature
        self._people.setdefault(part, set()).add(subject)

        def take(indices: list[int], logits: NDArray[np.float32]) -> None:
            content = slice(top, top + h), slice(left, left + w)
            targets = masks_for_network(marked, grid, indices)[:, *content]
            for one, target in zip(logits[:, *content], targets, strict=True):
                counted = target != IGNORE
                if not counted.any():
                    continue
                z = one[counted]
                if z.shape[-1] == 1:
                    z = np.concatenate([np.zeros_like(z), z], -1)
                p, classes = softmax(z), target[counted]
                q = p if temperature == 1 else softmax(z, temperature)
                for k in known:
                    found.add(p[:, k], classes == k)
                    tempered.add(q[:, k], classes == k)
                if part == "validation" and not lacking:
                    self._sample.add(z, classes)
                    self._sampled.add(subject)

        return take

    def to_json(self) -> dict[str, Any]:
        """Plain data: ``ece``, ``bins``, ``temperature`` and of whom they are; null with a ``reason`` where not known.

        ``ece`` and ``bins`` are those of the raw logits, ``in_use`` has both at the temperature of the model's card.
        ``temperature`` would be the best one; ``ece_after_temperature`` is measured on the sample it was found with.
        """
        part = next((part for part in PARTS if part in self._found), None)
        found, tempered = (kept[part] if part is not None else Reliability() for kept in (self._found, self._tempered))
        reason = self._reason(part)
        result: dict[str, Any] = {
            "part": part or "", "persons": len(self._people.get(part or "", ())),
            "ece": found.ece, "bins": found.bins() if part is not None else [],
            "in_use": {
                "temperature": self._card.temperature, "ece": tempered.ece,
                "bins": tempered.bins() if part is not None else [],
            },
            "temperature": None, "ece_after_temperature": None,
            "cross_entropy": None, "cross_entropy_after_temperature": None, "reason": reason,
        }  # fmt: skip
        if reason:
            return result
        logits, classes, weights = self._sample.arrays()
        temperature = best_temperature(logits, classes, weights)
        after, p = Reliability(), softmax(logits, temperature)
        for k in range(1, p.shape[-1]):
            after.add(p[:, k], classes == k, weights)
        return result | {
            "temperature": temperature, "ece_after_temperature": after.ece,
            "cross_entropy": cross_entropy(logits, classes, weights),
            "cross_entropy_after_temperature": cross_entropy(logits, classes, weights, temperature),
        }  # fmt: skip

    def _reason(self, part: str | None) -> str:
        """Why there is no temperature; empty where there is one."""
        people = len(self._people.get("validation", ()))
        if part is None:
            return "The masks have none of the model's labels whole."
        if people < FEWEST_PERSONS:
            there = "is 1" if people == 1 else f"are {people}"
            return f"A temperature needs {FEWEST_PERSONS} validation people, here {there}."
        if len(self._sampled) < FEWEST_PERSONS:
            names = ", ".join(sorted(self._lacking)[:5])
            return f"A temperature needs masks with all of the model's labels; validation people lack {names}."
        return ""


def match_classes(table: LabelTable, card: ModelCard) -> tuple[NDArray[np.uint8], tuple[int, ...]]:
    """Class of each label value of a mask, uint8 (256,), 255 where the model has none; and the classes it has whole.

    Labels are matched by name and side, like those of a comparison; a class that stands for a left and a right label
    is whole when the mask has both, or one without side.
    """
    lookup = np.full(256, IGNORE, np.uint8)
    lookup[0] = 0
    known: list[int] = []
    for k, name in enumerate(card.classes):
        if k == 0:
            continue
        ours = [label for label in card.labels if (label.name if card.sided else label.key) == name]
        theirs = [table.find(label.name, label.side) for label in ours]
        alone = table.find(ours[0].name) if card.sided else None
        found = [label for label in (*theirs, alone) if label is not None]
        for label in found:
            lookup[label.value] = k
        if alone is not None or None not in theirs:
            known.append(k)
    return lookup, tuple(known)
