"""How much the best epoch flatters: each person judged at the epoch that is chosen without them."""

from collections.abc import Mapping, Sequence

import numpy as np

from thighview.core.run import PersonScores

People = Sequence[PersonScores]


def best_epoch(epochs: Mapping[int, People]) -> int:
    """The epoch of the lowest mean validation loss, the first of equals: the one that a run keeps; 0 for none."""
    losses = {k: [p.loss for p in people if p.loss is not None] for k, people in epochs.items()}
    known = {k: float(np.mean(rows)) for k, rows in sorted(losses.items()) if rows}
    return min(known, key=lambda k: known[k]) if known else 0


def unchosen(epochs: Mapping[int, People]) -> list[PersonScores]:
    """What each validation person gets at the epoch that is best for all the others.

    The mean of these is free of the optimism of choosing: nobody has a say in the epoch at which they are judged
    (leave one person out). The choice is by the loss, so it is the same whatever metric is looked at.

    Parameters
    ----------
    epochs : mapping of int to people
        Who validated at each epoch, with their scores.

    Returns
    -------
    list of PersonScores
        By subject, without those who were not measured there. Empty with fewer than two people: nobody is left to
        choose.
    """
    names = sorted({p.subject for people in epochs.values() for p in people})
    if len(names) < 2:
        return []
    found: list[PersonScores] = []
    for name in names:
        chosen = best_epoch({k: [p for p in people if p.subject != name] for k, people in epochs.items()})
        found += [p for p in epochs.get(chosen, ()) if p.subject == name][:1]
    return found
