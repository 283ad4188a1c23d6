"""A raw dataset folder of nnU-Net on its way in: cases with masks, reviewed unless the folder says otherwise."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.case import Case, Series
from thighview.core.errors import UserError
from thighview.core.known import need_lengths
from thighview.core.labels import PALETTE, Label, LabelTable
from thighview.core.mask import painted_values
from thighview.core.provenance import reviews_told
from thighview.core.review import SliceReview, SliceState, teaching
from thighview.io.json_files import read_json
from thighview.io.masks import find_mask
from thighview.io.nnunet_out import FOLDERS, FORMAT, IGNORE, SIDE_FILE, plain_name, unlike
from thighview.io.reading import read_volume, sha256_of

_LARGEST_JSON_BYTES = 64 << 20
_AGAIN = "Repair that file."


@dataclass(frozen=True)
class InCase:
    """One case of the folder; its pixels are read by :func:`load_case` only.

    ``facts`` is what ``thighview.json`` says of it, None where there is no such file.
    """

    name: str
    subject: str
    part: str
    image: Path
    mask: Path
    facts: dict[str, Any] | None


@dataclass(frozen=True)
class InDataset:
    """A folder that has been looked through: its labels by id, the id of ``ignore``, its cases, and doubts."""

    folder: Path
    labels: dict[int, tuple[str, str]]
    ignore: int | None
    cases: tuple[InCase, ...]
    notes: tuple[str, ...]


def is_dataset(folder: Path) -> bool:
    """Whether this is a raw dataset folder."""
    return (folder / "dataset.json").is_file()


def read_dataset(folder: Path) -> InDataset:
    """Look through a raw dataset folder; images and masks are not read yet.

    Raises
    ------
    UserError
        When it is not such a folder, or holds what cannot be taken in (labels of overlapping regions, other file
        formats, masks without image).
    """
    if not is_dataset(folder):
        raise UserError(
            f"{folder} is not an nnU-Net raw folder: it has no dataset.json.",
            "Choose the folder that holds dataset.json, imagesTr and labelsTr.",
        )
    facts = read_json(folder / "dataset.json", _AGAIN, _LARGEST_JSON_BYTES)
    ending = facts.get("file_ending", ".nii.gz")
    if ending not in (".nii.gz", ".nii"):
        raise UserError(f"The images of this folder end in {ending!r}.", "NIfTI can be taken in: .nii.gz or .nii.")
    ids = _label_ids(facts.get("labels"))
    ignore = ids.pop(IGNORE, None)
    ours = _side_file(folder)
    labels = _named_labels(ids, ours)
    notes: list[str] = []
    channels = facts.get("channel_names", facts.get("modality"))
    if isinstance(channels, dict) and len(channels) > 1:
        first = channels.get("0", "0")
        notes.append(f"The folder has {len(channels)} channels; only the first ({first}) is taken.")
    cases: list[InCase] = []
    for part, (images, masks) in FOLDERS.items():
        for mask in sorted((folder / masks).glob(f"*{ending}")) if (folder / masks).is_dir() else []:
            if mask.name.startswith("."):
                continue
            cases.append(_find_case(folder / images, mask, ending, part, ours))
    if not cases:
        raise UserError(f"There are no masks in {folder / 'labelsTr'}.", "thighview takes in cases that have a mask.")
    if ours is None:
        without = [case.name for case in cases if not case.name.startswith("sub-")]
        if without:
            notes.append(
                f"There is no {SIDE_FILE} that says who is who: each of the {len(without)} cases counts as a person of "
                "its own. Correct the subjects before training if a person has several cases."
            )
    return InDataset(folder, labels, ignore, tuple(cases), tuple(notes))


def load_case(dataset: InDataset, case: InCase) -> Case:
    """Read one case with image, mask, labels and slice states.

    Without slice states from thighview every slice counts as drawn by hand, but for slices with the ignore label,
    those that are missing in the scan, and masks beside which a file says that a model drew them: those are not
    reviewed.

    Raises
    ------
    UserError
        When image or mask cannot be read, do not fit, or carry ids that are not named.
    """
    volume = read_volume(case.image)
    need_lengths(volume)
    file = find_mask(case.mask, volume)
    mask, found = file.settled()
    painted = set(painted_values(mask).tolist())
    ids = np.zeros(256, np.int64)
    for label in found:
        ids[label.value] = label.file_id if label.value in painted else 0
    table, lookup = _table(dataset, case, [int(i) for i in ids[ids != 0]])
    values = np.array([lookup.get(int(i), 0) for i in ids], np.uint8)
    ignored: NDArray[np.bool_] = np.zeros(mask.shape[0], np.bool_)
    if dataset.ignore is not None:
        ignored = (ids == dataset.ignore)[mask].any(axis=(1, 2))
    labels = values[mask]
    said = teaching(_said(case, len(ignored)) or file.reviews(mask, found), volume.missing)
    reviews = _reviews(said, ignored, np.asarray(labels.any(axis=(1, 2))))
    title = str(case.facts.get("title", case.name)) if case.facts else case.name
    volume = replace(volume, name=title)
    series = Series(0, "image", case.image.absolute(), sha256_of(case.image), volume)
    return Case(0, case.subject, title, [series], labels, table, reviews)


def _find_case(images: Path, mask: Path, ending: str, part: str, ours: dict[str, Any] | None) -> InCase:
    name = mask.name[: -len(ending)]
    image = images / f"{name}_0000{ending}"
    if not image.is_file():
        raise UserError(f"The mask {mask.name} has no image {images.name}/{image.name}.", "Add it or remove the mask.")
    facts = ours["cases"].get(name) if ours is not None else None
    if ours is not None and not isinstance(facts, dict):
        raise UserError(
            f"{SIDE_FILE} says nothing of the case {name}.", f"Remove {SIDE_FILE} to take masks in as drawn."
        )
    found = re.match(r"sub-[A-Za-z0-9]+", name)
    subject = found.group() if found else name
    if facts is not None:
        subject, part = facts.get("subject"), facts.get("part") or ""
        if not isinstance(subject, str) or not subject.strip() or part not in ("", "train", "validation", "test"):
            raise UserError(f"{SIDE_FILE} gives the case {name} no proper subject and part.", "Repair that file.")
    elif part != "test":
        part = ""
    return InCase(name, subject, part, image, mask, facts)


def _table(dataset: InDataset, case: InCase, ids: Sequence[int]) -> tuple[LabelTable, dict[int, int]]:
    """The label table of a case, and the value in the mask for each id in the file."""
    strange = [i for i in ids if i not in dataset.labels and i != dataset.ignore]
    if strange:
        raise UserError(
            f"The mask {case.mask.name} holds the label {strange[0]}, which dataset.json does not name.",
            "Add it to the labels of dataset.json.",
        )
    if case.facts is not None:
        rows = case.facts.get("labels")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UserError(f"{SIDE_FILE} gives the case {case.name} no list of labels.", "Repair that file.")
        table = LabelTable.from_json(rows)
        lookup: dict[int, int] = {}
        values = {label.key: label.value for label in table}
        for i, (name, side) in dataset.labels.items():
            key = f"{name}_{side}" if side else name
            if key not in values and i in ids:
                raise UserError(f"{SIDE_FILE} does not list the label {key} of the case {case.name}.")
            if key in values:
                lookup[i] = values[key]
        return table, lookup
    free = iter(sorted(set(range(1, 256)) - set(dataset.labels)))
    labels: list[Label] = []
    for i, (name, side) in sorted(dataset.labels.items()):
        value = i if i <= 255 else next(free)
        labels.append(Label(value, name, side, PALETTE[(value - 1) % len(PALETTE)], i))
    return LabelTable(tuple(labels)), {label.file_id: label.value for label in labels}


def _said(case: InCase, count: int) -> tuple[SliceReview, ...]:
    """What our own file says of each of ``count`` slices; empty without one."""
    if case.facts is None:
        return ()
    told = reviews_told(case.facts.get("slices"), case.facts.get("model_beneath"))
    if told is None or len(told) != count:
        raise UserError(
            f"{SIDE_FILE} should give the case {case.name} a state for each of its {count} slices.",
            "Repair that file, or remove it to take all masks in as drawn.",
        )
    return told


def _reviews(said: Sequence[SliceReview], ignored: NDArray[np.bool_], painted: NDArray[np.bool_]) -> list[SliceReview]:
    """Review of each slice. A slice that carries ``ignore`` is never reviewed, whatever is said of it."""
    reviews = list(said)
    for i, review in enumerate(reviews):
        if ignored[i] or (review.state is not SliceState.MODEL and not review.state.reviewed):
            reviews[i] = SliceReview(SliceState.EDITING if painted[i] else SliceState.UNSEEN)
    return reviews


def _label_ids(labels: object) -> dict[str, int]:
    """Ids by name, without background; version 1 of the format has them the other way round.

    Names that are alike once they are plain get a number; one that was plain before keeps it.
    """
    if not isinstance(labels, dict) or not labels:
        raise UserError(
            "The file dataset.json names no labels.", 'Expected for example {"background": 0, "muscle": 1}.'
        )
    if all(isinstance(key, str) and key.isdigit() and isinstance(value, str) for key, value in labels.items()):
        labels = {value: int(key) for key, value in labels.items()}
    ids: dict[str, int] = {}
    for name, value in sorted(labels.items(), key=lambda item: item[0] != plain_name(str(item[0]))):
        if isinstance(value, list):
            raise UserError(
                f"The label {name!r} of dataset.json is a region of several ids.",
                "Overlapping regions cannot be taken in; give each label one id.",
            )
        if (
            not isinstance(name, str)
            or isinstance(value, bool)
            or not isinstance(value, int)
            or not 0 <= value < 1 << 31
        ):
            raise UserError(f"The label {name!r} of dataset.json should have a number, found {value!r}.")
        if value:
            ids[unlike(plain_name(name) or f"label_{value}", ids)] = value
    if len(set(ids.values())) != len(ids):
        raise UserError("Two labels of dataset.json have the same number.", "Give every label its own.")
    if len(ids) > 255:
        raise UserError(f"dataset.json names {len(ids)} labels; at most 255 fit.", "Merge labels first.")
    return ids


def _named_labels(ids: dict[str, int], ours: dict[str, Any] | None) -> dict[int, tuple[str, str]]:
    """Name and side by id: as thighview wrote them, else taken from the names in ``dataset.json``."""
    if ours is not None:
        rows = ours.get("labels")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UserError(f"{SIDE_FILE} holds no list of labels.", "Repair that file.")
        table = LabelTable.from_json(rows)
        if {label.value for label in table} != set(ids.values()):
            raise UserError(f"{SIDE_FILE} and dataset.json do not list the same labels.", "Repair one of them.")
        return {label.value: (label.name, label.side) for label in table}
    sides = [_split_side(name) for name in ids]
    if len(set(sides)) < len(sides):
        sides = [(name, "") for name in ids]
    return dict(zip(ids.values(), sides, strict=True))


def _split_side(name: str) -> tuple[str, str]:
    """Name and side of ``muscle_left`` or ``left_muscle``; other names have no side."""
    found = re.fullmatch(r"(?i)(.+)[_ .-](left|right)", name) or re.fullmatch(r"(?i)(left|right)[_ .-](.+)", name)
    if not found:
        return name, ""
    a, b = found.groups()
    return (a, b.lower()) if b.lower() in ("left", "right") else (b, a.lower())


def _side_file(folder: Path) -> dict[str, Any] | None:
    """What thighview wrote about labels and cases; None when the folder comes from elsewhere."""
    if not (folder / SIDE_FILE).is_file():
        return None
    data = read_json(folder / SIDE_FILE, _AGAIN, _LARGEST_JSON_BYTES)
    if data.get("format") != FORMAT or not isinstance(data.get("cases"), dict):
        raise UserError(
            f"{folder / SIDE_FILE} is not of the form {FORMAT}.", "Remove it to take all masks in as drawn by hand."
        )
    return data
