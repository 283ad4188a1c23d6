"""How a run's settings act: schedule, averaged weights, patience, precision, and what it keeps."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from tiny_project import make_project

from thighview.core.errors import UserError
from thighview.core.run import EpochEnded, Failed, Finished, RunEvent, Started, TrainConfig
from thighview.engine import train
from thighview.engine.averaging import average_warning, averaged
from thighview.engine.checkpoints import CheckpointWriter, read_checkpoint
from thighview.engine.keeping import Best, Bests
from thighview.engine.learner import Learner, optimizer_of, rate_at
from thighview.engine.precision import (
    chosen_precision,
    computing_in,
    decide,
    has_bfloat16,
    step_seconds,
    without_trial,
)
from thighview.engine.unet import build_network, weights_of
from thighview.io.models import find_model, read_weights
from thighview.io.runs import EventTail, RunFolder, run_folder, write_control

TINY = TrainConfig(base_filters=2, levels=3, epochs=2, batch_size=2, input_size=32, learning_rate=3e-3, seed=5)


def _with(**changes: object) -> TrainConfig:
    return TrainConfig.from_json(TINY.to_json() | changes)


def _batch(count: int = 2, edge: int = 32) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    x = np.random.default_rng(0).normal(size=(count, edge, edge, 1)).astype(np.float32)
    return x, {
        "labels": (x[..., 0] > 0.5).astype(np.uint8),
        "slots": np.arange(count, dtype=np.int32),
        "weights": np.ones(count, np.float32),
    }


def _learner(config: TrainConfig, precision: str = "float32") -> tuple[Learner, keras.Model]:
    with computing_in(precision):
        network = build_network(config.architecture, 2, config.base_filters, config.levels, config.dropout)
    learner = Learner(network, config.loss, 2, 2)
    learner.compile(optimizer=optimizer_of(config, 10, precision))
    return learner, network


def test_schedules_by_hand_and_as_the_optimiser_has_them() -> None:
    # after 5 of 20 steps: poly 0.75^0.9 = 0.771890; cosine (1 + cos 45 deg) / 2 = 0.853553
    assert rate_at(_with(schedule="poly", learning_rate=1.0), 5, 20) == pytest.approx(0.771890, abs=1e-6)
    assert rate_at(_with(schedule="cosine", learning_rate=1.0), 5, 20) == pytest.approx(0.853553, abs=1e-6)
    assert rate_at(_with(schedule="constant", learning_rate=1.0), 5, 20) == 1.0
    assert rate_at(TINY, 5, 20) == rate_at(_with(schedule="poly"), 5, 20)
    assert rate_at(_with(architecture="seed_unet"), 5, 20) == TINY.learning_rate
    assert rate_at(_with(architecture="seed_unet", schedule="cosine"), 20, 20) == pytest.approx(0.0)
    for schedule in ("poly", "cosine", "constant"):
        config = _with(schedule=schedule)
        optimizer = optimizer_of(config, 20)
        optimizer.build([])
        optimizer.iterations.assign(5)
        assert float(optimizer.learning_rate) == pytest.approx(rate_at(config, 5, 20), rel=1e-6)


@pytest.mark.usefixtures("eager")
def test_the_average_follows_the_weights_and_leaves_no_trace() -> None:
    learner, network = _learner(_with(ema=0.75))
    with averaged(network, learner.optimizer, 0.75) as own:
        assert own == {}, "there is no average before the first step"
    expected: dict[str, np.ndarray] = {}
    for _ in range(3):
        learner.learn(*_batch())
        now = weights_of(network)
        expected = {k: 0.75 * expected[k] + 0.25 * now[k] if expected else now[k] for k in now}
    before = weights_of(network)
    with averaged(network, learner.optimizer, 0.75) as own:
        for name, array in weights_of(network).items():
            np.testing.assert_allclose(array, expected[name], atol=1e-6)
            np.testing.assert_array_equal(own[name], before[name])
    after = weights_of(network)
    assert any(not np.array_equal(after[k], expected[k]) for k in after)
    for name, array in after.items():
        np.testing.assert_array_equal(array, before[name])


def test_an_average_that_reaches_back_too_far_is_told() -> None:
    assert "1000 steps and the run has 200" in average_warning(0.999, 200)
    assert average_warning(0.999, 3000) == average_warning(0.0, 1) == ""


@pytest.mark.usefixtures("eager")
def test_a_run_keeps_averaged_weights_and_the_best_of_each_kind(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 3)
    said: list[RunEvent] = []
    train.train_main(folder, "one", _with(ema=0.5, epochs=3, batch_size=4), None, said.append)
    run = run_folder(folder, "one")
    epochs = [e for e in said if isinstance(e, EpochEnded)]
    best_epoch = next(e for e in said if isinstance(e, Finished)).best_epoch
    kept = {name: read_checkpoint(run.checkpoint, name) for name in ("last", "best", "best_dice", "best_train")}
    assert all(kept.values())
    last, best, dice, probe = kept.values()
    averages = [v for k, v in last[0].items() if k.startswith("optimizer/")]
    for name, array in best[0].items():
        assert not np.array_equal(array, last[0][name]), "the last checkpoint holds the network's own weights"
        if best_epoch == 3:
            assert any(v.shape == array.shape and np.array_equal(v, array) for v in averages)
    entry = find_model("one", folder)
    for name, array in read_weights(entry.folder, entry.card).items():
        np.testing.assert_array_equal(array, best[0][f"weight/{name}"])
    assert dice[1]["score"] == max(e.val.dice for e in epochs)
    probed = {e.train.loss: e.epoch for e in epochs if e.train.loss is not None}
    assert probe[1] == {"epoch": probed[min(probed)], "score": min(probed)}
    assert set(dice[0]) == set(probe[0]) == set(best[0])


def test_bests_and_patience_by_hand() -> None:
    bests = Bests()
    assert set(bests.take(1, 0.9, None)) == {"best_train"}
    assert not bests.over(9, 3), "without validation no patience ends"
    assert set(bests.take(2, None, 0.5)) == {"best_dice"}
    assert bests.take(3, 0.95, 0.5) == {}, "as good is not better"
    assert not bests.over(4, 3)
    assert bests.over(5, 3)
    assert not bests.over(5, 3, val_dice=0.6)
    assert not bests.over(5, 0)
    assert Bests.from_json(json.loads(json.dumps(bests.to_json()))) == bests == Bests(Best(1, 0.9), Best(2, 0.5))


@pytest.mark.usefixtures("eager")
def test_a_run_that_gets_no_better_ends_early_and_stays_ended(tmp_path: Path) -> None:
    """It was stopped and went on in between: the epochs that were waited before count."""
    folder = make_project(tmp_path, 3)
    said: list[RunEvent] = []
    config = _with(learning_rate=1e-7, schedule="constant", patience=2, epochs=50, batch_size=4, honest=False)

    def stop(event: RunEvent) -> None:
        said.append(event)
        if isinstance(event, EpochEnded) and event.epoch == 1:
            write_control(run_folder(folder, "one"), "stop")

    train.train_main(folder, "one", config, None, stop)
    stopped = said.pop()
    assert isinstance(stopped, Finished) and stopped.stopped and not stopped.early
    train.train_main(folder, "one", None, None, said.append)
    end = said[-1]
    assert isinstance(end, Finished)
    assert end.early and not end.stopped
    epochs = list({e.epoch: e for e in said if isinstance(e, EpochEnded)}.values())
    assert [e.epoch for e in epochs] == list(range(1, end.epochs + 1))
    dices = [e.val.dice for e in epochs]
    assert len(dices) == end.epochs == 1 + dices.index(max(dices)) + 2
    assert epochs[-1].train.loss is not None, "the last epoch is probed"
    assert "ends early: 2 epochs" in run_folder(folder, "one").log.read_text("utf-8")
    with pytest.raises(UserError, match="finished"):
        train.train_main(folder, "one")


@pytest.mark.usefixtures("eager")
def test_a_run_that_is_stopped_before_its_first_batch_leaves_no_model_and_can_be_started_again(tmp_path: Path) -> None:
    folder, said = make_project(tmp_path, 1), list[RunEvent]()
    run = run_folder(folder, "one")

    def stop(event: RunEvent) -> None:
        said.append(event)
        if isinstance(event, Started):
            write_control(run, "stop")

    with pytest.raises(UserError, match="stopped before anything was learnt"):
        train.train_main(folder, "one", _with(epochs=1), None, stop)
    last = said[-1]
    assert isinstance(last, Failed) and last.stopped and last.lines == ()
    assert EventTail(run.events).read_all()[-1] == last
    assert not any(isinstance(e, EpochEnded) for e in said)
    assert not (folder / "models" / "one").exists() and not list(run.checkpoint.iterdir())
    assert train.train_main(folder, "one").is_dir()


@pytest.mark.usefixtures("eager")
def test_a_run_that_goes_on_without_the_weights_of_its_best_epoch_says_so(tmp_path: Path) -> None:
    folder, said = make_project(tmp_path, 1), list[RunEvent]()
    run = run_folder(folder, "one")

    def stop(event: RunEvent) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 2:
            write_control(run, "stop")

    train.train_main(folder, "one", _with(epochs=3), None, stop)
    last, best = (read_checkpoint(run.checkpoint, name) for name in ("last", "best"))
    assert last and best and last[1]["epoch"] == last[1]["best"]["epoch"] == best[1]["best"]["epoch"] == 2
    writer = CheckpointWriter(run.checkpoint)
    writer.put("best", best[0], {"best": best[1]["best"] | {"epoch": 1}})
    writer.close()
    train.train_main(folder, "one", None, None, said.append)
    note = next(e for e in said if isinstance(e, Started)).note
    assert "weights of epoch 2, the best so far, did not come to the disk" in note and "of epoch 1 are kept" in note


def test_16_bits_are_taken_where_they_are_faster() -> None:
    times = {"float32": 0.4, "bfloat16": 0.1, "float16": 0.35}
    found = decide(times.__getitem__, "CPU", True)
    assert (found.name, found.tried) == ("bfloat16", True)
    assert "100 ms a step against 400 ms" in found.why
    found = decide(times.__getitem__, "NVIDIA T4", False)
    assert (found.name, found.tried) == ("float32", True)
    assert "not 1.3 times" in found.why
    assert decide(times.__getitem__, "CPU", None).name == "bfloat16"

    def never(_: str) -> float:
        raise AssertionError("nothing to try")

    assert decide(never, "CPU", False).name == "float32"
    asked: list[str] = []

    def tiny(name: str) -> float:
        asked.append(name)
        return 0.01

    assert decide(tiny, "CPU", True).name == "float32"
    assert asked == ["float32"]


def test_what_the_processor_says_of_itself(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    assert has_bfloat16(info) is None
    info.write_text("processor : 0\nflags\t\t: fpu avx512f amx_bf16\n")
    assert has_bfloat16(info) is False, "its kernels for AMX are not used"
    info.write_text("flags\t\t: fpu avx512f avx512_bf16\n")
    assert has_bfloat16(info) is True


def test_what_the_processor_has_decides_nothing_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thighview.engine.precision.has_bfloat16", lambda: True)
    assert (without_trial("CPU"), without_trial("NVIDIA A100")) == ("bfloat16", "float32")
    monkeypatch.setattr("thighview.engine.precision.has_bfloat16", lambda: None)
    assert without_trial("CPU") == "float32"


def test_a_decision_is_kept_for_the_rest_of_the_run(tmp_path: Path) -> None:
    run, kept = RunFolder(tmp_path), tmp_path / "precision.json"

    def none() -> object:
        raise AssertionError("no trial")

    assert chosen_precision(run, _with(precision="float16"), 2, none, "GPU").name == "float16"
    assert not kept.exists()
    found = chosen_precision(run, TINY, 2, _batch, "GPU")
    assert (found.name, found.tried) == ("float32", False), "this network is too small for a trial"
    assert json.loads(kept.read_text())["name"] == "float32"
    kept.write_text(json.dumps({"name": "bfloat16", "why": "computes in bfloat16", "tried": True}))
    assert chosen_precision(run, TINY, 2, none, "GPU").name == "bfloat16"
    kept.write_text("{}")
    run.checkpoint.mkdir()
    (run.checkpoint / "last.safetensors").touch()
    assert chosen_precision(run, TINY, 2, none, "GPU").name == "float32", "a run begun before there was a choice"


@pytest.mark.usefixtures("eager")
def test_a_trial_times_the_real_network_and_leaves_nothing_behind() -> None:
    policy = keras.config.dtype_policy().name
    config = _with(architecture="seed_unet", base_filters=16, loss="ce")
    assert step_seconds(config, 2, _batch(1), "bfloat16") > 0
    assert step_seconds(TINY, 2, _batch(1), "float32") == 0.0
    assert keras.config.dtype_policy().name == policy


@pytest.mark.parametrize(("architecture", "precision"), [("unet", "float16"), ("seed_unet", "bfloat16")])
@pytest.mark.usefixtures("eager")
def test_16_bits_learn_and_keep_weights_head_and_loss_in_float32(architecture: str, precision: str) -> None:
    keras.utils.set_random_seed(3)
    learner, network = _learner(_with(architecture=architecture, loss="ce", ema=0.5), precision)
    assert network.get_layer("down1_conv2").compute_dtype == precision
    assert network.get_layer("head").compute_dtype == "float32"
    assert {str(w.dtype) for w in network.weights} == {"float32"}
    first = learner.learn(*_batch(1))
    for _ in range(3):
        last = learner.learn(*_batch(1))
    assert last < first
    assert learner.predict_on_batch(_batch()[0]).dtype == np.float32
    with averaged(network, learner.optimizer, 0.5) as own:
        assert own.keys() == weights_of(network).keys()


@pytest.mark.usefixtures("eager")
def test_a_run_in_bfloat16_writes_float32_weights_and_says_nothing_of_a_trial(tmp_path: Path) -> None:
    folder = make_project(tmp_path, 1)
    said: list[RunEvent] = []
    train.train_main(folder, "one", _with(precision="bfloat16", epochs=1, loss="focal_tversky"), None, said.append)
    entry = find_model("one", folder)
    assert {a.dtype for a in read_weights(entry.folder, entry.card).values()} == {np.dtype(np.float32)}
    started = next(e for e in said if isinstance(e, Started))
    assert "bfloat16" not in started.note
    assert "computes in bfloat16, as set" in run_folder(folder, "one").log.read_text("utf-8")
