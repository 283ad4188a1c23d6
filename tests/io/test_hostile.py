"""Awkward files of scanners, archives and other programs: each opens, opens with a doubt said, or is refused."""

import csv
from pathlib import Path

import pytest

from thighview.core.errors import UserError
from thighview.io.reading import inspect

_MANIFEST = Path(__file__).parents[3] / "shared" / "hostile" / "manifest.csv"
NOT_YET = {
    "n026": "pairs of .hdr and .img are not read yet",
    "o080": "NRRD is not read yet",
}
"""What is not as the manifest wants it, and why."""
DOUBTED = ("d104", "d124", "d142")
"""What the manifest wants open, and what opens with a doubt that must be said: it does not tell where it lies."""


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
    may_be = {row["expected"], *(["refuse"] if "or refuse" in row["expected_detail"] else [])}
    may_be |= {"open+warn"} if row["id"] in DOUBTED else set()
    try:
        found = "open+warn" if inspect(hostile / row["path"]).warnings else "open"
    except UserError as error:
        assert error.message and "\n" not in str(error)
        found = "refuse"
    assert found in may_be
