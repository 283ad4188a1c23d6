"""Small pictures of where a new model errs most, one slice a case: written when it is evaluated, read to be shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap
from thighview.core.planes import Plane
from thighview.core.volume import Volume
from thighview.io.atomic import write_atomic

LARGEST_BYTES = 64 << 20
LARGEST_EDGE = 4096
Mask = tuple[LabelMap, LabelTable]
"""Labels uint8 (z, y, x) and what their values mean."""


@dataclass(frozen=True, eq=False)
class CasePicture:
    """One axial slice as it is shown. ``image`` uint8 (h, w); masks uint8 (h, w), values of one table of colours."""

    subject: str
    title: str
    index: int
    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    old: NDArray[np.uint8]
    new: NDArray[np.uint8]
    colours: NDArray[np.uint8]
    spacing_mm: tuple[float, float]


def write_picture(
    path: Path, subject: str, title: str, volume: Volume, truth: Mask, old: Mask, new: Mask,
    reviewed: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Write the axial slice on which the new model differs most from the truth.

    Parameters
    ----------
    path : Path
        A ``.npz`` file; its folder is made.
    reviewed : ndarray of bool, shape (z,)
        Stored slices that count; nothing of the others is shown.
    """
    labels, table = truth
    plane = Plane.of(volume, "axial")
    keep = reviewed[:, None, None]
    masks = [np.where(keep, mask, 0) for mask in (labels, _as_in(table, *old), _as_in(table, *new))]
    others = tuple(axis for axis in range(3) if axis != plane.through)
    index = int(np.argmax((masks[0] != masks[2]).sum(axis=others)))
    shown = plane.take(volume.voxels, index).astype(np.float32)
    low, high = (float(v) for v in np.nanpercentile(shown, (0.5, 99.5)))
    grey = np.nan_to_num(np.clip((shown - low) / max(high - low, 1e-6) * 255, 0, 255)).astype(np.uint8)
    colours = np.zeros((256, 3), np.uint8)
    for label in table:
        colours[label.value] = label.colour
    cut = {name: plane.take(mask, index).copy() for name, mask in zip(("truth", "old", "new"), masks, strict=True)}
    facts = {"words": np.array([subject, title]), "index": np.array(index), "spacing_mm": np.array(plane.spacing_mm)}

    def write(file: Any) -> None:
        np.savez_compressed(file, allow_pickle=False, image=grey, colours=colours, **cut, **facts)

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, write)


def read_pictures(folder: Path) -> list[CasePicture]:
    """All pictures of a folder.

    Raises
    ------
    UserError
        When one is damaged.
    """
    return [_read(path) for path in sorted(folder.glob("*.npz"))]


def _read(path: Path) -> CasePicture:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ValueError("too large")
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            image, truth, old, new = (np.asarray(file[name]) for name in ("image", "truth", "old", "new"))
            colours, spacing = np.asarray(file["colours"]), file["spacing_mm"]
            subject, title = (str(word) for word in file["words"])
            index = int(file["index"])
            down, along = (float(v) for v in spacing)
        planes = (image, truth, old, new)
        if any(p.dtype != np.uint8 or p.ndim != 2 or p.shape != image.shape for p in planes):
            raise ValueError("planes that do not fit")
        if max(image.shape) > LARGEST_EDGE or colours.shape != (256, 3) or not (down > 0 and along > 0):
            raise ValueError("a shape that cannot be")
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise UserError(f"The picture {path} cannot be read: {str(error)[:120]}.", "Compare again.") from error
    return CasePicture(
        subject, title, index, image, truth, old, new, colours.astype(np.uint8), (down, along)
    )  # fmt: skip


def _as_in(table: LabelTable, labels: LabelMap, drawn: LabelTable) -> LabelMap:
    """A model's mask with the values of another table, by name and side; labels unknown there are left out."""
    lookup = np.zeros(256, np.uint8)
    for label in drawn:
        known = table.find(label.name, label.side) or table.find(label.name)
        lookup[label.value] = known.value if known else 0
    return lookup[labels]
