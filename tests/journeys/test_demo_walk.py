"""``thighview demo`` where there is no display: the whole loop ends by itself and leaves its pictures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_the_walk(tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    words = [sys.executable, "-m", "thighview", "demo", "--out", str(tmp_path / "walk")]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 8
    assert len(list((tmp_path / "walk").glob("[0-9][0-9]-*.png"))) == 9
    assert (tmp_path / "walk" / "curves-dice.png").stat().st_size > 5000
    assert (tmp_path / "walk" / "nnunet" / "dataset.json").is_file()
