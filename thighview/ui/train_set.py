"""What would train: the people of the project's training set, their slices and states, and who is in which part."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout

from thighview.app.jobs import run_in_thread
from thighview.app.twin_warnings import Twins, read_unread, twin_warnings
from thighview.core.review import SliceState
from thighview.core.scan_key import ScanKey
from thighview.core.split import VALIDATION_FROM
from thighview.io.names import stem
from thighview.ui import dialogs
from thighview.ui.cards import Card, Fold, SharesBar, button, count, mark, plain_tip, row, show_words, words
from thighview.ui.chips import Chips, label_chips
from thighview.ui.review_colours import STATE_COLOURS

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace
    from thighview.io.project import CaseSummary

REVIEWED = (SliceState.ACCEPTED, SliceState.CORRECTED, SliceState.DRAWN)
PART_WORDS = {"train": "train", "validation": "validation", "test": "locked test", "": "no part yet"}
READ_AFTER_MS = 1000
"""Scans are read for their fingerprints this long after they were found to have none."""
NO_VALIDATION = "No validation person: this score does not measure new people."


@dataclass(frozen=True)
class SetFigures:
    """The training set in numbers; people are subjects with at least one case in the set."""

    people: dict[str, str]
    """Subject to part."""
    slices: dict[str, dict[SliceState, int]]
    """Subject to reviewed slices by state."""
    scans: dict[str, list["CaseSummary"]]
    """Subject to its cases in the set."""

    @property
    def cases(self) -> int:
        """Cases in the set."""
        return sum(map(len, self.scans.values()))

    @property
    def reviewed(self) -> int:
        """All reviewed slices."""
        return sum(sum(counts.values()) for counts in self.slices.values())

    def of_state(self, state: SliceState) -> int:
        """Slices of one state."""
        return sum(counts[state] for counts in self.slices.values())

    @property
    def to_learn_from(self) -> int:
        """Reviewed slices of the people who train; 0 while nobody has a part yet."""
        return sum(sum(self.slices[s].values()) for s, part in self.people.items() if part == "train")

    def in_part(self, part: str) -> int:
        """People in one part."""
        return sum(1 for p in self.people.values() if p == part)


def figures(cases: Sequence["CaseSummary"]) -> SetFigures:
    """Count the cases that are in the training set."""
    people: dict[str, str] = {}
    slices: dict[str, dict[SliceState, int]] = {}
    scans: dict[str, list[CaseSummary]] = {}
    for case in cases:
        if not case.in_training_set:
            continue
        scans.setdefault(case.subject, []).append(case)
        people[case.subject] = case.part or people.get(case.subject, "")
        counts = slices.setdefault(case.subject, dict.fromkeys(REVIEWED, 0))
        for state in REVIEWED:
            counts[state] += case.counts.get(state, 0)
    return SetFigures(people, slices, scans)


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


def files_as_people(found: SetFigures) -> str:
    """What to know where several files are counted as people of their own, for want of a better name."""
    by_file = [case for scans in found.scans.values() for case in scans if _named_by_file(case)]
    if not by_file or found.cases < 2:
        return ""
    return "Each file counts as one person. Double-click a person in the list to say whose scan it is."


def _named_by_file(case: "CaseSummary") -> bool:
    return not case.subject.startswith("sub-") and case.subject in (case.title, stem(case.path))


def _share(state: SliceState, found: SetFigures) -> tuple[str, tuple[int, int, int]]:
    n = found.of_state(state)
    share = f"{100 * n / found.reviewed:.0f} %" if found.reviewed else "0 %"
    colour = STATE_COLOURS[state]
    return f"{state.word} {share}", (colour.red(), colour.green(), colour.blue())


class PersonName(QLabel):
    """A name in the list of people, cut in its middle where room is short; a double click asks whose scan it is."""

    chosen = Signal()
    """Double-clicked."""

    def __init__(self, name: str, of_scan: bool = False) -> None:
        super().__init__(name)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("muted", of_scan)
        self.setIndent(14 if of_scan else 0)
        self.setToolTip(plain_tip(f"{name} · double-click to say whose scan it is"))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    @property
    def text_shown(self) -> str:
        """What there is room for: the beginning of the name and its end."""
        room = self.width() - self.indent()
        return self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideMiddle, room)

    def paintEvent(self, arg__1: QPaintEvent) -> None:
        """Draw what there is room for."""
        with QPainter(self) as painter:
            painter.setPen(self.palette().color(self.foregroundRole()))
            place = self.rect().adjusted(self.indent(), 0, 0, 0)
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, self.text_shown)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Ask."""
        self.chosen.emit()


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
        self.twins_words = words("", "warning")
        self.twins_words.hide()
        self.body.addWidget(self.twins_words)
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
        self.files_words = words("", "muted")
        self.body.addWidget(self.files_words)
        self.this_case = words("", "muted")
        self.body.addWidget(self.this_case)
        self.case_button = button("", self._toggle_case, kind="primary")
        self.body.addLayout(row(self.case_button))
        self._people_shown: object = None
        self._numbers: dict[tuple[str, SliceState], QLabel] = {}
        self._reading: set[str] = set()
        """Scans whose fingerprints were asked for, by SHA-256: one that cannot be read is not asked for again."""
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
        show_words(self.files_words, files_as_people(found))
        self._show_people()
        self._show_case()
        self._look_for_twins()

    def _look_for_twins(self, _done: object = None) -> None:
        folder = self._workspace.project_folder
        if folder is None or self.found.cases < 2:
            self.twins_words.hide()
            return
        if not self.isVisible():
            return
        job = run_in_thread(lambda _report, _stopped: twin_warnings(folder), lane="twins")
        job.succeeded.connect(lambda found: self._show_twins(folder, found))
        job.failed.connect(lambda _error: None)  # only the warning is missing then, and the run gives it

    def _show_twins(self, folder: Path, found: Twins) -> None:
        if folder != self._workspace.project_folder:
            return
        show_words(self.twins_words, "\n".join(f"{sentence}." for sentence in found.said))
        if found.unread:  # not while the tab is only just being shown
            QTimer.singleShot(READ_AFTER_MS, self, lambda: self._read_unread(folder, found.unread))

    def _read_unread(self, folder: Path, unread: list[tuple[ScanKey, str]]) -> None:
        wanted = [(key, sha256) for key, sha256 in unread if sha256 not in self._reading]
        if not wanted or not self.isVisible() or folder != self._workspace.project_folder:
            return
        self._reading |= {sha256 for _, sha256 in wanted}
        job = read_unread(folder, wanted)
        job.succeeded.connect(self._look_for_twins)
        job.failed.connect(lambda _error: None)  # as above

    def showEvent(self, event: QShowEvent) -> None:
        """Look for twins; it is not done while nobody would see it."""
        super().showEvent(event)
        self._look_for_twins()

    def _show_people(self) -> None:
        cases = tuple((c.case_id, c.subject, c.title, c.in_training_set) for c in self._workspace.cases)
        shown = (self.found.people, cases)
        if shown != self._people_shown:  # a row for each of many people takes its time
            self._people_shown = shown
            self._list_people()
        for (subject, state), number in self._numbers.items():
            number.setText(str(self.found.slices[subject][state]))

    def _list_people(self) -> None:
        self._numbers = {}
        while (item := self._people.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        headings = ("Person", "Part", "acc.", "corr.", "drawn")
        for column, text in enumerate(headings):
            self._people.addWidget(words(text, "muted", wrap=False), 0, column)
        line = 0
        for subject, part in sorted(self.found.people.items()):
            line += 1
            everything = [case.case_id for case in self._workspace.cases if case.subject == subject]
            self._people.addWidget(self._name(subject, subject, everything), line, 0)
            self._people.addWidget(words(PART_WORDS.get(part, part), "muted", wrap=False), line, 1)
            for column, state in enumerate(REVIEWED, 2):
                number = self._numbers[subject, state] = words("", wrap=False)
                self._people.addWidget(number, line, column)
            scans = self.found.scans[subject]
            for case in scans if len(scans) > 1 else ():
                line += 1
                self._people.addWidget(self._name(case.title, subject, [case.case_id]), line, 0, 1, len(headings))

    def _name(self, text: str, subject: str, case_ids: list[int]) -> PersonName:
        name = PersonName(text, of_scan=text != subject)
        # not from within the click: the list may be made anew while the question is open
        name.chosen.connect(lambda: QTimer.singleShot(0, self, lambda: self._ask_whose(text, subject, case_ids)))
        return name

    def _ask_whose(self, scan: str, subject: str, case_ids: list[int]) -> None:
        known = sorted({case.subject for case in self._workspace.cases})
        answer = dialogs.ask_subject(self, scan, subject, known)
        if answer:
            self._workspace.set_subject(case_ids, answer)

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
