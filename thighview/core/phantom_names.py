"""What a made-up thigh is made of: its tissues, muscles and contrasts by name; cheap to load, unlike what draws it."""

import numpy as np
from numpy.typing import NDArray

from thighview.core.labels import PALETTE, Label, LabelTable

CONTRASTS = ("t1", "dixon_water", "dixon_fat", "fat_sat")
CONTRAST_WORDS = {"t1": "T1", "dixon_water": "Dixon water", "dixon_fat": "Dixon fat", "fat_sat": "fat\u00a0sat"}

TISSUES = ("subcutaneous_fat", "muscle", "intermuscular_fat", "femur_cortex", "femur_marrow")
"""Tissues by value 1 to 5. Skin counts as subcutaneous fat; fascia, vessels and nerves as intermuscular fat."""

MUSCLES = (
    "rectus_femoris",
    "vastus_lateralis",
    "vastus_medialis",
    "vastus_intermedius",
    "sartorius",
    "gracilis",
    "adductor_longus",
    "adductor_magnus",
    "biceps_femoris",
    "semitendinosus",
    "semimembranosus",
    "gluteus_maximus",
)

_TISSUE_COLOURS = ((255, 193, 70), (214, 84, 84), (92, 214, 168), (144, 202, 249), (120, 144, 255))


def tissue_table() -> LabelTable:
    """The label table of ``thigh_tissues``: left 1 to 5, right 6 to 10."""
    return LabelTable(
        tuple(
            Label(value + 5 * offset, name, side, _TISSUE_COLOURS[value - 1])
            for offset, side in enumerate(("left", "right"))
            for value, name in enumerate(TISSUES, 1)
        )
    )


def muscle_table() -> LabelTable:
    """The muscles by name: left 1 to 12, right 13 to 24, the same colour on both sides."""
    return LabelTable(
        tuple(
            Label(value + len(MUSCLES) * offset, name, side, PALETTE[value - 1])
            for offset, side in enumerate(("left", "right"))
            for value, name in enumerate(MUSCLES, 1)
        )
    )


def phantom_part(labels: LabelTable) -> LabelTable:
    """Those of the labels that are tissues of a phantom, or muscles of it, whichever are more; perhaps none."""
    parts = [
        [b for b in labels if any(b.name == ours.name and b.side in ("", ours.side) for ours in table)]
        for table in (tissue_table(), muscle_table())
    ]
    return LabelTable(tuple(max(parts, key=len)))


def phantom_lookup(labels: LabelTable) -> tuple[bool, NDArray[np.uint8]] | None:
    """How a phantom's truth becomes a run's labels: (tissues rather than muscles, values uint8 (256,)).

    None when a label of the run is neither a tissue nor a muscle of the phantom, by name and side; a label without
    side stands for both.
    """
    for tissues, table in ((True, tissue_table()), (False, muscle_table())):
        values = np.zeros(256, np.uint8)
        met: set[int] = set()
        for label in table:
            wanted = labels.find(label.name, label.side) or labels.find(label.name)
            if wanted:
                values[label.value] = wanted.value
                met.add(wanted.value)
        if met == {label.value for label in labels}:
            return tissues, values
    return None
