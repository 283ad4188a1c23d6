"""The scores of people at one epoch, one metric at a time."""

from collections.abc import Sequence

from thighview.core.run import PersonScores


def score_of(person: PersonScores, metric: str, label: int | None = None) -> float | None:
    """One person's own value; None where it was not measured or is not defined.

    Parameters
    ----------
    metric : {"loss", "accuracy", "dice"}
    label : int or None
        Place in ``Started.labels``; None for all labels together (Dice: the mean over the person's labels).
    """
    if label is None:
        return person.mean_dice if metric == "dice" else person.loss if metric == "loss" else person.accuracy
    row = {"dice": person.dice, "loss": person.label_loss, "accuracy": person.label_accuracy}[metric]
    return row[label] if label < len(row) else None


def values_of(people: Sequence[PersonScores], metric: str, label: int | None = None) -> list[float]:
    """The values of those people who have one."""
    return [value for person in people if (value := score_of(person, metric, label)) is not None]


def mean_of(people: Sequence[PersonScores], metric: str, label: int | None = None) -> float | None:
    """Mean over the people who have a value; None when nobody has."""
    values = values_of(people, metric, label)
    return sum(values) / len(values) if values else None
