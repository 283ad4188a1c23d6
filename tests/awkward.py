"""The list of awkward files, and how each of them may end."""

import csv
from pathlib import Path

MANIFEST = Path(__file__).parents[2] / "shared" / "hostile" / "manifest.csv"
DOUBTED = ("d104", "d124", "d142")
"""What the manifest wants open, and what opens with a doubt that must be said: it does not tell where it lies."""

Row = dict[str, str]


def rows() -> list[Row]:
    """One for each file; none where the files are not here."""
    if not MANIFEST.is_file():
        return []
    with MANIFEST.open(newline="") as file:
        return list(csv.DictReader(file))


def may_end(row: Row) -> set[str]:
    """Of ``open``, ``open+warn`` and ``refuse``, those that are right."""
    either = {"or refuse": ("refuse",), "or open": ("open", "open+warn"), "or warn": ("open", "open+warn")}
    also = {end for words, ends in either.items() if words in row["expected_detail"] for end in ends}
    return {row["expected"]} | also | ({"open+warn"} if row["id"] in DOUBTED else set())
