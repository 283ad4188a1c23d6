"""People judged by networks that were never trained on them: are some harder by themselves?"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
from keras import ops as keras_ops

from thighview.core.errors import UserError
from thighview.core.gap_passes import Judged
from thighview.core.leaks import is_told, ledger_of
from thighview.core.run import PersonScores, TrainConfig
from thighview.core.studies import CURVE
from thighview.core.study_results import RetrainingEnded
from thighview.core.sums import person_scores
from thighview.engine.batches import MeasureBatches, Slices
from thighview.engine.learner import Learner
from thighview.engine.loading import load_slices
from thighview.engine.memory import Room
from thighview.engine.predict import load_network
from thighview.engine.starting import Plan
from thighview.io.dataset import Dataset
from thighview.io.models import ModelEntry
from thighview.io.runs import EventTail, RunFolder
from thighview.io.studies import read_study, study_folders

ops: Any = keras_ops
_BATCH = 4


def judged_by_folds(
    project: Path, labels: Sequence[str], loss: str, train: set[str], validation: set[str]
) -> Judged | None:
    """What each person got in a study of the project from the one training that had left them out, the latest first.

    None where no study in folds with these labels and this loss has scored all of them.
    """
    for folder in reversed(study_folders(project)):
        try:
            study = read_study(folder)
        except UserError:  # damaged, or of a newer program: it tells nothing
            continue
        if study.kind == CURVE or study.config.loss != loss:
            continue
        ended = [e for e in EventTail(folder.events).read_all() if isinstance(e, RetrainingEnded)]
        found = {p.subject: p for e in ended if tuple(e.labels) == tuple(labels) for p in e.val_people}
        if train | validation <= found.keys():
            groups = ([found[name] for name in sorted(names)] for names in (train, validation))
            return Judged(f"the networks of the study “{folder.name}”", *groups)
    return None


def find_judge(plan: Plan, dataset: Dataset, compared: set[str], models: Sequence[ModelEntry]) -> ModelEntry | None:
    """The first model that knows all labels of a run and was trained on none of the people it compares.

    One whose own training is not known (an imported file, or one that started from such) is no judge.
    """
    cases = [case for case in dataset.cases if case.subject in compared]
    for entry in models:
        card = entry.card
        ledger = ledger_of(card.lineage, card.split)
        seen = ledger.people(cases) | {name for name in compared if ledger.knows(name)}
        if entry.card.name != plan.card.name and is_told(card.lineage) and _knows(card.classes, plan) and not seen:
            return entry
    return None


def judged_by(entry: ModelEntry, run: RunFolder, dataset: Dataset, plan: Plan) -> Judged:
    """What a model gets from the probed training people and the validation people of a run.

    Its slices are prepared as it wants them; labels that the run does not learn count as background.

    Raises
    ------
    UserError
        When it does not fit the scans, or one of these is gone.
    """
    card = entry.card
    wanted = {"spacing_mm": card.spacing_mm, "input_size": card.input_size, "levels": card.levels}
    config = TrainConfig.from_json(plan.config.to_json() | wanted)
    own = replace(plan, config=config, card=replace(plan.card, normalisation=card.normalisation))
    loaded = load_slices(run, dataset, own, lambda _line: None)
    assert loaded.val is not None
    learner = answering(entry, plan.card.classes, config.loss, max(len(loaded.probe), len(loaded.val)))
    learner.at_once = Room(run, _BATCH).at_once  # as few as the run had to take

    def people(slices: Slices) -> list[PersonScores]:
        sums = learner.measure(MeasureBatches(slices, _BATCH, learner.slice_table.spare))
        return person_scores(sums, dataset.subject_of, config.loss)

    return Judged(card.name, people(loaded.probe), people(loaded.val))


def answering(entry: ModelEntry, classes: Sequence[str], loss: str, slots: int) -> Learner:
    """The network of a model with its own head, to be measured on the classes of a run, all of which it knows.

    Parameters
    ----------
    entry : ModelEntry
    classes : sequence of str
        Of the run, the background first; what the model knows beyond these is background.
    loss : str
        Kind of loss, as of ``Learner``.
    slots : int
        Slices of the longest pass.
    """
    network = _same_classes(load_network(entry.folder)[0], entry.card.classes, classes)
    learner = Learner(network, loss, slots, len(classes))
    learner.compile()
    return learner


def _knows(classes: Sequence[str], plan: Plan) -> bool:
    return set(plan.card.classes) <= set(classes)


def _same_classes(network: keras.Model, classes: Sequence[str], wanted: Sequence[str]) -> keras.Model:
    """The network with the classes of a run in their order; all it knows beyond these is background.

    Probabilities of classes that become one are added: their logits by logsumexp.
    """
    if list(classes) == list(wanted):
        return network
    logits = network.outputs[0]
    others = [i for i, name in enumerate(classes) if name not in wanted[1:]]
    background = ops.logsumexp(ops.take(logits, others, axis=-1), axis=-1, keepdims=True)
    kept = ops.take(logits, [classes.index(name) for name in wanted[1:]], axis=-1)
    return keras.Model(network.inputs, ops.concatenate([background, kept], axis=-1))
