"""Rows of words and figures under their headings, for the cards."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QVBoxLayout

from thighview.core.comparing import Paired, points
from thighview.ui.cards import mark, plain_tip, words


class FigureGrid(QGridLayout):
    """A table without lines; what does not change is not made anew."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple[str, ...]] = []
        self.setContentsMargins(0, 0, 0, 0)
        self.setHorizontalSpacing(9)
        self.setVerticalSpacing(3)

    def fill(self, rows: list[tuple[str, ...]], kinds: tuple[str, ...] = (), text: bool = False) -> None:
        """Show these rows, the first one as headings; with ``text`` the first column is.

        ``kinds`` are those of the last cells, row by row.
        """
        if self._rows == rows:
            return
        self._rows = rows
        while (item := self.takeAt(0)) is not None:
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
                    self.addWidget(label, line, column)
                else:
                    self.addWidget(label, line, column, side | Qt.AlignmentFlag.AlignTop)
                if column == 3 and line < len(kinds) and kinds[line]:
                    mark(label, kinds[line], True)
        self.setColumnStretch(1 if text else 0, 1)

    def fill_pairs(self, pairs: list[tuple[str, Paired]], heading: str, change: str, kinds: tuple[str, ...]) -> None:
        """Show what two models reached, a named pair a row."""
        rows = [(heading, "old", "new", change)]
        for name, one in pairs:
            # the interval lies evenly around the change: it is told by its half
            half = f" ± {50 * (one.interval[1] - one.interval[0]):.1f}" if one.interval else ""
            rows.append((name, f"{100 * one.old:.1f}", f"{100 * one.new:.1f}", points(one.difference) + half))
        self.fill(rows, ("", *kinds))

    def inside(self) -> QVBoxLayout:
        """A column with nothing but this."""
        column = QVBoxLayout()
        column.addLayout(self)
        return column
