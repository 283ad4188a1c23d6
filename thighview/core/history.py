"""Undo and redo: a list of edits and a place in it."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from thighview.core.mask import LabelMap, Patch, values_in
from thighview.core.review import ReviewChange


@dataclass(frozen=True)
class Edit:
    """One step a person can take back: a change of the mask, of slice reviews, or of both.

    Parameters
    ----------
    name : str
        What to call it: ``Brush · muscle left · slice 12``, ``Segment · thigh_tissues``, ``Accept slice 12``.
    tool : str
        What made it: ``brush``, ``eraser``, ``polygon``, ``fill``, ``model``, ``import``, ``review``.
    patches : tuple of Patch
        The mask's change: one box for a stroke, one per slice for a model run or an import, none for a pure
        review step. Boxes of one edit never overlap, so their order does not matter.
    reviews : tuple of ReviewChange
        Slices (indices along the case's slice axis) whose state changed with it.
    doubts : sequence of str
        What is doubtful of what it drew, in sentences, known when the run has ended and the same for all its steps;
        the journal does not keep them.
    """

    name: str
    tool: str
    patches: tuple[Patch, ...] = ()
    reviews: tuple[ReviewChange, ...] = ()
    doubts: Sequence[str] = field(default=(), compare=False)

    def reversed(self) -> "Edit":
        """The edit that takes this one back."""
        return replace(
            self,
            patches=tuple(patch.reversed() for patch in self.patches),
            reviews=tuple(change.reversed() for change in self.reviews),
        )


@dataclass(frozen=True)
class HistoryState:
    """What a window shows of a history: the names in order, and how many of them are done."""

    names: tuple[str, ...] = ()
    done: int = 0

    @property
    def undo_name(self) -> str:
        """Name of the step that undo takes back; empty when there is none."""
        return self.names[self.done - 1] if self.done else ""

    @property
    def redo_name(self) -> str:
        """Name of the step that redo repeats; empty when there is none."""
        return self.names[self.done] if self.done < len(self.names) else ""


class History:
    """Unlimited undo and redo; memory grows with the changed voxels only."""

    def __init__(self) -> None:
        self._edits: list[Edit] = []
        self._done = 0

    @classmethod
    def restored(cls, edits: Iterable[Edit], done: int) -> "History":
        """A history as it was left: its edits, oldest first, of which the first ``done`` are applied."""
        history = cls()
        history._edits = list(edits)
        if not 0 <= done <= len(history._edits):
            raise ValueError(f"{done} of {len(history._edits)} edits cannot be done")
        history._done = done
        return history

    @property
    def edits(self) -> tuple[Edit, ...]:
        """Every edit that undo or redo can reach, oldest first."""
        return tuple(self._edits)

    @property
    def done(self) -> int:
        """How many of them are applied."""
        return self._done

    @property
    def state(self) -> HistoryState:
        """Names and place, for a window."""
        return HistoryState(tuple(edit.name for edit in self._edits), self._done)

    @property
    def size_bytes(self) -> int:
        """Memory of all patches."""
        return sum(patch.size_bytes for edit in self._edits for patch in edit.patches)

    def brought_back(self, values: Collection[int], labels: LabelMap, since: int = 0) -> set[int]:
        """Which of these values undo or redo can lead to a mask with; ``labels`` is the mask as it is now.

        The first ``since`` edits are known to hold none of them.
        """
        found = set[int]()
        back = [edit.reversed() for edit in reversed(self._edits[since : self._done])]
        for way in (back, self._edits[self._done :]):
            mask = labels.copy() if way else labels
            for edit in way:
                for patch in edit.patches:
                    patch.apply(mask)
                    found |= values_in(mask[patch.region.slices], values)
        return found

    def push(self, edit: Edit) -> None:
        """Add an edit that has just been applied; whatever was undone before it is gone."""
        del self._edits[self._done :]
        self._edits.append(edit)
        self._done += 1

    def undo(self) -> Edit | None:
        """Step back: the edit to apply (already reversed), or None at the beginning."""
        if self._done == 0:
            return None
        self._done -= 1
        return self._edits[self._done].reversed()

    def redo(self) -> Edit | None:
        """Step forward: the edit to apply, or None at the end."""
        if self._done == len(self._edits):
            return None
        self._done += 1
        return self._edits[self._done - 1]

    def peek_undo(self) -> Edit | None:
        """The edit that undo would take back, as it was made."""
        return self._edits[self._done - 1] if self._done else None

    def peek_redo(self) -> Edit | None:
        """The edit that redo would repeat."""
        return self._edits[self._done] if self._done < len(self._edits) else None


def step_name(model: str, redo: Collection[int] = ()) -> str:
    """What a run of a model is called in the history; ``redo`` are the slices handed over to it."""
    where = f" · slice {min(redo) + 1}" if len(redo) == 1 else ""
    return f"Segment · {model}{where}"


def model_of_step(name: str) -> str:
    """The model whose run a step of the history is, the inverse of :func:`step_name`; empty for any other step."""
    found = re.fullmatch(r"Segment (?:·|with) (.+?)(?: · slice \d+)?", name)  # "with": in projects of format 1
    return found.group(1) if found else ""
