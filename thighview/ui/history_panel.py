"""History: every step by name, where we are in it, and one click to go anywhere."""

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt, QTimer
from PySide6.QtGui import QColor, QFont
from PySide6.QtWidgets import QListView, QVBoxLayout, QWidget

from thighview.core.history import HistoryState
from thighview.ui.cards import button, count, plain_tip, row, show_words, words

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

STEPS_AT_ONCE = 8
"""Steps taken between two looks at the window's events, so that a long way back never freezes it."""


class StepList(QAbstractListModel):
    """The names of the steps; row 0 is the case as it was opened, row n the state after step n."""

    def __init__(self) -> None:
        super().__init__()
        self.state = HistoryState()

    def show_state(self, state: HistoryState) -> None:
        """Take a new history; one step more or another place does not rebuild the list."""
        old, self.state = self.state, state
        kept = len(old.names)
        if state.names == old.names:
            self._redraw()
        elif len(state.names) == kept + 1 and state.names[:kept] == old.names:
            self.beginInsertRows(QModelIndex(), kept + 1, kept + 1)
            self.endInsertRows()
            self._redraw()
        else:
            self.beginResetModel()
            self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        """One row for the beginning and one for each step."""
        return 0 if parent is not None and parent.isValid() else len(self.state.names) + 1

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Number and name; the steps taken back are grey, the current one is bold."""
        at = index.row()
        if role == Qt.ItemDataRole.DisplayRole:
            return "As opened" if at == 0 else f"{at}   {self.state.names[at - 1]}"
        if role == Qt.ItemDataRole.ForegroundRole:
            return QColor("#6b7581") if at > self.state.done else None
        if role == Qt.ItemDataRole.FontRole:
            font = QFont()
            font.setBold(at == self.state.done)
            font.setItalic(at > self.state.done)
            return font
        if role == Qt.ItemDataRole.ToolTipRole:
            whole = f"{self.state.names[at - 1]}\n" if at else ""
            if at == self.state.done:
                return f"{whole}You are here"
            return whole + ("Go back to here" if at < self.state.done else "Taken back; click to do it again")
        return None

    def _redraw(self) -> None:
        self.dataChanged.emit(self.index(0), self.index(self.rowCount() - 1))


class HistoryPanel(QWidget):
    """The named steps of the open case, with undo and redo."""

    def __init__(self, workspace: "Workspace", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = workspace.session
        self._target: int | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        column.setSpacing(8)
        self.undo_button = button("Undo", self._session.undo, "Take the last step back (Ctrl+Z)")
        self.redo_button = button("Redo", self._session.redo, "Do it again (Ctrl+Y)")
        column.addLayout(row(self.undo_button, self.redo_button))
        self.note = words("", "muted")
        column.addWidget(self.note)
        self.empty = words("Nothing has been changed yet. Every step you take is listed here by name and is kept.")
        self.empty.setProperty("muted", True)
        column.addWidget(self.empty)
        self.steps = StepList()
        self.list = QListView()
        self.list.setModel(self.steps)
        self.list.setUniformItemSizes(True)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setProperty("steps", True)
        self.list.clicked.connect(lambda index: self.go_to(index.row()))
        self.list.activated.connect(lambda index: self.go_to(index.row()))
        column.addWidget(self.list, 1)
        column.addStretch(0)
        self._walk = QTimer(self)
        self._walk.setInterval(0)
        self._walk.timeout.connect(self._take_steps)
        self._session.history_changed.connect(self._show)
        self._session.case_opened.connect(self._case_changed)
        self._show(self._session.history)

    def go_to(self, step: int) -> None:
        """Undo or redo until ``step`` steps are done."""
        self._target = step
        self._walk.start()

    def _take_steps(self) -> None:
        session = self._session
        for _ in range(STEPS_AT_ONCE):
            done = session.history.done
            if self._target is None or done == self._target:
                return self._stop_walking()
            if done > self._target:
                session.undo()
            else:
                session.redo()
            if session.history.done == done:  # refused, and the session has said why
                return self._stop_walking()
        return None

    def _stop_walking(self) -> None:
        self._target = None
        self._walk.stop()
        self._show(self._session.history)

    def _case_changed(self, _case: object) -> None:
        self._target = None
        self._walk.stop()
        self._show(self._session.history)

    def _show(self, state: HistoryState) -> None:
        if self._target is not None and state.done != self._target:
            return
        self.steps.show_state(state)
        steps = len(state.names)
        there = self._session.case is not None
        self.list.setVisible(bool(steps))
        self.undo_button.setEnabled(bool(state.undo_name))
        self.redo_button.setEnabled(bool(state.redo_name))
        undo, redo = f"Take back: {state.undo_name} (Ctrl+Z)", f"Do again: {state.redo_name} (Ctrl+Y)"
        self.undo_button.setToolTip(plain_tip(undo) if state.undo_name else "Nothing to undo")
        self.redo_button.setToolTip(plain_tip(redo) if state.redo_name else "Nothing to redo")
        undone = steps - state.done
        show_words(self.note, count(steps, "step") + (f" · {undone} taken back" if undone else "") if steps else "")
        self.empty.setText(
            "Nothing has been changed yet. Every step you take is listed here by name, and outlives the program."
            if there
            else "Open a scan to see the history of its masks."
        )
        self.empty.setVisible(not steps)
        if steps:
            current = self.steps.index(state.done)
            self.list.setCurrentIndex(current)
            self.list.scrollTo(current)
