"""A model run while it fills slices: what was there before, and whose slices it must leave alone."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from thighview.core.case import Case
from thighview.core.history import Edit
from thighview.core.mask import LabelMap, Patch
from thighview.core.review import ReviewChange, SliceReview


@dataclass(frozen=True)
class _Filled:
    """A slice the run has written: what was there before, and the change (made at once, so that the end is quick)."""

    labels: LabelMap
    review: SliceReview
    patch: Patch | None


class ModelRun:
    """Fills slices of a case; becomes one Edit, or leaves no trace.

    ``touched`` are the slices a person has had a hand on since the run began, which it never writes. ``redo`` are
    slices being edited that a person hands over to it; where there are any, it may write no others. ``doubts`` about
    what it draws are told at its end and belong to all its steps, also those a person has worked on since.
    """

    def __init__(self, name: str, case: Case, redo: Collection[int] = ()) -> None:
        self.name = name
        self.doubts: list[str] = []
        self._redo = frozenset(redo)
        self.touched: set[int] = set()
        self._in_hand: frozenset[int] = frozenset()
        self._waiting: dict[int, tuple[LabelMap, float | None]] = {}
        self._case = case
        self._missing = case.missing
        self._filled: dict[int, _Filled] = {}

    @property
    def filled(self) -> list[int]:
        """Slices written and not yet in the history."""
        return sorted(self._filled)

    def free_slices(self) -> list[int]:
        """Slices the run may write: there at all, neither reviewed nor being edited, unless they were handed over."""
        return [i for i in range(len(self._case.reviews)) if self._may_write(i)]

    def fill(self, index: int, labels: LabelMap, uncertainty: float | None = None) -> bool:
        """Write one slice (y, x) of which the model is this unsure; False where a person's work is left alone."""
        case = self._case
        review = case.reviews[index]
        if index in self._in_hand:
            self._waiting[index] = (labels, uncertainty)
            return False
        if not self._may_write(index):
            return False
        if index in self._filled:  # written a second time: what counts is what was there before the run
            before, review = self._filled[index].labels, self._filled[index].review
        else:
            before = case.labels[index].copy()
        self._filled[index] = _Filled(before, review, Patch.of_slice(index, before, labels))
        case.labels[index] = labels
        case.reviews[index] = review.after_model(uncertainty)
        return True

    def _may_write(self, index: int) -> bool:
        state = self._case.reviews[index].state
        if index in self.touched or state.reviewed or index in self._missing:
            return False
        return index in self._redo if self._redo else not state.protected

    def adopt(self, slices: Iterable[int]) -> Edit | None:
        """The step of those of these slices that the run has filled: a person is about to work on top of them."""
        chosen = set(slices)
        self.touched |= chosen
        return self.edit(sorted(chosen & self._filled.keys()))

    def take_in_hand(self, slices: Iterable[int]) -> Edit | None:
        """Slices of a gesture that begins: what comes for them waits until it is known which of them it changes.

        Gives the step of those filled already, as :meth:`adopt` does.
        """
        chosen = set(slices)
        self._in_hand = frozenset(chosen - self.touched)
        return self.edit(sorted(chosen & self._filled.keys()))

    def let_go(self, changed: Collection[int]) -> list[tuple[int, LabelMap, float | None]]:
        """The gesture is over, and these slices are a person's now; gives what has come for the others meanwhile."""
        self.touched |= self._in_hand.intersection(changed)
        waited, self._waiting, self._in_hand = self._waiting, {}, frozenset()
        return [(index, *came) for index, came in waited.items() if index not in changed]

    @property
    def waiting(self) -> int:
        """How many slices have come for a gesture that is not over."""
        return len(self._waiting)

    def edit(self, slices: Iterable[int]) -> Edit | None:
        """The step of these filled slices; they no longer belong to the run afterwards."""
        done = [(index, self._filled.pop(index)) for index in slices]
        patches = tuple(filled.patch for _, filled in done if filled.patch)
        reviews = tuple(ReviewChange(index, f.review, self._case.reviews[index]) for index, f in done)
        return Edit(self.name, "model", patches, reviews, self.doubts) if reviews else None

    def roll_back(self) -> list[int]:
        """Put every filled slice back; returns their indices."""
        for index, filled in self._filled.items():
            self._case.labels[index] = filled.labels
            self._case.reviews[index] = filled.review
        return sorted(self._filled)
