"""Review: how many slices are in which state, and the buttons that move them on."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from thighview.core.case import Case
from thighview.core.review import SliceState
from thighview.ui.cards import Card, Page, SharesBar, Swatch, button, count, row, show_words, words
from thighview.ui.review_colours import STATE_COLOURS

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

MEANINGS: dict[SliceState, str] = {
    SliceState.ACCEPTED: "the model was right",
    SliceState.CORRECTED: "mended by hand",
    SliceState.DRAWN: "all by hand",
    SliceState.EDITING: "being worked on",
    SliceState.MODEL: "not looked at yet",
    SliceState.UNSEEN: "no mask yet",
}


class ReviewPanel(Page):
    """Counts per state, and accept, reopen, go on."""

    def __init__(self, workspace: "Workspace", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = workspace.session
        self._asked: tuple[Case | None, tuple[int, ...]] | None = None
        self.empty = words("Open a scan to review its slices.", "muted")
        self.column.addWidget(self.empty)
        self._states_card = self._make_states()
        self._slice_card = self._make_slice()
        self._all_card = self._make_all()
        for card in (self._states_card, self._slice_card, self._all_card):
            self.column.addWidget(card)
        self.column.addStretch(1)
        session = self._session
        session.case_opened.connect(self._show)
        session.reviews_changed.connect(self._show)
        session.run_changed.connect(self._show)
        session.view_changed.connect(self._view_changed)
        self._show()

    # ------------------------------------------------------------------ parts

    def _make_states(self) -> Card:
        card = Card("Reviewed", " ")
        self.bar = SharesBar(10)
        card.body.addWidget(self.bar)
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(5)
        grid.setColumnStretch(2, 1)
        self.counts: dict[SliceState, QLabel] = {}
        for line, (state, meaning) in enumerate(MEANINGS.items()):
            number = self.counts[state] = words("0", wrap=False)
            grid.addWidget(Swatch(STATE_COLOURS[state]), line, 0)
            grid.addWidget(words(state.word, wrap=False), line, 1)
            grid.addWidget(words(meaning, "muted"), line, 2)
            grid.addWidget(number, line, 3, Qt.AlignmentFlag.AlignRight)
        card.body.addLayout(grid)
        card.body.addWidget(
            words(
                "Only accepted, corrected and drawn slices ever train a model; they and slices being edited are never "
                "overwritten by one.",
                "muted",
            )
        )
        return card

    def _make_slice(self) -> Card:
        card = Card("This slice", " ")
        self.accept_next_button = button(
            "Accept and go on", self.accept_and_go_on, "The mask of this slice is right; show the next one", "primary"
        )
        self.accept_button = button("Accept", self._accept, "The mask of this slice is right")
        self.reopen_button = button("Reopen", self._reopen, "Take the acceptance back, to work on it again")
        self.next_button = button("Next", self.go_to_next, "Show the next slice nobody has reviewed")
        card.body.addWidget(self.accept_next_button)
        card.body.addLayout(row(self.next_button, self.accept_button, self.reopen_button))
        return card

    def _make_all(self) -> Card:
        card = Card("All at once")
        self.all_button = button("Accept all model slices", self.ask_all, "Accept every slice the model filled")
        card.body.addLayout(row(self.all_button))
        self.question = words("", "warning")
        self.yes_button = button("Accept all", self._accept_all, kind="primary")
        self.no_button = button("Cancel", self._drop_question)
        card.body.addWidget(self.question)
        card.body.addLayout(row(self.yes_button, self.no_button))
        self._drop_question()
        return card

    def name_keys(self, accept_and_go_on: str = "", accept: str = "", next_slice: str = "") -> None:
        """Show the keys of the window on the buttons (``Return``, ``A``, ...)."""
        for press, text, key in (
            (self.accept_next_button, "Accept and go on", accept_and_go_on),
            (self.accept_button, "Accept", accept),
            (self.next_button, "Next", next_slice),
        ):
            press.setText(f"{text}  ({key})" if key else text)

    # ------------------------------------------------------------------ what the buttons do

    def accept_and_go_on(self) -> None:
        """Accept the shown slice and show the next one that nobody has reviewed."""
        self._accept()
        self.go_to_next()

    def go_to_next(self) -> None:
        """Show the next slice that is not reviewed, from the first again after the last."""
        case = self._session.case
        if case is None:
            return
        here, n = self._session.view.cursor[0], len(case.reviews)
        ahead = ((here + step) % n for step in range(1, n))
        target = next((i for i in ahead if not case.reviews[i].state.reviewed), None)
        if target is not None:
            self._session.go_to_slice(target)

    def _accept(self) -> None:
        if self._session.case is not None:
            self._session.accept((self._session.view.cursor[0],))

    def _reopen(self) -> None:
        if self._session.case is not None:
            self._session.reopen((self._session.view.cursor[0],))

    def _model_slices(self) -> tuple[int, ...]:
        case = self._session.case
        return tuple(i for i, r in enumerate(case.reviews) if r.state is SliceState.MODEL) if case else ()

    def ask_all(self) -> None:
        """Ask whether every slice that only a model drew is right, and how many these are."""
        self._asked = self._session.case, self._model_slices()
        n = len(self._asked[1])
        self.question.setText(
            f"This says that you have looked at {count(n, 'slice')} and that every mask is right. "
            "They will train the next model. One undo takes it back."
        )
        self.yes_button.setText(f"Accept {n}")
        for part in (self.question, self.yes_button, self.no_button):
            part.show()
        self.all_button.hide()

    def _accept_all(self) -> None:
        slices = self._model_slices()
        self._drop_question()
        if slices:
            self._session.accept(slices, f"Accept all {len(slices)} model slices")

    def _drop_question(self) -> None:
        self._asked = None
        for part in (self.question, self.yes_button, self.no_button):
            part.hide()
        self.all_button.show()

    # ------------------------------------------------------------------ showing

    def _view_changed(self, old: object, new: object) -> None:
        if getattr(old, "cursor", None) != getattr(new, "cursor", None):
            self._show_slice()

    def _show(self, _change: object = None) -> None:
        case = self._session.case
        self.empty.setVisible(case is None)
        for card in (self._states_card, self._slice_card, self._all_card):
            card.setVisible(case is not None)
        if case is None:
            return
        counts = dict.fromkeys(SliceState, 0)
        for review in case.reviews:
            counts[review.state] += 1
        total = len(case.reviews)
        for state, label in self.counts.items():
            label.setText(str(counts[state]))
            label.setEnabled(counts[state] > 0)
        self.bar.show_shares([(counts[s], STATE_COLOURS[s]) for s in MEANINGS if s is not SliceState.UNSEEN], total)
        done = sum(n for state, n in counts.items() if state.reviewed)
        self._states_card.note.setText(f"{done} of {total} slices")
        n = counts[SliceState.MODEL]
        running = self._session.busy_run is not None
        self.all_button.setText(f"Accept all {count(n, 'model slice')}" if n else "No model slices to accept")
        self.all_button.setEnabled(n > 0 and not running)
        if self._asked and (self._asked[0] is not case or self._asked[1] != self._model_slices()):
            self._drop_question()
        self.next_button.setEnabled(done < total)
        self._show_slice()

    def _show_slice(self) -> None:
        case = self._session.case
        if case is None:
            return
        index = self._session.view.cursor[0]
        state = case.reviews[index].state
        show_words(self._slice_card.note, f"{index + 1} of {len(case.reviews)} · {state.word}")
        for press in (self.accept_button, self.accept_next_button):
            press.setEnabled(not state.reviewed)
        self.reopen_button.setEnabled(state.reviewed)
