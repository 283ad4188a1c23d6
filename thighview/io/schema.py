"""The tables of ``project.sqlite``, how it is opened, and how older files are brought up to date."""

import contextlib
import os
import sqlite3
from collections.abc import Generator, Mapping
from pathlib import Path

from thighview.core.errors import UserError
from thighview.io import migrations

APPLICATION_ID = 0x54484947
"""``THIG``, at a fixed place in the file's header: says that it is ours."""

VERSION = 3

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE reader (reader_id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE subject (
    subject TEXT PRIMARY KEY,
    part TEXT NOT NULL DEFAULT '' CHECK (part IN ('', 'train', 'validation', 'test')),
    used INTEGER NOT NULL DEFAULT 0);
CREATE TABLE case_ (
    case_id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL REFERENCES subject, visit TEXT NOT NULL, title TEXT NOT NULL,
    z INTEGER NOT NULL, y INTEGER NOT NULL, x INTEGER NOT NULL,
    in_training_set INTEGER NOT NULL DEFAULT 0, made REAL NOT NULL, updated REAL NOT NULL,
    checked TEXT NOT NULL DEFAULT '[]');
CREATE TABLE series (
    series_id INTEGER PRIMARY KEY AUTOINCREMENT,
    case_id INTEGER NOT NULL REFERENCES case_ ON DELETE CASCADE,
    channel INTEGER NOT NULL, role TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
    z INTEGER NOT NULL, y INTEGER NOT NULL, x INTEGER NOT NULL, affine TEXT NOT NULL,
    part TEXT NOT NULL DEFAULT '',
    UNIQUE (case_id, channel));
CREATE INDEX series_path ON series (path);
CREATE TABLE label (
    case_id INTEGER NOT NULL REFERENCES case_ ON DELETE CASCADE,
    value INTEGER NOT NULL, name TEXT NOT NULL, side TEXT NOT NULL, colour TEXT NOT NULL, file_id INTEGER NOT NULL,
    PRIMARY KEY (case_id, value));
CREATE TABLE reading (
    case_id INTEGER NOT NULL REFERENCES case_ ON DELETE CASCADE,
    reader_id INTEGER NOT NULL REFERENCES reader,
    journal_id BLOB NOT NULL, head INTEGER NOT NULL, head_hash BLOB NOT NULL, mirrored INTEGER NOT NULL DEFAULT -1,
    PRIMARY KEY (case_id, reader_id));
CREATE TABLE edit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    case_id INTEGER NOT NULL, reader_id INTEGER NOT NULL, n INTEGER NOT NULL, made REAL NOT NULL,
    kind TEXT NOT NULL, name TEXT NOT NULL, tool TEXT NOT NULL, reviews TEXT NOT NULL,
    prev_hash BLOB NOT NULL, hash BLOB NOT NULL,
    UNIQUE (case_id, reader_id, n),
    FOREIGN KEY (case_id, reader_id) REFERENCES reading ON DELETE CASCADE);
CREATE TABLE patch (
    seq INTEGER NOT NULL REFERENCES edit ON DELETE CASCADE, part INTEGER NOT NULL,
    z0 INTEGER NOT NULL, z1 INTEGER NOT NULL, y0 INTEGER NOT NULL, y1 INTEGER NOT NULL,
    x0 INTEGER NOT NULL, x1 INTEGER NOT NULL,
    diff BLOB NOT NULL, before_crc INTEGER NOT NULL, after_crc INTEGER NOT NULL,
    PRIMARY KEY (seq, part));
CREATE TABLE snapshot (
    case_id INTEGER NOT NULL, reader_id INTEGER NOT NULL, n INTEGER NOT NULL,
    labels BLOB NOT NULL, codes BLOB NOT NULL, stack BLOB NOT NULL, done INTEGER NOT NULL,
    head_hash BLOB NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (case_id, reader_id, n),
    FOREIGN KEY (case_id, reader_id) REFERENCES reading ON DELETE CASCADE);
CREATE TABLE slice_state (
    case_id INTEGER NOT NULL, reader_id INTEGER NOT NULL, slice INTEGER NOT NULL, code INTEGER NOT NULL,
    PRIMARY KEY (case_id, reader_id, slice),
    FOREIGN KEY (case_id, reader_id) REFERENCES reading ON DELETE CASCADE) WITHOUT ROWID;
CREATE TABLE run (
    run_id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, made REAL NOT NULL, config TEXT NOT NULL);
CREATE TABLE model (
    model_id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, folder TEXT NOT NULL,
    weights_sha256 TEXT NOT NULL, made REAL NOT NULL, run TEXT NOT NULL DEFAULT '')
"""
"""Colours, affines, configs and reviews are JSON; ``case_`` is what a person calls a case.

``case_.checked`` lists the doubts about a scan that a person has looked into.
``reading`` is one reader's mask of one case, ``edit`` its journal: rows are added, never updated or deleted. ``n``
counts them from 1; ``prev_hash`` of the first is the reading's ``journal_id``. ``series.channel`` is the input
channel of a model, ``series.part`` which part of what lies at ``path`` it is. ``mirrored`` is the row up to which the
mask also lies in ``masks/``. ``code`` in ``slice_state`` and in reviews is that of ``core.review.SliceReview``;
``snapshot.codes`` has one per slice, 16 bits, low byte first.
"""


def connect(path: Path, writable: bool) -> sqlite3.Connection:
    """Open the database with the settings that make a commit durable; no transaction is ever begun silently.

    A writable connection may be handed to another thread, used by one at a time.
    """
    uri = path.absolute().as_uri() + ("?mode=rw" if writable else "?mode=ro")
    connection = sqlite3.connect(uri, uri=True, timeout=5.0, isolation_level=None, check_same_thread=False)
    connection.text_factory = _text
    try:
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("PRAGMA foreign_keys=ON")
        if writable:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA fullfsync=ON")
            connection.execute("PRAGMA checkpoint_fullfsync=ON")
        else:
            connection.execute("PRAGMA query_only=ON")
            try:
                connection.execute("SELECT count(*) FROM sqlite_schema")
            except sqlite3.OperationalError:  # nothing can be written beside it: fine as long as nobody writes
                if path.with_name(path.name + "-wal").exists():
                    raise
                connection.close()
                connection = sqlite3.connect(
                    uri + "&immutable=1", uri=True, isolation_level=None, check_same_thread=False
                )
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _text(stored: bytes) -> str:
    """Text as it was stored; damaged bytes are replaced, so that hashes tell of them instead of SQLite."""
    return stored.decode("utf-8", "replace")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Generator[None]:
    """All or nothing: commit at the end, roll back on any exception."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def is_blank(connection: sqlite3.Connection) -> bool:
    """Whether nothing was ever written (making the project was cut short)."""
    return connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0


def lay_out(connection: sqlite3.Connection) -> None:
    """Make the tables of the newest version in a blank database, inside the caller's transaction."""
    for statement in TABLES.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={VERSION}")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that is not one of ours or could run things of its own.

    Raises
    ------
    UserError
        Not a project, made by a newer program, or with triggers or views in it.
    """
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise UserError(f"{path} is not a thighview project.", "Choose the folder of a project.")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise UserError(
            f"This project was made by a newer thighview (format {version}, this program knows {VERSION}).",
            "Update thighview to open it.",
        )
    odd = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%'"
    ).fetchone()
    if odd:
        raise UserError(f"The project file {path} holds something foreign ({odd[0]!r}).", "Do not open it.")


def copy_path(path: Path, version: int) -> Path:
    """Where a database of this version is kept when it is brought up to date."""
    return path.with_name(f"{path.name}.v{version}.bak")


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    steps: Mapping[int, migrations.Step] = migrations.STEPS,
    newest: int = VERSION,
) -> bool:
    """Bring an older database to the newest version: a copy is kept beside it, all steps are one transaction.

    Returns
    -------
    bool
        Whether anything was done.
    """
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found >= newest:
        return False
    copy = copy_path(path, found)
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    kept = sqlite3.connect(copy)
    try:
        connection.backup(kept)
    finally:
        kept.close()
    connection.execute("PRAGMA foreign_keys=OFF")
    try:
        with transaction(connection, "EXCLUSIVE"):
            for version in range(found, newest):
                steps[version](connection)
                connection.execute(f"PRAGMA user_version={version + 1}")
    finally:
        connection.execute("PRAGMA foreign_keys=ON")
    return True
