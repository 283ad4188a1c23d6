"""Measure: voxels, area and volume of every label, and left against right; counted away from the window's thread."""

from collections.abc import Callable
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
from thighview.core.fat_fraction import fat_sums
from thighview.core.mask import LabelMap, Region
from thighview.core.measure import counts_per_slice
from thighview.ui import dialogs
from thighview.ui.cards import button, mark, plain_tip, row, show_words, words
from thighview.ui.measure_rows import Counts, TableRows, fat_rows, label_rows, pair_rows

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

COUNT_AFTER_MS = 150


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
        self._fat: NDArray[np.float64] = np.zeros((0, 256, 5))
        self._pair: tuple[NDArray[np.generic], NDArray[np.generic]] | None = None
        self._kind = "labels"
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        column.setSpacing(8)
        group = QButtonGroup(self)
        self.labels_button, self.pairs_button = QPushButton("Labels"), QPushButton("Left and right")
        self.fat_button = QPushButton("Fat fraction")
        self._kinds = {"labels": self.labels_button, "pairs": self.pairs_button, "fat": self.fat_button}
        for kind, press in self._kinds.items():
            press.setCheckable(True)
            press.clicked.connect(lambda _=False, k=kind: self.show_kind(k))
            group.addButton(press)
        self._place_ends()
        self.labels_button.setChecked(True)
        self._choices = row(*self._kinds.values(), spacing=0)
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
        session.images_changed.connect(self._images_changed)
        self._case_opened(session.case)

    def show_kind(self, kind: str) -> None:
        """Show every label (``labels``), left against right (``pairs``), or fat fractions (``fat``)."""
        self._kind = kind
        self._kinds[kind].setChecked(True)
        self._show()

    def _place_ends(self) -> None:
        """The buttons are one piece: the first and the last of those that are there have round ends."""
        shown = [press for kind, press in self._kinds.items() if kind != "fat" or self._pair]
        for press in shown:
            place = "first" if press is shown[0] else "last" if press is shown[-1] else "middle"
            mark(press, "segment", place)

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
        self._fat = np.zeros((n, 256, 5))
        self._dirty = set(range(n))
        self._take_pair()
        self._count_soon()
        self._show()

    def _take_pair(self) -> None:
        """Water and fat of the case, where there is one of each."""
        case = self._session.case
        self._pair = case.dixon if case else None
        if self._kind == "fat" and self._pair is None:
            self.show_kind("labels")
        self._place_ends()

    def _images_changed(self, case: Case) -> None:
        before = self._pair
        self._take_pair()
        same = before and self._pair and all(a is b for a, b in zip(before, self._pair, strict=True))
        if self._pair and not same:
            self._dirty.update(range(len(self._counts)))
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
        labels, pair = case.labels, self._pair

        def work(_report: object, stopped: Callable[[], bool]) -> tuple[Counts, NDArray[np.float64] | None]:
            fat = fat_sums(labels[slices], *(image[slices] for image in pair)) if pair else None
            return count_slices(labels, slices, stopped), fat

        job = self._job = run_in_thread(work, lane="measure")
        job.succeeded.connect(lambda found: self._counted(job, slices, *found))
        job.failed.connect(self._workspace.failed)
        job.ended.connect(lambda: self._count_ended(job))

    def _counted(self, job: Job, slices: list[int], counts: Counts, fat: NDArray[np.float64] | None) -> None:
        if job is self._job:
            self._counts[slices] = counts
            if fat is not None:
                self._fat[slices] = fat
            self._show()

    def _count_ended(self, job: Job) -> None:
        if job is self._job:
            self._job = None
            self._show()
            self._count_soon()

    # ------------------------------------------------------------------ showing

    def _view_changed(self, old: Any, new: Any) -> None:
        if old.cursor[0] != new.cursor[0] and self._kind == "labels":
            self._show()

    def _show(self, _change: object = None) -> None:
        if not self.isVisible():
            return None
        case = self._session.case
        if case is None:
            return self._show_empty("Open a scan to measure its labels.")
        if self._kind == "fat":
            rows = fat_rows(case, self._fat)
            note = "Signal fat fraction 100 F / (W + F), percent, by both ways of averaging"
            nothing = "Nothing is painted yet. Paint a label, and its fat fraction appears here."
        elif self._kind == "pairs":
            rows = pair_rows(case, self._counts)
            note = f"{'Volumes in ml' if case.is_sized else 'Voxels'} of labels that exist on both sides"
            nothing = "No label is painted on both sides."
        else:
            at = min(self._session.view.cursor[0], len(self._counts) - 1)
            rows = label_rows(case, self._counts, at)
            units = ("mm²", "ml") if case.is_sized else ("Voxels", "and")
            note = f"{units[0]} on slice {at + 1} of {len(self._counts)} · {units[1]} of the whole stack"
            nothing = "Nothing is painted yet. Segment the stack or paint a label, and its area and volume appear here."
        if not case.is_sized:
            note = "How large a voxel is is not known: voxels are counted. " + note
        mark(self.note, "warning", not case.is_sized)
        self.model.show_rows(rows)
        busy = self._job is not None or bool(self._dirty)
        if not rows.rows:
            return self._show_empty("Counting…" if busy else nothing, choices=True)
        show_words(self.note, note)
        show_words(self.empty, "")
        for part in (self.table, self.copy_button, self.csv_button, self.labels_button, self.pairs_button):
            part.show()
        self.fat_button.setVisible(self._pair is not None)
        return None

    def _show_empty(self, sentence: str, choices: bool = False) -> None:
        show_words(self.empty, sentence)
        show_words(self.note, "")
        for part in (self.table, self.copy_button, self.csv_button):
            part.hide()
        for part in (self.labels_button, self.pairs_button):
            part.setVisible(choices)
        self.fat_button.setVisible(choices and self._pair is not None)

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
    """Write a file away from the window's thread, also where the program is closed meanwhile; say when it is there."""
    from thighview.io.atomic import write_bytes_atomic

    job = run_in_thread(lambda _report, _stopped: write_bytes_atomic(path, content), must_finish=True)
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
