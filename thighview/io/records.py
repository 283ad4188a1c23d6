"""What a project knows besides masks: its list of cases and their facts, people, readers, runs, models."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core import split
from thighview.core.case import Series
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.review import SliceState
from thighview.core.scan_key import ScanKey
from thighview.core.volume import Volume
from thighview.io import schema
from thighview.io.atomic import WriteError
from thighview.io.same_scan import StoredScan

FIRST_READER = 1
_DISK = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
"""What SQLite says of a disk that a person can mend."""


@dataclass(frozen=True)
class CaseSummary:
    """One line of the worklist; ``counts`` has the number of slices in each state, unseen included.

    ``part`` is that of the split its subject has, ``scan_part`` the part of what lies at ``path``, ``sha256`` the hash
    of its scan, empty while not worked out. ``missing`` is how many of its slices are missing in the files, as far as
    who shows it knows: the project does not keep that.
    """

    case_id: int
    subject: str
    title: str
    path: Path
    slices: int
    counts: Mapping[SliceState, int]
    part: str
    updated: float
    in_training_set: bool
    scan_part: str = ""
    sha256: str = ""
    missing: int = 0

    @property
    def key(self) -> ScanKey:
        """What its scan is opened by."""
        return ScanKey(self.path, self.scan_part)


@dataclass(frozen=True)
class SourceRow:
    """What the reference image of a case is known by, and whose it is; ``sha256`` is empty while not worked out."""

    case_id: int
    key: ScanKey
    sha256: str
    subject: str


@dataclass(frozen=True)
class RunRow:
    """A training run the project knows; its folder is ``runs/NAME``. ``made`` is seconds since 1970."""

    name: str
    made: float
    config: Mapping[str, Any]


@dataclass(frozen=True)
class ModelRow:
    """A model that came out of the project; ``run`` is the run that made it, or empty."""

    name: str
    folder: Path
    weights_sha256: str
    made: float
    run: str


class Records:
    """The part of an open project that needs no mask; ``Project`` is built on it."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, writable: bool) -> None:
        self.folder = folder
        self.writable = writable
        self._connection = connection
        self._in_one = False
        facts = dict(connection.execute("SELECT key, value FROM meta"))
        self.name = str(facts["name"])
        self.salt = bytes(facts["salt"])

    # ------------------------------------------------------------------ cases

    def cases(self, reader_id: int = FIRST_READER) -> list[CaseSummary]:
        """All cases by title, with the review states of one reader."""
        counts: dict[int, dict[SliceState, int]] = {}
        for case_id, state, n in self._connection.execute(
            "SELECT case_id, code & 7, count(*) FROM slice_state WHERE reader_id=? GROUP BY 1, 2", (reader_id,)
        ):
            counts.setdefault(case_id, {})[SliceState(state)] = n
        found: list[CaseSummary] = []
        for case_id, subject, title, path, slices, part, updated, chosen, scan_part, sha in self._connection.execute(
            "SELECT case_id, subject, title, path, case_.z, subject.part, updated, in_training_set, series.part, sha256"
            " FROM case_ JOIN subject USING (subject) JOIN series USING (case_id) WHERE channel=0"
            " ORDER BY title, case_id"
        ):
            seen = {state: n for state, n in counts.get(case_id, {}).items() if state is not SliceState.UNSEEN}
            seen[SliceState.UNSEEN] = slices - sum(seen.values())
            found.append(
                CaseSummary(
                    case_id, subject, title, Path(path), slices, seen, part, updated, bool(chosen), scan_part, sha
                )
            )
        return found

    def find_case(self, path: Path, part: str = "") -> int | None:
        """The case whose first series is this part of what lies there, in whichever of its positions, or None."""
        found = self._connection.execute(
            "SELECT case_id, part FROM series WHERE path=? AND channel=0 ORDER BY case_id", (str(path.absolute()),)
        )
        wanted = ScanKey(path, part).volume_part
        return next((int(case_id) for case_id, there in found if ScanKey(path, there).volume_part == wanted), None)

    def sources(self) -> list[SourceRow]:
        """The first series of every case, in the order in which they were added."""
        return [
            SourceRow(case_id, ScanKey(Path(path), part), sha256, subject)
            for case_id, path, part, sha256, subject in self._connection.execute(
                "SELECT case_id, path, part, sha256, subject FROM series JOIN case_ USING (case_id) WHERE channel=0"
                " ORDER BY case_id"
            )
        ]

    def stored_scan(self, case_id: int) -> StoredScan:
        """What is known of the first series of a case."""
        path, part, sha256, z, y, x, affine = self._connection.execute(
            "SELECT path, part, sha256, z, y, x, affine FROM series WHERE case_id=? AND channel=0", (case_id,)
        ).fetchone()
        grid = np.array(json.loads(affine), np.float64)
        return StoredScan(ScanKey(Path(path), part), sha256, (z, y, x), grid)

    def title_and_subject(self, case_id: int) -> tuple[str, str]:
        """What a case is called, and whose it is."""
        return self._connection.execute("SELECT title, subject FROM case_ WHERE case_id=?", (case_id,)).fetchone()

    def hashes(self) -> dict[int, str]:
        """SHA-256 of each case's first series by case id; empty while not worked out."""
        return dict(self._connection.execute("SELECT case_id, sha256 FROM series WHERE channel=0"))

    def count_edits(self, case_id: int) -> int:
        """How many steps its history was given, of every reader."""
        found = self._connection.execute("SELECT count(*) FROM edit WHERE case_id=? AND kind='edit'", (case_id,))
        return int(found.fetchone()[0])

    def model_steps(self, case_id: int, reader_id: int = FIRST_READER) -> list[tuple[str, float]]:
        """Names of the steps in which a model drew, oldest first, and when each was made (seconds since 1970)."""
        return self._connection.execute(
            "SELECT name, made FROM edit WHERE case_id=? AND reader_id=? AND kind='edit' AND tool='model' ORDER BY n",
            (case_id, reader_id),
        ).fetchall()

    def geometry(self, case_id: int) -> list[tuple[tuple[int, int, int], NDArray[np.float64]]]:
        """Shape (z, y, x) and affine (to LPS mm) of each series as it was when the case was added."""
        return [
            ((z, y, x), np.array(json.loads(affine), np.float64))
            for z, y, x, affine in self._connection.execute(
                "SELECT z, y, x, affine FROM series WHERE case_id=? ORDER BY channel", (case_id,)
            )
        ]

    def table(self, case_id: int) -> LabelTable:
        """The labels of a case."""
        return LabelTable(tuple(
            Label(value, name, side, tuple(json.loads(colour)), file_id)
            for value, name, side, colour, file_id in self._connection.execute(
                "SELECT value, name, side, colour, file_id FROM label WHERE case_id=?", (case_id,)
            )
        ))  # fmt: skip

    def set_table(self, case_id: int, table: LabelTable) -> None:
        """Keep another label table."""
        with self._writing():
            self._write_table(case_id, table)
            self._touch(case_id)

    def set_subject(self, case_id: int, subject: str) -> None:
        """Say whose scan it is; refused once the person it belongs to was part of a training run.

        A part of the split that was decided on goes along, unless the subject of that name has one.
        """
        subject = subject.strip()
        old, part, used = self._connection.execute(
            "SELECT subject, part, used FROM case_ JOIN subject USING (subject) WHERE case_id=?", (case_id,)
        ).fetchone()
        if subject == old:
            return
        if not subject:
            raise UserError("A subject needs a name.")
        if used:
            raise UserError(
                f"{old} was part of a training run; changing the subject now would let one person be on both sides"
                " of the split.",
                "Add the scan again under the other subject if it was wrong.",
            )
        with self._writing():
            self._add_subject(subject, part)
            self._connection.execute("UPDATE case_ SET subject=? WHERE case_id=?", (subject, case_id))
            self._connection.execute(
                "DELETE FROM subject WHERE subject=? AND subject NOT IN (SELECT subject FROM case_)", (old,)
            )

    def set_in_training_set(self, case_id: int, chosen: bool) -> None:
        """Take a case into the training set, or out of it."""
        with self._writing():
            self._connection.execute("UPDATE case_ SET in_training_set=? WHERE case_id=?", (chosen, case_id))

    def add_series(self, case_id: int, series: Series) -> int:
        """Give a case one more image, which must have been read; returns its ``series_id``.

        Raises
        ------
        UserError
            When the case has it already.
        """
        if series.volume is None:
            raise ValueError("a series is added once it has been read")
        place = (case_id, str(series.path.absolute()), series.part, series.sha256)
        same = "SELECT 1 FROM series WHERE case_id=? AND (path=? AND part=? OR sha256=? AND sha256<>'')"
        if self._connection.execute(same, place).fetchone():
            raise UserError(f"{series.key.name} is among the images of this case already.")
        with self._writing():
            last = self._connection.execute("SELECT max(channel) FROM series WHERE case_id=?", (case_id,)).fetchone()
            series_id = self._insert_series(case_id, last[0] + 1, series, series.volume)
            self._touch(case_id)
        return series_id

    def set_checked(self, case_id: int, doubts: Iterable[str]) -> None:
        """Keep which doubts about a scan a person has looked into."""
        with self._writing():
            self._connection.execute(
                "UPDATE case_ SET checked=? WHERE case_id=?", (json.dumps(sorted(doubts)), case_id)
            )

    def set_role(self, case_id: int, series_id: int, role: str) -> None:
        """Say what an image of a case shows; 0 is its reference."""
        which = "series_id=?" if series_id else "channel=?"
        with self._writing():
            self._connection.execute(
                f"UPDATE series SET role=? WHERE {which} AND case_id=?", (role, series_id, case_id)
            )

    def remove_series(self, case_id: int, series_id: int) -> None:
        """Take an image out of a case; its reference stays."""
        with self._writing():
            self._connection.execute(
                "DELETE FROM series WHERE series_id=? AND case_id=? AND channel>0", (series_id, case_id)
            )

    def set_sha256(self, case_id: int, sha256: str, channel: int = 0) -> None:
        """Keep the hash of a source that was worked out after the case was added."""
        with self._writing():
            self._connection.execute(
                "UPDATE series SET sha256=? WHERE case_id=? AND channel=?", (sha256, case_id, channel)
            )

    def set_key(self, case_id: int, key: ScanKey, channel: int = 0) -> None:
        """Know a source by another path and part: those of the same scan."""
        with self._writing():
            self._connection.execute(
                "UPDATE series SET path=?, part=? WHERE case_id=? AND channel=?",
                (str(key.path.absolute()), key.part, case_id, channel),
            )

    def set_place(self, case_id: int, key: ScanKey, affine: NDArray[np.float64]) -> None:
        """Put a case where the other position of its file says; its mask stays on the voxels it was drawn on."""
        with self._writing():
            self._connection.execute(
                "UPDATE series SET part=?, affine=? WHERE case_id=? AND channel=0",
                (key.part, json.dumps(affine.tolist()), case_id),
            )

    # ------------------------------------------------------------------ subjects, readers, runs, models

    def subjects(self) -> dict[str, str]:
        """Every subject and its part: ``train``, ``validation``, ``test``, or empty while not assigned."""
        return dict(self._connection.execute("SELECT subject, part FROM subject ORDER BY subject"))

    def assign_parts(self, subjects: Iterable[str]) -> dict[str, str]:
        """The part of each of these subjects, chosen now where it was not yet, and never changed again."""
        wanted = set(subjects)
        with self._writing():
            made = {subject: part for subject, part in self.subjects().items() if part}
            parts = split.assign(wanted, self.salt, made)
            for subject in wanted - made.keys():
                self._add_subject(subject)
                self._connection.execute("UPDATE subject SET part=? WHERE subject=?", (parts[subject], subject))
        return {subject: parts[subject] for subject in sorted(wanted)}

    def need_part(self, subject: str, part: str) -> None:
        """Refuse a case of a locked test whose person is in another part here: what was trained on tests nothing."""
        there = self.subjects().get(subject)
        if part == "test" and there in ("train", "validation"):
            raise UserError(
                f"{subject} is in the locked test of what is taken in, but in the part {there} of {self.name}.",
                "Leave that case out, or give the person in the project another name if it is somebody else.",
            )

    def readers(self) -> dict[int, str]:
        """Names of the readers by id."""
        return dict(self._connection.execute("SELECT reader_id, name FROM reader ORDER BY reader_id"))

    def add_reader(self, name: str) -> int:
        """Another person who draws masks of their own; returns their id."""
        with self._writing():
            return self._insert("INSERT INTO reader (name) VALUES (?)", (name,))

    def add_run(self, name: str, config: Mapping[str, Any], subjects: Iterable[str] = ()) -> None:
        """Note a training run and mark its subjects as used; one of the same name, its folder gone, is replaced."""
        with self._writing():
            self._insert(
                "INSERT OR REPLACE INTO run (name, made, config) VALUES (?,?,?)",
                (name, time.time(), json.dumps(dict(config))),
            )
            self._connection.executemany("UPDATE subject SET used=1 WHERE subject=?", [(s,) for s in subjects])

    def runs(self) -> list[RunRow]:
        """All runs, oldest first."""
        return [
            RunRow(name, made, json.loads(config))
            for name, made, config in self._connection.execute("SELECT name, made, config FROM run ORDER BY run_id")
        ]

    def add_model(self, name: str, folder: Path, weights_sha256: str, run: str = "") -> None:
        """Note a model; one of the same name is replaced. A folder inside the project is kept relative to it."""
        inside = folder.absolute().is_relative_to(self.folder)
        place = folder.absolute().relative_to(self.folder).as_posix() if inside else str(folder.absolute())
        with self._writing():
            self._insert(
                "INSERT OR REPLACE INTO model (name, folder, weights_sha256, made, run) VALUES (?,?,?,?,?)",
                (name, place, weights_sha256, time.time(), run),
            )

    def models(self) -> list[ModelRow]:
        """All models, oldest first."""
        return [
            ModelRow(name, self.folder / folder, sha256, made, run)
            for name, folder, sha256, made, run in self._connection.execute(
                "SELECT name, folder, weights_sha256, made, run FROM model ORDER BY model_id"
            )
        ]

    @contextlib.contextmanager
    def all_or_nothing(self) -> Generator[None]:
        """Make what is written inside one transaction: a full disk cannot undo step by step what it has taken.

        Raises
        ------
        WriteError
            When the disk is full, write-protected or broken; nothing of it is in the project then.
        """
        try:
            with self._writing():
                self._in_one = True
                try:
                    yield
                finally:
                    self._in_one = False
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _DISK:
                raise
            hint = "Make room on its disk, or choose a place that may be written, and try again."
            raise WriteError(self.folder, f"could not be written: {error}", hint) from error

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        if not self.writable:
            raise UserError(f"The project {self.name} is open for reading only.", "Close the other window first.")
        if self._in_one:
            return contextlib.nullcontext()
        return schema.transaction(self._connection)

    def _insert_series(self, case_id: int, channel: int, series: Series, volume: Volume) -> int:
        return self._insert(
            "INSERT INTO series (case_id, channel, role, path, sha256, z, y, x, affine, part)"
            " VALUES (?,?,?,?,?,?,?,?,?,?)",
            (case_id, channel, series.role, str(series.path.absolute()), series.sha256, *volume.shape,
             json.dumps(volume.affine.tolist()), series.part),
        )  # fmt: skip

    def _insert(self, statement: str, values: tuple[Any, ...]) -> int:
        return int(self._connection.execute(statement, values).lastrowid or 0)

    def _add_subject(self, subject: str, part: str = "") -> None:
        self._connection.execute(
            "INSERT INTO subject (subject, part) VALUES (?,?)"
            " ON CONFLICT DO UPDATE SET part=excluded.part WHERE part=''",
            (subject, part),
        )

    def _write_table(self, case_id: int, table: LabelTable) -> None:
        self._connection.execute("DELETE FROM label WHERE case_id=?", (case_id,))
        self._connection.executemany(
            "INSERT INTO label VALUES (?,?,?,?,?,?)",
            [(case_id, b.value, b.name, b.side, json.dumps(b.colour), b.file_id) for b in table],
        )

    def _touch(self, case_id: int) -> None:
        self._connection.execute("UPDATE case_ SET updated=? WHERE case_id=?", (time.time(), case_id))
