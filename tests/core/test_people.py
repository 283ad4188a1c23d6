from thighview.core.people import mean_of, score_of, values_of
from thighview.core.run import PersonScores

ONE = PersonScores("a", 0.4, 0.9, (0.8, None, 0.6), (0.1, None, 0.3), (0.99, None, 0.97))
OTHER = PersonScores("b", None, 0.7, (None, None, 0.2))


def test_a_label_is_told_by_its_place_and_all_labels_together_by_none() -> None:
    assert [score_of(ONE, metric) for metric in ("loss", "accuracy", "dice")] == [0.4, 0.9, 0.7]
    assert [score_of(ONE, metric, 2) for metric in ("loss", "accuracy", "dice")] == [0.3, 0.97, 0.6]
    assert score_of(ONE, "dice", 1) is None
    assert score_of(OTHER, "loss", 0) is None, "older runs do not have it"
    assert score_of(ONE, "dice", 9) is None


def test_people_without_a_value_are_left_out() -> None:
    assert values_of((ONE, OTHER), "loss") == [0.4]
    assert values_of((ONE, OTHER), "dice", 2) == [0.6, 0.2]
    assert mean_of((ONE, OTHER), "dice", 2) == 0.4
    assert mean_of((ONE, OTHER), "dice", 1) is None
