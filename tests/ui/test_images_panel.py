"""The list of images, the blend, and the second view, in the real window with the mouse."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

sys.path.insert(0, str(Path(__file__).parent))
from window_room import open_window

from thighview.core.case import Case, Series
from thighview.core.view import ViewState
from thighview.core.volume import Volume
from thighview.ui.main_window import MainWindow

LEFT = Qt.MouseButton.LeftButton


def volume(level: int, name: str) -> Volume:
    """A bright square on black, level 0 to 200."""
    voxels = np.zeros((4, 32, 32), np.uint8)
    voxels[:, 8:24, 8:24] = level
    voxels[:, 0, 0] = 200
    return Volume(voxels, np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]]), name)


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[MainWindow]:
    with open_window(qtbot) as shown:
        case = Case.of(volume(200, "bright"), Path("bright.nii"))
        dark = volume(50, "dark")
        case.series.append(Series(7, "t1", Path("dark.nii"), "", dark, on_grid=dark))
        shown.session.open(case)
        shown.session.update_view(crosshair=False, letters=False, window=(0, 200))
        yield shown


def row_point(window: MainWindow, index: int, sign: bool = False) -> QPoint:
    rows = window.images.list
    return QPoint(rows.width() - 16 if sign else 60, 28 * index + 14)


def grey_in_the_middle(view) -> int:
    image = view.grab().toImage()
    return QColor(image.pixel(image.width() // 2, image.height() // 2)).red()


def test_a_row_shows_its_image_and_t_the_next(window: MainWindow, qtbot: QtBot) -> None:
    assert grey_in_the_middle(window.views.large) == 255
    qtbot.mouseClick(window.images.list, LEFT, pos=row_point(window, 1))
    assert window.session.view.base == 7
    window.session.update_view(window=(0, 200))
    assert grey_in_the_middle(window.views.large) == pytest.approx(64, abs=1)
    qtbot.keyClick(window, Qt.Key.Key_T)
    assert window.session.view.base == 0
    assert window.session.view.window == (0, 200)


def test_two_images_are_blended(window: MainWindow, qtbot: QtBot) -> None:
    assert window.images.how.isHidden()
    qtbot.mouseClick(window.images.list, LEFT, pos=row_point(window, 1, sign=True))
    window.session.update_view(other_window=(0, 200))
    assert window.images.how.isVisible()
    for mix in (0, 50, 100):
        window.images.mix.setValue(mix)
        assert grey_in_the_middle(window.views.large) == pytest.approx(255 + (64 - 255) * mix / 100, abs=3)
    qtbot.mouseClick(window.images.list, LEFT, pos=row_point(window, 1, sign=True))
    assert window.session.view.other is None
    assert grey_in_the_middle(window.views.large) == 255


def test_two_images_side_by_side_share_place_and_mask(window: MainWindow, qtbot: QtBot) -> None:
    session, views = window.session, window.views
    session.compare_with(7)
    qtbot.mouseClick(window.images.beside, LEFT)
    session.update_view(other_window=(0, 200))
    twin = views.twin
    assert twin.isVisible()
    assert not views.by_name["coronal"].isVisible()
    assert (grey_in_the_middle(views.large), grey_in_the_middle(twin)) == (255, pytest.approx(64, abs=1))
    assert twin.placement.px_per_mm == pytest.approx(views.large.placement.px_per_mm, rel=0.05)
    views.large.zoom(2)
    assert twin.placement.px_per_mm == views.large.placement.px_per_mm
    twin.zoom(1.5)
    assert twin.placement.px_per_mm == views.large.placement.px_per_mm

    session.update_view(tool="brush", brush_radius_mm=2.0)
    middle = QPoint(twin.width() // 2, twin.height() // 2)
    qtbot.mousePress(twin, LEFT, pos=middle)
    qtbot.mouseRelease(twin, LEFT, pos=middle)
    assert session.case.labels.any()
    for view in (views.large, twin):
        image = view.grab().toImage()
        at = QColor(image.pixel(view.width() // 2, view.height() // 2))
        assert at.red() != at.green()  # coloured: painted in both

    twin.setFocus()
    qtbot.mousePress(twin, Qt.MouseButton.RightButton, pos=middle)
    qtbot.mouseMove(twin, middle + QPoint(60, 0))
    qtbot.mouseRelease(twin, Qt.MouseButton.RightButton, pos=middle + QPoint(60, 0))
    assert session.view.window == (0, 200)
    assert session.view.other_window != (0, 200)

    session.compare_with(None)
    assert not twin.isVisible()
    assert views.by_name["coronal"].isVisible()


def test_the_menu_says_what_an_image_shows(window: MainWindow) -> None:
    menu = window.images.list.menu_of(1)
    roles = menu.actions()[0].menu()
    assert [a.text() for a in roles.actions() if a.isChecked()] == ["T1"]
    next(a for a in roles.actions() if a.text() == "Water").trigger()
    assert window.session.case.series[1].role == "water"
    assert [a.text() for a in menu.actions() if a.text()] == ["It shows", "Take out of this case"]
    menu.deleteLater()


def test_fat_fractions_are_measured_where_there_is_water_and_fat(window: MainWindow, qtbot: QtBot) -> None:
    case = window.session.case
    window.show_tab("Measure")
    panel = window.panel("Measure")
    assert not panel.fat_button.isVisible()
    labels = case.labels.copy()
    labels[:, 8:24, 8:24] = 1
    window.session.commit("paint", "import", labels)
    window.workspace.images.set_role(0, "water")
    window.workspace.images.set_role(7, "fat")
    qtbot.waitUntil(panel.fat_button.isVisible)
    panel.fat_button.click()
    qtbot.waitUntil(lambda: bool(panel.model.shown.rows))
    assert panel.model.shown.rows[0][1][1:] == ("20.0", "20.0", "0")
    window.workspace.images.set_role(7, "t1")
    assert not panel.fat_button.isVisible()
    assert panel.labels_button.isChecked()


def test_a_view_state_begins_with_the_reference_alone() -> None:
    assert (ViewState().base, ViewState().other) == (0, None)
