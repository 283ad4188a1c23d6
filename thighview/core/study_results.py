"""What a study says while it goes on, and what its trainings add up to.

Scores are those of the last epoch of each training: nothing is chosen on the people scored, so nothing flatters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import variance
from typing import ClassVar

from thighview.core.people import mean_of, score_of
from thighview.core.run import PersonScores, RunEvent
from thighview.core.student import interval_about, mean_interval
from thighview.core.studies import Retraining

FEWEST_DEGREES = 2
"""Degrees of freedom (draws beyond the first of each size) from which on it is told how much trainings differ."""


@dataclass(frozen=True)
class StudyStarted(RunEvent):
    """Its plan is written; ``first`` is the number of the training that comes next, ``note`` what to know."""

    EVENT: ClassVar[str] = "study_started"
    kind: str
    trainings: int
    first: int
    note: str = ""


@dataclass(frozen=True)
class StudyMoved(RunEvent):
    """How far it is: training ``number`` (from 1) is at ``epoch``; ``share`` of all work is done, 0 to 1.

    ``seconds_left`` is for the whole study; None while nothing has been timed.
    """

    EVENT: ClassVar[str] = "study_moved"
    number: int
    epoch: int
    epochs: int
    share: float
    seconds_left: float | None = None


@dataclass(frozen=True)
class RetrainingEnded(RunEvent):
    """One training is done: the people who validated, and training people measured alike, at its last epoch."""

    EVENT: ClassVar[str] = "retraining_ended"
    number: int
    seconds: float
    labels: tuple[str, ...] = ()
    train_people: tuple[PersonScores, ...] = ()
    val_people: tuple[PersonScores, ...] = ()


@dataclass(frozen=True)
class StudyEnded(RunEvent):
    """All trainings are done, or somebody stopped it."""

    EVENT: ClassVar[str] = "study_ended"
    stopped: bool


Results = Mapping[int, RetrainingEnded]
"""What has ended, by number (from 1) of the training in the plan."""


@dataclass(frozen=True)
class Mean:
    """A mean over people with its 95 % interval (None for fewer than two), and each person's own value."""

    mean: float
    interval: tuple[float, float] | None
    people: Mapping[str, float]


@dataclass(frozen=True)
class CurvePoint:
    """A metric after training on ``n`` people: over the people who validate, each one's mean over the draws.

    ``draws`` has the mean over people of each draw, ``train`` that over the training people measured.
    """

    n: int
    val: Mean
    draws: tuple[float, ...]
    train: float | None


def mean_of_people(people: Mapping[str, float]) -> Mean | None:
    """The mean over people; None of nobody."""
    values = list(people.values())
    return Mean(sum(values) / len(values), mean_interval(values), people) if values else None


def pooled(results: Results, metric: str, label: int | None = None) -> Mean | None:
    """The mean over everybody who validated in any fold, each person once.

    The trainings of two folds share people, so the interval is a little too narrow; there is no unbiased estimate of
    how much (Bengio and Grandvalet 2004).
    """
    people = [person for _, result in sorted(results.items()) for person in result.val_people]
    return mean_of_people(_values(people, metric, label))


def curve_points(
    plan: Sequence[Retraining], results: Results, metric: str, label: int | None = None
) -> list[CurvePoint]:
    """A learning curve as far as it has come, smallest number of people first."""
    of_size: dict[int, list[RetrainingEnded]] = {}
    for number, one in enumerate(plan, 1):
        if number in results:
            of_size.setdefault(len(one.train), []).append(results[number])
    points: list[CurvePoint] = []
    for n, ended in sorted(of_size.items()):
        each = [_values(one.val_people, metric, label) for one in ended]
        names = dict.fromkeys(name for values in each for name in values)
        means = {name: _mean([values[name] for values in each if name in values]) for name in names}
        whole = mean_of_people(means)
        if whole is not None:
            trained = [v for one in ended if (v := mean_of(one.train_people, metric, label)) is not None]
            draws = tuple(_mean(list(values.values())) for values in each if values)
            points.append(CurvePoint(n, whole, draws, _mean(trained) if trained else None))
    return points


def training_noise(points: Sequence[CurvePoint]) -> tuple[float, int]:
    """How much trainings of one size differ: variance of a draw's mean, pooled over the sizes, and its degrees.

    It holds chance of the training and of who was drawn. ``(0.0, 0)`` where no size was drawn twice.
    """
    several = [point.draws for point in points if len(point.draws) > 1]
    degrees = sum(len(draws) - 1 for draws in several)
    squares = sum((value - _mean(draws)) ** 2 for draws in several for value in draws)
    return (squares / degrees if degrees else 0.0), degrees


def last_gain(points: Sequence[CurvePoint]) -> Mean | None:
    """What the last step of a learning curve brought, person by person on the same people; None without two points.

    Chance in a training moves everybody who validates alike, so their differences do not show it: its interval holds
    that of the mean over people and that of the draws behind both points (:func:`training_noise`). It is None for
    fewer than two people, and while fewer than ``FEWEST_DEGREES`` tell how trainings differ.
    """
    if len(points) < 2:
        return None
    before, after = points[-2].val.people, points[-1].val.people
    gain = mean_of_people({name: value - before[name] for name, value in after.items() if name in before})
    if gain is None:
        return None
    noise, degrees = training_noise(points)
    people = list(gain.people.values())
    if len(people) < 2 or degrees < FEWEST_DEGREES:
        return replace(gain, interval=None)
    of_people = variance(people) / len(people)
    of_draws = noise * sum(1 / len(point.draws) for point in points[-2:])
    both = [(of_people, len(people) - 1), (of_draws, degrees)]
    return replace(gain, interval=interval_about(gain.mean, both))


def _values(people: Sequence[PersonScores], metric: str, label: int | None) -> dict[str, float]:
    return {p.subject: value for p in people if (value := score_of(p, metric, label)) is not None}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
