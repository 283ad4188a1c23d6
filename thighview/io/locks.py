"""Who holds a folder: a small file with a process id and the moment that process started."""

import contextlib
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


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
        return f"process {self.pid}" + ("" if self.here else f" on the computer {self.host}")


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
    found = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
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


def take(lock: Path) -> Holder | None:
    """Make the lock file, or take over one whose process is gone.

    Between several processes that take over the same stale file at once the caller must decide (a project does it
    inside a database transaction).

    Returns
    -------
    Holder or None
        None when the lock is ours now, else the running process that holds it.
    """
    for _ in range(10):
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            holder = read_holder(lock)
            if holder and holder.alive:
                return holder
            with contextlib.suppress(FileNotFoundError):
                lock.unlink()
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(Holder.me()), file)
            file.flush()
            os.fsync(file.fileno())
        return None
    return read_holder(lock) or Holder(0, "", "")


def release(lock: Path) -> None:
    """Remove the lock file when it is ours."""
    if read_holder(lock) == Holder.me():
        lock.unlink(missing_ok=True)
