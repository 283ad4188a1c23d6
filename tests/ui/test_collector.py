"""Widgets nobody can reach are deleted on the window's thread, whoever allocates meanwhile."""

import gc
import threading
import weakref

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from thighview.ui.collector import collect_on_this_thread, settle_memory


def drop_a_widget_in_a_cycle(ends: list[threading.Thread]) -> None:
    widget = QWidget()
    widget.me = widget
    weakref.finalize(widget, lambda: ends.append(threading.current_thread()))


def allocate() -> None:
    """Enough for Python to look for garbage many times over."""
    cycles = []
    for _ in range(50):
        for _ in range(2000):
            cycles.append(one := [])
            one.append(one)
        cycles.clear()


def test_a_widget_is_deleted_on_the_windows_thread_alone(qtbot: QtBot) -> None:
    ends: list[threading.Thread] = []
    gc.enable()
    drop_a_widget_in_a_cycle(ends)
    owner = QObject()
    collect_on_this_thread(owner)
    worker = threading.Thread(target=allocate)
    worker.start()
    worker.join()
    assert not ends
    qtbot.waitUntil(lambda: bool(ends))
    assert ends == [threading.main_thread()]
    owner.deleteLater()


def test_without_it_a_worker_deletes_widgets(qtbot: QtBot) -> None:
    """Why it is there; when Python no longer does this, it can go."""
    ends: list[threading.Thread] = []
    gc.enable()
    drop_a_widget_in_a_cycle(ends)
    worker = threading.Thread(target=allocate)
    worker.start()
    worker.join()
    assert ends == [worker]


def test_what_the_start_has_made_is_left_alone() -> None:
    try:
        settle_memory()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
