"""A case from one project's database into another's, with its journal row by row."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from thighview.core.errors import UserError
from thighview.core.scan_key import ScanKey
from thighview.io.reading import patient_id
from thighview.io.records import SourceRow
from thighview.io.subjects import is_by_file, is_hashed, own_name, subject_of


def subject_there(
    subject: str,
    scan: ScanKey,
    sha256: str,
    salts: tuple[bytes, bytes],
    names: tuple[str, str],
    there: Sequence[SourceRow],
) -> str:
    """What the person of a case is called in another project, where a hash of their PatientID has another salt.

    Parameters
    ----------
    subject : str
        Their name here. One that is no hash is the same everywhere, but for one after a file whose name is taken.
    scan, sha256 : ScanKey, str
        The scan of the case.
    salts : (bytes, bytes)
        Of this project and of the other one.
    names : (str, str)
        Of the case and of the other project, to be told.
    there : sequence of SourceRow
        The cases of the other project.

    Raises
    ------
    UserError
        When the scan cannot be read.
    """
    if is_by_file(subject, scan.path):
        return own_name(subject, scan, sha256, there)
    if not is_hashed(subject):
        return subject
    try:
        patient = patient_id(scan.path, scan.part, sha256)
    except UserError as error:
        raise UserError(
            f"Whose scan {names[0]} is cannot be read, and {names[1]} would take {subject} for another person than"
            f" in other scans of theirs: {error.message}",
            "Put the scan back; a person who was in no training run yet can be given a name instead.",
        ) from error
    here, other = (subject_of(scan.path, patient, salt) for salt in salts)
    return other if subject == here else subject


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
