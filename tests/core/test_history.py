"""History: any sequence of edits undone is the first map, redone the last."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thighview.core.history import Edit, History
from thighview.core.mask import Patch, Region
from thighview.core.review import ReviewChange, SliceReview

SHAPE = (2, 6, 7)

box = st.tuples(
    st.integers(0, 1), st.integers(0, 5), st.integers(1, 6), st.integers(0, 6), st.integers(1, 7), st.integers(0, 5)
)
steps = st.lists(st.one_of(box, st.sampled_from(["undo", "redo"])), max_size=25)


def paint(labels, z, y0, dy, x0, dx, value):
    region = Region(z, z + 1, y0, min(6, y0 + dy), x0, min(7, x0 + dx))
    before = labels[region.slices].copy()
    labels[region.slices] = value
    patch = Patch.between(region, before, labels[region.slices])
    return Edit(f"Paint {value}", "brush", (patch,)) if patch else None


@given(steps)
def test_any_walk_through_undo_and_redo_is_right(program):
    labels = np.zeros(SHAPE, np.uint8)
    history = History()
    past, future = [labels.copy()], []
    for step in program:
        if step == "undo":
            edit = history.undo()
            assert (edit is None) == (len(past) == 1)
            if edit:
                future.append(past.pop())
        elif step == "redo":
            edit = history.redo()
            assert (edit is None) == (not future)
            if edit:
                past.append(future.pop())
        else:
            edit = None
            made = paint(labels, *step)
            if made:
                history.push(made)
                past.append(labels.copy())
                future.clear()
        for patch in edit.patches if edit else ():
            patch.apply(labels)
        assert np.array_equal(labels, past[-1])
        assert (history.done, len(history.edits)) == (len(past) - 1, len(past) - 1 + len(future))
    last = (past + future[::-1])[-1]
    while edit := history.undo():
        for patch in edit.patches:
            patch.apply(labels)
    assert not labels.any()
    while edit := history.redo():
        for patch in edit.patches:
            patch.apply(labels)
    assert np.array_equal(labels, last)


def test_names_and_sizes():
    labels = np.zeros(SHAPE, np.uint8)
    history = History()
    one, two = paint(labels, 0, 0, 3, 0, 3, 1), paint(labels, 1, 0, 3, 0, 3, 2)
    assert one and two
    history.push(one)
    history.push(two)
    assert history.size_bytes == sum(p.size_bytes for e in (one, two) for p in e.patches) > 0
    assert (history.state.undo_name, history.state.redo_name) == ("Paint 2", "")
    assert history.peek_undo() is two
    history.undo()
    assert (history.state.undo_name, history.state.redo_name) == ("Paint 1", "Paint 2")
    assert history.peek_redo() is two
    history.undo()
    assert history.state.undo_name == "" and history.undo() is None and history.peek_undo() is None


def test_reversing_an_edit_reverses_reviews_too():
    change = ReviewChange(1, SliceReview(), SliceReview().after_edit())
    assert Edit("Accept", "review", (), (change,)).reversed().reviews == (change.reversed(),)


def test_restored_is_as_it_was_left():
    labels = np.zeros(SHAPE, np.uint8)
    edits = [e for v in (1, 2, 3) if (e := paint(labels, 0, 0, 4, 0, 4, v))]
    history = History.restored(edits, 2)
    assert history.done == 2 and history.peek_redo() is edits[2] and history.peek_undo() is edits[1]
    with pytest.raises(ValueError, match="cannot be done"):
        History.restored(edits, 4)
