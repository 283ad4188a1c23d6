"""A new model against the one in use, on the locked people: figures, worst cases, and promote, hold or roll back."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from thighview.app.promoting import Promoting, Verdict
from thighview.core.comparing import FEWEST, Comparison, Paired, compare_models, points
from thighview.ui.cards import Card, Fold, ProgressLine, button, count, mark, plain_tip, row, show_words, words
from thighview.ui.case_pictures import WorstCases
from thighview.ui.chips import Flow
from thighview.ui.lineage_words import lineage_lines
from thighview.ui.run_status import RunStatus

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace
    from thighview.io.models import ModelEntry

STATE_WORDS = {"active": "in use", "held": "held back", "candidate": "candidate"}
KINDS = {"better": "good", "not worse": "good", "worse": "error", "undecided": "warning", "too few": "warning"}


class PromotionCard(Card):
    """Shown for the model of a finished run."""

    def __init__(self, workspace: "Workspace") -> None:
        super().__init__("Old against new", " ")
        self._workspace = workspace
        self._model: ModelEntry | None = None
        self._shown: object = None
        self.desk = Promoting(workspace, self)
        self.state_words = words("")
        self.verdict_words = words("")
        self.left_words = words("", "muted")
        self.progress_words = words("", "muted")
        self.progress = ProgressLine()
        self.compare_button = button("Compare", self._compare)
        self.cancel_button = button("Cancel", self.desk.cancel, "Ends the comparison; nothing of it is kept")
        self.promote_button = button("Promote", self._promote)
        self.hold_button = button("Hold", self._hold, "The model in use stays; this one is kept in the list, not used")
        self.back_button = button("Roll back", self.desk.roll_back)
        ways = QWidget()
        flow = Flow(ways)
        for part in (self.compare_button, self.cancel_button, self.promote_button, self.hold_button, self.back_button):
            flow.addWidget(part)
        self.figures = _grid()
        self.people = _grid()
        self.worst = WorstCases()
        self.figures_part = QWidget()
        self.figures_part.setLayout(self.figures)
        self.people_fold = Fold("Person by person", _inside(self.people))
        self.worst_fold = Fold("Where it errs most", row(self.worst, stretch=0))
        self.worst_fold.heading.toggled.connect(lambda opened: self.worst.read() if opened else None)
        self.origin = _grid()
        self.origin_fold = Fold("Where it comes from", _inside(self.origin))
        for part in (
            self.state_words, self.verdict_words, self.progress_words, self.progress, ways, self.figures_part,
            self.left_words, self.people_fold, self.worst_fold, self.origin_fold,
        ):  # fmt: skip
            self.body.addWidget(part)
        self.desk.changed.connect(self._show)
        self.desk.progressed.connect(self._progressed)
        self.desk.failed.connect(workspace.failed)
        self.desk.use_model.connect(workspace.choose_model)
        workspace.cases_changed.connect(self._show)
        workspace.models_changed.connect(self._show)
        self.hide()

    def show_status(self, status: RunStatus | None) -> None:
        """Show the model of a run that has finished; hidden where there is none."""
        finished = status.finished if status and not status.failure else None
        folder = self._workspace.project_folder
        where = folder / "models" / finished.run if finished and folder else None
        self._model = next((m for m in self._workspace.models if where and m.folder == where), None)
        self.desk.look_at(self._model)
        self._show()

    # ------------------------------------------------------------------ what the buttons do

    def _compare(self) -> None:
        old = self.desk.baseline_of(self._model) if self._model else None
        if self._model and old:
            self.desk.compare(self._model, old)

    def _promote(self) -> None:
        if self._model:
            self.desk.promote(self._model)

    def _hold(self) -> None:
        if self._model:
            self.desk.hold(self._model)

    def _progressed(self, done: int, total: int) -> None:
        self.progress.show_progress(done, total if done else 0)
        if total:
            show_words(self.progress_words, f"{done} of {count(total, 'locked case')}")

    # ------------------------------------------------------------------ showing

    def _show(self, _change: object = None) -> None:
        model, desk = self._model, self.desk
        self.setVisible(model is not None)
        if model is None:
            return
        weights = model.card.weights_sha256
        state = desk.promotions.state_of(weights)
        old, running = desk.baseline_of(model), desk.job is not None
        verdict = desk.verdict if old and desk.verdict and desk.verdict.old == old.card.weights_sha256 else None
        self.note.setText(STATE_WORDS[state])
        self.state_words.setText(_state_line(model, state, old, desk.model_in_use()))
        locked = desk.locked_people()
        found = verdict.comparison if verdict else compare_models({}, {}) if not locked and old else None
        show_words(self.verdict_words, "" if running or not found else found.sentence)
        for kind in ("good", "warning", "error"):
            mark(self.verdict_words, kind, bool(found) and KINDS[found.verdict] == kind)
        self.progress.setVisible(running)
        self.progress_words.setVisible(running)
        if running and not self.progress_words.text():
            self._progressed(0, 0)
            show_words(self.progress_words, "Both models look at the locked people…")
        elif not running:
            self.progress_words.clear()
        self._show_buttons(state, old, found, locked, running)
        self._show_figures(verdict)
        self._fill(self.origin, [(heading, said) for heading, said in lineage_lines(model.card)], text=True)

    def _show_buttons(
        self, state: str, old: "ModelEntry | None", found: Comparison | None, locked: int, running: bool
    ) -> None:
        self.compare_button.setVisible(old is not None and not running)
        self.compare_button.setEnabled(locked > 0)
        name = old.card.name if old else ""
        self.compare_button.setText(f"Compare with {_short(name)}")
        self.compare_button.setToolTip(plain_tip(f"Both models on {count(locked, 'locked person', 'locked people')}"))
        self.cancel_button.setVisible(running)
        open_to = state != "active" and not running
        passed = bool(found) and found.verdict in ("better", "not worse")
        cannot = old is None or locked < FEWEST or (bool(found) and found.verdict in ("too few", "undecided"))
        self.promote_button.setVisible(open_to)
        self.promote_button.setEnabled(passed or cannot)
        self.promote_button.setText("Promote anyway" if cannot and not passed and old else "Promote")
        tip = "Segment with this model from now on in this project"
        if not passed and not cannot:
            tip = "It is worse on the locked people." if found else "Compare it first."
        self.promote_button.setToolTip(tip)
        mark(self.compare_button, "primary", open_to and not found and locked > 0)
        mark(self.promote_button, "primary", passed and open_to)
        self.hold_button.setVisible(open_to and state != "held")
        earlier = self.desk.earlier_model()
        self.back_button.setVisible(earlier is not None and not running)
        self.back_button.setToolTip(plain_tip(f"{earlier.card.name} is in use again" if earlier else ""))

    def _show_figures(self, verdict: Verdict | None) -> None:
        for part in (self.figures_part, self.people_fold, self.worst_fold):
            part.setVisible(verdict is not None)
        left = verdict.comparison.left_out if verdict else ()
        said = ["± is half the 95 % interval over people."] if verdict and verdict.comparison.labels else []
        said += [f"Not counted, for a model was trained on them: {', '.join(left)}."] if left else []
        show_words(self.left_words, "\n".join(said))
        if verdict is None or verdict is self._shown:
            return
        self._shown = verdict
        found = verdict.comparison
        rows = [("Dice × 100", "old", "new", "change ±")]
        pairs = (*([found.overall] if found.overall else []), *found.labels)
        self._fill(self.figures, [*rows, *(_line(one) for one in pairs)], ("", *(_kind(one) for one in pairs)))
        lines = [("Person", "old", "new", "change")]
        lines += [(p.subject, f"{100 * p.old:.1f}", f"{100 * p.new:.1f}", points(p.difference)) for p in found.people]
        self._fill(self.people, lines)
        self.worst.want(verdict.pictures, found.people)

    def _fill(
        self, grid: QGridLayout, rows: list[tuple[str, ...]], kinds: tuple[str, ...] = (), text: bool = False
    ) -> None:
        """Put rows into a grid, the first one as headings; with ``text`` the first column is.

        ``kinds`` are those of the changes, row by row.
        """
        if grid.property("rows") == rows:
            return
        grid.setProperty("rows", rows)
        while (item := grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for line, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                wide = column == (1 if text else 0)
                label = words(cell, "muted" if (column == 0 if text else line == 0) else "", wrap=wide)
                side = Qt.AlignmentFlag.AlignLeft if text or not column else Qt.AlignmentFlag.AlignRight
                if wide:
                    label.setToolTip(plain_tip(cell))
                    grid.addWidget(label, line, column)
                else:
                    grid.addWidget(label, line, column, side | Qt.AlignmentFlag.AlignTop)
                if column == 3 and line < len(kinds) and kinds[line]:
                    mark(label, kinds[line], True)
        grid.setColumnStretch(1 if text else 0, 1)


def _state_line(model: "ModelEntry", state: str, old: "ModelEntry | None", active: "ModelEntry | None") -> str:
    name = model.card.name
    if state == "active":
        return f"{name} is the model in use in this project."
    use = f"In use is {active.card.name}." if active else "No model of this project is in use yet."
    if old is None:
        return f"{name} is a candidate, and there is no earlier model to compare it with."
    return f"{name} is held back. {use}" if state == "held" else f"{name} is a candidate. {use}"


def _line(one: Paired) -> tuple[str, ...]:
    """The interval lies evenly around the change: it is told by its half."""
    half = f" ± {50 * (one.interval[1] - one.interval[0]):.1f}" if one.interval else ""
    name = one.label.replace("_left", " L").replace("_right", " R").replace("_", " ").capitalize()
    name = name[:-1] + name[-1].upper() if name.endswith((" l", " r")) else name
    return (name or "All labels", f"{100 * one.old:.1f}", f"{100 * one.new:.1f}", points(one.difference) + half)


def _kind(one: Paired) -> str:
    """``good`` or ``error`` where the whole interval is on one side of nought."""
    low, high = one.interval or (0.0, 0.0)
    return "good" if low > 0 else "error" if high < 0 else ""


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"


def _grid() -> QGridLayout:
    grid = QGridLayout()
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(9)
    grid.setVerticalSpacing(3)
    return grid


def _inside(grid: QGridLayout) -> QVBoxLayout:
    column = QVBoxLayout()
    column.addLayout(grid)
    return column
