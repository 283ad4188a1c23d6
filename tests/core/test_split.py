"""Parts: by person, for good, in the promised shares."""

import os
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from thighview.core import split

SALT = bytes(range(16))
names = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=40)
salts = st.binary(min_size=16, max_size=16)


@given(names, names, salts)
def test_what_is_made_never_changes(first, more, salt):
    made = split.assign(first, salt, {})
    later = split.assign(more, salt, made)
    assert made.items() <= later.items()
    assert later.keys() == set(first) | set(more)
    assert set(later.values()) <= set(split.PARTS)


@given(names, salts)
def test_the_order_asked_in_does_not_matter(subjects, salt):
    assert split.assign(subjects, salt, {}) == split.assign(reversed(subjects), salt, {})


@given(st.integers(0, 30), salts)
def test_who_gets_a_first_subject_when(number, salt):
    made: dict[str, str] = {}
    for i in range(number):
        made = split.assign([f"person {i}"], salt, made)
    count = Counter(made.values())
    assert count["train"] >= min(number, 2)
    assert (count["validation"] >= 1) == (number >= 3)
    assert (count["test"] >= 1) == (number >= 8)
    assert split.assign([f"person {i}" for i in range(number)], salt, {}).keys() == made.keys()


@given(names.filter(lambda n: len(n) >= 8), salts)
def test_all_at_once_gives_the_same_guarantees(subjects, salt):
    count = Counter(split.assign(subjects, salt, {}).values())
    assert min(count[p] for p in split.PARTS) >= 1


def test_the_shares_are_70_15_15():
    count = Counter(split.assign((f"s{i}" for i in range(4000)), SALT, {}).values())
    assert abs(count["train"] / 4000 - 0.70) < 0.03
    assert abs(count["validation"] / 4000 - 0.15) < 0.02
    assert abs(count["test"] / 4000 - 0.15) < 0.02


def test_another_salt_gives_another_split():
    subjects = [f"s{i}" for i in range(200)]
    assert split.assign(subjects, SALT, {}) != split.assign(subjects, os.urandom(16), {})


def test_the_rule_is_frozen():
    """Changing the hash would move people of existing projects between parts."""
    assert round(split.share_of("HV001", SALT), 6) == FROZEN


FROZEN = 0.348775
