"""Models that have learnt nothing, made where keras must stay away or would take its seconds to come."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from thighview.core.phantom_names import TISSUES, tissue_table
from thighview.io.model_card import ModelCard
from thighview.io.models import write_model

TINY = ModelCard(
    "tiny", "unet", 4, 3, 0.0, ("background", *TISSUES), tissue_table(), True, 0.0, 96,
    statement="Made by a test; it has learnt nothing.",
)  # fmt: skip
SLOW = replace(TINY, name="slow", base_filters=24, levels=4, input_size=256)
"""A slice takes ``TINY`` milliseconds, and ``SLOW`` long enough to cancel or kill it."""


def write_random_model(folder: Path, card: ModelCard) -> Path:
    """A model folder of a ``unet`` with random weights, always the same."""
    write_model(folder, card, random_weights(card))
    return folder


def random_weights(card: ModelCard) -> dict[str, np.ndarray]:
    """What ``engine.unet`` would make, without keras in this process."""
    rng = np.random.default_rng(0)
    weights: dict[str, np.ndarray] = {}

    def block(name: str, before: int, after: int, size: int) -> None:
        kernel = rng.normal(size=(size, size, before, after)) * np.sqrt(2 / (size * size * before))
        weights[f"{name}/kernel"], weights[f"{name}/bias"] = kernel, np.zeros(after)
        weights[f"{name}_norm/gamma"], weights[f"{name}_norm/beta"] = np.ones(after), np.zeros(after)

    before = 1
    for level in range(1, card.levels + 1):
        filters = card.base_filters << (level - 1)
        block(f"down{level}_conv1", before, filters, 3)
        block(f"down{level}_conv2", filters, filters, 3)
        before = filters
    for level in range(card.levels - 1, 0, -1):
        filters = card.base_filters << (level - 1)
        block(f"up{level}_conv0", 2 * filters, filters, 2)
        block(f"up{level}_conv1", 2 * filters, filters, 3)
        block(f"up{level}_conv2", filters, filters, 3)
    weights["head/kernel"] = rng.normal(size=(1, 1, card.base_filters, len(card.classes)))
    weights["head/bias"] = np.zeros(len(card.classes))
    return weights
