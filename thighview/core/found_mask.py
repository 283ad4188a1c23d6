"""A mask that was read, on the voxels of the scan, with what a person must settle before it is taken."""

from dataclasses import dataclass, replace

from thighview.core.errors import UserError
from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap
from thighview.core.overlaps import Overlap, flatten, keep_values
from thighview.core.resampling import GridChange
from thighview.core.review import SliceReview, SliceState

HOW = ("first", "last")
"""What of several labels on one voxel may win: the one named first in the file, or last."""


@dataclass(frozen=True)
class MaskWish:
    """What a person wants of a mask that does not simply fit.

    Parameters
    ----------
    resample : bool
        Carry it over to the scan's grid by nearest neighbours.
    order : tuple of int
        Values of its labels, the one that wins where labels overlap first.
    only : int
        Value of the one label to take; 0 for all of them.
    """

    resample: bool = False
    order: tuple[int, ...] = ()
    only: int = 0


@dataclass(frozen=True, eq=False)
class FoundMask:
    """What a mask file holds, on the scan's voxels.

    Parameters
    ----------
    name : str
        Of the file.
    layers : tuple of ndarray of uint8, shape (z, y, x) of the scan
        Values of the table's labels; several only where labels overlap.
    table : LabelTable
        Every label of the file.
    order : tuple of int
        Values of the labels in the order of the file.
    grid : GridChange or None
        What carrying it over to the scan has changed; None where it lies on the scan's voxels as it is.
    overlaps : tuple of Overlap
        Labels that share voxels.
    automatic : frozenset of int
        Values of labels which, so the file says, no hand has drawn.
    notes : tuple of str
        What a person should know, one sentence each.
    said : tuple of SliceReview
        What is said of each slice of the scan; empty where nothing is said.
    scan : str
        Title of the scan, to tell it from others; empty where there is but one.
    """

    name: str
    layers: tuple[LabelMap, ...]
    table: LabelTable
    order: tuple[int, ...]
    grid: GridChange | None = None
    overlaps: tuple[Overlap, ...] = ()
    automatic: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()
    said: tuple[SliceReview, ...] = ()
    scan: str = ""

    @property
    def is_clear(self) -> bool:
        """Whether there is nothing to be settled."""
        return self.grid is None and not self.overlaps

    def settled(self, wish: MaskWish | None = None) -> tuple[LabelMap, LabelTable]:
        """One label map and its table, as the person wants it.

        Raises
        ------
        UserError
            When something would have to be guessed: another grid, or an overlap that nobody has decided.
        """
        wish = wish or MaskWish()
        if self.grid and not wish.resample:
            raise other_grid(self.name, str(self.grid))
        if wish.only:
            table = LabelTable(tuple(label for label in self.table if label.value == wish.only))
            return flatten(keep_values(self.layers, (wish.only,)), (wish.only,)), table
        if self.overlaps and not wish.order:
            raise overlapping(self.name, self.overlaps)
        if len(self.layers) == 1:
            return self.layers[0], self.table
        return flatten(self.layers, wish.order or self.order), self.table

    def reviews(self, labels: LabelMap, table: LabelTable) -> tuple[SliceReview, ...]:
        """What has happened to each slice of a mask made by :meth:`settled`, by all that is known of its file.

        What is said slice by slice counts; else all of it is a model's where an algorithm drew one of its labels, and
        a hand's where nothing is said. What is drawn on a slice that is said to be empty is somebody's beginning.
        """
        if not self.said:
            automatic = any(label.value in self.automatic for label in table)
            return (SliceReview().after_model() if automatic else SliceReview(SliceState.DRAWN),) * labels.shape[0]
        begun = (SliceState.UNSEEN, SliceState.EDITING)
        return tuple(
            replace(review, state=begun[bool(plane.any())]) if review.state is SliceState.UNSEEN else review
            for review, plane in zip(self.said, labels, strict=True)
        )

    def ordered(self, how: str) -> tuple[int, ...]:
        """The order in which labels win: ``first`` or ``last`` of the file; none for anything else."""
        return {"first": self.order, "last": self.order[::-1]}.get(how, ())


def other_grid(name: str, difference: str) -> UserError:
    """The refusal of a mask that does not lie on the scan's voxels."""
    return UserError(
        f"{name} lies on another grid than the scan: {difference}.",
        "Open the scan it was drawn on, or have it resampled: the window asks, the command line takes --resample.",
    )


def overlapping(name: str, overlaps: tuple[Overlap, ...]) -> UserError:
    """The refusal of a mask in which labels lie over each other."""
    listed = "; ".join(map(str, overlaps[:4])) + (f"; and {len(overlaps) - 4} more" if len(overlaps) > 4 else "")
    return UserError(
        f"Labels of {name} overlap, and a voxel has one label: {listed}.",
        "Say which wins: the window asks, the command line takes --overlaps first or --overlaps last.",
    )
