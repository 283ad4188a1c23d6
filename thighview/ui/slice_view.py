"""A slice view: turns mouse and keys on a canvas into wishes, and drives the tools' gestures."""

import math
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QEnterEvent, QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from thighview.app.session import Session
from thighview.core.known import LOOK_ONLY
from thighview.core.view import ViewState
from thighview.ui.slice_canvas import SliceCanvas
from thighview.ui.tools import TOOLS, Aim, Gesture, Happening

_REACH_PX = 9.0
_LEAST_RADIUS_MM, _MOST_RADIUS_MM = 0.3, 80.0


@dataclass(frozen=True)
class _Drag:
    """What a button began: ``tool``, ``window`` or ``pan``, where, and the window that was shown then."""

    kind: str
    button: Qt.MouseButton
    start: QPointF
    window: tuple[float, float] = (0.0, 0.0)


class SliceView(SliceCanvas):
    """One plane of the open case, to look at and to work on."""

    entered = Signal(object)
    """This view: the mouse has come over it."""

    def __init__(self, session: Session, name: str, parent: QWidget | None = None, second: bool = False) -> None:
        super().__init__(session, name, parent, second)
        self.gesture: Gesture | None = None
        self._aim: Aim | None = None
        self._drag: _Drag | None = None
        self._wheel = 0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        session.case_opened.connect(self._forget)
        session.view_changed.connect(self._tool_changed)

    def cancel_gesture(self) -> bool:
        """Drop the gesture under way and take back what it painted; False when there was none."""
        gesture, self.gesture = self.gesture, None
        if gesture is None:
            return False
        gesture.close()
        self.show_sketch(())
        return True

    def _forget(self, _case: object) -> None:
        """Another case: a gesture on the one before is gone with it."""
        self.gesture, self._drag = None, None
        self.show_sketch(())

    def _tool_changed(self, old: ViewState, new: ViewState) -> None:
        if (old.tool, old.radiological) != (new.tool, new.radiological):
            self.cancel_gesture()
            self._show_pointer()

    # ------------------------------------------------------------------ mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Left: the tool. Right: window. Middle, or Shift and left: move."""
        at, button = event.position(), event.button()
        if self._drag and self._drag.button == button:
            self.let_go()
        if self.plane is None or self._drag:
            return
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if button == Qt.MouseButton.RightButton:
            self.brush_shown = False
            self._drag = _Drag("window", button, at, self.window_shown)
            self.setCursor(Qt.CursorShape.SizeAllCursor)
        elif button == Qt.MouseButton.MiddleButton or (button == Qt.MouseButton.LeftButton and shift):
            self.brush_shown = False
            self._drag = _Drag("pan", button, at)
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif button == Qt.MouseButton.LeftButton:
            self._drag = _Drag("tool", button, at)
            self._tool_press(event)
        self._move_mouse(at)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on with what the button began."""
        at = event.position()
        if self._drag and not event.buttons() & self._drag.button:  # it came up over a dialog, for one
            self.let_go()
        before = self.mouse if self.mouse is not None else at
        self._move_mouse(at)
        drag = self._drag
        if drag is None:
            if self.sketch:
                self._tell(self._happening("move", event))
        elif drag.kind == "window":
            self._drag_window(at - drag.start, drag.window)
        elif drag.kind == "pan" and self.placement:
            self.place(self.placement.moved(at.x() - before.x(), at.y() - before.y()))
        elif self.session.view.tool == "navigate":
            self._point_to(at)
        else:
            self._tell(self._happening("move", event))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End of what the button began."""
        if self._drag and event.button() == self._drag.button:
            self._move_mouse(event.position())
            self.let_go()

    def let_go(self) -> None:
        """End what a button began, where the mouse was seen last; a shape that is clicked goes on."""
        drag, self._drag = self._drag, None
        if drag is None:
            return
        self.brush_shown = True
        self._show_pointer()
        if drag.kind == "tool" and self.placement:
            at = self.mouse if self.mouse is not None else drag.start
            self._tell(Happening("release", self.placement.to_plane(at.x(), at.y())))
        self.update_brush(self.session.view.brush_radius_mm)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Fit to the body when looking around; close a polygon."""
        if event.button() != Qt.MouseButton.LeftButton:
            self.mousePressEvent(event)
        elif self.session.view.tool == "navigate":
            self.fit()
        elif self.gesture:
            self._tell(self._happening("double", event))
        else:
            self.mousePressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Slices; with Ctrl the brush's size, or the zoom when no brush is in the hand."""
        self._wheel += event.angleDelta().y() or event.angleDelta().x()
        notches, self._wheel = int(self._wheel / 120), int(math.fmod(self._wheel, 120))
        event.accept()
        if self.plane is None or not notches:
            return
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            if TOOLS[self.session.view.tool].round:
                resize_brush(self.session, 1.12**notches)
            else:
                self.zoom(1.2**notches)
        elif not (self.gesture and self._drag):
            self.step(-notches)

    def enterEvent(self, event: QEnterEvent) -> None:
        """The mouse has come."""
        self._move_mouse(event.position())
        self._show_pointer()
        self.entered.emit(self)

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse has gone."""
        self.update_brush(self.session.view.brush_radius_mm)
        self.mouse = None
        self.update(self.corner_rect())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys of a polygon under way."""
        kinds = {
            Qt.Key.Key_Backspace: "back", Qt.Key.Key_Return: "close", Qt.Key.Key_Enter: "close",
        }  # fmt: skip
        if not self.send_key(kinds.get(Qt.Key(event.key()), "")):
            event.ignore()

    def send_key(self, kind: str) -> bool:
        """Tell the shape under way ``back`` or ``close``; a stroke swallows the key. False when there is neither."""
        if self.gesture is None or not kind:
            return False
        if self.sketch:
            self._tell(Happening(kind, self.sketch[-1]))
        return True

    # ------------------------------------------------------------------ inside

    def _tool_press(self, event: QMouseEvent) -> None:
        tool = TOOLS[self.session.view.tool]
        if tool.gesture is None:
            self._point_to(event.position())
        elif self.gesture:
            if self._aim and self._aim.index != self.index:
                self.session.refused.emit(
                    f"A shape is under way on slice {self._aim.index + 1}: Enter closes it, Esc drops it."
                )
            else:
                self._tell(self._happening("press", event))
        elif self.session.case and not self.session.case.is_sized:
            self.session.refused.emit(LOOK_ONLY)
        elif self.plane:
            self._aim = Aim(self.plane, self.index)
            self.sketch_index = self.index
            gesture = tool.gesture(self.session, self._aim, self._happening("press", event))
            try:
                self.show_sketch(next(gesture))
            except StopIteration:
                return
            self.gesture = gesture

    def _tell(self, happening: Happening) -> None:
        if self.gesture is None or (self._aim and self._aim.index != self.index and happening.kind == "move"):
            return
        try:
            self.show_sketch(self.gesture.send(happening))
        except StopIteration:
            self.gesture = None
            self.show_sketch(())

    def _happening(self, kind: str, event: QMouseEvent) -> Happening:
        assert self.placement is not None
        point = self.placement.to_plane(event.position().x(), event.position().y())
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        return Happening(kind, point, _REACH_PX / self.placement.px_per_mm, control)

    def _move_mouse(self, at: QPointF) -> None:
        radius_mm = self.session.view.brush_radius_mm
        if TOOLS[self.session.view.tool].round:
            self.update_brush(radius_mm)
        self.mouse = at
        if TOOLS[self.session.view.tool].round:
            self.update_brush(radius_mm)
        self.update(self.corner_rect())

    def _point_to(self, at: QPointF) -> None:
        if self.plane and self.placement:
            row, column = self.placement.to_plane(at.x(), at.y())
            z, y, x = self.plane.to_voxel(row, column, self.index)
            self.session.update_view(cursor=(math.floor(z + 0.5), math.floor(y + 0.5), math.floor(x + 0.5)))

    def _drag_window(self, moved: QPointF, window: tuple[float, float]) -> None:
        """Right is wider (less contrast), up is brighter; speed in proportion to the width."""
        width, level = window[1] - window[0], (window[0] + window[1]) / 2
        level += moved.y() * width / 300.0
        width *= math.exp(max(-600.0, min(600.0, moved.x())) / 180.0)
        window = (level - width / 2, level + width / 2)
        self.session.update_view(**{"other_window" if self.second else "window": window})

    def _show_pointer(self) -> None:
        tool = TOOLS[self.session.view.tool]
        shape = Qt.CursorShape.ArrowCursor
        if self.plane:
            shape = Qt.CursorShape.BlankCursor if tool.round else Qt.CursorShape.CrossCursor
        self.setCursor(shape)


def resize_brush(session: Session, factor: float) -> None:
    """Make the brush larger or smaller, within reason."""
    radius_mm = session.view.brush_radius_mm * factor
    session.update_view(brush_radius_mm=min(max(radius_mm, _LEAST_RADIUS_MM), _MOST_RADIUS_MM))
