"""The card of people: what it shows, how it sorts, and where a click leads."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panel_room import Room, finished, make_case, model, started, summary, whole_run
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from window_room import open_window

from thighview.app import jobs
from thighview.app.evaluating import PersonFigures
from thighview.io.models import ModelEntry, read_card, read_weights, write_model
from thighview.ui.evaluation_card import EvaluationCard
from thighview.ui.people_table import LABEL, PART, PERSON, PeopleTable
from thighview.ui.reliability_plot import temperature_sentence
from thighview.ui.train_panel import TrainPanel

DICES = {
    "sub-001": ("validation", {"muscle_left": 0.91, "muscle_right": 0.85}),
    "sub-002": ("train", {"muscle_left": 0.97, "muscle_right": None}),
    "sub-003": ("validation", {"muscle_left": 0.80, "muscle_right": 0.88}),
}


def evaluation(**more: Any) -> dict[str, Any]:
    people = [
        {
            "id": name, "part": part, "case_ids": [10 + i],
            "labels": {
                key: {"dice": dice, "hd95_mm": 2.0 + i, "msd_mm": 0.5, "volume_error_ml": -1.5 - i}
                for key, dice in labels.items()
            },
        }
        for i, (name, (part, labels)) in enumerate(DICES.items())
    ]  # fmt: skip
    bins = [{"confidence": 0.05 + b / 10, "accuracy": 0.03 + b / 10, "pixels": 9} for b in range(10)]
    calibration = {
        "ece": 0.02, "bins": bins, "temperature": 1.42, "ece_after_temperature": 0.004, "part": "validation",
        "persons": 6, "reason": "",
    }  # fmt: skip
    facts = {"subjects": people, "calibration": calibration, "weights_sha256": "aa", "measured": "2026-10-02T10:20:00"}
    return facts | more


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    (tmp_path / "runs" / "run 3").mkdir(parents=True)
    made.show_cases(*(summary(10 + i, name, part, (1, 0, 0)) for i, (name, (part, _)) in enumerate(DICES.items())))
    yield made
    jobs.shutdown()


def shown_card(room: Room, qtbot: QtBot, width: int = 420, **more: Any) -> EvaluationCard:
    (room.project_folder or Path()).joinpath("runs", "run 3", "evaluation.json").write_text(
        json.dumps(evaluation(**more))
    )
    card = EvaluationCard(room)  # type: ignore[arg-type]
    qtbot.addWidget(card)
    card.resize(width, 700)
    card.show_run("run 3", True)
    qtbot.waitUntil(lambda: not card.table.isHidden())
    qtbot.waitUntil(lambda: card.table.view.isVisible() and card.table.width() > 100)
    return card


def column(card: EvaluationCard, index: int) -> list[str]:
    table = card.table.model
    return [str(table.data(table.index(row, index))) for row in range(table.rowCount())]


def click(card: EvaluationCard, row: int) -> None:
    view = card.table.view
    place = view.visualRect(card.table.model.index(row, PERSON)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def sort_by(card: EvaluationCard, index: int) -> None:
    header = card.table.view.horizontalHeader()
    place = QPoint(header.sectionViewportPosition(index) + header.sectionSize(index) // 2, header.height() // 2)
    QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_a_run_that_was_not_measured_says_what_can_be_seen(room: Room, qtbot: QtBot) -> None:
    card = EvaluationCard(room)  # type: ignore[arg-type]
    qtbot.addWidget(card)
    card.show_run("run 3", False)
    assert card.isHidden()
    card.show_run("run 3", True)
    assert not card.isHidden() and card.table.isHidden() and card.cancel_button.isHidden()
    assert "for each person" in card.text.text()
    assert card.measure_button.text() == "Measure each person" and card.measure_button.isEnabled()


def test_new_people_come_first_worst_first_with_their_mean(room: Room, qtbot: QtBot) -> None:
    card = shown_card(room, qtbot)
    assert card.part.currentText() == "validation"
    assert column(card, 3) == ["0.800", "0.850", "0.880", "0.910"]
    assert column(card, PERSON) == ["sub-003", "sub-001", "sub-003", "sub-001"]
    mean = card.table.mean
    assert [mean.data(mean.index(0, k)) for k in (PERSON, 3, 4, 6)] == ["mean (2)", "0.860", "3.0", "−2.5"]


def test_no_number_and_no_label_is_cut_short(room: Room, qtbot: QtBot) -> None:
    far = {"dice": 0.001, "hd95_mm": 150.0, "msd_mm": 188.55, "volume_error_ml": -12482.9}
    labels = dict.fromkeys(("subcutaneous_fat_right", "intermuscular_fat_right"), far)
    person = {"id": "sub-001", "part": "validation", "case_ids": [10], "labels": labels}
    card = shown_card(room, qtbot, width=300, subjects=[person])
    for view in (card.table.view, card.table.footer):
        for index in (view.model().index(0, k) for k in range(3, 7)):
            assert view.sizeHintForIndex(index).width() <= view.columnWidth(index.column())
    assert card.label.width() >= card.label.sizeHint().width()
    longest = max(map(card.label.fontMetrics().horizontalAdvance, ("every label", "intermuscular fat right")))
    assert card.label.width() > longest + 22


def test_filters(room: Room, qtbot: QtBot) -> None:
    card = shown_card(room, qtbot)
    card.part.setCurrentIndex(0)
    card.part.activated.emit(0)
    assert card.table.model.rowCount() == 6
    assert column(card, 3)[-1] == "–"  # none is last
    card.label.setCurrentIndex(2)
    card.label.activated.emit(2)
    assert set(column(card, LABEL)) == {"muscle right"}
    assert column(card, PART) == ["val.", "val.", "train"]


def test_a_click_on_a_heading_sorts_and_once_more_turns_it_round(room: Room, qtbot: QtBot) -> None:
    card = shown_card(room, qtbot)
    card.part.setCurrentIndex(0)
    card.part.activated.emit(0)
    sort_by(card, 3)
    assert column(card, 3) == ["0.970", "0.910", "0.880", "0.850", "0.800", "–"]
    sort_by(card, PERSON)
    assert column(card, PERSON)[::2] == ["sub-001", "sub-002", "sub-003"]
    assert "Person↑" in str(card.table.model.headerData(PERSON, Qt.Orientation.Horizontal))


def test_a_click_or_enter_opens_the_case(room: Room, qtbot: QtBot) -> None:
    card = shown_card(room, qtbot)
    click(card, 0)
    assert room.wishes == [("open_case", 12)]
    card.table.view.setFocus()
    card.table.view.selectRow(1)
    QTest.keyClick(card.table.view, Qt.Key.Key_Return)
    assert room.wishes[-1] == ("open_case", 10)
    said: list[str] = []
    room.said.connect(said.append)
    room.cases = ()
    click(card, 0)
    assert len(room.wishes) == 2 and "sub-003" in said[0]


def test_enter_on_a_row_chooses_it_in_the_real_window(qtbot: QtBot) -> None:
    rows = tuple(PersonFigures(person, "test", "x", (dice, 1.0, 1.0, 1.0)) for person, dice in (("a", 0.8), ("b", 0.9)))
    chosen: list[str] = []
    with open_window(qtbot) as window:
        table = PeopleTable(window)
        table.resize(360, 200)
        table.chosen.connect(lambda row: chosen.append(row.person))
        table.show_rows(rows, False, False)
        table.show()
        table.view.setFocus()
        for row, key in ((1, Qt.Key.Key_Return), (0, Qt.Key.Key_Enter)):
            table.view.setCurrentIndex(table.model.index(row, 0))
            QTest.keyClick(table.view, key)
        assert chosen == ["b", "a"]
        at = table.view.visualRect(table.model.index(1, 0)).center()
        for press in (QTest.mouseClick, QTest.mouseDClick):  # as a double click comes
            press(table.view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
        assert chosen == ["b", "a", "b"]


def test_copy_gives_the_rows_shown_with_every_digit(room: Room, qtbot: QtBot) -> None:
    card = shown_card(room, qtbot)
    card.copy_button.click()
    rows = list(csv.DictReader(io.StringIO(QGuiApplication.clipboard().text()), delimiter="\t"))
    assert [row["dice"] for row in rows[:-1]] == ["0.8", "0.85", "0.88", "0.91"]
    assert rows[0]["volume_error_ml"] == "-3.5" and rows[-1]["person"] == "mean (2)"


@pytest.mark.parametrize(("width", "in_columns"), [(320, False), (420, False), (640, True)])
def test_part_and_label_have_columns_where_room_is(room: Room, qtbot: QtBot, width: int, in_columns: bool) -> None:
    card = shown_card(room, qtbot, width)
    card.part.setCurrentIndex(0)
    card.part.activated.emit(0)
    view, footer = card.table.view, card.table.footer
    assert [view.isColumnHidden(k) for k in (PART, LABEL)] == [not in_columns] * 2
    assert [view.columnWidth(k) for k in range(7)] == [footer.columnWidth(k) for k in range(7)]
    assert sum(view.columnWidth(k) for k in range(7) if not view.isColumnHidden(k)) <= view.width()


def test_the_probabilities_in_words(room: Room, qtbot: QtBot) -> None:
    card = shown_card(room, qtbot)
    assert "2.0" in card.plot.error_words.text() and "6 validation people" in card.plot.error_words.text()
    assert "1.42" in card.plot.temperature_words.text() and "too sure" in card.plot.temperature_words.text()
    assert card.plot.warning.isHidden()
    few = evaluation()["calibration"] | {"temperature": None, "reason": "Needs 5.", "part": "train"}
    other = shown_card(room, qtbot, calibration=few)
    assert other.plot.temperature_words.text() == "Needs 5." and not other.plot.warning.isHidden()
    found = other._found
    assert found is not None and found.calibration is not None
    assert temperature_sentence(found.calibration) == "Needs 5."


def test_the_probabilities_are_told_at_the_temperature_in_use(room: Room, qtbot: QtBot) -> None:
    plain = evaluation()["calibration"]
    bins = [{"confidence": 0.3, "accuracy": 0.31, "pixels": 9}, {"confidence": 0.5, "accuracy": 0.0, "pixels": 0}]
    used = plain | {"ece": 0.12, "in_use": {"temperature": 1.40, "ece": 0.004, "bins": bins}}
    card = shown_card(room, qtbot, calibration=used)
    said = card.plot.error_words.text().replace("\u00a0", " ")
    assert said.startswith(
        "Off by 0.4 % on average (ECE) at temperature 1.40, in use when measured; 12.0 % without; on 6"
    )
    assert card.plot.temperature_words.text() == "Best temperature 1.42: as sure as it may be."
    assert [list(row) for row in card.plot.line.getOriginalDataset()] == [[0.3], [0.31]]
    found = card._found
    assert found is not None and found.calibration is not None
    for at, sure in ((1.2, "too sure of itself"), (2.0, "less sure than it could be")):
        told = temperature_sentence(replace(found.calibration, used=at))
        assert told.startswith(f"Temperature 1.42: at {at:.2f} it is {sure}. Logits divided by it: off by 0.4")
    assert temperature_sentence(replace(found.calibration, used=1.0)).startswith(
        "Temperature 1.42: too sure of itself."
    )


def test_a_temperature_that_mends_nothing_is_not_offered(room: Room, qtbot: QtBot) -> None:
    folder = (room.project_folder or Path()) / "models" / "run 3"
    room.show_models(model("run 3", "project", folder, weights_sha256="ab" * 32))
    worse = evaluation()["calibration"] | {"ece_after_temperature": 0.03}
    card = shown_card(room, qtbot, weights_sha256="ab" * 32, calibration=worse)
    assert "3.0" in card.plot.temperature_words.text() and "no better" in card.plot.temperature_words.text()
    assert card.temperature_button.isHidden()


def test_a_model_trained_on_since_is_said_to_be(room: Room, qtbot: QtBot) -> None:
    folder = (room.project_folder or Path()) / "models" / "run 3"
    room.show_models(model("run 3", "project", folder, weights_sha256="ab" * 32))
    assert "measure again" in shown_card(room, qtbot).stale.text()
    assert shown_card(room, qtbot, weights_sha256="ab" * 32).stale.isHidden()


def test_the_measured_temperature_is_used_and_taken_back_with_a_click_each(room: Room, qtbot: QtBot) -> None:
    folder = (room.project_folder or Path()) / "models" / "run 3"
    written = write_model(folder, model("run 3").card, {"head/bias": np.zeros(6, np.float32)})
    room.show_models(ModelEntry(written, folder, "project"))
    card = shown_card(room, qtbot, weights_sha256=written.weights_sha256)
    assert card.temperature_button.isVisible() and card.back_button.isHidden()
    card.temperature_button.click()
    qtbot.waitUntil(lambda: room.wishes == [("refresh_models",)])
    assert read_card(folder).temperature == 1.42
    assert read_weights(folder, read_card(folder)), "the weights are those of the card still"
    room.show_models(ModelEntry(read_card(folder), folder, "project"))
    assert card.temperature_button.isHidden() and "at temperature 1.42" in card.temperature_words.text()
    card.back_button.click()
    qtbot.waitUntil(lambda: len(room.wishes) == 2)
    assert read_card(folder).temperature == 1.0


def test_a_temperature_of_other_weights_is_not_offered(room: Room, qtbot: QtBot) -> None:
    folder = (room.project_folder or Path()) / "models" / "run 3"
    room.show_models(model("run 3", "project", folder, weights_sha256="ab" * 32))
    assert shown_card(room, qtbot).temperature_button.isHidden()


def test_a_broken_file_is_told_and_it_can_be_measured_again(room: Room, qtbot: QtBot) -> None:
    (room.project_folder or Path()).joinpath("runs", "run 3", "evaluation.json").write_text("{")
    card = EvaluationCard(room)  # type: ignore[arg-type]
    qtbot.addWidget(card)
    with qtbot.waitSignal(room.failed) as told:
        card.show_run("run 3", True)
    assert "not readable" in str(told.args[0])
    assert card.measure_button.isEnabled() and card.table.isHidden()


def test_measuring_can_be_cancelled(room: Room, qtbot: QtBot) -> None:
    card = EvaluationCard(room)  # type: ignore[arg-type]
    qtbot.addWidget(card)
    card.show_run("run 3", True)
    card.measure_button.click()
    assert not card.cancel_button.isHidden() and card.measure_button.isHidden() and not card.progress.isHidden()
    card.cancel_button.click()
    assert "Stopping" in card.progress_words.text()
    qtbot.waitUntil(lambda: card.cancel_button.isHidden(), timeout=60_000)
    assert card.measure_button.isEnabled() and card.progress.isHidden()


def test_the_panel_shows_it_when_a_run_has_finished(room: Room, qtbot: QtBot) -> None:
    room.session.open(make_case())
    panel = TrainPanel(room)  # type: ignore[arg-type]
    qtbot.addWidget(panel)
    room.runs.follow("run 3", [started()])
    qtbot.waitUntil(lambda: not panel.run.run_card.isHidden())
    assert panel.result.people_card.isHidden()
    room.runs.follow("run 3", [*whole_run(4), finished()])
    qtbot.waitUntil(lambda: not panel.result.people_card.isHidden())


def test_the_people_of_the_model_shown_stay_while_another_run_trains(room: Room, tmp_path: Path, qtbot: QtBot) -> None:
    (tmp_path / "runs" / "run 3" / "evaluation.json").write_text(json.dumps(evaluation()))
    room.session.open(make_case())
    panel = TrainPanel(room)  # type: ignore[arg-type]
    qtbot.addWidget(panel)
    room.show_models(model("run 3", "project", tmp_path / "models" / "run 3"))
    room.runs.follow("run 3", [*whole_run(4), finished()])
    card = panel.result.people_card
    qtbot.waitUntil(lambda: not card.table.isHidden())
    room.runs.follow("run 4", [started()])
    qtbot.waitUntil(lambda: panel.run.run_name == "run 4")
    assert not card.isHidden() and not card.table.isHidden()
    room.show_models(model("run 4", "project", tmp_path / "models" / "run 4"), *room.models)
    room.runs.follow("run 4", [*whole_run(4), finished("run 4")])
    qtbot.waitUntil(lambda: card.table.isHidden())
    assert not card.isHidden() and card.measure_button.isEnabled()
