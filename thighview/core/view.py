"""What is looked at and how: a frozen snapshot, replaced as a whole."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ViewState:
    """How the open case is shown and which tool is in the hand. Views compare the old with the new one.

    Parameters
    ----------
    cursor : tuple of int
        Voxel (z, y, x) under the linked crosshair; its part along a view's axis is that view's slice.
    window : tuple of float
        Intensities drawn black and white.
    opacity : float
        Of the masks, 0 to 1.
    outline : bool
        Draw the masks' outlines instead of filling them.
    masks_shown : bool
        False while the hide key is held.
    hidden_labels : frozenset of int
        Values not drawn.
    active_label : int
        Value the tools paint; 0 erases.
    tool : str
        ``navigate``, ``brush``, ``eraser``, ``polygon`` or ``fill``.
    brush_radius_mm : float
        Radius of brush and eraser.
    layout : str
        ``three`` views or ``axial`` only.
    radiological : bool
        Patient right on screen left.
    crosshair, letters : bool
        Whether they are drawn.
    base : int
        ``series_id`` of the image shown, 0 for the reference; ``window`` is its window.
    other : int or None
        A second image to compare it with, and ``other_window`` its window.
    beside : bool
        The second one in a view of its own; otherwise it is blended over the first.
    mix : float
        How much of the second one a blend shows, 0 to 1.
    """

    cursor: tuple[int, int, int] = (0, 0, 0)
    window: tuple[float, float] = (0.0, 1.0)
    opacity: float = 0.4
    outline: bool = False
    masks_shown: bool = True
    hidden_labels: frozenset[int] = frozenset()
    active_label: int = 1
    tool: str = "navigate"
    brush_radius_mm: float = 6.0
    layout: str = "three"
    radiological: bool = True
    crosshair: bool = True
    letters: bool = True
    base: int = 0
    other: int | None = None
    other_window: tuple[float, float] = (0.0, 1.0)
    beside: bool = False
    mix: float = 0.5


def auto_window(voxels: NDArray[np.generic]) -> tuple[float, float]:
    """Intensities drawn black and white: the 1st and 99.5th percentile of what is not background.

    A sample of at most about 200,000 voxels is enough and takes a few milliseconds.
    """
    step = max(1, round((voxels.size / 200_000) ** (1 / 2)))
    sample = np.asarray(voxels[:, ::step, ::step], np.float32).ravel()
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return (0.0, 1.0)
    low, high = np.percentile(sample, (1.0, 99.5))
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    return (float(low), float(high) if high > low else float(low) + 1.0)


def body_centre(voxels: NDArray[np.generic]) -> tuple[int, int, int]:
    """A voxel (z, y, x) inside the body on the middle slice: with two thighs in the image, inside one of them."""
    z, y, x = voxels.shape
    step = max(1, max(y, x) // 128)
    plane = np.nan_to_num(np.asarray(voxels[z // 2, ::step, ::step], np.float32))
    body = plane > plane.mean()
    if not body.any():
        return (z // 2, y // 2, x // 2)
    column = int(np.argmax(np.convolve(body.sum(axis=0), np.ones(9), "same")))
    row = int(np.median(np.flatnonzero(body[:, column]))) if body[:, column].any() else body.shape[0] // 2
    return (z // 2, row * step, column * step)
