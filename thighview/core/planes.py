"""Planes: how a slice of a stored volume lies on the screen, and back.

Three kinds of coordinates meet here, each with its own convention:

- *voxel* ``(z, y, x)``: indices of the stored array; integers are voxel centres.
- *plane* ``(row, column)``: the slice as it is shown, row 0 at the top, column 0 on the left; integers are pixel
  centres, so the shown slice spans -0.5 to rows - 0.5.
- *screen* ``(x, y)``: widget pixels, integers are pixel corners (as in Qt's painter).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.mask import Region
from thighview.core.volume import LETTERS, Volume

VIEWS = ("axial", "coronal", "sagittal")
_OBLIQUE = 0.2
"""Part of a unit vector from which on a direction is named, too: 11.5 degrees."""
_OPPOSITE = {"L": "R", "R": "L", "P": "A", "A": "P", "S": "I", "I": "S"}
_SHOWN = {"S": "H", "I": "F"}
"""Head and foot are what a reader of thighs calls them; L R A P stay."""
_LAYOUT: dict[str, tuple[int, str, str]] = {
    "axial": (2, "P", "L"),
    "coronal": (1, "I", "L"),
    "sagittal": (0, "I", "P"),
}
"""For each view: the LPS axis looked along, where the screen's bottom points, and where its right points."""


@dataclass(frozen=True)
class Box:
    """A box of shown pixels, half open: r0 <= row < r1 and c0 <= column < c1."""

    r0: int
    r1: int
    c0: int
    c1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The box as an index into a (rows, columns) array."""
        return (slice(self.r0, self.r1), slice(self.c0, self.c1))

    @property
    def shape(self) -> tuple[int, int]:
        """Pixel counts (rows, columns)."""
        return (self.r1 - self.r0, self.c1 - self.c0)


@dataclass(frozen=True)
class Plane:
    """One way to look at a volume: which array axes lie across the screen, and which of them are turned round.

    Parameters
    ----------
    view : {"axial", "coronal", "sagittal"}
        Name of the view, by the nearest anatomical plane; oblique scans keep their own slices.
    through, row_axis, column_axis : int
        Array axes (0 = z, 1 = y, 2 = x): across the slices, down the screen, along the screen.
    flip_rows, flip_columns : bool
        Whether the index falls where the screen coordinate grows.
    shape_zyx : tuple of int
        Shape of the volume.
    spacing_mm_zyx : tuple of float
        Distance of voxel centres along the array axes, mm.
    letters : str
        Patient directions at the screen's top, right, bottom and left edge, of ``L R A P H F``.
    edges : tuple of str
        The same edges in full: where a scan is oblique the lesser directions follow, as in ``LA``; ``?`` where the
        source does not say how the scan lies.
    """

    view: str
    through: int
    row_axis: int
    column_axis: int
    flip_rows: bool
    flip_columns: bool
    shape_zyx: tuple[int, int, int]
    spacing_mm_zyx: tuple[float, float, float]
    letters: str
    edges: tuple[str, str, str, str]

    @staticmethod
    def of(volume: Volume, view: str, radiological: bool = True, placed: bool | None = None) -> "Plane":
        """The plane of a volume that is nearest to an anatomical one.

        ``placed``: whether left and right are known; what the volume says of it where it is not given.

        Radiological: the patient's right on the left of axial and coronal views; otherwise the other way round.
        Sagittal views have anterior on the left either way.
        """
        world_through, bottom, right = _LAYOUT[view]
        if not radiological and view != "sagittal":
            right = _OPPOSITE[right]
        world = volume.world_axes
        row_axis, column_axis = (world.index({"L": 0, "R": 0, "P": 1, "A": 1}.get(d, 2)) for d in (bottom, right))
        corner = [_OPPOSITE[bottom], right, bottom, _OPPOSITE[right]]
        down, along = (_direction(volume, axis, word) for axis, word in ((row_axis, bottom), (column_axis, right)))
        if "orientation" in volume.unsure if placed is None else not placed:
            edges = ["?"] * 4
        else:
            edges = [_in_full(letter, way) for letter, way in zip(corner, (-down, along, down, -along), strict=True)]
        return Plane(
            view,
            world.index(world_through),
            row_axis,
            column_axis,
            volume.axes[row_axis] != bottom,
            volume.axes[column_axis] != right,
            volume.shape,
            volume.spacing_mm,
            "".join(_SHOWN.get(letter, letter) for letter in corner),
            (edges[0], edges[1], edges[2], edges[3]),
        )

    @property
    def rows(self) -> int:
        """Pixels down the screen."""
        return self.shape_zyx[self.row_axis]

    @property
    def columns(self) -> int:
        """Pixels along the screen."""
        return self.shape_zyx[self.column_axis]

    @property
    def count(self) -> int:
        """Number of slices."""
        return self.shape_zyx[self.through]

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Distance of pixel centres (down, along) the screen, mm."""
        return (self.spacing_mm_zyx[self.row_axis], self.spacing_mm_zyx[self.column_axis])

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the shown slice, mm."""
        return (self.columns * self.spacing_mm[1], self.rows * self.spacing_mm[0])

    def take(self, array: NDArray[Any], index: int) -> NDArray[Any]:
        """The slice of a (z, y, x) array as it is shown, shape (rows, columns); a view, nothing is copied."""
        at: list[slice | int] = [slice(None)] * 3
        at[self.through] = index
        shown = array[tuple(at)]
        if self.row_axis > self.column_axis:
            shown = shown.T
        return shown[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def to_voxel(self, row: float, column: float, index: int) -> tuple[float, float, float]:
        """Voxel coordinates (z, y, x) of a point of the shown slice ``index``."""
        at = [float(index)] * 3
        at[self.row_axis] = self.rows - 1 - row if self.flip_rows else row
        at[self.column_axis] = self.columns - 1 - column if self.flip_columns else column
        return (at[0], at[1], at[2])

    def to_plane(self, voxel: tuple[float, float, float]) -> tuple[float, float]:
        """Row and column at which a voxel (z, y, x) is shown."""
        row, column = voxel[self.row_axis], voxel[self.column_axis]
        return (
            self.rows - 1 - row if self.flip_rows else row,
            self.columns - 1 - column if self.flip_columns else column,
        )

    def moved(self, voxel: tuple[int, int, int], index: int) -> tuple[int, int, int]:
        """The voxel at the same place on another slice, clipped to the volume."""
        at = list(voxel)
        at[self.through] = min(max(index, 0), self.count - 1)
        return (at[0], at[1], at[2])

    def region_of(self, box: Box, index: int) -> Region:
        """The voxels that a box of the shown slice ``index`` covers."""
        bounds = [(index, index + 1)] * 3
        n, m = self.rows, self.columns
        bounds[self.row_axis] = (n - box.r1, n - box.r0) if self.flip_rows else (box.r0, box.r1)
        bounds[self.column_axis] = (m - box.c1, m - box.c0) if self.flip_columns else (box.c0, box.c1)
        return Region(*bounds[0], *bounds[1], *bounds[2])

    def slice_region(self, index: int) -> Region:
        """All voxels of a slice."""
        return self.region_of(Box(0, self.rows, 0, self.columns), index)

    def box_of(self, region: Region) -> Box:
        """The shown pixels onto which a box of voxels falls, whatever the slice."""
        r, c = region.along(self.row_axis), region.along(self.column_axis)
        r0, r1 = (self.rows - r.stop, self.rows - r.start) if self.flip_rows else (r.start, r.stop)
        c0, c1 = (self.columns - c.stop, self.columns - c.start) if self.flip_columns else (c.start, c.stop)
        return Box(r0, r1, c0, c1)

    def stored(self, shown: NDArray[Any]) -> NDArray[Any]:
        """A (rows, columns) piece as it is shown, laid back into array order: shape of ``region_of`` its box."""
        piece = shown[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        if self.row_axis > self.column_axis:
            piece = piece.T
        return np.expand_dims(piece, self.through)


def _direction(volume: Volume, axis: int, towards: str) -> NDArray[np.float64]:
    """The unit vector (LPS) along an array axis, turned so that it points towards this patient direction."""
    way = volume.affine[:3, axis] / np.linalg.norm(volume.affine[:3, axis])
    return way if volume.axes[axis] == towards else -way


def _in_full(letter: str, way: NDArray[np.float64]) -> str:
    """The letter of an edge and, for an oblique scan, the lesser directions it also points to."""
    first = next(i for i, pair in enumerate(LETTERS) if letter in pair)
    others = sorted((i for i in range(3) if i != first and abs(way[i]) >= _OBLIQUE), key=lambda i: -abs(way[i]))
    found = [letter, *(LETTERS[i][0 if way[i] > 0 else 1] for i in others)]
    return "".join(_SHOWN.get(one, one) for one in found)


@dataclass(frozen=True)
class Placement:
    """Where a plane lies on the screen: true proportions, moved and scaled.

    Parameters
    ----------
    plane : Plane
        What is shown.
    px_per_mm : float
        Scale, the same in both directions.
    left, top : float
        Screen position of the slice's upper left corner (not of its first pixel's centre), pixels.
    """

    plane: Plane
    px_per_mm: float
    left: float
    top: float

    @staticmethod
    def fitted(plane: Plane, width: float, height: float, box: Box | None = None, margin: float = 0.0) -> "Placement":
        """The placement that shows a box (or the whole slice) as large as it goes, centred in a view.

        ``width``, ``height`` and ``margin`` are pixels.
        """
        box = box or Box(0, plane.rows, 0, plane.columns)
        (down, along), (rows, columns) = plane.spacing_mm, box.shape
        px = min(max(width - 2 * margin, 8.0) / (columns * along), max(height - 2 * margin, 8.0) / (rows * down))
        left = width / 2 - (box.c0 + box.c1) / 2 * along * px
        top = height / 2 - (box.r0 + box.r1) / 2 * down * px
        return Placement(plane, px, left, top)

    @property
    def px_per_pixel(self) -> tuple[float, float]:
        """Screen pixels per slice pixel (down, along)."""
        down, along = self.plane.spacing_mm
        return (down * self.px_per_mm, along * self.px_per_mm)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the slice on the screen, pixels."""
        width, height = self.plane.size_mm
        return (width * self.px_per_mm, height * self.px_per_mm)

    def to_plane(self, x: float, y: float) -> tuple[float, float]:
        """Row and column under a screen point; integers are pixel centres."""
        down, along = self.px_per_pixel
        return ((y - self.top) / down - 0.5, (x - self.left) / along - 0.5)

    def to_screen(self, row: float, column: float) -> tuple[float, float]:
        """Screen point (x, y) of a place on the slice."""
        down, along = self.px_per_pixel
        return (self.left + (column + 0.5) * along, self.top + (row + 0.5) * down)

    def box_on_screen(self, box: Box) -> tuple[float, float, float, float]:
        """Left, top, width and height of a box of shown pixels on the screen."""
        down, along = self.px_per_pixel
        return (
            self.left + box.c0 * along,
            self.top + box.r0 * down,
            (box.c1 - box.c0) * along,
            (box.r1 - box.r0) * down,
        )

    def moved(self, dx: float, dy: float) -> "Placement":
        """The same, shifted by screen pixels."""
        return replace(self, left=self.left + dx, top=self.top + dy)

    def zoomed(self, factor: float, x: float, y: float) -> "Placement":
        """The same, enlarged about a screen point that stays where it is; kept between 0.05 and 400 pixels per mm."""
        px = min(max(self.px_per_mm * factor, 0.05), 400.0)
        factor = px / self.px_per_mm
        return replace(self, px_per_mm=px, left=x - (x - self.left) * factor, top=y - (y - self.top) * factor)


def body_mask(shown: NDArray[Any]) -> NDArray[np.bool_]:
    """What is not air on a shown slice, (rows, columns) in and out; nothing when all is alike.

    Otsu's threshold on a 64-bin histogram, lowered by two fifths: dark muscle is body too.
    """
    sample = np.nan_to_num(np.asarray(shown, np.float32))
    low, high = float(sample.min()), float(np.percentile(sample, 99.5))
    if not high > low:
        return np.zeros(sample.shape, bool)
    counts, edges = np.histogram(np.clip(sample, low, high), 64, (low, high))
    centres = (edges[1:] + edges[:-1]) / 2
    weight = np.cumsum(counts).astype(np.float64)
    total = np.cumsum(counts * centres)
    rest = weight[-1] - weight
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (total[-1] * weight / weight[-1] - total) ** 2 / (weight * rest)
    between = np.where(rest > 0, between, 0.0)
    best = float(centres[between >= 0.99 * between.max()].mean())
    return sample > 0.6 * best + 0.4 * low


def body_box(shown: NDArray[Any]) -> Box:
    """The box around what is not air on a shown slice (rows, columns), with 4 % room; the whole slice when unclear.

    Looks at about 128 x 128 samples: good enough to frame a thigh.
    """
    rows, columns = shown.shape
    step = (max(1, rows // 128), max(1, columns // 128))
    inside = body_mask(shown[:: step[0], :: step[1]])
    r, c = (np.flatnonzero(inside.mean(axis=axis) > 0.03) for axis in (1, 0))
    if r.size < 2 or c.size < 2:
        return Box(0, rows, 0, columns)
    room = 0.04 * max((r[-1] - r[0]) * step[0], (c[-1] - c[0]) * step[1])
    return Box(
        max(0, int(r[0] * step[0] - room)),
        min(rows, int((r[-1] + 1) * step[0] + room)),
        max(0, int(c[0] * step[1] - room)),
        min(columns, int((c[-1] + 1) * step[1] + room)),
    )


def body_of_plane(voxels: NDArray[Any], plane: Plane) -> Box:
    """The box of the body in all slices of a plane, as ``body_box`` finds it in the greatest of five of them."""
    shown = [plane.take(voxels, int(i)) for i in np.linspace(0, plane.count - 1, 7)[1:-1]]
    steps = (max(1, plane.rows // 128), max(1, plane.columns // 128))
    found = body_box(np.max([piece[:: steps[0], :: steps[1]] for piece in shown], axis=0))
    return Box(
        found.r0 * steps[0],
        min(found.r1 * steps[0], plane.rows),
        found.c0 * steps[1],
        min(found.c1 * steps[1], plane.columns),
    )
