"""What the training set's card says about scans that look alike and count as two people."""

from dataclasses import dataclass
from pathlib import Path

from thighview.app.jobs import Job, run_in_process
from thighview.core.fingerprint import Fingerprint
from thighview.core.scan_key import ScanKey
from thighview.core.twins import twin_sentences, twins
from thighview.io.fingerprints import known_fingerprints
from thighview.io.project import Project


@dataclass(frozen=True)
class _Scan:
    title: str
    subject: str
    part: str
    content: str
    look: str


@dataclass(frozen=True)
class Twins:
    """``said``: sentences about pairs of the training set; ``unread``: scans and their SHA-256, not looked at yet."""

    said: list[str]
    unread: list[tuple[ScanKey, str]]


def twin_warnings(folder: Path) -> Twins:
    """What the fingerprints of a project's training set tell; for a worker thread: small files are read.

    Raises
    ------
    UserError
        When the project cannot be opened.
    """
    prints = known_fingerprints(folder)
    project = Project.open(folder, writable=False)
    try:
        hashes = project.hashes()
        chosen = [case for case in project.cases() if case.in_training_set]
    finally:
        project.close()
    known = [(case, hashes.get(case.case_id, "")) for case in chosen]
    unread = [(case.key, sha256) for case, sha256 in known if sha256 and sha256 not in prints]
    seen = [(case, prints.get(sha256, Fingerprint())) for case, sha256 in known]
    return Twins(twin_sentences(twins(_Scan(c.title, c.subject, c.part, p.content, p.look) for c, p in seen)), unread)


def read_unread(folder: Path, unread: list[tuple[ScanKey, str]]) -> Job:
    """Have the fingerprints of these scans made and kept by a process of its own."""
    plain = [(str(key.path), key.part, sha256) for key, sha256 in unread]
    return run_in_process("thighview.io.fingerprints:make_fingerprints", str(folder), plain, lane="fingerprints")
