"""A scan is a path and a part of what lies there: everything that keeps one finds the same again."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from parts_files import write_volumes

from thighview.core.case import Case
from thighview.core.errors import ScanChoice, SeveralScansError, UserError
from thighview.core.fingerprint import fingerprint
from thighview.core.labels import Label, LabelTable
from thighview.core.review import SliceReview, SliceState
from thighview.core.run import TrainConfig
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io import dataset as sets
from thighview.io.fingerprints import make_fingerprints, take_fingerprints
from thighview.io.nnunet import export_raw
from thighview.io.parts import known_parts
from thighview.io.project import Project
from thighview.io.reading import inspect, read_source, read_volume, sha256_of
from thighview.io.runs import run_folder
from thighview.io.stored_case import read_stored_case

COUNT = 3


@pytest.fixture
def volumes(tiny_volume: Volume) -> list[Volume]:
    return [
        replace(tiny_volume, voxels=(tiny_volume.voxels * (n + 1) + 7 * n).astype(np.float32)) for n in range(COUNT)
    ]


@pytest.fixture
def scan(tmp_path: Path, volumes: list[Volume]) -> Path:
    return write_volumes(tmp_path / "sub-03_dixon.nii.gz", volumes)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with closing(Project.create(tmp_path / "project")) as project:
        yield project


def add(project: Project, scan: Path, part: str) -> int:
    """A case of this part, all of it drawn."""
    case = Case.of(read_volume(scan, part), scan, sha256_of(scan, part), f"person {part}", part)
    case.table = LabelTable((Label(1, "muscle"),))
    case.labels[:, 4:20, 4:20] = 1
    case.reviews = [SliceReview(SliceState.DRAWN)] * case.labels.shape[0]
    return project.add_case(case, in_training_set=True)


def test_each_volume_of_a_file_is_a_scan(scan: Path, volumes: list[Volume]) -> None:
    with pytest.raises(SeveralScansError, match="3 volumes; one scan was expected") as caught:
        read_volume(scan)
    choices = caught.value.choices
    assert choices[1] == ScanChoice("volume 2 of 3", scan, "2", 6)
    for choice, wanted in zip(choices, volumes, strict=True):
        found = read_volume(*choice.key)
        assert np.array_equal(found.voxels, wanted.voxels) and found.same_grid(wanted)
        assert found.name == f"sub-03_dixon, {choice.title.partition(' of ')[0]}"
        source = read_source(*choice.key)
        assert (source.place, source.part) == choice.key and np.array_equal(source.volume.voxels, wanted.voxels)
    for part in ("0", "4", "02", "-1", "water", "2 "):
        with pytest.raises(UserError, match="There are 1 to 3"):
            read_volume(scan, part)
    rows = inspect(scan).to_json()["series"]
    assert rows[2] == {"name": "volume 3 of 3", "images": 6, "part": "3"} and len(rows) == COUNT


def test_a_file_of_one_volume_has_one_part(tmp_path: Path, volumes: list[Volume]) -> None:
    scan = write_volumes(tmp_path / "one.nii", volumes[:1])
    assert np.array_equal(read_volume(scan).voxels, read_volume(scan, "1").voxels)
    assert inspect(scan).to_json()["series"] == [{"name": "one", "images": 6}]
    with pytest.raises(UserError, match=r"no part '2'. There is 1"):
        read_volume(scan, "2")


def test_parts_are_named_in_a_sentence() -> None:
    def said(*names: str) -> str:
        return known_parts([ScanChoice(name, Path("a"), name) for name in names])

    assert said("1", "2") == "are 1 to 2" and said("t1") == "is 't1'" and said("t1", "t2") == "are 't1' and 't2'"
    assert said(*"abcdefghij").endswith("'h' and 2 more")


def test_no_two_parts_have_one_hash(scan: Path) -> None:
    found = {sha256_of(scan, part) for part in ("", "1", "2", "3")}
    assert len(found) == 4 and sha256_of(scan, "2") in found


def test_a_dicom_series_has_no_part_of_another_name(data: Path) -> None:
    with pytest.raises(UserError, match=r"no part '2'"):
        read_volume(data / "dicom/ge_knee_mese_echo1_MIT", "2")


def test_a_project_keeps_parts_apart(project: Project, scan: Path, volumes: list[Volume], tmp_path: Path) -> None:
    first, second = add(project, scan, "1"), add(project, scan, "2")
    assert project.find_case(scan) is None and project.find_case(scan, "3") is None
    assert (project.find_case(scan, "1"), project.find_case(scan, "2")) == (first, second)
    assert {case.case_id: case.key for case in project.cases()} == {
        first: ScanKey(scan, "1"),
        second: ScanKey(scan, "2"),
    }
    assert {case.part for case in project.cases()} == {""}, "the part of the split is another thing"
    assert project.load_case(second).series[0].key == ScanKey(scan, "2")
    assert np.array_equal(read_stored_case(project, second).volume.voxels, volumes[1].voxels)
    with closing(Project.create(tmp_path / "other")) as other:
        add(other, scan, "1")
        with pytest.raises(UserError, match=r"has a case of sub-03_dixon\.nii\.gz, part 1 already"):
            project.move_case_to(first, other)
        moved = project.move_case_to(second, other)
        assert other.load_case(moved).series[0].key == ScanKey(scan, "2")


def test_a_run_and_an_export_get_the_part_that_was_drawn_on(
    project: Project, scan: Path, volumes: list[Volume], tmp_path: Path
) -> None:
    for part in ("3", "2"):
        add(project, scan, part)
    run = run_folder(project.folder, "one")
    frozen = sets.freeze(project, run, TrainConfig())
    again = sets.read_dataset(run)
    assert again == frozen and {case.key for case in again.cases} == {ScanKey(scan, "2"), ScanKey(scan, "3")}
    for case in again.cases:
        volume, _ = sets.read_case(run, case, again.labels)
        assert np.array_equal(volume.voxels, volumes[int(case.source_part) - 1].voxels)
    export_raw(project, tmp_path / "raw")
    images = [read_volume(path).voxels for path in sorted((tmp_path / "raw").glob("images*/*.nii.gz"))]
    assert len(images) == 2
    for n in (1, 2):
        assert any(np.array_equal(image, volumes[n].voxels) for image in images)


def test_each_part_has_a_fingerprint_of_its_own(project: Project, scan: Path, volumes: list[Volume]) -> None:
    wanted = [(ScanKey(scan, part), sha256_of(scan, part)) for part in ("1", "2")]
    plain = [[str(key.path), key.part, sha256] for key, sha256 in wanted]
    assert make_fingerprints(str(project.folder), plain) == {"known": 2}
    found = take_fingerprints(project.folder, wanted)
    assert [found[sha256] for _, sha256 in wanted] == [fingerprint(volume) for volume in volumes[:2]]
