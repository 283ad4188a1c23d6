"""Checkpoints are written behind the training: the latest of each file, without anybody asking again."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thighview.core.errors import UserError
from thighview.engine import checkpoints
from thighview.engine.checkpoints import CheckpointWriter, read_checkpoint
from thighview.io.atomic import write_bytes_atomic

ARRAYS = {"weight/a": np.zeros(3, np.float32)}


class SlowFacts(dict[str, Any]):
    """Facts that hold the writer up until they are let go."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(facts)
        self.begun, self.go = threading.Event(), threading.Event()

    def items(self) -> Any:
        self.begun.set()
        assert self.go.wait(20)
        return super().items()


def epoch_of(folder: Path, name: str) -> int:
    found = read_checkpoint(folder, name)
    return found[1]["epoch"] if found else 0


def test_what_waited_is_written_as_soon_as_the_writer_is_free(tmp_path: Path) -> None:
    writer = CheckpointWriter(tmp_path)
    slow = SlowFacts(epoch=1)
    writer.put("best", ARRAYS, slow)
    assert slow.begun.wait(20)
    for epoch in (2, 3):
        writer.put("best", ARRAYS, {"epoch": epoch})
    slow.go.set()
    until = time.monotonic() + 10
    while epoch_of(tmp_path, "best") != 3:  # nothing more is put, nobody waits for it
        assert time.monotonic() < until, "the best weights are in memory alone"
        time.sleep(0.01)
    writer.close()


def test_the_end_waits_for_what_waits(tmp_path: Path) -> None:
    writer = CheckpointWriter(tmp_path)
    slow = SlowFacts(epoch=1)
    writer.put("best", ARRAYS, slow)
    writer.put("last", ARRAYS, {"epoch": 1})
    writer.put("best", ARRAYS, {"epoch": 2})
    threading.Timer(0.05, slow.go.set).start()
    writer.close()
    assert (epoch_of(tmp_path, "best"), epoch_of(tmp_path, "last")) == (2, 1)


def test_the_best_that_the_last_one_names_is_on_disk_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed between two files goes on without losing its best epoch."""
    written: list[tuple[str, int]] = []

    def write(path: Path, body: bytes) -> None:
        write_bytes_atomic(path, body)
        written.append((path.stem, epoch_of(tmp_path, path.stem)))

    monkeypatch.setattr(checkpoints, "write_bytes_atomic", write)
    writer = CheckpointWriter(tmp_path)
    slow = SlowFacts(epoch=1)
    writer.put("best", ARRAYS, slow)
    assert slow.begun.wait(20)
    writer.put("last", ARRAYS, {"epoch": 1})
    writer.put("best", ARRAYS, {"epoch": 2})
    writer.put("last", ARRAYS, {"epoch": 2})
    slow.go.set()
    writer.close()
    assert written == [("best", 1), ("best", 2), ("last", 2)]


def test_the_last_one_is_written_however_slow_the_disk_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every epoch is the best so far and ends before the one before is on disk, too."""
    written: list[str] = []

    def write(path: Path, body: bytes) -> None:
        write_bytes_atomic(path, body)
        written.append(path.stem)
        if len(written) < 12:
            for name in ("best", "last"):
                writer.put(name, ARRAYS, {"epoch": len(written)})

    monkeypatch.setattr(checkpoints, "write_bytes_atomic", write)
    writer = CheckpointWriter(tmp_path)
    writer.put("best", ARRAYS, {"epoch": 0})
    writer.close()
    assert written[:5] == ["best", "best", "last", "best", "last"]


def test_the_last_one_is_not_written_where_its_best_could_not_be(tmp_path: Path) -> None:
    writer = CheckpointWriter(tmp_path)
    (tmp_path / "best.safetensors").mkdir()
    slow = SlowFacts(epoch=1)
    writer.put("best", ARRAYS, slow)
    assert slow.begun.wait(20)
    writer.put("last", ARRAYS, {"epoch": 1})
    slow.go.set()
    with pytest.raises(UserError, match="is a folder"):
        writer.close()
    assert epoch_of(tmp_path, "last") == 0


def test_an_error_comes_up_with_the_next_file_or_at_the_end(tmp_path: Path) -> None:
    writer = CheckpointWriter(tmp_path)
    (tmp_path / "best.safetensors").mkdir()
    writer.put("best", ARRAYS, {"epoch": 1})
    with pytest.raises(UserError, match="is a folder"):
        writer.flush()
    writer.put("best", ARRAYS, {"epoch": 2})
    with pytest.raises(UserError, match="is a folder"):
        writer.close()
