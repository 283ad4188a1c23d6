"""Replacing a folder so that it is there whole, old or new, whatever happens meanwhile."""

import re
import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

_OLD = re.compile(r"\.(.+)\.[0-9a-f]{8}\.old")
_TRIES = 3


@contextmanager
def new_folder(place: Path) -> Generator[Path]:
    """A hidden folder beside its place, to be filled; it takes that place when the block ends well.

    What was there before goes then. When the block raises, or the folder cannot be put there, the old one stays and
    nothing is left beside it. Killed between the two renames, the old one waits for :func:`put_back`.

    Parameters
    ----------
    place : Path
        Where it goes; its parent is made when it is missing.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    put_back(place.parent)
    mark = uuid.uuid4().hex[:8]
    staged, old = place.with_name(f".{place.name}.{mark}.new"), place.with_name(f".{place.name}.{mark}.old")
    try:
        staged.mkdir()
        yield staged
        _swap(staged, place, old)
    except BaseException:
        if old.exists() and not place.exists():
            old.rename(place)
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def put_back(root: Path) -> None:
    """Give the folders of ``root`` their names again that were being replaced when the program was killed."""
    for old in sorted(root.glob(".*.old")):
        named = _OLD.fullmatch(old.name)
        if named and old.is_dir() and not (root / named[1]).exists():
            with suppress(OSError):  # a place that cannot be written, or the new one has come meanwhile
                old.rename(root / named[1])


def _swap(staged: Path, place: Path, old: Path) -> None:
    for left in reversed(range(_TRIES)):
        if place.exists():
            place.rename(old)
        try:
            staged.rename(place)
            return
        except OSError:
            if left == 0 or not place.exists():
                raise
        # somebody who looked between the two renames has put the old one back: once more
