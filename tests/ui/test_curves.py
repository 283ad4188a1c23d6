import csv
import io
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gap_room import people, run_of_people, told
from panel_room import batches, epoch, started, whole_run
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from thighview.core.people import mean_of, values_of
from thighview.core.run import MOST_BATCHES, BatchEnded, EpochEnded, PersonScores, Scores
from thighview.core.student import mean_interval
from thighview.ui.curve_choice import Choice
from thighview.ui.curve_data import MOST_BANDS, CurveData
from thighview.ui.curve_lines import limits_of, y_range
from thighview.ui.curve_others import OtherRun
from thighview.ui.curve_saving import picture_name
from thighview.ui.curve_table import people_csv
from thighview.ui.curve_tools import band_tip
from thighview.ui.curves import Curves
from thighview.ui.picture import png_bytes


@pytest.fixture
def curves(qtbot: QtBot) -> Curves:
    made = Curves()
    qtbot.addWidget(made)
    made.resize(360, 420)
    made.show()
    qtbot.waitUntil(lambda: bool(made._items))  # the plot is made with the first drawing
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


def test_an_epoch_done_again_leaves_the_best_one_before_it() -> None:
    data = CurveData(
        [started(), replace(epoch(1), best=True), replace(epoch(2), best=True), replace(epoch(3), best=False)]
    )
    assert data.best_epoch == 2
    data.add(started(first_epoch=2))
    assert data.best_epoch == 1
    data.add(replace(epoch(2), best=True))
    assert data.best_epoch == 2


def test_a_long_run_keeps_some_batches_of_each_epoch_and_finds_the_nearest() -> None:
    data = CurveData([started()])
    for number in (1, 2, 3):
        for step in range(1, 1001):
            data.add(BatchEnded(0.0, "r", number, step, 1000, float(number)))
        data.line("loss", "batch")
        data.add(epoch(number))
    data.add(BatchEnded(0.0, "r", 4, 10, 1000, 4.0))
    x, y = data.line("loss", "batch")
    assert len(x) == len(data.batches) <= 3 * (MOST_BATCHES + 1) + 1
    assert (np.diff(x) > 0).all() and x[-2] == 3.0 and (np.ceil(x) == y).all()
    title, values = data.at(1.404, "loss", True)
    assert title.startswith("epoch 2, batch 40") and values["batch"] == 2.0
    assert data.at(99.0, "loss", True)[0] == "epoch 4, batch 10 of 1000"
    assert data.at(-1.0, "loss", False)[0] == "epoch 1"


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


def other_drawn(curves: Curves, place: int, which: str = "val") -> np.ndarray:
    x, _ = curves.others.lines[place][which].getOriginalDataset()
    return np.array([]) if x is None else x


def test_earlier_runs_lie_beneath_each_in_its_colour_and_go_away(curves: Curves, qtbot: QtBot) -> None:
    curves.show_run(CurveData(whole_run(3)))
    curves.show_others((OtherRun("run 1", CurveData(whole_run(12))), OtherRun("run 2", CurveData(whole_run(7)))))
    qtbot.waitUntil(lambda: bool(curves.others.lines) and len(other_drawn(curves, 0)) == 12)
    assert len(other_drawn(curves, 1)) == 7
    assert len(other_drawn(curves, 1, "train")) == 3
    pens = [pair["val"].opts["pen"] for pair in curves.others.lines]
    assert pens[0].color() != pens[1].color()
    assert all(pen.style() != Qt.PenStyle.SolidLine for pen in pens)
    curves.others.buttons[0].click()
    qtbot.waitUntil(lambda: len(other_drawn(curves, 0)) == 0)
    assert len(other_drawn(curves, 1)) == 7
    curves.choose(metric="loss")
    qtbot.waitUntil(
        lambda: (
            curves.others.lines[1]["val"].getOriginalDataset()[1].tolist()
            == [e.val.loss for e in curves.others.runs[1].data.epochs]
        )
    )
    assert curves.others.buttons[1].isEnabled()
    curves.legend["train"].click()
    curves.legend["val"].click()
    qtbot.waitUntil(lambda: not curves.others.buttons[1].isEnabled())
    curves.legend["val"].click()
    qtbot.waitUntil(lambda: curves.others.buttons[1].isEnabled())
    curves.show_others(())
    qtbot.waitUntil(lambda: len(other_drawn(curves, 1)) == 0)
    assert not curves.others.isVisible()


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
    assert f"validation {curves.data.epochs[3].val.dice:.4f}" in said
    assert "while learning" in said


def test_the_picture_is_a_png_with_the_curves_in_it(curves: Curves, qtbot: QtBot, tmp_path: Path) -> None:
    curves.show_run(CurveData(whole_run(20)))
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 20)
    path = tmp_path / "curves.png"
    path.write_bytes(png_bytes(curves.picture("run 3")))
    image = QImage(str(path))
    assert image.width() >= 600
    amber = sum(
        1 for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)
        if image.pixelColor(x, y).red() > 200 and image.pixelColor(x, y).blue() < 120
    )  # fmt: skip
    assert amber > 50
    assert picture_name("run 3") == "run 3-curves"


def test_the_picture_says_run_metric_label_and_smoothing(curves: Curves, qtbot: QtBot) -> None:
    curves.show_run(CurveData(run_of_people(10)))
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 10)
    assert curves.heading("run 3") == "run 3 · Dice · all labels"
    curves.choose(metric="loss", label="femur_cortex", smoothing="light")
    assert curves.heading("run 3") == "run 3 · Loss · Femur cortex · light smoothing"
    one, other = curves.picture("run 3"), curves.picture("night")
    assert one.size() == other.size() and one != other
    epochs = curves.picture("run 3")
    curves.choose(axis="minutes")
    assert curves.picture("run 3") != epochs


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
    assert not curves.legend["while_learning"].isVisible()
    curves.choose(label="")
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 3)
    assert curves.legend["while_learning"].isVisible()
    curves.show_run(CurveData([started(labels=("other", "labels")), epoch(1)]))
    assert curves.label_choice.currentText() == "all labels"
    rows = list(csv.DictReader(io.StringIO(CurveData([started(labels=labels), *said]).to_csv())))
    assert rows[2]["val_dice_femur_marrow"] == "0.3"
    assert rows[1]["val_dice_femur_marrow"] == ""


# ---------------------------------------------------------------------- people: bands and labels


def test_a_band_is_the_interval_over_the_people_of_each_epoch() -> None:
    data = CurveData(run_of_people(12))
    x, low, high, complete = data.band("dice", "val")
    assert complete
    assert x.tolist() == list(range(1, 13))
    expected = [mean_interval(values_of(e.val_people, "dice")) for e in data.epochs]
    assert list(zip(low, high, strict=True)) == expected
    line = data.line("dice", "val")[1]
    assert ((low < line) & (line < high)).all()
    assert data.band("dice", "train")[0].tolist() == [1, 5, 10]
    of_label = data.band("loss", "val", "muscle")
    assert of_label[1][0] == mean_interval(values_of(data.epochs[0].val_people, "loss", 1))[0]
    assert data.band("dice", "while_learning")[0].size == 0
    assert data.band("dice", "val", "no such label")[0].size == 0


def test_a_band_is_worked_out_bit_by_bit_and_each_epoch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr("thighview.ui.curve_data.mean_interval", lambda v: calls.append(len(v)) or mean_interval(v))
    data = CurveData(run_of_people(12))
    assert not data.band("dice", "val", most=5)[3]
    assert not data.band("dice", "val", most=5)[3]
    assert data.band("dice", "val", most=5)[3]
    assert len(calls) == 12
    data.add(told(13))
    assert len(data.band("dice", "val", most=5)[0]) == 13
    assert len(calls) == 13
    data.add(told(13, low_by=0.3))
    assert len(data.band("dice", "val")[0]) == 13
    assert len(calls) == 26, "an epoch said again is worked out again"
    assert calls[0] == 6


def test_the_band_of_a_very_long_run_has_no_more_places_than_the_plot_has_pixels() -> None:
    data = CurveData([started(5000)])
    for k in range(1, 2001):
        data.add(replace(epoch(k, 5000), val_people=told(1).val_people))
    x, *_ = data.band("dice", "val", most=0)
    assert x.size == 0
    x, _, _, complete = data.band("dice", "val")
    assert complete
    assert MOST_BANDS / 2 <= len(x) <= MOST_BANDS + 1
    assert x[-1] == 2000


def test_bands_are_drawn_behind_the_lines_and_the_legend_says_what_they_are(curves: Curves, qtbot: QtBot) -> None:
    curves.show_run(CurveData(run_of_people(40)))
    qtbot.waitUntil(lambda: curves._bands["val"].ends.shape == (3, 40))
    assert curves._bands["train"].ends.shape == (3, 9)
    assert curves._bands["val"].zValue() < curves._items["val"].zValue()
    assert "95 % interval of the mean over 6 people" in curves.legend["val"].toolTip()
    assert "over 14 people" in curves.legend["train"].toolTip()
    assert "at the end of each epoch" in curves.legend["val"].toolTip()
    assert "at the end of 9 of 40 epochs" in curves.legend["train"].toolTip()
    curves.legend["val"].click()
    qtbot.waitUntil(lambda: curves._bands["val"].ends.size == 0)
    curves.show_run(CurveData(run_of_people(5, val=1)))
    qtbot.waitUntil(lambda: "at least 2 people, here is 1" in curves.legend["val"].toolTip())
    assert curves._bands["val"].ends.size == 0
    curves.show_run(CurveData(whole_run(5)))
    qtbot.waitUntil(lambda: "single people are not known" in curves.legend["val"].toolTip())
    assert curves._bands["train"].ends.size == 0


@pytest.mark.parametrize("metric", ["loss", "accuracy", "dice"])
def test_every_metric_of_a_label_is_drawn_for_both_lines(curves: Curves, qtbot: QtBot, metric: str) -> None:
    curves.show_run(CurveData(run_of_people(10)))
    curves.choose(metric=metric, label="femur_cortex")
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 10)
    assert drawn(curves, "val")[1][4] == mean_of(people(5, 6, 0.02, 2), metric, 3)
    assert drawn(curves, "train")[0].tolist() == [1, 5, 10]
    assert drawn(curves, "train")[1][1] == mean_of(people(5, 14, 0.0, 1), metric, 3)
    assert curves.label_choice.isVisible()


def test_smoothing_leaves_the_raw_line_pale_and_moves_nothing(curves: Curves, qtbot: QtBot) -> None:
    curves.show_run(CurveData(whole_run(27)))
    curves.choose(smoothing="strong")
    qtbot.waitUntil(lambda: len(drawn(curves, "raw_val")[0]) == 27)
    raw = [e.val.dice for e in curves.data.epochs]
    assert drawn(curves, "raw_val")[1].tolist() == raw
    x, smoothed = drawn(curves, "val")
    assert x.tolist() == list(range(1, 28))
    assert np.abs(np.diff(smoothed, 2)).sum() < 0.5 * np.abs(np.diff(raw, 2)).sum()
    assert curves._items["raw_val"].opts["pen"].color().alpha() < curves._items["val"].opts["pen"].color().alpha()
    curves.tools.smoothing.setCurrentIndex(0)
    curves.tools.smoothing.activated.emit(0)
    qtbot.waitUntil(lambda: len(drawn(curves, "raw_val")[0]) == 0)
    assert drawn(curves, "val")[1].tolist() == raw


def test_minutes_are_counted_from_the_first_event_of_the_run(curves: Curves, qtbot: QtBot) -> None:
    events = [replace(e, time=e.time + 6000.0) for e in run_of_people(10) if not isinstance(e, BatchEnded)]
    curves.show_run(CurveData(events))
    curves.tools.axis_buttons["minutes"].click()
    qtbot.waitUntil(lambda: drawn(curves, "val")[0].tolist() == pytest.approx([1.25 * k for k in range(1, 11)]))
    assert curves._bands["val"].ends[0].tolist() == pytest.approx([1.25 * k for k in range(1, 11)])
    assert axis_range(curves, 0)[1] == pytest.approx(40 * 1.25, rel=0.1), "as long as the whole plan will take"
    axis = curves._view.getPlotItem().getAxis("bottom")
    assert axis.tickStrings([10.0], 1.0, 10.0) == ["10 min"]
    box = curves._view.getPlotItem().getViewBox()
    curves._hovered(box.mapViewToScene(QPointF(5.1, float(np.mean(box.viewRange()[1])))))
    assert curves.readout.text().startswith("epoch 4, 5.0 min · validation ")
    ends = curves.data.band("dice", "val")
    assert f"({ends[1][3]:.4f} to {ends[2][3]:.4f})" in curves.readout.text()
    curves.tools.axis_buttons["epochs"].click()
    qtbot.waitUntil(lambda: drawn(curves, "val")[0].tolist() == list(range(1, 11)))
    assert axis.tickStrings([10.0], 1.0, 10.0) == ["10"]
    assert curves._view.getPlotItem().getAxis("left").tickStrings([-0.5], 1.0, 0.5) == ["−0.5"]


def test_the_band_lies_on_a_logarithmic_axis_too(curves: Curves, qtbot: QtBot) -> None:
    curves.show_run(CurveData(run_of_people(10)))
    curves.choose(metric="loss", log=True)
    _, low, high, _ = curves.data.band("loss", "val")
    qtbot.waitUntil(lambda: curves._bands["val"].ends.size > 0)
    qtbot.waitUntil(lambda: curves._bands["val"].ends[1].tolist() == pytest.approx(np.log10(low).tolist()))
    assert curves._bands["val"].ends[2].tolist() == pytest.approx(np.log10(high).tolist())


def test_tables_have_the_bands_and_every_person() -> None:
    data = CurveData(run_of_people(5, train=3, val=2))
    rows = list(csv.DictReader(io.StringIO(data.to_csv())))
    low, high = mean_interval(values_of(data.epochs[4].val_people, "loss")) or (0, 0)
    assert (float(rows[4]["val_loss_low"]), float(rows[4]["val_loss_high"])) == (low, high)
    assert rows[1]["train_dice_low"] == rows[1]["train_dice"] == ""
    assert float(rows[4]["train_accuracy_muscle"]) == mean_of(data.epochs[4].train_people, "accuracy", 1)
    assert (rows[4]["minutes"], rows[4]["val_people"], rows[1]["train_people"]) == ("6.250", "2", "0")
    long = list(csv.DictReader(io.StringIO(people_csv(data.epochs, data.labels))))
    assert len(long) == (5 * 2 + 2 * 3) * 6
    first = next(r for r in long if (r["epoch"], r["line"], r["label"]) == ("5", "train", "muscle"))
    person = data.epochs[4].train_people[0]
    assert first["subject"] == person.subject
    assert (float(first["dice"]), float(first["loss"])) == (person.dice[1], person.label_loss[1])
    assert people_csv(CurveData(whole_run(3)).epochs, ()) == ""


def test_a_wide_band_leaves_the_lines_a_third_of_the_height() -> None:
    lines, narrow, wide = np.array([0.6, 0.9]), np.array([0.55, 0.95]), np.array([-1.0, 3.0])
    assert y_range(lines, narrow, log=False) == pytest.approx((0.55, 0.95))
    assert y_range(lines, wide, log=False) == pytest.approx((0.3, 1.2))
    assert y_range(lines, wide, log=False, others=np.array([0.1])) == pytest.approx((0.1, 1.2)), (
        "runs compared are seen"
    )
    assert y_range(np.array([]), wide, log=False, others=np.array([0.1, 0.9]))[0] == pytest.approx(-0.7)


def test_a_line_at_the_end_of_what_can_be_is_shown_with_room_on_the_other_side() -> None:
    nothing = np.array([])
    assert y_range(np.array([1.0, 1.0]), nothing, log=False, limits=limits_of("dice")) == pytest.approx((0.99, 1.0))
    assert y_range(np.array([0.0]), nothing, log=False, limits=limits_of("loss")) == pytest.approx((0.0, 0.01))
    below = np.array([-0.2, -0.2])
    assert y_range(below, nothing, log=False, limits=limits_of("loss", below)) == pytest.approx((-0.205, -0.195))


def test_the_interval_of_a_loss_below_zero_is_its_own() -> None:
    """The loss ``combo`` has a Dice taken off."""
    people = tuple(
        PersonScores(f"v{i}", loss, 0.9, (0.8,), (0.1,), (0.9,)) for i, loss in enumerate((-1.0, -1.1, -0.9))
    )
    data = CurveData([started(2), replace(epoch(1, 2), val=Scores(-1.0, 0.9, 0.8), val_people=people)])
    _, low, high, _ = Choice("loss").band(data, "val", 9)
    assert (low[0], high[0]) == pytest.approx(mean_interval([-1.0, -1.1, -0.9]))


def test_the_legend_counts_those_whom_its_line_is_of() -> None:
    """With a label chosen those who have it; made-up thighs are no people."""
    people = tuple(PersonScores(f"v{i}", 0.1, 0.9, (0.8, 0.5 if i < 2 else None)) for i in range(5))
    data = CurveData([replace(started(1), labels=("fat", "bone")), replace(epoch(1, 1), val_people=people)])
    assert (data.people("val", "dice"), data.people("val", "dice", "bone")) == (5, 2)
    assert data.people("val", "loss", "bone") == 0 and data.people("train", "dice") is None
    assert band_tip(0, 1, 1).endswith("at least 2 people, here is none.")
    assert band_tip(3, 1, 1, made_up=True).endswith("of the mean over 3 made-up thighs.")
    assert CurveData([started(phantoms=True)]).val_is_phantoms


def two_people(k: int, val: tuple[float, float], loss: tuple[float, float] = (0.1, 0.3)) -> EpochEnded:
    """An epoch of which two validation people tell their Dice and loss; they differ so that their band is wide."""
    who = tuple(PersonScores(f"sub-{i}", loss[i], 0.9, (val[i],), (loss[i],), (0.9,)) for i in range(2))
    mean = Scores(*(mean_of(who, metric) for metric in ("loss", "accuracy", "dice")))
    return replace(epoch(k), train=Scores(0.2, 0.9, 0.8), val=mean, val_people=who, val_dice=())


def test_bands_and_axis_end_where_the_metric_ends_and_the_table_does_not(curves: Curves, qtbot: QtBot) -> None:
    data = CurveData([started(), *(two_people(k, (0.82 + k / 100, 0.98)) for k in (1, 2, 3))])
    _, _, high, _ = data.band("dice", "val")
    assert (high > 1).all()
    curves.show_run(data)
    qtbot.waitUntil(lambda: curves._bands["val"].ends.shape == (3, 3))
    assert curves._bands["val"].ends[2].tolist() == [1, 1, 1]
    bottom, top = axis_range(curves, 1)
    assert top - 1 <= 0.04 * (top - bottom), "no more than the margin"
    assert float(next(csv.DictReader(io.StringIO(data.to_csv())))["val_dice_high"]) == high[0]
    box = curves._view.getPlotItem().getViewBox()
    curves._hovered(box.mapViewToScene(QPointF(1.0, float(np.mean(box.viewRange()[1])))))
    assert "validation 0.9050 (0.0000 to 1.0000)" in curves.readout.text()
    curves.choose(metric="loss")
    qtbot.waitUntil(lambda: curves._bands["val"].ends[1].tolist() == [0, 0, 0])
    assert data.band("loss", "val")[1].max() < 0


def test_the_band_of_one_epoch_stretches_no_axis(curves: Curves, qtbot: QtBot) -> None:
    curves.show_run(CurveData([started(), replace(two_people(1, (0.82, 0.88)), while_learning=Scores())]))
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 1)
    assert axis_range(curves, 1) == pytest.approx([0.8, 0.85], abs=0.005)


def test_the_line_while_learning_and_bands_leave_the_own_lines_a_third(curves: Curves, qtbot: QtBot) -> None:
    far = [replace(two_people(k, (0.7, 0.8)), while_learning=Scores(3.0, 0.2, 0.05)) for k in (1, 2)]
    curves.show_run(CurveData([started(), *far]))
    qtbot.waitUntil(lambda: len(drawn(curves, "val")[0]) == 2)
    bottom, top = axis_range(curves, 1)
    assert 0.05 / (top - bottom) > 0.3
    curves.legend["train"].click()
    curves.legend["val"].click()
    qtbot.waitUntil(lambda: axis_range(curves, 1)[0] < 0.05)


def test_a_band_that_reaches_zero_goes_to_the_bottom_of_a_logarithmic_axis(curves: Curves, qtbot: QtBot) -> None:
    data = CurveData([started(), *(two_people(k, (0.8, 0.9), (0.1, 0.3)) for k in (1, 2, 3))])
    assert data.band("loss", "val")[1].max() < 0
    curves.show_run(data)
    curves.choose(metric="loss", log=True)
    qtbot.waitUntil(lambda: curves._items["val"].opts["logMode"][1] and curves._bands["val"].ends.shape == (3, 3))
    _, low, high = curves._bands["val"].ends
    assert high.tolist() == pytest.approx(np.log10(data.band("loss", "val")[2]).tolist())
    assert low.max() < axis_range(curves, 1)[0]


def test_the_mouse_may_leave_a_plot_that_is_half_made(qtbot: QtBot) -> None:
    made = Curves()
    qtbot.addWidget(made)
    made.show()
    qtbot.waitUntil(lambda: made._view is not None)
    made.hide()
    with qtbot.captureExceptions() as caught:
        QApplication.sendEvent(made._view.viewport(), QEvent(QEvent.Type.Leave))
    assert not caught
    made.show()
    qtbot.waitUntil(lambda: bool(made._items))
