"""The numbers of the curves as CSV: one row per epoch, and one row per person and label."""

import csv
import io
from collections.abc import Sequence

from thighview.core.people import mean_of, score_of, values_of
from thighview.core.run import EpochEnded, PersonScores
from thighview.core.student import mean_interval

METRICS: tuple[tuple[str, str], ...] = (("loss", "Loss"), ("accuracy", "Accuracy"), ("dice", "Dice"))
LINES: tuple[tuple[str, str], ...] = (("train", "train"), ("val", "validation"), ("while_learning", "while learning"))
"""Field of ``EpochEnded``, and the name people read."""
WITH_PEOPLE = ("train", "val")
"""Lines that are means over people."""


def people_of(epoch: EpochEnded, which: str) -> tuple[PersonScores, ...]:
    """The people behind a line at this epoch; none for the running average."""
    return epoch.train_people if which == "train" else epoch.val_people if which == "val" else ()


def label_score(epoch: EpochEnded, metric: str, which: str, label: int | None) -> float | None:
    """One metric of one line, of all labels (None) or of the one at a place in ``Started.labels``."""
    if label is None:
        return getattr(getattr(epoch, which), metric)
    people = people_of(epoch, which)
    if people:
        return mean_of(people, metric, label)
    known = epoch.val_dice if which == "val" and metric == "dice" else ()
    return known[label] if label < len(known) else None


def epochs_csv(epochs: Sequence[EpochEnded], labels: Sequence[str], began: float = 0.0) -> str:
    """One row per epoch: every metric of every line, its 95 % band over people, and each label's own mean.

    Empty where not measured. ``began`` is the time of the run's first event, seconds since 1970.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    scored = [(which, metric) for which, _ in LINES for metric, _ in METRICS]
    banded = [(which, metric) for which in WITH_PEOPLE for metric, _ in METRICS]
    names = [f"{which}_{metric}" for which, metric in scored]
    names += [f"{which}_{metric}_{end}" for which, metric in banded for end in ("low", "high")]
    names += [f"{which}_{metric}_{label}" for which, metric in banded for label in labels]
    table.writerow(["epoch", "minutes", "seconds", "learning_rate", "best", "train_people", "val_people", *names])
    for epoch in epochs:
        scores = [label_score(epoch, metric, which, None) for which, metric in scored]
        for which, metric in banded:
            scores += mean_interval(values_of(people_of(epoch, which), metric)) or (None, None)
        scores += [label_score(epoch, m, which, i) for which, m in banded for i in range(len(labels))]
        known = [f"{(epoch.time - began) / 60:.3f}", f"{epoch.seconds:.3f}", epoch.learning_rate, int(epoch.best)]
        counts = [len(epoch.train_people), len(epoch.val_people)]
        table.writerow([epoch.epoch, *known, *counts, *(_cell(score) for score in scores)])
    return out.getvalue()


def people_csv(epochs: Sequence[EpochEnded], labels: Sequence[str]) -> str:
    """One row per epoch, line, person and label (empty: all labels), with loss, accuracy and Dice.

    Empty text when no epoch tells of people.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    rows = 0
    table.writerow(["epoch", "line", "subject", "label", *(metric for metric, _ in METRICS)])
    for epoch in epochs:
        for which, line in LINES:
            for person in people_of(epoch, which):
                for place in (None, *range(len(labels))):
                    cells = [_cell(score_of(person, metric, place)) for metric, _ in METRICS]
                    name = "" if place is None else labels[place]
                    table.writerow([epoch.epoch, line, person.subject, name, *cells])
                    rows += 1
    return out.getvalue() if rows else ""


def _cell(score: float | None) -> str:
    return "" if score is None else repr(float(score))
