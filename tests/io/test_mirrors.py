"""What the plain copies of masks are called: no two alike, and short enough for every file system."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import strokes

from thighview.core.case import Case
from thighview.io.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with closing(Project.create(tmp_path / "p")) as project:
        yield project


def test_a_long_title_in_any_script_has_a_mirror(project: Project) -> None:
    ids = [project.add_case(titled("肌" * 90 + end)) for end in ("a", "b")]
    paths = [project.write_mirror(case_id) for case_id in ids]
    assert len(set(paths)) == 2 and all(path.name.startswith("肌" * 60) and path.is_file() for path in paths)


@pytest.mark.parametrize("titles", [("...", "case_1"), ("case_2", "..", ". .")])
def test_a_title_of_no_letters_shares_no_mirror_with_what_is_called_like_its_case(
    project: Project, titles: tuple[str, ...]
) -> None:
    ids = [project.add_case(titled(title)) for title in titles]
    assert len({project.write_mirror(case_id) for case_id in ids}) == len(titles)
    project.remove_case(ids[0])
    paths = {project.write_mirror(case_id).name for case_id in ids[1:]}
    assert {path.name for path in (project.folder / "masks").glob("*.nii.gz")} == paths


def titled(title: str) -> Case:
    case = strokes.new_case()
    case.title = title
    return case
