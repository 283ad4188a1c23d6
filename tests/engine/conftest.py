"""What the tests of this floor share."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_project import TINY, make_project

from thighview.core.run import RunEvent
from thighview.engine import train
from thighview.io.runs import RunFolder, run_folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunFolder, list[RunEvent]]:
    """A project of three people and its finished run of three epochs, ``first``; nobody writes into it."""
    folder = make_project(tmp_path_factory.mktemp("trained"), 3)
    said: list[RunEvent] = []
    train.train_main(folder, "first", replace(TINY, epochs=3), None, said.append)
    return folder, run_folder(folder, "first"), said
