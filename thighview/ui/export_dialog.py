"""The question before masks are exported: as what, which cases, where to, and whether anybody may be recognised."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QWidget

from thighview.io.export_wish import ExportWish
from thighview.io.project import CaseSummary
from thighview.ui.cards import count, show_words, words
from thighview.ui.file_dialogs import FolderDialog


@dataclass(frozen=True)
class Form:
    """A format: its name in the program and for people, the folder it proposes, and what it writes."""

    form: str
    title: str
    folder: str
    about: str


FORMS = (
    Form("nnunet", "Training data for nnU-Net", "Dataset001_thigh",
         "The training set as nnU-Net raw: images and masks, splits by person. Slices nobody has reviewed carry the "
         "label ignore."),
    Form("bids", "BIDS derivative", "thigh_bids",
         "Masks as dseg.nii.gz, named by person, with a table of the labels. Slices nobody has reviewed carry the "
         "label unreviewed."),
    Form("npz", "NumPy (.npz)", "thigh_npz",
         "Image and mask of each case as plain arrays in one file. Slices nobody has reviewed carry the label "
         "unreviewed."),
    Form("nifti", "NIfTI (.nii.gz)", "thigh_masks",
         "Masks as they are, on the scan's own voxels, with the label numbers they came with."),
    Form("nrrd", "3D Slicer (.seg.nrrd)", "thigh_slicer",
         "Masks as they are, as segmentations of 3D Slicer with names and colours."),
    Form("dicomseg", "DICOM segmentation", "thigh_dicomseg",
         "Masks as they are, as DICOM objects that refer to the images they were drawn on. Only for cases from DICOM."),
)  # fmt: skip
WHY = (
    "A new folder, there whole or not at all. A file beside each mask says what has happened to each slice, and who "
    "made which label; manifest.json says the SHA-256 of every file."
)
DEIDENTIFY = "De-identify: nothing that tells who a person is"
_WIDTH_PX = 560
_PRIVATE = (
    "Persons are called by study keys, headers are made anew, dates and names stay here; deidentification.txt says "
    "what stayed. Names of labels stay as typed."
)
_PRIVATE_IMAGES = " The DICOM images come along, made anew."
_PRIVATE_LOOK = " Pictures that may have a name in them are shown to you first."


class ExportDialog(FolderDialog):
    """Asks what is to be exported, and says what will be written."""

    def __init__(
        self,
        parent: QWidget | None,
        place: Path,
        cases: Sequence[CaseSummary],
        opened: CaseSummary | None,
        choice: dict[str, Any],
    ) -> None:
        self._cases, self._opened = cases, opened
        self._in_set = sum(case.in_training_set for case in cases)
        wanted = choice.get("form", "nnunet" if self._in_set else "nifti")
        form = next((form for form in FORMS if form.form == wanted), FORMS[0])
        self.format, self.which = QComboBox(), QComboBox()
        self.private = QCheckBox(DEIDENTIFY)
        self.about = words("", "muted")
        super().__init__(parent, "Export masks", WHY, form.folder, place, "Export")
        for one in FORMS:
            self.format.addItem(one.title, one)
        self.format.setCurrentIndex(FORMS.index(form))
        self.private.setChecked(choice.get("deidentify", False))
        for at, (title, widget) in enumerate((("Format", self.format), ("Cases", self.which), ("", self.private))):
            self.form.insertRow(at, title, widget)
        self.box.insertWidget(2, self.about)
        self._offer(choice.get("cases", "all"))
        self.format.currentIndexChanged.connect(self._format_changed)
        self.which.currentIndexChanged.connect(self._tell)
        self.private.toggled.connect(self._tell)
        self.setMinimumWidth(_WIDTH_PX)
        self._tell()

    @property
    def chosen(self) -> Form:
        """The format."""
        return self.format.currentData()

    @property
    def wish(self) -> ExportWish:
        """What is to be exported."""
        which = self.which.currentData()
        cases = (self._opened.case_id,) if which == "open" and self._opened else "all" if which == "set" else which
        return ExportWish(self.chosen.form, cases, self.private.isChecked())

    @property
    def choice(self) -> dict[str, Any]:
        """What to propose the next time."""
        which = str(self.which.currentData())
        return {
            "form": self.chosen.form,
            "deidentify": self.private.isChecked(),
            **({"cases": which} if which != "set" else {}),
        }

    def refusal(self) -> str:
        """Why it cannot be done wherever the folder goes."""
        if self.format.count() and self.chosen.form == "nnunet" and not self._in_set:
            return "The training set is empty: add a case to it first, in the Train panel."
        return ""

    def _offer(self, wanted: str) -> None:
        """The cases there are for this format."""
        self.which.blockSignals(True)
        self.which.clear()
        if self.chosen.form == "nnunet":
            self.which.addItem(f"The training set ({count(self._in_set, 'case')})", "set")
        else:
            reviewed = sum(any(n for state, n in case.counts.items() if state.reviewed) for case in self._cases)
            if self._opened:
                self.which.addItem(f"The open case: {self._opened.title}", "open")
            self.which.addItem(f"Cases with reviewed slices ({reviewed})", "reviewed")
            self.which.addItem(f"All cases ({len(self._cases)})", "all")
        self.which.setCurrentIndex(max(0, self.which.findData(wanted)))
        self.which.setEnabled(self.which.count() > 1)
        self.which.blockSignals(False)

    def _format_changed(self, _: int) -> None:
        self._offer(str(self.which.currentData()))
        self.propose(self.chosen.folder)
        self._look()
        self._tell()

    def _tell(self, _: object = None) -> None:
        """What will be written."""
        private = ""
        if self.private.isChecked():
            wish = self.wish
            images = _PRIVATE_IMAGES if wish.form == "dicomseg" else ""
            private = "\n" + _PRIVATE + images + (_PRIVATE_LOOK if wish.carries_pixels else "")
        show_words(self.about, self.chosen.about + private)
        self.box.invalidate()
        self.setMinimumHeight(self.box.totalHeightForWidth(max(self.width(), _WIDTH_PX)))


def ask_export(
    parent: QWidget,
    place: Path,
    cases: Sequence[CaseSummary],
    opened: CaseSummary | None,
    choice: dict[str, Any],
) -> tuple[Path, ExportWish, dict[str, Any]] | None:
    """Where to and what to export, and what to propose the next time; None when the person thinks better of it."""
    dialog = ExportDialog(parent, place, cases, opened, choice)
    agreed = dialog.exec() == QDialog.DialogCode.Accepted
    answer = (dialog.answer, dialog.wish, dialog.choice) if agreed else None
    dialog.deleteLater()
    return answer
