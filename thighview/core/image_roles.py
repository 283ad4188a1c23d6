"""What the images of a case show: the roles they can have, and a guess from a name."""

import re

ROLES = {
    "image": "Image",
    "water": "Water",
    "fat": "Fat",
    "in_phase": "In-phase",
    "out_phase": "Out-of-phase",
    "t1": "T1",
    "t2": "T2",
    "fat_fraction": "Fat fraction",
}
"""Role as it is stored, and in words."""

_NAMED = (
    ("water", r"water|wat|w"),
    ("fat", r"fat|f"),
    ("in_phase", r"in|ip|in.?phase|inp"),
    ("out_phase", r"out|op|opp|opposed|out.?phase|opposed.?phase"),
    ("t1", r"t1w?"),
    ("t2", r"t2w?"),
)
_NO_IMAGE_OF_FAT = re.compile(r"fat.?(sat|sup|frac)|fs\b", re.IGNORECASE)


def guess_role(name: str) -> str:
    """The role a name speaks of (``t1_vibe_dixon_W`` is water); ``image`` where it speaks of none, or of several.

    It is a proposal: the person sees it and can choose another.
    """
    if _NO_IMAGE_OF_FAT.search(name):
        return "image"
    words = re.split(r"[^A-Za-z0-9]+", name)
    found = {role for role, pattern in _NAMED for word in words if re.fullmatch(pattern, word, re.IGNORECASE)}
    found |= {"water" for _ in re.finditer(r"water", name, re.IGNORECASE)}
    parts = found - {"t1", "t2"}  # of a T1 weighted Dixon, the part of the Dixon is what it shows
    wanted = parts or found
    return wanted.pop() if len(wanted) == 1 else "image"
