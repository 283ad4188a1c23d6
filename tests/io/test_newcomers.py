"""Whom an import takes for whom: persons of other folders stay others, and nobody is trained on who is locked away."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.volume import Volume
from thighview.io.export_wish import ExportWish
from thighview.io.exporting import export
from thighview.io.images import write_volume
from thighview.io.importing import import_cases
from thighview.io.masks import write_mask
from thighview.io.project import Project
from thighview.io.subjects import subject_of


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with closing(Project.create(tmp_path / "project")) as project:
        yield project


def write_pair(image: Path, mask: Path, volume: Volume, seed: int) -> None:
    """A scan that no other seed has, and a mask over all of it."""
    image.parent.mkdir(parents=True, exist_ok=True)
    mask.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 999, volume.shape).astype(np.int16)
    write_volume(image, replace(volume, voxels=voxels))
    write_mask(mask, np.ones(volume.shape, np.uint8), LabelTable((Label(1, "muscle"),)), volume)


def write_raw(folder: Path, volume: Volume, seed: int, learning: list[str], locked: list[str] | None = None) -> Path:
    """A raw folder of nnU-Net as others make it."""
    for part, names in (("Tr", learning), ("Ts", locked or [])):
        for name in names:
            seed += 1
            image = folder / f"images{part}" / f"{name}_0000.nii.gz"
            write_pair(image, folder / f"labels{part}" / f"{name}.nii.gz", volume, seed)
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "muscle": 1}}))
    return folder


def people(project: Project) -> list[tuple[str, str, str]]:
    """Where each case lies, whose it is and its part, in the order in which they came."""
    rows = sorted(project.cases(), key=lambda row: row.case_id)
    return [(row.path.parent.parent.name, row.subject, row.part) for row in rows]


def test_cases_of_two_nnunet_folders_that_are_called_alike_are_of_several_persons(
    project: Project, tmp_path: Path, tiny_volume: Volume
) -> None:
    import_cases(project, write_raw(tmp_path / "Dataset001", tiny_volume, 0, ["case_001", "case_002"]))
    project.assign_parts(["case_001"])
    assert project.subjects() == {"case_001": "train", "case_002": ""}
    second = write_raw(tmp_path / "Dataset002", tiny_volume, 10, ["case_002", "case_003"], ["case_001"])
    done = import_cases(project, second)
    assert people(project)[2:] == [
        ("Dataset002", "case_002 (Dataset002)", ""), ("Dataset002", "case_003", ""),
        ("Dataset002", "case_001 (Dataset002)", "test"),
    ]  # fmt: skip
    assert "case_002 (Dataset002), case_001 (Dataset002)" in done.notes[-1] and "one person" in done.notes[-1]
    assert project.subjects()["case_001"] == "train"


def test_a_locked_person_is_never_taken_in_among_those_who_train(
    project: Project, tmp_path: Path, tiny_volume: Volume
) -> None:
    import_cases(project, write_raw(tmp_path / "Dataset001", tiny_volume, 0, ["sub-01_a"]))
    locked = write_raw(tmp_path / "Dataset002", tiny_volume, 10, ["sub-02_a"], ["sub-01_b"])
    import_cases(project, locked)
    assert project.subjects() == {"sub-01": "test", "sub-02": ""}, "nobody had decided on a part yet"
    project.assign_parts(["sub-02"])
    with pytest.raises(UserError, match="sub-02 is in the locked test of what is taken in, but in the part train"):
        import_cases(project, write_raw(tmp_path / "Dataset003", tiny_volume, 20, ["sub-03_a"], ["sub-02_b"]))
    assert len(project.cases()) == 3 and "sub-03" not in project.subjects()


def test_an_export_of_another_project_brings_its_persons_apart_and_its_own_comes_back_to_them(
    project: Project, tmp_path: Path, tiny_volume: Volume
) -> None:
    write_pair(tmp_path / "x" / "water.nii.gz", tmp_path / "x" / "water_seg.nii.gz", tiny_volume, 1)
    write_pair(tmp_path / "y" / "water.nii.gz", tmp_path / "y" / "water_seg.nii.gz", tiny_volume, 2)
    write_pair(tmp_path / "y" / "sub-01.nii.gz", tmp_path / "y" / "sub-01_seg.nii.gz", tiny_volume, 3)
    import_cases(project, tmp_path / "x")
    with closing(Project.create(tmp_path / "other")) as other:
        import_cases(other, tmp_path / "y")
        export(other, tmp_path / "theirs", ExportWish("nnunet"))
    export(project, tmp_path / "ours", ExportWish("nnunet"))
    import_cases(project, tmp_path / "theirs")
    import_cases(project, tmp_path / "ours")
    found = [(place, subject) for place, subject, _ in people(project)[1:]]
    assert sorted(found) == [("ours", "water"), ("theirs", "sub-01"), ("theirs", "water (theirs)")]


def test_images_of_one_name_in_several_folders_are_of_several_persons(
    project: Project, tmp_path: Path, tiny_volume: Volume
) -> None:
    for seed, folder in enumerate(("x", "y", "copy")):
        write_pair(tmp_path / folder / "water.nii.gz", tmp_path / folder / "water_seg.nii.gz", tiny_volume, seed % 2)
        done = import_cases(project, tmp_path / folder)
        assert any("water (y)" in note for note in done.notes) is (folder == "y")
    rows = {row.path.parent.name: row.subject for row in project.cases()}
    assert rows == {"x": "water", "y": "water (y)", "copy": "water"}


@pytest.mark.parametrize("form", ["nnunet", "pairs"])
def test_other_scans_in_the_place_of_those_of_the_project_are_taken_in(
    project: Project, tmp_path: Path, tiny_volume: Volume, form: str
) -> None:
    folder = tmp_path / "there"
    for seed in (0, 0, 10):
        if form == "nnunet":
            write_raw(folder, tiny_volume, seed, ["a", "b"])
        else:
            write_pair(folder / "a.nii.gz", folder / "a_seg.nii.gz", tiny_volume, seed)
            write_pair(folder / "b.nii.gz", folder / "b_seg.nii.gz", tiny_volume, seed + 1)
        done = import_cases(project, folder)
        assert ("2 of the scans are in the project already" in str(done)) is (not done.cases)
        assert ("2 of the scans were opened before when their files were others" in str(done)) is (seed == 10)
    assert [row.subject for row in project.cases()] == ["a", "a (there)", "b", "b (there)"]
    assert len(project.hashes()) == len(set(project.hashes().values())) == 4


@pytest.mark.parametrize("form", ["nnunet", "npz"])
def test_a_person_of_dicom_files_whom_another_project_names_is_pointed_out(
    project: Project, tmp_path: Path, tiny_volume: Volume, form: str
) -> None:
    write_pair(tmp_path / "x" / "water.nii.gz", tmp_path / "x" / "water_seg.nii.gz", tiny_volume, 1)
    with closing(Project.create(tmp_path / "other")) as other:
        import_cases(other, tmp_path / "x")
        (row,) = other.cases()
        hashed = subject_of(tmp_path / "scan.dcm", "PAT-1", other.salt)
        other.set_subject(row.case_id, hashed)
        export(other, tmp_path / "out", ExportWish(form))
    done = import_cases(project, tmp_path / "out")
    assert done.notes[-1].startswith(f"{hashed}: so another project calls") and project.subjects().keys() == {hashed}
    with closing(Project.open(tmp_path / "other")) as other:
        assert not any("another project" in note for note in import_cases(other, tmp_path / "out").notes), "its own"
