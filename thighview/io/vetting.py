"""A frozen set is vetted once, before its first step: is one person on both sides of the split?

Done by the process that trains, for every scan has to be read. What it finds is written into ``dataset.json``, so
that a run that goes on has the set it began with. The split of the project itself stays as it is.
"""

from dataclasses import replace

from thighview.core.errors import UserError
from thighview.core.fingerprint import Fingerprint
from thighview.core.leaks import ledger_of, listed, slices_on_both_sides
from thighview.core.twins import twin_sentences, twins
from thighview.io.dataset import Dataset, add_stand_ins, read_dataset, update_dataset
from thighview.io.fingerprints import take_fingerprints
from thighview.io.models import ModelEntry
from thighview.io.runs import RunFolder


def vetted_dataset(run: RunFolder, parent: ModelEntry | None = None) -> Dataset:
    """The frozen set of a run, as it holds for a network that starts from ``parent``.

    Every scan has its fingerprint; whom the parent or an ancestor of it was trained on neither validates nor tests;
    the note says so, and who may be one person under two names.

    Raises
    ------
    UserError
        When the set is missing, damaged, from a newer program, or cannot be written, or ``parent`` is another model
        than at its first step.
    """
    dataset = read_dataset(run)
    if dataset.vetted:
        need_same_start(run, dataset, parent)
        return dataset
    dataset = _with_fingerprints(run, dataset)
    said = twin_sentences(twins(dataset.cases))
    if parent:
        dataset = without_leaks(dataset, parent)
    both = slices_on_both_sides(dataset)
    note = _joined(dataset.note, both, *said)
    dataset = replace(dataset, note=note, vetted=True, begun_with=_weights_of(parent))
    update_dataset(run, dataset)
    return dataset


def vetted_set(study: RunFolder, parent: ModelEntry | None = None) -> Dataset:
    """The frozen set of a study with the fingerprint of every scan, once and for all; who leaks its plan decides."""
    dataset = read_dataset(study)
    if dataset.vetted:
        need_same_start(study, dataset, parent)
        return dataset
    dataset = replace(_with_fingerprints(study, dataset), vetted=True, begun_with=_weights_of(parent))
    update_dataset(study, dataset)
    return dataset


def need_same_start(run: RunFolder, dataset: Dataset, parent: ModelEntry | None) -> None:
    """A run goes on, and is measured, with the model it began with alone: pixels and labels are that model's.

    Raises
    ------
    UserError
        When ``parent``, which lies in its place now, has other weights.
    """
    if dataset.begun_with and parent and parent.card.weights_sha256 != dataset.begun_with:
        raise UserError(
            f"The model {parent.card.name} is not the one that {run.name!r} began with: its weights are others now.",
            "Put that model back in its place, or start a new run.",
        )


def _weights_of(parent: ModelEntry | None) -> str:
    return parent.card.weights_sha256 if parent else ""


def without_leaks(dataset: Dataset, parent: ModelEntry) -> Dataset:
    """The set without the validation and test people whom a model, or one it comes from, was trained on.

    Their cases keep their part and say why they are ``left_out``; where nobody is left to validate, made-up people
    do, if the labels allow.
    """
    ledger = ledger_of(parent.card.lineage, parent.card.split)
    held = [case for case in dataset.cases if case.part in ("validation", "test")]
    people = ledger.people(held)
    if not people:
        return dataset
    reason = f"{parent.card.name}, or a model it comes from, was trained on this person"
    cases = tuple(replace(c, left_out=reason) if c.subject in people and c in held else c for c in dataset.cases)
    gone = {case.case_id for case in cases if case.left_out}
    kept = [s for s in dataset.slices if s.case_id not in gone]
    slices = [replace(s, id=number) for number, s in enumerate(kept, 1)]
    phantoms, first = list(dataset.phantoms), list[str]()
    if not any(s.part == "validation" for s in slices):
        phantoms, first = add_stand_ins(dataset.labels, slices)
    said = [
        f"{listed(names)} {'does' if len(names) == 1 else 'do'} not count as {part} in this run: {parent.card.name}, or"
        f" a model it comes from, was trained on {'that person' if len(names) == 1 else 'them'}"
        for part in ("validation", "test")
        if (names := sorted({case.subject for case in cases if case.left_out and case.part == part}))
    ]
    note = _joined(*first, dataset.note, *said)
    return replace(dataset, cases=cases, phantoms=tuple(phantoms), slices=tuple(slices), note=note)


def _with_fingerprints(run: RunFolder, dataset: Dataset) -> Dataset:
    """The set with the fingerprint of every scan that can be read."""
    prints = take_fingerprints(run.project, [(case.key, case.sha256) for case in dataset.cases])
    cases = [(case, prints.get(case.sha256, Fingerprint())) for case in dataset.cases]
    return replace(dataset, cases=tuple(replace(c, content=p.content, look=p.look) for c, p in cases))


def _joined(*sentences: str) -> str:
    return "; ".join(filter(None, sentences))
