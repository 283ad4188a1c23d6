"""The worklist: the project's cases with a picture, the subject, and how far the review is."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QColor, QFontMetrics, QImage, QKeySequence, QPainter, QPen, QPixmap, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLineEdit,
    QListView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from thighview.app.jobs import run_in_thread
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.planes import Plane, body_box
from thighview.core.review import SliceState
from thighview.core.scan_key import ScanKey
from thighview.core.view import auto_window
from thighview.core.volume import Volume
from thighview.ui import dialogs
from thighview.ui.cards import words
from thighview.ui.slice_painter import words_font
from thighview.ui.theme import colour

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace
    from thighview.io.project import CaseSummary

ROW, PICTURE = 68, 52
_CASE, _PICTURE = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.DecorationRole
_FILTER_FROM = 6
_MOST_BYTES = 300_000_000
_BADGES = {
    "good": ("#123d26", "#6fe0a0"),
    "teal": ("#0f3d3c", "#62d6cb"),
    "amber": ("#46340f", "#f2c063"),
    "grey": ("#2a323c", "#aeb9c5"),
}


def badge(summary: "CaseSummary", open_case: Case | None = None) -> tuple[str, str]:
    """A case's state in a few words, and their colour; the open case is asked itself."""
    counts, missing = summary.counts, summary.missing
    if open_case is not None and open_case.case_id == summary.case_id:
        there = open_case.missing
        counts = Counter(review.state for i, review in enumerate(open_case.reviews) if i not in there)
        missing = len(there)
    reviewed, total = sum(n for state, n in counts.items() if state.reviewed), summary.slices - missing
    if total and reviewed >= total:
        return "reviewed", "good"
    if reviewed:
        return f"in review {reviewed}/{total}", "teal"
    if counts.get(SliceState.EDITING, 0):
        return "in work", "amber"
    if counts.get(SliceState.MODEL, 0):
        return "needs eyes", "amber"
    return "new", "grey"


class Cases(QAbstractListModel):
    """The cases, and their pictures as far as they have been made."""

    def __init__(self) -> None:
        super().__init__()
        self.cases: tuple[CaseSummary, ...] = ()
        self._pictures: dict[ScanKey, QPixmap | None] = {}
        self._missing: dict[ScanKey, int] = {}
        self._asked: set[ScanKey] = set()

    def show_cases(self, cases: "tuple[CaseSummary, ...]") -> bool:
        """Take another list; the same cases in the same order do not rebuild it. Whether it was rebuilt."""
        same = [c.case_id for c in cases] == [c.case_id for c in self.cases]
        if same:
            self.cases = cases
            if cases:
                self.dataChanged.emit(self.index(0), self.index(len(cases) - 1))
        else:
            self.beginResetModel()
            self.cases = cases
            self.endResetModel()
        return not same

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        """One row per case."""
        return 0 if parent is not None and parent.isValid() else len(self.cases)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The case, its picture, its words for the filter."""
        case = self.cases[index.row()]
        case = replace(case, missing=self._missing.get(case.key, 0))
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{case.subject} {case.title} {badge(case)[0]}"
        if role == _CASE:
            return case
        if role == _PICTURE:
            self._ask(case.key, case.sha256)
            return self._pictures.get(case.key)
        if role == Qt.ItemDataRole.ToolTipRole:
            part = f" ({case.part})" if case.part else ""
            lines = [case.subject, case.title, f"{case.slices} slices, {badge(case)[0]}"]
            lines += [f"in the training set{part}"] if case.in_training_set else []
            return "\n".join(dict.fromkeys([*lines, str(case.key)]))
        return None

    def set_picture(self, key: ScanKey, grey: NDArray[np.uint8], missing: int = 0) -> None:
        """Keep a picture, uint8 (rows, columns), and how many slices are missing in the files."""
        self._asked.add(key)
        self._missing[key] = missing
        rows, columns = grey.shape
        image = QImage(grey.data, columns, rows, columns, QImage.Format.Format_Grayscale8).copy()
        self._pictures[key] = QPixmap.fromImage(image)
        for i, case in enumerate(self.cases):
            if case.key == key:
                self.dataChanged.emit(self.index(i), self.index(i))

    def _ask(self, key: ScanKey, sha256: str) -> None:
        if key in self._asked:
            return
        self._asked.add(key)
        job = run_in_thread(lambda report, stopped: None if stopped() else _read_picture(key, sha256), lane="pictures")
        job.succeeded.connect(lambda seen: self.set_picture(key, *seen) if seen else None)


class Worklist(QWidget):
    """Heading, filter and list; opening is a click or Enter."""

    def __init__(self, workspace: "Workspace", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.heading = words("WORKLIST", "heading", wrap=False)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Find a subject or scan")
        self.filter.setClearButtonEnabled(True)
        self.filter.hide()
        self.cases = Cases()
        self.shown = QSortFilterProxyModel(self)
        self.shown.setSourceModel(self.cases)
        self.shown.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.filter.textChanged.connect(self.shown.setFilterFixedString)
        self.filter.textChanged.connect(self._show_nothing_found)
        self.list = QListView()
        self.list.setModel(self.shown)
        self.list.setItemDelegate(_CaseRow(workspace, self.list))
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.list.setAccessibleName("Worklist")
        self.list.clicked.connect(self._open)
        self.list.activated.connect(self._open)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._show_menu)
        remove = QShortcut(QKeySequence.StandardKey.Delete, self.list)
        remove.setContext(Qt.ShortcutContext.WidgetShortcut)
        remove.activated.connect(lambda: self._remove(self.list.currentIndex().data(_CASE)))
        self.empty = words("", "muted")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 12, 0, 0)
        column.setSpacing(6)
        for part, margin in ((self.heading, 12), (self.filter, 8), (self.empty, 12)):
            part.setContentsMargins(
                margin if part is not self.filter else 0, 0, margin if part is not self.filter else 0, 0
            )
            column.addWidget(part)
        column.addWidget(self.list, 1)
        workspace.cases_changed.connect(self._show_cases)
        workspace.project_changed.connect(lambda _: self._show_cases(workspace.cases))
        workspace.session.case_opened.connect(self._case_opened)
        workspace.session.reviews_changed.connect(lambda _: self.list.viewport().update())
        self._show_cases(workspace.cases)

    def _show_cases(self, cases: "tuple[CaseSummary, ...]") -> None:
        rebuilt = self.cases.show_cases(tuple(cases))
        folder = self._workspace.project_folder
        name = folder.name.upper() if folder else "WORKLIST"
        metrics = QFontMetrics(self.heading.font())
        self.heading.setText(
            metrics.elidedText(f"{name} · {len(cases)}" if cases else name, Qt.TextElideMode.ElideRight, 170)
        )
        self.heading.setToolTip(str(folder) if folder else "")
        self.filter.setVisible(len(cases) >= _FILTER_FROM)
        self._show_nothing_found()
        if rebuilt:  # else the list stays where a person has scrolled it to
            self._mark()

    def _show_nothing_found(self, *_: object) -> None:
        if not self.cases.cases:
            self.empty.setText("Scans you open are listed here, with how far their review is.")
        elif self.shown.rowCount() == 0:
            self.empty.setText("No case matches.")
        empty = self.shown.rowCount() == 0
        self.empty.setVisible(empty)

    def _case_opened(self, case: Case | None) -> None:
        if case:
            self.cases.set_picture(case.series[0].key, _picture(case.volume), len(case.missing))
        self._mark()
        self.list.viewport().update()

    def _mark(self) -> None:
        case = self._workspace.session.case
        selection = self.list.selectionModel()
        selection.clear()
        row = next((i for i, c in enumerate(self.cases.cases) if case and c.case_id == case.case_id), None)
        if row is not None:
            at = self.shown.mapFromSource(self.cases.index(row))
            self.list.setCurrentIndex(at)
            self.list.scrollTo(at)

    def _open(self, index: QModelIndex) -> None:
        summary = index.data(_CASE)
        if summary is not None:
            self._workspace.open_case(summary.case_id)
            self.window().setFocus()  # the keys belong to the picture again, not to the words searched for

    def menu_of(self, summary: "CaseSummary") -> QMenu:
        """What can be done with a case."""
        menu = QMenu(self)
        folder = self._workspace.project_folder
        menu.addAction("Open", lambda: self._workspace.open_case(summary.case_id))
        menu.addAction("Whose scan is this…", lambda: self._ask_whose(summary))
        menu.addSeparator()
        remove = menu.addAction(f"Remove from {folder.name if folder else 'project'}…", lambda: self._remove(summary))
        remove.setShortcut(QKeySequence.StandardKey.Delete)
        remove.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        return menu

    def _show_menu(self, at: QPoint) -> None:
        summary = self.list.indexAt(at).data(_CASE)
        if summary is not None:
            menu = self.menu_of(summary)
            menu.exec(self.list.viewport().mapToGlobal(at))
            menu.deleteLater()

    def _ask_whose(self, summary: "CaseSummary") -> None:
        known = sorted({case.subject for case in self._workspace.cases})
        answer = dialogs.ask_subject(self.window(), summary.title, summary.subject, known)
        if answer:
            self._workspace.set_subject([summary.case_id], answer)

    def _remove(self, summary: "CaseSummary | None") -> None:
        folder = self._workspace.project_folder
        if summary is None or folder is None:
            return

        def ask(edits: int) -> None:
            if self._workspace.project_folder == folder and dialogs.ask_remove_case(
                self.window(), summary.subject, folder.name, summary.path, edits
            ):
                self._workspace.remove_case(summary.case_id)

        self._workspace.before_removing(summary.case_id, ask)


class _CaseRow(QStyledItemDelegate):
    """Paints one case."""

    def __init__(self, workspace: "Workspace", parent: QWidget) -> None:
        super().__init__(parent)
        self._session = workspace.session

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """All rows alike."""
        return QSize(120, ROW)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Picture, subject, scan, state."""
        summary = index.data(_CASE)
        whole: QRect = option.rect  # pyright: ignore[reportAttributeAccessIssue]
        state: QStyle.StateFlag = option.state  # pyright: ignore[reportAttributeAccessIssue]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        rect = whole.adjusted(6, 2, -6, -2)
        case = self._session.case
        if case and case.case_id == summary.case_id:
            painter.setPen(QPen(colour("primary"), 1))
            painter.setBrush(colour("selected"))
            painter.drawRoundedRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour("raised"))
            painter.drawRoundedRect(QRectF(rect), 8, 8)
        frame = QRect(rect.left() + 6, rect.top() + (rect.height() - PICTURE) // 2, PICTURE, PICTURE)
        self._paint_picture(painter, frame, index.data(_PICTURE))
        text = QRect(frame.right() + 10, rect.top() + 6, rect.right() - frame.right() - 16, 17)
        painter.setFont(words_font(bold=True, pixels=13))
        painter.setPen(colour("text"))
        _elided(painter, text, summary.subject)
        painter.setFont(words_font())
        painter.setPen(colour("muted"))
        second = (
            f"{summary.slices} slices"
            if summary.title in ("", summary.subject)
            else f"{summary.title} · {summary.slices}"
        )
        _elided(painter, text.translated(0, 17), second)
        self._paint_badge(painter, text.left(), text.top() + 37, *badge(summary, case), summary.in_training_set)
        painter.restore()

    @staticmethod
    def _paint_picture(painter: QPainter, frame: QRect, pixmap: QPixmap | None) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("black"))
        painter.drawRoundedRect(QRectF(frame), 4, 4)
        if pixmap:
            size = pixmap.size().scaled(frame.size(), Qt.AspectRatioMode.KeepAspectRatio)
            left, top = (frame.width() - size.width()) // 2, (frame.height() - size.height()) // 2
            painter.drawPixmap(QRect(frame.left() + left, frame.top() + top, size.width(), size.height()), pixmap)

    @staticmethod
    def _paint_badge(painter: QPainter, left: int, top: int, text: str, kind: str, in_set: bool) -> None:
        painter.setFont(words_font(pixels=11))
        metrics = QFontMetrics(painter.font())
        ground, ink = _BADGES[kind]
        box = QRectF(left, top, metrics.horizontalAdvance(text) + 14, 17)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(ground))
        painter.drawRoundedRect(box, 8.5, 8.5)
        painter.setPen(QColor(ink))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
        if in_set:
            painter.setPen(colour("accent"))
            place = QRectF(box.right() + 6, top, 60, 17)
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, "in set")


def _elided(painter: QPainter, rect: QRect, text: str) -> None:
    words_ = QFontMetrics(painter.font()).elidedText(text, Qt.TextElideMode.ElideMiddle, rect.width())
    painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, words_)


def _read_picture(key: ScanKey, sha256: str = "") -> tuple[NDArray[np.uint8], int] | None:
    """The picture of a scan on disk and the number of its missing slices; None for one too large for that, or gone."""
    from thighview.app.opening import read_scan

    if not key.path.exists() or (key.path.is_file() and _size_bytes(key.path) > _MOST_BYTES):
        return None
    volume = read_scan(*key, sha256).volume
    return _picture(volume), len(volume.missing)


def _size_bytes(path: Path) -> int:
    """Of all files that a scan lies in; of a DICOM file its own."""
    from thighview.io import formats

    try:
        files = formats.files_of(path)
    except UserError:
        files = (path,)
    return sum(file.stat().st_size for file in files)


def _picture(volume: Volume, pixels: int = 2 * PICTURE) -> NDArray[np.uint8]:
    """The body on the middle axial slice, true in proportion, uint8."""
    plane = Plane.of(volume, "axial")
    shown = plane.take(volume.voxels, plane.count // 2)
    body = body_box(shown)
    shown = shown[body.r0 : body.r1, body.c0 : body.c1]
    sizes_mm = [n * mm for n, mm in zip(shown.shape, plane.spacing_mm, strict=True)]
    step_mm = max(sizes_mm) / pixels
    rows, columns = (
        np.minimum((np.arange(max(1, int(size / step_mm))) + 0.5) * step_mm / mm, n - 1)
        for size, mm, n in zip(sizes_mm, plane.spacing_mm, shown.shape, strict=True)
    )
    few = np.asarray(shown[rows.astype(int)][:, columns.astype(int)], np.float32)
    low, high = auto_window(shown[None])
    return np.ascontiguousarray(np.nan_to_num(np.clip((few - low) / (high - low), 0, 1) * 255).astype(np.uint8))
