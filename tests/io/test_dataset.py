"""Freezing a training set: only what was reviewed, and only what is still the same."""

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
from tiny_project import TABLE, add_person, draw_person, make_project

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.history import Edit
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import Patch, Region
from thighview.core.phantom_names import tissue_table
from thighview.core.review import ReviewChange, SliceReview, SliceState
from thighview.core.run import TrainConfig
from thighview.io import dataset as sets
from thighview.io.project import Project
from thighview.io.reading import read_volume
from thighview.io.runs import run_folder


def test_what_can_only_be_looked_at_does_not_train(tmp_path: Path) -> None:
    """Of a case whose lengths nobody confirmed; an older program let them be drawn on."""
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, np.arange(5 * 16 * 16, dtype=np.uint16).reshape(5, 16, 16))
    volume = read_volume(path)
    case = Case.of(volume, path, "", "a")
    case.table = LabelTable((Label(1, "thigh"),))
    case.labels[2, 4:9, 4:9] = 1
    case.reviews[2] = SliceReview(SliceState.DRAWN)
    with closing(Project.create(tmp_path / "study")) as project:
        case_id = project.add_case(case, in_training_set=True)
        for name, checked in (("no", ()), ("yes", volume.warnings)):
            project.set_checked(case_id, checked)
            run = run_folder(tmp_path / "study", name)
            frozen = sets.freeze(project, run, TrainConfig())
            assert sets.read_dataset(run) == frozen and frozen.cases[0].checked == tuple(sorted(checked))
            if checked:
                assert np.count_nonzero(sets.read_case(run, frozen.cases[0], frozen.labels)[1] == 1) == 25
            else:
                with pytest.raises(UserError, match="can only be looked at"):
                    sets.read_case(run, frozen.cases[0], frozen.labels)


def _freeze(folder: Path, name: str = "one") -> tuple[sets.Dataset, object]:
    project = Project.open(folder)
    try:
        run = run_folder(folder, name)
        return sets.freeze(project, run, TrainConfig()), run
    finally:
        project.close()


def test_frozen_and_read_again(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 3, reviewed=2)
    frozen, run = _freeze(folder)
    assert sets.read_dataset(run) == frozen
    assert len(frozen.slices) == 6
    assert sorted(c.part for c in frozen.cases) == ["train", "train", "validation"]
    assert frozen.note == ""
    assert {s.state for s in frozen.slices} == {"drawn"}
    assert [s.id for s in frozen.slices] == [1, 2, 3, 4, 5, 6]
    volume, mask = sets.read_case(run, frozen.cases[0], frozen.labels)
    assert volume.shape == mask.shape
    np.testing.assert_array_equal(mask[:2], draw_person(0)[1][:2])
    assert (mask[2:] == sets.IGNORE).all()


def test_parts_stay_when_people_come(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 4)
    first, _ = _freeze(folder, "one")
    project = Project.open(folder)
    for seed in range(4, 9):
        add_person(project, tmp_path, seed, f"person {seed}")
    project.close()
    second, _ = _freeze(folder, "two")
    parts = {c.subject: c.part for c in second.cases}
    assert {c.subject: c.part for c in first.cases}.items() <= parts.items()
    assert "test" in parts.values()


def test_painting_on_does_not_change_a_frozen_run(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 1)
    frozen, run = _freeze(folder)
    before = (run.path / frozen.cases[0].mask).read_bytes()
    project = Project.open(folder)
    case_id = project.cases()[0].case_id
    project.set_table(case_id, TABLE.with_label(Label(9, "more")))
    project.close()
    assert (run.path / frozen.cases[0].mask).read_bytes() == before
    assert sets.read_dataset(run) == frozen
    with pytest.raises(UserError, match="There is a run “"):
        _freeze(folder)


def test_one_person_is_enough_and_says_what_that_means(tmp_path: Path) -> None:
    frozen, _ = _freeze(make_project(tmp_path, 1))
    assert frozen.note.startswith(sets.NO_PERSON)
    assert frozen.phantoms == ()
    assert frozen.of_part("validation") == ()


def test_phantoms_validate_where_their_labels_are_learnt(tmp_path: Path) -> None:
    table = LabelTable((Label(1, "muscle"), Label(2, "femur_cortex", "left")))
    frozen, run = _freeze(make_project(tmp_path, 1, table=table))
    assert frozen.note == sets.NO_PERSON
    assert [p.subject for p in frozen.phantoms] == ["phantom 1", "phantom 2"]
    assert sets.read_dataset(run) == frozen
    volume, truth = sets.read_phantom(frozen.phantoms[0], frozen.labels)
    assert volume.shape == truth.shape
    assert set(np.unique(truth)) == {0, 1, 2}
    assert frozen.subjects("validation") == ["phantom 1", "phantom 2"]
    which, values = sets.phantom_lookup(frozen.labels) or ("", np.zeros(256, np.uint8))
    assert which == "tissues"
    muscle = [b.value for b in tissue_table() if b.name == "muscle"]
    assert [int(values[v]) for v in muscle] == [1, 1]


def test_a_case_that_gets_another_subject_meanwhile_is_not_trained_under_the_old_one(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 3)
    project = Project.open(folder)
    case = project.cases()[0]

    def write(change: Any) -> Any:
        answer = change(project)
        if project.load_case(case.case_id).subject == case.subject:
            project.set_subject(case.case_id, "somebody else")
        return answer

    part = project.assign_parts([c.subject for c in project.cases()])[case.subject]
    with pytest.raises(UserError, match="another subject"):
        sets.freeze(project, run_folder(folder, "one"), TrainConfig(), write=write)
    assert not list((folder / "runs").iterdir()) and project.runs() == []
    assert project.subjects()["somebody else"] == part
    project.set_subject(case.case_id, "nobody has used it")
    project.close()


def test_nothing_reviewed_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 2, reviewed=0)
    with pytest.raises(UserError, match="No slice of the training set is reviewed"):
        _freeze(folder)
    assert not list((folder / "runs").iterdir())
    project = Project.open(folder)
    for case in project.cases():
        project.set_in_training_set(case.case_id, False)
    project.close()
    with pytest.raises(UserError, match="empty"):
        _freeze(folder)


def test_labels_are_joined_by_name_and_unpainted_ones_left_out(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "study")
    add_person(project, tmp_path, 0, "a")
    other = LabelTable((Label(1, "bone"), Label(2, "thigh"), Label(3, "nerve")))
    add_person(project, tmp_path, 1, "b", table=other)
    project.close()
    frozen, run = _freeze(project.folder)
    assert [b.key for b in frozen.labels] == ["thigh", "bone"]
    assert "Nerve" in frozen.note
    case = next(c for c in frozen.cases if c.subject == "b")
    _, mask = sets.read_case(run, case, frozen.labels)
    np.testing.assert_array_equal(mask == 2, draw_person(1)[1] == 1)


def test_a_changed_or_missing_source_is_named(tmp_path: Path) -> None:
    frozen, run = _freeze(make_project(tmp_path, 1))
    source = frozen.cases[0].source
    body = source.read_bytes()
    source.write_bytes(body + b"x")
    with pytest.raises(UserError, match=source.name):
        sets.read_case(run, frozen.cases[0], frozen.labels)
    source.unlink()
    with pytest.raises(UserError, match="is gone"):
        sets.read_case(run, frozen.cases[0], frozen.labels)


def test_a_mask_of_another_shape_than_its_scan_is_named(tmp_path: Path) -> None:
    frozen, run = _freeze(make_project(tmp_path, 1))
    path = run.path / frozen.cases[0].mask
    stored = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.asarray(stored.dataobj)[:, :-2, :-1], stored.affine), path)
    with pytest.raises(UserError, match="32 x 30 x 3 voxels, the scan 32 x 32 x 4") as refused:
        sets.read_case(run, frozen.cases[0], frozen.labels)
    assert refused.value.hint


def test_a_newer_or_broken_run_is_refused(tmp_path: Path) -> None:
    frozen, run = _freeze(make_project(tmp_path, 1))
    text = run.dataset.read_text()
    run.dataset.write_text(text.replace("thighview-run-1", "thighview-run-9"))
    with pytest.raises(UserError, match="thighview-run-9"):
        sets.read_dataset(run)
    run.dataset.write_text(text.replace('"subject"', '"who"'))
    with pytest.raises(UserError, match="damaged"):
        sets.read_dataset(run)
    assert frozen.cases


def test_a_run_never_takes_the_place_of_a_model(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 1)
    (folder / "models" / "one").mkdir(parents=True)
    with pytest.raises(UserError, match="has a model"):
        _freeze(folder, "one")
    assert not run_folder(folder, "one").path.exists()


def test_a_run_whose_folder_was_thrown_away_leaves_its_name_free(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 1)
    _, run = _freeze(folder, "one")
    shutil.rmtree(run.path)
    frozen, again = _freeze(folder, "one")
    assert sets.read_dataset(again) == frozen


def test_a_label_that_a_case_does_not_know_is_said(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 2)
    project = Project.open(folder)
    case = project.cases()[0]
    loaded = project.load_case(case.case_id)
    project.set_table(case.case_id, LabelTable((*loaded.table, Label(9, "sartorius", "left"))))
    painted = loaded.labels.copy()
    painted[0, 0, :4] = 9
    patch = Patch.between(Region.whole(loaded.labels.shape), loaded.labels, painted)
    assert patch
    project.append(case.case_id, 1, ("edit", Edit("Brush", "brush", (patch,))))
    other = project.cases()[1].title
    project.close()
    frozen, _ = _freeze(folder)
    assert f"{other} does not know Sartorius L: background there" in frozen.note


def test_a_run_knows_how_much_was_corrected_by_hand(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 1)
    project = Project.open(folder)
    case = project.load_case(project.cases()[0].case_id)
    key = (case.case_id, case.reader_id)
    drawn, review = case.labels[1].copy(), case.reviews[1]
    for tool, rows in (("model", slice(0, 3)), ("brush", slice(1, 3))):
        after = drawn.copy()
        after[rows, 0:5] = 2 if tool == "model" else 1
        box = Region(1, 2, 0, 32, 0, 32)
        patch = Patch.between(box, drawn[None], after[None])
        assert patch is not None
        then = review.after_model() if tool == "model" else review.after_edit()
        project.append(*key, ("edit", Edit(tool, tool, (patch,), (ReviewChange(1, review, then),))))
        drawn, review = after, then
    accepted = ReviewChange(1, review, review.after_accept())
    project.append(*key, ("edit", Edit("Accept", "review", (), (accepted,))))
    project.close()
    frozen, run = _freeze(folder)
    assert [(s.state, s.edited_px) for s in frozen.slices] == [
        ("drawn", 0), ("corrected", 10), ("drawn", 0), ("drawn", 0),
    ]  # fmt: skip
    assert all(s.contour_px > 20 for s in frozen.slices)
    assert sets.read_dataset(run) == frozen
    stored = json.loads(run.dataset.read_text())
    for row in stored["slices"]:
        del row["edited_px"], row["contour_px"]
    run.dataset.write_text(json.dumps(stored))
    assert {(s.edited_px, s.contour_px) for s in sets.read_dataset(run).slices} == {(0, 0)}
