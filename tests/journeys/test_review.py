"""A person reviews: one key accepts and moves on, and the strip shows how each slice stands."""

import numpy as np
from PySide6.QtCore import Qt

from journeys.conftest import Made, OpenWindow
from journeys.hands import CTRL
from thighview.app.engine_link import Engine
from thighview.core.review import SliceState
from thighview.io.models import ModelEntry
from thighview.ui.review_colours import STATE_COLOURS

ACCEPTED, CORRECTED, DRAWN = SliceState.ACCEPTED, SliceState.CORRECTED, SliceState.DRAWN
MODEL, EDITING = SliceState.MODEL, SliceState.EDITING


def test_the_key_accepts_and_goes_on(
    room: OpenWindow, thigh: Made, running_engine: Engine, tiny_model: ModelEntry
) -> None:
    hands = room(thigh.scan, running_engine)
    session, strip = hands.window.session, hands.window.strip
    hands.key(Qt.Key.Key_B)
    hands.go_to(0)
    hands.drag(0, [(48, 40), (48, 50)])
    assert hands.states[0] is EDITING
    hands.key(Qt.Key.Key_A)
    assert hands.states[0] is DRAWN and session.view.cursor[0] == 1

    hands.take_model(tiny_model)
    hands.click(hands.window.top.segment)
    hands.until_run_ends()
    assert hands.states == [DRAWN, *[MODEL] * 7]
    hands.key(Qt.Key.Key_A)
    hands.go_to(2)
    hands.drag(2, [(48, 40), (48, 50)])
    hands.key(Qt.Key.Key_A)
    hands.drag(3, [(48, 40), (48, 50)])
    assert session.view.cursor[0] == 3
    assert hands.states[:5] == [DRAWN, ACCEPTED, CORRECTED, EDITING, MODEL]
    hands.window.show_tab("Review")
    hands.picture("review-states")
    for index, state in enumerate(hands.states):
        assert hands.strip_colour(index) == STATE_COLOURS[state].name(), f"slice {index + 1}"

    hands.go_to(1)
    hands.key(Qt.Key.Key_U)
    assert hands.states[1] is MODEL, "reopened: it was accepted as the model drew it"
    assert hands.strip_colour(1) == STATE_COLOURS[MODEL].name()
    hands.key(Qt.Key.Key_Z, CTRL)
    assert hands.states[1] is ACCEPTED
    hands.go_to(2)
    hands.drag(2, [(60, 40), (60, 50)])
    assert hands.states[2] is EDITING, "an edit takes the acceptance back"
    hands.key(Qt.Key.Key_Z, CTRL)
    assert hands.states[2] is CORRECTED

    hands.key(Qt.Key.Key_A, Qt.KeyboardModifier.ShiftModifier)
    assert hands.states[4] is MODEL, "it asks first"
    hands.until(lambda: not hands.window.review.yes_button.visibleRegion().isEmpty())
    hands.picture("review-accept-all")
    hands.click(hands.window.review.yes_button)
    assert hands.states == [DRAWN, ACCEPTED, CORRECTED, EDITING, *[ACCEPTED] * 4]
    assert session.history.undo_name == "Accept all 4 model slices"
    hands.key(Qt.Key.Key_J)
    assert session.view.cursor[0] == 3
    hands.key(Qt.Key.Key_J)
    assert session.view.cursor[0] == 3
    assert hands.window.status.message.text_whole == "Only this slice is left to review."
    before = hands.case.labels.copy()
    hands.key(Qt.Key.Key_A)
    assert all(state.reviewed for state in hands.states)
    assert np.array_equal(hands.case.labels, before)
    hands.until_saved()
    hands.until(lambda: strip.isVisible() and hands.workspace.cases)
    hands.picture("review-done")
    assert hands.errors == []
