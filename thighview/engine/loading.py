"""The slices of a run, read from the sources and prepared once: those that train, validate and probe."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from thighview.core.corrections import slice_weight
from thighview.engine.batches import Slices, slices_of
from thighview.engine.replay import replay_pool
from thighview.engine.starting import Plan
from thighview.io.dataset import Dataset, Replay, read_case, read_phantom
from thighview.io.runs import RunFolder


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a run learns from, validates on (None where nobody does), measures of the learnt; and what to tell.

    Training slices weigh more where they were corrected by hand; ``replay`` is shown beside them, or None, and
    ``replayed`` says what that is.
    """

    train: Slices
    val: Slices | None
    probe: Slices
    notes: tuple[str, ...]
    replay: Slices | None = None
    replayed: Replay | None = None


def load_slices(run: RunFolder, dataset: Dataset, plan: Plan, tell: Callable[[str], None]) -> Loaded:
    """Read every case that trains or validates, and put its slices on the network's planes.

    Raises
    ------
    UserError
        When a source is gone or has changed, or does not fit the network.
    """
    config = plan.config
    cases = {c.case_id: c for c in dataset.cases}
    parts: dict[str, list[Slices]] = {"train": [], "validation": []}
    for part, loaded in parts.items():
        rows = dataset.of_part(part)
        for subject, case_id in dict.fromkeys((s.subject, s.case_id) for s in rows):
            mine = [s for s in rows if (s.subject, s.case_id) == (subject, case_id)]
            if case_id:
                volume, mask = read_case(run, cases[case_id], dataset.labels)
            else:
                phantom = next(p for p in dataset.phantoms if p.subject == subject)
                volume, mask = read_phantom(phantom, dataset.labels)
            if volume.axial_axis == 0:  # a slice that is missing in the files shows nothing to learn
                mine = [s for s in mine if s.index not in volume.missing]
            if not mine:
                continue
            ids, indices = [s.id for s in mine], [s.index for s in mine]
            loaded.append(slices_of(volume, mask, config, ids, indices, plan.classes, plan.card.normalisation))
            tell(f"read {len(mine)} slices of {subject} for {part}")
    train = Slices.join(parts["train"])
    by_id = {s.id: s for s in dataset.of_part("train")}
    rows = [by_id[int(i)] for i in train.ids]
    train.weights[:] = [slice_weight(config.edit_weight, row.edited_px, row.contour_px) for row in rows]
    replay, replayed, said = replay_pool(dataset, plan, train, tell)
    edge = train.edge
    val = Slices.join(parts["validation"]) if parts["validation"] else None
    wide = f"slices are {edge} pixels wide: trained on random cuts of {config.input_size}"
    notes = tuple(n for n in (wide * (edge > config.input_size), said, *_never_seen(plan, train, val)) if n)
    return Loaded(train, val, train.chosen(_probe_rows(dataset, train, config.seed)), notes, replay, replayed)


def _never_seen(plan: Plan, train: Slices, val: Slices | None) -> tuple[str, ...]:
    """Warnings of labels that are on no slice that trains, or on none that validates."""
    said: list[str] = []
    for slices, words in (
        (train, "no slice that trains shows {}, so it cannot be learnt"),
        (val, "no slice that validates shows {}, so it has no validation score"),
    ):
        there = np.full(256, slices is None)
        for labels in slices.labels if slices else ():
            there[labels] = True
        missing = [name.replace("_", " ") for k, name in enumerate(plan.card.classes) if k and not there[k]]
        if missing:
            said.append(words.format(", ".join(missing)))
    return tuple(said)


def _probe_rows(dataset: Dataset, train: Slices, seed: int) -> Sequence[int]:
    """Rows of as many training people as there are validation people, at least one, chosen by the seed."""
    people, subject_of = dataset.subjects("train"), dataset.subject_of
    count = max(1, len(dataset.subjects("validation")))
    order = np.random.default_rng([0x7072, seed]).permutation(len(people))
    chosen = {people[i] for i in order[:count]}
    return [row for row, i in enumerate(train.ids) if subject_of[int(i)] in chosen]
