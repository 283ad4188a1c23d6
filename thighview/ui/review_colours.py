"""The colour of each review state, the same on the strip, in the review panel and in the training set."""

from PySide6.QtGui import QColor

from thighview.core.review import SliceState

STATE_COLOURS: dict[SliceState, QColor] = {
    SliceState.UNSEEN: QColor("#39414c"),
    SliceState.MODEL: QColor("#3f74c4"),
    SliceState.EDITING: QColor("#d9a441"),
    SliceState.ACCEPTED: QColor("#3d9a63"),
    SliceState.CORRECTED: QColor("#2fb0a4"),
    SliceState.DRAWN: QColor("#9d7fe0"),
}
