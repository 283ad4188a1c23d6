"""What a made-up thigh is made of: its tissues, muscles and contrasts by name; cheap to load, unlike what draws it."""

from collections.abc import Callable

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

GROUPS = (
    "rectus_femoris",
    "vasti",
    "sartorius",
    "gracilis",
    "adductors",
    "biceps_femoris",
    "semitendinosus",
    "semimembranosus",
    "femur",
    "subcutaneous_fat",
)
"""Groups by value 1 to 10: muscles that are read together, the femur with its marrow, the fat beneath the skin."""

GROUP_OF_MUSCLE = {
    "vastus_lateralis": "vasti",
    "vastus_medialis": "vasti",
    "vastus_intermedius": "vasti",
    "adductor_longus": "adductors",
    "adductor_magnus": "adductors",
} | {name: name for name in MUSCLES if name in GROUPS}
"""Muscles that are not here (gluteus maximus) belong to no group: background."""

_VASTI, _FEMUR = (205, 70, 45), (184, 220, 244)
_GROUP_COLOURS = (PALETTE[0], _VASTI, *PALETTE[2:8], _FEMUR, (255, 193, 70))  # fat as below, all others of their own
_TISSUE_COLOURS = ((255, 193, 70), (214, 84, 84), (92, 214, 168), (144, 202, 249), (120, 144, 255))


def tissue_table() -> LabelTable:
    """The label table of ``thigh_tissues``: left 1 to 5, right 6 to 10."""
    return _both_sides(TISSUES, _TISSUE_COLOURS)


def muscle_table() -> LabelTable:
    """The muscles by name: left 1 to 12, right 13 to 24, the same colour on both sides."""
    return _both_sides(MUSCLES, PALETTE)


def group_table() -> LabelTable:
    """The label table of ``thigh_groups``: left 1 to 10, right 11 to 20, the same colour on both sides."""
    return _both_sides(GROUPS, _GROUP_COLOURS)


def _both_sides(names: tuple[str, ...], colours: tuple[tuple[int, int, int], ...]) -> LabelTable:
    """Left 1 to n, right n + 1 to 2n."""
    return LabelTable(
        tuple(
            Label(value + len(names) * offset, name, side, colours[value - 1])
            for offset, side in enumerate(("left", "right"))
            for value, name in enumerate(names, 1)
        )
    )


TRUTHS: dict[str, Callable[[], LabelTable]] = {"tissues": tissue_table, "muscles": muscle_table, "groups": group_table}
"""The label maps of a phantom by name, each with its table; where two serve a run, the first is taken."""
NAMES = {"tissues": TISSUES, "muscles": MUSCLES, "groups": GROUPS}
"""Structures of each label map, without side, by value from 1."""


def phantom_part(labels: LabelTable) -> LabelTable:
    """Those of the labels that are tissues, muscles or groups of a phantom, whichever are most; perhaps none."""
    parts = [
        [b for b in labels if any(b.name == ours.name and b.side in ("", ours.side) for ours in table)]
        for table in (make() for make in TRUTHS.values())
    ]
    return LabelTable(tuple(max(parts, key=len)))


def phantom_lookup(labels: LabelTable) -> tuple[str, NDArray[np.uint8]] | None:
    """How a phantom's truth becomes a run's labels: (which of ``TRUTHS``, values uint8 (256,)).

    None when no label map of the phantom has all labels of the run, by name and side; a label without side stands for
    both.
    """
    for truth, make in TRUTHS.items():
        values = np.zeros(256, np.uint8)
        met: set[int] = set()
        for label in make():
            wanted = labels.find(label.name, label.side) or labels.find(label.name)
            if wanted:
                values[label.value] = wanted.value
                met.add(wanted.value)
        if met == {label.value for label in labels}:
            return truth, values
    return None
