"""What the numbers of a run and of a model do not measure is said where they are looked at."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from panel_room import Room, finished, model, started, tissue_table, whole_run
from pytestqt.qtbot import QtBot

from thighview.app.run_doubts import run_doubts
from thighview.core.presets import PRESETS
from thighview.core.run import RunEvent, TrainConfig
from thighview.io.atomic import write_json_atomic
from thighview.io.dataset import Dataset, FrozenCase, FrozenSlice, write_dataset
from thighview.io.model_card import ModelCard
from thighview.io.models import find_model, find_models, write_model
from thighview.io.runs import RunFolder, run_folder
from thighview.ui.segment_panel import SegmentPanel
from thighview.ui.train_panel import TrainPanel

HEAD = "This network cannot be sure of background: both weights of its head have the same sign."


def kernels(same: bool) -> dict[str, np.ndarray]:
    head = np.array([0.5, 0.7 if same else -0.7], np.float32).reshape(1, 1, 2, 1)
    return {"head/kernel": head, "bottleneck/kernel": np.ones((3, 3, 2, 2), np.float32)}


def seed_card(**changes: object) -> ModelCard:
    labels = type(tissue_table())(tuple(tissue_table())[1:2])
    net = {"architecture": "seed_unet", "classes": ("background", "muscle"), "labels": labels, "levels": 3}
    return replace(model("old").card, **(net | changes))  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of the seed's settings whose people are on both sides and whose head answers on one side."""
    made = run_folder(tmp_path, "run 3")
    made.checkpoint.mkdir(parents=True)
    slices = tuple(FrozenSlice(i, 1, i, "drawn", f"p{i % 2}", "train" if i < 4 else "validation") for i in range(6))
    write_dataset(made, Dataset(tissue_table(), (), (), slices, ""), "study")
    write_json_atomic(made.config, PRESETS["seed"][0].to_json())
    body = safetensors.numpy.save({f"weight/{name}": array for name, array in kernels(True).items()})
    (made.checkpoint / "best.safetensors").write_bytes(body)
    return made


def follow(panel: TrainPanel, room: Room, events: list[RunEvent], qtbot: QtBot) -> None:
    room.runs.follow("run 3", events)
    qtbot.waitUntil(lambda: panel.run.curves_card.isVisible() and not panel.run._soon.isActive())


def test_a_run_says_above_its_curves_what_they_do_not_measure(
    panel: TrainPanel, room: Room, run: RunFolder, qtbot: QtBot
) -> None:
    said = run_doubts(run)
    assert said[0].startswith("2 people are both trained on and validated on (p0 and p1), of 2 who validate. ")
    note = f"{said[0].rstrip('.')}; computes in float32"
    follow(panel, room, [started(note=note), *whole_run(3)[1:]], qtbot)
    doubts = panel.run.doubts
    qtbot.waitUntil(doubts.isVisible)
    assert doubts.lines.text().split("\n") == [
        f"• {said[0].partition('. ')[0]}.", f"• {HEAD}", "• Its learning rate never falls.",
    ]  # fmt: skip
    assert "says nothing about new people" in doubts.details.text()
    assert "stops near one half" in doubts.details.text()
    assert panel.run.note_words.text() == "Computes in float32", "once is enough"


def test_a_sound_run_says_nothing_and_one_that_starts_from_a_model_says_its_doubts(room: Room, run: RunFolder) -> None:
    whose = tuple(FrozenSlice(i, 1, i, "drawn", f"p{i}", "train" if i < 4 else "validation") for i in range(6))
    write_dataset(run, Dataset(tissue_table(), (), (), whose, ""), "study")
    (run.checkpoint / "best.safetensors").unlink()
    write_json_atomic(run.config, TrainConfig().to_json())
    assert run_doubts(run) == []
    card = model("old").card
    write_model(run.project / "models" / "old", replace(card, lineage={"warnings": ["Its accuracy counted."]}), {})
    write_json_atomic(run.config, TrainConfig(start_from="old").to_json())
    assert run_doubts(run) == ["old: Its accuracy counted."]
    write_json_atomic(run.config, TrainConfig(start_from="gone").to_json())
    assert run_doubts(run) == []
    one = FrozenCase(1, "a", "p0", "train", Path("a"), "", "", tissue_table(), (), (), content="same")
    cases = (one, replace(one, case_id=2, title="b", subject="p4", part="validation"))
    write_dataset(run, Dataset(tissue_table(), cases, (), whose, ""), "study")
    (said,) = run_doubts(run)
    assert said.startswith("A and b are the same scan but count as two people: a is trained on, b validates")


def test_a_model_of_before_has_its_head_looked_at_when_it_is_listed(tmp_path: Path) -> None:
    for name, same, more in (("bad", True, {}), ("good", False, {}), ("known", True, {"scores": {"warnings": []}})):
        card = seed_card(name=name, **more)
        write_model(tmp_path / "models" / name, card, kernels(same))
    found = {entry.card.name: entry.card.warnings for entry in find_models(tmp_path) if entry.place == "project"}
    assert {name: len(said) for name, said in found.items()} == {"bad": 1, "good": 0, "known": 0}
    assert found["bad"][0].startswith(HEAD)
    assert find_model("bad", tmp_path).card.warnings == find_model(tmp_path / "models" / "bad").card.warnings
    (tmp_path / "models" / "bad" / "weights.safetensors").write_bytes(b"no weights")
    assert find_model("bad", tmp_path).card.warnings == ()


def test_the_result_and_the_segment_panel_say_the_doubts_of_a_model(
    panel: TrainPanel, room: Room, qtbot: QtBot
) -> None:
    folder = (room.project_folder or Path()) / "models" / "run 3"
    doubted = model("run 3", "project", folder, scores={"warnings": [f"{HEAD} It stops near one half."]})
    segment = SegmentPanel(room)  # type: ignore[arg-type]
    qtbot.addWidget(segment)
    follow(panel, room, [*whole_run(4), finished()], qtbot)
    assert panel.result.doubts_card.isHidden()
    room.show_models(doubted)
    for doubts in (panel.result.doubts, segment.doubts):
        assert doubts.lines.text() == HEAD and not doubts.isHidden()
    assert not panel.result.doubts_card.isHidden()
