"""The column of tools, and the bar above the views with what the tool in the hand can be told."""

import math

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor
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
        self.radius_mm.setMinimumWidth(64)
        self.hint = Elided()
        self.sides = SideCheck(session, self)
        self.mend_side = button("", self.sides.mend)
        self.mend_side.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.label_swatch = Dot()
        self.label_name = words("", wrap=False)
        line = QHBoxLayout(self)
        line.setContentsMargins(12, 0, 14, 0)
        line.setSpacing(8)
        line.addWidget(self.name)
        line.addSpacing(10)
        for part in (self.radius_words, self.radius, self.radius_mm):
            line.addWidget(part)
        line.addWidget(self.hint, 1)
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
        for part in (self.radius_words, self.radius, self.radius_mm):
            part.setVisible(tool.round)
        self.radius_mm.setText(f"{view.brush_radius_mm:.1f} mm")
        self.radius.blockSignals(True)
        self.radius.setValue(
            round(_STEPS * math.log(view.brush_radius_mm / _LEAST_MM) / math.log(_MOST_MM / _LEAST_MM))
        )
        self.radius.blockSignals(False)
        wrong = self.sides.wrong
        self.mend_side.setVisible(wrong is not None)
        mark(self.hint, "warning", wrong is not None)
        if wrong:
            self.hint.show_text(f"{wrong.other_side.capitalize()} leg?")
            self.mend_side.setText(f"Use {wrong.other_side}")
            name = f"{wrong.label.name.replace('_', ' ')} {wrong.other_side}"
            self.mend_side.setToolTip(f"Give what this stroke painted the label {name}, and go on with that one.")
        else:
            self.hint.show_text(_HINTS[view.tool])
        label = case.table.get(view.active_label) if case else None
        paints = label is not None and view.tool != "eraser"
        self.label_swatch.setVisible(paints)
        self.label_name.setVisible(paints)
        if case and label:
            self.label_swatch.show_colour(QColor(*case.table.shown_colour(label)))
            self.label_name.setText(label.title)

    def _slid(self, place: int) -> None:
        radius_mm = _LEAST_MM * (_MOST_MM / _LEAST_MM) ** (place / _STEPS)
        self._session.update_view(brush_radius_mm=round(radius_mm, 2))
