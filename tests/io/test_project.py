"""A project: one writer, many readers, cases that come back as they were, subjects that stay in their part."""

import contextlib
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import strokes
from dicom_files import write_series

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.history import Edit
from thighview.core.labels import Label, LabelTable
from thighview.core.review import ReviewChange, SliceReview, SliceState
from thighview.io import locks, migrations, schema
from thighview.io.mask_names import names_beside, provenance_beside
from thighview.io.paths import home, models_folder, scratch_project
from thighview.io.project import LOCK, Project
from thighview.io.reading import read_volume, sha256_of
from thighview.io.resources import resource
from thighview.io.subjects import subject_of

ROOT = Path(__file__).parents[2]
S = SliceState


@pytest.fixture
def project(tmp_path):
    made = Project.create(tmp_path / "p", "Thighs")
    yield made
    made.close()


def reopened(project: Project) -> Project:
    project.close()
    return Project.open(project.folder)


def marked_case(name: str = "thigh"):
    case = strokes.new_case(name)
    case.labels[1, 5:9, 5:9] = 13
    case.reviews[1] = SliceReview(SliceState.CORRECTED, True)
    case.table = LabelTable((Label(13, "vasti", "left", (1, 2, 3), 4000),))
    case.subject, case.visit = f"sub-{name}", "visit 2"
    return case


def test_a_case_comes_back_as_it_was(project):
    case = marked_case()
    case_id = project.add_case(case, in_training_set=True)
    again = reopened(project)
    loaded = again.load_case(case_id)
    assert strokes.same(loaded, case) and loaded.table == case.table
    assert (loaded.subject, loaded.visit, loaded.title, loaded.case_id) == ("sub-thigh", "visit 2", "thigh", case_id)
    series = loaded.series[0]
    assert (series.role, series.path, series.sha256, series.volume) == (
        "image",
        Path("/scans/thigh.nii.gz"),
        "ab" * 32,
        None,
    )
    shape, affine = again.geometry(case_id)[0]
    assert shape == case.volume.shape and np.array_equal(affine, case.volume.affine)
    assert again.find_case(Path("/scans/thigh.nii.gz")) == case_id and again.find_case(Path("/nowhere")) is None
    (row,) = again.cases()
    assert row.counts[SliceState.CORRECTED] == 1 and row.counts[SliceState.UNSEEN] == 5 and row.slices == 6
    assert row.in_training_set and row.part == "" and row.title == "thigh"
    again.close()


def test_a_case_with_a_history_keeps_it(project):
    case, rng = marked_case(), np.random.default_rng(0)
    for _ in range(20):
        strokes.step(case, rng)
    loaded = project.load_case(project.add_case(case))
    assert strokes.same(loaded, case)


def test_a_second_reader_has_a_mask_of_their_own(project):
    case_id = project.add_case(marked_case())
    reader = project.add_reader("Dr B")
    second = project.load_case(case_id, reader)
    assert not second.labels.any() and second.reader_id == reader
    project.append(case_id, reader, ("edit", strokes.stroke(second, np.random.default_rng(1))))
    assert strokes.same(project.load_case(case_id, reader), second)
    assert project.load_case(case_id).labels[1, 6, 6] == 13
    assert project.readers() == {1: "Reader 1", reader: "Dr B"}


def test_facts_of_a_case_can_be_set(project):
    case_id = project.add_case(marked_case())
    table = LabelTable((Label(1, "femur"),))
    project.set_table(case_id, table)
    project.set_subject(case_id, " HV001 ")
    project.set_in_training_set(case_id, True)
    project.set_sha256(case_id, "cd" * 32)
    loaded = project.load_case(case_id)
    assert (loaded.table, loaded.subject, loaded.series[0].sha256) == (table, "HV001", "cd" * 32)
    assert project.cases()[0].in_training_set and project.subjects() == {"HV001": ""}


def test_the_part_of_a_subject_goes_along_with_its_new_name(project):
    case_id = project.add_case(marked_case(), part="validation")
    project.set_subject(case_id, "HV001")
    assert project.subjects() == {"HV001": "validation"}
    project.assign_parts(["HV002"])
    project.set_subject(case_id, "HV002")
    assert project.subjects() == {"HV002": "train"}, "who has a part keeps it"


def test_a_subject_used_in_a_run_cannot_be_changed(project):
    case_id = project.add_case(marked_case())
    project.add_run("one", {"epochs": 3}, ["sub-thigh"])
    with pytest.raises(UserError, match="part of a training run"):
        project.set_subject(case_id, "other")
    assert [(run.name, run.config) for run in project.runs()] == [("one", {"epochs": 3})]


def test_parts_are_kept_for_good(project):
    first = project.assign_parts([f"s{i}" for i in range(5)])
    later = project.assign_parts([f"s{i}" for i in range(12)])
    assert first.items() <= later.items() and "test" in later.values()
    again = reopened(project)
    assert again.subjects() == later and again.assign_parts(["s3"]) == {"s3": later["s3"]}
    again.close()


def test_models_inside_are_kept_relative(project):
    project.add_model("m", project.folder / "models" / "m", "00", run="one")
    project.add_model("m", project.folder / "models" / "m", "11", run="two")
    (model,) = project.models()
    assert (model.folder, model.weights_sha256, model.run) == (project.folder / "models" / "m", "11", "two")


def test_a_case_moves_with_its_journal(project, tmp_path):
    project.add_case(strokes.new_case("stays"))
    case, rng = marked_case(), np.random.default_rng(2)
    case_id = project.add_case(case, in_training_set=True)
    for _ in range(30):
        project.append(case_id, 1, strokes.step(case, rng))
    parts = project.assign_parts(["sub-thigh"])
    other = Project.create(tmp_path / "other")
    other.add_case(strokes.new_case("was here"))
    new_id = project.move_case_to(case_id, other)
    assert [c.title for c in project.cases()] == ["stays"]
    assert project._connection.execute("SELECT count(*) FROM edit").fetchone()[0] == 0
    loaded = other.load_case(new_id)
    assert strokes.same(loaded, case) and loaded.table == case.table and loaded.warnings == ()
    assert other.subjects()["sub-thigh"] == parts["sub-thigh"]
    for _ in range(5):
        other.append(new_id, 1, strokes.step(case, rng))
    other = reopened(other)
    assert strokes.same(other.load_case(new_id), case)
    other.close()


def test_a_case_that_is_removed_leaves_nothing_but_the_part_of_its_person(project):
    case, rng = marked_case(), np.random.default_rng(2)
    case_id, other = project.add_case(case), project.add_case(marked_case("other"))
    steps = [strokes.step(case, rng) for _ in range(5)]
    for step in steps:
        project.append(case_id, 1, step)
    mirrors = [project.write_mirror(other), project.write_mirror(case_id)]
    parts = project.assign_parts(["sub-thigh"])
    edits = sum(kind == "edit" for kind, _ in steps)
    assert project.count_edits(case_id) == edits > 0 and project.count_edits(other) == 0
    project.remove_case(case_id)
    assert [path.exists() for path in mirrors] == [True, False]
    assert [c.title for c in reopened(project).cases()] == ["other"]
    project = Project.open(project.folder, writable=False)
    for table in ("edit", "label", "series", "reading", "snapshot", "slice_state"):
        column = "seq" if table == "edit" else "case_id"
        rows = {row[0] for row in project._connection.execute(f"SELECT {column} FROM {table}")}
        assert rows <= {other}, table
    assert project.subjects() == {"sub-other": "", **parts}
    project.close()


def test_the_mirror_is_a_plain_nifti(project):
    nibabel = pytest.importorskip("nibabel")
    pytest.importorskip("thighview.io.masks")
    case = marked_case()
    case_id = project.add_case(case)
    path = project.write_mirror(case_id)
    assert path == project.folder / "masks" / "thigh.nii.gz"
    image = nibabel.load(path)
    assert image.shape == strokes.SHAPE[::-1]
    assert np.array_equal(np.unique(np.asarray(image.dataobj)), [0, 4000])
    before = path.stat().st_mtime_ns
    project.write_mirror(case_id)
    assert path.stat().st_mtime_ns == before
    project.append(case_id, 1, ("edit", strokes.stroke(case, np.random.default_rng(0))))
    project.write_mirror(case_id)
    assert path.stat().st_mtime_ns > before
    second = project.add_case(marked_case())
    assert project.write_mirror(second) != path


def test_beside_the_mirror_stands_what_is_known_of_its_slices(project):
    case = marked_case()
    case.reviews[0], case.reviews[2] = SliceReview(SliceState.DRAWN), SliceReview().after_model(0.2)
    case_id = project.add_case(case)
    path = project.write_mirror(case_id)
    said = provenance_beside(path)
    assert [review.state for review in said.reviews] == [review.state for review in case.reviews]
    assert [review.model_beneath for review in said.reviews] == [review.model_beneath for review in case.reviews]
    label = replace(case.table.labels[0], name="renamed")
    project.set_table(case_id, case.table.with_label(label))
    project.write_mirror(case_id)
    assert names_beside(path)[label.file_id].name == "renamed"
    project.remove_case(case_id)
    assert not list((project.folder / "masks").iterdir())


# ---------------------------------------------------------------------- opening


def test_one_writer_and_any_number_of_readers(project):
    case = marked_case()
    case_id = project.add_case(case)
    with pytest.raises(UserError, match="open in another window") as refused:
        Project.open(project.folder)
    assert "Close the other window" in refused.value.hint
    reader = Project.open(project.folder, writable=False)
    assert strokes.same(reader.load_case(case_id), case)
    with pytest.raises(UserError, match="reading only"):
        reader.set_subject(case_id, "x")
    project.append(case_id, 1, ("edit", strokes.stroke(case, np.random.default_rng(0))))
    assert strokes.same(reader.load_case(case_id), case)
    reader.close()
    assert (project.folder / LOCK).exists()
    project.close()
    assert not (project.folder / LOCK).exists()


def test_a_reader_in_another_process(project):
    project.add_case(marked_case())
    code = (
        "import sys; from pathlib import Path; from thighview.io.project import Project\n"
        "p = Project.open(Path(sys.argv[1]), writable=False)\n"
        "print(p.cases()[0].title, int(p.load_case(1).labels.sum()))\n"
        "try: Project.open(Path(sys.argv[1]))\n"
        "except Exception as e: print(type(e).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, project.folder], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["thigh", str(16 * 13), "UserError"]


def test_many_that_open_at_once_leave_one_writer(project):
    project.close()
    (project.folder / LOCK).write_text(json.dumps({"pid": 1, "started": "long ago", "host": locks.Holder.me().host}))
    won: list[Project] = []
    refused: list[Exception] = []

    def race() -> None:
        try:
            won.append(Project.open(project.folder))
        except UserError as error:
            refused.append(error)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and len(refused) == 7
    won[0].close()


@pytest.mark.parametrize("content", ["", "{", '{"pid": 999999999, "started": "x", "host": "HOST"}', "DEAD"])
def test_a_stale_lock_is_taken_over(project, content):
    project.close()
    if content == "DEAD":
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        holder = {"pid": child.pid, "started": locks.process_started(child.pid), "host": locks.Holder.me().host}
        assert holder["started"]
        (project.folder / LOCK).write_text(json.dumps(holder))
        with pytest.raises(UserError, match=str(child.pid)):
            Project.open(project.folder)
        child.kill()
        child.communicate()
    else:
        (project.folder / LOCK).write_text(content.replace("HOST", locks.Holder.me().host))
    again = Project.open(project.folder)
    assert locks.read_holder(project.folder / LOCK) == locks.Holder.me()
    again.close()


def test_a_lock_of_another_computer_is_never_taken(project):
    project.close()
    (project.folder / LOCK).write_text(json.dumps({"pid": 1, "started": "x", "host": "reading-room-7"}))
    with pytest.raises(UserError, match="reading-room-7") as refused:
        Project.open(project.folder)
    assert LOCK in refused.value.hint


def test_files_are_for_their_owner_only(project):
    project.add_case(marked_case())
    for path in (project.folder, *project.folder.iterdir()):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_what_is_not_a_project_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a thighview project"):
        Project.open(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        Project.create(tmp_path)
    (tmp_path / "project.sqlite").write_bytes(b"SQLite format 3\0" + os.urandom(5000))
    with pytest.raises(UserError, match=r"cannot be opened|not a thighview"):
        Project.open(tmp_path)
    assert not (tmp_path / LOCK).exists()


def test_making_a_project_that_was_cut_short_is_finished(tmp_path):
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "project.sqlite").touch()
    project = Project.open_or_create(folder, "mine")
    assert project.name == "mine" and len(project.salt) == 16
    project.close()
    again = Project.open_or_create(folder)
    assert (again.name, again.salt) == ("mine", project.salt)
    again.close()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="No project can be made"):
        Project.create(tmp_path / "file" / "p")


def test_a_newer_or_foreign_file_is_refused(project):
    project.close()
    path = project.folder / "project.sqlite"
    for statement, message in (
        (f"PRAGMA user_version={schema.VERSION + 1}", "newer thighview"),
        (f"PRAGMA user_version={schema.VERSION}; CREATE TRIGGER t AFTER INSERT ON edit BEGIN SELECT 1; END", "foreign"),
        ("DROP TRIGGER t; PRAGMA application_id=7", "not a thighview project"),
    ):
        connection = sqlite3.connect(path)
        connection.executescript(statement)
        connection.close()
        with pytest.raises(UserError, match=message):
            Project.open(project.folder)
        assert not (project.folder / LOCK).exists()


def test_a_database_that_was_swapped_is_noticed(project, tmp_path):
    case = marked_case()
    case_id = project.add_case(case)
    other = Project.create(tmp_path / "other")
    other.close()
    (tmp_path / "other" / "project.sqlite").replace(project.folder / "project.sqlite")
    with pytest.raises(OSError, match="no longer the file"):
        project.append(case_id, 1, ("edit", strokes.stroke(case, np.random.default_rng(0))))
    with pytest.raises(OSError, match="another project"):
        project.reconnect()


# ---------------------------------------------------------------------- migration

OLD = "CREATE TABLE person (name TEXT); INSERT INTO person VALUES ('a'), ('b'); PRAGMA user_version=3"


def _with_parts(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE person ADD COLUMN part TEXT NOT NULL DEFAULT ''")


def _renamed(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE person RENAME TO subject")


def _fails(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM person")
    raise sqlite3.OperationalError("disk I/O error")


def old_database(path: Path) -> sqlite3.Connection:
    with sqlite3.connect(path) as connection:
        connection.executescript(OLD)
    connection.close()
    return schema.connect(path, writable=True)


def test_migration_goes_step_by_step_and_keeps_a_copy(tmp_path):
    path = tmp_path / "project.sqlite"
    connection = old_database(path)
    assert schema.migrate(connection, path, {3: _with_parts, 4: _renamed}, 5)
    assert connection.execute("SELECT name, part FROM subject").fetchall() == [("a", ""), ("b", "")]
    assert connection.execute("PRAGMA user_version").fetchone() == (5,)
    assert not schema.migrate(connection, path, {3: _with_parts, 4: _renamed}, 5)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    connection.close()
    kept = sqlite3.connect(tmp_path / "project.sqlite.v3.bak")
    assert kept.execute("SELECT name FROM person").fetchall() == [("a",), ("b",)]
    kept.close()


def test_a_migration_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "project.sqlite"
    connection = old_database(path)
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(connection, path, {3: _with_parts, 4: _fails}, 5)
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    assert connection.execute("SELECT * FROM person").fetchall() == [("a",), ("b",)]
    connection.close()


def test_there_is_a_step_from_every_older_version():
    assert set(migrations.STEPS) == set(range(1, schema.VERSION))


def test_a_project_of_the_first_version_comes_back_whole(tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    for name in ("masks", "models", "runs"):
        (folder / name).mkdir()
    with contextlib.closing(sqlite3.connect(folder / "project.sqlite")) as old:
        old.executescript(Path(__file__).with_name("project_v1.sql").read_text())
    with contextlib.closing(Project.open(folder)) as project:
        assert project._connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        case = project.load_case(1)
        assert case.warnings == () and zlib.crc32(case.labels.tobytes()) == 309309413
        assert case.series[0].part == "" and project.find_case(case.series[0].path) == 1, "all of what lies there"
        editing, model, accepted = (SliceReview(s, True) for s in (S.EDITING, S.MODEL, S.ACCEPTED))
        assert case.reviews == [accepted, editing, model, model, editing, SliceReview(S.EDITING)]
        assert case.history.state.names[0] == "Segment with thigh_tissues" and case.history.done == 6
        while case.history.done:
            project.append(1, 1, ("undo", None))
            case = project.load_case(1)
        assert not case.labels.any() and case.warnings == ()
    assert (folder / "project.sqlite.v1.bak").is_file()


def test_a_damaged_snapshot_of_the_first_version_stays_refused(tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / "project.sqlite")) as old:
        old.executescript(Path(__file__).with_name("project_v1.sql").read_text())
        old.execute("UPDATE snapshot SET codes=zeroblob(6) WHERE n=8")
        old.commit()
    with contextlib.closing(Project.open(folder)) as project:
        assert zlib.crc32(project.load_case(1).labels.tobytes()) == 309309413
        sizes = dict(project._connection.execute("SELECT n, length(codes) FROM snapshot"))
        assert (sizes[0], sizes[4], sizes[8]) == (12, 12, 6)


def test_how_unsure_the_model_was_is_kept_and_goes_with_undo_and_redo(project):
    case = strokes.new_case()
    case.case_id = project.add_case(case)
    drawn = SliceReview().after_model(0.317)
    project.append(case.case_id, 1, ("edit", Edit("Segment", "model", (), (ReviewChange(2, SliceReview(), drawn),))))
    kept = drawn.after_edit().after_accept()
    project.append(case.case_id, 1, ("edit", Edit("Accept slice 3", "review", (), (ReviewChange(2, drawn, kept),))))
    again = reopened(project)
    assert again.load_case(case.case_id).reviews[2].uncertainty == 0.317
    assert again.cases()[0].counts[SliceState.CORRECTED] == 1
    for kind, unsure in (("undo", 0.317), ("undo", None), ("redo", 0.317)):
        again.append(case.case_id, 1, (kind, None))
        assert again.load_case(case.case_id).reviews[2].uncertainty == unsure
    copied = again.load_case(case.case_id)
    copied.series[0].volume = strokes.new_case().volume
    assert again.load_case(again.add_case(copied)).reviews[2].uncertainty == 0.317
    again.close()


# ---------------------------------------------------------------------- paths


def test_paths_follow_the_home(thighview_home):
    assert home() == thighview_home
    assert scratch_project() == thighview_home / "My cases" and models_folder() == thighview_home / "models"


def test_resources_are_found_and_missing_ones_named():
    assert resource("icons").is_dir()
    with pytest.raises(FileNotFoundError, match=r"icons/none\.svg"):
        resource("icons", "none.svg")


def test_no_two_cases_share_a_mirror(project):
    titles = ["a/b", "a?b", "a_b", "A:b", "a_b_2", "a_b_3", "x" * 120 + "1", "x" * 120 + "2", "??", "c_reader2"]
    ids = []
    for number, title in enumerate(titles):
        case = strokes.new_case(f"n{number}")
        case.title = title
        case.labels[0, 0, number] = 1
        ids.append(project.add_case(case))
    paths = [project.write_mirror(case_id) for case_id in ids]
    assert len({str(path).lower() for path in paths}) == len(titles)
    assert len(list((project.folder / "masks").glob("*.nii.gz"))) == len(titles)


def test_of_cases_with_one_title_none_leaves_a_mirror_behind(project):
    ids = [project.add_case(marked_case(name)) for name in ("Doe", "Doe", "doe", "Doe_reader2")]
    for case_id in ids:
        project.write_mirror(case_id)
    project.remove_case(ids[0])
    for case_id in ids[1:]:
        project.write_mirror(case_id)
    assert {path.name for path in (project.folder / "masks").iterdir()} == {
        f"{stem}.{ending}" for stem in ("Doe", "doe_3", "Doe_reader2_4") for ending in ("nii.gz", "json")
    }
    for case_id in ids[1:]:
        project.remove_case(case_id)
    assert not list((project.folder / "masks").iterdir())


def test_a_scan_moves_only_where_it_is_new(project, tmp_path):
    case_id = project.add_case(marked_case())
    with contextlib.closing(Project.create(tmp_path / "other")) as other:
        other.add_case(strokes.new_case())
        with pytest.raises(UserError, match="already"):
            project.move_case_to(case_id, other)
        assert len(other.cases()) == 1
    assert project.load_case(case_id).labels.any()


def case_at(path: Path, sha256: str, value: int, part: str = "", height_mm: float = 0.0) -> Case:
    """A case with something of this value drawn in its first slice."""
    case = strokes.new_case()
    case.volume.affine[2, 3] += height_mm
    case.title = f"case {value}"
    case.series[0] = replace(case.series[0], path=path, part=part, sha256=sha256)
    case.labels[0, 0, :4] = value
    return case


@pytest.mark.parametrize(("path", "part"), [("scan.nii.gz", ""), ("four.nii.gz", "2"), ("dicom", "series-1")])
def test_a_case_of_another_scan_at_the_same_path_keeps_nothing_from_moving(
    project: Project, tmp_path: Path, path: str, part: str
) -> None:
    mine = project.add_case(case_at(tmp_path / path, "a" * 64, 1, part))
    with contextlib.closing(Project.create(tmp_path / "other")) as other:
        theirs = other.add_case(case_at(tmp_path / path, "b" * 64, 2, part))
        moved = project.move_case_to(mine, other)
        assert {case.case_id: case.sha256[0] for case in other.cases()} == {theirs: "b", moved: "a"}
        for case_id, value in ((theirs, 2), (moved, 1)):
            assert set(np.unique(other.load_case(case_id).labels)) == {0, value}
    assert project.cases() == []


def test_a_scan_placed_by_its_other_position_is_still_the_same_scan(project: Project, tmp_path: Path) -> None:
    mine = project.add_case(case_at(tmp_path / "a.nii", "", 1, "qform"))
    with contextlib.closing(Project.create(tmp_path / "other")) as other:
        there = case_at(tmp_path / "a.nii", "", 2)
        there.series[0].volume = replace(there.volume, affine=np.diag([2.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]])
        other.add_case(there)
        with pytest.raises(UserError):
            project.move_case_to(mine, other)
    assert project.find_case(tmp_path / "a.nii") == mine == project.find_case(tmp_path / "a.nii", "qform")
    assert project.find_case(tmp_path / "a.nii", "2") is None


def test_the_same_scan_is_recognised_under_another_key(project: Project, tmp_path: Path) -> None:
    """As a file and as a link to it, as a folder and as the one above, before series had parts and since."""
    (tmp_path / "scan.nii.gz").write_bytes(b"a scan")
    (tmp_path / "link.nii.gz").symlink_to(tmp_path / "scan.nii.gz")
    for mine, theirs in (
        ((tmp_path / "link.nii.gz", ""), (tmp_path / "scan.nii.gz", "")),
        ((tmp_path / "visit", "series-1"), (tmp_path / "visit" / "a", "series-1")),
        ((tmp_path / "visit", "series-1"), (tmp_path / "visit", "")),
        ((tmp_path / "visit", ""), (tmp_path / "visit", "series-2-of-3")),
    ):
        case_id = project.add_case(case_at(mine[0], "a" * 64, 1, mine[1]))
        with contextlib.closing(Project.create(tmp_path / "other")) as other:
            other.add_case(case_at(theirs[0], "a" * 64, 2, theirs[1]))
            with pytest.raises(UserError, match="already: case 2"):
                project.move_case_to(case_id, other)
            assert len(other.cases()) == 1
        assert project.load_case(case_id).labels.any()
        project.remove_case(case_id)
        shutil.rmtree(tmp_path / "other")


def test_where_a_hash_is_not_known_the_grid_tells_or_a_person_is_asked(project: Project, tmp_path: Path) -> None:
    place = tmp_path / "dicom"
    mine = project.add_case(case_at(place, "a" * 64, 1, "series-1"))
    with contextlib.closing(Project.create(tmp_path / "other")) as other:
        old = other.add_case(case_at(place, "", 2))  # of one of the series there, nobody knows which
        with pytest.raises(UserError, match=r"may have a case of dicom already: case 2.*Open each of the two"):
            project.move_case_to(mine, other)
        other.set_sha256(old, "b" * 64)
        other.add_case(case_at(place, "", 3, "series-2"))
        other.add_case(case_at(place, "", 4, "series-1", height_mm=40))
        other.add_case(case_at(tmp_path / "copy", "a" * 64, 5, "series-1"))
        moved = project.move_case_to(mine, other)
        assert set(np.unique(other.load_case(moved).labels)) == {0, 1} and len(other.cases()) == 5
    assert project.cases() == []


def test_a_person_named_by_a_hash_is_the_same_one_where_the_case_moves(project: Project, tmp_path: Path) -> None:
    folder = write_series(tmp_path / "visit 1", [0, 4, 8])
    case = Case.of(read_volume(folder), folder, sha256_of(folder), subject_of(folder, "P-17", project.salt))
    first, typed = project.add_case(case), project.add_case(case_at(tmp_path / "b", "b" * 64, 1))
    project.set_subject(typed, "Anna")
    with contextlib.closing(Project.create(tmp_path / "other")) as other:
        folder.rename(tmp_path / "away")
        with pytest.raises(UserError, match=r"Whose scan .* cannot be read"):
            project.move_case_to(first, other)
        assert other.cases() == [] and len(project.cases()) == 2
        (tmp_path / "away").rename(folder)
        project.move_case_to(first, other)
        project.move_case_to(typed, other)
        other_visit = subject_of(tmp_path / "visit 2", "P-17", other.salt)
        assert {case.subject for case in other.cases()} == {other_visit, "Anna"} == set(other.subjects())


def test_a_person_called_after_a_file_is_nobody_else_where_the_case_moves(project: Project, tmp_path: Path) -> None:
    mine = [case_at(tmp_path / "y" / "water.nii", letter * 64, n, str(n)) for n, letter in ((1, "a"), (2, "b"))]
    with contextlib.closing(Project.create(tmp_path / "other")) as other:
        theirs = case_at(tmp_path / "x" / "water.nii", "c" * 64, 3)
        for case in (*mine, theirs):
            case.subject = "water"
        other.add_case(theirs)
        for case in mine:
            project.move_case_to(project.add_case(case), other)
        names = {case.title: case.subject for case in other.cases()}
        assert names == {"case 1": "water (y)", "case 2": "water (y)", "case 3": "water"}


def test_a_subject_of_a_run_stays_one_where_its_case_moves(project, tmp_path):
    case_id = project.add_case(marked_case())
    project.assign_parts(["sub-thigh"])
    project.add_run("one", {}, ["sub-thigh"])
    with contextlib.closing(Project.create(tmp_path / "other")) as other:
        moved = project.move_case_to(case_id, other)
        with pytest.raises(UserError, match="training run"):
            other.set_subject(moved, "somebody")
