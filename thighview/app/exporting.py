"""An export from the wish to the end sentence: pictures are looked at where they must be, a child process writes."""

import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from thighview.app.jobs import Job, run_in_process
from thighview.app.store import Store
from thighview.io.export_wish import Exported, ExportWish, chosen_cases
from thighview.io.leftovers import sweep
from thighview.io.project import Project

_LANE = "export"


@dataclass(frozen=True)
class Pictured:
    """A case into whose pictures text may be burned: why, and its slices as 8-bit pictures (slices, rows, columns)."""

    case_id: int
    title: str
    reason: str
    slices: NDArray[np.uint8]


@dataclass(frozen=True)
class Looked:
    """What a person says of such pictures: that these cases show no name, and that those stay at home."""

    fine: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()


class Exporting(QObject):
    """Exports masks of the open project, one export at a time.

    Attributes
    ----------
    job : Job or None
        The one under way.
    """

    changed = Signal(object)
    """The Job under way with its words, ``(Job, str)``, or None when nothing is."""
    done = Signal(object)
    """Exported."""
    looks_needed = Signal(object, object)
    """A tuple of Pictured, and whom to give Looked, or None where nothing is to be exported."""
    failed = Signal(object)
    """An exception."""
    said = Signal(str)
    """A sentence for the status line."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.job: Job | None = None

    def start(self, store: Store, folder: Path, wish: ExportWish) -> None:
        """Write masks of a project into a folder; what was painted until now is among them."""
        if self.job is not None:
            self.said.emit("An export is under way already.")
            return

        def ready(chosen: tuple[int, ...]) -> None:
            own = replace(wish, cases=chosen)
            if own.deidentify and own.carries_pixels:
                self._look(store, folder, own)
            else:
                self._write(store, folder, own)

        job = store.call(lambda project: _chosen(project, wish))  # it waits behind every stroke
        job.succeeded.connect(ready)
        job.failed.connect(self.failed)

    def cancel(self) -> None:
        """Stop: the child is killed, and nothing of the folder stays."""
        if self.job is not None:
            self.job.cancel()

    # ------------------------------------------------------------------ inside

    def _look(self, store: Store, folder: Path, wish: ExportWish) -> None:
        """Have the pictures looked at that may have a name in them."""
        job = run_in_process(
            "thighview.io.burned_in:pictures_for_window", str(store.folder), wish.to_json(), lane=_LANE
        )

        def found(result: tuple[dict[str, Any], dict[str, NDArray[np.uint8]]]) -> None:
            rows, arrays = result
            doubtful = tuple(
                Pictured(row["case_id"], row["title"], row["reason"], arrays[str(row["case_id"])])
                for row in rows["doubts"]
            )
            if doubtful:
                self.looks_needed.emit(doubtful, looked)
            else:
                self._write(store, folder, wish)

        def looked(answer: Looked | None) -> None:
            if answer is not None:
                cases = wish.cases if isinstance(wish.cases, tuple) else ()
                kept = tuple(case for case in cases if case not in answer.left_out)
                if kept:
                    self._write(store, folder, replace(wish, cases=kept, looked_at=answer.fine))
                else:
                    self.said.emit("Nothing was exported: every case stays at home.")

        job.succeeded.connect(found)
        self._follow(job, "Looking whether names stand in the pictures")

    def _write(self, store: Store, folder: Path, wish: ExportWish) -> None:
        wish = replace(wish, mark=secrets.token_hex(8))

        def tidy(cancelled: bool) -> None:
            from thighview.io.export_files import remove_export  # it knows DICOM, which the window does not load

            sweep(folder.parent)
            if cancelled:  # perhaps just when it was done
                remove_export(folder, wish.mark)

        job = run_in_process(
            "thighview.io.exporting:export_for_window", str(store.folder), str(folder), wish.to_json(), lane=_LANE,
            afterwards=tidy,
        )  # fmt: skip

        def written(result: tuple[dict[str, Any], object]) -> None:
            done = Exported.from_json(result[0])
            self.said.emit(done.sentence)
            self.done.emit(done)

        job.succeeded.connect(written)
        self._follow(job, f"Exporting to {folder.name}")

    def _follow(self, job: Job, words: str) -> None:
        self.job = job

        def ended() -> None:
            if self.job is job:
                self.job = None
                self.changed.emit(None)

        job.failed.connect(self.failed)
        job.ended.connect(ended)
        self.changed.emit((job, words))


def _chosen(project: Project, wish: ExportWish) -> tuple[int, ...]:
    """The cases of a wish as they are now; who is to be in a training set and has no part of the split gets one."""
    cases = chosen_cases(project, wish)
    if wish.form == "nnunet":
        project.assign_parts(case.subject for case in cases)
    return tuple(case.case_id for case in cases)
