"""Start the program as its command does, and say ``usable`` once its window is painted and has answered an event.

It watches from outside: an event filter on an application made before the program makes its own. Run as a script.
"""

import sys

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication

from thighview.cli import main


class Watcher(QObject):
    """Sees the first painting of the main window's middle, then sends an event through the loop and waits for it."""

    ROUND_TRIP = QEvent.Type(QEvent.registerEventType())

    def __init__(self, application: QApplication) -> None:
        super().__init__()
        self._application = application
        application.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Look at every event until the window has been painted."""
        if event.type() == QEvent.Type.Paint and type(watched).__name__ == "EmptyPage":
            self._application.removeEventFilter(self)
            QTimer.singleShot(0, lambda: QApplication.postEvent(self, QEvent(self.ROUND_TRIP)))
        return False

    def event(self, event: QEvent) -> bool:
        """The event is back: a key or click would have been answered by now."""
        if event.type() == self.ROUND_TRIP:
            print("usable", flush=True)
            QTimer.singleShot(0, self._application.closeAllWindows)
            return True
        return super().event(event)


if __name__ == "__main__":
    application = QApplication(sys.argv[:1])
    watcher = Watcher(application)
    sys.exit(main([]))
