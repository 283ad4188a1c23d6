"""Train: four pages, from the training set over the run to its result, and studies of many runs."""

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QTabWidget, QWidget

from thighview.ui.cards import Page
from thighview.ui.puzzle_card import PuzzleCard
from thighview.ui.study_card import StudyCard
from thighview.ui.train_result import ResultPage
from thighview.ui.train_run import RunPage
from thighview.ui.train_set_up import SetUpPage

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace


class TrainPanel(QTabWidget):
    """Follows ``workspace.runs`` and starts nothing by itself.

    A page that is not looked at costs nothing: Qt neither styles nor lays it out.
    """

    def __init__(self, workspace: "Workspace", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runs = workspace.runs
        self.set_up = SetUpPage(workspace)
        self.run = RunPage(workspace)
        self.result = ResultPage(workspace)
        self.studies = Page()
        self.study_card = StudyCard(workspace, self.set_up.form.config)
        self.puzzle_card = PuzzleCard()
        for card in (self.study_card, self.puzzle_card):
            self.studies.column.addWidget(card)
        self.studies.column.addStretch(1)
        self.setDocumentMode(True)
        self.setProperty("inner", True)
        for page, name, tip in (
            (self.set_up, "Set up", "The training set, and the settings of the next training"),
            (self.run, "Run", "Progress, live curves, and why training and validation differ"),
            (self.result, "Result", "The new model against the one in use, and person by person"),
            (self.studies, "Studies", "Questions that one training cannot answer"),
        ):
            self.setTabToolTip(self.addTab(page, name), tip)
        self.tabBar().setDrawBase(False)
        self.run.set_up_asked.connect(lambda: self.setCurrentWidget(self.set_up))
        self.run.status_changed.connect(self._tell_pages)
        workspace.models_changed.connect(self._tell_pages)
        workspace.project_changed.connect(self._follow)
        self._runs.run_changed.connect(self._follow)
        self._follow()

    def _follow(self, _change: object = None) -> None:
        """Another run is followed (or none): turn to it."""
        self.run.follow()
        self.setCurrentWidget(self.run if self.run.run_name else self.set_up)

    def _tell_pages(self, _change: object = None) -> None:
        status, name = self.run.status, self.run.run_name
        self.set_up.show_run(name, bool(status and status.alive))
        self.result.show_run(name, status)
