"""The gap between training and validation: its parts add up, and the words say what the numbers say."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thighview.core.gap import TERMS, Gap, decompose
from thighview.core.gap_passes import END_OF_EPOCH, INFERENCE, LEARNING, TRAIN, VAL, gaps_of
from thighview.core.gap_report import as_text
from thighview.core.gap_words import TITLES, sentence, told_rows
from thighview.core.student import difference_interval, interval_about, t_975
from thighview.core.sums import Sums, seed_scores

numbers = st.floats(-10, 10, allow_nan=False)


@given(st.lists(numbers, min_size=7, max_size=7))
def test_the_parts_add_up_whatever_the_numbers(values: list[float]) -> None:
    gap = decompose("loss", values, [0.0, 1.0], [0.5])
    assert abs(gap.residual) < 1e-12
    assert [name for name, _ in gap.terms] == list(TERMS)


def test_each_part_is_the_difference_its_name_says() -> None:
    gap = decompose("dice", [0.80, 0.83, 0.84, 0.90, 0.91, 0.85, 0.86], [0.9, 0.92], [0.85])
    assert gap.lag == pytest.approx(0.03)
    assert gap.regime == pytest.approx(0.01)
    assert gap.augmentation == pytest.approx(0.06)
    assert gap.aggregation == pytest.approx(0.01 + 0.01)
    assert gap.split == pytest.approx(-0.06)


@pytest.mark.parametrize(("train", "val"), [(5, 5), (15, 15), (14, 3), (3, 14)])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(train: int, val: int) -> None:
    """2000 studies of two groups without a difference: intervals of 95 % miss zero in about 100 of them."""
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(2000):
        low, high = difference_interval(rng.normal(0.8, 0.1, train).tolist(), rng.normal(0.8, 0.1, val).tolist()) or ()
        missed += not low <= 0 <= high
    assert 60 <= missed <= 140


def test_the_interval_is_that_of_the_standard_error() -> None:
    """The check of the formula: half width about 1.96 sqrt(s_v^2 / n_v + s_t^2 / n_t)."""
    rng = np.random.default_rng(2)
    train, val = rng.normal(0.9, 0.05, 60), rng.normal(0.8, 0.1, 40)
    low, high = difference_interval(train.tolist(), val.tolist()) or (0.0, 0.0)
    expected = 1.96 * np.sqrt(train.var(ddof=1) / 60 + val.var(ddof=1) / 40)
    assert (high - low) / 2 == pytest.approx(expected, rel=0.04)
    assert low < val.mean() - train.mean() < high


def test_too_few_people_have_no_interval() -> None:
    for train, val in ((9, 2), (2, 9)):
        assert difference_interval([0.5] * train, [0.1] * val) is None


def _gap(**changes: object) -> Gap:
    plain = {
        "metric": "accuracy",
        "train": 0.9907,
        "validation": 0.9971,
        "lag": 0.0003,
        "regime": 0.0,
        "augmentation": 0.0062,
        "aggregation": 0.0002,
        "split": -0.0003,
        "interval": (-0.0015, 0.0008),
        "train_people": 14,
        "val_people": 6,
    }
    return Gap(**(plain | changes))  # type: ignore[arg-type]


def test_the_sentence_names_the_largest_cause_and_ends_with_the_people() -> None:
    said = sentence(_gap())
    assert said.startswith("Validation reads 0.64 points higher than training")
    assert "0.62 of that is “Distorted images”: training images are distorted" in said
    assert said.endswith("no evidence that the groups differ.")
    assert "6 validation people" in said


def test_the_part_called_the_largest_is_the_longest_bar() -> None:
    """The real one, too: then the largest of the others follows, called so, and the real part is still the last."""
    real = _gap(validation=0.9617, augmentation=0.0172, split=-0.0465, interval=(-0.12, 0.03))
    said = sentence(real)
    assert (
        "The largest part, −4.65, is “Other people”. The largest of the others, +1.72, is “Distorted images”:" in said
    )
    assert said.endswith(
        "The real difference between the two groups of people is −4.65 points (95 % interval −12.00 to +3.00, 6"
        " validation people): no evidence that the groups differ."
    )
    full = sentence(replace(real, difficulty=0.0095, judge="m"))
    assert "The largest part, −5.60, is “People not trained on”." in full
    assert "+0.95 points of what is real is “Harder or easier people”: the validation people are easier" in full
    alone = sentence(_gap(validation=0.94, lag=0.0, augmentation=0.0, aggregation=0.0, split=-0.0507))
    assert "The largest part, −5.07, is “Other people”. The real difference" in alone


@given(st.lists(st.floats(-0.2, 0.2), min_size=9, max_size=9))
def test_no_bar_is_longer_than_the_one_called_the_largest(values: list[float]) -> None:
    lag, regime, augmentation, aggregation, split, ema, selection, difficulty, train = values
    gap = _gap(
        train=train, validation=train + lag + regime + augmentation + aggregation + split + ema + selection, lag=lag,
        regime=regime, augmentation=augmentation, aggregation=aggregation, split=split, ema=ema, selection=selection,
        difficulty=difficulty, judge="m",
    )  # fmt: skip
    parts = {TITLES[name]: abs(value) for name, value in told_rows(gap)[1:-1]}
    told = re.search(r"(?:The largest part, ([^ ]+),|([^ ]+) of that) is “(.*?)”", sentence(gap))
    assert bool(told) == (max(parts.values()) > 1e-9)
    assert told is None or parts[told[3]] == pytest.approx(max(parts.values()))


@given(st.lists(st.floats(-0.05, 0.05), min_size=9, max_size=9), st.sampled_from(["dice", "loss"]))
def test_the_numbers_told_add_up(values: list[float], metric: str) -> None:
    """Those of the rows, of the text, and of the clause on how hard people are."""
    lag, regime, augmentation, aggregation, split, ema, selection, difficulty, above = values
    whole = 0.8 + above + lag + regime + augmentation + aggregation + split + ema + selection
    gap = _gap(
        metric=metric, train=0.8 + above, validation=whole, lag=lag, regime=regime, augmentation=augmentation,
        aggregation=aggregation, split=split, ema=ema, selection=selection, difficulty=difficulty, judge="m",
    )  # fmt: skip
    rows = [value for _, value in told_rows(gap)]
    assert sum(rows[:-1]) == pytest.approx(rows[-1], abs=1e-9)
    lines = [line for line in as_text(gap, 1).split("\n\n")[1].splitlines() if "interval" not in line]
    *text, reported, _left_over = (_number(line.split(": ")[1]) for line in lines)
    assert len(text) == 9 and sum(text) == pytest.approx(reported, abs=1e-9)
    real = re.search(r"people is (\S+).*: (\S+) is how hard they are, (\S+) that", sentence(gap))
    assert real is not None
    assert _number(real[2]) + _number(real[3]) == pytest.approx(_number(real[1]), abs=1e-9)


def _number(said: str) -> float:
    return float(said.split()[0].replace("−", "-"))


def test_what_the_interval_says_is_not_lost_by_rounding() -> None:
    small = _gap(
        train=0.998, validation=0.9976, lag=0.0, augmentation=0.0, aggregation=0.0, split=-0.0004,
        interval=(-0.0005, -0.0003),
    )  # fmt: skip
    assert "is −0.04 points (95 % interval −0.05 to −0.03, 6 validation people): the network does worse" in sentence(
        small
    )
    noise = replace(small, validation=0.998, split=1e-17, interval=(1e-17, 1e-17))
    assert sentence(noise).endswith("no evidence that the groups differ.")
    nought = replace(small, validation=0.99801, split=1e-5, interval=(2e-9, 2e-5))
    assert sentence(nought).endswith("no evidence that the groups differ."), "all of it is told as 0.00"


def test_a_dice_of_nought_everywhere_has_no_parts_to_tell() -> None:
    """Difficulty, judged by another network, may still be large."""
    nothing = _gap(
        metric="dice", label="femur_marrow", train=0.0, validation=0.0, lag=0.0, augmentation=0.0, aggregation=0.0,
        split=0.0, interval=(0.0, 0.0), difficulty=-0.094, judge="m",
    )  # fmt: skip
    assert sentence(nothing).startswith("Dice of femur marrow is 0 in training and in validation: the network has")
    assert "largest" not in sentence(nothing) and "9.4" not in sentence(nothing)
    assert "does not measure new people" in sentence(replace(nothing, leaked=2))


def test_the_sentence_of_a_real_loss_on_new_people() -> None:
    said = sentence(_gap(metric="dice", train=0.65, validation=0.59, split=-0.108, interval=(-0.215, -0.016)))
    assert "lower than training" in said
    assert "more people help more than more epochs" in said


def test_the_sentence_of_a_leak_and_of_few_people_and_of_phantoms() -> None:
    assert "does not measure new people" in sentence(_gap(leaked=3))
    few = sentence(_gap(interval=None, val_people=2))
    assert few.endswith(
        "; 2 validation people are too few for an interval: a difference between two groups takes 3 of each."
    )
    both = sentence(_gap(interval=None, val_people=1, train_people=2))
    assert "1 validation and 2 training people are too few for an interval" in both
    assert sentence(_gap(interval=None)).endswith("without an interval.")
    assert "made-up thighs" in sentence(_gap(made_up=True))
    assert sentence(_gap(metric="loss", train=0.02, validation=0.0097)).startswith("Validation reads 0.0103 lower")


def _sums(ids: list[int], wrong: list[float], steps: list[int] | None = None, size: float = 100.0) -> Sums:
    """Slices of a label on half of the pixels, of which a share is missed."""
    n = len(ids)
    fn = np.array(wrong, np.float32) * size / 2
    tp = np.stack([np.full(n, size / 2), size / 2 - fn], 1).astype(np.float32)
    both = np.stack([np.zeros(n), fn], 1).astype(np.float32)
    fp = np.stack([fn, np.zeros(n)], 1).astype(np.float32)
    y = np.full((n, 2), size / 2, np.float32)
    ce = fn * 2
    return Sums(
        np.array(ids, np.int32), np.array(steps or [0] * n, np.int32), ce, np.full(n, size, np.float32), tp, fp, both,
        tp, tp + fp, y, np.stack([0 * ce, ce], 1),
    )  # fmt: skip


OWNERS = {0: "a", 1: "a", 2: "b", 3: "b", 10: "c", 11: "d"}


def test_gaps_from_passes_add_up_and_keep_what_did_not_change_at_zero() -> None:
    ids = [0, 1, 2, 3]
    same = _sums(ids, [0.1, 0.2, 0.1, 0.2])
    passes = {
        LEARNING: _sums([3, 1, 0, 2], [0.4, 0.4, 0.4, 0.4], [0, 0, 1, 1]),
        END_OF_EPOCH: same, INFERENCE: same, TRAIN: same, VAL: _sums([10, 11], [0.3, 0.1]),
    }  # fmt: skip
    for gap in gaps_of(passes, OWNERS, "ce", 2):
        assert abs(gap.residual) < 1e-9
        assert gap.regime == gap.augmentation == 0
        assert gap.aggregation == pytest.approx(0, abs=1e-7)  # as many slices a person, as many pixels a slice
        assert abs(gap.lag) > 0.01
        assert (gap.train_people, gap.val_people, gap.leaked) == (2, 2, 0)


def test_validation_on_the_training_people_has_no_split_and_is_a_leak() -> None:
    same = _sums([0, 1, 2, 3], [0.1, 0.2, 0.3, 0.2])
    passes = dict.fromkeys((LEARNING, END_OF_EPOCH, INFERENCE, TRAIN, VAL), same)
    for gap in gaps_of(passes, OWNERS, "ce", 2):
        assert gap.split == 0
        assert gap.leaked == 2


def test_slices_seen_twice_count_twice_and_slices_not_probed_not_at_all() -> None:
    passes = {
        LEARNING: _sums([0, 1, 0, 2], [0.1, 0.3, 0.1, 0.9], [0, 0, 1, 1]),
        **dict.fromkeys((END_OF_EPOCH, INFERENCE, TRAIN), _sums([0, 1], [0.1, 0.3])),
        VAL: _sums([10], [0.1]),
    }
    gap = next(g for g in gaps_of(passes, OWNERS, "ce", 2) if g.metric == "accuracy")
    assert gap.train == pytest.approx(1 - (0.1 + 0.3 + 0.1) / 2 / 3)
    assert gap.lag == pytest.approx(0, abs=1e-7)


def test_batch_dice_and_a_small_last_batch_make_an_aggregation_part() -> None:
    """Three slices in batches of two: the seed's plain mean over batches gives the last slice twice the weight."""
    wrong = [0.0, 0.2, 0.8]
    sums = _sums([0, 2, 10], wrong, [0, 0, 1])
    tp = [50 - w * 50 for w in wrong]
    first = (2 * (tp[0] + tp[1]) + 1) / (tp[0] + tp[1] + 100 + 1)
    last = (2 * tp[2] + 1) / (tp[2] + 50 + 1)
    assert seed_scores(sums).dice == pytest.approx((first + last) / 2)
    passes = dict.fromkeys((LEARNING, END_OF_EPOCH, INFERENCE, TRAIN), sums) | {VAL: _sums([11], [0.1])}
    gap = next(g for g in gaps_of(passes, OWNERS, "ce", 2, seed_metrics=True) if g.metric == "dice")
    assert abs(gap.aggregation) > 0.01
    assert abs(gap.residual) < 1e-9


def test_an_interval_of_variances_that_hardly_are_any_is_found() -> None:
    tiny = difference_interval([0.0, 0.0, 4e-135], [0.0, 0.0, 0.0])
    assert tiny is not None and tiny[0] < 0 < tiny[1]
    for free in range(1, 200):
        assert interval_about(0.0, [(1.0, free), (0.0, 3)])[1] == t_975(free), "one part alone keeps its degrees"
