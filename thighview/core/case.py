"""A case: one person's visit, its series, and the mask one reader works on."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thighview.core.history import History
from thighview.core.known import lengths_known, need_lengths, sides_known
from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap
from thighview.core.review import SliceReview, SliceState, teaching
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume


@dataclass
class Series:
    """One image of a case and where it came from.

    ``role`` says what it shows, one of ``image_roles.ROLES``; ``volume`` is None until it is read; ``part`` is that of
    its :class:`ScanKey`. ``on_grid`` is the image on the grid of the case: the volume itself, where it lies on that;
    ``measured`` says where on it something was measured, bool (z, y, x), None for everywhere. ``problem`` says why it
    could not be read.
    """

    series_id: int
    role: str
    path: Path
    sha256: str
    volume: Volume | None = None
    part: str = ""
    on_grid: Volume | None = None
    measured: NDArray[np.bool_] | None = None
    problem: str = ""

    @property
    def title(self) -> str:
        """Its name, for people."""
        return self.volume.name if self.volume and self.volume.name else self.key.name

    @property
    def key(self) -> ScanKey:
        """What it is opened by."""
        return ScanKey(self.path, self.part)


@dataclass
class Case:
    """What is open: series around one reference grid, and one reader's mask with its history.

    The first of ``series`` is the reference; the others are shown on its grid, and ``computed`` holds images made of
    them, whose ``series_id`` is negative. ``image_doubts`` is what their comparison found, ``dixon`` the voxels of
    water and fat (z, y, x), both 0 where one of the two was not measured. ``labels`` (the label map)
    has the shape of the reference. ``reviews`` has one entry per slice of the stored slice axis (array axis 0).
    ``warnings`` are sentences about what could not be restored when it was loaded;
    ``checked`` are those of :attr:`doubts` that a person has looked into. Only ``app.Session`` changes a case.
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
    computed: tuple[Series, ...] = ()
    image_doubts: tuple[str, ...] = ()
    dixon: tuple[NDArray[np.generic], NDArray[np.generic]] | None = None
    checked: frozenset[str] = frozenset()

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
    def images(self) -> tuple[Series, ...]:
        """All that can be looked at: the series, then what was computed of them."""
        return (*self.series, *self.computed)

    def image(self, series_id: int) -> Volume | None:
        """An image on the grid of the case; 0 is the reference. None where it is not there, or not read yet."""
        if series_id == 0:
            return self.volume
        return next((one.on_grid for one in self.images if one.series_id == series_id), None)

    @property
    def dixon_pair(self) -> tuple[Series, Series] | None:
        """The water and the fat image; None where one is not there, there twice, or not read yet."""
        found = [[one for one in self.series if one.role == role] for role in ("water", "fat")]
        if any(len(own) != 1 for own in found):
            return None
        (water,), (fat,) = found
        read = all(one is self.series[0] or one.on_grid is not None for one in (water, fat))
        return (water, fat) if read else None

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is doubtful: about the image, the mask, what the images say of each other."""
        images = [one for one in self.series[1:] if one.on_grid]
        added = [f"{one.title}: {doubt}" for one in images for doubt in (one.on_grid.warnings if one.on_grid else ())]
        return (*self.volume.warnings, *self.warnings, *self.model_doubts, *added, *self.image_doubts)

    @property
    def model_doubts(self) -> tuple[str, ...]:
        """What is doubtful of what models drew, until it is undone, or all its slices are drawn anew or opened."""
        found: list[str] = []
        anew = set[int]()
        for edit in reversed(self.history.edits[: self.history.done]):
            if edit.tool in ("model", "import"):
                slices = {change.slice_index for change in edit.reviews}
                found += edit.doubts if slices - anew else ()
                anew |= slices
        return tuple(dict.fromkeys(found))

    @property
    def open_doubts(self) -> tuple[str, ...]:
        """Those that nobody has looked into."""
        return tuple(doubt for doubt in self.doubts if doubt not in self.checked)

    @property
    def is_placed(self) -> bool:
        """Whether left and right are known: from the file, or because a person has checked them."""
        return sides_known(self.volume, self.checked)

    @property
    def is_sized(self) -> bool:
        """Whether the size of a voxel is known, likewise; a case where it is not can only be looked at."""
        return lengths_known(self.volume, self.checked)

    @property
    def checked_volume(self) -> Volume:
        """The reference image for a file of its own: unsure only of what nobody has checked."""
        known = {"orientation": self.is_placed, "spacing": self.is_sized}
        return replace(self.volume, unsure=frozenset(what for what in self.volume.unsure if not known[what]))

    def need_sized(self) -> None:
        """Raise :class:`UserError` where the case can only be looked at."""
        need_lengths(self.volume, self.checked, in_project=True)

    @property
    def missing(self) -> frozenset[int]:
        """Slices that are not in the files of the scan: nothing can be said of them, and no model learns from them."""
        volume = self.series[0].volume
        return frozenset(volume.missing if volume else ())

    @property
    def teaching(self) -> tuple[SliceReview, ...]:
        """Reviews of the slices by which they may teach a model: of a slice that is missing nothing can be said."""
        return teaching(self.reviews, self.missing)

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
