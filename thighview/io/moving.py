"""A case from one project's database into another's, with its journal row by row."""

import sqlite3
from collections.abc import Mapping
from typing import Any


def copy_case(case_id: int, source: sqlite3.Connection, target: sqlite3.Connection, subject: str) -> int:
    """Copy everything that belongs to a case, inside the caller's transaction on ``target``; returns its id there.

    ``subject`` is what its person is called there, who keeps the part, unless the target has decided on one, and cannot
    be renamed if that could not be done here; hashes stay as they are, for they do not depend on ids.
    """
    read = source.execute
    person = read("SELECT part, used FROM case_ JOIN subject USING (subject) WHERE case_id=?", (case_id,))
    target.execute(
        "INSERT INTO subject (subject, part, used) VALUES (?,?,?) ON CONFLICT DO UPDATE SET"
        " part=iif(part='', excluded.part, part), used=max(used, excluded.used)",
        (subject, *person.fetchone()),
    )
    named = {"case_id": None, "subject": subject}
    new_id = _copy(read("SELECT * FROM case_ WHERE case_id=?", (case_id,)), target, "case_", named)[0]
    there = {"case_id": new_id}
    for reader in read("SELECT reader.* FROM reader JOIN reading USING (reader_id) WHERE case_id=?", (case_id,)):
        target.execute("INSERT OR IGNORE INTO reader VALUES (?,?)", reader)
    for table, changed in (
        ("series", {"series_id": None}), ("label", {}), ("reading", {"mirrored": -1}), ("snapshot", {}),
        ("slice_state", {}),
    ):  # fmt: skip
        _copy(read(f"SELECT * FROM {table} WHERE case_id=?", (case_id,)), target, table, there | changed)
    for (seq,) in read("SELECT seq FROM edit WHERE case_id=? ORDER BY seq", (case_id,)).fetchall():
        row = read("SELECT * FROM edit WHERE seq=?", (seq,))
        new_seq = _copy(row, target, "edit", there | {"seq": None})[0]
        _copy(read("SELECT * FROM patch WHERE seq=?", (seq,)), target, "patch", {"seq": new_seq})
    return new_id


def _copy(rows: sqlite3.Cursor, target: sqlite3.Connection, table: str, changed: Mapping[str, Any]) -> list[int]:
    """Insert rows into the table of the same name, some columns changed; returns the new row ids."""
    names = [column[0] for column in rows.description]
    statement = f"INSERT INTO {table} ({','.join(names)}) VALUES ({','.join('?' * len(names))})"
    return [
        target.execute(
            statement, tuple(changed.get(name, value) for name, value in zip(names, row, strict=True))
        ).lastrowid
        or 0
        for row in rows
    ]
