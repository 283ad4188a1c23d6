"""The colours of all plots."""

from PySide6.QtGui import QColor

COLOURS = {
    "train": QColor("#4a9eff"),
    "val": QColor("#ffb02e"),
    "while_learning": QColor("#8d97a5"),
    "batch": QColor("#8d97a5"),
}
OTHER_COLOURS = tuple(QColor(c) for c in ("#56cc82", "#f06292", "#ab88ff", "#4dd0c8", "#ff8a65", "#c6d74a"))
"""Of earlier runs, in turn."""


def pale(colour: QColor, alpha: int) -> QColor:
    """The colour, seen through."""
    return QColor(colour.red(), colour.green(), colour.blue(), alpha)
