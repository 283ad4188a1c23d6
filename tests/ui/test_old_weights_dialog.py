"""Old weights in the window: asked for, imported behind it, listed with what is to be known of them."""

from pathlib import Path

import numpy as np
import pytest
from keras2_file import TRAINING, description, seed_layers, write_keras2
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit
from pytestqt.qtbot import QtBot
from window_room import open_window

from thighview.app.tasks import OldWeightsError, Workspace
from thighview.core.errors import UserError
from thighview.engine.old_file import read_old_file
from thighview.io.models import find_model
from thighview.ui.export_model_dialog import ExportModelDialog
from thighview.ui.old_weights_dialog import OldWeightsDialog
from thighview.ui.segment_panel import SegmentPanel


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    layers = seed_layers()
    return write_keras2(tmp_path / "unet_membrane.hdf5", layers, description(layers), TRAINING)


def test_the_dialog_proposes_a_free_name_and_says_what_is_wrong(qtbot: QtBot) -> None:
    dialog = OldWeightsDialog(None, Path("/a/unet: best!.hdf5"), ["Unet best"])
    qtbot.addWidget(dialog)
    assert dialog.answer.name == "unet best 2" and dialog.agree.isEnabled()
    assert (dialog.answer.label, dialog.answer.input_size) == ("outer_surface", 0)
    for part, text, said in (
        (dialog.name, "unet best", "already"), (dialog.name, "a/b", "letters"), (dialog.name, " ", ""),
        (dialog.label, "background", "no label"), (dialog.label, "", ""),
    ):  # fmt: skip
        before = part.text()
        part.setText(text)
        assert said in dialog.problem.text() and not dialog.agree.isEnabled()
        part.setText(before)
        assert dialog.agree.isEnabled() and dialog.problem.isHidden()
    dialog.edge.setValue(100)
    assert "multiple of 16" in dialog.problem.text()
    dialog.edge.setValue(256)
    assert dialog.agree.isEnabled() and dialog.answer.input_size == 256


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("thigh old (2016).h5", "thigh old (2016)"),
        ("-(a) .h5", "a)"),
        ("weights (.h5", "weights"),
        ("().h5", "old weights"),
    ],
)
def test_a_year_in_brackets_stays_in_the_name(file: str, name: str, qtbot: QtBot) -> None:
    dialog = OldWeightsDialog(None, Path("/a") / file, [])
    qtbot.addWidget(dialog)
    assert dialog.answer.name == name and dialog.agree.isEnabled()


def answer_export(out: Path) -> list[str]:
    """Leaves the format as it is and writes to ``out``; what was proposed is in the list afterwards."""
    proposed: list[str] = []

    def answer() -> None:
        box = QApplication.activeModalWidget()
        if isinstance(box, ExportModelDialog):
            QTimer.singleShot(200, answer)
            box.agree.click()
        elif isinstance(box, QFileDialog):
            name = box.findChild(QLineEdit, "fileNameEdit")
            assert name is not None
            proposed.append(name.text())
            name.setText(str(out))
            box.accept()

    QTimer.singleShot(200, answer)
    return proposed


def test_the_menu_takes_a_file_to_the_list_of_models_and_back(qtbot: QtBot, weights: Path) -> None:
    with open_window(qtbot) as window:
        panel = window.panel("Segment")
        assert isinstance(panel, SegmentPanel)

        def answer() -> None:
            box = QApplication.activeModalWidget()
            if isinstance(box, QFileDialog):
                QTimer.singleShot(200, answer)
                box.findChild(QLineEdit, "fileNameEdit").setText(str(weights))  # type: ignore[union-attr]
                box.accept()
            elif isinstance(box, OldWeightsDialog):
                box.label.setText("Outer surface")
                box.agree.click()

        for error in (OldWeightsError("b.h5 is empty."), UserError("Another thing went wrong.")):
            window.workspace.failed.emit(error)
        QTimer.singleShot(200, answer)
        window.actions_table["old_weights"].trigger()
        assert [n.message for n in window.notices.shown] == ["Another thing went wrong."], (
            "of an import before this one"
        )
        qtbot.waitUntil(lambda: any(m.card.name == "unet_membrane" for m in window.workspace.models), timeout=120_000)
        assert panel.model is not None and panel.model.card.name == "unet_membrane"
        assert "counted only saturated pixels" in panel.doubts.lines.text() and not panel.doubts.isHidden()
        assert "unet_membrane.hdf5" in panel.statement.text()
        assert find_model("unet_membrane").place == "user"
        form = window.panel("Train").set_up.form  # type: ignore[attr-defined]
        start = form.inputs["start_from"]
        start.setCurrentIndex(start.findData(str(panel.model.folder)))  # type: ignore[attr-defined]
        assert "counted only saturated pixels" in form.start_doubts.lines.text()
        start.setCurrentIndex(0)  # type: ignore[attr-defined]
        assert form.start_doubts.isHidden()

        out = weights.parent / "again.h5"
        asked, told = answer_export(out), list[str]()
        window.workspace.said.connect(told.append)
        window.actions_table["export_model"].trigger()
        assert asked == ["unet_membrane.h5"], "the name proposed"
        qtbot.waitUntil(lambda: any("again.h5.json" in sentence for sentence in told), timeout=120_000)
        theirs, ours = read_old_file(weights), read_old_file(out)
        assert len(ours.layers) == len(theirs.layers)
        for a, b in zip(ours.layers, theirs.layers, strict=True):
            assert all(np.array_equal(x, y) for x, y in zip(a.arrays, b.arrays, strict=True))


def test_what_is_refused_is_a_notice_and_no_model(qtbot: QtBot, tmp_path: Path, thighview_home: Path) -> None:
    file = write_keras2(tmp_path / "a.h5", seed_layers()[:-1])
    with open_window(qtbot) as window:
        workspace: Workspace = window.workspace
        job = workspace.import_old_weights(file, "a", "outer_surface")
        qtbot.waitUntil(lambda: job.is_over, timeout=120_000)
        qtbot.waitUntil(lambda: bool(window.notices.shown))
        assert "first missing one (head)" in window.notices.shown[-1].message
        assert isinstance(window.notices.shown[-1].cause, OldWeightsError)
        assert not list((thighview_home / "models").glob("*"))
