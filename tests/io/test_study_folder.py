"""The folder of a study: who takes part, who never validates, what its file keeps, how fast the machine is."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_project import TABLE, add_person, make_project

from thighview.core.errors import UserError
from thighview.core.run import EpochEnded, Scores, Started, TrainConfig
from thighview.core.studies import CURVE, FOLDS, LEAVE_ONE_OUT
from thighview.io.atomic import write_json_atomic
from thighview.io.model_card import ModelCard
from thighview.io.models import ModelEntry
from thighview.io.project import Project
from thighview.io.runs import EventLog, RunFolder, run_folder
from thighview.io.studies import cohort_of, freeze_study, planned, read_study, study_folder, study_folders, write_study
from thighview.io.study_pace import Pace, find_pace
from thighview.io.vetting import vetted_set

CONFIG = TrainConfig(base_filters=2, levels=3, epochs=4, batch_size=4, input_size=32)


def parent(*people: str, ancestor: tuple[str, ...] = ()) -> ModelEntry:
    lineage: dict[str, Any] = {"parent": {"split": {"train": list(ancestor)}, "lineage": {}}}
    card = ModelCard(
        name="parent", architecture="unet", base_filters=2, levels=3, dropout=0.0, spacing_mm=0.0, input_size=32,
        classes=("background", "thigh", "bone"), labels=TABLE, sided=False, split={"train": list(people)},
        lineage=lineage,
    )  # fmt: skip
    return ModelEntry(card, Path("/nowhere"), "project")


def test_whom_a_model_or_its_ancestors_were_trained_on_never_validates(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 4)
    study = study_folder(folder, "one")
    entry = parent("person 0", ancestor=("person 2",))
    project = Project.open(folder)
    cohort = cohort_of(project, entry)
    assert cohort.known == {"person 0", "person 2"} and len(cohort.order) == 4
    asked = freeze_study(project, study, LEAVE_ONE_OUT, CONFIG)
    project.close()
    made = planned(study, asked, vetted_set(study), entry)
    assert [one.validation for one in made.trainings] == [(p,) for p in asked.order if p in ("person 1", "person 3")]
    assert all({"person 0", "person 2"} <= set(one.train) for one in made.trainings)
    assert "person 0 and person 2 never validate: parent" in made.note
    assert "was trained on is not known" in made.note  # the ancestor's card has no cases
    told = replace(entry.card, lineage={"cases": []})
    assert "not known" not in planned(study, asked, vetted_set(study), replace(entry, card=told)).note
    made = planned(study, asked, vetted_set(study), entry)
    assert read_study(study) == made
    assert planned(study, made, vetted_set(study), None) == made  # a plan that is made stays
    with pytest.raises(UserError, match="1 can validate"):
        planned(study, asked, vetted_set(study), parent("person 0", "person 1", "person 2"))


def test_one_person_under_two_names_never_validates(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 3)
    project = Project.open(folder)
    add_person(project, tmp_path, 0, "again")
    study = study_folder(folder, "twins")
    asked = freeze_study(project, study, FOLDS, CONFIG, 2)
    project.close()
    made = planned(study, asked, vetted_set(study), None)
    assert sorted(person for one in made.trainings for person in one.validation) == ["person 1", "person 2"]
    assert "again and person 0 have the same scan" in made.note


def test_whose_last_review_was_taken_back_while_it_froze_takes_no_part(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 4)
    project = Project.open(folder)
    study = study_folder(folder, "one")
    asked = freeze_study(project, study, LEAVE_ONE_OUT, CONFIG)
    project.close()
    whole = vetted_set(study)
    whole = replace(whole, slices=tuple(s for s in whole.slices if s.subject != "person 1"))
    made = planned(study, asked, whole, None)
    assert len(made.trainings) == 3 and not any("person 1" in (*one.train, *one.validation) for one in made.trainings)


def test_a_curve_replays_at_every_number_of_people_or_at_none(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 4)
    project = Project.open(folder)
    study = study_folder(folder, "one")
    asked = freeze_study(project, study, CURVE, replace(CONFIG, replay=0.5))
    project.close()
    made = planned(study, asked, vetted_set(study), None)
    assert made.config.replay == read_study(study).config.replay == 0.0 and "without replay" in made.note


def test_looking_at_who_would_take_part_writes_nothing(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 8)
    project = Project.open(folder, writable=False)
    before = cohort_of(project, None)
    assert set(project.subjects().values()) == {""}
    project.close()
    project = Project.open(folder)
    study = study_folder(folder, "one")
    asked = freeze_study(project, study, CURVE, CONFIG)
    parts = project.subjects()
    project.close()
    assert asked.order == before.order and before.parts == parts
    assert {parts[person] for person in asked.order} == {"train", "validation"}
    assert len(list(study.masks.iterdir())) >= len(asked.order) < 8


def test_a_study_that_cannot_be_leaves_nothing(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 1)
    project = Project.open(folder)
    study = study_folder(folder, "one")
    with pytest.raises(UserError, match="1 can validate"):
        freeze_study(project, study, FOLDS, CONFIG)
    assert not study.path.exists() and set(project.subjects().values()) == {""}
    project.set_in_training_set(project.cases()[0].case_id, False)
    with pytest.raises(UserError, match="training set is empty"):
        freeze_study(project, study, FOLDS, CONFIG)
    project.close()
    with pytest.raises(UserError):
        study_folder(folder, "../out")


def test_a_study_that_lost_its_settings_hides_no_other(tmp_path: Path) -> None:
    for age, name in enumerate(("newest", "without settings", "oldest")):
        study = study_folder(tmp_path, name)
        study.path.mkdir(parents=True)
        for path in (study.file, study.config):
            path.write_text("{}")
            os.utime(path, (1e9 - age, 1e9 - age))
    study_folder(tmp_path, "without settings").config.unlink()
    assert [study.name for study in study_folders(tmp_path)] == ["oldest", "without settings", "newest"]


def test_a_file_of_a_study_that_is_damaged_is_refused(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 3)
    project = Project.open(folder)
    study = study_folder(folder, "one")
    asked = freeze_study(project, study, FOLDS, CONFIG, 2, Pace(0.5, "run 1", True))
    project.close()
    assert read_study(study) == asked and [s.name for s in study_folders(folder)] == ["one"]
    for text in ("{", "[]", '{"format": "thighview-study-9"}', '{"format": "thighview-study-1"}'):
        study.file.write_text(text)
        with pytest.raises(UserError):
            read_study(study)
    write_study(study, asked)
    assert read_study(study) == asked


def _trained(run: RunFolder, config: TrainConfig, seconds: float, age: int) -> None:
    run.path.mkdir(parents=True)
    write_json_atomic(run.config, config.to_json())
    log = EventLog(run)
    log.append(Started(1.0, run.name, "CPU", 3, 2, 8, 2, 3, 1, False, ("thigh",)))
    for epoch, wall in ((1, 50.0), (2, seconds), (3, seconds)):
        log.append(EpochEnded(1.0, run.name, epoch, 3, wall, 1e-3, Scores(), Scores(), Scores()))
    log.close()
    os.utime(run.events, (1e9 - age, 1e9 - age))


def test_the_pace_is_that_of_a_training_of_the_same_size_else_scaled(tmp_path: Path) -> None:
    assert find_pace(tmp_path, CONFIG) is None
    _trained(run_folder(tmp_path, "wide"), replace(CONFIG, base_filters=4), 36.0, 10)
    assert find_pace(tmp_path, CONFIG) == Pace(pytest.approx(1.0), "wide", False, 14.0)
    _trained(study_folder(tmp_path, "folds 1").retraining("01"), CONFIG, 18.0, 20)
    assert find_pace(tmp_path, CONFIG) == Pace(pytest.approx(2.0), "folds 1, training 01", True, 32.0)
