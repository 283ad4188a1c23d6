"""From the sums of an epoch's passes to the gap between training and validation, metric by metric."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thighview.core.gap import Gap, decompose, with_difficulty, with_selection
from thighview.core.people import mean_of, score_of, values_of
from thighview.core.run import PersonScores, Scores
from thighview.core.sums import Sums, label_learning_scores, learning_scores, person_scores, seed_scores

METRICS = ("loss", "accuracy", "dice")
LEARNING, END_OF_EPOCH, INFERENCE, TRAIN, VAL = "learning", "end_of_epoch", "inference", "train", "val"
"""Names of the passes, as in the run's table.

``learning``: each slice as it was when it was learnt from. The others are at the weights of the epoch's end:
``end_of_epoch`` the same distorted images with dropout on, ``inference`` the same with dropout off, ``train`` the
slices as they are, ``val`` the validation slices.
"""
OWN = {END_OF_EPOCH: "own_end_of_epoch", INFERENCE: "own_inference", TRAIN: "own_train"}
"""The same passes with the network's own weights, of a run whose other passes are made with averaged ones."""
People = Sequence[PersonScores]


@dataclass(frozen=True)
class Judged:
    """What an independent network, by its name, gets from the people that a gap compares."""

    judge: str
    train: People
    val: People


def gaps_of(
    passes: Mapping[str, Sums], subjects: Mapping[int, str], kind: str, batch_size: int, seed_metrics: bool = False,
    made_up: bool = False, label: int | None = None,
) -> tuple[Gap, ...]:  # fmt: skip
    """Why validation and training read differently after an epoch; one gap for each metric all passes have.

    Parameters
    ----------
    passes : mapping of str to Sums
        All five of the module's names. ``end_of_epoch``, ``inference`` and ``train`` hold each probed slice once;
        ``learning`` may hold others, too, which are left out, and some slices twice, which are counted twice. With all
        three of ``OWN``, the gap has its part ``ema``.
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
    label : int, optional
        The place of one label, from 0; its Dice, its accuracy and its cross-entropy as in
        :class:`core.run.PersonScores`. None: all labels together.
    """
    place = {int(i): row for row, i in enumerate(passes[TRAIN].ids)}
    probed = np.array([int(i) in place for i in passes[LEARNING].ids], bool)
    learning = passes[LEARNING].chosen(probed)
    rows = np.array([place[int(i)] for i in learning.ids], np.intp)
    steps = (np.arange(rows.size) // batch_size).astype(np.int32)
    averaged = all(name in passes for name in OWN.values())
    own = OWN if averaged else {}
    names = [own.get(name, name) for name in (END_OF_EPOCH, INFERENCE, TRAIN)] + [TRAIN] * averaged
    seen = [learning, *(passes[name].chosen(rows) for name in names)]

    def lumped(sums: Sums) -> Scores:
        if seed_metrics:
            return seed_scores(sums)
        if label is not None:
            return label_learning_scores(sums, subjects, kind, label)
        return learning_scores(sums, subjects, kind)

    reported = [lumped(replace(sums, steps=steps)) for sums in seen]
    people = [person_scores(passes[name], subjects, kind) for name in (TRAIN, VAL)]
    last = seed_scores(passes[VAL]) if seed_metrics else None
    leaked = len({subjects[int(i)] for i in passes[LEARNING].ids} & {person.subject for person in people[1]})
    gaps: list[Gap] = []
    for metric in METRICS:
        honest = [mean_of(part, metric, label) for part in people]
        numbers = [getattr(scores, metric) for scores in reported] + honest
        numbers.append(getattr(last, metric) if last else honest[1])
        values = [values_of(part, metric, label) for part in people]
        if all(number is not None and math.isfinite(number) for number in numbers) and all(values):
            gaps.append(decompose(metric, numbers, values[0], values[1], leaked, made_up))
    return tuple(gaps)


def label_gaps_of(
    passes: Mapping[str, Sums], subjects: Mapping[int, str], kind: str, labels: Sequence[str], made_up: bool = False,
) -> tuple[Gap, ...]:  # fmt: skip
    """:func:`gaps_of` for each label by itself, each gap with the name of its label; ``labels`` in their order."""
    return tuple(
        replace(gap, label=name)
        for place, name in enumerate(labels)
        for gap in gaps_of(passes, subjects, kind, 1, made_up=made_up, label=place)
    )


def in_full(
    gap: Gap, train: People, val: People, without: People, judged: Judged | None,
    label: int | None = None,
) -> Gap:  # fmt: skip
    """A gap with the parts that take more than its own passes.

    Parameters
    ----------
    gap : Gap
        Of :func:`gaps_of`.
    train, val : sequence of PersonScores
        The people it compares, at its epoch.
    without : sequence of PersonScores
        Where the epoch of the gap was chosen as the best, who validated, each at the epoch chosen without them
        (:func:`core.selection.unchosen`); else empty.
    judged : Judged, optional
        The same people, judged by a network that never saw them.
    label
        As for :func:`gaps_of`.
    """
    values = [values_of(part, gap.metric, label) for part in (train, val)]
    other = {p.subject: value for p in without if (value := score_of(p, gap.metric, label)) is not None}
    if other:  # the same people on both sides: one who has a value at one epoch only tells of no luck
        own = {p.subject: value for p in val if (value := score_of(p, gap.metric, label)) is not None}
        gap = with_selection(gap, values[0], values[1], [other.get(name, own[name]) for name in own])
    if judged is not None:
        theirs: list[list[float]] = []
        for people, seen in ((train, judged.train), (val, judged.val)):  # of nobody whom the gap does not compare
            compared = {p.subject for p in people if score_of(p, gap.metric, label) is not None}
            theirs.append(values_of([p for p in seen if p.subject in compared], gap.metric, label))
        if all(theirs):
            gap = with_difficulty(gap, theirs[0], theirs[1], judged.judge)
    return gap
