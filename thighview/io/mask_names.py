"""Names for the numbers of a mask: our own sidecar, and the label descriptions of ITK-SNAP."""

import json
import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thighview.core.errors import UserError
from thighview.core.labels import PALETTE, Label, LabelTable
from thighview.core.provenance import Provenance, reviews_told
from thighview.core.segments import Segment, named, split_side
from thighview.io.names import stem

_MAX_BYTES = 1 << 20
_MOST_LABELS = 255
_TITLE = "itk-snap label description file"
_LINE = re.compile(r'^\s*(-?\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+([\d.eE+-]+)\s+(\d+)\s+(\d+)\s+"(.*)"\s*$')
DESCRIPTIONS = (".label", ".txt")
"""Endings of a label description of ITK-SNAP."""


@dataclass(frozen=True)
class LabelName:
    """What is known of a number in a mask file: name, side and, perhaps, colour."""

    name: str
    side: str = ""
    colour: tuple[int, int, int] | None = None


def stem_of(path: Path) -> str:
    """The name of a mask file without its ending, of which ``.nii.gz`` and ``.seg.nrrd`` are one each."""
    name = stem(path)
    slicer = path.name.lower().endswith((".seg.nrrd", ".seg.nhdr"))
    return name[: -len(".seg")] if slicer else name if name != path.name else path.stem


def names_beside(path: Path) -> dict[int, LabelName]:
    """Names by number from the files beside a mask that have its stem; empty where there is none.

    ``NAME.json`` goes before ``NAME.label`` and ``NAME.txt``; a ``.txt`` that is no label description is passed over.

    Raises
    ------
    UserError
        When such a file is there and cannot be read.
    """
    found: dict[int, LabelName] = {}
    for ending in reversed(DESCRIPTIONS):
        beside = path.with_name(stem_of(path) + ending)
        if beside != path and beside.is_file() and (ending == ".label" or is_description(beside)):
            found |= read_description(beside)
    return found | read_sidecar(path.with_name(stem_of(path) + ".json"))


def in_latin(name: str) -> str:
    """A name in the letters a NRRD header can hold; others lose their accents or become a question mark."""
    folded = unicodedata.normalize("NFKD", name)
    letters = "".join(c for c in folded if not unicodedata.combining(c)).encode("ascii", "replace").decode()
    return " ".join(letters.split()) or "label"


def segments_of(ids: list[int], names: dict[int, LabelName]) -> tuple[Segment, ...]:
    """Segments for the numbers of a label map: those it holds, and those that are named where there is room for all."""
    wanted = {*ids, *names} - {0}
    if len(wanted) > _MOST_LABELS:
        wanted = set(ids) - {0}
    known = {i: names.get(i, LabelName("")) for i in sorted(wanted)}
    return tuple(Segment(i, one.name, one.side, one.colour) for i, one in known.items())


# ---------------------------------------------------------------------- our own


def provenance_beside(path: Path) -> Provenance:
    """What the sidecar ``NAME.json`` of a mask says of who drew its slices and who has reviewed them.

    ``slices`` has the state of each; without it, a model that is named drew all of them.

    Raises
    ------
    UserError
        When it is there and cannot be read, or is ours and its list of slices is no such list.
    """
    sidecar = path.with_name(stem_of(path) + ".json")
    data, ours = _facts(sidecar)
    reviews = reviews_told(ours.get("slices"), ours.get("model_beneath"))
    if reviews is None and "slices" in ours and str(ours.get("program", "")).startswith("thighview"):
        raise UserError(f"{sidecar.name} should have a state for each slice.", "Mend it or move it away.")
    by_model = any(ours.get(key) for key in ("weights_sha256", "model", "models"))
    mark = data.get("UnreviewedIndex")
    return Provenance(reviews or (), by_model, mark if type(mark) is int else 0, sidecar.name)


def _facts(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a sidecar holds, and what of it is ours: all, or in BIDS what lies under our name; empty without one."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return {}, {}
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path.name}, which should tell of the mask, cannot be read: {error}.", "Mend it or move it away."
        ) from error
    data = data if isinstance(data, dict) else {}
    ours = data.get("thighview")
    return data, ours if isinstance(ours, dict) else data


def is_sidecar(path: Path) -> bool:
    """Whether a file is a sidecar of ours: it has a list of labels, each with its number and its name."""
    try:
        rows = _facts(path)[1].get("labels")
    except UserError:
        return False
    return isinstance(rows, list) and all(isinstance(row, dict) and {"id", "name"} <= row.keys() for row in rows)


def read_sidecar(path: Path) -> dict[int, LabelName]:
    """Name, side and colour by the number in the file; empty without a sidecar that names labels."""
    rows = _facts(path)[1].get("labels")
    if not isinstance(rows, list):
        return {}
    found: dict[int, LabelName] = {}
    for row in rows:
        number, name = (row.get("id"), row.get("name")) if isinstance(row, dict) else (None, None)
        if type(number) is not int or not isinstance(name, str) or not name.strip():
            raise UserError(f"Expected a label with id and name in {path.name}, found {row!r}.", "Mend that file.")
        if number == 0:
            continue
        side = row.get("side") or ""
        if not side:
            name, side = split_side(name)
        if side not in ("", "left", "right"):
            raise UserError(f"A side in {path.name} is left, right or empty, found {side!r}.", "Mend that file.")
        found[number] = LabelName(name, side, _colour(row.get("colour")))
    return found


def _colour(found: object) -> tuple[int, int, int] | None:
    numbers = found if isinstance(found, list) and len(found) == 3 else []
    if not numbers or not all(type(c) is int and 0 <= c <= 255 for c in numbers):
        return None
    return (numbers[0], numbers[1], numbers[2])


# ---------------------------------------------------------------------- ITK-SNAP


def is_description(path: Path) -> bool:
    """Whether a file is a label description of ITK-SNAP; read, not guessed from the name."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            return False
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    told = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if any(_TITLE in line.lower() for line in lines if line.lstrip().startswith("#")):
        return True
    return bool(told) and all(_LINE.match(line) for line in told)


def read_description(path: Path) -> dict[int, LabelName]:
    """Names and colours by number from a label description of ITK-SNAP; its clear label, 0, is left out.

    Each line has number, red, green, blue (0 to 255), opacity, two switches, and the name in quotes; lines that begin
    with ``#`` are comments.

    Raises
    ------
    UserError
        When it is another kind of file, or a line of it cannot be understood, with its number.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f"{path.name} is too long for a list of labels.", "Choose a label description of ITK-SNAP.")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror or error}.", "Check the path.") from error
    found: dict[int, LabelName] = {}
    for count, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line)
        red, green, blue = (int(match[i]) for i in (2, 3, 4)) if match else (-1, -1, -1)
        if match is None or not 0 <= max(red, green, blue) <= 255:
            raise UserError(
                f'Line {count} of {path.name} is no label: expected id, r, g, b, alpha, vis, idx and "name", '
                f"found {line.strip()[:60]!r}.",
                "Choose a label description of ITK-SNAP, or mend that line.",
            )
        number = int(match[1])
        if number in found:
            raise UserError(f"{path.name} names the label {number} twice.", "Leave one of the lines out.")
        if number:
            name, side, _ = named(match[8])
            found[number] = LabelName(name or f"label_{number}", side, (red, green, blue))
    if not found:
        raise UserError(f"{path.name} names no label.", "Choose a label description of ITK-SNAP.")
    return found


def renamed(table: LabelTable, names: dict[int, LabelName]) -> tuple[LabelTable, int, int]:
    """A table whose labels have the names and colours that ``names`` gives their numbers in the file.

    Returns
    -------
    table : LabelTable
        Numbers it did not have are added.
    changed, added : int
        How many labels have another name or colour now, and how many are new.

    Raises
    ------
    UserError
        When two labels would have one name, or there are more than 255.
    """
    labels: list[Label] = []
    changed = 0
    for label in table:
        one = names.get(label.file_id)
        new = replace(label, name=one.name, side=one.side, colour=one.colour or label.colour) if one else label
        changed += new != label
        labels.append(new)
    table = LabelTable(tuple(labels))
    known = {label.file_id for label in table}
    missing = {i: one for i, one in names.items() if i not in known}
    for i, one in missing.items():
        value = i if 1 <= i <= _MOST_LABELS and table.get(i) is None else table.free_value()
        colour = one.colour or PALETTE[(value - 1) % len(PALETTE)]
        table = LabelTable((*table, Label(value, one.name, one.side, colour, i)))
    return table, changed, len(missing)
