"""Where the network computes: on which device, and what it is called."""

import contextlib
import importlib
import os
import sys
from collections.abc import Generator
from typing import Any

from thighview.core.errors import UserError

DEVICES = ("auto", "cpu", "gpu")
_NICE = 10
_BELOW_NORMAL_PRIORITY = 0x4000


def prepare_device(wanted: str = "auto") -> str:
    """Choose the device of this process and get keras ready; call it before anything else imports keras.

    GPU memory is taken as it is needed, not all at once. The backend is that of ``KERAS_BACKEND`` (TensorFlow where it
    is not set).

    Parameters
    ----------
    wanted : {"auto", "cpu", "gpu"}
        ``auto`` takes a GPU where there is one.

    Returns
    -------
    str
        Name of the GPU, or ``CPU``.

    Raises
    ------
    UserError
        When a GPU is wanted and none can be used.
    """
    if wanted not in DEVICES:
        raise UserError(f"Expected the device {', '.join(DEVICES)}, found {wanted!r}.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if wanted == "cpu":
        os.environ["KERAS_TORCH_DEVICE"] = "cpu"
        os.environ["JAX_PLATFORMS"] = "cpu"
    with _quiet():
        keras = importlib.import_module("keras")
        backend = str(keras.backend.backend())
        find = {"tensorflow": _tensorflow_gpu, "torch": _torch_gpu, "jax": _jax_gpu}.get(backend)
        name = find(wanted == "cpu") if find else ""
    if wanted == "gpu" and not name:
        raise UserError(
            f"No GPU can be used by {backend} on this machine.",
            "Install thighview[gpu] and a current driver, or leave --device at auto.",
        )
    return name or "CPU"


def lower_priority() -> None:
    """Let the window and other programs go first; a second call does nothing more."""
    if sys.platform == "win32":
        import ctypes

        kernel: Any = ctypes.windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), _BELOW_NORMAL_PRIORITY)
    elif os.getpriority(os.PRIO_PROCESS, 0) < _NICE:
        os.nice(_NICE - os.getpriority(os.PRIO_PROCESS, 0))


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Keep what native libraries print while they load (TensorFlow does at any log level) off standard error."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def _tensorflow_gpu(hide: bool) -> str:
    tf: Any = importlib.import_module("tensorflow")
    gpus = tf.config.list_physical_devices("GPU")
    if hide:
        if gpus:
            tf.config.set_visible_devices([], "GPU")
        return ""
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")) if gpus else ""


def _torch_gpu(hide: bool) -> str:
    torch: Any = importlib.import_module("torch")
    if hide:
        return ""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    return "Apple GPU" if torch.backends.mps.is_available() else ""


def _jax_gpu(hide: bool) -> str:
    jax: Any = importlib.import_module("jax")
    device = jax.devices()[0]
    return "" if hide or device.platform == "cpu" else str(device.device_kind)
