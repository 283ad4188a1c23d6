"""Awkward files of scanners, archives and other programs: each opens, opens with a doubt said, or is refused."""

import csv
from pathlib import Path

import pytest

from thighview.core.errors import UserError
from thighview.io.reading import inspect

_MANIFEST = Path(__file__).parents[3] / "shared" / "hostile" / "manifest.csv"
_NOWHERE = "images that do not say where they lie are refused"
NOT_YET = {
    "d124": _NOWHERE,
    "d142": _NOWHERE,
    "d148": "a single slice that does not say how thick it is opens with that doubt",
    "d151": _NOWHERE,
}
"""What is not as the manifest wants it, and why."""


def rows() -> list[object]:
    if not _MANIFEST.is_file():
        return [pytest.param({}, marks=pytest.mark.skip(f"the awkward files are not here: {_MANIFEST.parent}"))]
    with _MANIFEST.open(newline="") as file:
        return [
            pytest.param(
                row,
                id=row["id"],
                marks=[pytest.mark.xfail(strict=True, reason=NOT_YET[row["id"]])] if row["id"] in NOT_YET else [],
            )
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("row", rows())
def test_it_ends_as_the_manifest_says(row: dict[str, str], hostile: Path) -> None:
    either = {"or refuse": ("refuse",), "or open": ("open", "open+warn")}
    also = [end for words, ends in either.items() if words in row["expected_detail"] for end in ends]
    try:
        found = "open+warn" if inspect(hostile / row["path"]).warnings else "open"
    except UserError as error:
        assert error.message and "\n" not in str(error)
        found = "refuse"
    assert found in (row["expected"], *also)
