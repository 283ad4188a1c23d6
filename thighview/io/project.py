"""A project: a folder with the database of cases, edits, readers, models and runs, and the files beside it."""

import contextlib
import json
import re
import secrets
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core import split
from thighview.core.case import Case, Series
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.review import SliceReview, SliceState
from thighview.core.volume import Volume
from thighview.io import locks, schema
from thighview.io.journal import DamageError, Journal, JournalEntry

DATABASE = "project.sqlite"
LOCK = "project.lock"
FOLDERS = ("masks", "models", "runs")
FIRST_READER = 1


@dataclass(frozen=True)
class CaseSummary:
    """One line of the worklist; ``counts`` has the number of slices in each state, unseen included."""

    case_id: int
    subject: str
    title: str
    path: Path
    slices: int
    counts: Mapping[SliceState, int]
    part: str
    updated: float
    in_training_set: bool


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


class Project:
    """An open project, used by one thread at a time. Every method that writes is one transaction."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, writable: bool) -> None:
        self.folder = folder
        self.writable = writable
        self._connection = connection
        self._journal: Journal | None = None
        self._unsure: tuple[JournalEntry, int, int, int] | None = None
        self._place = self._place_now()
        facts = dict(connection.execute("SELECT key, value FROM meta"))
        self.name = str(facts["name"])
        self.salt = bytes(facts["salt"])

    # ------------------------------------------------------------------ opening and closing

    @staticmethod
    def create(folder: Path, name: str = "") -> "Project":
        """Make a project in a new or empty folder and open it for writing.

        Raises
        ------
        UserError
            When the folder holds something already, or cannot be written.
        """
        folder = folder.absolute()
        path = folder / DATABASE
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not Project._unfinished(path) and any(folder.iterdir()):
                raise UserError(f"The folder {folder} is not empty.", "Choose a new or an empty folder for a project.")
            path.touch(mode=0o600, exist_ok=True)
            for part in FOLDERS:
                (folder / part).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"No project can be made in {folder}: {error.strerror}.", "Choose another folder."
            ) from error
        connection = schema.connect(path, writable=True)
        try:
            with schema.transaction(connection):
                if schema.is_blank(connection):
                    schema.lay_out(connection)
                    connection.executemany(
                        "INSERT INTO meta VALUES (?,?)",
                        [("name", name or folder.name), ("salt", secrets.token_bytes(16)), ("made", time.time())],
                    )
                    connection.execute("INSERT INTO reader VALUES (?,?)", (FIRST_READER, "Reader 1"))
        except sqlite3.Error as error:
            raise UserError(f"No project can be made in {folder}: {error}.", "Choose another folder.") from error
        finally:
            connection.close()
        return Project.open(folder)

    @staticmethod
    def open(folder: Path, writable: bool = True) -> "Project":
        """Open a project; for writing only if no other process does.

        Raises
        ------
        UserError
            Not a project, damaged, made by a newer program, or open for writing elsewhere.
        """
        folder = folder.absolute()
        path = folder / DATABASE
        if not path.is_file():
            raise UserError(f"{folder} is not a thighview project.", f"A project has a file {DATABASE} in it.")
        try:
            connection = schema.connect(path, writable)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _cannot_open(folder, error) from error
        held = False
        try:
            schema.check(connection, path)
            if writable:
                with schema.transaction(connection):  # of several that start at once, one after the other looks
                    holder = locks.take(folder / LOCK)
                    if holder:
                        raise _held(folder, holder)
                    held = True
                schema.migrate(connection, path)
                connection.execute("PRAGMA journal_mode=WAL")
            elif connection.execute("PRAGMA user_version").fetchone()[0] < schema.VERSION:
                raise UserError(f"The project {folder} was made by an older thighview.", "Open it in the window once.")
            return Project(folder, connection, writable)
        except BaseException as error:
            connection.close()
            if held:
                locks.release(folder / LOCK)
            if isinstance(error, (sqlite3.Error, OSError, KeyError, ValueError)):
                raise _cannot_open(folder, error) from error
            raise

    @staticmethod
    def open_or_create(folder: Path, name: str = "") -> "Project":
        """Open for writing the project in a folder, made now if there is none yet."""
        path = folder / DATABASE
        return Project.create(folder, name) if Project._unfinished(path) or not path.exists() else Project.open(folder)

    @staticmethod
    def _unfinished(path: Path) -> bool:
        """Whether making this project was cut short before anything was in it."""
        if not path.is_file():
            return False
        with contextlib.suppress(sqlite3.Error), contextlib.closing(schema.connect(path, writable=True)) as connection:
            return schema.is_blank(connection)
        return False

    def close(self) -> None:
        """Close it and let others write. Safe to call twice."""
        self._connection.close()
        self._journal = None
        if self.writable:
            self.writable = False
            locks.release(self.folder / LOCK)

    def reconnect(self) -> None:
        """Leave a connection that has failed and open a new one; the lock stays ours."""
        self._journal = None
        self._connection.close()
        self._connection = schema.connect(self.folder / DATABASE, self.writable)
        found = self._connection.execute("SELECT value FROM meta WHERE key='salt'").fetchone()
        if found is None or bytes(found[0]) != self.salt:
            self._connection.close()
            raise FileNotFoundError(f"another project lies in {self.folder} now")
        self._place = self._place_now()

    # ------------------------------------------------------------------ cases

    def cases(self, reader_id: int = FIRST_READER) -> list[CaseSummary]:
        """All cases by title, with the review states of one reader."""
        counts: dict[int, dict[SliceState, int]] = {}
        for case_id, state, n in self._connection.execute(
            "SELECT case_id, code & 7, count(*) FROM slice_state WHERE reader_id=? GROUP BY 1, 2", (reader_id,)
        ):
            counts.setdefault(case_id, {})[SliceState(state)] = n
        found: list[CaseSummary] = []
        for case_id, subject, title, path, slices, part, updated, chosen in self._connection.execute(
            "SELECT case_id, subject, title, path, case_.z, part, updated, in_training_set FROM case_"
            " JOIN subject USING (subject) JOIN series USING (case_id) WHERE channel=0 ORDER BY title, case_id"
        ):
            seen = {state: n for state, n in counts.get(case_id, {}).items() if state is not SliceState.UNSEEN}
            seen[SliceState.UNSEEN] = slices - sum(seen.values())
            found.append(CaseSummary(case_id, subject, title, Path(path), slices, seen, part, updated, bool(chosen)))
        return found

    def find_case(self, path: Path) -> int | None:
        """The case whose first series lies there, or None."""
        found = self._connection.execute(
            "SELECT case_id FROM series WHERE path=? AND channel=0", (str(path.absolute()),)
        ).fetchone()
        return int(found[0]) if found else None

    def add_case(self, case: Case, in_training_set: bool = False, part: str = "") -> int:
        """Take a case in, with mask, table, reviews and history as they are; returns its new id.

        The first series must have been read: its shape and affine are kept. ``part`` is the part its subject gets,
        unless it has one.
        """
        now = time.time()
        start = case.labels.copy()
        codes = bytearray(review.code for review in case.reviews)
        done = case.history.edits[: case.history.done]
        for edit in (made.reversed() for made in reversed(done)):
            for patch in edit.patches:
                patch.apply(start)
            for change in edit.reviews:
                codes[change.slice_index] = change.after.code
        with self._writing():
            self._add_subject(case.subject, part)
            case_id = self._insert(
                "INSERT INTO case_ (subject, visit, title, z, y, x, in_training_set, made, updated)"
                " VALUES (?,?,?,?,?,?,?,?,?)",
                (case.subject, case.visit, case.title, *case.labels.shape, in_training_set, now, now),
            )
            for channel, series in enumerate(case.series):
                volume = series.volume or case.volume
                self._insert(
                    "INSERT INTO series (case_id, channel, role, path, sha256, z, y, x, affine)"
                    " VALUES (?,?,?,?,?,?,?,?,?)",
                    (case_id, channel, series.role, str(series.path.absolute()), series.sha256, *volume.shape,
                     json.dumps(volume.affine.tolist())),
                )  # fmt: skip
            self._write_table(case_id, case.table)
            self._insert("INSERT OR IGNORE INTO reader VALUES (?,?)", (case.reader_id, f"Reader {case.reader_id}"))
            Journal.begin(self._connection, case_id, case.reader_id, start, bytes(codes), secrets.token_bytes(16))
            if case.history.edits:
                journal = Journal(self._connection, case_id, case.reader_id)
                for edit in case.history.edits:
                    journal.append("edit", edit)
                for _ in case.history.edits[len(done) :]:
                    journal.append("undo", None)
        return case_id

    def load_case(self, case_id: int, reader_id: int = FIRST_READER) -> Case:
        """A case with mask, reviews and history as they were left; its series are not read (``volume`` is None).

        ``warnings`` says what of a damaged journal could not be restored; a writable project then goes on from
        what could.

        Raises
        ------
        UserError
            When there is no such case, or nothing of its mask is known to be right.
        """
        try:
            with schema.transaction(self._connection, "IMMEDIATE" if self.writable else "DEFERRED"):
                return self._load_case(case_id, reader_id)
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            self._journal = None
            raise UserError(
                f"Case {case_id} of {self.name} cannot be read: {error}.",
                f"Plain copies lie in {self.folder / 'masks'}.",
            ) from error

    def geometry(self, case_id: int) -> list[tuple[tuple[int, int, int], NDArray[np.float64]]]:
        """Shape (z, y, x) and affine (to LPS mm) of each series as it was when the case was added."""
        return [
            ((z, y, x), np.array(json.loads(affine), np.float64))
            for z, y, x, affine in self._connection.execute(
                "SELECT z, y, x, affine FROM series WHERE case_id=? ORDER BY channel", (case_id,)
            )
        ]

    def append(self, case_id: int, reader_id: int, entry: JournalEntry) -> int:
        """Write one entry, durable when this returns; gives its number in the project.

        After an error nothing is written, and the same entry object may be appended again: where the first attempt
        had reached the disk after all, it is not written twice.

        Raises
        ------
        ValueError
            When the entry does not fit the mask as it was left.
        sqlite3.Error, OSError
            When it could not be written, or the folder was moved away.
        """
        journal = self._journal
        if journal is None or (journal.case_id, journal.reader_id) != (case_id, reader_id):
            journal = self._open_journal(case_id, reader_id)
        unsure = self._unsure
        if unsure and unsure[0] is entry and unsure[1:] == (case_id, reader_id, journal.head):
            self._journal, self._unsure = journal, None
            return int(self._connection.execute("SELECT max(seq) FROM edit").fetchone()[0])
        if self._place_now() != self._place:
            raise FileNotFoundError(f"{self.folder / DATABASE} is no longer the file that was opened")
        self._unsure = (entry, case_id, reader_id, journal.head + 1)
        self._journal = None
        with self._writing():
            seq = journal.append(*entry)
            self._touch(case_id)
        self._journal, self._unsure = journal, None
        return seq

    def write_mirror(self, case_id: int, volume: Volume | None = None, reader_id: int = FIRST_READER) -> Path:
        """Write the mask as plain NIfTI into ``masks/``, unless what lies there is up to date; returns its path.

        Without ``volume`` the grid is the one kept when the case was added.
        """
        from thighview.io import masks

        title, z, y, x = self._connection.execute(
            "SELECT title, z, y, x FROM case_ WHERE case_id=?", (case_id,)
        ).fetchone()
        path = self._mirror_path(case_id, title, reader_id)
        mirrored = self._connection.execute(
            "SELECT mirrored FROM reading WHERE case_id=? AND reader_id=?", (case_id, reader_id)
        ).fetchone()[0]
        journal = self._journal
        if journal is None or (journal.case_id, journal.reader_id) != (case_id, reader_id):
            journal = self._open_journal(case_id, reader_id)
        if mirrored == journal.head and path.exists():
            return path
        if volume is None:
            affine = self.geometry(case_id)[0][1]
            volume = Volume(np.broadcast_to(np.uint8(0), (z, y, x)), affine, title)
        masks.write_mask(path, journal.state.labels, self.table(case_id), volume)
        with self._writing():
            self._connection.execute(
                "UPDATE reading SET mirrored=? WHERE case_id=? AND reader_id=?", (journal.head, case_id, reader_id)
            )
        return path

    def move_case_to(self, case_id: int, other: "Project") -> int:
        """Hand a case over to another project, journal and all; returns its id there.

        It is whole in the other project before it leaves this one.
        """
        if other.folder == self.folder:
            return case_id
        read = self._connection.execute
        with other._writing():
            subject, part = read(
                "SELECT subject, part FROM case_ JOIN subject USING (subject) WHERE case_id=?", (case_id,)
            ).fetchone()
            other._add_subject(subject, part)
            new_id = other._copy(read("SELECT * FROM case_ WHERE case_id=?", (case_id,)), "case_", {"case_id": None})[0]
            there = {"case_id": new_id}
            other._copy(read("SELECT * FROM series WHERE case_id=?", (case_id,)), "series", there | {"series_id": None})
            other._copy(read("SELECT * FROM label WHERE case_id=?", (case_id,)), "label", there)
            for reader in read(
                "SELECT reader.* FROM reader JOIN reading USING (reader_id) WHERE case_id=?", (case_id,)
            ):
                other._connection.execute("INSERT OR IGNORE INTO reader VALUES (?,?)", reader)
            for table in ("reading", "snapshot", "slice_state"):
                changed = there | ({"mirrored": -1} if table == "reading" else {})
                other._copy(read(f"SELECT * FROM {table} WHERE case_id=?", (case_id,)), table, changed)
            seqs = [seq for (seq,) in read("SELECT seq FROM edit WHERE case_id=? ORDER BY seq", (case_id,))]
            for seq in seqs:
                new_seq = other._copy(read("SELECT * FROM edit WHERE seq=?", (seq,)), "edit", there | {"seq": None})[0]
                other._copy(read("SELECT * FROM patch WHERE seq=?", (seq,)), "patch", {"seq": new_seq})
        mirrors = [
            self._mirror_path(case_id, title, reader_id)
            for title, reader_id in read("SELECT title, reader_id FROM case_ JOIN reading USING (case_id)"
                                         " WHERE case_id=?", (case_id,))
        ]  # fmt: skip
        with self._writing():
            read("DELETE FROM case_ WHERE case_id=?", (case_id,))
        self._journal = None
        for path in mirrors:
            path.unlink(missing_ok=True)
        return new_id

    # ------------------------------------------------------------------ facts of a case

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
        """Say whose scan it is; refused once the person it belongs to was part of a training run."""
        subject = subject.strip()
        old, used = self._connection.execute(
            "SELECT subject, used FROM case_ JOIN subject USING (subject) WHERE case_id=?", (case_id,)
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
            self._add_subject(subject)
            self._connection.execute("UPDATE case_ SET subject=? WHERE case_id=?", (subject, case_id))
            self._connection.execute(
                "DELETE FROM subject WHERE subject=? AND subject NOT IN (SELECT subject FROM case_)", (old,)
            )

    def set_in_training_set(self, case_id: int, chosen: bool) -> None:
        """Take a case into the training set, or out of it."""
        with self._writing():
            self._connection.execute("UPDATE case_ SET in_training_set=? WHERE case_id=?", (chosen, case_id))

    def set_sha256(self, case_id: int, sha256: str, channel: int = 0) -> None:
        """Keep the hash of a source that was worked out after the case was added."""
        with self._writing():
            self._connection.execute(
                "UPDATE series SET sha256=? WHERE case_id=? AND channel=?", (sha256, case_id, channel)
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

    def readers(self) -> dict[int, str]:
        """Names of the readers by id."""
        return dict(self._connection.execute("SELECT reader_id, name FROM reader ORDER BY reader_id"))

    def add_reader(self, name: str) -> int:
        """Another person who draws masks of their own; returns their id."""
        with self._writing():
            return self._insert("INSERT INTO reader (name) VALUES (?)", (name,))

    def add_run(self, name: str, config: Mapping[str, Any], subjects: Iterable[str] = ()) -> None:
        """Note a training run and mark its subjects as used."""
        with self._writing():
            self._insert(
                "INSERT INTO run (name, made, config) VALUES (?,?,?)", (name, time.time(), json.dumps(dict(config)))
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

    # ------------------------------------------------------------------ inside

    def _load_case(self, case_id: int, reader_id: int) -> Case:
        row = self._connection.execute("SELECT subject, visit, title FROM case_ WHERE case_id=?", (case_id,)).fetchone()
        if row is None:
            raise UserError(f"The project {self.name} has no case {case_id}.")
        series = [
            Series(series_id, role, Path(path), sha256)
            for series_id, role, path, sha256 in self._connection.execute(
                "SELECT series_id, role, path, sha256 FROM series WHERE case_id=? ORDER BY channel", (case_id,)
            )
        ]
        journal = self._open_journal(case_id, reader_id, row[2])
        if journal.damaged and self.writable:
            journal.mend()
        table = self.table(case_id)
        if self.writable:
            self._journal = journal
        state = journal.state
        return Case(
            case_id, row[0], row[2], series, state.labels.copy(), table,
            [SliceReview.from_code(code) for code in state.codes], journal.history, reader_id, row[1],
            (journal.warning,) if journal.warning else (),
        )  # fmt: skip

    def _place_now(self) -> tuple[int, int]:
        """What tells the database file from another of the same name."""
        found = (self.folder / DATABASE).stat()
        return (found.st_dev, found.st_ino)

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        if not self.writable:
            raise UserError(f"The project {self.name} is open for reading only.", "Close the other window first.")
        return schema.transaction(self._connection)

    def _insert(self, statement: str, values: tuple[Any, ...]) -> int:
        return int(self._connection.execute(statement, values).lastrowid or 0)

    def _copy(self, rows: sqlite3.Cursor, table: str, changed: Mapping[str, Any]) -> list[int]:
        """Insert rows of another project's table of the same name, some columns changed; returns the new row ids."""
        names = [column[0] for column in rows.description]
        marks = ",".join("?" * len(names))
        return [
            self._insert(
                f"INSERT INTO {table} ({','.join(names)}) VALUES ({marks})",
                tuple(changed.get(name, value) for name, value in zip(names, row, strict=True)),
            )
            for row in rows
        ]

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

    def _open_journal(self, case_id: int, reader_id: int, title: str = "") -> Journal:
        try:
            return Journal(self._connection, case_id, reader_id)
        except DamageError as error:
            raise UserError(
                f"The stored mask of {title or f'case {case_id}'} is damaged beyond what can be restored ({error}).",
                f"The last plain copy lies in {self.folder / 'masks'}.",
            ) from error
        except KeyError:
            if not self.writable:
                raise UserError(f"Reader {reader_id} has not opened {title or f'case {case_id}'} yet.") from None
        shape = self._connection.execute("SELECT z, y, x FROM case_ WHERE case_id=?", (case_id,)).fetchone()
        if shape is None:
            raise UserError(f"The project {self.name} has no case {case_id}.")
        with contextlib.nullcontext() if self._connection.in_transaction else self._writing():
            Journal.begin(
                self._connection,
                case_id,
                reader_id,
                np.zeros(shape, np.uint8),
                bytes(shape[0]),
                secrets.token_bytes(16),
            )
        return Journal(self._connection, case_id, reader_id)

    def _mirror_path(self, case_id: int, title: str, reader_id: int) -> Path:
        """``masks/TITLE.nii.gz``, with the case's id for a second case of that title, and the reader's for others."""
        stem = re.sub(r"[^\w.() -]+", "_", title).strip(" .")[:100] or f"case_{case_id}"
        first = self._connection.execute(
            "SELECT min(case_id) FROM case_ WHERE lower(title)=lower(?)", (title,)
        ).fetchone()[0]
        if first != case_id:
            stem += f"_{case_id}"
        if reader_id != FIRST_READER:
            stem += f"_reader{reader_id}"
        return self.folder / "masks" / f"{stem}.nii.gz"


def _held(folder: Path, holder: locks.Holder) -> UserError:
    mend = "Close the other window first." if holder.here else f"If nobody uses it there, delete {folder / LOCK}."
    return UserError(f"The project {folder} is open in another window ({holder}).", mend)


def _cannot_open(folder: Path, error: BaseException) -> UserError:
    return UserError(
        f"The project {folder} cannot be opened: {error}.",
        "Look whether the disk is full or the folder write-protected; if the file is damaged, copies lie in masks/.",
    )
