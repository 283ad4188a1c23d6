"""Whose scan it is: one rule for all that comes in."""

import hashlib
import hmac
import re
from pathlib import Path

from thighview.io.mask_names import stem_of


def subject_of(path: Path, patient_id: str, salt: bytes) -> str:
    """Subject id by the rule: keyed hash of the DICOM PatientID, else BIDS ``sub-``, else the file-name stem.

    Parameters
    ----------
    path : Path
        Where the scan lies.
    patient_id : str
        As it stands in its files; empty where they have none.
    salt : bytes
        Of the project.
    """
    if patient_id:
        return "P" + hmac.new(salt, patient_id.encode(), hashlib.sha256).hexdigest()[:10]
    named = re.search(r"(?:^|[_/\\])(sub-[A-Za-z0-9]+)", str(path))
    return named.group(1) if named else stem_of(path)


def is_hashed(subject: str) -> bool:
    """Whether this is the name of a person whose files name a patient."""
    return re.fullmatch(r"P[0-9a-f]{10}", subject) is not None
