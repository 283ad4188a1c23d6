"""Whose scan it is: one rule for all that comes in."""

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from itertools import chain, count
from pathlib import Path

from thighview.core.scan_key import ScanKey
from thighview.io.mask_names import stem_of
from thighview.io.npz_in import subject_in
from thighview.io.records import SourceRow

_KINDS = {"anat", "func", "dwi", "fmap", "perf", "pet", "mrs", "dicom", "dicoms", "dcm", "nifti"}
"""Folders that say what kind of data lies in them, below that of a person or a session."""


def subject_of(path: Path, patient_id: str, salt: bytes) -> str:
    """Subject id by the rule: keyed hash of the DICOM PatientID, else BIDS ``sub-``, else the file-name stem.

    Of our own exports it is the one that they name.

    ``sub-`` is looked for in the name, then in that of the folder it lies in, or of the one above ``ses-*`` and folders
    for a kind of data. One further up may be called so for another reason, and would make everybody one person.

    Parameters
    ----------
    path : Path
        Where the scan lies.
    patient_id : str
        As it stands in its files; empty where they have none.
    salt : bytes
        Of the project.
    """
    if told := subject_in(path):  # one of our own exports: it is who they were there
        return told
    if patient_id:
        return "P" + hmac.new(salt, patient_id.encode(), hashlib.sha256).hexdigest()[:10]
    if named := re.findall(r"(?:^|_)(sub-[A-Za-z0-9]+)", path.name):
        return str(named[-1])
    named = re.match(r"sub-[A-Za-z0-9]+", _folder_of_person(path).name)
    return named.group() if named else stem_of(path)


def own_name(
    subject: str,
    scan: ScanKey,
    sha256: str,
    there: Sequence[SourceRow],
    folder: str = "",
    same: Callable[[SourceRow], bool] = lambda row: False,
) -> str:
    """What to call somebody who is called after a file only, so that nobody of a project is taken for them.

    Files of one name in several folders are of several persons: ``water``, ``water (folder)``. Scans of one folder or
    one file, and copies, are of one; another scan in the place of an earlier one is of another.

    Parameters
    ----------
    subject : str
        The name by the file.
    scan : ScanKey
    sha256 : str
        Of the scan; empty while not worked out.
    there : sequence of SourceRow
        The cases of the project.
    folder : str, optional
        What the place of the scan is called; by default the folder it lies in.
    same : callable
        Whether a case of the same name is of the very same scan, where hashes do not tell.
    """
    alike = [row for row in there if row.subject == subject or row.subject.startswith(f"{subject} (")]
    longer = f"{subject} ({folder or _folder_of_person(scan.path.absolute()).name})"
    for row in alike:
        if sha256 and row.sha256 == sha256:
            return row.subject
        if (row.subject == subject or row.subject.startswith(longer)) and (_beside(scan, sha256, row) or same(row)):
            return row.subject
    taken = {row.subject for row in alike}
    names = chain((subject, longer), (f"{longer} {number}" for number in count(2)))
    return next(name for name in names if name not in taken)


def is_by_file(subject: str, path: Path) -> bool:
    """Whether somebody is called after the file or folder of their scan, for want of a better name."""
    return subject == stem_of(path) and is_no_name(subject)


def is_no_name(subject: str) -> bool:
    """Whether this may be a file's name only: no ``sub-`` of BIDS, no hash, no study key of an export."""
    return re.fullmatch(r"sub-[A-Za-z0-9]+|P[0-9a-f]{10}|S[A-Z2-7]{9}", subject) is None


def is_hashed(subject: str) -> bool:
    """Whether this is the name of a person whose files name a patient."""
    return re.fullmatch(r"P[0-9a-f]{10}", subject) is not None


def _folder_of_person(path: Path) -> Path:
    """The folder a scan lies in, or the one above ``ses-*`` and folders for a kind of data."""
    folder = path.parent
    while folder.name.lower() in _KINDS or folder.name.startswith("ses-"):
        folder = folder.parent
    return folder


def _beside(scan: ScanKey, sha256: str, row: SourceRow) -> bool:
    """Whether a case lies in the folder of a scan, and is none that the scan has taken the place of."""
    place = scan.path.absolute()
    replaced = row.key.path == place and row.key.volume_part == scan.volume_part and sha256 and row.sha256
    return row.key.path.parent == place.parent and not replaced
