"""A frozen set is vetted once, before its first step: is one person on both sides of the split?

Done by the process that trains, for every scan has to be read. What it finds is written into ``dataset.json``, so
that a run that goes on has the set it began with.
"""

from dataclasses import replace

from thighview.core.fingerprint import Fingerprint
from thighview.core.twins import twin_sentences, twins
from thighview.io.dataset import Dataset, read_dataset, write_dataset
from thighview.io.fingerprints import take_fingerprints
from thighview.io.runs import RunFolder, read_json


def vetted_dataset(run: RunFolder) -> Dataset:
    """The frozen set of a run, with fingerprints of its scans and what is to be said about people who are one.

    Raises
    ------
    UserError
        When the set is missing, damaged, from a newer program, or cannot be written.
    """
    dataset = read_dataset(run)
    if dataset.vetted:
        return dataset
    dataset = with_fingerprints(run, dataset)
    said = twin_sentences(twins(dataset.cases))
    dataset = replace(dataset, note="; ".join(filter(None, (dataset.note, *said))), vetted=True)
    write_dataset(run, dataset, str(read_json(run.dataset).get("project", "")))
    return dataset


def with_fingerprints(run: RunFolder, dataset: Dataset) -> Dataset:
    """The set with the fingerprint of every scan that can be read."""
    prints = take_fingerprints(run.project, [(case.source, case.sha256) for case in dataset.cases])
    cases = [(case, prints.get(case.sha256, Fingerprint())) for case in dataset.cases]
    return replace(dataset, cases=tuple(replace(c, content=p.content, look=p.look) for c, p in cases))
