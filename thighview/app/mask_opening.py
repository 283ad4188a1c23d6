"""Masks that come onto the open scan: read behind the window, settled by the person, entered as one step."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from thighview.app.jobs import Job, run_in_thread
from thighview.app.scans import OpenScans
from thighview.app.settings import Settings
from thighview.app.store import Store
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.found_mask import FoundMask, MaskWish
from thighview.core.known import LOOK_ONLY
from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap, displaced, renumber

_MOST_NAMED = 6


@dataclass(frozen=True)
class MaskReport:
    """What became of a mask that was opened.

    Parameters
    ----------
    name : str
        Of its file.
    matched, new : tuple of str
        Titles of its labels that the case had already, and of those it did not have.
    notes : tuple of str
        What a person should know, one sentence each.
    """

    name: str
    matched: tuple[str, ...]
    new: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        count = len(self.matched) + len(self.new)
        parts = [f"{count} label{'s' * (count != 1)}"]
        for titles, words in ((self.matched, "known here"), (self.new, "new")):
            if titles:
                more = f" and {len(titles) - _MOST_NAMED} more" if len(titles) > _MOST_NAMED else ""
                parts.append(f"{len(titles)} {words} ({', '.join(titles[:_MOST_NAMED])}{more})")
        return f"{self.name}: {', '.join(parts)}."


@dataclass(frozen=True)
class _OnceShown:
    """What is done about files that came with scans; the same for the same ones dropped again, so done once."""

    do: Callable[[Case | None, Sequence[Path], dict[Path, str]], None]
    scans: tuple[Path, ...]
    beside: tuple[tuple[Path, str], ...]

    def __call__(self, case: Case | None) -> None:
        self.do(case, self.scans, dict(self.beside))


class OpenMasks(OpenScans):
    """What is done with files of masks and of label names once a scan is open."""

    mask_doubtful = Signal(object, object)
    """FoundMask with something to be settled, and whom to give the MaskWish, or None where it is left alone."""
    kind_needed = Signal(object, object)
    """tuple of Path that may be scans or masks of the open one, and whom to give ``scan``, ``mask`` or nothing."""
    mask_opened = Signal(object)
    """MaskReport."""

    def __init__(self, settings: Settings | None = None, parent: QObject | None = None) -> None:
        super().__init__(settings, parent)
        self.with_mask.connect(self.open_mask)

    def open_mask(self, path: Path) -> Job | None:
        """Put a mask file over the open scan, as one step that can be taken back; its slices need review."""
        return self.open_masks((path,))

    def open_masks(self, paths: Sequence[Path]) -> Job | None:
        """Put several mask files over the open scan together; where they overlap, the person is asked."""
        case = self.session.case
        if case is None:
            self.failed.emit(UserError("A mask needs a scan to lie on.", "Open the scan first."))
            return None
        if not case.is_sized:
            self.session.refused.emit(LOOK_ONLY)
            return None
        volume = case.volume

        def work(report: object, stopped: object) -> tuple[FoundMask, tuple[LabelMap, LabelTable] | None]:
            from thighview.core.joined_masks import together
            from thighview.io.mask_names import stem_of
            from thighview.io.masks import find_mask

            found = [find_mask(path, volume) for path in paths]
            stems = [stem_of(path) for path in paths]
            mask = found[0] if len(found) == 1 else together(found, stems, volume.voxel_volume_ml)
            mask = replace(mask, scan=case.title)
            return mask, mask.settled() if mask.is_clear else None

        def done(found: tuple[FoundMask, tuple[LabelMap, LabelTable] | None]) -> None:
            mask, settled = found
            if not self._is_open(case, mask.name):
                return
            if settled:
                self._enter_mask(case, mask, *settled)
            else:
                self.mask_doubtful.emit(mask, lambda wish: self._settle(case, mask, wish))

        return self._run(work, f"Opening {paths[0].name if len(paths) == 1 else f'{len(paths)} masks'}", done)

    def name_labels(self, path: Path) -> Job | None:
        """Give the labels of the open case the names and colours of a label description of ITK-SNAP."""
        case = self.session.case
        if case is None:
            self.failed.emit(UserError("Names need a scan with labels.", "Open the scan first."))
            return None

        def work(report: object, stopped: object) -> Any:
            from thighview.io.mask_names import read_description

            return read_description(path)

        def done(names: Any) -> None:
            from thighview.io.mask_names import renamed

            if not self._is_open(case, path.name):
                return
            try:
                table, changed, added = renamed(case.table, names)
                self.session.set_table(table)
            except UserError as error:
                self.failed.emit(error)
                return
            self.said.emit(f"{path.name}: {changed} label{'s' * (changed != 1)} named anew, {added} new.")

        return self._run(work, f"Reading {path.name}", done)

    def open_dropped(self, paths: Sequence[Path]) -> None:
        """Open what was dropped: onto an open scan masks as masks; where a file may be either, the person is asked.

        Masks that come with a scan are laid on that one, when it is shown.
        """
        case, here = self.session.case, self._place
        if case is None:
            self.open_paths(paths)
            return

        def work(report: object, stopped: object) -> dict[Path, str]:
            from thighview.io.mask_kind import kind_of

            return {path: kind_of(path) for path in paths}

        def looked(kinds: dict[Path, str]) -> None:
            scans = [path for path, kind in kinds.items() if kind == "scan"]
            beside = {path: kind for path, kind in kinds.items() if kind != "scan"}
            if scans:
                self._open_with(scans, beside, here)
            else:
                self._lay_on(case, beside)

        job = run_in_thread(work, lane="look")
        job.succeeded.connect(looked)
        job.failed.connect(self.failed)

    # ------------------------------------------------------------------ inside

    def _run(self, work: Callable[..., Any], words: str, done: Callable[[Any], None], must_finish: bool = False) -> Job:
        """Do work behind the window that a person waits for; what goes wrong arrives with ``failed``.

        ``must_finish``: it is not cancelled when the program closes.
        """
        job = run_in_thread(work, must_finish=must_finish)
        job.succeeded.connect(done)
        job.failed.connect(self.failed)
        self.job_started.emit(job, words)
        return job

    def _open_with(self, scans: Sequence[Path], beside: dict[Path, str], here: Store | None) -> None:
        """Open scans in the project ``here``, and lay what came beside a single one on it."""
        self.open_paths(scans, _OnceShown(self._lay_beside, tuple(scans), tuple(beside.items())), here)

    def _lay_beside(self, case: Case | None, scans: Sequence[Path], beside: dict[Path, str]) -> None:
        """Lay what came with a scan on it, or say that this cannot be where it is not shown."""
        if case is not None:
            self._lay_on(case, beside, scans)
        elif beside:
            told = f"{_which(beside)} cannot be laid on a scan: it needs exactly one that comes with it and opens."
            self.failed.emit(UserError(told, "Open the scan, then drop its mask there."))

    def _lay_on(self, case: Case, kinds: dict[Path, str], scans: Sequence[Path] = ()) -> None:
        """Lay files on a scan by their kinds, if it is still open; the person is asked what may be a scan, too.

        ``scans`` are those that the files came with.
        """
        unsure = tuple(path for path, kind in kinds.items() if kind == "either")

        def answered(kind: str) -> None:
            sure = {path: kind for path, kind in kinds.items() if path not in unsure}
            beside = sure | (dict.fromkeys(unsure, "mask") if kind == "mask" else {})
            if kind == "scan":
                self._open_with((*scans, *unsure), sure, self._place)
            elif beside and self._is_open(case, _which(beside)):
                if masks := [path for path, kind in beside.items() if kind == "mask"]:
                    self.open_masks(masks)
                for path, kind in beside.items():
                    if kind == "names":
                        self.name_labels(path)

        if unsure and self.session.case is case:
            self.kind_needed.emit(unsure, answered)
        else:
            answered("mask")

    def _is_open(self, case: Case, what: str) -> bool:
        """Whether a scan is still open; it is said where it is not, and ``what`` cannot be laid on it."""
        if self.session.case is case:
            return True
        told = f"{case.title} was left before {what} could be laid on it."
        self.failed.emit(UserError(told, "Open that scan again and drop it there."))
        return False

    def _settle(self, case: Case, mask: FoundMask, wish: MaskWish | None) -> None:
        """Take a mask as the person wants it, if the scan is still the one that is open."""
        if wish is None or not self._is_open(case, mask.name):
            return

        def done(settled: tuple[LabelMap, LabelTable]) -> None:
            if self._is_open(case, mask.name):
                self._enter_mask(case, mask, *settled, resampled=mask.grid is not None)

        self._run(lambda report, stopped: mask.settled(wish), f"Placing {mask.name}", done)

    def _enter_mask(
        self, case: Case, mask: FoundMask, labels: LabelMap, found: LabelTable, resampled: bool = False
    ) -> None:
        before = case.table
        name = f"Open mask {mask.name}{', resampled' if resampled else ''}"
        automatic = not mask.said and any(label.value in mask.automatic for label in found)
        of_models = {i: r.after_reopen() for i, r in enumerate(mask.reviews(labels, found)) if r.model_beneath}
        notes = list(mask.notes)
        try:
            table, values = before.joined(found)
            labels = renumber(labels, values)
            lost = displaced(case.labels, labels)
            changed = self.session.commit(name, "import", labels, table, of_models)
        except UserError as error:
            self.failed.emit(error)
            return
        added = [label for label in table if before.get(label.value) is None]
        kept = {label.value: label.file_id for label in table}
        other = [label.file_id for label in found if kept[values[label.value]] != label.file_id]
        if other:
            numbers = ", ".join(map(str, other[:5])) + (", …" if len(other) > 5 else "")
            notes.append(f"Numbers of the mask that other labels have here are written anew: {numbers}.")
        if automatic:
            notes.append("An algorithm drew it, says the file: it counts as a model's, until you have reviewed it.")
        if lost:
            notes.append(f"It took the place of {_voxels_of(lost, before)}; undo brings it back.")
        if not changed:
            notes.append("The mask is the one already shown.")
        new = tuple(label.title for label in added)
        matched = tuple(label.title for label in table if label.value in values.values() and label not in added)
        report = MaskReport(mask.name, matched, new, tuple(notes))
        self.said.emit(str(report))
        self.mask_opened.emit(report)


def _which(paths: Collection[Path]) -> str:
    """Files in a few words."""
    return next(iter(paths)).name if len(paths) == 1 else f"{len(paths)} files"


def _voxels_of(counts: Mapping[int, int], table: LabelTable) -> str:
    """Labels with how many voxels of each, the most first."""
    most = sorted(counts.items(), key=lambda item: -item[1])
    words = [
        f"{label.title if (label := table.get(value)) else f'label {value}'} ({n:,} voxel{'s' * (n != 1)})"
        for value, n in most[:_MOST_NAMED]
    ]
    return ", ".join(words) + (f" and {len(most) - _MOST_NAMED} more" if len(most) > _MOST_NAMED else "")
