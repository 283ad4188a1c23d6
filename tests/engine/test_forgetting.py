"""Learning one person of a new contrast at the settings of a fine-tuning: what was known before must stay known."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from tiny_project import draw_person

from thighview.core import guard
from thighview.core.fine_tuning import settings_of
from thighview.core.phantom import make_phantom
from thighview.core.phantom_names import CONTRASTS, tissue_table
from thighview.core.run import TrainConfig
from thighview.core.sums import mean_scores
from thighview.core.volume import Volume
from thighview.engine import replay
from thighview.engine.batches import MeasureBatches, Slices, TrainBatches, slices_of
from thighview.engine.learner import Learner, optimizer_of, rate_at
from thighview.engine.starting import make_plan
from thighview.engine.unet import assign_weights, build_network, weights_of
from thighview.io.frozen import Dataset
from thighview.io.models import find_model, read_weights

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
    return Slices.join(parts, 32, 4)


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


def inverted(seed: int, slices: int) -> tuple[Volume, np.ndarray]:
    """A made-up person as no scanner shows one: bright where it is dark in T1."""
    made = make_phantom(seed, "t1", slices=slices, matrix=guard.MATRIX, spacing_mm=(30.0, 1.4))
    top = int(np.percentile(made.volume.voxels, 99.8))
    return replace(made.volume, voxels=(top - np.minimum(made.volume.voxels, top)).astype(np.int16)), made.labels


def box_figures(config: TrainConfig, slices: int = 8) -> dict[str, tuple[float, float]]:
    """Dice of the model of the box before and after: on the new contrast, on made-up thighs of the known ones."""
    box = find_model("thigh_tissues")
    labels = tissue_table()
    plan = make_plan("new", Dataset(labels, (), (), (), ""), config, box)
    config = plan.config

    def prepared(volume: Volume, mask: np.ndarray, first: int) -> Slices:
        count = len(mask)
        return slices_of(volume, mask, config, range(first, first + count), range(count), plan.classes)

    def joined(*parts: Slices) -> Slices:
        return Slices.join(parts, config.input_size, 16)

    learnt = joined(prepared(*inverted(930_001, slices), 0))
    unseen = joined(prepared(*inverted(930_010, 2), 0), prepared(*inverted(930_011, 2), 2))
    made = [
        make_phantom(seed, c, slices=guard.SLICES, matrix=guard.MATRIX, spacing_mm=guard.SPACING_MM)
        for c in CONTRASTS for seed in guard.SEEDS
    ]  # fmt: skip
    known = joined(*(prepared(one.volume, one.labels, 2 * k) for k, one in enumerate(made)))
    pool, _, _ = replay.replay_pool(Dataset(labels, (), (), (), ""), plan, learnt, lambda _line: None)
    card = box.card
    network = build_network(card.architecture, len(card.classes), card.base_filters, card.levels, 0.0, None)
    assign_weights(network, read_weights(box.folder, card))
    bench = Bench(network, len(card.classes), config)
    before = bench.dice(unseen), bench.dice(known)
    bench.learn(learnt, config, pool)
    return {"new": (before[0], bench.dice(unseen)), "known": (before[1], bench.dice(known))}


@pytest.mark.long
@pytest.mark.xfail(
    reason="measured with 4 slices: 91.0 to 85.3 on what it knew, 44 to 55 on a contrast that no scanner shows"
)
def test_at_the_default_the_model_of_the_box_keeps_what_it_knew() -> None:
    found = box_figures(settings_of({"start_from": "thigh_tissues"}))
    before, after = found["known"]
    assert after >= before - MOST_LOST, found
    assert found["new"][1] > found["new"][0] + 0.02, "and it learns"
