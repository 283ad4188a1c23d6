"""The logs that others read, read back by others: TensorFlow's reader of event files and Python's of tables."""

import csv
import math
import struct
from dataclasses import replace
from pathlib import Path

import keras
import pytest
from tiny_project import make_project

from thighview.core.run import EpochEnded, Scores, TrainConfig
from thighview.engine import train
from thighview.engine.logs import RunLogs
from thighview.io.runs import EventLog, EventTail, RunFolder, run_folder

LABELS = ("thigh", "bone, left")
NAMES = {"train": "train", "validation": "val", "while_learning": "while_learning"}


def an_epoch(k: int, dice: float | None = 0.5) -> EpochEnded:
    return EpochEnded(
        1.7e9 + k, "one", k, 9, 2.5, 1e-3 / k, Scores(), Scores(0.1 / k, 0.9, dice), Scores(0.3 / k, 0.8, 0.25),
        k == 2, val_dice=(dice, None),
    )  # fmt: skip


def table(run: RunFolder) -> list[dict[str, str]]:
    with (run.path / "history.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def board(run: RunFolder) -> tuple[dict[tuple[str, int], float], list[int]]:
    """Scalars by tag and step of all event files, in the order of their names, and the steps of session starts."""
    v1 = pytest.importorskip("tensorflow").compat.v1
    found: dict[tuple[str, int], float] = {}
    starts: list[int] = []
    for path in sorted((run.path / "tensorboard").glob("events.out.tfevents.*")):
        for event in v1.train.summary_iterator(str(path)):
            if event.HasField("session_log"):
                starts.append(event.step)
            found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
    return found, starts


def logged(run: RunFolder, *epochs: EpochEnded) -> list[str]:
    said: list[str] = []
    run.path.mkdir(parents=True, exist_ok=True)
    logs, events = RunLogs(run, LABELS, said.append), EventLog(run)
    for epoch in epochs:
        events.append(epoch)
        logs.add(epoch)
    logs.close()
    events.close()
    return said


def single(value: float) -> float:
    return struct.unpack("f", struct.pack("f", value))[0]


needs_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="writes through TensorFlow")


@needs_tensorflow
@pytest.mark.usefixtures("eager")
def test_a_run_is_logged_and_goes_on_without_repeating_an_epoch(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 3)
    run = run_folder(folder, "one")
    config = TrainConfig(base_filters=2, levels=3, epochs=3, batch_size=4, input_size=32, seed=5)

    class Killed(Exception):  # noqa: N818 - what a test does to a run
        pass

    def kill(event: object) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 2:  # it is said, and not yet in the table
            raise Killed

    with pytest.raises(Exception, match="Killed"):
        train.train_main(folder, "one", config, None, kill)
    train.train_main(folder, "one")
    events = {e.epoch: e for e in EventTail(run.events).read_all() if isinstance(e, EpochEnded)}
    rows = table(run)
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    found, _ = board(run)
    for row in rows:
        event = events[int(row["epoch"])]
        assert float(row["learning_rate"]) == event.learning_rate
        assert float(row["validation_dice:thigh"]) == event.val_dice[0]
        for part, field in NAMES.items():
            for score in ("loss", "accuracy", "dice"):
                value = getattr(getattr(event, field), score)
                assert row[f"{part}_{score}"] == ("" if value is None else repr(value))
                if event.epoch != 2:
                    logged_value = found.get((f"{score}/{part}", event.epoch))
                    assert logged_value == (None if value is None else single(value))


@needs_tensorflow
def test_what_was_written_after_the_last_checkpoint_does_not_hold(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "p" / "runs" / "one")
    logged(run, an_epoch(1), an_epoch(2, 0.1), an_epoch(3, 0.1))
    with (run.path / "history.csv").open("a", encoding="utf-8") as file:
        file.write("4,2.5,0.0")  # torn off by a kill
    assert logged(run, an_epoch(2, 0.75), an_epoch(3, math.nextafter(0.3, 1))) == []
    rows = table(run)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [float(row["validation_dice:thigh"]) for row in rows] == [0.5, 0.75, math.nextafter(0.3, 1)]
    assert rows[0]["validation_dice:bone, left"] == "" and rows[0]["train_loss"] == ""
    assert [row["best"] for row in rows] == ["0", "1", "0"]
    found, starts = board(run)
    assert starts == [1, 2]
    assert found["dice/validation", 2] == 0.75


def test_a_row_is_there_as_soon_as_its_epoch_ended(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "p" / "runs" / "one")
    run.path.mkdir(parents=True)
    logs = RunLogs(run, LABELS, lambda _: None)
    for k in (1, 2):
        logs.add(an_epoch(k))
        assert [int(row["epoch"]) for row in table(run)] == list(range(1, k + 1))
    logs.close()


def test_rows_that_could_not_be_written_come_with_a_later_epoch(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "p" / "runs" / "one")
    run.path.mkdir(parents=True)
    said: list[str] = []
    logs = RunLogs(run, LABELS, said.append)
    (run.path / "history.csv").mkdir()  # in the way, as a spreadsheet that has it open is
    (run.path / "tensorboard").write_text("in the way")
    logs.add(an_epoch(1))
    logs.add(an_epoch(2))
    assert len(said) == 2 and all("TensorBoard" in line or "history.csv" in line for line in said)
    (run.path / "history.csv").rmdir()
    logs.add(replace(an_epoch(3), best=True))
    logs.close()
    assert [int(row["epoch"]) for row in table(run)] == [1, 2, 3]
