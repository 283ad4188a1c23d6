"""Segment: which model, what is known of it, on which slices, and how far it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QElapsedTimer, Qt
from PySide6.QtWidgets import QApplication, QComboBox, QGridLayout, QWidget

from thighview.app.segment_job import SegmentError
from thighview.app.segmenting import doubt, obstacle
from thighview.core.labels import Label, LabelTable
from thighview.core.review import SliceState
from thighview.ui.cards import Card, Page, ProgressLine, button, count, mark, minutes, row, show_words, words
from thighview.ui.chips import Chips, label_chips
from thighview.ui.doubts import Doubts

if TYPE_CHECKING:
    from thighview.app.engine_worker import EngineState
    from thighview.app.segment_job import SegmentJob
    from thighview.app.tasks import Workspace
    from thighview.core.view import ViewState
    from thighview.io.model_card import ModelCard
    from thighview.io.models import ModelEntry

PLACES = {
    "box": "comes with thighview",
    "project": "trained in this project",
    "user": "one of your models",
}
MOST_FIGURES = 13
ENGINE_WORDS = {
    "off": "The engine starts with the first segmentation.",
    "starting": "The engine is starting…",
    "ready": "Ready",
    "busy": "Working",
    "dead": "The engine has stopped. Nothing you painted is lost.",
}


@dataclass(frozen=True)
class LabelMatch:
    """What a model's labels become in the open case, matched by name and side."""

    known: tuple[Label, ...]
    new: tuple[Label, ...]

    def line(self) -> str:
        """The same in a sentence."""
        if not self.known:
            return f"{_all(self.new)} will be added to this case." if self.new else ""
        if not self.new:
            return f"{_all(self.known)} {'exists' if len(self.known) == 1 else 'exist'} in this case already."
        added = ", ".join(label.title for label in self.new[:4]) + (" …" if len(self.new) > 4 else "")
        verb = "exists" if len(self.known) == 1 else "exist"
        return f"{count(len(self.known), 'label')} {verb} in this case, {len(self.new)} will be added: {added}."


def _all(labels: tuple[Label, ...]) -> str:
    return f"The label {labels[0].title}" if len(labels) == 1 else f"All {len(labels)} labels"


def match_labels(model: LabelTable, case: LabelTable) -> LabelMatch:
    """Which labels of a model a case has already, and which are new to it."""
    known = tuple(label for label in model if case.find(label.name, label.side))
    return LabelMatch(known, tuple(label for label in model if label not in known))


def card_figures(scores: Mapping[str, Any], validated: int = 0) -> tuple[str, list[tuple[str, str]]]:
    """What a model card has measured: a heading that says on what, and (name, Dice or other figure) lines.

    ``validated``: how many people its training validated on.

    Knows the cards of a training (``val``, ``val_dice``, ``validation``) and of the box (``mean``, ``contrasts``,
    ``phantoms``, ``real_thigh``); of any other card the plain numbers are listed.
    """
    lines: list[tuple[str, str]] = []
    if isinstance(scores.get("val"), Mapping):
        people = count(validated, "validation person", "validation people") if validated else "validation people"
        on = {"people": people, "phantoms": "made-up thighs (no validation person)"}
        heading = f"Dice on {on.get(str(scores.get('validation')), 'training slices: nothing was held out')}"
        _add_number(lines, "mean", scores["val"].get("dice"))
        for key, value in _table(scores.get("val_dice")).items():
            _add_number(lines, _title(key), value)
        return heading, lines
    if isinstance(scores.get("contrasts"), Mapping):
        heading = "Dice on made-up thighs it has never seen"
        _add_number(lines, "mean", scores.get("mean"))
        for contrast, table in scores["contrasts"].items():
            _add_number(lines, _title(contrast), _table(table).get("mean"))
        _add_number(lines, "worst thigh", _table(scores.get("worst_case")).get("dice"))
        worst = _table(scores.get("worst"))
        _add_number(lines, f"worst: {_title(str(worst.get('label', '')))}", worst.get("dice"))
        for what, value in _table(_table(scores.get("real_thigh")).get("as T1")).items():
            _add_number(lines, f"real thigh as T1: {what}", value)
        return heading, lines
    for key, value in scores.items():
        _add_number(lines, _title(key), value)
    return "Figures", lines


def _add_number(lines: list[tuple[str, str]], name: str, value: object) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        lines.append((name, f"{value:.3f}" if isinstance(value, float) else f"{value:,}"))


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _title(name: str) -> str:
    return name.replace("_", " ").replace("t1", "T1").replace("t2", "T2").replace("dixon", "Dixon")


class SegmentPanel(Page):
    """Chooses a model, shows what is known of it and of the engine, and runs it over the stack."""

    def __init__(self, workspace: "Workspace", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._models: tuple[ModelEntry, ...] = ()
        self._listed = bool(workspace.models)
        self._job: SegmentJob | None = None
        self._since_start = QElapsedTimer()
        self.run_card = self._make_run()
        self.model_card = self._make_model()
        self.engine_card = self._make_engine()
        for card in (self.run_card, self.model_card, self.engine_card):
            self.column.addWidget(card)
        self.column.addStretch(1)
        session = workspace.session
        session.case_opened.connect(self._show)
        session.reviews_changed.connect(self._show_slices)
        session.images_changed.connect(self._show_slices)
        session.view_changed.connect(self._view_changed)
        session.labels_changed.connect(self._show_model)
        workspace.models_changed.connect(self._models_changed)
        workspace.model_chosen.connect(self.choose)
        workspace.gate.changed.connect(self._show_model)
        workspace.segmenting.connect(self._segmenting)
        workspace.engine.state_changed.connect(self._show_engine)
        self._list_models(workspace.models)
        self._show_engine(workspace.engine.state)
        self._segmenting(workspace.segment_job)

    # ------------------------------------------------------------------ parts

    def _make_run(self) -> Card:
        card = Card("Slices", " ")
        self.slices_words = words("")
        self.kept_words = words("", "muted")
        self.segment_button = button("Segment stack", self._segment, "Let the model draw the masks", "primary")
        self.cancel_button = button("Cancel", self._cancel, "Slices filled by this run are put back as they were")
        self.progress = ProgressLine()
        self.progress_words = words("", "muted")
        self.redo_button = button(
            "Let the model redo this slice",
            self._redo,
            "Let the model draw the shown slice anew, in the place of what is there.\nOne undo takes it back.",
        )
        self.doubt_words = words("", "warning")
        for part in (self.slices_words, self.kept_words, self.progress_words, self.progress):
            card.body.addWidget(part)
        card.body.addLayout(row(self.segment_button, self.cancel_button))
        card.body.addLayout(row(self.redo_button))
        card.body.addWidget(self.doubt_words)
        return card

    def _make_model(self) -> Card:
        card = Card("Model", " ")
        self.chooser = QComboBox()
        self.chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.chooser.setMinimumContentsLength(10)
        self.chooser.activated.connect(self._chosen)
        self.no_model = words(
            "There is no model yet. Train one in the Train tab, or put a model folder (card.json and "
            "weights.safetensors) into your models folder.",
        )
        self.statement = words("")
        self.gate_words = words("", "warning")
        self.doubts = Doubts()
        self.figures = QGridLayout()
        self.figures.setHorizontalSpacing(12)
        self.figures.setVerticalSpacing(3)
        self.figures.setColumnStretch(0, 1)
        self.chips = Chips()
        self.match_words = words("", "muted")
        self.network_words = words("", "muted")
        for part in (self.chooser, self.no_model, self.gate_words, self.statement, self.doubts):
            card.body.addWidget(part)
        self.figures_heading = words("", "muted")
        card.body.addWidget(self.figures_heading)
        card.body.addLayout(self.figures)
        for part in (self.chips, self.match_words, self.network_words):
            card.body.addWidget(part)
        return card

    def _make_engine(self) -> Card:
        card = Card("Engine", " ")
        self.engine_words = words("")
        self.engine_message = words("", "muted")
        self.restart_button = button(
            "Restart the engine", self._workspace.engine.restart, "Starts the engine process again", "primary"
        )
        card.body.addWidget(self.engine_words)
        card.body.addWidget(self.engine_message)
        card.body.addLayout(row(self.restart_button))
        return card

    # ------------------------------------------------------------------ models

    @property
    def model(self) -> "ModelEntry | None":
        """The model that would run."""
        index = self.chooser.currentIndex()
        return self._models[index] if 0 <= index < len(self._models) else None

    def choose(self, entry: "ModelEntry") -> None:
        """Choose a model of the list."""
        index = next((i for i, m in enumerate(self._models) if m.folder == entry.folder), -1)
        if index >= 0:
            self.chooser.setCurrentIndex(index)
            self._show_model()
            self._show_slices()

    def _models_changed(self, models: tuple["ModelEntry", ...]) -> None:
        self._listed = True
        self._list_models(models)

    def _list_models(self, models: tuple["ModelEntry", ...]) -> None:
        wanted = self._workspace.settings.last_model
        self._models = tuple(models)
        self.chooser.clear()
        for entry in self._models:
            twice = sum(1 for m in self._models if m.card.name == entry.card.name) > 1
            self.chooser.addItem(entry.card.name + (f" ({entry.place})" if twice else ""))
            self.chooser.setItemData(self.chooser.count() - 1, PLACES.get(entry.place, ""), Qt.ItemDataRole.ToolTipRole)
        index = next((i for i, m in enumerate(self._models) if str(m.folder) == wanted), 0)
        self.chooser.setCurrentIndex(index if self._models else -1)
        self._show()

    def _chosen(self, _index: int) -> None:
        if self.model is not None:
            self._workspace.choose_model(self.model)
        self._show()

    def _show_model(self, _change: object = None) -> None:
        entry = self.model
        there = entry is not None
        self.no_model.setVisible(self._listed and not there)
        for part in (self.chooser, self.chips):
            part.setVisible(there)
        self.model_card.note.setText(PLACES.get(entry.place, "") if entry else "")
        show_words(self.gate_words, self._workspace.gate.doubt(entry) if entry else "")
        show_words(self.statement, entry.card.statement if entry else "")
        self.statement.setToolTip(_use_and_limits(entry.card) if entry else "")
        self.doubts.show_doubts(entry.card.warnings if entry else ())
        heading, lines = "", list[tuple[str, str]]()
        if entry:
            heading, lines = card_figures(entry.card.scores, len(entry.card.split.get("validation", ())))
        show_words(self.figures_heading, heading if lines else "")
        self._show_figures(lines[:MOST_FIGURES])
        case = self._workspace.session.case
        show_words(self.match_words, match_labels(entry.card.labels, case.table).line() if entry and case else "")
        show_words(self.network_words, _network_words(entry.card) if entry else "")
        self.chips.show_labels(label_chips(entry.card.labels) if entry else ())

    def _show_figures(self, lines: list[tuple[str, str]]) -> None:
        while (item := self.figures.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for line, (name, value) in enumerate(lines):
            self.figures.addWidget(words(name), line, 0)
            self.figures.addWidget(words(value, wrap=False), line, 1, Qt.AlignmentFlag.AlignRight)

    # ------------------------------------------------------------------ the engine and the run

    def _show_engine(self, state: "EngineState") -> None:
        self.engine_card.note.setText(state.device)
        dead = state.phase == "dead"
        place = 1 if dead else 2  # with its button it stands above what is known of the model
        if self.column.indexOf(self.engine_card) != place:
            self.column.insertWidget(place, self.engine_card)
        self.engine_words.setText(ENGINE_WORDS.get(state.phase, state.phase))
        mark(self.engine_words, "error", dead)
        show_words(self.engine_message, state.message)
        if self._job is not None and self.progress.maximum() == 0:
            self._progressed(0, 0)
        self.restart_button.setVisible(dead)
        self._show_slices()

    def _segment(self) -> None:
        if self.model is not None:
            self._workspace.segment(self.model)

    def _redo(self) -> None:
        if self.model is not None:
            self._workspace.segment(self.model, (self._workspace.session.view.cursor[0],))

    def _cancel(self) -> None:
        """Cancel; not by the second press of a double click on what stood there before."""
        if self._since_start.elapsed() >= QApplication.doubleClickInterval():
            self._workspace.cancel_segment()

    def _view_changed(self, old: "ViewState", new: "ViewState") -> None:
        if old.cursor[0] != new.cursor[0]:
            self._show_redo()

    def _segmenting(self, job: "SegmentJob | None") -> None:
        self._job = job
        if job is not None:
            self._since_start.start()
            job.progressed.connect(self._progressed)
            self._progressed(0, 0)
        self._show_slices()

    def _progressed(self, done: int, total: int) -> None:
        if self._job is None:
            return
        self.progress.show_progress(done, total if done else 0)
        if not done:
            starting = self._workspace.engine.state.phase in ("off", "starting")
            show_words(self.progress_words, "The engine is starting…" if starting else "Preparing the slices…")
            return
        left = self._job.seconds_left
        time_left = f" · {minutes(left)} left" if left is not None and done < total else ""
        show_words(self.progress_words, f"{done} of {count(total, 'slice')}{time_left}")

    # ------------------------------------------------------------------ showing

    def _show(self, _change: object = None) -> None:
        self._show_model()
        self._show_slices()

    def _show_slices(self, _change: object = None) -> None:
        case = self._workspace.session.case
        running = self._job is not None
        reviewed = sum(1 for r in case.reviews if r.state.reviewed) if case else 0
        kept = sum(1 for r in case.reviews if r.state.protected) if case else 0
        total = len(case.reviews) - len(case.missing) if case else 0
        free = total - kept
        card = self.model.card if self.model else None
        if case and card is None and not self._listed:
            refused: SegmentError | None = SegmentError("Looking for models…")
        else:
            refused = obstacle(case, card)
        known = case and not running and (refused is None or not free)
        self.run_card.note.setText(f"{free} of {total}" if known else "")
        sentence = f"{count(free, 'slice')} will be segmented; any earlier model output on them is replaced."
        show_words(self.slices_words, "" if running else refused.message if refused else sentence)
        show_words(self.kept_words, "" if running or not free else _kept_words(reviewed, kept - reviewed))
        self.segment_button.setEnabled(refused is None)
        self.segment_button.setVisible(not running)
        self._show_redo()
        doubts = refused.hint if refused else doubt(case) if case else ""
        show_words(self.doubt_words, "" if running else doubts)
        for part in (self.cancel_button, self.progress):
            part.setVisible(running)
        self.progress_words.setVisible(running)

    def _show_redo(self) -> None:
        """Whether the shown slice is being edited and the model can draw it alone."""
        case, index = self._workspace.session.case, self._workspace.session.view.cursor[0]
        possible = (
            case is not None
            and self._job is None
            and case.reviews[index].state is SliceState.EDITING
            and case.volume.axial_axis == 0
            and obstacle(case, self.model.card if self.model else None, (index,)) is None
        )
        self.redo_button.setVisible(possible)


def _kept_words(reviewed: int, editing: int) -> str:
    if not reviewed and not editing:
        return ""
    parts = [f"{reviewed} reviewed"] if reviewed else []
    parts += [f"{editing} being edited"] if editing else []
    verb = "stays as it is" if reviewed + editing == 1 else "stay as they are"
    return f"{' and '.join(parts)} {verb}."


def _use_and_limits(card: "ModelCard") -> str:
    """What a card says of the use it was made for and of its limits."""
    said = (("Made for", card.intended_use), ("Limits", card.limits))
    return "".join(f"<p><b>{title}</b><br>{escape(text)}</p>" for title, text in said if text)


def _network_words(card: "ModelCard") -> str:
    name = {"unet": "U-Net", "seed_unet": "Seed U-Net"}.get(card.architecture, card.architecture)
    spacing = f"{card.spacing_mm:g} mm pixels" if card.spacing_mm else "slice fitted to the input"
    return f"{name} base {card.base_filters} · {card.input_size}×{card.input_size} · {spacing}"
