"""The main window: lays everything out, and passes on what belongs to no part of it."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QIcon,
    QKeyEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from thighview.app.engine_worker import EngineState
from thighview.app.mask_opening import MaskReport
from thighview.app.segment_job import EngineGoneError, SegmentError
from thighview.app.session import Session
from thighview.app.store import SaveState
from thighview.core.errors import SeveralScansError, UserError
from thighview.core.found_mask import FoundMask, MaskWish
from thighview.core.scan_key import ScanKey
from thighview.core.view import ViewState
from thighview.ui import dialogs
from thighview.ui.actions import TABS, Actions, sheet
from thighview.ui.bars import StatusBar, TopBar
from thighview.ui.cards import count
from thighview.ui.empty_page import EmptyPage
from thighview.ui.focus import belongs_to_focus, tab_focus_only
from thighview.ui.history_panel import HistoryPanel
from thighview.ui.icons import icon, program_icon
from thighview.ui.images_panel import ImagesPanel
from thighview.ui.labels_panel import LabelsPanel
from thighview.ui.measure_panel import MeasurePanel
from thighview.ui.notices import Notices
from thighview.ui.position_bar import PositionBar
from thighview.ui.review_panel import ReviewPanel
from thighview.ui.segment_panel import SegmentPanel
from thighview.ui.series_dialog import ask_series
from thighview.ui.slice_strip import SliceStrip
from thighview.ui.tool_column import ToolColumn, ToolOptions
from thighview.ui.train_panel import TrainPanel
from thighview.ui.views import Views
from thighview.ui.worklist import Worklist

if TYPE_CHECKING:
    from thighview.app.exporting import Looked, Pictured
    from thighview.app.tasks import Workspace
    from thighview.io.export_wish import Exported

PATIENCE_S = 3.0
"""Who wants to close again after waiting so long for the last edits is asked."""


class MainWindow(QMainWindow):
    """Top bar, worklist and labels, tools, views with the slice strip, panels, status bar."""

    def __init__(self, workspace: "Workspace") -> None:
        super().__init__()
        self.workspace = workspace
        self.setWindowTitle("thighview")
        self.setWindowIcon(program_icon())
        self.setAcceptDrops(True)
        self.setMinimumSize(QSize(980, 640))
        self.views = Views(self.session)
        self.actions_table = Actions(self)
        self.top = TopBar(workspace, self.actions_table)
        self.worklist = Worklist(workspace)
        self.images = ImagesPanel(self.session, workspace.images, self.actions_table)
        self.labels = LabelsPanel(self.session)
        self.tools = ToolColumn(self.actions_table)
        self.options = ToolOptions(self.session)
        self.strip = SliceStrip(self.session)
        self.position = PositionBar(workspace)
        self.empty = EmptyPage(workspace, self.actions_table)
        self.panels = self._make_panels()
        self.tabs = self._make_tabs()
        self.status = StatusBar(workspace, self.actions_table)
        self._lay_out()
        self.notices = Notices(self, self.views, self.middle)
        self._leaving = self._waiting = False
        self._waiting_since = 0.0
        self._connect()
        self._restore_geometry()
        self._show_case()

    # ------------------------------------------------------------------ parts

    @property
    def session(self) -> Session:
        """The open case."""
        return self.workspace.session

    @property
    def as_widget(self) -> QWidget:
        """The parent of questions."""
        return self

    def panel(self, name: str) -> QWidget:
        """The panel of a tab."""
        return self.panels[name]

    def _make_tabs(self) -> QTabWidget:
        tabs = QTabWidget()
        tabs.setDocumentMode(True)
        tabs.tabBar().setExpanding(False)
        tabs.tabBar().setDrawBase(False)
        tabs.tabBar().setUsesScrollButtons(False)
        tabs.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return tabs

    def _make_panels(self) -> dict[str, QWidget]:
        """All of them at the start: to make one takes longer than the window may stand still later."""
        review = self.review = ReviewPanel(self.workspace)
        review.name_keys("A", "", "J")
        return {
            "Segment": SegmentPanel(self.workspace),
            "Review": review,
            "Measure": MeasurePanel(self.workspace),
            "Train": TrainPanel(self.workspace),
            "History": HistoryPanel(self.workspace),
        }

    def _lay_out(self) -> None:
        """From the outside in: Qt styles a whole branch again each time it gets another parent."""
        whole, centre, right, self.work = QWidget(self), QWidget(), QWidget(), QWidget()
        self.setCentralWidget(whole)
        down, across, beside, work = QVBoxLayout(whole), QHBoxLayout(centre), QVBoxLayout(right), QVBoxLayout(self.work)
        for layout in (down, across, beside, work):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(0)
        self.body, self.left = QSplitter(Qt.Orientation.Horizontal), QSplitter(Qt.Orientation.Vertical)
        self.middle = QStackedWidget()
        for part, stretch in ((self.top, 0), (self.body, 1), (self.status, 0)):
            down.addWidget(part, stretch)
        for part in (self.left, centre, right):
            self.body.addWidget(part)
        self.left.addWidget(self.worklist)
        self.left.addWidget(self.images)
        self.left.addWidget(self.labels)
        across.addWidget(self.tools)
        across.addWidget(self.middle, 1)
        self.middle.addWidget(self.empty)
        self.middle.addWidget(self.work)
        for part, stretch in ((self.options, 0), (self.position, 0), (self.views, 1), (self.strip, 0)):
            work.addWidget(part, stretch)
        beside.addWidget(self.tabs)
        for name in TABS:
            self.tabs.addTab(self.panels[name], name)
        self.left.setProperty("bar", "side")
        right.setProperty("bar", "right")
        self.left.setSizes([250, 70, 430])
        self.left.setStretchFactor(1, 0)
        self.body.setStretchFactor(1, 1)
        self.body.setSizes([244, 988, 372])
        self.left.setMinimumWidth(170)
        right.setMinimumWidth(300)
        centre.setMinimumWidth(420)
        for splitter in (self.body, self.left):
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(1)
        for part in (self.top, self.tools, self.options, self.strip, self.status, self.left, right):
            part.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        tab_focus_only(self)
        self.session.case_opened.connect(self._take_keys)

    def _connect(self) -> None:
        session, workspace, actions = self.session, self.workspace, self.actions_table
        session.case_opened.connect(self._show_case)
        session.case_opened.connect(actions.refresh)
        session.history_changed.connect(actions.refresh)
        session.run_changed.connect(actions.refresh)
        session.images_changed.connect(actions.refresh)
        session.view_changed.connect(self._view_changed)
        workspace.project_changed.connect(actions.refresh)
        workspace.models_changed.connect(actions.refresh)
        workspace.cases_changed.connect(self._show_title)
        session.refused.connect(self.notices.say)
        session.history_changed.connect(lambda _: self.notices.close_passing())
        workspace.failed.connect(self.notices.show_error)
        workspace.doubted.connect(self.notices.warn)
        workspace.choice_needed.connect(self._choose_series)
        workspace.mask_doubtful.connect(self._settle_mask)
        workspace.kind_needed.connect(self._ask_kind)
        workspace.mask_opened.connect(self._say_mask)
        workspace.exporting.done.connect(self._show_exported)
        workspace.exporting.looks_needed.connect(self._have_looked_at)
        workspace.names_changed.connect(self._show_title)
        workspace.save_changed.connect(self._save_changed)
        workspace.segmenting.connect(self._segmenting)
        workspace.engine.state_changed.connect(self._engine_changed)
        for changed in (workspace.runs.run_changed, workspace.runs.run_ended):
            changed.connect(self._show_training)

    def _choose_series(self, needed: SeveralScansError, answer: Callable[[Sequence[ScanKey]], None]) -> None:
        answer(ask_series(self, needed, self.workspace.settings))

    def _settle_mask(self, mask: FoundMask, answer: Callable[[MaskWish | None], None]) -> None:
        from thighview.ui.mask_dialogs import ask_mask_wish

        answer(ask_mask_wish(self, mask))

    def _ask_kind(self, paths: Sequence[Path], answer: Callable[[str], None]) -> None:
        from thighview.ui.mask_dialogs import ask_kind

        case = self.session.case
        answer(ask_kind(self, paths, case.title if case else "the open scan"))

    def _say_mask(self, report: MaskReport) -> None:
        """What was found in a mask fades by itself; what a person should know of it stays."""
        if report.notes:
            self.notices.warn(str(report), " ".join(report.notes))
        else:
            self.notices.say(str(report))

    def _show_exported(self, exported: "Exported") -> None:
        """Say what was written; where something was not, or is to be known, it stays until it is read."""
        told = [f"{title}: {why}" for title, why in exported.left_out] + list(exported.notes)
        if told:
            self.notices.warn(exported.sentence, "\n".join(told))
        else:
            self.notices.say(exported.sentence)

    def _have_looked_at(self, cases: "tuple[Pictured, ...]", answer: "Callable[[Looked | None], None]") -> None:
        from thighview.ui.look_dialog import ask_looks

        ask_looks(self, cases, answer)

    def _show_training(self, _: object = None) -> None:
        """A dot on the tab while a training goes on, wherever the person looks."""
        runs, place = self.workspace.runs, TABS.index("Train")
        going = runs.is_going_on
        self.tabs.setTabIcon(place, icon("dot") if going else QIcon())
        self.tabs.setTabToolTip(place, f"“{runs.name}” is training" if going else "")

    def _view_changed(self, old: ViewState, new: ViewState) -> None:
        fields = ("tool", "outline", "crosshair", "letters", "radiological")
        if any(getattr(old, field) != getattr(new, field) for field in fields):
            self.actions_table.refresh()

    def _segmenting(self, job: object) -> None:
        if job is not None:
            self.notices.settle(SegmentError)

    def _engine_changed(self, state: EngineState) -> None:
        if state.phase in ("ready", "busy"):
            self.notices.settle(EngineGoneError)

    def _show_case(self, _: object = None) -> None:
        case = self.session.case
        self.middle.setCurrentWidget(self.work if case else self.empty)
        self._show_title()
        if case is None:
            self.empty.refresh()

    def _show_title(self, _: object = None) -> None:
        case, hidden = self.session.case, self.workspace.settings.names_hidden
        self.setWindowTitle(f"{case.subject} · thighview" if case and not hidden else "thighview")

    # ------------------------------------------------------------------ wishes

    def segment(self) -> None:
        """Run the chosen model over the open scan."""
        model = self.workspace.chosen_model
        if model is None:
            self.show_tab("Segment")
            self.notices.show_error(UserError("There is no model yet.", "Train one in the Train tab first."))
        else:
            self.workspace.segment(model)

    def show_tab(self, name: str) -> None:
        """Show a panel on the right."""
        self.tabs.setCurrentIndex(TABS.index(name))

    def accept_shown(self) -> bool:
        """Accept the shown slice; an empty one only when wished twice."""
        return self.review.accept_shown()

    def go_to_next(self) -> None:
        """Show the next slice that nobody has reviewed, or say that there is no other."""
        self.review.go_to_next()

    def ask_to_accept_all(self) -> None:
        """Ask, in the Review panel, whether all that a model drew, or a file brought, is right."""
        self.show_tab("Review")
        self.review.ask_all()

    def show_shortcuts(self) -> None:
        """Show what the keys and the mouse do."""
        from thighview.ui.help import ShortcutSheet

        self._show_dialog(ShortcutSheet(sheet(), self))

    def show_scan_facts(self) -> None:
        """Show what is known of the open scan, or bring it to the front."""
        from thighview.ui.scan_facts import ScanFacts

        there = self.findChild(ScanFacts)
        if there:
            there.raise_()
            there.activateWindow()
        else:
            self._show_dialog(ScanFacts(self.workspace, self))

    def show_about(self) -> None:
        """Show what this program is."""
        from thighview.ui.help import About

        self._show_dialog(About(self))

    def add_label(self) -> None:
        """Ask for a new label."""
        self.labels.list.add()

    def open_demo(self) -> None:
        """Open a made-up thigh."""
        self.workspace.open_demo()

    def _show_dialog(self, dialog: QWidget) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.show()

    # ------------------------------------------------------------------ keys

    def showEvent(self, event: QShowEvent) -> None:
        """The keys belong to the picture from the start, not to the first button of the bar."""
        super().showEvent(event)
        self._take_keys()

    def _take_keys(self, _change: object = None) -> None:
        focus = QApplication.focusWidget()
        if focus is None or isinstance(focus, QAbstractButton):
            self.setFocus()

    def event(self, event: QEvent) -> bool:
        """Leave keys to what has the focus where it needs them; masks come back when the window is left.

        A stroke ends where a dialog opens.
        """
        kind = event.type()
        if kind == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and belongs_to_focus(event):
            event.accept()
            return True
        if kind == QEvent.Type.WindowBlocked:  # by a dialog
            self.views.let_go()
        if kind == QEvent.Type.WindowDeactivate and not self.session.view.masks_shown:
            self.session.update_view(masks_shown=True)
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space hides the masks while it is held; Backspace takes back a corner."""
        if event.key() == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self.session.update_view(masks_shown=False)
        elif event.key() != Qt.Key.Key_Backspace or not self.views.send_key("back"):
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """The masks come back."""
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self.session.update_view(masks_shown=True)
        else:
            super().keyReleaseEvent(event)

    # ------------------------------------------------------------------ files dropped

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files and folders may be dropped anywhere."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()
            self.empty.show_drag(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """They were taken elsewhere."""
        self.empty.show_drag(False)

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped; slices of one series are one scan."""
        self.empty.show_drag(False)
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        event.acceptProposedAction()
        if paths:
            self.workspace.open_dropped(paths)

    # ------------------------------------------------------------------ coming and going

    def closeEvent(self, event: QCloseEvent) -> None:
        """Wait for the last edits, ask about those that are not saved and a training under way, then leave."""
        self.views.let_go()
        if not self._leaving and (self._must_wait() or not self._may_leave()):
            event.ignore()
            return
        if not self._leaving:
            self._leaving = True
            self.views.cancel_gestures()
            self.workspace.settings.geometry = self.saveGeometry()
            self.workspace.close()
        event.accept()

    def _must_wait(self) -> bool:
        """Whether the last edits are still on their way to the disk; who closes again after a while is asked."""
        store = self.workspace.store
        writing = store is not None and store.unsaved > 0 and store.state.phase != "error"
        if writing and not self._waiting:
            self._waiting_since = time.monotonic()
            self.session.said.emit("Saving…")
        self._waiting = writing and time.monotonic() - self._waiting_since < PATIENCE_S
        return self._waiting

    def _save_changed(self, state: SaveState) -> None:
        if self._waiting and state.phase != "saving":
            self._waiting = False
            if QApplication.activeModalWidget() is None:  # else something else is wished by now
                self.close()

    def _may_leave(self) -> bool:
        store = self.workspace.store
        if store and store.unsaved:
            many = count(store.unsaved, "edit")
            why = store.state.message or "Saving takes longer than usual."
            hint = "Make room or plug the disk in again; or keep the mask with File → Save mask as…"
            if not dialogs.ask_leave(self, f"{many} would be lost. {why}", hint):
                return False
        runs = self.workspace.runs
        if not runs.is_going_on:
            return True
        answer = dialogs.ask_leave_training(self, runs.name)
        if answer == "stop":
            runs.stop()
        return answer != "cancel"

    def _restore_geometry(self) -> None:
        if not self.restoreGeometry(self.workspace.settings.geometry):
            room = self.screen().availableGeometry()
            self.resize(min(1600, round(room.width() * 0.92)), min(1000, round(room.height() * 0.92)))
