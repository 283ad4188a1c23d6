"""The rules of the house: who may import whom, and what the window's process must never load."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("tensorflow", "keras", "torch", "jax", "pyarrow", "pandas")
LATER = ("highdicom", "nrrd")
"""Slow to import, and needed with some files only."""


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=240
    )


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def test_floors_and_doors() -> None:
    done = run(tool("lint-imports"), "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_every_package_is_in_the_wheel() -> None:
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "thighview").rglob("__init__.py")} | {
        "thighview._resources"
    }
    assert set(listed) == found


def test_ruff() -> None:
    done = run(tool("ruff"), "check", "thighview", "tests")
    assert done.returncode == 0, done.stdout[-4000:]
    done = run(tool("ruff"), "format", "--check", "thighview", "tests")
    assert done.returncode == 0, done.stdout[-4000:]


def test_top_level_is_closed() -> None:
    listed = run("git", "ls-files")
    if listed.returncode:
        pytest.skip("not a git checkout")
    tops = {name.split("/")[0] for name in listed.stdout.splitlines()}
    assert {name for name in tops if not name.startswith(".")} <= {
        "thighview", "resources", "tests", "pyproject.toml", "README.md",
    }  # fmt: skip


def loaded_after(statement: str) -> set[str]:
    code = (
        f"{statement}\nimport sys, json\nprint('MODULES', json.dumps(sorted(m.partition('.')[0] for m in sys.modules)))"
    )
    done = run(sys.executable, "-c", code, QT_QPA_PLATFORM="offscreen")
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("MODULES "))
    return set(json.loads(line.removeprefix("MODULES ")))


@pytest.mark.parametrize(
    "module",
    [
        "thighview.ui.application",
        "thighview.app.tasks",
        "thighview.engine.serve",
        "thighview.engine.preprocess",
        "thighview.engine.augment",
    ],
)
def test_no_network_library_is_loaded(module: str) -> None:
    assert not loaded_after(f"import {module}, thighview.io.masks") & {*HEAVY, *LATER}


@pytest.mark.parametrize("module", ["thighview.ui.application", "thighview.app.tasks", "thighview.io.exporting"])
def test_what_only_some_files_need_is_loaded_with_the_first_of_them(module: str) -> None:
    assert not loaded_after(f"import {module}") & {"highdicom", "nrrd", "pydicom", "SimpleITK"}


def test_freezing_a_set_loads_no_scipy() -> None:
    """Libraries load with the interpreter's lock held: the window would stand still while a training starts."""
    modules = "thighview.io.dataset, thighview.app.training, thighview.app.augment_preview"
    assert not loaded_after(f"import {modules}") & {"scipy", "nibabel", "pydicom"}


def test_command_line_is_light() -> None:
    loaded = loaded_after(
        "from thighview.cli import main\nimport contextlib\nwith contextlib.suppress(SystemExit): main(['--help'])"
    )
    assert not loaded & {*HEAVY, "numpy", "scipy", "PySide6", "nibabel", "pydicom"}


STUCK = """
import conftest
from PySide6.QtCore import QCoreApplication, QEventLoop

conftest.STUCK_S = 0.5


def test_a_question_nobody_answers():
    application = QCoreApplication([])
    QEventLoop().exec()
"""


def test_a_stuck_test_ends_with_its_stacks(tmp_path: Path) -> None:
    (tmp_path / "test_stuck.py").write_text(STUCK)
    words = ("-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-n", "0", "-o", "timeout=0.5", str(tmp_path))
    done = run(sys.executable, *words, PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'tests'}", QT_QPA_PLATFORM="offscreen")
    assert done.returncode == 1
    assert "test_a_question_nobody_answers" in done.stderr


def test_import_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Says what the window's imports cost; asserts only that they are not hopeless."""
    took: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        assert run(sys.executable, "-c", "import thighview.ui.application", QT_QPA_PLATFORM="offscreen").returncode == 0
        took.append(time.perf_counter() - start)
    with capsys.disabled():
        print(f" imports of the window: {min(took):.2f} s", end=" ")
    assert min(took) < 10
