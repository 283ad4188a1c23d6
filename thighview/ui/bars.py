"""The bar at the top, with what is open and what is done most, and the bar at the bottom, with how things stand."""

import time
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QElapsedTimer, QPoint, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)

from thighview.app.jobs import Job
from thighview.app.segmenting import obstacle
from thighview.core.history import HistoryState
from thighview.core.planes import Plane
from thighview.core.view import ViewState
from thighview.ui.actions import MENUS, Actions
from thighview.ui.cards import button, count, plain_tip, row, words
from thighview.ui.help import RESEARCH_USE
from thighview.ui.icons import icon
from thighview.ui.theme import colour

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

_SAID_MS = 8000
_ROOMY = 1420
_ENGINE = {
    "off": "engine off",
    "starting": "engine starting",
    "ready": "engine ready",
    "busy": "engine working",
    "dead": "engine stopped",
}


class TopBar(QWidget):
    """Menu, name, the case's line; undo, redo, views, masks, and the one blue button."""

    def __init__(self, workspace: "Workspace", actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace, self._session = workspace, workspace.session
        self._actions = actions
        self.setProperty("bar", "top")
        self.setFixedHeight(46)
        self.menu_button = QToolButton()
        self.menu_button.setIcon(icon("menu"))
        self.menu_button.setIconSize(QSize(18, 18))
        self.menu_button.setProperty("quiet", True)
        self.menu_button.setToolTip("Everything the program can do")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self)
        self.menus = {title: actions.menu(title, self.menu) for title in MENUS}
        for menu in self.menus.values():
            self.menu.addMenu(menu)
        self.recent = QMenu("Open recent", self.menu)
        self.recent.aboutToShow.connect(self._fill_recent)
        self.menus["File"].insertMenu(actions["open_mask"], self.recent)
        self.menu_button.setMenu(self.menu)
        self.name = words("thighview", "name", wrap=False)
        self.case_line = Elided()
        self.badge = button("", actions["scan_facts"].trigger, "", "quiet")
        self.badge.setIcon(icon("warning"))
        self.undo = QPushButton(" Undo")
        self.undo.setIcon(icon("undo"))
        self.undo.clicked.connect(lambda *_: self._session.undo())
        self.redo = QPushButton()
        self.redo.setIcon(icon("redo"))
        self.redo.clicked.connect(lambda *_: self._session.redo())
        self.layout_button = QPushButton()
        self.layout_button.setIcon(icon("views"))
        self.layout_button.setToolTip(actions["layout"].toolTip())
        self.layout_button.clicked.connect(lambda *_: actions["layout"].trigger())
        self.masks = MasksButton(workspace)
        self.segment = button(" Segment stack", self._segment, actions["segment"].toolTip(), "primary")
        self.segment.setIcon(icon("play"))
        self._since_start = QElapsedTimer()
        line = QHBoxLayout(self)
        line.setContentsMargins(8, 0, 10, 0)
        line.setSpacing(8)
        line.addWidget(self.menu_button)
        line.addWidget(self.name)
        line.addSpacing(6)
        line.addWidget(self.badge)
        line.addWidget(self.case_line, 1)
        for part in (self.undo, self.redo, self.layout_button, self.masks, self.segment):
            part.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            line.addWidget(part)
        session = self._session
        session.history_changed.connect(self._show_history)
        session.history_changed.connect(self._show_doubts)
        session.case_opened.connect(self._show_case)
        session.images_changed.connect(self._show_case)
        session.view_changed.connect(self._show_view)
        session.run_changed.connect(self._show_run)
        session.reviews_changed.connect(self._show_segment)
        workspace.models_changed.connect(self._show_segment)
        workspace.model_chosen.connect(self._show_segment)
        workspace.project_changed.connect(self._show_case)
        workspace.cases_changed.connect(self._show_case)
        workspace.names_changed.connect(self._show_case)
        workspace.segmenting.connect(self._follow)
        self._show_case(session.case)
        self._show_history(session.history)
        self._show_run(False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where room is short the views button is its icon alone."""
        super().resizeEvent(event)
        self._show_layout(self._session.view)

    def _show_layout(self, view: ViewState) -> None:
        alone = view.layout == "axial"
        self.layout_button.setText("" if self.width() < _ROOMY else " One view" if alone else " Three views")
        self.layout_button.setIcon(icon("view-one" if alone else "views"))

    def _fill_recent(self) -> None:
        self.recent.clear()
        for key in self._workspace.settings.recent:
            self.recent.addAction(key.name, lambda key=key: self._workspace.open_recent(key)).setToolTip(str(key))
        self.recent.setToolTipsVisible(True)
        if self.recent.isEmpty():
            self.recent.addAction("Nothing yet").setEnabled(False)

    def _show_case(self, _: object) -> None:
        case, folder = self._session.case, self._workspace.project_folder
        if case is None:
            self.case_line.show_text(folder.name if folder else "")
        else:
            volume = case.volume
            z, y, x = volume.shape
            dz, dy, dx = volume.spacing_mm
            name = next((v for v in ("axial", "coronal", "sagittal") if Plane.of(volume, v).through == 0), "")
            place = f"{folder.name} / " if folder else ""
            whose = "" if self._workspace.settings.names_hidden else f"{place}{case.subject} · "
            lengths = f"{_mm(dx)}×{_mm(dy)}×{_mm(dz)} mm" if case.is_sized else "voxel size not known"
            self.case_line.show_text(f"{whose}{name} · {x}×{y}×{z} · {lengths}")
        self._show_doubts()
        for part in (self.layout_button, self.masks):
            part.setEnabled(case is not None)
        self._show_run(self._session.busy_run is not None)

    def _show_doubts(self, _: object = None) -> None:
        """The badge stays as long as a scan with doubts is open, or a mask that is doubtful is there."""
        doubts = self._session.case.open_doubts if self._session.case else ()
        self.badge.setVisible(bool(doubts))
        self.badge.setText(f" {count(len(doubts), 'doubt')}")
        self.badge.setToolTip(plain_tip("\n\n".join((*doubts, "Click for all that is known of this scan  (I)"))))

    def _show_history(self, state: HistoryState) -> None:
        metrics, first = QFontMetrics(self.undo.font()), state.undo_name.partition(" · ")[0]
        name = metrics.elidedText(first, Qt.TextElideMode.ElideMiddle, 170)
        self.undo.setText(f" Undo {name}".rstrip())
        self.undo.setEnabled(bool(state.undo_name))
        self.redo.setEnabled(bool(state.redo_name))
        self.undo.setToolTip(f"Take back: {state.undo_name}  (Ctrl + Z)" if state.undo_name else "Nothing to take back")
        self.redo.setToolTip(f"Do again: {state.redo_name}  (Ctrl + Y)" if state.redo_name else "Nothing to do again")

    def _show_view(self, old: ViewState, new: ViewState) -> None:
        if old.layout != new.layout:
            self._show_layout(new)

    def _show_run(self, running: bool) -> None:
        self.segment.setText(" Cancel" if running else " Segment stack")
        self.segment.setIcon(icon("stop" if running else "play"))
        self._show_segment()

    def _show_segment(self, _: object = None) -> None:
        """Whether it can be pressed, and why not."""
        model = self._workspace.chosen_model
        refused = obstacle(self._session.case, model.card) if model else None
        running = self._session.busy_run is not None
        self.segment.setEnabled(running or (self._session.case is not None and refused is None))
        tip = self._actions["cancel_segment" if running else "segment"].toolTip()
        self.segment.setToolTip(str(refused) if refused and not running else tip)

    def _follow(self, job: Any) -> None:
        if job is not None:
            self._since_start.start()
            job.progressed.connect(self._progressed)

    def _progressed(self, done: int, total: int) -> None:
        if self._session.busy_run is not None:
            self.segment.setText(f" Cancel · {done} of {total}")

    def _segment(self) -> None:
        """Segment, or cancel that; the second press of a double click does nothing."""
        if self._session.busy_run is None:
            self._actions["segment"].trigger()
        elif self._since_start.elapsed() >= QApplication.doubleClickInterval():
            self._actions["cancel_segment"].trigger()


class MasksButton(QPushButton):
    """How strong the masks are drawn; pressing it opens a slider and the choice of outlines."""

    def __init__(self, workspace: "Workspace") -> None:
        super().__init__()
        self._session = workspace.session
        self.setIcon(icon("eye"))
        self.setToolTip("How strong masks are drawn  (, and .)\nHold Space to hide them, O for outlines")
        menu = QMenu(self)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(12, 8, 12, 10)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setFixedWidth(180)
        self.slider.valueChanged.connect(lambda value: self._session.update_view(opacity=value / 100))
        self.outline = QCheckBox("Outlines only  (O)")
        self.outline.toggled.connect(lambda on: self._session.update_view(outline=on))
        column.addLayout(row(words("Opacity", "muted", wrap=False)))
        column.addWidget(self.slider)
        column.addWidget(self.outline)
        holder = QWidgetAction(menu)
        holder.setDefaultWidget(inside)
        menu.addAction(holder)
        self.setMenu(menu)
        self._session.view_changed.connect(lambda old, new: self._show(new))
        self._show(self._session.view)

    def _show(self, view: ViewState) -> None:
        percent = round(100 * view.opacity)
        self.setText(f" Masks {percent} %" if view.masks_shown else " Masks hidden")
        for part, value in ((self.slider, percent), (self.outline, view.outline)):
            part.blockSignals(True)
            part.setValue(value) if isinstance(part, QSlider) else part.setChecked(bool(value))
            part.blockSignals(False)


class StatusBar(QWidget):
    """Whether all is saved, the engine, the reader, what was said last, and what this program is not for."""

    def __init__(self, workspace: "Workspace", actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.setProperty("bar", "status")
        self.setFixedHeight(28)
        self.dot = Dot()
        self.saved = QLabel("")
        self.engine_dot = Dot()
        self.engine = QLabel("")
        self.reader = QLabel("")
        self.message = Elided()
        self.stop = button("Cancel export", workspace.exporting.cancel, "Nothing of it stays.", "quiet")
        self.stop.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.stop.hide()
        self.research = QLabel(RESEARCH_USE)
        self.research.setToolTip(RESEARCH_USE)
        self.keys = button("? shortcuts", actions["shortcuts"].trigger, actions["shortcuts"].toolTip(), "quiet")
        self.keys.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        line = QHBoxLayout(self)
        line.setContentsMargins(12, 0, 6, 0)
        line.setSpacing(6)
        for part in (self.dot, self.saved, self.engine_dot, self.engine, self.reader):
            line.addWidget(part)
            if isinstance(part, QLabel):
                part.setContentsMargins(0, 0, 16, 0)
        line.addWidget(self.message, 1)
        line.addWidget(self.stop)
        line.addWidget(self.research)
        line.addSpacing(10)
        line.addWidget(self.keys)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(lambda: self.message.show_text(""))
        workspace.save_changed.connect(self._show_saved)
        workspace.engine.state_changed.connect(self._show_engine)
        workspace.said.connect(self.say)
        workspace.job_started.connect(self._follow)
        workspace.exporting.changed.connect(lambda under_way: self.stop.setVisible(under_way is not None))
        workspace.session.case_opened.connect(self._show_case)
        self._show_case(workspace.session.case)
        self._show_engine(workspace.engine.state)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where room is short what was said goes before the reader and the long form."""
        super().resizeEvent(event)
        roomy = self.width() >= _ROOMY
        self.research.setText(RESEARCH_USE if roomy else RESEARCH_USE.partition(".")[0])
        self.reader.setVisible(roomy)

    def say(self, sentence: str) -> None:
        """Show a sentence for some seconds."""
        self.message.show_text(sentence)
        self._timer.start(_SAID_MS)

    def _show_case(self, case: Any) -> None:
        self.reader.setText(f"reader {case.reader_id}" if case else "")
        for part in (self.dot, self.saved):
            part.setVisible(case is not None)
        if case is None:
            self.saved.setText("")
        elif not self.saved.text():
            self.dot.show_colour("good")
            self.saved.setText("every edit is saved")

    def _show_saved(self, state: Any) -> None:
        if state.phase == "error":
            waiting = f"{state.unsaved} edits" if getattr(state, "unsaved", 0) != 1 else "1 edit"
            self.dot.show_colour("error")
            self.saved.setText(f"not saved: {waiting} waiting")
        elif state.phase == "saved":
            self.dot.show_colour("good")
            self.saved.setText(
                f"every edit saved · {time.strftime('%H:%M:%S', time.localtime(state.at or time.time()))}"
            )
        self.saved.setToolTip(state.message or "Each stroke is written to the project's journal when you let go.")

    def _show_engine(self, state: Any) -> None:
        parts: list[str] = [_ENGINE.get(state.phase, "engine")]
        if state.device:
            parts.append(state.device)
        self.engine.setText(" · ".join(parts))
        self.engine.setToolTip(state.message or "The process that runs the network, apart from this window.")
        self.engine_dot.show_colour(
            {"ready": "good", "busy": "accent", "starting": "warning", "dead": "error"}.get(state.phase, "disabled")
        )

    def _follow(self, job: Job, sentence: str) -> None:
        self.message.show_text(f"{sentence}…")
        self._timer.stop()

        def progressed(done: int, total: int) -> None:
            if total > 0:
                self.message.show_text(f"{sentence}… {100 * done // total} %")

        def told(words: object) -> None:
            if isinstance(words, str):
                self.message.show_text(f"{sentence}… {words}")

        def ended() -> None:
            if self.message.text_whole.startswith(sentence):
                self.message.show_text("")

        job.progressed.connect(progressed)
        job.said.connect(told)
        job.ended.connect(ended)


class Elided(QLabel):
    """One line of words that is cut with an ellipsis where room is short, whole in its tip."""

    def __init__(self) -> None:
        super().__init__()
        self.text_whole = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("muted", True)
        self.setMinimumWidth(40)

    def show_text(self, text: str) -> None:
        """Show another line."""
        self.text_whole = text
        self._cut()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Cut anew."""
        super().resizeEvent(event)
        self._cut()

    def minimumSizeHint(self) -> QSize:
        """It can be short."""
        return QSize(40, super().minimumSizeHint().height())

    def _cut(self) -> None:
        cut = QFontMetrics(self.font()).elidedText(self.text_whole, Qt.TextElideMode.ElideRight, self.width())
        self.setText(cut)
        self.setToolTip(self.text_whole if cut != self.text_whole else "")


class Dot(QWidget):
    """A small round light."""

    def __init__(self) -> None:
        super().__init__()
        self._ink: QColor | None = None
        self.setFixedSize(QSize(9, 9))

    def show_colour(self, ink: str | QColor) -> None:
        """Show a colour, or one of the theme by name, or none."""
        self._ink = (colour(ink) if ink else None) if isinstance(ink, str) else ink
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        if self._ink:
            with QPainter(self) as painter:
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(self._ink)
                painter.drawEllipse(QRectF(QPoint(0, 0), QSize(9, 9)).adjusted(0.5, 0.5, -0.5, -0.5))


def _mm(value: float) -> str:
    digits = 3 if value < 1 else 2 if value < 10 else 1
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")
