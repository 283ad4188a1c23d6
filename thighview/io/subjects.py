"""Whose scan it is: one rule for all that comes in."""

import hashlib
import hmac
import re
from pathlib import Path

from thighview.io.mask_names import stem_of
from thighview.io.npz_in import subject_in

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
    folder = path.parent
    while folder.name.lower() in _KINDS or folder.name.startswith("ses-"):
        folder = folder.parent
    named = re.match(r"sub-[A-Za-z0-9]+", folder.name)
    return named.group() if named else stem_of(path)


def is_hashed(subject: str) -> bool:
    """Whether this is the name of a person whose files name a patient."""
    return re.fullmatch(r"P[0-9a-f]{10}", subject) is not None
