"""Who made which label, from the history of a case."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from thighview.core.case import Case
from thighview.core.history import Edit, History, step_name
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import Patch, Region
from thighview.core.origins import Origin, label_origins
from thighview.core.review import ReviewChange, SliceReview, SliceState
from thighview.core.volume import Volume


def blank(volume: Volume) -> Case:
    case = Case.of(volume, Path("scan.nii.gz"))
    case.table = LabelTable((Label(1, "muscle"), Label(2, "fat")))
    return case


def step(case: Case, tool: str, index: int, box: tuple[slice, slice], value: int, name: str = "") -> None:
    """One edit of one slice, entered the way the session enters it."""
    before = case.labels[index].copy()
    after = before.copy()
    after[box] = value
    _, y, x = case.labels.shape
    patch = Patch.between(Region(index, index + 1, 0, y, 0, x), before[None], after[None])
    review = case.reviews[index]
    new = review.after_model() if tool == "model" else review.after_edit()
    case.labels[index], case.reviews[index] = after, new
    edit = Edit(name or tool, tool, (patch,) if patch else (), (ReviewChange(index, review, new),))
    case.history.push(edit)


LEFT, RIGHT = (slice(4, 12), slice(4, 12)), (slice(4, 12), slice(16, 24))


def test_a_model_alone_is_automatic_until_a_hand_corrects(tiny_volume: Volume) -> None:
    case = blank(tiny_volume)
    step(case, "model", 1, LEFT, 1, step_name("thigh_tissues"))
    step(case, "model", 2, RIGHT, 2, step_name("mine", (2,)))
    assert label_origins(case) == {1: Origin(("thigh_tissues",)), 2: Origin(("mine",))}
    assert {o.kind for o in label_origins(case).values()} == {"automatic"}
    step(case, "eraser", 1, (slice(4, 6), slice(4, 12)), 0)
    found = label_origins(case)
    assert found[1] == Origin(("thigh_tissues",), by_hand=True) and found[1].kind == "semiautomatic"
    assert found[2].kind == "automatic", "that label was not touched"


def test_a_hand_alone_is_manual_and_a_later_run_takes_its_place(tiny_volume: Volume) -> None:
    case = blank(tiny_volume)
    step(case, "brush", 0, LEFT, 1)
    assert label_origins(case) == {1: Origin(by_hand=True)} and label_origins(case)[1].kind == "manual"
    step(case, "model", 0, LEFT, 1, step_name("m"))  # it found the same: there is no patch
    assert case.history.edits[-1].patches == ()
    assert label_origins(case)[1] == Origin(("m",))
    undone = case.history.undo()
    assert undone is not None
    assert label_origins(case)[1].kind == "manual", "what was taken back counts nothing"


def test_a_file_does_not_say_who_made_it(tiny_volume: Volume) -> None:
    case = blank(tiny_volume)
    step(case, "import", 3, RIGHT, 2)
    assert label_origins(case)[2] == Origin(from_file=True) and label_origins(case)[2].kind == "semiautomatic"


def test_a_file_that_says_a_model_made_it_is_believed(tiny_volume: Volume) -> None:
    case = blank(tiny_volume)
    step(case, "import", 3, RIGHT, 2)
    (edit,) = case.history.edits
    (change,) = edit.reviews
    told = replace(edit, reviews=(replace(change, after=change.before.after_model()),))
    case.history, case.reviews[3] = History.restored([told], 1), told.reviews[0].after
    assert label_origins(case)[2] == Origin(("",)) and label_origins(case)[2].kind == "automatic"
    step(case, "eraser", 3, (slice(4, 6), slice(16, 24)), 0)
    assert label_origins(case)[2].kind == "semiautomatic"


def test_what_came_with_the_case_is_told_by_its_slices(tiny_volume: Volume) -> None:
    case = blank(tiny_volume)
    case.labels[0][LEFT] = 1
    case.labels[1][RIGHT] = 2
    case.reviews[0] = SliceReview(SliceState.DRAWN)
    case.reviews[1] = SliceReview(SliceState.ACCEPTED, True)
    before = case.labels.copy()
    assert label_origins(case) == {1: Origin(by_hand=True), 2: Origin(("",))}
    assert np.array_equal(case.labels, before)
    assert label_origins(blank(tiny_volume)) == {}
    assert Origin(("m",)).to_json() == {"kind": "automatic", "models": ["m"], "by_hand": False, "from_file": False}
