"""Numbers to compute with: float32, or 16-bit ones where this machine is faster with them.

Whatever is chosen, weights, head and loss stay float32; only what flows between the layers is shorter.
"""

import contextlib
import json
import os
import statistics
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path

import keras

from thighview.core.run import TrainConfig
from thighview.engine.batches import Batch
from thighview.engine.learner import Learner, optimizer_of
from thighview.engine.unet import build_network
from thighview.io.atomic import write_json_atomic
from thighview.io.runs import RunFolder

# oneDNN reads this at the first computation of a process. Its kernels for AMX gave gradients in bfloat16 that were now
# and then not finite (TensorFlow 2.21, slices of 176 x 304); those for AVX-512 give finite ones, the same each time.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Setting to the name Keras has for it."""
TRIAL_STEPS = 10
GAIN = 1.3
"""How many times faster 16 bits must be to be taken."""
TINY_S = 0.03
"""A step shorter than this is not worth a trial."""
_WARM_UP = 2
_TINY_FLOP = 5e8
_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Precision:
    """What a run computes in, why in words, and whether a trial decided it."""

    name: str
    why: str = ""
    tried: bool = False


@contextlib.contextmanager
def computing_in(precision: str) -> Generator[None]:
    """Networks built meanwhile compute in this precision; everything else keeps what it had."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def has_bfloat16(cpu_info: Path = _CPU_INFO) -> bool | None:
    """Whether the processor computes in bfloat16 by itself (AVX-512 BF16); None where the system does not tell."""
    try:
        lines = cpu_info.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return any("avx512_bf16" in line.split() for line in lines if line.startswith("flags"))


def without_trial(device: str) -> str:
    """What a training computes in that makes no trial: bfloat16 on a processor that has it, float32 elsewhere.

    Parameters
    ----------
    device : str
        As :func:`thighview.engine.devices.prepare_device` calls it; what the processor has says nothing of a GPU.
    """
    return "bfloat16" if device == "CPU" and has_bfloat16() else "float32"


def decide(seconds_of: Callable[[str], float], device: str, native: bool | None) -> Precision:
    """The faster of float32 and 16 bits on this device.

    Parameters
    ----------
    seconds_of : callable
        Seconds of one step in a precision. Not asked where the answer is known; 16 bits only after float32.
    device : str
        As :func:`thighview.engine.devices.prepare_device` calls it. ``CPU`` tries bfloat16, a GPU float16.
    native : bool or None
        As :func:`has_bfloat16` says; None tries.
    """
    if device == "CPU" and native is False:
        return Precision("float32", "computes in float32: this processor has no bfloat16")
    plain = seconds_of("float32")
    if plain < TINY_S:
        return Precision("float32", "computes in float32: the steps are too short to gain from less")
    short = "bfloat16" if device == "CPU" else "float16"
    fast = seconds_of(short)
    times = f"{fast * 1000:.0f} ms a step against {plain * 1000:.0f} ms"
    if plain > GAIN * fast:
        return Precision(short, f"computes in {short}: {times} in float32", True)
    return Precision("float32", f"computes in float32: {short} is not {GAIN} times as fast ({times})", True)


def step_seconds(config: TrainConfig, classes: int, batch: Batch, precision: str) -> float:
    """Median seconds of ten training steps of the real network on a real batch; 0 where it cannot be 30 ms.

    Everything is built for the trial and thrown away after it.
    """
    slots = int(batch[1]["slots"].max()) + 1
    with computing_in(precision):
        network = build_network(config.architecture, classes, config.base_filters, config.levels, config.dropout)
    if 6.0 * network.count_params() * batch[0].size < _TINY_FLOP:  # each weight at each pixel, forth and back: at most
        return 0.0
    learner = Learner(network, config.loss, slots, classes)
    learner.compile(optimizer=optimizer_of(config, 100, precision))
    seconds: list[float] = []
    for _ in range(_WARM_UP + TRIAL_STEPS):
        start = time.perf_counter()
        learner.learn(*batch)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[_WARM_UP:])


def chosen_precision(
    run: RunFolder, config: TrainConfig, classes: int, batch: Callable[[], Batch], device: str
) -> Precision:
    """What a run computes in; a decision is written into its folder, and a run that goes on keeps to it.

    Parameters
    ----------
    run : RunFolder
        One with a checkpoint but no decision beside it was begun in float32.
    config : TrainConfig
    classes : int
        C, the background among them.
    batch : callable
        Makes the batch a trial learns from.
    device : str
    """
    if config.precision != "auto":
        return Precision(config.precision, f"computes in {config.precision}, as set")
    kept = run.path / "precision.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = Precision(**json.loads(kept.read_text("utf-8")))
        if known.name in POLICIES:
            return known
    if (run.checkpoint / "last.safetensors").exists():
        return Precision("float32", "computes in float32, as it began")
    found = decide(lambda name: step_seconds(config, classes, batch(), name), device, has_bfloat16())
    write_json_atomic(kept, asdict(found))
    return found
