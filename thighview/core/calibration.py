"""Does a model's probability mean what it says? Reliability, its expected error, and the temperature that mends it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10
LEAST_P = 0.01
"""Pixels that a model gives a label with less than this are left out: the air around would drown all others."""
COLDEST, HOTTEST = 0.05, 20.0
"""Temperatures looked at."""


class Reliability:
    """How often a label is there where a model says so with some probability, in ten bins of equal width.

    Each pair of a pixel and a label with a probability of at least ``LEAST_P`` counts once. Only sums are kept.

    Examples
    --------
    Four pixels said to be muscle with 0.75, three of them are: no error. With two: |0.5 - 0.75|.

    >>> import numpy as np
    >>> r = Reliability()
    >>> r.add(np.full(4, 0.75), np.array([True, True, True, False]))
    >>> r.ece
    0.0
    >>> r = Reliability()
    >>> r.add(np.full(4, 0.75), np.array([True, True, False, False]))
    >>> r.ece
    0.25
    """

    def __init__(self) -> None:
        self.weight = np.zeros(BINS)
        self.said = np.zeros(BINS)
        self.there = np.zeros(BINS)

    def add(
        self, probability: NDArray[np.floating], there: NDArray[np.bool_], weight: NDArray[np.floating] | None = None
    ) -> None:
        """Count pixels of one label.

        Parameters
        ----------
        probability : ndarray of float, shape (n,)
        there : ndarray of bool, shape (n,)
            Whether the pixel has the label.
        weight : ndarray of float, shape (n,), optional
            What each counts for; 1 by default.
        """
        kept = np.flatnonzero(probability >= LEAST_P)
        p = probability[kept].astype(np.float64)
        bins = np.minimum((p * BINS).astype(np.intp), BINS - 1)
        w = np.ones(len(kept)) if weight is None else weight[kept]
        self.weight += np.bincount(bins, w, BINS)
        self.said += np.bincount(bins, w * p, BINS)
        self.there += np.bincount(bins, w * there[kept], BINS)

    def join(self, other: "Reliability") -> None:
        """Take what another has counted."""
        self.weight += other.weight
        self.said += other.said
        self.there += other.there

    @property
    def ece(self) -> float | None:
        """Expected calibration error, ``sum_b (n_b / n) |accuracy_b - confidence_b|`` (Naeini et al. 2015); 0 to 1."""
        total = float(self.weight.sum())
        return float(np.abs(self.there - self.said).sum()) / total if total else None

    def bins(self) -> list[dict[str, Any]]:
        """Of each bin the mean probability, the share of pixels that have the label, and their number."""
        return [
            {
                "confidence": float(said / n) if n else None,
                "accuracy": float(there / n) if n else None,
                "pixels": round(float(n)),
            }
            for n, said, there in zip(self.weight, self.said, self.there, strict=True)
        ]


class LogitSample:
    """A bounded sample of pixels with their logits, seeded, weighted so that sums over it are those of all pixels.

    Of each slice as many are taken of those about which something can be learnt (a wrong class, or a class said with
    less than 0.99) as of all others; each stands for its share of them. When the sample is full, every second pixel
    goes and the others count double.

    Parameters
    ----------
    seed : int
    per_slice : int
        Pixels taken of a slice at most.
    limit : int
        Pixels kept at most.
    """

    def __init__(self, seed: int = 0, per_slice: int = 512, limit: int = 1 << 18) -> None:
        self._rng = np.random.default_rng([0x6361, seed])
        self._quota = per_slice // 2
        self._limit = limit
        self._rows: list[tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float64]]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, logits: NDArray[np.floating], classes: NDArray[np.uint8]) -> None:
        """Take some pixels of a slice: ``logits`` (n, C), ``classes`` (n,) what they are."""
        best = softmax(logits).max(-1)
        open_ = (logits.argmax(-1) != classes) | (best < 0.99)
        for rows in (np.flatnonzero(open_), np.flatnonzero(~open_)):
            if len(rows):
                kept = rows if len(rows) <= self._quota else self._rng.choice(rows, self._quota, replace=False)
                weight = np.full(len(kept), len(rows) / len(kept))
                self._rows.append((logits[kept].astype(np.float32), classes[kept], weight))
                self._count += len(kept)
        while self._count > self._limit:
            logits_, classes_, weights = self.arrays()
            kept = np.sort(self._rng.permutation(len(weights))[: len(weights) // 2])
            self._rows = [(logits_[kept], classes_[kept], weights[kept] * (len(weights) / len(kept)))]
            self._count = len(kept)

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float64]]:
        """Logits (n, C), classes (n,) and weights (n,); there must be some."""
        logits, classes, weights = (np.concatenate(parts) for parts in zip(*self._rows, strict=True))
        return logits, classes, weights


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities of logits (..., C) divided by a temperature."""
    z = np.asarray(logits, np.float64) / temperature
    z = np.exp(z - z.max(-1, keepdims=True))
    return z / z.sum(-1, keepdims=True)


def cross_entropy(
    logits: NDArray[np.floating], classes: NDArray[np.uint8], weights: NDArray[np.floating], temperature: float = 1.0
) -> float:
    """Weighted mean of ``-ln p`` of the right class at a temperature, nats; (n, C), (n,), (n,)."""
    z = np.asarray(logits, np.float64) / temperature
    z -= z.max(-1, keepdims=True)
    right = np.take_along_axis(z, classes[:, None].astype(np.intp), -1)[:, 0]
    return float(np.average(np.log(np.exp(z).sum(-1)) - right, weights=weights))


def best_temperature(logits: NDArray[np.floating], classes: NDArray[np.uint8], weights: NDArray[np.floating]) -> float:
    """The one number to divide logits by that makes their cross-entropy smallest (Guo et al. 2017).

    Above 1 the model is too sure of itself, below 1 not sure enough. Looked for between ``COLDEST`` and ``HOTTEST``.

    Examples
    --------
    A logit of 4 says 98 %, but only three of four are right: 75 % needs a logit of ln 3, so T = 4 / ln 3.

    >>> import numpy as np
    >>> logits = np.tile([0.0, 4.0], (4, 1))
    >>> t = best_temperature(logits, np.array([1, 1, 1, 0], np.uint8), np.ones(4))
    >>> round(t, 3)
    3.641
    """
    from scipy.optimize import minimize_scalar

    found: Any = minimize_scalar(
        lambda log_t: cross_entropy(logits, classes, weights, float(np.exp(log_t))),
        bounds=(float(np.log(COLDEST)), float(np.log(HOTTEST))),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))
