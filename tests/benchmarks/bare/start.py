"""Bare start: an empty Qt window, shown and painted. Run as a script."""

import sys

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMainWindow

if __name__ == "__main__":
    application = QApplication(sys.argv)
    window = QMainWindow()
    window.show()
    QTimer.singleShot(0, application.quit)
    application.exec()
