"""The command line with masks of other programs: what is taken in, what is refused in one sentence, what is left."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from mask_files import described, scan_files, slicer_fields, some_labels, write_nrrd, write_seg
from parts_files import write_volumes

from thighview.cli import main
from thighview.cli.dispatch import DONE, REFUSED
from thighview.core.labels import Label, LabelTable
from thighview.core.volume import Volume
from thighview.io.images import write_volume
from thighview.io.masks import write_mask
from thighview.io.project import Project


@pytest.fixture
def scan(tmp_path: Path, tiny_volume: Volume) -> Path:
    write_volume(tmp_path / "scan.nii.gz", tiny_volume)
    return tmp_path / "scan.nii.gz"


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == REFUSED
    out, err = capsys.readouterr()
    assert not out and err.startswith("thighview: ") and err.count("\n") == 1
    return err


def overlapping(path: Path, volume: Volume) -> Path:
    a, b = (np.zeros(volume.shape, np.uint8) for _ in range(2))
    a[1:3], b[2:4] = 1, 1
    fields = slicer_fields(("vasti left", "1 0 0", 1, 0, ""), ("femur", "1 0 0", 1, 1, ""))
    return write_nrrd(path, np.stack([a, b]), volume.affine, fields=fields)


def test_an_image_and_its_mask_become_a_case(
    capsys: pytest.CaptureFixture[str], scan: Path, tmp_path: Path, tiny_volume: Volume
) -> None:
    mask = write_nrrd(tmp_path / "m.nrrd", some_labels(tiny_volume), tiny_volume.affine)
    assert main(["import", str(tmp_path / "p"), str(scan), "--mask", str(mask)]) == DONE
    assert capsys.readouterr().out == (
        "1 case taken in, 6 of 6 slices reviewed.\n"
        "scan.nii.gz with m.nrrd: 3 labels without a name (called label_1, label_2, label_3), drawn by hand.\n"
    )
    project = Project.open(tmp_path / "p")
    try:
        (row,) = project.cases()
        assert np.array_equal(project.load_case(row.case_id).labels, some_labels(tiny_volume)) and row.in_training_set
    finally:
        project.close()


def test_a_mask_that_does_not_fit_needs_a_word_and_leaves_no_project(
    capsys: pytest.CaptureFixture[str], scan: Path, tmp_path: Path, tiny_volume: Volume
) -> None:
    shifted = Volume(tiny_volume.voxels, tiny_volume.affine + np.array([[0, 0, 0, 0.6], *np.zeros((3, 4))]))
    off = write_nrrd(tmp_path / "off.nrrd", some_labels(tiny_volume), shifted.affine)
    over = overlapping(tmp_path / "over.seg.nrrd", tiny_volume)
    new = tmp_path / "p"
    said = refused(capsys, "import", new, scan, "--mask", off)
    assert "off.nrrd lies on another grid than the scan: its middle lies 0.60 mm away; resampled, it would be " in said
    assert "--resample" in said
    said = refused(capsys, "import", new, scan, "--mask", over)
    assert "Vasti L and Femur share 1,024 voxels (9.60 ml)" in said and "--overlaps first" in said
    assert "There is nothing at" in refused(capsys, "import", new, scan, "--mask", tmp_path / "gone.nrrd")
    assert "no mask was named" in refused(capsys, "import", new, scan)
    assert "invalid choice" in refused(capsys, "import", new, scan, "--mask", over, "--overlaps", "both")
    assert not new.exists()
    assert main(["import", str(new), str(scan), "--mask", str(off), "--resample"]) == DONE
    assert "; resampled, " in capsys.readouterr().out
    assert main(["import", str(tmp_path / "q"), str(scan), "--mask", str(over), "--overlaps", "last"]) == DONE


def test_one_of_several_volumes_is_to_be_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_volume: Volume
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    image, mask = write_volumes(folder / "a.nii.gz", [tiny_volume] * 3), folder / "a_seg.nii.gz"
    write_mask(mask, some_labels(tiny_volume), LabelTable(), tiny_volume)
    new = tmp_path / "p"
    said = refused(capsys, "import", new, image, "--mask", mask)
    assert "3 volumes" in said and "Say which with --part; there are 1 to 3." in said
    said = refused(capsys, "import", new, folder)
    assert "Take it in by itself, with --mask and --part; there are 1 to 3." in said
    said = refused(capsys, "import", new, mask, "--mask", image)
    assert "A mask is one volume" in said and "--part" not in said
    assert main(["import", str(new), str(image), "--mask", str(mask), "--part", "2"]) == DONE


def test_a_mask_without_a_position_is_not_told_to_be_resampled(
    capsys: pytest.CaptureFixture[str], scan: Path, tmp_path: Path, tiny_volume: Volume
) -> None:
    image = nibabel.Nifti1Image(some_labels(tiny_volume).T, None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    nibabel.save(image, tmp_path / "m.nii.gz")
    for more in ((), ("--resample",)):
        said = refused(capsys, "import", tmp_path / "p", scan, "--mask", tmp_path / "m.nii.gz", *more)
        assert "does not say where it lies" in said and "--resample" not in said


def test_a_refused_import_leaves_no_folder(
    capsys: pytest.CaptureFixture[str], scan: Path, tmp_path: Path, tiny_volume: Volume
) -> None:
    over = overlapping(tmp_path / "over.seg.nrrd", tiny_volume)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis").touch()
    for place in ("a/b/p", "empty", "empty/p"):
        assert "overlap" in refused(capsys, "import", tmp_path / place, scan, "--mask", over)
    assert "not empty" in refused(capsys, "import", tmp_path / "full", scan, "--mask", over)
    assert not (tmp_path / "a").exists()
    assert not any((tmp_path / "empty").iterdir()) and (tmp_path / "full" / "thesis").exists()


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux")
@pytest.mark.parametrize("kilobytes", [60, 240])
def test_an_import_onto_a_full_disk_leaves_nothing(
    capsys: pytest.CaptureFixture[str], scan: Path, tmp_path: Path, tiny_volume: Volume, kilobytes: int
) -> None:
    disk, mask = tmp_path / "disk", tmp_path / "m.nii.gz"
    labels = np.random.default_rng(0).integers(0, 60, (6, 400, 400), dtype=np.uint8)
    big = Volume(labels, tiny_volume.affine)
    write_volume(scan, big)
    write_mask(mask, labels, LabelTable(tuple(Label(n, f"l{n}") for n in range(1, 60))), big)
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        refused(capsys, "import", disk / "a" / "p", scan, "--mask", mask)
        assert not any(disk.iterdir())
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_dicom_folder_with_a_segmentation(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sources = scan_files(tmp_path / "study")
    seg = write_seg(tmp_path / "study" / "seg.dcm", sources, np.ones((5, 4, 5), np.uint8), [described(1, "Femur")])
    assert main(["import", str(tmp_path / "p"), str(tmp_path / "study")]) == DONE
    assert "study with seg.dcm: 1 label, drawn by hand." in capsys.readouterr().out
    assert main(["measure", str(tmp_path / "study"), str(seg)]) == DONE
    assert "1,Femur,,all,100," in capsys.readouterr().out


def test_measuring_takes_the_same_masks(
    capsys: pytest.CaptureFixture[str], scan: Path, tmp_path: Path, tiny_volume: Volume
) -> None:
    over = overlapping(tmp_path / "over.seg.nrrd", tiny_volume)
    assert "share 1,024 voxels" in refused(capsys, "measure", scan, over)
    for how, voxels in (("first", 2048), ("last", 1024)):
        assert main(["measure", str(scan), str(over), "--overlaps", how]) == DONE
        assert f",vasti,left,all,{voxels}," in capsys.readouterr().out


def test_an_nnunet_folder_takes_no_mask(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "dataset.json").write_text("{}")
    (tmp_path / "m.nrrd").touch()
    said = refused(capsys, "import", tmp_path / "p", tmp_path / "raw", "--mask", tmp_path / "m.nrrd")
    assert "names its masks itself" in said and not (tmp_path / "p").exists()


def test_measure_tells_fat_fractions_of_a_water_and_a_fat_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    affine = np.array([[0.0, 0, 1, 0], [0, 1, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1]])
    levels = {"water": (90, 10), "fat": (10, 90), "away": (1, 1)}
    for name, (left, right) in levels.items():
        voxels = np.full((3, 8, 8), left, np.int16)
        voxels[:, :, 4:] = right
        place = affine.copy()
        place[2, 3] = 900 if name == "away" else 0
        write_volume(tmp_path / f"{name}.nii.gz", Volume(voxels, place))
    mask = np.ones((3, 8, 8), np.uint8)
    mask[:, :, 6:] = 0
    scan = Volume(np.zeros((3, 8, 8), np.int16), affine)
    write_mask(tmp_path / "mask.nii.gz", mask, LabelTable((Label(1, "muscle", "", (9, 9, 9)),)), scan)
    words = ["measure", str(tmp_path / "water.nii.gz"), str(tmp_path / "mask.nii.gz"), "--fat"]
    assert main([*words, str(tmp_path / "fat.nii.gz")]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["slice"] for row in rows] == ["all", "1", "2", "3"]
    for row in rows:  # four columns of 10 % and two of 90 %
        assert float(row["fat_fraction_mean_of_voxels_percent"]) == pytest.approx(36.667, abs=1e-3)
        assert float(row["fat_fraction_of_sums_percent"]) == pytest.approx(36.667, abs=1e-3)
    assert main([*words, str(tmp_path / "away.nii.gz")]) == 2
    assert "another place" in capsys.readouterr().err
