"""The Why card beyond what a run says by itself: per label, all parts on demand, by keyboard, and on small sets."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gap_room import gap, run_of_people
from panel_room import TISSUES, Room, finished, tissue_table, whole_run
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from thighview.app import jobs
from thighview.app.gap_in_full import label_gaps
from thighview.core.gap import with_difficulty, with_selection
from thighview.core.gap_passes import END_OF_EPOCH, INFERENCE, LEARNING, TRAIN, VAL
from thighview.core.gap_words import sentence
from thighview.core.run import RunEvent, TrainConfig
from thighview.core.sums import PER_CLASS, PLAIN, Sums
from thighview.io.atomic import write_json_atomic
from thighview.io.dataset import Dataset, FrozenSlice, write_dataset
from thighview.io.gap_file import EpochInFull, GapsInFull, write_gaps
from thighview.io.runs import RunFolder, run_folder
from thighview.io.slice_table import write_sums
from thighview.ui.train_panel import TrainPanel
from thighview.ui.waterfall import Waterfall
from thighview.ui.why_in_full import ABOUT, _where

ENDED = [*run_of_people(20), finished()]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = run_folder(tmp_path, "run 3")
    made.path.mkdir(parents=True)
    return made


def follow(panel: TrainPanel, room: Room, events: list[RunEvent], qtbot: QtBot) -> None:
    room.runs.follow("run 3", events)
    qtbot.waitUntil(lambda: panel.run.why_card.isVisible() and not panel.run._soon.isActive())


def said(panel: TrainPanel) -> str:
    return panel.run.why_card.sentence.text().replace("\u00a0", " ")


def in_full(epochs_done: int = 20) -> GapsInFull:
    """Epoch 16 is kept, 20 the last; one label besides all of them."""
    kept = with_difficulty(with_selection(gap("dice", 16), [0.8], [0.86], [0.8]), [0.7], [0.66], "thigh_tissues")
    muscle = replace(gap("dice", 20), label="muscle", ema=0.1)
    return GapsInFull("2026-11-25T03:00:00+00:00", epochs_done, 16, (
        EpochInFull(16, (kept,), ()), EpochInFull(20, (replace(gap("dice", 20), ema=0.2), muscle), ("Best: no.",)),
    ))  # fmt: skip


# ---------------------------------------------------------------------- on demand


def test_what_was_measured_is_shown_again_with_all_its_bars(
    panel: TrainPanel, room: Room, run: RunFolder, qtbot: QtBot
) -> None:
    write_gaps(run, in_full())
    follow(panel, room, ENDED, qtbot)
    card = panel.run.why_card
    qtbot.waitUntil(lambda: card.epochs.findText("epoch 16 (kept)") >= 0)
    assert "is “Averaged weights”: validation uses averaged weights" in said(panel)
    assert card.in_full.isHidden(), "what is lacking is told with the parts"
    card.parts_button.click()
    assert card.in_full.reasons.text() == "Best: no."
    assert card.in_full.measure_button.text() == "Measure again"
    card.epochs.setCurrentIndex(card.epochs.findData(16))
    card.epochs.activated.emit(card.epochs.currentIndex())
    assert card.waterfall.height() == 9 * 38
    assert card.residual.text().startswith("Adds up")
    assert "Judged by thigh_tissues" in card.waterfall.tip_of(5)
    assert "is “Harder or easier people”: the validation people are harder also for thigh_tissues" in said(panel)
    assert "flatters" in card.waterfall.tip_of(7) and "flatters" not in card.waterfall.tip_of(5)
    panel.run.curves.choose(metric="dice", label="muscle")
    assert card.missing.text() == "Not measured for Dice of Muscle at this epoch."
    card.epochs.setCurrentIndex(card.epochs.findData(20))
    card.epochs.activated.emit(card.epochs.currentIndex())
    assert "(Dice of muscle)" in said(panel) and not card.missing.text()


def test_where_measuring_found_nothing_the_reason_stays(
    panel: TrainPanel, room: Room, run: RunFolder, qtbot: QtBot
) -> None:
    cut = EpochInFull(1, (), ("Epoch 1 was stopped before its first step, so it has no training score.",))
    write_gaps(run, GapsInFull("2026-11-25T03:00:00+00:00", 1, 1, (cut,)))
    follow(panel, room, [*whole_run(1), finished()], qtbot)
    more = panel.run.why_card.in_full
    qtbot.waitUntil(lambda: more.reasons.text() == cut.missing[0])
    assert more.isVisible() and more.measure_button.text() == "Measure again"
    kept = replace(in_full(), epochs=(replace(in_full().epochs[0], gaps=()), in_full().epochs[1]))
    assert _where(kept) == "All parts are measured for epoch 20, the last."
    assert _where(in_full()).endswith("epoch 16, which is kept and epoch 20, the last.")


def test_a_run_that_went_on_since_is_not_shown_what_was_measured_of_other_weights(
    panel: TrainPanel, room: Room, run: RunFolder, qtbot: QtBot
) -> None:
    write_gaps(run, in_full(epochs_done=19))
    follow(panel, room, ENDED, qtbot)
    card = panel.run.why_card
    qtbot.waitUntil(lambda: card.in_full._found is not None)
    assert said(panel) == sentence(gap("dice", 20))
    assert card.in_full.about.text() == ABOUT
    assert card.in_full.measure_button.text() == "Measure all parts"


def test_it_is_offered_when_a_run_has_ended_also_one_that_measured_nothing(
    panel: TrainPanel, room: Room, run: RunFolder, qtbot: QtBot
) -> None:
    follow(panel, room, run_of_people(5), qtbot)
    card = panel.run.why_card
    assert card.in_full.isHidden(), "its checkpoints still change"
    follow(panel, room, [*whole_run(20), finished()], qtbot)
    assert not card.in_full.isHidden() and card.in_full.measure_button.isEnabled()
    assert card.sentence.isHidden()
    write_gaps(run, in_full())
    follow(panel, room, [], qtbot)
    follow(panel, room, [*whole_run(20), finished()], qtbot)
    card.in_full.show_run(None)
    card.in_full.show_run(run)
    qtbot.waitUntil(lambda: "is “Averaged weights”" in said(panel))


def test_measuring_shows_its_progress_and_can_be_cancelled(
    panel: TrainPanel, room: Room, run: RunFolder, qtbot: QtBot
) -> None:
    follow(panel, room, ENDED, qtbot)
    more = panel.run.why_card.in_full
    more.measure_button.click()
    assert more.cancel_button.isVisible() and more.progress.isVisible() and not more.measure_button.isVisible()
    assert not more.about.isVisible()
    more.cancel_button.click()
    assert more.progress_words.text() == "Stopping…" and not more.cancel_button.isEnabled()
    qtbot.waitUntil(lambda: more.measure_button.isVisible(), timeout=60_000)
    assert not more.progress.isVisible() and not list(run.path.glob("gap.json"))


def test_a_damaged_file_is_told_and_can_be_measured_again(
    panel: TrainPanel, room: Room, run: RunFolder, qtbot: QtBot
) -> None:
    (run.path / "gap.json").write_text("{")
    with qtbot.waitSignal(room.failed) as told:
        follow(panel, room, ENDED, qtbot)
    assert "gap.json is not readable" in str(told.args[0])
    assert panel.run.why_card.in_full.measure_button.isEnabled()


# ---------------------------------------------------------------------- per label


def made(ids: list[int], share: float) -> Sums:
    """Slices of 100 pixels in six classes, of which so many are wrong, more in later classes."""
    rows = np.zeros((len(ids), PLAIN + 6 * len(PER_CLASS)), np.float32)
    rows[:, 1] = 60
    at = {name: PLAIN + 6 * i for i, name in enumerate(PER_CLASS)}
    for c in range(6):
        wrong = 10 * share * (c + 1) / 6
        rows[:, at["tp"] + c], rows[:, at["fn"] + c], rows[:, at["label_ce"] + c] = 10 - wrong, wrong, 2 * wrong
        rows[:, at["fp"] + c] = 10 * share * ((c - 1) % 6 + 1) / 6
    rows[:, 0] = rows[:, at["label_ce"] : at["label_ce"] + 6].sum(1)
    return Sums.of(rows, ids, 4)


def keep_sums(run: RunFolder, epoch: int) -> None:
    """What a run leaves of an epoch."""
    owners = {0: "a", 1: "a", 2: "b", 3: "b", 8: "v", 9: "w"}
    slices = tuple(FrozenSlice(i, 1, i, "drawn", who, "train" if i < 8 else "validation") for i, who in owners.items())
    write_dataset(run, Dataset(tissue_table(), (), (), slices, ""), "study")
    write_json_atomic(run.config, TrainConfig().to_json())
    passes = {
        LEARNING: made([0, 1, 2, 3], 0.6), END_OF_EPOCH: made([0, 1, 2, 3], 0.5), INFERENCE: made([0, 1, 2, 3], 0.4),
        TRAIN: made([0, 1, 2, 3], 0.3), VAL: made([8, 9], 0.45),
    }  # fmt: skip
    write_sums(run.slices_of(epoch), epoch, passes, owners, ("background", *TISSUES))


def test_the_card_follows_the_label_of_the_curves(panel: TrainPanel, room: Room, run: RunFolder, qtbot: QtBot) -> None:
    keep_sums(run, 20)
    follow(panel, room, ENDED, qtbot)
    card = panel.run.why_card
    panel.run.curves.choose(metric="dice", label="muscle")
    qtbot.waitUntil(lambda: "(Dice of muscle)" in said(panel))
    found = card.gap
    assert found is not None and found.label == "muscle" and not card.missing.text()
    # class 2 of 6: 10 pixels a slice, of which share * 10 * 3/6 are missed and share * 10 * 2/6 too many
    dice = {share: 2 * (10 - 5 * share) / (20 - 5 * share + 10 * share / 3) for share in (0.3, 0.45)}
    assert found.split == pytest.approx(dice[0.45] - dice[0.3], abs=1e-6)
    assert abs(found.residual) < 1e-9
    panel.run.curves.choose(metric="accuracy")
    assert "(pixel accuracy of muscle)" in said(panel)
    panel.run.curves.choose(label="")
    assert said(panel) == sentence(gap("accuracy", 20))


def test_where_the_sums_of_a_label_are_gone_it_says_so(
    panel: TrainPanel, room: Room, run: RunFolder, qtbot: QtBot
) -> None:
    keep_sums(run, 15)
    assert len(label_gaps(run, 15, TISSUES)) == 15
    follow(panel, room, ENDED, qtbot)
    panel.run.curves.choose(metric="dice", label="muscle")
    qtbot.waitUntil(lambda: not [job for job in jobs.running() if not job.is_over])
    assert said(panel) == sentence(gap("dice", 20))
    told = panel.run.why_card.missing
    qtbot.waitUntil(lambda: told.text() == "All labels together: the sums of Muscle alone are not there.")


# ---------------------------------------------------------------------- keyboard, small sets


def test_the_bars_are_read_by_keyboard_and_by_click(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    follow(panel, room, ENDED, qtbot)
    card = panel.run.why_card
    card.parts_button.click()
    bars: Waterfall = card.waterfall
    assert bars.focusPolicy() & Qt.FocusPolicy.TabFocus
    assert "arrow keys" in bars.accessibleName()
    assert "Dropout: " in bars.accessibleDescription()
    for key, row, word in (
        (Qt.Key.Key_Down, 0, "Training, as reported"), (Qt.Key.Key_Down, 1, "Still learning: +1.65 points. 1 (lag)"),
        (Qt.Key.Key_End, 6, "Validation, as reported"), (Qt.Key.Key_Down, 6, "Validation, as reported"),
        (Qt.Key.Key_Up, 5, "Other people"), (Qt.Key.Key_Home, 0, "Training"),
    ):  # fmt: skip
        QTest.keyClick(bars, key)
        assert bars.row == row
        assert word in card.readout.text()
        assert bars.accessibleDescription() == card.readout.text()
    panel.run.curves.choose(metric="loss")
    assert "0.0000" not in card.readout.text() and "points" not in card.readout.text(), (
        "the bar read follows the metric"
    )
    QTest.mouseClick(bars, Qt.MouseButton.LeftButton, pos=bars.rect().center())
    assert bars.row == 3
    QTest.keyClick(bars, Qt.Key.Key_Escape)
    assert bars.row == -1 and card.readout.text().startswith("Click a bar")


def test_a_small_set_is_told_in_one_sentence(panel: TrainPanel, room: Room, qtbot: QtBot) -> None:
    follow(panel, room, ENDED, qtbot)
    card = panel.run.why_card
    assert card.small_set.isHidden()
    card.show_config(TrainConfig(dropout=0.5))
    assert "14 of 27 training people" in card.small_set.text()
    follow(panel, room, [*run_of_people(20, train=3, val=3), finished()], qtbot)
    assert card.small_set.text().startswith("Measured on 3 validation people and 3 training people")
