"""Masks as a BIDS derivative: names by person, a table of the labels and a sidecar beside each mask."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thighview import __version__
from thighview.core.labels import LabelTable
from thighview.core.mask import LabelMap
from thighview.core.review import SliceReview
from thighview.core.statement import RESEARCH_USE
from thighview.core.volume import Volume
from thighview.io.atomic import write_bytes_atomic, write_json_atomic
from thighview.io.masks import sidecar_path, write_mask
from thighview.io.nifti import stem
from thighview.io.unreviewed import UNREVIEWED, marked

VERSION = "1.10.0"
_ENTITY = re.compile(r"([a-z]+)-([A-Za-z0-9]+)")
_BEFORE_SUFFIX = ("ses", "acq", "ce", "rec", "dir", "run", "echo", "part", "chunk")
"""Entities of a raw file that its derivative keeps, in the order of the standard."""
_IGNORED = "manifest.json\ndeidentification.json\ndeidentification.txt\n"


def subject_labels(subjects: Sequence[str]) -> dict[str, str]:
    """The BIDS label of each subject: its letters and digits, no two alike even where case does not count."""
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for subject in dict.fromkeys(subjects):
        plain = re.sub(r"[^A-Za-z0-9]", "", subject.removeprefix("sub-")) or "subject"
        label, n = plain, 1
        while label.lower() in taken:
            n += 1
            label = f"{plain}x{n}"
        taken.add(label.lower())
        labels[subject] = label
    return labels


def entities_of(source: Path | None, visit: str = "") -> dict[str, str]:
    """What a mask's name takes from the name of its scan (``sub-01_ses-1_T1w.nii.gz``), and from the visit."""
    parts = stem(source).split("_") if source else []
    found = {named[1]: named[2] for part in parts if (named := _ENTITY.fullmatch(part))}
    kept = {key: found[key] for key in _BEFORE_SUFFIX if "sub" in found and key in found}
    if plain := re.sub(r"[^A-Za-z0-9]", "", visit):
        kept = {"ses": plain, **{key: value for key, value in kept.items() if key != "ses"}}
    return kept


class MaskNames:
    """Where masks lie in the dataset, one after the other; a run number tells apart what would be alike."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def next(self, subject: str, entities: Mapping[str, str]) -> Path:
        """The place of another mask, by the label of its subject and what else its name says."""
        run = int(entities["run"]) if entities.get("run", "").isdigit() else 0
        while True:
            own = {**entities, **({"run": f"{run:02d}"} if run else {})}
            name = "_".join([f"sub-{subject}", *(f"{key}-{own[key]}" for key in _BEFORE_SUFFIX if key in own)])
            if name.lower() not in self._taken:
                break
            run = max(run, 1) + 1
        self._taken.add(name.lower())
        session = [f"ses-{own['ses']}"] if "ses" in own else []
        return Path(f"sub-{subject}", *session, "anat", f"{name}_dseg.nii.gz")


def write_bids_mask(
    root: Path,
    name: Path,
    volume: Volume,
    labels: LabelMap,
    table: LabelTable,
    reviews: Sequence[SliceReview],
    facts: Mapping[str, Any],
    source: str = "",
) -> None:
    """Write a mask with its table of labels and its sidecar; slices nobody has reviewed carry a label of their own.

    Parameters
    ----------
    root, name : Path
        The dataset, and the mask's place in it.
    facts : mapping
        For the sidecar, under ``thighview``.
    source : str
        Name of the scan's file; empty where it is not to be said.
    """
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    mask, with_mark, mark = marked(labels, table, reviews)
    write_mask(path, mask, with_mark, volume)
    rows = ["index\tname\tcolor", "0\tbackground\t#000000"]
    rows += [f"{b.file_id}\t{_cell(b.key)}\t#{bytes(b.colour).hex()}" for b in with_mark]
    tsv = path.with_name(stem(path) + ".tsv")
    write_bytes_atomic(tsv, ("\n".join(rows) + "\n").encode())
    made = [row.get("made_by") for row in facts.get("labels", ())]
    sidecar = {
        "Description": f"Masks of thigh MRI. {RESEARCH_USE}",
        **({"Sources": [source]} if source else {}),
        "Manual": bool(made) and all(isinstance(by, dict) and by.get("kind") == "manual" for by in made),
        "UnreviewedIndex": mark.file_id if mark else None,
        "thighview": dict(facts),
    }
    write_json_atomic(sidecar_path(path), sidecar)


def write_bids_dataset(root: Path) -> None:
    """Write what the folder as a whole must say of itself."""
    about = {
        "Name": "Masks of thigh MRI",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "thighview", "Version": __version__, "Description": RESEARCH_USE}],
    }
    text = (
        f"Masks of thigh MRI, drawn, corrected and reviewed with thighview {__version__}. {RESEARCH_USE}\n\n"
        "Each mask lies on the voxels of its scan. The .tsv beside it names its labels, the .json says what a person\n"
        f"has reviewed, slice by slice; a slice nobody has reviewed carries the label “{UNREVIEWED}” throughout.\n"
    )
    write_json_atomic(root / "dataset_description.json", about)
    write_bytes_atomic(root / "README", text.encode())
    write_bytes_atomic(root / ".bidsignore", _IGNORED.encode())


def _cell(text: str) -> str:
    """A cell of a table: no tab and no line break, and no sign that a spreadsheet takes for a formula."""
    plain = " ".join(text.split())
    return f"'{plain}" if plain[:1] in ("=", "+", "-", "@") else plain
