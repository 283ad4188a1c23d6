"""The files that go with every export: a manifest with the hash of each, and what a de-identified one left behind."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thighview.core.statement import RESEARCH_USE
from thighview.io.atomic import write_bytes_atomic, write_json_atomic
from thighview.io.deidentify import ALLOWED, METHOD, Tally
from thighview.io.outgoing import PROGRAM

MANIFEST = "manifest.json"
REPORT = "deidentification"
RESERVED = (MANIFEST.removesuffix(".json"), REPORT)
"""Names no case may leave under: what lies beside it would take the place of these files."""
_FORMAT = "thighview-export-1"


@dataclass
class LeftBehind:
    """What the report of a de-identified export is made of.

    ``labels`` are the names of labels and stay as a person typed them. ``looked_at`` counts the cases whose pictures a
    person has looked at for text burned in, ``not_said`` those whose files have no place to say it.
    """

    persons: set[str] = field(default_factory=set[str])
    cases: int = 0
    images: int = 0
    tally: Tally = field(default_factory=Tally)
    labels: set[str] = field(default_factory=set[str])
    looked_at: int = 0
    not_said: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data: names of elements and counts, never a value."""
        return {
            "format": "thighview-deidentification-1",
            "program": PROGRAM,
            "statement": RESEARCH_USE,
            "persons": len(self.persons),
            "cases": self.cases,
            "method": METHOD,
            "how": list(_HOW),
            "removed": dict(sorted(self.tally.removed.items())),
            "replaced_by_pseudonyms": dict(sorted(self.tally.replaced.items())),
            "dicom_elements_that_may_stay": sorted(ALLOWED) if self.images else [],
            "dicom_images_made_anew": self.images,
            "burned_in_text": {
                "cases_looked_at_by_a_person": self.looked_at,
                "cases_whose_files_do_not_say": self.not_said,
            },
            "label_names_as_typed": sorted(self.labels),
        }

    def to_text(self) -> str:
        """The same for people."""
        told = self.to_json()
        lines = [
            "De-identified export", "", f"{PROGRAM}. {RESEARCH_USE}", "",
            f"{len(self.persons)} persons, {self.cases} cases.", "", *_HOW, "",
        ]  # fmt: skip
        for title, key in (("Removed", "removed"), ("Replaced by pseudonyms", "replaced_by_pseudonyms")):
            lines += [f"{title} (how often it was there):"]
            lines += [f"  {name}: {count}" for name, count in told[key].items()] or ["  nothing"]
            lines += [""]
        if self.images:
            lines += [
                f"{self.images} DICOM images were made anew. What may stay of them: {', '.join(sorted(ALLOWED))}."
            ]
        if self.looked_at:
            lines += [f"Cases whose pictures a person has looked at for text burned in: {self.looked_at}."]
        if self.not_said:
            lines += [
                f"Cases whose files have no place to say whether text is burned in: {self.not_said}. Look at them."
            ]
        lines += [
            f"Names of labels are as a person typed them; look at them: {', '.join(sorted(self.labels)) or 'none'}."
        ]
        return "\n".join(lines) + "\n"


_HOW = (
    "Persons are called by study keys made with the project's secret; the same person has the same key each time.",
    "Titles of cases, names of files and folders, visits and dates are not written.",
    "Image and mask files have headers made anew, with the position of the voxels and nothing else.",
    "DICOM images are made anew from a list of what may stay; their UIDs are replaced consistently.",
    "Whether a face or another feature tells who a person is was not looked at.",
)


def write_report(folder: Path, left: LeftBehind) -> None:
    """Write ``deidentification.json`` and ``deidentification.txt``."""
    write_json_atomic(folder / f"{REPORT}.json", left.to_json())
    write_bytes_atomic(folder / f"{REPORT}.txt", left.to_text().encode())


def write_manifest(folder: Path, form: str, deidentified: bool, mark: str = "") -> int:
    """Write ``manifest.json``, the last file of an export: SHA-256 and size of each other one; gives their number.

    ``mark`` is by what whoever wished for the export knows it again.
    """
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        rows[path.relative_to(folder).as_posix()] = {"sha256": digest, "bytes": path.stat().st_size}
    about = {
        "format": _FORMAT,
        "program": PROGRAM,
        "statement": RESEARCH_USE,
        "kind": form,
        "deidentified": deidentified,
        **({"mark": mark} if mark else {}),
        "files": rows,
    }
    write_json_atomic(folder / MANIFEST, about)
    return len(rows)


def remove_export(folder: Path, mark: str) -> bool:
    """Take a folder away again if it is the export of this mark; whether it was."""
    try:
        told = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    ours = bool(mark) and isinstance(told, dict) and told.get("mark") == mark
    if ours:
        shutil.rmtree(folder, ignore_errors=True)
    return ours


def check_manifest(folder: Path) -> list[str]:
    """What of an exported folder is not as its manifest says: names of files that differ, lack or are new."""
    rows = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
    found = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    odd = sorted(set(found) ^ {*rows, MANIFEST})
    return odd + _changed(folder, [name for name in rows if name in found], rows)


def _changed(folder: Path, names: Sequence[str], rows: dict[str, dict[str, Any]]) -> list[str]:
    changed: list[str] = []
    for name in names:
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != rows[name]["sha256"]:
                changed.append(name)
    return changed
