"""The gate: paired, over people, and never surer than the people allow."""

import numpy as np
import pytest
from scipy import stats

from thighview.core.comparing import (
    Comparison,
    compare_models,
    paired_interval,
    paired_scores,
    points,
    scores_of,
    untold,
)
from thighview.core.promotion import Promotions
from thighview.core.split import assign
from thighview.core.student import t_975, t_point


def both(differences: dict[str, list[float]], level: float = 0.8) -> Comparison:
    people = range(len(next(iter(differences.values()))))
    old = {f"p{i}": dict.fromkeys(differences, level) for i in people}
    new = {f"p{i}": {label: level + row[i] for label, row in differences.items()} for i in people}
    return compare_models(old, new)


def test_interval_of_hand_worked_numbers() -> None:
    """Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t of 2 degrees 4.303."""
    low, high = paired_interval([1.0, 2.0, 3.0], draws=200_000) or (0, 0)
    assert (low + high) / 2 == pytest.approx(2.0)
    assert (high - low) / 2 == pytest.approx(4.303 / np.sqrt(3), rel=0.01)
    assert paired_interval([1.0, 2.0]) is None
    assert paired_interval([0.5] * 4) == (0.5, 0.5)


@pytest.mark.parametrize("degrees", [1, 2, 5, 9, 10, 11, 15, 30, 100, 1000])
def test_points_of_student(degrees: int) -> None:
    assert t_975(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), abs=1.5e-3)


@pytest.mark.parametrize("people", [3, 5, 8, 20])
@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_the_interval_holds_the_truth_as_often_as_it_says(people: int, kind: str) -> None:
    rng = np.random.default_rng([people, len(kind)])
    trials, hits = 1000, 0
    for _ in range(trials):
        drawn = rng.normal(0, 1, people) if kind == "normal" else rng.gamma(4.0, 0.5, people) - 2.0
        low, high = paired_interval(drawn.tolist(), draws=400) or (0, 0)
        hits += low <= 0 <= high
    assert hits / trials >= (0.93 if kind == "normal" else 0.90)
    assert hits / trials <= 0.98


def test_better_not_worse_worse_and_undecided() -> None:
    up, flat = [0.03, 0.04, 0.035, 0.03, 0.045], [0.001, -0.002, 0.0, 0.002, -0.001]
    found = both({"a": up, "b": up})
    assert found.verdict == "better" and found.sentence.startswith("Better: Dice +3.6 points over all labels (95 % ")
    assert both({"a": flat}).verdict == "not worse"
    down = both({"a": [-x for x in up]})
    assert down.verdict == "worse" and down.sentence.startswith("Worse: Dice −3.6 points")
    hidden = both({"a": up, "sartorius_left": [-0.01, -0.012, -0.011, -0.01, -0.012]})
    assert hidden.verdict == "worse" and hidden.sentence.startswith("Worse on sartorius left: −1.1 points"), (
        "a label that has become worse is not outweighed by another"
    )
    wild = both({"a": [0.3, -0.2, 0.25]})
    assert wild.verdict == "undecided" and wild.sentence.startswith("Too few locked people to say: Dice +11.7")
    noisy = both({"a": [0.001, 0.0, 0.002], "b": [0.001] * 3, "c": [0.03, -0.04, 0.02], "d": [-0.03, 0.05, -0.02]})
    assert noisy.verdict == "undecided" and "to say for d, c. " in noisy.sentence


def test_a_hopeful_mean_of_few_people_is_no_verdict() -> None:
    assert both({"a": [0.2, 0.2]}).verdict == "too few"
    assert "2 locked people are too few, it needs 3" in both({"a": [0.2, 0.2]}).sentence
    assert both({"a": [0.2]}).sentence == (
        "The gate cannot decide: 1 locked person is too few, it needs 3. With about 13 more people it has them: one in "
        "7 is locked away."
    )
    nobody = compare_models({}, {})
    assert nobody.sentence == (
        "The gate cannot decide: there is nobody to compare them on. The first person is locked away at 8 people; 3, "
        "as many as it needs, are at about 21."
    )
    assert (nobody.overall, nobody.people) == (None, ())


def test_about_so_many_people_as_it_says_lock_three_away() -> None:
    """The mean over 200 projects of the number of people at which the third is locked away."""
    needed: list[int] = []
    for salt in range(200):
        parts = assign([f"p{i}" for i in range(90)], bytes([salt] * 16), {})
        needed.append([n for n, part in enumerate(parts.values(), 1) if part == "test"][2])
    assert sum(needed) / 200 == pytest.approx(21, abs=1.5)


def test_the_same_model_twice_is_not_worse() -> None:
    found = both({"a": [0.0] * 4})
    assert found.verdict == "not worse" and "Dice 0.0 points" in found.sentence
    assert found.overall is not None and found.overall.interval == (0.0, 0.0)


def test_people_are_paired_sorted_and_left_out_where_trained_on() -> None:
    old = {"a": {"x": 0.8, "y": 0.6}, "b": {"x": 0.9, "y": None}, "c": {"x": 0.7, "y": 0.7}, "only old": {"x": 0.1}}
    new = {"a": {"x": 0.9, "y": 0.4}, "b": {"x": 0.95, "y": 0.0}, "c": {"x": 0.9, "z": 1.0}, "only new": {"x": 1.0}}
    found = compare_models(old, new, {"c"})
    assert found.left_out == ("c",)
    assert [p.subject for p in found.people] == ["b", "a"]
    # b has no y: the old model rightly draws none (1), the new one draws it (0)
    assert (found.people[0].old, found.people[0].new) == pytest.approx((0.95, 0.475))
    assert found.people[1].difference == pytest.approx(-0.05)
    y = next(one for one in found.labels if one.label == "y")
    assert (y.people, y.old, y.new, y.interval) == (2, pytest.approx(0.8), pytest.approx(0.2), None)


def test_what_evaluate_says_is_understood() -> None:
    rows = [
        {"id": "a", "seen_in_training": False, "labels": {"x": {"dice": 0.5, "hd95_mm": 1.0}}},
        {"id": "b", "seen_in_training": True, "labels": {"x": {"dice": None}}},
    ]
    assert scores_of({"subjects": rows}) == ({"a": {"x": 0.5}, "b": {"x": None}}, {"b"})


def test_points_have_a_sign_and_no_minus_nought() -> None:
    assert [points(x) for x in (0.0123, -0.0123, -0.0001, 0.0)] == ["+1.2", "−1.2", "0.0", "0.0"]


def test_promoting_holding_and_rolling_back() -> None:
    none = Promotions()
    assert (none.active, none.earlier, none.state_of("a")) == ("", "", "candidate")
    first = none.promoted("b", instead_of="a")
    assert (first.active, first.earlier) == ("b", "a")
    held = first.holding("c").holding("b")
    assert [held.state_of(w) for w in "abcd"] == ["candidate", "active", "held", "candidate"]
    third = held.promoted("c", instead_of="x")
    assert (third.active, third.earlier, third.held) == ("c", "b", frozenset())
    back = third.rolled_back()
    assert (back.active, back.earlier, back.state_of("c")) == ("b", "a", "held")
    assert back.rolled_back().rolled_back().active == "a", "there is no way back behind the first"
    assert third.promoted("c") == third
    assert Promotions.from_json(third.to_json()) == third
    assert Promotions.from_json([]) == Promotions.from_json({"line": [1, ""], "held": "x"}) == none


def test_why_nobody_is_left_to_compare_on_is_said_as_it_is() -> None:
    scores = {"a": {"x": 0.8}, "b": {"x": 0.9}}
    trained = compare_models(scores, scores, {"a", "b"})
    assert (trained.verdict, trained.overall) == ("too few", None)
    assert trained.sentence == (
        "The gate cannot decide: each of the 2 people here trained one of the two models, or chose its best epoch."
    )
    strangers = compare_models(scores, {"a": {"y": 0.8}, "b": {"y": 0.9}})
    assert "no label in common" in strangers.sentence
    assert "nobody to compare them on" in compare_models({}, {}).sentence


def test_a_model_that_has_lost_a_label_is_never_better() -> None:
    people = [f"p{i}" for i in range(5)]
    old = {p: {"muscle_left": 0.9, "gracilis_left": 0.9, "gluteus": None} for p in people}
    new = {p: {"muscle_left": 0.93} for p in people}
    found = compare_models(old, new)
    assert (found.verdict, found.lost) == ("undecided", ("gracilis_left",))
    assert found.sentence.startswith("It no longer draws gracilis left, as the old model does. On what both draw: ")
    assert compare_models(new, old).lost == ()
    worse = compare_models(old, {p: {"muscle_left": 0.8} for p in people})
    assert worse.verdict == "worse" and "no longer draws" in worse.sentence


def test_of_many_labels_one_is_not_called_worse_by_chance() -> None:
    """20 labels, 6 people, two equally good models: fewer than 1 in 12 comparisons finds a label worse."""
    rng = np.random.default_rng(5)
    labels, called = [f"l{i}" for i in range(20)], 0
    for _ in range(60):
        drawn = rng.normal(0.0, 0.02, (6, 20))
        called += both({name: drawn[:, i].tolist() for i, name in enumerate(labels)}).verdict == "worse"
    assert called <= 5
    down = {name: rng.normal(0.01, 0.003, 6).tolist() for name in labels}
    found = both(down | {"l7": [-0.06, -0.07, -0.055, -0.06, -0.065, -0.06]})
    assert found.verdict == "worse" and found.sentence.startswith("Worse on l7: −6.2 points")


def test_a_label_that_chance_may_have_lowered_is_told() -> None:
    up = {f"l{i}": [0.03, 0.04, 0.035, 0.03, 0.045] for i in range(19)}
    found = both(up | {"low": [-0.01, -0.03, -0.02, -0.005, -0.02]})
    assert found.verdict == "better" and "no label is" not in found.sentence
    assert found.sentence.endswith("Lower, as chance makes some of 20 labels: low.")


def test_no_label_is_called_unharmed_that_reads_lower() -> None:
    up, mixed = [0.05] * 8, [-0.05, 0.01] * 4
    found = both({"a": up, "left_b": mixed})
    assert found.verdict == "better"
    assert found.sentence.endswith(", and no label is surely worse; lower within chance: left b −2.0.")
    assert both({"a": up, "b": up}).sentence.endswith(", and no label is surely worse.")


@pytest.mark.parametrize("degrees", [2, 5, 30])
@pytest.mark.parametrize("probability", [0.9, 0.975, 0.99875])
def test_any_point_of_student(degrees: int, probability: float) -> None:
    assert t_point(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-6)


def test_models_of_untold_training_are_named() -> None:
    results = [{"model": "a", "training_told": False}, {"model": "b", "training_told": True}, {"model": "c"}]
    assert untold(*results) == ("a",)
    scores = {f"p{i}": {"x": 0.8} for i in range(4)}
    assert compare_models(scores, scores, untold=("a",)).sentence.endswith(
        "Whom a trained on is not known: these people may be among them, and the score flatter."
    )


def test_cases_of_a_person_are_paired_one_by_one() -> None:
    """On the second visit nothing is to be drawn: the old model draws a stray voxel there, the new one rightly none."""

    def result(first: float, second: float | None, mean: float, **more: object) -> dict[str, object]:
        row = {
            "id": "p", "seen_in_training": False, "labels": {"x": {"dice": mean}},
            "by_case": [{"x": first}, {"x": second}], **more,
        }  # fmt: skip
        return {"subjects": [row]}

    old, new, known = paired_scores(result(0.42, None, 0.42), result(0.9, 0.0, 0.45))
    assert (old["p"]["x"], new["p"]["x"]) == pytest.approx((0.45, 0.71)) and known == set()
    _, _, known = paired_scores(result(0.4, None, 0.4, chosen_on=True), result(0.9, 0.0, 0.45))
    assert known == {"p"}
