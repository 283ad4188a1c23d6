"""Slice states: who may do what, and what it becomes."""

import pytest

from thighview.core.review import Doubts, ReviewChange, SliceReview, SliceState

S = SliceState


def test_model_output_that_is_right_is_accepted():
    assert SliceReview().after_model().after_accept() == SliceReview(S.ACCEPTED, True)


def test_model_output_that_was_edited_is_corrected():
    assert SliceReview().after_model().after_edit().after_accept().state is S.CORRECTED


def test_without_a_model_beneath_it_is_drawn():
    assert SliceReview().after_edit().after_accept().state is S.DRAWN
    assert SliceReview().after_accept().state is S.DRAWN


def test_an_edit_on_a_reviewed_slice_returns_it_to_editing():
    for reviewed in (SliceReview(S.ACCEPTED, True), SliceReview(S.CORRECTED, True), SliceReview(S.DRAWN)):
        assert reviewed.after_edit().state is S.EDITING
        assert reviewed.after_accept() == reviewed
    assert SliceReview(S.ACCEPTED, True).after_edit().after_accept().state is S.CORRECTED


def test_reopening_takes_back_the_acceptance_and_nothing_else():
    unedited = SliceReview().after_model().after_accept()
    assert unedited.after_reopen() == SliceReview(S.MODEL, True)
    assert unedited.after_reopen().after_accept() == unedited
    for edited in (SliceReview(S.CORRECTED, True), SliceReview(S.DRAWN)):
        assert edited.after_reopen().state is S.EDITING
        assert edited.after_reopen().after_accept() == edited
    assert SliceReview().after_reopen() == SliceReview()


def test_what_trains_and_what_a_model_must_leave_alone():
    assert [s.reviewed for s in S] == [False, False, False, True, True, True]
    assert [s.protected for s in S] == [False, False, True, True, True, True]


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize(("beneath", "unsure"), [(False, None), (True, None), (True, 0.0), (True, 0.123), (True, 1.0)])
def test_the_code_for_storage_comes_back(state, beneath, unsure):
    review = SliceReview(state, beneath, unsure)
    assert SliceReview.from_code(review.code) == review
    assert 0 <= review.code < 65536


def test_how_unsure_the_model_was_stays_with_its_slice():
    review = SliceReview().after_model(0.12345)
    assert review.uncertainty == 0.123
    assert review.after_edit().after_accept().after_reopen().uncertainty == 0.123
    assert review.after_model(0.5).uncertainty == 0.5 and review.after_model().uncertainty is None


def test_a_change_reversed_twice_is_itself():
    change = ReviewChange(3, SliceReview(), SliceReview().after_model())
    assert change.reversed().before == change.after and change.reversed().reversed() == change


def test_where_to_look_first_is_what_stands_out_in_this_scan():
    reviews = [SliceReview().after_model(u) for u in (0.32, 0.31, 0.32, 0.31, 0.37, 0.36)]
    reviews += [SliceReview(), SliceReview().after_edit(), SliceReview().after_model()]
    doubts = Doubts.of(reviews)
    assert doubts.first == {4, 5} and set(doubts.values) == set(range(6)) and doubts.middle == pytest.approx(0.32)
    reviews[4] = reviews[4].after_accept()
    assert Doubts.of(reviews).first == {5}
    assert Doubts.of([SliceReview().after_model(u) for u in (0.3, 0.3, 0.31)]).first == frozenset()
    assert Doubts.of([SliceReview().after_model(u) for u in (0.6, 0.6)]).first == {0, 1}
    assert Doubts.of(()).values == {}
