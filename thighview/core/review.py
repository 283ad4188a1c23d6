"""Review: what is known of each slice, and how that changes."""

from dataclasses import dataclass, replace
from enum import IntEnum


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
    """State of one slice, and whether a model's output lies beneath what is there now."""

    state: SliceState = SliceState.UNSEEN
    model_beneath: bool = False

    def after_model(self) -> "SliceReview":
        """A model run wrote the slice."""
        return SliceReview(SliceState.MODEL, True)

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
        """One small number for storage: state + 8 if a model lies beneath."""
        return int(self.state) + (8 if self.model_beneath else 0)

    @staticmethod
    def from_code(code: int) -> "SliceReview":
        """The inverse of :attr:`code`."""
        return SliceReview(SliceState(code & 7), bool(code & 8))


@dataclass(frozen=True)
class ReviewChange:
    """One slice's review before and after an edit."""

    slice_index: int
    before: SliceReview
    after: SliceReview

    def reversed(self) -> "ReviewChange":
        """The change that takes this one back."""
        return ReviewChange(self.slice_index, self.after, self.before)
