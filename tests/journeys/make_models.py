"""Child of the journeys' tests: leaves two small models in a folder. Run as a script, so that keras stays here.

Neither has learnt anything; a slice takes ``tiny`` milliseconds, and ``slow`` long enough to cancel or kill it.
"""

import sys
from dataclasses import replace
from pathlib import Path

import keras

from thighview.core.phantom_names import TISSUES, tissue_table
from thighview.engine.unet import build_network, weights_of
from thighview.io.models import ModelCard, write_model

TINY = ModelCard(
    "tiny", "unet", 4, 3, 0.0, ("background", *TISSUES), tissue_table(), True, 0.0, 96,
    statement="Made by a test; it has learnt nothing.",
)  # fmt: skip
SLOW = replace(TINY, name="slow", base_filters=24, levels=4, input_size=256)


def main(folder: Path) -> None:
    keras.utils.set_random_seed(1)
    for card in (TINY, SLOW):
        network = build_network(card.architecture, len(card.classes), card.base_filters, card.levels)
        write_model(folder / card.name, card, weights_of(network))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
