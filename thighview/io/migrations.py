"""How the database of a project made by an older program is brought up to date, one version at a time."""

import sqlite3
from collections.abc import Callable, Mapping

import numpy as np

from thighview.io.journal import snapshot_hash

Step = Callable[[sqlite3.Connection], None]


def _widen_codes(connection: sqlite3.Connection) -> None:
    """1 to 2: a slice's code in a snapshot takes two bytes, so that the model's uncertainty has room in it.

    A snapshot that is not what was written stays as it is, and stays refused.
    """
    rows = connection.execute(
        "SELECT case_id, reader_id, n, labels, codes, stack, done, head_hash, hash FROM snapshot"
    ).fetchall()
    for case_id, reader_id, n, labels, codes, stack, done, head_hash, found in rows:
        if snapshot_hash(n, labels, codes, stack, done, head_hash) != found:
            continue
        wide = np.frombuffer(codes, np.uint8).astype("<u2").tobytes()
        connection.execute(
            "UPDATE snapshot SET codes=?, hash=? WHERE case_id=? AND reader_id=? AND n=?",
            (wide, snapshot_hash(n, labels, wide, stack, done, head_hash), case_id, reader_id, n),
        )


def _parts_and_checks(connection: sqlite3.Connection) -> None:
    """2 to 3: a scan is a path and a part of what lies there, until now all of it; doubts can be checked."""
    connection.execute("ALTER TABLE series ADD COLUMN part TEXT NOT NULL DEFAULT ''")
    connection.execute("ALTER TABLE case_ ADD COLUMN checked TEXT NOT NULL DEFAULT '[]'")


STEPS: Mapping[int, Step] = {1: _widen_codes, 2: _parts_and_checks}
"""From version v to v + 1, by v."""
