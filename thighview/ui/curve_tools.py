"""The small controls around the curves."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QComboBox, QPushButton, QWidget

from thighview.ui.cards import button, count, row
from thighview.ui.chips import Flow

AXES: tuple[tuple[str, str], ...] = (
    ("epochs", "One point per epoch"),
    ("minutes", "One point per epoch, by the clock: minutes since the run began, pauses included"),
    ("batches", "The running average after each batch, as the network learns"),
)
AXIS_TITLES = {"epochs": "epoch", "minutes": "minutes since the run began", "batches": "epoch, a point per batch"}
"""What the axis counts, by its name."""
SMOOTHING: tuple[tuple[str, str, float], ...] = (
    ("none", "Not smoothed", 0.0),
    ("light", "Light smoothing", 1.0),
    ("strong", "Strong smoothing", 4.0),
)
"""Name, words, and the distance in epochs at which a neighbour counts for 1/e."""


class CurveTools(QWidget):
    """Axis, logarithm, smoothing and saving, in as many lines as they need."""

    axis_chosen = Signal(str)
    """``epochs``, ``minutes`` or ``batches``."""
    log_chosen = Signal(bool)
    smoothing_chosen = Signal(str)
    """A name of ``SMOOTHING``."""
    all_asked = Signal()
    picture_asked = Signal()
    table_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        flow = Flow(self)
        group = QButtonGroup(self)
        self.axis_buttons: dict[str, QPushButton] = {}
        for place, (axis, tip) in enumerate(AXES):
            press = segment(axis, ("first", "middle", "last")[place])
            press.setToolTip(tip)
            press.clicked.connect(lambda _=False, a=axis: self.axis_chosen.emit(a))
            group.addButton(press)
            self.axis_buttons[axis] = press
        self.axis_buttons["epochs"].setChecked(True)
        together = QWidget()
        together.setLayout(row(*self.axis_buttons.values(), spacing=0))
        self.log_button = segment("log", "only")
        self.log_button.setToolTip("Logarithmic loss axis")
        self.log_button.clicked.connect(self.log_chosen)
        self.log_button.hide()
        self.smoothing = QComboBox()
        self.smoothing.setToolTip("Mean of each point and its neighbours, on both sides: nothing moves along the axis")
        for name, text, _ in SMOOTHING:
            self.smoothing.addItem(text, name)
        self.smoothing.activated.connect(lambda _: self.smoothing_chosen.emit(self.smoothing.currentData()))
        self.zoom_button = button("Show all", self.all_asked.emit, "Reset the zoom (double-click)", "quiet")
        self.zoom_button.hide()
        self.picture_button = button("PNG", self.picture_asked.emit, "Save the curves as a picture", "quiet")
        self.table_button = button(
            "CSV", self.table_asked.emit,
            "Save the numbers of every epoch, and beside it, ending in -people.csv, those of every person", "quiet",
        )  # fmt: skip
        parts = (self.smoothing, self.zoom_button, self.picture_button, self.table_button)
        for part in (together, self.log_button, *parts):
            flow.addWidget(part)


def segment(text: str, place: str) -> QPushButton:
    """One button of a group of which one is pressed; ``place``: ``first``, ``middle``, ``last`` or ``only``."""
    press = QPushButton(text)
    press.setCheckable(True)
    press.setAutoDefault(False)
    press.setProperty("segment", place)
    return press


def band_tip(people: int | None, measured: int, epochs: int, made_up: bool = False) -> str:
    """What the tooltip of a line says: at how many epochs it was measured, and what its band is or why it has none."""
    if 0 < measured < epochs:
        line = f"Measured at the end of {measured} of {count(epochs, 'epoch')}, to save time; dotted between."
    else:
        line = "Measured at the end of each epoch."
    line += " No dropout, no distortion."
    if people is None:
        return f"{line} No band: the scores of single people are not known."
    who = "made-up thighs" if made_up else "people"
    if people < 2:
        return f"{line} No band: it takes at least 2 {who}, here is {people or 'none'}."
    return f"{line} Pale band: 95 % interval of the mean over {people} {who}."
