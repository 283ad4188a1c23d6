"""Tools: press, move, release; Escape takes back; every one leaves exactly one step in the history."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPointF

sys.path.insert(0, str(Path(__file__).parent))
from view_room import CTRL, NONE, case_of, click, double, move, place, press, release, wheel

from thighview.app.session import Session
from thighview.core.brush import stroke
from thighview.core.case import Case
from thighview.core.mask import Region
from thighview.core.phantom import make_phantom
from thighview.ui.slice_view import SliceView
from thighview.ui.tool_column import ToolOptions


@pytest.fixture
def session(qtbot, tiny_volume):
    session = Session()
    session.open(case_of(tiny_volume))
    session.update_view(tool="brush", brush_radius_mm=4.0)
    return session


def make_view(qtbot, session, name="axial"):
    view = SliceView(session, name)
    qtbot.addWidget(view)
    view.resize(500, 420)
    view.fit(body=False)
    return view


def kinds(session):
    return tuple(name.partition(" · ")[0] for name in session.history.names)


def shown(view):
    return view.plane.take(view.session.case.labels, view.index)


@pytest.mark.parametrize("name", ["axial", "coronal", "sagittal"])
def test_brush_paints_its_stroke_in_every_view(qtbot, session, name):
    view = make_view(qtbot, session, name)
    plane = view.plane
    a, b = (plane.rows * 0.3, plane.columns * 0.3), (plane.rows * 0.7, plane.columns * 0.8)
    press(view, place(view, *a))
    move(view, place(view, *b))
    assert session.case.labels.any()
    assert session.history.done == 0
    release(view, place(view, *b))
    expected = np.zeros((plane.rows, plane.columns), bool)
    box, inside = stroke(a, b, 4.0, plane.spacing_mm, expected.shape)
    expected[box.slices] = inside
    assert np.array_equal(plane.take(session.case.labels, view.index) == 1, expected)
    others = session.case.labels.copy()
    others[plane.slice_region(view.index).slices] = 0
    assert not others.any()
    where = "slice" if plane.through == 0 else name
    assert session.history.names == (f"Brush · muscle left · {where} {view.index + 1}",)
    session.undo()
    assert not session.case.labels.any()


def test_escape_takes_a_stroke_back(qtbot, session):
    view = make_view(qtbot, session)
    press(view, place(view, 10, 10))
    move(view, place(view, 20, 20))
    assert view.cancel_gesture()
    assert not session.case.labels.any()
    move(view, place(view, 25, 20))
    release(view, place(view, 25, 20))
    assert not session.case.labels.any()
    assert session.history.done == 0
    click(view, place(view, 5, 5))
    assert session.history.done == 1


@pytest.mark.parametrize("key", ["close", "back"])
def test_a_key_in_the_middle_of_a_stroke_paints_nothing(qtbot, session, key):
    view = make_view(qtbot, session)
    press(view, place(view, 16, 20))
    painted = session.case.labels.copy()
    assert view.send_key(key)
    assert np.array_equal(session.case.labels, painted)
    release(view, place(view, 16, 20))
    assert np.array_equal(session.case.labels, painted) and session.history.done == 1
    assert not view.send_key(key)


def test_a_view_that_was_not_looking_shows_what_was_painted_meanwhile(qtbot, session):
    """It has drawn row 5, looks at another while row 5 is painted, and comes back to it."""
    view = make_view(qtbot, session, "coronal")
    session.update_view(cursor=(3, 5, 4))
    view.grab()
    assert view.picture.overlay() is None
    view.picture.show_slice(5, session.view.window)
    session.update_view(cursor=(3, 9, 4))
    with session.edit("Brush", "brush", Region(3, 4, 5, 6, 0, 8)) as edit:
        edit.paint(Region(3, 4, 5, 6, 0, 8), np.ones((1, 1, 8), bool), 1)
    view.picture.show_slice(5, session.view.window)
    assert view.picture.overlay() is not None


def test_eraser_and_ctrl(qtbot, session):
    view = make_view(qtbot, session)
    session.case.labels[...] = 2
    session.update_view(tool="eraser")
    click(view, place(view, 16, 16))
    assert (shown(view) == 0).sum() > 10
    click(view, place(view, 16, 16), keys=CTRL)
    assert shown(view)[16, 16] == 1
    session.update_view(tool="brush")
    click(view, place(view, 16, 16), keys=CTRL)
    assert shown(view)[16, 16] == 0
    assert kinds(session) == ("Eraser", "Brush", "Eraser")


def test_brush_size_follows_the_wheel_within_a_stroke_and_the_slice_stays(qtbot, session):
    view = make_view(qtbot, session)
    index = view.index
    press(view, place(view, 10, 10))
    wheel(view, place(view, 10, 10), -1)
    assert view.index == index
    wheel(view, place(view, 10, 10), 5, CTRL)
    move(view, place(view, 10, 11))
    small = (shown(view) == 1).sum()
    release(view, place(view, 10, 11))
    assert small > np.pi * 4.0**2 / (1.25 * 1.5) * 1.5


def polygon_corners(view):
    return [place(view, r, c) for r, c in ((5.2, 5.2), (5.2, 20.2), (18.2, 20.2), (18.2, 5.2))]


@pytest.mark.parametrize("how", ["double", "enter", "first"])
def test_polygon_closes_three_ways(qtbot, session, how):
    view = make_view(qtbot, session)
    session.update_view(tool="polygon", active_label=2)
    corners = polygon_corners(view)
    for corner in corners:
        click(view, corner)
        move(view, corner + QPointF(3, 3), held=NONE)
    assert session.history.done == 0
    if how == "double":
        double(view, corners[-1])
    elif how == "enter":
        assert view.send_key("close")
    else:
        click(view, corners[0] + QPointF(3, -2))
    expected = np.zeros((32, 32), bool)
    expected[6:19, 6:21] = True
    assert np.array_equal(shown(view) == 2, expected)
    assert kinds(session) == ("Polygon",)
    assert view.gesture is None


def test_polygon_backspace_escape_and_another_slice(qtbot, session):
    view = make_view(qtbot, session)
    session.update_view(tool="polygon")
    said = []
    session.refused.connect(said.append)
    corners = polygon_corners(view)
    for corner in corners:
        click(view, corner)
    view.send_key("back")
    index = view.index
    view.step(1)
    click(view, corners[0])
    assert said
    view.step(-1)
    view.send_key("close")
    assert kinds(session) == ("Polygon",)
    area = (session.case.labels[index] == 1).sum()
    assert 0.4 * 13 * 15 < area < 0.6 * 13 * 15
    click(view, corners[0])
    click(view, corners[1])
    assert view.cancel_gesture()
    assert not view.send_key("close")
    click(view, corners[0])
    session.update_view(tool="brush")
    assert view.gesture is None
    assert session.history.done == 1


def test_two_corners_are_no_polygon(qtbot, session):
    view = make_view(qtbot, session)
    session.update_view(tool="polygon")
    said = []
    session.refused.connect(said.append)
    click(view, place(view, 3, 3))
    click(view, place(view, 9, 9))
    view.send_key("close")
    assert said
    assert session.history.done == 0


def test_fill_needs_a_closed_outline_and_recolours_areas(qtbot, session):
    view = make_view(qtbot, session)
    session.update_view(tool="fill")
    said = []
    session.refused.connect(said.append)
    click(view, place(view, 16, 16))
    assert said
    assert session.history.done == 0
    ring = session.case.labels[view.index]
    ring[8:24, 8:24] = 1
    ring[9:23, 9:23] = 0
    click(view, place(view, 16, 16))
    assert (ring == 1).sum() == 16 * 16
    session.update_view(active_label=2)
    click(view, place(view, 10, 10))
    assert (ring == 2).sum() == 16 * 16
    assert kinds(session) == ("Fill", "Fill")
    click(view, place(view, 10, 10))
    assert session.history.done == 2
    session.undo()
    session.undo()
    assert (ring == 1).sum() == 16 * 16 - 14 * 14


def test_a_case_without_labels_gets_one_to_paint(qtbot, session, tiny_volume):
    session.open(Case.of(tiny_volume, Path("x.nii")))
    view = make_view(qtbot, session)
    click(view, place(view, 10, 10))
    assert [label.value for label in session.case.table] == [1]
    assert session.case.labels.max() == 1


def test_opening_another_case_in_the_middle_of_a_stroke(qtbot, session, tiny_volume):
    view = make_view(qtbot, session)
    press(view, place(view, 10, 10))
    session.open(case_of(tiny_volume))
    move(view, place(view, 12, 12))
    release(view, place(view, 12, 12))
    assert not session.case.labels.any()
    click(view, place(view, 12, 12))
    assert kinds(session) == ("Brush",)


def test_strokes_outside_the_slice_do_nothing(qtbot, session):
    view = make_view(qtbot, session)
    press(view, QPointF(-300, -300))
    move(view, QPointF(-200, -200))
    release(view, QPointF(-200, -200))
    assert session.history.done == 0


def test_a_left_label_on_the_right_leg_is_said_beside_the_tool(qtbot, session):
    phantom = make_phantom(1, "t1", slices=4, matrix=(96, 144))
    session.open(case_of(phantom.volume))
    options = ToolOptions(session)
    qtbot.addWidget(options)
    view = make_view(qtbot, session)
    right = phantom.table.find("muscle", "right")
    rows, columns = np.nonzero(view.plane.take(phantom.labels, view.index) == right.value)
    at = place(view, float(np.median(rows)), float(np.median(columns)))
    said = []
    session.said.connect(said.append)
    press(view, at)
    release(view, at)
    assert not options.mend_side.isHidden() and options.hint.text_whole == "Right leg?"
    assert said == ["Muscle L was painted on the patient's right leg."]
    assert options.mend_side.text() == "Use right" and "muscle right" in options.mend_side.toolTip()
    session.undo()
    assert options.mend_side.isHidden() and said[-1] == "", "nothing is said of a stroke that was taken back"
    press(view, at)
    release(view, at)
    options.mend_side.click()
    assert options.mend_side.isHidden() and options.label_name.text() == "Muscle R"
    assert set(np.unique(session.case.labels)) == {0, session.view.active_label}
