"""What other programs read of a run, beside our own events: ``history.csv`` and TensorBoard's event files."""

import contextlib
import csv
import importlib
import io
import os
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras

from thighview.core.errors import UserError
from thighview.core.run import EpochEnded
from thighview.io.atomic import write_bytes_atomic
from thighview.io.runs import EventTail, RunFolder

CSV_NAME = "history.csv"
BOARD_NAME = "tensorboard"
PARTS = (("train", "train"), ("validation", "val"), ("while_learning", "while_learning"))
"""Name of each set of scores in the files, and its field of an epoch's event."""
SCORES = ("loss", "accuracy", "dice")

Scalars = dict[str, float]


def scalars_of(event: EpochEnded) -> Scalars:
    """What is logged of an epoch: ``loss/train`` to ``dice/while_learning`` and ``learning_rate``, where measured."""
    found = {f"{score}/{part}": getattr(getattr(event, field), score) for score in SCORES for part, field in PARTS}
    return {name: value for name, value in found.items() if value is not None} | {"learning_rate": event.learning_rate}


class RunLogs:
    """Writes the logs of a run, an epoch at a time; a run that goes on continues them without repeating an epoch.

    They are copies: where one cannot be written (a spreadsheet has it open, the disk is full), the run goes on and
    says so in its log; rows of the table are kept and written with a later epoch.

    Parameters
    ----------
    run : RunFolder
    labels : sequence of str
        In the order of ``EpochEnded.val_dice``; each has a column of the table.
    note : callable
        Is told what could not be done, a sentence each.
    """

    def __init__(self, run: RunFolder, labels: Sequence[str], note: Callable[[str], None]) -> None:
        self._run = run
        self._csv = run.path / CSV_NAME
        self._board = run.path / BOARD_NAME
        self._labels = tuple(labels)
        self._note = note
        self._rows: list[dict[str, Any]] = []
        self._written = 0
        self._begun = self._complained = False
        self._writer: BoardWriter | None = None

    def add(self, event: EpochEnded) -> None:
        """Log an epoch; the first one says from which epoch on what an earlier process wrote does not hold."""
        if not self._rows:
            self._writer = self._open_board(event.epoch)
        self._rows.append(self._row_of(event))
        try:
            self._write_rows()
        except (OSError, UserError) as error:
            self._begun = False  # half a line may have been written: the table is made anew next time
            if not self._complained:
                self._complained = True
                self._note(f"{CSV_NAME} could not be written, its rows wait for the next epoch: {error}")
        if self._writer is not None:
            try:
                self._writer.add(event.epoch, event.time, scalars_of(event))
            except OSError as error:
                self._writer = None
                self._note(f"the event file for TensorBoard could not be written any more: {error}")

    def close(self) -> None:
        """Let go of the files."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None

    # ------------------------------------------------------------------ the table

    def _columns(self) -> list[str]:
        scores = [f"{part}_{score}" for part, _ in PARTS for score in SCORES]
        return ["epoch", "seconds", "learning_rate", *scores, "best", *(f"validation_dice:{n}" for n in self._labels)]

    def _row_of(self, event: EpochEnded) -> dict[str, Any]:
        row: dict[str, Any] = {"epoch": event.epoch, "seconds": event.seconds, "learning_rate": event.learning_rate}
        row |= {f"{part}_{score}": getattr(getattr(event, field), score) for part, field in PARTS for score in SCORES}
        row |= {"best": int(event.best)}
        return row | {f"validation_dice:{name}": d for name, d in zip(self._labels, event.val_dice, strict=False)}

    def _write_rows(self) -> None:
        if self._begun:
            with self._csv.open("a", encoding="utf-8", newline="") as file:
                file.write(self._text(self._rows[self._written :]))
        else:
            rows = [*self._earlier(self._rows[0]["epoch"]), *self._rows]
            write_bytes_atomic(self._csv, self._text(rows, header=True).encode())
            self._begun = True
        self._written = len(self._rows)

    def _earlier(self, first: int) -> list[dict[str, Any]]:
        """The rows of the epochs before one, as the run's own events tell them; of two words on one the later holds."""
        events = EventTail(self._run.events).read_all()
        epochs = {e.epoch: e for e in events if isinstance(e, EpochEnded) and e.epoch < first}
        return [self._row_of(epochs[k]) for k in sorted(epochs)]

    def _text(self, rows: list[dict[str, Any]], header: bool = False) -> str:
        text = io.StringIO()
        table = csv.DictWriter(text, self._columns(), restval="", extrasaction="ignore", lineterminator="\n")
        if header:
            table.writeheader()
        table.writerows(rows)
        return text.getvalue()

    # ------------------------------------------------------------------ TensorBoard

    def _open_board(self, first: int) -> "BoardWriter | None":
        other = None if keras.backend.backend() == "tensorflow" else _other_writer()
        if other is None and keras.backend.backend() != "tensorflow":
            self._note("no event file for TensorBoard: neither TensorFlow nor tensorboardX is here to write it")
            return None
        try:
            self._board.mkdir(exist_ok=True)
            return _SummaryWriter(other, self._board, first) if other else _TensorFlowWriter(self._board, first)
        except OSError as error:
            self._note(f"no event file for TensorBoard: {error}")
            return None


class BoardWriter(Protocol):
    """Writes one event file; OSError where it cannot."""

    def add(self, epoch: int, wall_s: float, scalars: Scalars) -> None:
        """Write the scalars of an epoch and flush; ``wall_s`` is seconds since 1970."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class _TensorFlowWriter:
    """Event messages through TensorFlow's own record writer.

    The file begins with a session start at the first epoch of this process: TensorBoard then forgets what an earlier
    process wrote of this and later epochs before it was killed.
    """

    def __init__(self, folder: Path, first: int) -> None:
        import tensorflow

        tf: Any = tensorflow
        self._v1: Any = tf.compat.v1
        self._failure: type[Exception] = tf.errors.OpError
        now = time.time()
        start = self._v1.SessionLog(status=self._v1.SessionLog.START)
        with self._as_os_error():
            self._file: Any = tf.io.TFRecordWriter(str(folder / f"events.out.tfevents.{now:.6f}.{os.getpid()}"))
            self._file.write(self._v1.Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
            self._file.write(self._v1.Event(wall_time=now, step=first, session_log=start).SerializeToString())

    def add(self, epoch: int, wall_s: float, scalars: Scalars) -> None:
        """Write the scalars of an epoch and flush."""
        values = [self._v1.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        event = self._v1.Event(wall_time=wall_s, step=epoch, summary=self._v1.Summary(value=values))
        with self._as_os_error():
            self._file.write(event.SerializeToString())
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with self._as_os_error():
            self._file.close()

    @contextlib.contextmanager
    def _as_os_error(self) -> Generator[None]:
        try:
            yield
        except self._failure as error:
            raise OSError(str(error)) from error


class _SummaryWriter:
    """The writer of PyTorch or of tensorboardX, which answer to the same calls."""

    def __init__(self, kind: Any, folder: Path, first: int) -> None:
        self._file: Any = kind(str(folder), purge_step=first)

    def add(self, epoch: int, wall_s: float, scalars: Scalars) -> None:
        """Write the scalars of an epoch and flush."""
        for tag, value in scalars.items():
            self._file.add_scalar(tag, value, epoch, wall_s)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _other_writer() -> Any:
    """The writer for the other backends: PyTorch's, else tensorboardX's; None where neither is whole."""
    places = ("torch.utils.tensorboard", "tensorboardX") if keras.backend.backend() == "torch" else ("tensorboardX",)
    for place in places:
        try:
            return importlib.import_module(place).SummaryWriter
        except ImportError:
            continue
    return None
