"""The card that judges a new model: what it says, what it lets a person do, and that it never flatters."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from panel_room import Room, WriteNow, finished, model, started, summary, tissue_table
from PySide6.QtWidgets import QComboBox, QLabel, QWidget
from pytestqt.qtbot import QtBot

from thighview.app import jobs, promoting
from thighview.app.gate_process import place_of_pair
from thighview.core.comparing import compare_models
from thighview.core.guard import SEEDS, guard_id
from thighview.core.phantom_names import CONTRASTS
from thighview.core.volume import Volume
from thighview.io.case_pictures import read_pictures, write_picture
from thighview.io.models import ModelEntry
from thighview.io.project import Project
from thighview.io.promotions import read_promotions
from thighview.ui.case_pictures import painted
from thighview.ui.lineage_words import lineage_lines
from thighview.ui.promotion_card import OUTDATED, PromotionCard
from thighview.ui.run_status import RunStatus

OLD, NEW = "a" * 64, "b" * 64
MEASURED = "2026-05-04T10:00:00+00:00"
LABELS = ("subcutaneous_fat_left", "muscle_left", "intermuscular_fat_left", "femur_cortex_left", "femur_marrow_left")


def write_result(folder: Path, change: list[float], seen: int = 0, guard: float | None = 0.0) -> None:
    """What an evaluation of both models left in the project; ``guard``: change on the made-up fat-sat thighs."""
    rng = np.random.default_rng(4)
    told = {}
    for name, extra in (("old", 0.0), ("new", 1.0)):
        people = []
        for i, up in enumerate(change):
            level = 0.85 + 0.02 * rng.random(len(LABELS)) if name == "old" else np.array(told["old"][i])
            told.setdefault(name, []).append(level.tolist())
            labels = {k: {"dice": float(v) + extra * up} for k, v in zip(LABELS, level, strict=True)}
            people.append({"id": f"sub-{i:03d}", "seen_in_training": i < seen, "case_ids": [i], "labels": labels})
        told[name + " result"] = {"model": f"the {name} one", "subjects": people}
    for name in ("old", "new") if guard is not None else ():
        made = [
            {
                "id": guard_id(contrast, seed), "seen_in_training": False,
                "labels": {"muscle_left": {"dice": 0.9 + (guard or 0) * (name == "new" and contrast == "fat_sat")}},
            }
            for contrast in CONTRASTS for seed in SEEDS
        ]  # fmt: skip
        told[name + " result"]["guard"] = {"subjects": made}
    place = place_of_pair(folder, NEW, OLD)
    place.mkdir(parents=True, exist_ok=True)
    result = told["new result"] | {"weights_sha256": NEW, "against": told["old result"] | {"weights_sha256": OLD}}
    result["measured"] = MEASURED
    (place / "result.json").write_text(json.dumps(result))


def thigh(edge: int = 96) -> tuple[Volume, np.ndarray, np.ndarray, np.ndarray]:
    _, y, x = np.mgrid[0:3, 0:edge, 0:edge]
    away = np.hypot(y - edge / 2, x - edge / 2)
    truth = (away < 0.42 * edge).astype(np.uint8) + (away < 0.33 * edge)
    old, new = truth.copy(), truth.copy()
    old[(truth > 0) & (x < 0.2 * edge)] = 0
    new[1][(truth[1] > 0) & (y[1] > 0.62 * edge)] = 3
    image = np.array([5, 700, 320, 500])[truth] + np.random.default_rng(1).normal(0, 20, truth.shape)
    affine = np.array([[0, 0, 1.5, 0], [0, 1.5, 0, 0], [6, 0, 0, 0], [0, 0, 0, 1.0]])
    return Volume(image.astype(np.int16), affine), truth, old, new


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    project = Project.create(tmp_path / "study")
    project.close()
    made = Room(project.folder)
    made.store = WriteNow(project.folder)
    yield made
    jobs.shutdown()


def models(room: Room) -> tuple[ModelEntry, ModelEntry]:
    folder = room.project_folder
    assert folder is not None
    parent = {"name": "run 2", "weights_sha256": OLD, "split": {}, "lineage": {"parent": {"name": "thigh_tissues"}}}
    cases = [{"subject": f"sub-{i:03d}", "part": "train" if i > 4 else "test"} for i in range(12)]
    cases += [{"subject": "sub-099", "part": "validation", "left_out": "it was trained on"}]
    lineage = {
        "run": "run 3", "seed": 7, "config": {"epochs": 40}, "code_version": "0.1.0", "cases": cases, "parent": parent,
    }  # fmt: skip
    old = model("run 2", "project", folder / "models" / "run 2", weights_sha256=OLD)
    new = model("run 3", "project", folder / "models" / "run 3", weights_sha256=NEW, lineage=lineage)
    return old, new


def locked(room: Room, people: int) -> None:
    room.show_cases(*(summary(i, f"sub-{i:03d}", "test" if i < people else "train", (4, 0, 0)) for i in range(9)))


@pytest.fixture
def card(room: Room, qtbot: QtBot) -> PromotionCard:
    made = PromotionCard(room)  # type: ignore[arg-type]
    qtbot.addWidget(made)
    made.resize(360, 900)
    return made


def show(card: PromotionCard, room: Room, people: int = 5) -> None:
    locked(room, people)
    room.show_models(*models(room))
    card.show_status(RunStatus([started(), finished()]))


def shown(card: QWidget) -> str:
    return "\n".join(label.text() for label in card.findChildren(QLabel) if not label.isHidden())


def test_nothing_is_shown_while_the_project_has_no_model(card: PromotionCard, room: Room) -> None:
    room.show_models(model())
    card.show_status(RunStatus([started()]))
    assert card.isHidden()


def test_any_model_can_be_judged_against_any_other(card: PromotionCard, room: Room, qtbot: QtBot) -> None:
    assert room.project_folder
    write_result(room.project_folder, [0.02, 0.03, 0.025])
    locked(room, 3)
    old, new = models(room)
    room.show_models(old, new, model(weights_sha256="c" * 64))
    assert not card.isHidden(), "without any run"
    choice = card.choice
    assert [choice.new.itemText(i) for i in range(choice.new.count())] == ["run 2", "run 3"]
    card.show_status(RunStatus([started(), finished()]))
    assert (choice.new.currentText(), choice.old.currentText()) == ("run 3", "run 2")
    qtbot.waitUntil(lambda: card.verdict_words.text().startswith("Better"))
    pick(choice.old, "thigh_tissues")
    assert card.verdict_words.isHidden() and card.compare_button.text() == "Compare"
    pick(choice.new, "run 2")
    assert choice.old.currentIndex() == -1 and "without an earlier model" in card.state_words.text()
    assert not card.compare_button.isEnabled()
    pick(choice.old, "thigh_tissues")
    assert card.compare_button.isEnabled()
    pick(choice.new, "run 3")
    assert choice.old.currentText() == "run 2"
    qtbot.waitUntil(lambda: card.verdict_words.text().startswith("Better"))


def phantoms_of(count: int) -> list[dict[str, object]]:
    return [{"seed": 910_000 + k, "contrast": "t1", "slices": 3, "subject": f"replay {k}"} for k in range(count)]


def pick(choice: QComboBox, text: str) -> None:
    """As with the mouse."""
    choice.setCurrentIndex(choice.findText(text))
    choice.activated.emit(choice.currentIndex())


def test_a_candidate_must_be_compared_first(card: PromotionCard, room: Room) -> None:
    show(card, room)
    assert not card.isHidden() and card.note.text() == "candidate"
    assert card.choice.old.currentText() == "run 2"
    assert card.compare_button.text() == "Compare" and card.compare_button.isEnabled()
    assert not card.promote_button.isEnabled() and card.promote_button.toolTip() == "Compare it first."
    assert card.back_button.isHidden()


def test_without_locked_people_the_made_up_thighs_still_warn(card: PromotionCard, room: Room, qtbot: QtBot) -> None:
    show(card, room, people=0)
    cannot = compare_models({}, {}).sentence
    assert card.verdict_words.text() == cannot
    assert card.compare_button.isEnabled() and card.compare_button.toolTip() == "Both models on made-up thighs"
    assert not card.promote_button.isEnabled() and card.promote_button.toolTip() == "Compare it first."
    assert room.project_folder
    write_result(room.project_folder, [], guard=-0.06)
    card.choice.new_chosen.emit(models(room)[0])
    card.choice.new_chosen.emit(models(room)[1])
    said = "Lost 1.5 points on made-up thighs, most in fat\u00a0sat (−6.0)."
    qtbot.waitUntil(lambda: card.guard_words.text() == said)
    assert card.guard_words.property("warning") and card.verdict_words.text() == cannot
    qtbot.waitUntil(lambda: {"All contrasts", "Fat\u00a0sat", "−6.0"} <= set(shown(card).splitlines()))
    assert card.figures_part.isHidden(), "made-up thighs are no people"
    assert card.promote_button.isEnabled() and card.promote_button.text() == "Promote anyway"


def test_made_up_thighs_turn_a_better_model_into_a_warned_one(card: PromotionCard, room: Room, qtbot: QtBot) -> None:
    assert room.project_folder
    write_result(room.project_folder, [0.02, 0.03, 0.025, 0.02, 0.03], guard=-0.06)
    show(card, room)
    qtbot.waitUntil(lambda: card.guard_words.text().startswith("Lost 1.5 points"))
    assert card.verdict_words.text().startswith("Better: Dice +2.5 points") and card.verdict_words.property("good")
    assert card.promote_button.text() == "Promote anyway" and "forgotten" in card.promote_button.toolTip()
    assert not card.promote_button.property("primary")


def test_labels_that_no_made_up_thigh_has(card: PromotionCard, room: Room, qtbot: QtBot) -> None:
    assert room.project_folder
    write_result(room.project_folder, [0.02, 0.03, 0.025, 0.02, 0.03], guard=None)
    show(card, room)
    qtbot.waitUntil(lambda: card.guard_words.text().startswith("No made-up thighs"))
    assert card.guard_part.isHidden() and card.promote_button.property("primary")


def test_a_better_model_is_promoted_and_rolled_back_with_one_click(
    card: PromotionCard, room: Room, qtbot: QtBot
) -> None:
    folder = room.project_folder
    assert folder is not None
    write_result(folder, [0.02, 0.03, 0.025, 0.02, 0.03])
    show(card, room)
    qtbot.waitUntil(lambda: card.verdict_words.text().startswith("Better: Dice +2.5 points"))
    assert card.verdict_words.property("good")
    qtbot.waitUntil(lambda: {"All labels", "Femur cortex L", "+2.5 ± 0.6"} <= set(shown(card).splitlines()))
    card.promote_button.click()
    qtbot.waitUntil(lambda: card.note.text() == "in use")
    assert room.wishes == [("choose_model", "run 3")]
    assert (read_promotions(folder).active, read_promotions(folder).earlier) == (NEW, OLD)
    assert card.promote_button.isHidden() and not card.back_button.isHidden()
    card.back_button.click()
    qtbot.waitUntil(lambda: card.note.text() == "held back")
    assert room.wishes[-1] == ("choose_model", "run 2")
    assert read_promotions(folder).active == OLD


@pytest.mark.parametrize("change", ["edited", "one more", "another"])
def test_a_verdict_on_people_who_have_changed_since_is_no_leave_to_promote(
    card: PromotionCard, room: Room, qtbot: QtBot, change: str
) -> None:
    assert room.project_folder
    write_result(room.project_folder, [0.02, 0.03, 0.025, 0.02, 0.03])
    show(card, room)
    qtbot.waitUntil(lambda: card.verdict_words.text().startswith("Better: ") and card.promote_button.isEnabled())
    cases = list(room.cases)
    if change == "edited":
        cases[2] = replace(cases[2], updated=datetime.fromisoformat(MEASURED).timestamp() + 1)
    else:
        cases[5] = replace(cases[5], part="test")
        cases[0] = replace(cases[0], part="train") if change == "another" else cases[0]
    room.show_cases(*cases)
    assert card.verdict_words.text().startswith(f"{OUTDATED} Better: ") and card.verdict_words.property("warning")
    assert not card.promote_button.isEnabled() and card.promote_button.toolTip() == OUTDATED
    assert card.compare_button.property("primary") and card.compare_button.text() == "Compare again"


def test_a_worse_model_cannot_be_promoted(card: PromotionCard, room: Room, qtbot: QtBot) -> None:
    assert room.project_folder
    write_result(room.project_folder, [-0.02, -0.03, -0.025, -0.02, -0.03])
    show(card, room)
    qtbot.waitUntil(lambda: card.verdict_words.text().startswith("Worse: "))
    assert card.verdict_words.property("error") and not card.promote_button.isEnabled()
    card.hold_button.click()
    qtbot.waitUntil(lambda: card.note.text() == "held back")
    assert read_promotions(room.project_folder).held == {NEW} and room.wishes == []


def test_who_was_trained_on_is_not_counted(card: PromotionCard, room: Room, qtbot: QtBot) -> None:
    assert room.project_folder
    write_result(room.project_folder, [0.2, 0.2, 0.02, 0.03], seen=2)
    show(card, room, people=4)
    qtbot.waitUntil(lambda: "2 locked people are too few" in card.verdict_words.text())
    assert "±" not in card.left_words.text() and "±" not in shown(card), "there is no interval"
    assert (
        card.left_words.text().splitlines()[-1]
        == "Not counted, for a model was trained or chosen on them: sub-000, sub-001."
    )


def test_the_model_in_use_is_preselected_when_the_project_opens(room: Room, qtbot: QtBot) -> None:
    folder = room.project_folder
    assert folder is not None
    (folder / "models" / "promotions.json").write_text(json.dumps({"line": [OLD, NEW], "held": []}))
    room.project_changed.emit(folder)
    made = PromotionCard(room)  # type: ignore[arg-type]
    qtbot.addWidget(made)
    room.show_models(*models(room))
    qtbot.waitUntil(lambda: room.wishes == [("choose_model", "run 3")])
    room.show_models(*models(room))
    assert len(room.wishes) == 1, "only once: a person may choose another"


def test_worst_people_are_shown_when_their_fold_is_opened(card: PromotionCard, room: Room, qtbot: QtBot) -> None:
    assert room.project_folder
    write_result(room.project_folder, [0.02, -0.1, 0.03, -0.02, 0.03])
    volume, truth, old, new = thigh()
    table = tissue_table()
    for i in range(5):
        write_picture(
            place_of_pair(room.project_folder, NEW, OLD) / "pictures" / f"case_{i:03d}.npz", f"sub-{i:03d}",
            f"sub-{i:03d}_T1", volume, (truth, table), (old, table), (new, table), np.array([True, True, False]),
        )  # fmt: skip
    show(card, room)
    card.show()
    qtbot.waitUntil(lambda: not card.worst_fold.isHidden())
    assert card.worst.pictures == []
    card.worst_fold.heading.setChecked(True)
    qtbot.waitUntil(lambda: len(card.worst.pictures) == 3)
    qtbot.waitUntil(lambda: "sub-001_T1 · slice 2" in shown(card.worst))


def test_a_picture_shows_the_slice_that_is_most_wrong_outlined_and_square(tmp_path: Path) -> None:
    volume, truth, old, new = thigh()
    table = tissue_table()
    path = tmp_path / "one.npz"
    reviewed = np.array([True, True, True])
    write_picture(path, "s", "t", volume, (truth, table), (old, table), (new, table), reviewed)
    (case,) = read_pictures(tmp_path)
    assert case.index == 1 and (case.spacing_mm, case.subject) == ((1.5, 1.5), "s")
    np.testing.assert_array_equal(case.truth, truth[1])
    picture = painted(case, case.new)
    assert picture.ndim == 3 and picture.shape[0] < 96 + 1
    assert (picture == 255).all(axis=2).sum() > 100
    write_picture(path, "s", "t", volume, (truth, table), (old, table), (new, table), np.array([True, False, False]))
    assert read_pictures(tmp_path)[0].index != 1 or not read_pictures(tmp_path)[0].new.any()
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(Exception, match="cannot be read"):
        read_pictures(tmp_path)


def test_where_a_model_comes_from(room: Room) -> None:
    lines = dict(lineage_lines(models(room)[1].card))
    assert lines["Started from"] == "run 2 ← thigh_tissues"
    assert lines["Trained on"].startswith("7 people: sub-005, ") and lines["Locked away"].startswith("5 people")
    assert lines["Left out"] == "sub-099: an earlier model was trained on them"
    replay = {"share": 0.5, "slices": 24, "people": [], "slice_ids": [], "phantoms": phantoms_of(8)}
    replayed = {"run": "r", "replay": replay}
    assert dict(lineage_lines(model(lineage=replayed).card))["Each batch"] == (
        "50 % replay of 24 slices of 8 made-up thighs (seeds 910000 to 910007)"
    )
    assert "Each batch" not in lines and "Each batch" not in dict(lineage_lines(model(lineage={"replay": 3}).card))
    assert (lines["Seed"], lines["Program"]) == ("7", "thighview 0.1.0")
    assert "40 epochs" in lines["Settings"]
    started = model(lineage={"config": {"start_from": "/home/me/models/thigh_tissues"}})
    assert dict(lineage_lines(started.card))["Settings"].endswith("from “thigh_tissues”")
    assert dict(lineage_lines(models(room)[0].card)) == {
        "Started from": "random weights", "Weights": f"SHA-256 {OLD[:16]}…",
    }  # fmt: skip


def test_a_comparison_under_way_is_not_lost_when_a_training_starts_or_ends(
    card: PromotionCard, room: Room, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, cancelled = threading.Event(), threading.Event(), []

    def slowly(*arguments: object) -> None:
        begun.set()
        go.wait(20)
        cancelled.append(arguments[-1]())

    monkeypatch.setattr(promoting, "compare_on_locked", slowly)
    show(card, room)
    card.compare()
    qtbot.waitUntil(begun.is_set)
    card.show_status(RunStatus([started()]))
    card.show_status(RunStatus([started(), replace(finished(), run="run 4")]))
    assert card.choice.new.currentText() == "run 3" and room.gate.job is not None
    with qtbot.waitSignal(room.gate.job.ended):
        go.set()
    assert cancelled == [False]
