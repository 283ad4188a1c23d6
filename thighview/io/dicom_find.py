"""A tree of folders looked through for DICOM images: by reading, whatever the files are called."""

import contextlib
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from thighview.core.errors import UserError
from thighview.io.child import Report, nobody
from thighview.io.dicom_file import NoImageError
from thighview.io.dicom_header import Slice, read_slices, text_of

MOST_FILES = 20_000
_MOST_NAMES = 200_000
_TOLD_EVERY = 20
_MOST_BESIDE = 64
_SETTLED_NS = 2_000_000_000
"""A file that was changed this short a while ago may change again without its time showing it."""


@dataclass(frozen=True)
class Refused:
    """What files are that hold no image that can be opened: whose they are, the reason, how many."""

    title: str
    reason: str
    count: int
    series_uid: str = ""


@dataclass
class Found:
    """The images in a tree, and why other DICOM files are not among them."""

    root: Path
    slices: list[Slice] = field(default_factory=list)
    refused: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How many files are refused, by their series' title, the reason, and the series' UID."""
    damaged: Counter[Path] = field(default_factory=Counter)
    """How many files of a folder are damaged."""

    @property
    def refusals(self) -> list[Refused]:
        """The refused files, together where series and reason are the same."""
        return [Refused(title, reason, count, uid) for (title, reason, uid), count in self.refused.items()]

    @property
    def reasons(self) -> str:
        """All reasons in one line."""
        counts: Counter[str] = Counter()
        for (_, reason, _), count in self.refused.items():
            counts[reason] += count
        return "; ".join(one if n == 1 else f"{n} files are each {one}" for one, n in counts.items())


def look_through(root: Path, deep: bool, report: Report = nobody) -> Found:
    """Read the headers of all DICOM files in a folder, and below it where ``deep``; links are not followed.

    Parameters
    ----------
    root : Path
        The folder.
    deep : bool
        Whether to look into the folders in it.
    report : callable
        How many of how many files were looked at, said in words.

    Raises
    ------
    UserError
        When there are too many.
    """
    found = Found(root)
    paths = _files(root, deep)
    images = 0
    for done, path in enumerate(paths):
        if done % _TOLD_EVERY == 0:
            report.say(f"{done:,} of {len(paths):,} files looked at")
        try:
            slices = slices_of(path)
        except UserError as error:
            facts = error.facts if isinstance(error, NoImageError) else {}
            number, name = text_of(facts, "SeriesNumber"), text_of(facts, "SeriesDescription")
            title = " ".join(filter(None, (f"series {number}" if number else "", f'"{name}"' if name else "")))
            found.refused[title, error.message, text_of(facts, "SeriesInstanceUID")] += 1
            if error.message.startswith("damaged"):
                found.damaged[path.parent] += 1
            slices = []
        except OSError:  # gone meanwhile, or not ours to read
            continue
        found.slices += slices or []
        images += slices is not None
        if images > MOST_FILES:
            raise UserError(f"{root} holds more than {MOST_FILES:,} DICOM files.", "Choose a smaller folder.")
    return found


def _files(root: Path, deep: bool) -> list[Path]:
    """All plain files, in the order of their names; no link, no pipe, nothing hidden."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if deep else []
        for name in sorted(names):
            path = Path(folder) / name
            if not name.startswith(".") and not path.is_symlink() and path.is_file():
                found.append(path)
        if len(found) > _MOST_NAMES:
            raise UserError(f"{root} holds more than {_MOST_NAMES:,} files.", "Choose a smaller folder.")
    return found


def some_files_beside(folder: Path) -> list[Path]:
    """The first and the last file of each folder that lies beside this one, of a few dozen folders."""
    found: list[Path] = []
    with contextlib.suppress(OSError):
        beside = sorted(one for one in folder.parent.iterdir() if one != folder and not one.name.startswith("."))
        for one in beside[:_MOST_BESIDE]:
            if one.is_dir() and not one.is_symlink():
                names = sorted(name for name in os.listdir(one) if not name.startswith("."))  # noqa: PTH208 - no stat
                ends = {one / name for name in (*names[:1], *names[-1:])}
                found += [path for path in sorted(ends) if path.is_file() and not path.is_symlink()]
    return found


_known: dict[Path, tuple[tuple[int, ...], list[Slice] | UserError | None]] = {}
"""What files held when they were read last: a series is asked about several times while it is opened."""


def slices_of(path: Path) -> list[Slice] | None:
    """:func:`read_slices`, once for a file that has not changed since."""
    facts = path.stat()
    mark = (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    known = _known.get(path)
    if known is None or known[0] != mark:
        try:
            result: list[Slice] | UserError | None = read_slices(path)
        except UserError as error:
            result = error
        known = (mark, result)
        if time.time_ns() - max(facts.st_mtime_ns, facts.st_ctime_ns) > _SETTLED_NS:
            if len(_known) > 2 * MOST_FILES:
                _known.clear()
            _known[path] = known
    if isinstance(known[1], UserError):
        raise known[1].with_traceback(None)
    return known[1]
