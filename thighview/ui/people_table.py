"""The table of a model's figures for each person: sortable, with a row of means that stays at the bottom."""

import csv
import io
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QRect, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from thighview.app.evaluating import FIGURES, PersonFigures, mean_figures
from thighview.ui.cards import count, plain_tip
from thighview.ui.theme import colour

Index = QModelIndex | QPersistentModelIndex
PERSON, PART, LABEL, FIRST_FIGURE = range(4)
_DICE, _HD95 = FIGURES.index("dice"), FIGURES.index("hd95_mm")
HEADINGS = ("Person", "Part", "Label", "Dice", "HD95\nmm", "MSD\nmm", "Vol.\nml")
TIPS = (
    "Whose scan it is; a click opens it",
    "Part of the split: train people were learnt from, the others were not",
    "What was drawn",
    "Overlap of the model's mask with yours, 0 to 1; in 3-D over the reviewed slices",
    "95 % of the mask's surface lies nearer than this to the other surface, mm",
    "Mean distance of the two surfaces, mm",
    "Volume of the model's mask minus that of yours, ml",
)
PART_WORDS = {"validation": "val.", "": "none"}
_FORMS = (".3f", ".1f", ".2f", "+.1f")
_ROW_PX, _TALL_ROW_PX = 24, 38
_MOST_ROWS_PX = 250
_NARROW_PX = 480
"""Below this width part and label stand under the person's name, not in columns of their own."""
_AROUND_NUMBER_PX = 9
_DIGITS = str.maketrans("123456789", "000000000")


def number_words(column: int, value: float | None) -> str:
    """A figure as the table shows it."""
    return "–" if value is None else format(value, _FORMS[column - FIRST_FIGURE]).replace("-", "−")


def label_words(key: str) -> str:
    """A label's key as one would write it."""
    return key.replace("_", " ")


class PeopleModel(QAbstractTableModel):
    """Rows of persons; those without a figure come last in either order."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[PersonFigures, ...] = ()
        self.order = (FIRST_FIGURE, Qt.SortOrder.AscendingOrder)

    def show_rows(self, rows: tuple[PersonFigures, ...]) -> None:
        """Take new rows, in the order chosen."""
        self.beginResetModel()
        self.rows = rows
        self._sort()
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        """One per person and label."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index | None = None) -> int:
        """One per heading."""
        return 0 if parent is not None and parent.isValid() else len(HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Headings, and what they mean."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            arrow = "↑" if self.order[1] == Qt.SortOrder.AscendingOrder else "↓"
            return HEADINGS[section] + arrow * (section == self.order[0])
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{TIPS[section]}. A click on the heading sorts by it."
        return _aligned(section) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts, and the whole of what was cut short."""
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            if column >= FIRST_FIGURE:
                return number_words(column, row.figures[column - FIRST_FIGURE])
            return (row.person, PART_WORDS.get(row.part, row.part), label_words(row.label))[column]
        if role == Qt.ItemDataRole.ToolTipRole and column < FIRST_FIGURE:
            more = f", the first of {count(len(row.case_ids), 'case')}" if len(row.case_ids) > 1 else ""
            opens = f"\nA click opens the case{more}." if row.case_ids else ""
            return plain_tip(f"{row.person} · {row.part or 'no part'} · {label_words(row.label)}{opens}")
        return _aligned(column) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Put the rows in another order."""
        self.order = (column, order)
        self.layoutAboutToBeChanged.emit()
        self._sort()
        self.layoutChanged.emit()
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(HEADINGS) - 1)

    def _sort(self) -> None:
        column, order = self.order
        downwards = order == Qt.SortOrder.DescendingOrder
        if column < FIRST_FIGURE:
            first = ("person", "part", "label")[column]
            fields = dict.fromkeys((first, "person", "label"))
            self.rows = tuple(
                sorted(self.rows, key=lambda row: [getattr(row, f).casefold() for f in fields], reverse=downwards)
            )
            return
        k = column - FIRST_FIGURE
        known = [row for row in self.rows if row.figures[k] is not None]
        ordered = sorted(known, key=lambda row: row.figures[k] or 0.0, reverse=downwards)
        self.rows = (*ordered, *(row for row in self.rows if row.figures[k] is None))


class MeanModel(QAbstractTableModel):
    """One row: the mean over the persons shown."""

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        self.figures: tuple[float | None, ...] = (None,) * len(FIGURES)
        self.missed = 0

    def show_mean(self, rows: tuple[PersonFigures, ...]) -> None:
        """Take the mean of these rows."""
        self.beginResetModel()
        self.words = f"mean ({len({row.person for row in rows})})"
        self.figures = mean_figures(rows)
        self.missed = sum(row.figures[_DICE] is not None and row.figures[_HD95] is None for row in rows)
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        """One."""
        return 0 if parent is not None and parent.isValid() else 1

    def columnCount(self, parent: Index | None = None) -> int:
        """As many as the table above has."""
        return 0 if parent is not None and parent.isValid() else len(HEADINGS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts, in bold."""
        column = index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            if column >= FIRST_FIGURE:
                return number_words(column, self.figures[column - FIRST_FIGURE])
            return self.words if column == PERSON else ""
        if role == Qt.ItemDataRole.FontRole:
            return mean_font()
        if role == Qt.ItemDataRole.ToolTipRole:
            said = "Mean over the persons shown, of each person's mean over the labels shown."
            missed = f"\nHD95 and MSD leave out {self.missed} labels that are in one of both masks alone: no distance."
            return said + missed * (self.missed > 0)
        return _aligned(column) if role == Qt.ItemDataRole.TextAlignmentRole else None


def mean_font() -> QFont:
    """The font of the row of means."""
    bold = QFont()
    bold.setPixelSize(12)
    bold.setWeight(QFont.Weight.DemiBold)
    return bold


class _PersonCell(QStyledItemDelegate):
    """A person's name, and small beneath it what the row is about."""

    def __init__(self, rows: Callable[[], tuple[PersonFigures, ...]]) -> None:
        super().__init__()
        self._rows = rows
        self.second_line: Callable[[PersonFigures], str] = lambda _row: ""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw both lines, each cut short in its middle where room is."""
        row = self._rows()[index.row()]
        second = self.second_line(row)
        if not second:
            super().paint(painter, option, index)
            return
        box: QRect = option.rect  # pyright: ignore[reportAttributeAccessIssue]
        painter.save()
        if option.state & QStyle.StateFlag.State_Selected:  # pyright: ignore[reportAttributeAccessIssue]
            painter.fillRect(box, colour("selected"))
        box = box.adjusted(4, 3, -4, -3)
        small = QFont(painter.font())
        small.setPixelSize(11)
        for line, text, font, ink in ((0, row.person, painter.font(), "text"), (1, second, small, "muted")):
            painter.setFont(font)
            painter.setPen(colour(ink))
            half = QRect(box.left(), box.top() + line * box.height() // 2, box.width(), box.height() // 2)
            cut = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, half.width())
            painter.drawText(half, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, cut)
        painter.restore()


class _Rows(QTableView):
    """A table that says on which row Enter was pressed: ``activated`` would come a second time with a double click."""

    entered_on = Signal(int)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter means the current row; other keys move about."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered_on.emit(self.currentIndex().row())
        else:
            super().keyPressEvent(event)


class PeopleTable(QWidget):
    """Table and row of means, one under the other, with the same columns."""

    chosen = Signal(object)
    """The PersonFigures of a row that was clicked, or on which Enter was pressed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._with_part = self._with_label = True
        self._shapes: list[set[str]] = [set() for _ in FIGURES]
        self.model, self.mean = PeopleModel(), MeanModel()
        self.view, self.footer = _view(self.model), _view(self.mean)
        self._cell = _PersonCell(lambda: self.model.rows)
        self.view.setItemDelegateForColumn(PERSON, self._cell)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setTabKeyNavigation(False)
        self.view.setCursor(Qt.CursorShape.PointingHandCursor)
        header = self.view.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsClickable(True)
        header.sectionClicked.connect(self._sort_by)
        for one in (header, self.footer.horizontalHeader()):
            one.setMinimumSectionSize(28)
            one.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.footer.horizontalHeader().hide()
        self.footer.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.footer.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.footer.setFixedHeight(_ROW_PX + 2)
        for view in (self.view, self.footer):
            view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.view)
        column.addWidget(self.footer)
        self.view.clicked.connect(lambda index: self._choose(index.row()))
        self.view.entered_on.connect(self._choose)

    def show_rows(self, rows: tuple[PersonFigures, ...], with_part: bool, with_label: bool) -> None:
        """Show rows; what is the same in all of them, part or label, may be left out."""
        self._with_part, self._with_label = with_part, with_label
        self.model.show_rows(rows)
        self.mean.show_mean(rows)
        self._shapes = [
            {number_words(column, row.figures[k]).translate(_DIGITS) for row in rows}
            for k, column in enumerate(range(FIRST_FIGURE, len(HEADINGS)))
        ]
        self.view.scrollToTop()
        self._lay_out()

    def to_text(self, separator: str) -> str:
        """The rows as shown, and their mean, with every digit."""
        out = io.StringIO()
        table = csv.writer(out, delimiter=separator, lineterminator="\n")
        table.writerow(["person", "part", "label", *FIGURES])
        for row in self.model.rows:
            table.writerow([row.person, row.part, row.label, *("" if v is None else repr(v) for v in row.figures)])
        table.writerow([self.mean.words, "", "", *("" if v is None else repr(v) for v in self.mean.figures)])
        return out.getvalue()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give part and label columns of their own, or take them away."""
        super().resizeEvent(event)
        self._lay_out()

    def _lay_out(self) -> None:
        narrow = self.width() < _NARROW_PX
        beneath = narrow and (self._with_part or self._with_label)
        self._cell.second_line = self._beneath if beneath else lambda _row: ""
        row_px = _TALL_ROW_PX if beneath else _ROW_PX
        self.view.verticalHeader().setDefaultSectionSize(row_px)
        lines = max(1, min(len(self.model.rows), _MOST_ROWS_PX // row_px))
        height = self.view.horizontalHeader().sizeHint().height() + row_px * lines + 2
        if self.view.height() != height:
            self.view.setFixedHeight(height)
        scrolls = len(self.model.rows) > lines
        room = self.width() - (self.view.verticalScrollBar().sizeHint().width() if scrolls else 0)
        widths = self._figure_widths()
        words = {PERSON: True, PART: self._with_part and not narrow, LABEL: self._with_label and not narrow}
        if words[PART]:
            widths[PART] = self.view.fontMetrics().horizontalAdvance("train") + 20
        shared = [column for column in (PERSON, LABEL) if words[column]]
        widths |= dict.fromkeys(shared, max(28, (room - sum(widths.values())) // len(shared)))
        for column in range(len(HEADINGS)):
            for view in (self.view, self.footer):
                view.setColumnHidden(column, column not in widths)
                view.setColumnWidth(column, widths.get(column, 28))

    def _figure_widths(self) -> dict[int, int]:
        """Pixels of each column of figures: as wide as its longest number, or its heading."""
        bold = QFont(self.view.horizontalHeader().font())
        bold.setWeight(QFont.Weight.DemiBold)
        headings, numbers, means = QFontMetrics(bold), self.view.fontMetrics(), QFontMetrics(mean_font())
        found: dict[int, int] = {}
        for column, shapes in enumerate(self._shapes, FIRST_FIGURE):
            lines = str(self.model.headerData(column, Qt.Orientation.Horizontal)).split("\n")
            mean = number_words(column, self.mean.figures[column - FIRST_FIGURE])
            needed = [*map(headings.horizontalAdvance, lines), *map(numbers.horizontalAdvance, shapes)]
            found[column] = _AROUND_NUMBER_PX + max(*needed, means.horizontalAdvance(mean))
        return found

    def _beneath(self, row: PersonFigures) -> str:
        part = PART_WORDS.get(row.part, row.part) if self._with_part else ""
        return " · ".join(word for word in (part, label_words(row.label) if self._with_label else "") if word)

    def _sort_by(self, column: int) -> None:
        """Sort by a column; once more turns the order round."""
        was, order = self.model.order
        turned = was == column and order == Qt.SortOrder.AscendingOrder
        self.model.sort(column, Qt.SortOrder.DescendingOrder if turned else Qt.SortOrder.AscendingOrder)
        self._lay_out()

    def _choose(self, row: int) -> None:
        if 0 <= row < len(self.model.rows):
            self.chosen.emit(self.model.rows[row])


def _aligned(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column < FIRST_FIGURE else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter


def _view(model: QAbstractTableModel) -> _Rows:
    view = _Rows()
    view.setModel(model)
    view.setProperty("measures", True)
    view.setShowGrid(False)
    view.setWordWrap(False)
    view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    view.setFrameShape(QFrame.Shape.NoFrame)
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    view.setProperty("dense", True)
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(_ROW_PX)
    return view
