"""A model of the project against another: on locked people, on made-up thighs, and promote, hold or roll back."""

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from thighview.app.promoting import Verdict
from thighview.core.comparing import Comparison, Paired, compare_models, points
from thighview.ui.cards import Card, Fold, ProgressLine, button, count, mark, plain_tip, row, show_words, words
from thighview.ui.case_pictures import WorstCases
from thighview.ui.chips import Flow
from thighview.ui.figure_grid import FigureGrid
from thighview.ui.lineage_words import lineage_lines
from thighview.ui.pair_choice import PairChoice
from thighview.ui.run_status import RunStatus

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace
    from thighview.io.models import ModelEntry

STATE_WORDS = {"active": "in use", "held": "held back", "candidate": "candidate"}
KINDS = {"better": "good", "not worse": "good", "worse": "error", "undecided": "warning", "too few": "warning"}
OUTDATED = "The locked people have changed since this comparison: compare again."
GUARD_TIP = (
    "Thighs made by the program, always the same ones, in four contrasts.\n"
    "They warn when a model has forgotten something; they prove nothing about people."
)


class PromotionCard(Card):
    """Shown as soon as the project has a model of its own; that of the run in the panel is chosen first."""

    def __init__(self, workspace: "Workspace") -> None:
        super().__init__("Old against new", " ")
        self._workspace = workspace
        self._model: ModelEntry | None = None
        self._against: ModelEntry | None = None
        self._run = self._finished = ""
        self._shown: object = None
        self.desk = workspace.gate
        self.choice = PairChoice()
        self.choice.new_chosen.connect(self._choose)
        self.choice.old_chosen.connect(self._choose_other)
        self.state_words = words("")
        self.verdict_words = words("")
        self.left_words = words("", "muted")
        self.guard_words = words("")
        self.guard_words.setToolTip(GUARD_TIP)
        self.progress_words = words("", "muted")
        self.progress = ProgressLine()
        self.compare_button = button("Compare", self.compare)
        self.cancel_button = button("Cancel", self.desk.cancel, "Ends the comparison; nothing of it is kept")
        self.promote_button = button("Promote", self._promote)
        self.hold_button = button("Hold", self._hold, "The model in use stays; this one is kept in the list, not used")
        self.back_button = button("Roll back", self.desk.roll_back)
        ways = QWidget()
        flow = Flow(ways)
        for part in (self.compare_button, self.cancel_button, self.promote_button, self.hold_button, self.back_button):
            flow.addWidget(part)
        self.figures, self.people, self.guard, self.origin = (FigureGrid() for _ in range(4))
        self.figures_part, self.guard_part = QWidget(), QWidget()
        self.figures_part.setLayout(self.figures)
        self.guard_part.setLayout(self.guard)
        self.people_fold = Fold("Person by person", self.people.inside())
        self.worst = WorstCases()
        self.worst_fold = Fold("Where it errs most", row(self.worst, stretch=0))
        self.worst_fold.heading.toggled.connect(lambda opened: self.worst.read() if opened else None)
        self.origin_fold = Fold("Where it comes from", self.origin.inside())
        for part in (
            self.choice, self.state_words, self.verdict_words, self.guard_words, self.progress_words, self.progress,
            ways, self.figures_part, self.left_words, self.people_fold, self.worst_fold, self.guard_part,
            self.origin_fold,
        ):  # fmt: skip
            self.body.addWidget(part)
        self.desk.changed.connect(self._show)
        self.desk.progressed.connect(self._progressed)
        workspace.cases_changed.connect(self._show)
        workspace.models_changed.connect(self._show)
        self.hide()

    def show_status(self, status: RunStatus | None) -> None:
        """Turn to the model of a run when it has finished."""
        finished = status.finished if status and not status.failure else None
        self._finished = finished.run if finished else ""
        if self.desk.job is None:  # what is being compared stays; its answer is to be seen
            self._turn()

    def _turn(self) -> None:
        if self._finished != self._run:
            self._run, self._model, self._against = self._finished, None, None
            self._show()

    @property
    def run_shown(self) -> str:
        """The run whose model is shown as the new one; empty while there is none."""
        return self._model.folder.name if self._model else ""

    def compare(self) -> None:
        """Compare the two chosen models, unless they are being compared."""
        old = self._other()
        if self._model and old:
            self.desk.compare(self._model, old)

    def compare_once(self) -> None:
        """Compare the model of the run that has finished unless that was done, or another comparison goes on."""
        if self.desk.job is None:
            self._turn()
        old = self._other()
        if self._model and old and not self.desk.is_compared(self._model, old):
            self.compare()

    # ------------------------------------------------------------------ what the person does

    def _choose(self, model: "ModelEntry") -> None:
        self._model, self._against = model, None
        self._show()

    def _choose_other(self, model: "ModelEntry") -> None:
        self._against = model
        self._show()

    def _promote(self) -> None:
        if self._model:
            self.desk.promote(self._model)

    def _hold(self) -> None:
        if self._model:
            self.desk.hold(self._model)

    def _progressed(self, done: int, total: int) -> None:
        self.progress.show_progress(done, total if done else 0)
        if total:
            show_words(self.progress_words, f"{done} of {count(total, 'scan')}")

    # ------------------------------------------------------------------ which models

    def _find(self) -> "ModelEntry | None":
        """The model chosen before, where it is still there; else that of the run, else the newest of the project."""
        folder = self._workspace.project_folder
        mine = [m for m in self._workspace.models if folder and m.folder.parent == folder / "models"]
        wanted = self._model.folder if self._model else folder / "models" / self._run if folder and self._run else None
        found = next((m for m in mine if m.folder == wanted), None)
        return found or (None if self._run else max(mine, key=lambda m: m.card.created, default=None))

    def _other(self) -> "ModelEntry | None":
        chosen = self._against
        there = next((m for m in self._workspace.models if chosen and m.folder == chosen.folder), None)
        return there or (self.desk.baseline_of(self._model) if self._model else None)

    # ------------------------------------------------------------------ showing

    def _show(self, _change: object = None) -> None:
        model = self._model = self._find()
        old, desk = self._other(), self.desk
        desk.look_at(model, old)
        self.setVisible(model is not None)
        if model is None:
            return
        state = desk.promotions.state_of(model.card.weights_sha256)
        self.choice.show_pair(self._workspace.models, model, old)
        running, verdict = desk.job is not None, desk.verdict
        self.note.setText(STATE_WORDS[state])
        self.state_words.setText(_state_line(model, state, old, desk.model_in_use()))
        locked = desk.locked_people()
        found = verdict.comparison if verdict else compare_models({}, {}) if not locked and old else None
        outdated = desk.is_outdated()
        said = f"{OUTDATED} " * outdated + found.sentence if found else ""
        show_words(self.verdict_words, "" if running else said)
        for kind in ("good", "warning", "error"):
            shown = "warning" if outdated else KINDS[found.verdict] if found else ""
            mark(self.verdict_words, kind, shown == kind)
        self.progress.setVisible(running)
        self.progress_words.setVisible(running)
        if running and not self.progress_words.text():
            self._progressed(0, 0)
            whom = "the locked people and made-up thighs" if locked else "made-up thighs"
            show_words(self.progress_words, f"Both models look at {whom}…")
        elif not running:
            self.progress_words.clear()
        self._show_buttons(model, state, old, found, locked)
        self._show_guard(verdict, running)
        self._show_figures(verdict)
        self.origin.fill([(heading, said) for heading, said in lineage_lines(model.card)], text=True)

    def _show_buttons(
        self, model: "ModelEntry", state: str, old: "ModelEntry | None", found: Comparison | None, locked: int
    ) -> None:
        running, verdict = self.desk.job is not None, self.desk.verdict
        possible = self.desk.can_compare(model)
        self.compare_button.setVisible(not running)
        self.compare_button.setEnabled(old is not None and possible)
        outdated = self.desk.is_outdated()
        self.compare_button.setText("Compare again" if verdict else "Compare")
        people = f"{count(locked, 'locked person', 'locked people')} and on " if locked else ""
        self.compare_button.setToolTip(f"Both models on {people}made-up thighs")
        self.cancel_button.setVisible(running)
        open_to = state != "active" and not running
        lost = bool(verdict and verdict.guard and verdict.guard.lost)
        worse = bool(found) and found.verdict == "worse"
        passed = bool(found) and found.verdict in ("better", "not worse") and not lost and not outdated
        cannot = not passed and not worse and not outdated and (old is None or not possible or verdict is not None)
        self.promote_button.setVisible(open_to)
        self.promote_button.setEnabled(passed or cannot)
        self.promote_button.setText("Promote anyway" if cannot and old else "Promote")
        tip = "Segment with this model from now on in this project"
        if lost and not worse:
            tip = "It has lost on the made-up thighs: it may have forgotten something."
        elif not passed and not cannot:
            tip = "It is worse on the locked people." if worse else "Compare it first."
        if outdated:
            tip = OUTDATED
        self.promote_button.setToolTip(tip)
        to_compare = not verdict or outdated
        mark(self.compare_button, "primary", open_to and to_compare and possible and old is not None)
        mark(self.promote_button, "primary", passed and open_to)
        self.hold_button.setVisible(open_to and state != "held")
        earlier = self.desk.earlier_model()
        self.back_button.setVisible(earlier is not None and not running)
        self.back_button.setToolTip(plain_tip(f"{earlier.card.name} is in use again" if earlier else ""))

    def _show_guard(self, verdict: Verdict | None, running: bool) -> None:
        """The made-up thighs, beside the people and never among them."""
        found = verdict.guard if verdict else None
        nothing = "No made-up thighs to compare on: they have no label that both models know." * (verdict is not None)
        show_words(self.guard_words, "" if running else found.sentence if found else nothing)
        mark(self.guard_words, "warning", bool(found) and found.lost)
        mark(self.guard_words, "muted", not (found and found.lost))
        self.guard_part.setVisible(found is not None)
        if found:
            pairs = [("All contrasts", found.overall), *((_title(one.label), one) for one in found.contrasts)]
            self.guard.fill_pairs(pairs, "Made-up thighs", "change", ())

    def _show_figures(self, verdict: Verdict | None) -> None:
        people = verdict.comparison.people if verdict else ()
        for part in (self.figures_part, self.people_fold, self.worst_fold):
            part.setVisible(bool(people))
        left = verdict.comparison.left_out if verdict else ()
        pairs = verdict.comparison.pairs if verdict else ()
        sure = any(one.interval for one in pairs)
        said = ["± is half the 95 % interval over people."] if sure else []
        said += [f"Not counted, for a model was trained or chosen on them: {', '.join(left)}."] if left else []
        show_words(self.left_words, "\n".join(said))
        if verdict is None or verdict is self._shown:
            return
        self._shown = verdict
        named = [(_label(one), one) for one in pairs]
        change = "change ±" if sure else "change"
        self.figures.fill_pairs(named, "Dice × 100", change, tuple(_kind(one) for one in pairs))
        lines = [("Person", "old", "new", "change")]
        lines += [(p.subject, f"{100 * p.old:.1f}", f"{100 * p.new:.1f}", points(p.difference)) for p in people]
        self.people.fill(lines)
        self.worst.want(verdict.pictures, people)


def _state_line(model: "ModelEntry", state: str, old: "ModelEntry | None", active: "ModelEntry | None") -> str:
    name = model.card.name
    if state == "active":
        return f"{name} is the model in use in this project."
    use = f"In use is {active.card.name}." if active else "No model of this project is in use yet."
    if old is None:
        return f"{name} is a candidate without an earlier model: choose one to compare it with."
    return f"{name} is held back. {use}" if state == "held" else f"{name} is a candidate. {use}"


def _label(one: Paired) -> str:
    name = _title(one.label.replace("_left", " L").replace("_right", " R").replace("_", " "))
    return name or "All labels"


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


def _kind(one: Paired) -> str:
    """``good`` or ``error`` where the whole interval is on one side of nought."""
    low, high = one.interval or (0.0, 0.0)
    return "good" if low > 0 else "error" if high < 0 else ""
