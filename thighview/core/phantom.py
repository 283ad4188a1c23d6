"""Made-up thighs: an image and its exact labels, drawn from a seed. No patient was scanned for them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap
from thighview.core.phantom_anatomy import AIR, CORTEX, FAT, MARROW, MATERIALS, MUSCLE, SKIN, Cut, cut_legs
from thighview.core.phantom_image import RANDOM, Look, draw_look, expose
from thighview.core.phantom_names import CONTRASTS, GROUP_OF_MUSCLE, GROUPS, MUSCLES, TISSUES, TRUTHS
from thighview.core.phantom_person import Floats, Person, draw_person
from thighview.core.phantom_varied import KINDS_BEYOND, draw_person_beyond
from thighview.core.volume import Volume

__all__ = [
    "RANDOM",
    "Look",
    "Person",
    "Phantom",
    "draw_look",
    "draw_person",
    "fine_grid",
    "make_phantom",
    "see_cut",
]

_TISSUE_OF = np.full(MATERIALS, 3, np.uint8)
_TISSUE_OF[[AIR, SKIN, FAT, MUSCLE, CORTEX, MARROW]] = 0, 1, 1, 2, 4, 5
_GROUP_OF = np.zeros(MATERIALS, np.uint8)
_GROUP_OF[[SKIN, FAT]] = GROUPS.index("subcutaneous_fat") + 1
_GROUP_OF[[CORTEX, MARROW]] = GROUPS.index("femur") + 1
_MUSCLE_GROUP = np.array(
    [0, *2 * [GROUPS.index(GROUP_OF_MUSCLE[m]) + 1 if m in GROUP_OF_MUSCLE else 0 for m in MUSCLES]], np.uint8
)
_FACTOR = 2


@dataclass(frozen=True, eq=False)
class Phantom:
    """A made-up scan and the truth about it.

    ``volume`` holds int16 voxels (z, y, x); ``labels`` the tissues (``table``), ``muscles`` the muscles by name
    (``muscle_names``) and ``groups`` the groups of ``group_table``, all uint8 on the same grid.
    """

    volume: Volume
    labels: LabelMap
    table: LabelTable
    muscles: LabelMap
    muscle_names: LabelTable
    groups: LabelMap
    subject: str
    contrast: str

    def truth(self, name: str) -> LabelMap:
        """The label map of one of ``TRUTHS``."""
        return {"tissues": self.labels, "muscles": self.muscles, "groups": self.groups}[name]


def make_phantom(
    seed: int,
    contrast: str | None = None,
    *,
    slices: int | None = None,
    matrix: tuple[int, int] | None = None,
    spacing_mm: tuple[float, float] | None = None,
    axes: str = "SPL",
    beyond: bool = False,
) -> Phantom:
    """Draw the thigh scan of a made-up person.

    Parameters
    ----------
    seed : int
        Same seed, same bytes; the seed is the person and the scan.
    contrast : str, optional
        One of ``CONTRASTS`` or ``"random"``; chosen by the seed when None. Does not change the person.
    slices : int, optional
        Number of slices, at least 1; 12 to 30 by the seed when None.
    matrix : (rows, columns), optional
        Image matrix; 256 to 512 by the seed when None.
    spacing_mm : (between slices, in plane), optional
        3 to 10 mm and 0.7 to 1.5 mm by the seed when None.
    axes : {"SPL", "SAR"}
        Stored order: as DICOM shows it, or as a NIfTI stored RAS reads.
    beyond : bool
        A person with one measure beyond those of all people in training (:func:`draw_person_beyond`), another kind with
        each seed.

    Returns
    -------
    Phantom
        Slices run from the knee up.
    """
    if axes not in ("SPL", "SAR"):
        raise UserError(f"Expected stored axes SPL or SAR, found {axes!r}.")
    people = np.random.default_rng([seed, 1])
    person = draw_person_beyond(people, seed % KINDS_BEYOND) if beyond else draw_person(people)
    plan = np.random.default_rng([seed, 2])
    chosen = str(plan.choice(CONTRASTS))
    contrast = contrast or chosen
    rows, columns, in_plane = _plan_matrix(person, plan)
    between = float(np.round(plan.choice([3.0, 4.0, 5.0, 6.0, 8.0, 10.0]), 1))
    count = int(plan.integers(12, 31))
    if matrix is not None:
        in_plane = in_plane * columns / matrix[1]
        rows, columns = matrix
    if spacing_mm is not None:
        between, in_plane = spacing_mm
    count = slices or count
    covered = min((count - 1) * between / person.length_mm, 0.98)
    lowest = float(plan.uniform(0.01, 0.99 - covered))
    levels = lowest + np.linspace(0.0, covered, count) if count > 1 else np.array([plan.uniform(0.1, 0.9)])

    look = draw_look(np.random.default_rng([seed, 3, *contrast.encode()]), contrast)
    row_mm, column_mm = fine_grid(rows, columns, in_plane, (float(plan.normal(0.0, 5.0)), float(plan.normal(0.0, 5.0))))
    voxels = np.zeros((count, rows, columns), np.int16)
    tissues, muscles, groups = (np.zeros(voxels.shape, np.uint8) for _ in range(3))
    brightness = float(plan.uniform(250.0, 1100.0))
    for z, level in enumerate(levels):
        cut = cut_legs(person, float(level), row_mm, column_mm)
        image = expose(cut, look, np.random.default_rng([seed, 4, z]), _FACTOR, z / max(count - 1, 1))
        voxels[z] = np.clip(np.round(image * brightness), 0, 32767)
        tissues[z] = _vote(_sided(cut, _tissues(cut), len(TISSUES)))
        muscles[z] = _vote(cut.muscle)
        groups[z] = _vote(_sided(cut, _groups(cut), len(GROUPS)))
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = between, in_plane, in_plane, 1.0
    origin = np.array([column_mm[:_FACTOR].mean(), row_mm[:_FACTOR].mean(), 0.0], np.float64)
    if axes == "SAR":
        voxels = np.ascontiguousarray(voxels[:, ::-1, ::-1])
        tissues, muscles, groups = (np.ascontiguousarray(a[:, ::-1, ::-1]) for a in (tissues, muscles, groups))
        origin = origin + np.array([(columns - 1) * in_plane, (rows - 1) * in_plane, 0.0])
        affine[1, 1], affine[0, 2] = -in_plane, -in_plane
    affine[:3, 3] = origin
    subject = f"phantom-{seed:04d}"
    volume = Volume(
        voxels, affine, f"{subject} {contrast}", "phantom", (),
        {"Source": "made up by thighview, no patient", "Seed": str(seed), "Contrast": contrast},
    )  # fmt: skip
    tables = {name: make() for name, make in TRUTHS.items()}
    return Phantom(volume, tissues, tables["tissues"], muscles, tables["muscles"], groups, subject, contrast)


def _plan_matrix(person: Person, plan: np.random.Generator) -> tuple[int, int, float]:
    """Rows and columns of the matrix and pixel size in mm, so that both thighs fit."""
    wide = 2.0 * max(
        abs(person.centre_mm(1, t)[0]) + 1.12 * (76.0 * person.legs[0].scale + 1.4 * person.fat_mm) for t in (0.0, 1.0)
    )
    field = float(np.clip(wide * plan.uniform(1.0, 1.15), 340.0, 520.0))
    fitting = [n for n in (256, 320, 352, 384, 448, 512) if 0.7 <= field / n <= 1.5]
    columns = int(plan.choice(fitting))
    in_plane = float(np.round(field / columns, 4))
    high = 2.0 * (76.0 * person.legs[0].scale + 1.3 * person.fat_mm) + 20.0
    rows = next((n for n in (256, 320, 384, 448) if n * in_plane >= high), 512)
    return rows, columns, in_plane


def fine_grid(
    rows: int, columns: int, spacing_mm: float, centre_mm: tuple[float, float] = (0.0, 0.0)
) -> tuple[Floats, Floats]:
    """LPS y of the fine rows and LPS x of the fine columns, mm, for an image of this size about a centre (y, x)."""
    step = spacing_mm / _FACTOR
    y = (np.arange(rows * _FACTOR) - (rows * _FACTOR - 1) / 2) * step + centre_mm[0]
    x = (np.arange(columns * _FACTOR) - (columns * _FACTOR - 1) / 2) * step + centre_mm[1]
    return y.astype(np.float32), x.astype(np.float32)


def see_cut(
    cut: Cut, look: Look, rng: np.random.Generator, truth: str = "tissues"
) -> tuple[Floats, LabelMap, NDArray[np.bool_]]:
    """A cut seen by a scan, for training.

    Parameters
    ----------
    cut : Cut
        On a fine grid, one of :func:`fine_grid`.
    look : Look
    rng : Generator
        Draws texture and noise.
    truth : {"tissues", "groups"}
        What the labels tell apart.

    Returns
    -------
    image : float32, shape (y, x)
        About 1 where the brightest tissue is.
    labels : uint8, shape (y, x)
        ``TISSUES`` or ``GROUPS`` without side, from 1.
    air : bool, shape (y, x)
        Where nothing lies.
    """
    labels = _vote(_tissues(cut) if truth == "tissues" else _groups(cut))
    air = _vote((cut.material == AIR).astype(np.uint8)) > 0
    return expose(cut, look, rng, _FACTOR), labels, air


def _tissues(cut: Cut) -> LabelMap:
    """Tissues without side on the fine grid; what is no part of a thigh is none."""
    return _TISSUE_OF[cut.material] * (cut.side > 0)


def _groups(cut: Cut) -> LabelMap:
    """Groups without side on the fine grid; fat inside a muscle is that muscle."""
    return np.where(cut.material == MUSCLE, _MUSCLE_GROUP[cut.muscle], _GROUP_OF[cut.material] * (cut.side > 0))


def _sided(cut: Cut, values: LabelMap, count: int) -> LabelMap:
    """Values with side: left 1 to ``count``, right above."""
    return np.where((cut.side == 2) & (values > 0), values + count, values).astype(np.uint8)


def _vote(fine: NDArray[np.uint8]) -> LabelMap:
    """The commonest of each 2 x 2 fine pixels."""
    four = np.sort(np.stack([fine[0::2, 0::2], fine[0::2, 1::2], fine[1::2, 0::2], fine[1::2, 1::2]]), 0)
    a, b, c, d = four
    return np.where(b == c, b, np.where(a == b, a, np.where(c == d, c, a)))
