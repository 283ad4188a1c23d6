"""What the user sees: PySide6 widgets and pyqtgraph plots."""
