"""The badge for a doubtful scan, and the window that says all that is known of one."""

import sys
from pathlib import Path

import nibabel
import numpy as np
from pytestqt.qtbot import QtBot

sys.path.insert(0, str(Path(__file__).parent))
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QCheckBox, QLabel
from window_room import open_window

from thighview.core.case import Case
from thighview.core.volume import Volume
from thighview.ui.scan_facts import ScanFacts


def case(warnings: tuple[str, ...] = ()) -> Case:
    volume = Volume(
        np.zeros((4, 16, 12), np.int16), np.diag([5.0, 1, 1, 1])[[2, 1, 0, 3]], "knee", "nifti", warnings,
        {"Echo time": "6.3 ms"},
    )  # fmt: skip
    return Case.of(volume, Path("knee.nii.gz"))


def test_a_checked_doubt_leaves_the_badge_and_the_letters_come(
    qtbot: QtBot, tiny_volume: Volume, tmp_path: Path
) -> None:
    path = tmp_path / "nowhere.nii.gz"
    image = nibabel.Nifti1Image(np.swapaxes(tiny_volume.voxels, 0, 2), None)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.save(image, path)
    for time in ("first", "again"):
        with open_window(qtbot) as window:
            window.workspace.open_path(path)
            qtbot.waitUntil(lambda: window.session.case is not None, timeout=20_000)
            large = window.views.large
            if time == "first":
                assert large.plane.edges == ("?",) * 4 and window.top.badge.text().strip() == "1 doubt"
                window.show_scan_facts()
                (dialog,) = window.findChildren(ScanFacts)
                (box,) = dialog.page.findChildren(QCheckBox)
                box.click()
                qtbot.waitUntil(lambda: window.workspace.store.unsaved == 0)
            assert window.top.badge.isHidden()
            assert large.plane.edges == ("A", "L", "P", "R")
            assert window.session.case.open_doubts == ()
            assert len(window.session.case.doubts) == 1


def texts(dialog: ScanFacts) -> list[str]:
    return [label.text() for label in dialog.page.findChildren(QLabel)]


def test_the_badge_stays_as_long_as_a_doubtful_scan_is_open(qtbot: QtBot) -> None:
    with open_window(qtbot) as window:
        assert window.top.badge.isHidden()
        window.session.open(case(("Left and right are not known.", "1 mm was put in.")))
        assert not window.top.badge.isHidden()
        assert window.top.badge.text().strip() == "2 doubts"
        assert "Left and right are not known." in window.top.badge.toolTip()
        window.top.badge.click()
        (dialog,) = window.findChildren(ScanFacts)
        assert {"Doubts", "1 mm was put in.", "12 × 16 × 4", "6.3 ms"} <= set(texts(dialog))
        window.session.open(case())
        assert window.top.badge.isHidden()
        assert "Doubts" not in texts(dialog)
        window.show_scan_facts()
        assert window.findChildren(ScanFacts) == [dialog]
        dialog.copy.click()
        assert "  Matrix: 12 × 16 × 4\n" in QGuiApplication.clipboard().text()
        window.session.open(None)
        assert "No scan is open." in texts(dialog)
        dialog.close()


def test_a_doubt_about_a_mask_goes_with_it_from_the_badge_and_the_facts(qtbot: QtBot) -> None:
    with open_window(qtbot) as window:
        window.session.open(case())
        window.show_scan_facts()
        (dialog,) = window.findChildren(ScanFacts)
        window.session.begin_run("Segment · tissues")
        window.session.fill_slice(1, np.ones((16, 12), np.uint8))
        window.session.end_run(keep=True, doubts=("No thigh.",))
        assert window.top.badge.text().strip() == "1 doubt" and "No thigh." in texts(dialog)
        window.session.undo()
        assert window.top.badge.isHidden() and "No thigh." not in texts(dialog)
        window.session.redo()
        assert not window.top.badge.isHidden() and "No thigh." in texts(dialog)
        dialog.close()
