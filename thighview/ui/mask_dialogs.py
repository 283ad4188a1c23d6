"""Questions about a mask that does not simply fit: another grid, labels over each other, or no mask at all."""

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHeaderView,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QRadioButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from thighview.core.found_mask import FoundMask, MaskWish
from thighview.core.labels import Label
from thighview.core.overlaps import Overlap
from thighview.core.resampling import GridChange, VolumeChange
from thighview.ui.cards import agree_buttons, button, mark, plain_tip, row, words
from thighview.ui.labels_panel import ml_words

_ROW_PX, _MOST_ROWS = 26, 8
_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
HOW_IT_IS_DONE = (
    "Each voxel of the scan takes the label of the mask's voxel it lies in: nothing is blended, but borders move by up "
    "to half a voxel of the coarser of the two. It enters as one step, which undo takes back."
)
_NONE, _GREAT_CHANGE = 0.0005, 0.1
"""Shares of a label's volume below which nothing is said, and above which it is marked."""


class ResampleDialog(QDialog):
    """Says what carrying a mask over to the scan's grid would change, in numbers."""

    def __init__(self, parent: QWidget | None, mask: FoundMask, grid: GridChange) -> None:
        super().__init__(parent)
        self.setWindowTitle("Another grid")
        box = QVBoxLayout(self)
        box.setContentsMargins(18, 16, 18, 14)
        box.setSpacing(12)
        box.addWidget(words(f"{mask.name} lies on another grid than {mask.scan or 'the scan'}.", "title"))
        box.addWidget(words(f"{grid.difference[:1].upper()}{grid.difference[1:]}."))
        box.addLayout(_grids(grid))
        if grid.doubt:
            box.addWidget(words(grid.doubt, "warning"))
        self.outside = words(_outside_words(grid.outside), "warning" if grid.outside else "muted")
        box.addWidget(self.outside)
        self.table = _volumes(grid.changes)
        box.addWidget(self.table)
        box.addWidget(words(HOW_IT_IS_DONE, "muted"))
        self.buttons, self.agree = agree_buttons(self, "Resample onto this scan")
        self.cancel = self.buttons.button(QDialogButtonBox.StandardButton.Cancel)
        self.cancel.setDefault(True)  # it changes the mask: Enter alone does not agree to that
        box.addWidget(self.buttons)
        self.cancel.setFocus()
        _fit(self, 580)


class OverlapDialog(QDialog):
    """Says which labels lie over each other, and asks which of them wins, or which one to take."""

    def __init__(self, parent: QWidget | None, mask: FoundMask) -> None:
        super().__init__(parent)
        self.setWindowTitle("Labels overlap")
        self._mask = mask
        involved = {label.value for overlap in mask.overlaps for label in (overlap.first, overlap.second)}
        labels = [label for value in mask.order if (label := mask.table.get(value))]
        box = QVBoxLayout(self)
        box.setContentsMargins(18, 16, 18, 14)
        box.setSpacing(12)
        box.addWidget(words(f"Labels of {mask.name} lie over each other.", "title"))
        box.addWidget(words("In thighview a voxel has one label. These share voxels:"))
        self.table = _shared(mask.overlaps)
        box.addWidget(self.table)
        self.by_order = QRadioButton("The upper one in this list wins")
        self.list = QListWidget()
        self.list.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        for label in labels:
            if label.value in involved:
                self.list.addItem(_item(label))
        self.list.setCurrentRow(0)
        self.list.setIconSize(QSize(16, 16))
        self.list.setFixedHeight(_ROW_PX * min(self.list.count(), 6) + 2 * self.list.frameWidth())
        self.up = button("Up", lambda: self._move(-1), "Let this label win against the one above it")
        self.down = button("Down", lambda: self._move(1), "Let this label lose against the one below it")
        sides = QVBoxLayout()
        sides.setSpacing(6)
        for part in (self.up, self.down):
            sides.addWidget(part)
        sides.addStretch(1)
        ordering = QGridLayout()
        ordering.setContentsMargins(24, 0, 0, 0)
        ordering.addWidget(self.list, 0, 0)
        ordering.addLayout(sides, 0, 1)
        self.by_one = QRadioButton("Take only this label:")
        self.only = QComboBox()
        for label in labels:
            self.only.addItem(_swatch(label), label.title, label.value)
        self.by_order.setChecked(True)
        box.addWidget(self.by_order)
        box.addLayout(ordering)
        box.addLayout(row(self.by_one, self.only, stretch=1))
        self.buttons, self.agree = agree_buttons(self, "Open mask")
        self.agree.setDefault(True)
        box.addWidget(self.buttons)
        self.by_order.toggled.connect(self._look)
        self.only.activated.connect(lambda _: self.by_one.setChecked(True))
        self.list.currentRowChanged.connect(self._look)
        self._look()
        self.list.setFocus()
        _fit(self, 580)

    @property
    def order(self) -> tuple[int, ...]:
        """Values of the labels, the one that wins first; those that overlap with none at the end."""
        listed = [int(self.list.item(i).data(Qt.ItemDataRole.UserRole)) for i in range(self.list.count())]
        return (*listed, *(value for value in self._mask.order if value not in listed))

    def answer(self, resample: bool) -> MaskWish:
        """What the person wants."""
        if self.by_one.isChecked():
            return MaskWish(resample, only=int(self.only.currentData()))
        return MaskWish(resample, self.order)

    def _move(self, step: int) -> None:
        here = self.list.currentRow()
        if 0 <= here + step < self.list.count():
            self.list.insertItem(here + step, self.list.takeItem(here))
            self.list.setCurrentRow(here + step)

    def _look(self, *_: object) -> None:
        here, on = self.list.currentRow(), self.by_order.isChecked()
        self.list.setEnabled(on)
        self.up.setEnabled(on and here > 0)
        self.down.setEnabled(on and 0 <= here < self.list.count() - 1)


class KindDialog(QDialog):
    """Asks whether files that may be either are scans, or masks of the open scan."""

    def __init__(self, parent: QWidget | None, paths: Sequence[Path], scan: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("Scan or mask?")
        self.kind = ""
        box = QVBoxLayout(self)
        box.setContentsMargins(18, 16, 18, 14)
        box.setSpacing(12)
        names = ", ".join(path.name for path in paths[:4]) + (f" and {len(paths) - 4} more" if len(paths) > 4 else "")
        what = "a scan, or a mask" if len(paths) == 1 else "scans, or masks"
        box.addWidget(words(names, "title"))
        box.addWidget(words(f"Few whole numbers, and nothing that says what they mean: this may be {what} of {scan}."))
        self.buttons, self.agree = agree_buttons(self, "Open as mask")
        self.scan = self.buttons.addButton("Open as scan", QDialogButtonBox.ButtonRole.ActionRole)
        for press, kind in ((self.agree, "mask"), (self.scan, "scan")):
            press.clicked.connect(lambda *_, kind=kind: self._chosen(kind))
        mark(self.agree, "primary", False)  # neither is the better guess
        box.addWidget(self.buttons)
        self.buttons.button(QDialogButtonBox.StandardButton.Cancel).setFocus()
        _fit(self, 480)

    def _chosen(self, kind: str) -> None:
        self.kind = kind
        self.accept()


def ask_mask_wish(parent: QWidget | None, mask: FoundMask) -> MaskWish | None:
    """How to take a mask that does not simply fit; None when the person thinks better of it."""
    if mask.grid:
        first = ResampleDialog(parent, mask, mask.grid)
        agreed = first.exec() == QDialog.DialogCode.Accepted
        first.deleteLater()
        if not agreed:
            return None
    if not mask.overlaps:
        return MaskWish(mask.grid is not None)
    second = OverlapDialog(parent, mask)
    answer = second.answer(mask.grid is not None) if second.exec() == QDialog.DialogCode.Accepted else None
    second.deleteLater()
    return answer


def ask_kind(parent: QWidget | None, paths: Sequence[Path], scan: str) -> str:
    """Whether files are opened as ``scan`` or as ``mask`` of the open scan; nothing when given up."""
    dialog = KindDialog(parent, paths, scan)
    answer = dialog.kind if dialog.exec() == QDialog.DialogCode.Accepted else ""
    dialog.deleteLater()
    return answer


# ---------------------------------------------------------------------- parts


def _fit(dialog: QDialog, width: int) -> None:
    """Give a dialog this width and the height that its wrapped words need at it; it cannot be made smaller."""
    dialog.ensurePolished()
    for label in dialog.findChildren(QLabel):
        label.ensurePolished()
    layout = dialog.layout()
    assert layout is not None
    layout.activate()
    dialog.setFixedSize(width, layout.totalHeightForWidth(width))


def _grids(grid: GridChange) -> QGridLayout:
    """Voxels and spacing of the mask and of the scan, one above the other."""
    lines = QGridLayout()
    lines.setHorizontalSpacing(18)
    lines.setVerticalSpacing(4)
    lines.setColumnStretch(3, 1)
    for column, text in ((1, "voxels"), (2, "spacing, mm")):
        lines.addWidget(words(text, "muted", wrap=False), 0, column)
    for line, (name, shape, spacing) in enumerate(
        (("Mask", grid.shape, grid.spacing_mm), ("Scan", grid.scan_shape, grid.scan_spacing_mm)), 1
    ):
        lines.addWidget(words(name, "muted", wrap=False), line, 0)
        lines.addWidget(words(_times(shape), wrap=False), line, 1)
        lines.addWidget(words(_times(spacing), wrap=False), line, 2)
    return lines


def _volumes(changes: Sequence[VolumeChange]) -> QTableWidget:
    drawn = [change for change in changes if change.before_ml or change.after_ml]
    table = _table(("Label", "in the file", "on the scan", "change"), len(drawn))
    for line, change in enumerate(drawn):
        lost = change.before_ml > 0 and change.after_ml == 0
        share = "all lost" if lost else "none" if abs(change.share) < _NONE else f"{change.share:+.1%}"
        cells = (change.label.title, ml_words(change.before_ml), ml_words(change.after_ml), share.replace("-", "−"))
        _fill(table, line, cells, change.label)
        if abs(change.share) > _GREAT_CHANGE and (cell := table.item(line, 3)):
            cell.setForeground(QColor(*_WARNING))
    return table


def _shared(overlaps: Sequence[Overlap]) -> QTableWidget:
    table = _table(("Label", "and", "voxels", "ml"), len(overlaps))
    for line, overlap in enumerate(overlaps):
        cells = (overlap.first.title, overlap.second.title, f"{overlap.voxels:,}", ml_words(overlap.volume_ml)[:-3])
        _fill(table, line, cells, overlap.first, overlap.second)
    return table


_WARNING = (240, 180, 76)


def _table(heads: Sequence[str], rows: int) -> QTableWidget:
    """A table to be read, not used; so high that eight rows are seen."""
    table = QTableWidget(rows, len(heads))
    table.setHorizontalHeaderLabels(list(heads))
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setShowGrid(False)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(_ROW_PX)
    header = table.horizontalHeader()
    header.setSectionsClickable(False)
    for column in range(len(heads)):
        words_here = column == 0 or heads[column] == "and"
        mode = QHeaderView.ResizeMode.Stretch if words_here else QHeaderView.ResizeMode.ResizeToContents
        header.setSectionResizeMode(column, mode)
        if head := table.horizontalHeaderItem(column):
            head.setTextAlignment(_LEFT if words_here else _RIGHT)
    table.ensurePolished()
    header.ensurePolished()
    table.setFixedHeight(header.sizeHint().height() + _ROW_PX * min(max(rows, 1), _MOST_ROWS) + 2 * table.frameWidth())
    return table


def _fill(table: QTableWidget, line: int, cells: Sequence[str], *labels: Label) -> None:
    for column, text in enumerate(cells):
        item = QTableWidgetItem(text)
        item.setTextAlignment(_LEFT if column < len(labels) else _RIGHT)
        if column < len(labels):
            item.setIcon(_swatch(labels[column]))
            item.setToolTip(plain_tip(text))
        table.setItem(line, column, item)


def _item(label: Label) -> QListWidgetItem:
    item = QListWidgetItem(_swatch(label), label.title)
    item.setData(Qt.ItemDataRole.UserRole, label.value)
    item.setSizeHint(QSize(10, _ROW_PX))
    return item


def _swatch(label: Label) -> QIcon:
    """A small square of the label's colour."""
    picture = QPixmap(28, 28)
    picture.fill(Qt.GlobalColor.transparent)
    with QPainter(picture) as painter:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*label.colour))
        painter.drawRoundedRect(3, 3, 22, 22, 5, 5)
    return QIcon(picture)


def _outside_words(share: float) -> str:
    if not share:
        return "All of it lies inside the scan."
    text = f"{share:.1%}" if share >= 0.001 else "Less than 0.1%"
    return f"{text} of what is drawn lies outside the scan and would be lost."


def _times(numbers_zyx: Sequence[float]) -> str:
    return " × ".join(f"{number:.4g}" for number in reversed(numbers_zyx))
