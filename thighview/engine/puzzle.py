"""The puzzle this program began with, on made-up thighs: why is validation always a little better than training?

The seed's program again, small: its network, its loss, its metrics, a random split of slices. Then the checks its
author made or asked for, one after the other, each with what it shows.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops as keras_ops

from thighview.core.doubts import head_warning
from thighview.core.gap import Gap
from thighview.core.gap_passes import LEARNING, TRAIN, VAL, gaps_of
from thighview.core.gap_words import amount, sentence
from thighview.core.phantom import make_phantom
from thighview.core.run import ExampleStep, TrainConfig
from thighview.core.sums import mean_scores, seed_scores
from thighview.engine.batches import MeasureBatches, Slices, TrainBatches, slices_of
from thighview.engine.devices import lower_priority, prepare_device
from thighview.engine.explaining import Explainer
from thighview.engine.learner import Learner
from thighview.engine.losses import IGNORE
from thighview.engine.seeding import set_seeds
from thighview.engine.unet import build_network, weights_of

ops: Any = keras_ops
NAME = "puzzle"
STEPS = 7
_CONTRAST = "t1"
_FRESH_SEED = 5000
Say = Callable[[ExampleStep], object]
Report = Callable[[int, int], object]
Epoch = dict[str, float]


@dataclass(frozen=True)
class PuzzleSize:
    """How large the example is; the defaults take about five minutes on two cores, ``MINIATURE`` half a minute."""

    people: int = 12
    fresh: int = 8
    slices: int = 6
    edge: int = 64
    base: int = 4
    epochs: int = 24
    splits: int = 5
    batch: int = 4
    learning_rate: float = 1e-3
    seed: int = 0


MINIATURE = PuzzleSize(people=6, fresh=3, slices=4, edge=32, base=2, epochs=4, splits=2)


class SeedLearner(Learner):
    """The seed's metric beside our table: ``Accuracy()`` asks whether a probability *equals* the label."""

    def __init__(self, network: keras.Model, slots: int) -> None:
        super().__init__(network, "ce", slots, 2)
        self.exact = keras.metrics.Accuracy(name="exact")

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """The table's sums, and the share of counted pixels whose probability is exactly 0 or 1, and right."""
        inside = ops.cast(ops.not_equal(y["labels"], IGNORE), "float32")
        self.exact.update_state(ops.cast(y["labels"], "float32"), ops.sigmoid(y_pred[..., 0]), inside)
        return super().compute_metrics(x, y, y_pred, sample_weight)


@dataclass(frozen=True)
class Trial:
    """One small training: what was printed at each epoch, and the gaps of its last epoch."""

    printed: tuple[Epoch, ...]
    gaps: tuple[Gap, ...]
    learner: SeedLearner

    def curve(self, name: str) -> tuple[float, ...]:
        """One printed number over the epochs: ``train_loss``, ``val_accuracy``, ``val_exact`` ..."""
        return tuple(epoch[name] for epoch in self.printed)

    def better(self, metric: str) -> int:
        """In how many epochs validation read better than training."""
        sign = -1 if metric == "loss" else 1
        return sum(sign * (e[f"val_{metric}"] - e[f"train_{metric}"]) > 0 for e in self.printed)

    def mean_gap(self, metric: str) -> float:
        """Validation minus training, mean over the last half of the epochs."""
        last = self.printed[len(self.printed) // 2 :]
        return float(np.mean([e[f"val_{metric}"] - e[f"train_{metric}"] for e in last]))


def solve(say: Say, size: PuzzleSize, report: Report | None = None) -> None:
    """Play the puzzle through; ``say`` gets each step as it is known, ``report`` how many of all steps are done."""
    for number, (title, text, curves, gaps) in enumerate(_steps(size), 1):
        say(ExampleStep(time.time(), NAME, number, STEPS, title, text, tuple(curves.items()), gaps))
        if report:
            report(number, STEPS)


def play(report: Any, miniature: bool = False) -> dict[str, Any]:
    """The puzzle as a job of a child process: each step is said as the JSON object of its event line."""
    lower_priority()
    prepare_device()
    solve(lambda step: report.say(json.loads(step.to_line())), MINIATURE if miniature else PuzzleSize(), report)
    return {}


def _steps(size: PuzzleSize) -> Iterator[tuple[str, str, dict[str, tuple[float, ...]], tuple[Gap, ...]]]:
    slices, owner = _people(range(size.people), size)
    fresh, fresh_owner = _people(range(_FRESH_SEED, _FRESH_SEED + size.fresh), size, len(slices))
    owner |= fresh_owner
    train, val = _by_slice(slices, size.seed, size.batch)
    first = _trial(size, train, val, owner)
    n = size.epochs
    yield (
        "What the seed's program prints",
        f"Its network and loss, dropout, augmentation, slices split at random. Its Accuracy ends at "
        f"{_pc(first.curve('train_exact')[-1])} in training and {_pc(first.curve('val_exact')[-1])} in validation. Of "
        f"{n} epochs, validation reads better in {first.better('loss')} by the loss, in {first.better('accuracy')} by "
        f"the share of right pixels, in {first.better('exact')} by that Accuracy. On a set as small as this any of "
        "them may come out the other way; the steps that follow take apart whatever difference there is.",
        {"training Accuracy": first.curve("train_exact"), "validation Accuracy": first.curve("val_exact")},
        (),
    )  # fmt: skip
    yield (
        "What that Accuracy measures",
        "It counts pixels whose probability is exactly 0 or 1 in 32-bit numbers, not pixels that are right. At "
        f"the same weights {_pc(first.curve('val_accuracy')[-1])} of the validation pixels are right, and "
        f"{_pc(first.curve('val_exact')[-1])} are exact. It climbs as long as the network grows surer, whether or not "
        "the masks get better.",
        {"right pixels": first.curve("val_accuracy"), "exact pixels (Accuracy)": first.curve("val_exact")},
        (),
    )  # fmt: skip
    same = _trial(size, train, train, owner, dropout=0.0, augment=False)
    lag = _of(same.gaps, "loss")
    yield (
        "Validating on the training batches",
        f"The same slices on both sides, no dropout, no augmentation: validation reads better in "
        f"{same.better('loss')} of {n} epochs, by the loss. Of the last gap ({_loss(lag.validation - lag.train)}) "
        f"{_loss(lag.lag)} is lag, the rest ({_loss(lag.validation - lag.train - lag.lag)}) the way of averaging. Lag: "
        "the training number is averaged over the epoch while the network learns, so it trails by about half an epoch, "
        "not by a whole one.",
        {"training loss": same.curve("train_loss"), "validation loss": same.curve("val_loss")},
        same.gaps,
    )  # fmt: skip
    plain = _trial(size, train, val, owner, dropout=0.0, augment=False)
    with_, without = _of(first.gaps, "loss"), _of(plain.gaps, "loss")
    yield (
        "Without dropout and augmentation",
        f"With them, the last gap of the loss ({_loss(with_.validation - with_.train)}) holds {_loss(with_.regime)} "
        f"from dropout and {_loss(with_.augmentation)} from augmentation, which act on training alone; the rest is lag "
        f"({_loss(with_.lag)}) and the difference between the two sets of slices "
        f"({_loss(with_.split + with_.aggregation)}). Without them both parts are zero; the gap "
        f"({_loss(without.validation - without.train)}) is lag ({_loss(without.lag)}) and the difference between the "
        f"two sets of slices ({_loss(without.split + without.aggregation)}).",
        {"training loss": plain.curve("train_loss"), "validation loss": plain.curve("val_loss")},
        plain.gaps,
    )  # fmt: skip
    others = [first, *(_trial(size, *_by_slice(slices, s, size.batch), owner, seed=s) for s in range(1, size.splits))]
    gaps = [trial.mean_gap("loss") for trial in others]
    yield (
        f"{len(gaps)} different initial splits",
        f"Loss gaps {', '.join(amount('loss', g, True, 3) for g in gaps)}: {_alike(gaps)}. Slices of one leg are on "
        f"both sides each time, so every such split is the same split: validation looks like training."
        f"{_one_sided(others)}",
        {f"split {i + 1}": t.curve("val_loss") for i, t in enumerate(others)},
        (),
    )  # fmt: skip
    by_person = _trial(size, *_by_person(slices, owner, size.seed), owner)
    on_fresh = [_dice(trial, fresh, owner) for trial in (first, by_person)]
    read = [_of(trial.gaps, "dice") for trial in (first, by_person)]
    yield (
        "Split by person",
        f"Split by slice, validation Dice reads {_pc(read[0].validation)}; {size.fresh} fresh people get "
        f"{_pc(on_fresh[0])}. Split by person it reads {_pc(read[1].validation)}; the fresh people get "
        f"{_pc(on_fresh[1])}. Only a split by person measures new people, and {read[1].val_people} of them are a rough "
        "measure.",
        {"validation, by slice": first.curve("val_dice"), "validation, by person": by_person.curve("val_dice")},
        by_person.gaps,
    )  # fmt: skip
    yield ("The answer, with numbers that add up", sentence(_of(first.gaps, "loss")), {}, first.gaps)


def _people(seeds: range, size: PuzzleSize, first_id: int = 0) -> tuple[Slices, dict[int, str]]:
    """Slices of made-up people with one label, the outer surface, and whose each is."""
    settings = TrainConfig(
        architecture="seed_unet", input_size=max(size.edge, 32), base_filters=max(size.base, 2), levels=_levels(size)
    )
    outer = np.full(256, 1, np.uint8)
    outer[0], outer[IGNORE] = 0, IGNORE
    parts: list[Slices] = []
    owner: dict[int, str] = {}
    for seed in seeds:
        made = make_phantom(seed, _CONTRAST, slices=size.slices, matrix=(size.edge, size.edge * 3 // 2))
        start = first_id + len(owner)
        ids = list(range(start, start + size.slices))
        parts.append(slices_of(made.volume, made.labels, settings, ids, list(range(size.slices)), outer))
        owner |= dict.fromkeys(ids, made.subject)
    return Slices.join(parts), owner


def _levels(size: PuzzleSize) -> int:
    return 5 if size.edge >= 64 else 4


def _by_slice(slices: Slices, seed: int, batch: int) -> tuple[Slices, Slices]:
    """The seed's split: 85 % of the slices train, the others validate, whoever they are of."""
    order = np.random.default_rng([0x7069, seed]).permutation(len(slices))
    cut = int(0.85 * len(slices)) // batch * batch  # whole batches: no slice counts twice in a printed number
    return slices.chosen(order[:cut].tolist()), slices.chosen(order[cut:].tolist())


def _by_person(slices: Slices, owner: dict[int, str], seed: int) -> tuple[Slices, Slices]:
    people = sorted({owner[int(i)] for i in slices.ids})
    order = np.random.default_rng([0x7070, seed]).permutation(len(people))
    held = {people[i] for i in order[: max(1, round(0.25 * len(people)))]}
    inside = np.array([owner[int(i)] in held for i in slices.ids])
    return slices.chosen(np.flatnonzero(~inside).tolist()), slices.chosen(np.flatnonzero(inside).tolist())


def _trial(
    size: PuzzleSize, train: Slices, val: Slices, owner: dict[int, str], dropout: float = 0.5, augment: bool = True,
    seed: int = 0,
) -> Trial:  # fmt: skip
    """Train as the seed did and print what it printed."""
    set_seeds(size.seed + 1000 + seed)
    network = build_network("seed_unet", 2, size.base, _levels(size), dropout)
    batches = TrainBatches(train, size.edge, size.batch, seed, augment, np.arange(256, dtype=np.uint8))
    slots = len(batches) * batches.batch_size + len(val)
    learner = SeedLearner(network, slots)
    learner.compile(optimizer=keras.optimizers.Adam(size.learning_rate))
    validation = MeasureBatches(val, batches.batch_size, slots)
    printed: list[Epoch] = []
    passes: dict[str, Any] = {}
    for epoch in range(1, size.epochs + 1):
        exact: list[float] = []
        for step in range(len(batches)):
            x, y = batches.batch(epoch, step)
            exact.append(float(learner.train_on_batch(x, y, return_dict=True)["exact"]))
        rows = batches.order(epoch)
        passes[LEARNING] = learner.sums(train.ids[rows].tolist(), batches.batch_size)
        learning = seed_scores(passes[LEARNING])
        learner.reset_metrics()
        seen: list[tuple[float, int]] = []
        for index in range(len(validation)):
            answer = learner.test_on_batch(*validation[index], return_dict=True)
            seen.append((float(answer["exact"]), min(size.batch, len(val) - index * size.batch)))
        passes[VAL] = learner.sums(val.ids.tolist(), batches.batch_size)
        reported = seed_scores(passes[VAL])
        printed.append({
            **{f"train_{name}": float(getattr(learning, name)) for name in ("loss", "accuracy", "dice")},
            **{f"val_{name}": float(getattr(reported, name)) for name in ("loss", "accuracy", "dice")},
            "train_exact": float(np.mean(exact)),
            "val_exact": float(np.average([v for v, _ in seen], weights=[n for _, n in seen])),
        })  # fmt: skip
    passes[TRAIN] = learner.measure(MeasureBatches(train, batches.batch_size, slots))
    passes |= Explainer(network, learner, len(train), 2).passes(train, batches, size.epochs)
    gaps = gaps_of(passes, owner, "ce", batches.batch_size, seed_metrics=True)
    return Trial(tuple(printed), gaps, learner)


def _dice(trial: Trial, slices: Slices, owner: dict[int, str]) -> float:
    """Mean 3-D Dice of people the network has not seen."""
    spare = trial.learner.slice_table.spare
    found = mean_scores(trial.learner.measure(MeasureBatches(slices, 4, spare)), owner, "ce").dice
    return found or 0.0


def _of(gaps: Sequence[Gap], metric: str) -> Gap:
    return next(gap for gap in gaps if gap.metric == metric)


def _pc(share: float) -> str:
    return f"{100 * share:.1f} %"


def _loss(difference: float) -> str:
    return amount("loss", difference, True)


def _one_sided(trials: Sequence[Trial]) -> str:
    """Which of the trainings fell into the trap of the two-filter ReLU head, told by their weights."""
    found = [str(i) for i, trial in enumerate(trials, 1) if head_warning(weights_of(trial.learner))]
    if not found:
        return ""
    which = f"split {found[0]}" if len(found) == 1 else f"splits {', '.join(found[:-1])} and {found[-1]}"
    return (
        f" The loss of {which} stays high for another reason: both weights of the last layer have the same sign, so "
        "the network can never be sure of one of the two classes. The random start decides that, not the split."
    )


def _alike(gaps: Sequence[float]) -> str:
    """What the signs of some gaps of the loss have in common."""
    if all(g < 0 for g in gaps):
        return "validation reads better each time"
    return "validation reads worse each time" if all(g > 0 for g in gaps) else "not all of one sign"
