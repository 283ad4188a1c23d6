import csv
import io
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from panel_room import batches, epoch, started, whole_run
from PySide6.QtCore import QPointF
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from thighview.core.run import BatchEnded, EpochEnded, Scores
from thighview.ui.curve_data import CurveData
from thighview.ui.curve_saving import picture_name
from thighview.ui.curves import Curves
from thighview.ui.picture import png_bytes


@pytest.fixture
def curves(qtbot: QtBot) -> Curves:
    made = Curves()
    qtbot.addWidget(made)
    made.resize(360, 420)
    made.show()
    return made


def drawn(curves: Curves, name: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = curves._items[name].getOriginalDataset()
    return (np.array([]), np.array([])) if x is None else (x, y)


def test_unprobed_epochs_are_left_out_of_the_training_line_not_drawn_as_gaps() -> None:
    data = CurveData(whole_run(9))
    x, y = data.line("dice", "train")
    assert x.tolist() == [1, 4, 7]
    assert np.isfinite(y).all()
    assert data.line("dice", "val")[0].tolist() == list(range(1, 10))


def test_a_batch_lies_at_its_share_of_the_epoch() -> None:
    data = CurveData([started(), BatchEnded(0.0, "r", 3, 5, 10, 0.4)])
    x, y = data.line("loss", "batch")
    assert (x.tolist(), y.tolist()) == ([2.5], [0.4])
    assert data.line("dice", "batch")[0].size == 0


def test_a_resumed_run_says_an_epoch_again_and_replaces_it() -> None:
    events = whole_run(6)
    data = CurveData([*events, started(first_epoch=5), *batches(5), epoch(5)])
    assert [e.epoch for e in data.epochs] == [1, 2, 3, 4, 5]
    x, _ = data.line("loss", "batch")
    assert (np.diff(x) > 0).all()


def test_csv_has_every_metric_of_every_line_and_nothing_where_nothing_was_measured() -> None:
    data = CurveData([started(), epoch(1), epoch(2)])
    rows = list(csv.DictReader(io.StringIO(data.to_csv())))
    assert float(rows[0]["val_dice"]) == data.epochs[0].val.dice
    assert float(rows[1]["while_learning_loss"]) == data.epochs[1].while_learning.loss
    assert rows[1]["train_loss"] == ""
    assert rows[0]["epoch"] == "1"


def test_live_events_reach_the_lines(curves: Curves, qtbot: QtBot) -> None:
    for event in whole_run(5):
        curves.add(event)
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 5)
    assert drawn(curves, "val")[1].tolist() == pytest.approx([e.val.dice for e in curves.data.epochs])
    assert len(drawn(curves, "while_learning")[0]) == 5
    assert len(drawn(curves, "batch")[0]) == 0
    assert drawn(curves, "best")[0].tolist() == [3]


def test_the_buttons_choose_metric_and_batches(curves: Curves, qtbot: QtBot) -> None:
    curves.show_run(CurveData(whole_run(5)))
    assert not curves.log_button.isVisible()
    curves.metric_buttons["loss"].click()
    curves.tools.axis_buttons["batches"].click()
    qtbot.waitUntil(lambda: len(drawn(curves, "batch")[0]) == 50)
    assert len(drawn(curves, "while_learning")[0]) == 0
    assert drawn(curves, "val")[1].tolist() == pytest.approx([e.val.loss for e in curves.data.epochs])
    assert curves.log_button.isVisible()
    curves.log_button.click()
    qtbot.waitUntil(lambda: curves._items["val"].opts["logMode"][1])


def test_the_legend_hides_a_line(curves: Curves, qtbot: QtBot) -> None:
    curves.show_run(CurveData(whole_run(5)))
    qtbot.waitUntil(lambda: len(drawn(curves, "train")[0]) == 2)
    curves.legend["train"].click()
    qtbot.waitUntil(lambda: len(drawn(curves, "train")[0]) == 0)
    assert len(drawn(curves, "val")[0]) == 5
    curves.legend["train"].click()
    qtbot.waitUntil(lambda: len(drawn(curves, "train")[0]) == 2)


def test_an_earlier_run_lies_beneath_and_goes_away(curves: Curves, qtbot: QtBot) -> None:
    curves.show_run(CurveData(whole_run(3)))
    curves.show_other("run 1", CurveData(whole_run(12)))
    qtbot.waitUntil(lambda: len(drawn(curves, "other_val")[0]) == 12)
    assert curves.other_button.isVisible()
    curves.show_other("", None)
    qtbot.waitUntil(lambda: len(drawn(curves, "other_val")[0]) == 0)
    assert not curves.other_button.isVisible()


def test_zoom_stays_while_points_come_and_is_reset_by_the_button(curves: Curves, qtbot: QtBot) -> None:
    curves.show_run(CurveData(whole_run(5)))
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 5)
    box = curves._view.getPlotItem().getViewBox()
    box.setRange(xRange=(1, 2), yRange=(0.4, 0.5), padding=0)
    box.sigRangeChangedManually.emit(box.state["mouseEnabled"])
    assert curves.zoom_button.isVisible()
    curves.add(epoch(6))
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 6)
    assert box.viewRange()[0] == pytest.approx([1, 2])
    curves.zoom_button.click()
    qtbot.waitUntil(lambda: box.viewRange()[0][1] > 39)
    assert not curves.zoom_button.isVisible()


def test_pointing_says_the_values(curves: Curves, qtbot: QtBot) -> None:
    curves.show_run(CurveData(whole_run(7)))
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 7)
    box = curves._view.getPlotItem().getViewBox()
    curves._hovered(box.mapViewToScene(QPointF(4.1, float(np.mean(box.viewRange()[1])))))
    said = curves.readout.text()
    assert said.startswith("epoch 4 · train ")
    assert f"validation {curves.data.epochs[3].val.dice:.4g}" in said
    assert "while learning" in said


def test_the_picture_is_a_png_with_the_curves_in_it(curves: Curves, qtbot: QtBot, tmp_path: Path) -> None:
    curves.show_run(CurveData(whole_run(20)))
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 20)
    path = tmp_path / "curves.png"
    path.write_bytes(png_bytes(curves.picture()))
    image = QImage(str(path))
    assert image.width() >= 600
    amber = sum(
        1 for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)
        if image.pixelColor(x, y).red() > 200 and image.pixelColor(x, y).blue() < 120
    )  # fmt: skip
    assert amber > 50
    assert picture_name("run 3") == "run 3-curves"


def test_ten_thousand_points_are_taken_and_drawn_quickly(curves: Curves, qtbot: QtBot) -> None:
    for k in range(1, 101):
        for step in range(1, 101):
            curves.add(BatchEnded(0.0, "r", k, step, 100, 1.0 / (k + step / 100), 0.9, 0.8))
        curves.add(EpochEnded(0.0, "r", k, 100, 1.0, 1e-3, Scores(0.1, 0.9, 0.8), Scores(0.2, 0.9, 0.8), Scores()))
    curves.choose(metric="loss", axis="batches")
    qtbot.waitUntil(lambda: len(drawn(curves, "batch")[0]) == 10_000)
    began = time.perf_counter()
    curves._draw()
    curves._view.grab()
    assert time.perf_counter() - began < 0.5  # about 0.03 s; a machine under load is slower


def test_many_events_give_few_drawings(curves: Curves, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    drawings: list[float] = []
    real = curves._draw
    curves._timer.timeout.disconnect()
    curves._timer.timeout.connect(lambda: (drawings.append(time.monotonic()), real()))
    curves.choose(axis="batches")
    until = time.monotonic() + 0.55
    k = 0
    while time.monotonic() < until:
        k += 1
        curves.add(BatchEnded(0.0, "r", 1, k, 100_000, 0.5))
        qtbot.wait(1)
    assert 1 <= len(drawings) <= 7


def axis_range(curves: Curves, axis: int) -> list[float]:
    return curves._view.getPlotItem().getViewBox().viewRange()[axis]


def test_a_new_run_begins_on_axes_of_its_own(curves: Curves, qtbot: QtBot) -> None:
    curves.choose(metric="loss")
    curves.show_run(CurveData(whole_run(27)))
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 27)
    curves._user_zoomed()
    curves._view.getPlotItem().getViewBox().setRange(xRange=(20, 27), yRange=(5, 9), padding=0)
    curves.show_run(CurveData())
    qtbot.waitUntil(lambda: axis_range(curves, 0)[1] < 2)
    assert axis_range(curves, 1)[0] == pytest.approx(0, abs=0.1)
    assert axis_range(curves, 1)[1] == pytest.approx(1, abs=0.1)
    assert not curves.zoom_button.isVisible()
    curves.add(started(epochs=8))
    qtbot.waitUntil(lambda: axis_range(curves, 0)[1] == pytest.approx(8, abs=0.5))


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 40, 900])
def test_epochs_are_counted_in_whole_numbers(curves: Curves, qtbot: QtBot, epochs: int) -> None:
    curves.show_run(CurveData([started(epochs=epochs)]))
    axis = curves._view.getPlotItem().getAxis("bottom")
    ((low, first), *_) = spacings = axis.tickSpacing(0, epochs, 300)
    assert first == 0
    assert all(spacing >= 1 and spacing == round(spacing) for spacing, _ in spacings)
    assert low <= epochs


def test_the_dice_of_one_label_is_drawn_alone(curves: Curves, qtbot: QtBot) -> None:
    labels = ("muscle", "femur_marrow")
    said = [replace(epoch(k), val_dice=(0.5 + k / 100, None if k == 2 else k / 10)) for k in (1, 2, 3)]
    curves.show_run(CurveData([started(labels=labels), *said]))
    assert [curves.label_choice.itemText(i) for i in range(3)] == ["all labels", "Muscle", "Femur marrow"]
    curves.label_choice.setCurrentIndex(2)
    curves.label_choice.activated.emit(2)
    qtbot.waitUntil(lambda: drawn(curves, "val")[0].tolist() == [1, 3])
    assert drawn(curves, "val")[1].tolist() == pytest.approx([0.1, 0.3])
    assert len(drawn(curves, "train")[0]) == len(drawn(curves, "while_learning")[0]) == 0
    assert not curves.legend["train"].isVisible()
    assert curves.legend["val"].text() == "validation, Femur marrow"
    curves.choose(metric="loss")
    assert not curves.label_choice.isVisible()
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 3)
    assert curves.legend["train"].isVisible()
    curves.choose(metric="dice")
    curves.show_run(CurveData([started(labels=("other", "labels")), epoch(1)]))
    assert curves.label_choice.currentText() == "all labels"
    rows = list(csv.DictReader(io.StringIO(CurveData([started(labels=labels), *said]).to_csv())))
    assert rows[2]["val_dice_femur_marrow"] == "0.3"
    assert rows[1]["val_dice_femur_marrow"] == ""
