"""A person corrects masks by hand: brush, eraser, polygon, fill; undo and redo by name, also after reopening."""

import sqlite3
import threading

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from journeys.conftest import Made, OpenWindow
from journeys.hands import CTRL, LEFT, NONE, Hands, disc
from thighview.core.review import SliceState
from thighview.io.project import Project
from thighview.ui import dialogs, main_window

RADIUS_MM = 12.0
MIDDLE = 4


def brush(hands: Hands, key: Qt.Key = Qt.Key.Key_B) -> float:
    """Take the brush (or what the key means) and set its size; its radius in voxels."""
    hands.key(key)
    hands.window.session.update_view(brush_radius_mm=RADIUS_MM)
    return RADIUS_MM / hands.case.volume.spacing_mm[1]


def test_brush_eraser_polygon_and_fill(room: OpenWindow, thigh: Made) -> None:
    hands = room(thigh.scan)
    session, shape = hands.window.session, hands.case.volume.shape
    hands.go_to(MIDDLE)

    radius = brush(hands)
    hands.drag(MIDDLE, [(48, 40), (48, 44), (48, 48)])
    labels = hands.case.labels
    assert session.history.undo_name == f"Brush · label 1 · slice {MIDDLE + 1}"
    for x in (40, 44, 48):
        inside = disc(shape, MIDDLE, 48, x, radius - 1)
        assert (labels[inside] == 1).all()
    away = disc(shape, MIDDLE, 48, 44, radius + 4 + 1.5)
    assert not labels[~away].any(), "the brush painted beside its disc, or on another slice"
    hands.picture("correct-brush")

    hands.key(Qt.Key.Key_X)
    assert session.view.tool == "eraser"
    hands.drag(MIDDLE, [(48, 40), (48, 41)])
    assert session.history.undo_name == f"Eraser · slice {MIDDLE + 1}"
    assert not labels[disc(shape, MIDDLE, 48, 40, radius - 1)].any()

    hands.go_to(MIDDLE + 1)
    hands.key(Qt.Key.Key_P)
    corners = ((30, 90), (30, 110), (50, 110), (50, 90))
    for y, x in corners:
        QTest.mouseClick(hands.axial, LEFT, NONE, hands.place(MIDDLE + 1, y, x))
    hands.picture("correct-polygon")
    hands.key(Qt.Key.Key_Return)
    assert session.history.undo_name == f"Polygon · label 1 · slice {MIDDLE + 2}"
    assert (labels[MIDDLE + 1, 32:49, 92:109] == 1).all()
    assert session.view.cursor[0] == MIDDLE + 1, "Enter closed the shape and accepted the slice as well"

    hands.key(Qt.Key.Key_B)
    session.update_view(brush_radius_mm=3.0)
    hands.key(Qt.Key.Key_2)  # there is one label only: the key means nothing
    assert session.view.active_label == 1
    ring = [(70 + 8 * np.sin(a), 40 + 8 * np.cos(a)) for a in np.linspace(0, 2 * np.pi, 40)]
    hands.drag(MIDDLE + 1, ring)
    assert labels[MIDDLE + 1, 70, 40] == 0
    hands.key(Qt.Key.Key_K)
    QTest.mouseClick(hands.axial, LEFT, NONE, hands.place(MIDDLE + 1, 70, 40))
    assert session.history.undo_name == f"Fill · label 1 · slice {MIDDLE + 2}"
    assert labels[MIDDLE + 1, 70, 40] == 1
    steps = [name.partition(" · ")[0] for name in session.history.names]
    assert steps == ["Brush", "Eraser", "Polygon", "Brush", "Fill"]
    hands.until_saved()
    hands.picture("correct-all-tools")
    assert hands.errors == []


def test_escape_takes_the_stroke_back(room: OpenWindow, thigh: Made) -> None:
    hands = room(thigh.scan)
    hands.go_to(MIDDLE)
    brush(hands)
    hands.drag(MIDDLE, [(48, 40), (48, 60)], release=False)
    assert hands.case.labels.any()
    hands.key(Qt.Key.Key_Escape)
    QTest.mouseRelease(hands.axial, LEFT, NONE, hands.place(MIDDLE, 48, 60))
    assert not hands.case.labels.any()
    assert hands.window.session.history.names == ()
    assert hands.states[MIDDLE] is SliceState.UNSEEN


def test_a_stroke_ends_where_a_dialog_opens(room: OpenWindow, thigh: Made) -> None:
    hands = room(thigh.scan)
    brush(hands)
    hands.go_to(MIDDLE)
    hands.drag(MIDDLE, [(48, 40), (48, 44)], release=False)
    painted = hands.case.labels.copy()
    assert painted.any() and not hands.window.session.history.done
    asked = hands.answer("Stay here")
    dialogs.ask_leave(hands.window, "A question in the middle of a stroke.")
    assert asked and hands.window.session.history.undo_name == "Brush · label 1 · slice 5"
    QTest.mouseRelease(hands.window, LEFT)  # over the dialog
    QTest.mouseMove(hands.axial, hands.place(MIDDLE, 60, 60))
    assert (hands.case.labels == painted).all() and hands.window.session.history.done == 1
    hands.until_saved()


def test_undo_survives_changing_slice_and_reopening(room: OpenWindow, thigh: Made) -> None:
    hands = room(thigh.scan)
    session, maps = hands.window.session, []
    brush(hands)
    for step, index in enumerate((2, 3, 4)):
        hands.go_to(index)
        hands.drag(index, [(40 + 4 * step, 40), (40 + 4 * step, 50)])
        maps.append(hands.case.labels.copy())
    hands.key(Qt.Key.Key_A)
    hands.go_to(6)
    hands.key(Qt.Key.Key_Z, CTRL)
    assert session.view.cursor[0] == 4, "undo shows the slice it changes"
    hands.key(Qt.Key.Key_Z, CTRL)
    assert (hands.case.labels == maps[1]).all()
    assert hands.window.top.undo.text().strip() == "Undo Brush"
    assert hands.window.top.redo.toolTip().startswith("Do again: Brush")
    hands.click(hands.window.top.redo)
    assert (hands.case.labels == maps[2]).all()
    hands.key(Qt.Key.Key_Z, CTRL)
    hands.until_saved()
    hands.window.show_tab("History")
    hands.picture("correct-history")
    hands.window.close()

    again = room(thigh.scan)
    session = again.window.session
    assert (again.case.labels == maps[1]).all()
    strokes = tuple(f"Brush · label 1 · slice {n}" for n in (3, 4, 5))
    assert session.history.names == (*strokes, "Accept slice 5")
    assert session.history.done == 2
    again.key(Qt.Key.Key_Y, CTRL)
    again.key(Qt.Key.Key_Y, CTRL)
    assert (again.case.labels == maps[2]).all()
    assert again.states[4] is SliceState.DRAWN
    for _ in range(4):
        again.click(again.window.top.undo)
    assert not again.case.labels.any()
    assert again.states == [SliceState.UNSEEN] * len(again.states)
    assert not again.window.top.undo.isEnabled()
    again.until_saved()
    assert hands.errors == again.errors == []


def test_the_mask_is_saved_as_plain_nifti(room: OpenWindow, thigh: Made) -> None:
    import nibabel

    hands = room(thigh.scan)
    hands.go_to(MIDDLE)
    brush(hands)
    hands.drag(MIDDLE, [(48, 40), (48, 60)])
    hands.key(Qt.Key.Key_S, CTRL)
    folder = hands.workspace.project_folder
    assert folder is not None
    hands.until(lambda: list((folder / "masks").glob("*.nii.gz")))
    (path,) = (folder / "masks").glob("*.nii.gz")
    assert (hands.case.labels == np.asarray(nibabel.load(path).dataobj).T).all()
    assert np.allclose(nibabel.load(path).affine, nibabel.load(thigh.scan).affine)


def test_closing_on_a_full_disk_asks_before_anything_is_lost(
    room: OpenWindow, thigh: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Project, *_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    hands = room(thigh.scan)
    hands.until_saved()
    brush(hands)
    with monkeypatch.context() as disk:
        disk.setattr(Project, "append", full)
        hands.drag(MIDDLE, [(48, 40), (48, 44)])
        store = hands.workspace.store
        assert store is not None
        hands.until(lambda: store.state.phase == "error")
        painted = hands.case.labels.copy()
        asked = hands.answer("Stay here")
        assert not hands.window.close() and hands.window.isVisible()
        assert len(asked) == 1 and asked[0].startswith("1 edit would be lost. ") and "full" in asked[0]
    hands.until_saved()
    hands.window.close()
    again = room(thigh.scan)
    assert (again.case.labels == painted).all() and painted.any()


def test_closing_waits_for_the_last_stroke_and_asks_where_it_cannot_be_written(
    room: OpenWindow, thigh: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def full(self: Project, *_: object) -> None:
        assert go_on.wait(20)
        raise sqlite3.OperationalError("database or disk is full")

    hands = room(thigh.scan)
    hands.until_saved()
    brush(hands)
    with monkeypatch.context() as disk:
        disk.setattr(Project, "append", full)
        hands.drag(MIDDLE, [(48, 40), (48, 44)])
        painted = hands.case.labels.copy()
        assert not hands.window.close() and hands.window.isVisible(), "nobody knows yet whether it can be written"
        assert hands.window.status.message.text_whole == "Saving…"
        asked = hands.answer("Stay here")
        go_on.set()
        hands.until(lambda: asked)
        assert asked[0].startswith("1 edit would be lost. ") and "full" in asked[0] and hands.window.isVisible()
    hands.until_saved()

    go_on.clear()
    append = Project.append

    def slow(self: Project, *wanted: object) -> int:
        assert go_on.wait(20)
        return append(self, *wanted)  # type: ignore[arg-type]

    with monkeypatch.context() as disk:
        disk.setattr(Project, "append", slow)
        hands.drag(MIDDLE, [(60, 40), (60, 44)])
        assert (hands.case.labels != painted).any()
        painted = hands.case.labels.copy()
        assert not hands.window.close()
        assert not hands.window.close(), "a second wish at once is the same one"
        asked = hands.answer("Stay here")
        disk.setattr(main_window, "PATIENCE_S", 0.0)
        assert not hands.window.close() and asked[0].startswith("1 edit would be lost. "), "later it is not to wait"
        disk.setattr(main_window, "PATIENCE_S", 60.0)
        assert not hands.window.close()
        go_on.set()
        hands.until(hands.window.isHidden)
    again = room(thigh.scan)
    assert (again.case.labels == painted).all() and painted.any()
