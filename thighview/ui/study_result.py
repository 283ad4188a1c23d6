"""What a study has found: folds with their people, or the learning curve; how to read it, and as a table elsewhere."""

from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QVBoxLayout, QWidget

from thighview.app.studying import StudyHistory
from thighview.core.studies import CURVE
from thighview.core.study_report import METRICS, csv_text, headline, needed_sentence, rows_of, rule_of, sentences
from thighview.core.study_results import curve_points, pooled
from thighview.ui import dialogs
from thighview.ui.cards import button, chooser, row, show_words, words
from thighview.ui.chips import Flow
from thighview.ui.interval_wish import IntervalWish
from thighview.ui.measure_panel import save_bytes
from thighview.ui.study_plot import LearningCurvePlot, StudyTable

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

_WHISKERS = "Whisker: 95 % interval over the people scored; small dots: single draws of people."


class StudyResult(QWidget):
    """Hidden until one training of the study is done."""

    def __init__(self, workspace: "Workspace") -> None:
        super().__init__()
        self._workspace = workspace
        self._history: StudyHistory | None = None
        self._values: list[float] = []
        self.headline = words("", "muted")
        self.metric_choice, self.label_choice = chooser("What is shown"), chooser("Of which label")
        for metric, name in METRICS.items():
            self.metric_choice.addItem(name, metric)
        self.metric_choice.activated.connect(self._metric_chosen)
        self.label_choice.activated.connect(self._show)
        self.plot = LearningCurvePlot()
        self.table = StudyTable()
        self.found, self.rule = words(""), words("", "muted")
        self.half_width = IntervalWish()
        self.half_width.valueChanged.connect(self._say_needed)
        self.needed = words("")
        self.copy_button = button("Copy", self._copy, "Copy every person's scores, for a spreadsheet")
        self.csv_button = button("Save CSV…", self._save, "Save every person's scores as a CSV file")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        ways_on = QWidget()
        flow = Flow(ways_on)
        flow.addWidget(self.copy_button)
        flow.addWidget(self.csv_button)
        column.addWidget(self.headline)
        column.addLayout(row(self.metric_choice, self.label_choice, stretch=1))
        for part in (self.plot, self.table, self.found, self.rule):
            column.addWidget(part)
        column.addLayout(row(words("Interval wanted", "muted", wrap=False), self.half_width))
        column.addWidget(self.needed)
        column.addWidget(ways_on)
        self.half_width.show_units_of(self.metric_choice.currentData())
        self.hide()

    def show_history(self, history: StudyHistory | None) -> None:
        """Show what this study has found; nothing is done anew for one that has only moved on."""
        before, self._history = self._history, history
        if before and history and before.results is history.results and before.study is history.study:
            return
        there = history is not None and bool(history.results) and history.study is not None
        self.setVisible(there)
        if history is None or not there:
            return
        labels = next(iter(history.results.values())).labels
        if [self.label_choice.itemText(i) for i in range(1, self.label_choice.count())] != [
            _plain(name) for name in labels
        ]:
            self.label_choice.clear()
            self.label_choice.addItem("every label", None)
            for place, name in enumerate(labels):
                self.label_choice.addItem(_plain(name), place)
        self.label_choice.setVisible(len(labels) > 1)
        self._show()

    def _show(self, _chosen: int = 0) -> None:
        history = self._history
        if history is None or history.study is None:
            return
        study, results = history.study, history.results
        asked = (self.metric_choice.currentData(), self.label_choice.currentData())
        curve = study.kind == CURVE
        rows = rows_of(study.kind, study.trainings, results, *asked)
        show_words(self.headline, headline(study.kind, study.trainings, results))
        self.plot.setVisible(curve)
        if curve:
            sizes = {len(one.train) for one in study.trainings}
            points = curve_points(study.trainings, results, *asked)
            self.plot.show_points(points, sorted(sizes), asked[0])
            self.table.show_rows(rows, wide=3)
            self._values = list(points[-1].val.people.values()) if points else []
        else:
            self.table.show_rows(rows, wide=1, words=(0, 1))
            whole = pooled(results, *asked)
            self._values = list(whole.people.values()) if whole else []
        said = sentences(study.kind, study.trainings, results, *asked)
        show_words(self.found, said[0] if said else "")
        show_words(self.rule, f"{rule_of(study.kind, study.trainings)} {_WHISKERS * curve}".strip())
        self._say_needed()

    # ------------------------------------------------------------------ the interval wanted

    def _metric_chosen(self, _index: int) -> None:
        self.half_width.show_units_of(self.metric_choice.currentData())
        self._show()

    def _say_needed(self, _value: float = 0.0) -> None:
        metric = self.metric_choice.currentData()
        show_words(self.needed, needed_sentence(self._values, self.half_width.wanted, metric))

    # ------------------------------------------------------------------ elsewhere

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._text("\t"))
        self._workspace.said.emit("The scores are copied.")

    def _save(self) -> None:
        path = dialogs.ask_save_csv(self, f"{self._history.name if self._history else 'study'}.csv")
        if path is not None:
            save_bytes(self._workspace, path, self._text(",").encode())

    def _text(self, separator: str) -> str:
        history = self._history
        assert history is not None and history.study is not None
        return csv_text(history.study.trainings, history.results, separator)


def _plain(label: str) -> str:
    return label.replace("_", " ")
