"""Made-up trainings that tell of people and of gaps."""

from dataclasses import replace

import numpy as np
from panel_room import TISSUES, batches, epoch, started

from thighview.core.gap import Gap
from thighview.core.people import mean_of
from thighview.core.run import EpochEnded, GapMeasured, PersonScores, RunEvent, Scores
from thighview.core.student import difference_interval

PROBE_EVERY = 5


def people(k: int, number: int, low_by: float = 0.0, seed: int = 0) -> tuple[PersonScores, ...]:
    """People whose scores rise with the epochs; each has a level of its own, ``low_by`` lower for all."""
    made: list[PersonScores] = []
    for who in range(number):
        own = np.random.default_rng([seed, who])
        level, labels = own.normal(0, 0.05), own.normal(0, 0.04, len(TISSUES))
        noise = np.random.default_rng([seed, who, k]).normal(0, 0.006, len(TISSUES))
        dice = np.clip(0.95 - 0.6 * np.exp(-k / 7) - low_by + level + labels - 0.03 + noise, 0.0, 1.0)
        loss = 0.04 + 1.1 * np.exp(-k / 8) * (1 + 3 * low_by) + low_by - 0.5 * level
        rows = tuple(float(v) for v in dice)
        losses = tuple(float(max(0.004, loss * f)) for f in (0.7, 1.0, 1.6, 1.2, 0.9))
        made.append(
            PersonScores(
                f"sub-{seed:02d}{who:02d}", float(max(0.004, loss)), float(1 - 0.25 * loss / 1.2), rows, losses,
                tuple(float(1 - 0.2 * v) for v in losses),
            )
        )  # fmt: skip
    return tuple(made)


def scores_of(who: tuple[PersonScores, ...]) -> Scores:
    return Scores(*(mean_of(who, metric) for metric in ("loss", "accuracy", "dice")))


def told(k: int, train: int = 14, val: int = 6, epochs: int = 40, low_by: float = 0.02) -> EpochEnded:
    """An epoch with its people; those trained on are told at the probe epochs."""
    probed = k == 1 or k % PROBE_EVERY == 0 or k == epochs
    trained = people(k, train, 0.0, 1) if probed else ()
    validated = people(k, val, low_by, 2)
    return replace(
        epoch(k, epochs, time_s=75.0 * k, best=k in (1, 4, 9, 16, 25, 34)),
        train=scores_of(trained) if trained else Scores(),
        val=scores_of(validated), train_people=trained, val_people=validated, val_dice=(),
    )  # fmt: skip


def gap(
    metric: str, k: int, train: int = 14, val: int = 6, leaked: int = 0, down: float = 1.0, low_by: float = 0.02
) -> Gap:
    a, b = people(k, train, 0.0, 1), people(k, val, low_by, 2)
    m4, m5 = mean_of(a, metric) or 0.0, mean_of(b, metric) or 0.0
    sign = -1.0 if metric == "loss" else 1.0
    lag, regime, bent = (sign * down * v * np.exp(-k / 20) for v in (0.045, -0.012, 0.03))
    lumped = 0.004 * sign
    values = [[p for p in (mean_of((one,), metric) for one in group) if p is not None] for group in (a, b)]
    start = m4 - lag - regime - bent - lumped
    return Gap(metric, start, m5, lag, regime, bent, lumped, m5 - m4, difference_interval(*values), train, val, leaked)


def measured(k: int, **more: float | int) -> GapMeasured:
    return GapMeasured(75.0 * k, "run 3", k, tuple(gap(m, k, **more) for m in ("loss", "accuracy", "dice")))


def run_of_people(upto: int = 40, train: int = 14, val: int = 6, leaked: int = 0, down: float = 1.0) -> list[RunEvent]:
    events: list[RunEvent] = [started(40, val_subjects=val)]
    for k in range(1, upto + 1):
        events += [*batches(k), told(k, train, val)]
        if events[-1].train_people:
            events.append(measured(k, train=train, val=val, leaked=leaked, down=down))
    return events
