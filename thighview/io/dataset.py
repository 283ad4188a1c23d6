"""What a run trains on, frozen when it starts: which slices of whom, with copies of the masks.

The person goes on painting while it trains; the run sees only ``dataset.json``, ``masks/`` beside it, and the
sources, whose SHA-256 it checks before it believes them.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from thighview.core.case import Case
from thighview.core.corrections import edit_counts
from thighview.core.errors import UserError
from thighview.core.known import need_lengths
from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap
from thighview.core.painted import painted_labels
from thighview.core.phantom_names import CONTRASTS, phantom_lookup
from thighview.core.run import TrainConfig
from thighview.core.volume import Volume
from thighview.io.atomic import write_json_atomic
from thighview.io.frozen import Dataset, FrozenCase, FrozenPhantom, FrozenSlice, Replay
from thighview.io.json_files import read_json
from thighview.io.masks import read_mask, write_mask
from thighview.io.nifti import read_nifti
from thighview.io.project import Project
from thighview.io.reading import read_known, sha256_of
from thighview.io.runs import RunFolder
from thighview.io.stored_case import load_sound_case

FORMAT = "thighview-run-1"
IGNORE = 255
NO_PERSON = "no validation person: this score does not measure new people"
_AGAIN = "Start the training, or the study, anew."
_PHANTOM_SEED = 900_000
_PHANTOM_SLICES = 6

T = TypeVar("T")


# ------------------------------------------------------------------ freezing


class Write(Protocol):
    """How :func:`freeze` changes the project: calls the change with the writable one and gives back its answer."""

    def __call__(self, change: Callable[[Project], T], /) -> T:
        """Make one change."""
        ...


def freeze(
    project: Project,
    run: RunFolder,
    config: TrainConfig,
    labels: LabelTable | None = None,
    write: Write | None = None,
) -> Dataset:
    """Write ``dataset.json``, ``config.json`` and the masks of a new run; note the run in the project.

    Only reviewed slices enter. Subjects new to the project's split get their part now, for ever. No source is read,
    except for the hash of one that has none yet.

    Parameters
    ----------
    project : Project
        Writable, unless ``write`` is given.
    run : RunFolder
        New, or frozen before (refused).
    config : TrainConfig
    labels : LabelTable, optional
        What to learn; by default every label painted on a reviewed slice.
    write : callable, optional
        Makes the few changes of the project elsewhere: a window's journal must not wait while masks are written.

    Raises
    ------
    UserError
        When nothing is reviewed, everybody reviewed validates or is locked away, the name is taken, or a case is
        given to another subject meanwhile.
    """
    write = write or (lambda change: change(project))
    if run.dataset.exists():
        raise UserError(f"There is a run “{run.name}” already.", "Choose another name.")
    if (project.folder / "models" / run.name).exists():  # the run's model would take its place
        raise UserError(f"The project has a model “{run.name}” already.", "Choose another name for the run.")
    cases = reviewed_cases(project)
    learnt = (labels, []) if labels is not None else painted_labels(cases)
    subjects = {case.subject for case in cases}
    parts = write(lambda writable: writable.assign_parts(sorted(subjects)))
    if "train" not in {parts[case.subject] for case in cases}:
        raise UserError(
            "Everybody with reviewed slices validates or is locked away for testing; nobody is left to train on.",
            "Review slices of another person.",
        )
    return freeze_cases(project, run, config, cases, parts, learnt, write)


def reviewed_cases(project: Project) -> list[Case]:
    """The cases of the training set with reviewed slices.

    Raises
    ------
    UserError
        When there are none, or the mask of one is damaged.
    """
    cases = [load_sound_case(project, s.case_id) for s in project.cases() if s.in_training_set]
    if not cases:
        raise UserError("The training set is empty.", "Add a case with reviewed slices to it first.")
    cases = [case for case in cases if any(r.state.reviewed for r in case.reviews)]
    if not cases:
        raise UserError(
            "No slice of the training set is reviewed, and only reviewed slices train.",
            "Accept the slices whose masks are right (one key in the Review panel), then train.",
        )
    return cases


def freeze_cases(
    project: Project,
    run: RunFolder,
    config: TrainConfig,
    cases: list[Case],
    parts: Mapping[str, str],
    learnt: tuple[LabelTable, list[str]],
    write: Write,
    noted: str = "",
) -> Dataset:
    """Write the files of a new run, or of a study, and note it in the project; what was written goes if that fails.

    ``learnt`` are the labels to learn and the names of those left out; ``noted`` is its name in the project where that
    is not the run's. Only a run has made-up people stand in where nobody validates.
    """
    fresh = not run.path.exists()
    run.masks.mkdir(parents=True, exist_ok=True)
    try:
        frozen = [_freeze_case(project, case, parts[case.subject], run, write) for case in cases]
        dataset = _with_slices(learnt[0], frozen, cases, project, learnt[1], stand_ins=not noted)
        write_json_atomic(run.config, config.to_json())
        write(lambda writable: _note(writable, noted or run.name, config, cases))
        write_dataset(run, dataset, project.name)
    except BaseException:
        if fresh:
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    return dataset


def _note(project: Project, name: str, config: TrainConfig, cases: Iterable[Case]) -> None:
    """Note the run, and that its people were used, unless somebody was renamed while the masks were written."""
    now = {summary.case_id: summary.subject for summary in project.cases()}
    for case in cases:
        if now.get(case.case_id) != case.subject:
            raise UserError(
                f"{case.title} was given to another subject, or to another project, while the run was prepared.",
                "Start the training again.",
            )
    project.add_run(name, config.to_json(), {case.subject for case in cases})


def _freeze_case(project: Project, case: Case, part: str, run: RunFolder, write: Write) -> FrozenCase:
    source = case.series[0]
    sha256 = source.sha256 or sha256_of(*source.key)
    if not source.sha256:
        write(lambda writable: writable.set_sha256(case.case_id, sha256))
    stored = project.stored_scan(case.case_id)  # part and place together: a person may choose another one meanwhile
    grid = Volume(np.broadcast_to(np.uint8(0), case.labels.shape), stored.affine, case.title)
    mask = f"masks/case_{case.case_id}.nii.gz"
    write_mask(run.path / mask, case.labels, case.table, grid)
    states = tuple(review.state.word for review in case.reviews)
    reviewed = tuple(i for i, review in enumerate(case.reviews) if review.state.reviewed)
    return FrozenCase(
        case.case_id, case.title, case.subject, part, source.path, sha256, mask, case.table, states, reviewed,
        source_part=stored.key.part, checked=tuple(sorted(case.checked)),
    )  # fmt: skip


def _with_slices(
    table: LabelTable, cases: list[FrozenCase], drawn: list[Case], project: Project, left_out: list[str],
    stand_ins: bool,
) -> Dataset:  # fmt: skip
    slices: list[FrozenSlice] = []
    notes: list[str] = []
    for case, made in zip(cases, drawn, strict=True):
        shape, affine = project.geometry(case.case_id)[0]
        axis = Volume(np.broadcast_to(np.uint8(0), shape), affine).axial_axis
        axial = case.reviewed if axis == 0 else range(shape[axis])
        counts = edit_counts(made, axis)
        for index in axial:
            state = case.states[index] if axis == 0 else "partial"
            who = (case.subject, case.part)
            slices.append(FrozenSlice(len(slices) + 1, case.case_id, index, state, *who, *counts[index]))
        if axis != 0:
            notes.append(f"{case.title} is stored across its axial planes: only reviewed rows of each count")
        unknown = [label.title for label in table if case.table.find(label.name, label.side) is None]
        if unknown:
            notes.append(f"{case.title} does not know {', '.join(unknown)}: background there")
    phantoms: list[FrozenPhantom] = []
    if stand_ins and not any(s.part == "validation" for s in slices):
        phantoms, said = add_stand_ins(table, slices)
        notes = [*said, *notes]
    if left_out:
        notes.append("not painted on any reviewed slice, so not learnt: " + ", ".join(left_out))
    return Dataset(table, tuple(cases), tuple(phantoms), tuple(slices), "; ".join(notes), vetted=False)


def add_stand_ins(table: LabelTable, slices: list[FrozenSlice]) -> tuple[list[FrozenPhantom], list[str]]:
    """Made-up people where nobody validates: they, and what to say about it; their slices are put to ``slices``."""
    if phantom_lookup(table) is None:
        return [], [NO_PERSON, "its labels are not those of a phantom, so there is no validation score"]
    phantoms = [
        FrozenPhantom(_PHANTOM_SEED + i, contrast, _PHANTOM_SLICES, f"phantom {i + 1}")
        for i, contrast in enumerate(CONTRASTS[:2])
    ]
    for phantom in phantoms:
        for index in range(phantom.slices):
            slices.append(FrozenSlice(len(slices) + 1, 0, index, "drawn", phantom.subject, "validation"))
    return phantoms, [NO_PERSON]


# ------------------------------------------------------------------ the file


def update_dataset(run: RunFolder, dataset: Dataset) -> None:
    """Write ``dataset.json`` of a run anew, with what is known of its set since."""
    write_dataset(run, dataset, str(read_json(run.dataset, _AGAIN).get("project", "")))


def write_dataset(run: RunFolder, dataset: Dataset, project_name: str) -> None:
    """Write ``dataset.json`` of a run."""
    write_json_atomic(run.dataset, {
        "format": FORMAT,
        "project": project_name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "note": dataset.note,
        "vetted": dataset.vetted,
        "labels": dataset.labels.to_json(),
        "cases": [asdict(case) | {"source": str(case.source), "table": case.table.to_json()} for case in dataset.cases],
        "phantoms": [asdict(phantom) for phantom in dataset.phantoms],
        "slices": [asdict(s) for s in dataset.slices],
        "replay": asdict(dataset.replay) if dataset.replay else None,
        "begun_with": dataset.begun_with,
    })  # fmt: skip


def read_dataset(run: RunFolder) -> Dataset:
    """The frozen set of a run.

    Raises
    ------
    UserError
        When it is missing, damaged, or from a newer program.
    """
    data = read_json(run.dataset, _AGAIN)
    if data.get("format") != FORMAT:
        raise UserError(
            f"The run {run.name!r} has the format {data.get('format')!r}; this program knows {FORMAT}.",
            "Open it with the thighview that made it, or start a new run.",
        )
    try:
        cases = tuple(
            FrozenCase(**row | {
                "source": Path(row["source"]), "table": LabelTable.from_json(row["table"]),
                "states": tuple(row["states"]), "reviewed": tuple(row["reviewed"]),
                "checked": tuple(row.get("checked", ())),
            })
            for row in data["cases"]
        )  # fmt: skip
        return Dataset(
            LabelTable.from_json(data["labels"]),
            cases,
            tuple(FrozenPhantom(**row) for row in data["phantoms"]),
            tuple(FrozenSlice(**row) for row in data["slices"]),
            str(data["note"]),
            bool(data.get("vetted", True)),
            Replay.from_json(data.get("replay")),
            str(data.get("begun_with", "")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{run.dataset} is damaged: {error}.", _AGAIN) from error


# ------------------------------------------------------------------ reading what was frozen


def read_case(run: RunFolder, case: FrozenCase, labels: LabelTable) -> tuple[Volume, LabelMap]:
    """A frozen case: its scan, and its mask with the values of ``labels`` (z, y, x), IGNORE where not reviewed.

    A slice that is missing in the files of the scan is IGNORE, too.

    Labels that are not learnt count as background.

    Raises
    ------
    UserError
        When the source is gone or is not the file that was frozen.
    """
    if not case.source.exists():
        raise UserError(
            f"The scan {case.source} of {case.title} is gone.", "Put it back in its place, then let the run go on."
        )
    volume = read_known(*case.key, case.sha256)
    need_lengths(volume, case.checked, in_project=True)
    stored, found = read_mask(run.path / case.mask, volume)
    if not read_nifti(run.path / case.mask).same_grid(volume):  # it was turned to fit: never with what was frozen
        raise UserError(f"The mask of {case.title} does not lie on its scan any more.", "Start a new run.")
    by_file_id = {label.file_id: label for label in case.table}
    lookup = np.zeros(256, np.uint8)
    for label in found:
        named = by_file_id.get(label.file_id)
        learnt = labels.find(named.name, named.side) if named else None
        lookup[label.value] = learnt.value if learnt else 0
    mask = lookup[stored]
    unseen = np.setdiff1d(np.arange(mask.shape[0]), np.setdiff1d(case.reviewed, volume.missing))
    mask[unseen] = IGNORE
    return volume, mask


def read_phantom(phantom: FrozenPhantom, labels: LabelTable) -> tuple[Volume, LabelMap]:
    """A made-up person and the truth, with the values of ``labels``; every slice counts."""
    from thighview.core.phantom import make_phantom  # scipy comes with it: only where it trains, never for freezing

    made = make_phantom(phantom.seed, phantom.contrast, slices=phantom.slices)
    lookup = phantom_lookup(labels)
    if lookup is None:
        raise UserError("The labels of this run are not those of a phantom.", "Start a new run.")
    which, values = lookup
    return made.volume, values[made.truth(which)]
