"""Questions before a model is written for use elsewhere: in which format, and where."""

from pathlib import Path

from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QVBoxLayout,
    QWidget,
)

from thighview.ui.cards import agree_buttons, words
from thighview.ui.file_dialogs import ask_new_folder, choose, with_ending

FORMATS = (
    ("h5", "Keras weights (.h5)", "The weights alone, in the layout of Keras 2: load_weights of the same network."),
    ("savedmodel", "TensorFlow SavedModel (folder)", "The whole network, for TensorFlow and TensorFlow Serving."),
    ("onnx", "ONNX (.onnx)", "The whole network, for ONNX Runtime and others. Needs pip install 'thighview[onnx]'."),
)
WHY = (
    "Written, read back, and compared with the model before it is put in its place. Beside it lies a .json that says "
    "what goes in and what comes out."
)


class ExportModelDialog(QDialog):
    """Asks for the format."""

    def __init__(self, parent: QWidget | None, model: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export model")
        self.setMinimumWidth(480)
        box = QVBoxLayout(self)
        box.setContentsMargins(18, 16, 18, 14)
        box.setSpacing(12)
        box.addWidget(words(WHY, "muted"))
        form = QFormLayout()
        form.setVerticalSpacing(8)
        self.format = QComboBox()
        for name, text, _ in FORMATS:
            self.format.addItem(text, name)
        form.addRow("Model", words(model))
        form.addRow("Format", self.format)
        box.addLayout(form)
        self.about = words("", "muted")
        box.addWidget(self.about)
        box.addStretch(1)
        self.buttons, self.agree = agree_buttons(self, "Choose a place…")
        box.addWidget(self.buttons)
        self.format.currentIndexChanged.connect(self._look)
        self._look()

    def _look(self, _: int = 0) -> None:
        self.about.setText(FORMATS[self.format.currentIndex()][2])


def ask_export_model(parent: QWidget, start: Path, model: str) -> tuple[Path, str] | None:
    """Where to write a model of this name, and in which format; None when the person thinks better of it."""
    dialog = ExportModelDialog(parent, model)
    form = str(dialog.format.currentData()) if dialog.exec() == QDialog.DialogCode.Accepted else ""
    dialog.deleteLater()
    if not form:
        return None
    title, ending = "Export model", f".{form}"
    if form == "savedmodel":
        why = "The SavedModel is written into a folder made for it."
        path = ask_new_folder(parent, title, why, f"{model}_savedmodel", start, "Export")
    else:
        kinds = f"{FORMATS[[name for name, *_ in FORMATS].index(form)][1].partition(' (')[0]} (*{ending})"
        chosen = choose(parent, title, start / f"{model}{ending}", QFileDialog.FileMode.AnyFile, kinds, form)
        path = with_ending(chosen, ending, (ending,))
    return (path, form) if path else None
