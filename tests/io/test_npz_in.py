"""What we export as npz comes in again as it was: image, geometry, labels, and what is known of each slice."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_room import STATES, TABLE, drawn_case, write_thigh_nifti, write_thigh_series

from thighview.cli import main
from thighview.cli.dispatch import DONE
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.labels import LabelTable
from thighview.core.review import SliceReview, SliceState
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io.export_wish import ExportWish
from thighview.io.exporting import export
from thighview.io.importing import import_cases
from thighview.io.masks import find_mask, read_mask
from thighview.io.npz_in import carries_mask, subject_in
from thighview.io.npz_out import write_npz
from thighview.io.project import Project
from thighview.io.reading import read_source, read_volume, sha256_of
from thighview.io.stored_case import read_stored_case

REVIEWED = [state.reviewed for state in STATES]


@pytest.fixture
def into(tmp_path: Path) -> Iterator[Project]:
    with closing(Project.create(tmp_path / "into")) as project:
        yield project


def exported(folder: Path, case: Case, deidentify: bool = False) -> Path:
    with closing(Project.create(folder / "from")) as project:
        project.add_case(case, in_training_set=True)
        assert export(project, folder / "out", ExportWish("npz", "all", deidentify, "all")) is not None
    (found,) = (folder / "out").glob("*.npz")
    return found


def test_what_it_says_of_itself_is_looked_at(tmp_path: Path) -> None:
    """A spacing that no scanner has makes lengths unknown, and a name is one line."""
    case = drawn_case(write_thigh_nifti(tmp_path / "a.nii.gz"), "anna")
    odd = replace(case.volume, affine=case.volume.affine @ np.diag([100.0, 1.0, 1.0, 1.0]), unsure=frozenset())
    facts = {"subject": "an\nna <b>" + "a" * 5000}
    write_npz(tmp_path / "odd.npz", odd, case.labels, case.table, case.reviews, facts)
    assert read_volume(tmp_path / "odd.npz").unsure == {"spacing"}
    assert subject_in(tmp_path / "odd.npz").startswith("an na <b>aaa") and len(subject_in(tmp_path / "odd.npz")) == 64


def test_arrays_whose_names_end_like_a_choice_are_other_arrays(tmp_path: Path) -> None:
    t1 = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    np.savez(tmp_path / "two.npz", **{"t1": t1, "t1 qform": t1 + 100})
    assert np.array_equal(read_volume(tmp_path / "two.npz", "t1 qform").voxels, t1 + 100)
    assert sha256_of(tmp_path / "two.npz", "t1") != sha256_of(tmp_path / "two.npz", "t1 qform")
    assert not ScanKey(tmp_path, "t1 qform").by_qform and ScanKey(tmp_path, "2 qform").by_qform


@pytest.mark.parametrize("deidentify", [False, True])
@pytest.mark.parametrize("kind", ["dicom", "nifti"])
def test_an_export_comes_in_again_as_it_was(tmp_path: Path, into: Project, kind: str, deidentify: bool) -> None:
    scan = write_thigh_series(tmp_path / "s") if kind == "dicom" else write_thigh_nifti(tmp_path / "a.nii.gz")
    case = drawn_case(scan, "anna")
    path, was = exported(tmp_path, case, deidentify), read_volume(scan)
    volume = read_volume(path)
    assert volume.voxels.dtype == was.voxels.dtype and np.array_equal(volume.voxels, was.voxels)
    assert np.array_equal(volume.affine, was.affine) and volume.axes == was.axes
    assert set(volume.warnings) <= set(was.warnings) and volume.unsure == frozenset() and volume.name == path.name[:-4]
    done = import_cases(into, path)
    assert (done.reviewed, done.slices) == (sum(REVIEWED), len(REVIEWED))
    (summary,) = into.cases()
    again = read_stored_case(into, summary.case_id)
    assert again.volume.same_grid(was) and np.array_equal(again.volume.voxels, was.voxels)
    found, wanted = ({(b.name, b.side, b.colour, b.file_id) for b in table} for table in (again.table, TABLE))
    assert found == wanted
    for label in TABLE:
        (value,) = [b.value for b in again.table if b.key == label.key]
        assert np.array_equal(again.labels[REVIEWED] == value, case.labels[REVIEWED] == label.value)
    assert not again.labels[np.logical_not(REVIEWED)].any(), "what nobody has reviewed has stayed at home"
    kept = [review if review.state.reviewed else SliceReview() for review in case.reviews]
    assert [review.code for review in again.reviews] == [review.code for review in kept]
    assert (again.subject == "anna") is not deidentify and again.subject == subject_in(path)


def test_a_folder_of_exports_is_taken_in_without_naming_a_mask(tmp_path: Path, into: Project) -> None:
    with closing(Project.create(tmp_path / "from")) as project:
        for n, subject in enumerate(("anna_seg", "bert", "bert")):
            case = drawn_case(write_thigh_nifti(tmp_path / f"{n}.nii.gz", n), subject)
            case.title = f"{subject} {n}" if n else subject  # the first is called as masks beside images are
            project.add_case(case)
        assert export(project, tmp_path / "out", ExportWish("npz")) is not None
    (tmp_path / "out" / "other.npz").write_bytes(b"")
    done = import_cases(into, tmp_path / "out")
    assert done.reviewed == 3 * sum(REVIEWED) and any("other.npz" in note for note in done.notes)
    assert sorted(case.subject for case in into.cases()) == ["anna_seg", "bert", "bert"], "one person stays one"


def test_info_and_the_command_line_take_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = exported(tmp_path, drawn_case(write_thigh_series(tmp_path / "s"), "anna"))
    assert main(["info", str(path), "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["shape_zyx"], told["warnings"]) == ("numpy", [5, 4, 5], [])
    assert told["details"]["Mask in it"] == "muscle, femur, großer_anziehender_muskel"
    assert main(["import", str(tmp_path / "new"), str(path)]) == DONE
    assert f"3 labels, {sum(REVIEWED)} of 5 slices reviewed" in capsys.readouterr().out


def test_what_a_scan_does_not_say_is_not_known_of_its_export_either(tmp_path: Path, tiny_volume: Volume) -> None:
    volume = replace(tiny_volume, unsure=frozenset({"orientation", "spacing"}), missing=(2,))
    labels = np.ones(volume.shape, np.uint8)
    path = tmp_path / "a.npz"
    write(path, volume, labels, [SliceReview(SliceState.DRAWN)] * 6)
    found = read_volume(path)
    assert found.unsure == volume.unsure and found.missing == (2,) and len(found.warnings) == 2
    assert "left and right, front and back are not known" in found.warnings[0]
    again, table = read_mask(path, found)
    assert np.array_equal(again, labels) and [label.title for label in table] == ["Muscle"]
    with pytest.raises(UserError, match="cannot be laid on the scan"):
        find_mask(path, replace(found, unsure=frozenset()))


def test_its_mask_lies_on_the_scan_it_was_drawn_on(tmp_path: Path) -> None:
    scan = write_thigh_series(tmp_path / "s")
    case = drawn_case(scan, "anna", (SliceState.DRAWN,) * 5)
    found = find_mask(exported(tmp_path, case), read_volume(scan))
    assert found.is_clear and found.table.find("femur") is not None
    assert np.array_equal(found.settled()[0] > 0, case.labels > 0)
    assert read_source(tmp_path / "out" / "anna-scan.npz", "mask").volume.name == "anna-scan, mask"


TABLE_OF_ONE = LabelTable().merged([("muscle", "")])


def write(path: Path, volume: Volume, labels: np.ndarray, reviews: list[SliceReview]) -> None:
    write_npz(path, volume, labels, TABLE_OF_ONE, reviews, {"subject": "anna", "model_beneath": []})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("labels", lambda _: np.array("[{}]")),
        ("labels", lambda _: np.array("not json")),
        ("labels", lambda old: np.array(str(old).replace('"value": 1', '"value": 300'))),
        ("states", lambda old: old[:-1]),
        ("states", lambda old: np.array(["perfect"] * len(old))),
        ("affine", lambda old: old * 0),
        ("unreviewed_value", None),
        ("facts", lambda _: np.array("[" * 100_000)),
        ("missing", lambda _: np.array([99], np.int32)),
    ],
)
def test_a_damaged_export_is_refused(
    tmp_path: Path, tiny_volume: Volume, name: str, change: Callable[[Any], Any] | None
) -> None:
    path = tmp_path / "a.npz"
    write(path, tiny_volume, np.ones(tiny_volume.shape, np.uint8), [SliceReview(SliceState.DRAWN)] * 6)
    with np.load(path) as stored:
        arrays = dict(stored)
    old = arrays.pop(name)
    np.savez(path, **arrays, **({name: change(old)} if change else {}))
    for read in (read_volume, lambda one: read_mask(one, tiny_volume)):
        with pytest.raises(UserError, match="calls itself an export of thighview") as refused:
            read(path)
        assert refused.value.hint == "Export it again."
    assert not carries_mask(path) and subject_in(path) == ""


def test_text_at_an_end_of_memory_is_text(tmp_path: Path, tiny_volume: Volume) -> None:
    """Letters beyond all that are, and the other byte order, are no reason to stop."""
    path = tmp_path / "a.npz"
    write(path, tiny_volume, np.ones(tiny_volume.shape, np.uint8), [SliceReview(SliceState.DRAWN)] * 6)
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["affine_convention"] = arrays["affine_convention"].astype(arrays["affine_convention"].dtype.newbyteorder())
    arrays["subject"] = np.frombuffer(b"\xff" * 8, "<u4").view("<U2").reshape(())
    np.savez(path, **arrays)
    assert carries_mask(path) and "\ufffd" in subject_in(path)
