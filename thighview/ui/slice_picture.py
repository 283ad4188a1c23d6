"""The pixels of one shown slice, scan and masks, kept ready for the painter and renewed only where they change."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

from thighview.core.mask import LabelMap
from thighview.core.planes import Box, Placement, Plane

Pixels = NDArray[np.uint32]
_GREYS = (0xFF000000 | np.arange(256, dtype=np.uint32) * 0x010101).astype(np.uint32)
_WARM_ANCHORS = ((0, 0, 0), (44, 20, 96), (150, 40, 110), (226, 88, 60), (250, 180, 60), (255, 250, 210))


def _warm() -> Pixels:
    """From black over violet and orange to white: lightness grows evenly, so that it reads without colours, too."""
    anchors = np.array(_WARM_ANCHORS, np.float64)
    at = np.linspace(0, len(anchors) - 1, 256)
    red, green, blue = (
        np.interp(at, np.arange(len(anchors)), anchors[:, i]).astype(np.uint32) for i in range(3)
    )  # fmt: skip
    return (0xFF000000 | red << 16 | green << 8 | blue).astype(np.uint32)


_INKS = {"grey": _GREYS, "warm": _warm()}


@lru_cache(maxsize=8)
def _table(kind: str, low: float, high: float, ink: str) -> Pixels:
    """Screen pixel of every possible 8- or 16-bit intensity, in the order of its unsigned bit pattern."""
    signed, bits = kind[0] == "i", 8 * int(kind[1])
    values = np.arange(1 << bits)
    if signed:
        values = np.where(values >= 1 << (bits - 1), values - (1 << bits), values)
    return _INKS[ink][_levels(values.astype(np.float64), low, high)]


def _levels(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    """0 at ``low`` and below (and where not a number), 255 at ``high`` and above."""
    scaled = np.clip((values - low) * (255.0 / max(high - low, 1e-30)), 0.0, 255.0)
    return np.nan_to_num(scaled + 0.5, nan=0.0).astype(np.uint8)


def palette_pixels(rgba: NDArray[np.uint8]) -> Pixels:
    """Premultiplied ARGB pixels of a (256, 4) table of colours."""
    colours = rgba.astype(np.uint32)
    alpha = colours[:, 3]
    red, green, blue = ((colours[:, i] * alpha + 127) // 255 for i in range(3))
    return (alpha << 24 | red << 16 | green << 8 | blue).astype(np.uint32)


class SlicePicture:
    """Scan and masks of one slice as images of one pixel per voxel; the painter scales them.

    ``show`` says what; ``grey`` and ``overlay`` make what is missing. Nothing depends on the number of slices.
    """

    def __init__(self) -> None:
        self._voxels: NDArray[np.generic] | None = None
        self._labels: LabelMap | None = None
        self._plane: Plane | None = None
        self._index = -1
        self._window = (0.0, 1.0)
        self._ink = "grey"
        self._palette: Pixels = np.zeros(256, np.uint32)
        self._grey = np.zeros((1, 1), np.uint32)
        self._over = np.zeros((1, 1), np.uint32)
        self._grey_image = QImage()
        self._over_image = QImage()
        self._grey_stale = self._over_stale = True
        self._over_empty = True

    def show_case(self, voxels: NDArray[np.generic] | None, labels: LabelMap | None, plane: Plane | None) -> None:
        """Take another scan, mask or plane."""
        self._voxels, self._labels, self._plane, self._index, self._ink = voxels, labels, plane, -1, "grey"
        if plane is None:
            return
        shape = (plane.rows, plane.columns)
        self._grey, self._over = np.zeros(shape, np.uint32), np.zeros(shape, np.uint32)
        rows, columns = shape
        self._grey_image = QImage(self._grey.data, columns, rows, 4 * columns, QImage.Format.Format_RGB32)
        self._over_image = QImage(
            self._over.data, columns, rows, 4 * columns, QImage.Format.Format_ARGB32_Premultiplied
        )
        self._grey_stale = self._over_stale = True

    def show_image(self, voxels: NDArray[np.generic], ink: str = "grey") -> None:
        """Take another image on the same grid, in greys or in warm colours."""
        if voxels is not self._voxels or ink != self._ink:
            self._voxels, self._ink, self._grey_stale = voxels, ink, True

    def show_slice(self, index: int, window: tuple[float, float]) -> None:
        """Take another slice or window."""
        if index != self._index:
            self._index = index
            self._grey_stale = self._over_stale = True
        if window != self._window:
            self._window = window
            self._grey_stale = True

    def show_palette(self, rgba: NDArray[np.uint8]) -> None:
        """Take other mask colours, uint8 (256, 4)."""
        palette = palette_pixels(rgba)
        if not np.array_equal(palette, self._palette):
            self._palette = palette
            self._over_stale = True

    def touch(self, box: Box) -> None:
        """The masks inside this box of the shown slice have changed."""
        if not self._over_stale and self._plane is not None and self._labels is not None:
            labels = self._plane.take(self._labels, self._index)[box.slices]
            self._over[box.slices] = self._palette[labels]
            self._over_empty = self._over_empty and not labels.any()

    def outdate(self, slices: range) -> None:
        """The masks of these slices have changed: the one drawn last may be among them, though it is not in sight."""
        if self._index in slices:
            self._over_stale = True

    def labels(self) -> NDArray[np.uint8]:
        """Label values of the shown slice, (rows, columns), a view."""
        assert self._plane is not None
        assert self._labels is not None
        return self._plane.take(self._labels, self._index)

    def grey(self) -> QImage:
        """The scan, opaque."""
        if self._grey_stale and self._plane is not None and self._voxels is not None:
            self._grey_stale = False
            shown = self._plane.take(self._voxels, self._index)
            kind = shown.dtype.str[1:]
            if shown.dtype.isnative and kind in ("i1", "u1", "i2", "u2"):
                unsigned = shown.view(np.uint8 if kind[1] == "1" else np.uint16)
                np.take(_table(kind, *self._window, self._ink), unsigned, out=self._grey, mode="clip")
            else:
                values = shown.astype(np.float32 if kind in ("f2", "f4") else np.float64)
                np.take(_INKS[self._ink], _levels(values, *self._window), out=self._grey, mode="clip")
        return self._grey_image

    def overlay(self) -> QImage | None:
        """The masks, filled; None when the slice has none."""
        if self._plane is None or self._labels is None:
            return None
        if self._over_stale:
            self._over_stale = False
            labels = self.labels()
            self._over_empty = not labels.any()
            if not self._over_empty:
                np.take(self._palette, labels, out=self._over, mode="clip")
            else:
                self._over[...] = 0
        return None if self._over_empty else self._over_image


def outline_image(
    labels: NDArray[np.uint8], placement: Placement, rect: tuple[int, int, int, int], ratio: float, palette: Pixels
) -> QImage:
    """The outlines of a label plane inside a screen rectangle, about 1.6 screen pixels wide on the inner side.

    Parameters
    ----------
    labels : ndarray of uint8, shape (rows, columns)
        As shown.
    rect : left, top, width, height
        Screen rectangle in widget pixels.
    ratio : float
        Device pixels per widget pixel.
    palette : ndarray of uint32, shape (256,)
        Premultiplied pixel of each label value.
    """
    wide = max(1, round(1.6 * ratio))
    left, top, width, height = rect
    columns, rows = round(width * ratio), round(height * ratio)
    down, along = placement.px_per_pixel
    row = np.floor(((np.arange(-wide, rows + wide) + 0.5) / ratio + top - placement.top) / down).astype(int)
    column = np.floor(((np.arange(-wide, columns + wide) + 0.5) / ratio + left - placement.left) / along).astype(int)
    seen = np.take(np.take(labels, row, axis=0, mode="clip"), column, axis=1, mode="clip")
    seen[(row < 0) | (row >= labels.shape[0])] = 0
    seen[:, (column < 0) | (column >= labels.shape[1])] = 0
    here = seen[wide : wide + rows, wide : wide + columns]
    edge = here != seen[: -2 * wide, wide:-wide]
    edge |= here != seen[2 * wide :, wide:-wide]
    edge |= here != seen[wide:-wide, : -2 * wide]
    edge |= here != seen[wide:-wide, 2 * wide :]
    pixels = np.take(palette, np.where(edge, here, 0), mode="clip")
    image = QImage(pixels.data, columns, rows, 4 * columns, QImage.Format.Format_ARGB32_Premultiplied).copy()
    image.setDevicePixelRatio(ratio)
    return image
