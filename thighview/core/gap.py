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

Three parts more are measured on demand, each taken out of one of these so that the sum stays exact:

``ema``         M3 with averaged weights less M3 with the network's own, where validation uses averaged ones
``selection``   M5 less what each person gets at the epoch chosen without them, where the epoch was chosen as the best
``difficulty``  how much the validation people differ for a network that never saw either group; what it leaves of
                ``split`` is ``generalisation``
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from thighview.core.student import difference_interval

TERMS = ("lag", "regime", "augmentation", "aggregation", "split")
"""Parts of every gap, in order."""
BARS = ("lag", "regime", "augmentation", "ema", "aggregation", "difficulty", "split", "generalisation", "selection")
"""All parts there can be, in the order in which the waterfall shows them."""
PEOPLE = ("split", "generalisation", "difficulty")
"""Parts that are a real difference between the two groups of people."""
PER_CENT = ("accuracy", "dice")
"""Metrics told in points (hundredths); the loss is told as it is."""


@dataclass(frozen=True)
class Gap:
    """One metric at one epoch: ``validation - train`` and its parts, in the unit of the metric.

    ``interval`` is the 95 % interval of ``split`` over people (Welch), None for a group that is too small for one.
    ``leaked`` counts validation people who are trained on, too; ``made_up``: the validation people are phantoms.
    ``label`` is the one label it is about, empty for all. The parts measured on demand are None where they were not;
    ``judge`` is the model by which ``difficulty`` (a part of ``split``) was judged.
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
    label: str = ""
    ema: float | None = None
    difficulty: float | None = None
    selection: float | None = None
    judge: str = ""

    @property
    def terms(self) -> tuple[tuple[str, float], ...]:
        """Names (of ``BARS``) and values of the parts that were measured, in order."""
        known = {name: getattr(self, name) for name in (*TERMS, "ema", "difficulty", "selection")}
        if self.difficulty is not None:
            known["generalisation"] = known.pop("split") - self.difficulty
        return tuple((name, float(known[name])) for name in BARS if known.get(name) is not None)

    @property
    def residual(self) -> float:
        """What the parts leave unexplained: rounding, nothing else."""
        return self.validation - self.train - sum(value for _, value in self.terms)

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> "Gap":
        """The gap of plain data (``dataclasses.asdict``); what is not known of it is passed over."""
        known: dict[str, Any] = {f.name: row[f.name] for f in fields(Gap) if f.name in row}
        if isinstance(known.get("interval"), list):
            known["interval"] = tuple(known["interval"])
        return Gap(**known)


def decompose(
    metric: str, values: Sequence[float], train: Sequence[float], validation: Sequence[float], leaked: int = 0,
    made_up: bool = False,
) -> Gap:  # fmt: skip
    """The parts of a gap from its seven values.

    Parameters
    ----------
    metric : {"loss", "accuracy", "dice"}
    values : sequence of 7 or 8 floats
        M0 to M6, see the module. With 8, M1 to M3 are of the network's own weights, and M3 with averaged ones follows.
    train, validation : sequence of float
        Each person's own value behind M4 and M5.
    leaked : int
        Validation people who are trained on, too.
    made_up : bool
        Whether validation is phantoms.
    """
    m0, m1, m2, m3, *averaged, m4, m5, m6 = (float(v) for v in values)
    before = averaged[0] if averaged else m3
    return Gap(
        metric, m0, m6, m1 - m0, m2 - m1, m3 - m2, (m4 - before) + (m6 - m5), m5 - m4,
        difference_interval(train, validation), len(train), len(validation), leaked, made_up,
        ema=before - m3 if averaged else None,
    )  # fmt: skip


def with_selection(gap: Gap, train: Sequence[float], validation: Sequence[float], unchosen: Sequence[float]) -> Gap:
    """The gap at an epoch that was chosen as the best, with the optimism of that choice as a part of its own.

    Parameters
    ----------
    gap : Gap
        Without it.
    train, validation : sequence of float
        Each person's own value at the chosen epoch.
    unchosen : sequence of float
        Each validation person's value at the epoch that is chosen without them (``core.selection.unchosen``).
    """
    optimism = _mean(validation) - _mean(unchosen)
    real = gap.split - optimism
    return replace(gap, split=real, selection=optimism, interval=difference_interval(train, unchosen))


def with_difficulty(gap: Gap, train: Sequence[float], validation: Sequence[float], judge: str) -> Gap:
    """The gap with the part of ``split`` that an independent network sees as well.

    Parameters
    ----------
    gap : Gap
    train, validation : sequence of float
        What the independent network gets from each person.
    judge : str
        Its name.
    """
    return replace(gap, difficulty=_mean(validation) - _mean(train), judge=judge)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
