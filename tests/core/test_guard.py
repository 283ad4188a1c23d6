"""What is said of the made-up thighs of the guard set."""

import pytest

from thighview.core.guard import SEEDS, GuardVerdict, compare_on_guard, guard_id, guard_of
from thighview.core.labels import Label, LabelTable
from thighview.core.phantom_names import CONTRASTS, TRUTHS, group_table, phantom_lookup, phantom_part


def both(**change: float) -> GuardVerdict:
    """Old at 0.9 everywhere, new with these changes by contrast."""
    ids = [(c, guard_id(c, seed)) for c in CONTRASTS for seed in SEEDS]
    found = compare_on_guard(
        {i: {"muscle": 0.9, "fat": None} for _, i in ids},
        {i: {"muscle": 0.9 + change.get(c, 0.0), "fat": None} for c, i in ids},
    )
    assert found is not None
    return found


def test_a_point_over_all_or_two_in_one_contrast_are_lost() -> None:
    kept = both(t1=-0.01, fat_sat=0.015)
    assert not kept.lost and kept.sentence == "Nothing lost on made-up thighs: +0.1 points."
    assert [(one.label, one.people) for one in kept.contrasts] == [
        ("T1", 2), ("Dixon water", 2), ("Dixon fat", 2), ("fat\u00a0sat", 2),
    ]  # fmt: skip
    assert kept.overall.people == 8 and kept.overall.interval is None
    everywhere = both(t1=-0.03, dixon_water=-0.01, dixon_fat=-0.01)
    assert everywhere.lost and everywhere.sentence == "Lost 1.3 points on made-up thighs, most in T1 (−3.0)."
    hidden = both(t1=-0.04, fat_sat=0.06)
    assert hidden.lost and hidden.sentence == "Lost 4.0 points on made-up thighs in T1; over all +0.5."


def test_a_label_that_is_no_longer_drawn_is_lost() -> None:
    ids = [guard_id(c, seed) for c in CONTRASTS for seed in SEEDS]
    found = compare_on_guard({i: {"muscle": 0.9, "femur": 0.9} for i in ids}, {i: {"muscle": 0.95} for i in ids})
    assert found and found.lost
    assert found.sentence == "No longer draws femur on made-up thighs; what both draw: +5.0 points."


def test_nothing_is_said_without_a_label_in_common() -> None:
    name = guard_id("t1", SEEDS[0])
    assert compare_on_guard({name: {"a": 0.5}}, {name: {"b": 0.5}}) is None
    assert compare_on_guard({}, {}) is None
    assert guard_of({"subjects": []}, {"subjects": []}) is None


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ((Label(1, "muscle", "left"), Label(2, "patella")), ("muscle_left",)),
        ((Label(7, "muscle"),), ("muscle",)),
        ((Label(1, "sartorius"), Label(2, "gracilis", "left"), Label(3, "muscle")), ("sartorius", "gracilis_left")),
        ((Label(1, "outer_surface"),), ()),
    ],
)  # fmt: skip
def test_the_part_of_a_table_that_made_up_thighs_have(labels: tuple[Label, ...], wanted: tuple[str, ...]) -> None:
    part = phantom_part(LabelTable(labels))
    assert tuple(label.key for label in part) == wanted
    assert phantom_lookup(part) is not None
    for whole in (make() for make in TRUTHS.values()):
        assert phantom_part(whole) == whole


def test_a_run_finds_the_label_map_of_a_phantom_that_has_its_labels() -> None:
    for name, make in TRUTHS.items():
        table = make()
        which, values = phantom_lookup(table) or ("", None)
        assert which == name and values is not None
        assert [int(values[label.value]) for label in table] == [label.value for label in table]
    # names that two maps have: muscles before groups, as ever
    assert (phantom_lookup(LabelTable((Label(1, "sartorius"),))) or ("",))[0] == "muscles"
    which, values = phantom_lookup(LabelTable((Label(4, "vasti", "left"), Label(9, "femur")))) or ("", None)
    assert which == "groups" and values is not None
    own = {(b.name, b.side): int(values[b.value]) for b in group_table()}
    assert (own["vasti", "left"], own["vasti", "right"], own["femur", "left"], own["femur", "right"]) == (4, 0, 9, 9)
    assert phantom_lookup(LabelTable((Label(1, "vasti"), Label(2, "femur_cortex")))) is None
