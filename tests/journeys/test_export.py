"""A person collects training data: a reviewed case into the set, out as nnU-Net raw, and into a new project."""

import json
from pathlib import Path

import nibabel
import numpy as np
from PySide6.QtCore import Qt

from journeys.conftest import Made, OpenWindow
from journeys.hands import Hands
from thighview.core.review import SliceState
from thighview.io.export_wish import ExportWish


def reviewed_case(hands: Hands, thigh: Made) -> None:
    """The true mask on the open scan; slices 1 to 3 accepted, with a stroke on the second."""
    hands.choose("open_mask", thigh.mask)
    hands.until(lambda: hands.window.session.history.names)
    hands.go_to(0)
    hands.key(Qt.Key.Key_A)
    hands.key(Qt.Key.Key_B)
    hands.drag(1, [(48, 40), (48, 44)])
    hands.key(Qt.Key.Key_A)
    hands.key(Qt.Key.Key_A)
    assert [state.reviewed for state in hands.states] == [True] * 3 + [False] * 5


def into_the_set(hands: Hands) -> None:
    """Press the Train panel's button."""
    hands.window.show_tab("Train")
    panel = hands.window.panel("Train")
    hands.click(panel.set_up.set_card.case_button)  # type: ignore[attr-defined]
    hands.until(lambda: [case for case in hands.workspace.cases if case.in_training_set])
    hands.until_saved()


def test_out_as_nnunet_and_into_another_project(room: OpenWindow, thigh: Made, tmp_path: Path) -> None:
    hands = room(thigh.scan)
    reviewed_case(hands, thigh)
    into_the_set(hands)
    hands.picture("export-set")
    mine, table, states = hands.case.labels.copy(), hands.case.table, list(hands.states)
    out = tmp_path / "nnunet"
    hands.choose("export", out)
    hands.until(lambda: (out / "dataset.json").exists())
    hands.until(lambda: "1 case exported to" in hands.window.status.message.text_whole)
    (notice,) = hands.window.notices.shown
    assert "1 case exported to" in notice.message and "3 reviewed slices, 5 not reviewed (ignore)." in notice.hint
    hands.picture("export-end")
    notice.close_notice()

    dataset = json.loads((out / "dataset.json").read_text())
    assert sorted(dataset["labels"].values()) == list(range(12)), "background, ten labels, ignore"
    (written,) = (out / "labelsTr").glob("*.nii.gz")
    labels = np.asarray(nibabel.load(written).dataobj).T
    assert (labels[3:] == dataset["labels"]["ignore"]).all(), "slices nobody reviewed"
    assert (labels[:3] != dataset["labels"]["ignore"]).all()
    assert json.loads((out / "splits_final.json").read_text())

    hands.workspace.open_project(tmp_path / "Another study")
    hands.until(lambda: hands.workspace.project_folder == tmp_path / "Another study")
    hands.choose("import", out)
    hands.until(lambda: len(hands.workspace.cases) == 1)
    listed = hands.window.worklist.list
    hands.click(listed.viewport(), listed.visualRect(listed.model().index(0, 0)).center())
    case = hands.until_open("nnunet")
    hands.picture("export-imported")
    assert case.subject == "sub-05"
    assert [(b.name, b.side, b.file_id) for b in case.table] == [(b.name, b.side, b.file_id) for b in table]
    values = {b.value: next(c.value for c in table if c.key == b.key) for b in case.table}
    back = np.zeros(256, np.uint8)
    back[list(values)] = list(values.values())
    assert (back[case.labels[:3]] == mine[:3]).all()
    assert not case.labels[3:].any()
    assert [review.state.reviewed for review in case.reviews] == [state.reviewed for state in states]
    assert hands.states == [SliceState.DRAWN] * 3 + [SliceState.UNSEEN] * 5
    (summary,) = hands.workspace.cases
    assert summary.in_training_set and summary.subject == "sub-05"
    assert hands.errors == []


def test_an_empty_set_and_a_full_folder_are_refused(room: OpenWindow, thigh: Made, tmp_path: Path) -> None:
    hands = room(thigh.scan)
    hands.workspace.export_masks(tmp_path / "out", ExportWish("nnunet"))
    hands.until(lambda: hands.errors)
    assert "training set" in str(hands.errors[0]) and not (tmp_path / "out").exists()
    reviewed_case(hands, thigh)
    into_the_set(hands)
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    hands.workspace.export_masks(full, ExportWish("nnunet"))
    hands.until(lambda: len(hands.errors) == 2)
    assert "not an empty folder" in str(hands.errors[1])
    assert [path.name for path in full.iterdir()] == ["thesis.txt"]
