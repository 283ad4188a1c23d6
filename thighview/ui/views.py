"""The three slice views and how they share the middle of the window."""

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
    """One view large, two in a column beside it, or the large one alone."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setProperty("bar", "views")
        self.by_name = {name: SliceView(session, name) for name in VIEWS}
        self.large = self.by_name["axial"]
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
            view.entered.connect(self._entered)
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
        dropped = [view.cancel_gesture() for view in self.by_name.values()]
        return any(dropped)

    def send_key(self, kind: str) -> bool:
        """Tell a shape under way ``back`` or ``close``; False when there is none."""
        told = [view.send_key(kind) for view in self.by_name.values()]
        return any(told)

    def _arrange(self) -> None:
        others = [view for view in self.by_name.values() if view is not self.large]
        self._across.insertWidget(0, self.large)
        for place, view in enumerate(others):
            self._column.insertWidget(place, view)
            self._column.setStretchFactor(place, 1)  # a view that was the large one brings its share along
        self._across.insertWidget(1, self._column)
        for view in self.by_name.values():
            view.show()
        self._across.setStretchFactor(0, _SHARE[0])
        self._across.setStretchFactor(1, _SHARE[1])
        self._column.setSizes([1000, 1000])
        self._across.setSizes([_SHARE[0] * 40, _SHARE[1] * 40])
        self._column.setVisible(self._session.view.layout != "axial")

    def _entered(self, view: SliceView) -> None:
        self._under_mouse = view

    def _show_view(self, old: ViewState, new: ViewState) -> None:
        self._column.setVisible(new.layout != "axial")

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
    body = body_mask(plane.take(volume.voxels, middle[plane.through]))
    across = body.mean(axis=0)
    row, column = (round(v) for v in plane.to_plane(middle))
    near = across[max(0, column - 2) : column + 3].mean()
    if near >= 0.4 * across.max() or not body.any():
        return middle
    column = int(np.convolve(across, np.ones(9) / 9, "same").argmax())
    rows = np.flatnonzero(body[:, column])
    row = int(np.median(rows)) if rows.size else row
    at = plane.to_voxel(row, column, middle[plane.through])
    return (int(at[0]), int(at[1]), int(at[2]))
