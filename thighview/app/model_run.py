"""A model run while it fills slices: what was there before, and whose slices it must leave alone."""

from collections.abc import Iterable

from thighview.core.case import Case
from thighview.core.history import Edit
from thighview.core.mask import LabelMap, Patch, Region
from thighview.core.review import ReviewChange, SliceReview


class ModelRun:
    """Fills slices of a case; becomes one Edit, or leaves no trace.

    ``before`` holds label map and review of each slice filled and not yet in the history; ``touched`` the slices
    a person has had a hand on since the run began, which it never writes.
    """

    def __init__(self, name: str, case: Case) -> None:
        self.name = name
        self.before: dict[int, tuple[LabelMap, SliceReview]] = {}
        self.touched: set[int] = set()
        self._case = case

    def free_slices(self) -> list[int]:
        """Slices the run may write: neither reviewed nor being edited."""
        return [i for i, review in enumerate(self._case.reviews) if not review.state.protected]

    def fill(self, index: int, labels: LabelMap) -> bool:
        """Write one slice (y, x); False where a person's work is left alone."""
        case = self._case
        review = case.reviews[index]
        if index in self.touched or review.state.protected:
            return False
        self.before.setdefault(index, (case.labels[index].copy(), review))
        case.labels[index] = labels
        case.reviews[index] = review.after_model()
        return True

    def adopt(self, slices: Iterable[int]) -> Edit | None:
        """The step of the slices among these that the run has filled: a person is about to work on top of them."""
        mine = sorted(set(slices) & self.before.keys())
        self.touched.update(slices)
        return self.edit(mine)

    def edit(self, slices: Iterable[int]) -> Edit | None:
        """The step of these filled slices; they no longer belong to the run afterwards."""
        patches: list[Patch] = []
        reviews: list[ReviewChange] = []
        for index in slices:
            labels, review = self.before.pop(index)
            y, x = labels.shape
            now = self._case.labels[index]
            patch = Patch.between(Region(index, index + 1, 0, y, 0, x), labels[None], now[None])
            if patch:
                patches.append(patch)
            reviews.append(ReviewChange(index, review, self._case.reviews[index]))
        return Edit(self.name, "model", tuple(patches), tuple(reviews)) if reviews else None

    def roll_back(self) -> list[int]:
        """Put every filled slice back; returns their indices."""
        for index, (labels, review) in self.before.items():
            self._case.labels[index] = labels
            self._case.reviews[index] = review
        return sorted(self.before)
