"""The table of actions, and the window made from it: keys, menus, focus, what is possible when."""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QHelpEvent, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QToolTip, QWidget

sys.path.insert(0, str(Path(__file__).parent))
from view_room import case_of, click, place, press, release
from window_room import open_window

from thighview.app.segment_job import SegmentJob
from thighview.app.side_check import WrongSide
from thighview.core.labels import Label, LabelTable
from thighview.core.review import SliceState
from thighview.ui.actions import ACTIONS, MENUS, sheet, tip_words
from thighview.ui.icons import icon
from thighview.ui.theme import colour


@pytest.fixture
def window(qtbot):
    with open_window(qtbot) as window:
        yield window


@pytest.fixture
def session(window, tiny_volume):
    window.session.open(case_of(tiny_volume))
    return window.session


def key(window, *keys, modifier=Qt.KeyboardModifier.NoModifier):
    for one in keys:
        QTest.keyClick(QApplication.focusWidget() or window, one, modifier)


def test_the_table_is_sound():
    keys = Counter(QKeySequence(k).toString() for spec in ACTIONS for k in spec.keys)
    assert not [k for k, n in keys.items() if n > 1]
    assert all(QKeySequence(k).toString() for spec in ACTIONS for k in spec.keys)
    assert len({spec.key for spec in ACTIONS}) == len(ACTIONS)
    for spec in ACTIONS:
        if spec.menu:
            assert spec.menu in MENUS
            assert spec.tip.endswith("."), spec.key
            assert len(tip_words(spec).splitlines()) > 1
    listed = [line for _, lines in sheet() for line in lines]
    assert len(listed) == sum(1 for spec in ACTIONS if spec.menu and spec.keys)


def test_every_icon_is_drawn(qtbot):
    for name in {spec.icon for spec in ACTIONS if spec.icon}:
        image = icon(name).pixmap(20, 20).toImage()
        assert any(image.pixelColor(x, y).alpha() > 128 for x in range(20) for y in range(20)), name


def test_accepting_all_that_the_model_drew_is_asked_about_by_key_too(window, session, qtbot):
    session.begin_run("Segment")
    session.fill_slice(1, np.ones(session.case.labels.shape[1:], np.uint8))
    key(window, Qt.Key.Key_A, modifier=Qt.KeyboardModifier.ShiftModifier)
    session.fill_slice(2, np.ones(session.case.labels.shape[1:], np.uint8))
    session.end_run(keep=True)
    assert [review.state for review in session.case.reviews[1:3]] == [SliceState.MODEL] * 2, "not while it draws"
    key(window, Qt.Key.Key_A, modifier=Qt.KeyboardModifier.ShiftModifier)
    assert [review.state for review in session.case.reviews[1:3]] == [SliceState.MODEL] * 2, "nobody has said yes"
    assert window.tabs.currentWidget() is window.review
    assert "looked at 2 slices" in window.review.question.text()
    qtbot.waitUntil(lambda: not window.review.yes_button.visibleRegion().isEmpty())
    click(window.review.yes_button, QPointF(5, 5))
    assert [review.state for review in session.case.reviews[1:3]] == [SliceState.ACCEPTED] * 2
    assert session.history.names[-1] == "Accept all 2 model slices"


def test_without_a_case_only_what_makes_sense_is_possible(window):
    enabled = {spec.key for spec in ACTIONS if window.actions_table[spec.key].isEnabled()}
    assert {"open", "open_folder", "demo", "quit", "shortcuts", "about"} <= enabled
    assert not enabled & {"undo", "redo", "accept", "segment", "tool_brush", "save", "export", "cancel_segment"}
    assert window.middle.currentWidget() is window.empty
    for spec in ACTIONS:  # nothing falls over, whatever is pressed
        if spec.key not in (
            "open",
            "open_folder",
            "project",
            "demo",
            "quit",
            "shortcuts",
            "about",
            "import",
            "old_weights",
            "restart",
        ):
            spec.do(window) if spec.when(window) else None


def test_keys_of_looking(window, session):
    key(window, Qt.Key.Key_Down, Qt.Key.Key_Right, Qt.Key.Key_PageDown)
    assert session.view.cursor[0] == 5
    key(window, Qt.Key.Key_Up, Qt.Key.Key_Left, Qt.Key.Key_PageUp, Qt.Key.Key_Up)
    assert session.view.cursor[0] == 1
    key(window, Qt.Key.Key_End)
    assert session.view.cursor[0] == 5
    key(window, Qt.Key.Key_O, Qt.Key.Key_C)
    assert (session.view.outline, session.view.crosshair) == (True, False)
    assert window.actions_table["outline"].isChecked()
    key(window, Qt.Key.Key_V)
    assert session.view.layout == "axial"
    assert not window.views.by_name["coronal"].isVisible()
    assert [v.isVisible() for v in window.views.by_name.values()].count(True) == 1
    key(window, Qt.Key.Key_V, Qt.Key.Key_G)
    assert window.views.large.name == "coronal"
    assert all(view.isVisible() for view in window.views.by_name.values())


def test_space_hides_masks_while_held(window, session):
    QTest.keyPress(window, Qt.Key.Key_Space)
    assert not session.view.masks_shown
    QTest.keyRelease(window, Qt.Key.Key_Space)
    assert session.view.masks_shown


def test_space_belongs_to_the_picture_from_the_start(window, session):
    """Not to the first button of the bar, which Qt gives the focus when the window opens."""
    window.top.menu_button.setFocus()
    session.open(session.case)
    focus = QApplication.focusWidget()
    assert not isinstance(focus, QAbstractButton)
    QTest.keyPress(focus or window, Qt.Key.Key_Space)
    assert not session.view.masks_shown
    QTest.keyRelease(focus or window, Qt.Key.Key_Space)


def test_keys_of_tools_labels_and_undo(window, session):
    view = window.views.large
    key(window, Qt.Key.Key_B, Qt.Key.Key_2)
    assert (session.view.tool, session.view.active_label) == ("brush", 2)
    key(window, Qt.Key.Key_9)
    assert session.view.active_label == 2
    radius = session.view.brush_radius_mm
    key(window, Qt.Key.Key_BracketRight)
    assert session.view.brush_radius_mm > radius
    click(view, place(view, 10, 10))
    assert window.top.undo.text().strip() == "Undo Brush"
    assert window.actions_table["undo"].text() == "Undo Brush · fat right · slice 4"
    key(window, Qt.Key.Key_X)
    assert session.view.tool == "eraser"
    key(window, Qt.Key.Key_Z, modifier=Qt.KeyboardModifier.ControlModifier)
    assert not session.case.labels.any()
    assert not window.actions_table["undo"].isEnabled()
    key(window, Qt.Key.Key_Y, modifier=Qt.KeyboardModifier.ControlModifier)
    assert session.case.labels.any()


def test_ten_labels_have_keys_that_the_list_shows(window, session):
    session.set_table(LabelTable(tuple(Label(value, f"part_{value}", "left") for value in range(1, 12))))
    for one, value in ((Qt.Key.Key_9, 9), (Qt.Key.Key_0, 10), (Qt.Key.Key_1, 1)):
        key(window, one)
        assert session.view.active_label == value
    rows = window.labels.list
    for nth, said in ((0, "the key 1 "), (9, "the key 0 "), (10, "press to paint")):
        at = QPoint(80, 14 + 28 * nth)
        QApplication.sendEvent(rows, QHelpEvent(QEvent.Type.ToolTip, at, rows.mapToGlobal(at)))
        assert said in QToolTip.text()
    QToolTip.hideText()


def test_polygon_by_keys(window, session):
    view = window.views.large
    key(window, Qt.Key.Key_P)
    for corner in ((5, 5), (5, 20), (15, 20), (15, 5)):
        click(view, place(view, *corner))
    key(window, Qt.Key.Key_Backspace, Qt.Key.Key_Return)
    assert session.history.names == ("Polygon · muscle left · slice 4",)
    assert not any(review.state.reviewed for review in session.case.reviews)
    click(view, place(view, 5, 5))
    key(window, Qt.Key.Key_Escape)
    assert view.gesture is None


@pytest.mark.parametrize(("width", "height"), [(980, 640), (1178, 736), (1280, 800), (1600, 1000)])
@pytest.mark.parametrize("wrong", [False, True])
def test_the_tool_options_are_whole_at_every_size_of_the_window(window, session, qtbot, width, height, wrong):
    window.resize(width, height)
    session.set_table(LabelTable((Label(1, "subcutaneous_fat", "left"), Label(2, "muscle", "right"))))
    session.update_view(tool="brush", active_label=1, brush_radius_mm=12.3)
    options = window.options
    if wrong:
        region = window.views.large.plane.slice_region(0)
        with session.edit("Brush", "brush", region) as edit:
            edit.paint(region, np.ones(region.shape, bool), 1)
        options.sides.wrong = WrongSide(session.case.history.peek_undo(), session.case.table.get(1))
        options.sides.found.emit(options.sides.wrong)
    qtbot.waitUntil(lambda: options.width() > 300)
    needed = [options.radius_mm, options.label_name, *([options.mend_side] if wrong else [])]
    assert all(part.isVisible() for part in needed)
    parts = [part for part in options.findChildren(QWidget) if part.isVisible() and part.parent() is options]
    assert not [a for a in parts for b in parts if a is not b and a.geometry().intersects(b.geometry())]
    assert all(part.width() >= part.sizeHint().width() for part in needed)
    assert all(options.rect().contains(part.geometry()) for part in parts)


def test_a_refused_fill_says_why_over_the_picture(window, session):
    session.update_view(tool="fill")
    click(window.views.large, place(window.views.large, 2, 2))
    assert "closed outline" in window.notices.shown[-1].message
    assert window.notices.isVisible()


def draw_all(session):
    """A label on every slice, as a file brings it."""
    session.commit("Open mask a.nii.gz", "import", np.ones_like(session.case.labels))


def test_an_empty_slice_is_accepted_only_when_the_same_key_is_pressed_again(window, session):
    session.go_to_slice(3)
    key(window, Qt.Key.Key_A)
    assert session.case.reviews[3].state is SliceState.UNSEEN and session.view.cursor[0] == 3
    assert "Press again" in window.notices.shown[-1].message
    session.go_to_slice(2)
    session.go_to_slice(3)
    key(window, Qt.Key.Key_Return)
    assert session.case.reviews[3].state is SliceState.UNSEEN, "it was left in between"
    key(window, Qt.Key.Key_Return)
    assert session.case.reviews[3].state is SliceState.DRAWN
    assert not window.notices.shown, "it was done"
    key(window, Qt.Key.Key_A)
    assert session.case.reviews[4].state is SliceState.UNSEEN, "each slice is asked about"


def test_the_slices_of_an_opened_mask_are_accepted_at_once(window, session, qtbot):
    labels = session.case.labels.copy()
    labels[1:5, 4:9, 4:9] = 1
    session.commit("Open mask a.nii.gz", "import", labels)
    view = window.views.large
    session.go_to_slice(4)
    session.update_view(tool="brush", active_label=2)
    click(view, place(view, 20, 20))
    assert "3 slices of the opened mask" in window.review.all_button.text(), "the one being drawn on has its own key"
    key(window, Qt.Key.Key_A, modifier=Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: not window.review.yes_button.visibleRegion().isEmpty())
    click(window.review.yes_button, QPointF(5, 5))
    states = [review.state for review in session.case.reviews]
    assert [i for i, state in enumerate(states) if state is SliceState.DRAWN] == [1, 2, 3]
    assert states[0] is SliceState.UNSEEN, "an empty slice is not accepted along with the others"
    session.undo()
    assert [review.state for review in session.case.reviews[1:4]] == [SliceState.EDITING] * 3


def test_accept_and_go_on(window, session):
    draw_all(session)
    session.go_to_slice(4)
    key(window, Qt.Key.Key_A)
    assert session.case.reviews[4].state is SliceState.DRAWN
    assert session.view.cursor[0] == 5
    key(window, Qt.Key.Key_Return)
    assert session.view.cursor[0] == 0
    session.go_to_slice(4)
    key(window, Qt.Key.Key_U)
    assert session.case.reviews[4].state is SliceState.EDITING


def test_the_next_slice_to_review_is_never_a_missing_one(window, session, tiny_volume):
    session.open(case_of(replace(tiny_volume, missing=(2, 3))))
    draw_all(session)
    session.go_to_slice(1)
    key(window, Qt.Key.Key_A, Qt.Key.Key_A)
    assert session.case.reviews[4].state is SliceState.DRAWN and session.view.cursor[0] == 5
    for index in (0, 5):
        session.accept((index,))
    said = []
    session.said.connect(said.append)
    key(window, Qt.Key.Key_J)
    assert said == ["Every slice is reviewed."] and session.view.cursor[0] == 5


def test_text_fields_keep_their_keys(window, session, qtbot):
    window.worklist.filter.show()
    window.worklist.filter.setFocus()
    QTest.keyClicks(window.worklist.filter, "bx 2")
    assert window.worklist.filter.text() == "bx 2"
    assert session.view.tool == "navigate"
    key(window, Qt.Key.Key_Left, Qt.Key.Key_Home)
    assert session.view.cursor[0] == 3
    qtbot.mouseClick(window.views.large, Qt.MouseButton.LeftButton)
    assert not window.worklist.filter.hasFocus()
    key(window, Qt.Key.Key_B)
    assert session.view.tool == "brush"


def test_a_click_on_a_button_leaves_the_keys_to_the_views(window, session, qtbot):
    window.show_tab("Review")
    qtbot.mouseClick(window.panel("Review").next_button, Qt.MouseButton.LeftButton)
    before = session.view.cursor[0]
    key(window, Qt.Key.Key_Up)
    assert session.view.cursor[0] == before - 1


def test_menus_hold_the_whole_table(window):
    for title in MENUS:
        wanted = {spec.key for spec in ACTIONS if spec.menu == title}
        assert wanted <= {action.objectName() for action in window.top.menus[title].actions()}


def test_shortcuts_and_about_open_and_close(window):
    window.actions_table["shortcuts"].trigger()
    window.actions_table["about"].trigger()
    from PySide6.QtWidgets import QDialog

    dialogs = window.findChildren(QDialog)
    assert len(dialogs) == 2
    for dialog in dialogs:
        dialog.close()


def test_strip_and_options_follow(window, session, qtbot):
    strip = window.strip
    rect = strip.cell_rect(2)
    qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=rect.center().toPoint())
    assert session.view.cursor[0] == 2
    session.update_view(tool="brush", brush_radius_mm=10.0, active_label=2)
    assert window.options.radius_mm.text() == "10.0 mm"
    assert window.options.label_name.text() == "Fat R"
    window.options.radius.setValue(0)
    assert session.view.brush_radius_mm == pytest.approx(0.3)
    window.grab()


def test_the_strip_says_how_unsure_the_model_was(window, session, qtbot):
    session.begin_run("Segment")
    for index, unsure in enumerate((0.31, 0.32, 0.4)):
        session.fill_slice(index, np.ones(session.case.labels.shape[1:], np.uint8), unsure)
    session.end_run(keep=True)
    strip = window.strip

    def tip(x):
        at = QPoint(round(x), strip.height() // 2)
        QToolTip.hideText()
        QApplication.sendEvent(strip, QHelpEvent(QEvent.Type.ToolTip, at, strip.mapToGlobal(at)))
        return QToolTip.text()

    assert "uncertainty 0.40, most slices 0.32: look here first" in tip(strip.cell_rect(2).center().x())
    assert "look here first" not in tip(strip.cell_rect(1).center().x())
    assert "look there first" in tip(strip.width() - 40) and "corrected: " in QToolTip.text()
    bars = strip.grab().toImage()
    heights = [strip.cell_rect(i).center().x() for i in (1, 2)]
    colours = [bars.pixelColor(round(x), 20).name() for x in heights]
    assert colours[0] != colours[1] == colour("warning").name()
    session.open(session.case)
    assert "look here first" in tip(strip.cell_rect(2).center().x()), "it comes back with the case"


def test_the_blue_button_says_why_it_cannot_be_pressed(window, session, qtbot):
    window.workspace.refresh_models()
    qtbot.waitUntil(lambda: window.workspace.chosen_model is not None, timeout=20000)
    assert window.top.segment.isEnabled()
    session.accept(tuple(range(len(session.case.reviews))))
    assert not window.top.segment.isEnabled() and "slices are protected: reviewed" in window.top.segment.toolTip()
    session.undo()
    assert window.top.segment.isEnabled()


def test_a_double_click_on_the_blue_button_starts_a_run_and_no_more(
    window, session, qtbot, monkeypatch, double_click_ms
):
    job, said = SegmentJob(), []
    monkeypatch.setattr(window.workspace.engine, "segment", lambda *_: job)
    window.workspace.said.connect(said.append)
    window.workspace.refresh_models()
    qtbot.waitUntil(lambda: window.workspace.chosen_model is not None, timeout=20000)
    double_click_ms(60_000)
    for _ in range(2):
        click(window.top.segment, QPointF(20, 12))
        assert session.busy_run is not None and not job.cancelled
    double_click_ms(0)
    click(window.top.segment, QPointF(20, 12))
    assert session.busy_run is None and job.cancelled and said[-1] == "Segmentation cancelled."
    job.handle.finish()


def test_escape_drops_the_stroke_first_and_then_the_notice(window, session, qtbot):
    window.notices.warn("A doubt.")
    session.update_view(tool="brush")
    view = window.views.large
    press(view, place(view, 10, 10))
    key(window, Qt.Key.Key_Escape)
    assert not session.case.labels.any() and window.notices.shown
    release(view, place(view, 10, 10))
    key(window, Qt.Key.Key_Escape)
    assert not window.notices.shown


def test_labels_list(window, session, qtbot, monkeypatch):
    rows = window.labels.list
    at = rows.mapToGlobal(QPointF(0, 0))
    assert at is not None
    click(rows, QPointF(80, 14 + 28))
    assert session.view.active_label == 2
    click(rows, QPointF(rows.width() - 8, 14))
    assert session.view.hidden_labels == {1}
    click(rows, QPointF(rows.width() - 8, 14), keys=Qt.KeyboardModifier.AltModifier)
    assert session.view.hidden_labels == {2}
    monkeypatch.setattr("thighview.ui.dialogs.ask_label_name", lambda *a, **k: ("femur", "left"))
    window.labels.add_button.click()
    assert [label.title for label in session.case.table] == ["Muscle L", "Fat R", "Femur L"]
    assert session.view.active_label == 3
    with session.edit("Brush", "brush", window.views.large.plane.slice_region(0)) as edit:
        region = window.views.large.plane.slice_region(0)
        edit.paint(region, np.ones(region.shape, bool), 1)
    voxels = 32 * 32 * session.case.volume.voxel_volume_ml
    qtbot.waitUntil(lambda: rows.counts.volume_ml(1) == pytest.approx(voxels))
    said = []
    session.said.connect(said.append)
    rows.remove(session.case.table.get(1))
    assert said
    rows.remove(session.case.table.get(3))
    assert session.case.table.get(3) is None
    window.labels.grab()


def test_dropping_files_opens_them(window, monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr(window.workspace, "open_paths", opened.append)
    for name in ("a.nii.gz", "1.dcm", "2.dcm"):
        (tmp_path / name).touch()

    def drop(*names):
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(tmp_path / name)) for name in names])
        event = QDropEvent(
            QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        )
        window.dropEvent(event)

    drop("a.nii.gz")
    drop("1.dcm", "2.dcm")
    drop("a.nii.gz", "1.dcm")
    names = [[path.name for path in paths] for paths in opened]
    assert names == [["a.nii.gz"], ["1.dcm", "2.dcm"], ["a.nii.gz", "1.dcm"]]


def test_the_plane_a_scan_was_taken_in_is_large(window, tiny_volume):
    from thighview.core.volume import Volume

    sagittal = Volume(tiny_volume.voxels, tiny_volume.affine[:, [0, 1, 2, 3]] @ np.eye(4)[:, [2, 1, 0, 3]], "turned")
    window.session.open(case_of(sagittal))
    assert window.views.large.name == "sagittal"
    window.session.open(case_of(tiny_volume))
    assert window.views.large.name == "axial"
