"""People: how well the model of a finished run draws each person, measured on demand and kept with the run."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QComboBox, QWidget

from thighview.app.evaluating import (
    PeopleMeasured,
    PersonFigures,
    measure_run,
    people_measured,
    read_evaluation,
    use_temperature,
)
from thighview.app.jobs import Job, run_in_thread
from thighview.io.runs import RunFolder, run_folder
from thighview.ui import dialogs
from thighview.ui.cards import Card, ProgressLine, button, chooser, count, row, show_words, words
from thighview.ui.chips import Flow
from thighview.ui.measure_panel import save_bytes
from thighview.ui.people_table import PeopleTable, label_words
from thighview.ui.reliability_plot import ReliabilityPlot

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace
    from thighview.io.models import ModelEntry

_SAME = 0.005
"""Two temperatures nearer to each other than this read alike."""
PARTS = {"validation": "validation", "test": "locked test", "": "no part", "train": "training"}
_NOT_YET = (
    "See for each person how well the model draws each label: overlap, distance of the surfaces, volume. "
    "It segments every reviewed case, which takes a while; you can go on."
)


class EvaluationCard(Card):
    """Shown when the run in the panel has a model; a table by person once somebody has asked for it."""

    def __init__(self, workspace: "Workspace") -> None:
        super().__init__("People", " ")
        self._workspace = workspace
        self._run: RunFolder | None = None
        self._found: PeopleMeasured | None = None
        self._job: Job | None = None
        self._job_run: RunFolder | None = None
        self.text = words("", "muted")
        self.progress_words = words("", "muted")
        self.progress = ProgressLine()
        self.measure_button = button("Measure each person", self._measure, "Segments and compares every reviewed case")
        self.cancel_button = button("Cancel", self._cancel, "Nothing is kept of it")
        self.part, self.label = chooser("Whose rows are shown"), chooser("Which label is shown")
        self.choices = QWidget()
        flow = Flow(self.choices)
        for choice in (self.part, self.label):
            choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
            choice.activated.connect(self._show_rows)
            flow.addWidget(choice)
        self.table = PeopleTable()
        self.table.chosen.connect(self._open)
        self.plot = ReliabilityPlot()
        self.stale = words("", "warning")
        self.temperature_words = words("", "muted")
        self.temperature_button = button(
            "Use this temperature", self._use_temperature,
            "Wherever probabilities are made, logits are divided by it from then on: in the uncertainty of slices and\n"
            "in probability maps. The masks stay as they are.",
        )  # fmt: skip
        self.back_button = button("Take it back", self._take_back, "Probabilities as the network gives them", "quiet")
        self.copy_button = button("Copy", self._copy, "Copy the table, for a spreadsheet")
        self.csv_button = button("Save CSV…", self._save, "Save the table as a CSV file")
        ways_on = QWidget()
        flow = Flow(ways_on)
        for part in (self.measure_button, self.cancel_button, self.copy_button, self.csv_button):
            flow.addWidget(part)
        for part in (
            self.text, self.stale, self.choices, self.table, self.progress_words, self.progress, ways_on, self.plot,
            self.temperature_words,
        ):  # fmt: skip
            self.body.addWidget(part)
        self.body.addLayout(row(self.temperature_button, self.back_button))
        workspace.models_changed.connect(self._show)
        self.hide()

    def show_run(self, name: str, finished: bool) -> None:
        """Follow this run of the open project; hidden while it has no model."""
        folder = self._workspace.project_folder
        run = run_folder(folder, name) if folder is not None and name and finished else None
        self.setVisible(run is not None)
        if run == self._run:
            return
        self._run, self._found = run, None
        if run is not None:
            job = run_in_thread(lambda _report, _stopped: read_evaluation(run))
            job.succeeded.connect(lambda found: self._take(run, found))
            job.failed.connect(self._workspace.failed)
        self._show()

    # ------------------------------------------------------------------ measuring

    def _measure(self) -> None:
        run = self._run
        if run is None or self._job is not None:
            return
        job = self._job = measure_run(run)
        self._job_run = run
        job.progressed.connect(self._show_progress)
        job.succeeded.connect(lambda result: self._take(run, people_measured(result[0])))
        job.failed.connect(self._workspace.failed)
        job.ended.connect(self._ended)
        self.progress.show_progress(0, 0)
        show_words(self.progress_words, "Loading the network…")
        self._show()

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self.cancel_button.setEnabled(False)
            show_words(self.progress_words, "Stopping…")

    def _show_progress(self, done: int, total: int) -> None:
        self.progress.show_progress(done, total)
        scans = count(total, "case")
        show_words(self.progress_words, f"{done} of {scans} measured" if done else f"Measuring {scans}…")
        self._show()

    def _ended(self) -> None:
        self._job = self._job_run = None
        self._show()

    def _take(self, run: RunFolder, found: PeopleMeasured | None) -> None:
        if run != self._run:
            return
        self._found = found
        if found is not None:
            _offer(self.part, [(PARTS.get(part, part), part) for part in found.parts], "everybody")
            _offer(self.label, [(label_words(key), key) for key in found.labels], "every label")
            self.part.setCurrentIndex(1 if len(found.parts) > 1 else 0)  # new people first: others flatter
            self._show_rows()
        self._show()

    # ------------------------------------------------------------------ showing

    def _show(self, _change: object = None) -> None:
        found, busy = self._found, self._job is not None
        mine = busy and self._job_run == self._run
        show_words(self.text, "" if found or mine else _NOT_YET)
        for part in (self.choices, self.table, self.copy_button, self.csv_button):
            part.setVisible(found is not None)
        self.measure_button.setText("Measure again" if found else "Measure each person")
        self.measure_button.setVisible(not mine)
        self.measure_button.setEnabled(not busy)
        self.cancel_button.setVisible(mine)
        self.cancel_button.setEnabled(mine and self._job is not None and not self._job.cancelled)
        self.progress.setVisible(mine)
        self.progress_words.setVisible(mine)
        self.plot.show_calibration(found.calibration if found else None)
        self.note.setText(_when(found.measured) if found else "")
        show_words(self.stale, self._stale_words() if found else "")
        self._show_temperature()

    def _show_temperature(self) -> None:
        """What the probabilities are made with, and the way to the temperature that was measured or back from it."""
        model, found = self._model(), self._found
        used = model.card.temperature if model else 1.0
        calibration = found.calibration if found else None
        measured = calibration.temperature if calibration and calibration.mends else None
        offered = bool(model and found and measured and found.weights_sha256 == model.card.weights_sha256)
        show_words(self.temperature_words, f"Its probabilities are made at temperature {used:.2f}." * (used != 1))
        self.temperature_button.setVisible(offered and measured is not None and abs(measured - used) >= _SAME)
        self.back_button.setVisible(used != 1)

    def _show_rows(self, _index: int = 0) -> None:
        if self._found is None:
            return
        part, label = self.part.currentData(), self.label.currentData()
        rows = self._found.chosen(part, label)
        several = len({r.part for r in rows}) > 1
        self.table.show_rows(rows, several, label is None and len(self._found.labels) > 1)
        for choice, there in ((self.part, self._found.parts), (self.label, self._found.labels)):
            choice.setVisible(len(there) > 1)

    def _stale_words(self) -> str:
        """A warning where the model is another one now than the one measured."""
        model, found = self._model(), self._found
        if model is None or found is None:
            return ""
        differs = bool(found.weights_sha256 and model.card.weights_sha256 != found.weights_sha256)
        return "The model has been trained on since: measure again." if differs else ""

    def _model(self) -> "ModelEntry | None":
        folder = self._run.project / "models" / self._run.name if self._run else None
        return next((m for m in self._workspace.models if m.folder == folder), None)

    # ------------------------------------------------------------------ what the person does

    def _use_temperature(self) -> None:
        found = self._found
        if found and found.calibration and found.calibration.temperature:
            self._set_temperature(found.calibration.temperature)

    def _take_back(self) -> None:
        self._set_temperature(1.0)

    def _set_temperature(self, temperature: float) -> None:
        run, model = self._run, self._model()
        if run is None or model is None:
            return
        job = use_temperature(run, temperature, model.card.weights_sha256)
        job.succeeded.connect(lambda _: self._workspace.refresh_models())
        job.failed.connect(self._workspace.failed)

    def _open(self, person: PersonFigures) -> None:
        there = {case.case_id for case in self._workspace.cases}
        case_id = next((i for i in person.case_ids if i in there), None)
        if case_id is not None:
            self._workspace.open_case(case_id)
        else:
            self._workspace.said.emit(f"The case of {person.person} is not in the project any more.")

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.table.to_text("\t"))
        self._workspace.said.emit("The table is copied.")

    def _save(self) -> None:
        name = self._run.name if self._run else "run"
        path = dialogs.ask_save_csv(self, f"{Path(name).name}-people.csv")
        if path is not None:
            save_bytes(self._workspace, path, self.table.to_text(",").encode())


def _offer(choice: QComboBox, entries: list[tuple[str, str]], everything: str) -> None:
    choice.clear()
    choice.addItem(everything, None)
    for text, value in entries:
        choice.addItem(text, value)


def _when(measured: str) -> str:
    """An ISO time as one would say it here; empty where it is none."""
    try:
        at: Any = datetime.fromisoformat(measured).astimezone()
    except ValueError:
        return ""
    return f"measured {at:%d %b %H:%M}"
