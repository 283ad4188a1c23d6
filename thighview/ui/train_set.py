"""What would train: the people of the project's training set, their slices and states, and who is in which part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QGridLayout, QVBoxLayout

from thighview.core.review import SliceState
from thighview.core.split import VALIDATION_FROM
from thighview.ui.cards import Card, Fold, SharesBar, button, count, mark, plain_tip, row, show_words, words
from thighview.ui.chips import Chips, label_chips
from thighview.ui.review_colours import STATE_COLOURS

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace
    from thighview.io.project import CaseSummary

REVIEWED = (SliceState.ACCEPTED, SliceState.CORRECTED, SliceState.DRAWN)
PART_WORDS = {"train": "train", "validation": "validation", "test": "locked test", "": "not dealt yet"}
NO_VALIDATION = "No validation person: this score does not measure new people."


@dataclass(frozen=True)
class SetFigures:
    """The training set in numbers; people are subjects with at least one case in the set."""

    people: dict[str, str]
    """Subject to part."""
    slices: dict[str, dict[SliceState, int]]
    """Subject to reviewed slices by state."""
    cases: int

    @property
    def reviewed(self) -> int:
        """All reviewed slices."""
        return sum(sum(counts.values()) for counts in self.slices.values())

    def of_state(self, state: SliceState) -> int:
        """Slices of one state."""
        return sum(counts[state] for counts in self.slices.values())

    def in_part(self, part: str) -> int:
        """People in one part."""
        return sum(1 for p in self.people.values() if p == part)


def figures(cases: Sequence["CaseSummary"]) -> SetFigures:
    """Count the cases that are in the training set."""
    people: dict[str, str] = {}
    slices: dict[str, dict[SliceState, int]] = {}
    chosen = [case for case in cases if case.in_training_set]
    for case in chosen:
        people[case.subject] = case.part or people.get(case.subject, "")
        counts = slices.setdefault(case.subject, dict.fromkeys(REVIEWED, 0))
        for state in REVIEWED:
            counts[state] += case.counts.get(state, 0)
    return SetFigures(people, slices, len(chosen))


def headline(found: SetFigures) -> str:
    """``31 people · 27 train / 4 validation``."""
    parts = [(found.in_part(part), PART_WORDS[part]) for part in ("train", "validation", "test")]
    dealt = " / ".join(f"{n} {word}" for n, word in parts if n)
    return " · ".join(part for part in (count(len(found.people), "person", "people"), dealt) if part)


def validation_sentence(found: SetFigures) -> str:
    """What the validation score will, or will not, measure."""
    if not found.people or found.in_part("validation"):
        return ""
    n = len(found.people)
    if n >= VALIDATION_FROM:
        return ""
    more = VALIDATION_FROM - n
    return (
        f"{NO_VALIDATION} Validation is done on made-up thighs until {count(more, 'more person', 'more people')} "
        f"{'is' if more == 1 else 'are'} in the set."
    )


def _share(state: SliceState, found: SetFigures) -> tuple[str, tuple[int, int, int]]:
    n = found.of_state(state)
    share = f"{100 * n / found.reviewed:.0f} %" if found.reviewed else "0 %"
    colour = STATE_COLOURS[state]
    return f"{state.word} {share}", (colour.red(), colour.green(), colour.blue())


class TrainSetCard(Card):
    """The card about the training set, with the button that takes the open case in or out."""

    def __init__(self, workspace: "Workspace") -> None:
        super().__init__("Training set", " ")
        self._workspace = workspace
        self.found = figures(())
        self.line = words("")
        self.body.addWidget(self.line)
        self.bar = SharesBar()
        self.body.addWidget(self.bar)
        self.legend = Chips(muted=True)
        self.body.addWidget(self.legend)
        self.warning = words("", "warning")
        self.body.addWidget(self.warning)
        self._people = QGridLayout()
        self._people.setHorizontalSpacing(8)
        self._people.setVerticalSpacing(3)
        self._people.setColumnStretch(0, 1)
        inside = QVBoxLayout()
        inside.addLayout(self._people)
        self.labels_heading = words("Labels of the open case", "muted")
        self.labels = Chips()
        inside.addWidget(self.labels_heading)
        inside.addWidget(self.labels)
        self.people = Fold("People, slices and labels", inside)
        self.body.addWidget(self.people)
        self.this_case = words("", "muted")
        self.body.addWidget(self.this_case)
        self.case_button = button("", self._toggle_case, kind="primary")
        self.body.addLayout(row(self.case_button))
        workspace.cases_changed.connect(self._show)
        workspace.session.case_opened.connect(self._show)
        workspace.session.reviews_changed.connect(self._show_case)
        workspace.session.labels_changed.connect(self._show)
        self._show()

    @property
    def ready(self) -> bool:
        """Whether there is anything to train on."""
        return self.found.reviewed > 0

    # ------------------------------------------------------------------ showing

    def _show(self, _change: object = None) -> None:
        found = self.found = figures(self._workspace.cases)
        there = bool(found.cases)
        self.note.setText(count(found.reviewed, "reviewed slice") if there else "")
        self.line.setText(
            headline(found)
            if there
            else "Nothing is in the training set yet. Review slices of a case, then add the case."
        )
        mark(self.line, "muted", not there)
        for part in (self.bar, self.legend, self.people):
            part.setVisible(there)
        self.legend.show_labels(tuple(_share(state, found) for state in REVIEWED))
        self.bar.show_shares([(found.of_state(s), STATE_COLOURS[s]) for s in REVIEWED], found.reviewed)
        nothing = "The cases in the set have no reviewed slice yet, so there is nothing to learn from."
        show_words(self.warning, validation_sentence(found) if found.reviewed or not there else nothing)
        self._show_people()
        self._show_case()

    def _show_people(self) -> None:
        while (item := self._people.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        headings = ("Person", "Part", "acc.", "corr.", "drawn")
        for column, text in enumerate(headings):
            self._people.addWidget(words(text, "muted", wrap=False), 0, column)
        for line, (subject, part) in enumerate(sorted(self.found.people.items()), 1):
            name = words(subject)
            name.setToolTip(plain_tip(subject))
            self._people.addWidget(name, line, 0)
            self._people.addWidget(words(PART_WORDS.get(part, part), "muted", wrap=False), line, 1)
            for column, state in enumerate(REVIEWED, 2):
                self._people.addWidget(words(str(self.found.slices[subject][state]), wrap=False), line, column)

    def _show_case(self, _change: object = None) -> None:
        case = self._workspace.session.case
        self.case_button.setVisible(case is not None)
        for part in (self.labels_heading, self.labels):
            part.setVisible(case is not None and len(case.table) > 0)
        if case is None:
            show_words(self.this_case, "Open a case to add it to the set." if not self.found.cases else "")
            return
        self.labels.show_labels(label_chips(case.table))
        inside = self._case_inside()
        reviewed = sum(1 for review in case.reviews if review.state.reviewed)
        total = len(case.reviews)
        self.case_button.setText("Take this case out of the set" if inside else "Add this case to the training set")
        mark(self.case_button, "primary", not inside and reviewed > 0)
        self.case_button.setEnabled(self._workspace.store is not None)
        self.case_button.setToolTip(
            "Its masks stay; it only trains no more."
            if inside
            else "Only its accepted, corrected and drawn slices train."
        )
        where = "is in the set" if inside else "is not in the set"
        show_words(self.this_case, f"{case.title} {where} · {reviewed} of {total} slices reviewed")

    def _case_inside(self) -> bool:
        case = self._workspace.session.case
        return any(c.in_training_set for c in self._workspace.cases if case and c.case_id == case.case_id)

    def _toggle_case(self) -> None:
        self._workspace.set_in_training_set(not self._case_inside())
