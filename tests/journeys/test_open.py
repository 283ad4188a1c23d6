"""A person opens scans and masks: from the menu, dropped, from the recent ones; what is no scan is refused."""

import shutil
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QInputDialog, QPushButton

from journeys.conftest import Made, OpenWindow
from thighview.core.errors import UserError
from thighview.core.review import SliceState


def test_a_real_scan_and_its_mask_keep_their_numbers(room: OpenWindow, data: Path) -> None:
    import nibabel

    folder = data / "legs_qmritools"
    hands = room()
    hands.picture("open-empty")
    hands.choose("open", folder / "twoLegs.nii.gz")
    case = hands.until_open("twoLegs")
    source = nibabel.load(folder / "twoLegs.nii.gz")
    assert case.volume.shape == source.shape[::-1]
    assert np.allclose(case.volume.spacing_mm, source.header.get_zooms()[2::-1], atol=1e-3)
    hands.picture("open-two-legs")
    hands.choose("open_mask", folder / "labels.nii.gz")
    hands.until(lambda: hands.window.session.history.names == ("Open mask labels.nii.gz",))
    assert [label.file_id for label in case.table] == list(range(13, 27))
    values = {label.value: label.file_id for label in case.table}
    stored = np.asarray(nibabel.load(folder / "labels.nii.gz").dataobj).T
    lookup = np.zeros(256, np.int64)
    for value, file_id in values.items():
        lookup[value] = file_id
    assert (lookup[case.labels] == stored).all()
    hands.until_saved()
    hands.picture("open-two-legs-with-mask")
    assert hands.errors == []


def test_a_dicom_folder_opens_in_order(room: OpenWindow, data: Path) -> None:
    hands = room()
    hands.choose("open_folder", data / "dicom" / "ge_knee_mese_echo1_MIT")
    case = hands.until_open("ge_knee_mese_echo1_MIT")
    assert case.volume.kind == "dicom" and case.volume.shape[0] == 24
    steps = np.diff([case.volume.to_world(np.array([[z, 0, 0]]))[0] for z in range(24)], axis=0)
    assert np.allclose(steps, steps[0], atol=1e-2)
    assert case.subject == "ge_knee_mese_echo1_MIT"  # these files carry no PatientID
    others = [view for view in hands.window.views.by_name.values() if view is not hands.window.views.large]
    assert abs(others[0].height() - others[1].height()) < 10, "the two small views share the column"
    hands.picture("open-dicom")
    assert hands.errors == []


def test_dropped_files_open_and_are_remembered(room: OpenWindow, thigh: Made, tmp_path: Path) -> None:
    other = tmp_path / "sub-06_t1.nii.gz"
    shutil.copy(thigh.scan, other)
    hands = room()
    hands.drop(thigh.scan)
    hands.until_open("sub-05")
    assert hands.case.subject == "sub-05"
    hands.drop(other)
    hands.until_open("sub-06")
    recent = hands.window.top.recent
    recent.aboutToShow.emit()
    assert [action.text() for action in recent.actions()] == [other.name, thigh.scan.name]
    recent.actions()[1].trigger()
    hands.until_open("sub-05")
    assert [case.subject for case in hands.workspace.cases] == ["sub-05", "sub-06"]
    hands.picture("open-worklist")
    hands.window.close()

    again = room()
    again.picture("open-recent")
    shown = [press for press in again.window.empty.findChildren(QPushButton) if other.name in press.text()]
    again.click(shown[0])
    again.until_open("sub-06")
    assert hands.errors == again.errors == []


def test_a_click_in_the_worklist_changes_the_case(room: OpenWindow, thigh: Made, tmp_path: Path) -> None:
    other = tmp_path / "sub-06_t1.nii.gz"
    shutil.copy(thigh.scan, other)
    hands = room(thigh.scan)
    hands.drop(other)
    hands.until_open("sub-06")
    listed = hands.window.worklist.list
    first = listed.visualRect(listed.model().index(0, 0)).center()
    hands.click(listed.viewport(), first)
    hands.until_open("sub-05")
    assert hands.window.windowTitle().startswith("sub-05")


def test_what_is_no_scan_is_refused_and_the_case_stays(room: OpenWindow, thigh: Made, tmp_path: Path) -> None:
    hands = room(thigh.scan)
    case = hands.case
    whole = thigh.scan.read_bytes()
    for name, content in (("notes.nii.gz", b"no image"), ("half.nii.gz", whole[: len(whole) // 2]), ("list.txt", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        before = len(hands.errors)
        hands.drop(path)
        hands.until(lambda before=before: len(hands.errors) > before)
        assert isinstance(hands.errors[-1], UserError), hands.errors[-1]
        assert hands.case is case
    assert len(hands.window.notices.shown) == 3
    hands.picture("open-refused")
    assert hands.states == [SliceState.UNSEEN] * len(hands.states)


def test_whatever_is_dropped_opens_or_says_why_in_one_sentence(
    room: OpenWindow, thigh: Made, data: Path, tmp_path: Path
) -> None:
    other = tmp_path / "sub-06_t1.nii.gz"
    shutil.copy(thigh.scan, other)
    knee = tmp_path / "knee"
    shutil.copytree(data / "dicom" / "ge_knee_mese_echo1_MIT", knee)
    nonsense = tmp_path / "thesis.docx"
    nonsense.write_bytes(b"words")
    (tmp_path / "empty").mkdir()
    hands = room()
    hands.drop(thigh.scan, other, nonsense)
    hands.until_open("sub-05")
    hands.until(lambda: len(hands.workspace.cases) == 2 and len(hands.errors) == 1)
    assert "thesis.docx" in str(hands.errors[0])
    hands.drop(*sorted(knee.iterdir()))
    hands.until_open("knee")
    hands.until(lambda: [case.path.name for case in hands.workspace.cases].count("knee") == 1)
    assert len(hands.workspace.cases) == 3 and len(hands.errors) == 1
    hands.drop(tmp_path / "empty")
    hands.until(lambda: len(hands.errors) == 2)
    assert "No DICOM series" in str(hands.errors[1]) and hands.case.series[0].path == knee
    hands.picture("open-dropped")


def test_the_menu_of_a_case_says_whose_it_is_and_removes_it_once_a_question_is_answered(
    room: OpenWindow, thigh: Made, tmp_path: Path
) -> None:
    other = tmp_path / "sub-06_t1.nii.gz"
    shutil.copy(thigh.scan, other)
    hands = room()
    hands.drop(thigh.scan, other)
    hands.until(lambda: len(hands.workspace.cases) == 2 and hands.window.session.case)
    worklist = hands.window.worklist

    def rename() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QInputDialog) and "sub-05" in box.windowTitle()
        box.setTextValue("Anna")
        box.accept()

    QTimer.singleShot(100, rename)
    worklist.menu_of(hands.workspace.cases[0]).actions()[1].trigger()
    hands.until(lambda: {case.subject for case in hands.workspace.cases} == {"Anna", "sub-06"})
    for answer, left in (("Keep it", 2), ("Remove", 1)):
        asked = hands.answer(answer)
        worklist.menu_of(hands.workspace.cases[0]).actions()[-1].trigger()
        hands.until(lambda asked=asked: asked)
        assert asked == ["Remove Anna from My cases?"]
        hands.until(lambda left=left: len(hands.workspace.cases) == left)
    assert hands.window.session.case is None and hands.window.middle.currentWidget() is hands.window.empty
    hands.window.activateWindow()
    hands.until(hands.window.isActiveWindow)
    worklist.list.setFocus()
    worklist.list.setCurrentIndex(worklist.shown.index(0, 0))
    asked = hands.answer("Remove")
    hands.key(Qt.Key.Key_Delete)
    hands.until(lambda: asked and hands.workspace.cases == ())
    assert thigh.scan.exists() and other.exists() and hands.errors == []
