"""Who holds a folder: a file that its holder keeps locked, with its process id and the moment it started in it.

The system lets go of the lock when the process ends, however it ends; the text tells everybody who it is, also on
another computer.
"""

import contextlib
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

_FAR_BYTES = 1 << 30


@dataclass(frozen=True)
class Holder:
    """A process on a machine; ``started`` tells it from a later process with the same id."""

    pid: int
    started: str
    host: str

    @staticmethod
    def me() -> "Holder":
        """This process."""
        return Holder(os.getpid(), process_started(os.getpid()), platform.node())

    @property
    def here(self) -> bool:
        """Whether it is a process of this machine (others cannot be looked at)."""
        return self.host == platform.node()

    @property
    def alive(self) -> bool:
        """Whether it still runs; a holder on another machine counts as running."""
        return not self.here or (self.started != "" and process_started(self.pid) == self.started)

    def __str__(self) -> str:
        name = f"process {self.pid}" if self.pid else "another process"
        return name + ("" if self.here else f" on the computer {self.host}")


def process_started(pid: int) -> str:
    """A text that names the start of a running process, the same as long as it runs; empty when there is none."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"
    if sys.platform == "win32":
        return _process_started_windows(pid)
    plain = os.environ | {"LC_ALL": "C", "TZ": "UTC"}  # the same text, whoever asks
    words = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    found = subprocess.run(words, capture_output=True, text=True, check=False, env=plain)
    return found.stdout.strip()


def _process_started_windows(pid: int) -> str:
    import ctypes

    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
    handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return ""
    try:
        made, ended, system, user = (ctypes.c_ulonglong() for _ in range(4))
        done = kernel.GetProcessTimes(handle, *(ctypes.byref(t) for t in (made, ended, system, user)))
        return str(made.value) if done and not ended.value else ""
    finally:
        kernel.CloseHandle(handle)


def read_holder(lock: Path) -> Holder | None:
    """The process a lock file names; None when there is no file or it is not whole."""
    try:
        data = json.loads(lock.read_text(encoding="utf-8"))
        return Holder(int(data["pid"]), str(data["started"]), str(data["host"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


_held: dict[Path, int] = {}
"""The open files of the locks that are ours."""


def take(lock: Path) -> Holder | None:
    """Make the lock file ours, or take over one whose process is gone; of several at once one gets it.

    Returns
    -------
    Holder or None
        None when the lock is ours now, else who holds it (process id 0 where that cannot be read).
    """
    lock = lock.absolute()
    while True:
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            locked = _lock(file)
            if locked and not _lies_at(file, lock):  # let go of and removed since it was opened
                continue
            holder = read_holder(lock)
            if holder and holder.alive:
                return holder
            if not locked:
                return Holder(0, "", platform.node())
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, json.dumps(asdict(Holder.me())).encode())
            os.fsync(file)
            _held[lock] = file
            return None
        finally:
            if _held.get(lock) != file:
                os.close(file)


def release(lock: Path) -> None:
    """Remove the lock file when it is ours."""
    file = _held.pop(lock.absolute(), None)
    if file is None:
        return
    if sys.platform == "win32":  # where an open file cannot be removed; whoever took it since has it open, too
        os.close(file)
        with contextlib.suppress(OSError):
            lock.unlink()
        return
    if _lies_at(file, lock):
        lock.unlink()
    os.close(file)


def _lies_at(file: int, path: Path) -> bool:
    """Whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False


def _lock(file: int) -> bool:
    """Lock an open file without waiting; False when somebody has. True also where the place knows no locks."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, _FAR_BYTES, os.SEEK_SET)  # what is locked there cannot be read, so it lies behind the text
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network folder, for one: who is named in the file decides alone
        return True
    return True
