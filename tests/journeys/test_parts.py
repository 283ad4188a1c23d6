"""A person opens one volume of a file that holds several, paints on it, and finds it again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from parts_files import write_volumes
from PySide6.QtCore import Qt

from journeys.conftest import Made, OpenWindow
from thighview.core.scan_key import ScanKey

SLICE = 4


def test_the_volume_painted_on_comes_back(room: OpenWindow, thigh: Made, tmp_path: Path) -> None:
    plain = thigh.phantom.volume
    volumes = [replace(plain, voxels=np.roll(plain.voxels, n, axis=2)) for n in range(3)]
    scan = write_volumes(tmp_path / "sub-05_dixon.nii.gz", volumes)
    hands = room()
    hands.drop_and_choose(scan, row=1)
    case = hands.until_open("dixon")
    assert case.series[0].key == ScanKey(scan, "2") and np.array_equal(case.volume.voxels, volumes[1].voxels)
    hands.go_to(SLICE)
    hands.key(Qt.Key.Key_B)
    hands.drag(SLICE, [(48, 40), (48, 48)])
    painted = case.labels.copy()
    assert painted[SLICE].any()
    hands.until_saved()
    hands.drop_and_choose(scan, row=2)
    hands.until(lambda: len(hands.workspace.cases) == 2)
    assert np.array_equal(hands.case.volume.voxels, volumes[2].voxels) and not hands.case.labels.any()
    hands.go_to(SLICE + 1)
    hands.drop_and_choose(scan, row=1)
    hands.until(lambda: hands.case.series[0].part == "2")
    assert len(hands.workspace.cases) == 2 and hands.window.session.view.cursor[0] == SLICE
    hands.until_saved()
    hands.until(lambda: all(summary.title.startswith("sub-05_dixon, volume") for summary in hands.workspace.cases))
    hands.picture("parts-two-volumes")
    assert hands.errors == []
    hands.window.close()

    hands = room()  # a new start: the case left last
    case = hands.until_open("dixon")
    assert case.series[0].part == "2" and np.array_equal(case.volume.voxels, volumes[1].voxels)
    assert np.array_equal(case.labels, painted) and hands.window.session.view.cursor[0] == SLICE
    other = next(summary for summary in hands.workspace.cases if summary.scan_part == "3")
    hands.workspace.open_case(other.case_id)
    hands.until(lambda: hands.case.series[0].part == "3")
    assert hands.window.session.view.cursor[0] == SLICE + 1
    assert [key.name for key in hands.workspace.settings.recent if key.part][:2] == [
        f"{scan.name}, part 3",
        f"{scan.name}, part 2",
    ]
    hands.workspace.open_recent(ScanKey(scan, "2"))
    hands.until(lambda: hands.case.series[0].part == "2")
    assert np.array_equal(hands.case.labels, painted)
    hands.workspace.move_to_project(tmp_path / "study")
    hands.until(lambda: hands.workspace.project_folder == tmp_path / "study" and hands.window.session.case)
    assert hands.case.series[0].part == "2" and np.array_equal(hands.case.volume.voxels, volumes[1].voxels)
    assert np.array_equal(hands.case.labels, painted) and hands.errors == []
