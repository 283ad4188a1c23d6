"""What lies beside the thighs in a scan and is no part of them: forearms, hands, what lies between the legs, the table.

It is drawn where air was, with side 0, so that no truth holds it.
"""

import numpy as np
from numpy.typing import NDArray

from thighview.core.phantom_anatomy import AIR, CORTEX, FASCIA, FAT, MARROW, MUSCLE, SKIN, Cut
from thighview.core.phantom_person import Floats

_GAP_MM = 2.0
_ARM, _HAND, _BETWEEN, _TABLE = 0.3, 0.3, 0.25, 0.15


def add_surroundings(cut: Cut, rows_mm: Floats, columns_mm: Floats, rng: np.random.Generator) -> None:
    """Draw, into a cut of both legs, what a scan of thighs may show besides; often nothing.

    Parameters
    ----------
    cut : Cut
        Changed in place.
    rows_mm, columns_mm : ndarray
        LPS y and x of its rows and columns, mm.
    rng : Generator
    """
    body = cut.material != AIR
    if not body.any():
        return
    at_y, at_x = rows_mm[body.any(1)], columns_mm[body.any(0)]
    middle, half = float(at_y.mean()), float(np.ptp(at_y)) / 2
    page = _Page(cut, rows_mm, columns_mm)
    for outwards, edge in ((1.0, float(at_x[-1])), (-1.0, float(at_x[0]))):
        kind, y = rng.random(), middle + float(rng.uniform(-0.6, 0.8)) * half
        if kind < _ARM:
            _forearm(page, rng, outwards, edge, y)
        elif kind < _ARM + _HAND:
            _hand(page, rng, outwards, edge, y)
    if rng.random() < _BETWEEN:
        radius = rng.uniform(10.0, 32.0, 2)
        at = float(at_y[0]) + float(rng.uniform(0.0, 0.5)) * half, float(rng.normal(0.0, 6.0))
        page.put(at, (radius[0], radius[1]), MUSCLE if rng.random() < 0.5 else FASCIA, 1.5)
    if rng.random() < _TABLE:
        top = float(at_y[-1]) + float(rng.uniform(1.0, 12.0))
        page.band(top, float(rng.uniform(2.0, 15.0)), float(rng.uniform(0.0, 0.15)))


class _Page:
    """Draws round things where a cut shows air."""

    def __init__(self, cut: Cut, rows_mm: Floats, columns_mm: Floats) -> None:
        self.material, self.free = cut.material, cut.material == AIR
        self.y, self.x = rows_mm, columns_mm

    def put(
        self, at: tuple[float, float], radii: tuple[float, float], kind: int, rim_mm: float = 0.0, rim: int = SKIN
    ) -> None:
        """An ellipse about (y, x) with these radii, mm, and a rim."""
        rows, columns = (
            slice(*np.searchsorted(places, (centre - radius, centre + radius)))
            for places, centre, radius in zip((self.y, self.x), at, radii, strict=True)
        )
        away = np.hypot((self.y[rows, None] - at[0]) / radii[0], (self.x[None, columns] - at[1]) / radii[1])
        inside = (away < 1) & self.free[rows, columns]
        rimmed = inside & ((1 - away) * min(radii) < rim_mm)
        self.material[rows, columns][inside] = kind
        self.material[rows, columns][rimmed] = rim

    def band(self, top_mm: float, thick_mm: float, sag: float) -> None:
        """The upper face of a table or a mat: a faint band, bent a little."""
        top = top_mm - sag * np.abs(self.x) * 0.3
        inside: NDArray[np.bool_] = (self.y[:, None] > top) & (self.y[:, None] < top + thick_mm) & self.free
        self.material[inside] = FASCIA


def _forearm(page: _Page, rng: np.random.Generator, outwards: float, edge_mm: float, y: float) -> None:
    """Skin, fat, muscle and two bones."""
    radii = rng.uniform(22.0, 42.0, 2)
    x = edge_mm + outwards * (_GAP_MM + radii[1] + float(rng.uniform(-0.25, 0.5)) * radii[1])
    fat = float(rng.uniform(2.0, 8.0))
    page.put((y, x), (radii[0], radii[1]), FAT, 1.5)
    page.put((y, x), (radii[0] - fat, radii[1] - fat), MUSCLE)
    for way in (-1.0, 1.0):
        along = way * float(rng.uniform(0.3, 0.45))
        page.put((y + along * radii[0], x + 0.1 * along * radii[1]), (8.0, 7.0), MARROW, 2.2, CORTEX)


def _hand(page: _Page, rng: np.random.Generator, outwards: float, edge_mm: float, y: float) -> None:
    """Fingers or the bones of the palm, one above the other."""
    count, radius = int(rng.integers(3, 6)), float(rng.uniform(7.0, 11.0))
    x = edge_mm + outwards * (_GAP_MM + radius * float(rng.uniform(0.5, 2.0)))
    palm = rng.random() < 0.5
    if palm:
        page.put((y, x), (count * radius * 1.15, radius * 1.7), MUSCLE, 2.0)
    for i in range(count):
        at = y + (i - (count - 1) / 2) * radius * 2.1, x + float(rng.normal(0.0, 2.0))
        if not palm:
            page.put(at, (radius, radius * 1.2), FAT, 1.5)
        page.put(at, (radius * 0.55, radius * 0.55), MARROW, 1.8, CORTEX)
