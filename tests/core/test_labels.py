"""Label tables: what is joined stays apart, in the mask and in the file."""

from hypothesis import given
from hypothesis import strategies as st

from thighview.core.labels import PALETTE, Label, LabelTable
from thighview.core.phantom_names import TRUTHS

_LABELS = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from("abcdefgh"), st.integers(1, 40)),
    max_size=8,
    unique_by=(lambda row: row[0], lambda row: row[1], lambda row: row[2]),
).map(lambda rows: LabelTable(tuple(Label(value, name, file_id=file_id) for value, name, file_id in rows)))


@given(_LABELS, _LABELS)
def test_labels_of_joined_tables_never_share_a_number(table: LabelTable, other: LabelTable) -> None:
    joined, values = table.joined(other)
    assert len({label.file_id for label in joined}) == len(joined)
    assert all(joined.get(label.value) == label for label in table)
    for label in other:
        found = joined.get(values[label.value])
        assert found and found.key == label.key
    assert len(set(values.values())) == len(other)


@given(_LABELS)
def test_a_new_label_takes_no_number_of_another(table: LabelTable) -> None:
    value = table.free_value()
    more = table.with_label(Label(value, "new"))
    assert len(more) == len(table) + 1
    assert len({label.file_id for label in more}) == len(more)


def test_a_model_joins_a_mask_whose_numbers_are_its_own() -> None:
    mask = LabelTable.from_ids([1, 2, 13])
    joined, values = mask.joined(LabelTable((Label(1, "fat"), Label(2, "muscle"))))
    assert values == {1: 3, 2: 4}
    assert [(label.value, label.file_id) for label in joined] == [(1, 1), (2, 2), (3, 3), (4, 4), (13, 13)]


def test_a_side_in_the_name_is_the_same_label_as_a_side_beside_it() -> None:
    table, other = LabelTable((Label(3, "femur_left"),)), LabelTable((Label(1, "femur", "left"), Label(2, "femur")))
    joined, values = table.joined(other)
    assert values == {1: 3, 2: 2} and joined.get(3) == table.get(3) and len(joined) == 2
    assert other.joined(table)[1] == {3: 1}
    assert table.merged([("femur", "left")]) == table


def test_a_full_table_takes_a_label_whose_numbers_are_free() -> None:
    table = LabelTable(tuple(Label(value, f"l{value}") for value in range(1, 255)))
    joined, values = table.joined(LabelTable((Label(255, "last", file_id=300),)))
    assert values == {255: 255} and joined.get(255) == Label(255, "last", "", joined.labels[-1].colour, 300)
    full = LabelTable(tuple(Label(value, f"l{value}", file_id=255 if value == 1 else 0) for value in range(1, 255)))
    joined, values = full.joined(LabelTable((Label(255, "last", file_id=1),)))
    assert values == {255: 255} and joined.labels[-1].file_id == 1


def test_the_right_side_is_deeper_where_both_have_one_colour() -> None:
    left, right = Label(1, "muscle", "left", (100, 50, 0)), Label(2, "muscle", "right", (100, 50, 0))
    table = LabelTable((left, right))
    assert table.shown_colour(left) == (100, 50, 0)
    shown = table.shown_colour(right)
    assert max(shown) < max(right.colour), "darker"
    assert min(shown) / max(shown) <= min(right.colour) / max(right.colour), "and never paler"
    assert tuple(table.lookup_rgba()[2, :3]) == table.shown_colour(right)
    assert table.to_json()[1]["colour"] == [100, 50, 0]
    assert table.recoloured(2, (0, 0, 200)).lookup_rgba()[2, 2] == 200


def test_labels_are_matched_whatever_joins_their_words_and_two_of_a_file_stay_two() -> None:
    table = LabelTable((Label(1, "vastus_lateralis", "left"), Label(2, "femur", file_id=40)))
    other = LabelTable((Label(1, "Femur"), Label(5, "Vastus lateralis", "left"), Label(6, "vastus_lateralis", "right")))
    joined, values = table.joined(other)
    assert values == {1: 2, 5: 1, 6: 6} and [b.name for b in joined][:2] == ["vastus_lateralis", "femur"]
    assert joined.get(2) == table.get(2), "the number in the file stays that of the case"
    twins = LabelTable((Label(1, "Femur"), Label(2, "femur"), Label(3, "FEMUR")))
    joined, values = table.joined(twins)
    assert values[2] == 2 and len(set(values.values())) == 3 and len(joined) == 4
    both = LabelTable((Label(1, "A b"), Label(2, "a_b")))
    assert both.like("a-b") is None and both.like("a_b") == both.get(2)


def test_labels_of_a_second_model_have_colours_of_their_own_the_same_on_both_sides() -> None:
    groups, tissues = TRUTHS["groups"](), TRUTHS["tissues"]()
    for first, second in ((groups, tissues), (tissues, groups)):
        joined, values = first.joined(second)
        assert {b.key: b.colour for b in first}.items() <= {b.key: b.colour for b in joined}.items()
        assert len({(b.name, b.colour) for b in joined}) == len({b.name for b in joined}), "one name, one colour"
        assert len({b.colour for b in joined}) == len({b.name for b in joined}), "no two names alike"
        assert all((own := joined.get(values[b.value])) and own.colour == b.colour for b in second), (
            "which nothing else has"
        )


def test_a_label_whose_colour_is_taken_gets_one_of_the_palette_far_from_the_others_on_both_sides() -> None:
    taken = LabelTable((Label(1, "a", colour=PALETTE[0]), Label(2, "b", colour=PALETTE[1])))
    sides = LabelTable(tuple(Label(v, "c", side, PALETTE[0]) for v, side in ((1, "left"), (2, "right"))))
    joined, values = taken.joined(sides)
    left, right = (joined.get(values[v]) for v in (1, 2))
    assert left and right and left.colour == right.colour and left.colour in PALETTE[2:]
    assert all(sum((x - y) ** 2 for x, y in zip(left.colour, c, strict=True)) > 100**2 for c in PALETTE[:2])
