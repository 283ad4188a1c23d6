"""What the training set's card says about scans that look alike and count as two people."""

from dataclasses import dataclass
from pathlib import Path

from thighview.core.fingerprint import Fingerprint
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


def twin_warnings(folder: Path) -> list[str]:
    """Sentences about pairs of the project's training set; only scans that a run has read once are known.

    Reads small files: for a worker thread.

    Raises
    ------
    UserError
        When the project cannot be opened.
    """
    prints = known_fingerprints(folder)
    if len(prints) < 2:
        return []
    project = Project.open(folder, writable=False)
    try:
        hashes = project.hashes()
        chosen = [case for case in project.cases() if case.in_training_set]
    finally:
        project.close()
    known = [(case, prints.get(hashes.get(case.case_id, ""), Fingerprint())) for case in chosen]
    return twin_sentences(twins(_Scan(c.title, c.subject, c.part, p.content, p.look) for c, p in known))
