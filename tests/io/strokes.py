"""Brush-like edits on a small mask, shared by the tests of project, journal and store.

Run as a program it is the child of the kill tests: it appends edits to a project and acknowledges each on stdout.
"""

import sys
from pathlib import Path

import numpy as np

from thighview.core.case import Case
from thighview.core.history import Edit
from thighview.core.mask import Patch, Region
from thighview.core.review import ReviewChange
from thighview.core.volume import Volume
from thighview.io.journal import JournalEntry
from thighview.io.project import Project

SHAPE = (6, 48, 64)


def new_case(name: str = "thigh", shape: tuple[int, int, int] = SHAPE) -> Case:
    affine = np.diag([5.0, 1.0, 1.0, 1.0])
    return Case.of(Volume(np.zeros(shape, np.int16), affine, name), Path(f"/scans/{name}.nii.gz"), "ab" * 32)


def stroke(case: Case, rng: np.random.Generator) -> Edit:
    """Paint a disc, as the window does: mask, reviews and history change."""
    while True:
        z = int(rng.integers(case.labels.shape[0]))
        cy, cx = (int(rng.integers(6, n - 6)) for n in case.labels.shape[1:])
        region = Region(z, z + 1, cy - 5, cy + 6, cx - 5, cx + 6)
        y, x = np.mgrid[-5:6, -5:6]
        before = case.labels[region.slices].copy()
        case.labels[region.slices][(y**2 + x**2 <= int(rng.integers(2, 6)) ** 2)[None]] = int(rng.integers(4))
        patch = Patch.between(region, before, case.labels[region.slices])
        if patch:
            break
    change = ReviewChange(z, case.reviews[z], case.reviews[z].after_edit())
    case.reviews[z] = change.after
    edit = Edit("Brush", "brush", (patch,), (change,))
    case.history.push(edit)
    return edit


def step(case: Case, rng: np.random.Generator) -> JournalEntry:
    """A stroke, an undo or a redo, whichever comes."""
    kind = rng.choice(["edit", "edit", "edit", "undo", "redo"])
    edit = case.history.undo() if kind == "undo" else case.history.redo() if kind == "redo" else None
    if edit is None:
        return ("edit", stroke(case, rng))
    for patch in edit.patches:
        patch.apply(case.labels)
    for change in edit.reviews:
        case.reviews[change.slice_index] = change.after
    return (str(kind), None)


def same(one: Case, other: Case) -> bool:
    """Whether mask, reviews, undo and redo are equal."""
    return (
        np.array_equal(one.labels, other.labels)
        and one.reviews == other.reviews
        and one.history.edits == other.history.edits
        and one.history.done == other.history.done
    )


def _child(folder: Path, seed: int) -> None:
    project = Project.open(folder)
    case, rng = new_case(), np.random.default_rng(seed)
    sys.stdout.buffer.write(b"r")
    sys.stdout.flush()
    while True:
        project.append(1, 1, step(case, rng))
        sys.stdout.buffer.write(b".")
        sys.stdout.flush()


if __name__ == "__main__":
    _child(Path(sys.argv[1]), int(sys.argv[2]))
