"""Learning one person of a new contrast at the settings of a fine-tuning: what was known before must stay known."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from tiny_project import draw_person

from thighview.core.fine_tuning import settings_of
from thighview.core.run import TrainConfig
from thighview.core.sums import mean_scores
from thighview.engine.batches import MeasureBatches, Slices, TrainBatches
from thighview.engine.learner import Learner, optimizer_of, rate_at
from thighview.engine.unet import assign_weights, build_network, weights_of

MOST_LOST = 0.02
OLD, NEW = (40, 600, 150), (500, 90, 600)
"""Grey levels of background, thigh and bone, before and at the new place."""


class Bench:
    """A network that learns by the steps of a run, again and again from any weights, with its functions built once."""

    def __init__(self, network: Any, classes: int, config: TrainConfig) -> None:
        self.network, self.learner = network, Learner(network, config.loss, 64, classes)
        self.learner.compile(optimizer=optimizer_of(replace(config, schedule="constant"), 1))
        self.learner.optimizer.build(self.learner.trainable_variables)

    def learn(self, slices: Slices, config: TrainConfig, pool: Slices | None = None) -> None:
        """As a run does: the same batches, the same rates."""
        optimizer: Any = self.learner.optimizer
        for variable in optimizer.variables:
            variable.assign(np.zeros(variable.shape))
        batches = TrainBatches(
            slices, config.input_size, config.batch_size, config.seed, config.augment, None, pool, config.replay
        )
        batches.spare = 64
        steps = len(batches)
        for step in range(config.epochs * steps):
            optimizer.learning_rate.assign(rate_at(config, step, config.epochs * steps))
            self.learner.learn(*batches.batch(1 + step // steps, step % steps))

    def dice(self, slices: Slices) -> float:
        """Mean over labels, all slices together."""
        sums = self.learner.measure(MeasureBatches(slices, 4, 64))
        found = mean_scores(sums, dict.fromkeys(slices.ids.tolist(), "all"), "ce_dice").dice
        assert found is not None
        return found


def discs(seeds: Sequence[int], levels: tuple[int, int, int]) -> Slices:
    """Slices of tiny people of one contrast."""
    parts: list[Slices] = []
    for seed in seeds:
        _, labels = draw_person(seed)
        image = np.array(levels)[labels] + np.random.default_rng(seed).normal(0, 25, labels.shape)
        image = ((image - image.mean()) / image.std()).astype(np.float32)
        ids = np.arange(4, dtype=np.int32) + 4 * seed
        air = np.full(4, image[:, 0, 0].mean(), np.float32)
        parts.append(Slices(ids, image, labels, air, np.ones(4, np.float32)))
    return Slices.join(parts)


def test_at_the_default_a_tiny_network_keeps_what_it_knew() -> None:
    tiny = {"base_filters": 4, "levels": 3, "input_size": 32}
    config = settings_of({**tiny, "start_from": "it"})
    assert (config.learning_rate, config.replay, config.epochs, config.batch_size) == (1e-4, 0.5, 40, 4)
    keras.utils.set_random_seed(1)
    bench = Bench(build_network("unet", 3, 4, 3, 0.0, None), 3, config)
    known, others, new = discs((1, 2, 3), OLD), discs((11, 12), OLD), discs((21,), NEW).chosen((0, 1))
    bench.learn(known, TrainConfig(**tiny, learning_rate=1e-2, epochs=25, augment=False))
    start, before = weights_of(bench.network), bench.dice(others)
    assert before > 0.9
    bench.learn(new, config, known)
    assert bench.dice(others) >= before - MOST_LOST
    assign_weights(bench.network, start)
    bench.learn(new, replace(config, learning_rate=1e-2, replay=0.0, epochs=10))
    assert bench.dice(others) < before - 0.1, "it would show"
