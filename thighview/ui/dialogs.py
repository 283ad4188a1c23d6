"""Questions to the person: files, folders, names, and whether to leave. Asking is here, doing is elsewhere."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHeaderView,
    QInputDialog,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from thighview.app.jobs import run_in_thread
from thighview.ui.cards import button, count, mark, row, show_words, words

SCANS = "NIfTI and DICOM (*.nii *.nii.gz *.dcm *.ima *.DCM *.IMA);;All files (*)"
MASKS = "NIfTI (*.nii *.nii.gz);;All files (*)"
SIDE_WORDS = (("No side", ""), ("Left", "left"), ("Right", "right"))


def ask_open_files(parent: QWidget, start: Path | None = None) -> list[Path]:
    """Which scans to open; none when the person thinks better of it."""
    return _choose_all(parent, "Open scans", start, QFileDialog.FileMode.ExistingFiles, SCANS)


def ask_open_folder(parent: QWidget, start: Path | None = None) -> list[Path]:
    """Which DICOM folder or project to open."""
    return _choose_all(parent, "Open a DICOM folder or a project", start)


def ask_mask_file(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which mask to load onto the open scan."""
    return _choose(parent, "Load a mask for this scan", start, QFileDialog.FileMode.ExistingFile, MASKS)


def ask_file(parent: QWidget, title: str, kinds: str, start: Path | None = None) -> Path | None:
    """Which file of these kinds to read."""
    return _choose(parent, title, start, QFileDialog.FileMode.ExistingFile, kinds)


def ask_save_mask(parent: QWidget, start: Path | None = None) -> Path | None:
    """Where to save the mask; ends in .nii.gz unless the person wrote another ending for NIfTI."""
    chosen = _choose(parent, "Save the mask as", start, QFileDialog.FileMode.AnyFile, MASKS)
    return _with_ending(chosen, ".nii.gz", (".nii", ".nii.gz"))


def ask_export_folder(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which new folder to export into; its name is proposed the way nnU-Net names data sets."""
    why = "The training set is written as nnU-Net raw into a folder made for it."
    return ask_new_folder(parent, "Export training data", why, "Dataset001_thigh", start, "Export")


def ask_import_folder(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which nnU-Net raw folder to import."""
    return _choose(parent, "Import cases from an nnU-Net raw folder", start)


def ask_project_folder(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which folder is the project to go to, or becomes one."""
    return _choose(parent, "Choose a project, or an empty folder", start)


def ask_new_project(parent: QWidget, start: Path | None = None) -> Path | None:
    """Which new folder becomes a project."""
    why = "A project is a folder made for it: worklist, masks, models and runs. Scans stay where they are."
    return ask_new_folder(parent, "New project", why, "Thigh study", start, "Make project")


def ask_save_picture(parent: QWidget, name: str) -> Path | None:
    """Where to save a picture (PNG)."""
    chosen = _choose(parent, "Save picture", Path(name), QFileDialog.FileMode.AnyFile, "PNG (*.png)")
    return _with_ending(chosen, ".png", (".png",))


def ask_save_csv(parent: QWidget, name: str) -> Path | None:
    """Where to save a table (CSV)."""
    chosen = _choose(parent, "Save table", Path(name), QFileDialog.FileMode.AnyFile, "CSV (*.csv)")
    return _with_ending(chosen, ".csv", (".csv",))


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


class FolderDialog(QDialog):
    """Asks for the name of a new folder and the place to make it in; says so where that name is taken."""

    def __init__(self, parent: QWidget | None, title: str, why: str, name: str, place: Path, agree: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(520)
        box = QVBoxLayout(self)
        box.setContentsMargins(18, 16, 18, 14)
        box.setSpacing(12)
        box.addWidget(words(why, "muted"))
        form = QFormLayout()
        form.setVerticalSpacing(8)
        self.name = QLineEdit(name)
        self.place = QLineEdit(str(place))
        self.change = button("Change…", self._change, "Choose another place")
        form.addRow("Folder", self.name)
        line = row(self.place, self.change, stretch=0)
        form.addRow("In", line)
        box.addLayout(form)
        self.problem = words("", "warning")
        box.addWidget(self.problem)
        box.addStretch(1)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, parent=self)
        self.agree = self.buttons.addButton(agree, QDialogButtonBox.ButtonRole.AcceptRole)
        mark(self.agree, "primary", True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        box.addWidget(self.buttons)
        self._plain = name
        self._proposing = True
        self._asked: tuple[Path, str] | None = None
        self.name.textChanged.connect(self._named)
        self.place.textChanged.connect(self._look)
        self._look()
        self.name.setFocus()
        self.name.selectAll()

    @property
    def answer(self) -> Path:
        """The folder to make."""
        return Path(self.place.text()).expanduser() / self.name.text().strip()

    def _change(self) -> None:
        chosen = _choose(self, "Choose the place of the new folder", Path(self.place.text()))
        if chosen:
            self.place.setText(str(chosen))

    def _named(self, *_: object) -> None:
        """A name typed by hand is never changed."""
        self._proposing = False
        self._look()

    def _look(self, *_: object) -> None:
        """Look behind the window whether the folder can be made; a proposed name gets a number where it is taken."""
        place, proposing = self.answer.parent, self._proposing
        name = self._plain if proposing else self.name.text().strip()
        self._asked = None
        self.agree.setEnabled(False)
        if not name or not self.place.text().strip():
            show_words(self.problem, "")
            return
        if re.search(r'[<>:"/\\|?*]', name) or name.strip(".") == "":
            show_words(self.problem, "A folder's name has no < > : \" / \\ | ? * in it.")
            return
        asked = self._asked = (place, name)

        def work(report: object, stopped: object) -> tuple[tuple[Path, str], str, str]:
            free = _free_name(place, name) if proposing else name
            return asked, free, _why_not(place / free)

        run_in_thread(work, lane="look").succeeded.connect(self._looked)

    def _looked(self, found: tuple[tuple[Path, str], str, str]) -> None:
        asked, name, why = found
        if asked is not self._asked:
            return
        if self._proposing and name != self.name.text():
            with QSignalBlocker(self.name):
                self.name.setText(name)
            self.name.selectAll()
        show_words(self.problem, why)
        self.agree.setEnabled(not why)


def ask_new_folder(
    parent: QWidget | None, title: str, why: str, name: str, start: Path | None, agree: str
) -> Path | None:
    """A folder to be made, or None; ``name`` is proposed, in the folder ``start``."""
    dialog = FolderDialog(parent, title, why, name, start or Path.home(), agree)
    answer = dialog.answer if dialog.exec() == QDialog.DialogCode.Accepted else None
    dialog.deleteLater()
    return answer


def _is_full(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _why_not(folder: Path) -> str:
    """Why a folder cannot be made, or nothing; an empty one is as good as none."""
    try:
        if not folder.parent.is_dir():
            return f"The place {folder.parent} is not there."
        if folder.is_dir():
            return f"{folder.name} is there already, with something in it." if _is_full(folder) else ""
        if folder.exists():
            return f"{folder.name} is there already, as a file."
        return "" if os.access(folder.parent, os.W_OK) else f"You may not write into {folder.parent}."
    except OSError as error:
        return f"{folder.parent} cannot be used: {error.strerror}."


def _free_name(place: Path, name: str) -> str:
    """The name itself, or the next of its kind that is not taken in this place.

    ``Dataset001_thigh`` becomes ``Dataset002_thigh``, ``Thigh study`` becomes ``Thigh study 2``.
    """
    found = re.search(r"\d+", name)
    try:
        while (place / name).is_file() or _is_full(place / name):
            if found is None:
                found = re.search(r"\d+$", name := f"{name} 2")
            else:
                number = int(found.group()) + 1
                name = f"{name[: found.start()]}{number:0{len(found.group())}d}{name[found.end() :]}"
                found = re.compile(r"\d+").search(name, found.start())
    except OSError:
        pass  # what is wrong with the place is said by whoever looks at it
    return name


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


def _choose(
    parent: QWidget,
    title: str,
    start: Path | None,
    mode: QFileDialog.FileMode = QFileDialog.FileMode.Directory,
    kinds: str = "",
) -> Path | None:
    """One path of :func:`_choose_all`, or None."""
    return next(iter(_choose_all(parent, title, start, mode, kinds)), None)


def _choose_all(
    parent: QWidget,
    title: str,
    start: Path | None,
    mode: QFileDialog.FileMode = QFileDialog.FileMode.Directory,
    kinds: str = "",
) -> list[Path]:
    """The system's own dialog where it has one, Qt's elsewhere; ``AnyFile`` is a file to be written."""
    dialog = QFileDialog(parent, title, "", kinds)
    dialog.setFileMode(mode)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly, mode is QFileDialog.FileMode.Directory)
    if mode is QFileDialog.FileMode.AnyFile and start:
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDirectory(str(start.parent))
        dialog.selectFile(start.name)
    elif start:
        dialog.setDirectory(str(start))
    for view in dialog.findChildren(QTreeView):
        header = view.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    chosen = dialog.selectedFiles() if dialog.exec() == QDialog.DialogCode.Accepted else []
    dialog.deleteLater()
    return [Path(path) for path in chosen]


def _with_ending(path: Path | None, ending: str, allowed: tuple[str, ...]) -> Path | None:
    if path is None or path.name.lower().endswith(allowed):
        return path
    return path.with_name(path.name + ending)
