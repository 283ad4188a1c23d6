"""Images with masks into a project: paired for certain, drawn by hand or not, and never half of them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mask_files import described, scan_files, slicer_fields, some_labels, write_nifti, write_nrrd, write_seg

from thighview.core.errors import UserError
from thighview.core.labels import LabelTable
from thighview.core.review import SliceState
from thighview.core.volume import Volume
from thighview.io import importing
from thighview.io.export_wish import ExportWish
from thighview.io.exporting import export
from thighview.io.images import write_volume
from thighview.io.importing import ImportWish, import_cases
from thighview.io.mask_pairs import Pair, find_pairs
from thighview.io.masks import write_mask, write_sidecar
from thighview.io.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project.create(tmp_path / "project")
    yield project
    project.close()


@pytest.fixture
def pairs(tmp_path: Path, tiny_volume: Volume) -> Path:
    """Four images, three of them with a mask in a form of its own, and a mask without an image."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name in ("sub-01_t1", "b", "c", "d"):
        write_volume(folder / f"{name}.nii.gz", tiny_volume)
    labels = some_labels(tiny_volume)
    mask = folder / "sub-01_t1_seg.nii.gz"
    table = LabelTable().merged([("muscle", "left"), ("femur", ""), ("skin", "")])
    write_mask(mask, labels, table, tiny_volume)
    write_sidecar(mask, table)
    write_nrrd(folder / "b_labels.nrrd", labels, tiny_volume.affine)
    write_nrrd(folder / "c.seg.nrrd", labels, tiny_volume.affine, fields=slicer_fields(("Femur", "1 0 0", 1, 0, "")))
    write_nifti(folder / "gone_mask.nii.gz", labels, tiny_volume.affine)
    return folder


def test_masks_beside_images_are_paired_and_it_is_said(project: Project, pairs: Path, tiny_volume: Volume) -> None:
    done = import_cases(project, pairs)
    assert (len(done.cases), done.reviewed, done.slices) == (3, 18, 18)
    assert done.pairs == (
        "b.nii.gz with b_labels.nrrd: 3 labels without a name (called label_1, label_2, label_3), drawn by hand.",
        "c.nii.gz with c.seg.nrrd: 3 labels (label_2, label_3: no name there), drawn by hand.",
        "sub-01_t1.nii.gz with sub-01_t1_seg.nii.gz: 3 labels, drawn by hand.",
    )
    assert "gone_mask.nii.gz was left out: its image gone is not there." in done.notes
    assert "Left out, as no mask lies beside it: d.nii.gz." in done.notes
    cases = {row.title: project.load_case(row.case_id) for row in project.cases()}
    labels = some_labels(tiny_volume)
    assert all(np.array_equal(case.labels, labels) for case in cases.values())
    assert {row.subject for row in project.cases()} == {"sub-01", "b", "c"}
    assert all(row.in_training_set for row in project.cases())
    assert [label.key for label in cases["sub-01_t1"].table] == ["muscle_left", "femur", "skin"]
    again = import_cases(project, pairs)
    assert again.cases == () and any("already" in note for note in again.notes)


def test_what_is_imported_twice_is_one_case_by_whatever_path(project: Project, pairs: Path, tmp_path: Path) -> None:
    import_cases(project, pairs)
    (tmp_path / "link").symlink_to(pairs)
    root = tmp_path / "study" / "t1"
    sources = scan_files(root)
    write_seg(tmp_path / "study" / "seg.dcm", sources, np.ones((5, 4, 5), np.uint8), [described(1, "Femur left")])
    import_cases(project, tmp_path / "study")
    known = project.cases()
    (tmp_path / "there").symlink_to(tmp_path / "study")
    for source in (pairs / ".." / "pairs", tmp_path / "link", tmp_path / "there", pairs / ".." / "study"):
        assert import_cases(project, source).cases == ()
    assert project.cases() == known and len(known) == 4


def test_an_image_and_the_mask_named_with_it(project: Project, pairs: Path, tiny_volume: Volume) -> None:
    mask = pairs / "c.seg.nrrd"
    done = import_cases(project, pairs / "d.nii.gz", ImportWish(mask))
    assert done.pairs == ("d.nii.gz with c.seg.nrrd: 3 labels (label_2, label_3: no name there), drawn by hand.",)
    (row,) = project.cases()
    assert {review.state for review in project.load_case(row.case_id).reviews} == {SliceState.DRAWN}
    with pytest.raises(UserError, match="no mask was named"):
        find_pairs(pairs / "d.nii.gz")


def test_a_folder_of_dicom_with_a_segmentation_in_it(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "study"
    sources = scan_files(root / "t1")
    scan_files(root / "t2", SeriesDescription="t2_tra", SeriesNumber=9)
    labels = np.ones((5, 4, 5), np.uint8)
    seg = write_seg(root / "seg.dcm", sources, labels, [described(1, "Femur left")])
    assert find_pairs(root).pairs == (Pair(root / "t1" / "000", seg),)
    done = import_cases(project, root)
    assert done.pairs == ("t1 with seg.dcm: 1 label, drawn by hand.",) and "Left out: 1 series" in done.notes[0]
    (row,) = project.cases()
    case = project.load_case(row.case_id)
    assert row.path == root / "t1" and row.title == "t1_tra" and row.subject.startswith("P") and case.labels.all()
    assert [label.key for label in case.table] == ["Femur_left"] and row.in_training_set
    write_seg(root / "seg2.dcm", sources, labels, [described(1, "Femur right")])
    with pytest.raises(UserError, match=r"several segmentations: seg\.dcm, seg2\.dcm"):
        import_cases(project, root)
    only = tmp_path / "only"
    only.mkdir()
    seg.rename(only / "seg.dcm")
    with pytest.raises(UserError, match="drawn on no series"):
        find_pairs(only)


def test_what_an_algorithm_drew_is_not_reviewed(project: Project, tmp_path: Path) -> None:
    sources = scan_files(tmp_path / "study")
    labels = np.zeros((5, 4, 5), np.uint8)
    labels[2, 1:3] = 1
    write_seg(tmp_path / "study" / "seg.dcm", sources, labels, [described(1, "Femur", "AUTOMATIC")])
    done = import_cases(project, tmp_path / "study")
    assert done.reviewed == 0 and done.pairs[0].endswith("drawn by an algorithm, not reviewed.")
    (row,) = project.cases()
    assert {review.state for review in project.load_case(row.case_id).reviews} == {SliceState.MODEL}
    assert not row.in_training_set
    assert all(review.model_beneath for review in project.load_case(row.case_id).reviews)


def test_what_does_not_fit_is_taken_in_only_as_it_was_wished(
    project: Project, tmp_path: Path, tiny_volume: Volume
) -> None:
    write_volume(tmp_path / "x.nii.gz", tiny_volume)
    fine = Volume(np.zeros((12, 32, 32), np.int16), tiny_volume.affine @ np.diag([0.5, 1, 1, 1]))
    a, b = (np.zeros(fine.shape, np.uint8) for _ in range(2))
    a[2:6], b[4:8] = 1, 1
    fields = slicer_fields(("a", "1 0 0", 1, 0, ""), ("b", "1 0 0", 1, 1, ""))
    mask = write_nrrd(tmp_path / "m.seg.nrrd", np.stack([a, b]), fine.affine, fields=fields)
    for wish, words in (
        (ImportWish(mask), "another grid.*--resample"),
        (ImportWish(mask, resample=True), "share 1,024 voxels.*--overlaps"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            import_cases(project, tmp_path / "x.nii.gz", wish)
        assert "\n" not in str(caught.value) and not project.cases()
    done = import_cases(project, tmp_path / "x.nii.gz", ImportWish(mask, True, "last"))
    (told,) = done.pairs
    assert "; resampled, 0.0% of it lay outside the image (A 19.20 ml, now 19.20 ml; B 19.20 ml, now" in told
    case = project.load_case(project.cases()[0].case_id)
    names = {0: "", **{label.value: label.name for label in case.table}}
    assert [names[int(case.labels[z, 0, 0])] for z in range(6)] == ["", "a", "b", "b", "", ""]


def test_nothing_is_half_imported(
    project: Project, pairs: Path, tiny_volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (pairs / "c.seg.nrrd").read_bytes()
    (pairs / "c.seg.nrrd").write_bytes(whole[:-6])
    with pytest.raises(UserError, match=r"c\.seg\.nrrd is cut short"):
        import_cases(project, pairs)
    assert not project.cases()
    (pairs / "c.seg.nrrd").write_bytes(whole)
    load = importing.load_pair
    calls: list[Pair] = []

    def fails_at_the_end(pair: Pair, *rest: object) -> object:
        calls.append(pair)
        if len(calls) == 6:  # all were checked, two are in
            raise OSError(28, "No space left on device")
        return load(pair, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(importing, "load_pair", fails_at_the_end)
    with pytest.raises(OSError, match="No space"):
        import_cases(project, pairs)
    assert not project.cases()


@pytest.mark.parametrize("form", ["pairs", "nnunet"])
def test_a_full_disk_takes_all_in_or_nothing(
    project: Project, pairs: Path, tmp_path: Path, tiny_volume: Volume, form: str
) -> None:
    source = pairs
    if form == "nnunet":
        import_cases(project, pairs)
        export(project, source := tmp_path / "raw", ExportWish("nnunet"))
        for case in project.cases():
            project.remove_case(case.case_id)
    connection = project._connection
    connection.execute("VACUUM")
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages + 2}")  # room for the first case
    with pytest.raises(UserError, match=r"project could not be written: database or disk is full\. Make room"):
        import_cases(project, source)
    assert not project.cases()
    connection.execute(f"PRAGMA max_page_count={pages + 1000}")
    assert len(import_cases(project, source).cases) == 3
    assert len(project.cases()) == 3


def test_what_cannot_be_told_is_refused(project: Project, pairs: Path, tmp_path: Path, tiny_volume: Volume) -> None:
    write_nrrd(pairs / "b_seg.nrrd", some_labels(tiny_volume), tiny_volume.affine)
    with pytest.raises(UserError, match=r"b\.nii\.gz has several masks beside it: b_labels\.nrrd, b_seg\.nrrd"):
        import_cases(project, pairs)
    (pairs / "b_seg.nrrd").unlink()
    write_nrrd(pairs / "c.nrrd", some_labels(tiny_volume), tiny_volume.affine)
    with pytest.raises(UserError, match=r"c\.seg\.nrrd may be the mask of several images"):
        import_cases(project, pairs)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no dataset\.json of nnU-Net"):
        import_cases(project, tmp_path / "empty")
    assert not project.cases()
