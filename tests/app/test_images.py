"""Several images of one case: read, put in place, compared, remembered, and refused where they do not belong."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_files import write_series
from pytestqt.qtbot import QtBot

from thighview.app.image_reading import COMPUTED
from thighview.app.tasks import Workspace
from thighview.core.fat_fraction import fat_fractions, fat_sums
from thighview.core.phantom import make_phantom
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io.images import write_volume


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Water and fat image of a made-up thigh."""
    folder = tmp_path_factory.mktemp("dixon")
    for kind in ("water", "fat"):
        made = make_phantom(1, f"dixon_{kind}", slices=6, matrix=(160, 288), spacing_mm=(8.0, 1.4))
        write_volume(folder / f"sub-01_{kind}.nii.gz", made.volume)
    return folder / "sub-01_water.nii.gz", folder / "sub-01_fat.nii.gz"


def opened(qtbot: QtBot, workspace: Workspace, path: Path) -> None:
    workspace.open_path(path)
    qtbot.waitUntil(lambda: workspace.session.case is not None)


def roles(workspace: Workspace) -> list[str]:
    case = workspace.session.case
    return [one.role for one in case.images] if case else []


def add(qtbot: QtBot, workspace: Workspace, *paths: Path) -> None:
    before = len(workspace.session.case.series)
    workspace.images.add([ScanKey(path) for path in paths])
    qtbot.waitUntil(lambda: len(workspace.session.case.series) == before + len(paths))


def test_water_and_fat_give_a_fat_fraction_that_comes_back_with_the_case(
    qtbot: QtBot, workspace: Workspace, pair: tuple[Path, Path]
) -> None:
    workspace.failed.connect(lambda error: pytest.fail(str(error)))
    opened(qtbot, workspace, pair[0])
    assert roles(workspace) == ["image"]
    add(qtbot, workspace, pair[1])
    qtbot.waitUntil(lambda: roles(workspace) == ["water", "fat", "fat_fraction"])
    case = workspace.session.case
    water, fat = (v.voxels.astype(float) for v in (case.volume, case.image(case.series[1].series_id)))
    dark = water + fat < 0.09 * np.percentile(water + fat, 99)
    lit = water + fat > 0.11 * np.percentile(water + fat, 99)
    assert case.image(COMPUTED).voxels[lit] == pytest.approx(100 * fat[lit] / (water + fat)[lit], abs=1e-3)
    assert not case.image(COMPUTED).voxels[dark].any()
    assert case.image_doubts == ()
    key = case.series[1].series_id

    workspace.session.show_image(COMPUTED)
    assert workspace.session.view.window == (0.0, 100.0)
    workspace.session.update_view(window=(0.0, 40.0))
    workspace.session.show_image(key)
    workspace.session.compare_with(COMPUTED)
    assert workspace.session.view.other_window == (0.0, 40.0)  # windows are remembered, image by image

    workspace.session.open(None)
    opened(qtbot, workspace, pair[0])
    assert (workspace.session.view.base, workspace.session.view.other) == (0, None)
    qtbot.waitUntil(lambda: roles(workspace) == ["water", "fat", "fat_fraction"])
    assert workspace.session.case.series[1].series_id == key
    assert workspace.session.case.series[1].sha256

    workspace.session.show_image(COMPUTED)
    workspace.images.set_role(key, "t1")
    assert roles(workspace) == ["water", "t1"]
    assert workspace.session.view.base == 0  # what is gone is no longer shown
    workspace.images.set_role(key, "fat")
    qtbot.waitUntil(lambda: roles(workspace) == ["water", "fat", "fat_fraction"])
    workspace.images.remove(key)
    assert roles(workspace) == ["water"]
    workspace.session.open(None)
    opened(qtbot, workspace, pair[0])
    assert roles(workspace) == ["water"]


def test_exchanged_images_are_doubted(
    qtbot: QtBot, workspace: Workspace, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    names = ("sub-02_fat.nii.gz", "sub-02_water.nii.gz")  # the other way round
    paths = [tmp_path / name for name in names]
    for path, source in zip(paths, pair, strict=True):
        path.write_bytes(source.read_bytes())
    opened(qtbot, workspace, paths[0])
    add(qtbot, workspace, paths[1])
    qtbot.waitUntil(lambda: bool(workspace.session.case.image_doubts))
    assert "exchanged on all slices" in workspace.session.case.image_doubts[0]


def test_another_grid_is_put_in_place_and_another_place_is_refused(
    qtbot: QtBot, workspace: Workspace, tiny_volume: Volume, tmp_path: Path
) -> None:
    fine = np.kron(tiny_volume.voxels, np.ones((1, 2, 2), np.int16))
    affine = tiny_volume.affine @ np.diag([1, 0.5, 0.5, 1.0])
    affine[:3, 3] = tiny_volume.to_world((0.0, -0.25, -0.25))
    away = tiny_volume.affine.copy()
    away[2, 3] += 500
    made = {
        "t1": tiny_volume, "fine": replace(tiny_volume, voxels=fine, affine=affine),
        "away": replace(tiny_volume, affine=away),
    }  # fmt: skip
    for name, volume in made.items():
        write_volume(tmp_path / f"{name}.nii.gz", volume)
    opened(qtbot, workspace, tmp_path / "t1.nii.gz")
    add(qtbot, workspace, tmp_path / "fine.nii.gz")
    one = workspace.session.case.series[1]
    assert one.volume.shape == (6, 64, 64)
    assert one.on_grid.same_grid(tiny_volume)
    assert np.array_equal(one.on_grid.voxels, tiny_volume.voxels)
    for name, words in (("away", "another place"), ("fine", "already"), ("t1", "already")):
        with qtbot.waitSignal(workspace.failed) as failed:
            workspace.images.add([ScanKey(tmp_path / f"{name}.nii.gz")])
        assert words in str(failed.args[0])
    assert len(workspace.session.case.series) == 2


def test_series_of_a_folder_chosen_together_become_one_case(qtbot: QtBot, workspace: Workspace, tmp_path: Path) -> None:
    workspace.failed.connect(lambda error: pytest.fail(str(error)))
    write_series(tmp_path / "visit", [0, 5, 10], SeriesDescription="t1_dixon_W")
    write_series(tmp_path / "visit", [0, 5, 10], 10, SeriesDescription="t1_dixon_F")
    workspace.choice_needed.connect(lambda needed, chosen: chosen([one.key for one in needed.choices]))
    opened(qtbot, workspace, tmp_path / "visit")
    qtbot.waitUntil(lambda: sorted(roles(workspace)) == ["fat", "fat_fraction", "water"])
    case = workspace.session.case
    workspace.session.open(None)
    opened(qtbot, workspace, tmp_path / "visit")  # both are one case now, whichever is asked for first
    qtbot.waitUntil(lambda: sorted(roles(workspace)) == ["fat", "fat_fraction", "water"])
    assert workspace.session.case.case_id == case.case_id
    assert len(workspace.session.case.series) == 2


def test_fat_fractions_count_nothing_that_was_not_measured(qtbot: QtBot, workspace: Workspace, tmp_path: Path) -> None:
    level = np.full((5, 4), 100, "<u2").tobytes()
    write_series(tmp_path / "w", [0, 5, 10, 15, 20, 25], SeriesDescription="dixon_W", PixelData=level)
    write_series(tmp_path / "f", [0, 5, 15, 20, 25], 10, SeriesDescription="dixon_F", PixelData=level)
    opened(qtbot, workspace, tmp_path / "w")
    add(qtbot, workspace, tmp_path / "f")
    qtbot.waitUntil(lambda: workspace.session.case.dixon is not None)
    case = workspace.session.case
    sums = fat_sums(np.ones(case.volume.shape, np.uint8), *case.dixon)
    (found,) = fat_fractions(sums).values()
    assert (found.mean_of_voxels, found.of_the_sums) == (50.0, 50.0)
    assert (found.voxels, found.without_signal) == (100, 20)
    assert any("missing" in doubt for doubt in case.doubts)  # of the image that was added
    assert any("leave out 17 %" in doubt for doubt in case.doubts)
    assert not any("slabs" in doubt for doubt in case.doubts)


def test_an_image_of_another_patient_or_without_a_place_is_refused(
    qtbot: QtBot, workspace: Workspace, tmp_path: Path
) -> None:
    write_series(tmp_path / "a", [0, 5], PatientID="A")
    write_series(tmp_path / "b", [0, 5], 10, PatientID="B")
    opened(qtbot, workspace, tmp_path / "a")
    workspace.set_subject([workspace.session.case.case_id], "thigh_01")
    qtbot.waitUntil(lambda: workspace.session.case.subject == "thigh_01")
    with qtbot.waitSignal(workspace.failed) as failed:
        workspace.images.add([ScanKey(tmp_path / "b")])
    assert "another patient" in str(failed.args[0])
    image = nibabel.Nifti1Image(np.zeros(workspace.session.case.volume.shape[::-1], np.int16), None)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.save(image, tmp_path / "nowhere.nii")
    with qtbot.waitSignal(workspace.failed) as failed:
        workspace.images.add([ScanKey(tmp_path / "nowhere.nii")])
    assert "cannot be put in place" in str(failed.args[0])


def test_what_was_asked_for_in_one_case_never_comes_into_another(
    qtbot: QtBot, workspace: Workspace, tiny_volume: Volume, tmp_path: Path
) -> None:
    for n, name in enumerate("ab"):
        write_volume(tmp_path / f"{name}.nii.gz", replace(tiny_volume, voxels=tiny_volume.voxels + n))
    write_series(tmp_path / "two", [0, 5], SeriesDescription="one")
    write_series(tmp_path / "two", [0, 5], 10, SeriesDescription="two")
    asked: list[object] = []
    workspace.choice_needed.connect(lambda needed, chosen: asked.append(chosen([needed.choices[0].key])))
    workspace.failed.connect(lambda error: asked.append(error))
    opened(qtbot, workspace, tmp_path / "a.nii.gz")
    workspace.images.add([ScanKey(tmp_path / "two")])
    with qtbot.waitSignal(workspace.session.case_opened):
        workspace.open_path(tmp_path / "b.nii.gz")
    with qtbot.waitSignal(workspace.session.images_changed):  # the lane is free again: what was asked for is over
        workspace.images.add([ScanKey(tmp_path / "a.nii.gz")])
    assert not asked
    assert [one.path.name for one in workspace.session.case.series] == ["b.nii.gz", "a.nii.gz"]


def test_an_image_that_changed_or_went_is_said_and_the_case_opens(
    qtbot: QtBot, workspace: Workspace, tiny_volume: Volume, tmp_path: Path
) -> None:
    for n, name in enumerate("ab"):
        write_volume(tmp_path / f"{name}.nii.gz", replace(tiny_volume, voxels=tiny_volume.voxels + n))
    opened(qtbot, workspace, tmp_path / "a.nii.gz")
    add(qtbot, workspace, tmp_path / "b.nii.gz")
    for change in ("changed", "gone"):
        workspace.session.open(None)
        if change == "changed":
            write_volume(tmp_path / "b.nii.gz", replace(tiny_volume, voxels=tiny_volume.voxels + 2))
        else:
            (tmp_path / "b.nii.gz").unlink()
        with qtbot.waitSignal(workspace.failed) as failed:
            opened(qtbot, workspace, tmp_path / "a.nii.gz")
        assert "An image of a cannot be read" in str(failed.args[0])
        assert ("content has changed" if change == "changed" else "not there") in str(failed.args[0])
        assert workspace.session.case.series[1].on_grid is None
        workspace.session.show_image(workspace.session.case.series[1].series_id)
        assert workspace.session.view.base == 0
