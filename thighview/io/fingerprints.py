"""Fingerprints of a project's scans, kept by the SHA-256 of their files: a scan is read for them once."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from thighview.core.errors import UserError
from thighview.core.fingerprint import Fingerprint, fingerprint
from thighview.core.scan_key import ScanKey
from thighview.io.atomic import write_json_atomic
from thighview.io.json_files import read_json
from thighview.io.reading import read_known

FILE = "fingerprints.json"
FORMAT = 1
"""Of the hashes: another number, and all are made anew."""


def known_fingerprints(project: Path) -> dict[str, Fingerprint]:
    """Fingerprints by SHA-256 of the scan's file; empty where there are none, or the file is not readable."""
    path = project / FILE
    if not path.exists():
        return {}
    try:
        data = read_json(path, "They are made anew.")
    except UserError:  # nothing is lost
        return {}
    rows = data.get("scans")
    if data.get("format") != FORMAT or not isinstance(rows, dict):
        return {}
    return {str(sha256): Fingerprint(*row) for sha256, row in rows.items() if _is_row(row)}


def take_fingerprints(project: Path, scans: Iterable[tuple[ScanKey, str]]) -> dict[str, Fingerprint]:
    """Fingerprints of these scans (with their SHA-256), made and kept where they were not known.

    A scan that is gone, changed or cannot be read has none: whoever trains on it says so. It takes about as long as
    reading the new ones, and loads the libraries for that: for a process without a window.
    """
    known = known_fingerprints(project)
    wanted = dict(scans)
    new: dict[str, Fingerprint] = {}
    for key, sha256 in wanted.items():
        if sha256 in known or sha256 in new:
            continue
        try:
            if sha256 and key.path.exists():
                new[sha256] = fingerprint(read_known(*key, sha256))
        except (UserError, OSError):
            continue
    if new:
        _keep(project, known_fingerprints(project) | new)
    return {sha256: found for sha256 in wanted.values() if (found := (known | new).get(sha256))}


def make_fingerprints(project: str, scans: list[list[str]]) -> dict[str, int]:
    """:func:`take_fingerprints` as the function of a process: plain data in (path, part, SHA-256 of each) and out.

    So many of them are ``known`` now.
    """
    wanted = [(ScanKey(Path(path), part), sha256) for path, part, sha256 in scans]
    return {"known": len(take_fingerprints(Path(project), wanted))}


def _keep(project: Path, prints: Mapping[str, Fingerprint]) -> None:
    rows = {sha256: [one.content, one.look] for sha256, one in prints.items()}
    write_json_atomic(project / FILE, {"format": FORMAT, "scans": rows})


def _is_row(row: object) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 2
        and all(isinstance(word, str) and re.fullmatch("[0-9a-f]*", word) for word in row)
    )
