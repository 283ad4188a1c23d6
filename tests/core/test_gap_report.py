import csv
import io
from dataclasses import replace

import pytest

from thighview.core.gap import BARS, TERMS, decompose, with_difficulty, with_selection
from thighview.core.gap_report import REASONS, as_text, methods_text, small_set_words, to_csv
from thighview.core.gap_words import TITLES, amount, direction, sentence

VALUES = (0.80, 0.845, 0.83, 0.86, 0.864, 0.85, 0.85)
GAP = decompose("dice", VALUES, [0.8, 0.9, 0.86, 0.9], [0.8, 0.9, 0.85, 0.86, 0.84, 0.85], leaked=1)


def test_every_bar_has_a_name_and_a_reason() -> None:
    assert tuple(TITLES) == ("train", *BARS, "validation") == tuple(REASONS)


@pytest.mark.parametrize(
    ("metric", "value", "sign", "said"),
    [
        ("dice", 0.0645, True, "+6.5 points"), ("accuracy", -0.0004, True, "0.0 points"),
        ("loss", -0.0123, True, "−0.0123"), ("loss", 0.5, False, "0.5000"),
    ],
)  # fmt: skip
def test_accuracy_and_dice_are_told_in_points_and_the_loss_plain(
    metric: str, value: float, sign: bool, said: str
) -> None:
    assert amount(metric, value, sign) == said


def test_the_direction_is_the_one_of_the_sentence() -> None:
    assert direction(GAP) == "higher"
    assert "higher" in sentence(GAP)
    assert direction(replace(GAP, validation=0.79)) == "lower"
    same = replace(GAP, validation=0.80003)
    assert direction(same) == "same"
    assert "read the same" in sentence(same)


def test_the_text_has_sentence_numbers_and_methods() -> None:
    text = as_text(GAP, 25, "run 3")
    assert text.startswith("Dice, epoch 25 of run 3\n" + sentence(GAP))
    assert "Still learning (lag): +4.50 points" in text
    assert "Validation, as reported: 85.00 points" in text
    assert methods_text(GAP) in text
    assert "6 validation with 4 training people" in text
    assert "(Welch)" in text
    few = replace(GAP, interval=None, val_people=2)
    assert "no interval is given, as there were fewer than 3 people in a group" in methods_text(few)
    assert "95 % interval" not in as_text(few, 1)


def test_made_up_thighs_are_no_people_in_the_text() -> None:
    text = as_text(replace(GAP, made_up=True, leaked=0), 3)
    assert "interval" in as_text(GAP, 3)
    assert "6 made-up thighs (phantoms) with 4 training people" in text and "and then the made-up thighs" in text
    assert "validation people" not in text and "Welch" not in text and "95 % interval" not in text


def test_the_table_adds_up() -> None:
    loss = decompose("loss", VALUES, [0.8, 0.9], [0.8])
    rows = list(csv.DictReader(io.StringIO(to_csv({10: {"dice": GAP}, 5: {"dice": GAP, "loss": loss}}))))
    assert [(row["epoch"], row["metric"]) for row in rows] == [("5", "dice"), ("5", "loss"), ("10", "dice")]
    for row in rows:
        total = float(row["train"]) + sum(float(row[name]) for name in TERMS)
        assert total == pytest.approx(float(row["validation"]), abs=1e-12)
    assert (rows[0]["ema"], rows[0]["judge"]) == ("", "")
    assert (rows[1]["split_low"], rows[1]["split_high"], rows[0]["leaked"]) == ("", "", "1")
    assert float(rows[0]["split_low"]) < float(rows[0]["split"]) < float(rows[0]["split_high"])


def test_parts_measured_on_demand_are_in_text_and_table() -> None:
    full = with_difficulty(
        with_selection(replace(GAP, ema=0.0), [0.8, 0.9], [0.85, 0.87], [0.84, 0.80]), [0.7], [0.6], "thigh_tissues"
    )
    text = as_text(full, 3)
    assert "Best epoch chosen (selection): +4.00 points" in text
    assert "Harder or easier people (difficulty): −10.00 points" in text
    assert "People not trained on (generalisation)" in text and "Other people (split)" not in text
    for word in ("leave one person out", "thigh_tissues", "own at the same slices"):
        assert word in methods_text(full) and word not in methods_text(GAP)
    row = next(csv.DictReader(io.StringIO(to_csv({3: {"dice": full}}))))
    total = sum(float(row[name]) for name in ("train", *TERMS, "ema", "selection"))
    assert total == pytest.approx(float(row["validation"]), abs=1e-12)
    assert (float(row["difficulty"]), row["judge"]) == (pytest.approx(-0.1), "thigh_tissues")
    assert as_text(replace(GAP, label="femur_cortex"), 3).startswith("Dice of femur cortex, epoch 3")


def test_small_sets_are_told_in_one_sentence() -> None:
    many = replace(GAP, train_people=14, val_people=6)
    assert small_set_words(many) == small_set_words(many, 0.0, 30) == small_set_words(many, 0.5, 14) == ""
    assert "14 of 30 training people" in small_set_words(many, 0.5, 30)
    assert "Measured on 1 validation person:" in small_set_words(replace(many, val_people=1))
    few = small_set_words(replace(many, val_people=2, train_people=2), 0.5, 9)
    assert "2 validation people and 2 training people" in few and "dropout" in few
