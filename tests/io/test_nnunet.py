"""nnU-Net raw, out and in: what leaves, what never leaves, and that the way back gives the same."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from thighview.core.case import Case, Series
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.review import SliceReview, SliceState
from thighview.core.volume import Volume
from thighview.io.images import write_probabilities, write_volume
from thighview.io.masks import write_mask
from thighview.io.nnunet import export_raw, import_raw
from thighview.io.nnunet_in import load_case, read_dataset
from thighview.io.nnunet_out import file_names, folds_by_subject, number_labels
from thighview.io.project import Project

TABLE = LabelTable((
    Label(13, "soleus", "left", (10, 20, 30), 13),
    Label(14, "soleus", "right", (30, 20, 10), 14),
    Label(3, "femur_left", "", (1, 2, 3), 700),
    Label(200, "ignore", "", (9, 9, 9), 200),
))  # fmt: skip
STATES = [
    SliceReview(SliceState.DRAWN),
    SliceReview(SliceState.MODEL, True),
    SliceReview(SliceState.CORRECTED, True),
    SliceReview(SliceState.UNSEEN),
    SliceReview(SliceState.ACCEPTED, True),
    SliceReview(SliceState.EDITING, True),
]
REVIEWED = [0, 2, 4]


def make_case(folder: Path, volume: Volume, name: str, subject: str, reviews: list[SliceReview] | None = None) -> Case:
    path = folder / f"{name}.nii.gz"
    write_volume(path, volume)
    rng = np.random.default_rng(len(name))
    labels = rng.choice(np.array([0, 3, 13, 14, 200], np.uint8), volume.shape)
    series = Series(0, "image", path, "", replace(volume, name=name))
    return Case(0, subject, name, [series], labels, TABLE, list(reviews or STATES))


@pytest.fixture
def project(tmp_path: Path, tiny_volume: Volume) -> Iterator[Project]:
    project = Project.create(tmp_path / "project")
    for name, subject in (("scan one", "anna"), ("scan/two", "anna"), ("scan-two", "bea"), ("../evil", "carl")):
        case = make_case(tmp_path, tiny_volume, name.replace("/", "_").replace("..", "dots"), subject)
        case.title = name
        project.add_case(case, in_training_set=True)
    yield project
    project.close()


def test_round_trip(project: Project, tmp_path: Path) -> None:
    out = export_raw(project, tmp_path / "raw")
    assert out is not None
    assert (out.slices, out.ignored) == (12, 12)
    fresh = Project.create(tmp_path / "fresh")
    try:
        report = import_raw(fresh, tmp_path / "raw")
        assert (len(report.cases), report.reviewed, report.slices) == (4, 12, 24)
        assert "person of its own" not in str(report)
        before = {row.title: project.load_case(row.case_id) for row in project.cases()}
        after = {row.title: fresh.load_case(row.case_id) for row in fresh.cases()}
        assert before.keys() == after.keys()
        for title, old in before.items():
            new = after[title]
            assert new.table == old.table
            assert new.subject == old.subject
            assert np.array_equal(new.labels[REVIEWED], old.labels[REVIEWED])
            assert not new.labels[[1, 3, 5]].any()
            assert [new.reviews[i] for i in REVIEWED] == [old.reviews[i] for i in REVIEWED]
            assert {new.reviews[i].state for i in (1, 3, 5)} == {SliceState.UNSEEN}
        assert fresh.subjects() == project.subjects()
        assert all(row.in_training_set for row in fresh.cases())
        again = import_raw(fresh, tmp_path / "raw")
        assert again.cases == () and "already" in str(again)
    finally:
        fresh.close()


def test_whole_round_trip_where_all_is_reviewed(tmp_path: Path, tiny_volume: Volume) -> None:
    project = Project.create(tmp_path / "p")
    reviews = [SliceReview(SliceState.DRAWN)] * 6
    project.add_case(make_case(tmp_path, tiny_volume, "a", "a", reviews), in_training_set=True)
    export_raw(project, tmp_path / "raw")
    assert "ignore" not in json.loads((tmp_path / "raw" / "dataset.json").read_text())["labels"]
    fresh = Project.create(tmp_path / "q")
    import_raw(fresh, tmp_path / "raw")
    old, new = project.load_case(1), fresh.load_case(1)
    assert np.array_equal(old.labels, new.labels)
    assert old.reviews == new.reviews
    project.close(), fresh.close()


def test_what_leaves_is_nnunet(project: Project, tmp_path: Path, tiny_volume: Volume) -> None:
    export_raw(project, tmp_path / "raw")
    facts = json.loads((tmp_path / "raw" / "dataset.json").read_text())
    ids = facts["labels"]
    assert ids == {
        "background": 0,
        "femur_left": 1,
        "soleus_left": 2,
        "soleus_right": 3,
        "ignore_label": 4,
        "ignore": 5,
    }
    assert facts["numTraining"] == 4
    images = sorted(path.name for path in (tmp_path / "raw" / "imagesTr").iterdir())
    masks = sorted(path.name for path in (tmp_path / "raw" / "labelsTr").iterdir())
    assert images == [name.replace(".nii.gz", "_0000.nii.gz") for name in masks]
    assert masks == ["evil.nii.gz", "scan-one.nii.gz", "scan-two-2.nii.gz", "scan-two.nii.gz"]
    for image, mask in zip(images, masks, strict=True):
        scan = nibabel.load(tmp_path / "raw" / "imagesTr" / image)
        drawn = nibabel.load(tmp_path / "raw" / "labelsTr" / mask)
        assert np.array_equal(scan.affine, drawn.affine)
        assert np.array_equal(np.asarray(scan.dataobj).T, tiny_volume.voxels)
        values = np.asarray(drawn.dataobj).T
        assert (values[[1, 3, 5]] == 5).all(), "a slice that is not reviewed is ignore, whatever a model drew on it"
        assert values[REVIEWED].max() < 5
    for fold in json.loads((tmp_path / "raw" / "splits_final.json").read_text()):
        people = {"scan-one": "anna", "scan-two": "anna", "scan-two-2": "bea", "evil": "carl"}
        names = [*fold["train"], *fold["val"]]
        assert sorted(names) == ["evil", "scan-one", "scan-two", "scan-two-2"]
        subjects = {row.title: row.subject for row in project.cases()}
        assert set(subjects.values()) == set(people.values())
        told = json.loads((tmp_path / "raw" / "thighview.json").read_text())["cases"]
        sides = [{told[name]["subject"] for name in fold[part]} for part in ("train", "val")]
        assert not sides[0] & sides[1]


def test_locked_test_stays_apart(tmp_path: Path, tiny_volume: Volume) -> None:
    project = Project.create(tmp_path / "p")
    for i in range(9):
        project.add_case(make_case(tmp_path, tiny_volume, f"case {i}", f"s{i}"), in_training_set=True)
    out = export_raw(project, tmp_path / "raw")
    assert out is not None
    tests = {row.title.replace(" ", "-") for row in project.cases() if row.part == "test"}
    assert tests
    found = {path.name.removesuffix(".nii.gz") for path in (tmp_path / "raw" / "labelsTs").iterdir()}
    assert found == tests
    assert not any(name in (tmp_path / "raw" / "splits_final.json").read_text() for name in tests)
    assert any("locked" in note for note in out.notes)
    fresh = Project.create(tmp_path / "q")
    import_raw(fresh, tmp_path / "raw")
    assert fresh.subjects() == project.subjects()
    project.close(), fresh.close()


def test_nothing_reviewed_is_refused(tmp_path: Path, tiny_volume: Volume) -> None:
    project = Project.create(tmp_path / "p")
    with pytest.raises(UserError, match="training set"):
        export_raw(project, tmp_path / "raw")
    reviews = [SliceReview(SliceState.MODEL, True)] * 6
    project.add_case(make_case(tmp_path, tiny_volume, "a", "a", reviews), in_training_set=True)
    with pytest.raises(UserError, match="reviewed"):
        export_raw(project, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
    project.close()


def test_full_target_and_stopping_leave_nothing(project: Project, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"):
        export_raw(project, tmp_path / "full")
    (tmp_path / "raw").mkdir()
    before = set(tmp_path.iterdir())
    calls: list[int] = []

    def stop() -> bool:
        calls.append(1)
        return len(calls) > 2

    assert export_raw(project, tmp_path / "raw", stopped=stop) is None
    assert set(tmp_path.iterdir()) == before and not any((tmp_path / "raw").iterdir())


def test_a_changed_scan_is_refused(project: Project, tmp_path: Path, tiny_volume: Volume) -> None:
    from thighview.io.reading import sha256_of

    row = project.cases()[0]
    project.set_sha256(row.case_id, sha256_of(row.path))
    write_volume(row.path, replace(tiny_volume, voxels=tiny_volume.voxels + np.int16(1)))
    with pytest.raises(UserError, match="has changed"):
        export_raw(project, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


# ------------------------------------------------------------------ folders from elsewhere


def foreign(folder: Path, volume: Volume, labels: object, mask: np.ndarray, name: str = "c1", **more: object) -> Path:
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    write_volume(folder / "imagesTr" / f"{name}_0000.nii.gz", volume)
    ids = LabelTable.from_ids(int(v) for v in np.unique(mask))
    write_mask(folder / "labelsTr" / f"{name}.nii.gz", mask, ids, volume)
    facts = {"channel_names": {"0": "T1"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz", **more}
    (folder / "dataset.json").write_text(json.dumps(facts))
    return folder


def test_foreign_folder(tmp_path: Path, tiny_volume: Volume) -> None:
    mask = np.zeros(tiny_volume.shape, np.uint8)
    mask[1:5, 4:9] = 2
    mask[2, 20:25] = 7
    mask[4, 0, 0] = 9
    labels = {"background": 0, "left_vasti": 2, "bone": 7, "ignore": 9}
    folder = foreign(tmp_path / "raw", tiny_volume, labels, mask, "sub-07_T1")
    foreign(folder, tiny_volume, labels, mask, "walker")
    dataset = read_dataset(folder)
    assert [case.subject for case in dataset.cases] == ["sub-07", "walker"]
    assert "person of its own" in dataset.notes[-1]
    case = load_case(dataset, dataset.cases[0])
    assert [(b.value, b.name, b.side, b.file_id) for b in case.table] == [(2, "vasti", "left", 2), (7, "bone", "", 7)]
    words = [review.state.word for review in case.reviews]
    assert words == ["drawn", "drawn", "drawn", "drawn", "editing", "drawn"], "ignore means not reviewed"
    assert case.labels[4, 0, 0] == 0 and case.labels[2, 22, 3] == 7


@pytest.mark.parametrize(
    ("labels", "more", "words"),
    [
        ({"background": 0, "leg": [1, 2]}, {}, "region"),
        ({"background": 0, "a": 1, "b": 1}, {}, "same number"),
        ({"background": 0, "a": -3}, {}, "number"),
        ({"background": 0, "a": 1}, {}, "does not name"),
        ({"background": 0, "a": 2}, {"file_ending": ".png"}, "NIfTI"),
        ([], {}, "no labels"),
    ],
)
def test_foreign_folders_that_are_refused(
    tmp_path: Path, tiny_volume: Volume, labels: object, more: dict[str, object], words: str
) -> None:
    mask = np.zeros(tiny_volume.shape, np.uint8)
    mask[1] = 2
    folder = foreign(tmp_path / "raw", tiny_volume, labels, mask, **more)
    project = Project.create(tmp_path / "p")
    with pytest.raises(UserError, match=words):
        import_raw(project, folder)
    assert project.cases() == []
    project.close()


def test_version_1_of_the_format(tmp_path: Path, tiny_volume: Volume) -> None:
    mask = np.full(tiny_volume.shape, 1, np.uint8)
    folder = foreign(tmp_path / "raw", tiny_volume, {"0": "background", "1": "muscle"}, mask, modality={"0": "MRI"})
    dataset = read_dataset(folder)
    assert [b.name for b in load_case(dataset, dataset.cases[0]).table] == ["muscle"]


@pytest.mark.parametrize("text", ["[]", "{", '{"format": "other"}', '{"format": "thighview-nnunet-1", "cases": {}}'])
def test_damaged_side_file(project: Project, tmp_path: Path, text: str) -> None:
    export_raw(project, tmp_path / "raw")
    (tmp_path / "raw" / "thighview.json").write_text(text)
    with pytest.raises(UserError):
        read_dataset(tmp_path / "raw")


def test_states_that_lie(project: Project, tmp_path: Path) -> None:
    """A side file cannot make slices with the ignore label count as reviewed."""
    export_raw(project, tmp_path / "raw")
    path = tmp_path / "raw" / "thighview.json"
    facts = json.loads(path.read_text())
    for case in facts["cases"].values():
        case["slices"] = ["drawn"] * 6
    path.write_text(json.dumps(facts))
    dataset = read_dataset(tmp_path / "raw")
    case = load_case(dataset, dataset.cases[0])
    assert [review.state.reviewed for review in case.reviews] == [True, False, True, False, True, False]


# ------------------------------------------------------------------ the small parts


def test_folds() -> None:
    cases = [(f"c{i}", f"s{i // 2}", "validation" if i // 2 == 3 else "train") for i in range(12)]
    folds = folds_by_subject(cases)
    assert len(folds) == 5
    assert folds[0]["val"] == ["c6", "c7"]
    assert sorted(name for fold in folds for name in fold["val"]) == sorted(name for name, _, _ in cases)
    assert folds_by_subject([("a", "x", "train"), ("b", "x", "train")]) == [{"train": ["a", "b"], "val": []}]
    assert folds_by_subject([("a", "x", ""), ("b", "y", "")]) == [
        {"train": ["b"], "val": ["a"]},
        {"train": ["a"], "val": ["b"]},
    ]


def test_names_are_safe() -> None:
    names = file_names(["a b", "A-B", "../../etc/passwd", "", "Straße 7", "x" * 200])
    assert names == ["a-b", "A-B-2", "etc-passwd", "case", "Stra-e-7", "x" * 60]


def test_numbering_joins_tables() -> None:
    other = LabelTable((Label(1, "gracilis", "left"), Label(2, "soleus", "left")))
    assert [(b.value, b.key) for b in number_labels([TABLE, other])] == [
        (1, "femur_left"), (2, "soleus_left"), (3, "soleus_right"), (4, "ignore"), (5, "gracilis_left"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["p.nii.gz", "p.nii"])
def test_probabilities_put_the_label_last(tmp_path: Path, tiny_volume: Volume, name: str) -> None:
    p = np.random.default_rng(0).random((*tiny_volume.shape, 3), np.float32)
    write_probabilities(tmp_path / name, p, tiny_volume)
    image = nibabel.load(tmp_path / name)
    assert image.shape == (32, 32, 6, 3)
    assert image.get_data_dtype() == np.float32
    assert np.array_equal(np.asarray(image.dataobj).transpose(2, 1, 0, 3), p)


def test_a_negative_label_is_not_taken_for_background(tmp_path: Path, tiny_volume: Volume) -> None:
    mask = np.zeros(tiny_volume.shape, np.uint8)
    mask[1, 4:9], mask[2, 4:9] = 1, 2
    folder = foreign(tmp_path / "raw", tiny_volume, {"background": 0, "bone": 1}, mask)
    table = LabelTable((Label(1, "bone"), Label(2, "hole", file_id=-1)))
    write_mask(folder / "labelsTr" / "c1.nii.gz", mask, table, tiny_volume)
    dataset = read_dataset(folder)
    with pytest.raises(UserError, match="-1"):
        load_case(dataset, dataset.cases[0])


def test_a_split_that_cannot_be_kept_is_not_exported(project: Project, tmp_path: Path) -> None:
    reader = Project.open(project.folder, writable=False)
    try:
        with pytest.raises(UserError, match="no part"):
            export_raw(reader, tmp_path / "raw")
        assert not (tmp_path / "raw").exists()
        parts = project.assign_parts(project.subjects())
        assert export_raw(reader, tmp_path / "raw") is not None
    finally:
        reader.close()
    cases = json.loads((tmp_path / "raw" / "thighview.json").read_text("utf-8"))["cases"]
    assert {case["subject"]: case["part"] for case in cases.values()} == parts


def test_names_that_would_fall_together_are_told_apart(tmp_path: Path, tiny_volume: Volume) -> None:
    long = "x" * 90
    names = [
        "ignore",
        "ignore_label",
        "background",
        "background_label",
        f"{long}a",
        f"{long}b",
        "a\tb",
        "a b",
        "a\x7fb",
    ]
    table = LabelTable(tuple(Label(n, name) for n, name in enumerate(names, 1)))
    case = make_case(tmp_path, tiny_volume, "one", "anna")
    case.table = table
    case.labels[...] = np.arange(case.labels.size).reshape(case.labels.shape) % (len(names) + 1)
    project = Project.create(tmp_path / "project")
    project.add_case(case, in_training_set=True)
    assert export_raw(project, tmp_path / "out") is not None
    project.close()
    told = json.loads((tmp_path / "out" / "dataset.json").read_text())["labels"]
    assert sorted(told.values()) == list(range(len(names) + 2)) and told["ignore"] == len(names) + 1
    assert (told["ignore_label"], told["background_label"], told["a b"]) == (2, 4, 8)
    assert all(len(name) <= 80 and name.isprintable() for name in told)
    dataset = read_dataset(tmp_path / "out")
    back = load_case(dataset, dataset.cases[0])
    assert [label.name for label in back.table] == names
    assert all(np.array_equal(back.labels[i], case.labels[i]) for i in REVIEWED)
    (tmp_path / "out" / "thighview.json").unlink()
    dataset = read_dataset(tmp_path / "out")
    assert len(load_case(dataset, dataset.cases[0]).table) == len(names)


def test_names_of_others_that_fall_together_are_numbered(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "labelsTr").mkdir(parents=True)
    (out / "imagesTr").mkdir()
    (out / "labelsTr" / "a.nii.gz").touch()
    (out / "imagesTr" / "a_0000.nii.gz").touch()
    labels = {"background": 0, "a\tb": 1, "a b": 2, "ignore ": 3, "ignore": 4, "y" * 81: 5, "y" * 82: 6}
    (out / "dataset.json").write_text(json.dumps({"labels": labels}))
    dataset = read_dataset(out)
    assert dataset.ignore == 4
    assert {i: name for i, (name, _) in dataset.labels.items()} == {
        1: "a b_2", 2: "a b", 3: "ignore_2", 5: "y" * 80, 6: "y" * 78 + "_2",
    }  # fmt: skip


def test_a_refused_export_gives_nobody_a_part(tmp_path: Path, tiny_volume: Volume) -> None:
    project = Project.create(tmp_path / "project")
    case = make_case(tmp_path, tiny_volume, "one", "anna", [SliceReview()] * 6)
    project.add_case(case, in_training_set=True)
    with pytest.raises(UserError, match="No slice of these cases has been reviewed"):
        export_raw(project, tmp_path / "out")
    assert not project.subjects().get("anna")
    project.close()
