"""Network, losses, prediction and a recipe's training are the same under every backend of Keras that is installed."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from thighview.core.phantom import make_phantom
from thighview.io.images import write_volume

TESTS = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Pair:
    """What a backend answered to the tasks of the child, and what TensorFlow did."""

    ours: dict[str, np.ndarray]
    theirs: dict[str, np.ndarray]
    backend: str
    imported: list[str]

    def names(self, *words: str) -> Iterator[str]:
        found = [name for name in self.ours if all(word in name for word in words)]
        assert found
        yield from found


def _answers(backend: str, given: Path, out: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    out.mkdir()
    paths = [str(TESTS.parent), str(TESTS), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    env = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(p for p in paths if p)}
    done = subprocess.run(
        [sys.executable, str(TESTS / "backend_child.py"), str(given), str(out)],
        env={**env, "THIGHVIEW_HOME": str(given)}, capture_output=True, text=True, check=False, timeout=800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    with np.load(out / "answers.npz") as file:
        return dict(file), json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module", params=["jax", "torch"])
def pair(request: pytest.FixtureRequest) -> Pair:
    """A backend beside TensorFlow, which does its part once."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    given, theirs = request.getfixturevalue("tensorflow")
    ours, imported = _answers(request.param, given, given.with_name(request.param))
    return Pair(ours, theirs, request.param, imported)


@pytest.fixture(scope="module")
def tensorflow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """What every backend is given, and TensorFlow's answers."""
    given = tmp_path_factory.mktemp("backends") / "given"
    given.mkdir()
    scan = make_phantom(9_000_001, "t1", slices=3, matrix=(104, 160), spacing_mm=(60.0, 2.6))
    write_volume(given / "scan.nii.gz", scan.volume)
    answers, _ = _answers("tensorflow", given, given.with_name("tensorflow"))
    shutil.copytree(given.with_name("tensorflow") / "left.checkpoint", given / "begun.checkpoint")
    return given, answers


def test_tensorflow_stays_away(pair: Pair) -> None:
    assert pair.backend in pair.imported and "tensorflow" not in pair.imported


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference, as a share of the largest number."""
    assert one.shape == other.shape and np.isfinite(one).all()
    return float(np.abs(one.astype(np.float64) - other).max() / np.abs(other).max())


def test_the_networks_say_the_same(pair: Pair) -> None:
    for name in pair.names("unet logits"):
        assert _apart(pair.ours[name], pair.theirs[name]) < 5e-5, name


def test_losses_and_gradients_are_the_same(pair: Pair) -> None:
    for name in (*pair.names("unet", "loss"), *pair.names("unet", "sums")):
        assert _apart(pair.ours[name], pair.theirs[name]) < 2e-5, name
    for name in pair.names("unet", "gradients"):
        assert np.abs(pair.theirs[name]).max() > 1e-3
        assert _apart(pair.ours[name], pair.theirs[name]) < 5e-5, name


def test_the_model_of_the_box_draws_the_same(pair: Pair) -> None:
    assert (pair.ours["box labels"] != pair.theirs["box labels"]).mean() < 1e-3
    assert (pair.ours["box labels"] > 0).mean() > 0.05
    assert np.allclose(pair.ours["box probabilities"], pair.theirs["box probabilities"], rtol=0, atol=1e-3)


def test_a_training_that_is_stopped_goes_on_to_the_same_numbers(pair: Pair) -> None:
    for name in pair.names("whole "):
        if "losses" not in name:
            assert np.allclose(pair.ours[name.replace("whole", "parts")], pair.ours[name], rtol=0, atol=3e-4), name


def test_a_training_that_tensorflow_began_ends_at_its_numbers(pair: Pair) -> None:
    assert pair.ours["begun losses"] == pytest.approx(pair.theirs["whole losses"], rel=1e-4)
    for name in pair.names("begun "):
        if "losses" not in name:
            assert np.allclose(pair.ours[name], pair.theirs[name.replace("begun", "whole")], rtol=0, atol=3e-4), name


def test_with_short_numbers_it_learns_nearly_the_same(pair: Pair) -> None:
    assert pair.ours["short losses"] == pytest.approx(pair.ours["whole losses"], rel=0.02)
    assert not np.array_equal(pair.ours["short losses"], pair.ours["whole losses"])
