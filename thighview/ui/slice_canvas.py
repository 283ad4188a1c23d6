"""The canvas of a slice view: paints one plane of the open case, and repaints only what has changed."""

import math
from collections.abc import Iterable
from typing import cast

import numpy as np
from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPolygonF, QRegion, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from thighview.app.session import Session
from thighview.core.case import Case
from thighview.core.mask import Region
from thighview.core.planes import Box, Placement, Plane, body_box
from thighview.core.view import ViewState
from thighview.ui import slice_painter as draw
from thighview.ui.slice_picture import SlicePicture, outline_image, palette_pixels
from thighview.ui.tools import TOOLS, Sketch

_CORNER_PX = 40
_WIDE_PX = 640
"""From this width on the words at the lower left end before the letter in the middle."""
_PLACE_PX, _ROOMY_PX, _VOXEL_PX = 240, 320, 420
"""From these widths on they tell the place under the mouse, its tenths of a millimetre, and its voxel."""
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
    """

    def __init__(self, session: Session, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.name = name
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

    def step(self, slices: int) -> None:
        """Go some slices on."""
        if self.plane and slices:
            cursor = self.plane.moved(self.session.view.cursor, self.index + slices)
            self.session.update_view(cursor=cursor)

    def _show_case(self, case: Case | None) -> None:
        self._fitted = self._fit_body = True
        self._load(case)

    def _load(self, case: Case | None) -> None:
        self.plane = Plane.of(case.volume, self.name, self.session.view.radiological) if case else None
        self.placement, self._body = None, None
        if case and self.plane:
            self.picture.show_case(case.volume.voxels, case.labels, self.plane)
            shown = [self.plane.take(case.volume.voxels, int(i)) for i in np.linspace(0, self.plane.count - 1, 7)[1:-1]]
            steps = (max(1, self.plane.rows // 128), max(1, self.plane.columns // 128))
            few = np.max([piece[:: steps[0], :: steps[1]] for piece in shown], axis=0)
            found = body_box(few)
            self._body = Box(
                found.r0 * steps[0],
                min(found.r1 * steps[0], self.plane.rows),
                found.c0 * steps[1],
                min(found.c1 * steps[1], self.plane.columns),
            )
        else:
            self.picture.show_case(None, None, None)
        self._refresh_palette()
        self._place()

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
        elif (old.opacity, old.masks_shown, old.hidden_labels) != (new.opacity, new.masks_shown, new.hidden_labels):
            self._refresh_palette()
            self.update()
        elif (old.outline, old.window, old.crosshair, old.letters) != (
            new.outline, new.window, new.crosshair, new.letters,
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
        if plane is None or placement is None or self.index not in region.along(plane.through):
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
            self.picture.show_slice(self.index, view.window)
            target = QRectF(placement.left, placement.top, *placement.size)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
            painter.drawImage(target, self.picture.grey())
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
                draw.draw_letters(painter, plane.letters, rects)
        if asked.intersects(QRect(0, 0, 130, 30)):
            draw.draw_name(painter, self.name)
        if asked.intersects(self.corner_rect()):
            draw.draw_corner(painter, self.corner_rect(), self._corner_lines())
        if asked.intersects(draw.scale_bar(placement, width, height)[2]):
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
        return _CORNER_PX + (_LINE_PX if self.width() > _PLACE_PX else 0)

    def _corner_lines(self) -> tuple[str, ...]:
        plane, view = self.plane, self.session.view
        if plane is None:
            return ()
        first = self._words_of_slice(plane)
        window = f" · W {number_words(view.window[1] - view.window[0])} L {number_words(sum(view.window) / 2)}"
        if QFontMetrics(draw.words_font()).horizontalAdvance(first + window) <= self.corner_rect().width():
            first += window
        under = self.under_mouse_words()
        if not under or self.width() <= _PLACE_PX:
            return (first, under) if under else (first,)
        where, what = under.split(" · ", 1)
        return (first, where, what)

    def _words_of_slice(self, plane: Plane) -> str:
        """Which slice it is; of one that is not in the files of the scan, that it is not."""
        words = f"{'slice ' if self.width() > 240 else ''}{self.index + 1} / {plane.count}"
        case = self.session.case
        return f"{words} · missing in the files" if case and not plane.through and self.index in case.missing else words

    def under_mouse_words(self) -> str:
        """Millimetres, voxel, intensity and label under the mouse; empty when it is elsewhere."""
        case, plane, placement = self.session.case, self.plane, self.placement
        if case is None or plane is None or placement is None or self.mouse is None:
            return ""
        row, column = (math.floor(v + 0.5) for v in placement.to_plane(self.mouse.x(), self.mouse.y()))
        if not (0 <= row < plane.rows and 0 <= column < plane.columns):
            return ""
        z, y, x = (int(v) for v in plane.to_voxel(row, column, self.index))
        at, roomy = case.volume.to_world((z, y, x)), self.width() > _ROOMY_PX
        value = int(case.labels[z, y, x])
        parts = [
            "x {:.{n}f} y {:.{n}f} z {:.{n}f} mm".format(*at, n=int(roomy)).replace("-", "−"),
            ("signal " if roomy or not value else "") + number_words(case.volume.voxels[z, y, x]),
        ]
        if value:
            label = case.table.get(value)
            parts.append(label.title if label else f"label {value}")
        if self.width() > _VOXEL_PX:
            parts[0] += f"   voxel {x} {y} {z}"
        elif self.width() <= _PLACE_PX:
            parts = parts[1:]
        return " · ".join(parts)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Stay fitted, or keep the middle where it is."""
        if self.placement and not self._fitted:
            old = event.oldSize()
            self.placement = self.placement.moved((self.width() - old.width()) / 2, (self.height() - old.height()) / 2)
        self._place()


def number_words(value: object) -> str:
    """A number as short as it can be read: ``640``, ``0.012``, ``−3.5``."""
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number):
        return "no number"
    text = f"{number:.0f}" if abs(number) >= 100 or number == int(number) else f"{number:.3g}"
    return text.replace("-", "−")
