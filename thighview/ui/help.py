"""Help: the sheet of shortcuts, and what this program is and is not for."""

from collections.abc import Iterable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from thighview.core.statement import RESEARCH_USE
from thighview.ui.cards import Page, words

MOUSE: tuple[tuple[str, str], ...] = (
    ("Wheel", "next or previous slice"),
    ("Ctrl + wheel", "size of brush and eraser; zoom with the other tools"),
    ("Right drag", "brightness and contrast"),
    ("Middle drag", "move the picture; Shift and drag does the same"),
    ("Double click", "fit to the body when looking around; close a polygon"),
    ("Ctrl + stroke", "the brush erases, the eraser paints"),
    ("Hold Space", "hide the masks"),
    ("1 to 9, 0", "choose the label to paint"),
    ("Drop a file", "open a scan; a mask is put over the open scan"),
)
WHAT_IT_IS = (
    "Look at MRI of the thigh, let a U-Net draw the masks, correct them by hand, train a better network on your "
    "corrections, and see in honest curves whether it really is better."
)
WHAT_IT_IS_NOT = (
    "thighview is a research program. It is no medical device: nothing it shows may be used to diagnose or to treat a "
    "person. Masks and numbers can be wrong; you decide whether they are right."
)
WHERE_DATA_STAYS = (
    "Scans never leave this computer: the program opens no network connection. What you export is as you choose it: "
    "tick De-identify in Export masks for files that do not tell who a person is."
)

ABOUT_WIDTH_PX = 440
Sheet = Sequence[tuple[str, Sequence[tuple[str, str]]]]
"""Groups of (keys, what they do)."""


class ShortcutSheet(QDialog):
    """Every shortcut on one page, in two columns."""

    def __init__(self, groups: Sheet, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Shortcuts")
        self.resize(900, 720)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 12)
        page = Page()
        halves = QHBoxLayout()
        halves.setSpacing(32)
        page.column.addLayout(halves)
        page.column.addStretch(1)
        for groups_here in _two_columns([("Mouse and masks", MOUSE), *groups]):
            half = QVBoxLayout()
            half.setSpacing(14)
            for title, lines in groups_here:
                half.addWidget(words(title, "title"))
                half.addLayout(_lines(lines))
            half.addStretch(1)
            halves.addLayout(half, 1)
        column.addWidget(page)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column.addWidget(buttons)


def _lines(lines: Iterable[tuple[str, str]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(14)
    grid.setVerticalSpacing(6)
    grid.setColumnMinimumWidth(0, 136)
    grid.setColumnStretch(1, 1)
    for index, (keys, does) in enumerate(lines):
        key = words(keys, "key", wrap=False)
        grid.addWidget(key, index, 0, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        grid.addWidget(words(does), index, 1, Qt.AlignmentFlag.AlignVCenter)
    return grid


def _two_columns(groups: Sheet) -> tuple[Sheet, Sheet]:
    """The groups in order, cut where both columns come out about equally long."""
    lengths = [len(lines) + 2 for _, lines in groups]
    total = sum(lengths)
    cut = min(range(1, len(groups) + 1), key=lambda i: abs(2 * sum(lengths[:i]) - total))
    return groups[:cut], groups[cut:]


class About(QDialog):
    """What the program is, what it is not, and its version."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("About thighview")
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 16)
        column.setSpacing(12)
        column.addWidget(words("thighview", "hero"))
        column.addWidget(words(f"Version {program_version()}", "muted"))
        for text, kind in ((WHAT_IT_IS, ""), (RESEARCH_USE, "warning"), (WHAT_IT_IS_NOT, ""), (WHERE_DATA_STAYS, "")):
            column.addWidget(words(text, kind))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column.addWidget(buttons)
        self.ensurePolished()
        for label in self.findChildren(QLabel):
            label.ensurePolished()
        self.setFixedSize(ABOUT_WIDTH_PX, column.totalHeightForWidth(ABOUT_WIDTH_PX))


def program_version() -> str:
    """The version installed; ``unknown`` when it runs from a bare checkout."""
    from importlib.metadata import PackageNotFoundError, version  # not before somebody asks: the start is counted

    try:
        return version("thighview")
    except PackageNotFoundError:
        return "unknown"
