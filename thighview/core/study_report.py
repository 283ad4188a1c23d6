"""A study as words and tables: for the window, the terminal, the clipboard and a spreadsheet."""

import csv
import io
from collections import Counter
from collections.abc import Sequence

from thighview.core.gap import PER_CENT
from thighview.core.gap_words import amount
from thighview.core.people import score_of
from thighview.core.sample_size import people_needed
from thighview.core.student import FEWEST
from thighview.core.studies import CURVE, KINDS, LEAVE_ONE_OUT, Retraining
from thighview.core.study_results import Mean, Results, curve_points, last_gain, pooled

METRICS = {"dice": "Dice", "accuracy": "Accuracy", "loss": "Loss"}
CURVE_RULE = (
    "Each point is trained anew on so many people, with about equally many steps, and scored on the same people, who"
    " never train. Still getting better at the right end: more people will help. Flat: they will not; better masks or"
    " another network may."
)
FOLDS_RULE = (
    "Each person is scored once, by a network that never saw them, at its last epoch: nothing is chosen on the people"
    " scored."
)
NONE = "–"

Plan = Sequence[Retraining]


def rule_of(kind: str, plan: Plan) -> str:
    """How to read a study of this kind; for folds, how much of their people the trainings share."""
    if kind == CURVE:
        return CURVE_RULE
    shared = _shared(plan)
    if not shared:
        return f"{FOLDS_RULE} No two trainings share a person."
    part = f"{100 * shared:.0f} % of their people"
    return f"{FOLDS_RULE} Two trainings share {part}, so the interval is a little too narrow."


def headline(kind: str, plan: Plan, results: Results) -> str:
    """What a study is and how far it is: ``5-fold, 3 of 5 trainings done``."""
    what = KINDS[kind] if kind in (CURVE, LEAVE_ONE_OUT) else f"{len(plan)}-fold over people"
    how_far = f"{len(plan)} trainings" if len(results) == len(plan) else f"{len(results)} of {len(plan)} trainings done"
    return f"{what[:1].upper()}{what[1:]}, {how_far}"


def rows_of(kind: str, plan: Plan, results: Results, metric: str, label: int | None = None) -> list[tuple[str, ...]]:
    """The table of a study, the headings first: a row for each person of each fold, or for each number of people."""
    if kind == CURVE:
        return _curve_rows(plan, results, metric, label)
    rows: list[tuple[str, ...]] = [("Fold", "Person", METRICS[metric])]
    for number, one in enumerate(plan, 1):
        ended = results.get(number)
        found = {p.subject: score_of(p, metric, label) for p in ended.val_people} if ended else {}
        for place, person in enumerate(one.validation):
            rows.append((str(number) if not place else "", person, number_words(found.get(person))))
    whole = pooled(results, metric, label)
    if whole:
        rows.append(("All", f"mean of {len(whole.people)}", mean_words(whole, metric)))
    return rows


def sentences(kind: str, plan: Plan, results: Results, metric: str, label: int | None = None) -> list[str]:
    """What a study has found, as far as it has come, and how to read it; nothing of nothing."""
    if kind == CURVE:
        said = gain_sentence(plan, results, metric, label)
        return [said, CURVE_RULE] if said else []
    whole = pooled(results, metric, label)
    if whole is None:
        return []
    people = "1 person" if len(whole.people) == 1 else f"{len(whole.people)} people"
    return [f"{METRICS[metric]} on people never seen: {mean_words(whole, metric)}, {people}.", rule_of(kind, plan)]


def gain_sentence(plan: Plan, results: Results, metric: str, label: int | None = None) -> str:
    """What the last step of a learning curve brought, and whether that can be chance; empty without two points.

    Nothing is concluded from fewer than ``FEWEST`` people who validate, nor from a single draw of some of the people
    who train (of all of them there is only one), nor while too few draws tell how much trainings differ.
    """
    points = curve_points(plan, results, metric, label)
    gain = last_gain(points)
    if gain is None:
        return ""
    before, after, people = points[-2].n, points[-1].n, len(gain.people)
    first = f"From {before} to {after} people: {METRICS[metric]} {amount(metric, gain.mean, True)}"
    nothing = "That says nothing yet"
    if people < 2:
        only = "one person validates" if label is None else "only one person who validates has this label"
        return f"{first}. {nothing}: {only}, and it takes {FEWEST}."
    if gain.interval is not None:
        low, high = (amount(metric, end, True, unit=False) for end in gain.interval)
        first += f" (95 % interval {low} to {high}, the same {people} people, differences between trainings included)"
    if people < FEWEST:
        who = "who validate" if label is None else "who validate and have this label"
        return f"{first}. {nothing}: it takes {FEWEST} people {who}."
    largest = max(len(one.train) for one in plan)
    single = [point.n for point in points[-2:] if len(point.draws) < 2 and point.n < largest]
    if single:
        who = " and ".join(f"{n} {'person' if n == 1 else 'people'}" for n in single)
        return f"{first}. {nothing}: {who} were drawn only once, and others may teach more or less."
    if gain.interval is None:
        return f"{first}. {nothing}: too few draws tell how much one training differs from the next."
    if gain.interval[0] <= 0 <= gain.interval[1]:
        return f"{first}: that may be chance."
    better = (gain.mean < 0) == (metric == "loss")
    return f"{first}: more people {'still help' if better else 'did not help'}."


def needed_sentence(values: Sequence[float], half_width: float, metric: str) -> str:
    """People who must validate for an interval of this half-width, see ``core.sample_size``."""
    needed = people_needed(values, half_width)
    if needed is None:
        return "How far people differ takes two of them at least."
    width = amount(metric, half_width)
    return f"{needed:,} people to score for a 95 % interval of ±{width}, going by how these {len(values)} differ."


def csv_text(plan: Plan, results: Results, separator: str = ",") -> str:
    """Every person of every training that is done, label by label (empty: all labels), with every digit."""
    out = io.StringIO()
    table = csv.writer(out, delimiter=separator, lineterminator="\n")
    table.writerow(["training", "draw", "train_people", "epochs", "part", "person", "label", *METRICS])
    for number, ended in sorted(results.items()):
        one = plan[number - 1]
        for part, people in (("validation", ended.val_people), ("train", ended.train_people)):
            for person in people:
                for place in (None, *range(len(ended.labels))):
                    name = "" if place is None else ended.labels[place]
                    scores = [score_of(person, metric, place) for metric in METRICS]
                    cells = ["" if score is None else repr(float(score)) for score in scores]
                    about = [number, one.draw, len(one.train), one.epochs, part, person.subject, name]
                    table.writerow([*about, *cells])
    return out.getvalue()


def number_words(value: float | None) -> str:
    """A score as the tables show it."""
    return NONE if value is None else f"{value:.3f}".replace("-", "−")


def mean_words(mean: Mean, metric: str) -> str:
    """A mean with its interval: ``0.873 (0.851 to 0.895)``."""
    ends = _ends(mean, metric)
    return f"{number_words(mean.mean)} ({' to '.join(ends)})" if ends else number_words(mean.mean)


def _shared(plan: Plan) -> float:
    """The share of its people that a training has in common with another one, on average."""
    trainings, trained = len(plan), Counter(person for one in plan for person in one.train)
    if trainings < 2:
        return 0.0
    return sum(n * (n - 1) for n in trained.values()) / ((trainings - 1) * trained.total())


def _ends(mean: Mean, metric: str) -> list[str]:
    """The ends of an interval in words, no further than the metric goes; none without one."""
    bounded = metric in PER_CENT
    return [number_words(min(max(end, 0.0), 1.0) if bounded else end) for end in mean.interval or ()]


def _curve_rows(plan: Plan, results: Results, metric: str, label: int | None) -> list[tuple[str, ...]]:
    points = {point.n: point for point in curve_points(plan, results, metric, label)}
    rows: list[tuple[str, ...]] = [("People", "Draws", METRICS[metric], "Interval", "Training")]
    for n in sorted({len(one.train) for one in plan}):
        asked = sum(1 for one in plan if len(one.train) == n)
        point = points.get(n)
        if point is None:
            rows.append((str(n), f"0 of {asked}", NONE, NONE, NONE))
            continue
        draws = str(asked) if len(point.draws) == asked else f"{len(point.draws)} of {asked}"
        ends = "–".join(_ends(point.val, metric)) or NONE
        rows.append((str(n), draws, number_words(point.val.mean), ends, number_words(point.train)))
    return rows
