"""The gap is measured right: each cause alone ends up in its own part, and nothing is left over."""

from dataclasses import dataclass

import keras
import numpy as np
import pytest
from tiny_project import draw_person

from thighview.core.gap import Gap
from thighview.core.gap_passes import LEARNING, TRAIN, VAL, gaps_of
from thighview.core.sums import Sums, learning_scores
from thighview.engine.batches import MeasureBatches, Slices, TrainBatches
from thighview.engine.explaining import Explainer
from thighview.engine.learner import Learner
from thighview.engine.unet import assign_weights, build_network, weights_of

EDGE, CLASSES, BATCH = 16, 3, 20
PEOPLE = 20


def people(seeds: range, slices: int = 4, noise: float = 0.0, first_id: int = 0) -> tuple[Slices, dict[int, str]]:
    """Slices of made-up people, and whose each is; 0 slices: 2 to 6 each, the more the noisier."""
    images, labels, owner = [], [], {}
    rng = np.random.default_rng([9, *seeds])
    for seed in seeds:
        image, mask = draw_person(seed, EDGE, slices if slices > 0 else 2 + seed % 5)
        for z in range(len(image)):
            owner[first_id + len(images)] = f"person {seed}"
            harder = noise or 0.6 * (len(image) - 2) * (slices == 0)
            images.append((image[z] - 300.0) / 250.0 + harder * rng.normal(size=image[z].shape))
            labels.append(mask[z])
    n = len(images)
    ids = np.arange(first_id, first_id + n, dtype=np.int32)
    whole = Slices(
        ids, np.array(images, np.float32), np.array(labels), np.full(n, -1.5, np.float32), np.ones(n, np.float32)
    )
    return whole, owner


SLOTS = 8 * PEOPLE
_NETWORKS: dict[float, tuple[keras.Model, Learner, Explainer]] = {}


def network_of(dropout: float) -> tuple[keras.Model, Learner, Explainer]:
    """One network is built and compiled for each dropout, and used for all seeds."""
    if dropout not in _NETWORKS:
        network = build_network("unet", CLASSES, 2, 2, dropout)
        learner = Learner(network, "ce", SLOTS, CLASSES)
        learner.compile(optimizer=keras.optimizers.SGD(0.2))
        _NETWORKS[dropout] = (network, learner, Explainer(network, learner, SLOTS, CLASSES))
    return _NETWORKS[dropout]


def fresh_weights(seed: int) -> dict[str, np.ndarray]:
    keras.utils.set_random_seed(seed)
    return weights_of(build_network("unet", CLASSES, 2, 2))


@dataclass
class Bench:
    """A network on a set of people, taken through one epoch at a time; ``learnt`` is where it starts from."""

    train: Slices
    val: Slices
    owner: dict[int, str]
    dropout: float
    augment: bool
    seed: int
    learnt: dict[str, np.ndarray] | None = None

    def __post_init__(self) -> None:
        self.batches = TrainBatches(self.train, EDGE, BATCH, self.seed, self.augment, None)
        self.network, self.learner, self.explainer = network_of(self.dropout)
        assign_weights(self.network, self.learnt or fresh_weights(self.seed))
        for k, dice in enumerate(self.network.non_trainable_variables):
            dice.assign(np.array([self.seed, k], dice.dtype))

    def epoch(self, number: int, rate: float = 0.2) -> None:
        self.learner.optimizer.learning_rate = rate
        for step in range(len(self.batches)):
            self.learner.learn(*self.batches.batch(number, step))

    def as_they_are(self) -> dict[str, Sums]:
        """Both sets undistorted, at the weights of now; one that is both is measured once."""
        train = self.learner.measure(MeasureBatches(self.train, BATCH, SLOTS))
        same = self.val is self.train
        return {TRAIN: train, VAL: train if same else self.learner.measure(MeasureBatches(self.val, BATCH, SLOTS))}

    def gaps(self, number: int, rate: float, measured: dict[str, Sums] | None = None) -> dict[str, Gap]:
        """An epoch at this rate, and why its numbers differ; ``measured`` are passes that this epoch cannot change."""
        self.epoch(number, rate)
        rows = self.batches.order(number)
        passes = {LEARNING: self.learner.sums(self.train.ids[rows].tolist(), BATCH)}
        passes |= measured or self.as_they_are()
        before = weights_of(self.network)
        passes |= self.explainer.passes(self.train, self.batches, number)
        after = weights_of(self.network)
        assert all(np.array_equal(before[k], after[k]) for k in before)  # measuring changes nothing
        found = {gap.metric: gap for gap in gaps_of(passes, self.owner, "ce", BATCH)}
        assert set(found) == {"loss", "accuracy", "dice"}
        for gap in found.values():
            assert abs(gap.residual) < 1e-6
        return found


def share(gap: Gap, name: str) -> float:
    """Share of one part in all that is not nothing."""
    sizes = {n: abs(v) for n, v in gap.terms}
    assert sizes[name] > 1e-4, gap
    return sizes[name] / sum(sizes.values())


SEEDS, DRAWS = (1, 2, 3), 4


@pytest.mark.parametrize("seed", SEEDS)
def test_each_cause_alone_is_found(seed: int) -> None:
    """20 people; what is off gives exactly nothing, what is on gets more than nine tenths of the gap."""
    both, owner = people(range(100 * seed, 100 * seed + PEOPLE))

    plain = Bench(both, both, owner, 0.0, False, seed)
    gap = plain.gaps(1, 0.2)["loss"]
    assert share(gap, "lag") > 0.9
    assert gap.regime == gap.augmentation == gap.split == 0
    assert gap.leaked == PEOPLE

    for number in range(2, 10):
        plain.epoch(number)
    still = plain.gaps(10, 0.0)
    for gap in still.values():
        assert all(abs(value) < 1e-6 for _, value in gap.terms), gap  # nothing is on: nothing is found
    learnt = weights_of(plain.network)  # from here on nothing is learnt: what the other causes do shows at rate 0

    noisy, others = people(range(7000 + seed, 7000 + seed + PEOPLE), noise=1.5, first_id=1000)
    gap = Bench(both, noisy, owner | others, 0.0, False, seed, learnt).gaps(1, 0.0)["loss"]
    assert share(gap, "split") > 0.9
    assert gap.split > 0
    assert gap.leaked == 0
    assert gap.interval is not None
    assert gap.interval[0] > 0

    uneven, uneven_owner = people(range(50 * seed, 50 * seed + PEOPLE), slices=0)
    # the mean over slices is printed for training, the mean over people for validation
    gap = Bench(uneven, uneven, uneven_owner, 0.0, False, seed, learnt).gaps(1, 0.0)["loss"]
    assert share(gap, "aggregation") > 0.9
    assert gap.regime == gap.augmentation == gap.split == 0

    gap = Bench(both, both, owner, 0.0, True, seed, learnt).gaps(1, 0.0)["loss"]
    assert share(gap, "augmentation") > 0.9
    assert gap.regime == gap.split == 0

    dropping = Bench(both, both, owner, 0.5, False, seed, learnt)
    measured = dropping.as_they_are()
    # which features drop is drawn anew for each pass: that noise is averaged away, it is nobody's part
    drawn = [dropping.gaps(number, 0.0, measured)["loss"] for number in range(1, 1 + DRAWS)]
    assert all(gap.augmentation == gap.split == 0 for gap in drawn)
    lag, regime = (float(np.mean([getattr(gap, name) for gap in drawn])) for name in ("lag", "regime"))
    assert abs(regime) > 9 * abs(lag), drawn


def test_the_training_number_is_that_of_keras() -> None:
    """``fit`` prints the mean of what the table holds."""
    both, owner = people(range(20))  # 80 slices: ten whole batches
    bench = Bench(both, both, owner, 0.5, True, 4)
    bench.batches.epoch = 1
    printed = bench.learner.fit(bench.batches, epochs=1, shuffle=False, verbose=0).history["loss"][0]
    rows = bench.batches.order(1)
    sums = bench.learner.sums(both.ids[rows].tolist(), BATCH)
    assert learning_scores(sums, owner, "ce").loss == pytest.approx(printed, abs=1e-6)


def test_measuring_does_not_move_the_dice_of_dropout() -> None:
    """A run that explains itself ends at the same weights as one that does not."""
    both, owner = people(range(6))
    ends = []
    for explained in (True, False):
        bench = Bench(both, both, owner, 0.5, True, 5)
        for number in (1, 2):
            bench.epoch(number)
            if explained:
                bench.explainer.passes(both, bench.batches, number)
        ends.append(weights_of(bench.network))
    assert all(np.array_equal(ends[0][k], ends[1][k]) for k in ends[0])
