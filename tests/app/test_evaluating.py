"""People measured in a child process, kept with the run, and read again."""

from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from tiny_model import write_random_model
from tiny_project import TABLE, make_project

from thighview.app import jobs
from thighview.app.evaluating import (
    FILE_NAME,
    PersonFigures,
    mean_figures,
    measure_run,
    people_measured,
    read_evaluation,
)
from thighview.core.errors import UserError
from thighview.core.run import TrainConfig
from thighview.io.dataset import freeze
from thighview.io.model_card import ModelCard
from thighview.io.project import Project
from thighview.io.runs import RunFolder, run_folder

CARD = ModelCard(
    "one", "unet", 2, 3, 0.0, ("background", "thigh", "bone"), TABLE, False, 2.0, 32, weights_sha256="0" * 64
)


def a_run(folder: Path) -> RunFolder:
    run = run_folder(folder, "one")
    run.path.mkdir(parents=True)
    return run


def plain(**more: Any) -> dict[str, Any]:
    def figures(dice: float | None) -> dict[str, float | None]:
        return {"dice": dice, "hd95_mm": 2.0, "msd_mm": 0.5, "volume_error_ml": -1.0}

    def part_of(name: str, part: str, ids: list[int], thigh: float, bone: float | None) -> dict[str, Any]:
        labels = {"thigh": figures(thigh), "bone": figures(bone)}
        return {"id": name, "part": part, "case_ids": ids, "labels": labels}

    empty = {"confidence": None, "accuracy": None, "pixels": 0}
    return {
        "weights_sha256": "ab", "measured": "2026-10-02T10:20:00+00:00",
        "subjects": [
            part_of("a", "validation", [3], 0.5, None), part_of("b", "train", [4, 5], 0.9, 0.7),
        ],
        "calibration": {
            "ece": 0.1, "temperature": None, "reason": "too few", "part": "validation", "persons": 1,
            "bins": [{"confidence": 0.9, "accuracy": 0.8, "pixels": 7}, empty],
        },
    } | more  # fmt: skip


def test_every_person_is_measured_in_a_child_and_the_result_stays_with_the_run(tmp_path: Path, qtbot: QtBot) -> None:
    folder = make_project(tmp_path, 3)
    run = run_folder(folder, "one")
    project = Project.open(folder)
    freeze(project, run, TrainConfig(input_size=32, levels=3))  # it gives each person a part
    project.close()
    write_random_model(folder / "models" / "one", CARD)
    assert read_evaluation(run) is None
    progress: list[tuple[int, int]] = []
    found: list[Any] = []
    job = measure_run(run)
    job.progressed.connect(lambda done, total: progress.append((done, total)))
    job.succeeded.connect(found.append)
    job.failed.connect(found.append)
    with qtbot.waitSignal(job.ended, timeout=120_000):
        pass
    assert progress == [(0, 3), (1, 3), (2, 3), (3, 3)]
    kept = read_evaluation(run)
    assert kept is not None and kept == people_measured(found[0][0])
    assert {(row.person, row.label) for row in kept.rows} == {
        (f"person {k}", label) for k in range(3) for label in ("thigh", "bone")
    }
    assert len({row.case_ids for row in kept.rows}) == 3 and set(kept.parts) == {"validation", "train"}
    assert kept.calibration is not None and kept.calibration.ece is not None
    assert kept.measured and len(kept.weights_sha256) == 64
    assert jobs.shutdown()


def test_what_cannot_be_measured_is_refused_and_nothing_is_written(tmp_path: Path, qtbot: QtBot) -> None:
    run = a_run(make_project(tmp_path, 1))  # its model is gone
    job = measure_run(run)
    with qtbot.waitSignal(job.failed, timeout=60_000) as refused:
        pass
    assert isinstance(refused.args[0], UserError)
    assert not list(run.path.iterdir())
    assert jobs.shutdown()


def test_rows_parts_and_means() -> None:
    found = people_measured(plain())
    assert found.parts == ("validation", "train") and found.labels == ("thigh", "bone")
    assert found.chosen("train", "thigh") == (PersonFigures("b", "train", "thigh", (0.9, 2.0, 0.5, -1.0), (4, 5)),)
    assert len(found.chosen()) == 4
    assert mean_figures(found.rows) == pytest.approx(((0.5 + 0.8) / 2, 2.0, 0.5, -1.0))
    assert mean_figures(found.chosen(label="bone"))[0] == pytest.approx(0.7)
    assert mean_figures(()) == (None,) * 4
    assert found.calibration is not None and [b.pixels for b in found.calibration.bins] == [7]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"subjects": 3}', '{"subjects": [{"id": "a", "labels": {"x": {"dice": "good"}}}]}']
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    run = a_run(tmp_path)
    (run.path / FILE_NAME).write_text(text)
    with pytest.raises(UserError, match="not readable") as refused:
        read_evaluation(run)
    assert "Measure again" in refused.value.hint
