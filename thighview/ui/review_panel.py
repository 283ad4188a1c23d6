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
        self._asked_blank: int | None = None
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
        self.accept_button = button("Accept", self.accept_shown, "The mask of this slice is right")
        self.reopen_button = button("Reopen", self._reopen, "Take the acceptance back, to work on it again")
        self.next_button = button("Next", self.go_to_next, "Show the next slice nobody has reviewed")
        card.body.addWidget(self.accept_next_button)
        card.body.addLayout(row(self.next_button, self.accept_button, self.reopen_button))
        return card

    def _make_all(self) -> Card:
        card = Card("All at once")
        self.all_button = button(
            "Accept all", self.ask_all, "Accept every slice that a model filled, or that an opened mask brought"
        )
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
        if self.accept_shown():
            self.go_to_next()

    def go_to_next(self) -> None:
        """Show the next slice that is not reviewed, from the first again after the last, or say that there is none."""
        case = self._session.case
        if case is None:
            return
        here, n = self._session.view.cursor[0], len(case.reviews)
        ahead = ((here + step) % n for step in range(1, n + 1))
        target = next((i for i in ahead if not case.reviews[i].state.reviewed and i not in case.missing), None)
        if target is None:
            self._session.said.emit("Every slice is reviewed.")
        elif target == here:
            self._session.said.emit("Only this slice is left to review.")
        else:
            self._session.go_to_slice(target)

    def accept_shown(self) -> bool:
        """Accept the shown slice; one with nothing on it only when wished twice. Whether it was accepted."""
        case, index = self._session.case, self._session.view.cursor[0]
        if case is None:
            return False
        blank = case.is_blank(index) and index not in case.missing
        if not case.reviews[index].state.reviewed and blank and self._asked_blank != index:
            self._asked_blank = index
            self._session.refused.emit(f"Nothing is drawn on slice {index + 1}. Press again to accept it as empty.")
            return False
        self._asked_blank = None
        self._session.accept((index,))
        return index not in case.missing

    def _reopen(self) -> None:
        if self._session.case is not None:
            self._session.reopen((self._session.view.cursor[0],))

    def _waiting(self) -> tuple[tuple[int, ...], str]:
        """Slices that no hand has touched since a model or a file drew them, and what to call them all."""
        case = self._session.case
        if case is None:
            return (), ""
        drawn = tuple(i for i, r in enumerate(case.reviews) if r.state is SliceState.MODEL)
        opened = case.opened_slices()
        if drawn and opened:
            return (*drawn, *opened), f"{len(drawn) + len(opened)} slices of model and opened mask"
        if opened:
            return opened, f"{count(len(opened), 'slice')} of the opened mask"
        return drawn, count(len(drawn), "model slice")

    def ask_all(self) -> None:
        """Ask whether every slice that a model drew, or an opened mask brought, is right, and how many these are."""
        slices, _ = self._waiting()
        if not slices:
            self._session.refused.emit("There is no slice that waits as a model or an opened mask drew it.")
            return
        self._asked = self._session.case, slices
        n = len(slices)
        self.question.setText(
            f"This says that you have looked at {count(n, 'slice')} and that every mask is right. "
            "They will train the next model. One undo takes it back."
        )
        self.yes_button.setText(f"Accept {n}")
        for part in (self.question, self.yes_button, self.no_button):
            part.show()
        self.all_button.hide()

    def _accept_all(self) -> None:
        slices, name = self._waiting()
        self._drop_question()
        if slices:
            self._session.accept(slices, f"Accept all {name}")

    def _drop_question(self) -> None:
        self._asked = None
        for part in (self.question, self.yes_button, self.no_button):
            part.hide()
        self.all_button.show()

    # ------------------------------------------------------------------ showing

    def _view_changed(self, old: object, new: object) -> None:
        if getattr(old, "cursor", None) != getattr(new, "cursor", None):
            self._asked_blank = None
            self._show_slice()

    def _show(self, _change: object = None) -> None:
        case = self._session.case
        self._asked_blank = None
        self.empty.setVisible(case is None)
        for card in (self._states_card, self._slice_card, self._all_card):
            card.setVisible(case is not None)
        if case is None:
            return
        counts, missing = dict.fromkeys(SliceState, 0), case.missing
        for index, review in enumerate(case.reviews):
            counts[review.state] += index not in missing
        total = len(case.reviews) - len(missing)
        for state, label in self.counts.items():
            label.setText(str(counts[state]))
            label.setEnabled(counts[state] > 0)
        self.bar.show_shares([(counts[s], STATE_COLOURS[s]) for s in MEANINGS if s is not SliceState.UNSEEN], total)
        done = sum(n for state, n in counts.items() if state.reviewed)
        self._states_card.note.setText(f"{done} of {total} slices")
        slices, name = self._waiting()
        running = self._session.busy_run is not None
        self.all_button.setText(f"Accept all {name}…" if slices else "Nothing to accept at once")
        self.all_button.setEnabled(bool(slices) and not running)
        if self._asked and (self._asked[0] is not case or self._asked[1] != slices):
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
