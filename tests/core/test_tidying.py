"""Stray pieces and holes: what is taken away, what stays, and that nothing else changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from thighview.core.labels import Label, LabelTable
from thighview.core.phantom import make_phantom
from thighview.core.phantom_names import TRUTHS
from thighview.core.tidying import tidy

NAMES = ("sartorius", "gracilis", "intermuscular_fat", "subcutaneous_fat")
TABLE = LabelTable(tuple(Label(value, name) for value, name in enumerate(NAMES, 1)))


def test_a_stray_piece_takes_what_lies_about_it_and_a_small_hole_is_filled() -> None:
    labels = np.zeros((3, 30, 40), np.uint8)
    labels[:, 2:20, 2:20] = 1
    labels[:, 2:20, 22:38] = 2
    labels[1, 5:7, 30:32] = 1  # of the other muscle, within it
    labels[2, 25:27, 25:27] = 2  # alone in the background
    labels[0, 10, 10] = 0
    labels[0, 12:14, 30:33] = 0  # larger than a hole may be
    labels[2, 28, 1] = labels[2, 1, 1] = 3  # lies in pieces by nature
    wanted = labels.copy()
    wanted[1, 5:7, 30:32] = 2
    wanted[2, 25:27, 25:27] = 0
    wanted[0, 10, 10] = 1
    assert tidy(labels, TABLE, 0.2) == [0, 1, 2]
    assert np.array_equal(labels, wanted)
    assert tidy(labels, TABLE, 0.2) == []


def test_of_no_slices_nothing_is_tidied() -> None:
    assert tidy(np.zeros((0, 30, 40), np.uint8), TABLE, 0.2) == []


def test_a_muscle_in_two_pieces_and_what_fat_goes_round_stay() -> None:
    labels = np.zeros((1, 30, 40), np.uint8)
    labels[0, 1:29, 1:39] = 4
    labels[0, 3:27, 3:37] = 0
    labels[0, 5:15, 5:15] = labels[0, 20:24, 20:24] = 1
    before = labels.copy()
    assert tidy(labels, TABLE, 0.01) == [] and np.array_equal(labels, before)


@pytest.mark.parametrize("truth", ["tissues", "groups"])
@pytest.mark.parametrize(("seed", "slices"), [(9200001, 3), (9200003, 12)])
def test_of_several_muscles_under_one_name_none_is_taken_away(truth: str, seed: int, slices: int) -> None:
    phantom, table = make_phantom(seed, "t1", slices=slices, matrix=(256, 320)), TRUTHS[truth]()
    right = phantom.truth(truth)
    found = right.copy()
    tidy(found, table, 0.01)
    for label in table:
        if label.name in ("muscle", "vasti", "adductors"):
            assert (found[right == label.value] == label.value).all(), label.title
    assert (found != right).mean() < 1e-3


def test_of_some_slices_alone_no_piece_is_taken_away() -> None:
    labels = np.zeros((2, 30, 40), np.uint8)
    labels[:, 2:20, 2:20] = 1
    labels[0, 25:27, 25:27] = 1
    labels[0, 10, 10] = 0
    wanted = labels.copy()
    wanted[0, 10, 10] = 1
    assert tidy(labels, TABLE, 0.2, whole=False) == [0]
    assert np.array_equal(labels, wanted)


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, (2, 8, 9), elements=st.integers(0, 4)))
def test_it_invents_nothing_and_is_done_at_once(labels: np.ndarray) -> None:
    before = labels.copy()
    changed = tidy(labels, TABLE, 0.1)
    assert changed == [z for z in range(2) if not np.array_equal(labels[z], before[z])]
    assert set(np.unique(labels)) <= set(np.unique(before))
    assert (labels[before == 3] == 3).all()
