"""What augmentation makes of a slice: pictures of it as a training would see it, one for each epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thighview.app.jobs import Job, run_in_thread
from thighview.core.case import Case
from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap
from thighview.core.review import SliceReview
from thighview.core.run import TrainConfig
from thighview.core.volume import Volume

PICTURES = 12
IGNORE = 255
_OUTLINE_SHARE = 1 / 300
"""Thickness of an outline in parts of the picture's edge: it is shown small."""

Picture = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class AugmentPictures:
    """One slice as several epochs would show it.

    ``title`` is the case, ``index`` the slice along the network's axial axis (from 0) of ``slices``; ``reviewed``
    whether it would train as it is; ``drawn`` whether anything is drawn on it. ``pictures`` are uint8 RGB, (n, n, 3),
    of the epochs from ``first_epoch`` on.
    """

    title: str
    index: int
    slices: int
    reviewed: bool
    drawn: bool
    first_epoch: int
    pictures: tuple[Picture, ...]


def ask_pictures(case: Case, config: TrainConfig, first_epoch: int) -> Job:
    """Have them made on a worker thread; ``succeeded`` brings :class:`AugmentPictures`."""
    volume, labels, table = case.volume, case.labels.copy(), case.table
    reviews, title = tuple(case.reviews), case.title

    def work(_report: object, _stopped: object) -> AugmentPictures:
        return augmented_pictures(title, volume, labels, table, reviews, config, first_epoch)

    return run_in_thread(work, lane="preview")


def ask_stored_pictures(project: Path, case_id: int, config: TrainConfig, first_epoch: int) -> Job:
    """The same of a case that is not open, as it is stored; fails with a UserError where its scan is gone."""

    def work(_report: object, _stopped: object) -> AugmentPictures:
        from thighview.io.stored_case import stored_case_in

        case = stored_case_in(project, case_id)
        return augmented_pictures(case.title, case.volume, case.labels, case.table, case.reviews, config, first_epoch)

    return run_in_thread(work, lane="preview")


def augmented_pictures(
    title: str, volume: Volume, labels: LabelMap, table: LabelTable, reviews: Sequence[SliceReview],
    config: TrainConfig, first_epoch: int,
) -> AugmentPictures:  # fmt: skip
    """Pictures of the slice with most drawn on it, a reviewed one where there is any; loads scipy.

    Parameters
    ----------
    title : str
    volume : Volume
    labels : ndarray of uint8, shape (z, y, x)
    table : LabelTable
    reviews : sequence of SliceReview
        One for each stored slice.
    config : TrainConfig
    first_epoch : int
        The first of ``PICTURES`` epochs, from 1.

    Raises
    ------
    UserError
        When the planes of the scan do not fit the network.
    """
    from thighview.engine.augment import augmented, slice_generator, swap_table
    from thighview.engine.preprocess import Intensity, masks_for_network, plane_grid, slices_for_network

    grid = plane_grid(volume, config)
    axis = grid.axes[0]
    seen = np.array([review.state.reviewed for review in reviews], bool)
    index, reviewed = _chosen(labels, seen, axis)
    intensity = Intensity.of(volume.voxels)
    image = slices_for_network(volume.voxels, grid, intensity, [index])[0, ..., 0]
    target = masks_for_network(labels, grid, [index])[0]
    names = [""] * 256
    colours = np.zeros((256, 3), np.float32)
    for label in table:
        names[label.value], colours[label.value] = label.key, label.colour
    mirror, air = swap_table(names), intensity.of_air
    white = float(np.percentile(image, 99.5))
    pictures: list[Picture] = []
    for epoch in range(first_epoch, first_epoch + PICTURES):
        rng = slice_generator(config.seed, epoch, index)
        shown, classes = augmented(image, target, rng, config.input_size, air, mirror)
        pictures.append(_picture((shown - air) / max(white - air, 1e-6), classes, colours))
    return AugmentPictures(title, index, grid.slices, reviewed, bool(target.any()), first_epoch, tuple(pictures))


def _chosen(labels: LabelMap, seen: NDArray[np.bool_], axis: int) -> tuple[int, bool]:
    """The plane across ``axis`` with most drawn on it, and whether it is reviewed; the middle of an empty mask."""
    drawn = np.moveaxis(np.stack([plane > 0 for plane in labels]), axis, 0)
    counts = drawn.sum((1, 2))
    if axis == 0 and seen.any():
        counts = np.where(seen, counts + 1, 0)
    best = int(np.argmax(counts)) if counts.any() else len(counts) // 2
    return best, bool(seen[best]) if axis == 0 else bool(seen.any())


def _picture(grey: NDArray[np.float32], classes: LabelMap, colours: NDArray[np.float32]) -> Picture:
    """Grey levels 0 to 1 with the outline of each label in its colour."""
    rgb = np.repeat(np.clip(grey, 0.0, 1.0)[..., None] * 255.0, 3, axis=2)
    values = np.where(classes == IGNORE, 0, classes)
    inside = np.zeros(values.shape, bool)
    thick = max(1, round(values.shape[0] * _OUTLINE_SHARE))
    for axis in range(2):
        for step in (-thick, thick):
            inside |= np.roll(values, step, axis) != values
    outline = inside & (values > 0)
    rgb[outline] = colours[values[outline]]
    return np.ascontiguousarray(np.rint(rgb).astype(np.uint8))
