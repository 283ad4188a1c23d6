"""What there is to learn: what is painted, and the other side of it where both legs are."""

import numpy as np
import pytest

from thighview.core.case import Case
from thighview.core.labels import Label, LabelTable
from thighview.core.painted import painted_labels
from thighview.core.review import SliceReview, SliceState
from thighview.engine.starting import is_sided

TABLE = LabelTable(
    tuple(Label(v, name, side) for v, (name, side) in enumerate(
        [("vasti", "left"), ("vasti", "right"), ("gracilis", "left"), ("gracilis", "right"), ("femur", "")], 1
    ))
)  # fmt: skip


def _case(*values: int) -> Case:
    labels = np.zeros((1, 4, 8), np.uint8)
    labels[0, 0, : len(values)] = values
    return Case(1, "a", "a", [], labels, TABLE, [SliceReview(SliceState.DRAWN)])


@pytest.mark.parametrize(
    ("values", "learnt", "left_out"),
    [
        ((1, 2, 3), {1, 2, 3, 4}, {"Femur"}),
        ((1, 3), {1, 3}, {"Vasti R", "Gracilis R", "Femur"}),
        ((1, 2), {1, 2}, {"Gracilis L", "Gracilis R", "Femur"}),
        ((1, 4, 5), {1, 2, 3, 4, 5}, set()),
    ],
)
def test_the_other_side_comes_along_where_both_legs_are_painted_on(
    values: tuple[int, ...], learnt: set[int], left_out: set[str]
) -> None:
    table, others = painted_labels([_case(*values)])
    assert {label.value for label in table} == learnt
    assert set(others) == left_out


def test_a_label_that_no_case_has_on_the_other_side_gets_one_there() -> None:
    case = _case(1, 2, 6)
    case.table = TABLE.with_label(Label(6, "tumour", "left", (1, 2, 3)))
    table, _ = painted_labels([case])
    assert is_sided(table)
    twin = table.find("tumour", "right")
    assert twin and twin.value not in (1, 2, 6) and twin.colour == (1, 2, 3)


def test_one_label_whose_side_stands_in_its_name_elsewhere_is_one() -> None:
    first, second = _case(1), _case(1)
    second.table = LabelTable((Label(1, "vasti_left"),))
    assert [label.key for label in painted_labels([first, second])[0]] == ["vasti_left"]


def test_a_mask_of_255_is_learnt_under_another_number() -> None:
    case = _case(255, 255)
    case.table = LabelTable.from_ids([255])
    table, _ = painted_labels([case])
    assert [(label.value, label.name) for label in table] == [(1, case.table.labels[0].name)]
