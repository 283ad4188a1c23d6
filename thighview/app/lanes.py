"""Lanes: worker threads by name, each doing its work in turn, one beside the other."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

_log = logging.getLogger(__name__)

IDLE_S = 10.0
"""A thread without work ends after this long."""


class _Lane:
    """One thread that waits a while for more before it ends.

    Starting a thread makes whoever starts it wait for its first turn, which beside other busy threads is 5 ms and more:
    too long for a window that asks for several short looks at files in a row.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._wake = threading.Condition()
        self._waiting: deque[Callable[[], object]] = deque()
        self._thread: threading.Thread | None = None
        self._idle = self._ending = False

    @property
    def idle(self) -> threading.Thread | None:
        """Its thread, while that waits for work."""
        with self._wake:
            return self._thread if self._idle and not self._waiting else None

    def add(self, work: Callable[[], object]) -> None:
        with self._wake:
            self._waiting.append(work)
            self._wake.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"lane {self.name}", daemon=True)
                self._thread.start()

    def end(self, until: float) -> bool:
        with self._wake:
            thread, self._ending = self._thread, True
            self._wake.notify()
        if thread is not None:
            thread.join(max(0.0, until - time.monotonic()))
        self._ending = False
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._idle = True
                self._wake.wait_for(lambda: self._waiting or self._ending, IDLE_S)
                self._idle = False
                if not self._waiting:
                    self._thread = None
                    return
                work = self._waiting.popleft()
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - a thread that died of it would take the whole lane with it
                _log.critical("work in the lane %s raised", self.name, exc_info=error)
            del work  # and what it holds, while the thread waits


_lanes: dict[str, _Lane] = {}


def add(name: str, work: Callable[[], object]) -> None:
    """Have ``work`` done on the thread of a lane, after what waits there already; what it raises is logged."""
    _lanes.setdefault(name, _Lane(name)).add(work)


def idle_threads() -> set[threading.Thread]:
    """Threads that wait for work."""
    return {thread for lane in tuple(_lanes.values()) if (thread := lane.idle)}


def end(until: float) -> bool:
    """End all threads when their work is done; ``until`` in seconds of ``time.monotonic``.

    Returns
    -------
    bool
        False when some work was not done by then. Work added later starts new threads.
    """
    ended = [lane.end(until) for lane in tuple(_lanes.values())]  # each of them, also after one that did not
    return all(ended)
