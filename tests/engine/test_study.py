"""Whole studies on tiny people: trained one after the other, killed, stopped, gone on with."""

import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_project import TINY, make_project
from uncompiled import uncompiled

from thighview.core.errors import UserError
from thighview.core.leaks import leaked_people
from thighview.core.run import EpochEnded, Failed, RunEvent, Started
from thighview.core.studies import CURVE, FOLDS, LEAVE_ONE_OUT
from thighview.core.study_results import RetrainingEnded, StudyEnded, StudyMoved, StudyStarted
from thighview.engine.study import study_main
from thighview.io.dataset import read_dataset
from thighview.io.models import find_models
from thighview.io.project import Project
from thighview.io.runs import EventTail, read_config, run_folders, write_control
from thighview.io.studies import StudyFolder, read_study, study_folder, study_folders

ONE_STEP = replace(TINY, batch_size=16, dropout=0.0, augment=False, optimizer="sgd", patience=3)


class Killed(BaseException):
    pass


@pytest.fixture(autouse=True, scope="module")
def step_by_step() -> Iterator[None]:
    """Every training here runs step by step: each has too few steps to be worth compiling."""
    with uncompiled():
        yield


@pytest.fixture(scope="module")
def done(step_by_step: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, list[RunEvent]]:
    """Two folds of two people, and what was heard of them."""
    folder = make_project(tmp_path_factory.mktemp("done"), 2)
    heard: list[RunEvent] = []
    return study_main(folder, kind=FOLDS, count=2, config=ONE_STEP, emit=heard.append), heard


def said(study: StudyFolder, kind: type) -> list:
    return [event for event in EventTail(study.events).read_all() if isinstance(event, kind)]


def epochs(study: StudyFolder, name: str) -> list[int]:
    return [e.epoch for e in EventTail(study.retraining(name).events).read_all() if isinstance(e, EpochEnded)]


def numbers(study: StudyFolder) -> list[int]:
    return [event.number for event in said(study, RetrainingEnded)]


def dead(study: StudyFolder) -> None:
    """As a process leaves it that was killed: its lock lies there."""
    study.lock.write_text(json.dumps({"pid": 1, "started": "before", "host": platform.node()}))


def same_scores(one: StudyFolder, other: StudyFolder) -> None:
    for a, b in zip(said(one, RetrainingEnded), said(other, RetrainingEnded), strict=True):
        for p, q in zip(a.val_people, b.val_people, strict=True):
            assert (p.subject, p.loss) == (q.subject, pytest.approx(q.loss, abs=1e-5))


def test_folds_score_each_person_once_and_say_how_far_they_are(done: tuple[StudyFolder, list[RunEvent]]) -> None:
    study, heard = done
    assert study.name == "folds 1" and [s.name for s in study_folders(study.project)] == ["folds 1"]
    assert EventTail(study.events).read_all() == heard
    assert isinstance(heard[0], StudyStarted) and isinstance(heard[-1], StudyEnded) and not heard[-1].stopped
    ended = said(study, RetrainingEnded)
    assert [event.number for event in ended] == [1, 2]
    assert sorted(p.subject for event in ended for p in event.val_people) == ["person 0", "person 1"]
    assert all(event.labels == ("thigh", "bone") and event.seconds > 0 and event.train_people for event in ended)
    shares = [event.share for event in said(study, StudyMoved)]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)
    assert said(study, StudyMoved)[-1].seconds_left == pytest.approx(0.0, abs=1e-6)


def test_what_a_study_leaves_is_scores_and_no_model(done: tuple[StudyFolder, list[RunEvent]]) -> None:
    study, _ = done
    assert not list(study.path.rglob("*.safetensors")) and not list(study.path.glob("runs/*/masks"))
    assert len(list(study.path.glob("runs/*/slices/*"))) == 2
    assert run_folders(study.project) == [] and {m.place for m in find_models(study.project)} == {"box"}
    for one in read_study(study).trainings:
        run = study.retraining(one.name)
        frozen = read_dataset(run)
        assert frozen.subjects("train") == list(one.train) and frozen.subjects("validation") == list(one.validation)
        assert leaked_people(frozen, None) == set()
        assert read_config(run).patience == 0
    project = Project.open(study.project)
    with pytest.raises(UserError, match="part of a training run"):
        project.set_subject(project.cases()[0].case_id, "somebody else")
    project.close()


def test_of_more_than_a_thousand_epochs_the_last_one_is_left(
    tmp_path: Path, done: tuple[StudyFolder, list[RunEvent]]
) -> None:
    whole, _ = done
    shutil.copytree(whole.project, tmp_path / "copy")
    study = study_folder(tmp_path / "copy", whole.name)
    run = study.retraining("01")
    for epoch in (998, 999, 1000, 1001):
        run.slices_of(epoch).touch()
    study_main(study.project, study.name)
    assert list(run.slices_of(1).parent.iterdir()) == [run.slices_of(1001)]


def test_a_study_keeps_its_name_and_settings(done: tuple[StudyFolder, list[RunEvent]]) -> None:
    study, _ = done
    with pytest.raises(UserError, match="already"):
        study_main(study.project, study.name, FOLDS, 2, ONE_STEP)
    with pytest.raises(UserError, match="keeps its settings"):
        study_main(study.project, study.name, config=ONE_STEP)
    with pytest.raises(UserError, match="no study 'nothing'"):
        study_main(study.project, "nothing")


def test_a_killed_study_goes_on_within_the_training_at_which_it_was(
    tmp_path: Path, done: tuple[StudyFolder, list[RunEvent]]
) -> None:
    whole, _ = done
    shutil.copytree(whole.project, tmp_path / "copy", ignore=shutil.ignore_patterns("studies"))
    study = study_folder(tmp_path / "copy", "cut")

    def kill(event: RunEvent) -> None:
        if isinstance(event, StudyMoved) and event.number == 2 and epochs(study, "02"):
            raise Killed

    with pytest.raises(Killed):
        study_main(study.project, "cut", FOLDS, 2, ONE_STEP, None, kill)
    assert numbers(study) == [1]
    dead(study)
    study_main(study.project, "cut")
    assert numbers(study) == [1, 2]
    assert said(study, StudyStarted)[-1].first == 2
    starts = [e for e in EventTail(study.retraining("02").events).read_all() if isinstance(e, Started)]
    assert [event.first_epoch for event in starts] == [1, 2]
    assert not list(study.path.rglob("*.safetensors"))
    same_scores(whole, study)


def test_a_study_killed_between_the_last_weights_and_the_word_on_them_trains_again(
    tmp_path: Path, done: tuple[StudyFolder, list[RunEvent]]
) -> None:
    whole, _ = done
    shutil.copytree(whole.project, tmp_path / "copy", ignore=shutil.ignore_patterns("02"))
    study = study_folder(tmp_path / "copy", whole.name)
    lines = study.events.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not ("retraining_ended" in line and '"number": 2' in line)]
    study.events.write_text("".join(line for line in kept if "study_ended" not in line))

    def kill(event: RunEvent) -> None:
        if isinstance(event, StudyMoved) and event.epoch == 2 and epochs(study, "02") == [1, 2]:
            raise Killed

    with pytest.raises(Killed):
        study_main(study.project, study.name, emit=kill)
    run = study.retraining("02")
    words = run.events.read_text().splitlines(keepends=True)
    run.events.write_text("".join(w for w in words if '"epoch": 2' not in w))
    dead(study)
    study_main(study.project, study.name)
    assert numbers(study) == [1, 2] and epochs(study, "02") == [1, 2]
    same_scores(whole, study)


def test_a_study_that_is_stopped_and_then_killed_after_its_last_epoch_can_go_on(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 2)
    study = study_folder(folder, "stopped")

    def stop(event: RunEvent) -> None:
        if isinstance(event, StudyMoved) and event.number == 1:
            write_control(study, "stop")

    study_main(folder, "stopped", LEAVE_ONE_OUT, 0, ONE_STEP, None, stop)
    assert said(study, StudyEnded)[-1].stopped and numbers(study) == []
    assert not study.control.exists() and not study.alive

    def kill(event: RunEvent) -> None:
        if isinstance(event, StudyMoved) and epochs(study, "01")[-1:] == [ONE_STEP.epochs]:
            raise Killed

    with pytest.raises(Killed):
        study_main(folder, "stopped", emit=kill)
    dead(study)
    study_main(folder, "stopped")
    assert numbers(study) == [1, 2] and not said(study, StudyEnded)[-1].stopped, "an earlier stop holds no more"


def test_a_study_whose_training_is_stopped_before_its_first_batch_is_stopped_and_goes_on(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 2)
    study = study_folder(folder, "early")

    def stop(event: RunEvent) -> None:
        if isinstance(event, StudyMoved) and event.number == 1:
            write_control(study.retraining("01"), "stop")

    study_main(folder, "early", LEAVE_ONE_OUT, 0, ONE_STEP, None, stop)
    assert said(study, StudyEnded)[-1].stopped and numbers(study) == epochs(study, "01") == []
    study_main(folder, "early")
    assert numbers(study) == [1, 2]


def test_a_learning_curve_has_equal_steps_and_the_locked_people_stay_out(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 8)
    project = Project.open(folder)
    parts = project.assign_parts([f"person {i}" for i in range(8)])
    project.close()
    locked = {name for name, part in parts.items() if part == "test"}
    study = study_main(folder, kind=CURVE, count=2, config=replace(ONE_STEP, epochs=1))
    asked = read_study(study)
    assert locked and locked.isdisjoint(asked.order)
    assert not any(name in study.dataset.read_text() for name in locked)
    least, most = sorted(asked.trainings, key=lambda one: len(one.train))
    assert set(least.train) < set(most.train) and least.epochs >= most.epochs == 1  # as many steps: by the split
    ended = said(study, RetrainingEnded)
    assert [len(event.val_people) for event in ended] == [len(least.validation)] * 2
    assert all(parts[p.subject] == "validation" for event in ended for p in event.val_people)


def test_a_training_that_fails_says_which(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 2)

    def take_away(event: RunEvent) -> None:
        if isinstance(event, RetrainingEnded):
            next(tmp_path.glob("person 0_*.nii.gz")).unlink()

    study = study_folder(folder, "cut")
    with pytest.raises(UserError, match=r"Training 2 of 2: .*is gone"):
        study_main(folder, "cut", FOLDS, 2, replace(ONE_STEP, epochs=1), None, take_away)
    assert "Training 2 of 2" in said(study, Failed)[-1].message and numbers(study) == [1]
