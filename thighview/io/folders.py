"""Making or replacing a folder so that it is there whole, old or new, whatever happens meanwhile."""

import re
import shutil
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from thighview.core.errors import UserError
from thighview.io.atomic import WriteError
from thighview.io.leftovers import hidden, sweep

_OLD = re.compile(r"\.(.+)\.[0-9a-f]{8}\.old")
_TRIES = 3


@contextmanager
def staged_folder(folder: Path) -> Generator[Path]:
    """A folder to fill that takes its place when all is written; nothing stays of it after an exception.

    What earlier ones have left in the same place, killed on their way, is taken away first.

    Parameters
    ----------
    folder : Path
        New, or empty.

    Raises
    ------
    WriteError
        When no folder can be made there, or a file in it could not be written: it names the folder that was to be,
        not the hidden one.
    """
    folder = folder.absolute()
    stage = hidden(folder, "part")
    new = [parent for parent in stage.parents if not parent.exists()]
    try:
        sweep(folder.parent)
        stage.mkdir(parents=True)
        yield stage
        if folder.exists():
            folder.rmdir()
        stage.replace(folder)
    except BaseException as error:
        shutil.rmtree(stage, ignore_errors=True)
        with suppress(OSError):
            for parent in new:
                parent.rmdir()
        if isinstance(error, WriteError) and stage.name in error.path.parts:
            raise WriteError(folder, error.what, error.hint) from error
        if isinstance(error, OSError):
            raise WriteError(
                folder,
                f"could not be written: {error.strerror or error}",
                "Choose a folder on a disk that may be written and has room.",
            ) from error
        raise


@contextmanager
def taken_back(folder: Path) -> Generator[Callable[[], None]]:
    """Make a folder for a block; when that raises, the folder goes again, and so do the parents made for it.

    Yields
    ------
    callable
        To be called once the block has the folder for itself: one that was there and empty is emptied again, too, but
        never before, for another process may just be filling it.
    """
    folder = folder.absolute()
    new = [parent for parent in folder.parents if not parent.exists()]
    blank = folder.is_dir() and not any(folder.iterdir())
    ours = False

    def is_ours() -> None:
        nonlocal ours
        ours = ours or blank

    try:
        with suppress(OSError):  # there already, or no place for it: the block says so
            folder.mkdir(mode=0o700, parents=True)
            ours = True
        yield is_ours
    except BaseException:
        if ours:
            shutil.rmtree(folder, ignore_errors=True)
            if blank:
                folder.mkdir(exist_ok=True)
        with suppress(OSError):
            for parent in new:
                parent.rmdir()
        raise


def need_empty(folder: Path) -> None:
    """Refuse a target that holds something already, and the folder one is in: replaced, it would leave one nowhere."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(
            f"{folder} is there already and not an empty folder.", "Choose a new folder; nothing was written."
        )
    if folder.exists() and folder.samefile(Path.cwd()):
        raise UserError(f"{folder} is the folder you are in.", "Name a new folder in it; nothing was written.")


@contextmanager
def new_folder(place: Path) -> Generator[Path]:
    """A hidden folder beside its place, to be filled; it takes that place when the block ends well.

    What was there before goes then. When the block raises, or the folder cannot be put there, the old one stays and
    nothing is left beside it. Killed between the two renames, the old one waits for :func:`put_back`; killed before,
    the next one that is made there takes away what was half filled.

    Parameters
    ----------
    place : Path
        Where it goes; its parent is made when it is missing.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    put_back(place.parent)
    sweep(place.parent)
    staged, old = hidden(place, "new"), place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.old")
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
    """Give the folders of ``root`` their names again that were being replaced when the program was killed.

    Of several that had one name it is the last. One that was replaced goes, or it would be back once that is deleted.
    """
    with suppress(OSError):  # somebody else is at it
        for old in sorted(root.glob(".*.old"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
            named = _OLD.fullmatch(old.name)
            if named is None or not old.is_dir():
                continue
            if (root / named[1]).exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
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
