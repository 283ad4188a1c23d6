"""Questions about old weights: which file, and what is known of the network in it."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from thighview.ui.cards import agree_buttons, pad_number, show_words, words
from thighview.ui.dialogs import ask_file

WEIGHTS = "Keras 2 weights (*.h5 *.hdf5);;All files (*)"
WHY = (
    "Weights of the seed U-Net as Keras 2 saved them, alone or with the whole model. They are read in a process of its "
    "own and nothing in the file is run. Anything but this network is refused, with the first layer that differs."
)
_FIRST_SIZE, _SIZE_STEP = 16, 16


@dataclass(frozen=True)
class OldWeights:
    """What a person says of a weights file: where it is, how the model shall be called, what it draws, on what slices.

    ``input_size`` of 0 leaves it to the file.
    """

    path: Path
    name: str
    label: str
    input_size: int


class OldWeightsDialog(QDialog):
    """Asks for the model's name, its label and the edge of its slices."""

    def __init__(self, parent: QWidget | None, path: Path, taken: Collection[str]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Import old weights")
        self.setMinimumWidth(480)
        self._path = path
        self._taken = {name.lower() for name in taken}
        box = QVBoxLayout(self)
        box.setContentsMargins(18, 16, 18, 14)
        box.setSpacing(12)
        box.addWidget(words(WHY, "muted"))
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.addRow("File", words(path.name))
        self.name = QLineEdit(self._free(path.stem))
        self.name.setMaxLength(80)
        self.name.setToolTip("What the model is called in the list")
        self.label = QLineEdit("outer surface")
        self.label.setMaxLength(80)
        self.label.setToolTip("The one label this network draws; a label of this name in a case is taken for it")
        self.edge = QSpinBox()
        pad_number(self.edge)
        self.edge.setRange(0, 2048)
        self.edge.setSingleStep(_SIZE_STEP)
        self.edge.setSuffix(" pixels")
        self.edge.setSpecialValueText("as the file says, else 512")
        self.edge.setToolTip("Edge of the square slices it was trained on; a slice's longer edge is fitted into it")
        form.addRow("Name", self.name)
        form.addRow("Label", self.label)
        form.addRow("Slice edge", self.edge)
        box.addLayout(form)
        self.problem = words("", "warning")
        box.addWidget(self.problem)
        box.addStretch(1)
        self.buttons, self.agree = agree_buttons(self, "Import")
        box.addWidget(self.buttons)
        for edit in (self.name, self.label):
            edit.textChanged.connect(self._look)
        self.edge.valueChanged.connect(self._look)
        self._look()
        self.label.setFocus()
        self.label.selectAll()

    @property
    def answer(self) -> OldWeights:
        """What was said."""
        label = "_".join(self.label.text().lower().split())
        return OldWeights(self._path, self.name.text().strip(), label, self.edge.value())

    def _free(self, stem: str) -> str:
        """A name for the model that no other has."""
        plain = re.sub(r"[^\w.()+,-]+", " ", stem).lstrip(" .()+,-")[:70].rstrip(" .(+,-") or "old weights"
        name, number = plain, 2
        while name.lower() in self._taken:
            name, number = f"{plain} {number}", number + 1
        return name

    def _look(self, *_: object) -> None:
        said = self.answer
        problem = ""
        if said.name and not re.fullmatch(r"[\w][\w .()+,-]{0,79}", said.name):
            problem = "A name has letters, digits, spaces and . ( ) + , - _ in it, and begins with a letter or digit."
        elif said.name.lower() in self._taken:
            problem = f"There is a model called {said.name} already."
        elif said.label == "background":
            problem = "Background is no label."
        elif said.input_size and (said.input_size % _SIZE_STEP or said.input_size < _FIRST_SIZE):
            problem = f"The slice edge is a multiple of {_SIZE_STEP}."
        show_words(self.problem, problem)
        self.agree.setEnabled(bool(said.name and said.label) and not problem)


def ask_old_weights(parent: QWidget, start: Path | None, taken: Collection[str]) -> OldWeights | None:
    """Which weights file to take, and what is known of it; None when the person thinks better of it.

    ``taken``: names of the models there are.
    """
    path = ask_file(parent, "Import old weights", WEIGHTS, start)
    if path is None:
        return None
    dialog = OldWeightsDialog(parent, path, taken)
    answer = dialog.answer if dialog.exec() == QDialog.DialogCode.Accepted else None
    dialog.deleteLater()
    return answer
