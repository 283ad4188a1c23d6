"""The slice views and how they share the middle of the window."""

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QWidget

from thighview.app.session import Session
from thighview.core.case import Case
from thighview.core.planes import VIEWS, Plane, body_mask
from thighview.core.view import ViewState
from thighview.core.volume import Volume
from thighview.ui.slice_view import SliceView

_SHARE = (18, 7)
"""Of the width: the large view, and the column of the other two."""


class Views(QWidget):
    """One view large, two in a column beside it, or the large one alone, or a second image beside the large one."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setProperty("bar", "views")
        self.by_name = {name: SliceView(session, name) for name in VIEWS}
        self.large = self.by_name["axial"]
        self.twin: SliceView | None = None
        self._under_mouse = self.large
        self._across = QSplitter(Qt.Orientation.Horizontal)
        self._column = QSplitter(Qt.Orientation.Vertical)
        for splitter in (self._across, self._column):
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(2)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._across)
        self._arrange()
        for view in self.by_name.values():
            self._listen(view)
        session.view_changed.connect(self._show_view)
        session.case_opened.connect(self._case_opened)

    @property
    def current(self) -> SliceView:
        """The view the keys mean: the one under the mouse, else the large one."""
        view = self._under_mouse
        return view if view.isVisible() and view.underMouse() else self.large

    def enlarge(self, name: str) -> None:
        """Make a view the large one."""
        if self.large.name != name:
            self.large = self.by_name[name]
            self._arrange()

    def enlarge_next(self) -> None:
        """Make the next view the large one."""
        self.enlarge(VIEWS[(VIEWS.index(self.large.name) + 1) % len(VIEWS)])

    def cancel_gestures(self) -> bool:
        """Drop every gesture under way; False when there was none."""
        dropped = [view.cancel_gesture() for view in self._all()]
        return any(dropped)

    def let_go(self) -> None:
        """End what a button began in a view: the window will not be told when it comes up."""
        for view in self._all():
            view.let_go()

    def send_key(self, kind: str) -> bool:
        """Tell a shape under way ``back`` or ``close``; False when there is none."""
        told = [view.send_key(kind) for view in self._all()]
        return any(told)

    def _arrange(self) -> None:
        others = [view for view in self.by_name.values() if view is not self.large]
        self._across.insertWidget(0, self.large)
        for place, view in enumerate(others):
            self._column.insertWidget(place, view)
            self._column.setStretchFactor(place, 1)  # a view that was the large one brings its share along
        self._across.insertWidget(1, self._column)
        if self.twin:
            self._across.insertWidget(1, self.twin)
            self.twin.show_plane(self.large.name)
        for view in self.by_name.values():
            view.show()
        self._across.setStretchFactor(0, _SHARE[0])
        self._across.setStretchFactor(1, _SHARE[1])
        self._column.setSizes([1000, 1000])
        self._show_parts()

    def _show_parts(self) -> None:
        """What there is room for: the second image beside the large view takes the place of the other two."""
        view = self._session.view
        compared = view.beside and view.other is not None
        if self.twin:
            self.twin.setVisible(compared)
            if compared:
                self.twin.follow(self.large)
        self._column.setVisible(view.layout != "axial" and not compared)
        self._across.setSizes([_SHARE[0] * 40] * (2 if self.twin else 1) + [_SHARE[1] * 40])

    def _all(self) -> list[SliceView]:
        return [*self.by_name.values(), *([self.twin] if self.twin else [])]

    def _listen(self, view: SliceView) -> None:
        view.entered.connect(self._entered)
        view.placed.connect(lambda: self._placed(view))

    def _placed(self, view: SliceView) -> None:
        """The large view and its twin show the same place."""
        if self.twin and self.twin.isVisible() and view in (self.large, self.twin):
            (self.twin if view is self.large else self.large).follow(view)

    def _entered(self, view: SliceView) -> None:
        self._under_mouse = view

    def _show_view(self, old: ViewState, new: ViewState) -> None:
        if (old.layout, old.beside, old.other is None) == (new.layout, new.beside, new.other is None):
            return
        if new.beside and new.other is not None and self.twin is None:
            self.twin = SliceView(self._session, self.large.name, second=True)
            self._listen(self.twin)
            self._across.insertWidget(1, self.twin)
            self._across.setStretchFactor(1, _SHARE[0])
        self._show_parts()

    def _case_opened(self, case: Case | None) -> None:
        """The plane the scan was taken in is the large one: the others have few, thick rows."""
        if case:
            self.enlarge(next(n for n, view in self.by_name.items() if view.plane and view.plane.through == 0))
            self._session.update_view(cursor=start_cursor(case.volume))


def start_cursor(volume: Volume) -> tuple[int, int, int]:
    """The middle of the scan; where that is air, as between two thighs, the middle of the body beside it."""
    z, y, x = volume.shape
    middle = (z // 2, y // 2, x // 2)
    plane = Plane.of(volume, "axial")
    steps = (max(1, plane.rows // 128), max(1, plane.columns // 128))  # enough to find a leg, and quick
    body = body_mask(plane.take(volume.voxels, middle[plane.through])[:: steps[0], :: steps[1]])
    across = body.mean(axis=0)
    row, column = (round(v / step) for v, step in zip(plane.to_plane(middle), steps, strict=True))
    near = across[max(0, column - 2) : column + 3].mean()
    if near >= 0.4 * across.max() or not body.any():
        return middle
    column = int(np.convolve(across, np.ones(9) / 9, "same").argmax())
    rows = np.flatnonzero(body[:, column])
    row = int(np.median(rows)) if rows.size else row
    row, column = min(row * steps[0], plane.rows - 1), min(column * steps[1], plane.columns - 1)
    at = plane.to_voxel(row, column, middle[plane.through])
    return (int(at[0]), int(at[1]), int(at[2]))
