"""A project: a folder with the database of cases, edits, readers, models and runs, and the files beside it."""

import contextlib
import json
import os
import re
import secrets
import sqlite3
import time
from pathlib import Path

import numpy as np

from thighview.core.case import Case, Series
from thighview.core.errors import UserError
from thighview.core.provenance import slices_told
from thighview.core.review import SliceReview, teaching
from thighview.core.volume import Volume
from thighview.io import locks, masks, moving, schema
from thighview.io.journal import DamageError, Journal, JournalEntry
from thighview.io.names import storable
from thighview.io.records import FIRST_READER, CaseSummary, ModelRow, Records, RunRow
from thighview.io.same_scan import same_scan

DATABASE = "project.sqlite"
LOCK = "project.lock"
FOLDERS = ("masks", "models", "runs")
__all__ = ["DATABASE", "LOCK", "CaseSummary", "ModelRow", "Project", "RunRow"]


class Project(Records):
    """An open project, used by one thread at a time. Every method that writes is one transaction."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, writable: bool) -> None:
        super().__init__(folder, connection, writable)
        self._journal: Journal | None = None
        self._unsure: tuple[JournalEntry, int, int, int] | None = None
        self._place = self._place_now()

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
                        [
                            ("name", storable(name or folder.name)),
                            ("salt", secrets.token_bytes(16)),
                            ("made", time.time()),
                        ],
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
                holder = locks.read_holder(folder / LOCK)  # who may be amid a long transaction
                if holder and holder.alive:
                    raise _held(folder, holder)
                with schema.transaction(connection):  # of several that start at once, one after the other looks
                    holder = locks.take(folder / LOCK)
                    if holder:
                        raise _held(folder, holder)
                    held = True
                schema.migrate(connection, path)
                connection.execute("PRAGMA journal_mode=WAL")
            elif (found := connection.execute("PRAGMA user_version").fetchone()[0]) < schema.VERSION:
                raise _older(folder, found)
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

    def add_case(self, case: Case, in_training_set: bool = False, part: str = "") -> int:
        """Take a case in, with mask, table, reviews and history as they are; returns its new id.

        The first series must have been read: its shape and affine are kept. ``part`` is the part its subject gets,
        unless it has one; a locked test that meets another part is refused (``UserError``).
        """
        now = time.time()
        start = case.labels.copy()
        codes = [review.code for review in case.reviews]
        done = case.history.edits[: case.history.done]
        for edit in (made.reversed() for made in reversed(done)):
            for patch in edit.patches:
                patch.apply(start)
            for change in edit.reviews:
                codes[change.slice_index] = change.after.code
        with self._writing():
            subject = storable(case.subject)
            self.need_part(subject, part)
            self._add_subject(subject, part)
            case_id = self._insert(
                "INSERT INTO case_ (subject, visit, title, z, y, x, in_training_set, made, updated)"
                " VALUES (?,?,?,?,?,?,?,?,?)",
                (subject, storable(case.visit), storable(case.title), *case.labels.shape, in_training_set, now, now),
            )
            for channel, series in enumerate(case.series):
                self._insert_series(case_id, channel, series, series.volume or case.volume)
            self._write_table(case_id, case.table)
            self._insert("INSERT OR IGNORE INTO reader VALUES (?,?)", (case.reader_id, f"Reader {case.reader_id}"))
            Journal.begin(self._connection, case_id, case.reader_id, start, codes, secrets.token_bytes(16))
            if case.history.edits:
                journal = Journal(self._connection, case_id, case.reader_id)
                for edit in case.history.edits:
                    journal.append("edit", edit)
                for _ in case.history.edits[len(done) :]:
                    journal.append("undo", None)
        return case_id

    def load_case(self, case_id: int, reader_id: int = FIRST_READER) -> Case:
        """A case with mask, reviews and history as they were left; its series are not read (``volume`` is None).

        ``warnings`` says what of a damaged journal could not be restored, until :meth:`go_on_after_damage`.

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

    def go_on_after_damage(self, case_id: int, reader_id: int = FIRST_READER) -> None:
        """Go on from what could be restored of a damaged journal, and warn no more; for where a person was told."""
        with self._writing():
            journal = self._open_journal(case_id, reader_id)
            if journal.damaged:
                journal.mend()
        self._journal = journal

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

        Beside it goes its sidecar: names and colours of its labels, and the state of each slice. Without ``volume`` the
        grid is the one kept when the case was added.
        """
        title, z, y, x = self._connection.execute(
            "SELECT title, z, y, x FROM case_ WHERE case_id=?", (case_id,)
        ).fetchone()
        path = self.mirror_path(case_id, reader_id)
        mirrored = self._connection.execute(
            "SELECT mirrored FROM reading WHERE case_id=? AND reader_id=?", (case_id, reader_id)
        ).fetchone()[0]
        journal = self._journal
        if journal is None or (journal.case_id, journal.reader_id) != (case_id, reader_id):
            journal = self._open_journal(case_id, reader_id)
        table, reviews = self.table(case_id), [SliceReview.from_code(code) for code in journal.state.codes]
        told = slices_told(teaching(reviews, volume.missing if volume else ()))
        if mirrored != journal.head or not path.exists():
            if volume is None:
                affine = self.geometry(case_id)[0][1]
                volume = Volume(np.broadcast_to(np.uint8(0), (z, y, x)), affine, title)
            masks.write_mask(path, journal.state.labels, table, volume)
            with self._writing():
                self._connection.execute(
                    "UPDATE reading SET mirrored=? WHERE case_id=? AND reader_id=?", (journal.head, case_id, reader_id)
                )
        masks.write_sidecar(path, table, **told)  # also where no edit was made: labels are renamed without one
        return path

    def mirror_path(self, case_id: int, reader_id: int = FIRST_READER) -> Path:
        """Where the mask lies as plain NIfTI once :meth:`write_mirror` has written it."""
        return self._mirror_path(case_id, self.title_and_subject(case_id)[0], reader_id)

    def move_case_to(self, case_id: int, other: "Project") -> int:
        """Hand a case over to another project, journal and all; returns its id there.

        It is whole in the other project before it leaves this one. A person whose name is a hash of their PatientID, or
        that of a file, has the name there that the other project gives them.

        Raises
        ------
        UserError
            When the other project has a case of this scan already, or that cannot be told yet: only one of the two
            could ever be opened. A case of another scan may lie at the same path. When that name cannot be worked out.
        """
        if other.folder == self.folder:
            return case_id
        mine = self.stored_scan(case_id)
        for there in other.cases():
            same = same_scan(mine, other.stored_scan(there.case_id))
            if same:
                raise UserError(
                    f"The project {other.name} has a case of {mine.key.name} already: {there.title}.",
                    "Choose another project.",
                )
            if same is None:
                raise UserError(
                    f"{other.name} may have a case of {mine.key.name} already: {there.title}. It lies in the same"
                    " place on the same voxels, and which images it was drawn on is not known yet of both.",
                    "Open each of the two in its project, and move it then.",
                )
        title, subject = self.title_and_subject(case_id)
        scan = self.stored_scan(case_id)
        salts, names = (self.salt, other.salt), (title, other.name)
        subject = moving.subject_there(subject, scan.key, scan.sha256, salts, names, other.sources())
        with other._writing():
            new_id = moving.copy_case(case_id, self._connection, other._connection, subject)
        self.remove_case(case_id)
        return new_id

    def remove_case(self, case_id: int) -> None:
        """Take a case out for good, with its masks and their history; the files of its scan stay.

        A subject that has a part of the split keeps it.
        """
        title = _stem(case_id, self.title_and_subject(case_id)[0])
        before = self._mirrors(title)
        with self._writing():
            self._connection.execute("DELETE FROM case_ WHERE case_id=?", (case_id,))
            self._connection.execute(
                "DELETE FROM subject WHERE part='' AND NOT used AND subject NOT IN (SELECT subject FROM case_)"
            )
        self._journal = None
        after = self._mirrors(title)
        for reading in before.keys() - after.keys():
            before[reading].unlink(missing_ok=True)
            masks.sidecar_path(before[reading]).unlink(missing_ok=True)
        for reading, path in after.items():  # one that had a number behind its title may have lost it
            if path != before[reading] and before[reading].exists() and not path.exists():
                before[reading].replace(path)
                with contextlib.suppress(FileNotFoundError):
                    masks.sidecar_path(before[reading]).replace(masks.sidecar_path(path))

    # ------------------------------------------------------------------ inside

    def _load_case(self, case_id: int, reader_id: int) -> Case:
        row = self._connection.execute(
            "SELECT subject, visit, title, checked FROM case_ WHERE case_id=?", (case_id,)
        ).fetchone()
        if row is None:
            raise UserError(f"The project {self.name} has no case {case_id}.")
        series = [
            Series(series_id, role, Path(path), sha256, part=part)
            for series_id, role, path, sha256, part in self._connection.execute(
                "SELECT series_id, role, path, sha256, part FROM series WHERE case_id=? ORDER BY channel", (case_id,)
            )
        ]
        journal = self._open_journal(case_id, reader_id, row[2])
        table = self.table(case_id)
        if self.writable and not journal.damaged:
            self._journal = journal
        state = journal.state
        return Case(
            case_id, row[0], row[2], series, state.labels.copy(), table,
            [SliceReview.from_code(code) for code in state.codes], journal.history, reader_id, row[1],
            (journal.warning,) if journal.warning else (), checked=frozenset(map(str, json.loads(row[3]))),
        )  # fmt: skip

    def _place_now(self) -> tuple[int, int]:
        """What tells the database file from another of the same name."""
        found = (self.folder / DATABASE).stat()
        return (found.st_dev, found.st_ino)

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
                [0] * shape[0],
                secrets.token_bytes(16),
            )
        return Journal(self._connection, case_id, reader_id)

    def _mirrors(self, title: str) -> dict[tuple[int, int], Path]:
        """The mirror of each reading by case and reader, of cases whose titles begin with this one."""
        return {
            (case_id, reader_id): self._mirror_path(case_id, own, reader_id)
            for case_id, own, reader_id in self._connection.execute(
                "SELECT case_id, title, reader_id FROM case_ JOIN reading USING (case_id) ORDER BY case_id, reader_id"
            ).fetchall()
            if _stem(case_id, own).casefold().startswith(title.casefold())
        }

    def _mirror_path(self, case_id: int, title: str, reader_id: int) -> Path:
        """``masks/TITLE.nii.gz``, with the case's id where another case has that name, and the reader's."""
        stem = _stem(case_id, title)
        others = self._connection.execute("SELECT case_id, title FROM case_ WHERE case_id<>?", (case_id,)).fetchall()
        for other, name in others:
            plain, ours = _stem(other, name).casefold(), stem.casefold()
            if (plain == ours and other < case_id) or ours == f"{plain}_{other}" or ours.startswith(f"{plain}_reader"):
                stem += f"_{case_id}"
                break
        if reader_id != FIRST_READER:
            stem += f"_reader{reader_id}"
        return self.folder / "masks" / f"{stem}.nii.gz"


def _stem(case_id: int, title: str) -> str:
    """The title of a case as a file name, with room for numbers and endings in the 255 bytes that one may have."""
    plain = re.sub(r"[^\w.() -]+", "_", title).strip(" .")[:100]
    return plain.encode()[:180].decode(errors="ignore") or f"case_{case_id}"


def _held(folder: Path, holder: locks.Holder) -> UserError:
    mend = "Close the other window first." if holder.here else f"If nobody uses it there, delete {folder / LOCK}."
    return UserError(f"The project {folder} is open in another window ({holder}).", mend)


def _older(folder: Path, found: int) -> UserError:
    """The refusal to read a project that must be written first; who is asked to do that depends on who has it."""
    holder = locks.read_holder(folder / LOCK)
    first = f"It is open in another window ({holder}): close that first. " if holder and holder.alive else ""
    if not os.access(folder / DATABASE, os.W_OK):
        first += "It may not be written there: copy the folder to where it may. "
    return UserError(
        f"The project {folder} was made by an older thighview (format {found}, this program reads {schema.VERSION}):"
        " it can be read once it has been brought up to date, and looking at it never changes it.",
        f"{first}Opening it in the window (thighview {folder}) or exporting from it brings it up to date; the database"
        f" as it was stays beside it as {schema.copy_path(folder / DATABASE, found).name}.",
    )


def _cannot_open(folder: Path, error: BaseException) -> UserError:
    return UserError(
        f"The project {folder} cannot be opened: {error}.",
        "Look whether the disk is full or the folder write-protected; if the file is damaged, copies lie in masks/.",
    )
