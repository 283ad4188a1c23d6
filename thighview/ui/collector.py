"""The garbage collector, on the window's thread alone."""

import gc

from PySide6.QtCore import QObject, QTimer

_EVERY_MS = 500


def collect_on_this_thread(owner: QObject) -> None:
    """From now on look for garbage on this thread only, now and then, for as long as ``owner`` lives.

    Python looks for it in whichever thread happens to allocate. A widget that is part of a cycle would be deleted
    there, and Qt can hang or crash when a widget goes on another thread than the window's.
    """
    gc.disable()
    timer = QTimer(owner)
    timer.timeout.connect(collect_what_is_due)
    timer.start(_EVERY_MS)


def collect_what_is_due() -> None:
    """What the collector would do by itself at the next allocation: the oldest generation that is due, or nothing."""
    for generation in (2, 1, 0):
        if gc.get_count()[generation] > gc.get_threshold()[generation]:
            gc.collect(generation)
            return


def settle_memory() -> None:
    """Take what the start has made out of the collector's sight.

    A full collection would look at all of it again each time, and the window would stand still for some 40 ms.
    """
    gc.freeze()
