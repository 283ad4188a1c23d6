"""The slice view: what is painted is what is there, and mouse and wheel mean what they should."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject, QPointF, QRect
from PySide6.QtGui import QFontMetrics

sys.path.insert(0, str(Path(__file__).parent))
from view_room import (
    CTRL,
    MIDDLE,
    NONE,
    RIGHT,
    SHIFT,
    case_of,
    click,
    double,
    move,
    pixels,
    place,
    press,
    release,
    wheel,
)

from thighview.app.session import Session
from thighview.core.mask import Region
from thighview.core.volume import Volume
from thighview.ui.slice_painter import letter_rects, words_font
from thighview.ui.slice_picture import SlicePicture
from thighview.ui.slice_view import SliceView


@pytest.fixture
def session(qtbot, tiny_volume):
    session = Session()
    session.open(case_of(tiny_volume))
    session.update_view(crosshair=False, letters=False)
    return session


@pytest.fixture
def view(qtbot, session):
    view = SliceView(session, "axial")
    qtbot.addWidget(view)
    view.resize(500, 420)
    view.show()
    view.fit(body=False)
    return view


@pytest.mark.parametrize("name", ["axial", "coronal", "sagittal"])
def test_a_painted_voxel_is_where_the_mouse_finds_it(qtbot, session, name):
    view = SliceView(session, name)
    qtbot.addWidget(view)
    view.resize(500, 420)
    view.fit(body=False)
    session.update_view(opacity=1.0, window=(1e6, 2e6))
    plane = view.plane
    rng = np.random.default_rng(3)
    for _ in range(12):
        row, column = int(rng.integers(plane.rows)), int(rng.integers(plane.columns))
        session.case.labels[...] = 0
        voxel = tuple(int(v) for v in plane.to_voxel(row, column, view.index))
        session.case.labels[voxel] = 1
        session.mask_changed.emit(Region.whole(session.case.labels.shape))
        red = pixels(view)
        there = (red[..., 0] > 200) & (red[..., 1] < 60)
        x, y, width, height = view.placement.box_on_screen(
            plane.box_of(Region(*(b for v in voxel for b in (v, v + 1))))
        )
        hit = QRect(round(x), round(y), round(width), round(height)).intersected(view.rect())
        found = there[hit.top() + 1 : hit.bottom(), hit.left() + 1 : hit.right()]
        words = hit.top() > view.height() - 50 or hit.top() < 30
        assert found.all() or words
        ys, xs = np.nonzero(there)
        for px, py in ((xs.min() + 1, ys.min() + 1), (xs.max() - 1, ys.max() - 1)):  # Qt rounds edges to pixels
            r, c = view.placement.to_plane(px + 0.5, py + 0.5)
            assert (round(r), round(c)) == (row, column)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8", "int8", "int32", "int64", "float32", "float64", ">i2"])
def test_every_kind_of_voxel_becomes_the_same_grey(tiny_volume, dtype):
    ramp = np.arange(0, 96, dtype=dtype).reshape(1, 8, 12).repeat(3, 0)
    from thighview.core.planes import Plane

    volume = Volume(ramp, tiny_volume.affine)
    plane = Plane.of(volume, "axial")
    picture = SlicePicture()
    picture.show_case(ramp, np.zeros(ramp.shape, np.uint8), plane)
    picture.show_slice(1, (10.0, 61.0))
    image = picture.grey()
    got = np.frombuffer(image.constBits(), np.uint32).reshape(8, 12) & 0xFF
    expected = np.clip((plane.take(ramp, 1).astype(float) - 10) * 5, 0, 255)
    assert np.abs(got - expected).max() <= 1


def test_negative_and_missing_intensities(tiny_volume):
    from thighview.core.planes import Plane

    for values in (np.array([-100, -50, 0, 50], np.int16), np.array([np.nan, -50, 0, np.inf], np.float32)):
        volume = Volume(np.broadcast_to(values, (2, 3, 4)).copy(), np.diag([1.0, 1, 1, 1])[[2, 1, 0, 3]])
        picture = SlicePicture()
        picture.show_case(volume.voxels, np.zeros((2, 3, 4), np.uint8), Plane.of(volume, "axial"))
        picture.show_slice(0, (-100.0, 50.0))
        got = np.frombuffer(picture.grey().constBits(), np.uint32).reshape(3, 4)[0] & 0xFF
        assert list(got) == [0, 85, 170, 255]


def test_a_stroke_repaints_only_its_box_and_right(view, session, qtbot):
    session.case.labels[view.index, 10:14, 5:9] = 2
    session.mask_changed.emit(Region(view.index, view.index + 1, 10, 14, 5, 9))
    pixels(view)
    with session.edit("Brush", "brush", Region(view.index, view.index + 1, 0, 32, 0, 32)) as edit:
        edit.paint(Region(view.index, view.index + 1, 20, 25, 20, 25), np.ones((1, 5, 5), bool), 1)
        part = pixels(view)
    view.picture.show_case(session.case.volume.voxels, session.case.labels, view.plane)
    assert np.array_equal(part, pixels(view))


@pytest.mark.parametrize("outline", [False, True])
def test_hidden_labels_and_held_masks_are_not_painted(view, session, outline):
    session.update_view(outline=outline, opacity=1.0)
    bare = pixels(view)
    session.case.labels[view.index, 8:20, 8:20] = 1
    session.mask_changed.emit(Region.whole(session.case.labels.shape))
    assert not np.array_equal(pixels(view), bare)
    session.update_view(masks_shown=False)
    assert np.array_equal(pixels(view), bare)
    session.update_view(masks_shown=True, hidden_labels=frozenset({1}))
    assert np.array_equal(pixels(view), bare)


def test_outline_paints_the_edge_and_leaves_the_inside(view, session):
    session.update_view(outline=True, opacity=1.0)
    bare = pixels(view)
    session.case.labels[view.index, 8:20, 8:20] = 1
    session.mask_changed.emit(Region.whole(session.case.labels.shape))
    changed = (pixels(view) != bare).any(axis=-1)
    box = view.plane.box_of(Region(0, 1, 8, 20, 8, 20))
    x, y, width, height = view.placement.box_on_screen(box)
    assert not changed[int(y) + 6 : int(y + height) - 6, int(x) + 6 : int(x + width) - 6].any()
    ys, xs = np.nonzero(changed)
    assert abs(ys.min() - y) <= 1
    assert abs(xs.max() + 1 - (x + width)) <= 1


def test_wheel_is_slice_and_with_ctrl_zoom_or_brush(view, session):
    centre = QPointF(250, 210)
    wheel(view, centre, -1)
    assert session.view.cursor[0] == 4
    wheel(view, centre, 99)
    assert session.view.cursor[0] == 0
    scale = view.placement.px_per_mm
    wheel(view, centre, 1, CTRL)
    assert view.placement.px_per_mm > scale
    assert session.view.cursor[0] == 0
    session.update_view(tool="brush")
    scale, radius = view.placement.px_per_mm, session.view.brush_radius_mm
    wheel(view, centre, 2, CTRL)
    assert session.view.brush_radius_mm > radius
    assert view.placement.px_per_mm == scale
    for _ in range(40):
        wheel(view, centre, -9, CTRL)
    assert session.view.brush_radius_mm == pytest.approx(0.3)


def test_right_drag_is_window(view, session):
    low, high = session.view.window
    press(view, QPointF(200, 200), RIGHT)
    move(view, QPointF(260, 200), RIGHT)
    wide = session.view.window
    assert wide[1] - wide[0] > high - low
    assert sum(wide) == pytest.approx(low + high)
    move(view, QPointF(200, 150), RIGHT)
    assert sum(session.view.window) < low + high  # up is brighter
    release(view, QPointF(200, 150), RIGHT)
    changed = session.view.window
    move(view, QPointF(300, 300), RIGHT)
    assert session.view.window == changed


def test_a_button_that_came_up_elsewhere_ends_the_stroke_where_the_mouse_was_seen_last(view, session):
    session.update_view(tool="brush", brush_radius_mm=2.0)
    press(view, QPointF(200, 200))
    move(view, QPointF(220, 200))
    painted = session.case.labels.copy()
    assert painted.any()
    move(view, QPointF(220, 300), NONE)  # the release went to a dialog
    move(view, QPointF(300, 300), NONE)
    assert (session.case.labels == painted).all() and session.history.done == 1

    press(view, QPointF(200, 250))
    press(view, QPointF(200, 300))  # and this time the mouse did not move meanwhile
    release(view, QPointF(200, 300))
    assert session.history.done == 3 and view.gesture is None

    low_high = session.view.window
    press(view, QPointF(200, 200), RIGHT)
    move(view, QPointF(260, 200), NONE)
    assert session.view.window == low_high


def test_middle_or_shift_drag_moves_and_fit_brings_back(view):
    at = view.placement
    press(view, QPointF(200, 200), MIDDLE)
    move(view, QPointF(230, 190), MIDDLE)
    release(view, QPointF(230, 190), MIDDLE)
    assert (view.placement.left - at.left, view.placement.top - at.top) == pytest.approx((30, -10))
    press(view, QPointF(200, 200), keys=SHIFT)
    move(view, QPointF(170, 210), keys=SHIFT)
    release(view, QPointF(170, 210), keys=SHIFT)
    assert (view.placement.left, view.placement.top) == pytest.approx((at.left, at.top))
    view.zoom(2.0)
    view.resize(600, 420)
    assert view.placement.px_per_mm == pytest.approx(2 * at.px_per_mm)
    double(view, QPointF(100, 100))
    assert view.placement.px_per_mm == pytest.approx(at.px_per_mm)


def test_a_click_moves_the_crosshair_of_all_views(view, session, qtbot):
    other = SliceView(session, "coronal")
    qtbot.addWidget(other)
    click(view, place(view, 7.3, 20.2))
    z, y, x = session.view.cursor
    assert view.plane.to_plane((z, y, x)) == (7, 20)
    assert other.index == y
    click(view, QPointF(-500, 9000))
    assert all(0 <= v < n for v, n in zip(session.view.cursor, session.case.volume.shape, strict=True))


def test_words_under_the_mouse(view, session):
    session.case.labels[view.index, 16, 16] = 2
    voxel = (view.index, 16, 16)
    move(view, place(view, *view.plane.to_plane(voxel)), held=RIGHT)
    words = view.under_mouse_words()
    x, y, z = session.case.volume.to_world(voxel)
    assert f"x {x:.1f} y {y:.1f} z {z:.1f} mm".replace("-", "−") in words
    assert str(session.case.volume.voxels[voxel]) in words
    assert words.endswith("Fat R")
    move(view, QPointF(-40, -40), held=RIGHT)
    assert view.under_mouse_words() == ""


def test_words_under_the_mouse_fit_a_narrow_view(view, session):
    voxel = (view.index, 16, 16)
    view.resize(260, 300)
    move(view, place(view, *view.plane.to_plane(voxel)), held=RIGHT)
    where, signal = view.under_mouse_words().split(" · ")
    assert "." not in where and where.endswith(" mm"), "whole millimetres"
    assert signal == f"signal {session.case.volume.voxels[voxel]}"
    fits = QFontMetrics(words_font()).horizontalAdvance
    assert all(fits(line) <= view.corner_rect().width() for line in view._corner_lines())
    above, name = letter_rects(150, 200, 0, 18)[0], QRect(10, 6, 55, 20)
    assert not above.intersects(name), "the letter stands under the name of a small view"


def test_radiological_is_a_switch(view, session):
    left = view.plane.letters
    session.update_view(radiological=False)
    assert (left, view.plane.letters) == ("ALPR", "ARPL")


def test_closing_the_case_leaves_black(view, session):
    session.open(None)
    assert not pixels(view).any()
    wheel(view, QPointF(50, 50), 1)
    click(view, QPointF(50, 50))


def test_the_words_under_the_mouse_follow_undo_without_a_move_of_the_mouse(qtbot, view, session):
    session.update_view(tool="brush", brush_radius_mm=3.0)
    at = place(view, 16, 16)

    class Follow(QObject):
        """Notes what is painted anew."""

        def eventFilter(self, watched, event):
            if event.type() == QEvent.Type.Paint:
                asked.append(event.region())
            return False

    asked: list = []
    follow = Follow()
    view.installEventFilter(follow)
    move(view, at, held=NONE)
    press(view, at)
    release(view, at)
    qtbot.waitUntil(lambda: bool(asked))
    qtbot.wait(1)
    assert "Muscle L" in view.under_mouse_words()
    asked.clear()
    session.undo()
    assert "Muscle L" not in view.under_mouse_words()
    qtbot.waitUntil(lambda: any(region.contains(view.corner_rect()) for region in asked))
