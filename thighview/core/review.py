"""Review: what is known of each slice, and how that changes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from statistics import median

_THOUSANDTHS = 1000


class SliceState(IntEnum):
    """What has happened to the mask of a slice. Only reviewed slices ever train a model."""

    UNSEEN = 0
    MODEL = 1
    EDITING = 2
    ACCEPTED = 3
    CORRECTED = 4
    DRAWN = 5

    @property
    def reviewed(self) -> bool:
        """Whether a person has said that the mask is right."""
        return self >= SliceState.ACCEPTED

    @property
    def protected(self) -> bool:
        """Whether a model run must leave the slice alone."""
        return self >= SliceState.EDITING

    @property
    def word(self) -> str:
        """The state in one lower-case word."""
        return self.name.lower()


@dataclass(frozen=True)
class SliceReview:
    """State of one slice, and what is known of the model's output that lies beneath what is there now.

    Parameters
    ----------
    state : SliceState
        What has happened to the mask.
    model_beneath : bool
        Whether a model drew the slice before any hand did.
    uncertainty : float, optional
        How unsure that model was of it, 0 to 1 in thousandths; None where it did not say.
    """

    state: SliceState = SliceState.UNSEEN
    model_beneath: bool = False
    uncertainty: float | None = None

    def after_model(self, uncertainty: float | None = None) -> "SliceReview":
        """A model run wrote the slice, this unsure of it (0 to 1)."""
        unsure = None if uncertainty is None else round(min(max(uncertainty, 0.0), 1.0), 3)
        return SliceReview(SliceState.MODEL, True, unsure)

    def after_edit(self) -> "SliceReview":
        """A person changed the mask; a reviewed slice goes back to editing."""
        return replace(self, state=SliceState.EDITING)

    def after_accept(self) -> "SliceReview":
        """A person says the mask is right."""
        if self.state.reviewed:
            return self
        if not self.model_beneath:
            return replace(self, state=SliceState.DRAWN)
        edited = self.state is SliceState.EDITING
        return replace(self, state=SliceState.CORRECTED if edited else SliceState.ACCEPTED)

    def after_reopen(self) -> "SliceReview":
        """A person takes the acceptance back: an unedited slice is the model's again, any other is being edited."""
        if not self.state.reviewed:
            return self
        return replace(self, state=SliceState.MODEL if self.state is SliceState.ACCEPTED else SliceState.EDITING)

    @property
    def code(self) -> int:
        """One number below 65536: state, + 8 if a model lies beneath, + 16 x (1 + 1000 x its uncertainty) if known."""
        unsure = 0 if self.uncertainty is None else 1 + round(self.uncertainty * _THOUSANDTHS)
        return int(self.state) + (8 if self.model_beneath else 0) + 16 * unsure

    @staticmethod
    def from_code(code: int) -> "SliceReview":
        """The inverse of :attr:`code`."""
        unsure = code >> 4
        return SliceReview(SliceState(code & 7), bool(code & 8), (unsure - 1) / _THOUSANDTHS if unsure else None)


@dataclass(frozen=True)
class ReviewChange:
    """One slice's review before and after an edit."""

    slice_index: int
    before: SliceReview
    after: SliceReview

    def reversed(self) -> "ReviewChange":
        """The change that takes this one back."""
        return ReviewChange(self.slice_index, self.after, self.before)


def teaching(reviews: Sequence[SliceReview], missing: Collection[int] = ()) -> tuple[SliceReview, ...]:
    """Reviews by which slices may teach a model: those that are missing in the scan's files are reviewed by nobody."""
    return tuple(SliceReview() if i in missing else review for i, review in enumerate(reviews))


@dataclass(frozen=True)
class Doubts:
    """How unsure the model was of the slices it drew, and where to look first.

    Parameters
    ----------
    values : dict of int to float
        Uncertainty by slice, where a model's output lies beneath.
    lowest, middle, highest : float
        The least, the median and the greatest of them; 0 where there are none.
    first : frozenset of int
        Slices nobody has reviewed that it was less sure of than of most: more than a tenth above the median, or at
        least 0.5. The borders of one scan are much alike, so it is the difference that tells.
    """

    values: dict[int, float]
    lowest: float
    middle: float
    highest: float
    first: frozenset[int]

    @staticmethod
    def of(reviews: Sequence[SliceReview]) -> "Doubts":
        """Those of a case."""
        values = {i: r.uncertainty for i, r in enumerate(reviews) if r.model_beneath and r.uncertainty is not None}
        lowest, middle, highest = (of(values.values()) if values else 0.0 for of in (min, median, max))
        high = {i for i, value in values.items() if value > 1.1 * middle or value >= 0.5}
        return Doubts(values, lowest, middle, highest, frozenset(i for i in high if not reviews[i].state.reviewed))
