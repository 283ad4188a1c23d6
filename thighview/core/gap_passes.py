"""From the sums of an epoch's passes to the gap between training and validation, metric by metric."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from thighview.core.gap import Gap, decompose
from thighview.core.run import PersonScores, Scores
from thighview.core.sums import Sums, learning_scores, mean_scores, person_scores, seed_scores

METRICS = ("loss", "accuracy", "dice")
LEARNING, END_OF_EPOCH, INFERENCE, TRAIN, VAL = "learning", "end_of_epoch", "inference", "train", "val"
"""Names of the passes, as in the run's table.

``learning``: each slice as it was when it was learnt from. The others are at the weights of the epoch's end:
``end_of_epoch`` the same distorted images with dropout on, ``inference`` the same with dropout off, ``train`` the
slices as they are, ``val`` the validation slices.
"""


def gaps_of(
    passes: Mapping[str, Sums], subjects: Mapping[int, str], kind: str, batch_size: int, seed_metrics: bool = False,
    made_up: bool = False, seed: int = 0,
) -> tuple[Gap, ...]:  # fmt: skip
    """Why validation and training read differently after an epoch; one gap for each metric all passes have.

    Parameters
    ----------
    passes : mapping of str to Sums
        All five of the module's names. ``end_of_epoch``, ``inference`` and ``train`` hold each probed slice once;
        ``learning`` may hold others, too, which are left out, and some slices twice, which are counted twice.
    subjects : mapping of slice id to subject
    kind : str
        The loss.
    batch_size : int
        Slices per step: metrics of the seed's kind are taken batch by batch.
    seed_metrics : bool
        Whether both reported numbers are the seed's (see :func:`core.sums.seed_scores`); otherwise the training number
        is that of :func:`core.sums.learning_scores` and the validation number the honest one.
    made_up : bool
        Whether validation is phantoms.
    seed : int
        Of the bootstrap.
    """
    place = {int(i): row for row, i in enumerate(passes[TRAIN].ids)}
    probed = np.array([int(i) in place for i in passes[LEARNING].ids], bool)
    learning = passes[LEARNING].chosen(probed)
    rows = np.array([place[int(i)] for i in learning.ids], np.intp)
    steps = (np.arange(rows.size) // batch_size).astype(np.int32)
    seen = [learning, *(passes[name].chosen(rows) for name in (END_OF_EPOCH, INFERENCE, TRAIN))]

    def lumped(sums: Sums) -> Scores:
        return seed_scores(sums) if seed_metrics else learning_scores(sums, subjects, kind)

    reported = [lumped(replace(sums, steps=steps)) for sums in seen]
    honest = [mean_scores(passes[name], subjects, kind) for name in (TRAIN, VAL)]
    values = [*reported, *honest, seed_scores(passes[VAL]) if seed_metrics else honest[1]]
    people = [person_scores(passes[name], subjects, kind) for name in (TRAIN, VAL)]
    leaked = len({subjects[int(i)] for i in passes[LEARNING].ids} & {person.subject for person in people[1]})
    gaps: list[Gap] = []
    for metric in METRICS:
        numbers = [getattr(scores, metric) for scores in values]
        own = [[v for person in part if (v := _own(person, metric)) is not None] for part in people]
        if all(number is not None for number in numbers) and all(own):
            gaps.append(decompose(metric, numbers, own[0], own[1], leaked, seed, made_up))
    return tuple(gaps)


def _own(person: PersonScores, metric: str) -> float | None:
    return person.mean_dice if metric == "dice" else getattr(person, metric)
