"""A project's training set to nnU-Net raw, and nnU-Net raw into a project."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.mask import LabelMap
from thighview.core.volume import Volume
from thighview.io.folders import need_empty, staged_folder
from thighview.io.masks import write_mask, write_sidecar
from thighview.io.nnunet_in import load_case, read_dataset
from thighview.io.nnunet_out import (
    OutCase,
    OutReport,
    Report,
    Stopped,
    file_names,
    write_dataset,
)
from thighview.io.project import Project
from thighview.io.stored_case import read_stored_case


@dataclass(frozen=True)
class InReport:
    """What came in: titles of the new cases, their reviewed slices, and what a person should know."""

    cases: tuple[str, ...]
    reviewed: int
    slices: int
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = f"{len(self.cases)} case{'s' * (len(self.cases) != 1)} taken in, {self.reviewed} of {self.slices}"
        return " ".join((f"{words} slices reviewed.", *self.notes))


def export_raw(
    project: Project, folder: Path, report: Report | None = None, stopped: Stopped | None = None
) -> OutReport | None:
    """Write the project's training set as a raw dataset folder of nnU-Net.

    Persons who have no part yet get one, for ever. Cases of the locked test go to ``imagesTs`` and ``labelsTs``.

    Parameters
    ----------
    project : Project
        Open in the calling thread.
    folder : Path
        New, or an empty folder.
    report, stopped : callable, optional
        Progress in cases; whether to end early (the answer is None then, and nothing is written).

    Raises
    ------
    UserError
        Nothing in the training set, nothing reviewed in it, a scan that is gone or has changed, or a project open
        for reading only with persons who have no part yet: theirs could come out otherwise later.
    """
    need_empty(folder)
    chosen = [case for case in project.cases() if case.in_training_set]
    if not chosen:
        raise UserError(
            f"No case of {project.name} is in its training set.", "Open a case and add it to the training set first."
        )
    subjects = {case.subject for case in chosen}
    parts = project.assign_parts(subjects) if project.writable else project.subjects()
    if new := [subject for subject in subjects if not parts.get(subject)]:
        raise UserError(
            f"{len(new)} person{'s have' if len(new) > 1 else ' has'} no part in the split yet, and a window holds the"
            " project.",
            "Export in that window, or close it first.",
        )
    going: list[OutCase] = []
    for summary in chosen:
        case = project.load_case(summary.case_id)
        read = partial(_scan_and_mask, project, summary.case_id)
        part = parts[summary.subject]
        going.append(OutCase(summary.subject, summary.title, part, case.table, tuple(case.reviews), read))
    return write_dataset(folder, going, project.name, report or _nobody, stopped or _never)


def export_masks(project: Project, folder: Path, report: Report | None = None) -> list[Path]:
    """Write the masks of all cases as NIfTI, ids as in the files they came from, a table of labels beside each.

    Every drawn or model-made voxel is written as it is; the slice states stand in the table's file.

    Returns
    -------
    list of Path
        The masks.
    """
    need_empty(folder)
    cases = project.cases()
    if not cases:
        raise UserError(f"The project {project.name} has no case.", "Open a scan in it, or import cases.")
    names = file_names([case.title for case in cases])
    with staged_folder(folder) as stage:
        for done, (summary, name) in enumerate(zip(cases, names, strict=True)):
            if report:
                report(done, len(cases))
            case = project.load_case(summary.case_id)
            shape, affine = project.geometry(summary.case_id)[0]
            grid = Volume(np.broadcast_to(np.uint8(0), shape), affine, case.title)
            write_mask(stage / f"{name}.nii.gz", case.labels, case.table, grid)
            states = [review.state.word for review in case.reviews]
            write_sidecar(stage / f"{name}.nii.gz", case.table, subject=case.subject, slices=states)
    return [folder / f"{name}.nii.gz" for name in names]


def import_raw(
    project: Project,
    folder: Path,
    report: Report | None = None,
    stopped: Stopped | None = None,
    take: Callable[[Case, str], object] | None = None,
) -> InReport:
    """Take the cases of a raw dataset folder into a project, and into its training set.

    Everything is read and checked before the first case is added. Scans that the project has already stay as they
    are.

    Parameters
    ----------
    project : Project
        Open in the calling thread.
    folder : Path
        The raw dataset folder.
    report, stopped : callable, optional
        Progress; whether to end early.
    take : callable, optional
        Is given each case and the part of its subject instead of the project (which may be open for reading only).

    Raises
    ------
    UserError
        When the folder, an image or a mask cannot be taken in; nothing is added then.
    """
    dataset = read_dataset(folder)
    report = report or _nobody
    take = take or partial(_add, project)
    new = [case for case in dataset.cases if project.find_case(case.image) is None]
    notes = list(dataset.notes)
    if len(new) < len(dataset.cases):
        notes.append(f"{len(dataset.cases) - len(new)} of the scans are in the project already and stay as they are.")
    steps = 2 * len(new)
    for done, one in enumerate(new):
        if stopped and stopped():
            return InReport((), 0, 0, ("Stopped; nothing was taken in.",))
        report(done, steps)
        load_case(dataset, one)
    titles: list[str] = []
    reviewed = slices = 0
    for done, one in enumerate(new):
        report(len(new) + done, steps)
        case = load_case(dataset, one)
        take(case, one.part)
        titles.append(case.title)
        reviewed += sum(review.state.reviewed for review in case.reviews)
        slices += len(case.reviews)
    report(steps, steps)
    return InReport(tuple(titles), reviewed, slices, tuple(notes))


def _scan_and_mask(project: Project, case_id: int) -> tuple[Volume, LabelMap]:
    case = read_stored_case(project, case_id)
    return case.volume, case.labels


def _add(project: Project, case: Case, part: str) -> None:
    project.add_case(case, in_training_set=True, part=part)


def _nobody(done: int, total: int) -> None:
    """Nobody wants to know how far it is."""


def _never() -> bool:
    return False
