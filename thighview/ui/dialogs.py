"""Questions to the person: files, folders, names, and whether to leave. Asking is here, doing is elsewhere."""

from collections.abc import Sequence
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

from thighview.core.labels import key_of
from thighview.core.segments import split_side
from thighview.ui.cards import count, show_words, words
from thighview.ui.file_dialogs import ask_new_folder, choose, choose_all, with_ending

_NIFTI = "*.nii *.nii.gz *.hdr *.hdr.gz *.img *.img.gz"
_OTHERS = "*.nrrd *.nhdr *.mha *.mhd *.mgh *.mgz *.tif *.tiff *.npz *.npy"
_DICOM = "*.dcm *.ima *.DCM *.IMA"
SCANS = ";;".join((
    f"Scans ({_NIFTI} {_DICOM} {_OTHERS})",
    f"NIfTI and Analyze ({_NIFTI})",
    f"DICOM ({_DICOM})",
    "NRRD and MetaImage (*.nrrd *.nhdr *.mha *.mhd)",
    "FreeSurfer (*.mgh *.mgz)",
    "TIFF stacks (*.tif *.tiff)",
    "NumPy and Dafne (*.npz *.npy)",
    "All files (*)",
))  # fmt: skip
MASKS = "NIfTI (*.nii *.nii.gz);;All files (*)"
MASKS_IN = (
    f"Masks ({_NIFTI} {_DICOM} {_OTHERS});;NIfTI and Analyze ({_NIFTI});;NRRD and 3D Slicer (*.nrrd *.nhdr);;"
    f"DICOM segmentation ({_DICOM});;All files (*)"
)
LABEL_NAMES = "Label descriptions of ITK-SNAP (*.txt *.label);;All files (*)"
SIDE_WORDS = (("No side", ""), ("Left", "left"), ("Right", "right"))


def ask_open_files(parent: QWidget, start: Path | None = None) -> list[Path]:
    """Which scans to open; none when the person thinks better of it."""
    return choose_all(parent, "Open scans", start, QFileDialog.FileMode.ExistingFiles, SCANS)


def ask_image_files(parent: QWidget, start: Path | None = None) -> list[Path]:
    """Which further images of the open case to read; of a DICOM series one file."""
    return choose_all(parent, "Add images of this visit", start, QFileDialog.FileMode.ExistingFiles, SCANS)


def ask_open_folder(parent: QWidget, start: Path | None = None) -> list[Path]:
    """Which DICOM folder or project to open."""
    return choose_all(parent, "Open a DICOM folder or a project", start)


def ask_mask_file(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which mask to load onto the open scan."""
    return choose(parent, "Open a mask of this scan", start, QFileDialog.FileMode.ExistingFile, MASKS_IN)


def ask_label_names(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which file names the labels of the open scan."""
    return choose(parent, "Load label names", start, QFileDialog.FileMode.ExistingFile, LABEL_NAMES)


def ask_file(parent: QWidget, title: str, kinds: str, start: Path | None = None) -> Path | None:
    """Which file of these kinds to read."""
    return choose(parent, title, start, QFileDialog.FileMode.ExistingFile, kinds)


def ask_save_mask(parent: QWidget, start: Path | None = None) -> Path | None:
    """Where to save the mask; ends in .nii.gz unless the person wrote another ending for NIfTI."""
    return _ask_place(parent, "Save the mask as", start, MASKS, ".nii.gz", (".nii", ".nii.gz"))


def ask_import_folder(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which folder of cases with masks to import."""
    return choose(parent, "Import cases with masks: nnU-Net raw, pairs of images and masks, or DICOM with SEG", start)


def ask_project_folder(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which folder is the project to go to, or becomes one."""
    return choose(parent, "Choose a project, or an empty folder", start)


def ask_new_project(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which new folder becomes a project."""
    why = "A project is a folder made for it: worklist, masks, models and runs. Scans stay where they are."
    return ask_new_folder(parent, "New project", why, "Thigh study", start, "Make project")


def ask_save_picture(parent: QWidget, name: str) -> Path | None:
    """Where to save a picture (PNG)."""
    return _ask_place(parent, "Save picture", Path(name), "PNG (*.png)", ".png", (".png",))


def ask_save_csv(parent: QWidget, name: str) -> Path | None:
    """Where to save a table (CSV)."""
    return _ask_place(parent, "Save table", Path(name), "CSV (*.csv)", ".csv", (".csv",))


def ask_subject(parent: QWidget, scan: str, subject: str, known: Sequence[str]) -> str | None:
    """Whose scan it is: one of the persons known, or a new name; None when unchanged or given up."""
    dialog = QInputDialog(parent)
    dialog.setWindowTitle(f"Whose scan is {scan}?")
    dialog.setLabelText(
        "Choose a person or write a new name.\n"
        "All scans of one person must carry one name, or the score on new people is flattered."
    )
    dialog.setComboBoxItems([subject, *(name for name in known if name != subject)])
    dialog.setComboBoxEditable(True)
    for box in dialog.findChildren(QComboBox):
        box.setCompleter(None)  # pyright: ignore[reportArgumentType] # a new name must not become a known one
    answer = dialog.textValue().strip() if dialog.exec() == QDialog.DialogCode.Accepted else ""
    dialog.deleteLater()
    return answer if answer not in ("", subject) else None


class LabelDialog(QDialog):
    """Asks for an anatomical name and a side."""

    def __init__(self, parent: QWidget | None, taken: frozenset[str], name: str = "", side: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle("Label")
        self._taken = taken
        self._own = key_of(name, side)
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
        """Name as it is stored (words joined by underscores) and side; the one of the name where none is chosen."""
        name, side = "_".join(self.name.text().lower().split()), str(self.side.currentData())
        return (name, side) if side else split_side(name)

    def _check(self, *_: object) -> None:
        name, side = self.answer
        key = key_of(name, side)
        taken = key in self._taken and key != self._own
        show_words(self.problem, "This name and side exist already." if taken else "")
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(bool(name) and not taken)


def ask_label_name(
    parent: QWidget | None, taken: frozenset[str], name: str = "", side: str = ""
) -> tuple[str, str] | None:
    """Name and side of a label, or None. ``taken``: keys (``vasti_left``) that exist already."""
    dialog = LabelDialog(parent, taken, name, side)
    answer = dialog.answer if dialog.exec() == QDialog.DialogCode.Accepted else None
    dialog.deleteLater()
    return answer


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


def ask_remove_case(parent: QWidget | None, subject: str, project: str, scan: Path, edits: int) -> bool:
    """Whether a case shall really leave its project, with what was drawn on it."""
    drawn = f"mask, review and {count(edits, 'edit')}" if edits else "mask and review"
    hint = f"Its {drawn} are deleted; this cannot be taken back.\n\nThe scan itself stays where it is:\n{scan}"
    answers = (("Remove", "remove"), ("Keep it", "keep"))
    return _ask(parent, f"Remove {subject} from {project}?", hint, answers, default=1) == "remove"


def ask_stop_training(parent: QWidget | None, run: str) -> bool:
    """Whether a training shall really stop."""
    return (
        _ask(
            parent,
            f"Stop training “{run}”?",
            "The best model so far is kept and can be used.",
            (("Stop training", "stop"), ("Go on", "cancel")),
            default=1,
        )
        == "stop"
    )


def _ask_place(
    parent: QWidget, title: str, start: Path | None, kinds: str, ending: str, allowed: tuple[str, ...]
) -> Path | None:
    """Where to write a file; what a name becomes by an ending that the chooser left out is asked about, too."""
    chosen = choose(parent, title, start, QFileDialog.FileMode.AnyFile, kinds, ending[1:])
    path = with_ending(chosen, ending, allowed)
    if path is None or path == chosen or not path.exists():
        return path
    answers = (("Replace", "replace"), ("Keep it", "keep"))
    replace = _ask(parent, f"{path.name} exists already. Replace it?", "", answers, default=1) == "replace"
    return path if replace else None


def _ask(
    parent: QWidget | None, question: str, hint: str, answers: tuple[tuple[str, str], ...], default: int = 0
) -> str:
    """One question; Enter means the answer at ``default``, Escape the last one."""
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
        if index == default:
            box.setDefaultButton(press)
        if last:
            box.setEscapeButton(press)
    box.exec()
    clicked = box.clickedButton()
    box.deleteLater()
    return next((value for press, value in made.items() if press is clicked), answers[-1][1])
