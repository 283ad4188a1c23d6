"""A fold that shows what augmentation does to a slice of the open case, or of another one of the training set."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from thighview.app.augment_preview import PICTURES, AugmentPictures, Picture, ask_pictures, ask_stored_pictures
from thighview.app.jobs import Job
from thighview.core.errors import UserError
from thighview.ui.cards import Fold, button, chooser, row, show_words, words

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace
    from thighview.core.run import TrainConfig
    from thighview.ui.train_form import TrainForm

COLUMNS = 3
GAP_PX = 4
NO_CASE = "Open a scan, or add one to the training set, to see it here."
OPEN_CASE = 0
"""Stands for the open case where the others have their ids."""
OFF = "Augmentation is off: every epoch shows a slice as it is."


class PictureGrid(QWidget):
    """Square pictures of one size, so many to a row."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: tuple[QImage, ...] = ()
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_pictures(self, pictures: tuple[QImage, ...]) -> None:
        """Show other pictures."""
        self.pictures = pictures
        self.updateGeometry()
        self.update()

    def hasHeightForWidth(self) -> bool:
        """The pictures stay square."""
        return True

    def heightForWidth(self, arg__1: int) -> int:
        """Height of all rows."""
        rows = -(-max(len(self.pictures), PICTURES) // COLUMNS)
        return round(rows * (self._edge(arg__1) + GAP_PX) - GAP_PX)

    def sizeHint(self) -> QSize:
        """As for a panel of the usual width."""
        return QSize(320, self.heightForWidth(320))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw them, first row first."""
        edge = self._edge(self.width())
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            for index, picture in enumerate(self.pictures):
                down, right = divmod(index, COLUMNS)
                painter.drawImage(QRectF(right * (edge + GAP_PX), down * (edge + GAP_PX), edge, edge), picture)

    def _edge(self, width: int) -> float:
        return (width - (COLUMNS - 1) * GAP_PX) / COLUMNS


class AugmentFold(Fold):
    """``What augmentation does``: made on a worker thread while it is open and in sight, and only then."""

    def __init__(self, workspace: "Workspace", form: "TrainForm") -> None:
        self.choice = chooser("Whose slice is shown")
        self.words = words("", "muted")
        self.grid = PictureGrid()
        self.others = button("Show others", self._show_others, "The same slice in later epochs", "quiet")
        inside = QVBoxLayout()
        inside.setSpacing(6)
        for part in (self.choice, self.words, self.grid):
            inside.addWidget(part)
        inside.addLayout(row(self.others))
        super().__init__("What augmentation does", inside)
        self._workspace, self._session, self._form = workspace, workspace.session, form
        self._first_epoch = 1
        self._asked: tuple[object, ...] | None = None
        self._job: Job | None = None
        self.heading.setToolTip("One slice of the open case, or of one of the set, as the next epochs would show it")
        self.heading.toggled.connect(self.refresh)
        self.choice.activated.connect(self._start_anew)
        self._session.case_opened.connect(self._case_opened)
        workspace.cases_changed.connect(self._offer)
        form.changed.connect(self.refresh)
        self._offer()
        self._show_nothing(NO_CASE)

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what changed while it was out of sight."""
        super().showEvent(event)
        self.refresh()

    def refresh(self, _change: object = None) -> None:
        """Ask for the pictures of the case and settings as they are, unless these are shown."""
        if not (self.isVisible() and self.heading.isChecked()):
            return
        case, chosen, folder = self._session.case, self.choice.currentData(), self._workspace.project_folder
        if chosen is None:
            self._forget()
            self._show_nothing(NO_CASE)
            return
        try:
            config = self._form.config()
        except UserError:
            return  # the form says what is wrong; the pictures stay until it is mended
        if not config.augment:
            self._forget()
            self._show_nothing(OFF)
            return
        wanted = (chosen or id(case), self._first_epoch, *_matters(config))
        if wanted == self._asked:
            return
        self._forget()
        self._asked = wanted
        if not self.grid.pictures:
            show_words(self.words, "Distorting a slice…")
        if case is not None and chosen == OPEN_CASE:
            job = ask_pictures(case, config, self._first_epoch)
        elif folder is not None:
            job = ask_stored_pictures(folder, chosen, config, self._first_epoch)
        else:
            return
        self._job = job
        job.succeeded.connect(lambda made: self._show(job, made))
        job.failed.connect(lambda error: self._failed(job, error))

    # ------------------------------------------------------------------ inside

    def _offer(self, _change: object = None) -> None:
        """List the open case and those of the set, people who train first; a choice is kept while it is there."""
        case = self._session.case
        mine = [c for c in self._workspace.cases if c.in_training_set and not (case and c.case_id == case.case_id)]
        mine.sort(key=lambda c: c.part not in ("train", ""))
        entries = [(f"{case.title} (open)", OPEN_CASE)] if case else []
        entries += [(c.title, c.case_id) for c in mine]
        before = [(self.choice.itemText(i), self.choice.itemData(i)) for i in range(self.choice.count())]
        if entries != before:
            kept = self.choice.currentData()
            self.choice.clear()
            for title, case_id in entries:
                self.choice.addItem(title, case_id)
            self.choice.setCurrentIndex(max(self.choice.findData(kept), 0) if entries else -1)
            if self.choice.currentData() != kept:
                self._start_anew()
        self.choice.setVisible(len(entries) > 1)

    def _case_opened(self, _case: object) -> None:
        self._offer()
        if self._session.case is not None:
            self.choice.setCurrentIndex(0)
        self._start_anew()

    def _start_anew(self, _index: int = 0) -> None:
        self._forget()
        self._first_epoch = 1
        self._show_nothing(NO_CASE if self.choice.currentData() is None else "")
        self.refresh()

    def _show_others(self) -> None:
        self._first_epoch += PICTURES
        self.refresh()

    def _forget(self) -> None:
        """Whatever is under way is no longer wanted."""
        self._asked = None
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def _show(self, job: Job, made: AugmentPictures) -> None:
        if job is not self._job:
            return
        self._job = None
        self.grid.show_pictures(tuple(_image(picture) for picture in made.pictures))
        last = made.first_epoch + len(made.pictures) - 1
        said = [f"{made.title}, slice {made.index + 1} of {made.slices}, in epochs {made.first_epoch} to {last}."]
        if not made.drawn:
            said.append("Nothing is drawn on it yet.")
        elif not made.reviewed:
            said.append("It is not reviewed, so it would not train yet.")
        show_words(self.words, " ".join(said))
        self.grid.show()
        self.others.show()

    def _failed(self, job: Job, error: Exception) -> None:
        if job is self._job:
            self._job = None
            self._show_nothing(str(error))

    def _show_nothing(self, why: str) -> None:
        self.grid.show_pictures(())
        self.grid.hide()
        self.others.hide()
        show_words(self.words, why)


def _matters(config: "TrainConfig") -> tuple[object, ...]:
    return (config.seed, config.input_size, config.spacing_mm, config.levels)


def _image(picture: Picture) -> QImage:
    height, width, _ = picture.shape
    return QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
