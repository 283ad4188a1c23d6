"""A case: one person's visit, its series, and the mask one reader works on."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from thighview.core.history import History
from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap
from thighview.core.review import SliceReview, SliceState
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume


@dataclass
class Series:
    """One image of a case and where it came from.

    ``role`` says what it shows (``image``, ``water``, ``fat``, ...); ``volume`` is None until it is read; ``part`` is
    that of its :class:`ScanKey`.
    """

    series_id: int
    role: str
    path: Path
    sha256: str
    volume: Volume | None = None
    part: str = ""

    @property
    def key(self) -> ScanKey:
        """What it is opened by."""
        return ScanKey(self.path, self.part)


@dataclass
class Case:
    """What is open: series on one reference grid, and one reader's mask with its history.

    ``labels`` (the label map) has the shape of the reference series. ``reviews`` has one entry per slice of the
    stored slice axis (array axis 0). Only ``app.Session`` changes a case. ``warnings`` are
    sentences about what could not be restored when the case was loaded.
    """

    case_id: int
    subject: str
    title: str
    series: list[Series]
    labels: LabelMap
    table: LabelTable = field(default_factory=LabelTable)
    reviews: list[SliceReview] = field(default_factory=list)
    history: History = field(default_factory=History)
    reader_id: int = 1
    visit: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.reviews:
            self.reviews = [SliceReview() for _ in range(self.labels.shape[0])]

    @property
    def volume(self) -> Volume:
        """The reference image: the first series."""
        volume = self.series[0].volume
        if volume is None:
            raise ValueError("the reference series of this case has not been read")
        return volume

    @property
    def missing(self) -> frozenset[int]:
        """Slices that are not in the files of the scan: nothing can be said of them, and no model learns from them."""
        volume = self.series[0].volume
        return frozenset(volume.missing if volume else ())

    def is_blank(self, index: int) -> bool:
        """Whether nothing is drawn on a slice and no model has been asked about it."""
        return not self.reviews[index].model_beneath and not self.labels[index].any()

    def opened_slices(self) -> tuple[int, ...]:
        """Slices that hold what a file of masks brought, which no hand has touched since and nobody has reviewed."""
        waiting = {i for i, review in enumerate(self.reviews) if review.state is SliceState.EDITING}
        found = set[int]()
        for edit in reversed(self.history.edits[: self.history.done]):
            if not waiting:
                break
            touched = waiting & {change.slice_index for change in edit.reviews}
            waiting -= touched
            if edit.tool == "import":
                found |= touched
        return tuple(sorted(index for index in found if self.labels[index].any()))

    @staticmethod
    def of(volume: Volume, path: Path, sha256: str = "", subject: str = "", part: str = "") -> "Case":
        """A fresh case around one volume, with an empty mask."""
        empty = np.zeros(volume.shape, np.uint8)
        return Case(0, subject or volume.name, volume.name, [Series(0, "image", path, sha256, volume, part)], empty)
