"""Bare start: an empty Qt window, shown, painted, and an event answered. Run as a script."""

import sys

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMainWindow

if __name__ == "__main__":
    application = QApplication(sys.argv)
    window = QMainWindow()
    window.show()
    application.processEvents()
    QTimer.singleShot(0, lambda: (print("usable", flush=True), application.quit()))
    sys.exit(application.exec())
