"""Keras without compiling."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest


@contextmanager
def uncompiled() -> Generator[None]:
    """Keras runs step by step without compiling: for trainings of too few steps to be worth it."""
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tensorflow.config.run_functions_eagerly(False)
