"""Start the program as its command does, and say ``usable`` once its window is painted and has answered an event.

It watches from outside, on an application made before the program makes its own: once the event loop runs, an event
filter waits for the painting (from the start on, it would cost more than what it measures). Run as a script.
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
        QTimer.singleShot(0, self, self._watch)

    def _watch(self) -> None:
        self._application.installEventFilter(self)
        for page in (w for w in self._application.allWidgets() if type(w).__name__ == "EmptyPage"):
            page.update()  # where it has been painted already, it is painted again

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
