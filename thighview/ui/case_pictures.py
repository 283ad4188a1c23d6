"""The locked people on whom a new model errs most: its slice beside that of the old one, the truth as an outline."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QVBoxLayout, QWidget

from thighview.app.jobs import run_in_thread
from thighview.core.comparing import PersonPair
from thighview.io.case_pictures import CasePicture, read_pictures
from thighview.ui.cards import show_words, words
from thighview.ui.run_preview import TwoPictures

MOST_SHOWN = 3
SHADE = 0.4
MARGIN_PX = 6


class WorstCases(QWidget):
    """Reads its pictures when it is first looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        self.note = words("", "muted")
        self._column.addWidget(self.note)
        self._wanted: tuple[Path, tuple[PersonPair, ...]] | None = None
        self._shown: object = None
        self.pictures: list[TwoPictures] = []

    def want(self, folder: Path, people: Sequence[PersonPair]) -> None:
        """What to show when it is looked at: pictures of these people, the first ones of them."""
        self._wanted = (folder, tuple(people[:MOST_SHOWN]))
        if self.isVisible():
            self.read()

    def read(self) -> None:
        """Read the pictures, unless they are shown."""
        wanted = self._wanted
        if wanted is None or wanted == self._shown:
            return
        self._shown = wanted
        show_words(self.note, "Reading the pictures…")
        folder, people = wanted

        def work(_report: object, _stopped: object) -> list[tuple[PersonPair, CasePicture, QImage, QImage]]:
            found = read_pictures(folder)
            chosen = [(p, c) for p in people for c in found if c.subject == p.subject][:MOST_SHOWN]
            return [(p, c, _image(painted(c, c.old)), _image(painted(c, c.new))) for p, c in chosen]

        job = run_in_thread(work, lane="preview")
        job.succeeded.connect(lambda read: self._show(wanted, read))
        job.failed.connect(lambda error: show_words(self.note, str(error)))

    def _show(self, wanted: object, read: list[tuple[PersonPair, CasePicture, QImage, QImage]]) -> None:
        if wanted != self._wanted:
            return
        while self._column.count() > 1:
            item = self._column.takeAt(1)
            widget = item.widget() if item else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self.pictures = []
        show_words(self.note, "White: the outline of the truth." if read else "There are no pictures of these people.")
        for person, case, old, new in read:
            self._column.addWidget(words(f"{case.title} · slice {case.index + 1}"))
            both = TwoPictures()
            both.show_pictures((old, new), (f"old, Dice {100 * person.old:.1f}", f"new, Dice {100 * person.new:.1f}"))
            self._column.addWidget(both)
            self.pictures.append(both)


def painted(case: CasePicture, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The slice in grey, uint8 RGB (h, w, 3), cut to the body: the mask in its colours, the truth outlined in white.

    Pixels are square: the coarser direction is drawn larger.
    """
    drawn = (mask > 0)[..., None]
    grey = np.repeat(case.image[..., None], 3, axis=2).astype(np.float32)
    mixed = np.where(drawn, grey * (1 - SHADE) + case.colours[mask] * SHADE, grey)
    edge = np.zeros(mask.shape, bool)
    edge[1:] |= case.truth[1:] != case.truth[:-1]
    edge[:, 1:] |= case.truth[:, 1:] != case.truth[:, :-1]
    mixed[edge] = 255
    body = (case.image > 40) | (case.truth > 0)
    where = np.argwhere(body) if body.any() else np.argwhere(np.ones_like(body))
    (top, left), (bottom, right) = np.maximum(where.min(axis=0) - MARGIN_PX, 0), where.max(axis=0) + 1 + MARGIN_PX
    picture = np.rint(mixed[top:bottom, left:right]).astype(np.uint8)
    down, along = case.spacing_mm
    finest = min(down, along)
    rows, columns = (
        np.minimum((np.arange(round(n * mm / finest)) * finest / mm).astype(int), n - 1)
        for n, mm in zip(picture.shape[:2], (down, along), strict=True)
    )
    return np.ascontiguousarray(picture[rows][:, columns])


def _image(array: NDArray[np.uint8]) -> QImage:
    height, width, _ = array.shape
    return QImage(array.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
