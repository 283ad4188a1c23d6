"""Choosing files and folders: Qt's own chooser with the program's habits, and the dialog that names a new folder."""

import os
import re
from pathlib import Path

from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QFormLayout,
    QHeaderView,
    QLineEdit,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from thighview.app.jobs import run_in_thread
from thighview.ui.cards import agree_buttons, button, row, show_words, words


def choose(
    parent: QWidget,
    title: str,
    start: Path | None,
    mode: QFileDialog.FileMode = QFileDialog.FileMode.Directory,
    kinds: str = "",
    ending: str = "",
) -> Path | None:
    """One path of :func:`choose_all`, or None."""
    return next(iter(choose_all(parent, title, start, mode, kinds, ending)), None)


def choose_all(
    parent: QWidget,
    title: str,
    start: Path | None,
    mode: QFileDialog.FileMode = QFileDialog.FileMode.Directory,
    kinds: str = "",
    ending: str = "",
) -> list[Path]:
    """The system's own dialog where it has one, Qt's elsewhere; ``AnyFile`` is a file to be written.

    ``ending``, without its dot, is put to a name without one, before it is asked whether a file there may go.
    """
    dialog = QFileDialog(parent, title, "", kinds)
    dialog.setDefaultSuffix(ending)
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


def with_ending(path: Path | None, ending: str, allowed: tuple[str, ...]) -> Path | None:
    """The path with this ending, unless it has one that is allowed."""
    if path is None or path.name.lower().endswith(allowed):
        return path
    return path.with_name(path.name + ending)


class FolderDialog(QDialog):
    """Asks for the name of a new folder and the place to make it in; says so where that name is taken."""

    def __init__(self, parent: QWidget | None, title: str, why: str, name: str, place: Path, agree: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(520)
        self.box = box = QVBoxLayout(self)
        box.setContentsMargins(18, 16, 18, 14)
        box.setSpacing(12)
        box.addWidget(words(why, "muted"))
        self.form = form = QFormLayout()
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
        self.buttons, self.agree = agree_buttons(self, agree)
        box.addWidget(self.buttons)
        self._plain = name
        self._proposing = True
        self._asked: tuple[Path, str] | None = None
        self.name.textChanged.connect(self._named)
        self.place.textChanged.connect(self._look)
        self._look()
        self.name.setFocus()
        self.name.selectAll()

    def propose(self, name: str) -> None:
        """Propose another name, unless one was typed by hand."""
        self._plain = name
        if self._proposing:
            with QSignalBlocker(self.name):
                self.name.setText(name)
            self._look()

    def refusal(self) -> str:
        """Why what is asked for cannot be done wherever the folder goes, or nothing; for dialogs built on this one."""
        return ""

    @property
    def answer(self) -> Path:
        """The folder to make."""
        return Path(self.place.text()).expanduser() / self.name.text().strip()

    def _change(self) -> None:
        chosen = choose(self, "Choose the place of the new folder", Path(self.place.text()))
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
        why = self.refusal() or why
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
