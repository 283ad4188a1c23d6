"""Session: gestures, undo over everything, and model runs beside a painting hand."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thighview.app.session import JournalEntry, Session
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import Region
from thighview.core.review import SliceState
from thighview.core.view import auto_window
from thighview.core.volume import Volume

SHAPE = (5, 12, 10)


class Cancelled(Exception):  # noqa: N818 - Escape
    pass


class ListJournal:
    """Keeps what it is given; replaying it must give the same case."""

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []

    def append(self, case_id: int, reader_id: int, entry: JournalEntry) -> None:
        self.entries.append(entry)

    def set_table(self, case_id: int, table: LabelTable) -> None:
        pass


def new_case(tmp_path_name: str = "scan.nii") -> Case:
    from pathlib import Path

    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 500, SHAPE).astype(np.int16)
    return Case.of(Volume(voxels, np.diag([5.0, 1.0, 1.0, 1.0]), "scan"), Path(tmp_path_name))


@pytest.fixture
def session() -> Session:
    session = Session()
    session.open(new_case(), ListJournal())
    return session


def plane(index: int) -> Region:
    return Region(index, index + 1, 0, SHAPE[1], 0, SHAPE[2])


def stroke(session: Session, index: int, box: tuple[int, int, int, int], value: int) -> None:
    y0, y1, x0, x1 = box
    with session.edit("Brush", "brush", plane(index)) as edit:
        edit.paint(Region(index, index + 1, y0, y1, x0, x1), np.ones((1, y1 - y0, x1 - x0), bool), value)


def states(session: Session) -> list[SliceState]:
    assert session.case
    return [review.state for review in session.case.reviews]


def test_a_stroke_is_one_named_step_and_undo_takes_it_back(session: Session) -> None:
    stroke(session, 2, (1, 4, 1, 4), 3)
    assert session.case and (session.case.labels[2, 1:4, 1:4] == 3).all()
    assert session.history.undo_name == "Brush"
    assert states(session)[2] is SliceState.EDITING
    session.undo()
    assert not session.case.labels.any()
    assert states(session)[2] is SliceState.UNSEEN
    session.redo()
    assert (session.case.labels[2, 1:4, 1:4] == 3).all()
    assert states(session)[2] is SliceState.EDITING


def test_a_gesture_that_fails_leaves_nothing(session: Session) -> None:
    with pytest.raises(KeyError), session.edit("Brush", "brush", plane(1)) as edit:
        edit.paint(Region(1, 2, 0, 2, 0, 2), np.ones((1, 2, 2), bool), 1)
        raise KeyError
    assert session.case and not session.case.labels.any()
    assert session.history.undo_name == ""
    stroke(session, 1, (0, 1, 0, 1), 1)  # the next gesture is free to begin


def test_a_stroke_that_changes_nothing_is_no_step(session: Session) -> None:
    stroke(session, 1, (0, 2, 0, 2), 0)
    assert session.history.names == ()


def test_undo_goes_to_where_it_happened(session: Session) -> None:
    stroke(session, 0, (0, 2, 0, 2), 1)
    session.go_to_slice(4)
    session.undo()
    assert session.view.cursor[0] == 0


def test_review_states_follow_the_definitions(session: Session) -> None:
    session.begin_run("Segment")
    for index in range(3):
        session.fill_slice(index, np.full(SHAPE[1:], 1, np.uint8))
    session.end_run(keep=True)
    session.accept((0,))
    stroke(session, 1, (0, 2, 0, 2), 2)
    session.accept((1,))
    stroke(session, 3, (0, 2, 0, 2), 2)
    session.accept((3,))
    assert states(session) == [
        SliceState.ACCEPTED,
        SliceState.CORRECTED,
        SliceState.MODEL,
        SliceState.DRAWN,
        SliceState.UNSEEN,
    ]
    stroke(session, 0, (0, 2, 0, 2), 2)
    assert states(session)[0] is SliceState.EDITING
    session.undo()
    assert states(session)[0] is SliceState.ACCEPTED


def test_a_run_leaves_reviewed_and_touched_slices_alone_and_is_one_step(session: Session) -> None:
    stroke(session, 0, (0, 2, 0, 2), 2)
    session.accept((0,))
    before = session.case.labels.copy() if session.case else None
    assert session.case is not None and before is not None
    run = session.begin_run("Segment with toy")
    assert run.free_slices() == [1, 2, 3, 4]
    ones = np.ones(SHAPE[1:], np.uint8)
    assert not session.fill_slice(0, ones)
    assert session.fill_slice(1, ones)
    stroke(session, 3, (0, 2, 0, 2), 2)  # painted before the model comes by
    assert not session.fill_slice(3, ones)
    assert session.fill_slice(2, ones)
    session.end_run(keep=True)
    assert session.history.names[-1] == "Segment with toy"
    assert (session.case.labels[1:3] == 1).all()
    session.undo()
    assert not session.case.labels[1:3].any()
    assert (session.case.labels[3, :2, :2] == 2).all()
    while session.history.done:
        session.undo()
    assert not session.case.labels.any()


def test_painting_on_a_slice_the_run_has_just_filled_keeps_both_and_survives_cancel(session: Session) -> None:
    session.begin_run("Segment")
    ones = np.ones(SHAPE[1:], np.uint8)
    session.fill_slice(1, ones)
    session.fill_slice(2, ones)
    stroke(session, 1, (0, 3, 0, 3), 2)
    session.end_run(keep=False)
    assert session.case is not None
    assert not session.case.labels[2].any()
    assert (session.case.labels[1, :3, :3] == 2).all() and (session.case.labels[1, 3:] == 1).all()
    assert states(session)[1:3] == [SliceState.EDITING, SliceState.UNSEEN]
    session.undo()
    assert (session.case.labels[1] == 1).all()
    session.undo()
    assert not session.case.labels.any()


def test_a_run_does_not_write_under_a_gesture(session: Session) -> None:
    session.begin_run("Segment")
    with session.edit("Brush", "brush", plane(2)) as edit:
        edit.paint(Region(2, 3, 0, 1, 0, 1), np.ones((1, 1, 1), bool), 3)
        assert not session.fill_slice(2, np.ones(SHAPE[1:], np.uint8))
    session.end_run(keep=True)
    assert session.case is not None and session.case.labels[2].sum() == 3


@pytest.mark.parametrize("dropped", [False, True])
def test_a_dab_across_the_stack_costs_a_run_no_other_slice(session: Session, dropped: bool) -> None:
    """In the coronal view a stroke's box holds every slice, and it changes one."""
    session.begin_run("Segment")
    ones = np.ones(SHAPE[1:], np.uint8)
    session.fill_slice(0, ones)
    with suppress(Cancelled), session.edit("Brush", "brush", Region(0, SHAPE[0], 2, 3, 0, SHAPE[2])) as edit:
        edit.paint(Region(2, 3, 2, 3, 0, 1), np.ones((1, 1, 1), bool), 3)
        assert not session.fill_slice(1, ones) and not session.fill_slice(2, ones)
        if dropped:
            raise Cancelled
    assert session.fill_slice(3, ones)
    session.end_run(keep=True)
    assert session.case is not None
    filled = [bool((session.case.labels[i] == 1).all()) for i in range(SHAPE[0])]
    assert filled == [True, True, dropped, True, False]
    while session.history.done:
        session.undo()
    assert not session.case.labels.any()


def test_what_comes_while_a_stroke_outlasts_the_run_is_told(session: Session) -> None:
    said = in_sight(session)
    session.begin_run("Segment")
    session.fill_slice(0, np.ones(SHAPE[1:], np.uint8))
    with session.edit("Brush", "brush", plane(2)) as edit:
        edit.paint(Region(2, 3, 0, 1, 0, 1), np.ones((1, 1, 1), bool), 3)
        session.fill_slice(2, np.ones(SHAPE[1:], np.uint8))
        session.end_run(keep=True)
    assert said == ["A slice came while a stroke was under way and was left as it was: segment again."]
    assert session.case is not None and session.case.labels[2].sum() == 3
    assert session.history.names == ("Segment", "Brush")


@pytest.mark.parametrize("another", [False, True])
def test_what_a_cancelled_run_left_out_is_not_told(session: Session, another: bool) -> None:
    said = in_sight(session)
    session.begin_run("Segment")
    with session.edit("Brush", "brush", plane(2)):
        session.fill_slice(2, np.ones(SHAPE[1:], np.uint8))
        session.end_run(keep=another)
        if another:
            session.open(new_case())
    assert said == []


def in_sight(session: Session) -> list[str]:
    """What a window shows of what was refused: a step takes it away."""
    said: list[str] = []
    session.refused.connect(said.append)
    session.history_changed.connect(lambda _: said.clear())
    return said


def test_a_removed_label_is_neither_hidden_nor_active_any_more(session: Session) -> None:
    assert session.case is not None
    table = LabelTable((Label(1, "bone"), Label(9, "odd")))
    session.set_table(table)
    session.update_view(hidden_labels=frozenset({9}), active_label=9)
    session.set_table(table.without(9))
    assert session.view.hidden_labels == frozenset()
    assert session.view.active_label == table.labels[0].value


def test_a_run_step_cannot_be_taken_back_while_another_runs(session: Session) -> None:
    session.begin_run("Segment")
    session.fill_slice(1, np.ones(SHAPE[1:], np.uint8))
    session.end_run(keep=True)
    session.begin_run("Segment again")
    said: list[str] = []
    session.refused.connect(said.append)
    session.undo()
    assert session.history.done == 1
    assert "wait" in said[0]
    session.end_run(keep=False)


def test_a_cancelled_run_is_taken_back_with_one_word_however_many_slices_it_filled(session: Session) -> None:
    session.begin_run("Segment")
    for index in (0, 1, 3):
        session.fill_slice(index, np.ones(SHAPE[1:], np.uint8))
    masks: list[Region] = []
    slices: list[tuple[int, ...]] = []
    session.mask_changed.connect(masks.append)
    session.reviews_changed.connect(slices.append)
    session.end_run(keep=False)
    assert masks == [Region(0, 4, 0, SHAPE[1], 0, SHAPE[2])]
    assert slices == [(0, 1, 3)]


def test_opening_another_case_rolls_a_run_back(session: Session) -> None:
    first = session.case
    assert first is not None
    session.begin_run("Segment")
    session.fill_slice(1, np.ones(SHAPE[1:], np.uint8))
    session.open(new_case(), ListJournal())
    assert not first.labels.any()
    assert session.busy_run is None


def test_a_label_in_use_is_not_removed(session: Session) -> None:
    session.set_table(LabelTable().merged([("muscle", "left")]))
    stroke(session, 0, (0, 1, 0, 1), 1)
    with pytest.raises(UserError, match="still painted"):
        session.set_table(LabelTable())


def test_how_unsure_a_run_was_stays_with_its_slices(session: Session) -> None:
    session.begin_run("Segment")
    session.fill_slice(1, np.ones(SHAPE[1:], np.uint8), 0.25)
    session.fill_slice(2, np.ones(SHAPE[1:], np.uint8))
    session.end_run(keep=True)
    case = session.case
    assert case is not None
    assert [review.uncertainty for review in case.reviews[:3]] == [None, 0.25, None]
    session.undo()
    assert case.reviews[1].uncertainty is None
    session.redo()
    assert case.reviews[1].uncertainty == 0.25
    session.begin_run("Segment again")
    session.fill_slice(1, np.ones(SHAPE[1:], np.uint8), 0.75)
    session.end_run(keep=False)
    assert case.reviews[1].uncertainty == 0.25


def test_a_slice_being_edited_can_be_handed_over_and_a_reviewed_one_cannot(session: Session) -> None:
    stroke(session, 0, (0, 2, 0, 2), 2)
    stroke(session, 1, (0, 2, 0, 2), 2)
    session.accept((1,))
    run = session.begin_run("Segment slice 1", (0, 1))
    assert run.free_slices() == [0], "the unseen ones were not asked for"
    ones = np.ones(SHAPE[1:], np.uint8)
    assert session.fill_slice(0, ones) and not session.fill_slice(1, ones) and not session.fill_slice(2, ones)
    session.end_run(keep=True)
    assert states(session)[:2] == [SliceState.MODEL, SliceState.DRAWN]
    session.undo()
    assert states(session)[0] is SliceState.EDITING
    assert session.case is not None and session.case.labels[0].sum() == 8


def test_labels_nobody_uses_can_be_dropped_and_others_stay(session: Session) -> None:
    session.set_table(LabelTable().merged([("a", ""), ("b", ""), ("c", ""), ("d", "")]))
    stroke(session, 0, (0, 1, 0, 1), 1)
    stroke(session, 0, (2, 3, 0, 1), 2)
    session.undo()
    session.drop_unused({1, 2, 3})
    assert session.case is not None
    assert [label.name for label in session.case.table] == ["a", "b", "d"], "undo and redo could paint a and b"
    with pytest.raises(UserError, match="Undo or redo could paint B again"):
        session.set_table(session.case.table.without(2))


def test_auto_window_ignores_the_brightest_half_percent() -> None:
    voxels = np.zeros((4, 100, 100), np.int16)
    voxels[:, 20:80, 20:80] = 300
    voxels[0, 0, 0] = 30000
    low, high = auto_window(voxels)
    assert low == 0
    assert 299 <= high <= 301


step = st.one_of(
    st.tuples(
        st.just("stroke"), st.integers(0, 4), st.integers(0, 8), st.integers(0, 6), st.integers(1, 4), st.integers(0, 3)
    ),
    st.tuples(st.just("accept"), st.integers(0, 4)),
    st.tuples(st.just("reopen"), st.integers(0, 4)),
    st.tuples(st.just("undo")),
    st.tuples(st.just("redo")),
    st.tuples(st.just("begin")),
    st.tuples(st.just("fill"), st.integers(0, 4), st.integers(1, 3)),
    st.tuples(st.just("end"), st.booleans()),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(step, max_size=40))
def test_any_program_can_be_undone_redone_and_replayed(program: list[tuple]) -> None:
    """Whatever is done beside whatever runs: undone to the start it is empty, redone it is the end; so is a replay."""
    session, journal = Session(), ListJournal()
    session.open(new_case(), journal)
    case = session.case
    assert case is not None
    for name, *args in program:
        if name == "stroke":
            index, y, x, size, value = args
            stroke(session, index, (y, min(y + size, SHAPE[1]), x, min(x + size, SHAPE[2])), value)
        elif name == "accept":
            session.accept((args[0],))
        elif name == "reopen":
            session.reopen((args[0],))
        elif name == "undo":
            session.undo()
        elif name == "redo":
            session.redo()
        elif name == "begin" and session.busy_run is None:
            session.begin_run("Segment")
        elif name == "fill":
            session.fill_slice(args[0], np.full(SHAPE[1:], args[1], np.uint8))
        elif name == "end":
            session.end_run(keep=args[0])
    session.end_run(keep=True)
    while session.history.redo_name:
        session.redo()
    end, end_reviews = case.labels.copy(), list(case.reviews)
    while session.history.undo_name:
        session.undo()
    assert not case.labels.any()
    assert all(review.state is SliceState.UNSEEN for review in case.reviews)
    while session.history.redo_name:
        session.redo()
    assert (case.labels == end).all()
    assert case.reviews == end_reviews

    twin = new_case()
    for kind, edit in journal.entries:
        if kind == "edit":
            assert edit is not None
            twin.history.push(edit)
            made = edit
        else:
            found = twin.history.undo() if kind == "undo" else twin.history.redo()
            assert found is not None
            made = found
        for patch in made.patches:
            patch.apply(twin.labels)
        for change in made.reviews:
            twin.reviews[change.slice_index] = change.after
    assert (twin.labels == end).all()
    assert twin.reviews == end_reviews


def test_a_case_opened_under_the_hand_gets_nothing_of_the_stroke(session: Session) -> None:
    old = session.case
    assert old
    new, journal = new_case("other.nii"), ListJournal()
    with session.edit("Brush", "brush", plane(2)) as edit:
        edit.paint(Region(2, 3, 1, 4, 1, 4), np.ones((1, 3, 3), bool), 1)
        session.open(new, journal)
        edit.paint(Region(2, 3, 4, 6, 4, 6), np.ones((1, 2, 2), bool), 1)
    assert not old.labels.any() and not new.labels.any()
    assert journal.entries == [] and session.history.names == ()


def test_a_stroke_given_up_after_another_case_was_opened_leaves_the_next_stroke_alone(session: Session) -> None:
    with pytest.raises(KeyboardInterrupt), session.edit("Brush", "brush", plane(2)):
        session.open(new_case("other.nii"), ListJournal())
        with session.edit("Brush", "brush", plane(1)) as second:
            second.paint(Region(1, 2, 0, 2, 0, 2), np.ones((1, 2, 2), bool), 3)
        raise KeyboardInterrupt
    assert session.case and (session.case.labels == 3).sum() == 4
    assert session.history.names == ("Brush",)


def test_a_mask_that_arrives_in_the_middle_of_a_stroke_is_refused(session: Session) -> None:
    case = session.case
    assert case
    arrived = np.full(SHAPE, 2, np.uint8)
    with session.edit("Brush", "brush", plane(2)) as edit:
        edit.paint(Region(2, 3, 1, 4, 1, 4), np.ones((1, 3, 3), bool), 1)
        with pytest.raises(UserError, match="stroke"):
            session.commit("Open mask", "import", arrived)
    assert session.commit("Open mask", "import", arrived)
    session.undo()
    session.undo()
    assert not case.labels.any()


def test_a_label_that_undo_or_redo_can_paint_again_stays_in_the_table(session: Session) -> None:
    table = LabelTable().merged([("vastus", "left"), ("sartorius", "left")])
    session.set_table(table)
    stroke(session, 1, (0, 3, 0, 3), 2)
    session.undo()
    with pytest.raises(UserError, match="Sartorius"):
        session.set_table(table.without(2))
    session.redo()
    stroke(session, 1, (0, 3, 0, 3), 0)
    with pytest.raises(UserError, match="again"):
        session.set_table(table.without(2))
    session.set_table(table.without(1))
    assert session.case and session.case.table.get(1) is None


def test_no_label_leaves_the_table_while_a_model_draws(session: Session) -> None:
    table = LabelTable().merged([("vastus", "left")])
    session.set_table(table)
    session.begin_run("Segment")
    with pytest.raises(UserError, match="being drawn"):
        session.set_table(table.without(1))
    session.end_run(keep=False)
    session.set_table(table.without(1))


def test_a_slice_that_is_missing_in_the_files_is_never_accepted_nor_filled(session: Session) -> None:
    case = new_case()
    volume = replace(case.volume, missing=(1, 3))
    session.open(Case.of(volume, case.series[0].path), ListJournal())
    said: list[str] = []
    session.refused.connect(said.append)
    assert session.case is not None and session.case.missing == {1, 3}
    session.accept((1,))
    assert said == ["Slice 2 is missing in the files of this scan: there is nothing to accept."]
    session.begin_run("Segment")
    ones = np.ones(SHAPE[1:], np.uint8)
    assert [session.fill_slice(index, ones) for index in range(5)] == [True, False, True, False, True]
    session.end_run(keep=True)
    shown = in_sight(session)
    session.accept((0, 1, 2, 3), "Accept all 4 model slices")
    assert said[1] == shown[0] and said[1].startswith("2 slices are missing") and not session.case.labels[[1, 3]].any()
    accepted, unseen = SliceState.ACCEPTED, SliceState.UNSEEN
    assert states(session) == [accepted, unseen, accepted, unseen, SliceState.MODEL]
