"""Where the network computes: on which device, and what it is called."""

import contextlib
import importlib
import os
import sys
from collections.abc import Generator, Sequence
from typing import Any

from thighview.core.errors import UserError

DEVICES = ("auto", "cpu", "gpu")
_WITHOUT_AMX = "AVX512_CORE_BF16"
_NICE = 10
_BELOW_NORMAL_PRIORITY = 0x4000


def prepare_device(wanted: str = "auto", memory_gb: float = 0.0) -> str:
    """Choose the device of this process and get keras ready; call it before anything else imports keras.

    GPU memory is taken as it is needed, not all at once. The backend is that of ``KERAS_BACKEND`` (TensorFlow where it
    is not set). A second call may set a limit that the first one did not, as long as nothing was computed meanwhile.

    Parameters
    ----------
    wanted : {"auto", "cpu", "gpu"}
        ``auto`` takes a GPU where there is one.
    memory_gb : float
        The most this process takes of each GPU's memory, in units of 2^30 bytes; 0 sets no limit. Where it is reached,
        a step runs out of memory, whatever else is free.

    Returns
    -------
    str
        Name of the GPU, or ``CPU``.

    Raises
    ------
    UserError
        When a GPU is wanted and none can be used, or a limit cannot be set.
    """
    if wanted not in DEVICES:
        raise UserError(f"Expected the device {', '.join(DEVICES)}, found {wanted!r}.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if wanted == "cpu":
        os.environ["KERAS_TORCH_DEVICE"] = "cpu"
        os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # holds for a GPU with a limit, too
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX takes three quarters of the GPU otherwise
    # oneDNN's AMX kernels gave gradients in bfloat16 that were now and then not finite (TensorFlow 2.21, a convolution
    # of a 176 x 304 slice); those for AVX-512 give the same finite numbers each time and are about as fast here
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", _WITHOUT_AMX)
    with _quiet():
        keras = importlib.import_module("keras")
        backend = str(keras.backend.backend())
        find = {"tensorflow": _tensorflow_gpu, "torch": _torch_gpu, "jax": _jax_gpu}.get(backend)
        name = find(wanted == "cpu", memory_gb) if find else ""
    if wanted == "gpu" and not name:
        raise UserError(
            f"No GPU can be used by {backend} on this machine.",
            "Install thighview[gpu] and a current driver, or leave --device at auto.",
        )
    return name or "CPU"


@contextlib.contextmanager
def whole_processor() -> Generator[None]:
    """Another library that reads its oneDNN's limit in here is not held by the one set for TensorFlow."""
    limited = os.environ.get("ONEDNN_MAX_CPU_ISA") == _WITHOUT_AMX
    if limited:
        del os.environ["ONEDNN_MAX_CPU_ISA"]
    try:
        yield
    finally:
        if limited:
            os.environ["ONEDNN_MAX_CPU_ISA"] = _WITHOUT_AMX


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


def _tensorflow_gpu(hide: bool, memory_gb: float) -> str:
    tf: Any = importlib.import_module("tensorflow")
    gpus = tf.config.list_physical_devices("GPU")
    if hide:
        if gpus:
            tf.config.set_visible_devices([], "GPU")
        return ""
    share_gpus(tf.config, gpus, memory_gb)
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")) if gpus else ""


def share_gpus(config: Any, gpus: Sequence[Any], memory_gb: float) -> None:
    """Have TensorFlow take GPU memory as it is needed, and no more than a limit; before its first operation.

    TensorFlow refuses the word on growth for a GPU that has a limit, and a limit once something was computed. So growth
    is set first, and only where there is no limit yet; with a limit TensorFlow 2.21 passes that word over
    (``Context._compute_device_options``), and the environment variable that :func:`prepare_device` sets holds.

    Parameters
    ----------
    config : module
        ``tensorflow.config``.
    gpus : sequence of PhysicalDevice
    memory_gb : float
        In units of 2^30 bytes; 0 sets no limit.

    Raises
    ------
    UserError
        When TensorFlow has begun to compute already.
    """
    for gpu in gpus:
        if config.get_logical_device_configuration(gpu) is None:
            config.experimental.set_memory_growth(gpu, True)
        if memory_gb:
            limit = config.LogicalDeviceConfiguration(memory_limit=round(memory_gb * 1024))
            try:
                config.set_logical_device_configuration(gpu, [limit])
            except RuntimeError as error:
                raise UserError(
                    f"The GPU is in use by this process; its memory cannot be limited to {memory_gb:g} GB any more.",
                    "Start the training in a process of its own, as the window and thighview train do.",
                ) from error


def _torch_gpu(hide: bool, memory_gb: float) -> str:
    torch: Any = importlib.import_module("torch")
    if hide:
        return ""
    if torch.cuda.is_available():
        if memory_gb:
            whole = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, memory_gb * 2**30 / whole))
        return str(torch.cuda.get_device_name(0))
    return "Apple GPU" if torch.backends.mps.is_available() else ""


def _jax_gpu(hide: bool, memory_gb: float) -> str:
    jax: Any = importlib.import_module("jax")
    device = jax.devices()[0]
    if hide or device.platform == "cpu":
        return ""
    if memory_gb:
        raise UserError(
            "GPU memory cannot be limited with JAX.",
            "Leave gpu_memory_gb at 0, or set XLA_PYTHON_CLIENT_MEM_FRACTION before thighview starts.",
        )
    return str(device.device_kind)
