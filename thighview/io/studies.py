"""The folder of a study, ``PROJECT/studies/NAME``: its plan, what it says, and a run folder for each training.

It is laid out like a project: ``runs/01``, ``runs/02``, ... are ordinary runs, frozen like every run, and what they
leave in ``models/`` is nobody's model but theirs. They share the study's masks and its vetted set.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from thighview.core.errors import UserError
from thighview.core.leaks import is_told, ledger_of, listed
from thighview.core.painted import painted_labels
from thighview.core.phantom_names import phantom_lookup
from thighview.core.run import TrainConfig, held_by
from thighview.core.split import assign
from thighview.core.studies import CURVE, Cohort, Retraining, dealt, plan
from thighview.core.twins import MOST_NAMED, Twins, twins
from thighview.io.atomic import write_json_atomic
from thighview.io.dataset import Dataset, FrozenCase, Write, freeze_cases, reviewed_cases, write_dataset
from thighview.io.json_files import read_json
from thighview.io.models import ModelEntry, find_model
from thighview.io.project import CaseSummary, Project
from thighview.io.runs import RunFolder, is_safe_name, run_folder, time_of
from thighview.io.study_pace import Pace

FORMAT = "thighview-study-1"
_AGAIN = "Start a new study."


class StudyFolder(RunFolder):
    """Paths of one study; what it shares with a run (events, control, lock, log, frozen set) has the same names."""

    @property
    def file(self) -> Path:
        """What is asked, with which settings, and the plan."""
        return self.path / "study.json"

    @property
    def checkpoint(self) -> Path:
        """What it goes on from: its trainings."""
        return self.path / "runs"

    def retraining(self, name: str) -> RunFolder:
        """The run folder of one of its trainings."""
        return RunFolder(self.path / "runs" / name)


@dataclass(frozen=True)
class Study:
    """What is asked: ``kind`` and ``count`` as in ``core.studies.plan``, the settings, the people in dealt order.

    ``trainings`` is the plan, empty until the set is vetted; ``note`` what to know of it. ``pace`` is what was known
    of the machine's pace when it was made, or None.
    """

    kind: str
    count: int
    config: TrainConfig
    order: tuple[str, ...]
    trainings: tuple[Retraining, ...] = ()
    note: str = ""
    pace: Pace | None = None


def study_folder(project: Path, name: str) -> StudyFolder:
    """The folder of a study by name; the name must be one that is safe as a folder everywhere."""
    return StudyFolder(Path(project) / "studies" / run_folder(project, name).name)


def study_folders(project: Path) -> list[StudyFolder]:
    """All studies of a project, oldest first."""
    found = [StudyFolder(path.parent) for path in (Path(project) / "studies").glob("*/study.json")]
    found = [study for study in found if is_safe_name(study.name)]
    return sorted(found, key=lambda study: (time_of(study.config) or time_of(study.file), study.name))


def free_study_name(project: Path, kind: str) -> str:
    """A name no study of the project has yet: ``folds 1``, ``folds 2``, ..."""
    taken = {path.name.casefold() for path in (Path(project) / "studies").glob("*")}
    stem = kind.replace("-", " ")
    return next(name for i in range(1, len(taken) + 2) if (name := f"{stem} {i}") not in taken)


# ------------------------------------------------------------------ who takes part


def cohort_of(project: Project, parent: ModelEntry | None) -> Cohort:
    """Who would take part in a study that began now; nothing is written, nobody gets a part.

    ``parent`` is the model to start from: whom it, or a model it comes from, was trained on never validates.
    """
    cases = [(case, reviewed_slices(case)) for case in project.cases() if case.in_training_set]
    cases = [(case, count) for case, count in cases if count]
    made = {subject: part for subject, part in project.subjects().items() if part}
    parts = assign({case.subject for case, _ in cases}, project.salt, made)
    slices: dict[str, int] = {}
    for case, count in cases:
        if parts[case.subject] != "test":
            slices[case.subject] = slices.get(case.subject, 0) + count
    known = ledger_of(parent.card.lineage, parent.card.split) if parent else None
    leaked = frozenset(subject for subject in slices if known and known.knows(subject))
    return Cohort(dealt(slices, project.salt), parts, slices, leaked)


def reviewed_slices(case: CaseSummary) -> int:
    """How many slices of a case train."""
    return sum(count for state, count in case.counts.items() if state.reviewed)


def cohort_of_set(study: Study, whole: Dataset, parent: ModelEntry | None) -> Cohort:
    """Who takes part in a study whose set is frozen and vetted: files and voxels are known again, too."""
    slices = whole.slices_by_subject
    known = _under_two_names(_twins(whole))
    if parent:
        known |= ledger_of(parent.card.lineage, parent.card.split).people(whole.cases)
    parts = {case.subject: case.part for case in whole.cases}
    order = tuple(person for person in study.order if person in slices)  # reviews may be taken back while it freezes
    return Cohort(order, parts, slices, frozenset(known & set(order)))


# ------------------------------------------------------------------ freezing


def freeze_study(
    project: Project, study: StudyFolder, kind: str, config: TrainConfig, count: int = 0, pace: Pace | None = None,
    write: Write | None = None,
) -> Study:  # fmt: skip
    """Freeze the set of a new study and write what is asked. The locked test people stay out of it.

    Parameters are those of ``io.dataset.freeze``, and of ``core.studies.plan``.

    Raises
    ------
    UserError
        When the name is taken, nothing is reviewed, or there are too few people for what is asked.
    """
    write = write or (lambda change: change(project))
    if study.path.exists():
        raise UserError(f"There is a study {study.name!r} already.", "Choose another name, or let it go on.")
    parent = find_model(config.start_from, project.folder) if config.start_from else None
    if parent:
        config = replace(config, start_from=str(parent.folder.absolute()), **held_by(parent.card))
    cohort = cohort_of(project, parent)
    if cohort.order:
        plan(kind, cohort, config, count)
    cases = reviewed_cases(project)
    everybody = {case.subject for case in cases}
    cases = [case for case in cases if case.subject in cohort.slices]
    learnt = painted_labels(cases)
    parts = write(lambda writable: writable.assign_parts(sorted(everybody)))
    freeze_cases(project, study, config, cases, parts, learnt, write, noted=f"studies/{study.name}")
    asked = Study(kind, count, config, cohort.order, pace=pace)
    write_study(study, asked)
    return asked


def freeze_retraining(study: StudyFolder, asked: Study, whole: Dataset, one: Retraining) -> RunFolder:
    """Write the frozen set and the settings of one training of a study; its masks are those of the study.

    It is scored at its last epoch, so it does not stop early; explaining its gap would cost time and tell nothing here.
    """
    run = study.retraining(one.name)
    part_of = dict.fromkeys(one.train, "train") | dict.fromkeys(one.validation, "validation")
    cases = tuple(_dealt_case(case, part_of) for case in whole.cases if case.subject in part_of)
    chosen = [replace(s, part=part_of[s.subject]) for s in whole.slices if s.subject in part_of]
    slices = tuple(replace(s, id=number) for number, s in enumerate(chosen, 1))
    run.path.mkdir(parents=True, exist_ok=True)
    config = replace(asked.config, epochs=one.epochs, patience=0, honest=False)
    write_json_atomic(run.config, config.to_json())
    dataset = Dataset(whole.labels, cases, (), slices, whole.note, begun_with=whole.begun_with)
    write_dataset(run, dataset, str(read_json(study.dataset, _AGAIN)["project"]))
    return run


def _dealt_case(case: FrozenCase, part_of: Mapping[str, str]) -> FrozenCase:
    return replace(case, part=part_of[case.subject], mask=f"../../{case.mask}")


# ------------------------------------------------------------------ the file


def write_study(folder: StudyFolder, study: Study) -> None:
    """Write ``study.json``."""
    data = asdict(study) | {"config": study.config.to_json()}
    write_json_atomic(folder.file, {"format": FORMAT, "name": folder.name, **data})


def read_study(folder: StudyFolder) -> Study:
    """What a study asks, and its plan.

    Raises
    ------
    UserError
        When it is missing, damaged, or from a newer program.
    """
    if not folder.file.exists():
        there = ", ".join(study.name for study in study_folders(folder.project)) or "none yet"
        raise UserError(f"The project has no study {folder.name!r}.", f"Studies: {there}.")
    data = read_json(folder.file, _AGAIN)
    if data.get("format") != FORMAT:
        raise UserError(
            f"The study {folder.name!r} has the format {data.get('format')!r}; this program knows {FORMAT}.",
            "Open it with the thighview that made it, or start a new study.",
        )
    try:
        trainings = tuple(
            Retraining(**row | {"train": tuple(row["train"]), "validation": tuple(row["validation"])})
            for row in data["trainings"]
        )
        pace = Pace(**data["pace"]) if data["pace"] else None
        config = TrainConfig.from_json(data["config"])
        return Study(
            str(data["kind"]), int(data["count"]), config, tuple(data["order"]), trainings, str(data["note"]), pace
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{folder.file} is damaged: {error}.", _AGAIN) from error


def planned(folder: StudyFolder, study: Study, whole: Dataset, parent: ModelEntry | None) -> Study:
    """The study with its plan, made now that its set is vetted, and written; one that has a plan keeps it.

    Raises
    ------
    UserError
        When too few people are left who may validate.
    """
    if study.trainings:
        return study
    cohort = cohort_of_set(study, whole, parent)
    unsure = study.kind == CURVE and study.config.replay > 0 and phantom_lookup(whole.labels) is None
    if unsure:
        study = replace(study, config=replace(study.config, replay=0.0))
    trainings = plan(study.kind, cohort, study.config, study.count)
    replay = "trained without replay: not at every number of people would there be something to replay" * unsure
    notes = [note for note in (_known_words(study, cohort, whole, parent), replay, whole.note) if note]
    made = replace(study, trainings=trainings, note="; ".join(notes))
    write_study(folder, made)
    return made


def _known_words(study: Study, cohort: Cohort, whole: Dataset, parent: ModelEntry | None) -> str:
    pairs = _twins(whole)
    same = _under_two_names(pairs)
    said = [f"{listed(sorted(same))} have the same scan and never validate"] if same else []
    said += [
        f"{pair.one.title} and {pair.other.title} look like the same scan but count as two people: if they are one"
        " person, give both the same name and start anew"
        for pair in [pair for pair in pairs if pair.distance > 0][:MOST_NAMED]
    ]
    if parent and not is_told(parent.card.lineage):
        said.append(
            f"Whom {parent.card.name}, or a model it comes from, was trained on is not known: the scores of people who"
            " were among them flatter"
        )
    before = sorted(cohort.known - same)
    if parent and before and study.kind == CURVE:
        pool = [person for person in before if cohort.parts[person] != "validation"]
        if pool:
            said.append(f"{parent.card.name} was trained on {listed(pool)}: the curve tells what they add to it")
        before = [person for person in before if person not in pool]
    if parent and before:
        whom = "that person" if len(before) == 1 else "them"
        verb = "never validates" if len(before) == 1 else "never validate"
        said.append(f"{listed(before)} {verb}: {parent.card.name}, or a model it comes from, was trained on {whom}")
    return "; ".join(said)


def _twins(whole: Dataset) -> list[Twins]:
    """Pairs of scans that are, or look like, the same and count as two people: any of them may come to validate."""
    return twins(replace(case, part=case.subject) for case in whole.cases)


def _under_two_names(pairs: list[Twins]) -> set[str]:
    return {scan.subject for pair in pairs if pair.distance == 0 for scan in (pair.one, pair.other)}
