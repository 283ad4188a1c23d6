"""Random numbers come again, and TensorFlow does not come to be seeded where another backend computes."""

import random
import sys

import keras
import numpy as np
import pytest

from thighview.engine.seeding import set_seeds


def test_numbers_come_again_and_are_those_of_keras() -> None:
    def drawn() -> tuple[float, float, list[float]]:
        return random.random(), float(np.random.random()), np.asarray(keras.random.normal((3,))).tolist()

    set_seeds(5)
    first = drawn()
    set_seeds(5)
    assert drawn() == first
    keras.utils.set_random_seed(5)
    assert drawn() == first


@pytest.mark.parametrize(("loaded", "hidden"), [(False, True), (True, False)])
def test_another_backend_does_not_import_it(loaded: bool, hidden: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "another")
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    if loaded:
        monkeypatch.setitem(sys.modules, "tensorflow", keras)
    seen: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        keras.utils, "set_random_seed", lambda seed: seen.append((seed, sys.modules.get("tensorflow", 0) is None))
    )
    set_seeds(7)
    assert seen == [(7, hidden)]
    assert ("tensorflow" in sys.modules) == loaded
