"""Train: four pages, from the training set over the run to its result, and studies of many runs."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QTabWidget, QWidget

from thighview.ui.cards import Page
from thighview.ui.puzzle_card import PuzzleCard
from thighview.ui.study_card import StudyCard
from thighview.ui.train_result import ResultPage
from thighview.ui.train_run import RunPage
from thighview.ui.train_set_up import SetUpPage

if TYPE_CHECKING:
    from thighview.app.studying import StudyHistory
    from thighview.app.tasks import Workspace

TURN_AFTER_MS = 5
"""A timer of 0 ms would go off before any other event is looked at."""


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
        self.run.compare_asked.connect(self._compare)
        self.run.set_up_asked.connect(lambda: self.setCurrentWidget(self.set_up))
        self.run.status_changed.connect(self._tell_pages)
        workspace.models_changed.connect(self._tell_pages)
        workspace.project_changed.connect(self._follow)
        self._runs.run_changed.connect(self._follow)
        self.set_up.form.changed.connect(self.study_card.refresh)
        self.study_card.desk.changed.connect(self._study_moved)
        self._follow()

    def _follow(self, _change: object = None) -> None:
        """Another run is followed (or none): turn to it, a moment later: both at once would hold the window up."""
        self.run.follow()
        QTimer.singleShot(TURN_AFTER_MS, self, self._turn)

    def _turn(self) -> None:
        self.setCurrentWidget(self.run if self.run.run_name else self.set_up)

    def _compare(self) -> None:
        """Turn to the comparison of the new model, and start it where there is none yet."""
        card = self.result.promotion_card
        self.setCurrentWidget(self.result)
        self.result.ensureWidgetVisible(card)
        card.compare_once()

    def _tell_pages(self, _change: object = None) -> None:
        status, name = self.run.status, self.run.run_name
        self.set_up.show_run(name, bool(status and status.alive))
        self.result.show_run(name, status)

    def _study_moved(self, study: "StudyHistory | None") -> None:
        self.set_up.show_study(study.name if study and study.alive else "")
