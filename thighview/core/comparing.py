"""An old and a new model on the same people: is the new one better, not worse, or worse, and how sure is that?

Only people count whom neither model has been trained on. Each person is their own control: what is averaged is the
difference of their two Dice scores, with a 95 % interval over people.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from thighview.core.split import TEST_FROM, TRAIN_SHARE, VALIDATION_SHARE
from thighview.core.student import FEWEST, t_975, t_point

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
    """What the gate says. ``people`` with the largest loss first; ``left_out`` are those who are not new to a model.

    ``lost`` are labels that the old model draws and the new one does not know.
    """

    verdict: str
    sentence: str
    overall: Paired | None
    labels: tuple[Paired, ...]
    people: tuple[PersonPair, ...]
    left_out: tuple[str, ...]
    lost: tuple[str, ...] = ()

    @property
    def pairs(self) -> tuple[Paired, ...]:
        """All labels together, and each."""
        return (self.overall, *self.labels) if self.overall else self.labels


def scores_of(result: Mapping[str, Any], chosen: bool = True) -> tuple[dict[str, dict[str, float | None]], set[str]]:
    """Dice by person and label, and who is not new to it, from what ``thighview evaluate --json`` says.

    Those are the people it, or a model it comes from, was trained on or, with ``chosen``, whose scores chose its best
    epoch.
    """
    scores = {
        str(person["id"]): {str(key): figures["dice"] for key, figures in person["labels"].items()}
        for person in result["subjects"]
    }
    known = [row for row in result["subjects"] if row["seen_in_training"] or (chosen and row.get("chosen_on"))]
    return scores, {str(person["id"]) for person in known}


def paired_scores(
    new: Mapping[str, Any], old: Mapping[str, Any], chosen: bool = True
) -> tuple[Scores, Scores, set[str]]:
    """Old and new scores of two results on the same cases, and who is not new to one of both.

    Where one of several cases of a person has a label for one model alone, the other rightly drew nothing there: 1 for
    that case, before the mean over their cases is taken.
    """
    (after, seen), (before, also) = scores_of(new, chosen), scores_of(old, chosen)
    later, earlier = ({str(row["id"]): row.get("by_case", []) for row in result["subjects"]} for result in (new, old))
    for subject in after.keys() & before.keys():
        cases = list(zip(later[subject], earlier[subject], strict=False))
        for label in after[subject].keys() & before[subject].keys():
            both = [(a[label], b[label]) for a, b in cases if label in a and label in b]
            drawn = [pair for pair in both if pair != (None, None)]
            if drawn:
                for scores, values in zip((after, before), zip(*drawn, strict=True), strict=True):
                    scores[subject][label] = fmean(1.0 if value is None else value for value in values)
    return before, after, seen | also


def untold(*results: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the models whose cards do not tell whom they, or one they come from, were trained on."""
    return tuple(str(result["model"]) for result in results if not result.get("training_told", True))


def compare_models(
    old: Scores, new: Scores, trained_on: Collection[str] = (), locked: bool = True, untold: Sequence[str] = ()
) -> Comparison:
    """Old against new on the people and labels that both have; a label that the new one has lost is told.

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
    untold : sequence of str
        Models of whom it is not known whom they were trained on.
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
        verdict, sentence = (
            "too few",
            f"The gate cannot decide: {every} here trained one of the two models, or chose its best epoch.",
        )
    elif overall is None and subjects:
        verdict, sentence = "too few", "The gate cannot decide: the two models have no label in common on these people."
    else:
        verdict, sentence = _judge(overall, labels, "locked " if locked else "")
    known = {label for subject in subjects for label in new[subject]}
    had = [label for subject in subjects for label, dice in old[subject].items() if dice is not None]
    lost = tuple(dict.fromkeys(label for label in had if label not in known))
    if lost:
        verdict = "undecided" if verdict in ("better", "not worse") else verdict
        sentence = f"It no longer draws {_listed(lost)}, as the old model does. On what both draw: {sentence}"
    if untold and overall:
        names = " and ".join(untold)
        sentence += f" Whom {names} trained on is not known: these people may be among them, and the score flatter."
    left_out = tuple(sorted(set(shared) & set(trained_on)))
    return Comparison(verdict, sentence, overall, labels, tuple(people), left_out, lost)


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
    lower = sorted((one for one in labels if one.interval and one.interval[1] < 0), key=_difference)
    worst = next((one for one in lower if _is_sure(one, len(labels))), None)
    said = f"Dice {points(overall.difference)} points over all labels ({_range(overall)}, {people})"
    if overall.interval[1] < 0:
        return "worse", f"Worse: {said}."
    if worst:
        return "worse", f"Worse on {_name(worst)}: {points(worst.difference)} points ({_range(worst)}). {said}."
    wide = [one for one in labels if one.interval is None or one.interval[0] < -LABEL_MARGIN]
    if overall.interval[0] < -MARGIN:
        return "undecided", f"Too few {kind}people to say: {said}."
    if wide:
        names = _listed([one.label for one in sorted(wide, key=_lowest)])
        return "undecided", f"Too few {kind}people to say for {names}. {said}."
    chance = f" Lower, as chance makes some of {len(labels)} labels: {_listed([one.label for one in lower])}."
    better = overall.interval[0] > 0
    if lower:
        return ("better" if better else "not worse"), f"{'Better' if better else 'Not worse'}: {said}.{chance}"
    if not better:
        return "not worse", f"Not worse: {said}."
    below = [one for one in sorted(labels, key=_difference) if points(one.difference).startswith("−")]
    named = _enumerated([f"{_name(one)} {points(one.difference)}" for one in below])
    within = f"; lower within chance: {named}" if below else ""
    return "better", f"Better: {said}, and no label is surely worse{within}."


def _is_sure(one: Paired, labels: int) -> bool:
    """Whether a label is worse even as one of so many: its interval widened to ``1 - 0.05 / labels`` (Bonferroni).

    Of 20 labels on which two models are equally good, one in two times another one lies below 0 at 95 %.
    """
    assert one.interval is not None
    half = (one.interval[1] - one.interval[0]) / 2
    wider = t_point(1 - 0.025 / labels, one.people - 1) / t_975(one.people - 1)
    return one.difference + half * wider < 0


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


def _listed(labels: Sequence[str]) -> str:
    """Up to three names, and how many more."""
    return _enumerated([label.replace("_", " ") for label in labels])


def _enumerated(said: Sequence[str]) -> str:
    return ", ".join(said[:3]) + (f" and {len(said) - 3} more" if len(said) > 3 else "")
