"""What the network draws on one slice it does not learn from, epoch after epoch, beside what a person drew."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QSlider, QVBoxLayout, QWidget

from thighview.app.jobs import Job, run_in_thread
from thighview.core.errors import UserError
from thighview.core.labels import PALETTE
from thighview.ui.cards import row, show_words, words

LARGEST_EDGE = 2048
GAP_PX = 8
WIDE = 0.62
"""Pictures with a smaller ratio of height to width stand one above the other."""
IGNORE = 255
"""Truth of pixels that nobody has judged."""
BODY_LEVEL, BODY_SHARE = 0.18, 0.04
"""A line of pixels belongs to the body when this share of it is brighter than this part of white."""
SHADE = 0.42


@dataclass(frozen=True, eq=False)
class Preview:
    """The image under the truth and under the prediction, both uint8 RGB, shape (H, W, 3)."""

    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    is_validation: bool


class TwoPictures(QWidget):
    """Two pictures, each with a line above it: side by side, or one above the other when they are wide."""

    def __init__(self) -> None:
        super().__init__()
        self._pictures: tuple[QImage, ...] = ()
        self.captions = ("", "")
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_pictures(self, pictures: tuple[QImage, ...], captions: tuple[str, str]) -> None:
        """Show other pictures."""
        self._pictures, self.captions = pictures, captions
        self.updateGeometry()
        self.update()

    def hasHeightForWidth(self) -> bool:
        """The pictures keep their shape."""
        return True

    def heightForWidth(self, arg__1: int) -> int:
        """Height of the two pictures with their lines."""
        if self._shape() < WIDE:
            return 2 * (self._caption_height() + round(arg__1 * self._shape())) + GAP_PX
        return self._caption_height() + round((arg__1 - GAP_PX) / 2 * self._shape())

    def sizeHint(self) -> QSize:
        """As for a panel of the usual width."""
        return QSize(320, self.heightForWidth(320))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw both."""
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            wide, top = self._shape() < WIDE, self._caption_height()
            width = float(self.width()) if wide else (self.width() - GAP_PX) / 2
            height = width * self._shape()
            for index, picture in enumerate(self._pictures):
                left = 0.0 if wide else index * (width + GAP_PX)
                above = index * (top + height + GAP_PX) if wide else 0.0
                painter.setPen(QColor("#9aa4b1"))
                painter.drawText(
                    QRectF(left, above, width, top - 4), Qt.AlignmentFlag.AlignVCenter, self.captions[index]
                )
                painter.drawImage(QRectF(left, above + top, width, height), picture)

    def _shape(self) -> float:
        if not self._pictures:
            return 1.0
        return min(2.0, self._pictures[0].height() / max(1, self._pictures[0].width()))

    def _caption_height(self) -> int:
        return self.fontMetrics().height() + 6


class RunPreview(QWidget):
    """The preview files of a run, read away from the window's thread; follows the newest unless moved back."""

    failed = Signal(object)
    """A preview that cannot be read."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        self.pictures = TwoPictures()
        column.addWidget(self.pictures)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("Earlier epochs: watch it learn")
        self.slider.valueChanged.connect(self._slid)
        self.epoch_words = words("", "muted", wrap=False)
        column.addLayout(row(self.slider, self.epoch_words, stretch=0))
        self.note = words("", "muted")
        column.addWidget(self.note)
        self._files: dict[int, Path] = {}
        self._wanted: int | None = None
        self._job: Job | None = None
        self._person = "as drawn"
        self.clear()

    def clear(self) -> None:
        """Forget the run shown."""
        self._files, self._wanted = {}, None
        if self._job is not None:
            self._job.cancel()
            self._job = None
        self.hide()

    def add_epoch(self, epoch: int, path: Path, on_phantom: bool = False) -> None:
        """There is a picture of another epoch; it is shown unless the person looks at an earlier one."""
        follow = not self._files or self.slider.value() == self.slider.maximum()
        self._files[epoch] = path
        self._person = "the truth (made-up thigh)" if on_phantom else "as drawn"
        self.slider.blockSignals(True)
        self.slider.setRange(min(self._files), max(self._files))
        if follow:
            self.slider.setValue(max(self._files))
        self.slider.blockSignals(False)
        self.slider.setVisible(len(self._files) > 1)
        if follow:
            self._want(epoch)

    def _slid(self, epoch: int) -> None:
        if self._files:
            self._want(min(self._files, key=lambda e: abs(e - epoch)))

    def _want(self, epoch: int) -> None:
        self._wanted = epoch
        if self._job is None:
            self._read()

    def _read(self) -> None:
        epoch = self._wanted
        if epoch is None or epoch not in self._files:
            return
        self._wanted = None
        path = self._files[epoch]
        job = self._job = run_in_thread(lambda _report, _stopped: read_preview(path), lane="preview")
        job.succeeded.connect(lambda read: self._show(job, epoch, read))
        job.failed.connect(lambda error: show_words(self.note, str(error)))
        job.ended.connect(lambda: self._ended(job))

    def _ended(self, job: Job) -> None:
        if job is self._job:
            self._job = None
            self._read()

    def _show(self, job: Job, epoch: int, read: Preview) -> None:
        if job is not self._job:
            return
        self.pictures.show_pictures((_image(read.truth), _image(read.prediction)), (self._person, "network"))
        self.epoch_words.setText(f"epoch {epoch}")
        show_words(self.note, "" if read.is_validation else "There is no validation slice: this one is learnt from.")
        self.show()


def read_preview(path: Path) -> Preview:
    """Read ``epoch_NNN.npz``: ``image``, ``truth``, ``prediction`` (each (H, W)) and, where there, ``colours`` (C, 3).

    Raises
    ------
    UserError
        When it is not there or not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            image, truth, prediction = (np.squeeze(stored[name]) for name in ("image", "truth", "prediction"))
            colours = np.asarray(stored.get("colours", [(0, 0, 0), *PALETTE]), np.float32)
            is_validation = bool(stored["is_validation"]) if "is_validation" in stored else True
        if image.ndim != 2 or max(image.shape) > LARGEST_EDGE or not truth.shape == prediction.shape == image.shape:
            raise ValueError("pictures of different shapes")
        if colours.ndim != 2 or colours.shape[1] != 3 or len(colours) < 2:
            raise ValueError("no colours")
        grey = _grey(np.asarray(image, np.float32))
        body = _body(grey)
        grey, truth, prediction = grey[body], truth[body], prediction[body]
    except FileNotFoundError as error:
        raise UserError("There is no picture of this epoch.") from error
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f"The picture of this epoch cannot be read: {error}.") from error
    return Preview(_coloured(grey, truth, colours), _coloured(grey, prediction, colours), is_validation)


def _grey(image: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.percentile(image, (1.0, 99.5))
    return np.clip((image - low) / max(float(high - low), 1e-6), 0.0, 1.0).astype(np.float32)


def _body(grey: NDArray[np.float32]) -> tuple[slice, slice]:
    """The part of the picture that is not empty ground, with a margin of 4 % of it; all where there is no ground."""
    inside = grey > BODY_LEVEL
    cut: list[slice] = []
    for axis, length in enumerate(grey.shape):
        share = inside.mean(axis=1 - axis)
        hit = np.flatnonzero(share > BODY_SHARE)
        low, high = (int(hit[0]), int(hit[-1]) + 1) if hit.size else (0, length)
        margin = max(2, round(0.04 * (high - low)))
        cut.append(slice(max(0, low - margin), min(length, high + margin)))
    return (cut[0], cut[1])


def _coloured(grey: NDArray[np.float32], classes: NDArray[Any], colours: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey levels with a colour over each class but background (0) and not judged (255)."""
    values = classes.astype(np.int64)
    drawn = (values > 0) & (values != IGNORE)
    colour = (colours / 255.0)[np.where(drawn, (values - 1) % (len(colours) - 1) + 1, 0)]
    share = np.where(drawn, SHADE, 0.0)[..., None]
    mixed = grey[..., None] * (1.0 - share) + colour * share
    return np.ascontiguousarray(np.rint(mixed * 255.0).astype(np.uint8))


def _image(array: NDArray[np.uint8]) -> QImage:
    height, width, _ = array.shape
    return QImage(array.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
