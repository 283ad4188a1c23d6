"""Which earlier runs lie beneath the curves: a menu of check marks, and the reading of what was checked."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QMouseEvent
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from thighview.app.jobs import run_in_thread
from thighview.app.run_story import has_curve
from thighview.io.runs import EventTail, run_folder, run_folders
from thighview.ui.cards import count, row, words
from thighview.ui.curve_data import CurveData
from thighview.ui.curve_others import OtherRun
from thighview.ui.run_compare import validation_differs

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

NONE = "no other run"


class CheckMenu(QMenu):
    """A menu that stays open while its entries are checked."""

    def mouseReleaseEvent(self, arg__1: QMouseEvent) -> None:
        """Check the entry under the mouse, and stay."""
        action = self.activeAction()
        if action:  # none between the entries; the stubs do not know
            action.trigger()
        else:
            super().mouseReleaseEvent(arg__1)


class CompareRow(QWidget):
    """The earlier runs of the project, each to be laid beneath the curves; hidden while there are none."""

    runs_read = Signal(tuple)
    """Tuple of ``OtherRun``: those checked, in the order of the menu."""

    def __init__(self, workspace: "Workspace") -> None:
        super().__init__()
        self._workspace = workspace
        self._shown = ""
        self._read: dict[str, OtherRun] = {}
        self._reading: set[str] = set()
        self.button = QPushButton(NONE)
        self.button.setAutoDefault(False)
        self.button.setProperty("chooser", True)
        self.button.setToolTip("Lay the curves of earlier runs beneath, dashed, each in a colour of its own")
        self.menu = CheckMenu(self.button)
        self.button.clicked.connect(self._open)  # text in a button with a menu of its own stands at its very edge
        self.setLayout(row(words("Compare with", "muted", wrap=False), self.button, stretch=1))
        self.hide()

    @property
    def checked(self) -> list[str]:
        """Names of the runs checked."""
        return [action.data() for action in self.menu.actions() if action.isChecked()]

    def show_run(self, name: str) -> None:
        """Another run is shown: nothing is compared with it yet; list the others."""
        self._shown = name
        self._read.clear()
        self._reading.clear()
        self.menu.clear()
        self.hide()
        folder = self._workspace.project_folder
        if folder is None:
            return
        job = run_in_thread(lambda _report, _stopped: [run.name for run in run_folders(folder) if has_curve(run)])
        job.succeeded.connect(lambda names: self._listed(name, names))
        job.failed.connect(self._workspace.failed)

    def _open(self, _on: bool = False) -> None:
        self.menu.popup(self.button.mapToGlobal(self.button.rect().bottomLeft()))

    def _listed(self, shown: str, names: list[str]) -> None:
        if shown != self._shown:
            return
        self.menu.clear()
        for name in reversed(names):
            if name != shown:
                action = QAction(name.replace("&", "&&"), self.menu)
                action.setCheckable(True)
                action.setData(name)
                action.toggled.connect(self._changed)
                self.menu.addAction(action)
        self.setVisible(not self.menu.isEmpty())
        self._say()

    def _changed(self, _on: bool) -> None:
        self._say()
        for name in self.checked:
            if name not in self._read and name not in self._reading:
                self._start_reading(name)
        self._tell()

    def _say(self) -> None:
        names = self.checked
        self.button.setText(names[0] if len(names) == 1 else count(len(names), "run") if names else NONE)

    def _start_reading(self, name: str) -> None:
        folder, shown = self._workspace.project_folder, self._shown
        if folder is None:
            return
        self._reading.add(name)
        run, other = run_folder(folder, shown), run_folder(folder, name)

        def read(_report: object, _stopped: object) -> OtherRun:
            return OtherRun(name, CurveData(EventTail(other.events).read_all()), validation_differs(run, other))

        def show(found: OtherRun) -> None:
            if self._shown == shown:
                self._reading.discard(name)
                self._read[name] = found
                self._tell()

        def failed(error: object) -> None:
            if self._shown == shown:
                self._reading.discard(name)
            self._workspace.failed.emit(error)

        job = run_in_thread(read)
        job.succeeded.connect(show)
        job.failed.connect(failed)

    def _tell(self) -> None:
        self.runs_read.emit(tuple(self._read[name] for name in self.checked if name in self._read))
