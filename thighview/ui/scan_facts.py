"""What is known of the open scan: its doubts, its geometry, how it was measured."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from thighview.core.case import Case
from thighview.core.scan_facts import affine_text, geometry_rows
from thighview.core.scan_key import QFORM
from thighview.ui.cards import Card, Page, button, words

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

_WIDTH_PX, _HEIGHT_PX, _TITLE_PX = 520, 640, 130


class ScanFacts(QDialog):
    """A window beside the main one; it follows the case that is open, until it is closed."""

    def __init__(self, workspace: "Workspace", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        session = self._session = workspace.session
        self.setWindowTitle("About this scan")
        self.resize(_WIDTH_PX, _HEIGHT_PX)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 12)
        self.place = QVBoxLayout()
        column.addLayout(self.place, 1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.setContentsMargins(14, 0, 14, 0)
        buttons.rejected.connect(self.reject)
        self.copy = button("Copy", self._copy, "Copies all of it as text.")
        buttons.addButton(self.copy, QDialogButtonBox.ButtonRole.ActionRole)
        column.addWidget(buttons)
        self.page: Page | None = None
        session.case_opened.connect(self._show_case)
        session.images_changed.connect(self._show_case)
        session.history_changed.connect(self._show_doubts)
        self._doubts_shown: tuple[str, ...] = ()
        self._show_case(session.case)

    def _show_case(self, case: Case | None) -> None:
        self._doubts_shown = case.doubts if case else ()
        if self.page:
            self.page.deleteLater()
        self.page = page = Page()
        for title, rows in sections(case):
            card = Card(title)
            card.body.addLayout(_grid(rows) if title != _DOUBTS else self._doubts(case))
            if case and title == _GEOMETRY and case.volume.other_affine is not None:
                card.body.addWidget(self._other_position(case))
            page.column.addWidget(card)
        if case is None:
            page.column.addWidget(words("No scan is open.", "muted"))
        page.column.addStretch(1)
        self.place.addWidget(page)
        self.copy.setEnabled(case is not None)

    def _show_doubts(self, _: object) -> None:
        """Those about what a model drew come and go with its step of the history."""
        case = self._session.case
        if case and case.doubts != self._doubts_shown:
            self._show_case(case)

    def _doubts(self, case: Case | None) -> QVBoxLayout:
        """Each with a box to say that it has been looked into; that is kept with the case."""
        column = QVBoxLayout()
        column.setSpacing(8)
        for doubt in case.doubts if case else ():
            checked = case is not None and doubt in case.checked
            column.addWidget(words(doubt, "muted" if checked else "warning"))
            box = QCheckBox("Checked: it is as it is shown")
            box.setToolTip("Takes the doubt off the badge, for this case and for good; it stays to be read here.")
            box.setChecked(checked)
            box.toggled.connect(lambda on, doubt=doubt: self._workspace.check_doubt(doubt, on))
            column.addWidget(box)
        return column

    def _other_position(self, case: Case) -> QPushButton:
        """A way to the other of the two positions that the file gives."""
        now, other = ("qform", "sform") if case.series[0].key.by_qform else ("sform", "qform")
        return button(
            f"Use its {other} instead of its {now}", lambda: self._workspace.place_scan(other == QFORM),
            "Opens the scan again in that place; the mask stays on its voxels. Kept with this case.",
        )  # fmt: skip

    def _copy(self) -> None:
        lines: list[str] = []
        for title, rows in sections(self._session.case):
            lines += [title, *(f"  {name}: {value}" if name else f"  {value}" for name, value in rows), ""]
        QGuiApplication.clipboard().setText("\n".join(lines))


_DOUBTS, _GEOMETRY, _AFFINE = "Doubts", "Geometry", "Affine, x y z to LPS mm"


def sections(case: Case | None) -> list[tuple[str, list[tuple[str, str]]]]:
    """Titles, and under each the rows (title, value); nothing where nothing is open."""
    if case is None:
        return []
    volume = case.volume
    found: list[tuple[str, list[tuple[str, str]]]] = []
    if case.doubts:
        told = [(doubt, " (checked)" * (doubt in case.checked)) for doubt in case.doubts]
        found.append((_DOUBTS, [("", doubt + more) for doubt, more in told]))
    found.append((_GEOMETRY, [*geometry_rows(volume, case.checked), (_AFFINE, affine_text(volume))]))
    found.append(("Source", [("Name", volume.name), *volume.details.items(), ("Lies at", str(case.series[0].path))]))
    return found


def _grid(rows: list[tuple[str, str]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(6)
    grid.setColumnMinimumWidth(0, _TITLE_PX)
    grid.setColumnStretch(1, 1)
    for line, (title, value) in enumerate(rows):
        shown = words(value)
        shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        if title == _AFFINE:
            shown.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
            shown.setWordWrap(False)
            grid.addWidget(words(title, "muted", wrap=False), line, 0, 1, 2)
            grid.addWidget(shown, line + 1, 0, 1, 2)
        else:
            name = QLabel(title)
            name.setTextFormat(Qt.TextFormat.PlainText)
            name.setProperty("muted", True)
            grid.addWidget(name, line, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(shown, line, 1)
    return grid
