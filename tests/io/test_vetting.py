"""A frozen set before its first step: one scan under two names is found, and said once."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tiny_project import TABLE, add_person, draw_person, make_project

from thighview.app.twin_warnings import twin_warnings
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.fingerprint import content_hash
from thighview.core.labels import Label, LabelTable
from thighview.core.leaks import leaked_people
from thighview.core.review import SliceReview, SliceState
from thighview.core.run import TrainConfig
from thighview.io.dataset import NO_PERSON, Dataset, freeze, read_dataset
from thighview.io.fingerprints import FILE, known_fingerprints
from thighview.io.model_card import ModelCard
from thighview.io.models import ModelEntry
from thighview.io.project import Project
from thighview.io.reading import read_volume, sha256_of
from thighview.io.runs import RunFolder, run_folder
from thighview.io.vetting import vetted_dataset, vetted_set


def frozen(folder: Path, name: str = "one", config: TrainConfig | None = None) -> RunFolder:
    project = Project.open(folder)
    run = run_folder(folder, name)
    freeze(project, run, config or TrainConfig())
    project.close()
    return run


def add_scan(folder: Path, path: Path, labels: np.ndarray, subject: str) -> None:
    volume = read_volume(path)
    case = Case.of(volume, path, sha256_of(path), subject)
    case.labels[...] = labels
    case.table = TABLE
    case.reviews = [SliceReview(SliceState.DRAWN)] * len(labels)
    project = Project.open(folder)
    project.add_case(case, in_training_set=True)
    project.close()


def part_of(folder: Path, subject: str) -> str:
    project = Project.open(folder, writable=False)
    try:
        return project.subjects()[subject]
    finally:
        project.close()


def test_the_same_scan_under_another_name_is_said_once(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 3)
    first = read_dataset(frozen(folder))
    validates = next(c for c in first.cases if c.part == "validation")
    seed = int(validates.subject.split()[1])
    image, labels = draw_person(seed)
    path = tmp_path / "elsewhere.nii"  # not compressed, another type: other bytes, the same voxels
    nibabel.save(nibabel.Nifti1Image(image.T.astype(np.float32), np.diag([-2.0, -2.0, 6.0, 1.0])), path)
    for n in range(40):  # a name whose part is the training part
        project = Project.open(folder)
        part = project.assign_parts([f"stranger {n}"])[f"stranger {n}"]
        project.close()
        if part == "train":
            add_scan(folder, path, labels, f"stranger {n}")
            break
    run = frozen(folder, "two")
    before = read_dataset(run)
    assert not before.vetted and all(not c.content for c in before.cases)
    vetted = vetted_dataset(run)
    assert all(len(c.content) == 32 and c.look for c in vetted.cases)
    assert vetted.note.count("are the same scan but count as two people") == 1
    assert validates.title in vetted.note and "elsewhere" in vetted.note
    assert vetted.slices == before.slices, "a doubt about people moves nobody"
    assert vetted_dataset(run) == vetted == read_dataset(run)
    assert len(known_fingerprints(folder)) == 4
    (said,) = twin_warnings(folder).said
    assert said in vetted.note


def test_different_people_have_nothing_said(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 4)
    assert twin_warnings(folder).said == []
    vetted = vetted_dataset(frozen(folder))
    assert vetted.note == "" and twin_warnings(folder).said == []


def test_a_run_of_an_older_program_stays_as_it_began(tmp_path: Path) -> None:
    run = frozen(make_project(tmp_path, 3))
    data = json.loads(run.dataset.read_text())
    del data["vetted"]
    for case in data["cases"]:
        del case["content"], case["look"], case["left_out"]
    run.dataset.write_text(json.dumps(data))
    found = vetted_dataset(run)
    assert found.vetted and {c.content for c in found.cases} == {""}
    assert json.loads(run.dataset.read_text()) == data


def test_scans_that_are_gone_or_changed_have_no_fingerprint(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 3)
    run = frozen(folder)
    gone, changed, kept = (c.source for c in read_dataset(run).cases)
    gone.unlink()
    shutil.copy(kept, changed)
    found = vetted_dataset(run)
    assert [bool(c.content) for c in found.cases] == [False, False, True]
    assert len(known_fingerprints(folder)) == 1


def test_a_damaged_list_is_made_anew(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 2)
    for text in ("{", "[]", '{"format": 1, "scans": {"a": [1, 2], "b": ["zz", ""]}}', '{"format": 0, "scans": {}}'):
        (folder / FILE).write_text(text)
        assert known_fingerprints(folder) == {}
    vetted_dataset(frozen(folder))
    assert len(known_fingerprints(folder)) == 2
    project = Project.open(folder)
    add_person(project, tmp_path, 7, "person 7")
    project.close()
    before = (folder / FILE).read_text()
    vetted_dataset(frozen(folder, "two"))
    assert len(known_fingerprints(folder)) == 3
    assert before != (folder / FILE).read_text()


def parent(**lineage: object) -> ModelEntry:
    table = LabelTable((Label(1, "muscle"),))
    card = ModelCard("elder", "unet", 2, 3, 0.0, ("background", "muscle"), table, False, 1.0, 32, lineage=dict(lineage))
    return ModelEntry(card, Path("elder"), "user")


def trained_on(**facts: str) -> dict[str, str]:
    return {"part": "train"} | facts


def test_whom_an_ancestor_was_trained_on_does_not_validate(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 9)
    parts = dict(zip((f"person {i}" for i in range(9)), ["train"] * 5 + ["validation"] * 2 + ["test"] * 2, strict=True))
    with sqlite3.connect(folder / "project.sqlite") as database:
        database.executemany("UPDATE subject SET part=? WHERE subject=?", [(p, s) for s, p in parts.items()])
    database.close()
    run = frozen(folder)
    before = read_dataset(run)
    validating, locked = before.subjects("validation"), before.subjects("test")
    file_of = {c.subject: c.sha256 for c in before.cases}
    elder = parent(
        cases=[],
        parent={"lineage": {"cases": [trained_on(sha256=file_of[validating[0]]), trained_on(subject=locked[0])]}},
    )
    vetted = vetted_dataset(run, elder)
    assert vetted.subjects("validation") == validating[1:]
    assert vetted.subjects("test") == locked[1:]
    assert vetted.subjects("train") == before.subjects("train")
    assert [s.id for s in vetted.slices] == list(range(1, len(vetted.slices) + 1))
    left = {c.subject: c.left_out for c in vetted.cases if c.left_out}
    assert set(left) == {validating[0], locked[0]} and all("elder" in why for why in left.values())
    assert f"{validating[0]} does not count as validation in this run: elder" in vetted.note
    assert f"{locked[0]} does not count as test in this run" in vetted.note
    assert {c.subject: c.part for c in vetted.cases} == {c.subject: c.part for c in before.cases}
    assert part_of(folder, validating[0]) == "validation", "the split of the project stays"
    assert read_dataset(run) == vetted == vetted_dataset(run)


def test_without_anybody_left_phantoms_validate(tmp_path: Path) -> None:
    table = LabelTable((Label(1, "muscle"), Label(2, "femur_cortex", "left")))
    run = frozen(make_project(tmp_path, 3, table=table))
    (one,) = (c for c in read_dataset(run).cases if c.part == "validation")
    vetted = vetted_dataset(run, parent(cases=[trained_on(subject=one.subject)]))
    assert vetted.subjects("validation") == ["phantom 1", "phantom 2"]
    assert vetted.note.startswith(NO_PERSON) and one.subject in vetted.note
    assert leaked_people(vetted, {"cases": [trained_on(subject=one.subject)]}) == set()


def test_known_by_its_voxels_alone(tmp_path: Path) -> None:
    run = frozen(make_project(tmp_path, 3))
    (one,) = (c for c in read_dataset(run).cases if c.part == "validation")
    content = content_hash(read_volume(one.source))
    vetted = vetted_dataset(run, parent(cases=[trained_on(content=content)]))
    assert vetted.of_part("validation") == () and "no validation score" in vetted.note
    assert next(c for c in vetted.cases if c.subject == one.subject).left_out


@pytest.mark.parametrize("vet", [vetted_dataset, vetted_set])
def test_a_run_goes_on_with_the_model_it_began_with_alone(
    tmp_path: Path, vet: Callable[[RunFolder, ModelEntry | None], Dataset]
) -> None:
    run = frozen(make_project(tmp_path, 3))
    elder = parent()
    first = replace(elder, card=replace(elder.card, weights_sha256="a" * 64))
    other = replace(elder, card=replace(elder.card, weights_sha256="b" * 64, spacing_mm=2.0))
    vet(run, first)
    assert read_dataset(run).begun_with == "a" * 64
    assert vet(run, first) == read_dataset(run)
    with pytest.raises(UserError, match="elder is not the one that 'one' began with"):
        vet(run, other)
