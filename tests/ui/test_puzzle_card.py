"""The guided page: steps as they come, a failure in words, and a cancel that keeps what is told."""

import json
import threading
from collections.abc import Callable

import pytest
from pytestqt.qtbot import QtBot

from thighview.app.jobs import Job, run_in_thread
from thighview.core.errors import UserError
from thighview.core.run import ExampleStep
from thighview.ui.puzzle_card import PuzzleCard, StepPlot

STEPS = [
    ExampleStep(
        1.0, "puzzle", n, 3, f"Step {n}", "What it shows.", (("training", (0.5, 0.4)), ("validation", (0.4, 0.3)))
    )
    for n in (1, 2)
]


def make(qtbot: QtBot, work: Callable[..., object]) -> PuzzleCard:
    def play() -> Job:
        return run_in_thread(work, lane="puzzle")

    card = PuzzleCard(play)
    qtbot.addWidget(card)
    card.resize(340, 700)
    card.show()
    return card


def say_all(report: object, _stopped: object) -> dict[str, object]:
    for step in STEPS:
        report.say(json.loads(step.to_line()))  # type: ignore[attr-defined]
        report(step.number, 3)  # type: ignore[operator]
    return {}


def test_steps_are_shown_as_they_come(qtbot: QtBot) -> None:
    card = make(qtbot, say_all)
    assert not card.cancel_button.isVisible()
    card.play_button.click()
    qtbot.waitUntil(lambda: card.play_button.text() == "Play it again")
    assert card.told == 2
    assert len(card.findChildren(StepPlot)) == 2
    assert not card.grab().toImage().isNull()
    card.play_button.click()
    qtbot.waitUntil(lambda: card.told == 2 and card.play_button.isEnabled())


def test_a_failure_is_said_and_cancel_ends_it(qtbot: QtBot) -> None:
    def fail(_report: object, _stopped: object) -> None:
        raise UserError("The memory is full.", "Close something.")

    card = make(qtbot, fail)
    card.start()
    qtbot.waitUntil(lambda: "memory is full" in card.failure.text())
    assert card.play_button.isEnabled()

    go = threading.Event()

    def wait(_report: object, stopped: Callable[[], bool]) -> None:
        while not stopped() and not go.wait(0.01):
            pass

    waiting = make(qtbot, wait)
    waiting.start()
    assert waiting.cancel_button.isVisible()
    waiting.cancel_button.click()
    qtbot.waitUntil(lambda: waiting.play_button.isEnabled())
    assert waiting.cancelled.text() == "Cancelled before step 1."
    go.set()


def test_what_a_cancelled_one_has_told_is_called_half(qtbot: QtBot) -> None:
    def two_steps(report: object, stopped: Callable[[], bool]) -> None:
        say_all(report, stopped)
        while not stopped():
            threading.Event().wait(0.01)

    card = make(qtbot, two_steps)
    card.start()
    qtbot.waitUntil(lambda: card.told == 2)
    assert card.cancelled.isHidden()
    card.cancel_button.click()
    qtbot.waitUntil(lambda: card.play_button.isEnabled())
    assert card.cancelled.text() == "Cancelled after step 2 of 3; below are the steps done."
    card.start()
    assert card.cancelled.isHidden()
    card.cancel()
    qtbot.waitUntil(lambda: card.play_button.isEnabled())


@pytest.mark.parametrize("width", [300, 420])
def test_a_plot_of_nothing_and_of_one_value_is_drawn(qtbot: QtBot, width: int) -> None:
    for curves in ((), (("flat", (0.5, 0.5, 0.5)),), (("one", (0.1,)),)):
        plot = StepPlot(curves)
        qtbot.addWidget(plot)
        plot.resize(width, 112)
        assert not plot.grab().toImage().isNull()
