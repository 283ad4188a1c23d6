"""The command line with masks of other programs: what is taken in, what is refused in one sentence, what is left."""

from pathlib import Path

import numpy as np
import pytest
from mask_files import described, scan_files, slicer_fields, some_labels, write_nrrd, write_seg

from thighview.cli import main
from thighview.cli.dispatch import DONE, REFUSED
from thighview.core.volume import Volume
from thighview.io.images import write_volume
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
        "1 case taken in, 6 of 6 slices reviewed.\nscan.nii.gz with m.nrrd: 3 labels, drawn by hand.\n"
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
