"""A child process that ends when its parent does; for children of the window, not for a training."""

import ctypes
import os
import signal
import sys
import threading
from multiprocessing import parent_process
from multiprocessing.connection import wait

_PR_SET_PDEATHSIG = 1


def die_with_parent(by_signal: bool = True) -> None:
    """End this process when its parent ends, however that happens: by a kernel signal on Linux, by a watch anywhere.

    The signal comes already when the *thread* ends that started this process: ``by_signal`` is False for a child that
    stays while threads come and go.
    """
    parent = parent_process()
    if parent is None:
        return
    if by_signal and parent.pid is not None:
        follow_process(parent.pid)

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


def follow_process(parent_id: int) -> None:
    """End this process when its parent, the process of this number, ends; on Linux alone, by a kernel signal."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_id:  # it went before the signal was armed
            os._exit(1)
