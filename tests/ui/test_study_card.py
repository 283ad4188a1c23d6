"""The card of studies: what it costs before it is asked, how far it is, what it found, found again later."""

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from study_room import CONFIG, ended, frozen, tell, told
from tiny_project import make_project

from thighview.app import jobs, studying
from thighview.app.tasks import Workspace
from thighview.core.errors import UserError
from thighview.core.run import EpochEnded, Failed, Scores, Started, TrainConfig
from thighview.core.studies import CURVE, FOLDS, LEAVE_ONE_OUT
from thighview.core.study_results import CurvePoint, StudyMoved, StudyStarted, mean_of_people
from thighview.io.locks import Holder
from thighview.io.runs import read_control, run_folder
from thighview.io.studies import StudyFolder
from thighview.ui.cards import Page
from thighview.ui.study_card import StudyCard
from thighview.ui.study_plot import LearningCurvePlot
from thighview.ui.theme import apply_theme


@pytest.fixture
def workspace(qtbot: QtBot) -> Iterator[Workspace]:
    made = Workspace()
    yield made
    made.close()
    assert jobs.shutdown()


def shown(workspace: Workspace, qtbot: QtBot, folder: Path | None = None, config: TrainConfig = CONFIG) -> StudyCard:
    if folder is not None:
        with qtbot.waitSignal(workspace.cases_changed):
            workspace.open_project(folder)
    card = StudyCard(workspace, lambda: config)
    qtbot.addWidget(card)
    card.resize(348, 900)
    card.show()
    return card


def ask(card: StudyCard, kind: str) -> None:
    card.kind.setCurrentIndex(card.kind.findData(kind))
    card.kind.activated.emit(card.kind.currentIndex())


def at_work(study: StudyFolder) -> None:
    """As if this very process made its trainings."""
    me = Holder.me()
    study.lock.write_text(json.dumps({"pid": me.pid, "started": me.started, "host": me.host}))


def rows(card: StudyCard) -> list[list[str]]:
    table = card.result.table
    return [[table.item(r, c).text() for c in range(table.columnCount())] for r in range(table.rowCount())]


def test_without_a_project_or_people_it_says_why_nothing_can_start(
    workspace: Workspace, qtbot: QtBot, tmp_path: Path
) -> None:
    card = shown(workspace, qtbot)
    qtbot.waitUntil(lambda: "Open a scan" in card.cost.text())
    assert not card.start_button.isEnabled() and card.result.isHidden() and card.followed.isHidden()
    with qtbot.waitSignal(workspace.cases_changed):
        workspace.open_project(make_project(tmp_path, 1))
    qtbot.waitUntil(lambda: "1 can validate" in card.cost.text())
    assert card.cost.property("warning")
    assert not card.start_button.isEnabled()


def test_settings_that_are_not_whole_are_said(workspace: Workspace, qtbot: QtBot, tmp_path: Path) -> None:
    with qtbot.waitSignal(workspace.cases_changed):
        workspace.open_project(make_project(tmp_path, 3))

    def broken() -> TrainConfig:
        raise UserError("Epochs: expected 1 to 10000.")

    card = StudyCard(workspace, broken)
    qtbot.addWidget(card)
    card.show()
    qtbot.waitUntil(lambda: "Epochs: expected" in card.cost.text())
    assert not card.start_button.isEnabled()


def test_what_a_study_costs_is_said_before_it_starts(workspace: Workspace, qtbot: QtBot, tmp_path: Path) -> None:
    folder = make_project(tmp_path, 4)
    card = shown(workspace, qtbot, folder)
    qtbot.waitUntil(lambda: card.start_button.isEnabled())
    assert card.cost.text().startswith("4 trainings, 4 people. Nothing was trained here yet")
    run = run_folder(folder, "run 1")
    run.path.mkdir(parents=True)
    run.config.write_text(json.dumps(CONFIG.to_json()))
    tell(
        StudyFolder(run.path),
        Started(1.0, "run 1", "CPU", 2, 1, 15, 2, 3, 1, False, ("thigh",)),
        *(EpochEnded(1.0, "run 1", k, 2, 160.0, 1e-3, Scores(), Scores(), Scores()) for k in (1, 2)),
    )
    card.number.setValue(2)
    assert not card.start_button.isEnabled()  # until its cost is known
    qtbot.waitUntil(lambda: card.start_button.isEnabled())
    # 160 s for 15 slices and one that is looked at: 10 s a slice; 2 trainings of 2 epochs on 8, and 8 looked at
    assert card.cost.text() == "2 trainings, 4 people: about 7 min on this machine, going by “run 1”."
    ask(card, LEAVE_ONE_OUT)
    qtbot.waitUntil(lambda: card.cost.text().startswith("4 trainings"))
    assert card.number.isHidden()
    ask(card, CURVE)
    qtbot.waitUntil(lambda: card.number.suffix() == " trainings" and card.start_button.isEnabled())
    assert "Would more people help" in card.about.text()


def test_folds_are_found_again_with_each_person(workspace: Workspace, qtbot: QtBot, tmp_path: Path) -> None:
    folder = make_project(tmp_path, 5)
    study = told(folder, FOLDS, 2)
    card = shown(workspace, qtbot, folder)
    qtbot.waitUntil(lambda: card.desk.history is not None and card.desk.history.phase == "done")
    assert card.result.isVisible() and card.result.plot.isHidden() and card.progress_part.isHidden()
    people = [row[1] for row in rows(card)]
    assert sorted(people[:-1]) == [f"person {i}" for i in range(5)]
    assert people[-1] == "mean of 5"
    assert "on people never seen" in card.result.found.text() and "scored once" in card.result.rule.text()
    before = rows(card)
    card.result.metric_choice.setCurrentIndex(card.result.metric_choice.findData("loss"))
    card.result.metric_choice.activated.emit(0)
    assert rows(card) != before and card.result.half_width.suffix() == ""
    card.result.label_choice.setCurrentIndex(2)
    card.result.label_choice.activated.emit(2)
    assert rows(card)[0][2] == "0.300"
    card.result.copy_button.click()
    lines = list(csv.reader(io.StringIO(QGuiApplication.clipboard().text()), delimiter="\t"))
    assert len([line for line in lines if line[4] == "validation"]) == 5 * 3
    assert study.name in card.name.text()


def test_a_learning_curve_is_drawn_and_read(workspace: Workspace, qtbot: QtBot, tmp_path: Path) -> None:
    folder = make_project(tmp_path, 7)
    told(folder, CURVE)
    card = shown(workspace, qtbot, folder)
    qtbot.waitUntil(lambda: card.result.isVisible())
    result = card.result
    assert result.plot.isVisible()
    sizes = [int(row[0]) for row in rows(card)]
    assert sizes == sorted(sizes) and sizes[0] == 1
    assert result.plot.accessibleDescription().startswith("1 person: Dice 0.")
    assert result.plot.tip_at(0).startswith("1 person")
    assert result.plot.tip_at(result.plot.width()).startswith(f"{sizes[-1]} people")
    assert f"From {sizes[-2]} to {sizes[-1]} people" in result.found.text()
    assert "Flat: they will not" in result.rule.text()
    assert not result.plot.grab().toImage().isNull()


def test_a_loss_below_zero_has_its_whisker_in_the_plot(qtbot: QtBot) -> None:
    plot = LearningCurvePlot()
    qtbot.addWidget(plot)
    for losses, lowest in (((-1.0, -1.2), -2.0), ((0.1, 0.3), 0.0)):
        values = {str(k): loss for k, loss in enumerate(losses)}
        whole = mean_of_people(values)
        assert whole is not None and whole.interval is not None and whole.interval[0] < lowest
        plot.show_points([CurvePoint(1, whole, (whole.mean,), None)], [1, 2], "loss")
        low, high = plot._range()
        assert low < lowest and high > whole.interval[1]
        assert (low < whole.interval[0]) == (lowest < 0)


@pytest.mark.parametrize("width", [300, 340])
def test_the_card_is_as_high_as_its_words_need_in_a_narrow_panel(
    workspace: Workspace, qtbot: QtBot, tmp_path: Path, width: int
) -> None:
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    apply_theme(application)
    folder = make_project(tmp_path, 7)
    told(folder, CURVE, name="learning curve 1")
    run = run_folder(folder, "a run with a long name, training 01")
    run.path.mkdir(parents=True)
    run.config.write_text(json.dumps(CONFIG.to_json()))
    paced = EpochEnded(1.0, run.name, 1, 1, 160.0, 1e-3, Scores(), Scores(), Scores())
    tell(StudyFolder(run.path), Started(1.0, run.name, "CPU", 2, 1, 15, 2, 3, 1, False, ("thigh",)), paced)
    with qtbot.waitSignal(workspace.cases_changed):
        workspace.open_project(folder)
    page, card = Page(), StudyCard(workspace, lambda: CONFIG)
    qtbot.addWidget(page)
    page.column.addWidget(card)
    page.column.addStretch(1)
    page.resize(width, 640)
    page.show()
    for kind in (CURVE, FOLDS):
        ask(card, kind)
        qtbot.waitUntil(lambda: "going by" in card.cost.text() and card.result.isVisible())
        assert card.minimumSizeHint().width() <= card.width(), "its height is that of its words at the width it has"
        for part in (card, card.about, card.cost):
            qtbot.waitUntil(lambda part=part: part.height() == part.heightForWidth(part.width()))


def test_a_study_at_work_is_followed_and_stopped(workspace: Workspace, qtbot: QtBot, tmp_path: Path) -> None:
    folder = make_project(tmp_path, 3)
    study, asked = frozen(folder, FOLDS, 3)
    at_work(study)
    tell(study, StudyStarted(1.0, "one", FOLDS, 3, 1))
    card = shown(workspace, qtbot, folder)
    qtbot.waitUntil(lambda: "Starting" in card.progress_words.text())
    tell(study, StudyMoved(time.time(), "one", 1, 1, 2, 0.2, 600.0))
    qtbot.waitUntil(lambda: "Training 1 of 3 · epoch 1 of 2 · 10 min left" in card.progress_words.text())
    assert card.question.isHidden() and card.result.isHidden()
    tell(study, ended(study, asked, 1))
    qtbot.waitUntil(lambda: card.result.isVisible())
    assert "1 of 3 trainings done" in card.result.headline.text()
    card.stop_button.click()
    qtbot.waitUntil(lambda: read_control(study) == "stop")
    tell(study, StudyMoved(time.time(), "one", 2, 1, 2, 0.5, 300.0))
    qtbot.waitUntil(lambda: card.desk.history is not None and card.desk.history.share == 0.5)
    assert "Stopping" in card.progress_words.text() and not card.stop_button.isEnabled()
    study.lock.unlink()
    qtbot.waitUntil(lambda: "without a last word" in card.failure.text())
    assert card.go_on_button.isVisible() and card.question.isVisible()
    assert card.progress_words.text() == "Ended after 1 of 3 trainings."


def test_a_study_that_failed_says_why_and_one_that_was_stopped_offers_to_go_on(
    workspace: Workspace, qtbot: QtBot, tmp_path: Path
) -> None:
    folder = make_project(tmp_path, 3)
    told(folder, FOLDS, 3, done=1, name="stopped")
    failed = told(folder, FOLDS, 3, done=2, name="failed")
    tell(failed, Failed(1.0, "failed", "Training 3 of 3: the scan is gone.", "Put it back."))
    card = shown(workspace, qtbot, folder)
    qtbot.waitUntil(lambda: "the scan is gone" in card.failure.text())
    assert card.go_on_button.isVisible() and card.study.count() == 2
    card.study.setCurrentText("stopped")
    card.study.activated.emit(0)
    qtbot.waitUntil(lambda: card.progress_words.text() == "Ended after 1 of 3 trainings.")
    assert card.failure.isHidden() and card.go_on_button.isVisible()
    assert card.name.text() == "stopped"


def test_a_project_without_studies_shows_none(workspace: Workspace, qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = make_project(tmp_path / "a", 3), make_project(tmp_path / "b", 3)
    told(first, FOLDS, 3)
    card = shown(workspace, qtbot, first)
    qtbot.waitUntil(lambda: card.result.isVisible())
    with qtbot.waitSignal(workspace.cases_changed):
        workspace.open_project(second)
    qtbot.waitUntil(lambda: card.result.isHidden())
    assert card.name.text() == "" and card.study.isHidden()


def test_a_study_of_a_newer_program_says_so_and_another_one_can_start(
    workspace: Workspace, qtbot: QtBot, tmp_path: Path
) -> None:
    folder = make_project(tmp_path, 3)
    study, _ = frozen(folder, FOLDS, 3)
    study.file.write_text(study.file.read_text().replace("thighview-study-1", "thighview-study-9"))
    card = shown(workspace, qtbot, folder)
    qtbot.waitUntil(lambda: "thighview-study-9" in card.failure.text())
    qtbot.waitUntil(lambda: card.start_button.isEnabled())
    assert card.question.isVisible() and not card.stop_button.isVisible()
    assert not card.go_on_button.isVisible() and card.progress_words.isHidden()


def test_a_study_that_is_slow_to_go_on_is_followed_and_its_old_time_is_not_told(
    workspace: Workspace, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studying, "WORD_HOLDS_S", 0.0)
    folder = make_project(tmp_path, 3)
    study = told(folder, FOLDS, 3, done=1)
    at_work(study)
    card = shown(workspace, qtbot, folder)
    qtbot.waitUntil(lambda: card.progress_words.text() == "Ended after 1 of 3 trainings.")
    tell(study, StudyStarted(time.time(), "one", FOLDS, 3, 2))
    qtbot.waitUntil(lambda: "estimating time" in card.progress_words.text())
    assert card.stop_button.isEnabled() and card.question.isHidden()


def test_while_a_study_goes_on_no_other_one_starts_whichever_is_shown(
    workspace: Workspace, qtbot: QtBot, tmp_path: Path
) -> None:
    folder = make_project(tmp_path, 3)
    told(folder, FOLDS, 3, name="old")
    study, _ = frozen(folder, FOLDS, 3, "new")
    at_work(study)
    tell(study, StudyStarted(1.0, "new", FOLDS, 3, 1))
    card = shown(workspace, qtbot, folder)
    qtbot.waitUntil(lambda: card.desk.history is not None and card.desk.history.phase == "running")
    card.study.setCurrentText("old")
    card.study.activated.emit(0)
    qtbot.waitUntil(lambda: card.question.isVisible() and "“new” is going on" in card.cost.text())
    assert not card.start_button.isEnabled()


def test_folds_asked_for_more_people_than_there_are_now_are_asked_anew(
    workspace: Workspace, qtbot: QtBot, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    card = shown(workspace, qtbot, make_project(tmp_path / "a", 5))
    qtbot.waitUntil(lambda: card.start_button.isEnabled() and card.number.maximum() == 5)
    card.number.setValue(4)
    qtbot.waitUntil(lambda: card.start_button.isEnabled())
    workspace.open_project(make_project(tmp_path / "b", 3))
    qtbot.waitUntil(lambda: card.number.maximum() == 3 and card.start_button.isEnabled())
    assert card.cost.text().startswith("3 trainings, 3 people")
