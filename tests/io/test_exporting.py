"""Masks leave in six formats: where they lie, what they are called, and what never leaves as a label."""

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from export_room import STATES, TABLE, drawn_case, files_in, thigh_project, write_thigh_nifti, write_thigh_series

from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.review import SliceState
from thighview.io import nifti
from thighview.io.dataset import reviewed_cases
from thighview.io.export_files import check_manifest
from thighview.io.export_wish import FORMATS, Exported, ExportWish, chosen_cases
from thighview.io.exporting import export
from thighview.io.masks import read_mask
from thighview.io.project import DATABASE, Project
from thighview.io.reading import read_volume
from thighview.io.stored_case import read_stored_case

REVIEWED = [i for i, state in enumerate(STATES) if state.reviewed]
OPEN = [i for i, state in enumerate(STATES) if not state.reviewed]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = thigh_project(tmp_path)
    yield project
    project.close()


def out_of(project: Project, folder: Path, form: str, **wish: object) -> Exported:
    done = export(project, folder, ExportWish(form, **wish))  # type: ignore[arg-type]
    assert done is not None
    return done


def damage(project: Project, case_id: int) -> None:
    """As if the disk had changed one stored edit."""
    with sqlite3.connect(project.folder / DATABASE) as connection:
        changed = "UPDATE edit SET name=name||'x' WHERE case_id=? AND n=5"
        assert connection.execute(changed, (case_id,)).rowcount == 1
    connection.close()


def numbers(labels: np.ndarray) -> np.ndarray:
    """A mask in the numbers of the files."""
    lookup = np.zeros(256, int)
    for label in TABLE:
        lookup[label.value] = label.file_id
    return lookup[labels]


def test_of_a_damaged_mask_nothing_leaves_and_nothing_is_learnt_unseen(project: Project, tmp_path: Path) -> None:
    damage(project, 2)
    told = "sub-02 & scan is damaged"
    for _ in range(2):  # looking does not mend it
        done = out_of(project, tmp_path / "out", "nifti")
        assert done.cases == 1 and told in done.left_out[0][1] and "Open it in the window" in done.left_out[0][1]
        shutil.rmtree(tmp_path / "out")
        for refused in (
            lambda: out_of(project, tmp_path / "out", "nnunet"),
            lambda: reviewed_cases(project),
            lambda: read_stored_case(project, 2),
        ):
            with pytest.raises(UserError, match=told):
                refused()
    (tmp_path / "sub-02_acq-tse_T1w.nii.gz").rename(tmp_path / "away.nii.gz")
    assert told in out_of(project, tmp_path / "out", "nifti").left_out[0][1]
    project.go_on_after_damage(2)
    assert out_of(project, tmp_path / "more", "nifti").cases == 2
    assert len(reviewed_cases(project)) == 1, "its reviews were lost"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("deidentify", [False, True])
def test_every_format_is_whole_and_says_so(project: Project, tmp_path: Path, form: str, deidentify: bool) -> None:
    done = out_of(project, tmp_path / "out", form, deidentify=deidentify)
    assert done.cases == (1 if form == "dicomseg" else 2)
    assert check_manifest(tmp_path / "out") == []
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["kind"], manifest["deidentified"]) == (form, deidentify)
    assert done.files == len(files_in(tmp_path / "out")) == len(manifest["files"]) + 1
    assert not [name for name in files_in(tmp_path / "out") if "/." in name or name.endswith(".tmp")]
    texts = [(tmp_path / "out" / name).read_text() for name in files_in(tmp_path / "out") if name.endswith(".json")]
    assert any("Research use only" in text for text in texts)
    assert any(f'"{STATES[1].word}"' in text for text in texts), "a list of the state of each slice"
    assert Exported.from_json(json.loads(json.dumps(done.to_json()))) == done
    (tmp_path / "out" / "README").write_text("changed")
    assert check_manifest(tmp_path / "out") == ["README"]


def test_nifti_lies_byte_for_byte_where_the_scan_lies(project: Project, tmp_path: Path) -> None:
    out_of(project, tmp_path / "out", "nifti")
    assert files_in(tmp_path / "out") == [
        "anna-scan.json", "anna-scan.nii.gz", "manifest.json", "sub-02-scan.json", "sub-02-scan.nii.gz",
    ]  # fmt: skip
    scan, mask = (
        nibabel.load(path) for path in (tmp_path / "sub-02_acq-tse_T1w.nii.gz", tmp_path / "out" / "sub-02-scan.nii.gz")
    )
    fields = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
    for name in (*fields, "srow_x", "srow_y", "srow_z", "pixdim", "xyzt_units"):
        assert np.array_equal(scan.header[name], mask.header[name]), name
    assert (int(mask.header["sform_code"]), int(mask.header["qform_code"])) == (2, 3)
    for index, name in ((1, "anna-scan"), (2, "sub-02-scan")):
        case = project.load_case(index)
        written = tmp_path / "out" / f"{name}.nii.gz"
        assert np.array_equal(np.asarray(nibabel.load(written).dataobj).T, numbers(case.labels))
        facts = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        assert facts["slices"] == [state.word for state in STATES]
        assert {row["id"]: row["made_by"]["kind"] for row in facts["labels"]} == {
            13: "semiautomatic", 700: "automatic", 7: "manual",
        }  # fmt: skip
        assert facts["models"][0]["name"] == "thigh_tissues"
    volume = read_volume(tmp_path / "series")
    from_dicom = nibabel.load(tmp_path / "out" / "anna-scan.nii.gz")
    assert (int(from_dicom.header["sform_code"]), int(from_dicom.header["qform_code"])) == (1, 1)
    labels, table = read_mask(tmp_path / "out" / "anna-scan.nii.gz", volume)
    assert np.array_equal(labels > 0, project.load_case(1).labels > 0)
    assert [(b.name, b.side, b.colour, b.file_id) for b in sorted(table, key=lambda b: b.file_id)] == [
        (b.name, b.side, b.colour, b.file_id) for b in sorted(TABLE, key=lambda b: b.file_id)
    ]


def test_nrrd_is_slicer_s_and_lies_where_simpleitk_says(project: Project, tmp_path: Path) -> None:
    out_of(project, tmp_path / "out", "nrrd")
    for index, name, scan in ((1, "anna-scan", "series"), (2, "sub-02-scan", "sub-02_acq-tse_T1w.nii.gz")):
        path, case = tmp_path / "out" / f"{name}.seg.nrrd", project.load_case(index)
        data, header = nrrd.read(str(path))
        assert np.array_equal(data.T, numbers(case.labels))
        assert header["space"] == "left-posterior-superior" and header["encoding"] == "gzip"
        segments = {header[f"Segment{n}_LabelValue"]: n for n in range(3)}
        assert set(segments) == {"13", "700", "7"}
        n = segments["13"]
        assert header[f"Segment{n}_Name"] == "muscle_left" and header[f"Segment{n}_Layer"] == "0"
        colour = [round(255 * float(c)) for c in header[f"Segment{n}_Color"].split()]
        assert colour == [200, 40, 60]
        assert header[f"Segment{n}_Extent"] == "0 2 0 1 0 4" and "inprogress" in header[f"Segment{n}_Tags"]
        assert header[f"Segment{segments['7']}_Name"] == "gro?er_anziehender_muskel_right", "what ASCII can hold"
        image, volume = sitk.ReadImage(str(path)), read_volume(tmp_path / scan)
        assert np.array_equal(sitk.GetArrayFromImage(image), numbers(case.labels))
        for z, y, x in np.ndindex(2, 2, 2):
            corner = (z * 4, y * 3, x * 4)
            wanted = image.TransformContinuousIndexToPhysicalPoint([float(v) for v in reversed(corner)])
            assert np.abs(volume.to_world(corner) - wanted).max() < 1e-3
        assert b"# " not in path.read_bytes().partition(b"\n\n")[0], "no comment with the hour it was made"
        facts = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        assert facts["labels"][2]["name"] == "großer_anziehender_muskel" and len(facts["slices"]) == 5


def test_bids_marks_what_nobody_has_reviewed(project: Project, tmp_path: Path) -> None:
    out_of(project, tmp_path / "out", "bids")
    names = files_in(tmp_path / "out")
    assert {"dataset_description.json", "README", ".bidsignore", "manifest.json"} <= set(names)
    stems = ["sub-02/anat/sub-02_acq-tse_dseg", "sub-anna/anat/sub-anna_dseg"]
    assert [n for n in names if "/" in n] == [f"{stem}{end}" for stem in stems for end in (".json", ".nii.gz", ".tsv")]
    about = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert about["DatasetType"] == "derivative" and about["GeneratedBy"][0]["Name"] == "thighview"
    for index, stem in ((1, stems[1]), (2, stems[0])):
        mask = np.asarray(nibabel.load(tmp_path / "out" / f"{stem}.nii.gz").dataobj).T
        sidecar = json.loads((tmp_path / "out" / f"{stem}.json").read_text())
        assert (mask[OPEN] == sidecar["UnreviewedIndex"]).all(), "output nobody has looked at never leaves as a label"
        assert np.array_equal(mask[REVIEWED], numbers(project.load_case(index).labels)[REVIEWED])
        assert sidecar["thighview"]["slices"] == [state.word for state in STATES] and sidecar["Manual"] is False
        rows = [line.split("\t") for line in (tmp_path / "out" / f"{stem}.tsv").read_text().splitlines()]
        assert rows[0] == ["index", "name", "color"]
        assert {"13", "700", "7", "0", str(sidecar["UnreviewedIndex"])} == {row[0] for row in rows[1:]}
        assert ["13", "muscle_left", "#c8283c"] in rows
    assert sidecar["Sources"] == ["sub-02_acq-tse_T1w.nii.gz"]


def test_two_scans_of_one_person_have_two_names_in_bids(project: Project, tmp_path: Path) -> None:
    scan = write_thigh_nifti(tmp_path / "other.nii.gz", 5)
    project.add_case(drawn_case(scan, "an-na"))
    project.add_case(drawn_case(write_thigh_nifti(tmp_path / "more.nii.gz", 6), "anna"))
    out_of(project, tmp_path / "out", "bids")
    masks = [n for n in files_in(tmp_path / "out") if n.endswith("_dseg.nii.gz")]
    assert masks == [
        "sub-02/anat/sub-02_acq-tse_dseg.nii.gz", "sub-anna/anat/sub-anna_dseg.nii.gz",
        "sub-annax2/anat/sub-annax2_dseg.nii.gz", "sub-annax2/anat/sub-annax2_run-02_dseg.nii.gz",
    ], "an-na comes before anna, and is somebody else"  # fmt: skip


def test_npz_is_plain_and_marks_what_nobody_has_reviewed(project: Project, tmp_path: Path) -> None:
    out_of(project, tmp_path / "out", "npz")
    volume, case = read_volume(tmp_path / "series"), project.load_case(1)
    with np.load(tmp_path / "out" / "anna-scan.npz", allow_pickle=False) as found:
        assert np.array_equal(found["image"], volume.voxels) and np.array_equal(found["affine"], volume.affine)
        assert "left, posterior, superior" in str(found["affine_convention"])
        assert found["spacing_mm_zyx"].tolist() == list(volume.spacing_mm)
        assert found["states"].tolist() == [state.word for state in STATES]
        assert found["reviewed"].tolist() == [state.reviewed for state in STATES]
        mask, mark = found["mask"], int(found["unreviewed_value"])
        assert (mask[OPEN] == mark).all() and np.array_equal(mask[REVIEWED], case.labels[REVIEWED])
        assert mark not in {label.value for label in TABLE}
        rows = json.loads(str(found["labels"]))
        assert {row["value"]: row["name"] for row in rows}[mark] == "unreviewed"
        assert str(found["subject"]) == "anna" and json.loads(str(found["facts"]))["title"] == "anna & scan"


def test_what_nobody_has_reviewed_at_all_is_no_training_data(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p")
    scan = write_thigh_nifti(tmp_path / "scan.nii.gz")
    project.add_case(drawn_case(scan, "a", (SliceState.MODEL,) * 5), in_training_set=True)
    for form in ("bids", "npz", "nnunet"):
        with pytest.raises(UserError, match="reviewed"):
            export(project, tmp_path / "out", ExportWish(form))
    assert not (tmp_path / "out").exists()
    project.add_case(drawn_case(write_thigh_nifti(tmp_path / "b.nii.gz", 1), "b", (SliceState.DRAWN,) * 5))
    done = out_of(project, tmp_path / "out", "bids")
    assert done.cases == 1 and [title for title, _ in done.left_out] == ["a & scan"]
    assert json.loads((tmp_path / "out/sub-b/anat/sub-b_dseg.json").read_text())["UnreviewedIndex"] is None
    assert out_of(project, tmp_path / "two", "nifti").cases == 2, "a mask as it is leaves, with its states"
    project.close()


def test_a_case_that_cannot_be_written_leaves_nothing_and_the_others_go_on(project: Project, tmp_path: Path) -> None:
    done = out_of(project, tmp_path / "out", "dicomseg")
    assert files_in(tmp_path / "out") == ["anna-scan.dcm", "anna-scan.json", "manifest.json"]
    ((title, why),) = done.left_out
    assert title == "sub-02 & scan" and "no DICOM series" in why and "no DICOM series" in str(done)
    with pytest.raises(UserError, match="No case could be written"):
        export(project, tmp_path / "none", ExportWish("dicomseg", (2,)))
    scan = tmp_path / "sub-02_acq-tse_T1w.nii.gz"
    write_thigh_nifti(scan, 9)  # another image in its place
    done = out_of(project, tmp_path / "masks", "nifti")
    assert done.cases == 1 and "has changed" in done.left_out[0][1]
    scan.unlink()
    done = out_of(project, tmp_path / "more", "nifti")
    assert done.cases == 2 and "not where it was" in done.notes[0]
    assert np.array_equal(
        np.asarray(nibabel.load(tmp_path / "more" / "sub-02-scan.nii.gz").dataobj).T,
        numbers(project.load_case(2).labels),
    )
    assert out_of(project, tmp_path / "npz", "npz").cases == 1, "without pixels there is nothing to learn from"


def test_names_in_other_letters_come_back_from_nrrd(tmp_path: Path) -> None:
    case = drawn_case(write_thigh_nifti(tmp_path / "a.nii.gz"), "anna")
    names = ("大腿直筋", "外側広筋", "Длинная_приводящая")
    case.table = LabelTable(tuple(
        replace(label, name=name) for label, name in zip(case.table, names, strict=True)
    ))  # fmt: skip
    with closing(Project.create(tmp_path / "p")) as project:
        project.add_case(case)
        out_of(project, tmp_path / "out", "nrrd")
    path = tmp_path / "out" / "anna-scan.seg.nrrd"
    back = {label.file_id: (label.name, label.side) for label in read_mask(path, case.volume)[1]}
    assert back == {label.file_id: (label.name, label.side) for label in case.table}
    renamed = path.read_bytes().replace(b"Segment0_Name:=????_left", b"Segment0_Name:=changed_by_hand")
    path.write_bytes(renamed)
    assert {label.name for label in read_mask(path, case.volume)[1]} == {"changed_by_hand", *names[1:]}


@pytest.mark.parametrize("deidentify", [False, True])
@pytest.mark.parametrize("form", ["nifti", "nrrd", "bids"])
def test_an_emptied_folder_is_a_scan_that_is_gone(
    project: Project, tmp_path: Path, form: str, deidentify: bool
) -> None:
    """What the system leaves in a folder is no scan either."""
    series, at_first = tmp_path / "series", out_of(project, tmp_path / "first", form, deidentify=deidentify)
    shutil.move(series, tmp_path / "away")
    gone = out_of(project, tmp_path / "gone", form, deidentify=deidentify)
    (series / "below").mkdir(parents=True)
    for junk in ("Thumbs.db", ".DS_Store", "below/notes.txt"):
        (series / junk).write_bytes(b"no image")
    emptied = out_of(project, tmp_path / "emptied", form, deidentify=deidentify)
    assert emptied.cases == gone.cases == at_first.cases == 2 and emptied.left_out == ()
    assert emptied.notes == gone.notes
    assert (
        emptied.notes[0]
        == "The scan of anna & scan is not where it was; its mask has the position kept in the project."
    )
    masks = [name for name in files_in(tmp_path / "gone") if name.endswith((".gz", ".nrrd"))]
    assert files_in(tmp_path / "emptied") == files_in(tmp_path / "gone") and len(masks) == 2
    for name in masks:
        one, other = read_volume(tmp_path / "emptied" / name), read_volume(tmp_path / "gone" / name)
        assert one.same_grid(other) and np.array_equal(one.voxels, other.voxels)
        assert one.same_grid(read_volume(tmp_path / "first" / name), 1e-3)


@pytest.mark.parametrize(("code", "checked", "mirror"), [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 1)])
def test_of_a_scan_that_is_gone_left_and_right_are_as_well_known_as_before(
    tmp_path: Path, code: int, checked: bool, mirror: bool
) -> None:
    path, at_origin = tmp_path / "a.nii.gz", np.diag([1.0, 1.0, 4.0, 1.0])
    image = nibabel.Nifti1Image(np.ones((5, 4, 5), np.int16), at_origin)
    image.set_sform(at_origin, code)
    image.set_qform(at_origin, code)
    nibabel.save(image, path)
    with closing(Project.create(tmp_path / "p")) as project:
        case = drawn_case(path, "anna")
        case_id = project.add_case(case)
        project.set_checked(case_id, case.doubts if checked else ())
        if mirror:
            project.write_mirror(case_id, case.checked_volume)
        path.rename(tmp_path / "away")
        done = out_of(project, tmp_path / "out", "nifti")
    known = bool(code or checked)
    assert any("Left and right" in note for note in done.notes) is not known
    if not checked:
        assert ("orientation" in read_volume(tmp_path / "out" / "anna-scan.nii.gz").unsure) is not known


def test_a_case_whose_folder_was_emptied_has_no_pixels_to_leave(project: Project, tmp_path: Path) -> None:
    for path in (tmp_path / "series").iterdir():
        path.unlink()
    for form in ("npz", "dicomseg"):
        with pytest.raises(UserError, match=r"The scan of anna & scan is not at .*series any more\. Put it back"):
            export(project, tmp_path / "out", ExportWish(form, (1,)))


@pytest.mark.parametrize("form", ["nifti", "nrrd", "npz"])
def test_a_case_may_be_called_what_the_files_of_an_export_are(project: Project, tmp_path: Path, form: str) -> None:
    for case_id, title in ((1, "Manifest"), (2, "deidentification")):
        project._connection.execute("UPDATE case_ SET title=? WHERE case_id=?", (title, case_id))
    assert out_of(project, tmp_path / "out", form).cases == 2
    assert check_manifest(tmp_path / "out") == []
    found = files_in(tmp_path / "out")
    assert {"manifest.json", "Manifest-2.json", "deidentification-2.json"} < set(found) and len(found) == 5


@pytest.mark.parametrize("form", FORMATS)
def test_a_disk_that_fills_ends_the_whole_export(
    project: Project, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_case(drawn_case(write_thigh_series(tmp_path / "other"), "bert"), in_training_set=True)
    room = [6]  # files

    def full(descriptor: int, sync: Callable[[int], None] = os.fsync) -> None:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"/out could not be written: No space left on device\.") as refused:
        export(project, tmp_path / "out", ExportWish(form))
    assert ".part" not in str(refused.value) and "has room" in refused.value.hint
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_which_cases(project: Project, tmp_path: Path) -> None:
    blank = drawn_case(write_thigh_nifti(tmp_path / "c.nii.gz", 3), "c", (SliceState.MODEL,) * 5)
    project.add_case(blank)
    ids = {form: [c.case_id for c in chosen_cases(project, ExportWish("nifti", form))] for form in ("all", "reviewed")}
    assert ids == {"all": [1, 3, 2], "reviewed": [1, 2]}
    assert [c.case_id for c in chosen_cases(project, ExportWish("nrrd", (3,)))] == [3]
    assert [c.case_id for c in chosen_cases(project, ExportWish("nnunet"))] == [1, 2]
    for wish in (ExportWish("nifti", (99,)), ExportWish("nnunet", (3,))):
        with pytest.raises(UserError, match="not in the project"):
            chosen_cases(project, wish)
    with pytest.raises(UserError, match="not known"):
        ExportWish("tiff")
    wish = ExportWish("npz", (1, 2), True, (2,))
    assert ExportWish.from_json(json.loads(json.dumps(wish.to_json()))) == wish
    assert ExportWish.from_json(ExportWish("npz").to_json()) == ExportWish("npz")


def test_a_full_folder_and_a_stopped_export_leave_nothing(project: Project, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis").touch()
    before = files_in(tmp_path)
    for form in FORMATS:
        with pytest.raises(UserError, match="not an empty folder"):
            export(project, full, ExportWish(form))
        asked: list[int] = []

        def stopped(asked: list[int] = asked) -> bool:
            asked.append(1)
            return len(asked) > 1

        assert export(project, tmp_path / "out", ExportWish(form), stopped=stopped) is None
        assert not (tmp_path / "out").exists()
    assert [name for name in files_in(tmp_path) if not name.startswith("study/")] == [
        name for name in before if not name.startswith("study/")
    ]


def test_one_number_names_one_segment(project: Project, tmp_path: Path) -> None:
    project.set_table(1, LabelTable((*TABLE, Label(9, "never_painted", "", (1, 1, 1), 13))))
    out_of(project, tmp_path / "out", "nrrd", cases=(1,))
    header = nrrd.read_header(str(tmp_path / "out" / "anna-scan.seg.nrrd"))
    named = {header[f"Segment{n}_LabelValue"]: header[f"Segment{n}_Name"] for n in range(3)}
    assert named["13"] == "muscle_left" and "Segment3_Name" not in header


def test_the_number_of_the_mark_is_the_highest_and_never_a_label_s(project: Project, tmp_path: Path) -> None:
    case = project.load_case(2)
    everything = LabelTable.from_ids(range(1, 256))
    project.set_table(case.case_id, everything)
    done = out_of(project, tmp_path / "out", "npz")
    assert done.cases == 1 and "none is left to mark" in done.left_out[0][1]
    project.set_table(case.case_id, LabelTable(tuple(everything)[:-1]))
    out_of(project, tmp_path / "two", "bids")
    sidecar = json.loads((tmp_path / "two/sub-02/anat/sub-02_acq-tse_dseg.json").read_text())
    assert sidecar["UnreviewedIndex"] == 255


def test_a_nifti_with_words_in_its_header_exports_none(project: Project, tmp_path: Path) -> None:
    out_of(project, tmp_path / "out", "nnunet", deidentify=True)
    for path in (tmp_path / "out").rglob("*.nii.gz"):
        assert nifti.read_nifti(path).details["Position from"].startswith("sform")
        assert not nibabel.load(path).header.extensions
