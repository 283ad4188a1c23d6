"""An old and a new model on the same people: is the new one better, not worse, or worse, and how sure is that?

Only people count whom neither model has been trained on. Each person is their own control: what is averaged is the
difference of their two Dice scores, with a 95 % interval over people.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thighview.core.split import TEST_FROM, TRAIN_SHARE, VALIDATION_SHARE
from thighview.core.student import FEWEST, t_975

MARGIN, LABEL_MARGIN = 0.02, 0.05
"""Drop of Dice, over all labels and of one label, that must lie outside the interval before it says "not worse"."""
DRAWS = 2000
VERDICTS = ("better", "not worse", "worse", "undecided", "too few")

Scores = Mapping[str, Mapping[str, float | None]]
"""Dice by person and label; None where neither truth nor model has the label."""


@dataclass(frozen=True)
class Paired:
    """Two models on one label, or on the mean of all (``label`` empty): means over people and their difference."""

    label: str
    people: int
    old: float
    new: float
    difference: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class PersonPair:
    """One person: the mean Dice over labels with the old and the new model."""

    subject: str
    old: float
    new: float

    @property
    def difference(self) -> float:
        """New minus old."""
        return self.new - self.old


@dataclass(frozen=True)
class Comparison:
    """What the gate says. ``people`` with the largest loss first; ``left_out`` were trained on by a model."""

    verdict: str
    sentence: str
    overall: Paired | None
    labels: tuple[Paired, ...]
    people: tuple[PersonPair, ...]
    left_out: tuple[str, ...]

    @property
    def pairs(self) -> tuple[Paired, ...]:
        """All labels together, and each."""
        return (self.overall, *self.labels) if self.overall else self.labels


def scores_of(result: Mapping[str, Any]) -> tuple[dict[str, dict[str, float | None]], set[str]]:
    """Dice by person and label, and who was trained on, from what ``thighview evaluate --json`` says."""
    scores = {
        str(person["id"]): {str(key): figures["dice"] for key, figures in person["labels"].items()}
        for person in result["subjects"]
    }
    return scores, {str(person["id"]) for person in result["subjects"] if person["seen_in_training"]}


def compare_models(old: Scores, new: Scores, trained_on: Collection[str] = (), locked: bool = True) -> Comparison:
    """Old against new on the people and labels that both have.

    A person without a label in the truth counts for it only where a model draws it: Dice 0 there, and 1 for the model
    that rightly draws nothing.

    Parameters
    ----------
    old, new : mapping
        Dice by person and label.
    trained_on : collection of str
        People who are left out.
    locked : bool
        Whether they are those of the locked test, for the words.
    """
    shared = [subject for subject in new if subject in old]
    subjects = [subject for subject in shared if subject not in trained_on]
    by_label: dict[str, dict[str, tuple[float, float]]] = {}
    for subject in subjects:
        for label, after in new[subject].items():
            if label not in old[subject]:
                continue
            before = old[subject][label]
            if before is not None or after is not None:
                pair = (1.0 if before is None else before, 1.0 if after is None else after)
                by_label.setdefault(label, {})[subject] = pair
    people: list[PersonPair] = []
    for subject in subjects:
        pairs = [row[subject] for row in by_label.values() if subject in row]
        if pairs:
            before, after = np.mean(np.array(pairs), axis=0)
            people.append(PersonPair(subject, float(before), float(after)))
    people.sort(key=lambda person: (person.difference, person.subject))
    overall = _paired("", [(p.old, p.new) for p in people]) if people else None
    labels = tuple(_paired(label, list(row.values())) for label, row in by_label.items())
    if overall is None and shared and not subjects:
        every = "the one person" if len(shared) == 1 else f"each of the {len(shared)} people"
        verdict, sentence = "too few", f"The gate cannot decide: {every} here trained one of the two models."
    elif overall is None and subjects:
        verdict, sentence = "too few", "The gate cannot decide: the two models have no label in common on these people."
    else:
        verdict, sentence = _judge(overall, labels, "locked " if locked else "")
    left_out = tuple(sorted(set(shared) & set(trained_on)))
    return Comparison(verdict, sentence, overall, labels, tuple(people), left_out)


def paired_interval(differences: Sequence[float], seed: int = 0, draws: int = DRAWS) -> tuple[float, float] | None:
    """95 % interval of the mean difference over people; None for fewer than ``FEWEST``.

    The standard error is that of the bootstrap over people, freed of its bias for few of them (times
    ``sqrt(n / (n - 1))``), and multiplied by the 97.5 % point of Student's t with n - 1 degrees: percentiles of the
    bootstrap itself are too narrow for a handful of people (T. Hesterberg, 2015, What teachers should know about the
    bootstrap, sections 4 and 5).
    """
    values = np.asarray(differences, np.float64)
    n = values.size
    if n < FEWEST:
        return None
    rng = np.random.default_rng([0x6761, seed])
    means = values[rng.integers(0, n, (draws, n))].mean(axis=1)
    half = t_975(n - 1) * float(means.std()) * float(np.sqrt(n / (n - 1)))
    middle = float(values.mean())
    return middle - half, middle + half


def points(value: float) -> str:
    """A difference of Dice in hundredths with its sign: ``+1.2``, ``−0.4``, ``0.0``."""
    text = f"{100 * value:+.1f}"
    return "0.0" if not float(text) else text.replace("-", "−")


def _paired(label: str, pairs: Sequence[tuple[float, float]]) -> Paired:
    old, new = np.array(pairs, np.float64).T
    interval = paired_interval((new - old).tolist())
    return Paired(label, len(pairs), float(old.mean()), float(new.mean()), float((new - old).mean()), interval)


def _judge(overall: Paired | None, labels: Sequence[Paired], kind: str) -> tuple[str, str]:
    if overall is None:
        enough = TEST_FROM + _people_for(FEWEST - 1)
        return "too few", (
            "The gate cannot decide: there is nobody to compare them on. The first person is locked away at "
            f"{TEST_FROM} people; {FEWEST}, as many as it needs, are at about {enough}."
        )
    people = f"{overall.people} {kind}{'person' if overall.people == 1 else 'people'}"
    if overall.interval is None:
        verb = "is" if overall.people == 1 else "are"
        more = f" With about {_people_for(FEWEST - overall.people)} more people it has them: one in 7 is locked away."
        said = f"The gate cannot decide: {people} {verb} too few, it needs {FEWEST}."
        return "too few", said + (more if kind else "")
    worst = min((one for one in labels if one.interval and one.interval[1] < 0), key=_difference, default=None)
    said = f"Dice {points(overall.difference)} points over all labels ({_range(overall)}, {people})"
    if overall.interval[1] < 0:
        return "worse", f"Worse: {said}."
    if worst:
        return "worse", f"Worse on {_name(worst)}: {points(worst.difference)} points ({_range(worst)}). {said}."
    wide = [one for one in labels if one.interval is None or one.interval[0] < -LABEL_MARGIN]
    if overall.interval[0] < -MARGIN:
        return "undecided", f"Too few {kind}people to say: {said}."
    if wide:
        names = ", ".join(_name(one) for one in sorted(wide, key=_lowest)[:3])
        more = f" and {len(wide) - 3} more" if len(wide) > 3 else ""
        return "undecided", f"Too few {kind}people to say for {names}{more}. {said}."
    if overall.interval[0] > 0:
        return "better", f"Better: {said}, and no label is worse."
    return "not worse", f"Not worse: {said}."


def _people_for(locked: int) -> int:
    """About how many people must be added until so many more are locked away."""
    return round(locked / (1 - TRAIN_SHARE - VALIDATION_SHARE))


def _difference(one: Paired) -> float:
    return one.difference


def _lowest(one: Paired) -> float:
    return one.interval[0] if one.interval else -1.0


def _range(one: Paired) -> str:
    low, high = one.interval or (0.0, 0.0)
    return f"95 % interval {points(low)} to {points(high)}"


def _name(one: Paired) -> str:
    return one.label.replace("_", " ")
