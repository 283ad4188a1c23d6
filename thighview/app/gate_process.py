"""Two models on the locked people, in a process of its own: our command line, its progress read line by line."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import thighview
from thighview.app.jobs import Report, Stopped
from thighview.core.errors import UserError
from thighview.io.atomic import write_json_atomic
from thighview.io.folders import new_folder
from thighview.io.json_files import read_json
from thighview.io.locks import Holder, read_holder

RESULT = "result.json"
_FOLDER = "comparisons"
_ROOM = "thighview-gate-"
_WHOSE = "whose.json"
_REFUSED = 2
_POLL_S = 0.1


def compare_on_locked(
    project: Path, new: Path, old: Path, place: Path, report: Report, stopped: Callable[[], bool],
    command: tuple[str, ...] = (),
) -> dict[str, Any]:  # fmt: skip
    """What ``thighview evaluate`` says about both on the people of the locked test and on the guard set.

    For a worker thread.

    Parameters
    ----------
    project, new, old : Path
        The project and the folders of two models.
    place : Path
        Folder for ``result.json`` and the pictures; what was there before goes when the new result has come.
    report, stopped : callable
        Progress in cases; whether to end the process.
    command : tuple of str, optional
        Instead of our own command line, for tests.

    Raises
    ------
    UserError
        What the command line refused, that it ended without an answer, or that the answer could not be kept.
    Stopped
        When it was cancelled.
    """
    _sweep()
    with tempfile.TemporaryDirectory(prefix=_ROOM) as room:
        write_json_atomic(Path(room) / _WHOSE, asdict(Holder.me()))
        pictures = Path(room) / "pictures"
        words = command or _command()
        words = (
            *words, "evaluate", str(new), str(project), "--part", "test", "--against", str(old), "--guard", "--json",
            "--progress", "--parent", str(os.getpid()), "--pictures", str(pictures),
        )  # fmt: skip
        with (Path(room) / "out").open("w+b") as out, (Path(room) / "said").open("w+b") as said:
            code = _follow(words, out, said, report, stopped)
            out.seek(0)
            result = _result(code, out.read(), _words(said))
        try:
            with new_folder(place) as staged:
                (staged / RESULT).write_text(json.dumps(result, ensure_ascii=False), "utf-8")
                if pictures.is_dir():
                    shutil.copytree(pictures, staged / pictures.name)
        except OSError as error:
            why = f": {error.strerror}" if error.strerror else ""
            raise UserError(
                f"The models were compared, but the answer could not be kept in {place.parent}{why}.",
                "Check that the folder can be written and has room, then compare again; an older answer is kept.",
            ) from error
    return result


def place_of_pair(project: Path, new: str, old: str) -> Path:
    """Where the comparison of two models lies, by the SHA-256 of their weights."""
    return project / _FOLDER / f"{new[:16]}-{old[:16]}"


def compared_pairs(project: Path) -> frozenset[str]:
    """Names of the places that have a result."""
    names = (path.parent.name for path in (project / _FOLDER).glob(f"*/{RESULT}"))
    return frozenset(name for name in names if not name.startswith("."))


def read_result(place: Path) -> dict[str, Any] | None:
    """An earlier result of :func:`compare_on_locked`, or None where there is none that can be read."""
    try:
        data = read_json(place / RESULT, "Compare again.")
    except UserError:
        return None
    return data if isinstance(data.get("against"), dict) else None


def _sweep() -> None:
    """Remove the temporary folders of comparisons whose window was killed."""
    for room in Path(tempfile.gettempdir()).glob(f"{_ROOM}*"):
        whose = read_holder(room / _WHOSE)
        if whose and not whose.alive:
            shutil.rmtree(room, ignore_errors=True)


def _command() -> tuple[str, ...]:
    # -P and our own place on the path: a folder named thighview must not be taken for the program
    return (sys.executable,) if getattr(sys, "frozen", False) else (sys.executable, "-P", "-m", "thighview")


def _follow(
    words: tuple[str, ...], out: IO[bytes], said: IO[bytes], report: Report, stopped: Callable[[], bool]
) -> int:
    place = str(Path(thighview.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (place, os.environ.get("PYTHONPATH"))))}
    child = subprocess.Popen[bytes](
        words, stdin=subprocess.DEVNULL, stdout=out, stderr=said, close_fds=True, env=environment
    )
    seen = 0
    try:
        while True:
            try:
                code = child.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                code = None
            lines = _lines(said)
            for line in lines[seen:]:
                done = _progress(line)
                if done:
                    report(*done)
            seen = len(lines)
            if code is not None:
                return code
            if stopped():
                raise Stopped
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def _lines(said: IO[bytes]) -> list[str]:
    """Whole lines it has said so far."""
    body = os.pread(said.fileno(), 1 << 20, 0) if hasattr(os, "pread") else Path(said.name).read_bytes()
    return body.decode("utf-8", "replace").split("\n")[:-1]


def _progress(line: str) -> tuple[int, int] | None:
    try:
        row = json.loads(line)
        return int(row["done"]), int(row["total"])
    except (ValueError, KeyError, TypeError):
        return None


def _words(said: IO[bytes]) -> list[str]:
    return [line for line in _lines(said) if line.strip() and _progress(line) is None]


def _result(code: int, body: bytes, said: list[str]) -> dict[str, Any]:
    last = said[-1].removeprefix("thighview: ") if said else ""
    if code == _REFUSED:
        raise UserError(last or "The comparison was refused without a reason.")
    try:
        result = json.loads(body) if code == 0 else None
    except ValueError:
        result = None
    if not isinstance(result, dict):
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        raise UserError(
            f"The comparison ended without an answer, {how}. {last}".strip(),
            "Often the memory is full: close other programs, then compare again.",
        )
    return result
