"""The canvas of a slice view: paints one plane of the open case, and repaints only what has changed."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPolygonF, QRegion, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from thighview.app.session import Session
from thighview.core.case import Case
from thighview.core.mask import Region
from thighview.core.planes import Box, Placement, Plane, body_of_plane
from thighview.core.view import ViewState
from thighview.ui import slice_painter as draw
from thighview.ui.slice_picture import SlicePicture, outline_image, palette_pixels
from thighview.ui.slice_words import PLACE_PX, slice_words, title_words, voxel_words, window_words
from thighview.ui.tools import TOOLS, Sketch

_CORNER_PX = 40
_WIDE_PX = 640
"""From this width on the words at the lower left end before the letter in the middle."""
_NARROW_PX = 170
"""Below this width the letter at the top stands under the view's name."""
_LINE_PX = 20


class SliceCanvas(QWidget):
    """One plane of the open case, painted.

    Parameters
    ----------
    session : Session
        Whose case it shows.
    name : {"axial", "coronal", "sagittal"}
        Which plane.
    second : bool
        Whether it shows the image to compare with, not the first one.
    """

    placed = Signal()
    """The person has moved or zoomed the picture, or fitted it."""

    def __init__(self, session: Session, name: str, parent: QWidget | None = None, second: bool = False) -> None:
        super().__init__(parent)
        self.session = session
        self.name = name
        self.second = second
        self._over = SlicePicture()
        self.plane: Plane | None = None
        self.placement: Placement | None = None
        self.picture = SlicePicture()
        self.sketch: Sketch = ()
        self.sketch_index = -1
        self.mouse: QPointF | None = None
        self.brush_shown = True
        self._body: Box | None = None
        self._fitted = True
        self._fit_body = True
        self._outline_palette = palette_pixels(np.zeros((256, 4), np.uint8))
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 90)
        self.setAccessibleName(f"{name} view")
        session.case_opened.connect(self._show_case)
        session.view_changed.connect(self._show_view)
        session.mask_changed.connect(self._show_mask)
        session.labels_changed.connect(self._show_labels)
        session.images_changed.connect(self._show_images)
        self._show_case(session.case)

    # ------------------------------------------------------------------ what it shows

    @property
    def index(self) -> int:
        """The slice shown."""
        return self.session.view.cursor[self.plane.through] if self.plane else 0

    def fit(self, body: bool = True) -> None:
        """Fit to the body, or to the whole slice, and stay fitted when the view changes size."""
        self._fitted, self._fit_body = True, body
        self._place()
        self.placed.emit()

    def show_plane(self, name: str) -> None:
        """Become the view of another plane."""
        if name != self.name:
            self.name = name
            self.setAccessibleName(f"{name} view")
            self._show_case(self.session.case)

    def zoom(self, factor: float) -> None:
        """Enlarge about the mouse, or about the middle."""
        if self.placement:
            at = self.mouse if self.mouse is not None else QPointF(self.width() / 2, self.height() / 2)
            self.place(self.placement.zoomed(factor, at.x(), at.y()))

    def place(self, placement: Placement) -> None:
        """Show the slice here, no longer fitted."""
        self._fitted = False
        self.placement = placement
        self.update()
        self.placed.emit()

    def follow(self, other: "SliceCanvas") -> None:
        """Show the slice as another view of the same plane does."""
        self._fitted, self._fit_body, self.placement = other._fitted, other._fit_body, other.placement
        if self.placement and not self._fitted:
            middle = ((self.width() - other.width()) / 2, (self.height() - other.height()) / 2)
            self.placement = self.placement.moved(*middle)
        self._place()

    def step(self, slices: int) -> None:
        """Go some slices on."""
        if self.plane and slices:
            cursor = self.plane.moved(self.session.view.cursor, self.index + slices)
            self.session.update_view(cursor=cursor)

    def _show_case(self, case: Case | None) -> None:
        self._fitted = self._fit_body = True
        self._load(case)

    def _load(self, case: Case | None) -> None:
        self.plane = self._plane_of(case) if case else None
        self.placement, self._body = None, None
        if case and self.plane:
            self.picture.show_case(case.volume.voxels, case.labels, self.plane)
            self._body = body_of_plane(case.volume.voxels, self.plane)
        else:
            self.picture.show_case(None, None, None)
        self._over.show_case(None, None, None)
        self._take_images()
        self._refresh_palette()
        self._place()

    @property
    def _shown(self) -> int | None:
        """``series_id`` of the image this view is of."""
        view = self.session.view
        return view.other if self.second else view.base

    @property
    def window_shown(self) -> tuple[float, float]:
        """Intensities drawn black and white here."""
        view = self.session.view
        return view.other_window if self.second else view.window

    @property
    def _blended(self) -> bool:
        view = self.session.view
        return view.other is not None and not view.beside and not self.second

    def _take_images(self) -> None:
        """Give the pictures the images chosen; what is not read yet leaves the reference in its place."""
        case, plane = self.session.case, self.plane
        if case is None or plane is None:
            return
        self.picture.show_image(*_pixels(case, self._shown))
        if self._blended:
            voxels, ink = _pixels(case, self.session.view.other)
            self._over.show_case(voxels, None, plane)
            self._over.show_image(voxels, ink)

    def _plane_of(self, case: Case) -> Plane:
        return Plane.of(case.volume, self.name, self.session.view.radiological, case.is_placed)

    def _show_images(self, case: Case) -> None:
        if self.plane:
            self.plane = replace(self.plane, edges=self._plane_of(case).edges)  # a doubt about the sides may be gone
        self._take_images()
        self.update()

    def _place(self) -> None:
        if self.plane and self._fitted:
            body = self._body if self._fit_body else None
            self.placement = Placement.fitted(self.plane, self.width(), self.height(), body, margin=6.0)
        self.update()

    def _refresh_palette(self) -> None:
        case, view = self.session.case, self.session.view
        if case:
            shown = view.masks_shown
            rgba = case.table.lookup_rgba(view.hidden_labels, round(255 * view.opacity) if shown else 0)
            self.picture.show_palette(rgba)
            strong = case.table.lookup_rgba(
                view.hidden_labels, round(255 * min(1.0, 0.35 + view.opacity)) if shown else 0
            )
            self._outline_palette = palette_pixels(strong)

    # ------------------------------------------------------------------ what changed elsewhere

    def _show_view(self, old: ViewState, new: ViewState) -> None:
        if self.plane is None:
            return
        if old.radiological != new.radiological:
            self._load(self.session.case)
        elif (old.base, old.other, old.beside) != (new.base, new.other, new.beside):
            self._take_images()
            self.update()
        elif (old.opacity, old.masks_shown, old.hidden_labels) != (new.opacity, new.masks_shown, new.hidden_labels):
            self._refresh_palette()
            self.update()
        elif (old.outline, old.window, old.other_window, old.mix, old.crosshair, old.letters) != (
            new.outline, new.window, new.other_window, new.mix, new.crosshair, new.letters,
        ) or old.cursor[self.plane.through] != new.cursor[self.plane.through]:  # fmt: skip
            self.update()
        elif old.cursor != new.cursor and new.crosshair:
            self._update_cross(old)
            self._update_cross(new)
        if old.brush_radius_mm != new.brush_radius_mm:
            self.update_brush(old.brush_radius_mm)
            self.update_brush(new.brush_radius_mm)
        if (old.tool, old.active_label) != (new.tool, new.active_label):
            self.update_brush(new.brush_radius_mm)
            self.show_sketch(self.sketch)

    def _show_mask(self, region: Region) -> None:
        plane, placement = self.plane, self.placement
        if plane is None or placement is None:
            return
        if self.index not in region.along(plane.through):
            self.picture.outdate(region.along(plane.through))
            return
        box = plane.box_of(region)
        self.picture.touch(box)
        x, y, width, height = placement.box_on_screen(box)
        self.update(QRectF(x, y, width, height).toAlignedRect().adjusted(-3, -3, 3, 3))
        if self.mouse is not None:  # the words name the label under it
            self.update(self.corner_rect())

    def _show_labels(self, _table: object) -> None:
        self._refresh_palette()
        self.update()

    def _update_cross(self, view: ViewState) -> None:
        if self.plane and self.placement:
            x, y = self.placement.to_screen(*self.plane.to_plane(view.cursor))
            self.update(QRect(0, math.floor(y) - 1, self.width(), 3))
            self.update(QRect(math.floor(x) - 1, 0, 3, self.height()))

    def update_brush(self, radius_mm: float) -> None:
        """Ask for the brush's circle to be painted anew."""
        if self.mouse is not None and self.placement:
            at = self.mouse
            self.update(draw.brush_rect(at.x(), at.y(), radius_mm * self.placement.px_per_mm))

    def show_sketch(self, sketch: Sketch) -> None:
        """Draw other corners of a shape under way."""
        for shape in (self._sketch_shape(self.sketch), self._sketch_shape(sketch)):
            if not shape.isEmpty():
                self.update(draw.sketch_rect(shape))
        self.sketch = sketch

    def _sketch_shape(self, sketch: Sketch) -> QPolygonF:
        there = self.placement and self.sketch_index == self.index
        return draw.sketch_on_screen(self.placement, sketch) if self.placement and there else QPolygonF()

    # ------------------------------------------------------------------ painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint only what was asked for."""
        with QPainter(self) as painter:
            painter.fillRect(event.rect(), QColor(0, 0, 0))
            plane, placement, view = self.plane, self.placement, self.session.view
            if plane is None or placement is None:
                return
            self.picture.show_slice(self.index, self.window_shown)
            target = QRectF(placement.left, placement.top, *placement.size)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
            painter.drawImage(target, self.picture.grey())
            if self._blended and view.mix > 0:
                self._over.show_slice(self.index, view.other_window)
                painter.setOpacity(view.mix)
                painter.drawImage(target, self._over.grey())
                painter.setOpacity(1.0)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
            if view.masks_shown and view.opacity > 0:
                self._paint_masks(painter, event.region(), target, placement, view.outline)
            self._paint_words(painter, event.region(), plane, placement, view)

    def _paint_masks(
        self, painter: QPainter, asked: QRegion, target: QRectF, placement: Placement, outlined: bool
    ) -> None:
        overlay = self.picture.overlay()
        if overlay is None:
            return
        if not outlined:
            painter.drawImage(target, overlay)
            return
        ratio = self.devicePixelRatioF()
        for rect in cast("Iterable[QRect]", asked.intersected(target.toAlignedRect())):
            where = (rect.x(), rect.y(), rect.width(), rect.height())
            image = outline_image(self.picture.labels(), placement, where, ratio, self._outline_palette)
            painter.drawImage(rect.topLeft(), image)

    def _paint_words(
        self, painter: QPainter, asked: QRegion, plane: Plane, placement: Placement, view: ViewState
    ) -> None:
        width, height = self.width(), self.height()
        if view.crosshair:
            draw.draw_cross(painter, *placement.to_screen(*plane.to_plane(view.cursor)), width, height)
        if self.sketch:
            draw.draw_sketch(painter, self._sketch_shape(self.sketch), self._ink())
        if view.letters:
            rects = draw.letter_rects(
                width, height, 0 if width > _WIDE_PX else self._corner_px - 10, 0 if width > _NARROW_PX else 18
            )
            if any(asked.intersects(rect) for rect in rects):
                draw.draw_letters(painter, plane.edges, rects)
        if asked.intersects(QRect(0, 0, width // 2, 30)):
            case, over = self.session.case, view.other if self._blended else None
            title = title_words(case, self.name, self._shown, over, width)
            draw.draw_name(painter, title, max(120, width // 2 - draw.MARGIN - 24))
        if asked.intersects(self.corner_rect()):
            draw.draw_corner(painter, self.corner_rect(), self._corner_lines())
        sized = self.session.case is not None and self.session.case.is_sized
        if sized and asked.intersects(draw.scale_bar(placement, width, height)[2]):
            draw.draw_scale_bar(painter, placement, width, height)
        if self.mouse is not None and TOOLS[view.tool].round and self.brush_shown:
            radius_px = view.brush_radius_mm * placement.px_per_mm
            draw.draw_brush(painter, self.mouse.x(), self.mouse.y(), radius_px, self._ink())

    def _ink(self) -> QColor:
        view, case = self.session.view, self.session.case
        label = case.table.get(view.active_label) if case else None
        if case is None or label is None or view.tool == "eraser":
            return QColor(245, 248, 252)
        return QColor(*case.table.shown_colour(label))

    def corner_rect(self) -> QRect:
        """Where the words at the lower left stand."""
        wide = self.width() - 2 * draw.MARGIN
        wide = min(wide - 90, wide // 2 - 20) if self.width() > _WIDE_PX else wide - 62
        return QRect(draw.MARGIN, self.height() - draw.MARGIN - self._corner_px + 4, max(wide, 60), self._corner_px)

    @property
    def _corner_px(self) -> int:
        """Height of the words at the lower left: a line more where the voxel has room."""
        return _CORNER_PX + (_LINE_PX if self.width() > PLACE_PX else 0)

    def _corner_lines(self) -> tuple[str, ...]:
        plane = self.plane
        if plane is None:
            return ()
        first = slice_words(self.session.case, plane, self.index, self.width())
        window = f" · {window_words(self.window_shown)}"
        if QFontMetrics(draw.words_font()).horizontalAdvance(first + window) <= self.corner_rect().width():
            first += window
        under = self.under_mouse_words()
        if not under or self.width() <= PLACE_PX:
            return (first, under) if under else (first,)
        where, what = under.split(" · ", 1)
        return (first, where, what)

    def under_mouse_words(self) -> str:
        """Millimetres, voxel, intensity and label under the mouse; empty when it is elsewhere."""
        case, plane, placement = self.session.case, self.plane, self.placement
        if case is None or plane is None or placement is None or self.mouse is None:
            return ""
        row, column = (math.floor(v + 0.5) for v in placement.to_plane(self.mouse.x(), self.mouse.y()))
        if not (0 <= row < plane.rows and 0 <= column < plane.columns):
            return ""
        z, y, x = (int(v) for v in plane.to_voxel(row, column, self.index))
        shown = _pixels(case, self._shown)[0][z, y, x]
        return voxel_words(case, (z, y, x), self._shown, shown, self.width())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Stay fitted, or keep the middle where it is."""
        if self.placement and not self._fitted:
            old = event.oldSize()
            self.placement = self.placement.moved((self.width() - old.width()) / 2, (self.height() - old.height()) / 2)
        self._place()


def _pixels(case: Case, series_id: int | None) -> tuple[NDArray[np.generic], str]:
    """Voxels of an image of the case, and the ink it is drawn with; of the reference where it is not there."""
    volume = case.image(series_id) if series_id is not None else None
    warm = any(one.series_id == series_id and one.role == "fat_fraction" for one in case.images)
    return (volume or case.volume).voxels, "warm" if warm and volume else "grey"
