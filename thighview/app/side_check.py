"""A calm look at every stroke: does a label of one side lie on the other leg?"""

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QObject, Signal

from thighview.app.session import Session
from thighview.core.history import Edit, HistoryState
from thighview.core.labels import Label
from thighview.core.midline import between_legs
from thighview.core.planes import Plane

_DRAWN = ("brush", "polygon", "fill")
_MOST = 0.9
"""So much of a stroke must lie beyond the gap between the legs before anything is said."""


@dataclass(frozen=True, eq=False)
class WrongSide:
    """A stroke whose label names one side while it lies on the leg of the other."""

    edit: Edit
    label: Label

    @property
    def other_side(self) -> str:
        """Where it lies."""
        return "right" if self.label.side == "left" else "left"


class SideCheck(QObject):
    """Says when the newest stroke lies on the wrong leg; silent in any doubt about where the legs are."""

    found = Signal(object)
    """The WrongSide of the newest step, or None."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.wrong: WrongSide | None = None
        self._session = session
        self._gap: tuple[float, float] | None = None
        self._looked = False
        self._newest: Edit | None = None
        session.case_opened.connect(self._forget)
        session.history_changed.connect(self._look)

    def mend(self) -> None:
        """Give what the stroke painted the label of the side it lies on, as a step of its own; paint with that."""
        case, wrong = self._session.case, self.wrong
        if case is None or wrong is None or case.history.peek_undo() is not wrong.edit:
            return
        label, patch = wrong.label, wrong.edit.patches[0]
        table = case.table.merged([(label.name, wrong.other_side)])
        other = table.find(label.name, wrong.other_side)
        assert other is not None
        if table != case.table:
            self._session.set_table(table)
        painted = patch.changed & (case.labels[patch.region.slices] == label.value)
        name = wrong.edit.name.replace(label.key.replace("_", " "), other.key.replace("_", " "))
        with self._session.edit(name, wrong.edit.tool, patch.region) as edit:
            edit.paint(patch.region, painted, other.value)
        self._session.update_view(active_label=other.value)

    # ------------------------------------------------------------------ inside

    def _forget(self, _: object) -> None:
        self._looked, self._newest = False, None
        self._say(None)

    def _look(self, state: HistoryState) -> None:
        case = self._session.case
        edit = case.history.peek_undo() if case else None
        fresh = edit is not None and edit is not self._newest and state.done == len(state.names)
        self._newest = edit
        self._say(self._weigh(edit) if fresh and edit and edit.tool in _DRAWN else None)

    def _weigh(self, edit: Edit) -> WrongSide | None:
        case = self._session.case
        if case is None or not case.is_placed or len(edit.patches) != 1:
            return None
        patch = edit.patches[0]
        after = case.labels[patch.region.slices]
        painted = patch.changed & (after > 0)
        label = case.table.get(int(after[painted][0])) if painted.any() else None
        if label is None or not label.side:
            return None
        if not self._looked:
            self._gap, self._looked = between_legs(case.volume), True
        if self._gap is None:
            return None
        plane = Plane.of(case.volume, "axial")
        at = np.nonzero(painted)[plane.column_axis] + patch.region.along(plane.column_axis).start
        columns = plane.columns - 1 - at if plane.flip_columns else at
        beyond = columns < self._gap[0] if label.side == "left" else columns > self._gap[1]
        return WrongSide(edit, label) if beyond.mean() >= _MOST else None

    def _say(self, wrong: WrongSide | None) -> None:
        if wrong is not self.wrong:
            self.wrong = wrong
            self.found.emit(wrong)
            said = f"{wrong.label.title} was painted on the patient's {wrong.other_side} leg." if wrong else ""
            self._session.said.emit(said)
