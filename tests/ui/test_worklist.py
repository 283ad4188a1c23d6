"""The worklist and the first page: pictures show the anatomy, and nothing is cut off in a small window."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QPushButton
from window_room import open_window

from thighview.core.case import Case
from thighview.core.review import SliceReview, SliceState
from thighview.core.volume import Volume
from thighview.io.records import CaseSummary
from thighview.ui.worklist import Cases, _picture, badge


def test_a_picture_shows_the_body_and_not_the_air():
    voxels = np.zeros((5, 120, 200), np.int16)
    voxels[:, 40:60, 90:130] = 300
    affine = np.array([[0.0, 0, 1, 0], [0, 2, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1]])
    grey = _picture(Volume(voxels, affine, "small", "phantom"), pixels=104)
    bright = grey > 128
    assert max(grey.shape) in (103, 104)
    assert abs(grey.shape[0] - grey.shape[1]) < 8, "40 mm by 40 mm stay square"
    assert bright.mean() > 0.75


def summary_of(path: Path, **facts) -> CaseSummary:
    told = {"title": "sub-01_t1", "part": "", "in_training_set": False, **facts}
    return CaseSummary(case_id=1, subject="sub-01", path=path, slices=4, counts={}, updated=0.0, **told)


def test_the_tip_of_a_case_says_everything_once(qtbot):
    cases = Cases()
    path = Path("/scans/sub-01.nii.gz")
    for facts, lines in (
        ({}, ["sub-01", "sub-01_t1", "4 slices, new"]),
        ({"title": "sub-01", "in_training_set": True}, ["sub-01", "4 slices, new", "in the training set"]),
        (
            {"in_training_set": True, "part": "validation"},
            ["sub-01", "sub-01_t1", "4 slices, new", "in the training set (validation)"],
        ),
    ):
        cases.show_cases((summary_of(path, **facts),))
        tip = cases.data(cases.index(0), Qt.ItemDataRole.ToolTipRole)
        assert tip.splitlines() == [*lines, str(path)]


def test_a_case_is_reviewed_when_every_slice_that_is_in_the_files_is(qtbot, tiny_volume):
    case = Case.of(replace(tiny_volume, missing=(3,)), Path("/scans/gap.nii.gz"))
    case.case_id, case.reviews = 1, [SliceReview(SliceState.DRAWN)] * 6
    case.reviews[3] = SliceReview()
    counts = {SliceState.DRAWN: 5, SliceState.UNSEEN: 1}
    summary = replace(summary_of(case.series[0].path), slices=6, counts=counts)
    assert badge(summary, case) == ("reviewed", "good")
    case.reviews[0] = SliceReview()
    assert badge(summary, case) == ("in review 4/5", "teal")

    cases = Cases()
    cases.show_cases((summary,))
    assert "in review 5/6" in cases.data(cases.index(0)), "nobody has read the scan yet"
    cases.set_picture(summary.key, np.zeros((2, 2), np.uint8), missing=1)
    assert cases.data(cases.index(0)).endswith("reviewed")
    cases.show_cases((summary,))
    assert badge(cases.data(cases.index(0), Qt.ItemDataRole.UserRole)) == ("reviewed", "good")


def test_the_first_page_fits_the_smallest_window(qtbot):
    with open_window(qtbot, 980, 640) as window:
        window.grab()
        right = window.empty.rect().right()
        for press in window.empty.findChildren(QPushButton):
            words = QFontMetrics(press.font()).horizontalAdvance(press.text())
            assert press.width() >= words + press.iconSize().width()
            assert press.mapTo(window.empty, press.rect().bottomRight()).x() <= right
        tabs = window.tabs.tabBar()
        assert tabs.tabRect(tabs.count() - 1).right() <= tabs.width()
