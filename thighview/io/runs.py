"""The folder of a training run: what it is told, what it says, and who is at work in it.

The child process that trains writes ``events.jsonl`` and reads ``control``; a window does the opposite and needs
nothing else. Both may come and go while the other stays.
"""

import contextlib
import errno
import os
import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from thighview.core.errors import UserError
from thighview.core.run import Failed, Finished, RunEvent, TrainConfig, event_from_line
from thighview.io.atomic import write_bytes_atomic
from thighview.io.json_files import read_json
from thighview.io.locks import Holder, read_holder, release, take

_SILENT_S = 900.0
COMMANDS = ("run", "pause", "stop")
_NAME = re.compile(r"[\w][\w .()+,-]{0,79}")
_OF_WINDOWS = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[\d¹²³]) *(?:\.|$)", re.IGNORECASE)
"""Names of devices there, whatever ending they have: no folder can be called so."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run, ``PROJECT/runs/NAME``."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.path.name

    @property
    def project(self) -> Path:
        """Folder of the project it belongs to."""
        return self.path.parent.parent

    @property
    def dataset(self) -> Path:
        """The frozen set: cases, hashes, subjects, parts, states."""
        return self.path / "dataset.json"

    @property
    def config(self) -> Path:
        """The settings it was started with."""
        return self.path / "config.json"

    @property
    def masks(self) -> Path:
        """Copies of the masks as they were at the start."""
        return self.path / "masks"

    @property
    def events(self) -> Path:
        """One JSON line for each thing that happened."""
        return self.path / "events.jsonl"

    @property
    def control(self) -> Path:
        """What the run is asked to do: ``run``, ``pause`` or ``stop``."""
        return self.path / "control"

    @property
    def lock(self) -> Path:
        """Process id and start time of the child at work."""
        return self.path / "run.lock"

    @property
    def log(self) -> Path:
        """What the child printed."""
        return self.path / "log.txt"

    @property
    def checkpoint(self) -> Path:
        """Weights and optimiser, last and best."""
        return self.path / "checkpoint"

    @property
    def holder(self) -> Holder | None:
        """The process at work on it, or None.

        One of another computer counts as long as the run has said something in the last quarter of an hour: its lock
        also comes along where a project is copied, and stays where that computer has got another name.
        """
        holder = read_holder(self.lock)
        if holder is None or not holder.alive:
            return None
        return holder if holder.here or self._heard_lately() else None

    def _heard_lately(self) -> bool:
        latest = 0.0
        for path in (self.lock, self.events, self.log):
            with contextlib.suppress(OSError):
                latest = max(latest, path.stat().st_mtime)
        return time.time() - latest < _SILENT_S

    @property
    def alive(self) -> bool:
        """Whether a process is at work on it."""
        return self.holder is not None

    def slices_of(self, epoch: int) -> Path:
        """Sums per slice and label of an epoch, a table of ``io.slice_table``."""
        return self.path / "slices" / f"epoch_{epoch:03d}.parquet"

    def preview_of(self, epoch: int) -> Path:
        """Image, truth and prediction of the fixed slice after an epoch."""
        return self.path / "preview" / f"epoch_{epoch:03d}.npz"


def is_safe_name(name: str) -> bool:
    """Whether a run, or a study, can be called so: its folder may be on any disk."""
    return bool(_NAME.fullmatch(name)) and not name.endswith((".", " ")) and not _OF_WINDOWS.match(name)


def run_folder(project: Path, name: str) -> RunFolder:
    """The folder of a run by name; the name must be one that is safe as a folder everywhere."""
    if not is_safe_name(name):
        raise UserError(
            f"A run cannot be called {name!r}.",
            "Use up to 80 letters, digits, spaces, points, - and _; but not CON or another name of a Windows device.",
        )
    return RunFolder(Path(project) / "runs" / name)


def free_run_name(project: Path, wish: str = "") -> str:
    """A name no run of the project has yet: the wish itself, or it with a number; ``run 1``, ``run 2`` without one."""
    taken = {path.name.casefold() for path in (Path(project) / "runs").glob("*")}
    taken |= {path.name.casefold() for path in (Path(project) / "models").glob("*")}
    if wish and wish.casefold() not in taken:
        return run_folder(project, wish).name
    stem = wish or "run"
    number = next(i for i in range(2 if wish else 1, len(taken) + 3) if f"{stem} {i}".casefold() not in taken)
    return run_folder(project, f"{stem} {number}").name


def run_folders(project: Path) -> list[RunFolder]:
    """All runs of a project that were frozen, oldest first; not one whose folder got a name that no run can have."""
    found = [RunFolder(p.parent) for p in (Path(project) / "runs").glob("*/dataset.json")]
    found = [run for run in found if is_safe_name(run.name)]
    return sorted(found, key=lambda run: (time_of(run.dataset), run.name))


def time_of(path: Path) -> float:
    """When a file was changed last, in seconds as of ``time.time``; 0 where it has gone meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def read_config(run: RunFolder) -> TrainConfig:
    """The settings a run was started with.

    Raises
    ------
    UserError
        When they are missing, damaged, or from a newer program.
    """
    data = read_json(run.config, "Start a new run.")
    newer = sorted(set(data) - {f.name for f in fields(TrainConfig)})
    if newer:
        raise UserError(
            f"The run {run.name!r} has the setting {newer[0]!r}, which this program does not know.",
            "Open it with the thighview that made it, or start a new run.",
        )
    return TrainConfig.from_json(data)


# ------------------------------------------------------------------ who is at work


@contextmanager
def at_work(run: RunFolder) -> Generator[None]:
    """Hold the run's lock; a second process is refused.

    Raises
    ------
    UserError
        When another process is at work on it.
    """
    holder = take(run.lock)
    if holder is not None:
        elsewhere = f"If nothing is at work there, delete {run.lock}, then try again."
        hint = "Wait for it, or stop it first." if holder.here else elsewhere
        raise UserError(f"The run {run.name!r} is going on already, in {holder}.", hint)
    try:
        yield
    finally:
        release(run.lock)


# ------------------------------------------------------------------ what it is told


def write_control(run: RunFolder, command: str) -> None:
    """Ask the run to ``run``, ``pause`` or ``stop``; it looks between two batches."""
    if command not in COMMANDS:
        raise ValueError(f"expected one of {COMMANDS}, found {command!r}")
    write_bytes_atomic(run.control, command.encode())


def read_control(run: RunFolder) -> str:
    """What the run is asked to do; ``run`` when nothing, or nothing known, is written there."""
    try:
        word = run.control.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return "run"
    return word if word in COMMANDS else "run"


# ------------------------------------------------------------------ what it says


class EventLog:
    """Appends events; each line reaches the file whole (one write in append mode).

    A line left unfinished by a process that was killed is closed first, so that it cannot swallow the next one.
    """

    def __init__(self, run: RunFolder) -> None:
        run.path.mkdir(parents=True, exist_ok=True)
        self._file = os.open(run.events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(self._file).st_size
        if size:
            with run.events.open("rb") as file:
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    os.write(self._file, b"\n")

    def append(self, event: RunEvent) -> None:
        """Write one event.

        Raises
        ------
        OSError
            When it cannot be written; what reached the file of its line is taken back.
        """
        line = event.to_line().encode() + b"\n"
        written = os.write(self._file, line)
        if written < len(line):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "events.jsonl")

    def close(self) -> None:
        """Force it to disk and close it."""
        with contextlib.suppress(OSError):  # a pipe or a full disk cannot be forced
            os.fsync(self._file)
        os.close(self._file)


class EventTail:
    """Reads what was added to an event file since the last look; tiny and never waits.

    A last line that is not finished yet is kept for the next look; a line that cannot be read is passed over; a file
    that became shorter is read again from its beginning.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    @property
    def place(self) -> int:
        """Bytes of the file read so far."""
        return self._offset

    def read(self, limit_bytes: int = 1 << 20) -> list[RunEvent]:
        """The events of the next ``limit_bytes``, or of one line that is longer; empty when there is nothing new."""
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    self._offset, self._rest = 0, b""
                file.seek(self._offset)
                raw = file.read(limit_bytes)
                if len(raw) == limit_bytes and b"\n" not in raw:
                    raw += file.readline()
        except OSError:
            return []
        self._offset += len(raw)
        *lines, self._rest = (self._rest + raw).split(b"\n")
        found = (event_from_line(line.decode("utf-8", "replace")) for line in lines if line.strip())
        return [event for event in found if event is not None]

    def read_all(self) -> list[RunEvent]:
        """Everything up to the end of the file as it is now."""
        events: list[RunEvent] = []
        while True:
            before = self._offset
            events += self.read()
            if self._offset == before:
                return events


def last_log_lines(run: RunFolder, count: int = 12, within_bytes: int = 1 << 16) -> tuple[str, ...]:
    """The last lines the child printed, without empty ones."""
    try:
        with run.log.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - within_bytes))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    lines = [line.rpartition("\r")[2].rstrip() for line in text.splitlines()]
    return tuple(line for line in lines if line)[-count:]


def has_ended(events: list[RunEvent]) -> bool:
    """Whether the last word of a run is that it finished or failed."""
    last = next((e for e in reversed(events) if e.EVENT != "batch"), None)
    return isinstance(last, (Finished, Failed))
