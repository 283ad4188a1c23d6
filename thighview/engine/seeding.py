"""Random numbers that come again."""

import sys

import keras


def set_seeds(seed: int) -> None:
    """Set the seeds of Python, NumPy and the backend, as ``keras.utils.set_random_seed`` does.

    That one seeds TensorFlow wherever it is installed, whichever backend computes, and imports it for that. Here it
    stays away from a process of another backend, with its seconds and its hundreds of megabytes; Keras then takes it
    for not installed as long as the process lives.
    """
    if keras.backend.backend() == "tensorflow" or "tensorflow" in sys.modules:
        keras.utils.set_random_seed(seed)
        return
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # what an import takes for "not installed"
    try:
        keras.utils.set_random_seed(seed)
    finally:
        del sys.modules["tensorflow"]
