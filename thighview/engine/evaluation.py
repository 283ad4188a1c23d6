"""A model against masks that people have drawn: in 3-D, per person and label."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core import guard
from thighview.core.errors import UserError
from thighview.core.fingerprint import content_hash
from thighview.core.labels import Label, LabelTable
from thighview.core.leaks import Ledger
from thighview.core.mask import LabelMap
from thighview.core.measure import dice, hd95_of, msd_of, surface_distances_mm, volume_error_ml
from thighview.core.phantom_names import CONTRASTS, phantom_lookup, phantom_part
from thighview.core.volume import Volume

GUARD = "guard"
"""The part of a made-up scan of the guard set."""
FIGURES = ("dice", "hd95_mm", "msd_mm", "volume_error_ml")
Figures = dict[str, float | None]


@dataclass(frozen=True)
class Truth:
    """A scan and what is right about it. ``labels`` uint8 (z, y, x); only slices where ``reviewed`` counts."""

    volume: Volume
    labels: LabelMap
    table: LabelTable
    reviewed: NDArray[np.bool_]
    sha256: str = ""


@dataclass(frozen=True)
class TestCase:
    """One case to be compared; read when its turn comes."""

    __test__ = False  # the name is no test for pytest

    title: str
    subject: str
    part: str
    read: Callable[[], Truth]
    case_id: int = 0
    """Of a project's case; 0 for one of a folder."""


@dataclass
class Evaluation:
    """Figures of every case, by subject and label key."""

    model: str
    weights_sha256: str
    cases: dict[str, list[dict[str, Figures]]] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    chosen: set[str] = field(default_factory=set)
    case_ids: dict[str, list[int]] = field(default_factory=dict)

    def add(
        self, subject: str, part: str, figures: dict[str, Figures], seen: bool = False, case_id: int = 0,
        chosen: bool = False,
    ) -> None:  # fmt: skip
        """Take the figures of one case; ``seen``: the model, or one it comes from, was trained on it.

        ``chosen``: it validated such a training, whose best epoch was chosen on it.
        """
        if case_id:
            self.case_ids.setdefault(subject, []).append(case_id)
        self.cases.setdefault(subject, []).append(figures)
        self.parts[subject] = part
        if seen:
            self.seen.add(subject)
        if chosen:
            self.chosen.add(subject)

    def to_json(self) -> dict[str, Any]:
        """Per person (the mean over their cases), then the mean over persons; null where nothing was measured.

        ``mean`` is over persons, of each one's mean over labels; in its ``labels``, that of each label over persons,
        ``n`` of them, of whom ``n_surface`` have distances: where a label was missed altogether there are none.
        ``by_case`` has the Dice of each case of a person who has several.
        """
        by_subject = {subject: _mean_by_label(rows) for subject, rows in self.cases.items()}
        people = [
            {
                "id": subject, "part": self.parts[subject], "seen_in_training": subject in self.seen,
                "chosen_on": subject in self.chosen, "cases": len(self.cases[subject]),
                "case_ids": self.case_ids.get(subject, []), "labels": labels,
            }
            | ({"by_case": _dice_of(self.cases[subject])} if len(self.cases[subject]) > 1 else {})
            for subject, labels in by_subject.items()
        ]  # fmt: skip
        rows = list(by_subject.values())
        labels = _mean_by_label(rows)
        for key, figures in labels.items():
            for n, name in (("n", "dice"), ("n_surface", "hd95_mm")):
                figures[n] = sum(row.get(key, {}).get(name) is not None for row in rows)
        own = [{name: _mean(f[name] for f in row.values()) for name in FIGURES} for row in rows]
        mean: dict[str, Any] = {name: _mean(row[name] for row in own) for name in FIGURES}
        return {
            "model": self.model,
            "weights_sha256": self.weights_sha256,
            "subjects": people,
            "mean": mean | {"n": len(people), "labels": labels},
        }


def compare(found: LabelMap, found_table: LabelTable, truth: Truth) -> dict[str, Figures]:
    """Figures of every label that both tables know, by the truth's label key.

    Labels are matched by name and side; a label without side in the truth is compared with both sides together.
    Slices that are not reviewed count for neither mask.

    Parameters
    ----------
    found : ndarray of uint8, shape (z, y, x)
        What the model drew.
    """
    figures: dict[str, Figures] = {}
    keep = truth.reviewed[:, None, None]
    for label in truth.table:
        values = _matching(label, found_table)
        if not values:
            continue
        drawn = np.isin(found, values) & keep
        right = (truth.labels == label.value) & keep
        one = dice(drawn, right)
        away = surface_distances_mm(drawn, right, truth.volume.spacing_mm, np.broadcast_to(keep, drawn.shape))
        figures[label.key] = {
            "dice": one,
            "hd95_mm": hd95_of(*away) if away else None,
            "msd_mm": msd_of(*away) if away else None,
            "volume_error_ml": None if one is None else volume_error_ml(drawn, right, truth.volume.voxel_volume_ml),
        }
    return figures


def cases_of(source: Path) -> list[TestCase]:
    """The cases of a project (those with reviewed slices) or of an nnU-Net raw folder.

    Raises
    ------
    UserError
        When it is neither, or has nothing to compare with.
    """
    from thighview.io.nnunet_in import is_dataset, load_case, read_dataset

    if is_dataset(source):
        dataset = read_dataset(source)

        def read_raw(one: Any) -> Truth:
            case = load_case(dataset, one)
            reviewed = np.array([review.state.reviewed for review in case.teaching])
            return Truth(case.volume, case.labels, case.table, reviewed, case.series[0].sha256)

        return [TestCase(one.name, one.subject, one.part, partial(read_raw, one)) for one in dataset.cases]

    from thighview.io.project import DATABASE, Project

    if not (source / DATABASE).is_file():
        raise UserError(
            f"{source} is neither a project nor an nnU-Net raw folder.",
            f"A project has a file {DATABASE}, a raw folder a file dataset.json.",
        )
    project = Project.open(source, writable=False)
    try:
        rows = [row for row in project.cases() if any(state.reviewed and n for state, n in row.counts.items())]
    finally:
        project.close()
    if not rows:
        raise UserError(
            f"No slice of {source} is reviewed, so there is nothing to compare with.", "Accept slices first."
        )
    return [
        TestCase(row.title, row.subject, row.part, partial(_read_stored, source, row.case_id), row.case_id)
        for row in rows
    ]


def guard_cases(labels: LabelTable, *others: LabelTable) -> list[TestCase]:
    """The guard set, with those of a model's labels that made-up thighs have; empty where they have none.

    Labels of ``others`` come to them, so that it is seen what only the other model draws, unless one of both tells
    sides of a structure apart and the other does not.
    """
    for other in others:
        joined, _ = labels.joined(other)
        sided = {label.name for label in joined if label.side}
        labels = labels if any(label.name in sided and not label.side for label in joined) else joined
    known = phantom_part(labels)
    lookup = phantom_lookup(known)
    if not len(known) or lookup is None:
        return []
    which, values = lookup

    def read(contrast: str, seed: int) -> Truth:
        from thighview.core.phantom import make_phantom

        made = make_phantom(seed, contrast, slices=guard.SLICES, matrix=guard.MATRIX, spacing_mm=guard.SPACING_MM)
        truth = values[made.truth(which)]
        return Truth(made.volume, truth, known, np.ones(guard.SLICES, bool))

    pairs = [(contrast, seed) for contrast in CONTRASTS for seed in guard.SEEDS]
    return [TestCase(name := guard.guard_id(*pair), name, GUARD, partial(read, *pair)) for pair in pairs]


def readings(cases: list[TestCase]) -> Iterator[tuple[TestCase, Truth]]:
    """Each case with its truth, where any slice is reviewed."""
    for case in cases:
        truth = case.read()
        if truth.reviewed.any():
            yield case, truth


def _read_stored(source: Path, case_id: int) -> Truth:
    from thighview.io.stored_case import stored_case_in

    case = stored_case_in(source, case_id)
    reviewed = np.array([review.state.reviewed for review in case.teaching])
    return Truth(case.volume, case.labels, case.table, reviewed, case.series[0].sha256)


def is_seen(case: TestCase, truth: Truth, ledger: Ledger) -> bool:
    """Whether a model with this ledger was trained on the case, by its person, its file or its voxels."""
    return ledger.knows(case.subject, truth.sha256) or ledger.knows(content=content_hash(truth.volume))


def _matching(label: Label, table: LabelTable) -> list[int]:
    exact = table.find(label.name, label.side)
    if exact:
        return [exact.value]
    return [other.value for other in table if other.name == label.name] if not label.side else []


def _mean_by_label(rows: list[dict[str, Figures]]) -> dict[str, Figures]:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return {key: {name: _mean(row[key][name] for row in rows if key in row) for name in FIGURES} for key in keys}


def _dice_of(rows: list[dict[str, Figures]]) -> list[dict[str, float | None]]:
    return [{key: figures["dice"] for key, figures in row.items()} for row in rows]


def _mean(values: Iterator[float | None] | Any) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
