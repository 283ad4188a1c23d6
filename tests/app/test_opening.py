"""Whose a scan is that was opened on its own, where nothing but its file says so."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from thighview.app.opening import case_of, read_scan
from thighview.core.volume import Volume
from thighview.io.images import write_volume
from thighview.io.project import Project


def test_a_file_of_the_same_name_in_another_folder_is_another_person_and_it_is_said(
    tmp_path: Path, tiny_volume: Volume
) -> None:
    for n, folder in enumerate(("x", "y")):
        (tmp_path / folder).mkdir()
        volume = replace(tiny_volume, voxels=tiny_volume.voxels + tiny_volume.voxels.dtype.type(n))
        write_volume(tmp_path / folder / "water.nii.gz", volume)
    with closing(Project.create(tmp_path / "p")) as project:
        cases = [case_of(project, read_scan(tmp_path / folder / "water.nii.gz")) for folder in ("x", "y")]
        assert [case.subject for case in cases] == ["water", "water (y)"] == list(project.subjects())
        assert cases[0].warnings == () and "another person, water (y)" in cases[1].warnings[0]
        again = case_of(project, read_scan(tmp_path / "y" / "water.nii.gz"))
        assert (again.case_id, again.warnings) == (cases[1].case_id, ())
