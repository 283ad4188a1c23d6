"""Studies: one training set trained anew several times, to ask what one training cannot tell.

K-fold and leave-one-out ask how well the method does on people it has not seen, each person scored once; a learning
curve asks whether more people would help. People of the locked test take no part. Nobody is on both sides of a
training, and whom a model that it starts from was trained on never validates (``core.leaks``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from thighview.core.errors import UserError
from thighview.core.fine_tuning import batch_parts, steps_of
from thighview.core.run import TrainConfig
from thighview.core.split import share_of

FOLDS, LEAVE_ONE_OUT, CURVE = "folds", "leave-one-out", "learning-curve"
KINDS = {FOLDS: "K-fold", LEAVE_ONE_OUT: "leave one person out", CURVE: "learning curve"}
"""What can be asked, and its name."""
USUAL_FOLDS, MOST_TRAININGS = 5, 1000
LOOKED_AT = 1 / 3
"""Time of a slice that is only looked at, in slices that are learnt from: forward alone, not twice as much back."""
_MOST_EPOCHS = next(int(f.metadata["high"]) for f in fields(TrainConfig) if f.name == "epochs")


@dataclass(frozen=True)
class Cohort:
    """The people a study may use, in the order in which the project's salt deals them; nobody of the locked test.

    ``parts`` are those of the project, ``slices`` the reviewed slices of each. ``known`` never validate.
    """

    order: tuple[str, ...]
    parts: Mapping[str, str]
    slices: Mapping[str, int]
    known: frozenset[str] = frozenset()

    @property
    def fresh(self) -> tuple[str, ...]:
        """Those who may validate."""
        return tuple(person for person in self.order if person not in self.known)


@dataclass(frozen=True)
class Retraining:
    """One training of a study: on whom, scored on whom, for how many epochs; ``draw`` counts subsets of one size."""

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    epochs: int
    draw: int = 1


def dealt(people: Iterable[str], salt: bytes) -> tuple[str, ...]:
    """People in an order that only the project's salt decides: the same whenever it is asked for."""
    return tuple(sorted(people, key=lambda person: (share_of(person, salt, "study"), person)))


def plan(kind: str, cohort: Cohort, config: TrainConfig, count: int = 0) -> tuple[Retraining, ...]:
    """The trainings of a study, in the order in which they are made.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.
    cohort : Cohort
    config : TrainConfig
        Its epochs are those of a training on everybody.
    count : int
        Folds, or trainings of a learning curve; 0 for the usual number. Leave-one-out needs none.

    Raises
    ------
    UserError
        When there are too few people, or the number asked for does not fit them.
    """
    if kind == CURVE:
        return _curve(cohort, config, count)
    fresh = len(cohort.fresh)
    _need_people(cohort, 2)
    folds = fresh if kind == LEAVE_ONE_OUT else count or min(USUAL_FOLDS, fresh)
    if not 2 <= folds <= min(fresh, MOST_TRAININGS):
        raise UserError(f"{folds} folds do not fit {fresh} people.", f"Choose 2 to {min(fresh, MOST_TRAININGS)} folds.")
    held = [cohort.fresh[number::folds] for number in range(folds)]
    return tuple(
        Retraining(f"{number:02d}", _sorted(set(cohort.order) - set(some)), _sorted(some), config.epochs)
        for number, some in enumerate(held, 1)
    )


def curve_sizes(people: int) -> list[int]:
    """1, 2, 4, 8, ... and the number of people itself."""
    return [*(1 << k for k in range(max(0, people - 1).bit_length())), people] if people else []


def curve_pool(cohort: Cohort) -> tuple[str, ...]:
    """Who is drawn from in a learning curve: everybody who does not validate in the project, as dealt."""
    return tuple(person for person in cohort.order if cohort.parts[person] != "validation")


def most_trainings(cohort: Cohort) -> int:
    """Trainings of the largest learning curve: as many draws of each size as there are people, and one of all."""
    pool = len(curve_pool(cohort))
    return min(MOST_TRAININGS, pool * (len(curve_sizes(pool)) - 1) + 1)


def _curve(cohort: Cohort, config: TrainConfig, count: int) -> tuple[Retraining, ...]:
    """Nested subsets of the training people, scored on the project's validation people, with equally many steps.

    Draw d takes the people from a place of its own in the dealt order on, round about: within a draw each subset holds
    the one before; small subsets of different draws share nobody as long as there are people enough.
    """
    pool = curve_pool(cohort)
    validating = _sorted(p for p in cohort.fresh if cohort.parts[p] == "validation")
    if not validating:
        known = any(cohort.parts[p] == "validation" for p in cohort.order)
        raise UserError(
            "Nobody can validate: the model to start from was trained on them." if known else
            "A learning curve needs a person who validates.",
            "Start from random weights." if known else "Review slices of more people: from 3 on, one validates.",
        )  # fmt: skip
    if len(pool) < 2:
        raise UserError("A learning curve needs 2 people to train on.", "Review slices of another person.")
    sizes, most = curve_sizes(len(pool)), most_trainings(cohort)
    count = count or min(most, 2 * len(sizes) - 1)
    if not 2 <= count <= most:
        raise UserError(f"{count} trainings do not make this learning curve.", f"Choose 2 to {most}.")
    sizes = sizes[-count:]  # the right end tells whether more would help
    draws = _draws(sizes, count, len(pool))
    offsets = [draw * len(pool) // max(draws.values()) for draw in range(max(draws.values()))]
    total = config.epochs * steps_of(sum(cohort.slices[p] for p in pool), config)
    made: list[Retraining] = []
    for draw, offset in enumerate(offsets, 1):
        turned = pool[offset:] + pool[:offset]
        for size in (n for n in sizes if draws[n] >= draw):
            steps = steps_of(sum(cohort.slices[p] for p in turned[:size]), config)
            epochs = min(_MOST_EPOCHS, max(1, round(total / steps)))
            name = f"{len(made) + 1:02d}"
            made.append(Retraining(name, _sorted(turned[:size]), validating, epochs, draw))
    return tuple(made)


def _draws(sizes: Sequence[int], count: int, people: int) -> dict[int, int]:
    """Draws of each size: one each, and what is left in turns from the smallest on; of everybody there is one."""
    draws = dict.fromkeys(sizes, 1)
    several = [size for size in sizes if size < people]
    left = count - len(sizes)
    while left > 0:
        for size in several[:left]:
            draws[size] += 1
        left -= len(several)
    return draws


def work_of(one: Retraining, slices: Mapping[str, int], config: TrainConfig) -> float:
    """How much a training has to do, in slices that are learnt from."""
    learnt = sum(slices[person] for person in one.train)
    return one.epochs * work_of_epoch(learnt, sum(slices[person] for person in one.validation), config)


def work_of_epoch(learnt: int, seen: int, config: TrainConfig) -> float:
    """How much an epoch has to do that learns from so many slices, in whole batches, and looks at so many others."""
    own, replayed = batch_parts(config.batch_size, max(1, learnt), config.replay)
    return steps_of(learnt, config) * (own + replayed) + LOOKED_AT * seen


def _need_people(cohort: Cohort, least: int) -> None:
    if len(cohort.fresh) >= least:
        return
    why = f"; the model to start from was trained on {len(cohort.known)} of them" if cohort.known else ""
    raise UserError(
        f"Of {len(cohort.order)} people outside the locked test, {len(cohort.fresh)} can validate{why}.",
        "Start from random weights." if cohort.known else "Review slices of more people.",
    )


def _sorted(people: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(people))
