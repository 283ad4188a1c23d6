import csv
import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from gap_room import gap, measured, run_of_people, told
from panel_room import Room, finished, started, whole_run
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPalette
from pytestqt.qtbot import QtBot

from thighview.core.gap import decompose
from thighview.core.gap_words import sentence
from thighview.core.run import EpochEnded, RunEvent, Scores, TrainConfig
from thighview.ui import dialogs
from thighview.ui.sample_size_fold import RULE
from thighview.ui.theme import colour
from thighview.ui.train_panel import TrainPanel
from thighview.ui.waterfall import ROW_PX, Waterfall, axis_of, bars_of, whisker_of


def said(panel: TrainPanel) -> str:
    return panel.run.why_card.sentence.text().replace("\u00a0", " ")


def follow(panel: TrainPanel, room: Room, events: list[RunEvent], qtbot: QtBot) -> None:
    room.runs.follow("run 3", events)
    qtbot.waitUntil(lambda: panel.run.why_card.isVisible() and not panel.run._soon.isActive())


def test_the_sentence_is_there_and_follows_the_metric_of_the_curves(
    panel: TrainPanel, room: Room, qtbot: QtBot
) -> None:
    follow(panel, room, run_of_people(20), qtbot)
    card = panel.run.why_card
    assert said(panel) == sentence(gap("dice", 20))
    assert card.title.text() == "Why is validation higher?"
    panel.run.curves.choose(metric="loss")
    assert said(panel) == sentence(gap("loss", 20))
    assert card.title.text() == "Why is validation lower?"
    panel.run.curves.choose(metric="dice", label="muscle")
    assert said(panel) == sentence(gap("dice", 20))
    assert "All labels together" in card.missing.text()


def test_before_it_is_measured_it_says_when_and_for_a_run_without_that_there_is_none(
    panel: TrainPanel, room: Room, qtbot: QtBot
) -> None:
    follow(panel, room, [started()], qtbot)
    card = panel.run.why_card
    assert card.sentence.isHidden()
    assert card.missing.text() == "It is measured after the first epoch, now and then, and after the last."
    assert card.parts_button.isHidden() or not card.parts_button.isVisible()
    follow(panel, room, whole_run(3), qtbot)
    qtbot.waitUntil(lambda: "Not measured so far" in card.missing.text())
    follow(panel, room, [*whole_run(40), finished()], qtbot)
    qtbot.waitUntil(lambda: card.missing.text().startswith("This run did not measure it by itself."))
    assert card.title.text() == "Why is validation higher or lower?"
    assert card.sizes.isHidden()
    follow(panel, room, run_of_people(5), qtbot)
    panel.run.curves.choose(metric="dice")
    card.measured[5].pop("accuracy")
    panel.run.curves.choose(metric="accuracy")
    assert "Not measured for accuracy at this epoch." in card.missing.text()


def test_a_setting_that_is_on_is_not_advised(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    card = panel.run.why_card
    follow(panel, room, whole_run(3), qtbot)
    for honest, hint in ((True, False), (False, True)):
        card.show_config(TrainConfig(honest=honest))
        assert (
            card.missing.text().startswith("Not measured so far.") and "measured after the first" in card.missing.text()
        )
        assert ("in its settings" in card.missing.text()) == hint
    room.runs.say(finished())
    qtbot.waitUntil(lambda: card.missing.text().startswith("This run did not measure it by itself. With"))
    card.show_config(TrainConfig(honest=True))
    assert card.missing.text() == "This run did not measure it by itself."


def test_where_nobody_validates_no_measurement_is_promised(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    nobody = [started(val_subjects=0, val_slices=0), replace(told(1, 3, 0), val=Scores(), val_people=())]
    card = panel.run.why_card
    for more in ([], [finished()]):
        follow(panel, room, [*nobody, *more], qtbot)
        qtbot.waitUntil(lambda: card.missing.text().startswith("Nobody validates in this run"))
        assert card.in_full.isHidden()
    follow(panel, room, [started(phantoms=True), finished()], qtbot)
    qtbot.waitUntil(lambda: card.missing.text().startswith("This run did not"))


def test_the_latest_epoch_is_shown_until_another_is_chosen(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    follow(panel, room, run_of_people(10), qtbot)
    card = panel.run.why_card
    assert [card.epochs.itemText(i) for i in range(4)] == ["latest (10)", "epoch 10", "epoch 5", "epoch 1"]
    for event in (told(15), measured(15)):
        room.runs.say(event)
    qtbot.waitUntil(lambda: card.epochs.itemText(0) == "latest (15)")
    assert card.epoch == 15
    assert said(panel) == sentence(gap("dice", 15))
    card.epochs.setCurrentIndex(card.epochs.findData(5))
    card.epochs.activated.emit(card.epochs.currentIndex())
    assert said(panel) == sentence(gap("dice", 5))
    room.runs.say(measured(20))
    qtbot.waitUntil(lambda: card.epochs.itemText(0) == "latest (20)")
    assert card.epoch == 5
    room.runs.say(started(first_epoch=8))
    assert sorted(card.measured) == [1, 5], "epochs that the run says again are measured again"


def test_the_parts_open_and_close_and_say_whether_they_add_up(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    follow(panel, room, run_of_people(5), qtbot)
    card = panel.run.why_card
    assert not card.waterfall.isVisible()
    card.parts_button.click()
    assert card.waterfall.isVisible()
    assert card.parts_button.text() == "Hide the parts"
    assert abs(gap("dice", 5).residual) < 1e-6
    assert card.residual.text().startswith("Adds up: less than 0.000001 is left over.")
    wrong = replace(gap("dice", 5), lag=0.5)
    room.runs.say(replace(measured(5), gaps=(wrong,)))
    qtbot.waitUntil(lambda: card.residual.text().startswith("Does not add up"))
    assert card.residual.property("warning")
    card.parts_button.click()
    assert not card.waterfall.isVisible()


def test_the_parts_are_copied_and_saved(
    panel: TrainPanel, room: Room, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(panel, room, run_of_people(10), qtbot)
    card = panel.run.why_card
    card.parts_button.click()
    card.copy_button.click()
    text = QGuiApplication.clipboard().text()
    assert sentence(gap("dice", 10)) in text
    assert "add up exactly" in text
    asked: list[str] = []
    monkeypatch.setattr(dialogs, "ask_save_picture", lambda _, name: asked.append(name) or tmp_path / "g.png")
    monkeypatch.setattr(dialogs, "ask_save_csv", lambda _, name: asked.append(name) or tmp_path / "g.csv")
    card.picture_button.click()
    card.table_button.click()
    qtbot.waitUntil(lambda: (tmp_path / "g.png").exists() and (tmp_path / "g.csv").exists())
    assert asked == ["run 3-gap.png", "run 3-gap.csv"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "g.csv").read_text())))
    assert len(rows) == 9
    image = QImage(str(tmp_path / "g.png"))
    assert image.width() >= 2 * 420


# ---------------------------------------------------------------------- the waterfall


def test_each_part_begins_where_the_one_before_ended() -> None:
    found = gap("dice", 10)
    rows = bars_of(found)
    assert [row.name for row in rows] == [
        "train", "lag", "regime", "augmentation", "aggregation", "split", "validation",
    ]  # fmt: skip
    assert all(row.start == before.end for before, row in pairwise(rows[:-1]))
    assert rows[-2].end == pytest.approx(rows[-1].end)
    assert rows[1].said.startswith("+")
    assert rows[1].said.endswith(" points")
    assert "points" not in bars_of(gap("loss", 10))[1].said
    low, high = axis_of(found)
    assert found.interval is not None
    assert low < rows[-2].start + found.interval[0]
    assert rows[-2].start + found.interval[1] < high


def test_the_numbers_of_the_bars_add_up() -> None:
    for k in range(1, 41):
        said = [float(row.said.split()[0].replace("−", "-")) for row in bars_of(gap("dice", k))]
        assert sum(said[:-1]) == pytest.approx(said[-1])


def test_bars_begin_at_zero_where_that_is_near() -> None:
    assert axis_of(decompose("loss", (0.02, 0.3, 0.2, 0.1, 0.1, 0.05, 0.05), [0.1], [0.05]))[0] == 0.0
    assert axis_of(gap("dice", 40))[0] > 0.5


def counted(widget: Waterfall, wanted: QColor, row: int, near: int = 40) -> int:
    image = widget.grab().toImage()
    ratio = image.devicePixelRatio()
    return sum(
        1
        for y in range(round(row * ROW_PX * ratio), round((row * ROW_PX + 13) * ratio))
        for x in range(image.width())
        if all(
            abs(a - b) < near
            for a, b in zip(image.pixelColor(x, y).getRgb()[:3], wanted.getRgb()[:3], strict=True)
        )
    )  # fmt: skip


def test_a_leaked_split_is_hatched_and_a_whisker_needs_an_interval(qtbot: QtBot) -> None:
    drawn = Waterfall()
    qtbot.addWidget(drawn)
    drawn.setPalette(QPalette(colour("card")))
    drawn.setAutoFillBackground(True)
    drawn.resize(270, drawn.height())
    sound = gap("dice", 10)
    drawn.show_gap(sound)
    hatch, whisker, split = colour("warning"), colour("text"), 5
    assert counted(drawn, hatch, split) == 0
    assert counted(drawn, whisker, split) > 50
    assert "hatched" not in drawn.tip_at(split * ROW_PX + 3).lower()
    drawn.show_gap(replace(sound, leaked=2, interval=None))
    assert counted(drawn, hatch, split) > 10
    assert counted(drawn, whisker, split) < 5
    assert "Hatched: 2 of 6 validation people are trained on, too." in drawn.tip_at(split * ROW_PX + 3)
    drawn.show_gap(sound)
    assert "Here " in drawn.tip_of(split) and whisker_of(sound) is not None
    made_up = replace(sound, made_up=True)  # no sample of people
    drawn.show_gap(made_up)
    assert "Here " not in drawn.tip_of(split) and whisker_of(made_up) is None


def test_the_whisker_of_few_people_leaves_the_bars_their_room(qtbot: QtBot) -> None:
    """It may be fifty times as long as they: it runs out of the picture, and its numbers are told."""
    near = gap("dice", 10)
    wide = replace(near, val_people=3, interval=(near.split - 2, near.split + 0.0001))
    levels = [row.end for row in bars_of(wide)]
    low, high = axis_of(wide)
    assert high - low < 3 * (max(levels) - min(levels))
    drawn = Waterfall()
    qtbot.addWidget(drawn)
    drawn.resize(270, drawn.height())
    drawn.show_gap(near)
    assert "outside the picture" not in drawn.tip_of(5)
    drawn.show_gap(wide)
    assert drawn.tip_of(5).endswith("An end without a stroke lies outside the picture.")
    assert counted(drawn, colour("text"), 5) > 10


def test_every_row_explains_itself_and_its_place_in_the_order(qtbot: QtBot) -> None:
    drawn = Waterfall()
    qtbot.addWidget(drawn)
    assert drawn.tip_at(5) == ""
    drawn.show_gap(gap("accuracy", 10))
    tips = [drawn.tip_at(row * ROW_PX + 5) for row in range(7)]
    assert [tip.split(". ")[1][:1] for tip in tips[1:6]] == ["1", "2", "3", "4", "5"]
    assert "95 % interval over people. Here " in tips[5]
    assert "Dropout: " in drawn.accessibleDescription()


# ---------------------------------------------------------------------- metric against number of people


def test_the_sizes_are_drawn_once_opened_for_the_epoch_and_metric_shown(
    panel: TrainPanel, room: Room, qtbot: QtBot
) -> None:
    follow(panel, room, run_of_people(12, train=20, val=6), qtbot)
    sizes = panel.run.why_card.sizes
    assert sizes.isVisible()
    assert not sizes.lines, "nothing is drawn while it is closed"
    sizes.heading.click()
    x, y = sizes.lines["train"].getOriginalDataset()
    assert x.tolist() == [1, 2, 3, 5, 8, 13, 20]
    assert sizes.lines["val"].getOriginalDataset()[0].tolist() == [1, 2, 3, 5, 6]
    told_of = next(e for e in panel.run.curves.data.epochs if e.epoch == 10)
    assert y[-1] == pytest.approx(told_of.train.dice)
    assert sizes.bands["train"].ends[1:, -1] == pytest.approx([y[-1], y[-1]])
    assert sizes.rule.text() == RULE
    assert sizes.where.text() == "Dice, epoch 10: training 20 people, validation 6 people."
    panel.run.curves.choose(metric="loss", label="muscle")
    assert sizes.where.text().startswith("Loss of Muscle, epoch 10")
    assert sizes.lines["train"].getOriginalDataset()[1][-1] != pytest.approx(y[-1])


def test_the_people_needed_are_said_in_words(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    people = tuple(replace(p, dice=(d,) * 5) for p, d in zip(told(5, val=3).val_people, (0.7, 0.8, 0.9), strict=True))
    follow(panel, room, [started(), replace(told(5, val=3), val_people=people)], qtbot)
    sizes = panel.run.why_card.sizes
    sizes.heading.click()
    sizes.half_width.setValue(5.0)
    assert sizes.needed.text().startswith("18 people for a 95 % interval of ±5.0 points: the 3 validation people")
    assert "10.0 points (standard deviation)" in sizes.needed.text()
    assert sizes.half_width.text() == "± 5.0 points"
    panel.run.curves.choose(metric="loss")
    assert sizes.half_width.text() == "± 0.0100"
    panel.run.curves.choose(metric="accuracy")
    assert sizes.half_width.suffix() == " points"


def test_no_number_of_people_is_worked_out_from_made_up_thighs(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    follow(panel, room, [started(40, phantoms=True), told(5, train=4, val=3), told(6, val=3)], qtbot)
    sizes = panel.run.why_card.sizes
    sizes.heading.click()
    assert sizes.where.text() == "Dice, epoch 5: training 4 people, validation 3 made-up thighs."
    assert "the 4 training people differ" in sizes.needed.text()
    qtbot.waitUntil(lambda: "over 3 made-up thighs" in panel.run.curves.legend["val"].toolTip())
    follow(panel, room, [started(40, phantoms=True), told(6, val=3)], qtbot)
    assert sizes.where.text() == "Dice, epoch 6: validation 3 made-up thighs."
    assert sizes.needed.text() == "How far people differ takes two of them at least."


def test_the_people_of_the_last_epoch_serve_where_no_gap_was_measured(
    panel: TrainPanel, room: Room, qtbot: QtBot
) -> None:
    events = [e for e in run_of_people(12) if isinstance(e, EpochEnded)]
    follow(panel, room, [started(), *events], qtbot)
    panel.run.why_card.sizes.heading.click()
    assert "epoch 10:" in panel.run.why_card.sizes.where.text(), "the last epoch that tells of both groups"
