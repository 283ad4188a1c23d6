"""The leak ledger: who was trained on already counts as nobody new."""

from dataclasses import dataclass
from typing import Any

import pytest

from thighview.core.leaks import Ledger, leaked_people, ledger_of, listed, slices_on_both_sides


@dataclass(frozen=True)
class Case:
    subject: str
    part: str
    sha256: str = ""
    content: str = ""


class Set:
    def __init__(self, *cases: Case, **parts: list[str]) -> None:
        self.cases = cases
        self._parts = parts

    def subjects(self, part: str) -> list[str]:
        return self._parts.get(part) or sorted({c.subject for c in self.cases if c.part == part})


def lineage(*cases: dict[str, Any], parent: dict[str, Any] | None = None) -> dict[str, Any]:
    rows = [{"part": "train", "subject": "", "sha256": ""} | case for case in cases]
    return {"run": "r", "cases": rows, "parent": parent}


GRANDPARENT = {"name": "g", "split": {"train": ["old"]}, "lineage": lineage({"subject": "deep", "sha256": "f1"})}
PARENT = {"name": "p", "split": {"train": ["p1"]}, "lineage": lineage({"content": "c1"}, parent=GRANDPARENT)}
LINEAGE = lineage({"subject": "a"}, {"subject": "v", "part": "validation", "sha256": "f2"}, parent=PARENT)


def test_every_generation_counts_and_only_what_was_trained_on() -> None:
    found = ledger_of(LINEAGE)
    assert found == Ledger(frozenset({"a", "p1", "old", "deep"}), frozenset({"f1"}), frozenset({"c1"}))
    assert not found.knows("v", "f2") and not found.knows() and found.knows(content="c1")
    assert ledger_of(None, {"train": ["x", 3]}).subjects == {"x"}


@pytest.mark.parametrize(
    "odd",
    [None, {}, {"cases": "none", "parent": []}, {"cases": [1, {"part": "train"}], "parent": {"split": "3000 people"}}],
)
def test_a_card_of_another_form_knows_nobody(odd: Any) -> None:
    assert ledger_of(odd, {"train": "3000 made-up people"}) == Ledger()


def test_a_lineage_that_goes_round_in_circles_ends() -> None:
    ring: dict[str, Any] = lineage({"subject": "a"})
    ring["parent"] = {"lineage": ring}
    assert ledger_of(ring).subjects == {"a"}


def test_people_are_known_by_name_file_and_voxels() -> None:
    dataset = Set(
        Case("t", "train", "f9", "c9"),
        Case("deep", "validation", "fa"),
        Case("renamed", "validation", "f1"),
        Case("converted", "validation", "fb", "c1"),
        Case("converted", "validation", "fc", "cc"),
        Case("new", "validation", "f2", "c2"),
        Case("p1", "test"),
    )
    assert leaked_people(dataset, LINEAGE) == {"deep", "renamed", "converted"}
    assert leaked_people(dataset, None) == set()


def test_the_set_itself_is_looked_at_too() -> None:
    copied = Set(
        Case("t", "train", "f9", "c9"), Case("v", "validation", "f8", "c9"), Case("w", "validation", "f7", "c7")
    )
    assert leaked_people(copied, None) == {"v"}
    by_slice = Set(Case("t", "train"), train=["t", "u"], validation=["u", "w"])
    assert leaked_people(by_slice, None) == {"u"}
    nobody = Set(Case("t", "train"), Case("left", "validation", "f1"), validation=["phantom 1"])
    assert leaked_people(nobody, LINEAGE) == set(), "who is left out does not validate"


def test_slices_of_one_person_on_both_sides_are_said() -> None:
    assert slices_on_both_sides(Set(Case("t", "train"), Case("v", "validation"))) == ""
    said = slices_on_both_sides(Set(train=["a", "b", "c"], validation=["b", "c", "d"]))
    assert said.startswith("2 people are both trained on and validated on (b and c), of 3 who validate. ")
    assert "nothing about new people" in said
    said = slices_on_both_sides(Set(train=["a"], validation=["a"]))
    assert said.startswith("1 person is both trained on and validated on (a), the only one who validates. ")


def test_names_in_a_sentence() -> None:
    assert [listed(list("abcdefg"[:n])) for n in (0, 1, 2, 3, 7)] == [
        "", "a", "a and b", "a, b and c", "a, b, c, d, e and 2 more",
    ]  # fmt: skip
