"""A wheel, installed into an environment of its own, starts and finds what came with it. No network is needed."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from thighview.core.volume import Volume
from thighview.io.images import write_volume

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that the checkout stays clean."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    ignore = ("*.egg-info", "__pycache__")
    for name in ("thighview", "resources"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(*ignore))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    done = subprocess.run([*words, "-w", str(out), str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("thighview-*.whl"))


def test_wheel_holds_all_resources(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = [path for path in (ROOT / "resources").rglob("*") if path.is_file() and not path.name.startswith(".")]
    missing = [p for p in ours if f"thighview/_resources/{p.relative_to(ROOT / 'resources').as_posix()}" not in names]
    assert not missing
    assert "thighview/cli/__init__.py" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_wheel_starts_in_a_fresh_environment(wheel: Path, tmp_path: Path, tiny_volume: Volume) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    bin_folder = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = bin_folder / "python"
    where = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        "-q",
        str(wheel),
    ]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # the other libraries are those of this environment; .pth files there (an editable thighview) are not followed
    Path(where, "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    env["THIGHVIEW_HOME"] = str(tmp_path / "home")

    def start(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    script = bin_folder / "thighview"
    assert start(str(script), "--version").stdout.startswith("thighview ")
    code = (
        "import thighview; from thighview.io.resources import resource;"
        "print(thighview.__file__); print(resource('icons')); print(resource('models'))"
    )
    found = start(str(python), "-c", code)
    assert found.returncode == 0, found.stderr
    package, icons, models = map(Path, found.stdout.split("\n")[:3])
    assert package.is_relative_to(where)
    assert icons.is_relative_to(where) and models.is_relative_to(where)
    assert {p.name for p in icons.iterdir()} == {p.name for p in (ROOT / "resources" / "icons").iterdir()}
    write_volume(tmp_path / "scan.nii.gz", tiny_volume)
    told = start(str(script), "info", "scan.nii.gz", "--json")
    assert told.returncode == 0, told.stderr
    assert '"axes": "SAR"' in told.stdout
