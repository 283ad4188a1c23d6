"""What the tests of this floor share."""

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from thighview.app import jobs
from thighview.app.tasks import Workspace


@pytest.fixture
def workspace(qtbot: QtBot) -> Iterator[Workspace]:
    """What a window has; nothing of it is left behind."""
    workspace = Workspace()
    yield workspace
    workspace.close()
    assert jobs.shutdown()
