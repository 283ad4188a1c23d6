"""Questions to the person: files, folders, names, and whether to leave. Asking is here, doing is elsewhere."""

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QInputDialog,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from thighview.ui.cards import show_words, words

SCANS = "Scans (*.nii *.nii.gz *.dcm *.ima *.IMA *.nrrd);;All files (*)"
MASKS = "Masks (*.nii *.nii.gz *.nrrd);;All files (*)"
SIDE_WORDS = (("No side", ""), ("Left", "left"), ("Right", "right"))


def ask_open_file(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which scan to open; None when the person thinks better of it."""
    return _path(QFileDialog.getOpenFileName(parent, "Open a scan", _text(start), SCANS)[0])


def ask_open_folder(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which DICOM folder or project to open."""
    return _path(QFileDialog.getExistingDirectory(parent, "Open a DICOM folder or a project", _text(start)))


def ask_mask_file(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which mask to load onto the open scan."""
    return _path(QFileDialog.getOpenFileName(parent, "Load a mask for this scan", _text(start), MASKS)[0])


def ask_save_mask(parent: QWidget, start: Path | None = None) -> Path | None:
    """Where to save the mask; ends in .nii.gz unless the person wrote another ending for NIfTI."""
    return _with_ending(
        QFileDialog.getSaveFileName(parent, "Save the mask as", _text(start), "NIfTI (*.nii.gz *.nii)")[0],
        ".nii.gz",
        (".nii", ".nii.gz"),
    )


def ask_export_folder(parent: QWidget, start: Path | None = None) -> Path | None:
    """Into which folder to export."""
    return _path(QFileDialog.getExistingDirectory(parent, "Export training data into a folder", _text(start)))


def ask_import_folder(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which nnU-Net raw folder to import."""
    return _path(QFileDialog.getExistingDirectory(parent, "Import cases from an nnU-Net raw folder", _text(start)))


def ask_project_folder(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which folder becomes, or is, the project."""
    return _path(QFileDialog.getExistingDirectory(parent, "Choose a folder for the project", _text(start)))


def ask_save_picture(parent: QWidget, name: str) -> Path | None:
    """Where to save a picture (PNG)."""
    return _with_ending(QFileDialog.getSaveFileName(parent, "Save picture", name, "PNG (*.png)")[0], ".png", (".png",))


def ask_save_csv(parent: QWidget, name: str) -> Path | None:
    """Where to save a table (CSV)."""
    return _with_ending(QFileDialog.getSaveFileName(parent, "Save table", name, "CSV (*.csv)")[0], ".csv", (".csv",))


def ask_subject(parent: QWidget, subject: str) -> str | None:
    """The subject id of the open case; None when unchanged or given up."""
    text, agreed = QInputDialog.getText(
        parent,
        "Subject id",
        "Slices of one person must carry one id,\nor the score on new people is flattered.",
        QLineEdit.EchoMode.Normal,
        subject,
    )
    text = text.strip()
    return text if agreed and text and text != subject else None


class LabelDialog(QDialog):
    """Asks for an anatomical name and a side."""

    def __init__(self, parent: QWidget | None, taken: frozenset[str], name: str = "", side: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle("Label")
        self._taken = taken
        self._own = (name, side)
        box = QVBoxLayout(self)
        form = QFormLayout()
        self.name = QLineEdit(name.replace("_", " "))
        self.name.setPlaceholderText("e.g. rectus femoris")
        self.side = QComboBox()
        for text, value in SIDE_WORDS:
            self.side.addItem(text, value)
        self.side.setCurrentIndex([value for _, value in SIDE_WORDS].index(side))
        form.addRow("Name", self.name)
        form.addRow("Side", self.side)
        box.addLayout(form)
        self.problem = words("", "warning")
        box.addWidget(self.problem)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel, parent=self
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        box.addWidget(self.buttons)
        self.setMinimumWidth(340)
        self.name.textChanged.connect(self._check)
        self.side.currentIndexChanged.connect(self._check)
        self._check()

    @property
    def answer(self) -> tuple[str, str]:
        """Name as it is stored (words joined by underscores) and side."""
        return "_".join(self.name.text().lower().split()), str(self.side.currentData())

    def _check(self, *_: object) -> None:
        name, side = self.answer
        key = name + (f"_{side}" if side else "")
        taken = key in self._taken and (name, side) != self._own
        show_words(self.problem, "This name and side exist already." if taken else "")
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(bool(name) and not taken)


def ask_label_name(
    parent: QWidget | None, taken: frozenset[str], name: str = "", side: str = ""
) -> tuple[str, str] | None:
    """Name and side of a label, or None. ``taken``: keys (``vasti_left``) that exist already."""
    dialog = LabelDialog(parent, taken, name, side)
    return dialog.answer if dialog.exec() == QDialog.DialogCode.Accepted else None


def ask_leave_training(parent: QWidget | None, run: str, progress: str = "") -> str:
    """What becomes of a training when the window closes: ``keep``, ``stop`` or ``cancel``."""
    return _ask(
        parent,
        f"“{run}” is still training{f' ({progress})' if progress else ''}.",
        "It can run on without the window. When you open thighview again, its curves are all there.",
        (("Keep it running", "keep"), ("Stop and save the model", "stop"), ("Stay here", "cancel")),
    )


def ask_leave(parent: QWidget | None, reason: str, hint: str = "") -> bool:
    """Whether to leave although something would be lost (``reason`` says what)."""
    return _ask(parent, reason, hint, (("Leave anyway", "leave"), ("Stay here", "cancel"))) == "leave"


def ask_stop_training(parent: QWidget | None, run: str) -> bool:
    """Whether a training shall really stop."""
    return (
        _ask(
            parent,
            f"Stop training “{run}”?",
            "The best model so far is kept and can be used.",
            (("Stop training", "stop"), ("Go on", "cancel")),
        )
        == "stop"
    )


def _ask(parent: QWidget | None, question: str, hint: str, answers: tuple[tuple[str, str], ...]) -> str:
    """One question; the first answer is the default, the last one is what Escape means."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.NoIcon)
    box.setWindowTitle("thighview")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(question)
    box.setInformativeText(hint)
    made: dict[QPushButton, str] = {}
    for index, (text, value) in enumerate(answers):
        last = index == len(answers) - 1
        role = QMessageBox.ButtonRole.RejectRole if last else QMessageBox.ButtonRole.ActionRole
        press = box.addButton(text, role)
        made[press] = value
        if index == 0:
            box.setDefaultButton(press)
        if last:
            box.setEscapeButton(press)
    box.exec()
    clicked = box.clickedButton()
    return next((value for press, value in made.items() if press is clicked), answers[-1][1])


def _text(path: Path | None) -> str:
    return str(path) if path else ""


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _with_ending(text: str, ending: str, allowed: tuple[str, ...]) -> Path | None:
    if not text:
        return None
    return Path(text if text.lower().endswith(allowed) else text + ending)
