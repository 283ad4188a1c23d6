"""The column of tools, and the bar above the views with what the tool in the hand can be told."""

import math

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton, QVBoxLayout, QWidget

from thighview.app.session import Session
from thighview.app.side_check import SideCheck
from thighview.core.view import ViewState
from thighview.ui.actions import Actions
from thighview.ui.bars import Dot, Elided
from thighview.ui.cards import button, mark, words
from thighview.ui.tools import TOOLS

_HINTS = {
    "navigate": "click moves the crosshair · double click fits",
    "brush": "Ctrl erases · Esc takes the stroke back",
    "eraser": "Ctrl paints · X back to the brush",
    "polygon": "double click or Enter closes · Backspace takes a corner back",
    "fill": "click inside a closed outline",
}
_LEAST_MM, _MOST_MM, _STEPS = 0.3, 80.0, 200
_LEAST_HINT_PX = 90
"""A hint that would be cut shorter than this is left out."""


class ToolColumn(QWidget):
    """One button per tool, then undo and redo."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("bar", "tools")
        self.setFixedWidth(52)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 10, 8, 10)
        column.setSpacing(6)
        for tool in TOOLS.values():
            button = QToolButton()
            button.setProperty("tool", True)
            button.setDefaultAction(actions[f"tool_{tool.name}"])
            button.setIconSize(QSize(20, 20))
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            column.addWidget(button)
        column.addSpacing(10)
        for key in ("fit", "layout"):
            button = QToolButton()
            button.setProperty("tool", True)
            button.setDefaultAction(actions[key])
            button.setIconSize(QSize(20, 20))
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            column.addWidget(button)
        column.addStretch(1)


class ToolOptions(QWidget):
    """Name of the tool, the brush's radius, a hint, and the label being painted."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setProperty("bar", "options")
        self.setFixedHeight(38)
        self.name = words("", "title", wrap=False)
        self.radius_words = QLabel("radius")
        self.radius_words.setProperty("muted", True)
        self.radius = QSlider(Qt.Orientation.Horizontal)
        self.radius.setRange(0, _STEPS)
        self.radius.setFixedWidth(110)
        self.radius.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.radius.setToolTip("Radius of the disc in millimetres on the patient.\nCtrl+wheel, [ and ] do the same.")
        self.radius_mm = words("", "title", wrap=False)
        self.radius_mm.setMinimumWidth(54)
        self.hint = Elided()
        self.sides = SideCheck(session, self)
        self.mend_side = button("", self.sides.mend)
        self.mend_side.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.label_swatch = Dot()
        self.label_name = words("", wrap=False)
        line = self._line = QHBoxLayout(self)
        line.setContentsMargins(12, 0, 14, 0)
        line.setSpacing(8)
        line.addWidget(self.name)
        for part in (self.radius_words, self.radius, self.radius_mm):
            line.addWidget(part)
        line.addWidget(self.hint, 100)
        line.addStretch(1)
        line.addWidget(self.mend_side)
        line.addWidget(self.label_swatch)
        line.addWidget(self.label_name)
        self.radius.valueChanged.connect(self._slid)
        session.view_changed.connect(self._show_view)
        session.labels_changed.connect(self._show)
        session.case_opened.connect(self._show)
        self.sides.found.connect(self._show)
        self._show()

    def _show_view(self, old: ViewState, new: ViewState) -> None:
        if (old.tool, old.active_label, old.brush_radius_mm) != (new.tool, new.active_label, new.brush_radius_mm):
            self._show()

    def _show(self, _: object = None) -> None:
        view, case = self._session.view, self._session.case
        tool = TOOLS[view.tool]
        self.name.setText(tool.words)
        self.radius_mm.setText(f"{view.brush_radius_mm:.1f} mm")
        self.radius.blockSignals(True)
        self.radius.setValue(
            round(_STEPS * math.log(view.brush_radius_mm / _LEAST_MM) / math.log(_MOST_MM / _LEAST_MM))
        )
        self.radius.blockSignals(False)
        wrong = self.sides.wrong
        mark(self.hint, "warning", wrong is not None)
        if wrong:
            self.hint.show_text(f"{wrong.other_side.capitalize()} leg?")
            self.mend_side.setText(f"Use {wrong.other_side}")
            name = f"{wrong.label.name.replace('_', ' ')} {wrong.other_side}"
            self.mend_side.setToolTip(f"Give what this stroke painted the label {name}, and go on with that one.")
        else:
            self.hint.show_text(_HINTS[view.tool])
        label = case.table.get(view.active_label) if case else None
        if case and label:
            self.label_swatch.show_colour(QColor(*case.table.shown_colour(label)))
            self.label_name.setText(label.title)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show what there is room for."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Leave out what is needed least, part by part, until the rest is whole."""
        view, case = self._session.view, self._session.case
        wrong, held = self.sides.wrong is not None, TOOLS[view.tool].round
        paints = case is not None and case.table.get(view.active_label) is not None and view.tool != "eraser"
        hint_px = QFontMetrics(self.hint.font()).horizontalAdvance(self.hint.text_whole)
        shown: dict[QWidget, int] = {self.name: self.name.sizeHint().width()}
        if held:
            shown[self.radius_words] = self.radius_words.sizeHint().width()
            shown[self.radius] = self.radius.width()
            shown[self.radius_mm] = max(self.radius_mm.sizeHint().width(), self.radius_mm.minimumWidth())
        shown[self.hint] = hint_px + 2 if wrong else min(hint_px, _LEAST_HINT_PX)
        if wrong:
            shown[self.mend_side] = self.mend_side.sizeHint().width()
        if paints:
            shown[self.label_swatch] = self.label_swatch.width()
            shown[self.label_name] = self.label_name.sizeHint().width()
        margins = self._line.contentsMargins()
        room = self.width() - margins.left() - margins.right()
        early = (self.radius_words, self.radius, self.name, self.hint) if wrong else (self.hint, self.radius_words)
        for part in (*early, self.radius, self.name):
            if sum(shown.values()) + self._line.spacing() * len(shown) <= room:
                break
            shown.pop(part, None)
        for part in (
            self.name, self.radius_words, self.radius, self.radius_mm, self.hint, self.mend_side, self.label_swatch,
            self.label_name,
        ):  # fmt: skip
            part.setVisible(part in shown)

    def _slid(self, place: int) -> None:
        radius_mm = _LEAST_MM * (_MOST_MM / _LEAST_MM) ** (place / _STEPS)
        self._session.update_view(brush_radius_mm=round(radius_mm, 2))
