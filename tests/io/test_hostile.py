"""Awkward files of scanners, archives and other programs: each opens, opens with a doubt said, or is refused."""

from pathlib import Path

import pytest
from awkward import MANIFEST, Row, may_end, rows

from thighview.core.errors import UserError
from thighview.io.reading import inspect

_NONE = [pytest.param({}, marks=pytest.mark.skip(f"the awkward files are not here: {MANIFEST.parent}"))]


@pytest.mark.parametrize("row", [pytest.param(row, id=row["id"]) for row in rows()] or _NONE)
def test_it_ends_as_the_manifest_says(row: Row, hostile: Path) -> None:
    try:
        found = "open+warn" if inspect(hostile / row["path"]).warnings else "open"
    except UserError as error:
        assert error.message and "\n" not in str(error)
        found = "refuse"
    assert found in may_end(row)
