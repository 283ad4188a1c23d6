"""Where the memory is too small for a batch: steps go in parts, and everything else stays as it was."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from tiny_project import make_project

from thighview.core.errors import UserError
from thighview.core.run import BatchEnded, BatchHalved, EpochEnded, Failed, RunEvent, Started, TrainConfig
from thighview.engine import train, training_run
from thighview.engine.checkpoints import snapshot
from thighview.engine.devices import share_gpus
from thighview.engine.learner import Learner, optimizer_of
from thighview.engine.memory import Room, is_out_of_memory
from thighview.engine.unet import build_network
from thighview.io.runs import EventTail, RunFolder, run_folder, write_control

TINY = TrainConfig(base_filters=2, levels=3, epochs=2, batch_size=4, input_size=32, learning_rate=3e-3, seed=5)


def _with(**changes: object) -> TrainConfig:
    return TrainConfig.from_json(TINY.to_json() | changes)


class Hungry(keras.layers.Layer):
    """Asks the backend for more memory than any machine has whenever it sees more than ``most`` slices at once."""

    def __init__(self) -> None:
        super().__init__(name="hungry")
        self.most = 1000

    def call(self, inputs: Any) -> Any:
        """The inputs, unless there are too many."""
        if inputs.shape[0] is not None and inputs.shape[0] > self.most:
            keras.ops.zeros((1 << 20, 1 << 30))
        return inputs


@pytest.fixture
def hungry(monkeypatch: pytest.MonkeyPatch) -> Hungry:
    """Stands at the end of every network that is trained from now on."""
    layer = Hungry()

    def build(*words: Any) -> keras.Model:
        network = build_network(*words)
        return keras.Model(network.inputs, layer(network.outputs[0]))

    monkeypatch.setattr(training_run, "build_network", build)
    return layer


def _events(run: RunFolder, kind: type) -> list:
    return [e for e in EventTail(run.events).read_all() if isinstance(e, kind)]


def _learnt(config: TrainConfig, at_once: int) -> tuple[list[float], Learner, keras.optimizers.Optimizer]:
    """Three steps on five slices of unequal weight."""
    keras.utils.set_random_seed(1)
    network = build_network(config.architecture, 2, config.base_filters, config.levels)
    learner = Learner(network, config.loss, 5, 2)
    optimizer = optimizer_of(config, 4)
    learner.compile(optimizer=optimizer)
    optimizer.build(learner.trainable_variables)
    if at_once:
        learner.learn_in_parts(at_once)
    rng = np.random.default_rng(0)
    losses: list[float] = []
    for _ in range(3):
        x = rng.normal(size=(5, 32, 32, 1)).astype(np.float32)
        labels, slots = (x[..., 0] > 0.5).astype(np.uint8), np.arange(5, dtype=np.int32)
        weights = np.linspace(1, 3, 5, dtype=np.float32)
        losses.append(learner.learn(x, {"labels": labels, "slots": slots, "weights": weights}))
    return losses, learner, optimizer


@pytest.mark.parametrize(
    "changes", [{"optimizer": "sgd", "schedule": "cosine", "ema": 0.75}, {"architecture": "seed_unet", "loss": "ce"}]
)
@pytest.mark.usefixtures("eager")
def test_a_batch_in_parts_is_learnt_from_as_a_whole(changes: dict[str, object]) -> None:
    """GroupNorm and none: losses, sums, weights, averages, counters and moments, each step by each."""
    config = _with(**changes)
    whole, learner, optimizer = _learnt(config, 0)
    parts, other, follower = _learnt(config, 2)
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    np.testing.assert_allclose(other.sums(range(5), 5).ce_sum, learner.sums(range(5), 5).ce_sum, rtol=1e-5)
    assert int(follower.iterations) == 3
    kept, made = snapshot(learner, optimizer), snapshot(other, follower)
    assert kept.keys() == made.keys(), "checkpoints fit both ways"
    for name, array in kept.items():
        np.testing.assert_allclose(made[name], array, atol=1e-5, err_msg=name)


@pytest.mark.usefixtures("eager")
def test_a_run_out_of_memory_halves_its_steps_and_keeps_its_curve(tmp_path: Path, hungry: Hungry) -> None:
    """In the middle of an epoch, which begins anew; then the run is stopped, and goes on in halves."""
    folder = make_project(tmp_path, 3)
    config = _with(ema=0.8, schedule="cosine", optimizer="sgd", learning_rate=1e-2, honest=False)
    train.train_main(folder, "whole", config)
    run = run_folder(folder, "short")

    def fill(event: RunEvent) -> None:
        if isinstance(event, BatchEnded) and (event.epoch, event.step) == (1, 1):
            hungry.most = 2
        if isinstance(event, EpochEnded) and event.epoch == 1:
            write_control(run, "stop")

    train.train_main(folder, "short", config, None, fill)
    halved = _events(run, BatchHalved)
    assert [(e.epoch, e.at_once, e.batch_size) for e in halved] == [(1, 2, 4)]
    assert json.loads((run.path / "memory.json").read_text()) == {"at_once": 2}
    assert [e.first_epoch for e in _events(run, Started)] == [1, 1]
    train.train_main(folder, "short")
    assert len(_events(run, BatchHalved)) == 1, "a run that goes on does not run into it again"
    assert "does not hold 4 slices at once: a step takes them 2 at a time" in _events(run, Started)[-1].note
    whole = _events(run_folder(folder, "whole"), EpochEnded)
    short = {e.epoch: e for e in _events(run, EpochEnded)}
    for e in whole:
        assert short[e.epoch].val.loss == pytest.approx(e.val.loss, abs=1e-5)
        assert short[e.epoch].val.dice == pytest.approx(e.val.dice, abs=1e-3)
        assert short[e.epoch].while_learning.loss == pytest.approx(e.while_learning.loss, abs=1e-5)
        assert short[e.epoch].learning_rate == e.learning_rate


@pytest.mark.usefixtures("eager")
def test_a_single_slice_that_is_too_much_ends_the_run_with_the_reason(tmp_path: Path, hungry: Hungry) -> None:
    hungry.most = 0
    folder = make_project(tmp_path, 1)
    with pytest.raises(UserError, match="does not hold a single slice") as refused:
        train.train_main(folder, "one", TINY)
    assert "smaller input size or network" in refused.value.hint
    run = run_folder(folder, "one")
    assert _events(run, Failed)[-1].message == refused.value.message
    assert [e.at_once for e in _events(run, BatchHalved)] == [2, 1]
    assert not run.alive


def test_a_note_of_the_memory_that_makes_no_sense_is_passed_over(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    kept = tmp_path / "memory.json"
    for text, at_once in (("", 4), ("[]", 4), ('{"at_once": 9}', 4), ('{"at_once": 3}', 3), ('{"at_once": -1}', 1)):
        kept.write_text(text)
        assert Room(run, 4).at_once == at_once


def _numpy() -> object:
    return np.empty(1 << 60, np.uint8)


def _backend() -> object:
    return keras.ops.zeros((1 << 20, 1 << 30))


@pytest.mark.parametrize("ask", [_numpy, _backend])
def test_real_errors_of_full_memory_are_known(ask: Callable[[], object]) -> None:
    with pytest.raises(Exception) as error:
        ask()
    assert is_out_of_memory(error.value)


def test_errors_of_other_libraries_are_known_by_their_words() -> None:
    jax = type("XlaRuntimeError", (RuntimeError,), {})
    torch = type("OutOfMemoryError", (RuntimeError,), {})
    assert is_out_of_memory(jax("RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes."))
    assert is_out_of_memory(torch("CUDA out of memory. Tried to allocate 2.00 GiB."))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(jax("INVALID_ARGUMENT: shapes differ"))
    assert not is_out_of_memory(UserError("The mask is out of memory lane."))
    assert not is_out_of_memory(OSError(28, "No space left on device"))


class _TensorFlowConfig:
    """The part of ``tensorflow.config`` that shares GPUs out, with its rules as TensorFlow 2.21 has them."""

    def __init__(self, begun: bool = False) -> None:
        self.grows: list[str] = []
        self.limits: dict[str, list[Any]] = {}
        self.begun = begun
        self.experimental = SimpleNamespace(set_memory_growth=self._grow)
        self.LogicalDeviceConfiguration = SimpleNamespace

    def _grow(self, gpu: str, enable: bool) -> None:
        if gpu in self.limits:
            raise ValueError("Cannot set memory growth on device when virtual devices configured")
        if enable:
            self.grows.append(gpu)

    def get_logical_device_configuration(self, gpu: str) -> list[Any] | None:
        return self.limits.get(gpu)

    def set_logical_device_configuration(self, gpu: str, devices: list[Any]) -> None:
        if self.begun and self.limits.get(gpu) != devices:
            raise RuntimeError("Virtual devices cannot be modified after being initialized")
        self.limits[gpu] = devices


def test_gpu_memory_grows_and_may_be_limited_later_but_not_too_late() -> None:
    config = _TensorFlowConfig()
    share_gpus(config, ["a", "b"], 0.0)
    assert (config.grows, config.limits) == (["a", "b"], {})
    for _ in range(2):
        share_gpus(config, ["a", "b"], 1.5)
        assert [one.memory_limit for one in (*config.limits["a"], *config.limits["b"])] == [1536, 1536]
    share_gpus(config, ["a", "b"], 0.0)
    with pytest.raises(UserError, match="cannot be limited to 2 GB any more"):
        share_gpus(_TensorFlowConfig(begun=True), ["a"], 2.0)
