"""Measure: voxels, area and volume of every label, and left against right; counted away from the window's thread."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QGuiApplication, QHideEvent, QPixmap, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QHeaderView,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from thighview.app.jobs import Job, run_in_thread
from thighview.core.case import Case
from thighview.core.labels import Label
from thighview.core.mask import LabelMap, Region
from thighview.core.measure import counts_per_slice, face_area_mm2
from thighview.ui import dialogs
from thighview.ui.cards import button, plain_tip, row, show_words, words

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

COUNT_AFTER_MS = 150
Counts = NDArray[np.int64]
"""Voxels per slice and label value, shape (z, 256)."""


@dataclass(frozen=True)
class TableRows:
    """What the table shows: headings with tips, rows of a colour, a name and texts; ``columns`` name them in a file."""

    headings: tuple[str, ...]
    tips: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[int, int, int], tuple[str, ...]], ...]

    def to_text(self, separator: str) -> str:
        """The table as text, headings first."""
        out = io.StringIO()
        table = csv.writer(out, delimiter=separator, lineterminator="\n")
        table.writerow(self.columns)
        table.writerows([cell.replace("−", "-") for cell in cells] for _, cells in self.rows)
        return out.getvalue()


def label_rows(case: Case, counts: Counts, slice_index: int) -> TableRows:
    """One row per painted label: area on one slice (mm2), volume (ml), voxels."""
    area_mm2 = face_area_mm2(case.volume)
    totals = counts.sum(axis=0)
    unnamed = [Label(v, f"label_{v}") for v in range(1, 256) if totals[v] and case.table.get(v) is None]
    rows = tuple(
        (
            case.table.shown_colour(label),
            (
                label.title,
                f"{counts[slice_index, label.value] * area_mm2:.1f}",
                f"{totals[label.value] * case.volume.voxel_volume_ml:.2f}",
                f"{totals[label.value]}",
            ),
        )
        for label in (*case.table, *unnamed)
        if totals[label.value]
    )
    tips = ("", "Area on the slice shown", "Volume of the whole stack", "Voxels of the whole stack")
    columns = ("label", f"area_mm2_slice_{slice_index + 1}", "volume_ml", "voxels")
    return TableRows(("Label", "mm²", "ml", "voxels"), tips, columns, rows)


def pair_rows(case: Case, counts: Counts) -> TableRows:
    """One row per label with both sides: volumes (ml), and 100 (left - right) / mean of both (percent)."""
    totals = counts.sum(axis=0)
    ml = case.volume.voxel_volume_ml
    rows: list[tuple[tuple[int, int, int], tuple[str, ...]]] = []
    for left in case.table:
        right = case.table.find(left.name, "right")
        if left.side != "left" or right is None or not (totals[left.value] or totals[right.value]):
            continue
        a, b = float(totals[left.value] * ml), float(totals[right.value] * ml)
        difference = 200.0 * (a - b) / (a + b)
        name = left.name.replace("_", " ").capitalize()
        rows.append((left.colour, (name, f"{a:.2f}", f"{b:.2f}", f"{difference:+.1f}".replace("-", "−"))))
    tips = ("", "Patient left", "Patient right", "(left − right) / mean of both, in percent")
    columns = ("label", "left_ml", "right_ml", "difference_percent")
    return TableRows(("Label", "left", "right", "diff. %"), tips, columns, tuple(rows))


class MeasureTable(QAbstractTableModel):
    """The rows, for a table view."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = TableRows(("",), ("",), ("",), ())

    def show_rows(self, rows: TableRows) -> None:
        """Take new rows; only the texts change when the labels are the same."""
        old, self.shown = self.shown, rows
        if old.headings == rows.headings and len(old.rows) == len(rows.rows):
            if rows.rows:
                last = self.index(len(rows.rows) - 1, len(rows.headings) - 1)
                self.dataChanged.emit(self.index(0, 0), last)
        else:
            self.beginResetModel()
            self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        """One per label."""
        return 0 if parent is not None and parent.isValid() else len(self.shown.rows)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        """One per heading."""
        return 0 if parent is not None and parent.isValid() else len(self.shown.headings)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Headings, aligned like their columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.shown.headings[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return self.shown.tips[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _aligned(section)
        return None

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts, and the label's colour beside its name."""
        colour, cells = self.shown.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return cells[index.column()]
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 0:
            return _swatch(colour)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _aligned(index.column())
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == 0:
            return plain_tip(cells[0])
        return None


@cache
def _swatch(colour: tuple[int, int, int]) -> QPixmap:
    picture = QPixmap(10, 10)
    picture.fill(QColor(*colour))
    return picture


def _aligned(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter


class MeasurePanel(QWidget):
    """The table of measures of the open case; it counts again what has changed, while it is in sight."""

    def __init__(self, workspace: "Workspace", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._session = workspace.session
        self._counts: Counts = np.zeros((0, 256), np.int64)
        self._dirty: set[int] = set()
        self._job: Job | None = None
        self._paired = False
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        column.setSpacing(8)
        group = QButtonGroup(self)
        self.labels_button, self.pairs_button = QPushButton("Labels"), QPushButton("Left and right")
        for press, place, paired in ((self.labels_button, "first", False), (self.pairs_button, "last", True)):
            press.setCheckable(True)
            press.setProperty("segment", place)
            press.clicked.connect(lambda _=False, p=paired: self.show_pairs(p))
            group.addButton(press)
        self.labels_button.setChecked(True)
        self._choices = row(self.labels_button, self.pairs_button, spacing=0)
        column.addLayout(self._choices)
        self.note = words("", "muted")
        column.addWidget(self.note)
        self.empty = words("", "muted")
        column.addWidget(self.empty)
        self.model = MeasureTable()
        self.table = _table(self.model)
        column.addWidget(self.table, 1)
        self.copy_button = button("Copy", self._copy, "Copy the table, for a spreadsheet")
        self.csv_button = button("Save CSV…", self._save, "Save the table as a CSV file")
        column.addLayout(row(self.copy_button, self.csv_button))
        column.addStretch(0)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(COUNT_AFTER_MS)
        self._timer.timeout.connect(self._count)
        session = self._session
        session.case_opened.connect(self._case_opened)
        session.mask_changed.connect(self._mask_changed)
        session.labels_changed.connect(self._show)
        session.view_changed.connect(self._view_changed)
        self._case_opened(session.case)

    def show_pairs(self, paired: bool) -> None:
        """Show left against right, or every label."""
        self._paired = paired
        self.pairs_button.setChecked(paired)
        self.labels_button.setChecked(not paired)
        self._show()

    def showEvent(self, event: QShowEvent) -> None:
        """Count what changed while out of sight."""
        super().showEvent(event)
        if self._dirty and not self._timer.isActive():
            self._timer.start(0)
        self._show()

    def hideEvent(self, event: QHideEvent) -> None:
        """Out of sight nothing is counted."""
        super().hideEvent(event)
        self._timer.stop()

    # ------------------------------------------------------------------ counting

    def _case_opened(self, case: object) -> None:
        if self._job is not None:
            self._job.cancel()
            self._job = None
        n = case.labels.shape[0] if isinstance(case, Case) else 0
        self._counts = np.zeros((n, 256), np.int64)
        self._dirty = set(range(n))
        self._count_soon()
        self._show()

    def _mask_changed(self, region: Region) -> None:
        self._dirty.update(region.along(0))
        self._count_soon()

    def _count_soon(self) -> None:
        if self.isVisible() and self._dirty and self._job is None and not self._timer.isActive():
            self._timer.start(COUNT_AFTER_MS)

    def _count(self) -> None:
        case = self._session.case
        if case is None or self._job is not None or not self._dirty:
            return
        slices = sorted(self._dirty)
        self._dirty.clear()
        labels = case.labels
        job = self._job = run_in_thread(lambda _report, stopped: count_slices(labels, slices, stopped), lane="measure")
        job.succeeded.connect(lambda counts: self._counted(job, slices, counts))
        job.failed.connect(self._workspace.failed)
        job.ended.connect(lambda: self._count_ended(job))

    def _counted(self, job: Job, slices: list[int], counts: Counts) -> None:
        if job is self._job:
            self._counts[slices] = counts
            self._show()

    def _count_ended(self, job: Job) -> None:
        if job is self._job:
            self._job = None
            self._show()
            self._count_soon()

    # ------------------------------------------------------------------ showing

    def _view_changed(self, old: Any, new: Any) -> None:
        if old.cursor[0] != new.cursor[0] and not self._paired:
            self._show()

    def _show(self, _change: object = None) -> None:
        if not self.isVisible():
            return None
        case = self._session.case
        if case is None:
            return self._show_empty("Open a scan to measure its labels.")
        if self._paired:
            rows = pair_rows(case, self._counts)
            note = "Volumes in ml of labels that exist on both sides"
            nothing = "No label is painted on both sides."
        else:
            at = min(self._session.view.cursor[0], len(self._counts) - 1)
            rows = label_rows(case, self._counts, at)
            note = f"mm² on slice {at + 1} of {len(self._counts)} · ml of the whole stack"
            nothing = "Nothing is painted yet. Segment the stack or paint a label, and its area and volume appear here."
        self.model.show_rows(rows)
        busy = self._job is not None or bool(self._dirty)
        if not rows.rows:
            return self._show_empty("Counting…" if busy else nothing, choices=True)
        show_words(self.note, note)
        show_words(self.empty, "")
        for part in (self.table, self.copy_button, self.csv_button, self.labels_button, self.pairs_button):
            part.show()
        return None

    def _show_empty(self, sentence: str, choices: bool = False) -> None:
        show_words(self.empty, sentence)
        show_words(self.note, "")
        for part in (self.table, self.copy_button, self.csv_button):
            part.hide()
        for part in (self.labels_button, self.pairs_button):
            part.setVisible(choices)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.model.shown.to_text("\t"))
        self._session.said.emit("The table is copied.")

    def _save(self) -> None:
        case = self._session.case
        path = dialogs.ask_save_csv(self, f"{case.title if case else 'measures'}.csv")
        if path is None:
            return
        save_bytes(self._workspace, path, self.model.shown.to_text(",").encode())


def save_bytes(workspace: "Workspace", path: Any, content: bytes) -> Job:
    """Write a file away from the window's thread, and say so when it is there."""
    from thighview.io.atomic import write_bytes_atomic

    job = run_in_thread(lambda _report, _stopped: write_bytes_atomic(path, content))
    job.succeeded.connect(lambda _=None: workspace.session.said.emit(f"Saved {path.name}."))
    job.failed.connect(workspace.failed)
    return job


def count_slices(labels: LabelMap, slices: list[int], stopped: Callable[[], bool]) -> Counts:
    """Voxels per label value of some slices, shape (len(slices), 256); on any thread.

    A slice painted meanwhile is counted again by whoever hears of the stroke.
    """
    counts = np.zeros((len(slices), 256), np.int64)
    for line, index in enumerate(slices):
        if stopped():
            break
        counts[line] = counts_per_slice(labels[index : index + 1])[0]
    return counts


def _table(model: MeasureTable) -> QTableView:
    table = QTableView()
    table.setModel(model)
    table.setProperty("measures", True)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    table.setIconSize(QSize(10, 10))
    table.setFrameShape(QTableView.Shape.NoFrame)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(26)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    header.setMinimumSectionSize(40)
    return table
