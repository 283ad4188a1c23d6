"""Who is trained on, who validates, who stays locked away: by person, by a salted hash, once and for all."""

from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import blake2b

PARTS = ("train", "validation", "test")
TRAIN_SHARE, VALIDATION_SHARE = 0.70, 0.15
VALIDATION_FROM, TEST_FROM = 3, 8
"""Number of subjects from which on the validation part, and the locked test part, has at least one."""


def share_of(subject: str, salt: bytes, purpose: str = "part") -> float:
    """A number in [0, 1) that is always the same for a subject and a salt, and says nothing about the subject.

    BLAKE2b of the subject's id, keyed with the salt; the first 8 bytes as a fraction.
    """
    digest = blake2b(subject.encode(), key=salt[:64], digest_size=8, person=purpose.encode()[:16]).digest()
    return int.from_bytes(digest, "big") / 2**64


def assign(subjects: Iterable[str], salt: bytes, made: Mapping[str, str]) -> dict[str, str]:
    """The part of every subject; what ``made`` says stays.

    New subjects are taken in an order that only the salt decides. The first two of a project train; the validation
    part gets its first subject when there are 3, the locked test part when there are 8; apart from that the hash
    decides, 70 / 15 / 15 (before the test part is open, 70 / 15 of what is left).

    Parameters
    ----------
    subjects : iterable of str
        Subject ids.
    salt : bytes
        16 random bytes of the project.
    made : mapping of str to str
        Assignments made before.

    Returns
    -------
    dict of str to str
        ``made`` and every subject: ``train``, ``validation`` or ``test``.
    """
    parts = dict(made)
    counts = Counter(parts.values())
    for subject in sorted(set(subjects) - parts.keys(), key=lambda s: (share_of(s, salt, "order"), s)):
        total = len(parts) + 1
        if total < VALIDATION_FROM or not counts["train"]:
            part = "train"
        elif not counts["validation"]:
            part = "validation"
        elif total >= TEST_FROM and not counts["test"]:
            part = "test"
        else:
            part = _by_hash(share_of(subject, salt), test_open=total >= TEST_FROM)
        parts[subject] = part
        counts[part] += 1
    return parts


def _by_hash(share: float, test_open: bool) -> str:
    if not test_open:
        share *= TRAIN_SHARE + VALIDATION_SHARE
    if share < TRAIN_SHARE:
        return "train"
    return "validation" if share < TRAIN_SHARE + VALIDATION_SHARE else "test"
