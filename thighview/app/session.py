"""Session: the open case, the only thing that changes it, and the few signals that say so."""

from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from thighview.app.model_run import ModelRun
from thighview.app.open_edit import OpenEdit
from thighview.core.case import Case, Series
from thighview.core.errors import UserError
from thighview.core.history import Edit, HistoryState
from thighview.core.known import LOOK_ONLY
from thighview.core.label_use import need_unused, values_used
from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap, Patch, Region, changed_slices
from thighview.core.review import ReviewChange, SliceReview
from thighview.core.view import ViewState, auto_window, body_centre
from thighview.io.journal import JournalEntry


class Journal(Protocol):
    """Where entries go to last; ``app.store.Store`` is the one that writes them to disk."""

    def append(self, case_id: int, reader_id: int, entry: JournalEntry) -> None:
        """Take an entry in order; must return at once."""
        ...

    def set_table(self, case_id: int, table: LabelTable) -> None:
        """Keep a case's label table; must return at once."""
        ...


class Session(QObject):
    """The document of the window: at most one open case, how it is viewed, and every change of both.

    All methods are called on the GUI thread and return at once.
    """

    case_opened = Signal(object)
    """Case, or None when it was closed."""
    mask_changed = Signal(object)
    """Region: only this box needs repainting."""
    reviews_changed = Signal(object)
    """tuple of int: slices whose review state changed."""
    history_changed = Signal(object)
    """HistoryState: names of what undo and redo would do."""
    view_changed = Signal(object, object)
    """ViewState old, new: a view compares and touches only what differs."""
    labels_changed = Signal(object)
    """LabelTable."""
    images_changed = Signal(object)
    """Case: its list of images, a role, or what is read of them."""
    run_changed = Signal(bool)
    """Whether a model run is filling slices."""
    said = Signal(str)
    """A sentence for the status line; an empty one takes the last back."""
    refused = Signal(str)
    """Why what the hand just wished did nothing, to be said beside the work."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._case: Case | None = None
        self._journal: Journal | None = None
        self._view = ViewState()
        self._gesture: OpenEdit | None = None
        self._run: ModelRun | None = None
        self._windows: dict[int, tuple[float, float]] = {}

    # ------------------------------------------------------------------ what is open

    @property
    def case(self) -> Case | None:
        """The open case, or None. Read it freely, change it only through this object."""
        return self._case

    @property
    def view(self) -> ViewState:
        """How it is viewed."""
        return self._view

    @property
    def history(self) -> HistoryState:
        """Names of the steps, and how many are done."""
        return self._case.history.state if self._case else HistoryState()

    @property
    def busy_run(self) -> ModelRun | None:
        """The model run under way, or None."""
        return self._run

    def open(self, case: Case | None, journal: Journal | None = None) -> None:
        """Show a case and journal its edits; a gesture and a run on the case before are rolled back first."""
        if self._gesture:
            self._gesture.restore()
            self._gesture = None
        if self._run:
            self.end_run(keep=False)
        self._case, self._journal, self._windows = case, journal, {}
        old = self._view
        if case:
            values = [label.value for label in case.table]
            self._view = replace(
                old,
                cursor=body_centre(case.volume.voxels),
                window=auto_window(case.volume.voxels),
                hidden_labels=frozenset(),
                active_label=old.active_label if old.active_label in values else (values[0] if values else 1),
                base=0,
                other=None,
            )
        self.case_opened.emit(case)
        self.view_changed.emit(old, self._view)
        self.history_changed.emit(self.history)

    def update_view(self, **changes: Any) -> None:
        """Change how the case is viewed; ``view_changed`` follows when something differs."""
        if "cursor" in changes and self._case:
            at = changes["cursor"]
            changes["cursor"] = tuple(
                int(min(max(v, 0), n - 1)) for v, n in zip(at, self._case.volume.shape, strict=True)
            )
        old, self._view = self._view, replace(self._view, **changes)
        if old != self._view:
            self.view_changed.emit(old, self._view)

    def go_to_slice(self, index: int) -> None:
        """Move the cursor to a slice of the stored slice axis."""
        _, y, x = self._view.cursor
        self.update_view(cursor=(index, y, x))

    # ------------------------------------------------------------------ images

    def show_image(self, series_id: int) -> None:
        """Look at this image of the case (0: the reference) with the window it was looked at last."""
        case = self._case
        if case is None or series_id == self._view.base or case.image(series_id) is None:
            return
        self._windows[self._view.base] = self._view.window
        other = None if series_id == self._view.other else self._view.other
        self.update_view(base=series_id, window=self._window_of(series_id), other=other)

    def compare_with(self, series_id: int | None) -> None:
        """Look at a second image with the first one; None: at the first one alone."""
        view, case = self._view, self._case
        if view.other is not None:
            self._windows[view.other] = view.other_window
        if case is None or series_id is None or series_id == view.base or case.image(series_id) is None:
            self.update_view(other=None)
        else:
            self.update_view(other=series_id, other_window=self._window_of(series_id))

    def reset_windows(self) -> None:
        """Choose the windows of what is shown anew, as when it was first looked at."""
        self._windows = {}
        view = self._view
        if self._case:
            other = self._window_of(view.other) if view.other is not None else view.other_window
            self.update_view(window=self._window_of(view.base), other_window=other)

    def set_images(self, series: Sequence[Series]) -> None:
        """Change the series of the case; the reference stays the first, and what is gone is no longer shown."""
        case = self._need_case()
        if not series or series[0] is not case.series[0]:
            raise ValueError("the reference of a case stays its first series")
        case.series = list(series)
        self._images_changed(case)

    def set_computed(
        self,
        computed: Sequence[Series] = (),
        doubts: Sequence[str] = (),
        dixon: tuple[NDArray[np.generic], NDArray[np.generic]] | None = None,
    ) -> None:
        """Change what was computed of the series; nothing takes it away."""
        case = self._need_case()
        case.computed, case.image_doubts, case.dixon = tuple(computed), tuple(doubts), dixon
        self._images_changed(case)

    def _images_changed(self, case: Case) -> None:
        if case.image(self._view.base) is None:
            self.show_image(0)
        if self._view.other is not None and case.image(self._view.other) is None:
            self.compare_with(None)
        self.images_changed.emit(case)

    def check_doubt(self, doubt: str, checked: bool = True) -> None:
        """Say that a person has looked into a doubt about the open scan, or take that back."""
        case = self._need_case()
        if self._run and not checked:
            self.refused.emit("A segmentation is running: wait for it, or cancel it, before a doubt is raised again.")
            self.images_changed.emit(case)
            return
        case.checked = case.checked | {doubt} if checked else case.checked - {doubt}
        self.images_changed.emit(case)

    def set_role(self, series_id: int, role: str) -> None:
        """Say what an image shows; 0 is the reference."""
        case = self._need_case()
        for index, one in enumerate(case.series):
            if one.series_id == series_id or (series_id == 0 and index == 0):
                one.role = role
                self.images_changed.emit(case)

    def _window_of(self, series_id: int) -> tuple[float, float]:
        case = self._need_case()
        if series_id in self._windows:
            return self._windows[series_id]
        if any(one.series_id == series_id and one.role == "fat_fraction" for one in case.images):
            return (0.0, 100.0)
        volume = case.image(series_id)
        return auto_window(volume.voxels) if volume else (0.0, 1.0)

    # ------------------------------------------------------------------ gestures and edits

    @contextmanager
    def edit(self, name: str, tool: str, region: Region) -> Generator[OpenEdit]:
        """A gesture inside a box: what is painted becomes one Edit; an exception (or Escape) rolls it back.

        Opening another case ends it, too: nothing of it reaches either case.
        """
        case = self._need_case()
        case.need_sized()
        if self._gesture:
            raise RuntimeError("a gesture is under way already")
        if self._run:
            self._push(self._run.take_in_hand(region.along(0)))
        changed: frozenset[int] = frozenset()
        gesture = self._gesture = OpenEdit(case.labels, region, self.mask_changed.emit)
        try:
            yield gesture
        except BaseException:
            if not gesture.is_over:
                gesture.restore()
            raise
        else:
            patch = None if gesture.is_over else Patch.between(region, gesture.before, case.labels[region.slices])
            if patch:
                reviews = self._edited(patch)
                changed = frozenset(change.slice_index for change in reviews)
                self._push(Edit(name, tool, (patch,), reviews))
        finally:
            gesture.is_over = True
            if self._gesture is gesture:
                self._gesture = None
            for index, labels, uncertainty in self._run.let_go(changed) if self._run else ():
                self.fill_slice(index, labels, uncertainty)
            if gesture.afterwards and self._case is case:
                self.refused.emit(gesture.afterwards)

    def commit(
        self,
        name: str,
        tool: str,
        labels: LabelMap,
        table: LabelTable | None = None,
        reviews: Mapping[int, SliceReview] | None = None,
    ) -> bool:
        """Replace the whole label map as one step (an import, an operation); False when nothing differs.

        One patch per changed slice of the stored axis; their reviews go to editing, or to what ``reviews`` has for
        them. ``table`` becomes that of the case unless the step is refused.
        """
        case = self._need_case()
        case.need_sized()
        if self._run:
            raise UserError("A segmentation is running.", "Wait for it or cancel it first.")
        if self._gesture:
            raise UserError(f"A stroke was under way, so {name!r} did nothing.", "Finish the stroke, then try again.")
        if table is not None:
            self.set_table(table)
        patches: list[Patch] = []
        for index in range(labels.shape[0]):
            patch = Patch.of_slice(index, case.labels[index], labels[index])
            if patch:
                patches.append(patch)
        if not patches:
            return False
        told = reviews or {}
        changes = [change for patch in patches for change in self._edited(patch)]
        changes = [replace(change, after=told.get(change.slice_index, change.after)) for change in changes]
        case.labels[...] = labels
        self.mask_changed.emit(Region.whole(case.volume.shape))
        self._push(Edit(name, tool, tuple(patches), tuple(changes)))
        return True

    # ------------------------------------------------------------------ review

    def accept(self, slices: tuple[int, ...], name: str = "") -> None:
        """Say that the masks of these slices are right; refused for those that are missing in the scan."""
        lost = self._need_case().missing.intersection(slices)
        there = tuple(index for index in slices if index not in lost)
        if there:
            self._review(there, name or self._slices_name("Accept", there), SliceReview.after_accept)
        if lost:  # said last: a step takes away what was said before it
            which = f"Slice {min(lost) + 1} is" if len(lost) == 1 else f"{len(lost)} slices are"
            self.refused.emit(f"{which} missing in the files of this scan: there is nothing to accept.")

    def reopen(self, slices: tuple[int, ...]) -> None:
        """Take the acceptance of these slices back."""
        self._review(slices, self._slices_name("Reopen", slices), SliceReview.after_reopen)

    # ------------------------------------------------------------------ undo and redo

    def undo(self) -> None:
        """Take the last step back, moving to where it happened."""
        self._step("undo")

    def redo(self) -> None:
        """Repeat the step taken back last."""
        self._step("redo")

    # ------------------------------------------------------------------ labels

    def set_table(self, table: LabelTable) -> None:
        """Change names, colours or the list of labels.

        Raises
        ------
        UserError
            When a label would go that is painted, or that undo or redo could paint again: its number, given to
            another label, would turn one tissue into another without a word.
        """
        case = self._need_case()
        gone = [label for label in case.table if table.get(label.value) is None]
        if gone and (self._run or self._gesture):
            raise UserError("The mask is being drawn just now.", "Remove the label when that has ended.")
        need_unused(case, gone)
        self._put_table(table)

    def drop_unused(self, values: Collection[int], before: Sequence[Edit] | None = None) -> None:
        """Take those of these labels out of the list that nothing needs; ``before`` as of ``values_used``."""
        case = self._need_case()
        if not values or self._run or self._gesture:
            return
        used = values_used(case, values, before)
        table = LabelTable(tuple(b for b in case.table if b.value not in values or b.value in used))
        if table != case.table:
            self._put_table(table)

    # ------------------------------------------------------------------ model runs

    def begin_run(self, name: str, redo: Collection[int] = ()) -> ModelRun:
        """Let a model fill slices; it enters the history as one step when it ends.

        ``redo`` are slices being edited that a person hands over to it; it then has them alone.
        """
        case = self._need_case()
        case.need_sized()
        if self._run:
            raise UserError("A segmentation is running already.", "Wait for it or cancel it first.")
        self._run = ModelRun(name, case, redo)
        if self._gesture:
            self._run.take_in_hand(self._gesture.region.along(0))
        self.run_changed.emit(True)
        return self._run

    def fill_slice(self, index: int, labels: LabelMap, uncertainty: float | None = None) -> bool:
        """Write one slice (y, x) of the run under way, this unsure of it; False where a person's work is left alone."""
        run, case = self._run, self._case
        if run is None or case is None:
            return False
        if not run.fill(index, labels, uncertainty):
            return False
        _, y, x = case.volume.shape
        self.mask_changed.emit(Region(index, index + 1, 0, y, 0, x))
        self.reviews_changed.emit((index,))
        return True

    def end_run(self, keep: bool, doubts: Sequence[str] = ()) -> None:
        """Make the run one step of the history, or roll back every slice it filled.

        ``doubts`` about what it drew stand as long as the step does; nobody has looked into them, whatever was
        checked of an earlier run.
        """
        run, case = self._run, self._case
        if run is None or case is None:
            return
        self._run = None
        if keep and run.waiting and self._gesture:
            many = "A slice" if run.waiting == 1 else f"{run.waiting} slices"
            left = "was left as it was" if run.waiting == 1 else "were left as they were"
            self._gesture.afterwards = f"{many} came while a stroke was under way and {left}: segment again."
        if keep:
            case.checked -= set(doubts)
            run.doubts += doubts
            self._push(run.edit(run.filled))
            if doubts:
                self.images_changed.emit(case)
        else:
            slices = run.roll_back()
            if slices:  # told once: it must be quick, however many there are
                _, y, x = case.volume.shape
                self.mask_changed.emit(Region(slices[0], slices[-1] + 1, 0, y, 0, x))
                self.reviews_changed.emit(tuple(slices))
        self.run_changed.emit(False)

    # ------------------------------------------------------------------ inside

    def _put_table(self, table: LabelTable) -> None:
        case = self._need_case()
        case.table = table
        values = {label.value for label in table}
        view = self.view
        if not view.hidden_labels <= values or (view.active_label not in values and values):
            active = view.active_label if view.active_label in values else min(values, default=view.active_label)
            self.update_view(hidden_labels=view.hidden_labels & values, active_label=active)
        if self._journal:
            self._journal.set_table(case.case_id, table)
        self.labels_changed.emit(table)

    def _need_case(self) -> Case:
        if self._case is None:
            raise UserError("No scan is open.", "Open one first.")
        return self._case

    @staticmethod
    def _slices_name(verb: str, slices: tuple[int, ...]) -> str:
        return f"{verb} slice {slices[0] + 1}" if len(slices) == 1 else f"{verb} {len(slices)} slices"

    def _edited(self, patch: Patch) -> tuple[ReviewChange, ...]:
        """Review changes of the slices a hand-made patch touches."""
        case = self._need_case()
        touched = changed_slices(patch, case.volume.shape, 0)
        return tuple(ReviewChange(i, case.reviews[i], case.reviews[i].after_edit()) for i in touched)

    def _review(self, slices: tuple[int, ...], name: str, step: Any) -> None:
        case = self._need_case()
        if not case.is_sized:
            self.refused.emit(LOOK_ONLY)
            return
        if self._run:
            self._push(self._run.adopt(slices))
        changes = tuple(ReviewChange(i, case.reviews[i], step(case.reviews[i])) for i in slices)
        changes = tuple(change for change in changes if change.before != change.after)
        if changes:
            self._push(Edit(name, "review", (), changes))

    def _push(self, edit: Edit | None) -> None:
        """Enter an edit whose mask part is already in the label map."""
        case = self._need_case()
        if edit is None:
            return
        case.history.push(edit)
        self._apply_reviews(edit)
        if self._journal:
            self._journal.append(case.case_id, case.reader_id, ("edit", edit))
        self.history_changed.emit(self.history)

    def _apply_reviews(self, edit: Edit) -> None:
        case = self._need_case()
        for change in edit.reviews:
            case.reviews[change.slice_index] = change.after
        if edit.reviews:
            self.reviews_changed.emit(tuple(change.slice_index for change in edit.reviews))
        if self._run:
            self._run.touched.update(change.slice_index for change in edit.reviews)

    def _step(self, kind: str) -> None:
        case = self._case
        if case is None or self._gesture:
            return
        if not case.is_sized:
            self.refused.emit(LOOK_ONLY)
            return
        history = case.history
        made = history.peek_undo() if kind == "undo" else history.peek_redo()
        if made is None:
            return
        touched = sorted({i for p in made.patches for i in p.region.along(0)} | {c.slice_index for c in made.reviews})
        if self._run and (made.tool in ("model", "import") or set(self._run.filled) & set(touched)):
            self.refused.emit(f"{made.name}: wait for the segmentation to end, or cancel it, before taking this back.")
            return
        edit = history.undo() if kind == "undo" else history.redo()
        assert edit is not None
        for patch in edit.patches:
            patch.apply(case.labels)
        self._apply_reviews(edit)
        if self._run:
            self._run.touched.update(touched)
        if self._journal:
            self._journal.append(case.case_id, case.reader_id, (kind, None))
        if touched and self._view.cursor[0] not in touched:
            self.go_to_slice(min(touched, key=lambda i: abs(i - self._view.cursor[0])))
        for patch in edit.patches:
            self.mask_changed.emit(patch.region)
        self.history_changed.emit(self.history)
