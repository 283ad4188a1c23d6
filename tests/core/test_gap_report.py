import csv
import io
from dataclasses import replace

import pytest

from thighview.core.gap import TERMS, decompose, sentence
from thighview.core.gap_report import REASONS, TITLES, amount, as_text, direction, methods_text, to_csv

VALUES = (0.80, 0.845, 0.83, 0.86, 0.864, 0.85, 0.85)
GAP = decompose("dice", VALUES, [0.8, 0.9, 0.86, 0.9], [0.8, 0.9, 0.85, 0.86, 0.84, 0.85], leaked=1)


def test_every_bar_has_a_name_and_a_reason() -> None:
    assert tuple(TITLES) == ("train", *TERMS, "validation") == tuple(REASONS)


@pytest.mark.parametrize(
    ("metric", "value", "sign", "said"),
    [
        ("dice", 0.0645, True, "+6.5 points"), ("accuracy", -0.0004, True, "0.0 points"),
        ("loss", -0.0123, True, "-0.0123"), ("loss", 0.5, False, "0.5000"),
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
    same = replace(GAP, validation=0.8003)
    assert direction(same) == "same"
    assert "read the same" in sentence(same)


def test_the_text_has_sentence_numbers_and_methods() -> None:
    text = as_text(GAP, 25, "run 3")
    assert text.startswith("Dice, epoch 25 of run 3\n" + sentence(GAP))
    assert "Still learning (lag): +4.50 points" in text
    assert "Validation, as reported: 85.00 points" in text
    assert methods_text(GAP) in text
    assert "6 validation with 4 training people" in text
    assert "2000 draws" in text
    few = replace(GAP, interval=None, val_people=3)
    assert "no interval is given, as there were fewer than 5" in methods_text(few)
    assert "95 % interval" not in as_text(few, 1)


def test_the_table_adds_up() -> None:
    loss = decompose("loss", VALUES, [0.8, 0.9], [0.8])
    rows = list(csv.DictReader(io.StringIO(to_csv({10: {"dice": GAP}, 5: {"dice": GAP, "loss": loss}}))))
    assert [(row["epoch"], row["metric"]) for row in rows] == [("5", "dice"), ("5", "loss"), ("10", "dice")]
    for row in rows:
        total = float(row["train"]) + sum(float(row[name]) for name in TERMS)
        assert total == pytest.approx(float(row["validation"]), abs=1e-12)
    assert (rows[1]["split_low"], rows[1]["split_high"], rows[0]["leaked"]) == ("", "", "1")
    assert float(rows[0]["split_low"]) < float(rows[0]["split"]) < float(rows[0]["split_high"])
