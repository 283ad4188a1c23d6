"""Who made the labels of a mask: a model, a hand, a file of masks, or several of them."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from thighview.core.case import Case
from thighview.core.history import Edit, model_of_step
from thighview.core.mask import LabelMap, painted_values
from thighview.core.review import SliceState


@dataclass(frozen=True)
class Origin:
    """How what is there of one label came about.

    Parameters
    ----------
    models : tuple of str
        Models that drew it on some slice where their work, corrected or not, still stands; an empty name where it is
        not known which.
    by_hand : bool
        Whether a hand drew or corrected it.
    from_file : bool
        Whether some of it was opened from a file of masks that does not say who made it.
    """

    models: tuple[str, ...] = ()
    by_hand: bool = False
    from_file: bool = False

    @property
    def kind(self) -> str:
        """``automatic``, ``semiautomatic`` or ``manual``, in the sense of DICOM (PS3.3, C.8.20.4)."""
        if not self.models and not self.from_file:
            return "manual"
        return "semiautomatic" if self.by_hand or self.from_file else "automatic"

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "kind": self.kind,
            "models": list(self.models),
            "by_hand": self.by_hand,
            "from_file": self.from_file,
        }


def label_origins(case: Case) -> dict[int, Origin]:
    """The origin of every label that is painted, by its value in the mask; from the history and the slice states.

    What is there from before the history (cases that were imported) is a hand's, except on slices with a model beneath.
    A model run that writes a slice makes an end of what was there before.
    """
    mask = case.labels.copy()
    done = case.history.edits[: case.history.done]
    for edit in reversed(done):
        for patch in edit.reversed().patches:
            patch.apply(mask)
    made = _Makers()
    for index, plane in enumerate(mask):
        for value in np.unique(plane).tolist():
            if case.reviews[index].model_beneath:
                made.models[value].setdefault(index, "")
            else:
                made.hands[value].add(index)
    for edit in done:
        made.follow(edit, mask)
    return {value: made.origin(value) for value in painted_values(mask).tolist() if value}


@dataclass
class _Makers:
    """By label value: the slices of each maker, and the model that drew a slice."""

    models: dict[int, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    hands: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    files: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def follow(self, edit: Edit, mask: LabelMap) -> None:
        """Take in one edit, and apply it to the mask as it was before."""
        if edit.tool == "model":
            for patch in edit.patches:
                patch.apply(mask)
            slices = {change.slice_index for change in edit.reviews} | {
                index for patch in edit.patches for index in patch.region.along(0)
            }
            for index in slices:
                for makers in (self.models, self.hands, self.files):
                    for known in makers.values():
                        known.pop(index, None) if isinstance(known, dict) else known.discard(index)
                for value in np.unique(mask[index]).tolist():
                    self.models[value][index] = model_of_step(edit.name)
            return
        of_model = {c.slice_index for c in edit.reviews if c.after.state is SliceState.MODEL}
        for patch in edit.patches:
            before = mask[patch.region.slices].copy()
            patch.apply(mask)
            after = mask[patch.region.slices]
            for index, old, new in zip(patch.region.along(0), before, after, strict=True):
                changed = old != new
                won = set(np.unique(new[changed]).tolist())
                if edit.tool == "import":
                    for value in won:
                        if index in of_model:  # the file said that it was one, not which
                            self.models[value].setdefault(index, "")
                        else:
                            self.files[value].add(index)
                else:
                    for value in won | set(np.unique(old[changed]).tolist()):
                        self.hands[value].add(index)

    def origin(self, value: int) -> Origin:
        """What is known of one label."""
        names = tuple(dict.fromkeys(self.models[value].values()))
        return Origin(names, bool(self.hands[value]), bool(self.files[value]))
