"""Why validation reads higher or lower than training: the difference as an exact sum of named parts.

Seven values of one metric at one epoch, each differing from the one before in one thing only::

    M0  train as reported      K of the batches, weights before each step, dropout on, augmented
    M1  end-of-epoch weights   the same images, weights after the last step
    M2  inference              dropout off, moving statistics
    M3  no augmentation        the slices as they are
    M4  people                 H over the training people, the same predictions as M3
    M5  other people           H over the validation people
    M6  validation as reported

K is how the reporter lumps samples together, H the mean over people of each one's own value. The differences sum to
M6 - M0 whatever the metric (they telescope); the order of the steps is part of the definition.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TERMS = ("lag", "regime", "augmentation", "aggregation", "split")
"""Parts of the gap in the order in which the waterfall shows them."""
DRAWS = 2000
FEWEST = 5
"""Validation people from which on an interval is given."""
PER_CENT = ("accuracy", "dice")
"""Metrics told in points (hundredths); the loss is told as it is."""

_CAUSES = {
    "lag": "the training score is averaged over the epoch, while the network was still learning",
    "regime": "dropout is on while training and off for validation",
    "augmentation": "training images are distorted, validation images are not",
    "aggregation": "the two scores lump slices together in different ways",
    "split": "the two groups of people differ",
}


@dataclass(frozen=True)
class Gap:
    """One metric at one epoch: ``validation - train`` and its parts, in the unit of the metric.

    ``interval`` is the 95 % interval of ``split`` over people, None for fewer than ``FEWEST`` validation people.
    ``leaked`` counts validation people who are trained on, too; ``made_up``: the validation people are phantoms.
    """

    metric: str
    train: float
    validation: float
    lag: float
    regime: float
    augmentation: float
    aggregation: float
    split: float
    interval: tuple[float, float] | None = None
    train_people: int = 0
    val_people: int = 0
    leaked: int = 0
    made_up: bool = False

    @property
    def terms(self) -> tuple[tuple[str, float], ...]:
        """Names and values of the parts, in order."""
        return tuple((name, float(getattr(self, name))) for name in TERMS)

    @property
    def residual(self) -> float:
        """What the parts leave unexplained: rounding, nothing else."""
        return self.validation - self.train - sum(value for _, value in self.terms)


def decompose(
    metric: str, values: Sequence[float], train: Sequence[float], validation: Sequence[float], leaked: int = 0,
    seed: int = 0, made_up: bool = False,
) -> Gap:  # fmt: skip
    """The parts of a gap from its seven values.

    Parameters
    ----------
    metric : {"loss", "accuracy", "dice"}
    values : sequence of 7 floats
        M0 to M6, see the module.
    train, validation : sequence of float
        Each person's own value behind M4 and M5.
    leaked : int
        Validation people who are trained on, too.
    seed : int
        Of the bootstrap.
    made_up : bool
        Whether validation is phantoms.
    """
    m0, m1, m2, m3, m4, m5, m6 = (float(v) for v in values)
    return Gap(
        metric, m0, m6, m1 - m0, m2 - m1, m3 - m2, (m4 - m3) + (m6 - m5), m5 - m4,
        interval_of(train, validation, seed), len(train), len(validation), leaked, made_up,
    )  # fmt: skip


def interval_of(
    train: Sequence[float], validation: Sequence[float], seed: int = 0, draws: int = DRAWS
) -> tuple[float, float] | None:
    """95 % interval of mean(validation) - mean(train) by the percentile bootstrap over people.

    People, not slices, are drawn with replacement: slices of one person are not independent (Efron and Tibshirani
    1993, chapter 13). None with fewer than ``FEWEST`` validation people or fewer than 2 training people.
    """
    if len(validation) < FEWEST or len(train) < 2:
        return None
    rng = np.random.default_rng([0x6A70, seed])
    a, b = (np.asarray(v, np.float64) for v in (validation, train))
    drawn = [v[rng.integers(0, v.size, (draws, v.size))].mean(axis=1) for v in (a, b)]
    low, high = np.percentile(drawn[0] - drawn[1], (2.5, 97.5))
    return float(low), float(high)


def band_of(values: Sequence[float | None], seed: int = 0, draws: int = 1000) -> tuple[float, float] | None:
    """95 % interval of the mean over people by the percentile bootstrap; None for fewer than two people."""
    known: NDArray[np.float64] = np.array([v for v in values if v is not None], np.float64)
    if known.size < 2:
        return None
    rng = np.random.default_rng([0x6261, seed])
    low, high = np.percentile(known[rng.integers(0, known.size, (draws, known.size))].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def sentence(gap: Gap) -> str:
    """The gap in words: the largest cause first, the real difference between the people last, with its interval."""
    unit, scale = (" points", 100.0) if gap.metric in PER_CENT else ("", 1.0)
    digits = 1 if scale == 100.0 else 4

    def said(value: float, sign: bool = False) -> str:
        text = f"{value * scale:{'+' if sign else ''}.{digits}f}"
        return text if float(text) else f"{0:.{digits}f}"

    what = {"accuracy": "pixel accuracy", "dice": "Dice", "loss": "loss"}[gap.metric]
    total = gap.validation - gap.train
    if float(said(abs(total))) == 0:
        first = f"Validation and training read the same {what}."
    else:
        word = "higher" if total > 0 else "lower"
        first = f"Validation reads {said(abs(total))}{unit} {word} than training ({what})."
    parts = [first]
    name, value = max(gap.terms[:-1], key=lambda term: abs(term[1]))
    if float(said(abs(value))):
        if value * total >= 0:
            parts.append(f"{said(abs(value))} of that is {name}: {_CAUSES[name]}.")
        else:
            parts.append(f"The largest part, {said(value, True)}, is {name}: {_CAUSES[name]}.")
    if gap.leaked:
        parts.append(
            f"{gap.leaked} of {gap.val_people} validation people are also trained on: "
            "this number does not measure new people."
        )
    if gap.made_up:
        parts.append(
            f"Validation is made-up thighs: the difference to the training people is {said(gap.split, True)}{unit}, "
            "and says nothing about new people."
        )
        return " ".join(parts)
    people = f"{gap.val_people} validation {'person' if gap.val_people == 1 else 'people'}"
    real = f"The real difference between the two groups of people is {said(gap.split, True)}{unit}"
    if gap.interval is None:
        parts.append(f"{real}; {people} are too few for an interval." if gap.val_people != 1 else
                     f"{real}; 1 validation person is too few for an interval.")  # fmt: skip
        return " ".join(parts)
    low, high = gap.interval
    real += f" (95 % interval {said(low, True)} to {said(high, True)}, {people})"
    worse = gap.split > 0 if gap.metric == "loss" else gap.split < 0
    if low <= 0 <= high:
        parts.append(f"{real}: no evidence that the groups differ.")
    elif worse:
        parts.append(
            f"{real}: the network does worse on people it has not seen; more people help more than more epochs."
        )
    else:
        parts.append(f"{real}: the validation people are easier than the training people.")
    return " ".join(parts)
