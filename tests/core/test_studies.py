"""Who trains and who validates in each training of a study, and what the trainings add up to."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thighview.core.errors import UserError
from thighview.core.fine_tuning import batch_parts
from thighview.core.run import PersonScores, TrainConfig, event_from_line
from thighview.core.student import mean_interval, t_975
from thighview.core.studies import (
    CURVE,
    FOLDS,
    LEAVE_ONE_OUT,
    Cohort,
    curve_sizes,
    dealt,
    most_trainings,
    plan,
    work_of,
)
from thighview.core.study_report import csv_text, gain_sentence, headline, needed_sentence, rows_of, rule_of, sentences
from thighview.core.study_results import (
    RetrainingEnded,
    StudyMoved,
    curve_points,
    last_gain,
    pooled,
    training_noise,
)

CONFIG = TrainConfig(epochs=10, batch_size=4)
SALT = b"0123456789abcdef"


def cohort(people: int, validating: int = 0, known: int = 0, slices: int = 4) -> Cohort:
    names = [f"p{i:02d}" for i in range(people)]
    parts = {name: "validation" if i < validating else "train" for i, name in enumerate(names)}
    return Cohort(dealt(names, SALT), parts, dict.fromkeys(names, slices), frozenset(names[:known]))


def scores(name: str, dice: float) -> PersonScores:
    return PersonScores(name, 1 - dice, dice / 2, (dice, None), (0.1, 0.2), (0.9, 0.8))


def ended(number: int, val: dict[str, float], train: dict[str, float] | None = None) -> RetrainingEnded:
    people = tuple(scores(name, dice) for name, dice in val.items())
    trained = tuple(scores(name, dice) for name, dice in (train or {}).items())
    return RetrainingEnded(1.0, "s", number, 5.0, ("thigh", "bone"), trained, people)


@given(st.integers(2, 30), st.integers(0, 5), st.integers(2, 30))
def test_in_folds_each_person_validates_once_and_never_beside_their_own_slices(
    people: int, known: int, folds: int
) -> None:
    everybody = cohort(people, known=min(known, people))
    fresh = set(everybody.fresh)
    if len(fresh) < 2 or folds > len(fresh):
        with pytest.raises(UserError):
            plan(FOLDS, everybody, CONFIG, folds)
        return
    made = plan(FOLDS, everybody, CONFIG, folds)
    assert len(made) == folds
    seen = Counter(person for one in made for person in one.validation)
    assert seen == Counter(fresh)
    for one in made:
        assert set(one.train).isdisjoint(one.validation)
        assert set(one.train) | set(one.validation) == set(everybody.order)
    sizes = [len(one.validation) for one in made]
    assert max(sizes) - min(sizes) <= 1
    assert made == plan(FOLDS, everybody, CONFIG, folds)


def test_leave_one_out_has_a_training_for_each_person() -> None:
    made = plan(LEAVE_ONE_OUT, cohort(5, known=1), CONFIG)
    assert len(made) == 4
    assert all(len(one.validation) == 1 and len(one.train) == 4 for one in made)


def test_people_are_dealt_by_the_salt_alone() -> None:
    names = [f"p{i}" for i in range(20)]
    assert dealt(names, SALT) == dealt(reversed(names), SALT)
    assert dealt(names, SALT) != dealt(names, b"another salt of 16")
    kept = [name for name in dealt(names, SALT) if name != "p3"]
    assert tuple(kept) == dealt(set(names) - {"p3"}, SALT)


@given(st.integers(2, 40), st.integers(1, 6), st.data())
def test_subsets_of_a_curve_are_nested_and_nobody_validates_who_trains(
    pool: int, validating: int, data: st.DataObject
) -> None:
    everybody = cohort(pool + validating, validating)
    count = data.draw(st.integers(2, most_trainings(everybody)))
    made = plan(CURVE, everybody, CONFIG, count)
    assert len(made) == count
    assert [one.name for one in made] == [f"{i:02d}" for i in range(1, count + 1)]
    held = {name for name, part in everybody.parts.items() if part == "validation"}
    for one in made:
        assert set(one.validation) == held
        assert held.isdisjoint(one.train)
    by_draw: dict[int, list[set[str]]] = {}
    for one in made:
        by_draw.setdefault(one.draw, []).append(set(one.train))
    for subsets in by_draw.values():
        assert all(small < large for small, large in pairwise(subsets))
    assert len({one.train for one in made}) == count  # no training is made twice
    assert sum(len(one.train) == pool for one in made) == 1


def test_a_curve_has_equally_many_steps_at_every_size() -> None:
    made = plan(CURVE, cohort(9, 1), CONFIG)
    assert curve_sizes(8) == [1, 2, 4, 8] and curve_sizes(6) == [1, 2, 4, 6] and curve_sizes(1) == [1]
    assert Counter(len(one.train) for one in made) == {1: 2, 2: 2, 4: 2, 8: 1}
    assert {len(one.train): one.epochs for one in made} == {1: 80, 2: 40, 4: 20, 8: 10}
    small = [set(one.train) for one in made if len(one.train) == 4]
    assert small[0].isdisjoint(small[1])
    slices = dict.fromkeys((f"p{i:02d}" for i in range(9)), 4)
    work = {len(one.train): work_of(one, slices, CONFIG) for one in made}
    assert work[8] == pytest.approx(10 * (32 + 4 / 3))
    assert work[1] == pytest.approx(80 * (4 + 4 / 3))


def test_replay_takes_room_in_a_batch_and_the_steps_are_as_many_still() -> None:
    """Half of eight slices is replayed: three slices of one person are a step, six of two people are two."""
    config = TrainConfig(epochs=40, batch_size=8, replay=0.5)
    made = plan(CURVE, cohort(5, 1, slices=3), config)
    for one in made:
        own, _ = batch_parts(8, 3 * len(one.train), 0.5)
        assert one.epochs * -(-3 * len(one.train) // own) == 120
    slices = dict.fromkeys((f"p{i:02d}" for i in range(5)), 3)
    assert work_of(made[-1], slices, config) == pytest.approx(made[-1].epochs * (2 * 8 + 1))


@pytest.mark.parametrize(
    ("kind", "people", "count", "words"),
    [
        (FOLDS, cohort(1), 0, "1 can validate"),
        (FOLDS, cohort(3), 4, "4 folds do not fit 3 people"),
        (FOLDS, cohort(4, known=3), 0, "trained on 3 of them"),
        (CURVE, cohort(2), 0, "needs a person who validates"),
        (CURVE, cohort(3, 1, known=1), 0, "trained on them"),
        (CURVE, cohort(2, 1), 0, "2 people to train on"),
        (CURVE, cohort(4, 1), 99, "99 trainings"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(kind: str, people: Cohort, count: int, words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        plan(kind, people, CONFIG, count)
    assert refused.value.hint


def test_the_interval_of_few_people_is_students() -> None:
    assert mean_interval([1.0]) is None
    low, high = mean_interval([0.0, 1.0]) or (0, 0)
    assert (high - low) / 2 == pytest.approx(12.706 * 0.5, rel=1e-3)
    for people, t in ((6, 2.5706), (11, 2.2281), (31, 2.0423)):
        values = [0.0, 1.0] * (people // 2) + [0.5] * (people % 2)
        low, high = mean_interval(values) or (0, 0)
        spread = (sum((v - sum(values) / people) ** 2 for v in values) / (people - 1)) ** 0.5
        assert (high - low) / 2 == pytest.approx(t * spread / people**0.5, rel=1e-3)


def test_folds_are_pooled_over_people() -> None:
    plan_ = plan(FOLDS, cohort(4), CONFIG, 2)
    first, second = (one.validation for one in plan_)
    results = {1: ended(1, dict.fromkeys(first, 0.8))}
    assert sentences(FOLDS, plan_, {}, "dice") == []
    assert "1 of 2 trainings done" in headline(FOLDS, plan_, results)
    results[2] = ended(2, {second[0]: 0.6, second[1]: 1.0})
    whole = pooled(results, "dice")
    assert whole is not None and whole.mean == pytest.approx(0.8) and len(whole.people) == 4
    rows = rows_of(FOLDS, plan_, results, "dice")
    assert [row[1] for row in rows] == ["Person", *first, *second, "mean of 4"]
    assert rows[3][0] == "2" and rows[4][0] == ""
    assert rows[-1][2].startswith("0.800 (")
    assert "4 people" in sentences(FOLDS, plan_, results, "dice")[0]
    assert pooled(results, "dice", 1) is None  # nobody has that label
    lines = csv_text(plan_, results).splitlines()
    assert len(lines) == 1 + 4 * 3
    assert lines[0].split(",")[-3:] == ["dice", "accuracy", "loss"]


def test_a_curve_is_scored_on_the_same_people_and_its_last_step_in_pairs() -> None:
    plan_ = plan(CURVE, cohort(6, 2), CONFIG, 5)  # 1, 2, 4 of 4, then 1 and 2 again
    assert [len(one.train) for one in plan_] == [1, 2, 4, 1, 2]
    results = {
        1: ended(1, {"p00": 0.2, "p01": 0.4}, {"x": 0.9}), 4: ended(4, {"p00": 0.4, "p01": 0.6}, {"y": 0.7}),
        2: ended(2, {"p00": 0.5, "p01": 0.7}), 3: ended(3, {"p00": 0.6, "p01": 0.81}),
    }  # fmt: skip
    points = curve_points(plan_, results, "dice")
    assert [point.n for point in points] == [1, 2, 4]
    assert points[0].draws == pytest.approx((0.3, 0.5)) and points[0].val.mean == pytest.approx(0.4)
    assert points[0].train == pytest.approx(0.8) and points[2].train is None
    gain = last_gain(points)
    assert gain is not None and gain.mean == pytest.approx(0.105)
    assert gain.interval is None, "one size drawn twice does not tell how trainings differ"
    assert gain_sentence(plan_, results, "dice") == (
        "From 2 to 4 people: Dice +10.5 points. That says nothing yet: it takes 3 people who validate."
    )
    rows = rows_of(CURVE, plan_, results, "dice")
    assert [row[:2] for row in rows[1:]] == [("1", "2"), ("2", "1 of 2"), ("4", "1")]
    one = {1: ended(1, {"p00": 0.1}), 2: ended(2, {"p00": 0.2})}
    assert gain_sentence(plan_, one, "dice").endswith("That says nothing yet: one person validates, and it takes 3.")
    assert gain_sentence(plan_, {}, "dice") == ""
    one = {k: replace(r, val_people=tuple(replace(p, dice=(0.5, 0.5)) for p in r.val_people)) for k, r in one.items()}
    assert gain_sentence(plan_, one, "dice", 1).endswith(
        "only one person who validates has this label, and it takes 3."
    )


def test_chance_of_a_training_is_in_the_interval_of_a_curve() -> None:
    """It moves everybody who validates alike; where more people bring nothing, one curve in 20 may say they do."""
    plan_ = plan(CURVE, cohort(14, 6), CONFIG)
    assert Counter(len(one.train) for one in plan_) == {1: 2, 2: 2, 4: 2, 8: 1}
    rng = np.random.default_rng(0)
    concluded, studies = 0, 300
    for _ in range(studies):
        results: dict[int, RetrainingEnded] = {}
        for number in range(1, len(plan_) + 1):
            values = 0.85 + 0.01 * rng.standard_normal() + 0.007 * rng.standard_normal(6)
            results[number] = ended(number, {f"p{i:02d}": float(v) for i, v in enumerate(values)})
        concluded += "chance" not in gain_sentence(plan_, results, "dice")
    assert concluded <= 0.08 * studies


def test_the_interval_of_a_gain_is_welch_satterthwaites() -> None:
    plan_ = plan(CURVE, cohort(7, 3), CONFIG, 5)  # 1, 2, 4 of 4, then 1 and 2 again
    found = [
        {"p00": 0.5, "p01": 0.7, "p02": 0.6}, {"p00": 0.6, "p01": 0.8, "p02": 0.7},
        {"p00": 0.8, "p01": 0.9, "p02": 0.8},
        {"p00": 0.54, "p01": 0.74, "p02": 0.64}, {"p00": 0.58, "p01": 0.78, "p02": 0.68},
    ]  # fmt: skip
    results = {number: ended(number, people) for number, people in enumerate(found, 1)}
    points = curve_points(plan_, results, "dice")
    noise, degrees = training_noise(points)
    assert degrees == 2 and noise == pytest.approx((2 * 0.02**2 + 2 * 0.01**2) / 2)
    gain = last_gain(points)
    assert gain is not None and gain.interval is not None
    of_people, of_draws = np.var([0.21, 0.11, 0.11], ddof=1) / 3, noise * (1 / 2 + 1)
    free = (of_people + of_draws) ** 2 / (of_people**2 / 2 + of_draws**2 / 2)
    half = t_975(int(free)) * (of_people + of_draws) ** 0.5
    assert gain.interval == pytest.approx((gain.mean - half, gain.mean + half))
    fewer = {number: result for number, result in results.items() if number != 4}
    assert gain_sentence(plan_, fewer, "dice").endswith(
        "That says nothing yet: too few draws tell how much one training differs from the next."
    )


@pytest.mark.parametrize(
    ("people", "known", "folds", "said"),
    [
        (8, 0, 2, "No two trainings share a person."), (9, 0, 3, "share 50 % of their people, so"),
        (10, 0, 5, "share 75 % of their people, so"), (12, 4, 2, "share 50 % of their people, so"),
    ],
)  # fmt: skip
def test_folds_say_how_much_of_their_people_they_share(people: int, known: int, folds: int, said: str) -> None:
    made = plan(FOLDS, cohort(people, known=known), CONFIG, folds)
    assert said in rule_of(FOLDS, made)
    common = len(set(made[0].train) & set(made[1].train)) / len(made[0].train)
    assert ("No two" in said) == (common == 0) and (not common or f"{100 * common:.0f} %" in said)


def test_a_curve_concludes_from_three_people_and_two_draws() -> None:
    plan_ = plan(CURVE, cohort(7, 3), CONFIG, 5)  # 1, 2, 4 of 4, then 1 and 2 again
    small, large = {"p00": 0.5, "p01": 0.7, "p02": 0.6}, {"p00": 0.6, "p01": 0.81, "p02": 0.71}
    drawn = {1: ended(1, small), 4: ended(4, small), 2: ended(2, small), 5: ended(5, small), 3: ended(3, large)}
    assert gain_sentence(plan_, drawn, "dice").endswith(
        "the same 3 people, differences between trainings included): more people still help."
    )
    assert gain_sentence(plan_, drawn, "loss").endswith("more people still help.")
    worse = drawn | {3: ended(3, {"p00": 0.4, "p01": 0.59, "p02": 0.5})}
    assert gain_sentence(plan_, worse, "dice").endswith("more people did not help.")
    chance = drawn | {3: ended(3, {"p00": 0.4, "p01": 0.9, "p02": 0.7})}
    assert gain_sentence(plan_, chance, "dice").endswith("that may be chance.")
    once = {number: result for number, result in drawn.items() if number != 5}
    assert gain_sentence(plan_, once, "dice").endswith(
        "That says nothing yet: 2 people were drawn only once, and others may teach more or less."
    )
    assert "1 person and 2 people were drawn only once" in gain_sentence(plan_, {k: drawn[k] for k in (1, 2)}, "dice")


def test_people_needed_are_said() -> None:
    assert needed_sentence([0.8, 0.9], 0.02, "dice").startswith("51 people")
    assert "takes two" in needed_sentence([0.8], 0.02, "dice")


def test_events_of_a_study_are_read_again() -> None:
    for event in (ended(3, {"p00": 0.5}, {"p01": 0.25}), StudyMoved(1.0, "s", 2, 3, 40, 0.25, None)):
        assert event_from_line(event.to_line()) == event
