"""Several things opened at once, one series in two guises, and the demo that leaves no trace."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series
from PySide6.QtCore import QSettings
from pytestqt.qtbot import QtBot
from tiny_project import make_older

from thighview.app import demo, jobs
from thighview.app.settings import Settings
from thighview.app.tasks import Workspace
from thighview.core.case import Case
from thighview.core.errors import SeveralScansError, UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io.export_wish import ExportWish
from thighview.io.exporting import export
from thighview.io.images import write_volume
from thighview.io.paths import scratch_project
from thighview.io.project import Project
from thighview.io.subjects import subject_of

KNEE = "dicom/ge_knee_mese_echo1_MIT"


@pytest.fixture
def scans(tmp_path: Path, tiny_volume: Volume) -> list[Path]:
    paths = [tmp_path / f"sub-0{n}_t1.nii.gz" for n in (1, 2, 3)]
    for path in paths:
        write_volume(path, tiny_volume)
    return paths


def until_listed(qtbot: QtBot, workspace: Workspace, *names: str) -> None:
    qtbot.waitUntil(lambda: sorted(case.path.name for case in workspace.cases) == sorted(names), timeout=20_000)


def test_the_case_open_last_is_opened_again_unless_it_is_gone(qtbot: QtBot, scans: list[Path], tmp_path: Path) -> None:
    def started() -> Workspace:
        workspace = Workspace()
        workspace.failed.connect(lambda error: pytest.fail(str(error)))
        workspace.open_last()
        qtbot.waitUntil(lambda: workspace.project_folder is not None)
        return workspace

    workspace = started()
    workspace.new_project(tmp_path / "study")
    qtbot.waitUntil(lambda: workspace.project_folder == tmp_path / "study")
    workspace.open_paths(scans)
    until_listed(qtbot, workspace, *(path.name for path in scans))
    workspace.open_case(workspace.cases[1].case_id)
    qtbot.waitUntil(lambda: workspace.session.case is not None and workspace.session.case.subject == "sub-02")
    workspace.close()

    workspace = started()
    qtbot.waitUntil(lambda: workspace.session.case is not None)
    assert workspace.session.case and workspace.session.case.subject == "sub-02"
    workspace.close()

    workspace = started()  # what is asked for meanwhile goes first
    workspace.open_path(scans[2])
    qtbot.waitUntil(lambda: workspace.session.case is not None and workspace.session.case.subject == "sub-03")
    with qtbot.assertNotEmitted(workspace.session.case_opened, wait=300):
        pass
    workspace.close()

    scans[2].unlink()
    workspace = started()
    until_listed(qtbot, workspace, *(path.name for path in scans))
    with qtbot.assertNotEmitted(workspace.session.case_opened, wait=300):
        pass
    workspace.close()
    assert jobs.shutdown()


def test_every_path_becomes_a_case_and_the_first_is_shown(
    qtbot: QtBot, workspace: Workspace, scans: list[Path], tmp_path: Path
) -> None:
    errors: list[Exception] = []
    workspace.failed.connect(errors.append)
    bad = tmp_path / "notes.txt"
    bad.write_text("no image")
    workspace.open_paths([scans[0], bad, scans[1], tmp_path / "gone.nii", scans[2], scans[1]])
    until_listed(qtbot, workspace, *(path.name for path in scans))
    assert workspace.session.case is not None and workspace.session.case.subject == "sub-01"
    qtbot.waitUntil(lambda: len(errors) == 2)
    assert "notes.txt" in str(errors[0]) and "gone.nii" in str(errors[1])
    assert all(isinstance(error, UserError) for error in errors)


def test_files_of_every_format_become_cases_and_a_pair_is_one(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path, tiny_volume: Volume
) -> None:
    import nibabel
    import SimpleITK as sitk  # noqa: N813
    import tifffile
    from nibabel.freesurfer.mghformat import MGHImage

    voxels = tiny_volume.voxels
    affine = np.diag([-1.0, -1, 1, 1]) @ tiny_volume.affine[:, [2, 1, 0, 3]]
    for ending in ("nrrd", "mha", "mhd"):
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / f"{ending}.{ending}"))
    MGHImage(voxels.T, affine).to_filename(tmp_path / "mgz.mgz")
    nibabel.Nifti1Pair(voxels.T, affine).to_filename(tmp_path / "pair.img")
    tifffile.imwrite(tmp_path / "tif.tif", voxels, photometric="minisblack", metadata=None)
    np.savez(tmp_path / "npz.npz", image=voxels)
    workspace.failed.connect(lambda error: pytest.fail(str(error)))
    names = ["nrrd.nrrd", "mha.mha", "mhd.mhd", "mgz.mgz", "tif.tif", "npz.npz", "pair.hdr"]
    workspace.open_paths([tmp_path / name for name in ("pair.img", *names)])
    until_listed(qtbot, workspace, *names)
    assert sorted(case.title for case in workspace.cases) == sorted(name.partition(".")[0] for name in names)
    case = workspace.session.case
    assert case is not None and case.series[0].path == tmp_path / "pair.hdr"
    for summary in workspace.cases:
        workspace.open_case(summary.case_id)
        qtbot.waitUntil(lambda n=summary.case_id: workspace.session.case.case_id == n)
        assert np.array_equal(workspace.session.case.volume.voxels, voxels)
    with qtbot.waitSignal(workspace.said, check_params_cb=lambda text: "open already" in text):
        workspace.open_path(workspace.session.case.series[0].path)


def test_where_the_first_cannot_be_opened_the_next_is_shown(
    qtbot: QtBot, workspace: Workspace, scans: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "bad.nii").write_text("no image")
    with qtbot.waitSignal(workspace.failed):
        workspace.open_paths([tmp_path / "bad.nii", scans[2], scans[0]])
    until_listed(qtbot, workspace, scans[0].name, scans[2].name)
    assert workspace.session.case is not None and workspace.session.case.subject == "sub-03"


def test_scans_join_the_project_given_with_them(
    qtbot: QtBot, workspace: Workspace, scans: list[Path], tmp_path: Path
) -> None:
    for name in ("Study", "Other"):
        Project.create(tmp_path / name).close()
    with qtbot.waitSignal(workspace.failed) as refused:
        workspace.open_paths([scans[0], tmp_path / "Study", tmp_path / "Other"])
    assert "Other was left out" in str(refused.args[0])
    until_listed(qtbot, workspace, scans[0].name)
    assert workspace.project_folder == tmp_path / "Study"


def test_a_dicom_folder_and_its_files_are_one_case(
    qtbot: QtBot, workspace: Workspace, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "knee"
    shutil.copytree(data / KNEE, folder)
    files = sorted(folder.iterdir())
    workspace.open_paths([files[3], folder, *files])
    until_listed(qtbot, workspace, "knee")
    workspace.open_path(files[5])
    with qtbot.waitSignal(workspace.said, check_params_cb=lambda text: "open already" in text, timeout=20_000):
        pass
    assert [case.path for case in workspace.cases] == [folder]


def test_a_case_that_was_made_of_one_file_of_a_series_is_found_again(
    qtbot: QtBot, workspace: Workspace, data: Path, tmp_path: Path
) -> None:
    from thighview.core.case import Case
    from thighview.io.reading import read_volume

    folder = tmp_path / "knee"
    shutil.copytree(data / KNEE, folder)
    file = min(folder.iterdir())
    project = Project.create(tmp_path / "Study")
    project.add_case(Case.of(read_volume(file), file, subject="knee"))
    project.close()
    with qtbot.waitSignal(workspace.cases_changed, check_params_cb=len):
        workspace.open_path(tmp_path / "Study")
    with qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda case: case is not None, timeout=20_000):
        workspace.open_case(workspace.cases[0].case_id)
    until_listed(qtbot, workspace, file.name)


def test_two_series_of_one_folder_stay_two(tmp_path: Path, data: Path) -> None:
    import pydicom

    from thighview.io.reading import read_source

    folder = tmp_path / "both"
    shutil.copytree(data / KNEE, folder)
    first = sorted(folder.iterdir())
    for file in first:
        header = pydicom.dcmread(file)
        header.SeriesInstanceUID += ".2"
        header.save_as(folder / f"z{file.name}")
    one, other = (read_source(file) for file in (first[7], folder / f"z{first[7].name}"))
    assert one.place == other.place == folder and one.part != other.part
    assert one.files == set(first) and not one.files & other.files and not one.alone
    assert read_source(folder, one.part).files == one.files and read_source(folder, other.part).files == other.files


def old_case(project: Path, path: Path, sha256: str = "") -> int:
    """A project with a case of a series as it was made before series were told apart: by a path alone."""
    from thighview.io.reading import read_volume

    made = Project.create(project)
    case_id = made.add_case(Case.of(read_volume(path), path, sha256, subject="knee"))
    made.close()
    return case_id


def opened(qtbot: QtBot, workspace: Workspace, wish: Callable[[], object]) -> Case:
    with qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda case: case is not None, timeout=20_000):
        wish()
    case = workspace.session.case
    assert case is not None
    return case


@pytest.mark.parametrize("by_file", [False, True])
def test_a_case_from_before_series_were_told_apart_opens_whatever_came_beside_it(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path, by_file: bool
) -> None:
    from thighview.io.reading import read_source, sha256_of

    folder = write_series(tmp_path / "scan", [0, 5, 10])
    known = read_source(folder)
    old_case(tmp_path / "Study", folder / "001" if by_file else folder, sha256_of(folder))
    write_series(folder, [0, 5, 10], 10, SeriesDescription="t2", RescaleIntercept=100)  # on the very same grid
    workspace.choice_needed.connect(lambda *_: pytest.fail("nothing is to be asked: its hash tells which it is"))
    workspace.failed.connect(lambda error: pytest.fail(str(error)))
    with qtbot.waitSignal(workspace.cases_changed, check_params_cb=len):
        workspace.open_path(tmp_path / "Study")
    case = opened(qtbot, workspace, lambda: workspace.open_case(workspace.cases[0].case_id))
    assert case.volume.voxels[:, 0, 0].tolist() == [0, 1, 2]
    assert case.series[0].key == (folder, known.part), "from now on it is known by its own content"
    qtbot.waitUntil(lambda: workspace.cases[0].key == (folder, known.part))
    workspace.open_path(folder / "011")
    qtbot.waitUntil(lambda: len(workspace.cases) == 2)
    assert workspace.session.case is not None and workspace.session.case.title == "t2"
    again = opened(qtbot, workspace, lambda: workspace.open_path(folder / "002"))
    assert again.case_id == case.case_id and len(workspace.cases) == 2


T2 = {"SeriesDescription": "t2", "RescaleIntercept": 100}


def drawn_of_format_2(folder: Path, scan: Path, subject: str = "knee") -> int:
    """A project of an older program with a case of all that lies there, something drawn on it, its hash not known."""
    from thighview.io.reading import read_volume

    with closing(Project.create(folder)) as project:
        case = Case.of(read_volume(scan), scan, "", subject)
        case.table, case.labels[1, :2, :3] = LabelTable((Label(1, "muscle"),)), 1
        if not subject:
            case.subject = subject_of(scan, "P-17", project.salt)
        case_id = project.add_case(case)
    make_older(folder)
    return case_id


@pytest.mark.parametrize("other", [T2, {"ImagePositionPatient": tuple([-10, -20, 5 * z + 1] for z in range(3))}])
def test_an_old_case_without_a_hash_opens_with_its_own_series(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path, other: dict[str, object]
) -> None:
    """Another one beside it, on the same voxels under another name, or elsewhere under the same name."""
    folder = write_series(tmp_path / "scan", [0, 5, 10])
    old = drawn_of_format_2(tmp_path / "Study", folder)
    write_series(folder, [0, 5, 10], 10, **other)
    workspace.failed.connect(lambda error: pytest.fail(str(error)))
    asked: list[SeveralScansError] = []

    def answer(needed: SeveralScansError, chosen: Callable[[Sequence[ScanKey]], None]) -> None:
        asked.append(needed)
        chosen([needed.choices[len(asked) - 1].key])

    workspace.choice_needed.connect(answer)
    with qtbot.waitSignal(workspace.cases_changed, check_params_cb=len):
        workspace.open_path(tmp_path / "Study")
    case = opened(qtbot, workspace, lambda: workspace.open_case(old))
    assert case.case_id == old and int(case.labels.sum()) == 6 and not asked
    assert case.volume.voxels[:, 0, 0].tolist() == [0, 1, 2]
    qtbot.waitUntil(lambda: bool(workspace.cases[0].part or workspace.cases[0].sha256), timeout=20_000)
    cases = [opened_anew(qtbot, workspace, folder) for _ in range(2)]
    assert len(asked) == 2 and sum(one.case_id == old for one in cases) == 1
    for one in cases:
        assert bool(one.labels.any()) == (one.case_id == old)
    qtbot.waitUntil(lambda: len(workspace.cases) == 2)


def opened_anew(qtbot: QtBot, workspace: Workspace, path: Path) -> Case:
    workspace.session.open(None)
    return opened(qtbot, workspace, lambda: workspace.open_path(path))


def test_an_old_case_is_found_by_the_series_a_person_chooses(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path
) -> None:
    folder = write_series(tmp_path / "scan", [0, 5, 10])
    old = drawn_of_format_2(tmp_path / "Study", folder)
    write_series(folder, [0, 5, 10], 10, **T2)
    wanted = ["t2", "t1_tra"]

    def answer(needed: SeveralScansError, chosen: Callable[[Sequence[ScanKey]], None]) -> None:
        name = wanted.pop(0)
        chosen([one.key for one in needed.choices if name in one.title])

    workspace.choice_needed.connect(answer)
    in_study = [tmp_path / "Study", folder]
    case = opened(qtbot, workspace, lambda: workspace.open_paths(in_study))
    assert (case.title, case.case_id != old, case.labels.any()) == ("t2", True, False)
    case = opened_anew(qtbot, workspace, folder)
    assert case.case_id == old and int(case.labels.sum()) == 6
    qtbot.waitUntil(lambda: len(workspace.cases) == 2)


def test_where_it_cannot_be_told_of_which_series_an_old_case_is_nothing_opens_in_its_place(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path
) -> None:
    folder = write_series(tmp_path / "scan", [0, 5, 10])
    old = drawn_of_format_2(tmp_path / "Study", folder)
    write_series(folder, [0, 5, 10], 10, RescaleIntercept=100)  # the same again, of another session
    errors: list[UserError] = []
    workspace.failed.connect(errors.append)
    workspace.choice_needed.connect(lambda needed, chosen: chosen([needed.choices[0].key]))
    with qtbot.waitSignal(workspace.cases_changed, check_params_cb=len):
        workspace.open_path(tmp_path / "Study")
    for wish in (lambda: workspace.open_case(old), lambda: workspace.open_path(folder)):
        wish()
        qtbot.waitUntil(lambda: len(errors) == 1, timeout=20_000)
        assert "Which series the case t1_tra was made of cannot be told: 2 in" in errors[0].message
        assert "Move the others to another folder" in errors.pop().hint and workspace.session.case is None
    for n in range(3):
        (folder / f"{10 + n:03d}").unlink()
    write_series(folder, [0, 5, 10, 15], 20, **T2)
    case = opened(qtbot, workspace, lambda: workspace.open_case(old))
    assert case.case_id == old and int(case.labels.sum()) == 6 and len(workspace.cases) == 1


def test_of_two_persons_in_one_folder_an_old_case_is_that_of_its_own(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path
) -> None:
    folder = write_series(tmp_path / "scan", [0, 5, 10])
    old = drawn_of_format_2(tmp_path / "Study", folder, subject="")
    write_series(folder, [0, 5, 10], 10, RescaleIntercept=100, PatientID="P-18")
    with qtbot.waitSignal(workspace.cases_changed, check_params_cb=len):
        workspace.open_path(tmp_path / "Study")
    case = opened(qtbot, workspace, lambda: workspace.open_case(old))
    assert first_voxel(case) == 0 and case.labels.any()


def test_an_old_case_whose_series_is_gone_is_refused_by_its_name(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path
) -> None:
    folder = write_series(tmp_path / "scan", [0, 5, 10])
    old = drawn_of_format_2(tmp_path / "Study", folder)
    shutil.rmtree(folder)
    write_series(folder, [0, 5, 10], **T2)
    write_series(folder, [0, 5, 10, 15], 10)
    errors: list[UserError] = []
    workspace.failed.connect(errors.append)
    with qtbot.waitSignal(workspace.cases_changed, check_params_cb=len):
        workspace.open_path(tmp_path / "Study")
    workspace.open_case(old)
    qtbot.waitUntil(lambda: len(errors) == 1, timeout=20_000)
    assert errors[0].message.startswith("The case t1_tra was made when one scan lay in") and len(workspace.cases) == 1


def test_an_old_case_leaves_with_its_own_series(tmp_path: Path) -> None:
    told = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
    folder = write_series(tmp_path / "scan", [0, 5, 10], **told)
    drawn_of_format_2(tmp_path / "Study", folder)
    write_series(folder, [0, 5, 10], 10, **T2, **told)
    for form in ("nifti", "dicomseg"):
        with closing(Project.open(tmp_path / "Study")) as project:
            done = export(project, tmp_path / form, ExportWish(form))
        assert done is not None and done.cases == 1 and not done.left_out


def time_points(folder: Path, uid: str, *which: int) -> Path:
    """Volumes that only the numbers of their images tell apart; time point n is filled with 100 n and up."""
    for n in which:
        numbers = tuple(10 * n + k for k in range(3))
        write_series(
            folder, [0, 5, 10], 10 * n, SeriesInstanceUID=uid, InstanceNumber=numbers, RescaleIntercept=100 * n
        )
    return folder


def first_voxel(case: Case) -> int:
    return int(case.volume.voxels[0, 0, 0])


def test_a_case_of_a_time_point_never_opens_with_another_one(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path
) -> None:
    uid = "1.2.3.4"
    folder = time_points(tmp_path / "scan", uid, 1, 2)
    errors: list[Exception] = []
    workspace.failed.connect(errors.append)
    workspace.choice_needed.connect(lambda needed, chosen: chosen([needed.choices[1].key]))
    second = opened(qtbot, workspace, lambda: workspace.open_path(folder))
    assert first_voxel(second) == 200
    qtbot.waitUntil(lambda: len(workspace.cases) == 1)

    time_points(folder, uid, 0)
    workspace.session.open(None)
    again = opened(qtbot, workspace, lambda: workspace.open_case(second.case_id))
    assert (first_voxel(again), again.case_id) == (200, second.case_id)
    recent = workspace.settings.recent[-1]
    for n in range(3):
        (folder / f"{20 + n:03d}").unlink()
    workspace.session.open(None)
    for wish in (lambda: workspace.open_case(second.case_id), lambda: workspace.open_recent(recent)):
        before = len(errors)
        wish()
        qtbot.waitUntil(lambda n=before: len(errors) > n, timeout=20_000)
        assert "nothing there has its content" in str(errors[-1]) and workspace.session.case is None
    other = opened(qtbot, workspace, lambda: workspace.open_path(folder))  # what lies there now is another case
    assert other.case_id != second.case_id and first_voxel(other) == 100


def test_a_hash_goes_before_the_place_for_a_case_from_before_series_were_told_apart(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path
) -> None:
    from thighview.io.reading import sha256_of

    folder = write_series(tmp_path / "scan", [0, 5, 10])
    old = old_case(tmp_path / "Study", folder, sha256_of(folder))
    shutil.rmtree(folder)
    write_series(folder, [0, 5, 10], SeriesDescription="t2", RescaleIntercept=100)  # on the same grid, alone
    errors: list[Exception] = []
    workspace.failed.connect(errors.append)
    with qtbot.waitSignal(workspace.cases_changed, check_params_cb=len):
        workspace.open_path(tmp_path / "Study")
    workspace.open_case(old)
    qtbot.waitUntil(lambda: len(errors) == 1, timeout=20_000)
    assert "nothing there has its content" in str(errors[0]) and workspace.session.case is None
    case = opened(qtbot, workspace, lambda: workspace.open_path(folder))
    assert case.case_id != old and case.title == "t2"
    qtbot.waitUntil(lambda: len(workspace.cases) == 2)
    assert next(one for one in workspace.cases if one.case_id == old).key == (folder, "")


def test_one_scan_is_one_case_by_whatever_path(qtbot: QtBot, workspace: Workspace, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "data" / "scan", [0, 5, 10])
    file = tmp_path / "data" / "sub-01_t1.nii.gz"
    write_volume(file, Volume(np.zeros((3, 4, 5), np.int16), np.eye(4), "a"))
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (tmp_path / "other.nii.gz").symlink_to(file)
    (tmp_path / "sub").mkdir()
    workspace.failed.connect(lambda error: pytest.fail(str(error)))
    crooked = tmp_path / "sub" / ".." / "data"
    for place in (tmp_path / "data", crooked, tmp_path / "link", crooked / "scan" / ".."):
        workspace.session.open(None)
        case = opened(qtbot, workspace, lambda p=place: workspace.open_path(p / "scan"))
        assert case.series[0].path == folder
        case = opened(qtbot, workspace, lambda p=place: workspace.open_path(p / file.name))
        assert case.series[0].path == file
    workspace.session.open(None)
    opened(qtbot, workspace, lambda: workspace.open_path(tmp_path / "other.nii.gz"))
    workspace.session.open(None)
    opened(qtbot, workspace, lambda: workspace.open_path(tmp_path / "link" / "scan" / "001"))
    qtbot.waitUntil(lambda: len(workspace.cases) == 2)


def test_a_case_kept_under_a_link_is_found_by_the_true_path(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path, tiny_volume: Volume
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    write_volume(tmp_path / "data" / "a.nii.gz", tiny_volume)
    project = Project.create(tmp_path / "Study")
    old = project.add_case(Case.of(tiny_volume, tmp_path / "link" / "a.nii.gz", subject="a"))
    project.close()
    with qtbot.waitSignal(workspace.cases_changed, check_params_cb=len):
        workspace.open_path(tmp_path / "Study")
    for place in ("data", "link"):
        workspace.session.open(None)
        case = opened(qtbot, workspace, lambda p=place: workspace.open_path(tmp_path / p / "a.nii.gz"))
        assert case.case_id == old


def test_copies_beside_a_series_and_some_of_its_files_make_no_second_case(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path
) -> None:
    folder = write_series(tmp_path / "visit" / "a", [0, 5, 10, 15])
    errors: list[Exception] = []
    workspace.failed.connect(errors.append)
    case = opened(qtbot, workspace, lambda: workspace.open_path(folder))
    shutil.copytree(folder, tmp_path / "visit" / "b")
    workspace.session.open(None)
    again = opened(qtbot, workspace, lambda: workspace.open_path(tmp_path / "visit"))
    assert again.case_id == case.case_id and not errors
    workspace.session.open(None)

    parted = write_series(tmp_path / "parted" / "a", range(0, 50, 5), SeriesDescription="t2")
    (tmp_path / "parted" / "b").mkdir()
    for n in range(5, 10):
        (parted / f"{n:03d}").rename(tmp_path / "parted" / "b" / f"{n:03d}")
    whole = opened(qtbot, workspace, lambda: workspace.open_path(tmp_path / "parted"))
    assert whole.volume.shape[0] == 10 and not errors
    workspace.session.open(None)
    workspace.open_path(parted / "000")
    qtbot.waitUntil(lambda: len(errors) == 1, timeout=20_000)
    assert "only some of the files of a case" in str(errors[0]) and len(workspace.cases) == 2


def test_an_added_image_of_a_time_point_stays_that_one(qtbot: QtBot, workspace: Workspace, tmp_path: Path) -> None:
    folder = time_points(tmp_path / "scan", "1.2.3.5", 1, 2)
    keys: list[ScanKey] = []

    def first_of_two(needed: SeveralScansError, chosen: Callable[[Sequence[ScanKey]], None]) -> None:
        keys.extend(one.key for one in needed.choices)
        chosen(keys[:1])

    workspace.choice_needed.connect(first_of_two)
    case = opened(qtbot, workspace, lambda: workspace.open_path(folder))
    workspace.images.add([keys[1]])
    qtbot.waitUntil(lambda: len(case.series) == 2, timeout=20_000)
    time_points(folder, "1.2.3.5", 0)
    workspace.session.open(None)
    again = opened(qtbot, workspace, lambda: workspace.open_case(case.case_id))
    qtbot.waitUntil(lambda: again.series[1].volume is not None, timeout=20_000)
    assert [int(one.volume.voxels[0, 0, 0]) for one in again.series if one.volume] == [100, 200]


def test_how_many_files_were_looked_at_is_told_and_cancel_is_at_once(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path
) -> None:
    first = write_series(tmp_path / "many", [0]) / "000"
    whole = first.read_bytes()
    for n in range(3000):
        (tmp_path / "many" / f"x{n}").write_bytes(whole)
    said: list[tuple[str, str, float]] = []
    ended: list[float] = []

    def follow(job: jobs.Job, sentence: str) -> None:
        job.said.connect(lambda words: said.append((sentence, words, time.monotonic())))
        job.said.connect(lambda _: job.cancel())
        job.ended.connect(lambda: ended.append(time.monotonic()))

    workspace.job_started.connect(follow)
    workspace.open_path(tmp_path / "many")
    qtbot.waitUntil(lambda: bool(ended), timeout=20_000)
    sentence, words, at = said[0]
    assert sentence == "Opening many" and re.fullmatch(r"[\d,]+ of 3,001 files looked at", words)
    assert ended[0] - at < 0.3 and workspace.session.case is None


def test_the_demo_has_a_home_of_its_own_and_leaves_no_trace(
    qtbot: QtBot, scans: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "SLICES", 4)
    workspace = Workspace()
    with qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda case: case is not None):
        workspace.open_path(scans[0])
    workspace.settings.last_model = "mine"
    folder, recent = workspace.settings.last_folder, workspace.settings.recent
    with qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda case: case is not None, timeout=60_000):
        workspace.open_demo()
    assert workspace.project_folder == demo.project_folder()
    until_listed(qtbot, workspace, "made-up thigh.nii.gz")
    qtbot.waitUntil(lambda: bool(workspace.models))
    assert workspace.chosen_model is not None and workspace.chosen_model.place == "box"
    workspace.choose_model(workspace.chosen_model)

    workspace.open_path(scans[1])  # a scan of the person's own does not land among the made-up ones
    until_listed(qtbot, workspace, scans[0].name, scans[1].name)
    assert workspace.settings.last_model == "mine"
    with qtbot.waitSignal(workspace.session.case_opened, check_params_cb=lambda case: case is not None, timeout=60_000):
        workspace.open_demo()
    workspace.close()
    assert jobs.shutdown()

    again = Workspace()
    assert again.settings.recent == (ScanKey(scans[1]), *recent)
    assert (again.settings.last_folder, again.settings.last_model) == (folder, "mine")
    again.close()


def test_a_recent_scan_opens_as_the_case_it_is_in_its_project(
    qtbot: QtBot, workspace: Workspace, scans: list[Path], tmp_path: Path
) -> None:
    study, scratch = tmp_path / "Study", scratch_project()
    workspace.new_project(study)
    qtbot.waitUntil(lambda: workspace.project_folder == study)
    workspace.open_path(scans[0])
    until_listed(qtbot, workspace, scans[0].name)
    workspace.open_scratch()
    qtbot.waitUntil(lambda: workspace.project_folder == scratch)
    for n in range(9):
        workspace.settings.add_recent(ScanKey(tmp_path / f"other {n}.nii"), scratch)
    workspace.settings.add_recent(ScanKey(scans[0]), study)
    recent = [key.path for key in workspace.settings.recent]
    assert recent[:2] == [study, scans[0]], "projects stand above scans, whatever was opened since"

    workspace.open_recent(ScanKey(scans[0]))
    qtbot.waitUntil(lambda: workspace.session.case is not None)
    assert workspace.project_folder == study
    until_listed(qtbot, workspace, scans[0].name)
    workspace.open_scratch()
    qtbot.waitUntil(lambda: workspace.project_folder == scratch)
    assert workspace.cases == (), "no second case of it was made there"
    qtbot.waitUntil(lambda: all(job.is_over for job in workspace._leaving.values()))
    shutil.rmtree(study)
    workspace.open_recent(ScanKey(scans[0]))
    until_listed(qtbot, workspace, scans[0].name)
    assert workspace.project_folder == scratch, "its project is gone"


def test_parts_of_one_file_are_remembered_apart_and_what_was_remembered_before_parts_holds(tmp_path: Path) -> None:
    scan, project, file = tmp_path / "dixon.nii.gz", tmp_path / "Study", tmp_path / "settings.ini"
    older = QSettings(str(file), QSettings.Format.IniFormat)
    older.setValue("recent/scans", json.dumps([[str(scan), str(project)]]))
    older.setValue("slices", json.dumps({str(scan): 4}))
    older.sync()
    settings = Settings(file)
    assert settings.recent == (ScanKey(scan),) and settings.slice_of(ScanKey(scan)) == 4
    for part, index in (("1", 7), ("2", 9)):
        settings.add_recent(ScanKey(scan, part), project)
        settings.keep_slice(ScanKey(scan, part), index)
    settings.sync()
    again = Settings(file)
    assert again.recent == (ScanKey(scan, "2"), ScanKey(scan, "1"), ScanKey(scan))
    assert [again.slice_of(key) for key in again.recent] == [9, 7, 4]
    assert again.last_scan_in(project) == ScanKey(scan, "2") and again.project_of(ScanKey(scan, "3")) is None


def test_a_case_opens_at_the_slice_it_was_left_at(qtbot: QtBot, scans: list[Path]) -> None:
    def opened(workspace: Workspace, path: Path) -> int:
        workspace.open_path(path)
        qtbot.waitUntil(lambda: (case := workspace.session.case) is not None and case.series[0].path == path)
        return workspace.session.view.cursor[0]

    workspace = Workspace()
    middle = opened(workspace, scans[0])
    workspace.session.go_to_slice(5)
    assert middle != 5 and opened(workspace, scans[1]) == middle
    workspace.session.go_to_slice(1)
    assert opened(workspace, scans[0]) == 5
    workspace.close()
    again = Workspace()
    assert (opened(again, scans[1]), opened(again, scans[0]), opened(again, scans[2])) == (1, 5, middle)
    again.close()
    assert jobs.shutdown()


def test_the_project_open_last_is_opened_again_or_my_cases_with_a_sentence(qtbot: QtBot, tmp_path: Path) -> None:
    study = tmp_path / "Study"

    def started() -> tuple[Workspace, list[str]]:
        workspace, said = Workspace(), list[str]()
        workspace.said.connect(said.append)
        workspace.failed.connect(lambda error: said.append(f"an error: {error}"))
        workspace.open_last()
        qtbot.waitUntil(lambda: workspace.project_folder is not None)
        qtbot.waitUntil(lambda: bool(workspace.models))
        return workspace, said

    workspace, said = started()
    assert workspace.project_folder == scratch_project() and not said
    workspace.new_project(study)
    qtbot.waitUntil(lambda: workspace.project_folder == study)
    workspace.close()
    workspace, said = started()
    assert workspace.project_folder == study and not said

    second, said = started()  # a second window, while the first has it
    assert second.project_folder == scratch_project()
    assert said == ["The project Study is open in another window, or cannot be read: this is My cases."]
    third = Workspace()
    with qtbot.waitSignals([third.failed, third.models_changed]):  # My cases is taken, too: the models are listed
        third.open_last()
    for one in (second, third, workspace):
        one.settings.last_project = study
        one.close()
    shutil.rmtree(study)
    workspace, said = started()
    assert workspace.project_folder == scratch_project()
    assert said == ["The project Study is not where it was: this is My cases."]
    workspace.close()
    assert jobs.shutdown()


def test_nothing_of_dicom_is_loaded_by_the_window_whatever_it_does(tmp_path: Path) -> None:
    """A process of its own: the tests themselves have loaded it."""
    folder = write_series(tmp_path / "scan", [0, 5, 10])
    script = Path(__file__).with_name("window_without_dicom.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder), str(tmp_path / "Study")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["[]"], done.stdout + done.stderr
    assert list((tmp_path / "raw").glob("imagesTr/*.nii.gz"))
