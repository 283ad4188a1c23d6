"""Made-up thighs as an nnU-Net raw folder."""

from functools import partial
from pathlib import Path

import numpy as np

from thighview.core.mask import LabelMap
from thighview.core.phantom import make_phantom
from thighview.core.phantom_names import CONTRASTS, tissue_table
from thighview.core.review import SliceReview, SliceState
from thighview.core.volume import Volume
from thighview.io.nnunet_out import OutCase, OutReport, Report, write_dataset


def write_phantoms(folder: Path, count: int, seed: int, report: Report) -> OutReport | None:
    """Write ``count`` made-up persons with their true tissues; contrasts take turns.

    Person i of a seed is always the same, however many are drawn; two seeds share nobody.
    """
    cases = [_case(seed, i) for i in range(count)]
    return write_dataset(folder, cases, f"phantoms_{seed}", report)


def _case(seed: int, number: int) -> OutCase:
    person = seed * 1000 + number
    contrast = CONTRASTS[number % len(CONTRASTS)]
    slices = int(np.random.default_rng([seed, number]).integers(14, 25))
    reviews = (SliceReview(SliceState.DRAWN),) * slices
    name = f"phantom-{person:04d}"
    return OutCase(name, f"{name} {contrast}", "", tissue_table(), reviews, partial(_draw, person, contrast, slices))


def _draw(person: int, contrast: str, slices: int) -> tuple[Volume, LabelMap]:
    made = make_phantom(person, contrast, slices=slices)
    return made.volume, made.labels
