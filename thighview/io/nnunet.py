"""A project's training set to nnU-Net raw, and nnU-Net raw into a project."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.mask import LabelMap
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io.folders import need_empty
from thighview.io.known_cases import known_file
from thighview.io.newcomers import Newcomers
from thighview.io.nnunet_in import load_case, read_dataset
from thighview.io.nnunet_out import (
    OutCase,
    OutReport,
    Report,
    Stopped,
    check_cases,
    write_dataset,
)
from thighview.io.project import CaseSummary, Project
from thighview.io.stored_case import load_sound_case, read_stored_case
from thighview.io.subjects import is_no_name

Take = Callable[[Case, str], object]
"""Is given each case and the part of its subject instead of the project."""


@dataclass(frozen=True)
class InReport:
    """What came in: titles of the new cases, their reviewed slices, what a person should know, and each pair's line."""

    cases: tuple[str, ...]
    reviewed: int
    slices: int
    notes: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = f"{len(self.cases)} case{'s' * (len(self.cases) != 1)} taken in, {self.reviewed} of {self.slices}"
        return " ".join((f"{words} slices reviewed.", *self.notes))


def export_raw(
    project: Project,
    folder: Path,
    report: Report | None = None,
    stopped: Stopped | None = None,
    only: frozenset[int] | None = None,
    rename: Callable[[OutCase, CaseSummary], OutCase] = lambda out, summary: out,
    name: str = "",
    finish: Callable[[Path], object] = lambda stage: None,
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
    only : frozenset of int, optional
        Cases of the training set that are to be written; by default all.
    rename : callable
        Gives a case the names it leaves under.
    name : str
        Of the dataset; by default the project's.
    finish : callable
        Adds what it likes to the finished folder before that takes its place.

    Raises
    ------
    UserError
        Nothing in the training set, nothing reviewed in it, a scan that is gone or has changed, or a project open
        for reading only with persons who have no part yet: theirs could come out otherwise later.
    """
    need_empty(folder)
    chosen = [case for case in project.cases() if case.in_training_set and (only is None or case.case_id in only)]
    if not chosen:
        raise UserError(
            f"No case of {project.name} is in its training set.", "Open a case and add it to the training set first."
        )
    going: list[tuple[CaseSummary, OutCase]] = []
    for summary in chosen:
        case = load_sound_case(project, summary.case_id)
        read = partial(_scan_and_mask, project, summary.case_id)
        going.append((summary, OutCase(summary.subject, summary.title, "", case.table, tuple(case.reviews), read)))
    check_cases([out for _, out in going])
    subjects = {case.subject for case in chosen}
    parts = project.assign_parts(subjects) if project.writable else project.subjects()
    if new := [subject for subject in subjects if not parts.get(subject)]:
        raise UserError(
            f"{len(new)} person{'s have' if len(new) > 1 else ' has'} no part in the split yet, and a window holds the"
            " project.",
            "Export in that window, or close it first.",
        )
    leaving = [rename(replace(out, part=parts[summary.subject]), summary) for summary, out in going]
    return write_dataset(folder, leaving, name or project.name, report or _nobody, stopped or _never, finish)


def import_raw(
    project: Project,
    folder: Path,
    report: Report | None = None,
    stopped: Stopped | None = None,
    take: Take | None = None,
) -> InReport:
    """Take the cases of a raw dataset folder into a project, and those with reviewed slices into its training set.

    Everything is read and checked before the first case is added, and either all are added or none. Scans that the
    project has already stay as they are.

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
        When the folder, an image or a mask cannot be taken in, a person of its locked test is in another part of the
        project, or the project's disk is full; nothing is added then.
    """
    dataset = read_dataset(folder)
    report = report or _nobody
    newcomers, people = Newcomers(project), list[str]()
    new = [one for one in dataset.cases if not newcomers.is_known(ScanKey(one.image), known_file(project, one.image))]
    steps = 2 * len(new)
    for done, one in enumerate(new):
        if stopped and stopped():
            return InReport((), 0, 0, ("Stopped; nothing was taken in.",))
        report(done, steps)
        case = load_case(dataset, one)
        by_file = is_no_name(one.subject) and one.subject in (one.name, case.title)
        told = one.facts is not None
        people.append(newcomers.name(case, by_file, told, one.part, dataset.folder.absolute().name))
    titles: list[str] = []
    reviewed = slices = 0
    with taking(project, take) as add:
        for done, (one, person) in enumerate(zip(new, people, strict=True)):
            report(len(new) + done, steps)
            case = load_case(dataset, one)
            case.subject = person
            add(case, one.part)
            titles.append(case.title)
            reviewed += sum(review.state.reviewed for review in case.reviews)
            slices += len(case.reviews)
    report(steps, steps)
    return InReport(tuple(titles), reviewed, slices, (*dataset.notes, *newcomers.notes()))


@contextmanager
def taking(project: Project, take: Take | None) -> Generator[Take]:
    """Who is given new cases: ``take``, or the project, which then has all of them at the end or none."""
    if take is not None:
        yield take
        return
    with project.all_or_nothing():
        yield partial(_add, project)


def _scan_and_mask(project: Project, case_id: int) -> tuple[Volume, LabelMap]:
    case = read_stored_case(project, case_id)
    return case.checked_volume, case.labels


def _add(project: Project, case: Case, part: str) -> None:
    drawn = any(review.state.reviewed for review in case.reviews)
    project.add_case(case, in_training_set=drawn, part=part)


def _nobody(done: int, total: int) -> None:
    """Nobody wants to know how far it is."""


def _never() -> bool:
    return False
