"""What the tests of the Train panel and its cards share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from panel_room import Room, make_case
from pytestqt.qtbot import QtBot

from thighview.app import jobs
from thighview.ui.train_panel import TrainPanel


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A workspace on a project, with a case open."""
    made = Room(tmp_path)
    made.session.open(make_case())
    yield made
    jobs.shutdown()


@pytest.fixture
def panel(room: Room, qtbot: QtBot) -> TrainPanel:
    """The Train panel, shown."""
    made = TrainPanel(room)  # type: ignore[arg-type]
    qtbot.addWidget(made)
    made.resize(360, 800)
    made.show()
    return made
