"""What the middle of the window shows when nothing is open: where to begin."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from thighview.core.scan_key import ScanKey
from thighview.ui.actions import Actions
from thighview.ui.cards import button, row, words
from thighview.ui.icons import icon, picture
from thighview.ui.theme import COLOURS

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace

_RECENT, _PROJECTS = 5, 3


class EmptyPage(QWidget):
    """A calm place to drop a scan on, buttons for those who look for it, and what was open last."""

    def __init__(self, workspace: "Workspace", actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._listed: tuple[ScanKey, ...] | None = None
        self.frame = QFrame()
        self.frame.setProperty("drop", "true")
        self.frame.setMaximumSize(620, 460)
        self.frame.setMinimumWidth(330)
        inside = QVBoxLayout(self.frame)
        inside.setContentsMargins(24, 40, 24, 28)
        inside.setSpacing(10)
        sign = QLabel()
        sign.setPixmap(picture("open", 44, COLOURS["accent"], self.devicePixelRatioF()))
        self.headline = words("Drop a scan here", "hero", wrap=False)
        self.note = words("NIfTI, a folder of DICOM slices, or a project.", "muted", wrap=False)
        stays = words("Scans stay on this computer.", "muted", wrap=False)
        for part in (sign, self.headline, self.note, stays):
            part.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            inside.addWidget(part, 0, Qt.AlignmentFlag.AlignHCenter)
        inside.addSpacing(10)
        line = row(
            self._button(actions, "open", "Open scan", "open", "primary"),
            self._button(actions, "open_folder", "Open folder", "folder", ""),
            spacing=10,
        )
        line.insertStretch(0, 1)
        inside.addLayout(line)
        inside.addSpacing(2)
        made_up = self._button(actions, "demo", "or try it on a made-up thigh", "demo", "quiet")
        inside.addWidget(made_up, 0, Qt.AlignmentFlag.AlignHCenter)
        inside.addSpacing(10)
        self.recent_heading = words("OPENED LAST", "heading", wrap=False)
        inside.addWidget(self.recent_heading, 0, Qt.AlignmentFlag.AlignHCenter)
        self.recent = QVBoxLayout()
        self.recent.setSpacing(2)
        inside.addLayout(self.recent)
        column = QVBoxLayout(self)
        column.addStretch(1)
        column.addWidget(self.frame, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(14)
        hint = words("Open, segment, correct, accept with A, train. The key ? shows all others.", "muted")
        hint.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(hint)
        column.addStretch(1)
        self.setProperty("bar", "views")
        workspace.job_started.connect(lambda job, sentence: self._opening(job, sentence))
        self.refresh()

    def refresh(self) -> None:
        """List what was open last, projects above scans, unless it is listed already."""
        settings = self._workspace.settings
        projects = tuple(key for key in settings.recent if settings.project_of(key) is None)[:_PROJECTS]
        scans = tuple(key for key in settings.recent if settings.project_of(key) is not None)
        keys = (*projects, *scans[: _RECENT - len(projects)])
        if keys == self._listed:
            return
        self._listed = keys
        while (item := self.recent.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self.recent_heading.setVisible(bool(keys))
        for key in keys:
            name = f" {key.name}" if key in projects else _short(key)
            press = button(name, lambda key=key: self._workspace.open_recent(key), str(key), "quiet")
            if key in projects:
                press.setIcon(icon("folder"))
            press.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            self.recent.addWidget(press, 0, Qt.AlignmentFlag.AlignHCenter)

    def show_drag(self, over: bool) -> None:
        """Whether something is held over the window."""
        self.frame.setProperty("drop", "over" if over else "true")
        self.frame.style().unpolish(self.frame)
        self.frame.style().polish(self.frame)

    def _opening(self, job: object, sentence: str) -> None:
        self.headline.setText(f"{sentence}…" if len(sentence) < 44 else f"{sentence[:42]}…")
        job.ended.connect(lambda: self.headline.setText("Drop a scan here"))  # type: ignore[attr-defined]

    @staticmethod
    def _button(actions: Actions, key: str, text: str, sign: str, kind: str) -> QPushButton:
        press = button(f" {text}", actions[key].trigger, actions[key].toolTip(), kind)
        press.setIcon(icon(sign))
        press.setIconSize(QSize(16, 16))
        press.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return press


def _short(key: ScanKey) -> str:
    text = f"{key.path.parent.name} / {key.name}" if key.path.parent.name else key.name
    return text if len(text) <= 60 else f"{text[:26]}…{text[-32:]}"
