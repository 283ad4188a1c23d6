"""The journal of one reader's mask: every edit, undo and redo a row, chained by hashes, replayed on load."""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b

import numpy as np
import zstandard

from thighview.core.history import Edit, History
from thighview.core.mask import LabelMap, Patch, Region
from thighview.core.review import ReviewChange, SliceReview
from thighview.io.names import storable

JournalEntry = tuple[str, Edit | None]
"""``("edit", Edit)``, ``("undo", None)`` or ``("redo", None)``."""

SNAPSHOT_ENTRIES = 200
SNAPSHOT_BYTES = 5_000_000
SNAPSHOTS_KEPT = 3
"""A snapshot of the mask is kept after so many rows or bytes of patches; the newest three and the first one stay."""

MISSING_LISTED = 10_000
"""Of a gap in the count of rows at most so many are listed; a damaged count may be anything."""


class DamageError(ValueError):
    """The journal of a mask cannot be followed to any state that is known to be right."""


@dataclass
class Row:
    """One row of the journal, with the patches that belong to it."""

    n: int
    made: float
    kind: str
    name: str
    tool: str
    reviews: str
    prev_hash: bytes
    hash: bytes = b""
    patches: list[Patch] = field(default_factory=list)

    def computed_hash(self) -> bytes:
        """BLAKE2b, 16 bytes, over the hash of the row before and everything this row says."""
        words = [self.n, self.made, self.kind, self.name, self.tool, self.reviews]
        for patch in self.patches:
            r = patch.region
            words += [r.z0, r.z1, r.y0, r.y1, r.x0, r.x1, len(patch.diff), patch.before_crc, patch.after_crc]
        total = blake2b(self.prev_hash, digest_size=16)
        total.update(json.dumps(words).encode())
        for patch in self.patches:
            total.update(patch.diff)
        return total.digest()

    @cached_property
    def sound(self) -> bool:
        """Whether the row is what was written."""
        try:
            return self.computed_hash() == self.hash
        except (TypeError, ValueError):
            return False

    def edit(self) -> Edit:
        """The edit of an ``edit`` row."""
        return Edit(self.name, self.tool, tuple(self.patches), _reviews_from(self.reviews))


@dataclass
class State:
    """Where a journal stands: the mask, the review code of each slice, and which rows undo and redo can reach."""

    labels: LabelMap
    codes: list[int]
    stack: list[int] = field(default_factory=list)
    done: int = 0

    def follow(self, kind: str, n: int, edit: Edit | None) -> None:
        """Do what a row says. For undo and redo ``edit`` is the one taken back or repeated, as it was made.

        Raises
        ------
        ValueError
            When the row does not fit here; nothing is changed then.
        """
        if kind == "mend":
            return
        if edit is None or kind not in ("edit", "undo", "redo"):
            raise ValueError(f"nothing to {kind}")
        edit = edit.reversed() if kind == "undo" else edit
        if any(not 0 <= change.slice_index < len(self.codes) for change in edit.reviews):
            raise ValueError("a review of a slice that the mask does not have")
        _apply(edit.patches, self.labels)
        for change in edit.reviews:
            self.codes[change.slice_index] = change.after.code
        if kind == "edit":
            del self.stack[self.done :]
            self.stack.append(n)
        self.done += -1 if kind == "undo" else 1

    def meant(self, kind: str) -> int:
        """The row that undo or redo is about; 0 when there is none."""
        if kind == "undo":
            return self.stack[self.done - 1] if self.done else 0
        return self.stack[self.done] if self.done < len(self.stack) else 0


class Journal:
    """One reader's mask of one case in an open database, ready to take the next entry.

    Holds its own copy of the mask, so that an entry which does not fit is refused before it is written. After any
    error the object is of no use: open it again.
    """

    def __init__(self, connection: sqlite3.Connection, case_id: int, reader_id: int) -> None:
        self.case_id, self.reader_id = case_id, reader_id
        self.warning = ""
        self._connection = connection
        self._key = (case_id, reader_id)
        found = connection.execute(
            "SELECT journal_id, head, head_hash, z, y, x FROM reading JOIN case_ USING (case_id)"
            " WHERE case_id=? AND reader_id=?",
            self._key,
        ).fetchone()
        if found is None:
            raise KeyError(f"case {case_id} has no mask by reader {reader_id}")
        self._journal_id, self.head, self.head_hash = bytes(found[0]), int(found[1]), bytes(found[2])
        self._shape: tuple[int, int, int] = found[3:6]
        self._since_rows = self._since_bytes = 0
        self._damage: list[int] = []
        rows = _read_rows(connection, *self._key)
        self.state = self._restore(rows)
        self.history = self._history({row.n: row for row in rows})

    @staticmethod
    def begin(
        connection: sqlite3.Connection,
        case_id: int,
        reader_id: int,
        labels: LabelMap,
        codes: Sequence[int],
        identity: bytes,
    ) -> None:
        """Make the reading of a new case, inside the caller's transaction; its first snapshot is what it starts from.

        ``identity`` are 16 random bytes that tie the chain of rows to this mask.
        """
        connection.execute(
            "INSERT INTO reading (case_id, reader_id, journal_id, head, head_hash) VALUES (?,?,?,0,?)",
            (case_id, reader_id, identity, identity),
        )
        _write_snapshot(connection, case_id, reader_id, 0, identity, State(labels, list(codes)))
        connection.executemany(
            "INSERT INTO slice_state VALUES (?,?,?,?)",
            [(case_id, reader_id, i, code) for i, code in enumerate(codes) if code],
        )

    @property
    def damaged(self) -> bool:
        """Whether rows were found that are not what was written, and that no ``mend`` row tells of yet."""
        return bool(self._damage)

    def append(self, kind: str, edit: Edit | None, made: float | None = None) -> int:
        """Write one entry, inside the caller's transaction; returns the row's ``seq``."""
        n = self.head + 1
        meant = edit
        if kind in ("undo", "redo"):
            at = self.state.meant(kind)
            meant = _read_rows(self._connection, *self._key, at)[0].edit() if at else None
        self.state.follow(kind, n, meant)
        assert meant is not None
        seq = self._write_row(Row(
            n, time.time() if made is None else made, kind, storable(edit.name) if edit else "",
            edit.tool if edit else "",
            _reviews_to(edit.reviews) if edit else "[]", self.head_hash,
            patches=list(edit.patches) if edit else [],
        ))  # fmt: skip
        changes = meant.reversed().reviews if kind == "undo" else meant.reviews
        self._connection.executemany(
            "INSERT INTO slice_state VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET code=excluded.code",
            [(*self._key, change.slice_index, change.after.code) for change in changes],
        )
        self._since_rows += 1
        self._since_bytes += sum(patch.size_bytes for patch in meant.patches)
        if self._since_rows >= SNAPSHOT_ENTRIES or self._since_bytes >= SNAPSHOT_BYTES:
            self._snapshot()
        return seq

    def mend(self) -> None:
        """After damage: note it in a row of its own and go on from the restored mask (caller's transaction)."""
        newest = self._connection.execute(
            "SELECT n, hash FROM edit WHERE case_id=? AND reader_id=? ORDER BY n DESC LIMIT 1", self._key
        ).fetchone()
        if newest and newest[0] >= self.head:
            self.head, self.head_hash = int(newest[0]), bytes(newest[1])
        self._write_row(Row(
            self.head + 1, time.time(), "mend", "", "", json.dumps(sorted(self._damage)), self.head_hash
        ))  # fmt: skip
        self._connection.execute("DELETE FROM slice_state WHERE case_id=? AND reader_id=?", self._key)
        self._connection.executemany(
            "INSERT INTO slice_state VALUES (?,?,?,?)",
            [(*self._key, i, code) for i, code in enumerate(self.state.codes) if code],
        )
        self._snapshot()
        self._damage = []

    # ------------------------------------------------------------------ restoring

    def _restore(self, rows: list[Row]) -> State:
        sound: dict[int, bool] = {}
        last, last_hash, known, linked_to_head = 0, self._journal_id, set[int](), True
        for row in rows:
            self._damage += range(last + 1, min(row.n, last + MISSING_LISTED))
            sound[row.n] = row.sound and row.prev_hash == last_hash and row.n == last + 1
            if row.kind == "mend" and row.sound:
                known.update(json.loads(row.reviews))
                sound[row.n] = True
            if not sound[row.n]:
                self._damage.append(row.n)
            last, last_hash = row.n, row.hash
        if (last, last_hash) != (self.head, self.head_hash):
            linked_to_head = False
            self.head = min(self.head, last + MISSING_LISTED)
            self._damage += range(last + 1, self.head + 1) or [last]
        self._damage = [n for n in self._damage if n not in known]
        hashes = {row.n: row.hash for row in rows} | {0: self._journal_id}
        snapshots = self._snapshots(hashes)
        if not snapshots:
            raise DamageError("no snapshot of the mask is whole")
        start, state = snapshots[0]
        by_n = {row.n: row for row in rows}
        at = start
        for row in rows:
            if row.n <= start:
                continue
            edit = row.edit() if row.kind == "edit" and sound[row.n] else None
            if row.kind in ("undo", "redo"):
                meant = by_n.get(state.meant(row.kind))
                edit = meant.edit() if meant and meant.sound else None
            if not sound[row.n] or row.n != at + 1:
                break
            try:
                state.follow(row.kind, row.n, edit)
            except ValueError:
                self._damage.append(row.n)
                break
            at = row.n
            self._since_rows += 1
            self._since_bytes += sum(patch.size_bytes for patch in edit.patches) if edit else 0
        if at < last or not linked_to_head:
            self._damage = self._damage or [at + 1]
        self._warn(at, max(last, self.head), by_n)
        return state

    def _warn(self, at: int, newest: int, by_n: dict[int, Row]) -> None:
        if not self._damage:
            return
        when = time.strftime("%d %b %Y %H:%M", time.localtime(by_n[at].made)) if at in by_n else "its beginning"
        if at < newest:
            self.warning = (
                f"The stored edits of this mask are damaged from step {at + 1} of {newest} on: the mask is as of"
                f" {when}, later steps could not be restored."
            )
        else:
            self.warning = (
                f"{len(set(self._damage))} of {newest} stored edits of this mask are damaged. The mask itself is"
                " complete; undo reaches back only to the damage."
            )

    def _snapshots(self, hashes: dict[int, bytes]) -> list[tuple[int, State]]:
        """The newest snapshot that is whole and belongs to this chain of rows, as a list of none or one."""
        for n, labels, codes, stack, done, head_hash, total in self._connection.execute(
            "SELECT n, labels, codes, stack, done, head_hash, hash FROM snapshot"
            " WHERE case_id=? AND reader_id=? ORDER BY n DESC",
            self._key,
        ):
            if hashes.get(n) != head_hash or snapshot_hash(n, labels, codes, stack, done, head_hash) != total:
                continue
            raw = zstandard.ZstdDecompressor().decompress(labels, max_output_size=int(np.prod(self._shape)))
            mask = np.frombuffer(raw, np.uint8).reshape(self._shape).copy()
            steps = np.cumsum(np.frombuffer(zstandard.ZstdDecompressor().decompress(stack), "<i8"))
            return [(n, State(mask, [int(c) for c in np.frombuffer(codes, "<u2")], [int(i) for i in steps], int(done)))]
        return []

    def _history(self, by_n: dict[int, Row]) -> History:
        """Undo and redo as they were left; what lies beyond a damaged row is cut off from ``state`` as well."""
        state = self.state
        good = [n in by_n and by_n[n].kind == "edit" and by_n[n].sound for n in state.stack]
        first = max((i + 1 for i in range(state.done) if not good[i]), default=0)
        end = next((i for i in range(state.done, len(good)) if not good[i]), len(good))
        state.stack, state.done = state.stack[first:end], state.done - first
        return History.restored([by_n[n].edit() for n in state.stack], state.done)

    # ------------------------------------------------------------------ writing

    def _write_row(self, row: Row) -> int:
        row.hash = row.computed_hash()
        seq = self._connection.execute(
            "INSERT INTO edit (case_id, reader_id, n, made, kind, name, tool, reviews, prev_hash, hash)"
            " VALUES (?,?,?,?,?,?,?,?,?,?)",
            (*self._key, row.n, row.made, row.kind, row.name, row.tool, row.reviews, row.prev_hash, row.hash),
        ).lastrowid
        assert seq is not None
        self._connection.executemany(
            "INSERT INTO patch VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            [
                (seq, i, r.z0, r.z1, r.y0, r.y1, r.x0, r.x1, p.diff, p.before_crc, p.after_crc)
                for i, p in enumerate(row.patches)
                for r in (p.region,)
            ],
        )
        self._connection.execute(
            "UPDATE reading SET head=?, head_hash=? WHERE case_id=? AND reader_id=?", (row.n, row.hash, *self._key)
        )
        self.head, self.head_hash = row.n, row.hash
        return seq

    def _snapshot(self) -> None:
        _write_snapshot(self._connection, *self._key, self.head, self.head_hash, self.state)
        self._connection.execute(
            "DELETE FROM snapshot WHERE case_id=? AND reader_id=? AND n>0 AND n NOT IN"
            " (SELECT n FROM snapshot WHERE case_id=? AND reader_id=? ORDER BY n DESC LIMIT ?)",
            (*self._key, *self._key, SNAPSHOTS_KEPT),
        )
        self._since_rows = self._since_bytes = 0


def _apply(patches: Sequence[Patch], labels: LabelMap) -> None:
    """Apply all patches, or none and raise ValueError."""
    for i, patch in enumerate(patches):
        try:
            patch.apply(labels)
        except ValueError:
            for other in reversed(patches[:i]):
                other.reversed().apply(labels)
            raise


def _read_rows(connection: sqlite3.Connection, case_id: int, reader_id: int, n: int = 0) -> list[Row]:
    """All rows of a journal in order, or only row ``n``."""
    where, key = "case_id=? AND reader_id=?", (case_id, reader_id)
    if n:
        where, key = where + " AND n=?", (*key, n)
    rows: list[Row] = []
    by_seq: dict[int, Row] = {}
    for seq, *words in connection.execute(
        f"SELECT seq, n, made, kind, name, tool, reviews, prev_hash, hash FROM edit WHERE {where} ORDER BY n", key
    ):
        by_seq[seq] = Row(*words)
        rows.append(by_seq[seq])
    for seq, z0, z1, y0, y1, x0, x1, diff, before, after in connection.execute(
        "SELECT patch.seq, z0, z1, y0, y1, x0, x1, diff, before_crc, after_crc FROM edit JOIN patch USING (seq)"
        f" WHERE {where} ORDER BY patch.seq, part",
        key,
    ):
        by_seq[seq].patches.append(Patch(Region(z0, z1, y0, y1, x0, x1), diff, before, after))
    return rows


def _write_snapshot(
    connection: sqlite3.Connection, case_id: int, reader_id: int, n: int, head_hash: bytes, state: State
) -> None:
    pack = zstandard.ZstdCompressor(level=3)
    labels = pack.compress(np.ascontiguousarray(state.labels).data)
    stack = pack.compress(np.diff(np.array(state.stack, "<i8"), prepend=0).astype("<i8").tobytes())
    codes = np.array(state.codes, "<u2").tobytes()
    total = snapshot_hash(n, labels, codes, stack, state.done, head_hash)
    connection.execute(
        "INSERT INTO snapshot VALUES (?,?,?,?,?,?,?,?,?)",
        (case_id, reader_id, n, labels, codes, stack, state.done, head_hash, total),
    )


def snapshot_hash(n: int, labels: bytes, codes: bytes, stack: bytes, done: int, head_hash: bytes) -> bytes:
    """BLAKE2b, 16 bytes, over everything a snapshot says."""
    total = blake2b(json.dumps([n, len(labels), len(codes), len(stack), done]).encode(), digest_size=16)
    for part in (labels, codes, stack, head_hash):
        total.update(part)
    return total.digest()


def _reviews_to(changes: Iterable[ReviewChange]) -> str:
    return json.dumps([[c.slice_index, c.before.code, c.after.code] for c in changes])


def _reviews_from(text: str) -> tuple[ReviewChange, ...]:
    return tuple(
        ReviewChange(i, SliceReview.from_code(before), SliceReview.from_code(after))
        for i, before, after in json.loads(text)
    )
