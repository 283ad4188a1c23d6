"""A training set as a raw dataset folder of nnU-Net (version 2), on its way out.

Beside nnU-Net's own files lies ``thighview.json`` with what nnU-Net has no place for: original label ids, names, sides
and colours, the person of each case and the state of each slice. ``io.nnunet_in`` reads both back.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from thighview.core.errors import UserError
from thighview.core.known import leaves_as_shown, sides_known, with_one_position
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import LabelMap
from thighview.core.review import SliceReview, teaching
from thighview.core.statement import RESEARCH_USE
from thighview.core.volume import Volume
from thighview.io.atomic import write_json_atomic
from thighview.io.folders import need_empty, staged_folder
from thighview.io.images import write_volume
from thighview.io.masks import write_mask

SIDE_FILE = "thighview.json"
FORMAT = "thighview-nnunet-1"
IGNORE = "ignore"
_LONGEST_NAME = 80
FOLDERS = {"train": ("imagesTr", "labelsTr"), "test": ("imagesTs", "labelsTs")}
"""Folders of images and masks: for training (with its validation part), and for the locked test."""

Report = Callable[[int, int], None]
"""Called with how much is done, and of how much."""
Stopped = Callable[[], bool]
"""Whether the person wants the work to end."""


@dataclass(frozen=True)
class OutCase:
    """One case on its way out; its pixels are read only when its turn comes.

    ``part`` is ``train``, ``validation``, ``test`` or nothing; ``reviews`` has one entry per slice of array axis 0;
    ``sides_known`` is found when it is read.
    """

    subject: str
    title: str
    part: str
    table: LabelTable
    reviews: tuple[SliceReview, ...]
    load: Callable[[], tuple[Volume, LabelMap]]
    sides_known: bool = True

    @property
    def reviewed(self) -> int:
        """How many of its slices a person has called right."""
        return sum(review.state.reviewed for review in self.reviews)


@dataclass(frozen=True)
class OutReport:
    """What was written: case names, slices with and without labels, and what a person should know."""

    folder: Path
    cases: tuple[str, ...]
    slices: int
    ignored: int
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{len(self.cases)} case{'s' * (len(self.cases) != 1)} in {self.folder}: {self.slices} reviewed slices, "
            f"{self.ignored} not reviewed (ignore)."
        )


def write_dataset(
    folder: Path,
    cases: Sequence[OutCase],
    name: str,
    report: Report = lambda done, total: None,
    stopped: Stopped = lambda: False,
    finish: Callable[[Path], object] = lambda stage: None,
) -> OutReport | None:
    """Write cases as a raw dataset folder; nothing is left behind on failure.

    Slices that are not reviewed carry the ``ignore`` label, the highest id, whatever is drawn on them: output of a
    model that no person has looked at never leaves as a label. Nor does what stands on a slice that is missing in the
    files of the scan. Cases without any reviewed slice stay at home.

    Parameters
    ----------
    folder : Path
        New, or an empty folder.
    cases : sequence of OutCase
        In the order they shall have.
    name : str
        Name of the dataset.
    report, stopped
        Progress in cases; asked before each case.
    finish : callable
        Adds what it likes to the finished folder before that takes its place.

    Returns
    -------
    OutReport or None
        None when it was stopped.

    Raises
    ------
    UserError
        No reviewed slice, too many labels, a folder that is not empty, or a scan that cannot be read.
    """
    need_empty(folder)
    labels = check_cases(cases)
    going = [case for case in cases if case.reviewed]
    at_home = [case for case in cases if not case.reviewed]
    names = file_names([case.title for case in going])
    ignore = len(labels) + 1
    written: dict[str, OutCase] = {}
    try:
        with staged_folder(folder) as stage:
            for done, (case, case_name) in enumerate(zip(going, names, strict=True)):
                if stopped():
                    raise _Stop
                report(done, len(going))
                if seen := _write_case(stage, case, case_name, labels, ignore):
                    written[case_name] = seen
                else:
                    at_home.append(case)
            _need_reviewed([*written.values()])
            _write_descriptions(stage, written, name, labels, ignore)
            finish(stage)
    except _Stop:
        return None
    report(len(going), len(going))
    slices = sum(case.reviewed for case in written.values())
    ignored = sum(len(case.reviews) for case in written.values()) - slices
    return OutReport(folder, tuple(written), slices, ignored, tuple(_notes(at_home, [*written.values()])))


class _Stop(Exception):  # noqa: N818 - not an error: the person asked for it
    """Leaves the staged folder so that nothing of it stays."""


def check_cases(cases: Sequence[OutCase]) -> LabelTable:
    """Refuse what cannot be written, by all that is known before pixels are read; gives the labels of the dataset.

    Raises
    ------
    UserError
        No reviewed slice, no label, or too many of them.
    """
    _need_reviewed(cases)
    return number_labels([case.table for case in cases if case.reviewed])


def _need_reviewed(cases: Sequence[OutCase]) -> None:
    if not any(case.reviewed for case in cases):
        raise UserError(
            "No slice of these cases has been reviewed, so there is nothing a model could learn from.",
            "Accept or draw slices first; unreviewed model output is never exported as labels.",
        )


def number_labels(tables: Sequence[LabelTable]) -> LabelTable:
    """One table for all cases: every name with its side once, numbered 1 to N without gaps."""
    first: dict[str, Label] = {}
    for table in tables:
        for label in table:
            first.setdefault(label.key, label)
    if not first:
        raise UserError("These cases have no labels.", "Add a label to the masks first.")
    if len(first) > 254:
        raise UserError(f"These cases have {len(first)} different labels; at most 254 fit.", "Export fewer cases.")
    return LabelTable(
        tuple(Label(n, label.name, label.side, label.colour, n) for n, label in enumerate(first.values(), 1))
    )


def names_in_dataset(labels: LabelTable) -> dict[str, int]:
    """Numbers by the names of labels in ``dataset.json``: no two alike, of at most 80 characters and on one line.

    A name that nnU-Net keeps for itself gets ``_label`` behind it, one that others have a number.
    """
    plain = {label.value: plain_name(label.key) for label in labels}
    reserved = ("background", IGNORE)
    own = [b for b in labels if plain[b.value] == b.key and b.key not in reserved]
    names = {label.key: label.value for label in own}
    for label in labels:
        if label not in own:
            name = plain[label.value] or f"label_{label.value}"
            name = f"{name}_label" if name in reserved else name
            names[unlike(name, {*names, *reserved})] = label.value
    return dict(sorted(names.items(), key=lambda item: item[1]))


def plain_name(name: str) -> str:
    """A name as it may stand in ``dataset.json``: at most 80 characters, none of which controls anything."""
    return re.sub(r"[\x00-\x1f\x7f]", " ", name).strip()[:_LONGEST_NAME].strip()


def unlike(name: str, taken: Collection[str]) -> str:
    """A name that nobody has: where somebody has it, with a number behind it, still of at most 80 characters."""
    new, n = name, 1
    while new in taken:
        n += 1
        new = f"{name[: _LONGEST_NAME - len(str(n)) - 1]}_{n}"
    return new


def labels_out(
    mask: LabelMap, table: LabelTable, labels: LabelTable, reviews: Sequence[SliceReview], ignore: int
) -> LabelMap:
    """A mask in the numbers of the dataset, slices not reviewed filled with ``ignore``; uint8 (z, y, x)."""
    lookup = np.zeros(256, np.uint8)
    numbers = {label.key: label.value for label in labels}
    for label in table:
        lookup[label.value] = numbers[label.key]
    strange = sorted({int(v) for v in np.unique(mask)} - {0} - {label.value for label in table})
    if strange:
        raise UserError(f"The mask holds the value {strange[0]}, which its labels do not name.", "Name it or erase it.")
    out = lookup[mask]
    for index, review in enumerate(reviews):
        if not review.state.reviewed:
            out[index] = ignore
    return out


def folds_by_subject(cases: Sequence[tuple[str, str, str]]) -> list[dict[str, list[str]]]:
    """Splits for nnU-Net in which no person is on both sides.

    Parameters
    ----------
    cases : sequence of (name, subject, part)
        Cases of the training and validation parts.

    Returns
    -------
    list of dict
        The first fold is the project's own split; up to four more deal the remaining persons out, so that each
        person is validated once. A single person gives one fold without validation.
    """
    subjects = list(dict.fromkeys(subject for _, subject, _ in cases))
    held = [list(dict.fromkeys(subject for _, subject, part in cases if part == "validation"))]
    rest = [subject for subject in subjects if subject not in held[0]]
    more = min(4 if held[0] else 5, len(rest))
    if len(subjects) > 1:
        held += [rest[first::more] for first in range(more)]
    folds = [group for group in held if group and len(group) < len(subjects)] or [[]]
    return [
        {
            "train": [name for name, subject, _ in cases if subject not in group],
            "val": [name for name, subject, _ in cases if subject in group],
        }
        for group in folds
    ]


def _write_case(stage: Path, case: OutCase, name: str, labels: LabelTable, ignore: int) -> OutCase | None:
    """Write one case, and give it with the reviews its slices have now that the scan is known; None if none is left."""
    volume, mask = case.load()
    volume = with_one_position(volume)
    if mask.shape != volume.shape or len(case.reviews) != mask.shape[0]:
        raise UserError(f"The mask of {case.title} does not lie on its scan's grid: {mask.shape} on {volume.shape}.")
    case = replace(case, reviews=teaching(case.reviews, volume.missing), sides_known=sides_known(volume))
    if not case.reviewed:
        return None
    images, masks = FOLDERS["test" if case.part == "test" else "train"]
    for folder in (images, masks):
        (stage / folder).mkdir(exist_ok=True)
    out = labels_out(mask, case.table, labels, case.reviews, ignore)
    write_volume(stage / images / f"{name}_0000.nii.gz", volume, checked=True)
    write_mask(stage / masks / f"{name}.nii.gz", out, LabelTable(), volume)  # the numbers as they are
    return case


def _write_descriptions(stage: Path, cases: Mapping[str, OutCase], name: str, labels: LabelTable, ignore: int) -> None:
    ids = {"background": 0, **names_in_dataset(labels)}
    if any(case.reviewed < len(case.reviews) for case in cases.values()):
        ids[IGNORE] = ignore
    learning = [(n, c.subject, c.part) for n, c in cases.items() if c.part != "test"]
    dataset = {
        "channel_names": {"0": "MRI"},
        "labels": ids,
        "numTraining": len(learning),
        "file_ending": ".nii.gz",
        "name": name,
        "description": f"Thigh MRI with reviewed masks, written by thighview. {RESEARCH_USE}",
    }
    ours = {
        "format": FORMAT,
        "labels": [{"id": b.value, "name": b.name, "side": b.side, "colour": list(b.colour)} for b in labels],
        "cases": {
            n: {
                "subject": case.subject,
                "title": case.title,
                "part": case.part,
                "labels": case.table.to_json(),
                "slices": [review.state.word for review in case.reviews],
                "model_beneath": [i for i, review in enumerate(case.reviews) if review.model_beneath],
            }
            for n, case in cases.items()
        },
    }
    for file, data in (("dataset.json", dataset), ("splits_final.json", folds_by_subject(learning)), (SIDE_FILE, ours)):
        write_json_atomic(stage / file, data)


def file_names(titles: Sequence[str]) -> list[str]:
    """File names for cases: plain letters, digits and hyphens, no two alike even where case does not count."""
    taken: set[str] = set()
    names: list[str] = []
    for title in titles:
        base = re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-")[:60].rstrip("-") or "case"
        name, n = base, 1
        while name.lower() in taken:
            n += 1
            name = f"{base}-{n}"
        taken.add(name.lower())
        names.append(name)
    return names


def _notes(at_home: Sequence[OutCase], going: Sequence[OutCase]) -> list[str]:
    notes = [f"{case.title} stays at home: none of its slices is reviewed." for case in at_home]
    notes += [leaves_as_shown(case.title) for case in going if not case.sides_known]
    keys = [{label.key for label in case.table} for case in going]
    every = set[str]().union(*keys)
    for case, known in zip(going, keys, strict=True):
        if known != every:
            missing = ", ".join(sorted(every - known)[:3])
            notes.append(f"{case.title} has no label {missing}: nnU-Net will read that tissue as background there.")
    tests = sum(case.part == "test" for case in going)
    if tests:
        notes.append(f"{tests} locked test case{'s' * (tests != 1)} went to imagesTs and labelsTs, away from training.")
    if len({case.subject for case in going if case.part != "test"}) == 1:
        notes.append("There is one person only: splits_final.json has no validation case.")
    return notes
