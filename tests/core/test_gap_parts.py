"""The parts measured on demand and the gap of one label: each is what its definition says, and the sum stays exact."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thighview.core.gap import TERMS, Gap, decompose, with_difficulty, with_selection
from thighview.core.gap_passes import (
    END_OF_EPOCH,
    INFERENCE,
    LEARNING,
    OWN,
    TRAIN,
    VAL,
    Judged,
    gaps_of,
    in_full,
)
from thighview.core.gap_words import flatters, sentence
from thighview.core.people import mean_of, score_of
from thighview.core.run import PersonScores
from thighview.core.selection import best_epoch, unchosen
from thighview.core.sums import PER_CLASS, PLAIN, Sums, person_scores

numbers = st.floats(-10, 10, allow_nan=False)
few = st.lists(numbers, min_size=1, max_size=6)


@given(st.lists(numbers, min_size=8, max_size=8), few, few, few, few)
def test_all_parts_add_up_whatever_the_numbers(
    values: list[float], train: list[float], val: list[float], free: list[float], judged: list[float]
) -> None:
    gap = decompose("loss", values, train, val)
    assert [name for name, _ in gap.terms] == ["lag", "regime", "augmentation", "ema", "aggregation", "split"]
    assert gap.ema == values[4] - values[3]
    for full in (
        with_selection(gap, train, val, free),
        with_difficulty(gap, train, judged, "m"),
        with_difficulty(with_selection(gap, train, val, free), judged, free, "m"),
    ):
        assert abs(full.residual) < 1e-9
        assert (full.train, full.validation) == (gap.train, gap.validation)


def person(name: str, loss: float, dice: float) -> PersonScores:
    return PersonScores(name, loss, 0.9, (dice, 0.5))


def _values(table: dict[int, list[PersonScores]], metric: str, label: int | None = None) -> dict[str, float | None]:
    """What each person gets at the epoch chosen without them."""
    return {p.subject: score_of(p, metric, label) for p in unchosen(table)}


def test_each_is_judged_at_the_epoch_that_the_others_choose() -> None:
    """Person a alone likes epoch 1: it is the best of all, but not without a."""
    table = {
        1: [person("a", 0.1, 0.9), person("b", 0.5, 0.5), person("c", 0.5, 0.5)],
        2: [person("a", 0.6, 0.4), person("b", 0.4, 0.6), person("c", 0.4, 0.6)],
    }
    assert best_epoch(table) == 1
    assert _values(table, "dice", 0) == {"a": 0.4, "b": 0.5, "c": 0.5}
    assert _values(table, "loss") == {"a": 0.6, "b": 0.5, "c": 0.5}
    assert unchosen({1: table[1][:1], 2: table[2][:1]}) == [], "with one person nobody is left to choose"
    gap = decompose("loss", [1.0] * 5 + [0.3667, 0.3667], [1.0], [0.1, 0.5, 0.5])
    full = in_full(gap, [person("t", 1.0, 0.2)], table[1], unchosen(table), None)
    assert full.selection == pytest.approx((0.1 + 0.5 + 0.5 - 0.6 - 0.5 - 0.5) / 3)
    assert full.split == pytest.approx(gap.split + 0.5 / 3)
    assert in_full(gap, [person("t", 1.0, 0.2)], table[1], [], None) == gap


def test_the_luck_of_an_epoch_is_told_by_the_same_people_at_both() -> None:
    """Person c has no such label; at the epoch chosen without c a few false pixels make that a Dice of 0."""
    table = {
        1: [person("a", 0.5, 0.9), person("b", 0.5, 0.9), PersonScores("c", 0.1, 0.9, (None, 0.5))],
        2: [person("a", 0.4, 0.9), person("b", 0.4, 0.9), person("c", 0.6, 0.0)],
    }
    gap = decompose("dice", [0.7] * 5 + [0.9, 0.9], [0.7], [0.9, 0.9])
    full = in_full(gap, [person("t", 1.0, 0.7)], table[1], unchosen(table), None, label=0)
    assert full.selection == pytest.approx(0.0) and full.split == pytest.approx(0.2)


def test_choosing_among_pure_luck_flatters_and_the_rest_is_true() -> None:
    """200 runs of 30 epochs that differ by luck alone: what is left after selection is zero on average."""
    rng = np.random.default_rng(3)
    left, optimism = [], []
    for _ in range(200):
        noise = rng.normal(0.5, 0.05, (30, 3))
        table = {
            k: [PersonScores(str(s), float(v), None, ()) for s, v in enumerate(row)] for k, row in enumerate(noise)
        }
        best = [float(v) for v in noise[best_epoch(table)]]
        optimism.append(np.mean(best) - np.mean(list(_values(table, "loss").values())))
        left.append(np.mean(list(_values(table, "loss").values())) - 0.5)
    assert abs(np.mean(left)) < 3 * np.std(left) / np.sqrt(200) + 1e-3
    assert np.mean(optimism) < -0.03


def test_difficulty_is_what_an_independent_network_sees_too() -> None:
    gap = decompose("dice", [0.8] * 5 + [0.7, 0.7], [0.8], [0.7])
    judged = Judged("thigh_tissues", [person("t", 1, 0.6)], [person("v", 1, 0.52)])
    full = in_full(gap, [person("t", 1, 0.8)], [person("v", 1, 0.7)], [], judged, label=0)
    assert dict(full.terms)["difficulty"] == pytest.approx(-0.08)
    assert dict(full.terms)["generalisation"] == pytest.approx(-0.02)
    assert "split" not in dict(full.terms)
    beside = replace(judged, val=[person("v", 1, 0.52), person("w", 1, 0.0)])  # the gap compares no w: no such label
    val = [person("v", 1, 0.7), PersonScores("w", 1, 0.9, (None, 0.5))]
    assert in_full(gap, [person("t", 1, 0.8)], val, [], beside, label=0).difficulty == pytest.approx(-0.08)
    nobody = replace(judged, val=[PersonScores("v", None, None, (None, None))])
    assert in_full(gap, [], [], [], nobody, label=0) == gap


def gap_with(**changes: object) -> Gap:
    plain = decompose("dice", [0.70, 0.71, 0.70, 0.72, 0.72, 0.68, 0.68], [0.7], [0.68])
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_the_sentence_picks_the_largest_cause_among_all() -> None:
    apart = gap_with(split=-0.01)
    assert "is “Distorted images”" in sentence(apart)
    assert "is “Averaged weights”: validation uses averaged weights" in sentence(gap_with(ema=0.05))
    assert "is “Best epoch chosen”: this epoch was chosen" in sentence(gap_with(selection=0.05))
    harder = sentence(gap_with(difficulty=-0.05, judge="thigh_tissues"))
    assert (
        "The largest part, −5.00, is “Harder or easier people”: the validation people are harder also for thigh_tissues"
    ) in harder
    assert harder.count("Harder or easier people") == 1
    easier = sentence(gap_with(difficulty=0.01, judge="m"))
    assert "+1.00 points of what is real is “Harder or easier people”: the validation people are easier" in easier
    assert easier.rindex("The real difference") > easier.rindex("of what is real"), "the real part comes last"
    assert "(Dice of femur cortex)" in sentence(gap_with(label="femur_cortex"))
    assert "harder" in sentence(replace(gap_with(difficulty=0.5, judge="m"), metric="loss"))


def test_the_choice_of_the_epoch_flatters_only_by_its_sign() -> None:
    """The epoch is chosen by the loss: what that does to another metric can go either way."""
    assert "chosen because its loss was the best on these people" in sentence(gap_with(selection=-0.05))
    assert flatters(gap_with(selection=0.05)) and not flatters(gap_with(selection=-0.05))
    loss = replace(gap_with(selection=-0.05), metric="loss")
    assert flatters(loss) and not flatters(replace(loss, selection=0.05))
    assert not flatters(gap_with()) and not flatters(gap_with(selection=0.0))


def test_once_it_is_measured_how_hard_people_are_the_end_says_nothing_else() -> None:
    """The interval is that of both parts together: it must not be read as what being new costs."""
    measured = gap_with(split=-0.09, difficulty=-0.09, interval=(-0.12, -0.07), judge="m")
    said = sentence(measured)
    assert "more people help" not in said
    assert "−9.00 is how hard they are, 0.00 that they are new to the network (95 % interval of both together " in said
    against = sentence(replace(measured, split=-0.007, difficulty=0.09, interval=(-0.03, 0.02)))
    assert "no evidence" not in against and "+9.00 is how hard they are, −9.70 that they are new" in against


# ---------------------------------------------------------------------- sums


def made(ids: list[int], seed: int, better: float = 0.0) -> Sums:
    """Slices of 100 pixels in three classes, about a fifth of them wrong; class 2 is missing on every third slice."""
    rng = np.random.default_rng([seed, *ids])
    rows = np.zeros((len(ids), PLAIN + 3 * len(PER_CLASS)), np.float32)
    rows[:, 1] = 100
    part = {name: PLAIN + 3 * i for i, name in enumerate(PER_CLASS)}
    for k, i in enumerate(ids):
        truth = np.array([50, 50, 0] if i % 3 == 0 else [40, 40, 20])
        wrong = np.round(truth * (0.2 - better) * rng.uniform(0.5, 1.5, 3))
        rows[k, part["tp"] : part["tp"] + 3] = truth - wrong
        rows[k, part["fn"] : part["fn"] + 3] = wrong
        rows[k, part["fp"] : part["fp"] + 3] = np.roll(wrong, 1) if truth[2] else (wrong[1], wrong[0], 0)
        ce = wrong * rng.uniform(1, 2, 3)
        rows[k, part["label_ce"] : part["label_ce"] + 3] = ce
        rows[k, 0] = ce.sum()
    return Sums.of(rows, ids, 2)


TRAINED, OTHERS = [0, 1, 2, 3, 4, 5], [10, 11, 12, 13]
OWNERS = {i: "abc"[i // 2] for i in TRAINED} | {i: "vw"[i % 2] for i in OTHERS}
PASSES = {
    LEARNING: made([4, 1, 5, 0, 2, 3, 0, 1], 1), END_OF_EPOCH: made(TRAINED, 2, 0.05),
    INFERENCE: made(TRAINED, 3, 0.06), TRAIN: made(TRAINED, 4, 0.1), VAL: made(OTHERS, 5, 0.02),
}  # fmt: skip


@pytest.mark.parametrize("label", [None, 0, 1])
def test_the_gap_of_one_label_is_exact_and_ends_at_the_people_of_the_curves(label: int | None) -> None:
    found = gaps_of(PASSES, OWNERS, "ce", 2, label=label)
    assert [gap.metric for gap in found] == ["loss", "accuracy", "dice"]
    people = [person_scores(PASSES[name], OWNERS, "ce") for name in (TRAIN, VAL)]
    for gap in found:
        assert abs(gap.residual) < 1e-9
        assert [name for name, _ in gap.terms] == list(TERMS)
        honest = [mean_of(part, gap.metric, label) or 0.0 for part in people]
        assert gap.validation == pytest.approx(honest[1])
        assert gap.split == pytest.approx(honest[1] - honest[0])
    whole = gaps_of(PASSES, OWNERS, "ce", 2)
    assert label is None or all(a.split != b.split for a, b in zip(found, whole, strict=True))


def test_a_label_that_nobody_has_has_no_gap() -> None:
    bare = {name: replace(sums, **{k: getattr(sums, k) * [1, 1, 0] for k in ("tp", "fp", "fn", "label_ce")})
            for name, sums in PASSES.items()}  # fmt: skip
    assert gaps_of(bare, OWNERS, "ce", 2, label=1) == ()
    assert len(gaps_of(bare, OWNERS, "ce", 2, label=0)) == 3


@pytest.mark.parametrize("label", [None, 1])
def test_averaged_weights_are_told_apart_from_the_others(label: int | None) -> None:
    """With passes of the network's own weights, ema is the step from these to the averaged ones on the same slices."""
    plain = {gap.metric: gap for gap in gaps_of(PASSES, OWNERS, "ce", 2, label=label)}
    same = PASSES | {own: PASSES[name] for name, own in OWN.items()}
    for gap in gaps_of(same, OWNERS, "ce", 2, label=label):
        assert gap == replace(plain[gap.metric], ema=0.0), "weights that are their own average add nothing"
    raw = PASSES | {own: made(TRAINED, 7) for own in OWN.values()}
    for gap in gaps_of(raw, OWNERS, "ce", 2, label=label):
        assert gap.regime == gap.augmentation == 0
        assert gap.ema
        assert abs(gap.residual) < 1e-9
        assert (gap.split, gap.aggregation) == (plain[gap.metric].split, plain[gap.metric].aggregation)
