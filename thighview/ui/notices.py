"""What went wrong or was done, said beside the work and never in front of it."""

import logging
import traceback

from PySide6.QtCore import QEvent, QObject, QPoint, QPropertyAnimation, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QGraphicsOpacityEffect, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from thighview.core.errors import UserError
from thighview.ui.cards import button, words

log = logging.getLogger(__name__)

INFO_SECONDS = 5.0
MOST_SHOWN = 4
WIDTH_PX = 520
GAP_PX = 8
EDGE_PX = 16


def describe(error: BaseException) -> tuple[str, str, str]:
    """What to tell of an error: message, hint, and details to copy (empty for a UserError).

    A UserError speaks for itself. Anything else is a bug of the program and brings its traceback.
    """
    if isinstance(error, UserError):
        return error.message, error.hint, ""
    details = "".join(traceback.format_exception(error))
    message = "Something went wrong in the program. Your masks are safe."
    return message, f"{type(error).__name__}: {error}".strip(": "), details


class Notice(QFrame):
    """One message: ``kind`` is ``info``, ``warning``, ``error`` or ``bug``."""

    closed = Signal(object)
    """The notice itself, when it is dismissed or has faded."""

    def __init__(
        self,
        kind: str,
        message: str,
        hint: str = "",
        details: str = "",
        parent: QWidget | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(parent)
        self.kind, self.message, self.hint, self.details, self.cause = kind, message, hint, details, cause
        self._times = 1
        self.setProperty("notice", kind)
        line = self._line = QHBoxLayout(self)
        line.setContentsMargins(14, 10, 8, 10)
        line.setSpacing(8)
        column = QVBoxLayout()
        column.setSpacing(4)
        line.addLayout(column, 1)
        self.text = words(message)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column.addWidget(self.text)
        if hint:
            self.hint_text = words(hint, "muted")
            self.hint_text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            column.addWidget(self.hint_text)
        if details:
            self.copy = button("Copy details", self._copy, "Copies the full report, for the people who can mend it.")
            buttons = QHBoxLayout()
            buttons.addWidget(self.copy)
            buttons.addStretch(1)
            column.addLayout(buttons)
        self.dismiss = button("✕", self.close_notice, "Dismiss (Esc)", "quiet")
        self.dismiss.setFixedSize(26, 26)
        line.addWidget(self.dismiss, 0, Qt.AlignmentFlag.AlignTop)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._fade)
        if kind == "info":
            self._timer.start(int(INFO_SECONDS * 1000))

    @property
    def stays(self) -> bool:
        """Whether it waits to be dismissed."""
        return self.kind != "info"

    def fit(self, width: int) -> None:
        """Take this width, and the height that all words need then."""
        self.ensurePolished()
        for label in self.findChildren(QLabel):
            label.ensurePolished()
        self._line.invalidate()
        self.setFixedSize(width, self._line.totalHeightForWidth(width))

    def again(self) -> None:
        """The same thing happened once more."""
        self._times += 1
        self.text.setText(f"{self.message}  (×{self._times})")
        if not self.stays:
            self._timer.start(int(INFO_SECONDS * 1000))

    def close_notice(self) -> None:
        """Take it away."""
        self._timer.stop()
        self.closed.emit(self)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(f"{self.message}\n{self.hint}\n\n{self.details}")
        self.copy.setText("Copied")

    def _fade(self) -> None:
        effect = QGraphicsOpacityEffect(self)
        self.setGraphicsEffect(effect)
        fade = QPropertyAnimation(effect, b"opacity", self)
        fade.setDuration(300)
        fade.setStartValue(1.0)
        fade.setEndValue(0.0)
        fade.finished.connect(self.close_notice)
        fade.start(QPropertyAnimation.DeletionPolicy.DeleteWhenStopped)


class Notices(QWidget):
    """Notices stacked at the upper edge of the picture, where no control lies.

    Parameters
    ----------
    window : QWidget
        Their parent.
    pictures : QWidget
        Over the first of these that is visible they float; over the window where none is given.
    """

    def __init__(self, window: QWidget, *pictures: QWidget) -> None:
        super().__init__(window)
        self._pictures = pictures or (window,)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(GAP_PX)
        self.shown: list[Notice] = []
        for picture in self._pictures:
            picture.installEventFilter(self)
        self.hide()

    def say(self, sentence: str) -> None:
        """A sentence that fades by itself."""
        if sentence:
            self._add("info", sentence)

    def warn(self, sentence: str, hint: str = "") -> None:
        """A doubt that stays until dismissed."""
        self._add("warning", sentence, hint)

    def show_error(self, error: object) -> None:
        """An error: plain words for a UserError, an apology with details to copy for a bug."""
        if not isinstance(error, BaseException):
            error = UserError(str(error))
        message, hint, details = describe(error)
        if details:
            log.error("shown as a bug", exc_info=error)
        self._add("bug" if details else "error", message, hint, details, error)

    def settle(self, kind: type[BaseException]) -> None:
        """What errors of this kind told of is over: take their notices away."""
        for notice in tuple(self.shown):
            if isinstance(notice.cause, kind):
                notice.close_notice()

    def close_passing(self) -> None:
        """Take away what would fade by itself: something has been done since."""
        for notice in tuple(self.shown):
            if not notice.stays:
                notice.close_notice()

    def close_newest(self) -> bool:
        """Take the newest one away; False when there is none."""
        if self.shown:
            self.shown[-1].close_notice()
            return True
        return False

    def clear(self) -> None:
        """Take all notices away."""
        for notice in tuple(self.shown):
            notice.close_notice()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay over the picture wherever it goes."""
        if self.shown and event.type() in (QEvent.Type.Resize, QEvent.Type.Move, QEvent.Type.Show, QEvent.Type.Hide):
            QTimer.singleShot(0, self, self._place)  # when the layout has been done
        return False

    def _add(
        self, kind: str, message: str, hint: str = "", details: str = "", cause: BaseException | None = None
    ) -> None:
        for notice in self.shown:
            if (notice.kind, notice.message, notice.hint) == (kind, message, hint):
                notice.again()
                return
        if len(self.shown) >= MOST_SHOWN:
            oldest = next((n for n in self.shown if not n.stays), self.shown[0])
            oldest.close_notice()
        notice = Notice(kind, message, hint, details, self, cause)
        notice.closed.connect(self._remove)
        self.shown.append(notice)
        self._column.addWidget(notice)
        self._place()
        self.show()
        self.raise_()

    def _remove(self, notice: Notice) -> None:
        if notice in self.shown:
            self.shown.remove(notice)
            self._column.removeWidget(notice)
            notice.hide()
            notice.deleteLater()
        if self.shown:
            self._place()
        else:
            self.hide()

    def _place(self) -> None:
        picture = next((p for p in self._pictures if p.isVisible()), self._pictures[-1])
        width = min(WIDTH_PX, max(200, picture.width() - 2 * EDGE_PX))
        for notice in self.shown:
            notice.fit(width)
        height = sum(notice.height() for notice in self.shown) + GAP_PX * max(0, len(self.shown) - 1)
        corner = picture.mapTo(self.window(), QPoint((picture.width() - width) // 2, EDGE_PX))
        self.setGeometry(corner.x(), corner.y(), width, height)
