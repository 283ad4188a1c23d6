"""What goes with a mask file says of it: who drew each slice, and whether a person has called it right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thighview.core.placing import Fit
from thighview.core.resampling import nearest
from thighview.core.review import SliceReview, SliceState
from thighview.core.volume import Volume

_STATES = {state.word: state for state in SliceState}
_OF_A_MODEL = (SliceState.MODEL, SliceState.ACCEPTED, SliceState.CORRECTED)


@dataclass(frozen=True)
class Provenance:
    """What is said of a mask file, by the file beside it.

    Parameters
    ----------
    reviews : tuple of SliceReview
        By slice of the file's slowest axis; empty where nothing is said slice by slice.
    by_model : bool
        Whether all of it is said to be a model's; counts where ``reviews`` is empty.
    mark : int
        Number in the file that stands on slices nobody has reviewed, whatever was drawn there; 0 without one.
    source : str
        Name of the file that says so.
    """

    reviews: tuple[SliceReview, ...] = ()
    by_model: bool = False
    mark: int = 0
    source: str = ""

    @property
    def whole(self) -> SliceReview:
        """The review of a slice of which no more is known than what is said of the file as a whole."""
        if self.reviews:
            return least(self.reviews)
        return SliceReview().after_model() if self.by_model else SliceReview(SliceState.DRAWN)

    def by_slice(self, count: int) -> tuple[SliceReview, ...]:
        """The review of each of ``count`` slices of the file."""
        return self.reviews if len(self.reviews) == count else (self.whole,) * count

    def on_scan(self, grid: Volume, fit: Fit | None, volume: Volume, by_index: bool = False) -> tuple[SliceReview, ...]:
        """The review of each slice of a scan; empty where nothing is said. A slice is no better than its worst part.

        Parameters
        ----------
        grid : Volume
            Where the mask lies as its file has it.
        fit : Fit, optional
            How its voxels lie among those of the scan; None where they lie between them.
        volume : Volume
            The scan.
        by_index : bool
            Whether the slices that are told of are those of the scan, in its order: the file may have fewer.
        """
        count = volume.shape[0]
        if not self.reviews:
            return (self.whole,) * count if self.by_model else ()
        if by_index:
            return self.by_slice(count)
        kinds = list(dict.fromkeys(self.reviews))
        if len(kinds) == 1 or len(self.reviews) != grid.shape[0]:
            return (self.whole,) * count
        codes = np.empty(grid.shape, np.uint8)
        codes[:] = np.array([1 + kinds.index(review) for review in self.reviews], np.uint8)[:, None, None]
        lying = fit.put(codes, volume.shape) if fit else nearest(codes, grid, volume)
        found = [[kinds[code - 1] for code in np.unique(plane).tolist() if code] for plane in lying]
        return tuple(least(some) if some else SliceReview() for some in found)

    def sentence(self, name: str, reviews: Sequence[SliceReview]) -> str:
        """What a person should know, of a mask of this name and the reviews it has on a scan; empty for nothing."""
        waiting = sum(not review.state.reviewed for review in reviews)
        if not waiting:
            return ""
        if not self.reviews:
            return f"{self.source} says that a model drew {name}: it counts as not reviewed until somebody has looked."
        return f"{self.source} says that nobody has reviewed {waiting} of {len(reviews)} slices of {name}."


def reviews_told(words: object, beneath: object = None) -> tuple[SliceReview, ...] | None:
    """Reviews of slices written as words, with the indices of those that a model drew first; None if it is no such."""
    listed = [] if beneath is None else beneath
    if not isinstance(words, list) or not isinstance(listed, list):
        return None
    if not all(isinstance(word, str) and word in _STATES for word in words):
        return None
    states = [_STATES[word] for word in words]
    return tuple(SliceReview(state, state in _OF_A_MODEL or i in listed) for i, state in enumerate(states))


def slices_told(reviews: Sequence[SliceReview]) -> dict[str, list[str] | list[int]]:
    """Reviews as a file beside a mask has them: a word for each slice, and which slices a model drew first."""
    return {
        "slices": [review.state.word for review in reviews],
        "model_beneath": [index for index, review in enumerate(reviews) if review.model_beneath],
    }


def least(reviews: Iterable[SliceReview]) -> SliceReview:
    """The one of several that claims least: not reviewed before reviewed, and a model's if one of them is."""
    some = list(reviews)
    worst = min(some, key=lambda review: review.state)
    return replace(worst, model_beneath=any(review.model_beneath for review in some))
